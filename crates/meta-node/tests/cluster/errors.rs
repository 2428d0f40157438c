//! Every text with which the admin API refuses something, beside the request and the state of the cluster in which it is
//! said. Programs and people know these texts, so they are compared whole. Left out are those of calls that are not
//! there yet (`/copy-shard` and its kin).

use bytes::Bytes;
use env::Env;
use http_body_util::Full;
use meta::Command;

use crate::harness::*;
use crate::http::send;
use crate::operate::DataNode;

/// Line (method and path), body, status and the text under `error`.
type Case<'a> = (&'a str, &'a str, u16, &'a str);

/// Asks as `influxd-ctl` does: forms as forms, all else as JSON.
async fn ask(address: &str, line: &str, body: &str, authorization: &str) -> (u16, String) {
    let (method, path) = line.split_once(' ').expect("method and path");
    let kind = if body.starts_with(['{', '[']) { "application/json" } else { "application/x-www-form-urlencoded" };
    let mut request = http::Request::builder().method(method).uri(path).header("host", address);
    request = request.header("content-type", kind);
    if !authorization.is_empty() {
        request = request.header("authorization", authorization);
    }
    let request = request.body(Full::new(Bytes::from(body.to_owned()))).expect("well formed");
    let answer = within(line, send(address, request)).await;
    let status = answer.status().as_u16();
    let text = String::from_utf8_lossy(answer.body()).into_owned();
    let told: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let Some(error) = told["error"].as_str() else { return (status, text) };
    // The header has the same text, but where browsers would ask for a password.
    let header = answer.headers().get("X-InfluxDB-Error").map(|value| value.to_str().expect("ASCII").to_owned());
    assert_eq!(header.is_none(), status == 401, "{line}");
    assert!(header.is_none_or(|header| header == error), "{line}");
    (status, error.to_owned())
}

async fn check(address: &str, cases: &[Case<'_>]) {
    for (line, body, status, text) in cases {
        let told = ask(address, line, body, "").await;
        assert_eq!(told, (*status, (*text).to_owned()), "{line} {body}");
    }
}

#[tokio::test]
async fn who_waits_for_news_is_told_that_there_will_be_none() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let process = Host::new(temp.path(), "a", &switch).await.start_single().await;
    sees(&process, "its founder", |data| data.meta_nodes().count() == 1).await;
    let address = process.peer();
    for more in ["", "&format=own"] {
        let line = format!("GET /?index=1000{more}");
        let (told, ()) = tokio::join!(ask(&address, &line, "", ""), process.node.shutdown());
        assert_eq!(told, (500, "server closed".to_owned()), "{line}");
    }
}

#[tokio::test]
async fn a_node_outside_of_clusters_refuses_with_these_texts() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let process = Host::new(temp.path(), "a", &switch).await.start().await;
    let no_leader = (503, "no leader");
    let cases = [
        ("POST /join", "", 400, "addr is required"),
        ("POST /add-data", "", 400, "addr is required"),
        ("POST /add-data", "addr=x:1", 400, "data node failed to contact valid meta server in list []"),
        ("POST /leave", "", no_leader.0, no_leader.1),
        ("POST /remove", "httpAddr=x:1", no_leader.0, no_leader.1),
        ("POST /remove-data", "addr=x:1", no_leader.0, no_leader.1),
        ("POST /update-data", "oldAddr=x:1&newAddr=y:1", no_leader.0, no_leader.1),
        ("POST /remove-shard", "src=x:1&shard=1", no_leader.0, no_leader.1),
        ("POST /truncate-shards", "", no_leader.0, no_leader.1),
        ("POST /node-labels", r#"{"nodeID":1,"set":{"a":"b"}}"#, no_leader.0, no_leader.1),
        ("POST /user", r#"{"action":"delete","user":{"name":"u"}}"#, no_leader.0, no_leader.1),
        ("POST /role", r#"{"action":"delete","role":{"name":"r"}}"#, no_leader.0, no_leader.1),
        ("GET /lease?name=x&nodeid=1", "", no_leader.0, no_leader.1),
        ("GET /?index=0", "", 503, "not part of a cluster"),
        ("GET /nothing", "", 404, "404 page not found\n"),
        ("PUT /join", "", 400, "\n"),
        ("DELETE /join", "", 404, "404 page not found\n"),
    ];
    check(&process.peer(), &cases).await;
}

#[tokio::test]
async fn a_member_refuses_with_these_texts() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let process = Host::new(temp.path(), "a", &switch).await.start().await;
    process.node.bootstrap().await.expect("forms");
    let address = process.peer();
    let user = Command::CreateUser { name: "u".to_owned(), hash: "h".to_owned(), admin: false };
    propose(&[&process], &user).await;
    propose(&[&process], &Command::CreateRole { name: "r".to_owned() }).await;
    propose(&[&process], &create_database("d")).await;
    let [first, second] =
        [DataNode::start(temp.path(), &switch, "d", 1).await, DataNode::start(temp.path(), &switch, "e", 2).await];
    for node in [&first, &second] {
        assert_eq!(ask(&address, "POST /add-data", &format!("addr={}", node.address), "").await.0, 200);
    }
    let (one, two) = (first.address.as_str(), second.address.as_str());
    let taken = format!("cannot update data node {one} to {two}; {two} is already part of cluster");
    let update = format!("oldAddr={one}&newAddr={two}");
    let shard = |shard: &str| format!("src={one}&shard={shard}");
    let (word, zero, unknown) = (shard("x"), shard("0"), shard("7"));
    // A data node that another cluster has.
    let foreign = DataNode::start(temp.path(), &switch, "f", 3).await;
    let other = Host::new(temp.path(), "b", &switch).await.start().await;
    other.node.bootstrap().await.expect("forms");
    let add_foreign = format!("addr={}", foreign.address);
    assert_eq!(ask(&other.peer(), "POST /add-data", &add_foreign, "").await.0, 200);
    let update_foreign = format!("oldAddr={one}&newAddr={}", foreign.address);
    let meta_foreign =
        format!("meta node at \"{}\" is a member of another cluster: leader=b:8088 peers=[b:8088]", other.peer());
    let (add_other, remove_self) = (format!("addr={}", other.peer()), format!("httpAddr={address}"));
    let (join_data, not_meta) = (format!("addr={one}"), format!("{one} is not a meta node"));
    let (add_meta, not_data) = (format!("addr={address}"), format!("{address} is not a data node"));
    let final_node = "unable to drop the final node in a cluster";
    let cases: &[Case<'_>] = &[
        ("POST /join", "", 400, "addr is required"),
        ("POST /join", &add_other, 409, &meta_foreign),
        ("POST /join", &join_data, 500, &not_meta),
        ("POST /leave", "", 500, final_node),
        ("POST /remove", "", 400, "httpAddr is required"),
        ("POST /remove", "httpAddr=x:1", 500, "node not found: x:1"),
        ("POST /remove", "httpAddr=x:1&force=true&tcpAddr=y:1", 500, "node not found: x:1"),
        ("POST /remove", &remove_self, 500, final_node),
        ("POST /add-data", "", 400, "addr is required"),
        ("POST /add-data", &add_meta, 500, &not_data),
        ("POST /add-data", &add_foreign, 500, "already joined to cluster"),
        ("POST /remove-data", "", 400, "addr is required"),
        ("POST /remove-data", "addr=x:1", 400, "node not found: x:1"),
        ("POST /update-data", "newAddr=x:1", 400, "oldAddr is required"),
        ("POST /update-data", "oldAddr=x:1", 400, "newAddr is required"),
        ("POST /update-data", "oldAddr=x:1&newAddr=y:1", 400, "no data node with bind address x:1 exists"),
        ("POST /update-data", &update, 400, &taken),
        ("POST /update-data", &update_foreign, 500, "already joined to cluster"),
        ("POST /enter", r#"{"metaServers":["x:1"]}"#, 409, "already joined to cluster"),
        ("POST /remove-shard", "shard=1", 400, "'src' is a required parameter"),
        ("POST /remove-shard", "src=x:1", 400, "'shard' is a required parameter"),
        ("POST /remove-shard", "src=x:1&shard=1", 400, "unable to find node for \"x:1\""),
        ("POST /remove-shard", &word, 400, "error converting shard to int: x"),
        ("POST /remove-shard", &zero, 400, "invalid parameter value for 'shard': shard id must be greater than 0"),
        ("POST /remove-shard", &unknown, 400, "shard not found for id: 7"),
        ("POST /truncate-shards", "delay=5x", 400, "time: unknown unit \"x\" in duration \"5x\""),
        ("POST /announce", "{", 400, "EOF while parsing an object at line 1 column 1"),
        ("POST /node-labels", r#"{"nodeID":99,"set":{"a":"b"}}"#, 400, "node not found"),
        ("GET /?index=x", "", 400, "error parsing index"),
        ("GET /lease?nodeid=1", "", 400, "lease name required"),
        ("GET /lease?name=x", "", 400, "node ID required"),
        ("GET /lease?name=x&nodeid=x", "", 400, "invalid node ID"),
        ("GET /user?name=x", "", 404, "user not found"),
        ("GET /role?name=x", "", 404, "role not found"),
        ("POST /user", r#"{"action":"create"}"#, 400, "invalid user"),
        ("POST /user", r#"{"action":"create","user":{}}"#, 400, "username required"),
        ("POST /user", r#"{"action":"create","user":{"name":"x"}}"#, 400, "password or hash required"),
        ("POST /user", r#"{"action":"create","user":{"name":"u","password":"p"}}"#, 400, "user already exists"),
        ("POST /user", r#"{"action":"paint","user":{"name":"u"}}"#, 400, "invalid action: paint"),
        ("POST /user", r#"{"action":"delete","user":{"name":"x"}}"#, 400, "user not found"),
        ("POST /user", r#"{"action":"change-password","user":{"name":"u"}}"#, 400, "password or hash required"),
        ("POST /user", r#"{"action":"change-password","user":{"name":"x","password":"p"}}"#, 400, "user not found"),
        (
            "POST /user",
            r#"{"action":"add-permissions","user":{"name":"x","permissions":{"":["ReadData"]}}}"#,
            400,
            "user not found",
        ),
        (
            "POST /user",
            r#"{"action":"remove-permissions","user":{"name":"x","permissions":{"":["ReadData"]}}}"#,
            400,
            "user not found",
        ),
        (
            "POST /user",
            r#"{"action":"add-permissions","user":{"name":"u","permissions":{"":["Paint"]}}}"#,
            400,
            "unknown permission: Paint",
        ),
        (
            "POST /user",
            r#"{"action":"add-permissions","user":{"name":"u","permissions":{"gone":["ReadData"]}}}"#,
            400,
            "database not found: gone",
        ),
        ("POST /role", r#"{"action":"create"}"#, 400, "invalid role"),
        ("POST /role", r#"{"action":"create","role":{}}"#, 400, "role name required"),
        ("POST /role", r#"{"action":"create","role":{"name":"r"}}"#, 400, "role already exists"),
        ("POST /role", r#"{"action":"paint","role":{"name":"r"}}"#, 400, "invalid action: paint"),
        ("POST /role", r#"{"action":"delete","role":{"name":"x"}}"#, 400, "role not found"),
        ("POST /role", r#"{"action":"add-users","role":{"name":"x","users":["u"]}}"#, 400, "role not found"),
        ("POST /role", r#"{"action":"add-users","role":{"name":"r","users":["x"]}}"#, 400, "user not found"),
        ("POST /role", r#"{"action":"remove-users","role":{"name":"x","users":["u"]}}"#, 400, "role not found"),
        ("POST /role", r#"{"action":"remove-users","role":{"name":"r","users":["x"]}}"#, 400, "user not found"),
        ("POST /role", r#"{"action":"change-name","role":{"name":"x","newName":"y"}}"#, 400, "role not found"),
        (
            "POST /role",
            r#"{"action":"add-permissions","role":{"name":"r","permissions":{"d":["Monitor"]}}}"#,
            400,
            "permission Monitor cannot be given for one database",
        ),
        ("POST /execute", "\u{8}\u{4}", 400, "unable to unmarshal command: required field \"command\" not set"),
        ("POST /ldap/v1/config", "on x", 403, "LDAP is not allowed: ldap-allowed in the [meta] section is false"),
        ("POST /nothing", "", 404, "404 page not found\n"),
    ];
    check(&address, cases).await;
    // What the system says of a connection differs; who was asked for what does not.
    for (line, body, whom) in [
        ("POST /join", "addr=127.0.0.1:1", "127.0.0.1:1"),
        ("POST /add-data", "addr=127.0.0.1:1", "127.0.0.1:1"),
        ("POST /update-data", &format!("oldAddr={one}&newAddr=127.0.0.1:1"), "127.0.0.1:1"),
    ] {
        let (status, text) = ask(&address, line, body, "").await;
        assert!(status == 500 && text.starts_with(&format!("Get http://{whom}/status: connect: ")), "{line}: {text}");
    }
}

#[tokio::test]
async fn a_member_without_a_leader_refuses_with_these_texts() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let first = Host::new(temp.path(), "a", &switch).await.start().await;
    first.node.bootstrap().await.expect("forms");
    let second = Host::new(temp.path(), "b", &switch).await.start().await;
    second.join(&[&first]).await;
    second.stop().await;
    let third = Host::new(temp.path(), "c", &switch).await.start().await;
    eventually("nobody leads", async || first.node.leader().is_none().then_some(())).await;
    let (address, add) = (first.peer(), format!("addr={}", third.peer()));
    let dangled = format!("dangled meta node at \"{address}\" already has state present, cannot add another meta node");
    let cases: &[Case<'_>] = &[
        ("POST /join", &add, 400, &dangled),
        ("POST /add-data", "addr=x:1", 503, "no leader"),
        ("POST /leave", "", 503, "no leader"),
        ("POST /remove", "httpAddr=x:1", 503, "no leader"),
        ("POST /remove-data", "addr=x:1", 503, "no leader"),
        ("POST /update-data", "oldAddr=x:1&newAddr=y:1", 503, "no leader"),
        ("GET /lease?name=x&nodeid=1", "", 503, "no leader"),
        ("GET /?consistent=true", "", 503, "no leader"),
        ("GET /ping?all=true", "", 500, "one or more metaservers not up"),
    ];
    check(&address, cases).await;
}

#[tokio::test]
async fn who_proves_nothing_is_refused_with_these_texts() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let process = Host::guarded(temp.path(), "a", &switch).await.start().await;
    process.node.bootstrap().await.expect("forms");
    let address = process.peer();
    let now = u64::try_from(Env::real().now().0 / 1_000_000_000).expect("after 1970");
    let users = "a secret of users";
    let token = |name: &str, secret: &str| format!("Bearer {}", credentials::sign(name, secret, now + 60));
    let told = async |line: &str, authorization: &str| ask(&address, line, "", authorization).await;
    let is = |status: u16, text: &str| (status, text.to_owned());
    // While nobody is an administrator, only nodes are let in.
    let first = is(400, "must create admin user first");
    let nothing = is(401, "unable to parse authentication credentials");
    for (authorization, text) in [
        ("", &nothing),
        ("Digest x", &nothing),
        ("Token u:p", &first),
        ("Basic dTpw", &first),
        (token("u", users).as_str(), &first),
    ] {
        assert_eq!(told("GET /status", authorization).await, *text, "{authorization}");
        assert_eq!(told("POST /add-data", authorization).await, *text, "{authorization}");
    }
    assert_eq!(told("GET /ping", "").await.0, 200);
    assert_eq!(told("GET /status", &token("", NODE_SECRET)).await.0, 200);
    assert_eq!(told("GET /status", &token("", "another secret of nodes")).await, is(401, "signature is invalid"));
    let hash = credentials::Scheme::parse("bcrypt;cost=4").expect("a scheme").hash("p", &[7; 16]).expect("hashed");
    for (name, admin) in [("root", true), ("u", false)] {
        let command = Command::CreateUser { name: name.to_owned(), hash: hash.clone(), admin };
        propose(&[&process], &command).await;
    }
    // A name that is a number, and none at all, under a good signature.
    let claims = |claims: &str| {
        use base64::Engine;
        let text = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
        let message = format!("{}.{}", text(r#"{"alg":"HS512"}"#), text(claims));
        let key = jsonwebtoken::EncodingKey::from_secret(users.as_bytes());
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, jsonwebtoken::Algorithm::HS512);
        format!("Bearer {message}.{}", signature.expect("signed"))
    };
    for (authorization, status, text) in [
        ("", 401, "unable to parse authentication credentials"),
        ("Digest x", 401, "unable to parse authentication credentials"),
        ("Token :p", 401, "username required"),
        ("Token root:wrong", 401, "authorization failed"),
        ("Token nobody:p", 401, "authorization failed"),
        (&token("", users), 401, "signature is invalid"),
        (&token("root", "another secret of users"), 401, "signature is invalid"),
        (&token("nobody", users), 401, "user not found"),
        (&claims(&format!(r#"{{"username":1,"exp":{}}}"#, now + 60)), 401, "username in token must be a string"),
        (&claims(&format!(r#"{{"exp":{}}}"#, now + 60)), 401, "username in token must be a string"),
        (&format!("Bearer {}", credentials::sign("root", users, now - 1)), 401, "token is expired"),
        ("Token u:p", 403, "user u lacks permission AddRemoveNode"),
        ("Token root:p", 400, "addr is required"),
    ] {
        assert_eq!(told("POST /add-data", authorization).await, is(status, text), "{authorization}");
    }
    let plain = Host::without_user_secret(temp.path(), "b", &switch).await.start().await;
    plain.node.bootstrap().await.expect("forms");
    let admin = Command::CreateUser { name: "root".to_owned(), hash, admin: true };
    propose(&[&plain], &admin).await;
    for (authorization, text) in [
        (token("root", users), "bearer auth disabled"),
        (token("root", NODE_SECRET), "bearer auth disabled"),
        (token("", users), "signature is invalid"),
        ("Bearer x".to_owned(), "token is malformed"),
    ] {
        let told = ask(&plain.peer(), "GET /status", "", &authorization).await;
        assert_eq!(told, is(401, text), "{authorization}");
    }
}
