//! Retention policies come, change and go.

use std::sync::Arc;
use std::time::Duration;

use super::databases::check_name;
use super::{DONE, NOTHING_TO_DO, Outcome};
use crate::command::{PolicySpec, PolicyUpdate, Rejection};
use crate::data::{Data, RetentionPolicy};
use crate::span::{SPAN_MIN, normal_shard_group_duration};

impl Data {
    pub(super) fn create_policy(&mut self, database: &str, spec: &PolicySpec, make_default: bool) -> Outcome {
        let policy = spec.build(1)?;
        let found = self.database(database).ok_or_else(|| Rejection::DatabaseNotFound(database.to_owned()))?;
        if let Some(existing) = found.policy(&policy.name) {
            if !policy.has_attributes_of(existing) {
                return Err(Rejection::PolicyExists);
            }
            let is_default = found.default_policy.as_ref() == Some(&policy.name);
            return if make_default && !is_default { Err(Rejection::PolicyConflict) } else { NOTHING_TO_DO };
        }
        let database = self.database_mut(database)?;
        if make_default {
            database.default_policy = Some(Arc::clone(&policy.name));
        }
        database.policies.push(Arc::new(policy));
        DONE
    }

    pub(super) fn alter_policy(&mut self, database: &str, name: &str, update: &PolicyUpdate) -> Outcome {
        let found = self.database(database).ok_or_else(|| Rejection::DatabaseNotFound(database.to_owned()))?;
        let position = found.policies.iter().position(|policy| *policy.name == *name);
        let position = position.ok_or_else(|| Rejection::PolicyNotFound(name.to_owned()))?;
        let policy = &found.policies[position];
        let altered = policy.altered(update)?;
        if altered.name != policy.name && found.policy(&altered.name).is_some() {
            return Err(Rejection::PolicyNameExists);
        }
        let was_default = found.default_policy.as_ref() == Some(&policy.name);
        let default = if update.make_default || was_default {
            Some(Arc::clone(&altered.name))
        } else {
            found.default_policy.clone()
        };
        if altered == **policy && default == found.default_policy {
            return NOTHING_TO_DO;
        }
        let renamed = altered.name != policy.name;
        let altered = Arc::new(altered);
        let database = self.database_mut(database)?;
        database.default_policy = default;
        database.policies[position] = Arc::clone(&altered);
        if renamed {
            let database = database.clone();
            self.index_policy(&database, &altered);
        }
        DONE
    }

    pub(super) fn drop_policy(&mut self, database: &str, name: &str) -> Outcome {
        let Some(policy) = self.database(database).and_then(|database| database.policy(name)).cloned() else {
            return NOTHING_TO_DO;
        };
        self.unindex_policy(&policy);
        // The default keeps its name, as in the reference: a policy created again under it is the default again.
        self.database_mut(database)?.policies.retain(|other| other.name != policy.name);
        DONE
    }
}

impl PolicySpec {
    /// The policy that it describes, with `replica_n` copies when it says nothing of them.
    pub(super) fn build(&self, replica_n: u32) -> Result<RetentionPolicy, Rejection> {
        check_name(&self.name)?;
        let duration = self.duration.unwrap_or_default();
        let policy = RetentionPolicy {
            name: self.name.as_str().into(),
            duration,
            shard_group_duration: normal_shard_group_duration(self.shard_group_duration, duration),
            replica_n: self.replica_n.unwrap_or(replica_n),
            past_write_limit: self.past_write_limit,
            future_write_limit: self.future_write_limit,
            groups: Arc::default(),
            subscriptions: Vec::new(),
        };
        check_attributes(duration, policy.shard_group_duration, policy.replica_n)?;
        Ok(policy)
    }

    /// Whether `policy` is what was asked for, as far as anything was said.
    pub(super) fn agrees_with(&self, policy: &RetentionPolicy) -> bool {
        self.duration.is_none_or(|duration| duration == policy.duration)
            && self.replica_n.is_none_or(|replica_n| replica_n == policy.replica_n)
            && normal_shard_group_duration(self.shard_group_duration, policy.duration) == policy.shard_group_duration
            && self.past_write_limit == policy.past_write_limit
            && self.future_write_limit == policy.future_write_limit
    }
}

impl RetentionPolicy {
    fn has_attributes_of(&self, other: &RetentionPolicy) -> bool {
        self.duration == other.duration
            && self.shard_group_duration == other.shard_group_duration
            && self.replica_n == other.replica_n
            && self.past_write_limit == other.past_write_limit
            && self.future_write_limit == other.future_write_limit
    }

    /// As it is after `update`. Groups stay as they are.
    fn altered(&self, update: &PolicyUpdate) -> Result<RetentionPolicy, Rejection> {
        let mut altered = self.clone();
        if let Some(name) = &update.name {
            check_name(name)?;
            altered.name = name.as_str().into();
        }
        altered.duration = update.duration.unwrap_or(self.duration);
        if let Some(wanted) = update.shard_group_duration {
            altered.shard_group_duration = normal_shard_group_duration(wanted, altered.duration);
        }
        altered.replica_n = update.replica_n.unwrap_or(self.replica_n);
        altered.past_write_limit = update.past_write_limit.unwrap_or(self.past_write_limit);
        altered.future_write_limit = update.future_write_limit.unwrap_or(self.future_write_limit);
        check_attributes(altered.duration, altered.shard_group_duration, altered.replica_n)?;
        Ok(altered)
    }
}

/// How long points may be kept.
pub(super) fn check_duration(duration: Duration) -> Result<(), Rejection> {
    if !duration.is_zero() && duration < SPAN_MIN {
        return Err(Rejection::DurationTooShort);
    }
    Ok(())
}

pub(super) fn check_attributes(
    duration: Duration,
    shard_group_duration: Duration,
    replica_n: u32,
) -> Result<(), Rejection> {
    check_duration(duration)?;
    if replica_n == 0 {
        return Err(Rejection::ReplicationTooLow);
    }
    if !duration.is_zero() && duration < shard_group_duration {
        return Err(Rejection::DurationBelowShardDuration);
    }
    Ok(())
}
