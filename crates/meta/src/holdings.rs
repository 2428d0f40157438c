//! What a node that was a cluster by itself can bring into another one: its databases, with the shards that it holds.
//!
//! Ids of groups and shards mean something else in every cluster, so all get new ones, above all that the other cluster
//! has ever given: nobody else can have them, and the number of a shard there is known before anything is asked. Users,
//! roles and rules stay behind: who may do what is for the cluster to say.

use std::sync::Arc;

use model::{NodeId, ShardGroupId, ShardId};

use crate::data::{Data, Database, DatabaseId, Owner, RetentionPolicy, ShardGroup};

/// The databases of a node, with the live groups of which it holds something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    databases: Vec<Database>,
}

/// The same with the ids of another cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbered {
    /// For [`crate::Command::BringDataNode`].
    pub databases: Vec<Arc<Database>>,
    /// The id of each shard before, and the one that it gets; ascending.
    pub shards: Vec<(ShardId, ShardId)>,
}

impl Data {
    /// What `node` can bring along.
    pub fn holdings(&self, node: NodeId) -> Holdings {
        let Some(member) = self.node(node) else { return Holdings::default() };
        let owner = Owner { node, incarnation: member.incarnation };
        let databases = self.databases.iter().map(|database| {
            let policies = database.policies.iter().map(|policy| Arc::new(policy_of(policy, owner)));
            Database { id: DatabaseId(0), policies: policies.collect(), ..Database::clone(database) }
        });
        Holdings { databases: databases.collect() }
    }
}

fn policy_of(policy: &RetentionPolicy, owner: Owner) -> RetentionPolicy {
    let groups = policy.live_groups().filter_map(|group| {
        let held = group.shards.iter().filter(|shard| shard.owners.contains(&owner)).cloned();
        let held: Vec<_> = held.collect();
        (!held.is_empty()).then(|| Arc::new(ShardGroup { shards: held, ..ShardGroup::clone(group) }))
    });
    RetentionPolicy { groups: Arc::new(groups.collect()), ..policy.clone() }
}

impl Holdings {
    /// The names of the databases.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.databases.iter().map(|database| &*database.name)
    }

    /// Gives the groups and shards ids above these.
    pub fn numbered(&self, groups: ShardGroupId, shards: ShardId) -> Numbered {
        let (mut group_id, mut shard_id, mut numbers) = (groups.0, shards.0, Vec::new());
        let mut databases = self.databases.clone();
        for policy in databases.iter_mut().flat_map(|database| &mut database.policies) {
            for group in Arc::make_mut(&mut Arc::make_mut(policy).groups) {
                let group = Arc::make_mut(group);
                group_id = group_id.saturating_add(1);
                group.id = ShardGroupId(group_id);
                for shard in &mut group.shards {
                    shard_id = shard_id.saturating_add(1);
                    numbers.push((shard.id, ShardId(shard_id)));
                    shard.id = ShardId(shard_id);
                    shard.owners.clear();
                }
            }
            // The order of groups that begin and end alike is that of their ids.
            Arc::make_mut(&mut Arc::make_mut(policy).groups).sort_by_key(|group| group.order());
        }
        numbers.sort_unstable();
        Numbered { databases: databases.into_iter().map(Arc::new).collect(), shards: numbers }
    }
}
