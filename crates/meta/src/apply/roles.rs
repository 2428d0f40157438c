//! Roles, and how users are looked up in a directory.

use std::sync::Arc;

use model::MetaIndex;

use super::users::{OWNER_NAME_BYTES_MAX, add, remove};
use super::{DONE, NOTHING_TO_DO, Outcome};
use crate::command::Rejection;
use crate::data::{Data, PermissionMap, Role};

/// Roles of a cluster.
pub(crate) const ROLES_MAX: u32 = 10_000;

impl Data {
    pub(super) fn create_role(&mut self, name: &str) -> Outcome {
        self.check_role_name(name)?;
        if self.roles.len() >= ROLES_MAX as usize {
            return Err(Rejection::TooManyRoles(ROLES_MAX));
        }
        Arc::make_mut(&mut self.roles).push(Arc::new(Role { name: name.to_owned(), ..Role::default() }));
        DONE
    }

    pub(super) fn drop_role(&mut self, name: &str) -> Outcome {
        self.role(name).ok_or(Rejection::RoleNotFound)?;
        Arc::make_mut(&mut self.roles).retain(|role| role.name != name);
        self.forget_in_access_grants(|grant| grant.roles.retain(|role| role != name));
        DONE
    }

    pub(super) fn rename_role(&mut self, name: &str, new_name: &str) -> Outcome {
        self.role(name).ok_or(Rejection::RoleNotFound)?;
        if name == new_name {
            return NOTHING_TO_DO;
        }
        self.check_role_name(new_name)?;
        self.forget_in_access_grants(|grant| {
            grant.roles.iter_mut().filter(|role| *role == name).for_each(|role| new_name.clone_into(role));
        });
        self.change_role(name, |role| new_name.clone_into(&mut role.name))
    }

    pub(super) fn add_role_users(&mut self, name: &str, users: &[String]) -> Outcome {
        self.role(name).ok_or(Rejection::RoleNotFound)?;
        users.iter().try_for_each(|user| self.user(user).map(|_| ()).ok_or(Rejection::UserNotFound))?;
        self.change_role(name, |role| role.users.extend(users.iter().cloned()))
    }

    pub(super) fn remove_role_users(&mut self, name: &str, users: &[String]) -> Outcome {
        self.role(name).ok_or(Rejection::RoleNotFound)?;
        users.iter().try_for_each(|user| self.user(user).map(|_| ()).ok_or(Rejection::UserNotFound))?;
        self.change_role(name, |role| role.users.retain(|user| !users.contains(user)))
    }

    pub(super) fn add_role_permissions(&mut self, name: &str, permissions: &PermissionMap) -> Outcome {
        self.role(name).ok_or(Rejection::RoleNotFound)?;
        self.check_permissions(permissions)?;
        self.change_role(name, |role| add(&mut role.permissions, permissions))
    }

    pub(super) fn remove_role_permissions(&mut self, name: &str, permissions: &PermissionMap) -> Outcome {
        self.role(name).ok_or(Rejection::RoleNotFound)?;
        self.check_permissions(permissions)?;
        self.change_role(name, |role| remove(&mut role.permissions, permissions))
    }

    pub(super) fn set_directory(&mut self, index: MetaIndex, config: Option<&str>) -> Outcome {
        if self.directory.as_deref() == config {
            return NOTHING_TO_DO;
        }
        self.directory = config.map(Into::into);
        self.directory_index = index;
        DONE
    }

    /// Lets `change` work on every role; it answers whether it changed anything of what it was given.
    pub(super) fn change_roles(&mut self, mut change: impl FnMut(&mut Role) -> bool) {
        let mut changed = Vec::new();
        for (position, role) in self.roles.iter().enumerate() {
            let mut next = Role::clone(role);
            if change(&mut next) {
                changed.push((position, next));
            }
        }
        for (position, role) in changed {
            Arc::make_mut(&mut self.roles)[position] = Arc::new(role);
        }
    }

    fn change_role(&mut self, name: &str, change: impl FnOnce(&mut Role)) -> Outcome {
        let position = self.roles.iter().position(|role| role.name == name).ok_or(Rejection::RoleNotFound)?;
        let mut changed = Role::clone(&self.roles[position]);
        change(&mut changed);
        if changed == *self.roles[position] {
            return NOTHING_TO_DO;
        }
        Arc::make_mut(&mut self.roles)[position] = Arc::new(changed);
        DONE
    }

    fn check_role_name(&self, name: &str) -> Result<(), Rejection> {
        match self.role(name) {
            _ if name.is_empty() => Err(Rejection::RoleNameRequired),
            _ if name.len() > OWNER_NAME_BYTES_MAX => Err(Rejection::NameTooLong),
            Some(_) => Err(Rejection::RoleExists),
            None => Ok(()),
        }
    }
}
