//! The admin API as clients see it.

use std::sync::Arc;

use bytes::Bytes;
use env::Env;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use meta::codec::decode_snapshot;
use meta_node::http::redirect_router;
use model::NodeId;
use serde_json::{Value, json};

use crate::harness::*;

/// Sends a request and gives the whole answer.
pub(crate) async fn send(address: &str, request: http::Request<Full<Bytes>>) -> http::Response<Bytes> {
    let env = Env::real();
    let stream = env.connect(address).await.expect("connects");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("speaks");
    let driver = env.spawn(async move {
        let _ = connection.await;
    });
    let (parts, body) = sender.send_request(request).await.expect("answers").into_parts();
    let body = body.collect().await.expect("a whole body").to_bytes();
    driver.abort();
    http::Response::from_parts(parts, body)
}

pub(crate) async fn call(address: &str, method: &str, path: &str) -> http::Response<Bytes> {
    let request = http::Request::builder().method(method).uri(path).header("host", address);
    within(path, send(address, request.body(Full::default()).expect("well formed"))).await
}

pub(crate) async fn get_json(address: &str, path: &str) -> Value {
    let answer = call(address, "GET", path).await;
    assert_eq!(answer.headers()["content-type"], "application/json");
    serde_json::from_slice(answer.body()).expect("JSON")
}

pub(crate) async fn post(address: &str, path: &str, content_type: &str, body: &[u8]) -> (u16, String) {
    let request = http::Request::post(path).header("host", address).header("content-type", content_type);
    let request = request.body(Full::new(Bytes::copy_from_slice(body))).expect("well formed");
    let answer = within(path, send(address, request)).await;
    (answer.status().as_u16(), String::from_utf8_lossy(answer.body()).into_owned())
}

fn text(answer: &http::Response<Bytes>) -> String {
    String::from_utf8_lossy(answer.body()).into_owned()
}

#[tokio::test]
async fn an_unjoined_node_says_so() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let process = Host::new(temp.path(), "a", &switch).await.start().await;
    let address = process.peer();
    let status = get_json(&address, "/status").await;
    assert_eq!((&status["leader"], &status["peers"], &status["nodeType"]), (&json!(""), &Value::Null, &json!("meta")));
    assert_eq!(get_json(&address, "/peers").await, Value::Null);
    let ping = call(&address, "GET", "/ping").await;
    assert_eq!((ping.status().as_u16(), text(&ping).as_str()), (200, ""));
    let watch = call(&address, "GET", "/?index=0").await;
    assert_eq!(watch.status(), 503);
    let request = meta_node::JoinRequest {
        stage: meta_node::join::Stage::Register,
        incarnation: meta::Incarnation(9),
        id: None,
        meta: None,
        data: Some(meta_node::DataAddresses {
            http_addr: "b:8086".to_owned(),
            tcp_addr: "b:8088".to_owned(),
            passive: false,
        }),
    };
    let (status, body) = post(&address, "/join", "application/json", &request.to_json()).await;
    assert_eq!((status, body.as_str()), (503, r#"{"error":"not part of a cluster","unjoined":true}"#));
}

#[tokio::test]
async fn members_tell_of_the_cluster() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let first = Host::new(temp.path(), "a", &switch).await.start().await;
    first.node.bootstrap().await.expect("forms");
    let second = Host::new(temp.path(), "b", &switch).await.start().await;
    second.join(&[&first]).await;
    leader(&[&first, &second]).await;
    for process in [&first, &second] {
        sees(process, "both members", |data| data.meta_nodes().count() == 2).await;
        let address = process.peer();
        let status = get_json(&address, "/status").await;
        assert_eq!(status["raftAddr"], json!(process.host.tcp_addr));
        assert_eq!(status["httpAddr"], json!(address));
        assert_eq!(status["peers"], json!(["a:8088", "b:8088"]));
        assert_eq!(get_json(&address, "/peers").await, json!(["a:8088", "b:8088"]));
        let lead = process.node.leader().expect("there is one").tcp_addr;
        assert_eq!(status["leader"], json!(lead));
        let ping = call(&address, "GET", "/ping").await;
        assert_eq!(text(&ping), lead);
        let all = call(&address, "GET", "/ping?all=true").await;
        assert_eq!((all.status().as_u16(), text(&all)), (200, lead));
        let cluster = get_json(&address, "/show-cluster").await;
        assert_eq!(cluster["data"], json!([]));
        assert_eq!(cluster["meta"][1]["addr"], json!(second.peer()));
        assert_eq!(cluster["meta"][1]["tcpAddr"], json!("b:8088"));
        assert_eq!(cluster["openPorts"], json!(true), "there is no secret");
    }
    let address = first.peer();
    second.stop().await;
    let all = call(&address, "GET", "/ping?all=true").await;
    assert_eq!((all.status().as_u16(), text(&all).as_str()), (500, r#"{"error":"one or more metaservers not up"}"#));
}

#[tokio::test]
async fn metadata_can_be_waited_for() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let process = Host::new(temp.path(), "a", &switch).await.start().await;
    process.node.bootstrap().await.expect("forms");
    let address = process.peer();
    let now = call(&address, "GET", "/?index=0&format=own").await;
    assert_eq!(now.headers()["content-type"], "application/octet-stream");
    let data = decode_snapshot(now.body()).expect("metadata");
    assert_eq!(data.meta_nodes().count(), 1);
    let path = format!("/?format=own&index={}", data.index());
    let (later, ()) = tokio::join!(call(&address, "GET", &path), async {
        propose(&[&process], &create_database("db")).await;
    });
    assert!(decode_snapshot(later.body()).expect("metadata").database("db").is_some());
    let bad = call(&address, "GET", "/?index=x").await;
    assert_eq!((bad.status().as_u16(), text(&bad).as_str()), (400, r#"{"error":"error parsing index"}"#));
}

/// The first bytes of a document are its term and its index, as numbers of fields 1 and 2.
#[tokio::test]
async fn other_programs_get_the_published_document_and_send_published_commands() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let process = Host::new(temp.path(), "a", &switch).await.start().await;
    process.node.bootstrap().await.expect("forms");
    let address = process.peer();
    let document = call(&address, "GET", "/?index=0").await;
    assert_eq!(document.headers()["content-type"], "application/octet-stream");
    let index = process.node.data().index().0;
    assert_eq!(document.body()[..4], [0x08, 1, 0x10, u8::try_from(index).expect("a young cluster")]);
    assert!(text(&document).contains("a:8088"), "its meta node stands in it");

    let execute = |body: &'static [u8]| {
        let request = http::Request::post("/execute").header("host", &address);
        send(&address, request.body(Full::from(body)).expect("well formed"))
    };
    // CreateDatabaseCommand { Name: "db" }
    let created = execute(b"\x08\x03\xba\x06\x04\x0a\x02db").await;
    let now = process.node.data();
    let at = u8::try_from(now.index().0).expect("a young cluster");
    assert_eq!((created.status().as_u16(), &created.body()[..]), (200, &[0x08, 0, 0x18, at][..]));
    assert_eq!(
        now.database("db").and_then(|db| db.default_policy().map(|it| it.name.to_string())),
        Some("autogen".into())
    );
    let later = call(&address, "GET", &format!("/?index={index}")).await;
    assert!(text(&later).contains("autogen"), "the document follows");
    for number in 0..50 {
        propose(&[&process], &create_database(&format!("database {number}"))).await;
    }
    let request = http::Request::get("/?index=0").header("host", &address).header("accept-encoding", "gzip");
    let packed = send(&address, request.body(Full::default()).expect("well formed")).await;
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    assert!(packed.headers().contains_key("Influxdb-Metaindex"), "headers stay");
    assert_eq!(packed.body()[..2], [0x1f, 0x8b]);

    // DropUserCommand { Name: "u" }, CreateUserCommand { "u", "x", false }, DropDatabaseCommand without a body
    let answers = [
        (&b"\x08\x0e\x92\x07\x03\x0a\x01u"[..], 200, "\x08\0\x12\x0euser not found".to_owned()),
        (&b"\x08\x0d\x8a\x07\x08\x0a\x01u\x12\x01x\x18\0"[..], 200, "\x08\0\x12\x0cinvalid hash".to_owned()),
        (
            &b"\x08\x04"[..],
            400,
            json!({"error": "unable to unmarshal command: required field \"command\" not set"}).to_string(),
        ),
    ];
    for (body, status, answer) in answers {
        let answered = execute(body).await;
        assert_eq!((answered.status().as_u16(), text(&answered)), (status, answer));
    }
}

#[tokio::test]
async fn the_newest_metadata_come_from_the_leader_while_a_majority_has_it_lead() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let first = Host::new(temp.path(), "a", &switch).await.start().await;
    first.node.bootstrap().await.expect("forms");
    let second = Host::new(temp.path(), "b", &switch).await.start().await;
    second.join(&[&first]).await;
    let all = [&first, &second];
    propose(&all, &create_database("db")).await;
    let leads = leader(&all).await;
    let follows = all.into_iter().find(|process| process.node.id() != leads.node.id()).expect("two");
    let path = "/?format=own&consistent=true";
    let newest = call(&leads.peer(), "GET", path).await;
    assert!(decode_snapshot(newest.body()).expect("metadata").database("db").is_some());
    let sent_on = call(&follows.peer(), "GET", path).await;
    assert_eq!(sent_on.status(), 307);
    assert_eq!(sent_on.headers()["location"], format!("http://{}{path}", leads.peer()));
    switch.cut(&follows.host.tcp_addr);
    let refused = call(&leads.peer(), "GET", path).await;
    assert!(!refused.status().is_success(), "{}", refused.status());
}

#[tokio::test]
async fn wrapped_answers_carry_the_headers_and_bare_ones_do_not() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let process = Host::new(temp.path(), "a", &switch).await.start().await;
    process.node.bootstrap().await.expect("forms");
    let address = process.peer();
    let request = http::Request::get("/peers").header("host", &address).header("X-Request-Id", "mine");
    let answer = send(&address, request.body(Full::default()).expect("well formed")).await;
    assert_eq!(answer.headers()["X-Influxdb-Version"], "1.12.4");
    assert_eq!(answer.headers()["Influxdb-Metaindex"], process.node.data().index().to_string());
    assert_eq!(
        (&answer.headers()["Request-Id"], &answer.headers()["X-Request-Id"]),
        (&"mine".parse().expect("ascii"), &"mine".parse().expect("ascii"))
    );
    let fresh = call(&address, "GET", "/peers").await;
    let id = fresh.headers()["Request-Id"].to_str().expect("ascii").to_owned();
    assert_eq!((id.len(), &id[14..15]), (36, "1"), "a time-based UUID: {id}");
    let missing = call(&address, "GET", "/nope").await;
    assert_eq!((missing.status().as_u16(), text(&missing).as_str()), (404, "404 page not found\n"));
    let put = call(&address, "PUT", "/peers").await;
    assert_eq!((put.status().as_u16(), text(&put).as_str()), (400, "\n"));
    for bare in [missing, put] {
        assert!(!bare.headers().contains_key("X-Influxdb-Version"));
    }
    for (method, path) in [("POST", "/copy-shard"), ("GET", "/debug/pprof"), ("POST", "/restore-meta")] {
        let later = call(&address, method, path).await;
        assert_eq!(later.status(), 501);
        assert_eq!(text(&later), format!(r#"{{"error":"{method} {path} is not available in this release"}}"#));
        assert!(later.headers().contains_key("X-InfluxDB-Error"));
    }
}

#[tokio::test]
async fn a_follower_sends_joiners_to_the_leader() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let first = Host::new(temp.path(), "a", &switch).await.start().await;
    first.node.bootstrap().await.expect("forms");
    let second = Host::new(temp.path(), "b", &switch).await.start().await;
    second.join(&[&first]).await;
    let all = [&first, &second];
    let leads = leader(&all).await;
    let follower = all.iter().copied().find(|process| !std::ptr::eq(*process, leads)).expect("the other");
    let request = meta_node::JoinRequest {
        stage: meta_node::join::Stage::Update,
        incarnation: meta::Incarnation(9),
        id: Some(NodeId(7)),
        meta: None,
        data: Some(meta_node::DataAddresses {
            http_addr: "b:8086".to_owned(),
            tcp_addr: "b:8088".to_owned(),
            passive: false,
        }),
    };
    let sent = http::Request::post("/join").header("host", "x").header("content-type", "application/json");
    let sent = sent.body(Full::new(Bytes::from(request.to_json()))).expect("well formed");
    let answer = send(&follower.peer(), sent).await;
    assert_eq!(answer.status(), 307);
    assert_eq!(answer.headers()["location"], format!("http://{}/join", leads.peer()));
    let (status, body) = post(&leads.peer(), "/join", "application/json", &request.to_json()).await;
    let body: Value = serde_json::from_str(&body).expect("JSON");
    let data = leads.node.data();
    let cluster_id = format!("{:016x}", data.cluster_id());
    let error = "node 7 of this directory is not a member of the cluster";
    assert_eq!(
        (status, body),
        (
            404,
            json!({ "error": error, "notMember": true, "clusterID": cluster_id, "index": data.index().0, "maxNodeID": data.node_id_max().0, "group": cluster_id })
        )
    );
}

#[tokio::test]
async fn a_data_node_redirects_or_says_that_it_waits() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let (env, host) = (Env::real(), Host::new(temp.path(), "x", &switch).await);
    let server =
        serve(&env, &host.http_addr, redirect_router("https", Arc::new(|| Some("meta1:8091".to_owned())))).await;
    let answer = call(&host.http_addr, "GET", "/lease?name=x&nodeid=4").await;
    assert_eq!(answer.status(), 307);
    assert_eq!(answer.headers()["location"], "https://meta1:8091/lease?name=x&nodeid=4");
    server.abort();
    let other = Host::new(temp.path(), "y", &switch).await;
    let _server = serve(&env, &other.http_addr, redirect_router("http", Arc::new(|| None))).await;
    let answer = call(&other.http_addr, "POST", "/join").await;
    assert_eq!(
        (answer.status().as_u16(), text(&answer).as_str()),
        (503, r#"{"error":"not part of a cluster","unjoined":true}"#)
    );
}

#[tokio::test]
async fn users_are_listed_and_changed() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let process = Host::new(temp.path(), "a", &switch).await.start().await;
    process.node.bootstrap().await.expect("forms");
    let address = process.peer();
    assert_eq!(get_json(&address, "/user").await, json!({ "users": [] }));
    let missing = call(&address, "GET", "/user?name=u").await;
    assert_eq!((missing.status().as_u16(), text(&missing).as_str()), (404, r#"{"error":"user not found"}"#));
    let hash = "$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i";
    let long = "x".repeat(73);
    for (body, want) in [
        (r#"{"action":"create","user":{"name":"u","password":"s3cret"}}"#.to_owned(), (200, "")),
        (r#"{"action":"create","user":{"name":"u","password":"s3cret"}}"#.to_owned(), (400, "user already exists")),
        (format!(r#"{{"action":"create","user":{{"name":"h","hash":"{hash}"}}}}"#), (200, "")),
        (r#"{"action":"create","user":{"name":"x","hash":"plain"}}"#.to_owned(), (400, "invalid hash")),
        (r#"{"action":"create","user":{"name":"x"}}"#.to_owned(), (400, "password or hash required")),
        (r#"{"action":"create","user":{"password":"s3cret"}}"#.to_owned(), (400, "username required")),
        (
            format!(r#"{{"action":"create","user":{{"name":"x","password":"{long}"}}}}"#),
            (400, "password length exceeds 72 bytes"),
        ),
        (r#"{"action":"create"}"#.to_owned(), (400, "invalid user")),
        (r#"{"action":"paint","user":{"name":"u"}}"#.to_owned(), (400, "invalid action: paint")),
        (r#"{"action":"create","user":"s3cret"}"#.to_owned(), (400, "invalid JSON")),
        (r#"{"action":"change-password","user":{"name":"u","password":"0ther"}}"#.to_owned(), (200, "")),
        (r#"{"action":"change-password","user":{"name":"x","password":"0ther"}}"#.to_owned(), (400, "user not found")),
        (r#"{"action":"change-password","user":{"name":"u"}}"#.to_owned(), (400, "password or hash required")),
        (r#"{"action":"delete","user":{"name":"x"}}"#.to_owned(), (400, "user not found")),
        (r#"{"action":"add-permissions","user":{"name":"u","permissions":{"":["ReadData"]}}}"#.to_owned(), (200, "")),
        (
            r#"{"action":"remove-permissions","user":{"name":"u","permissions":{"":["ReadData"]}}}"#.to_owned(),
            (200, ""),
        ),
        (
            r#"{"action":"add-permissions","user":{"name":"u","permissions":{"":["Read"]}}}"#.to_owned(),
            (400, "unknown permission: Read"),
        ),
        (
            r#"{"action":"add-permissions","user":{"name":"u","permissions":{"gone":["ReadData"]}}}"#.to_owned(),
            (400, "database not found: gone"),
        ),
        (
            r#"{"action":"add-permissions","user":{"name":"x","permissions":{"":["ReadData"]}}}"#.to_owned(),
            (400, "user not found"),
        ),
        (
            r#"{"action":"create","user":{"name":"p","password":"x","permissions":{"":["ReadData"]}}}"#.to_owned(),
            (400, "permissions are given by add-permissions"),
        ),
    ] {
        let (status, told) = post(&address, "/user", "application/json", body.as_bytes()).await;
        let wanted = if want.1.is_empty() { String::new() } else { format!(r#"{{"error":"{}"}}"#, want.1) };
        assert_eq!((status, told), (want.0, wanted), "{body}");
    }
    let stored = process.node.data().user("u").expect("created").hash.clone();
    let bcrypt = credentials::Scheme::parse("bcrypt").expect("a scheme");
    assert!(credentials::password::verify("0ther", &stored, &bcrypt));
    for (database, privilege) in
        [("a", meta::Privilege::All), ("n", meta::Privilege::None), ("r", meta::Privilege::Read)]
    {
        propose(&[&process], &create_database(database)).await;
        let (user, database) = ("u".to_owned(), database.to_owned());
        propose(&[&process], &meta::Command::Grant { user, database, privilege }).await;
    }
    propose(&[&process], &meta::Command::SetAdmin { name: "h".to_owned(), admin: true }).await;
    let all =
        json!(["CreateDatabase", "DropData", "ReadData", "WriteData", "ManageContinuousQuery", "ManageSubscription"]);
    let u = json!({ "name": "u", "hash": stored, "permissions": { "a": all, "r": ["ReadData"] } });
    let listed = get_json(&address, "/user").await;
    assert_eq!(listed["users"][0], u);
    assert_eq!((&listed["users"][1]["name"], &listed["users"][1]["hash"]), (&json!("h"), &json!(hash)));
    let admin = listed["users"][1]["permissions"][""].as_array().expect("a list");
    assert_eq!((admin.len(), &admin[0], &admin[17]), (18, &json!("ViewAdmin"), &json!("KapacitorConfigAPI")));
    assert_eq!(get_json(&address, "/user?name=u").await, json!({ "users": [u] }));
    let (status, _) = post(&address, "/user", "application/json", br#"{"action":"delete","user":{"name":"u"}}"#).await;
    assert_eq!((status, process.node.data().user("u").is_none()), (200, true));
}

#[tokio::test]
async fn the_admin_api_takes_administrators_and_nodes() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let process = Host::guarded(temp.path(), "a", &switch).await.start().await;
    process.node.bootstrap().await.expect("forms");
    let address = process.peer();
    let hash = |password: &str| {
        let scheme = credentials::Scheme::parse("bcrypt;cost=4").expect("a scheme");
        scheme.hash(password, &[7; 16]).expect("hashed")
    };
    for (name, admin) in [("root", true), ("reader", false)] {
        let command = meta::Command::CreateUser { name: name.to_owned(), hash: hash("right"), admin };
        propose(&[&process], &command).await;
    }
    let now = u64::try_from(Env::real().now().0 / 1_000_000_000).expect("after 1970");
    let token = |name: &str, secret: &str| format!("Bearer {}", credentials::sign(name, secret, now + 60));
    let ask = async |path: &str, authorization: Option<&str>| {
        let mut request = http::Request::get(path).header("host", &address);
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        let answer = send(&address, request.body(Full::default()).expect("well formed")).await;
        let challenge = answer.headers().get("www-authenticate").is_some();
        let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        (answer.status().as_u16(), challenge, body["error"].as_str().unwrap_or_default().to_owned())
    };
    let good = (200, false, String::new());
    assert_eq!(ask("/ping", None).await, good, "anybody may");
    for authorization in [
        token("", NODE_SECRET),
        token("root", "a secret of users"),
        "Basic cm9vdDpyaWdodA==".to_owned(),
        "Token root:right".to_owned(),
    ] {
        assert_eq!(ask("/show-cluster", Some(&authorization)).await, good, "{authorization}");
    }
    assert_eq!(ask("/show-cluster?u=root&p=right", None).await, good);
    let refused = |why: &str| (401, true, why.to_owned());
    for path in ["/", "/status", "/peers", "/show-cluster", "/show-shards", "/lease", "/user", "/role", "/debug/pprof"]
    {
        assert_eq!(ask(path, None).await, refused("unable to parse authentication credentials"), "{path}");
    }
    for (authorization, why) in [
        (token("", "another secret of other nodes"), "signature is invalid"),
        (token("", "a secret of users"), "signature is invalid"),
        (token("root", NODE_SECRET), "signature is invalid"),
        (token("nobody", "a secret of users"), "user not found"),
        ("Token root:wrong".to_owned(), "authorization failed"),
        ("Token nobody:right".to_owned(), "authorization failed"),
        ("Token :right".to_owned(), "username required"),
        ("Digest x".to_owned(), "unable to parse authentication credentials"),
    ] {
        assert_eq!(ask("/show-cluster", Some(&authorization)).await, refused(why), "{authorization}");
    }
    let (status, _) = post(&address, "/join", "application/x-www-form-urlencoded", b"addr=b:8091").await;
    assert_eq!(status, 401, "nothing is done for strangers");
    // Users may look at the members; for everything else they need permissions.
    let reader = token("reader", "a secret of users");
    for path in ["/status", "/peers", "/show-cluster"] {
        assert_eq!(ask(path, Some(&reader)).await, good, "{path}");
    }
    let lacks = |permission: &str| (403, false, format!("user reader lacks permission {permission}"));
    for (path, permission) in [
        ("/", "CreateUserAndRole"),
        ("/user", "CreateUserAndRole"),
        ("/role", "CreateUserAndRole"),
        ("/influxdb/v2/acl/restrictions", "CreateUserAndRole"),
        ("/lease?name=x&nodeid=1", "AddRemoveNode"),
        ("/show-shards", "ManageShard"),
        ("/debug/pprof", "Monitor"),
    ] {
        assert_eq!(ask(path, Some(&reader)).await, lacks(permission), "{path}");
    }
    let permissions = std::collections::BTreeMap::from([(
        String::new(),
        meta::Permissions::of(&[meta::Permission::Rebalance, meta::Permission::CreateUserAndRole]),
    )]);
    let user = "reader".to_owned();
    propose(&[&process], &meta::Command::AddPermissions { user, permissions }).await;
    assert_eq!(ask("/user", Some(&reader)).await, good);
    assert_eq!(ask("/show-shards", Some(&reader)).await, good, "one of several will do");
    assert_eq!(ask("/lease?name=x&nodeid=1", Some(&reader)).await, lacks("AddRemoveNode"));
}

#[tokio::test]
async fn roles_are_listed_and_changed() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let process = Host::new(temp.path(), "a", &switch).await.start().await;
    process.node.bootstrap().await.expect("forms");
    let address = process.peer();
    assert_eq!(get_json(&address, "/role").await, json!({}));
    let missing = call(&address, "GET", "/role?name=ops").await;
    assert_eq!((missing.status().as_u16(), text(&missing).as_str()), (404, r#"{"error":"role not found"}"#));
    propose(&[&process], &create_database("db")).await;
    let user = meta::Command::CreateUser { name: "ann".to_owned(), hash: "h".to_owned(), admin: false };
    propose(&[&process], &user).await;
    for (body, want) in [
        (r#"{"action":"create","role":{"name":"ops"}}"#, (200, "")),
        (r#"{"action":"create","role":{"name":"ops"}}"#, (400, "role already exists")),
        (r#"{"action":"create","role":{}}"#, (400, "role name required")),
        (r#"{"action":"create"}"#, (400, "invalid role")),
        (r#"{"action":"paint","role":{"name":"ops"}}"#, (400, "invalid action: paint")),
        ("x", (400, "invalid JSON")),
        (
            r#"{"action":"create","role":{"name":"x","users":["ann"]}}"#,
            (400, "a role is created without permissions and users, which are added to it"),
        ),
        (r#"{"action":"add-users","role":{"name":"ops","users":["ann"]}}"#, (200, "")),
        (r#"{"action":"add-users","role":{"name":"ops","users":["bob"]}}"#, (400, "user not found")),
        (r#"{"action":"add-users","role":{"name":"x","users":["ann"]}}"#, (400, "role not found")),
        (
            r#"{"action":"add-permissions","role":{"name":"ops","permissions":{"db":["WriteData","ReadData"],"":["Monitor"]}}}"#,
            (200, ""),
        ),
        (
            r#"{"action":"add-permissions","role":{"name":"ops","permissions":{"db":["Monitor"]}}}"#,
            (400, "permission Monitor cannot be given for one database"),
        ),
        (
            r#"{"action":"add-permissions","role":{"name":"ops","permissions":{"":["X"]}}}"#,
            (400, "unknown permission: X"),
        ),
        (r#"{"action":"remove-permissions","role":{"name":"ops","permissions":{"":["Monitor"]}}}"#, (200, "")),
        (r#"{"action":"change-name","role":{"name":"x","newName":"y"}}"#, (400, "role not found")),
        (r#"{"action":"change-name","role":{"name":"ops"}}"#, (400, "role name required")),
        (r#"{"action":"change-name","role":{"name":"ops","newName":"operators"}}"#, (200, "")),
    ] {
        let (status, told) = post(&address, "/role", "application/json", body.as_bytes()).await;
        let wanted = if want.1.is_empty() { String::new() } else { format!(r#"{{"error":"{}"}}"#, want.1) };
        assert_eq!((status, told), (want.0, wanted), "{body}");
    }
    let role = json!({ "name": "operators", "permissions": { "db": ["ReadData", "WriteData"] }, "users": ["ann"] });
    assert_eq!(get_json(&address, "/role").await, json!({ "roles": [role] }));
    assert_eq!(get_json(&address, "/role?name=operators").await, json!({ "roles": [role] }));
    for (body, want) in [
        (&br#"{"action":"remove-users","role":{"name":"operators","users":["ann"]}}"#[..], 200),
        (br#"{"action":"delete","role":{"name":"operators"}}"#, 200),
        (br#"{"action":"delete","role":{"name":"operators"}}"#, 400),
    ] {
        assert_eq!(post(&address, "/role", "application/json", body).await.0, want);
    }
}

#[tokio::test]
async fn restrictions_and_grants_are_posted_listed_and_deleted() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let process = Host::new(temp.path(), "a", &switch).await.start().await;
    process.node.bootstrap().await.expect("forms");
    let address = process.peer();
    let (restrictions, grants) = ("/influxdb/v2/acl/restrictions", "/influxdb/v2/acl/grants");
    assert_eq!(get_json(&address, restrictions).await, json!({ "restrictions": [] }));
    assert_eq!(get_json(&address, grants).await, json!({ "grants": [] }));
    let user = meta::Command::CreateUser { name: "ann".to_owned(), hash: "h".to_owned(), admin: false };
    propose(&[&process], &user).await;
    let rule = json!({
        "database": { "match": "exact", "value": "db" },
        "measurement": { "match": "prefix", "value": "cpu" },
        "tags": [{ "match": "prefix", "key": "host", "value": "web" }],
        "permissions": ["read", "write"],
    });
    let made = |id: &str| {
        let mut made = rule.clone();
        made["id"] = json!(id);
        made
    };
    let add = async |path: &str, body: &Value| {
        let (status, told) = post(&address, path, "application/json", body.to_string().as_bytes()).await;
        (status, serde_json::from_str::<Value>(&told).expect("JSON"))
    };
    assert_eq!(add(restrictions, &rule).await, (200, made("0000000000000001")));
    let mut grant = rule.clone();
    grant["users"] = json!([{ "name": "ann" }]);
    let mut granted = made("0000000000000002");
    granted["users"] = grant["users"].clone();
    assert_eq!(add(grants, &grant).await, (200, granted.clone()));
    assert_eq!(get_json(&address, restrictions).await, json!({ "restrictions": [made("0000000000000001")] }));
    assert_eq!(get_json(&address, grants).await, json!({ "grants": [granted] }));
    let with = |key: &str, value: Value| {
        let mut changed = rule.clone();
        changed[key] = value;
        changed
    };
    for (path, body) in [
        (restrictions, with("tag", json!([]))),
        (restrictions, with("id", json!("0000000000000009"))),
        (restrictions, with("database", json!({ "match": "regex", "value": "db" }))),
        (restrictions, with("database", json!({ "match": "exact", "value": "" }))),
        (restrictions, with("measurement", json!({ "value": "cpu" }))),
        (restrictions, with("tags", json!([{ "match": "exact", "key": "host" }]))),
        (restrictions, with("permissions", json!([]))),
        (restrictions, with("permissions", json!(["admin"]))),
        (restrictions, with("users", json!([{ "name": "ann" }]))),
        (grants, rule.clone()),
        (grants, with("users", json!([{ "name": "bob" }]))),
        (grants, with("roles", json!([{ "name": "nope" }]))),
        (grants, with("roles", json!(["nope"]))),
        (grants, json!({})),
        (grants, json!(null)),
    ] {
        let (status, told) = add(path, &body).await;
        assert_eq!(status, 400, "{path} {body} {told}");
    }
    for (method, path, want) in [
        ("DELETE", "/influxdb/v2/acl/restrictions/0000000000000002", 404),
        ("DELETE", "/influxdb/v2/acl/restrictions/1", 404),
        ("DELETE", "/influxdb/v2/acl/restrictions/+000000000000001", 404),
        ("DELETE", "/influxdb/v2/acl/restrictions/0000000000000001", 204),
        ("DELETE", "/influxdb/v2/acl/restrictions/0000000000000001", 404),
        ("DELETE", "/influxdb/v2/acl/grants/0000000000000002", 204),
        ("DELETE", "/influxdb/v2/acl/other/0000000000000002", 404),
        ("GET", "/influxdb/v2/acl/other", 404),
    ] {
        assert_eq!(call(&address, method, path).await.status().as_u16(), want, "{method} {path}");
    }
    assert_eq!(get_json(&address, restrictions).await, json!({ "restrictions": [] }));
}

#[tokio::test]
async fn users_are_looked_up_in_a_directory_once_it_is_set() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let process = Host::guarded(temp.path(), "a", &switch).await.start().await;
    process.node.bootstrap().await.expect("forms");
    let address = process.peer();
    let now = u64::try_from(Env::real().now().0 / 1_000_000_000).expect("after 1970");
    let node = format!("Bearer {}", credentials::sign("", NODE_SECRET, now + 60));
    let ask = async |method: &str, path: &str, body: &str, authorization: &str| {
        let request = http::Request::builder().method(method).uri(path).header("host", &address);
        let request = request.header("authorization", authorization).header("content-length", body.len());
        let answer = send(&address, request.body(Full::new(Bytes::from(body.to_owned()))).expect("well formed")).await;
        (answer.status().as_u16(), text(&answer))
    };
    let (config, guest) = ("/ldap/v1/config", "Token guest:guest");
    assert_eq!(ask("GET", config, "", &node).await, (200, r#"{"structured":{"enabled":false}}"#.to_owned()));
    assert_eq!(ask("GET", "/status", "", guest).await.0, 400, "nobody is an administrator yet");
    let missing = ask("POST", config, "on s3cret", &node).await;
    assert_eq!(missing, (400, r#"{"error":"role not found: ops"}"#.to_owned()));
    propose(&[&process], &meta::Command::CreateRole { name: "ops".to_owned() }).await;
    assert_eq!(ask("POST", config, "on", &node).await.0, 400);
    assert_eq!(ask("POST", config, "on s3cret", &node).await, (204, String::new()));
    let shown = ask("GET", config, "", &node).await;
    assert!(shown.0 == 200 && shown.1.contains("on [REDACTED]") && !shown.1.contains("s3cret"), "{shown:?}");
    assert_eq!(ask("GET", "/status", "", guest).await.0, 200);
    assert_eq!(ask("GET", "/status", "", "Token guest:wrong").await.0, 401);
    assert_eq!(ask("GET", "/user", "", guest).await.0, 403);
    let permissions = std::collections::BTreeMap::from([(
        String::new(),
        meta::Permissions::of(&[meta::Permission::CreateUserAndRole]),
    )]);
    propose(&[&process], &meta::Command::AddRolePermissions { role: "ops".to_owned(), permissions }).await;
    assert_eq!(ask("GET", "/user", "", guest).await.0, 200);
    let token = format!("Bearer {}", credentials::sign("guest", "a secret of users", now + 60));
    assert_eq!(ask("GET", "/user", "", &token).await.0, 200);
    let token = format!("Bearer {}", credentials::sign("nobody", "a secret of users", now + 60));
    assert_eq!(ask("GET", "/user", "", &token).await.0, 401);
    assert_eq!(ask("POST", "/ldap/v1/purge-cache", "", guest).await.0, 204);
    let verify = ask("POST", "/ldap/v1/verify", r#"{"user":"u","password":"p"}"#, guest).await;
    assert_eq!(verify, (200, "u by on\n".to_owned()));
    let verify = ask("POST", "/ldap/v1/verify", r#"{"user":"u","password":"p","config":"off x"}"#, guest).await;
    assert_eq!(verify, (200, "u by off\n".to_owned()));
    assert_eq!(ask("POST", "/ldap/v1/verify", r#"{"user":"u"}"#, guest).await.0, 400);
    let warm = "/ldap/v1/warm-cache";
    assert_eq!(ask("POST", warm, "", guest).await, (200, r#"{"nodes":[]}"#.to_owned()), "there are no data nodes");
    assert_eq!(ask("POST", warm, "", "Token guest:wrong").await.0, 401);
    assert_eq!(ask("POST", config, "off s3cret", guest).await.0, 204);
    let off = ask("POST", warm, "", &node).await;
    assert!(off.0 == 400 && off.1.contains("the LDAP configuration says enabled = false"), "{off:?}");
    for (method, body) in [("POST", "cancel=true"), ("GET", "")] {
        assert_eq!(ask(method, warm, body, &node).await, (200, r#"{"nodes":[]}"#.to_owned()), "{method}");
    }
    assert_eq!(ask("GET", "/status", "", guest).await.0, 401, "it is off");

    let open = Host::new(temp.path(), "b", &switch).await.start().await;
    open.node.bootstrap().await.expect("forms");
    let (status, told) = post(&open.peer(), config, "text/plain", b"on s3cret").await;
    assert!(status == 403 && told.contains("ldap-allowed"), "{status} {told}");
    let (status, told) = post(&open.peer(), warm, "application/x-www-form-urlencoded", b"").await;
    assert!(status == 403 && told.contains("ldap-allowed"), "{status} {told}");
}

#[tokio::test]
async fn groups_are_not_read_ahead_without_a_directory_and_lost_nodes_are_told() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let process = Host::guarded(temp.path(), "a", &switch).await.start().await;
    process.node.bootstrap().await.expect("forms");
    let address = process.peer();
    let now = u64::try_from(Env::real().now().0 / 1_000_000_000).expect("after 1970");
    let node = format!("Bearer {}", credentials::sign("", NODE_SECRET, now + 60));
    let ask = async |method: &str, path: &str, body: &str| {
        let request = http::Request::builder().method(method).uri(path).header("host", &address);
        let request = request.header("authorization", &node).header("content-length", body.len());
        let answer = send(&address, request.body(Full::new(Bytes::from(body.to_owned()))).expect("well formed")).await;
        (answer.status().as_u16(), text(&answer))
    };
    let warm = "/ldap/v1/warm-cache";
    let told = ask("POST", warm, "").await;
    let want = r#"{"error":"no LDAP configuration is set: influxd-ctl ldap set-config sets one"}"#;
    assert_eq!(told, (400, want.to_owned()));
    propose(&[&process], &meta::Command::CreateRole { name: "ops".to_owned() }).await;
    assert_eq!(ask("POST", "/ldap/v1/config", "on s3cret").await.0, 204);
    // A data node that nobody reaches.
    let (addr, lost) = (free_address().await, meta::Incarnation::parse(&"1".repeat(32)).expect("digits"));
    let data = meta::Command::CreateDataNode {
        incarnation: lost,
        http_addr: "d:8086".to_owned(),
        tcp_addr: addr.clone(),
        passive: false,
    };
    propose(&[&process], &data).await;
    for method in ["POST", "GET"] {
        let (status, told) = ask(method, warm, "").await;
        let lists = told.contains(&format!(r#""tcpAddr":"{addr}""#)) && told.contains(r#""state":"unknown""#);
        assert!(status == 200 && lists && told.contains("connect: "), "{method} {told}");
    }
}
