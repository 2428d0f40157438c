//! Databases come and go.

use std::sync::Arc;

use super::policies::check_duration;
use super::{DONE, NOTHING_TO_DO, Outcome};
use crate::command::{PolicySpec, Rejection};
use crate::data::{Data, Database, User};
use crate::placement;

/// Longest name of a database or policy, in bytes.
const NAME_BYTES_MAX: usize = 255;

impl Data {
    pub(super) fn create_database(&mut self, name: &str, policy: Option<&PolicySpec>, explicit: bool) -> Outcome {
        check_name(name)?;
        if let Some(spec) = policy {
            check_name(&spec.name)?;
            check_duration(spec.duration.unwrap_or_default())?;
        }
        if let Some(existing) = self.database(name) {
            let Some(spec) = policy.filter(|_| explicit) else { return NOTHING_TO_DO };
            if !existing.policies.is_empty() {
                let is_default = existing.default_policy.as_deref() == Some(&*spec.name);
                let agrees = existing.policy(&spec.name).is_some_and(|policy| spec.agrees_with(policy));
                return if is_default && agrees { NOTHING_TO_DO } else { Err(Rejection::PolicyConflict) };
            }
            let built = spec.build(1)?;
            let database = self.database_mut(name)?;
            database.default_policy = Some(Arc::clone(&built.name));
            database.policies.push(Arc::new(built));
            return DONE;
        }
        let replica_n = if explicit { 1 } else { placement::auto_replica_n(self.active_data_nodes().len()) };
        let built = policy.map(|spec| spec.build(replica_n)).transpose()?;
        self.database_id_max.0 += 1;
        let database = Database {
            id: self.database_id_max,
            name: name.into(),
            default_policy: built.as_ref().map(|policy| Arc::clone(&policy.name)),
            policies: built.into_iter().map(Arc::new).collect(),
            continuous_queries: Vec::new(),
        };
        Arc::make_mut(&mut self.database_names).insert(Arc::clone(&database.name), database.id);
        Arc::make_mut(&mut self.databases).push(Arc::new(database));
        DONE
    }

    pub(super) fn drop_database(&mut self, name: &str) -> Outcome {
        let Some(database) = self.database(name).cloned() else { return NOTHING_TO_DO };
        for policy in &database.policies {
            self.unindex_policy(policy);
        }
        Arc::make_mut(&mut self.database_names).remove(name);
        Arc::make_mut(&mut self.databases).retain(|other| other.id != database.id);
        let named = |user: &Arc<User>| user.privileges.contains_key(name) || user.permissions.contains_key(name);
        for user in Arc::make_mut(&mut self.users).iter_mut().filter(|user| named(user)) {
            let user = Arc::make_mut(user);
            user.privileges.remove(name);
            user.permissions.remove(name);
        }
        self.change_roles(|role| role.permissions.remove(name).is_some());
        DONE
    }
}

/// What a database or a policy may be called.
pub(super) fn check_name(name: &str) -> Result<(), Rejection> {
    let odd = name.chars().any(|char| char == '/' || char == '\\' || !is_printable(char));
    if name.is_empty() || name == "." || name == ".." || odd {
        return Err(Rejection::InvalidName);
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(Rejection::NameTooLong);
    }
    Ok(())
}

/// Letters, marks, numbers, punctuation, symbols and the plain space; no other space and no control character.
fn is_printable(char: char) -> bool {
    char == ' ' || !(char.is_control() || char.is_whitespace() || char == '\u{feff}' || char == '\u{fffd}')
}
