//! Permissions: what may be done in the cluster or in one database, in the words of the admin API.
//!
//! The privileges of InfluxQL are the older words; [`Permissions::of_privilege`] tells what one comes to. What a user has
//! altogether is in `rights`.

use std::fmt;

use crate::data::Privilege;

/// One permission. The order is the one in which they are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// Screens of administrators.
    ViewAdmin,
    /// Screens of dashboards.
    ViewChronograf,
    /// `CREATE DATABASE`; in a database the retention policies of it.
    CreateDatabase,
    /// Users, roles, grants, restrictions, the directory.
    CreateUserAndRole,
    /// Members of the cluster.
    AddRemoveNode,
    /// `DROP DATABASE`; in a database `DROP RETENTION POLICY`.
    DropDatabase,
    /// `DELETE`, `DROP SERIES`, `DROP MEASUREMENT`.
    DropData,
    /// Queries.
    ReadData,
    /// Writes.
    WriteData,
    /// Moving shards.
    Rebalance,
    /// Looking at shards and removing them.
    ManageShard,
    /// Continuous queries.
    ManageContinuousQuery,
    /// Looking at running queries and ending them.
    ManageQuery,
    /// Subscriptions.
    ManageSubscription,
    /// Statistics and diagnostics.
    Monitor,
    /// Copying shards.
    CopyShard,
    /// Tasks of Kapacitor.
    KapacitorAPI,
    /// Configuration of Kapacitor.
    KapacitorConfigAPI,
}

impl Permission {
    /// All of them, in the order in which they are listed.
    pub const ALL: [Permission; 18] = [
        Permission::ViewAdmin,
        Permission::ViewChronograf,
        Permission::CreateDatabase,
        Permission::CreateUserAndRole,
        Permission::AddRemoveNode,
        Permission::DropDatabase,
        Permission::DropData,
        Permission::ReadData,
        Permission::WriteData,
        Permission::Rebalance,
        Permission::ManageShard,
        Permission::ManageContinuousQuery,
        Permission::ManageQuery,
        Permission::ManageSubscription,
        Permission::Monitor,
        Permission::CopyShard,
        Permission::KapacitorAPI,
        Permission::KapacitorConfigAPI,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Permission::ViewAdmin => "ViewAdmin",
            Permission::ViewChronograf => "ViewChronograf",
            Permission::CreateDatabase => "CreateDatabase",
            Permission::CreateUserAndRole => "CreateUserAndRole",
            Permission::AddRemoveNode => "AddRemoveNode",
            Permission::DropDatabase => "DropDatabase",
            Permission::DropData => "DropData",
            Permission::ReadData => "ReadData",
            Permission::WriteData => "WriteData",
            Permission::Rebalance => "Rebalance",
            Permission::ManageShard => "ManageShard",
            Permission::ManageContinuousQuery => "ManageContinuousQuery",
            Permission::ManageQuery => "ManageQuery",
            Permission::ManageSubscription => "ManageSubscription",
            Permission::Monitor => "Monitor",
            Permission::CopyShard => "CopyShard",
            Permission::KapacitorAPI => "KapacitorAPI",
            Permission::KapacitorConfigAPI => "KapacitorConfigAPI",
        }
    }

    /// The permission of this name. A slip of a widespread document is understood.
    pub fn parse(name: &str) -> Option<Permission> {
        let name = if name == "ManageContnuousQuery" { "ManageContinuousQuery" } else { name };
        Permission::ALL.into_iter().find(|permission| permission.name() == name)
    }

    /// Whether it can be given for one database. The others are about the cluster as a whole.
    pub fn is_of_databases(self) -> bool {
        Permissions::OF_DATABASES.contains(self)
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of permissions.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permissions(u32);

impl Permissions {
    /// None.
    pub const NONE: Permissions = Permissions(0);
    /// Every one.
    pub const ALL: Permissions = Permissions((1 << Permission::ALL.len()) - 1);
    /// Those that can be given for one database.
    pub const OF_DATABASES: Permissions = Permissions::of(&[
        Permission::CreateDatabase,
        Permission::DropDatabase,
        Permission::DropData,
        Permission::ReadData,
        Permission::WriteData,
        Permission::ManageContinuousQuery,
        Permission::ManageSubscription,
    ]);

    /// Those that are listed.
    pub const fn of(list: &[Permission]) -> Permissions {
        let (mut bits, mut index) = (0, 0);
        while index < list.len() {
            bits |= 1 << list[index] as u32;
            index += 1;
        }
        Permissions(bits)
    }

    /// What a privilege of InfluxQL comes to.
    pub fn of_privilege(privilege: Privilege) -> Permissions {
        match privilege {
            Privilege::None => Permissions::NONE,
            Privilege::Read => Permissions::of(&[Permission::ReadData]),
            Privilege::Write => Permissions::of(&[Permission::WriteData]),
            Privilege::All => Permissions::OF_DATABASES.without(Permissions::of(&[Permission::DropDatabase])),
        }
    }

    /// As written down: bit n is the n-th of [`Permission::ALL`]. `None` when others are set.
    pub fn from_bits(bits: u32) -> Option<Permissions> {
        (bits & !Permissions::ALL.0 == 0).then_some(Permissions(bits))
    }

    /// As written down.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether this one is among them.
    pub fn contains(self, permission: Permission) -> bool {
        self.0 & 1 << permission as u32 != 0
    }

    /// Whether one of `others` is among them.
    pub fn meets(self, others: Permissions) -> bool {
        self.0 & others.0 != 0
    }

    /// Those of both.
    #[must_use]
    pub fn with(self, others: Permissions) -> Permissions {
        Permissions(self.0 | others.0)
    }

    /// Those that are not among `others`.
    #[must_use]
    pub fn without(self, others: Permissions) -> Permissions {
        Permissions(self.0 & !others.0)
    }

    /// In the order in which they are listed.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.into_iter().filter(move |permission| self.contains(*permission))
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_have_names_and_an_order() {
        for (index, permission) in Permission::ALL.into_iter().enumerate() {
            assert_eq!(permission as usize, index, "{permission}");
            assert_eq!(Permission::parse(permission.name()), Some(permission));
        }
        assert_eq!(Permission::parse("ManageContnuousQuery"), Some(Permission::ManageContinuousQuery));
        assert_eq!(Permission::parse("readdata"), None);
        assert_eq!(Permission::parse(""), None);
        assert_eq!(Permissions::ALL.iter().count(), 18);
        assert_eq!(Permissions::from_bits(1 << 18), None);
        assert_eq!(Permissions::from_bits(Permissions::ALL.bits()), Some(Permissions::ALL));
    }

    #[test]
    fn privileges_come_to_permissions() {
        let names = |privilege| Permissions::of_privilege(privilege).iter().map(Permission::name).collect::<Vec<_>>();
        assert_eq!(names(Privilege::None), Vec::<&str>::new());
        assert_eq!(names(Privilege::Read), ["ReadData"]);
        assert_eq!(names(Privilege::Write), ["WriteData"]);
        let all =
            ["CreateDatabase", "DropData", "ReadData", "WriteData", "ManageContinuousQuery", "ManageSubscription"];
        assert_eq!(names(Privilege::All), all);
    }
}
