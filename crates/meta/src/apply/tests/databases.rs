//! Databases.

use super::*;
use crate::data::DatabaseId;

#[test]
fn a_database_gets_the_automatic_policy() {
    let world = World::with_nodes(1);
    let policy = world.policy();
    assert_eq!((&*policy.name, policy.duration, policy.replica_n), ("autogen", Duration::ZERO, 1));
    assert_eq!(policy.shard_group_duration, 7 * DAY);
}

#[test]
fn automatic_copies_follow_the_number_of_data_nodes() {
    for (nodes, copies) in [(1, 1), (2, 2), (3, 3), (4, 2), (5, 2)] {
        assert_eq!(World::with_nodes(nodes).policy().replica_n, copies, "{nodes} nodes");
    }
}

#[test]
fn creating_again_is_fine_unless_something_else_was_asked_for() {
    let mut world = World::with_nodes(1);
    world.nothing(&create_database("db"));
    world.nothing(&create_database_with("db", PolicySpec::automatic()));
    let conflict = "retention policy conflicts with an existing policy";
    world.refused(&create_database_with("db", spec("autogen", DAY)), conflict);
    world.refused(&create_database_with("db", spec("other", DAY)), conflict);
    // It exists, but is not the default.
    world.done(&create_policy(spec("other", DAY), false));
    world.refused(&create_database_with("db", spec("other", DAY)), conflict);
}

#[test]
fn options_that_are_not_said_do_not_conflict() {
    let mut world = World::with_nodes(1);
    let three = PolicySpec { replica_n: Some(3), ..spec("rp", 2 * DAY) };
    world.done(&create_database_with("x", three));
    world.nothing(&create_database_with("x", spec("rp", 2 * DAY)));
    world.nothing(&create_database_with("x", PolicySpec { duration: None, ..spec("rp", DAY) }));
}

#[test]
fn copies_that_are_not_said_are_one() {
    let mut world = World::with_nodes(3);
    world.done(&create_database_with("x", spec("rp", DAY)));
    assert_eq!(world.data.policy("x", "").expect("default").replica_n, 1);
}

#[test]
fn a_database_without_policies_takes_the_one_asked_for() {
    let mut world = World::with_nodes(1);
    let bare = Command::CreateDatabase { name: "bare".to_owned(), policy: None, explicit: false };
    world.done(&bare);
    assert_eq!(world.data.policy("bare", ""), Err(Rejection::PolicyNotFound(String::new())));
    world.done(&create_database_with("bare", spec("rp", DAY)));
    assert_eq!(&*world.data.policy("bare", "").expect("default").name, "rp");
}

#[test]
fn a_policy_that_breaks_a_rule_leaves_no_database() {
    let mut world = World::with_nodes(1);
    let short = spec("rp", Duration::from_secs(60));
    world.refused(&create_database_with("x", short), "retention policy duration must be at least 1h0m0s");
    let wide = PolicySpec { shard_group_duration: 2 * DAY, ..spec("rp", DAY) };
    let text = "retention policy duration must be greater than the shard duration";
    world.refused(&create_database_with("x", wide.clone()), text);
    world.refused(&create_database_with("x", spec("a/b", DAY)), "invalid name");
    assert!(world.data.database("x").is_none());
    world.refused(&create_database_with("db", wide), "retention policy conflicts with an existing policy");
}

#[test]
fn names_are_checked() {
    let mut world = World::with_nodes(1);
    for name in ["", ".", "..", "a/b", "a\\b", "a\nb", "a\u{a0}b"] {
        world.refused(&create_database(name), "invalid name");
    }
    world.refused(&create_database(&"x".repeat(256)), "name too long");
    for name in ["a b", "größe", "数据", &"x".repeat(255)] {
        world.done(&create_database(name));
    }
}

#[test]
fn databases_keep_their_order_and_never_share_an_id() {
    let mut world = World::with_nodes(1);
    world.done(&create_database("zebra"));
    world.done(&create_database("ant"));
    world.done(&Command::DropDatabase { name: "db".to_owned() });
    world.done(&create_database("db"));
    let names: Vec<_> = world.data.databases().iter().map(|database| (&*database.name, database.id)).collect();
    assert_eq!(names, [("zebra", DatabaseId(2)), ("ant", DatabaseId(3)), ("db", DatabaseId(4))]);
}

#[test]
fn dropping_takes_everything_and_twice_is_fine() {
    let mut world = World::with_nodes(1);
    let group = world.group(0);
    world.done(&Command::DropDatabase { name: "db".to_owned() });
    assert!(world.data.database("db").is_none());
    assert!(world.data.shard(group.shards[0].id).is_none());
    world.nothing(&Command::DropDatabase { name: "db".to_owned() });
    world.done(&create_database("db"));
    assert_eq!(world.policy().groups.len(), 0);
    assert!(world.group(0).shards[0].id > group.shards[0].id, "a recreated name shows no old shard");
}
