//! Files and what becomes of them.

use std::io::Write as _;

use api_client::{ClientConfig, Write as Target};
use expect_test::expect;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;
use crate::testing::{Answers, heard, server};

const FILE: &str = "\
# DDL
CREATE DATABASE pirates
SELEC

# a comment

# DML
# CONTEXT-DATABASE: pirates
# CONTEXT-RETENTION-POLICY:oneday

treasures,captain_id=crunch value=1 1
bad
#comment
treasures,captain_id=crunch value=2 2
# CONTEXT-DATABASE: other
x v=1 1
x v=2 2";

const ANSWERS: Answers = &[
    ("q=CREATE", 200, "{\"results\":[{\"statement_id\":0}]}\n"),
    ("q=SELEC", 400, "{\"error\":\"error parsing query: found SELEC\"}\n"),
    ("db=pirates", 400, "{\"error\":\"partial write: unable to parse 'bad': missing fields dropped=0\"}\n"),
];

/// Keeps lines; those that complain have a mark.
#[derive(Default)]
struct Kept(String);

impl Log for Kept {
    fn say(&mut self, line: &str) {
        self.0.push_str(&format!("{line}\n"));
    }

    fn complain(&mut self, line: &str) {
        self.0.push_str(&format!("! {line}\n"));
    }

    fn progress(&mut self, _: u64) {}
}

fn import(path: &std::path::Path) -> Import {
    let target = Target { consistency: "all".to_owned(), ..Target::default() };
    Import { path: path.display().to_string(), compressed: false, points_per_second: 0, target }
}

/// What the importer says, and what the server hears.
async fn imported(import: &Import) -> (Result<Summary, ImportError>, String, Vec<String>) {
    let (address, mut requests) = server(ANSWERS).await;
    let config = ClientConfig {
        address,
        tls: tls::ClientSettings::default(),
        credentials: None,
        user_agent: "test".to_owned(),
        connect_timeout: Duration::from_secs(10),
        answer_timeout: None,
    };
    let env = Env::real();
    let client = Client::new(env.clone(), config).expect("a client");
    let mut log = Kept::default();
    let summary = import.run(&env, &client, &mut log).await;
    (summary, log.0, heard(&mut requests))
}

#[tokio::test]
async fn statements_are_run_and_points_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file");
    std::fs::write(&path, FILE).expect("written");
    let (summary, said, requests) = imported(&import(&path)).await;
    assert_eq!(summary.expect("imported"), Summary { commands: 2, inserts: 2, failed: 3 });
    expect![[r#"
        ! error: error parsing query: found SELEC
        ! error writing batch:  {"error":"partial write: unable to parse 'bad': missing fields dropped=0"}

        ! treasures,captain_id=crunch value=1 1
        bad
        treasures,captain_id=crunch value=2 2
        Processed 2 commands
        Processed 2 inserts
        Failed 3 inserts
    "#]]
    .assert_eq(&said);
    let points = "treasures,captain_id=crunch value=1 1\nbad\ntreasures,captain_id=crunch value=2 2\n";
    let want = [
        "post /query http/1.1 q=CREATE+DATABASE+pirates".to_owned(),
        "post /query http/1.1 q=SELEC".to_owned(),
        format!("post /write?db=pirates&rp=oneday&consistency=all http/1.1 {points}"),
        "post /write?db=other&rp=oneday&consistency=all http/1.1 x v=1 1\nx v=2 2\n".to_owned(),
    ];
    assert_eq!(requests, want);
}

#[tokio::test]
async fn compressed_files_are_unpacked() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file.gz");
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(FILE.as_bytes()).expect("memory");
    std::fs::write(&path, encoder.finish().expect("memory")).expect("written");
    let (summary, _, requests) = imported(&Import { compressed: true, ..import(&path) }).await;
    assert_eq!(summary.expect("imported"), Summary { commands: 2, inserts: 2, failed: 3 });
    assert_eq!(requests.len(), 4);
}

#[tokio::test]
async fn many_points_go_in_batches() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file");
    let mut text = "# DML\n# CONTEXT-DATABASE: d\n".to_owned();
    for point in 0..2 * BATCH_LINE_COUNT + 1 {
        text.push_str(&format!("m v={point}\n"));
    }
    std::fs::write(&path, text).expect("written");
    let (summary, said, requests) = imported(&import(&path)).await;
    assert_eq!(summary.expect("imported").inserts, 2 * BATCH_LINE_COUNT + 1);
    assert_eq!(requests.len(), 3);
    assert!(said.ends_with("Processed 10001 inserts\nFailed 0 inserts\n"));
}

#[tokio::test]
async fn a_missing_file_is_told() {
    let (summary, _, _) = imported(&import(std::path::Path::new("/nonexistent"))).await;
    let error = summary.expect_err("missing");
    assert_eq!(error.to_string(), "open /nonexistent: No such file or directory (os error 2)");
}

#[test]
fn slow_imports_have_small_batches() {
    assert_eq!((batch_size(0), batch_size(7), batch_size(1_000_000)), (BATCH_LINE_COUNT, 7, BATCH_LINE_COUNT));
}

#[test]
fn durations_are_readable() {
    let text = |millis| duration_text(Duration::from_millis(millis));
    assert_eq!((text(0).as_str(), text(1_500).as_str()), ("0s", "1.5s"));
    assert_eq!((text(61_000).as_str(), text(3_600_250).as_str()), ("1m1s", "1h0m0.25s"));
}
