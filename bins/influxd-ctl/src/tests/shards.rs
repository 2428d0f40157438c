//! Shard groups, copies and labels.

use expect_test::expect;

use super::*;

#[tokio::test]
async fn shard_groups_are_cut() {
    let mut meta = Fake::start("127.40.40.1:8091", &[("POST /truncate-shards", "204")]).await;
    expect![[r#"
        Truncated shards.
    "#]]
    .assert_eq(&ctl("-bind 127.40.40.1 truncate-shards").await);
    expect![[r#"
        Truncated shards.
    "#]]
    .assert_eq(&ctl("-bind 127.40.40.1 truncate-shards -delay 90s").await);
    expect![[r#"
        POST /truncate-shards form: delay=1m0s
        POST /truncate-shards form: delay=1m30s
    "#]]
    .assert_eq(&meta.heard());
    expect![[r#"
        ! truncate-shards: unexpected extra arguments: [5m]
        ! Run 'influxd-ctl truncate-shards -h' for usage
        exit 1
    "#]]
    .assert_eq(&ctl("truncate-shards 5m").await);
}

#[tokio::test]
async fn a_copy_is_removed() {
    let answers =
        [("POST /remove-shard", "204"), ("POST /remove-shard", r#"400 {"error":"shard not found for id: 31"}"#)];
    let mut meta = Fake::start("127.40.41.1:8091", &answers).await;
    expect![[r#"
        Removed shard 31 from data1:8088
    "#]]
    .assert_eq(&ctl("-bind 127.40.41.1 remove-shard data1:8088 31").await);
    expect![[r#"
        ! remove-shard: operation exited with error: shard not found for id: 31
        exit 1
    "#]]
    .assert_eq(&ctl("-bind 127.40.41.1 remove-shard data1:8088 031").await);
    expect![[r#"
        POST /remove-shard form: src=data1%3A8088&shard=31
        POST /remove-shard form: src=data1%3A8088&shard=31
    "#]]
    .assert_eq(&meta.heard());
    for (line, want) in [
        ("remove-shard", "srcAddr is required"),
        ("remove-shard a", "shardID is required"),
        ("remove-shard a 1 b", "unknown argument: b"),
        ("remove-shard a x", "error converting shardID to int: x"),
        ("remove-shard a 1.5", "error converting shardID to int: 1.5"),
        ("remove-shard a 0", "shardID must be greater than 0"),
        ("remove-shard a -- -4", "shardID must be greater than 0"),
    ] {
        let want = format!("! remove-shard: {want}\n! Run 'influxd-ctl remove-shard -h' for usage\nexit 1\n");
        assert_eq!(ctl(line).await, want, "{line}");
    }
}

#[tokio::test]
async fn labels_are_set_and_deleted() {
    let answers = [("POST /node-labels", "204"), ("POST /node-labels", r#"400 {"error":"node not found"}"#)];
    let mut meta = Fake::start("127.40.42.1:8091", &answers).await;
    let bind = "-bind 127.40.42.1 node-labels";
    expect![[r#""#]].assert_eq(&ctl(&format!(r#"{bind} set -nodeid 4 -labels {{"az":"us-west","rack":"7"}}"#)).await);
    expect![[r#"
        ! node-labels: operation exited with error: node not found
        exit 1
    "#]]
    .assert_eq(&ctl(&format!(r#"{bind} delete -nodeid=4 -labels=["az"]"#)).await);
    expect![[r#"
        POST /node-labels application/json: {"delete":[],"nodeID":4,"set":{"az":"us-west","rack":"7"}}
        POST /node-labels application/json: {"delete":["az"],"nodeID":4,"set":{}}
    "#]]
    .assert_eq(&meta.heard());
    let mut said = String::new();
    for line in [
        "node-labels",
        "node-labels change -nodeid 4 -labels {}",
        "node-labels set -labels {}",
        "node-labels set -nodeid 0 -labels {}",
        "node-labels set -nodeid 4",
        "node-labels set -nodeid 4 -labels {} x",
        "node-labels set -nodeid 4 -labels [\"az\"]",
        "node-labels set -nodeid 4 -labels {\"az\":1}",
        "node-labels delete -nodeid 4 -labels {\"az\":\"x\"}",
        "node-labels delete -nodeid 4 -labels [\"az\"",
    ] {
        said.push_str(&ctl(line).await);
    }
    let said = said.replace("! Run 'influxd-ctl node-labels -h' for usage\nexit 1\n", "");
    expect![[r#"
        ! node-labels: set or delete is required
        ! node-labels: unknown command "change"
        ! node-labels: -nodeid is required
        ! node-labels: -nodeid is required
        ! node-labels: -labels is required
        ! node-labels: unexpected extra arguments: [x]
        ! node-labels: invalid -labels: it must be an object of texts, like {"az":"us-west"}: invalid type: sequence, expected a map at line 1 column 0
        ! node-labels: invalid -labels: it must be an object of texts, like {"az":"us-west"}: invalid type: integer `1`, expected a string at line 1 column 7
        ! node-labels: invalid -labels: it must be a list of keys, like ["az"]: invalid type: map, expected a sequence at line 1 column 0
        ! node-labels: invalid -labels: it must be a list of keys, like ["az"]: EOF while parsing a list at line 1 column 5
    "#]].assert_eq(&said);
    assert!(
        ctl("node-labels set -nodeid x").await.starts_with("! node-labels: invalid value \"x\" for flag -nodeid: ")
    );
}
