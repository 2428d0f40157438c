//! Adding, removing and updating nodes.

use expect_test::expect;

use super::*;

#[tokio::test]
async fn a_meta_node_is_added() {
    let answer = r#"200 {"id":2,"addr":"meta2:8091","httpScheme":"http","tcpAddr":"meta2:8089","version":"x"}"#;
    let mut meta = Fake::start("127.40.1.1:8091", &[("POST /join", answer)]).await;
    expect![[r#"
        Added meta node 2 at meta2:8091
    "#]]
    .assert_eq(&ctl("-bind 127.40.1.1:8091 add-meta meta2:8091").await);
    expect![[r#"
        POST /join form: addr=meta2%3A8091
    "#]]
    .assert_eq(&meta.heard());
}

#[tokio::test]
async fn a_data_node_is_added() {
    let answer = r#"200 {"id":4,"tcpAddr":"data1:8088","httpAddr":"data1:8086","status":"joined"}"#;
    let mut meta = Fake::start("127.40.2.1:8091", &[("POST /add-data", answer)]).await;
    expect![[r#"
        Added data node 4 at data1:8088
    "#]]
    .assert_eq(&ctl("-bind=127.40.2.1 add-data data1:8088").await);
    expect![[r#"
        Added data node 4 at data1:8088
    "#]]
    .assert_eq(&ctl("--bind 127.40.2.1 add-data -p data1:8088").await);
    expect![[r#"
        POST /add-data form: addr=data1%3A8088
        POST /add-data form: addr=data1%3A8088&passive=true
    "#]]
    .assert_eq(&meta.heard());
}

/// A server that leaves keys out, or says nothing, has still done it.
#[tokio::test]
async fn short_answers_are_understood() {
    let answers = [("POST /add-data", r#"200 {"id":4,"later":[]}"#), ("POST /update-data", "204")];
    let _meta = Fake::start("127.40.3.1:8091", &answers).await;
    expect![[r#"
        Added data node 4 at data1:8088
    "#]]
    .assert_eq(&ctl("-bind 127.40.3.1 add-data data1:8088").await);
    expect![[r#"
        Updated data node to data3:8088
    "#]]
    .assert_eq(&ctl("-bind 127.40.3.1 update-data data1:8088 data3:8088").await);
}

#[tokio::test]
async fn nodes_are_added_through_any_meta_node() {
    let answer = r#"200 {"id":3,"addr":"meta3:8091"}"#;
    let mut leader = Fake::start("127.40.4.2:8091", &[("POST /join", answer)]).await;
    let mut follower = Fake::start("127.40.4.1:8091", &[("POST /join", "307 http://127.40.4.2:8091/join")]).await;
    let line = "-bind 127.40.4.1:8091 -auth-type Basic -user admin -pwd pass:word add-meta meta3:8091";
    expect![[r#"
        Added meta node 3 at meta3:8091
    "#]]
    .assert_eq(&ctl(line).await);
    let (first, second) = (follower.heard(), leader.heard());
    expect![[r#"
        POST /join form: addr=meta3%3A8091 [Basic YWRtaW46cGFzczp3b3Jk]
    "#]]
    .assert_eq(&first);
    assert_eq!(first, second);
}

#[tokio::test]
async fn a_data_node_is_removed() {
    let mut meta = Fake::start("127.40.5.1:8091", &[("POST /remove-data", "204")]).await;
    expect![[r#"
        Removed data node at data1:8088
    "#]]
    .assert_eq(&ctl("-bind 127.40.5.1 remove-data data1:8088").await);
    expect![[r#"
        Removed data node at data1:8088
    "#]]
    .assert_eq(&ctl("-bind 127.40.5.1 remove-data -force data1:8088").await);
    expect![[r#"
        POST /remove-data form: addr=data1%3A8088
        POST /remove-data form: addr=data1%3A8088&force=true
    "#]]
    .assert_eq(&meta.heard());
}

#[tokio::test]
async fn a_data_node_gets_another_address() {
    let answer = r#"200 {"id":4,"tcpAddr":"data3:8088"}"#;
    let mut meta = Fake::start("127.40.6.1:8091", &[("POST /update-data", answer)]).await;
    expect![[r#"
        Updated data node 4 to data3:8088
    "#]]
    .assert_eq(&ctl("-bind 127.40.6.1 update-data data1:8088 data3:8088").await);
    expect![[r#"
        Updated data node 4 to data3:8088
    "#]]
    .assert_eq(&ctl("-bind 127.40.6.1 update-data data3:8088 data3:8088").await);
    expect![[r#"
        POST /update-data form: oldAddr=data1%3A8088&newAddr=data3%3A8088
        POST /update-data form: oldAddr=data3%3A8088&newAddr=data3%3A8088
    "#]]
    .assert_eq(&meta.heard());
}

const MEMBER: &str = r#"200 {"nodeType":"meta","leader":"m1:8089","httpAddr":"m2:8091","raftAddr":"m2:8089","peers":["m1:8089","m2:8089"],"incarnation":"1"}"#;

/// The same one, about to stop; and after it was started again.
const LEAVES: &str = r#"200 {"nodeType":"meta","leader":"","peers":null,"incarnation":"1"}"#;
const WAITS: &str = r#"200 {"nodeType":"meta","leader":"","peers":null,"incarnation":"2"}"#;

#[tokio::test]
async fn a_meta_node_is_told_to_leave_and_waited_for() {
    let status = |answer| ("GET /status", answer);
    let answers = [MEMBER, "503 later", LEAVES, WAITS, MEMBER, WAITS].map(status);
    let mut target = Fake::start("127.40.7.2:8091", &[&answers[..], &[("POST /leave", "204")]].concat()).await;
    let words = ["-bind", "127.40.7.1:8091", "remove-meta", "127.40.7.2:8091"];
    expect![[r#"
        Remove 127.40.7.2:8091 from the cluster [y/N]: 
        Removed meta node at 127.40.7.2:8091
    "#]]
    .assert_eq(&ctl_on("h", "y\n", &words).await.story());
    expect![[r#"
        GET /status
        POST /leave
        GET /status
        GET /status
        GET /status
    "#]]
    .assert_eq(&target.heard());
    assert_eq!(ctl_on("h", "Y", &words).await.code, 0);
    assert!(target.heard().contains("POST /leave"));
}

#[tokio::test]
async fn a_meta_node_that_goes_on_as_a_data_node_is_not_waited_for() {
    let both = MEMBER.replace(r#""nodeType""#, r#""holdsData":true,"nodeType""#);
    let answers = [("GET /status", both.as_str()), ("POST /leave", "204")];
    let mut target = Fake::start("127.40.14.2:8091", &answers).await;
    let said = ctl_on("h", "", &["remove-meta", "-y", "127.40.14.2:8091"]).await;
    assert_eq!((said.out.as_str(), said.code), ("Removed meta node at 127.40.14.2:8091\n", 0));
    assert_eq!(target.heard(), "GET /status\nPOST /leave\n");
}

#[tokio::test]
async fn only_yes_is_yes() {
    let asked = [("GET /status", MEMBER); 7];
    let leaves = [("POST /leave", "204"), ("GET /status", WAITS)];
    let mut target = Fake::start("127.40.8.2:8091", &[&asked[..], &leaves].concat()).await;
    for no in ["n\n", "\n", "", "yes\n", "no\ny\n", "\0"] {
        let said = ctl_on("h", no, &["remove-meta", "127.40.8.2:8091"]).await;
        assert_eq!(said.out, "Remove 127.40.8.2:8091 from the cluster [y/N]: \n", "{no:?}");
        assert_eq!((said.err.as_str(), said.code), ("", 0));
    }
    assert!(!target.heard().contains("POST"));
    let said = ctl_on("h", "", &["remove-meta", "-y", "127.40.8.2:8091"]).await;
    assert_eq!((said.out.as_str(), said.code), ("Removed meta node at 127.40.8.2:8091\n", 0));
}

#[tokio::test]
async fn a_lost_meta_node_is_removed_with_force() {
    let mut meta = Fake::start("127.40.9.1:8091", &[("POST /remove", "204")]).await;
    let words = ["-bind", "127.40.9.1", "remove-meta", "-force", "-tcpAddr", "m2:8089", "m2:8091"];
    expect![[r#"
        Force remove m2:8091 from the cluster [y/N]: 
        Removed meta node at m2:8091
    "#]]
    .assert_eq(&ctl_on("h", "y\n", &words).await.story());
    expect![[r#"
        POST /remove form: httpAddr=m2%3A8091&force=true&tcpAddr=m2%3A8089
    "#]]
    .assert_eq(&meta.heard());
    expect![[r#"
        Force remove m2:8091 from the cluster [y/N]: 
    "#]]
    .assert_eq(&ctl_on("h", "", &words).await.story());
    assert_eq!(meta.heard(), "");
}

#[tokio::test]
async fn what_is_no_member_is_not_removed() {
    let answers = [
        ("GET /status", r#"200 {"nodeType":"data","metaAddrs":["m:8091"]}"#),
        ("GET /status", r#"200 {"nodeType":"meta","leader":"","peers":null}"#),
        ("GET /status", "200 hello"),
    ];
    let mut target = Fake::start("127.40.10.2:8091", &answers).await;
    for want in [
        expect![[r#"
        ! remove-meta: operation exited with error: 127.40.10.2:8091 is not a meta node
        exit 1
    "#]],
        expect![[r#"
        ! remove-meta: operation exited with error: 127.40.10.2:8091 is not part of a cluster
        exit 1
    "#]],
        expect![[r#"
        ! remove-meta: operation exited with error: unexpected answer: expected value at line 1 column 1
        exit 1
    "#]],
    ] {
        want.assert_eq(&ctl("remove-meta -y 127.40.10.2:8091").await);
    }
    assert!(!target.heard().contains("POST"));
    expect![[r#"
        ! remove-meta: operation timed out with error: dial tcp 127.40.10.3:8091: Connection refused (os error 111)
        ! If the node is gone for good, remove it with -force -tcpAddr <raft-addr>.
        exit 1
    "#]]
    .assert_eq(&ctl("remove-meta -y 127.40.10.3:8091").await);
}

#[tokio::test]
async fn missing_and_surplus_arguments_are_told() {
    for (line, want) in [
        ("add-meta", "add-meta: httpAddr value is empty"),
        ("add-meta a b c", "add-meta: unknown argument: b"),
        ("add-data", "add-data: tcpAddr value is empty"),
        ("add-data -p", "add-data: tcpAddr value is empty"),
        ("add-data a b", "add-data: unknown argument: b"),
        ("remove-meta", "remove-meta: addr is required"),
        ("remove-meta -force a", "remove-meta: -tcpAddr is required with -force"),
        ("remove-meta a b", "remove-meta: unknown argument: b"),
        ("remove-data", "remove-data: addr value is empty"),
        ("remove-data a b", "remove-data: unknown argument: b"),
        ("update-data", "update-data: old-addr value is empty"),
        ("update-data a", "update-data: new-addr value is empty"),
        ("update-data a b c", "update-data: unknown argument: c"),
    ] {
        let command = line.split(' ').next().expect("a word");
        let want = format!("! {want}\n! Run 'influxd-ctl {command} -h' for usage\nexit 1\n");
        assert_eq!(ctl(line).await, want, "{line}");
    }
}
