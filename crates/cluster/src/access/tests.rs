use influxql::{Params, parse_query};
use meta::{Command, LeaderFacts};
use model::{MetaIndex, Timestamp};

use super::*;

/// Every kind of statement, and what it needs where the request names the database `d`: `admin`, or `r` and `w` with the
/// databases that are read and written.
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
    ("DELETE FROM m", "w:d"),
    ("DELETE WHERE time < 0", "w:d"),
    ("DROP SERIES FROM m", "w:d"),
    ("DROP MEASUREMENT m", "admin"),
    ("DROP SHARD 1", "admin"),
    ("SHOW MEASUREMENTS", "r:d"),
    ("SHOW MEASUREMENTS ON other", "r:other"),
    ("SHOW MEASUREMENTS ON other.autogen", "r:other"),
    ("SHOW MEASUREMENTS ON other.*", "r:other"),
    ("SHOW MEASUREMENTS ON *.*", "admin"),
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
    ("SHOW RETENTION POLICIES", "r:d"),
    ("SHOW RETENTION POLICIES ON other", "r:other"),
    ("SHOW CONTINUOUS QUERIES", "r:d"),
    ("SHOW QUERIES", "r:d"),
    ("SHOW USERS", "admin"),
    ("SHOW GRANTS FOR u", "admin"),
    ("SHOW SUBSCRIPTIONS", "admin"),
    ("SHOW SHARDS", "admin"),
    ("SHOW SHARD GROUPS", "admin"),
    ("SHOW SERVERS", "admin"),
    ("SHOW STATS", "admin"),
    ("SHOW DIAGNOSTICS", "admin"),
    ("CREATE DATABASE x", "admin"),
    ("DROP DATABASE d", "admin"),
    ("CREATE RETENTION POLICY x ON d DURATION 1d REPLICATION 1", "admin"),
    ("ALTER RETENTION POLICY x ON d DEFAULT", "admin"),
    ("DROP RETENTION POLICY x ON other", "w:other"),
    ("CREATE CONTINUOUS QUERY c ON d BEGIN SELECT mean(v) INTO t FROM m GROUP BY time(1m) END", "r:d r:d w:d"),
    (
        "CREATE CONTINUOUS QUERY c ON other BEGIN SELECT mean(v) INTO third..t FROM d..m GROUP BY time(1m) END",
        "r:other r:d w:third",
    ),
    ("DROP CONTINUOUS QUERY c ON other", "w:other"),
    ("CREATE SUBSCRIPTION s ON d.autogen DESTINATIONS ALL 'udp://h:1'", "admin"),
    ("DROP SUBSCRIPTION s ON d.autogen", "admin"),
    ("CREATE USER x WITH PASSWORD 's3cret'", "admin"),
    ("CREATE USER x WITH PASSWORD 's3cret' WITH ALL PRIVILEGES", "admin"),
    ("DROP USER x", "admin"),
    ("SET PASSWORD FOR u = 's3cret'", "admin"),
    ("GRANT READ ON d TO u", "admin"),
    ("GRANT ALL PRIVILEGES TO u", "admin"),
    ("REVOKE READ ON d FROM u", "admin"),
    ("REVOKE ALL PRIVILEGES FROM u", "admin"),
    ("KILL QUERY 1", "admin"),
    ("DROP META SERVER 1", "admin"),
    ("DROP DATA SERVER 1", "admin"),
];

fn parse(text: &str) -> Vec<Statement> {
    parse_query(text, &Params::new()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn wanted(text: &str) -> Vec<Need> {
    let need = |word: &str| match word.split_once(':') {
        Some(("r", db)) => Need::Read(db.to_owned()),
        Some(("w", db)) => Need::Write(db.to_owned()),
        _ => Need::Admin,
    };
    text.split_whitespace().map(need).collect()
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
            let missing = want.iter().find(|need| match need {
                Need::Admin => true,
                Need::Read(db) => !has(db, Privilege::Read),
                Need::Write(db) => !has(db, Privilege::Write),
            });
            let told = missing.map(|need| {
                let requires = match need {
                    Need::Admin => "admin privilege".to_owned(),
                    Need::Read(db) => format!("READ on {db}"),
                    Need::Write(db) => format!("WRITE on {db}"),
                };
                let canonical = &statements[0];
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
