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

/// Letters, marks, numbers, punctuation, symbols and the plain space: no other space, nothing that controls, formats or turns
/// around what stands beside it, and nothing that means something only to some.
fn is_printable(char: char) -> bool {
    let is_hidden = HIDDEN.iter().any(|(first, last)| (*first..=*last).contains(&char));
    // The last two of every plane are no characters.
    let is_none = u32::from(char) & 0xfffe == 0xfffe;
    char == ' ' || !(char.is_control() || char.is_whitespace() || char == '\u{fffd}' || is_hidden || is_none)
}

/// Characters of the category "format" in Unicode 15, those for private use, and those that never will be any.
const HIDDEN: [(char, char); 25] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{600}', '\u{605}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{6dd}', '\u{6dd}'),
    ('\u{70f}', '\u{70f}'),
    ('\u{890}', '\u{891}'),
    ('\u{8e2}', '\u{8e2}'),
    ('\u{180e}', '\u{180e}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{202a}', '\u{202e}'),
    ('\u{2060}', '\u{2064}'),
    ('\u{2066}', '\u{206f}'),
    ('\u{e000}', '\u{f8ff}'),
    ('\u{fdd0}', '\u{fdef}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{fff9}', '\u{fffb}'),
    ('\u{110bd}', '\u{110bd}'),
    ('\u{110cd}', '\u{110cd}'),
    ('\u{13430}', '\u{1343f}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0001}', '\u{e0001}'),
    ('\u{e0020}', '\u{e007f}'),
    ('\u{f0000}', '\u{ffffd}'),
    ('\u{100000}', '\u{10fffd}'),
];
