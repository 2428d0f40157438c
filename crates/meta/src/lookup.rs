//! Reading the metadata.

use std::sync::Arc;

use model::{MetaIndex, NodeId, ShardGroupId, ShardId, TimeRange, Timestamp};

use crate::apply::is_forgettable;
use crate::command::Rejection;
use crate::data::{Data, Database, DatabaseId, Node, Owner, RetentionPolicy, Role, Shard, ShardGroup, User};
use crate::rule::{AccessGrant, Restriction};

/// A shard and where it belongs.
#[derive(Clone, Copy, Debug)]
pub struct ShardPlace<'a> {
    /// Its database.
    pub database: &'a Arc<Database>,
    /// Its policy.
    pub policy: &'a Arc<RetentionPolicy>,
    /// Its group; perhaps deleted.
    pub group: &'a Arc<ShardGroup>,
    /// The shard.
    pub shard: &'a Shard,
}

impl Data {
    /// Random number of the cluster; 0 while it has no member.
    pub fn cluster_id(&self) -> u64 {
        self.cluster_id
    }

    /// Where in the log the last change stands. Two `Data` of one cluster with the same index are equal.
    pub fn index(&self) -> MetaIndex {
        self.index
    }

    /// The members, by ascending id.
    pub fn nodes(&self) -> &[Arc<Node>] {
        &self.nodes
    }

    /// A member.
    pub fn node(&self, id: NodeId) -> Option<&Arc<Node>> {
        let index = self.nodes.binary_search_by_key(&id, |node| node.id).ok()?;
        Some(&self.nodes[index])
    }

    /// The member that a directory is.
    pub fn node_by_incarnation(&self, incarnation: crate::Incarnation) -> Option<&Arc<Node>> {
        self.nodes.iter().find(|node| node.incarnation == incarnation)
    }

    /// The members that hold points, by ascending id.
    pub fn data_nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.nodes.iter().filter(|node| node.data.is_some())
    }

    /// The members of the metadata service, by ascending id.
    pub fn meta_nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.nodes.iter().filter(|node| node.meta.is_some())
    }

    /// Admin addresses (`host:port`) of the members of the metadata service, by ascending id.
    pub fn meta_http_addrs(&self) -> impl Iterator<Item = &String> {
        self.nodes.iter().filter_map(|node| node.meta.as_ref()).map(|role| &role.http_addr)
    }

    /// The largest id that a member ever had.
    pub fn node_id_max(&self) -> NodeId {
        self.node_id_max
    }

    /// The largest id that a shard ever had.
    pub fn shard_id_max(&self) -> ShardId {
        self.shard_id_max
    }

    /// The largest id that a shard group ever had.
    pub fn shard_group_id_max(&self) -> ShardGroupId {
        self.shard_group_id_max
    }

    /// The databases, in order of creation.
    pub fn databases(&self) -> &[Arc<Database>] {
        &self.databases
    }

    /// The database of this name.
    pub fn database(&self, name: &str) -> Option<&Arc<Database>> {
        self.database_by_id(*self.database_names.get(name)?)
    }

    /// The database with this id.
    pub fn database_by_id(&self, id: DatabaseId) -> Option<&Arc<Database>> {
        let index = self.databases.binary_search_by_key(&id, |database| database.id).ok()?;
        Some(&self.databases[index])
    }

    /// Live groups whose points are all older than their policy keeps them.
    pub fn expired_groups(&self, now: Timestamp) -> impl Iterator<Item = &Arc<ShardGroup>> {
        let policies = self.databases.iter().flat_map(|database| &database.policies);
        policies.flat_map(move |policy| {
            policy.live_groups().filter(move |group| group.expires_at(policy).is_some_and(|at| at < now))
        })
    }

    /// Whether [`crate::Command::ExpireShardGroups`] at this time would change anything.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        let mut policies = self.databases.iter().flat_map(|database| &database.policies);
        self.expired_groups(now).next().is_some()
            || policies.any(|policy| policy.groups.iter().any(|group| is_forgettable(group, now)))
    }

    /// A retention policy; the default one for the empty name.
    ///
    /// # Errors
    /// `DatabaseNotFound` and `PolicyNotFound`, with the texts that clients see.
    pub fn policy(&self, database: &str, policy: &str) -> Result<&Arc<RetentionPolicy>, Rejection> {
        let found = self.database(database).ok_or_else(|| Rejection::DatabaseNotFound(database.to_owned()))?;
        let wanted = match (policy, &found.default_policy) {
            ("", Some(default)) => default,
            (policy, _) => policy,
        };
        found.policy(wanted).ok_or_else(|| Rejection::PolicyNotFound(wanted.to_owned()))
    }

    /// The users, in order of creation.
    pub fn users(&self) -> &[Arc<User>] {
        &self.users
    }

    /// The user of this name.
    pub fn user(&self, name: &str) -> Option<&Arc<User>> {
        self.users.iter().find(|user| user.name == name)
    }

    /// The roles, in order of creation.
    pub fn roles(&self) -> &[Arc<Role>] {
        &self.roles
    }

    /// The role of this name.
    pub fn role(&self, name: &str) -> Option<&Arc<Role>> {
        self.roles.iter().find(|role| role.name == name)
    }

    /// What is hidden from users, by ascending id.
    pub fn restrictions(&self) -> &[Arc<Restriction>] {
        &self.restrictions
    }

    /// What is shown to some all the same, by ascending id.
    pub fn access_grants(&self) -> &[Arc<AccessGrant>] {
        &self.access_grants
    }

    /// How users are looked up in a directory, as it was given. Holds a password.
    pub fn directory(&self) -> Option<&Arc<str>> {
        self.directory.as_ref()
    }

    /// What nodes remember of the directory from before this index no longer counts.
    pub fn directory_index(&self) -> MetaIndex {
        self.directory_index
    }

    /// How many recoveries from the loss of a majority were noted.
    pub fn recoveries(&self) -> u64 {
        self.recoveries
    }

    /// A shard and where it belongs, also when its group is deleted.
    pub fn shard(&self, id: ShardId) -> Option<ShardPlace<'_>> {
        let place = self.shards.get(id)?;
        let database = self.database_by_id(place.database)?;
        let policy = database.policy(&place.policy)?;
        let group = policy.group_at(place.group_start, place.group)?;
        let shard = group.shards.iter().find(|shard| shard.id == id)?;
        Some(ShardPlace { database, policy, group, shard })
    }

    /// Every shard of a live group.
    pub fn live_shards(&self) -> impl Iterator<Item = ShardPlace<'_>> {
        let policies =
            self.databases.iter().flat_map(|database| database.policies.iter().map(move |policy| (database, policy)));
        policies.flat_map(|(database, policy)| {
            let shards = policy.live_groups().flat_map(|group| group.shards.iter().map(move |shard| (group, shard)));
            shards.map(move |(group, shard)| ShardPlace { database, policy, group, shard })
        })
    }

    /// Whether an owner runs on another directory than the one that had the shard's points, or is no member any more.
    pub fn is_blank(&self, owner: Owner) -> bool {
        self.node(owner.node).is_none_or(|node| node.data.is_none() || node.incarnation != owner.incarnation)
    }
}

impl RetentionPolicy {
    /// The group that takes new points of this instant.
    pub fn group_for(&self, instant: Timestamp) -> Option<&Arc<ShardGroup>> {
        let first = self.groups.partition_point(|group| group.writable_end() <= instant);
        // Live groups do not overlap, so the first one that still takes points decides.
        let live = |group: &&Arc<ShardGroup>| !group.is_deleted() && group.range.start() < group.writable_end();
        self.groups[first..].iter().find(live).filter(|group| group.takes(instant))
    }

    /// The group and the shard that take a new point. `None` when either must be created first.
    pub fn shard_for(&self, instant: Timestamp, series_key: &[u8]) -> Option<(&Arc<ShardGroup>, &Shard)> {
        let group = self.group_for(instant)?;
        Some((group, group.shard_for_key(series_key)?))
    }

    /// The live groups that may hold points of `range`, by (writable end, start). They overlap where one was truncated.
    pub fn groups_overlapping(&self, range: TimeRange) -> impl Iterator<Item = &Arc<ShardGroup>> {
        self.live_groups().filter(move |group| group.range.overlaps(range))
    }

    /// The groups that are not deleted, by (writable end, start).
    pub fn live_groups(&self) -> impl Iterator<Item = &Arc<ShardGroup>> {
        self.groups.iter().filter(|group| !group.is_deleted())
    }

    /// A group by its start and id.
    fn group_at(&self, start: Timestamp, id: ShardGroupId) -> Option<&Arc<ShardGroup>> {
        // The writable end is never before the start.
        let first = self.groups.partition_point(|group| group.writable_end() < start);
        self.groups[first..].iter().find(|group| group.id == id)
    }
}
