//! One number for a whole state, which a change brings up to date at the cost of what it touched.
//!
//! Every record has a hash that binds it to its place, and the digest is their sum. Two versions share the records that
//! are the same in both, so the difference of their digests is found by walking past what they share and hashing what
//! they do not. Copies that follow by changes compare digests to be sure that they ended where the service did.
//!
//! It is no format: nothing keeps it, and releases or machines that compute it otherwise merely take each other's copies
//! for different ones. It is no proof against somebody who chooses names to make two states alike, either.
//!
//! Invariant: it depends on all that `codec` writes of a state, and on nothing else.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

use crate::data::{Data, Database, DatabaseId, RetentionPolicy};

/// The digest of a state.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Digest(pub u64);

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Digest {
    /// That of `data`. Hashes everything: about 0.1 µs a record.
    pub fn of(data: &Data) -> Digest {
        Digest::default().after(&Data::default(), data)
    }

    /// That of `after`, where this is that of `before`: cheap when one came from the other by a few changes.
    #[must_use]
    pub fn after(self, before: &Data, after: &Data) -> Digest {
        let mut sum = Sum(self.0);
        sum.whole(before, after);
        Digest(sum.0)
    }
}

/// Where a record is; the numbers keep equal records in different places apart.
#[derive(Clone, Copy, Hash)]
enum Place {
    Whole,
    Node(usize),
    User(usize),
    Role(usize),
    Restriction(usize),
    AccessGrant(usize),
    Database(DatabaseId),
    ContinuousQuery(DatabaseId, usize),
    Policy(DatabaseId, usize),
    Subscription(DatabaseId, usize, usize),
    Group(DatabaseId, usize),
}

/// The sum of the hashes so far.
struct Sum(u64);

impl Sum {
    /// Takes a record out and puts one in.
    fn exchange(&mut self, place: Place, before: Option<impl Hash>, after: Option<impl Hash>) {
        self.0 = self.0.wrapping_sub(hash(place, before)).wrapping_add(hash(place, after));
    }

    fn whole(&mut self, before: &Data, after: &Data) {
        self.exchange(Place::Whole, is_any(before).then(|| head(before)), is_any(after).then(|| head(after)));
        self.in_order(&before.nodes, &after.nodes, Place::Node);
        self.in_order(&before.users, &after.users, Place::User);
        self.in_order(&before.roles, &after.roles, Place::Role);
        self.in_order(&before.restrictions, &after.restrictions, Place::Restriction);
        self.in_order(&before.access_grants, &after.access_grants, Place::AccessGrant);
        by_key(&before.databases, &after.databases, |database| database.id, |b, a| self.database(b, a));
    }

    fn database(&mut self, before: Option<&Database>, after: Option<&Database>) {
        let Some(id) = before.or(after).map(|database| database.id) else { return };
        self.exchange(Place::Database(id), before.map(database_head), after.map(database_head));
        let queries = |of: Option<&Database>| of.map(|database| database.continuous_queries.clone());
        let (b, a) = (queries(before).unwrap_or_default(), queries(after).unwrap_or_default());
        self.in_order(&b, &a, |position| Place::ContinuousQuery(id, position));
        let policies = |of: Option<&Database>| of.map(|database| database.policies.clone());
        let (b, a) = (policies(before).unwrap_or_default(), policies(after).unwrap_or_default());
        for position in 0..b.len().max(a.len()) {
            if let Some((b, a)) = differing(b.get(position), a.get(position)) {
                self.policy((id, position), b, a);
            }
        }
    }

    fn policy(
        &mut self,
        (database, policy): (DatabaseId, usize),
        before: Option<&RetentionPolicy>,
        after: Option<&RetentionPolicy>,
    ) {
        self.exchange(Place::Policy(database, policy), before.map(policy_head), after.map(policy_head));
        let subscriptions = |of: Option<&RetentionPolicy>| of.map(|policy| policy.subscriptions.clone());
        let (b, a) = (subscriptions(before).unwrap_or_default(), subscriptions(after).unwrap_or_default());
        self.in_order(&b, &a, |position| Place::Subscription(database, policy, position));
        let groups = |of: Option<&RetentionPolicy>| of.map(|policy| Arc::clone(&policy.groups));
        let (b, a) = (groups(before).unwrap_or_default(), groups(after).unwrap_or_default());
        if !Arc::ptr_eq(&b, &a) {
            // Their order follows from what they are.
            let place = Place::Group(database, policy);
            by_key(&b, &a, |group| group.order(), |b, a| self.exchange(place, b, a));
        }
    }

    /// Records whose order is a part of the state.
    fn in_order<T: Hash>(&mut self, before: &[Arc<T>], after: &[Arc<T>], place: impl Fn(usize) -> Place) {
        for position in 0..before.len().max(after.len()) {
            if let Some((before, after)) = differing(before.get(position), after.get(position)) {
                self.exchange(place(position), before, after);
            }
        }
    }
}

/// Walks through two sorted lists side by side; `differ` gets what is in one only, and pairs that are not the same record.
fn by_key<T, K: Ord>(
    mut before: &[Arc<T>],
    mut after: &[Arc<T>],
    key: impl Fn(&T) -> K,
    mut differ: impl FnMut(Option<&T>, Option<&T>),
) {
    loop {
        let (b, a) = match (before.first(), after.first()) {
            (None, None) => return,
            (Some(b), Some(a)) if Arc::ptr_eq(b, a) => (Some(b), Some(a)),
            (Some(b), Some(a)) => {
                let order = key(b).cmp(&key(a));
                (order.is_le().then_some(b), order.is_ge().then_some(a))
            }
            found => found,
        };
        before = &before[usize::from(b.is_some())..];
        after = &after[usize::from(a.is_some())..];
        if let Some((b, a)) = differing(b, a) {
            differ(b, a);
        }
    }
}

/// The two records, unless they are one.
fn differing<'a, T>(before: Option<&'a Arc<T>>, after: Option<&'a Arc<T>>) -> Option<(Option<&'a T>, Option<&'a T>)> {
    match (before, after) {
        (Some(before), Some(after)) if Arc::ptr_eq(before, after) => None,
        (before, after) => Some((before.map(|before| &**before), after.map(|after| &**after))),
    }
}

/// That of nothing is 0.
fn hash(place: Place, record: Option<impl Hash>) -> u64 {
    let Some(record) = record else { return 0 };
    let mut hasher = Xxh3::new();
    place.hash(&mut hasher);
    record.hash(&mut hasher);
    hasher.finish()
}

/// An empty state has an empty sum.
fn is_any(data: &Data) -> bool {
    data.index.0 > 0
}

/// What a state has besides its records. Whoever adds a field decides here whether it is a record.
fn head(data: &Data) -> impl Hash {
    let Data {
        cluster_id,
        index,
        nodes: _,
        databases: _,
        // Follows from the databases.
        database_names: _,
        users: _,
        roles: _,
        restrictions: _,
        access_grants: _,
        directory,
        directory_index,
        recoveries,
        rule_id_max,
        node_id_max,
        database_id_max,
        shard_group_id_max,
        shard_id_max,
        // Follows from the groups.
        shards: _,
    } = data;
    let ids = (*rule_id_max, *node_id_max, *database_id_max, *shard_group_id_max, *shard_id_max);
    (*cluster_id, *index, directory.clone(), *directory_index, *recoveries, ids)
}

fn database_head(database: &Database) -> impl Hash {
    let Database { id, name, default_policy, policies: _, continuous_queries: _ } = database;
    (*id, Arc::clone(name), default_policy.clone())
}

fn policy_head(policy: &RetentionPolicy) -> impl Hash {
    let RetentionPolicy {
        name,
        duration,
        shard_group_duration,
        replica_n,
        past_write_limit,
        future_write_limit,
        groups: _,
        subscriptions: _,
    } = policy;
    let limits = (*past_write_limit, *future_write_limit);
    (Arc::clone(name), *duration, *shard_group_duration, *replica_n, limits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{decode_snapshot, encode_snapshot, sample};
    use crate::data::ShardGroup;
    use crate::permission::Permissions;

    #[test]
    fn it_is_of_what_is_written() {
        let data = sample();
        let again = decode_snapshot(&encode_snapshot(&data)).expect("written so");
        assert_eq!(Digest::of(&again), Digest::of(&data));
        assert_ne!(Digest::of(&data), Digest::of(&Data::default()));
        assert_eq!(Digest::of(&Data::default()), Digest::default());
    }

    /// What a change of `change` makes of the digest, found whole and by the difference.
    fn differs(change: impl FnOnce(&mut Data)) {
        let before = sample();
        let mut after = before.clone();
        change(&mut after);
        let (old, new) = (Digest::of(&before), Digest::of(&after));
        assert_ne!(old, new);
        assert_eq!(old.after(&before, &after), new);
        assert_eq!(new.after(&after, &before), old);
    }

    fn first_database(data: &mut Data) -> &mut Database {
        Arc::make_mut(&mut Arc::make_mut(&mut data.databases)[0])
    }

    fn first_policy(data: &mut Data) -> &mut RetentionPolicy {
        Arc::make_mut(&mut first_database(data).policies[0])
    }

    fn first_group(data: &mut Data) -> &mut ShardGroup {
        Arc::make_mut(&mut Arc::make_mut(&mut first_policy(data).groups)[0])
    }

    #[test]
    fn every_part_of_a_state_counts() {
        differs(|data| data.index.0 += 1);
        differs(|data| data.cluster_id += 1);
        differs(|data| data.rule_id_max += 1);
        differs(|data| data.node_id_max.0 += 1);
        differs(|data| data.database_id_max.0 += 1);
        differs(|data| data.shard_group_id_max.0 += 1);
        differs(|data| data.shard_id_max.0 += 1);
        differs(|data| data.directory = None);
        differs(|data| data.directory_index.0 += 1);
        differs(|data| data.recoveries += 1);
        differs(|data| Arc::make_mut(&mut Arc::make_mut(&mut data.nodes)[0]).labels.clear());
        differs(|data| Arc::make_mut(&mut data.nodes).swap(0, 1));
        differs(|data| Arc::make_mut(&mut Arc::make_mut(&mut data.users)[0]).hash.push('x'));
        differs(|data| Arc::make_mut(&mut Arc::make_mut(&mut data.users)[0]).permissions.clear());
        differs(|data| drop(Arc::make_mut(&mut data.users).pop()));
        differs(|data| {
            let roles = Arc::make_mut(&mut data.roles);
            Arc::make_mut(&mut roles[0]).permissions.insert("x".to_owned(), Permissions::ALL);
        });
        differs(|data| Arc::make_mut(&mut Arc::make_mut(&mut data.restrictions)[0]).rule.read ^= true);
        differs(|data| Arc::make_mut(&mut Arc::make_mut(&mut data.access_grants)[0]).roles.clear());
        differs(|data| drop(Arc::make_mut(&mut data.databases).pop()));
        differs(|data| first_database(data).default_policy = None);
        differs(|data| first_database(data).continuous_queries.clear());
        differs(|data| first_policy(data).replica_n += 1);
        differs(|data| first_policy(data).past_write_limit += std::time::Duration::from_secs(1));
        differs(|data| first_policy(data).subscriptions.reverse());
        differs(|data| first_group(data).truncated_at = None);
        differs(|data| first_group(data).shards[0].owners.clear());
        differs(|data| drop(Arc::make_mut(&mut first_policy(data).groups).pop()));
    }
}
