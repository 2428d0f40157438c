//! `join`.

use expect_test::expect;

use super::*;

const META: &str = r#"200 {"nodeType":"meta","leader":"m1:8089","peers":["m1:8089"]}"#;
const UNJOINED_META: &str = r#"200 {"nodeType":"meta","leader":"","peers":null}"#;
const UNJOINED_DATA: &str = r#"200 {"nodeType":"data","nodeStatus":"disjoined","metaAddrs":null}"#;

#[tokio::test]
async fn the_first_host_begins_a_cluster() {
    let added_meta = r#"200 {"id":1,"addr":"cluster-node-03:8091"}"#;
    let added_data = r#"200 {"id":2,"tcpAddr":"cluster-node-03:8088"}"#;
    let answers = [("GET /status", UNJOINED_META), ("POST /join", added_meta), ("POST /add-data", added_data)];
    let mut meta = Fake::start("127.40.50.1:8091", &answers).await;
    let mut data = Fake::start("127.40.50.1:8088", &[("GET /status", UNJOINED_DATA)]).await;
    let said = ctl_on("127.40.50.1", "", &["-bind", "127.40.50.1:8091", "join"]).await;
    expect![[r#"
        Joining meta node at 127.40.50.1:8091
        Searching for meta node on 127.40.50.1:8091...
        Searching for data node on 127.40.50.1:8088...

        Successfully created cluster

          * Added meta node 1 at cluster-node-03:8091
          * Added data node 2 at cluster-node-03:8088

          To join additional nodes to this cluster, run the following command:

          influxd-ctl join cluster-node-03:8091
    "#]]
    .assert_eq(&said.story());
    expect![[r#"
        GET /status
        GET /status
        POST /join form: addr=127.40.50.1%3A8091
        POST /add-data form: addr=127.40.50.1%3A8088
    "#]]
    .assert_eq(&meta.heard());
    expect![[r#"
        GET /status
    "#]]
    .assert_eq(&data.heard());
}

#[tokio::test]
async fn another_host_joins() {
    let added = [
        ("GET /status", META),
        ("POST /join", "307 http://127.40.51.3:8091/join"),
        ("POST /add-data", r#"200 {"id":5,"tcpAddr":"127.40.51.2:8088"}"#),
    ];
    let mut meta = Fake::start("127.40.51.1:8091", &added).await;
    let mut leader =
        Fake::start("127.40.51.3:8091", &[("POST /join", r#"200 {"id":4,"addr":"127.40.51.2:8091"}"#)]).await;
    let _own_meta = Fake::start("127.40.51.2:8091", &[("GET /status", UNJOINED_META)]).await;
    let _own_data = Fake::start("127.40.51.2:8088", &[("GET /status", UNJOINED_DATA)]).await;
    let said = ctl_on("127.40.51.2", "", &["join", "-p", "127.40.51.1:8091"]).await;
    expect![[r#"
        Joining meta node at 127.40.51.1:8091
        Searching for meta node on 127.40.51.2:8091...
        Searching for data node on 127.40.51.2:8088...

        Successfully joined cluster

          * Added meta node 4 at 127.40.51.2:8091
          * Added data node 5 at 127.40.51.2:8088
    "#]]
    .assert_eq(&said.story());
    expect![[r#"
        GET /status
        POST /join form: addr=127.40.51.2%3A8091
        POST /add-data form: addr=127.40.51.2%3A8088&passive=true
    "#]]
    .assert_eq(&meta.heard());
    expect![[r#"
        POST /join form: addr=127.40.51.2%3A8091
    "#]]
    .assert_eq(&leader.heard());
}

#[tokio::test]
async fn a_host_with_one_node_joins_with_that() {
    let added = [("GET /status", META), ("POST /add-data", r#"200 {"id":5,"tcpAddr":"127.40.52.2:8088"}"#)];
    let _meta = Fake::start("127.40.52.1:8091", &added).await;
    let _own_data = Fake::start("127.40.52.2:8088", &[("GET /status", UNJOINED_DATA)]).await;
    let said = ctl_on("127.40.52.2", "", &["join", "127.40.52.1:8091"]).await;
    expect![[r#"
        Joining meta node at 127.40.52.1:8091
        Searching for meta node on 127.40.52.2:8091...
        Searching for data node on 127.40.52.2:8088...

        Successfully joined cluster

          * No meta node added.  Run with -v to see more information
          * Added data node 5 at 127.40.52.2:8088
    "#]]
    .assert_eq(&said.story());
    let said = ctl_on("127.40.52.2", "", &["join", "-v", "127.40.52.1:8091"]).await;
    expect![[r#"
        Joining meta node at 127.40.52.1:8091
        Searching for meta node on 127.40.52.2:8091...
        Searching for data node on 127.40.52.2:8088...

        No meta node found on 127.40.52.2:8091!

          If a meta node is running on this host,
          you may need to add it manually using the following command:

          influxd-ctl -bind 127.40.52.1:8091 add-meta <metaAddr:port>

          Common problems:

            * The meta node may listen on a port other than the default 8091
            * The meta node process may not be running

        Successfully joined cluster

          * No meta node added.
          * Added data node 5 at 127.40.52.2:8088
    "#]]
    .assert_eq(&said.story());
}

#[tokio::test]
async fn a_host_without_nodes_does_not_join() {
    let _meta = Fake::start("127.40.53.1:8091", &[("GET /status", META)]).await;
    // Something else listens on the port of data nodes.
    let _other = Fake::start("127.40.53.2:8088", &[("GET /status", "200 hello")]).await;
    let said = ctl_on("127.40.53.2", "", &["join", "127.40.53.1:8091"]).await;
    expect![[r#"
        Joining meta node at 127.40.53.1:8091
        Searching for meta node on 127.40.53.2:8091...
        Searching for data node on 127.40.53.2:8088...

        Failed to join cluster.  Run with -v to see more information
        exit 1
    "#]]
    .assert_eq(&said.story());
}

#[tokio::test]
async fn a_refused_node_is_told_when_asked_for() {
    let refusal = r#"500 {"error":"already joined to cluster"}"#;
    let answers = [("GET /status", META), ("POST /join", r#"200 {"id":3}"#), ("POST /add-data", refusal)];
    let _meta = Fake::start("127.40.54.1:8091", &answers).await;
    let _own_meta = Fake::start("127.40.54.2:8091", &[("GET /status", UNJOINED_META)]).await;
    let _own_data = Fake::start("127.40.54.2:8088", &[("GET /status", UNJOINED_DATA)]).await;
    let said = ctl_on("127.40.54.2", "", &["join", "-v", "127.40.54.1:8091"]).await;
    expect![[r#"
        Joining meta node at 127.40.54.1:8091
        Searching for meta node on 127.40.54.2:8091...
        Searching for data node on 127.40.54.2:8088...

        Failed to add data node 127.40.54.2:8088!

          Reason:

            operation exited with error: already joined to cluster

          If a data node is running on this host,
          you may need to add it manually using the following command:

          influxd-ctl -bind 127.40.54.1:8091 add-data <dataAddr:port>

          Common problems:

            * The data node may listen on a port other than the default 8088
            * The data node process may not be running

        Successfully joined cluster

          * Added meta node 3 at 127.40.54.2:8091
          * No data node added.
        exit 1
    "#]]
    .assert_eq(&said.story());
}

#[tokio::test]
async fn only_meta_nodes_are_joined() {
    let _data = Fake::start("127.40.55.1:8088", &[("GET /status", UNJOINED_DATA)]).await;
    let said = ctl_on("127.40.55.2", "", &["join", "127.40.55.1:8088"]).await;
    expect![[r#"
        Joining meta node at 127.40.55.1:8088
        ! join: 127.40.55.1:8088 is not a meta node
        exit 1
    "#]]
    .assert_eq(&said.story());
    let refused = [("GET /status", r#"401 {"error":"unable to parse authentication credentials"}"#)];
    let _meta = Fake::start("127.40.55.1:8091", &refused).await;
    let said = ctl_on("127.40.55.2", "", &["join", "127.40.55.1:8091"]).await;
    expect![[r#"
        Joining meta node at 127.40.55.1:8091
        ! join: operation exited with error: unable to parse authentication credentials
        ! Say who you are with -auth-type basic -user <name> -pwd <password>, or with -auth-type jwt -user <name> -secret <secret>.
        exit 1
    "#]].assert_eq(&said.story());
    expect![[r#"
        ! join: unknown argument: b
        ! Run 'influxd-ctl join -h' for usage
        exit 1
    "#]]
    .assert_eq(&ctl("join a b").await);
}

#[tokio::test]
async fn nobody_to_join_is_told() {
    let said = ctl_on("127.40.56.2", "", &["join", "127.40.56.1:8091"]).await;
    expect![[r#"
        Joining meta node at 127.40.56.1:8091
        !
        ! Unable to connect to 127.40.56.1:8091
        !
        !   operation timed out with error: dial tcp 127.40.56.1:8091: Connection refused (os error 111)
        !
        ! Common problems:
        !
        !   * 127.40.56.1:8091 must be the HTTP address of a meta node (default port 8091)
        !   * Verify that a meta node runs on that host and listens on that address
        !   * Verify that this host can open TCP connections to 127.40.56.1:8091
        exit 1
    "#]]
    .assert_eq(&said.story());
}

#[tokio::test]
async fn a_meta_node_alone_joins_and_a_refused_one_does_not() {
    let refusal =
        r#"409 {"error":"meta node at \"127.40.57.2:8091\" is a member of another cluster: leader=x peers=[x]"}"#;
    let added = r#"200 {"id":4,"addr":"127.40.57.2:8091"}"#;
    let answers = [("GET /status", META), ("POST /join", added), ("POST /join", refusal)];
    let _meta = Fake::start("127.40.57.1:8091", &answers).await;
    let _own_meta = Fake::start("127.40.57.2:8091", &[("GET /status", UNJOINED_META)]).await;
    let said = ctl_on("127.40.57.2", "", &["join", "127.40.57.1:8091"]).await;
    expect![[r#"
        Joining meta node at 127.40.57.1:8091
        Searching for meta node on 127.40.57.2:8091...
        Searching for data node on 127.40.57.2:8088...

        Successfully joined cluster

          * Added meta node 4 at 127.40.57.2:8091
          * No data node added.  Run with -v to see more information
    "#]]
    .assert_eq(&said.story());
    let said = ctl_on("127.40.57.2", "", &["join", "-v", "127.40.57.1:8091"]).await;
    expect![[r#"
        Joining meta node at 127.40.57.1:8091
        Searching for meta node on 127.40.57.2:8091...
        Searching for data node on 127.40.57.2:8088...

        Failed to add meta node 127.40.57.2:8091!

          Reason:

            operation exited with error: meta node at "127.40.57.2:8091" is a member of another cluster: leader=x peers=[x]

          If a meta node is running on this host,
          you may need to add it manually using the following command:

          influxd-ctl -bind 127.40.57.1:8091 add-meta <metaAddr:port>

          Common problems:

            * The meta node may listen on a port other than the default 8091
            * The meta node process may not be running

        No data node found on 127.40.57.2:8088!

          If a data node is running on this host,
          you may need to add it manually using the following command:

          influxd-ctl -bind 127.40.57.1:8091 add-data <dataAddr:port>

          Common problems:

            * The data node may listen on a port other than the default 8088
            * The data node process may not be running

        Failed to join cluster.
        exit 1
    "#]]
    .assert_eq(&said.story());
}
