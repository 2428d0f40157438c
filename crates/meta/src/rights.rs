//! What somebody may do, all in all: privileges and permissions of a user together with those of their roles.

use std::collections::BTreeMap;

use crate::data::{Data, PermissionMap, Privilege, User};
use crate::permission::{Permission, Permissions};
use crate::rule::{Access, RuleSet};

/// Somebody who proved who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who<'a> {
    /// A user of the cluster.
    User(&'a str),
    /// Somebody whom a directory knows. What the cluster knows of a user of the same name does not count.
    Directory {
        /// The name.
        name: &'a str,
        /// Whether the directory says that they administer the cluster.
        admin: bool,
        /// Roles of the cluster that the directory gives them. Those that do not exist give nothing.
        roles: &'a [String],
    },
}

/// What somebody may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// Their name.
    pub name: String,
    /// May do everything.
    pub admin: bool,
    /// Roles that they have and that exist.
    pub roles: Vec<String>,
    /// By database: privileges of InfluxQL alone.
    privileges: BTreeMap<String, Privilege>,
    /// By database, privileges included; under the empty name for all.
    permissions: PermissionMap,
}

impl Rights {
    /// Whether one of the permissions was given, for the cluster or for this database.
    pub fn has(&self, database: &str, any_of: Permissions) -> bool {
        let at = |database: &str| self.permissions.get(database).copied().unwrap_or_default();
        self.admin || at("").meets(any_of) || !database.is_empty() && at(database).meets(any_of)
    }

    /// Whether a permission was given for the cluster.
    pub fn has_in_cluster(&self, permission: Permission) -> bool {
        self.has("", Permissions::of(&[permission]))
    }

    /// Whether the privilege was granted by InfluxQL.
    pub fn is_granted(&self, database: &str, privilege: Privilege) -> bool {
        let granted = self.privileges.get(database).copied().unwrap_or(Privilege::None);
        self.admin || granted.bits() & privilege.bits() == privilege.bits()
    }

    /// Whether they get to know that a database exists: when there is something in it that they may do.
    pub fn sees(&self, database: &str) -> bool {
        self.has(database, Permissions::OF_DATABASES)
    }
}

impl Data {
    /// What somebody may do; `None` when there is no such user.
    pub fn rights(&self, who: Who<'_>) -> Option<Rights> {
        let (mut rights, directory_roles): (Rights, &[String]) = match who {
            Who::User(name) => (own(self.user(name)?), &[]),
            Who::Directory { name, admin, roles } => {
                (Rights { name: name.to_owned(), admin, ..Rights::default() }, roles)
            }
        };
        let is_user = matches!(who, Who::User(_));
        for role in self.roles.iter() {
            let has = if is_user { role.users.contains(&rights.name) } else { directory_roles.contains(&role.name) };
            if has {
                rights.roles.push(role.name.clone());
                unite(&mut rights.permissions, &role.permissions);
            }
        }
        Some(rights)
    }

    /// The rules that hold for somebody in a database. Nothing is hidden from administrators.
    pub fn rules(&self, rights: &Rights, database: &str, access: Access) -> RuleSet {
        if rights.admin || self.restrictions.is_empty() {
            return RuleSet::default();
        }
        let user = (rights.name.as_str(), rights.roles.as_slice());
        RuleSet::pick(self.restrictions.iter(), self.access_grants.iter(), user, database, access)
    }
}

/// What was given to the user, without roles.
fn own(user: &User) -> Rights {
    let mut permissions = user.permissions.clone();
    let privileges =
        user.privileges.iter().map(|(database, privilege)| (database, Permissions::of_privilege(*privilege)));
    for (database, set) in privileges.filter(|(_, set)| !set.is_empty()) {
        let given = permissions.entry(database.clone()).or_default();
        *given = given.with(set);
    }
    if user.admin {
        permissions.insert(String::new(), Permissions::ALL);
    }
    Rights {
        name: user.name.clone(),
        admin: user.admin,
        roles: Vec::new(),
        privileges: user.privileges.clone(),
        permissions,
    }
}

fn unite(to: &mut PermissionMap, more: &PermissionMap) {
    for (database, set) in more {
        let given = to.entry(database.clone()).or_default();
        *given = given.with(*set);
    }
}

impl User {
    /// Every permission that the user has without roles, as the admin API lists them.
    pub fn listed_permissions(&self) -> PermissionMap {
        own(self).permissions
    }
}
