//! Members.

use super::*;

#[test]
fn both_roles_of_a_directory_share_an_id_and_ids_are_not_used_again() {
    let mut world = World::with_nodes(2);
    assert_eq!(world.data.cluster_id(), 77);
    world.done(&Command::DeleteDataNode { id: NodeId(2) });
    world.done(&Command::DeleteMetaNode { id: NodeId(2) });
    assert!(world.data.node(NodeId(2)).is_none());
    assert_eq!(world.join(3, 3), NodeId(3));
    assert_eq!(world.data.node_id_max(), NodeId(3));
}

#[test]
fn ids_that_a_lost_majority_may_have_given_are_left_out() {
    let mut world = World::with_nodes(1);
    let before = world.group(0);
    let recover = |recovery, nodes, others| Command::Recover { recovery, members: vec![NodeId(1)], nodes, others };
    world.done(&recover(1, 100, 10_000));
    world.data.validate().expect("consistent");
    assert_eq!(world.join(2, 2), NodeId(102));
    let after = world.group(400 * 86_400);
    assert_eq!(after.id.0, before.id.0 + 10_001);
    assert!(after.shards.iter().all(|shard| shard.id.0 > before.shards[0].id.0 + 10_000));
    // No command takes them all.
    world.done(&recover(2, u64::MAX, u64::MAX));
    assert_eq!(world.join(3, 3).0, 103 + crate::command::SKIPPED_IDS_MAX);
}

#[test]
fn a_recovery_takes_the_meta_role_from_the_lost_once() {
    let mut world = World::with_nodes(3);
    let recover = |recovery, members: &[u64]| Command::Recover {
        recovery,
        members: members.iter().copied().map(NodeId).collect(),
        nodes: 10,
        others: 10,
    };
    let meta_nodes = |world: &World| world.data.meta_nodes().map(|node| node.id.0).collect::<Vec<_>>();
    world.done(&recover(1, &[2]));
    assert_eq!(meta_nodes(&world), [2]);
    assert_eq!(world.data.data_nodes().count(), 3, "their points are another matter");
    // One of them becomes a meta node again, under its number: it still holds points.
    assert_eq!(world.join(3, 3), NodeId(3));
    assert_eq!(world.nothing(&recover(1, &[2])), Reply::Done);
    assert_eq!(meta_nodes(&world), [2, 3]);
    world.done(&recover(3, &[3]));
    assert_eq!(world.nothing(&recover(2, &[2])), Reply::Done);
    assert_eq!(meta_nodes(&world), [3]);
    world.done(&recover(4, &[77]));
    assert_eq!(meta_nodes(&world), [3], "somebody has to stay");
}

#[test]
fn registering_again_changes_nothing() {
    let mut world = World::with_nodes(1);
    assert_eq!(world.nothing(&create_data_node(1, 1)), Reply::Node(NodeId(1)));
}

#[test]
fn a_known_directory_keeps_its_id_under_new_addresses() {
    let mut world = World::with_nodes(2);
    assert_eq!(world.join(9, 2), NodeId(2));
    let node = world.data.node(NodeId(2)).expect("a member");
    assert_eq!(node.data.as_ref().map(|data| data.tcp_addr.as_str()), Some("host9:8088"));
    assert_eq!(node.meta.as_ref().map(|meta| meta.http_addr.as_str()), Some("host9:8091"));
}

#[test]
fn a_wiped_directory_is_a_new_member_and_the_old_one_goes() {
    let mut world = World::with_nodes(3);
    let group = world.group(0);
    assert_eq!(owners(&group), [[1, 2, 3]].map(|owners| rotated(&owners, &group)));
    assert_eq!(world.join(3, 30), NodeId(4));
    assert!(world.data.node(NodeId(3)).is_none());
    let place = world.data.shard(group.shards[0].id).expect("still there");
    assert!(!place.shard.is_owned_by(NodeId(3)), "nobody owns what a wiped disk held");
    assert!(!place.shard.is_owned_by(NodeId(4)), "and nobody is put in its place");
}

fn rotated(owners: &[u64], group: &ShardGroup) -> Vec<u64> {
    let first = group.shards[0].owners[0].node.0;
    let at = owners.iter().position(|owner| *owner == first).expect("an owner");
    owners[at..].iter().chain(&owners[..at]).copied().collect()
}

#[test]
fn only_the_role_whose_address_is_taken_goes() {
    let mut world = World::with_nodes(2);
    let meta = Command::CreateMetaNode {
        incarnation: Incarnation(9),
        http_addr: "host2:8091".to_owned(),
        tcp_addr: "elsewhere:8089".to_owned(),
    };
    assert_eq!(world.node(&meta), NodeId(3));
    let old = world.data.node(NodeId(2)).expect("still a data node");
    assert!(old.meta.is_none() && old.data.is_some());
}

#[test]
fn the_last_meta_node_stays() {
    let mut world = World::with_nodes(1);
    world.refused(&Command::DeleteMetaNode { id: NodeId(1) }, "unable to drop the final node in a cluster");
}

#[test]
fn unknown_members_and_missing_roles_are_not_found() {
    let mut world = World::with_nodes(2);
    world.done(&Command::DeleteDataNode { id: NodeId(2) });
    world.refused(&Command::DeleteDataNode { id: NodeId(2) }, "node not found");
    world.refused(&Command::DeleteDataNode { id: NodeId(7) }, "node not found");
    world.refused(&Command::DeleteMetaNode { id: NodeId(7) }, "node not found");
    world.done(&Command::DeleteMetaNode { id: NodeId(2) });
    let update = |id, host: u64| Command::UpdateMetaNode {
        id: NodeId(id),
        http_addr: format!("host{host}:8091"),
        tcp_addr: format!("host{host}:8088"),
    };
    world.refused(&update(2, 2), "node not found");
    world.nothing(&update(1, 1));
    world.done(&update(1, 5));
    world.join(3, 3);
    world.refused(&update(1, 3), "node already exists");
}

#[test]
fn a_removed_data_node_owns_nothing() {
    let mut world = World::with_nodes(2);
    let group = world.group(0);
    world.done(&Command::DeleteDataNode { id: NodeId(1) });
    let shard = group.shards[0].id;
    assert_eq!(world.data.shard(shard).expect("listed").shard.owners.len(), 1);
    world.done(&Command::DeleteDataNode { id: NodeId(2) });
    assert_eq!(world.data.shard(shard).expect("listed without owners").shard.owners.len(), 0);
}

#[test]
fn update_data_keeps_ownership_and_makes_the_new_directory_blank() {
    let mut world = World::with_nodes(2);
    let group = world.group(0);
    let update = |incarnation: Option<u64>| Command::UpdateDataNode {
        id: NodeId(2),
        http_addr: "host5:8086".to_owned(),
        tcp_addr: "host5:8088".to_owned(),
        incarnation: incarnation.map(|number| Incarnation(number.into())),
    };
    let owner = |world: &World| {
        let owners = &world.data.shard(group.shards[0].id).expect("there").shard.owners;
        *owners.iter().find(|owner| owner.node == NodeId(2)).expect("still an owner")
    };
    world.done(&update(None));
    assert!(!world.data.is_blank(owner(&world)), "only moved");
    world.done(&update(Some(50)));
    assert!(world.data.is_blank(owner(&world)));
    world.nothing(&update(Some(50)));
    world.done(&Command::CopyShardOwner { shard: group.shards[0].id, node: NodeId(2) });
    assert!(!world.data.is_blank(owner(&world)), "rebuilt");
    world.refused(&update(Some(1)), "node already exists");
}
