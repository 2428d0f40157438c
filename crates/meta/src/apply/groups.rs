//! Shard groups, shards and their owners.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use model::{MetaIndex, NodeId, ShardGroupId, ShardId, Timestamp};

use super::{DONE, Effect, NOTHING_TO_DO, Outcome};
use crate::command::{LeaderFacts, Rejection, Reply};
use crate::data::{Data, Owner, RetentionPolicy, Shard, ShardGroup};
use crate::placement;
use crate::shard_index::ShardRef;
use crate::span::new_group_range;

/// How long the record of a deleted group is kept, so that nodes that were away learn of it.
const DELETED_GROUP_KEEP: Duration = Duration::from_secs(14 * 24 * 3_600);

impl Data {
    /// Data nodes that may become owners, as they are now.
    pub(super) fn active_data_nodes(&self) -> Vec<Owner> {
        let active = self.nodes.iter().filter(|node| node.data.as_ref().is_some_and(|data| !data.passive));
        active.map(|node| Owner { node: node.id, incarnation: node.incarnation }).collect()
    }

    pub(super) fn create_shard_groups(
        &mut self,
        index: MetaIndex,
        facts: &LeaderFacts,
        database: &str,
        policy: &str,
        instants: &[Timestamp],
    ) -> Outcome {
        let found = self.policy(database, policy)?;
        let mut groups = Vec::with_capacity(instants.len());
        let complete = |group: &&Arc<ShardGroup>| group.shards.len() == group.slot_count as usize;
        let missing = instants.iter().any(|instant| match found.group_for(legal(*instant)).filter(complete) {
            Some(group) => {
                groups.push(group.id);
                false
            }
            None => true,
        });
        if !missing {
            return Ok((Reply::ShardGroups(groups), Effect::Unchanged));
        }
        let nodes = self.active_data_nodes();
        if nodes.is_empty() {
            return Err(Rejection::NodesRequired);
        }
        // Built aside, because ids are drawn from `self` meanwhile.
        let mut changed = RetentionPolicy::clone(found);
        let database_id = self.database(database).expect("its policy was found").id;
        let mut live_count = changed.live_groups().count();
        groups.clear();
        for instant in instants {
            let instant = legal(*instant);
            let group = match changed.group_for(instant) {
                Some(group) => group.id,
                None => {
                    if facts.shard_groups_max > 0 && live_count >= facts.shard_groups_max as usize {
                        return Err(Rejection::ShardGroupLimit {
                            database: database.to_owned(),
                            policy: changed.name.to_string(),
                            limit: facts.shard_groups_max,
                        });
                    }
                    live_count += 1;
                    self.add_group(&mut changed, instant, nodes.len())
                }
            };
            self.fill_slots(&mut changed, group, &nodes, index);
            groups.push(group);
        }
        let changed = Arc::new(changed);
        let owner = self.database_mut(database)?;
        let position = owner.policies.iter().position(|policy| policy.name == changed.name);
        owner.policies[position.expect("its policy was found")] = Arc::clone(&changed);
        debug_assert_eq!(owner.id, database_id);
        for group in groups.iter().filter_map(|id| changed.groups.iter().find(|group| group.id == *id)) {
            for shard in &group.shards {
                let place = ShardRef {
                    database: database_id,
                    policy: Arc::clone(&changed.name),
                    group: group.id,
                    group_start: group.range.start(),
                };
                self.shards.put(shard.id, place);
            }
        }
        Ok((Reply::ShardGroups(groups), Effect::Changed))
    }

    /// Adds a group without shards.
    fn add_group(&mut self, policy: &mut RetentionPolicy, instant: Timestamp, node_count: usize) -> ShardGroupId {
        self.shard_group_id_max.0 += 1;
        let slot_count = placement::shard_count(node_count, policy.replica_n);
        let group = ShardGroup {
            id: self.shard_group_id_max,
            range: new_group_range(&policy.groups, instant, policy.shard_group_duration),
            deleted_at: None,
            truncated_at: None,
            slot_count: u32::try_from(slot_count).expect("at most as many as nodes"),
            shards: Vec::new(),
        };
        let id = group.id;
        let position = policy.groups.partition_point(|other| other.order() < group.order());
        Arc::make_mut(&mut policy.groups).insert(position, Arc::new(group));
        id
    }

    /// Puts new shards into the empty slots of a group.
    fn fill_slots(&mut self, policy: &mut RetentionPolicy, id: ShardGroupId, nodes: &[Owner], index: MetaIndex) {
        let position = policy.groups.iter().position(|group| group.id == id).expect("callers name groups");
        let replica_n = policy.replica_n;
        let full = |group: &ShardGroup| group.shards.len() == group.slot_count as usize;
        if full(&policy.groups[position]) {
            return;
        }
        let group = Arc::make_mut(&mut Arc::make_mut(&mut policy.groups)[position]);
        for slot in 0..group.slot_count {
            let Err(place) = group.shards.binary_search_by_key(&slot, |shard| shard.slot) else { continue };
            self.shard_id_max.0 += 1;
            let owners = placement::owners(nodes, replica_n, index.0, slot);
            group.shards.insert(place, Shard { id: self.shard_id_max, slot, owners });
        }
        assert!(full(group), "every slot has a shard");
    }

    pub(super) fn delete_shard_group(
        &mut self,
        facts: &LeaderFacts,
        database: &str,
        policy: &str,
        id: ShardGroupId,
    ) -> Outcome {
        let found = self.policy(database, policy)?;
        let group = found.groups.iter().find(|group| group.id == id).ok_or(Rejection::ShardGroupNotFound)?;
        if group.is_deleted() {
            return NOTHING_TO_DO;
        }
        self.change_groups(|group| group.id == id, |group| group.deleted_at = Some(facts.now));
        DONE
    }

    pub(super) fn expire_shard_groups(&mut self, facts: &LeaderFacts, now: Timestamp) -> Outcome {
        let expired: BTreeSet<ShardGroupId> = self.expired_groups(now).map(|group| group.id).collect();
        let deleted =
            self.change_groups(|group| expired.contains(&group.id), |group| group.deleted_at = Some(facts.now));
        let (_, pruned) = self.prune_shard_groups(&LeaderFacts { now: now.min(facts.now), ..*facts })?;
        Ok((Reply::Done, Effect::of(deleted == Effect::Changed || pruned == Effect::Changed)))
    }

    pub(super) fn drop_shard(&mut self, facts: &LeaderFacts, id: ShardId) -> Outcome {
        let Some(place) = self.shard(id) else { return NOTHING_TO_DO };
        let group = place.group.id;
        self.shards.remove(id);
        self.change_groups(
            |other| other.id == group,
            |group| {
                group.shards.retain(|shard| shard.id != id);
                if group.shards.is_empty() {
                    group.deleted_at.get_or_insert(facts.now);
                }
            },
        );
        DONE
    }

    pub(super) fn copy_shard_owner(&mut self, id: ShardId, node: NodeId) -> Outcome {
        let place = self.shard(id).ok_or(Rejection::ShardNotFound)?;
        let member = self.node(node).filter(|node| node.data.is_some()).ok_or(Rejection::NodeNotFound)?;
        let owner = Owner { node, incarnation: member.incarnation };
        if place.shard.owners.contains(&owner) {
            return NOTHING_TO_DO;
        }
        let group = place.group.id;
        self.change_shard(group, id, |shard| match shard.owners.iter_mut().find(|other| other.node == node) {
            Some(blank) => *blank = owner,
            None => shard.owners.push(owner),
        });
        DONE
    }

    pub(super) fn remove_shard_owner(&mut self, facts: &LeaderFacts, id: ShardId, node: NodeId) -> Outcome {
        let place = self.shard(id).ok_or(Rejection::ShardNotFound)?;
        if !place.shard.is_owned_by(node) {
            return NOTHING_TO_DO;
        }
        if place.shard.owners.len() == 1 {
            return self.drop_shard(facts, id);
        }
        let group = place.group.id;
        self.change_shard(group, id, |shard| shard.owners.retain(|owner| owner.node != node));
        DONE
    }

    fn change_shard(&mut self, group: ShardGroupId, id: ShardId, change: impl Fn(&mut Shard)) {
        self.change_groups(
            |other| other.id == group,
            |group| group.shards.iter_mut().filter(|shard| shard.id == id).for_each(&change),
        );
    }

    pub(super) fn truncate_shard_groups(&mut self, facts: &LeaderFacts, delay: Duration) -> Outcome {
        let at = after(facts.now, delay);
        let effect = self.change_groups(
            |group| !group.is_deleted() && at.max(group.range.start()) < group.writable_end(),
            // A group that begins later takes nothing at all any more.
            |group| group.truncated_at = Some(at.max(group.range.start())),
        );
        Ok((Reply::Done, effect))
    }

    pub(super) fn prune_shard_groups(&mut self, facts: &LeaderFacts) -> Outcome {
        let prunable = |group: &ShardGroup| is_forgettable(group, facts.now);
        let mut pruned = Vec::new();
        for database in 0..self.databases.len() {
            for policy in 0..self.databases[database].policies.len() {
                let groups = &self.databases[database].policies[policy].groups;
                if !groups.iter().any(|group| prunable(group)) {
                    continue;
                }
                let database = Arc::make_mut(&mut Arc::make_mut(&mut self.databases)[database]);
                let groups = &mut Arc::make_mut(&mut database.policies[policy]).groups;
                let (gone, kept): (Vec<_>, Vec<_>) = groups.iter().cloned().partition(|group| prunable(group));
                *groups = Arc::new(kept);
                pruned.extend(gone);
            }
        }
        for shard in pruned.iter().flat_map(|group| &group.shards) {
            self.shards.remove(shard.id);
        }
        Ok((Reply::Done, Effect::of(!pruned.is_empty())))
    }
}

/// Whether a group was deleted so long ago that nobody needs its record.
pub(crate) fn is_forgettable(group: &ShardGroup, now: Timestamp) -> bool {
    group.deleted_at.is_some_and(|deleted_at| after(deleted_at, DELETED_GROUP_KEEP) <= now)
}

/// The nearest instant that a point may have.
fn legal(instant: Timestamp) -> Timestamp {
    instant.clamp(Timestamp::MIN, Timestamp::MAX)
}

fn after(instant: Timestamp, delay: Duration) -> Timestamp {
    Timestamp(instant.0.saturating_add(i64::try_from(delay.as_nanos()).unwrap_or(i64::MAX)))
}
