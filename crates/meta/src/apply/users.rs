//! Users and what they may do.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{DONE, NOTHING_TO_DO, Outcome};
use crate::command::Rejection;
use crate::data::{Data, PermissionMap, Privilege, User};

/// Longest name of a user or a role, in bytes. The reference has no limit; one request must not fill the metadata.
pub(super) const OWNER_NAME_BYTES_MAX: usize = 1_024;

impl Data {
    pub(super) fn create_user(&mut self, name: &str, hash: &str, admin: bool) -> Outcome {
        if name.is_empty() {
            return Err(Rejection::UsernameRequired);
        }
        if name.len() > OWNER_NAME_BYTES_MAX {
            return Err(Rejection::NameTooLong);
        }
        if hash.is_empty() {
            return Err(Rejection::PasswordRequired);
        }
        if let Some(user) = self.user(name) {
            let same = user.hash == hash && user.admin == admin;
            return if same { NOTHING_TO_DO } else { Err(Rejection::UserExists) };
        }
        let user = User {
            name: name.to_owned(),
            hash: hash.to_owned(),
            admin,
            privileges: BTreeMap::new(),
            permissions: PermissionMap::new(),
        };
        Arc::make_mut(&mut self.users).push(Arc::new(user));
        DONE
    }

    pub(super) fn create_first_admin(&mut self, name: &str, hash: &str) -> Outcome {
        // One who is there as wanted has been made by this command, sent twice.
        let other = self.users.iter().any(|user| user.name != name || user.hash != hash || !user.admin);
        if other { Err(Rejection::NotFirst) } else { self.create_user(name, hash, true) }
    }

    pub(super) fn drop_user(&mut self, name: &str) -> Outcome {
        self.user(name).ok_or(Rejection::UserNotFound)?;
        Arc::make_mut(&mut self.users).retain(|user| user.name != name);
        self.change_roles(|role| role.users.remove(name));
        self.forget_in_access_grants(|grant| grant.users.retain(|user| user != name));
        DONE
    }

    pub(super) fn set_password(&mut self, name: &str, hash: &str) -> Outcome {
        if hash.is_empty() {
            return Err(Rejection::PasswordRequired);
        }
        self.change_user(name, |user| hash.clone_into(&mut user.hash))
    }

    /// `next` gives the new privilege from the present one.
    pub(super) fn set_privilege(
        &mut self,
        name: &str,
        database: &str,
        next: impl Fn(Privilege) -> Privilege,
    ) -> Outcome {
        self.user(name).ok_or(Rejection::UserNotFound)?;
        self.database(database).ok_or_else(|| Rejection::DatabaseNotFound(database.to_owned()))?;
        self.change_user(name, |user| {
            let before = user.privileges.get(database).copied().unwrap_or(Privilege::None);
            user.privileges.insert(database.to_owned(), next(before));
        })
    }

    pub(super) fn add_permissions(&mut self, name: &str, permissions: &PermissionMap) -> Outcome {
        self.user(name).ok_or(Rejection::UserNotFound)?;
        self.check_permissions(permissions)?;
        self.change_user(name, |user| add(&mut user.permissions, permissions))
    }

    pub(super) fn remove_permissions(&mut self, name: &str, permissions: &PermissionMap) -> Outcome {
        self.user(name).ok_or(Rejection::UserNotFound)?;
        self.check_permissions(permissions)?;
        self.change_user(name, |user| remove(&mut user.permissions, permissions))
    }

    /// Permissions are given for the cluster, or for databases that exist.
    pub(super) fn check_permissions(&self, permissions: &PermissionMap) -> Result<(), Rejection> {
        for (database, set) in permissions.iter().filter(|(database, _)| !database.is_empty()) {
            self.database(database).ok_or_else(|| Rejection::DatabaseNotFound(database.clone()))?;
            if let Some(wide) = set.iter().find(|permission| !permission.is_of_databases()) {
                return Err(Rejection::ClusterPermission(wide));
            }
        }
        Ok(())
    }

    pub(super) fn change_user(&mut self, name: &str, change: impl FnOnce(&mut User)) -> Outcome {
        let position = self.users.iter().position(|user| user.name == name).ok_or(Rejection::UserNotFound)?;
        let mut changed = User::clone(&self.users[position]);
        change(&mut changed);
        if changed == *self.users[position] {
            return NOTHING_TO_DO;
        }
        Arc::make_mut(&mut self.users)[position] = Arc::new(changed);
        DONE
    }
}

/// Adds `more` to what is there.
pub(super) fn add(to: &mut PermissionMap, more: &PermissionMap) {
    for (database, set) in more.iter().filter(|(_, set)| !set.is_empty()) {
        let given = to.entry(database.clone()).or_default();
        *given = given.with(*set);
    }
}

/// Takes `less` from what is there.
pub(super) fn remove(from: &mut PermissionMap, less: &PermissionMap) {
    for (database, set) in less {
        if let Some(given) = from.get_mut(database) {
            *given = given.without(*set);
        }
    }
    from.retain(|_, set| !set.is_empty());
}
