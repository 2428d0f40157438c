//! `leave`.

use expect_test::expect;

use super::*;

const META: &str = r#"200 {"nodeType":"meta","leader":"m1:8089","peers":["m1:8089","m2:8089"]}"#;
const UNJOINED_META: &str = r#"200 {"nodeType":"meta","leader":"","peers":null}"#;
const UNJOINED_DATA: &str = r#"200 {"nodeType":"data","nodeStatus":"disjoined","metaAddrs":null}"#;

#[tokio::test]
async fn both_nodes_leave() {
    let own = [("GET /status", META), ("POST /leave", "204")];
    let mut own_meta = Fake::start("127.40.60.2:8091", &own).await;
    let status =
        r#"200 {"nodeType":"data","tcpAddr":"data1:8088","nodeStatus":"joined","metaAddrs":["127.40.60.1:8091"]}"#;
    let mut own_data = Fake::start("127.40.60.2:8088", &[("GET /status", status)]).await;
    let mut meta = Fake::start("127.40.60.1:8091", &[("POST /remove-data", "204")]).await;
    let said = ctl_on("127.40.60.2", "y\ny\n", &["leave"]).await;
    expect![[r#"
        Searching for data node on 127.40.60.2:8088...
        Remove data node 127.40.60.2:8088 from the cluster [y/N]: 
        Removed 127.40.60.2:8088 from the cluster
        Searching for meta node on 127.40.60.2:8091...
        Remove meta node 127.40.60.2:8091 from the cluster [y/N]: 

        Successfully left cluster

          * Removed data node 127.40.60.2:8088 from cluster
          * Removed meta node 127.40.60.2:8091 from cluster
    "#]]
    .assert_eq(&said.story());
    expect![[r#"
        GET /status
        POST /remove-data form: addr=data1%3A8088
        GET /status
        POST /leave
    "#]]
    .assert_eq(&(own_data.heard() + &meta.heard() + &own_meta.heard()));
    let said = ctl_on("127.40.60.2", "", &["leave", "-y"]).await;
    expect![[r#"
        Searching for data node on 127.40.60.2:8088...
        Removed 127.40.60.2:8088 from the cluster
        Searching for meta node on 127.40.60.2:8091...

        Successfully left cluster

          * Removed data node 127.40.60.2:8088 from cluster
          * Removed meta node 127.40.60.2:8091 from cluster
    "#]]
    .assert_eq(&said.story());
}

#[tokio::test]
async fn who_does_not_say_yes_stays() {
    let mut own_meta = Fake::start("127.40.61.2:8091", &[("GET /status", META), ("POST /leave", "204")]).await;
    let status = r#"200 {"nodeType":"data","metaAddrs":["127.40.61.1:8091"]}"#;
    let _own_data = Fake::start("127.40.61.2:8088", &[("GET /status", status)]).await;
    let mut meta = Fake::start("127.40.61.1:8091", &[("POST /remove-data", "204")]).await;
    let said = ctl_on("127.40.61.2", "n\n", &["leave"]).await;
    expect![[r#"
        Searching for data node on 127.40.61.2:8088...
        Remove data node 127.40.61.2:8088 from the cluster [y/N]: 
        Searching for meta node on 127.40.61.2:8091...
        Remove meta node 127.40.61.2:8091 from the cluster [y/N]: 

        No nodes removed from cluster.
    "#]]
    .assert_eq(&said.story());
    assert_eq!(own_meta.heard() + &meta.heard(), "GET /status\n");
    let said = ctl_on("127.40.61.2", "n\ny\n", &["leave"]).await;
    expect![[r#"
        Searching for data node on 127.40.61.2:8088...
        Remove data node 127.40.61.2:8088 from the cluster [y/N]: 
        Searching for meta node on 127.40.61.2:8091...
        Remove meta node 127.40.61.2:8091 from the cluster [y/N]: 

        Successfully left cluster

          * No data node removed from cluster
          * Removed meta node 127.40.61.2:8091 from cluster
    "#]]
    .assert_eq(&said.story());
}

#[tokio::test]
async fn a_host_without_nodes_stays() {
    expect![[r#"
        Searching for data node on 127.40.62.2:8088...
          * No data node found.
        Searching for meta node on 127.40.62.2:8091...
          * No meta node found.

        No nodes removed from cluster.
    "#]]
    .assert_eq(&ctl_on("127.40.62.2", "", &["leave"]).await.story());
    let _own_meta = Fake::start("127.40.62.3:8091", &[("GET /status", UNJOINED_META)]).await;
    let _own_data = Fake::start("127.40.62.3:8088", &[("GET /status", UNJOINED_DATA)]).await;
    expect![[r#"
        Searching for data node on 127.40.62.3:8088...
          * Data node at 127.40.62.3:8088 is not part of a cluster
        Searching for meta node on 127.40.62.3:8091...
          * Meta node at 127.40.62.3:8091 is not part of a cluster

        No nodes removed from cluster.
    "#]]
    .assert_eq(&ctl_on("127.40.62.3", "", &["leave"]).await.story());
    expect![[r#"
        ! leave: unexpected extra arguments: [now please]
        ! Run 'influxd-ctl leave -h' for usage
        exit 1
    "#]]
    .assert_eq(&ctl("leave now please").await);
}

#[tokio::test]
async fn one_that_cannot_leave_does_not_keep_the_other() {
    let refusal = r#"503 {"error":"no leader"}"#;
    let mut own_meta = Fake::start("127.40.63.2:8091", &[("GET /status", META), ("POST /leave", "204")]).await;
    let status = r#"200 {"nodeType":"data","metaAddrs":["127.40.63.1:8091","127.40.63.3:8091"]}"#;
    let _own_data = Fake::start("127.40.63.2:8088", &[("GET /status", status)]).await;
    // The first meta node is down, the second is asked.
    let mut meta = Fake::start("127.40.63.3:8091", &[("POST /remove-data", refusal)]).await;
    expect![[r#"
        Searching for data node on 127.40.63.2:8088...
          * Operation exited with error: no leader
        Searching for meta node on 127.40.63.2:8091...

        Successfully left cluster

          * No data node removed from cluster
          * Removed meta node 127.40.63.2:8091 from cluster
        exit 1
    "#]]
    .assert_eq(&ctl_on("127.40.63.2", "", &["leave", "-y"]).await.story());
    expect![[r#"
        POST /remove-data form: addr=127.40.63.2%3A8088
        GET /status
        POST /leave
    "#]]
    .assert_eq(&(meta.heard() + &own_meta.heard()));
}

#[tokio::test]
async fn a_node_that_wants_to_know_who_asks_is_no_missing_node() {
    let refused = [("GET /status", r#"401 {"error":"unable to parse authentication credentials"}"#)];
    let _own_meta = Fake::start("127.40.64.2:8091", &refused).await;
    expect![[r#"
        Searching for data node on 127.40.64.2:8088...
          * No data node found.
        Searching for meta node on 127.40.64.2:8091...
          * Operation exited with error: unable to parse authentication credentials

        No nodes removed from cluster.
        exit 1
    "#]]
    .assert_eq(&ctl_on("127.40.64.2", "", &["leave"]).await.story());
}

#[tokio::test]
async fn a_data_node_without_tls_is_found_beside_a_meta_node_with_it() {
    let status = "200 {\"nodeType\":\"data\",\"metaAddrs\":[]}";
    let mut node = Fake::start("127.40.69.2:8088", &[("GET /status", status)]).await;
    let words = ["-bind-tls", "-k", "-auth-type", "basic", "-user", "u", "-pwd", "p", "leave"];
    let story = ctl_on("127.40.69.2", "", &words).await.story();
    assert!(story.contains("  * Data node at 127.40.69.2:8088 is not part of a cluster\n"), "{story}");
    assert_eq!(node.heard(), "GET /status\n", "without credentials");
}

#[tokio::test]
async fn a_data_node_alone_leaves() {
    let status = r#"200 {"nodeType":"data","metaAddrs":["127.40.65.1:8091"]}"#;
    let _own_data = Fake::start("127.40.65.2:8088", &[("GET /status", status)]).await;
    let _meta = Fake::start("127.40.65.1:8091", &[("POST /remove-data", "204")]).await;
    expect![[r#"
        Searching for data node on 127.40.65.2:8088...
        Removed 127.40.65.2:8088 from the cluster
        Searching for meta node on 127.40.65.2:8091...
          * No meta node found.

        Successfully left cluster

          * Removed data node 127.40.65.2:8088 from cluster
          * No meta node removed from cluster
    "#]]
    .assert_eq(&ctl_on("127.40.65.2", "", &["leave", "-y"]).await.story());
}

/// A terminal that fails when it is read from.
struct Gone;

impl std::io::Read for Gone {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::Error::other("the terminal is gone"))
    }
}

#[tokio::test]
async fn who_cannot_be_asked_stays() {
    let _own_meta = Fake::start("127.40.66.2:8091", &[("GET /status", META)]).await;
    let (mut out, mut err, mut input) = (Vec::new(), Vec::new(), std::io::BufReader::new(Gone));
    let surroundings = Surroundings { env: Env::real(), host: "127.40.66.2".to_owned() };
    let code = run(&["leave".to_owned()], surroundings, Terminal::new(&mut out, &mut err, &mut input, false)).await;
    let said = Said { out: String::from_utf8(out).expect("UTF-8"), err: String::from_utf8(err).expect("UTF-8"), code };
    expect![[r#"
        Searching for data node on 127.40.66.2:8088...
          * No data node found.
        Searching for meta node on 127.40.66.2:8091...
        Remove meta node 127.40.66.2:8091 from the cluster [y/N]: 
          * Prompt error: the terminal is gone

        No nodes removed from cluster.
    "#]]
    .assert_eq(&said.story());
}
