//! A node that was a cluster by itself comes with what it holds.

use std::sync::Arc;

use model::{ShardGroupId, ShardId};

use super::databases::check_name;
use super::policies::check_attributes;
use super::{Effect, Outcome};
use crate::command::{BROUGHT_IDS_MAX, LeaderFacts, Rejection, Reply};
use crate::data::{Data, DataRole, Database, DatabaseId, Incarnation, Owner, RetentionPolicy, ShardGroup};

/// Most slots of a group: a cluster of so many nodes would have been left before.
const SLOTS_MAX: u32 = 1 << 12;

/// Who comes.
pub(super) struct Arrival<'a> {
    pub(super) incarnation: Incarnation,
    pub(super) http_addr: &'a str,
    pub(super) tcp_addr: &'a str,
    pub(super) passive: bool,
}

impl Data {
    pub(super) fn bring_data_node(
        &mut self,
        facts: &LeaderFacts,
        cluster_id: u64,
        node: &Arrival<'_>,
        databases: &[Arc<Database>],
    ) -> Outcome {
        if self.cluster_id == 0 || cluster_id != self.cluster_id {
            return Err(not_brought("the ids of shards were chosen for another cluster"));
        }
        let known = self.node_by_incarnation(node.incarnation).and_then(|known| known.data.as_ref());
        if let Some(DataRole { passive, .. }) = known {
            let passive = *passive;
            if !self.has_come(databases) {
                return Err(not_brought(
                    "this data node is a member already, without the databases that it holds; remove it with \
                     influxd-ctl remove-data -force, and add it again",
                ));
            }
            return self.create_data_node(facts, node.incarnation, node.http_addr, node.tcp_addr, passive);
        }
        let taken = databases.iter().filter(|database| self.database(&database.name).is_some());
        let taken: Vec<&str> = taken.map(|database| &*database.name).collect();
        if !taken.is_empty() {
            return Err(Rejection::DatabasesTaken(taken.join(", ")));
        }
        let (group_max, shard_max) = self.check_ids(databases)?;
        if node.passive && shard_max > self.shard_id_max {
            return Err(not_brought("a passive data node owns no shard, and this one holds some"));
        }
        let registered = self.create_data_node(facts, node.incarnation, node.http_addr, node.tcp_addr, node.passive)?;
        let Reply::Node(id) = registered.0 else { return Err(not_brought("the node was not registered")) };
        (self.shard_group_id_max, self.shard_id_max) = (group_max, shard_max);
        for database in databases {
            self.database_id_max.0 += 1;
            let owner = Owner { node: id, incarnation: node.incarnation };
            let database = owned(database, self.database_id_max, owner)?;
            for policy in &database.policies {
                self.index_policy(&database, policy);
            }
            Arc::make_mut(&mut self.database_names).insert(Arc::clone(&database.name), database.id);
            Arc::make_mut(&mut self.databases).push(Arc::new(database));
        }
        if self.database_names.len() != self.databases.len() {
            return Err(not_brought("two databases have one name"));
        }
        self.validate().map_err(|violation| Rejection::NotBrought(violation.to_string()))?;
        Ok((Reply::Node(id), Effect::Changed))
    }

    /// Whether the databases have come before: the ids of their shards were nobody else's. Where there are no shards the
    /// names have to do.
    fn has_come(&self, databases: &[Arc<Database>]) -> bool {
        let mut ids = groups(databases).flat_map(|group| &group.shards).map(|shard| shard.id).peekable();
        match ids.peek() {
            Some(_) => ids.any(|id| self.shards.get(id).is_some()),
            None => databases.iter().all(|database| self.database(&database.name).is_some()),
        }
    }

    /// Every id was never given to anybody. Answers the largest ones afterwards.
    fn check_ids(&self, databases: &[Arc<Database>]) -> Result<(ShardGroupId, ShardId), Rejection> {
        let (mut group_max, mut shard_max) = (self.shard_group_id_max, self.shard_id_max);
        for group in groups(databases) {
            let shards = group.shards.iter().map(|shard| shard.id);
            if group.id <= self.shard_group_id_max || shards.clone().any(|id| id <= self.shard_id_max) {
                return Err(Rejection::IdsTaken);
            }
            group_max = group_max.max(group.id);
            shard_max = shards.fold(shard_max, ShardId::max);
        }
        // The index of shards grows with their ids.
        let is_far = group_max.0 - self.shard_group_id_max.0 > BROUGHT_IDS_MAX
            || shard_max.0 - self.shard_id_max.0 > BROUGHT_IDS_MAX;
        if is_far {
            Err(not_brought("too many shard groups, or ids that are too large"))
        } else {
            Ok((group_max, shard_max))
        }
    }
}

fn groups(databases: &[Arc<Database>]) -> impl Iterator<Item = &Arc<ShardGroup>> {
    databases.iter().flat_map(|database| &database.policies).flat_map(|policy| policy.groups.iter())
}

fn not_brought(why: &str) -> Rejection {
    Rejection::NotBrought(why.to_owned())
}

/// The database as it is from now on. What records of a damaged disk could have wrong is refused.
fn owned(database: &Database, id: DatabaseId, owner: Owner) -> Result<Database, Rejection> {
    check_name(&database.name)?;
    let policies = database.policies.iter().map(|policy| {
        check_name(&policy.name)?;
        check_attributes(policy.duration, policy.shard_group_duration, policy.replica_n)?;
        let groups = policy.groups.iter().map(|group| {
            if group.is_deleted() || group.slot_count > SLOTS_MAX {
                return Err(not_brought("a shard group that is deleted, or of too many shards"));
            }
            let mut group = ShardGroup::clone(group);
            group.shards.iter_mut().for_each(|shard| shard.owners = vec![owner]);
            Ok(Arc::new(group))
        });
        let groups = Arc::new(groups.collect::<Result<_, Rejection>>()?);
        Ok(Arc::new(RetentionPolicy { groups, ..RetentionPolicy::clone(policy) }))
    });
    Ok(Database { id, policies: policies.collect::<Result<_, Rejection>>()?, ..database.clone() })
}
