//! Retention policies.

use super::*;

#[test]
fn attributes_are_checked() {
    let mut world = World::with_nodes(1);
    let policy = |spec| create_policy(spec, false);
    let minute = Duration::from_secs(60);
    world.refused(&policy(spec("rp", minute)), "retention policy duration must be at least 1h0m0s");
    let no_copy = PolicySpec { replica_n: Some(0), ..spec("rp", DAY) };
    world.refused(&policy(no_copy), "replication factor must be greater than 0");
    let wide = PolicySpec { shard_group_duration: 2 * DAY, ..spec("rp", DAY) };
    world.refused(&policy(wide), "retention policy duration must be greater than the shard duration");
    world.refused(&policy(spec("", DAY)), "invalid name");
    world.refused(&policy(spec("a/b", DAY)), "invalid name");
    let elsewhere =
        Command::CreateRetentionPolicy { database: "nope".to_owned(), policy: spec("rp", DAY), make_default: false };
    world.refused(&elsewhere, "database not found: nope");
}

#[test]
fn spans_are_at_least_an_hour() {
    let mut world = World::with_nodes(1);
    world.done(&create_policy(PolicySpec { shard_group_duration: Duration::from_secs(1), ..spec("rp", DAY) }, false));
    assert_eq!(world.data.policy("db", "rp").expect("there").shard_group_duration, HOUR);
}

#[test]
fn creating_again_needs_the_same_attributes() {
    let mut world = World::with_nodes(1);
    world.done(&create_policy(spec("rp", DAY), false));
    world.nothing(&create_policy(spec("rp", DAY), false));
    world.refused(&create_policy(spec("rp", 2 * DAY), false), "retention policy already exists");
    let conflict = "retention policy conflicts with an existing policy";
    world.refused(&create_policy(spec("rp", DAY), true), conflict);
}

#[test]
fn a_new_policy_can_become_the_default() {
    let mut world = World::with_nodes(1);
    world.done(&create_policy(spec("rp", DAY), true));
    assert_eq!(&*world.policy().name, "rp");
    world.nothing(&create_policy(spec("rp", DAY), true));
}

#[test]
fn altering_changes_what_is_named() {
    let mut world = World::with_nodes(1);
    world.group(0);
    let before = world.policy().clone();
    world.done(&alter(PolicyUpdate { duration: Some(14 * DAY), ..PolicyUpdate::default() }));
    let after = world.policy().clone();
    assert_eq!(after, RetentionPolicy { duration: 14 * DAY, ..before.clone() });
    world.nothing(&alter(PolicyUpdate { duration: Some(14 * DAY), ..PolicyUpdate::default() }));
    world.done(&alter(PolicyUpdate { replica_n: Some(2), ..PolicyUpdate::default() }));
    world.done(&alter(PolicyUpdate { shard_group_duration: Some(Duration::from_secs(9)), ..PolicyUpdate::default() }));
    assert_eq!(world.policy().shard_group_duration, HOUR);
    world.done(&alter(PolicyUpdate { shard_group_duration: Some(Duration::ZERO), ..PolicyUpdate::default() }));
    assert_eq!(world.policy().shard_group_duration, DAY, "by the rule");
    let limits =
        PolicyUpdate { past_write_limit: Some(HOUR), future_write_limit: Some(DAY), ..PolicyUpdate::default() };
    world.done(&alter(limits));
    assert_eq!((world.policy().past_write_limit, world.policy().future_write_limit), (HOUR, DAY));
    assert_eq!(world.policy().groups, before.groups, "groups stay as they are");
}

#[test]
fn altering_is_checked() {
    let mut world = World::with_nodes(1);
    let minute = Some(Duration::from_secs(60));
    let update = PolicyUpdate { duration: minute, ..PolicyUpdate::default() };
    world.refused(&alter(update), "retention policy duration must be at least 1h0m0s");
    let update = PolicyUpdate { duration: Some(DAY), ..PolicyUpdate::default() };
    world.refused(&alter(update), "retention policy duration must be greater than the shard duration");
    let update = PolicyUpdate { replica_n: Some(0), ..PolicyUpdate::default() };
    world.refused(&alter(update), "replication factor must be greater than 0");
    let mut command = |database: &str, name: &str, text: &str| {
        let (database, name) = (database.to_owned(), name.to_owned());
        let update = PolicyUpdate::default();
        world.refused(&Command::AlterRetentionPolicy { database, name, update }, text);
    };
    command("nope", "autogen", "database not found: nope");
    command("db", "nope", "retention policy not found: nope");
}

#[test]
fn renaming_keeps_shards_findable() {
    let mut world = World::with_nodes(1);
    let group = world.group(0);
    world.done(&create_policy(spec("rp", DAY), false));
    let rename = |name: &str| alter(PolicyUpdate { name: Some(name.to_owned()), ..PolicyUpdate::default() });
    world.refused(&rename("rp"), "retention policy name already exists");
    world.refused(&rename(""), "invalid name");
    world.done(&rename("new"));
    assert_eq!(&*world.policy().name, "new", "the default follows");
    assert_eq!(&*world.data.shard(group.shards[0].id).expect("there").policy.name, "new");
}

#[test]
fn the_default_can_be_set_and_lost() {
    let mut world = World::with_nodes(1);
    world.done(&create_policy(spec("rp", DAY), false));
    let make_default = Command::AlterRetentionPolicy {
        database: "db".to_owned(),
        name: "rp".to_owned(),
        update: PolicyUpdate { make_default: true, ..PolicyUpdate::default() },
    };
    world.done(&make_default);
    world.nothing(&make_default);
    let drop = |database: &str, name: &str| Command::DropRetentionPolicy {
        database: database.to_owned(),
        name: name.to_owned(),
    };
    world.done(&drop("db", "rp"));
    assert_eq!(world.data.policy("db", ""), Err(Rejection::PolicyNotFound("rp".to_owned())));
    assert!(world.data.database("db").is_some_and(|database| database.default_policy().is_none()));
    world.nothing(&drop("db", "rp"));
    world.nothing(&drop("nope", "rp"));
    world.done(&create_policy(spec("rp", DAY), false));
    assert_eq!(&*world.policy().name, "rp", "the name is still that of the default");
}
