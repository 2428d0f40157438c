use influxql::{Params, parse_query};
use meta::{Command, LeaderFacts, PermissionMap};
use model::{MetaIndex, Timestamp};

use super::*;

/// Every kind of statement, and what it needs where the request names the database `d`: `admin`, or `r` and `w` with the
/// databases that are read and written. Behind `|` stand the permissions that will do in place of it, for that database or
/// for the cluster; `ReadData` and `WriteData` go without saying.
const TABLE: &[(&str, &str)] = &[
    ("SELECT v FROM m", "r:d"),
    ("SELECT v FROM other..m", "r:other"),
    ("SELECT v FROM other.autogen./x/, m", "r:other r:d"),
    ("SELECT v FROM /x/", "r:d"),
    ("SELECT v FROM (SELECT v FROM other..m)", "r:other"),
    ("SELECT v FROM (SELECT v FROM (SELECT v FROM third../x/), other..m)", "r:third r:other"),
    ("SELECT v INTO t FROM m", "r:d w:d"),
    ("SELECT v INTO other..t FROM m", "r:d w:other"),
    ("SELECT v INTO other..:MEASUREMENT FROM third../x/", "r:third w:other"),
    ("SELECT v INTO d.autogen.t FROM (SELECT v FROM other..m)", "r:other w:d"),
    ("EXPLAIN SELECT v FROM m", "r:d"),
    ("EXPLAIN ANALYZE SELECT v FROM (SELECT v FROM other..m)", "r:other"),
    ("DELETE FROM m", "w:d|DropData"),
    ("DELETE WHERE time < 0", "w:d|DropData"),
    ("DROP SERIES FROM m", "w:d|DropData"),
    ("DROP MEASUREMENT m", "admin:d|DropData"),
    ("DROP SHARD 1", "admin|ManageShard"),
    ("SHOW MEASUREMENTS", "r:d"),
    ("SHOW MEASUREMENTS ON other", "r:other"),
    ("SHOW MEASUREMENTS ON other.autogen", "r:other"),
    ("SHOW MEASUREMENTS ON other.*", "r:other"),
    ("SHOW MEASUREMENTS ON *.*", "admin|ReadData"),
    ("SHOW SERIES", "r:d"),
    ("SHOW SERIES ON other FROM m", "r:other"),
    ("SHOW TAG KEYS", "r:d"),
    ("SHOW TAG KEYS ON other", "r:other"),
    ("SHOW TAG VALUES WITH KEY = k", "r:d"),
    ("SHOW TAG VALUES ON other FROM m WITH KEY = k", "r:other"),
    ("SHOW FIELD KEYS", "r:d"),
    ("SHOW FIELD KEYS ON other", "r:other"),
    ("SHOW SERIES CARDINALITY", "r:d"),
    ("SHOW SERIES CARDINALITY ON other", "r:other"),
    ("SHOW SERIES EXACT CARDINALITY", "r:d"),
    ("SHOW SERIES EXACT CARDINALITY ON other", "r:other"),
    ("SHOW SERIES EXACT CARDINALITY FROM other..m", "r:other r:d"),
    ("SHOW MEASUREMENT CARDINALITY", "r:d"),
    ("SHOW MEASUREMENT EXACT CARDINALITY FROM m", "r:d"),
    ("SHOW TAG KEY CARDINALITY", "r:d"),
    ("SHOW FIELD KEY EXACT CARDINALITY", "r:d"),
    ("SHOW TAG VALUES CARDINALITY WITH KEY = k", "r:d"),
    ("SHOW DATABASES", ""),
    ("SHOW RETENTION POLICIES", "r:d|ReadData,CreateDatabase"),
    ("SHOW RETENTION POLICIES ON other", "r:other|ReadData,CreateDatabase"),
    ("SHOW CONTINUOUS QUERIES", "r:d|ReadData,ManageContinuousQuery"),
    ("SHOW QUERIES", "r:d|ReadData,ManageQuery"),
    ("SHOW USERS", "admin|CreateUserAndRole"),
    ("SHOW GRANTS FOR u", "admin|CreateUserAndRole"),
    ("SHOW SUBSCRIPTIONS", "admin|ManageSubscription"),
    ("SHOW SHARDS", "admin|ManageShard"),
    ("SHOW SHARD GROUPS", "admin|ManageShard"),
    ("SHOW SERVERS", "admin|AddRemoveNode"),
    ("SHOW STATS", "admin|Monitor"),
    ("SHOW DIAGNOSTICS", "admin|Monitor"),
    ("CREATE DATABASE x", "admin|CreateDatabase"),
    ("DROP DATABASE d", "admin|DropDatabase"),
    ("CREATE RETENTION POLICY x ON d DURATION 1d REPLICATION 1", "admin:d|CreateDatabase"),
    ("ALTER RETENTION POLICY x ON d DEFAULT", "admin:d|CreateDatabase"),
    ("DROP RETENTION POLICY x ON other", "w:other|DropDatabase"),
    (
        "CREATE CONTINUOUS QUERY c ON d BEGIN SELECT mean(v) INTO t FROM m GROUP BY time(1m) END",
        "r:d|ManageContinuousQuery r:d w:d",
    ),
    (
        "CREATE CONTINUOUS QUERY c ON other BEGIN SELECT mean(v) INTO third..t FROM d..m GROUP BY time(1m) END",
        "r:other|ManageContinuousQuery r:d w:third",
    ),
    ("DROP CONTINUOUS QUERY c ON other", "w:other|ManageContinuousQuery"),
    ("CREATE SUBSCRIPTION s ON d.autogen DESTINATIONS ALL 'udp://h:1'", "admin:d|ManageSubscription"),
    ("DROP SUBSCRIPTION s ON d.autogen", "admin:d|ManageSubscription"),
    ("CREATE USER x WITH PASSWORD 's3cret'", "admin|CreateUserAndRole"),
    ("CREATE USER x WITH PASSWORD 's3cret' WITH ALL PRIVILEGES", "admin|CreateUserAndRole"),
    ("DROP USER x", "admin|CreateUserAndRole"),
    ("SET PASSWORD FOR u = 's3cret'", "admin|CreateUserAndRole"),
    ("GRANT READ ON d TO u", "admin|CreateUserAndRole"),
    ("GRANT ALL PRIVILEGES TO u", "admin|CreateUserAndRole"),
    ("REVOKE READ ON d FROM u", "admin|CreateUserAndRole"),
    ("REVOKE ALL PRIVILEGES FROM u", "admin|CreateUserAndRole"),
    ("KILL QUERY 1", "admin|ManageQuery"),
    ("DROP META SERVER 1", "admin|AddRemoveNode"),
    ("DROP DATA SERVER 1", "admin|AddRemoveNode"),
];

fn parse(text: &str) -> Vec<Statement> {
    parse_query(text, &Params::new()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn wanted(text: &str) -> Vec<Need> {
    text.split_whitespace().map(wanted_one).collect()
}

/// `r:db` and `w:db` are the privileges of InfluxQL; behind `|` stand the permissions that will do, and where.
fn wanted_one(word: &str) -> Need {
    let (need, permissions) = word.split_once('|').unwrap_or((word, ""));
    let mut wanted = match need.split_once(':') {
        Some(("r", db)) => Need::read(db),
        Some(("w", db)) => Need::write(db),
        Some(("admin", db)) => Need { database: db.to_owned(), privilege: None, any_of: Permissions::NONE },
        _ => Need { database: String::new(), privilege: None, any_of: Permissions::NONE },
    };
    if !permissions.is_empty() {
        let named = permissions.split(',').map(|name| Permission::parse(name).expect("a permission"));
        wanted.any_of = Permissions::of(&named.collect::<Vec<_>>());
    }
    wanted
}

/// The databases `d`, `other` and `third`, and users after `commands`.
fn data(commands: &[Command]) -> Data {
    let databases = ["d", "other", "third"].map(|name| Command::CreateDatabase {
        name: name.to_owned(),
        policy: None,
        explicit: false,
    });
    let mut data = Data::default();
    for (index, command) in databases.iter().chain(commands).enumerate() {
        let facts = LeaderFacts { now: Timestamp(0), random: 1, shard_groups_max: 0 };
        data.apply(MetaIndex(index as u64 + 1), &facts, command).expect("accepted");
    }
    data
}

fn user(name: &str, admin: bool) -> Command {
    Command::CreateUser { name: name.to_owned(), hash: "x".to_owned(), admin }
}

fn grant(database: &str, privilege: Privilege) -> Command {
    Command::Grant { user: "u".to_owned(), database: database.to_owned(), privilege }
}

fn asker() -> Asker {
    Asker::User("u".to_owned())
}

/// What ALL on a database comes to.
const ALL_ON_A_DATABASE: [Permission; 6] = [
    Permission::CreateDatabase,
    Permission::DropData,
    Permission::ReadData,
    Permission::WriteData,
    Permission::ManageContinuousQuery,
    Permission::ManageSubscription,
];

fn requires(need: &Need) -> String {
    match need.privilege {
        None => "admin privilege".to_owned(),
        Some(Privilege::Read) => format!("READ on {}", need.database),
        Some(_) => format!("WRITE on {}", need.database),
    }
}

#[test]
fn every_kind_of_statement_needs_what_the_table_says() {
    for (text, want) in TABLE {
        let statements = parse(text);
        assert_eq!(needs(&statements[0], "d"), wanted(want), "{text}");
    }
    let kinds: std::collections::HashSet<_> =
        TABLE.iter().map(|(text, _)| std::mem::discriminant(&parse(text)[0])).collect();
    // As many as there are, so that a new kind is missed here.
    assert_eq!(kinds.len(), 42);
}

#[test]
fn every_statement_meets_every_privilege() {
    let levels = [None, Some(Privilege::None), Some(Privilege::Read), Some(Privilege::Write), Some(Privilege::All)];
    for (text, want) in TABLE {
        let (statements, want) = (parse(text), wanted(want));
        // All mixtures of privileges in three databases.
        for mixture in 0..levels.len().pow(3) {
            let at = |place: u32| levels[mixture / levels.len().pow(place) % levels.len()];
            let granted = [("d", at(0)), ("other", at(1)), ("third", at(2))];
            let mut commands = vec![user("u", false)];
            commands.extend(granted.iter().filter_map(|(db, level)| level.map(|level| grant(db, level))));
            let has = |db: &str, level: Privilege| {
                granted.iter().any(|(name, given)| *name == db && [Some(level), Some(Privilege::All)].contains(given))
            };
            let missing = want.iter().find(|need| match need.privilege {
                Some(privilege) => !has(&need.database, privilege),
                // ALL on a database comes to permissions that do for some statements.
                None => {
                    let all = [("d", at(0)), ("other", at(1))].contains(&(&*need.database, Some(Privilege::All)));
                    !(all && ALL_ON_A_DATABASE.iter().any(|permission| need.any_of.contains(*permission)))
                }
            });
            let told = missing.map(|need| {
                let (requires, canonical) = (requires(need), &statements[0]);
                format!(
                    "error authorizing query: u not authorized to execute statement '{canonical}', requires {requires}"
                )
            });
            let got = authorize(&data(&commands), &asker(), &statements, "d").map_err(|denied| denied.to_string());
            assert_eq!(got.err(), told, "{text} with {granted:?}");
        }
        let admin = data(&[user("u", true)]);
        assert_eq!(authorize(&admin, &asker(), &statements, "d"), Ok(()), "{text}");
        assert_eq!(authorize(&admin, &Asker::Anyone, &statements, ""), Ok(()), "{text}");
        let told =
            authorize(&data(&[user("u", false)]), &asker(), &statements, "d").map_err(|denied| denied.to_string());
        assert!(!told.err().unwrap_or_default().contains("s3cret"), "{text}");
    }
}

/// One permission at a time: for the cluster, for each of three databases, and by a role; given to somebody with no
/// privilege at all, and to somebody who may read and write everything else.
#[test]
fn every_statement_meets_every_permission() {
    let mut decided = 0;
    for (text, want) in TABLE {
        let (statements, want) = (parse(text), wanted(want));
        for permission in Permission::ALL {
            for place in ["", "d", "other", "third"] {
                if !place.is_empty() && !permission.is_of_databases() {
                    continue;
                }
                let permissions = PermissionMap::from([(place.to_owned(), Permissions::of(&[permission]))]);
                let to_user = vec![Command::AddPermissions { user: "u".to_owned(), permissions: permissions.clone() }];
                let role = "ops".to_owned();
                let by_role = vec![
                    Command::CreateRole { name: role.clone() },
                    Command::AddRolePermissions { role: role.clone(), permissions },
                    Command::AddRoleUsers { role, users: vec!["u".to_owned()] },
                ];
                for given in [to_user, by_role] {
                    let commands: Vec<_> = [user("u", false)].into_iter().chain(given).collect();
                    let missing = want.iter().find(|need| {
                        let there = place.is_empty() || place == need.database;
                        !(there && need.any_of.contains(permission))
                    });
                    let told = missing.map(requires);
                    let got =
                        authorize(&data(&commands), &asker(), &statements, "d").map_err(|denied| denied.to_string());
                    let got = got.err().map(|text| text.rsplit_once("requires ").expect("a need").1.to_owned());
                    assert_eq!(got, told, "{text} with {permission} on {place:?}");
                    decided += 1;
                }
            }
        }
    }
    assert_eq!(decided, TABLE.len() * (18 + 7 * 3) * 2);
}

#[test]
fn a_directory_gives_roles_and_makes_administrators() {
    let role = "ops".to_owned();
    let permissions = PermissionMap::from([("d".to_owned(), Permissions::of(&[Permission::ReadData]))]);
    let data = data(&[
        user("ann", true),
        Command::CreateRole { name: role.clone() },
        Command::AddRolePermissions { role: role.clone(), permissions },
    ]);
    let told = |admin: bool, roles: &[&str], text: &str| {
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        let asker = Asker::Directory { name: "ann".to_owned(), admin, roles };
        let seen = sees(&data, &asker, "d");
        (authorize(&data, &asker, &parse(text), "d").is_ok(), seen)
    };
    assert_eq!(told(false, &["ops"], "SELECT v FROM m"), (true, true));
    assert_eq!(told(false, &["ops"], "SELECT v FROM other..m"), (false, true));
    assert_eq!(
        told(false, &["gone"], "SELECT v FROM m"),
        (false, false),
        "what the cluster has of the name is nothing"
    );
    assert_eq!(told(true, &[], "SHOW USERS"), (true, true));
}

#[test]
fn forbidden_points_are_taken_out_and_counted() {
    let rule = meta::Rule {
        database: meta::Matcher::Exact("d".to_owned()),
        measurement: Some(meta::Matcher::Exact("m".to_owned())),
        tags: vec![meta::TagRule { key: "h".to_owned(), value: meta::Matcher::Exact("a".to_owned()) }],
        read: false,
        write: true,
    };
    let data = data(&[user("u", false), user("root", true), Command::CreateRestriction { rule }]);
    let mut batch = Batch::default();
    let points = [("m", "a"), ("m", "b"), ("m", "a"), ("n", "a")];
    for (time, (name, host)) in points.into_iter().enumerate() {
        let tags = model::Tags::new(vec![(b"h".to_vec(), host.as_bytes().to_vec())]);
        batch.push_point(name.as_bytes(), &tags, time as i64, &[(b"v", model::FieldValue::Float(1.0))]);
    }
    let at = |asker: &Asker, db| rules(&data, asker, db, Access::Write).expect("a user");
    let (kept, dropped) = without_forbidden(batch.clone(), &at(&asker(), "d"));
    assert_eq!((kept.row_count(), dropped), (2, 2));
    let times: Vec<i64> = kept.tables.iter().flat_map(|table| table.row_times.clone()).collect();
    assert_eq!(times, [1, 3]);
    for (asker, db) in [(Asker::User("root".to_owned()), "d"), (asker(), "other"), (Asker::Anyone, "d")] {
        assert_eq!(without_forbidden(batch.clone(), &at(&asker, db)), (batch.clone(), 0));
    }
    assert!(at(&asker(), "d").filter(b"m").accepts(&model::Tags::new(vec![])));
    assert!(rules(&data, &Asker::User("gone".to_owned()), "d", Access::Write).is_none());
}

#[test]
fn all_statements_are_looked_at_before_any_is_begun() {
    let data = data(&[user("u", false), grant("d", Privilege::All)]);
    let told = authorize(&data, &asker(), &parse("SHOW DATABASES; SELECT v FROM m; SHOW USERS"), "d");
    let want = "error authorizing query: u not authorized to execute statement 'SHOW USERS', requires admin privilege";
    assert_eq!(told.expect_err("refused").to_string(), want);
    let told = authorize(&data, &asker(), &parse("SELECT v FROM m"), "");
    let want = "error authorizing query: u not authorized to execute statement 'SELECT v FROM m', requires READ on ";
    assert_eq!(told.expect_err("refused").to_string(), want);
    let gone = Asker::User("gone".to_owned());
    let told = authorize(&data, &gone, &parse("SHOW DATABASES"), "").expect_err("refused").to_string();
    assert_eq!(told, "error authorizing query: user not found");
}

#[test]
fn only_the_first_administrator_is_made_by_nobody() {
    let first = "CREATE USER a WITH PASSWORD 'x' WITH ALL PRIVILEGES";
    let (new, later) = (data(&[]), data(&[user("u", false)]));
    for (text, want) in [
        (first.to_owned(), ""),
        (format!("{first}; CREATE DATABASE x"), ""),
        (format!("CREATE DATABASE x; {first}"), "create admin user first or disable authentication"),
        ("CREATE USER a WITH PASSWORD 'x'".to_owned(), "create admin user first or disable authentication"),
        ("SHOW DATABASES".to_owned(), "create admin user first or disable authentication"),
    ] {
        let told = authorize(&new, &Asker::Nobody, &parse(&text), "").map_err(|denied| denied.to_string());
        let want = (!want.is_empty()).then(|| format!("error authorizing query: {want}"));
        assert_eq!(told.err(), want, "{text}");
        let told = authorize(&later, &Asker::Nobody, &parse(&text), "").expect_err("refused").to_string();
        assert_eq!(told, "error authorizing query: no user provided", "{text}");
    }
}

#[test]
fn databases_without_a_grant_are_not_seen() {
    let data =
        data(&[user("u", false), user("a", true), grant("d", Privilege::Write), grant("other", Privilege::None)]);
    let seen = |asker: &Asker| ["d", "other", "third"].map(|db| sees(&data, asker, db));
    assert_eq!(seen(&asker()), [true, false, false]);
    assert_eq!(seen(&Asker::User("a".to_owned())), [true; 3]);
    assert_eq!(seen(&Asker::User("gone".to_owned())), [false; 3]);
    assert_eq!(seen(&Asker::Anyone), [true; 3]);
}
