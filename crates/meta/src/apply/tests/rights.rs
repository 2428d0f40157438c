//! Permissions, roles, restrictions, grants of series, and what they come to.

use super::*;
use crate::data::{PermissionMap, Privilege, Role};
use crate::permission::{Permission, Permissions};
use crate::rights::{Rights, Who};
use crate::rule::{Access, Matcher, Rule, TagRule};

fn user(name: &str) -> Command {
    Command::CreateUser { name: name.to_owned(), hash: "h".to_owned(), admin: false }
}

fn role(name: &str) -> Command {
    Command::CreateRole { name: name.to_owned() }
}

fn map(database: &str, list: &[Permission]) -> PermissionMap {
    PermissionMap::from([(database.to_owned(), Permissions::of(list))])
}

fn add(name: &str, permissions: PermissionMap) -> Command {
    Command::AddPermissions { user: name.to_owned(), permissions }
}

fn remove(name: &str, permissions: PermissionMap) -> Command {
    Command::RemovePermissions { user: name.to_owned(), permissions }
}

fn add_to_role(name: &str, permissions: PermissionMap) -> Command {
    Command::AddRolePermissions { role: name.to_owned(), permissions }
}

fn give(name: &str, users: &[&str]) -> Command {
    Command::AddRoleUsers { role: name.to_owned(), users: users.iter().map(|user| (*user).to_owned()).collect() }
}

fn rule(database: &str) -> Rule {
    let database = Matcher::Exact(database.to_owned());
    Rule { database, measurement: None, tags: Vec::new(), read: true, write: true }
}

fn grant(users: &[&str], roles: &[&str]) -> Command {
    let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Command::CreateAccessGrant { rule: rule("db"), users: list(users), roles: list(roles) }
}

fn rights(world: &World, name: &str) -> Rights {
    world.data.rights(Who::User(name)).expect("a user")
}

#[test]
fn permissions_are_given_and_taken() {
    let mut world = World::with_nodes(1);
    world.done(&user("ann"));
    let (read, both) = ([Permission::ReadData], [Permission::ReadData, Permission::WriteData]);
    world.done(&add("ann", map("db", &both)));
    world.nothing(&add("ann", map("db", &read)));
    world.nothing(&add("ann", map("", &[])));
    world.done(&remove("ann", map("db", &read)));
    world.nothing(&remove("ann", map("db", &read)));
    assert_eq!(world.data.user("ann").expect("there").permissions, map("db", &[Permission::WriteData]));
    world.done(&remove("ann", map("db", &both)));
    assert!(world.data.user("ann").expect("there").permissions.is_empty());
    world.done(&add("ann", map("", &Permission::ALL)));
    for change in [add, remove] {
        world.refused(&change("bob", map("", &read)), "user not found");
        world.refused(&change("ann", map("nowhere", &read)), "database not found: nowhere");
        let text = "permission Monitor cannot be given for one database";
        world.refused(&change("ann", map("db", &[Permission::Monitor])), text);
    }
}

#[test]
fn roles_are_made_renamed_and_dropped() {
    let mut world = World::with_nodes(1);
    world.done(&user("ann"));
    world.done(&role("ops"));
    world.done(&role("dev"));
    world.refused(&role("ops"), "role already exists");
    world.refused(&role(""), "role name required");
    world.done(&give("ops", &["ann"]));
    world.nothing(&give("ops", &["ann"]));
    world.refused(&give("nope", &["ann"]), "role not found");
    world.refused(&give("ops", &["ann", "bob"]), "user not found");
    world.done(&add_to_role("ops", map("", &[Permission::Monitor])));
    world.refused(&add_to_role("nope", map("", &[Permission::Monitor])), "role not found");
    world.refused(&add_to_role("ops", map("x", &[Permission::ReadData])), "database not found: x");
    assert!(rights(&world, "ann").has_in_cluster(Permission::Monitor));
    let rename = |from: &str, to: &str| Command::RenameRole { name: from.to_owned(), new_name: to.to_owned() };
    world.refused(&rename("nope", "x"), "role not found");
    world.refused(&rename("ops", "dev"), "role already exists");
    world.refused(&rename("ops", ""), "role name required");
    world.nothing(&rename("ops", "ops"));
    world.done(&rename("ops", "operators"));
    assert_eq!(rights(&world, "ann").roles, ["operators"]);
    let take =
        |role: &str, user: &str| Command::RemoveRoleUsers { role: role.to_owned(), users: vec![user.to_owned()] };
    world.refused(&take("ops", "ann"), "role not found");
    world.refused(&take("operators", "bob"), "user not found");
    world.done(&take("operators", "ann"));
    world.nothing(&take("operators", "ann"));
    assert!(!rights(&world, "ann").has_in_cluster(Permission::Monitor));
    world.done(&Command::RemoveRolePermissions {
        role: "operators".to_owned(),
        permissions: map("", &[Permission::Monitor]),
    });
    world.done(&Command::DropRole { name: "operators".to_owned() });
    world.refused(&Command::DropRole { name: "operators".to_owned() }, "role not found");
}

#[test]
fn roles_are_limited_in_number() {
    let mut world = World::default();
    let roles =
        (0..super::super::roles::ROLES_MAX).map(|number| Role { name: format!("r{number}"), ..Role::default() });
    world.data.roles = Arc::new(roles.map(Arc::new).collect());
    world.refused(&role("more"), "too many roles: the limit is 10000");
}

#[test]
fn names_that_go_leave_nothing_behind() {
    let mut world = World::with_nodes(1);
    for command in [user("ann"), user("bob"), role("ops"), give("ops", &["ann", "bob"])] {
        world.done(&command);
    }
    world.done(&add("ann", map("db", &[Permission::ReadData])));
    world.done(&add_to_role("ops", map("db", &[Permission::WriteData])));
    world.done(&grant(&["ann"], &[]));
    world.done(&grant(&["ann", "bob"], &["ops"]));
    world.done(&Command::DropUser { name: "ann".to_owned() });
    assert_eq!(world.data.access_grants().len(), 1, "one was for nobody any more");
    world.done(&user("ann"));
    assert!(rights(&world, "ann").roles.is_empty(), "another user of the name");
    world.done(&Command::RenameRole { name: "ops".to_owned(), new_name: "dev".to_owned() });
    assert_eq!(world.data.access_grants()[0].roles, ["dev"]);
    world.done(&Command::DropRole { name: "dev".to_owned() });
    assert_eq!(world.data.access_grants()[0].roles, [""; 0]);
    world.done(&role("ops"));
    world.done(&add_to_role("ops", map("db", &[Permission::WriteData])));
    world.done(&add("bob", map("db", &[Permission::ReadData])));
    world.done(&Command::DropDatabase { name: "db".to_owned() });
    world.done(&create_database("db"));
    assert!(world.data.role("ops").expect("there").permissions.is_empty());
    assert!(!rights(&world, "bob").sees("db"));
}

#[test]
fn rules_are_checked_and_numbered() {
    let mut world = World::with_nodes(1);
    world.done(&user("ann"));
    world.done(&role("ops"));
    let restriction = |rule: Rule| Command::CreateRestriction { rule };
    assert_eq!(world.done(&restriction(rule("db"))), Reply::Rule(1));
    assert_eq!(world.done(&restriction(rule("db"))), Reply::Rule(2), "another of the kind");
    assert_eq!(world.done(&grant(&["ann"], &["ops"])), Reply::Rule(3));
    world.refused(&grant(&["bob"], &[]), "user not found");
    world.refused(&grant(&[], &["nope"]), "role not found");
    world.refused(&grant(&[], &[]), "users or roles required");
    world.refused(&grant(&["ann"; 101], &[]), "too many users and roles: the limit is 100");
    world.refused(&restriction(Rule { read: false, write: false, ..rule("db") }), "permissions required");
    world.refused(&restriction(rule("")), "database required");
    world.refused(&restriction(rule(&"x".repeat(256))), "database too long");
    let measurement = Some(Matcher::Prefix(String::new()));
    world.refused(&restriction(Rule { measurement, ..rule("db") }), "measurement required");
    let tag = |key: &str, value: &str| TagRule { key: key.to_owned(), value: Matcher::Exact(value.to_owned()) };
    world.refused(&restriction(Rule { tags: vec![tag("", "v")], ..rule("db") }), "tag key required");
    world.refused(&restriction(Rule { tags: vec![tag("k", "")], ..rule("db") }), "tag value required");
    world.refused(
        &restriction(Rule { tags: vec![tag("k", "v"); 101], ..rule("db") }),
        "too many tags: the limit is 100",
    );
    world.done(&Command::DropRestriction { id: 2 });
    world.refused(&Command::DropRestriction { id: 2 }, "restriction not found");
    world.refused(&Command::DropRestriction { id: 3 }, "restriction not found");
    world.refused(&Command::DropAccessGrant { id: 1 }, "grant not found");
    world.done(&Command::DropAccessGrant { id: 3 });
    assert_eq!(world.done(&restriction(rule("db"))), Reply::Rule(4), "numbers are not used again");
    while world.data.restrictions().len() < 1_000 {
        world.done(&restriction(rule("db")));
    }
    world.refused(&restriction(rule("db")), "too many restrictions and grants: the limit is 1000");
    world.refused(&grant(&["ann"], &[]), "too many restrictions and grants: the limit is 1000");
}

#[test]
fn of_two_who_want_to_be_first_one_is() {
    let mut world = World::default();
    let first = |name: &str, hash: &str| Command::CreateFirstAdmin { name: name.to_owned(), hash: hash.to_owned() };
    world.refused(&first("", "h"), "username required");
    world.refused(&first("ann", ""), "password or hash required");
    world.done(&first("ann", "h"));
    world.nothing(&first("ann", "h"));
    world.refused(&first("bob", "h"), "there is a user already");
    world.refused(&first("ann", "other"), "there is a user already");
    let mut world = World::default();
    world.done(&user("ann"));
    world.refused(&first("ann", "h"), "there is a user already");
}

#[test]
fn a_directory_is_set_and_forgotten() {
    let mut world = World::with_nodes(1);
    let set = |config: Option<&str>| Command::SetDirectory { config: config.map(str::to_owned) };
    world.nothing(&set(None));
    world.done(&set(Some("enabled = true")));
    world.nothing(&set(Some("enabled = true")));
    world.done(&grant(&["somebody whom the directory knows"], &[]));
    let (before, _) = (world.data.directory_index(), world.done(&Command::PurgeDirectory));
    assert!(before < world.data.directory_index(), "nodes forget what they remember");
    world.done(&set(None));
    assert_eq!(world.data.directory(), None);
    assert_eq!(world.data.directory_index(), world.data.index());
}

#[test]
fn rights_are_those_of_the_user_and_of_the_roles() {
    let mut world = World::with_nodes(1);
    world.done(&create_database("other"));
    for name in ["ann", "bob"] {
        world.done(&user(name));
    }
    world.done(&role("ops"));
    world.done(&add_to_role("ops", map("", &[Permission::ReadData, Permission::AddRemoveNode])));
    world.done(&Command::Grant { user: "ann".to_owned(), database: "db".to_owned(), privilege: Privilege::All });
    let has = |rights: &Rights, database: &str, permission| rights.has(database, Permissions::of(&[permission]));
    let ann = rights(&world, "ann");
    assert!(has(&ann, "db", Permission::DropData) && !has(&ann, "other", Permission::DropData));
    assert!(ann.sees("db") && !ann.sees("other") && !has(&ann, "", Permission::ReadData));
    assert!(ann.is_granted("db", Privilege::Read) && !ann.is_granted("other", Privilege::Read));
    world.done(&give("ops", &["ann"]));
    let ann = rights(&world, "ann");
    assert!(ann.sees("other") && has(&ann, "other", Permission::ReadData), "for all databases");
    assert!(ann.has_in_cluster(Permission::AddRemoveNode) && !ann.admin);
    assert!(!ann.is_granted("other", Privilege::Read), "no privilege of InfluxQL");
    assert!(!rights(&world, "bob").sees("db"));
    assert_eq!(world.data.rights(Who::User("nobody")), None);
    // A directory gives roles; what the cluster has of the same name does not count.
    let listed = ["ops".to_owned(), "not there".to_owned()];
    let who = Who::Directory { name: "ann", admin: false, roles: &listed };
    let ann = world.data.rights(who).expect("known");
    assert!(ann.has_in_cluster(Permission::AddRemoveNode) && !has(&ann, "db", Permission::DropData));
    assert_eq!(ann.roles, ["ops"]);
    let who = Who::Directory { name: "x", admin: true, roles: &[] };
    assert!(world.data.rights(who).expect("known").has_in_cluster(Permission::CreateUserAndRole));
}

#[test]
fn nothing_is_hidden_from_administrators() {
    let mut world = World::with_nodes(1);
    world.done(&user("ann"));
    world.done(&Command::CreateRestriction { rule: rule("db") });
    assert!(!world.data.rules(&rights(&world, "ann"), "db", Access::Read).is_open());
    world.done(&Command::SetAdmin { name: "ann".to_owned(), admin: true });
    assert!(world.data.rules(&rights(&world, "ann"), "db", Access::Read).is_open());
}
