//! A node that was a cluster by itself comes with its databases.

use std::sync::Arc;

use model::ShardGroupId;

use super::*;
use crate::codec::{decode_command, decode_snapshot, encode_command, encode_snapshot};
use crate::data::{Database, SubscriptionMode};
use crate::holdings::Numbered;

const GUEST: Incarnation = Incarnation(50);

/// A node by itself: `db` with a truncated group and one behind it, `gone` with a group that was deleted and one that is
/// there, `bare` without any policy.
fn guest() -> Data {
    let mut world = World { now: 2_000 * S, ..World::default() };
    world.join(9, 50);
    world.done(&create_database("db"));
    world.done(&create_groups(&[0]));
    world.done(&Command::TruncateShardGroups { delay: Duration::ZERO });
    world.done(&create_groups(&[3_000]));
    world.done(&create_database_with("gone", spec("day", DAY)));
    let groups = |seconds: i64| Command::CreateShardGroups {
        database: "gone".to_owned(),
        policy: "day".to_owned(),
        instants: vec![Timestamp(seconds * S)],
    };
    world.done(&groups(0));
    let group = ShardGroupId(3);
    world.done(&Command::DeleteShardGroup { database: "gone".into(), policy: "day".into(), group });
    world.done(&groups(86_400));
    world.done(&Command::CreateContinuousQuery { database: "db".into(), name: "cq".into(), query: "SELECT".into() });
    world.done(&Command::CreateSubscription {
        database: "db".into(),
        policy: "autogen".into(),
        name: "sub".into(),
        mode: SubscriptionMode::All,
        destinations: vec!["http://h:80".into()],
    });
    world.done(&Command::CreateUser { name: "ann".into(), hash: "h".into(), admin: true });
    world.done(&Command::CreateDatabase { name: "bare".into(), policy: None, explicit: false });
    world.data
}

/// A cluster of three nodes with a database of its own.
fn host() -> World {
    let mut world = World::default();
    for id in 1..=3 {
        world.join(id, id);
    }
    world.done(&create_database("own"));
    let instants = vec![Timestamp(0)];
    world.done(&Command::CreateShardGroups { database: "own".into(), policy: "autogen".into(), instants });
    world
}

fn numbered(data: &Data, above: &Data) -> Numbered {
    data.holdings(NodeId(1)).numbered(above.shard_group_id_max(), above.shard_id_max())
}

fn bring(databases: Vec<Arc<Database>>) -> Command {
    Command::BringDataNode {
        cluster_id: 77,
        incarnation: GUEST,
        http_addr: "host9:8086".to_owned(),
        tcp_addr: "host9:8088".to_owned(),
        passive: false,
        databases,
    }
}

#[test]
fn a_node_comes_with_its_databases_under_new_ids() {
    let (guest, mut world) = (guest(), host());
    assert_eq!(guest.holdings(NodeId(1)).names().collect::<Vec<_>>(), ["db", "gone", "bare"]);
    let before = world.data.clone();
    let Numbered { databases, shards } = numbered(&guest, &before);
    assert_eq!(
        shards,
        [(1, 2), (2, 3), (4, 4)].map(|(old, new)| (ShardId(old), ShardId(new))),
        "the deleted one stays"
    );
    let command = bring(databases);
    assert_eq!(decode_command(&encode_command(&command)).expect("written so"), command);
    assert_eq!(world.done(&command), Reply::Node(NodeId(4)));

    let data = &world.data;
    for (old, new) in &shards {
        let (was, is) = (guest.shard(*old).expect("held"), data.shard(*new).expect("held"));
        assert_eq!((&was.database.name, &was.policy.name), (&is.database.name, &is.policy.name));
        assert_eq!((was.group.range, was.group.truncated_at), (is.group.range, is.group.truncated_at));
        assert_eq!((was.group.slot_count, was.shard.slot), (is.group.slot_count, is.shard.slot));
        let owner = [crate::data::Owner { node: NodeId(4), incarnation: GUEST }];
        assert_eq!(is.shard.owners, owner);
        assert!(is.group.id > before.shard_group_id_max() && is.database.id.0 > 1);
    }
    let policy = data.policy("db", "").expect("the default is the default again");
    assert_eq!((policy.replica_n, policy.subscriptions.len()), (1, 1));
    assert_eq!(data.database("db").expect("there").continuous_queries.len(), 1);
    assert!(data.database("bare").is_some_and(|database| database.policies.is_empty()));
    assert_eq!(data.policy("gone", "day").expect("there").duration, DAY);
    assert!(data.users().is_empty(), "users stay behind");
    let bytes = encode_snapshot(data);
    assert_eq!(encode_snapshot(&decode_snapshot(&bytes).expect("written so")), bytes);

    // What is made next goes on behind it: the node takes part as any other, and no id is used twice.
    world.now = 2_000 * S;
    world.done(&create_groups(&[90 * 86_400]));
    let group = world.policy().group_for(Timestamp(90 * 86_400 * S)).expect("made").clone();
    assert!(group.id.0 == 5 && group.shards.iter().all(|shard| shard.id.0 > 4));
    assert_eq!(world.policy().group_for(Timestamp(3_000 * S)).expect("brought").id, ShardGroupId(3));
}

#[test]
fn coming_again_changes_nothing_but_addresses() {
    let (guest, mut world) = (guest(), host());
    let command = bring(numbered(&guest, &world.data).databases);
    world.done(&command);
    assert_eq!(world.nothing(&command), Reply::Node(NodeId(4)));
    world.done(&Command::DropDatabase { name: "db".into() });
    assert_eq!(world.nothing(&command), Reply::Node(NodeId(4)), "what was dropped meanwhile stays dropped");
    assert!(world.data.database("db").is_none());
    let Command::BringDataNode { cluster_id, incarnation, passive, databases, .. } = command else { panic!() };
    let (http_addr, tcp_addr) = ("host8:8086".to_owned(), "host8:8088".to_owned());
    world.done(&Command::BringDataNode { cluster_id, incarnation, http_addr, tcp_addr, passive, databases });
    let role = world.data.node(NodeId(4)).and_then(|node| node.data.clone()).expect("a member");
    assert_eq!(role.tcp_addr, "host8:8088");
}

#[test]
fn databases_that_the_cluster_has_keep_the_node_out() {
    let (guest, mut world) = (guest(), host());
    world.done(&create_database("bare"));
    world.done(&create_database("db"));
    let text = "the cluster has databases that this data node holds as well: db, bare; drop them on one of the two, or copy \
                them to databases of other names first, and add it again";
    world.refused(&bring(numbered(&guest, &world.data.clone()).databases), text);
    assert_eq!(world.data.nodes().len(), 3);
}

#[test]
fn ids_that_were_given_meanwhile_are_not_given_again() {
    let (guest, mut world) = (guest(), host());
    let command = bring(numbered(&guest, &world.data).databases);
    let instants = vec![Timestamp(90 * 86_400 * S)];
    world.done(&Command::CreateShardGroups { database: "own".into(), policy: "autogen".into(), instants });
    world.refused(&command, "ids were given to others meanwhile");
    // Also when nobody has them any more.
    world.done(&Command::DropDatabase { name: "own".into() });
    world.refused(&command, "ids were given to others meanwhile");
    world.done(&bring(numbered(&guest, &world.data.clone()).databases));
}

#[test]
fn what_does_not_fit_is_refused() {
    let (guest, mut world) = (guest(), host());
    let fine = numbered(&guest, &world.data);
    let with = |change: &dyn Fn(&mut Command)| {
        let mut command = bring(fine.databases.clone());
        change(&mut command);
        command
    };
    let set = |command: &mut Command, new: u64| {
        if let Command::BringDataNode { cluster_id, .. } = command {
            *cluster_id = new;
        }
    };
    world.refused(&with(&|command| set(command, 78)), "the ids of shards were chosen for another cluster");
    let change = |command: &mut Command, change: &dyn Fn(&mut Database)| {
        if let Command::BringDataNode { databases, .. } = command {
            change(Arc::make_mut(&mut databases[0]));
        }
    };
    world.refused(&with(&|command| change(command, &|database| database.name = "a/b".into())), "invalid name");
    world.refused(
        &with(&|command| change(command, &|database| database.name = "bare".into())),
        "two databases have one name",
    );
    let group = |command: &mut Command, wanted: &dyn Fn(&mut ShardGroup)| {
        change(command, &|database| {
            let groups = &mut Arc::make_mut(&mut database.policies[0]).groups;
            wanted(Arc::make_mut(&mut Arc::make_mut(groups)[0]));
        });
    };
    world.refused(
        &with(&|command| group(command, &|group| group.deleted_at = Some(Timestamp(0)))),
        "a shard group that is deleted, or of too many shards",
    );
    world.refused(
        &with(&|command| group(command, &|group| group.slot_count = u32::MAX)),
        "a shard group that is deleted, or of too many shards",
    );
    let twice = with(&|command| group(command, &|group| group.shards[0].id = ShardId(4)));
    assert!(world.apply(&twice).expect_err("one id, two shards").to_string().contains("shard 4"));
    world.refused(
        &with(&|command| group(command, &|group| group.shards[0].id = ShardId(u64::MAX))),
        "too many shard groups, or ids that are too large",
    );
    let passive = with(&|command| {
        if let Command::BringDataNode { passive, .. } = command {
            *passive = true;
        }
    });
    world.refused(&passive, "a passive data node owns no shard, and this one holds some");
    // A member that came another way has not brought them.
    world.done(&create_data_node(9, 50));
    let text = "this data node is a member already, without the databases that it holds; remove it with influxd-ctl \
                remove-data -force, and add it again";
    world.refused(&bring(fine.databases.clone()), text);
    world.done(&Command::DeleteDataNode { id: NodeId(4) });
    world.done(&bring(fine.databases));
}

#[test]
fn a_node_that_holds_nothing_comes_as_any_other() {
    let mut world = host();
    assert_eq!(world.done(&bring(Vec::new())), Reply::Node(NodeId(4)));
    assert_eq!(world.nothing(&bring(Vec::new())), Reply::Node(NodeId(4)));
}

#[test]
fn shards_of_others_are_no_holdings() {
    let mut world = World::with_nodes(2);
    world.done(&create_groups(&[0]));
    let place = world.data.holdings(NodeId(2)).numbered(ShardGroupId(0), ShardId(0));
    let owned = world.policy().groups.iter().flat_map(|group| &group.shards);
    assert_eq!(place.shards.len(), owned.filter(|shard| shard.is_owned_by(NodeId(2))).count());
    // On another disk it holds none.
    let (http_addr, tcp_addr) = ("host2:8086".to_owned(), "host2:8088".to_owned());
    world.done(&Command::UpdateDataNode { id: NodeId(2), http_addr, tcp_addr, incarnation: Some(Incarnation(9)) });
    assert_eq!(world.data.holdings(NodeId(2)).numbered(ShardGroupId(0), ShardId(0)).shards, []);
    assert_eq!(world.data.holdings(NodeId(7)).names().count(), 0);
}
