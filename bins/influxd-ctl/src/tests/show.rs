//! Members and shards as servers tell them; the tables themselves are tested where they are made.

use expect_test::expect;

use super::*;

const CLUSTER: &str = r#"200 {"data":[{"id":4,"tcpAddr":"data1:8088","httpAddr":"data1:8086","addr":"data1:8086","httpScheme":"http","status":"joined","version":"1.12.4-c1.12.4","labels":{}}],"meta":[{"id":1,"addr":"meta1:8091","httpScheme":"http","tcpAddr":"meta1:8089","version":"1.12.4-c1.12.4","labels":{"az":"us-west"}}],"more":1}"#;

#[tokio::test]
async fn members_are_shown() {
    let status = r#"200 {"nodeType":"meta","leader":"meta1:8089","peers":["meta1:8089","meta2:8089"]}"#;
    let answers = [("GET /show-cluster", CLUSTER), ("GET /status", status)];
    let mut meta = Fake::start("127.40.30.1:8091", &answers).await;
    expect![[r#"
        Data Nodes
        ==========
        ID      TCP Address  Version
        4       data1:8088   1.12.4-c1.12.4

        Meta Nodes
        ==========
        TCP Address  Version
        meta1:8091   1.12.4-c1.12.4
    "#]]
    .assert_eq(&ctl("-bind 127.40.30.1 show").await);
    expect![[r#"
        Data Nodes
        ==========
        ID      TCP Address  HTTP Address  Version         Labels  Passive
        4       data1:8088   data1:8086    1.12.4-c1.12.4  {}      false

        Meta Nodes
        ==========
        ID      Raft Address  HTTP Address  Version         Labels
        1       meta1:8089    meta1:8091    1.12.4-c1.12.4  {"az":"us-west"}

        Raft Status
        ==========
        Leader  meta1:8089
        Peers   ["meta2:8089"]
    "#]]
    .assert_eq(&ctl("-bind 127.40.30.1 show -v").await);
    let json = ctl("-bind 127.40.30.1 show -json").await;
    assert_eq!(format!("200 {json}"), format!("{CLUSTER}\n"));
    expect![[r#"
        GET /show-cluster
        GET /show-cluster
        GET /status
        GET /show-cluster
    "#]]
    .assert_eq(&meta.heard());
    expect![[r#"
        ! show: unexpected extra arguments: [all of it]
        ! Run 'influxd-ctl show -h' for usage
        exit 1
    "#]]
    .assert_eq(&ctl("show -v all of it").await);
}

#[tokio::test]
async fn a_cluster_without_members_is_shown() {
    let _meta = Fake::start("127.40.31.1:8091", &[("GET /show-cluster", r#"200 {"data":null,"meta":null}"#)]).await;
    expect![[r#"
        Data Nodes
        ==========
        ID      TCP Address  Version

        Meta Nodes
        ==========
        TCP Address  Version
    "#]]
    .assert_eq(&ctl("-bind 127.40.31.1 show").await);
}

#[tokio::test]
async fn shards_are_shown() {
    let shards = r#"200 [{"id":21,"database":"telegraf","retention-policy":"autogen","replica-n":2,"shard-group-id":37,"start-time":"2017-01-26T17:00:00Z","end-time":"2017-01-26T18:00:00Z","expire-time":"0001-01-01T00:00:00Z","truncated-at":"0001-01-01T00:00:00Z","owners":[{"id":4,"tcpAddr":"data1:8088"},{"id":5,"tcpAddr":"data2:8088"}]},{"id":20,"database":"old","retention-policy":"oneday","replica-n":1,"shard-group-id":36,"start-time":"2017-01-26T00:00:00Z","end-time":"2017-01-27T00:00:00Z","expire-time":"2017-01-28T00:00:00Z","truncated-at":"0001-01-01T00:00:00Z","owners":[{"id":4,"tcpAddr":"data1:8088"}]}]"#;
    let verbose = r#"200 [{"id":21,"database":"telegraf","retention-policy":"autogen","replica-n":2,"shard-group-id":37,"start-time":"2017-01-26T17:00:00Z","end-time":"2017-01-26T18:00:00Z","owners":[{"id":4,"tcpAddr":"data1:8088","state":"cold","last-modified":"2017-01-26T17:59:59.5Z","size":99,"err":""}]}]"#;
    let answers = [
        ("GET /show-shards", shards),
        ("GET /show-shards?verbose=true", verbose),
        ("GET /show-shards?verbose=true&missing=true", "200 null"),
    ];
    let mut meta = Fake::start("127.40.32.1:8091", &answers).await;
    expect![[r#"
        Shards
        ==========
        ID  Database  Retention Policy  Desired Replicas  Shard Group  Start                 End                   Expires  Owners
        21  telegraf  autogen           2                 37           2017-01-26T17:00:00Z  2017-01-26T18:00:00Z           [{ID:4 TCPAddr:data1:8088} {ID:5 TCPAddr:data2:8088}]
    "#]].assert_eq(&ctl("-bind 127.40.32.1 show-shards").await);
    expect![[r#"
        Shards
        ==========
        ID  Database  Retention Policy  Desired Replicas  Shard Group  Start                 End                   Expires               Owners
        20  old       oneday            1                 36           2017-01-26T00:00:00Z  2017-01-27T00:00:00Z  2017-01-28T00:00:00Z  [{4 data1:8088}]
        21  telegraf  autogen           2                 37           2017-01-26T17:00:00Z  2017-01-26T18:00:00Z                        [{4 data1:8088} {5 data2:8088}]
    "#]].assert_eq(&ctl("-bind 127.40.32.1 show-shards -e -legacy-owners").await);
    expect![[r#"
        Shards
        ==========
        ID  Database  Retention Policy  Desired Replicas  Shard Group  Start                 End                   Expires  Owners
        21  telegraf  autogen           2                 37           2017-01-26T17:00:00Z  2017-01-26T18:00:00Z           [{ID:4 TCPAddr:data1:8088 State:cold LastModified:2017-01-26T17:59:59.5Z Size:99 Err:nil}]
    "#]].assert_eq(&ctl("-bind 127.40.32.1 show-shards -v").await);
    expect![[r#"
        Shards
        ==========
        ID  Database  Retention Policy  Desired Replicas  Shard Group  Start  End  Expires  Owners
    "#]]
    .assert_eq(&ctl("-bind 127.40.32.1 show-shards -m").await);
    expect![[r#"
        GET /show-shards
        GET /show-shards
        GET /show-shards?verbose=true
        GET /show-shards?verbose=true&missing=true
    "#]]
    .assert_eq(&meta.heard());
    expect![[r#"
        ! show-shards: unexpected extra arguments: [21 22]
        ! Run 'influxd-ctl show-shards -h' for usage
        exit 1
    "#]]
    .assert_eq(&ctl("show-shards 21 22").await);
}

/// Where scripts do not look, and people do.
#[tokio::test]
async fn open_ports_are_warned_of_on_standard_error() {
    let open = r#"200 {"data":null,"meta":null,"openPorts":true}"#;
    let _meta = Fake::start("127.40.35.1:8091", &[("GET /show-cluster", open)]).await;
    let warned = ctl("-bind 127.40.35.1:8091 show").await;
    let _other = Fake::start("127.40.36.1:8091", &[("GET /show-cluster", r#"200 {"openPorts":false}"#)]).await;
    let silent = ctl("-bind 127.40.36.1:8091 show").await;
    assert!(!silent.contains("! "), "{silent}");
    let warnings: Vec<&str> = warned.lines().filter(|line| line.starts_with("! ")).collect();
    assert!(matches!(&warnings[..], [one] if one.contains("open to everyone who reaches them")), "{warned}");
    assert_eq!(warned.lines().filter(|line| !line.starts_with("! ")).count(), silent.lines().count());
}
