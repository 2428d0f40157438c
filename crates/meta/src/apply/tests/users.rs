//! Users and grants.

use super::*;
use crate::data::Privilege;

fn create(name: &str, hash: &str, admin: bool) -> Command {
    Command::CreateUser { name: name.to_owned(), hash: hash.to_owned(), admin }
}

fn grant(user: &str, database: &str, privilege: Privilege) -> Command {
    Command::Grant { user: user.to_owned(), database: database.to_owned(), privilege }
}

fn revoke(user: &str, database: &str, privilege: Privilege) -> Command {
    Command::Revoke { user: user.to_owned(), database: database.to_owned(), privilege }
}

fn privilege(world: &World, database: &str) -> Option<Privilege> {
    world.data.user("paul").expect("there").privileges.get(database).copied()
}

#[test]
fn users_are_listed_as_they_came_and_are_unique() {
    let mut world = World::default();
    world.done(&create("paul", "h", false));
    world.done(&create("anna", "h", true));
    world.nothing(&create("paul", "h", false));
    world.refused(&create("paul", "other", false), "user already exists");
    world.refused(&create("paul", "h", true), "user already exists");
    world.refused(&create("", "h", false), "username required");
    world.refused(&create("x", "", false), "password or hash required");
    world.refused(&create(&"x".repeat(1_025), "h", false), "name too long");
    world.refused(&Command::CreateRole { name: "x".repeat(1_025) }, "name too long");
    let names: Vec<_> = world.data.users().iter().map(|user| user.name.as_str()).collect();
    assert_eq!(names, ["paul", "anna"]);
    // The reference takes any; this is more than anybody has.
    world.done(&create(&"x".repeat(1_024), "h", false));
    world.done(&Command::DropUser { name: "paul".to_owned() });
    world.refused(&Command::DropUser { name: "paul".to_owned() }, "user not found");
}

#[test]
fn passwords_and_rights_change() {
    let mut world = World::default();
    world.done(&create("paul", "h", false));
    let password = |name: &str, hash: &str| Command::SetPassword { name: name.to_owned(), hash: hash.to_owned() };
    world.done(&password("paul", "new"));
    world.nothing(&password("paul", "new"));
    world.refused(&password("paul", ""), "password or hash required");
    world.refused(&password("anna", "h"), "user not found");
    let admin = |name: &str, admin| Command::SetAdmin { name: name.to_owned(), admin };
    world.done(&admin("paul", true));
    world.nothing(&admin("paul", true));
    world.refused(&admin("anna", true), "user not found");
    let paul = world.data.user("paul").expect("there");
    assert!(paul.admin && paul.hash == "new");
}

#[test]
fn grants_replace_and_revocations_take_away() {
    let mut world = World::with_nodes(1);
    world.done(&create("paul", "h", false));
    world.done(&grant("paul", "db", Privilege::Read));
    world.done(&grant("paul", "db", Privilege::Write));
    assert_eq!(privilege(&world, "db"), Some(Privilege::Write), "replaced, not combined");
    world.nothing(&revoke("paul", "db", Privilege::Read));
    world.done(&grant("paul", "db", Privilege::All));
    world.done(&revoke("paul", "db", Privilege::Read));
    assert_eq!(privilege(&world, "db"), Some(Privilege::Write));
    world.done(&revoke("paul", "db", Privilege::All));
    assert_eq!(privilege(&world, "db"), Some(Privilege::None), "still listed");
    world.done(&create_database("other"));
    world.done(&revoke("paul", "other", Privilege::Read));
    assert_eq!(privilege(&world, "other"), Some(Privilege::None), "listed even if nothing was granted");
    for command in [grant, revoke] {
        world.refused(&command("anna", "db", Privilege::Read), "user not found");
        world.refused(&command("paul", "nope", Privilege::Read), "database not found: nope");
    }
}

#[test]
fn grants_go_with_their_database() {
    let mut world = World::with_nodes(1);
    world.done(&create("paul", "h", false));
    world.done(&grant("paul", "db", Privilege::Read));
    world.done(&Command::DropDatabase { name: "db".to_owned() });
    world.done(&create_database("db"));
    assert_eq!(privilege(&world, "db"), None);
}
