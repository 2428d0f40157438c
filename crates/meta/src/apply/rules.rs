//! Restrictions and grants of series.

use std::sync::Arc;

use super::{DONE, Effect, Outcome};
use crate::command::{Rejection, Reply};
use crate::data::Data;
use crate::rule::{AccessGrant, Matcher, Restriction, Rule};

/// Restrictions and grants of a cluster, together. Every write looks at those of its database.
pub(crate) const RULES_MAX: u32 = 1_000;
/// Tags of one rule, and users and roles of one grant.
const PARTS_MAX: usize = 100;
/// Bytes of a name in a rule.
const TEXT_BYTES_MAX: usize = 255;

impl Data {
    pub(super) fn create_restriction(&mut self, rule: &Rule) -> Outcome {
        self.check_rule(rule)?;
        self.rule_id_max += 1;
        let restriction = Restriction { id: self.rule_id_max, rule: rule.clone() };
        Arc::make_mut(&mut self.restrictions).push(Arc::new(restriction));
        Ok((Reply::Rule(self.rule_id_max), Effect::Changed))
    }

    pub(super) fn drop_restriction(&mut self, id: u64) -> Outcome {
        let found = self.restrictions.binary_search_by_key(&id, |found| found.id);
        let position = found.map_err(|_| Rejection::RestrictionNotFound)?;
        Arc::make_mut(&mut self.restrictions).remove(position);
        DONE
    }

    pub(super) fn create_access_grant(&mut self, rule: &Rule, users: &[String], roles: &[String]) -> Outcome {
        self.check_rule(rule)?;
        if users.is_empty() && roles.is_empty() {
            return Err(Rejection::RuleInvalid("users or roles required".to_owned()));
        }
        if users.len() + roles.len() > PARTS_MAX {
            return Err(Rejection::RuleInvalid(format!("too many users and roles: the limit is {PARTS_MAX}")));
        }
        // A directory may know users whom the cluster does not.
        let known = |user: &String| self.directory.is_some() || self.user(user).is_some();
        if !users.iter().all(known) {
            return Err(Rejection::UserNotFound);
        }
        if !roles.iter().all(|role| self.role(role).is_some()) {
            return Err(Rejection::RoleNotFound);
        }
        self.rule_id_max += 1;
        let (users, roles) = (users.to_vec(), roles.to_vec());
        let grant = AccessGrant { id: self.rule_id_max, rule: rule.clone(), users, roles };
        Arc::make_mut(&mut self.access_grants).push(Arc::new(grant));
        Ok((Reply::Rule(self.rule_id_max), Effect::Changed))
    }

    pub(super) fn drop_access_grant(&mut self, id: u64) -> Outcome {
        let found = self.access_grants.binary_search_by_key(&id, |found| found.id);
        let position = found.map_err(|_| Rejection::AccessGrantNotFound)?;
        Arc::make_mut(&mut self.access_grants).remove(position);
        DONE
    }

    /// Lets `forget` work on every grant. One that is for nobody any more goes: a user or role created again under the
    /// name shall not have it.
    pub(super) fn forget_in_access_grants(&mut self, forget: impl Fn(&mut AccessGrant)) {
        let changed = self.access_grants.iter().map(|grant| {
            let mut next = AccessGrant::clone(grant);
            forget(&mut next);
            if next == **grant { Arc::clone(grant) } else { Arc::new(next) }
        });
        let next: Vec<_> = changed.filter(|grant| !grant.users.is_empty() || !grant.roles.is_empty()).collect();
        if *self.access_grants != next {
            self.access_grants = Arc::new(next);
        }
    }

    fn check_rule(&self, rule: &Rule) -> Result<(), Rejection> {
        let invalid = |text: String| Err(Rejection::RuleInvalid(text));
        if self.restrictions.len() + self.access_grants.len() >= RULES_MAX as usize {
            return Err(Rejection::TooManyRules(RULES_MAX));
        }
        if !rule.read && !rule.write {
            return invalid("permissions required".to_owned());
        }
        if rule.tags.len() > PARTS_MAX {
            return invalid(format!("too many tags: the limit is {PARTS_MAX}"));
        }
        let measurement = rule.measurement.iter().map(|name| ("measurement", Matcher::text(name)));
        let keys = rule.tags.iter().map(|tag| ("tag key", tag.key.as_str()));
        let values = rule.tags.iter().map(|tag| ("tag value", tag.value.text()));
        for (what, text) in
            [("database", rule.database.text())].into_iter().chain(measurement).chain(keys).chain(values)
        {
            if text.is_empty() {
                return invalid(format!("{what} required"));
            }
            if text.len() > TEXT_BYTES_MAX {
                return invalid(format!("{what} too long"));
            }
        }
        Ok(())
    }
}
