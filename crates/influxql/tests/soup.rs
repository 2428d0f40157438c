//! Texts that are nearly InfluxQL. Whatever they are, parsing them comes back; and what parses, reads back.

use std::path::Path;

use influxql::fuzzing::{fuzz_params, fuzz_parse};
use proptest::prelude::*;
use proptest::sample::select;

const CASES: u32 = 1_000;

const FRAGMENTS: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP BY",
    "ORDER BY",
    "LIMIT",
    "OFFSET",
    "SLIMIT",
    "SOFFSET",
    "INTO",
    "AS",
    "time",
    "ASC",
    "DESC",
    "AND",
    "OR",
    "DISTINCT",
    "fill",
    "tz",
    "null",
    "none",
    "now()",
    "mean",
    "v",
    "m",
    "\"a b\"",
    "'x'",
    "'",
    "\"",
    "\\",
    "/x/",
    "/",
    "$x",
    "$",
    "1",
    "1.5",
    ".5",
    "10.",
    "1h30m",
    "9223372036854775808",
    "-",
    "+",
    "*",
    "%",
    "&",
    "|",
    "^",
    "=",
    "!=",
    "<>",
    "<",
    "<=",
    ">",
    ">=",
    "=~",
    "!~",
    "(",
    ")",
    ",",
    ".",
    "..",
    ":",
    "::",
    ";",
    "--",
    "/*",
    "*/",
    "\n",
    "\r",
    "\0",
    "\t",
    "é",
    "µ",
    "SHOW",
    "DATABASES",
    "SERIES",
    "TAG",
    "KEY",
    "KEYS",
    "VALUES",
    "FIELD",
    "MEASUREMENT",
    "MEASUREMENTS",
    "EXACT",
    "CARDINALITY",
    "WITH",
    "IN",
    "ON",
    "RETENTION",
    "POLICY",
    "POLICIES",
    "CONTINUOUS",
    "QUERY",
    "QUERIES",
    "CREATE",
    "ALTER",
    "DROP",
    "DELETE",
    "DATABASE",
    "SHARD",
    "SHARDS",
    "DURATION",
    "REPLICATION",
    "DEFAULT",
    "INF",
    "NAME",
    "FUTURE LIMIT",
    "PAST LIMIT",
    "SUBSCRIPTION",
    "DESTINATIONS",
    "ALL",
    "ANY",
    "USER",
    "PASSWORD",
    "GRANT",
    "REVOKE",
    "READ",
    "WRITE",
    "PRIVILEGES",
    "TO",
    "SET",
    "FOR",
    "KILL",
    "EXPLAIN",
    "ANALYZE",
    "VERBOSE",
    "RESAMPLE",
    "EVERY",
    "BEGIN",
    "END",
    "SERVERS",
    "META SERVER",
    "float",
    "field",
    "tag",
    "integer",
    "true",
    "FALSE",
    "IF NOT EXISTS",
];

/// Statements that parse, to be damaged.
const WHOLE: &[&str] = &[
    "SELECT mean(v), \"a b\"::float AS x INTO d.r.:MEASUREMENT FROM a..m, /x/, (SELECT -v FROM n) \
     WHERE t =~ /a\\/b/ AND time > now() - 1h30m OR (i = -9223372036854775808 AND s != 'it\\'s') \
     GROUP BY time(10m, -1m), *, /re/ fill(-1.5) ORDER BY time DESC LIMIT 1 OFFSET 2 SLIMIT 3 SOFFSET 4 tz('UTC')",
    "SHOW TAG VALUES EXACT CARDINALITY ON d FROM m WITH KEY IN (a, \"b c\") WHERE x = 'y' GROUP BY z LIMIT 1",
    "SHOW MEASUREMENTS ON *.* WITH MEASUREMENT =~ /x/ WHERE a = 1 ORDER BY DESC LIMIT 2 OFFSET 3",
    "CREATE CONTINUOUS QUERY c ON d RESAMPLE EVERY 1m FOR 1h BEGIN SELECT max(v) INTO x FROM m GROUP BY time(5m) END",
    "CREATE DATABASE d WITH DURATION 3d REPLICATION 2 SHARD DURATION 30m FUTURE LIMIT 1h PAST LIMIT 2h NAME \"r p\"",
    "CREATE USER u WITH PASSWORD 'secret' WITH ALL PRIVILEGES; SET PASSWORD FOR \"u x\" = 'secret'",
    "CREATE SUBSCRIPTION s ON d.r DESTINATIONS ANY 'udp://a:1', 'http://b:2'; DROP SUBSCRIPTION s ON d.r",
    "GRANT ALL PRIVILEGES ON d TO u; REVOKE READ ON d FROM u; KILL QUERY 5 ON \"h:1\"; DROP DATA SERVER 3",
];

/// Pieces of a statement: words, or single characters of what is between them.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    for ch in text.chars() {
        match pieces.last_mut() {
            Some(last) if ch.is_alphanumeric() && last.ends_with(char::is_alphanumeric) => last.push(ch),
            _ => pieces.push(ch.to_string()),
        }
    }
    pieces
}

fn soup() -> impl Strategy<Value = String> {
    let separator = select(["", " "].as_slice());
    prop::collection::vec((select(FRAGMENTS), separator), 0..40)
        .prop_map(|parts| parts.into_iter().flat_map(|(fragment, separator)| [fragment, separator]).collect())
}

fn damaged() -> impl Strategy<Value = String> {
    let edit = (any::<prop::sample::Index>(), 0..4u8, select(FRAGMENTS));
    (select(WHOLE), prop::collection::vec(edit, 1..4)).prop_map(|(whole, edits)| {
        let mut pieces = pieces(whole);
        for (at, kind, fragment) in edits {
            let at = at.index(pieces.len().max(1));
            match kind {
                0 if at < pieces.len() => drop(pieces.remove(at)),
                1 => pieces.insert(at, fragment.to_owned()),
                2 if at < pieces.len() => pieces[at] = fragment.to_owned(),
                _ => pieces.truncate(at),
            }
        }
        pieces.concat()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_words(text in soup()) {
        fuzz_parse(text.as_bytes());
    }

    #[test]
    fn random_select(text in soup()) {
        fuzz_parse(format!("SELECT v FROM m {text}").as_bytes());
        fuzz_parse(format!("SELECT {text} FROM m").as_bytes());
        fuzz_parse(format!("SELECT v FROM m WHERE {text}").as_bytes());
    }

    #[test]
    fn damaged_statements(text in damaged()) {
        fuzz_parse(text.as_bytes());
    }

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..64), text in any::<String>()) {
        fuzz_parse(&bytes);
        fuzz_parse(text.as_bytes());
        fuzz_params(&bytes);
        fuzz_params(format!("{{\"x\": {text}}}").as_bytes());
    }
}

#[test]
fn whole_statements_are_whole() {
    for text in WHOLE {
        influxql::parse_query(text, &influxql::Params::new()).expect(text);
    }
}

/// Every prefix of every recorded query.
#[test]
fn truncated_cases() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    for entry in std::fs::read_dir(folder).expect("the folder of cases") {
        let text = std::fs::read_to_string(entry.expect("an entry").path()).expect("a readable file");
        for query in text.lines().filter_map(|line| line.strip_prefix("> ")) {
            for (end, _) in query.char_indices() {
                fuzz_parse(&query.as_bytes()[..end]);
            }
        }
    }
}
