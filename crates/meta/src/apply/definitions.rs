//! Continuous queries and subscriptions: what is defined on a database or a policy and runs by itself.

use std::sync::Arc;

use super::{DONE, NOTHING_TO_DO, Outcome};
use crate::command::Rejection;
use crate::data::{ContinuousQuery, Data, RetentionPolicy, Subscription, SubscriptionMode};

impl Data {
    pub(super) fn create_continuous_query(&mut self, database: &str, name: &str, query: &str) -> Outcome {
        let found = self.database(database).ok_or_else(|| Rejection::DatabaseNotFound(database.to_owned()))?;
        if let Some(existing) = found.continuous_queries.iter().find(|existing| existing.name == name) {
            let same = existing.query.to_lowercase() == query.to_lowercase();
            return if same { NOTHING_TO_DO } else { Err(Rejection::ContinuousQueryExists) };
        }
        let created = ContinuousQuery { name: name.to_owned(), query: query.to_owned() };
        self.database_mut(database)?.continuous_queries.push(Arc::new(created));
        DONE
    }

    pub(super) fn drop_continuous_query(&mut self, database: &str, name: &str) -> Outcome {
        let exists = |query: &Arc<ContinuousQuery>| query.name == name;
        if !self.database(database).is_some_and(|database| database.continuous_queries.iter().any(exists)) {
            return NOTHING_TO_DO;
        }
        self.database_mut(database)?.continuous_queries.retain(|query| query.name != name);
        DONE
    }

    pub(super) fn create_subscription(
        &mut self,
        database: &str,
        policy: &str,
        name: &str,
        mode: SubscriptionMode,
        destinations: &[String],
    ) -> Outcome {
        if let Some(url) = destinations.iter().find(|url| !is_destination(url)) {
            return Err(Rejection::SubscriptionUrl(url.clone()));
        }
        let found = self.policy(database, policy)?;
        if found.subscriptions.iter().any(|subscription| subscription.name == name) {
            return Err(Rejection::SubscriptionExists);
        }
        let created = Subscription { name: name.to_owned(), mode, destinations: destinations.to_vec() };
        self.change_policy(database, policy, |policy| policy.subscriptions.push(Arc::new(created)))
    }

    pub(super) fn drop_subscription(&mut self, database: &str, policy: &str, name: &str) -> Outcome {
        let found = self.policy(database, policy)?;
        if !found.subscriptions.iter().any(|subscription| subscription.name == name) {
            return Err(Rejection::SubscriptionNotFound);
        }
        self.change_policy(database, policy, |policy| policy.subscriptions.retain(|other| other.name != name))
    }

    fn change_policy(&mut self, database: &str, policy: &str, change: impl FnOnce(&mut RetentionPolicy)) -> Outcome {
        let name = Arc::clone(&self.policy(database, policy)?.name);
        let found = self.database_mut(database)?.policies.iter_mut().find(|policy| policy.name == name);
        change(Arc::make_mut(found.expect("it was found by this name")));
        DONE
    }
}

/// Whether points can be sent there: `udp`, `http` or `https`, and a port.
fn is_destination(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    if !["udp", "http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return false;
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host_port = authority.rsplit_once('@').map_or(authority, |(_, host_port)| host_port);
    let port = match host_port.strip_prefix('[') {
        Some(v6) => v6.split_once("]:").map(|(_, port)| port),
        None => host_port.split_once(':').map(|(_, port)| port),
    };
    port.is_some_and(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}
