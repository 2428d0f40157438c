//! What operators ask for: adding, removing and replacing nodes, cutting groups, dropping copies, labels.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post as on_post};
use env::{Env, TaskHandle};
use meta::{Command, Incarnation, PolicySpec};
use meta_node::identity::{Files, has_left};
use meta_node::{DataAddresses, Enter, JoinRequest, Leave};
use model::{NodeId, Timestamp};
use serde_json::{Value, json};

use crate::harness::*;
use crate::http::{call, get_json, post};

const FORM: &str = "application/x-www-form-urlencoded";

/// Posts a form and follows redirects, as `influxd-ctl` does.
async fn form(address: &str, path: &str, body: &str) -> (u16, String) {
    let mut at = address.to_owned();
    loop {
        let (status, text) = post(&at, path, FORM, body.as_bytes()).await;
        if status != 307 {
            return (status, text);
        }
        at = eventually("a leader to be sent to", async || {
            let status = get_json(address, "/show-cluster").await;
            let members = status["meta"].as_array()?.clone();
            for member in members {
                let candidate = member["addr"].as_str()?.to_owned();
                if post(&candidate, path, FORM, b"").await.0 != 307 {
                    return Some(candidate);
                }
            }
            None
        })
        .await;
    }
}

/// The number of the node in an answer that must be one.
async fn added(address: &str, path: &str, body: &str) -> u64 {
    let (status, text) = form(address, path, body).await;
    assert_eq!(status, 200, "{text}");
    let node: Value = serde_json::from_str(&text).expect("a document");
    node["id"].as_u64().expect("a number")
}

fn error(text: &str) -> String {
    let document: Value = serde_json::from_str(text).unwrap_or_default();
    document["error"].as_str().unwrap_or(text).to_owned()
}

/// A data node that does as it is told: registers when it is asked in, and takes another directory when it leaves.
pub(crate) struct DataNode {
    pub(crate) address: String,
    incarnation: Arc<Mutex<Incarnation>>,
    told: Arc<Mutex<Vec<String>>>,
    _server: TaskHandle<()>,
}

impl DataNode {
    pub(crate) async fn start(root: &std::path::Path, switch: &Switch, name: &str, seed: u128) -> DataNode {
        let host = Host::new(root, name, switch).await;
        let address = host.http_addr.clone();
        let incarnation = Arc::new(Mutex::new(Incarnation(seed)));
        let joined = Arc::new(Mutex::new(false));
        let told = Arc::new(Mutex::new(Vec::new()));
        let status = {
            let (address, incarnation, joined) = (address.clone(), Arc::clone(&incarnation), Arc::clone(&joined));
            move || async move {
                let is_joined = *joined.lock().expect("not poisoned");
                let document = json!({
                    "nodeType": "data",
                    "tcpAddr": address,
                    "httpAddr": "d:8086",
                    "nodeStatus": if is_joined { "joined" } else { "disjoined" },
                    "incarnation": incarnation.lock().expect("not poisoned").to_string(),
                });
                document.to_string()
            }
        };
        let enter = {
            let (address, incarnation) = (address.clone(), Arc::clone(&incarnation));
            let (joined, told) = (Arc::clone(&joined), Arc::clone(&told));
            move |body: bytes::Bytes| async move {
                let enter: Enter = serde_json::from_slice(&body).expect("a request");
                told.lock().expect("not poisoned").push(format!("enter passive={}", enter.passive));
                let incarnation = *incarnation.lock().expect("not poisoned");
                let data = DataAddresses { http_addr: "d:8086".to_owned(), tcp_addr: address, passive: enter.passive };
                let stage = meta_node::join::Stage::Register;
                let request = JoinRequest { stage, incarnation, id: None, meta: None, data: Some(data) };
                let (status, text) =
                    post(&enter.meta_servers[0], "/join", "application/json", &request.to_json()).await;
                assert_eq!(status, 200, "{text}");
                *joined.lock().expect("not poisoned") = true;
            }
        };
        let leave = {
            let (incarnation, told) = (Arc::clone(&incarnation), Arc::clone(&told));
            move |body: bytes::Bytes| async move {
                let leave: Leave = serde_json::from_slice(&body).expect("a request");
                let mut incarnation = incarnation.lock().expect("not poisoned");
                assert_eq!(leave.incarnation, incarnation.to_string());
                told.lock().expect("not poisoned").push("leave".to_owned());
                *incarnation = Incarnation(incarnation.0 + 1);
                *joined.lock().expect("not poisoned") = false;
            }
        };
        let app =
            Router::new().route("/status", get(status)).route("/enter", on_post(enter)).route("/leave", on_post(leave));
        let server = serve(&Env::real(), &address, app).await;
        DataNode { address, incarnation, told, _server: server }
    }

    fn told(&self) -> Vec<String> {
        self.told.lock().expect("not poisoned").clone()
    }
}

async fn waiting(root: &std::path::Path, switch: &Switch, names: [&str; 3]) -> [Process; 3] {
    let [a, b, c] = names;
    let start = async |name| Host::new(root, name, switch).await.start().await;
    [start(a).await, start(b).await, start(c).await]
}

#[tokio::test]
async fn nodes_that_wait_are_added_to_the_one_that_is_asked_first() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let all = waiting(temp.path(), &switch, ["a", "b", "c"]).await;
    let [a, b, c] = &all;
    let addr = |process: &Process| format!("addr={}", process.peer());
    assert_eq!(added(&a.peer(), "/join", &addr(a)).await, 1);
    assert_eq!(added(&a.peer(), "/join", &addr(b)).await, 2);
    assert_eq!(added(&b.peer(), "/join", &addr(c)).await, 3, "through one that does not lead");
    for process in &all {
        assert_eq!(process.node.status().peers.len(), 3);
    }
    // Again changes nothing, whoever is asked.
    for (index, process) in (1..).zip(&all) {
        assert_eq!(added(&c.peer(), "/join", &addr(process)).await, index);
    }
    assert_eq!(a.node.data().nodes().len(), 3);
}

#[tokio::test]
async fn a_member_of_another_cluster_is_not_added() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let [a, b, c] = waiting(temp.path(), &switch, ["a", "b", "c"]).await;
    b.node.bootstrap().await.expect("forms");
    let addr = format!("addr={}", b.peer());
    let want = format!("meta node at \"{}\" is a member of another cluster: leader=b:8088 peers=[b:8088]", b.peer());
    let (status, text) = form(&a.peer(), "/join", &addr).await;
    assert_eq!((status, error(&text)), (409, want.clone()));
    assert_eq!(a.node.id(), None, "it has not formed a cluster for that");
    c.node.bootstrap().await.expect("forms");
    let (status, text) = form(&c.peer(), "/join", &addr).await;
    assert_eq!((status, error(&text)), (409, want));
}

#[tokio::test]
async fn data_nodes_are_added_found_replaced_and_removed() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let meta = Host::new(temp.path(), "a", &switch).await.start().await;
    let first = DataNode::start(temp.path(), &switch, "d", 100).await;
    let second = DataNode::start(temp.path(), &switch, "e", 200).await;
    let addr = |node: &DataNode| format!("addr={}", node.address);
    let (status, text) = form(&meta.peer(), "/add-data", &addr(&first)).await;
    assert_eq!(
        (status, error(&text)),
        (400, "data node failed to contact valid meta server in list []".to_owned()),
        "there is no cluster yet"
    );
    meta.node.bootstrap().await.expect("forms");
    assert_eq!(added(&meta.peer(), "/add-data", &format!("{}&passive=true", addr(&first))).await, 2);
    assert_eq!(added(&meta.peer(), "/add-data", &addr(&first)).await, 2, "again changes nothing");
    assert_eq!(first.told(), ["enter passive=true"]);
    // Another directory takes its place and its number, and stays what it was.
    let replace = format!("oldAddr={}&newAddr={}", first.address, second.address);
    assert_eq!(added(&meta.peer(), "/update-data", &replace).await, 2);
    assert_eq!(second.told(), ["enter passive=true"]);
    let data = meta.node.data();
    let node = data.node(NodeId(2)).expect("a member");
    let role = node.data.as_ref().expect("the role");
    assert_eq!((node.incarnation, &role.tcp_addr, role.passive), (Incarnation(200), &second.address, true));
    // It leaves, empties itself and can be added again as somebody else.
    let (status, text) = form(&meta.peer(), "/remove-data", &addr(&second)).await;
    assert_eq!((status, text.as_str()), (204, ""));
    assert_eq!((second.told().last().expect("told").as_str(), meta.node.data().data_nodes().count()), ("leave", 0));
    assert_eq!(*second.incarnation.lock().expect("not poisoned"), Incarnation(201));
    assert_eq!(added(&meta.peer(), "/add-data", &addr(&second)).await, 3);
    // By force it is not asked.
    let (status, _) = form(&meta.peer(), "/remove-data", &format!("{}&force=true", addr(&second))).await;
    assert_eq!((status, second.told().len()), (204, 3));
}

#[tokio::test]
async fn who_leaves_or_is_removed_waits_to_be_somebody_else() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let mut processes = Vec::from(waiting(temp.path(), &switch, ["a", "b", "c"]).await);
    let first = processes[0].peer();
    for process in &processes {
        added(&first, "/join", &format!("addr={}", process.peer())).await;
    }
    let leads = leader(&processes.iter().collect::<Vec<_>>()).await.node.id();
    let leads = processes.iter().position(|process| process.node.id() == leads).expect("one of them");
    let leads = processes.remove(leads);
    let [leaves, removed] = <[Process; 2]>::try_from(processes).unwrap_or_else(|_| panic!("two others"));
    let removed_addr = removed.peer();
    assert_eq!(post(&leaves.peer(), "/leave", FORM, b"").await.0, 204);
    within("has left", leaves.node.left()).await;
    assert!(has_left(&Env::real(), &leaves.host.dir, Files::NODE).await.expect("read"));
    let removing = async {
        let (status, text) = form(&leads.peer(), "/remove", &format!("httpAddr={removed_addr}")).await;
        assert_eq!((status, text.as_str()), (204, ""));
    };
    // The answer comes once it is back as somebody else, who can be added at once.
    let noticing = async {
        within("is told", removed.node.leave_when_dropped()).await.expect("marked");
        removed.stop().await.restart().await
    };
    let ((), back) = tokio::join!(removing, noticing);
    assert_eq!(back.node.id(), None);
    // The last one stays.
    let (status, text) = form(&leads.peer(), "/remove", &format!("httpAddr={}", leads.peer())).await;
    assert_eq!((status, error(&text).as_str()), (500, "unable to drop the final node in a cluster"));
    let (status, text) = post(&leads.peer(), "/leave", FORM, b"").await;
    assert_eq!((status, error(&text).as_str()), (500, "unable to drop the final node in a cluster"));
    // Started again it is nobody, and is added as somebody else.
    let again = leaves.stop().await.restart().await;
    assert_eq!(again.node.id(), None);
}

#[tokio::test]
async fn a_single_server_takes_one_of_each() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let alone = Host::new(temp.path(), "a", &switch).await.start_single().await;
    let other = Host::new(temp.path(), "b", &switch).await.start().await;
    let data =
        [DataNode::start(temp.path(), &switch, "d", 100).await, DataNode::start(temp.path(), &switch, "e", 200).await];
    let refused = (400, "single-server mode: cluster already has a node".to_owned());
    let (status, text) = form(&alone.peer(), "/join", &format!("addr={}", other.peer())).await;
    assert_eq!((status, error(&text)), refused);
    assert_eq!(added(&alone.peer(), "/join", &format!("addr={}", alone.peer())).await, 1);
    assert_eq!(added(&alone.peer(), "/add-data", &format!("addr={}", data[0].address)).await, 2);
    let (status, text) = form(&alone.peer(), "/add-data", &format!("addr={}", data[1].address)).await;
    assert_eq!((status, error(&text)), refused);
}

#[tokio::test]
async fn groups_are_cut_copies_dropped_and_shards_listed() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let meta = Host::new(temp.path(), "a", &switch).await.start().await;
    meta.node.bootstrap().await.expect("forms");
    let first = DataNode::start(temp.path(), &switch, "d", 100).await;
    let second = DataNode::start(temp.path(), &switch, "e", 200).await;
    for node in [&first, &second] {
        added(&meta.peer(), "/add-data", &format!("addr={}", node.address)).await;
    }
    let policy = Some(PolicySpec { replica_n: Some(2), ..PolicySpec::automatic() });
    propose(&[&meta], &Command::CreateDatabase { name: "x".to_owned(), policy, explicit: true }).await;
    let (database, policy) = ("x".to_owned(), "autogen".to_owned());
    propose(&[&meta], &Command::CreateShardGroups { database, policy, instants: vec![Timestamp(0)] }).await;
    let shards = get_json(&meta.peer(), "/show-shards").await;
    assert_eq!(
        shards,
        json!([{
            "id": 1, "database": "x", "retention-policy": "autogen", "replica-n": 2, "shard-group-id": 1,
            "start-time": "1969-12-29T00:00:00Z", "end-time": "1970-01-05T00:00:00Z",
            "expire-time": "0001-01-01T00:00:00Z", "truncated-at": "0001-01-01T00:00:00Z",
            "owners": [{"id": 2, "tcpAddr": first.address}, {"id": 3, "tcpAddr": second.address}],
        }])
    );
    let remove = |shard: &str| format!("src={}&shard={shard}", first.address);
    for (body, want) in [
        (String::new(), "'src' is a required parameter".to_owned()),
        (format!("src={}", first.address), "'shard' is a required parameter".to_owned()),
        ("src=nobody:1&shard=1".to_owned(), "unable to find node for \"nobody:1\"".to_owned()),
        (remove("x"), "error converting shard to int: x".to_owned()),
        (remove("0"), "invalid parameter value for 'shard': shard id must be greater than 0".to_owned()),
        (remove("9"), "shard not found for id: 9".to_owned()),
    ] {
        let (status, text) = form(&meta.peer(), "/remove-shard", &body).await;
        assert_eq!((status, error(&text)), (400, want));
    }
    assert_eq!(form(&meta.peer(), "/remove-shard", &remove("1")).await, (204, String::new()));
    let owners = get_json(&meta.peer(), "/show-shards").await[0]["owners"].clone();
    assert_eq!(owners, json!([{"id": 3, "tcpAddr": second.address}]));
    let (status, text) = form(&meta.peer(), "/remove-shard", &remove("1")).await;
    assert_eq!((status, error(&text)), (400, format!("{:?} is not an owner of shard 1", first.address)));
    let (status, text) = form(&meta.peer(), "/truncate-shards", "delay=5x").await;
    assert_eq!((status, error(&text)), (400, "time: unknown unit \"x\" in duration \"5x\"".to_owned()));
    // A group that is in the past is not touched; one that spans now is cut.
    let now = Env::real().now();
    let (database, policy) = ("x".to_owned(), "autogen".to_owned());
    propose(&[&meta], &Command::CreateShardGroups { database, policy, instants: vec![now] }).await;
    assert_eq!(form(&meta.peer(), "/truncate-shards", "delay=1ms").await.0, 204);
    let shards = get_json(&meta.peer(), "/show-shards").await;
    assert_eq!(shards[0]["truncated-at"], "0001-01-01T00:00:00Z");
    assert_ne!(shards[1]["truncated-at"], "0001-01-01T00:00:00Z");
}

#[tokio::test]
async fn versions_and_labels_get_around() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let [a, b, c] = waiting(temp.path(), &switch, ["a", "b", "c"]).await;
    for process in [&a, &b, &c] {
        added(&a.peer(), "/join", &format!("addr={}", process.peer())).await;
    }
    let data = DataNode::start(temp.path(), &switch, "d", 100).await;
    added(&a.peer(), "/add-data", &format!("addr={}", data.address)).await;
    let own = json!({"tcpAddr": data.address, "httpAddr": "d:8086", "httpScheme": "https", "time": 1,
                     "nodeType": "data", "status": "joined", "context": null, "version": "9.9"});
    assert_eq!(post(&b.peer(), "/announce", "application/json", own.to_string().as_bytes()).await.0, 204);
    let long = format!(r#"{{"tcpAddr":"{}","time":1}}"#, "x".repeat(1_000));
    let (status, told) = post(&b.peer(), "/announce", "application/json", long.as_bytes()).await;
    assert!(status == 400 && told.contains("too long"), "{status} {told}");
    let large = format!(r#"{{"tcpAddr":"d:1","more":"{}"}}"#, "x".repeat(256 << 10));
    assert_eq!(post(&b.peer(), "/announce", "application/json", large.as_bytes()).await.0, 413);
    assert_eq!(post(&b.peer(), "/announce", "application/json", b"{").await.0, 400);
    let labels = json!({"nodeID": 4, "set": {"az": "west", "rack": "1"}, "delete": []});
    let leads = leader(&[&a, &b, &c]).await;
    assert_eq!(post(&leads.peer(), "/node-labels", "application/json", labels.to_string().as_bytes()).await.0, 204);
    let labels = json!({"nodeID": 4, "set": {"az": "east"}, "delete": ["rack"]});
    assert_eq!(post(&leads.peer(), "/node-labels", "application/json", labels.to_string().as_bytes()).await.0, 204);
    let unknown = json!({"nodeID": 99, "set": {"az": "east"}});
    let (status, text) = post(&leads.peer(), "/node-labels", "application/json", unknown.to_string().as_bytes()).await;
    assert_eq!((status, error(&text).as_str()), (400, "node not found"));
    for process in [&a, &b, &c] {
        eventually("all is known everywhere", async || {
            let cluster = get_json(&process.peer(), "/show-cluster").await;
            let versions =
                cluster["meta"].as_array()?.iter().filter(|node| node["version"] == "1.12.4-c1.12.4").count();
            let node = &cluster["data"][0];
            let is_known =
                node["version"] == "9.9" && node["httpScheme"] == "https" && node["labels"] == json!({"az": "east"});
            (versions == 3 && is_known).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn what_is_missing_or_unknown_is_said() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let meta = Host::new(temp.path(), "a", &switch).await.start().await;
    // Without a cluster.
    for (path, body, want) in [
        ("/leave", "", (503, "no leader")),
        ("/remove", "httpAddr=x:1", (503, "no leader")),
        ("/remove-data", "addr=x:1", (503, "no leader")),
        ("/truncate-shards", "", (503, "no leader")),
    ] {
        let (status, text) = form(&meta.peer(), path, body).await;
        assert_eq!((status, error(&text).as_str()), want, "{path}");
    }
    meta.node.bootstrap().await.expect("forms");
    propose(&[&meta], &create_database("d")).await;
    for (path, body, want) in [
        ("/join", "", (400, "addr is required")),
        ("/add-data", "", (400, "addr is required")),
        ("/remove", "", (400, "httpAddr is required")),
        ("/remove", "httpAddr=x:1", (500, "node not found: x:1")),
        ("/remove-data", "", (400, "addr is required")),
        ("/remove-data", "addr=x:1", (400, "node not found: x:1")),
        ("/update-data", "newAddr=x:1", (400, "oldAddr is required")),
        ("/update-data", "oldAddr=x:1", (400, "newAddr is required")),
        ("/update-data", "oldAddr=x:1&newAddr=y:1", (400, "no data node with bind address x:1 exists")),
        ("/enter", "{\"metaServers\":[\"x:1\"]}", (409, "already joined to cluster")),
    ] {
        let (status, text) = form(&meta.peer(), path, body).await;
        assert_eq!((status, error(&text).as_str()), want, "{path}");
    }
    let data = DataNode::start(temp.path(), &switch, "d", 100).await;
    let (status, text) = form(&meta.peer(), "/join", &format!("addr={}", data.address)).await;
    assert_eq!((status, error(&text)), (500, format!("{} is not a meta node", data.address)));
    let (status, text) = form(&meta.peer(), "/add-data", &format!("addr={}", meta.peer())).await;
    assert_eq!((status, error(&text)), (500, format!("{} is not a data node", meta.peer())));
    let (status, text) = form(&meta.peer(), "/join", "addr=127.0.0.1:1").await;
    assert_eq!(status, 500);
    assert!(error(&text).starts_with("Get http://127.0.0.1:1/status: connect: "), "{text}");
}

/// Each forms a cluster before it asks the other in.
#[tokio::test]
async fn nodes_that_were_told_to_add_each_other_say_what_to_do() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let meta = Host::new(temp.path(), "a", &switch).await.start().await;
    meta.node.bootstrap().await.expect("forms");
    let enter = "{\"metaServers\":[\"x:1\"]}";
    let why = "already joined to cluster; it has formed one by itself, being told to add a node: stop it, empty its metadata \
               directory and start it, then add it again";
    let (status, text) = form(&meta.peer(), "/enter", enter).await;
    assert_eq!((status, error(&text).as_str()), (409, why));
    // What it holds is not to be thrown away lightly.
    propose(&[&meta], &create_database("d")).await;
    let (status, text) = form(&meta.peer(), "/enter", enter).await;
    assert_eq!((status, error(&text).as_str()), (409, "already joined to cluster"));
}

#[tokio::test]
async fn a_lease_is_held_by_one_node_at_a_time() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let [a, b, c] = waiting(temp.path(), &switch, ["a", "b", "c"]).await;
    for process in [&a, &b, &c] {
        added(&a.peer(), "/join", &format!("addr={}", process.peer())).await;
    }
    let leads = leader(&[&a, &b, &c]).await;
    let ask = async |query: &str| {
        let answer = call(&leads.peer(), "GET", &format!("/lease?{query}")).await;
        let body = String::from_utf8_lossy(answer.body()).into_owned();
        (answer.status().as_u16(), serde_json::from_str::<Value>(&body).unwrap_or(Value::String(body)))
    };
    for (query, want) in [
        ("nodeid=1", "lease name required"),
        ("name=continuous_querier", "node ID required"),
        ("name=continuous_querier&nodeid=x", "invalid node ID"),
    ] {
        assert_eq!(ask(query).await, (400, json!(want)));
    }
    // Whoever it is, it is nobody who could do what the lease is for.
    assert_eq!(ask("name=continuous_querier&nodeid=4").await, (400, json!("node not found")));
    let long = "x".repeat(256);
    assert_eq!(ask(&format!("name={long}&nodeid=1")).await, (400, json!("lease name too long")));
    assert_eq!(ask(&format!("name={}&nodeid=1", &long[1..])).await.0, 200);
    let (status, first) = ask("name=continuous_querier&nodeid=1").await;
    assert_eq!((status, &first["name"], &first["owner"]), (200, &json!("continuous_querier"), &json!(1)));
    let (status, held) = ask("name=continuous_querier&node_id=2").await;
    assert_eq!((status, &held["owner"], &held["fence"]), (409, &json!(1), &first["fence"]));
    let (status, renewed) = ask("name=continuous_querier&nodeid=1").await;
    assert_eq!((status, &renewed["fence"]), (200, &first["fence"]));
    assert!(renewed["expiration"].as_str() >= first["expiration"].as_str());
    // Elsewhere one is sent to the leader.
    let other = [&a, &b, &c].into_iter().find(|process| process.node.id() != leads.node.id()).expect("two others");
    let answer = call(&other.peer(), "GET", "/lease?name=x&nodeid=1").await;
    assert_eq!(answer.headers()["location"], format!("http://{}/lease?name=x&nodeid=1", leads.peer()));
}

#[tokio::test]
async fn what_expires_is_decided_by_the_clocks_of_a_majority() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let meta = Host::new(temp.path(), "a", &switch).await.start().await;
    meta.node.bootstrap().await.expect("forms");
    for number in [1, 2] {
        let command = Command::CreateDataNode {
            incarnation: Incarnation(number),
            http_addr: format!("d{number}:8086"),
            tcp_addr: format!("d{number}:8088"),
            passive: false,
        };
        propose(&[&meta], &command).await;
    }
    let hour = Duration::from_secs(3_600);
    let policy = PolicySpec { duration: Some(2 * hour), shard_group_duration: hour, ..PolicySpec::automatic() };
    propose(&[&meta], &Command::CreateDatabase { name: "d".into(), policy: Some(policy), explicit: true }).await;
    let now = Env::real().now();
    let instants = vec![Timestamp(0), now];
    propose(&[&meta], &Command::CreateShardGroups { database: "d".into(), policy: "autogen".into(), instants }).await;
    let live_after_a_question = async || {
        // Whoever asks may be wrong about the time, too.
        propose(&[&meta], &Command::ExpireShardGroups { now: Timestamp(i64::MAX) }).await;
        meta.node.data().databases()[0].policies[0].live_groups().count()
    };
    let says = async |node: &str, time: i64| {
        let announcement = json!({"tcpAddr": node, "time": time, "nodeType": "data", "status": "joined"});
        let body = announcement.to_string();
        assert_eq!(post(&meta.peer(), "/announce", "application/json", body.as_bytes()).await.0, 204);
    };
    assert_eq!(live_after_a_question().await, 2, "nobody but the leader has told the time");
    let years = 10 * 365 * 86_400_000_000_000;
    says("d1:8088", now.0 + years).await;
    assert_eq!(live_after_a_question().await, 1, "1970 is over by both clocks, today only by one");
    says("d2:8088", now.0).await;
    assert_eq!(live_after_a_question().await, 1);
    says("d2:8088", now.0 + years).await;
    assert_eq!(live_after_a_question().await, 0, "two of three have moved on");
}
