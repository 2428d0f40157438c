//! Shard groups, shards and owners.

use super::*;
use crate::data::Owner;

#[test]
fn the_same_instant_gets_the_same_group() {
    let mut world = World::with_nodes(3);
    let Reply::ShardGroups(first) = world.done(&create_groups(&[0, 60])) else { panic!("groups") };
    assert_eq!(first[0], first[1], "one span, one group");
    assert_eq!(world.nothing(&create_groups(&[3_600])), Reply::ShardGroups(vec![first[0]]));
    let group = world.group(0);
    assert_eq!(group.shards.len(), 1);
    assert_eq!(group.shards[0].owners.len(), 3);
}

#[test]
fn one_command_makes_all_the_groups_of_a_request() {
    let mut world = World::with_nodes(1);
    let week = 7 * 86_400;
    let Reply::ShardGroups(ids) = world.done(&create_groups(&[5 * week, 0, week, 0])) else { panic!("groups") };
    assert_eq!(ids.len(), 4);
    assert_eq!(ids[1], ids[3]);
    let starts: Vec<_> = world.policy().groups.iter().map(|group| group.range.start()).collect();
    assert!(starts.is_sorted() && starts.len() == 3);
}

#[test]
fn groups_need_a_place_and_owners() {
    let mut world = World::default();
    world.done(&create_database("db"));
    world.refused(&create_groups(&[0]), "at least one node required");
    let mut command = create_groups(&[0]);
    if let Command::CreateShardGroups { policy, .. } = &mut command {
        *policy = "nope".to_owned();
    }
    world.refused(&command, "retention policy not found: nope");
    world.done(&Command::DropDatabase { name: "db".to_owned() });
    world.refused(&create_groups(&[0]), "database not found: db");
}

#[test]
fn passive_nodes_own_nothing() {
    let mut world = World::default();
    let passive = Command::CreateDataNode {
        incarnation: Incarnation(1),
        http_addr: "a:8086".to_owned(),
        tcp_addr: "a:8088".to_owned(),
        passive: true,
    };
    world.done(&passive);
    world.done(&create_database("db"));
    world.refused(&create_groups(&[0]), "at least one node required");
    world.join(2, 2);
    assert_eq!(owners(&world.group(0)), [[2]]);
}

#[test]
fn copies_beyond_the_number_of_nodes_are_capped_when_a_group_is_made() {
    let mut world = World::with_nodes(1);
    world.done(&alter(PolicyUpdate { replica_n: Some(3), ..PolicyUpdate::default() }));
    assert_eq!(owners(&world.group(0)), [[1]]);
    world.join(2, 2);
    world.join(3, 3);
    assert_eq!(owners(&world.group(0)), [[1]], "groups stay as they are");
    assert_eq!(world.group(7 * 86_400).shards[0].owners.len(), 3);
}

#[test]
fn garbage_times_hit_the_limit_and_leave_nothing() {
    let mut world = World::with_nodes(1);
    world.groups_max = 3;
    let weeks: Vec<_> = (0..4).map(|week| week * 7 * 86_400).collect();
    world.refused(&create_groups(&weeks), "max-shard-groups-per-policy limit exceeded: db.autogen has 3 shard groups");
    assert_eq!(world.policy().groups.len(), 0);
    world.done(&create_groups(&weeks[..3]));
    world.nothing(&create_groups(&weeks[..3]));
    let group = world.policy().groups[0].id;
    world.done(&delete_group(group));
    world.done(&create_groups(&weeks[3..]));
}

#[test]
fn instants_at_the_ends_of_time_get_groups() {
    let mut world = World::with_nodes(1);
    let ends = Command::CreateShardGroups {
        database: "db".to_owned(),
        policy: "autogen".to_owned(),
        instants: vec![Timestamp(i64::MIN), Timestamp::MIN, Timestamp::MAX, Timestamp(i64::MAX)],
    };
    world.done(&ends);
    assert_eq!(world.policy().groups.len(), 2);
    assert!(world.policy().group_for(Timestamp::MIN).is_some());
    assert!(world.policy().group_for(Timestamp::MAX).is_some());
}

fn delete_group(group: model::ShardGroupId) -> Command {
    Command::DeleteShardGroup { database: "db".to_owned(), policy: "autogen".to_owned(), group }
}

#[test]
fn deleted_groups_are_forgotten_after_two_weeks() {
    let mut world = World::with_nodes(1);
    let group = world.group(0);
    world.now = 1_000 * S;
    world.done(&delete_group(group.id));
    world.nothing(&delete_group(group.id));
    world.refused(&delete_group(model::ShardGroupId(99)), "shard group not found");
    assert!(world.policy().group_for(Timestamp(0)).is_none());
    assert!(world.data.shard(group.shards[0].id).is_some_and(|place| place.group.is_deleted()));
    assert_eq!(world.data.live_shards().count(), 0);
    let again = world.group(0);
    assert!(again.id > group.id, "a new one takes its span");
    world.now = (1_000 + 14 * 86_400) * S - 1;
    world.nothing(&Command::PruneShardGroups);
    world.now += 1;
    world.done(&Command::PruneShardGroups);
    assert!(world.data.shard(group.shards[0].id).is_none());
    assert_eq!(world.policy().groups.len(), 1);
}

#[test]
fn groups_expire_by_the_time_that_was_agreed_on_not_by_that_of_the_leader() {
    let mut world = World::with_nodes(1);
    world.done(&Command::AlterRetentionPolicy {
        database: "db".to_owned(),
        name: "autogen".to_owned(),
        update: PolicyUpdate {
            duration: Some(Duration::from_secs(7_200)),
            shard_group_duration: Some(Duration::from_secs(3_600)),
            ..PolicyUpdate::default()
        },
    });
    let group = world.group(0);
    let expire = |now| Command::ExpireShardGroups { now: Timestamp(now) };
    let ends = group.range.end().0 + 7_200 * S;
    world.now = 1_000_000 * S;
    assert!(!world.data.has_expired(Timestamp(ends)));
    world.nothing(&expire(ends));
    assert!(world.data.has_expired(Timestamp(ends + 1)));
    world.done(&expire(ends + 1));
    assert_eq!(world.data.live_shards().count(), 0);
    // Two weeks later by both, the record goes as well.
    let later = world.now + 14 * 86_400 * S;
    world.now = later - 1;
    world.nothing(&expire(later));
    world.now = later;
    world.nothing(&expire(later - 1));
    assert!(world.data.has_expired(Timestamp(later)));
    world.done(&expire(later));
    assert_eq!(world.policy().groups.len(), 0);
}

#[test]
fn truncated_groups_take_no_later_points_but_still_hold_them() {
    let mut world = World::with_nodes(1);
    let day = 86_400;
    world.done(&alter(PolicyUpdate { shard_group_duration: Some(DAY), ..PolicyUpdate::default() }));
    let first = world.group(0);
    let ahead = world.group(3 * day);
    world.now = 1_000 * S;
    let truncate = Command::TruncateShardGroups { delay: Duration::from_secs(60) };
    world.done(&truncate);
    world.nothing(&truncate);
    assert_eq!(world.group(1_059).id, first.id);
    let rest = world.group(1_060);
    assert_eq!((rest.range.start(), rest.range.end()), (Timestamp(1_060 * S), Timestamp(day * S)));
    let again = world.group(3 * day);
    assert_ne!(again.id, ahead.id, "a group that had not begun takes nothing any more");
    assert_eq!(again.range, ahead.range);
    let range = TimeRange::new(Timestamp(2_000 * S), Timestamp(4 * day * S)).expect("not empty");
    let mut read: Vec<_> = world.policy().groups_overlapping(range).map(|group| group.id).collect();
    read.sort();
    let mut want = vec![first.id, rest.id, ahead.id, again.id];
    want.sort();
    assert_eq!(read, want, "reads ask all that may hold points");
    for group in world.policy().groups.clone().iter() {
        assert_eq!(world.data.shard(group.shards[0].id).map(|place| place.group.id), Some(group.id));
    }
    assert!(world.policy().group_for(Timestamp(day * S)).is_none());
}

#[test]
fn a_dropped_shard_leaves_its_slot_and_the_last_one_ends_the_group() {
    let mut world = World::with_nodes(4);
    let group = world.group(0);
    assert_eq!((group.slot_count, group.shards.len()), (2, 2));
    let dropped = group.shards[0].id;
    world.done(&Command::DropShard { shard: dropped });
    world.nothing(&Command::DropShard { shard: dropped });
    assert!(world.data.shard(dropped).is_none());
    let left = world.policy().group_for(Timestamp(0)).expect("lives").clone();
    assert_eq!(left.slot_count, 2, "series stay where they are");
    assert!(left.shard_at(0).is_none() && left.shard_at(1).is_some());
    let refilled = world.group(0);
    assert_eq!(refilled.id, group.id);
    assert!(refilled.shards[0].id > group.shards[1].id && refilled.shards[1].id == group.shards[1].id);
    for shard in &refilled.shards {
        world.done(&Command::DropShard { shard: shard.id });
    }
    assert!(world.policy().groups[0].is_deleted());
}

#[test]
fn owners_come_and_go() {
    let mut world = World::with_nodes(3);
    world.done(&alter(PolicyUpdate { replica_n: Some(1), ..PolicyUpdate::default() }));
    let shard = world.group(0).shards[0].clone();
    let here = shard.owners[0].node;
    let there = NodeId(here.0 % 3 + 1);
    let copy = |node| Command::CopyShardOwner { shard: shard.id, node };
    let remove = |node| Command::RemoveShardOwner { shard: shard.id, node };
    world.done(&copy(there));
    world.nothing(&copy(there));
    let want = Owner { node: there, incarnation: Incarnation(there.0.into()) };
    assert_eq!(world.data.shard(shard.id).expect("there").shard.owners, [shard.owners[0], want]);
    world.refused(&copy(NodeId(9)), "node not found");
    world.refused(&Command::CopyShardOwner { shard: ShardId(99), node: here }, "shard not found");
    world.refused(&Command::RemoveShardOwner { shard: ShardId(99), node: here }, "shard not found");
    world.nothing(&remove(NodeId(9)));
    world.done(&remove(here));
    assert!(!world.data.shard(shard.id).expect("there").shard.is_owned_by(here));
    world.done(&remove(there));
    assert!(world.data.shard(shard.id).is_none(), "a shard without owners is dropped");
}

#[test]
fn series_are_spread_by_their_hash() {
    let mut world = World::with_nodes(4);
    let group = world.group(0);
    for key in [b"cpu,host=a".as_slice(), b"cpu,host=b", b"mem"] {
        let slot = (stdx::fnv::fnv1a64(key) % 2) as usize;
        assert_eq!(group.shard_for_key(key), Some(&group.shards[slot]));
        let (found, shard) = world.policy().shard_for(Timestamp(0), key).expect("both are there");
        assert_eq!((found.id, shard), (group.id, &group.shards[slot]));
    }
}

#[test]
fn groups_expire_by_their_original_end() {
    let mut world = World::with_nodes(1);
    let group = world.group(0);
    assert_eq!(group.expires_at(world.policy()), None, "kept for ever");
    world.done(&alter(PolicyUpdate { duration: Some(30 * DAY), ..PolicyUpdate::default() }));
    world.done(&Command::TruncateShardGroups { delay: Duration::ZERO });
    let group = ShardGroup::clone(&world.policy().groups[0]);
    let want = group.range.end().0 + 30 * 86_400 * S;
    assert_eq!(group.expires_at(world.policy()), Some(Timestamp(want)));
}
