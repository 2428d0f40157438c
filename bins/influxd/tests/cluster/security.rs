//! Every endpoint against every kind of credentials, tokens with tricks, and secrets that must not show; against real
//! processes.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;
use testkit::Cluster;
use testkit::http::{Answer, encode};

use super::users::{ask, guard, start_all};
use super::{check, cluster};

const NODES: &str = "planted-secret-of-the-nodes-32-bytes";
const USERS: &str = "planted-secret-of-users-of-8091";
/// Signs tokens on 8086; `users::guard` sets it.
const CLIENTS: &str = "planted-token-secret";
const ADMIN: (&str, &str) = ("admin", "planted-admin-password");
const READER: (&str, &str) = ("reader", "planted-reader-password");
const NEVER: u64 = 9_999_999_999;
const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

/// A request with headers, on a connection of its own.
fn send(address: &str, line: &str, headers: &str, body: &str) -> anyhow::Result<Answer> {
    let (method, target) = line.split_once(' ').expect("method and path");
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let length = body.len();
    let head = format!("{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n");
    stream.write_all(format!("{head}{headers}\r\n{body}").as_bytes())?;
    let mut raw = Vec::new();
    stream.read_to_end(&mut raw)?;
    let text = String::from_utf8_lossy(&raw).into_owned();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body).to_owned();
    Ok(Answer { status: status.ok_or_else(|| anyhow::anyhow!("{address} {line}: {text:?}"))?, body })
}

fn basic(user: &str, password: &str) -> String {
    format!("Authorization: Basic {}\r\n", STANDARD.encode(format!("{user}:{password}")))
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

/// Both APIs ask for proof, and there are an administrator and somebody who may nothing.
fn guarded(cluster: &mut Cluster) -> anyhow::Result<()> {
    guarded_with(cluster, "")
}

/// The same, with more keys in the table of the metadata.
fn guarded_with(cluster: &mut Cluster, more: &str) -> anyhow::Result<()> {
    guard(cluster, "")?;
    for node in &cluster.nodes {
        let file = node.dir().join("influxdb.conf");
        let keys = format!(
            "[cluster]\n  cluster-tracing = true\n[meta]\n  auth-enabled = true\n  meta-auth-enabled = true\n  internal-shared-secret = \"{NODES}\"\n  \
             shared-secret = \"{USERS}\"\n{more}"
        );
        fs::write(&file, fs::read_to_string(&file)?.replacen("[meta]\n", &keys, 1))?;
    }
    start_all(cluster)?;
    let create = format!("CREATE USER {} WITH PASSWORD '{}' WITH ALL PRIVILEGES", ADMIN.0, ADMIN.1);
    anyhow::ensure!(ask(cluster, 0, ("", ""), "", &create)?.status == 200);
    let create = format!("CREATE USER {} WITH PASSWORD '{}'; CREATE DATABASE d", READER.0, READER.1);
    anyhow::ensure!(ask(cluster, 0, ADMIN, "", &create)?.status == 200);
    Ok(())
}

/// Endpoints of 8086, and whether they are open to everybody.
const CLIENT_API: [(&str, bool); 24] = [
    ("GET /query?db=d&q=SHOW+USERS", false),
    ("POST /query?db=d&q=SHOW+USERS", false),
    ("POST /write?db=d", false),
    ("GET /ping", true),
    ("HEAD /ping", true),
    ("GET /status", true),
    ("GET /health", true),
    ("GET /metrics", false),
    ("POST /api/v2/write?bucket=d", false),
    ("POST /api/v2/query", false),
    ("POST /api/v2/delete?bucket=d", false),
    ("GET /api/v2/buckets", false),
    ("POST /api/v2/buckets", false),
    ("GET /api/v2/buckets/x", false),
    ("DELETE /api/v2/buckets/x", false),
    ("PATCH /api/v2/buckets/x", false),
    ("GET /api/v2/buckets/x/labels", false),
    ("GET /api/v2/buckets/x/members", false),
    ("GET /api/v2/buckets/x/owners", false),
    ("POST /api/v1/prom/write?db=d", false),
    ("POST /api/v1/prom/read?db=d", false),
    ("GET /debug/vars", false),
    ("GET /debug/requests", false),
    ("POST /debug/vars", false),
];

/// Endpoints of 8091, and what somebody who may nothing is told: `open`, `any` user, or the permission that is missing.
const ADMIN_API: [(&str, &str); 36] = [
    ("GET /ping", "open"),
    ("GET /status", "any"),
    ("GET /peers", "any"),
    ("GET /show-cluster", "any"),
    ("GET /nothing-at-all", "any"),
    ("GET /?index=0", "CreateUserAndRole"),
    ("GET /user", "CreateUserAndRole"),
    ("GET /role", "CreateUserAndRole"),
    ("GET /influxdb/v2/acl/restrictions", "CreateUserAndRole"),
    ("GET /influxdb/v2/acl/grants", "CreateUserAndRole"),
    ("GET /ldap/v1/config", "CreateUserAndRole"),
    ("GET /ldap/v1/warm-cache", "CreateUserAndRole"),
    ("GET /show-shards", "ManageShard"),
    ("GET /copy-shard-status", "ManageShard"),
    ("GET /lease?name=x&nodeid=1", "AddRemoveNode"),
    ("GET /debug/pprof", "Monitor"),
    ("POST /user", "CreateUserAndRole"),
    ("POST /role", "CreateUserAndRole"),
    ("POST /influxdb/v2/acl/restrictions", "CreateUserAndRole"),
    ("POST /influxdb/v2/acl/grants", "CreateUserAndRole"),
    ("DELETE /influxdb/v2/acl/grants/0000000000000001", "CreateUserAndRole"),
    ("POST /ldap/v1/config", "CreateUserAndRole"),
    ("POST /ldap/v1/verify", "CreateUserAndRole"),
    ("POST /ldap/v1/purge-cache", "CreateUserAndRole"),
    ("POST /ldap/v1/warm-cache", "CreateUserAndRole"),
    ("POST /execute", "CreateUserAndRole"),
    ("POST /restore-meta", "CreateUserAndRole"),
    ("POST /announce", "AddRemoveNode"),
    ("POST /join", "AddRemoveNode"),
    ("POST /add-data", "AddRemoveNode"),
    ("POST /update-data", "AddRemoveNode"),
    ("POST /remove-data", "AddRemoveNode"),
    ("POST /remove", "AddRemoveNode"),
    ("POST /node-labels", "AddRemoveNode"),
    ("POST /remove-shard", "ManageShard"),
    ("POST /truncate-shards?delay=x", "ManageShard"),
];

#[test]
fn every_endpoint_meets_every_kind_of_credentials() {
    let (mut cluster, _dir) = cluster(45, 1);
    let done = (|| {
        guarded(&mut cluster)?;
        let node = &cluster.nodes[0];
        let (client, admin) = (node.at(8086), node.at(8091));
        let mut asked = 0;
        let bad = |secret: &str| {
            vec![
                ("nothing", String::new()),
                ("a wrong password", basic(ADMIN.0, "wrong")),
                ("nobody", basic("nobody", ADMIN.1)),
                ("no name", basic("", ADMIN.1)),
                ("an expired token", bearer(&credentials::token::sign(ADMIN.0, secret, 1))),
                ("a forged token", bearer(&credentials::token::sign(ADMIN.0, "planted-another", NEVER))),
                ("another scheme", "Authorization: Digest x\r\n".to_owned()),
            ]
        };
        let mut expect = |address: &str, line: &str, with: &str, headers: &str, want: &dyn Fn(u16) -> bool| {
            asked += 1;
            let answer = send(address, line, headers, "")?;
            anyhow::ensure!(want(answer.status), "{line} with {with}: {answer:?}");
            Ok::<_, anyhow::Error>(answer)
        };
        for (line, open) in CLIENT_API {
            for (with, headers) in bad(CLIENTS) {
                expect(&client, line, with, &headers, &|status| if open { status < 300 } else { status == 401 })?;
            }
            let right = [basic(ADMIN.0, ADMIN.1), bearer(&credentials::token::sign(ADMIN.0, CLIENTS, NEVER))];
            for headers in right {
                expect(&client, line, "an administrator", &headers, &|status| {
                    ![401, 403].contains(&status) || line.contains("v2/query")
                })?;
            }
            let decided = line.contains("/query?") || line.contains("/write?") && !line.contains("prom");
            let want = |status| if decided { status == 403 } else { status != 401 };
            expect(&client, line, "a user", &basic(READER.0, READER.1), &want)?;
        }
        for (line, demand) in ADMIN_API {
            for (with, headers) in bad(USERS) {
                expect(&admin, line, with, &headers, &|status| {
                    if demand == "open" { status == 200 } else { status == 401 }
                })?;
            }
            let reader = [basic(READER.0, READER.1), bearer(&credentials::token::sign(READER.0, USERS, NEVER))];
            for headers in reader {
                let listed = ["open", "any"].contains(&demand);
                let want = |status| if listed { [200, 404].contains(&status) } else { status == 403 };
                let answer = expect(&admin, line, "a user", &headers, &want)?;
                let told = format!("user reader lacks permission {demand}");
                anyhow::ensure!(listed || answer.body.contains(&told), "{line}: {answer:?}");
            }
            // What they ask for is incomplete, so nothing changes.
            let right = [basic(ADMIN.0, ADMIN.1), bearer(&credentials::token::sign("", NODES, NEVER))];
            for headers in right {
                expect(&admin, line, "somebody who may", &headers, &|status| {
                    ![401, 403].contains(&status) || line.contains("ldap/")
                })?;
            }
        }
        anyhow::ensure!(asked == 24 * 10 + 36 * 11, "{asked}");
        // After all of that the node is as it was.
        anyhow::ensure!(ask(&cluster, 0, ADMIN, "", "SHOW USERS")?.body.contains("[\"reader\",false]"));
        Ok(())
    })();
    check(&cluster, done);
}

/// A token with this head and these claims as they are, signed as the head says where that is a known way.
fn token(head: &str, claims: &str, secret: &str) -> String {
    let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
    let algorithm =
        if head.contains("HS512") { jsonwebtoken::Algorithm::HS512 } else { jsonwebtoken::Algorithm::HS256 };
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(head), URL_SAFE_NO_PAD.encode(claims));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, algorithm).expect("signed");
    format!("{message}.{signature}")
}

#[test]
fn tokens_with_tricks_let_nobody_in() {
    let (mut cluster, _dir) = cluster(46, 1);
    let done = (|| {
        guarded(&mut cluster)?;
        let node = &cluster.nodes[0];
        let hs = r#"{"alg":"HS256","typ":"JWT"}"#;
        for (address, line, secret) in
            [(node.at(8086), "GET /query?q=SHOW+USERS", CLIENTS), (node.at(8091), "GET /user", USERS)]
        {
            let good = format!(r#"{{"username":"admin","exp":{NEVER}}}"#);
            let status = |token: &str| Ok::<_, anyhow::Error>(send(&address, line, &bearer(token), "")?.status);
            anyhow::ensure!(status(&token(hs, &good, secret))? == 200, "the good one");
            anyhow::ensure!(status(&token(r#"{"alg":"HS512"}"#, &good, secret))? == 200, "another way");
            let none = format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), URL_SAFE_NO_PAD.encode(&good));
            let mut tricks = vec![
                ("no signature", none.clone()),
                (
                    "no signature, in other letters",
                    none.replacen(
                        &URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#),
                        &URL_SAFE_NO_PAD.encode(r#"{"alg":"NoNe"}"#),
                        1,
                    ),
                ),
                (
                    "another way than it says",
                    token(r#"{"alg":"HS512"}"#, &good, secret).replacen(
                        &URL_SAFE_NO_PAD.encode(r#"{"alg":"HS512"}"#),
                        &URL_SAFE_NO_PAD.encode(hs),
                        1,
                    ),
                ),
                ("a public key as a secret", token(r#"{"alg":"RS256"}"#, &good, secret)),
                ("elliptic", token(r#"{"alg":"ES256"}"#, &good, secret)),
                (
                    "a key of its own",
                    token(r#"{"alg":"HS256","jwk":{"kty":"oct","k":"AA"},"kid":"../../dev/null"}"#, &good, ""),
                ),
                ("an empty key", token(hs, &good, "")),
                ("another key", token(hs, &good, "x")),
                ("a longer key", token(hs, &good, &format!("{secret}x"))),
                ("two parts", token(hs, &good, secret).rsplit_once('.').expect("parts").0.to_owned()),
                ("four parts", token(hs, &good, secret) + ".x"),
                (
                    "a long one",
                    token(hs, &format!(r#"{{"username":"admin","exp":{NEVER},"x":"{}"}}"#, "x".repeat(9_000)), secret),
                ),
                ("no claims", token(hs, "", secret)),
                ("claims that are a list", token(hs, "[]", secret)),
            ];
            for (what, claims) in [
                ("no exp", r#"{"username":"admin"}"#),
                ("exp as a text", r#"{"username":"admin","exp":"9999999999"}"#),
                ("exp in the past", r#"{"username":"admin","exp":1}"#),
                ("exp below zero", r#"{"username":"admin","exp":-1}"#),
                ("exp null", r#"{"username":"admin","exp":null}"#),
                ("exp a list", r#"{"username":"admin","exp":[9999999999]}"#),
                ("exp not a number", r#"{"username":"admin","exp":NaN}"#),
                ("not before tomorrow", r#"{"username":"admin","exp":9999999999,"nbf":9999999998}"#),
                ("nobody", r#"{"username":"nobody","exp":9999999999}"#),
                ("no name", r#"{"exp":9999999999}"#),
                ("an empty name", r#"{"username":"","exp":9999999999}"#),
                ("a name that is a number", r#"{"username":1,"exp":9999999999}"#),
                ("a name in other letters", r#"{"username":"Admin","exp":9999999999}"#),
                ("a name with a zero byte", r#"{"username":"admin\u0000","exp":9999999999}"#),
                ("two names", r#"{"username":"reader","username":"admin","exp":9999999999}"#),
                ("two ends", r#"{"username":"admin","exp":1,"exp":9999999999}"#),
            ] {
                tricks.push((what, token(hs, claims, secret)));
            }
            for (what, trick) in tricks {
                let status = status(&trick)?;
                anyhow::ensure!([400, 401, 431].contains(&status), "{line} {what}: {status}");
            }
        }
        Ok(())
    })();
    check(&cluster, done);
}

/// Everything below a folder, by path.
fn files(dir: &Path, found: &mut Vec<(String, Vec<u8>)>) -> anyhow::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            files(&path, found)?;
        } else if let Ok(bytes) = fs::read(&path) {
            found.push((path.display().to_string(), bytes));
        }
    }
    Ok(())
}

/// How users are looked up in a directory that is not there.
fn directory(password: &str) -> String {
    format!(
        "enabled = false\n[[servers]]\nhost = \"127.20.47.9\"\nport = 389\nsecurity = \"none\"\nbind-dn = \
         \"cn=reader\"\nbind-password = \"{password}\"\nsearch-base-dns = [\"dc=x\"]\nsearch-filter = \"(uid=%s)\"\n"
    )
}

#[test]
fn planted_secrets_show_nowhere() {
    let (mut cluster, dir) = cluster(47, 2);
    let done = (|| {
        guarded_with(&mut cluster, "  ldap-allowed = true\n")?;
        let ldap = "planted-directory-password";
        let changed = ("u", "planted-changed-password");
        let hash = "$2a$06$plantedplantedplantedeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i";
        let admin = basic(ADMIN.0, ADMIN.1);
        let mut told = String::new();
        let mut say = |node: usize, port: u16, line: &str, headers: &str, body: &str| -> anyhow::Result<()> {
            let answer = send(&cluster.nodes[node].at(port), line, headers, body)?;
            told.push_str(&answer.body);
            Ok(())
        };
        for node in 0..2 {
            for text in [
                "CREATE USER u WITH PASSWORD 'planted-first-password'".to_owned(),
                format!("SET PASSWORD FOR u = '{}'", changed.1),
                "SET PASSWORD FOR nobody = 'planted-for-nobody'".to_owned(),
                "CREATE USER \"planted-not-a-secret\" WITH PASSWORD 'planted-inline'; SELECT".to_owned(),
            ] {
                say(node, 8086, &format!("POST /query?q={}", encode(&text)), &admin, "")?;
                say(node, 8086, &format!("GET /query?q={}", encode(&text)), &admin, "")?;
            }
            say(node, 8086, &format!("GET /query?u=u&p={}&q=SHOW+USERS", changed.1), "", "")?;
            say(node, 8086, "GET /query?u=u&p=planted-guess&q=x", "", "")?;
            say(node, 8086, "POST /write?db=d&u=u&p=planted-write-guess", "", "m v=1")?;
            say(node, 8086, "GET /query?q=SHOW+USERS", "Authorization: Token u:planted-token-guess\r\n", "")?;
            say(node, 8086, "GET /query?q=SHOW+USERS", "Authorization: Bearer planted.bearer.guess\r\n", "")?;
            let user = |action: &str, what: &str| format!(r#"{{"action":"{action}","user":{{"name":"x",{what}}}}}"#);
            say(node, 8091, "POST /user", &admin, &user("create", "\"password\":\"planted-posted-password\""))?;
            say(node, 8091, "POST /user", &admin, &user("create", &format!("\"hash\":\"{hash}\"")))?;
            say(node, 8091, "POST /user", &admin, "{\"action\":\"create\",\"user\":\"planted-damaged\"}")?;
            say(node, 8091, "GET /status?u=admin&p=planted-admin-guess", "", "")?;
            let toml = format!("[[servers]]\nhost = \"x\"\nbind-password = [\"{ldap}\"]\n");
            say(node, 8091, "POST /ldap/v1/config", &admin, &toml)?;
            say(node, 8091, "POST /ldap/v1/config", &admin, &directory(ldap))?;
            say(node, 8091, "GET /ldap/v1/config", &admin, "")?;
            let verify = r#"{"user":"ann","password":"planted-verified-password"}"#;
            say(node, 8091, "POST /ldap/v1/verify", &admin, verify)?;
            let verify = json!({ "user": "ann", "password": "planted-verified-password", "config": directory(ldap) });
            say(node, 8091, "POST /ldap/v1/verify", &admin, &verify.to_string())?;
            say(node, 8091, "POST /ldap/v1/purge-cache", &admin, "")?;
            say(node, 8091, "POST /ldap/v1/warm-cache", &admin, "")?;
            say(node, 8091, "GET /ldap/v1/warm-cache", &admin, "")?;
            // Who sends a text that does not parse is told where it stops to, as by the reference; nobody else is.
            for text in ["CREATE USER a WITH PASSWORD 'planted-open", "SET PASSWORD FOR u = planted-bare"] {
                let answers = [
                    send(&cluster.nodes[node].at(8086), &format!("POST /query?q={}", encode(text)), &admin, "")?,
                    send(&cluster.nodes[node].at(8086), &format!("GET /query?q={}", encode(text)), &admin, "")?,
                    send(&cluster.nodes[node].at(8086), "POST /query", &(admin.clone() + FORM), &format!("q={text}"))?,
                ];
                for answer in answers {
                    anyhow::ensure!(answer.status == 400 && answer.body.contains("expected string"), "{answer:?}");
                }
            }
            for path in ["/metrics", "/debug/vars", "/debug/requests", "/status", "/health"] {
                say(node, 8086, &format!("GET {path}"), &admin, "")?;
            }
            say(node, 8086, "GET /query?q=SHOW+USERS;SHOW+GRANTS+FOR+u", &admin, "")?;
            say(node, 8091, "GET /show-cluster", &admin, "")?;
        }
        let leak = |text: &str| {
            let hidden = text.replace("planted-not-a-secret", "");
            hidden.find("planted").map(|at| hidden[at.saturating_sub(80)..].chars().take(200).collect::<String>())
        };
        anyhow::ensure!(leak(&told).is_none(), "an answer tells {:?}", leak(&told));
        for node in &cluster.nodes {
            let log = node.log_tail(1_000_000);
            anyhow::ensure!(leak(&log).is_none(), "the log of {} tells {:?}", node.host, leak(&log));
            // Calls are logged, too, without the proofs that they carry.
            let proofs = ["Bearer", "eyJ"];
            let shown = log.lines().find(|line| proofs.iter().any(|proof| line.contains(proof)));
            anyhow::ensure!(log.contains("call between nodes") && shown.is_none(), "{shown:?}");
        }
        for index in 0..2 {
            anyhow::ensure!(cluster.stop(index)? == Some(0));
        }
        // The metadata has hashes, and what a directory is asked with; the configuration has its own secrets. Nothing else
        // is in any file.
        let mut found = Vec::new();
        files(dir.path(), &mut found)?;
        let searched = found.iter().filter(|(path, _)| !path.ends_with("influxdb.conf"));
        for (path, bytes) in searched {
            let text = String::from_utf8_lossy(bytes).into_owned();
            let text = text.replace(&hash["$2a$06$".len()..], "");
            let is_metadata = path.contains("/meta/");
            let text = if is_metadata { text.replace(ldap, "") } else { text };
            anyhow::ensure!(leak(&text).is_none(), "{path} has {:?}", leak(&text));
        }
        Ok(())
    })();
    check(&cluster, done);
}

/// Calls between nodes, all of them.
const CALLS: [&str; 10] =
    ["Raft", "Propose", "Watch", "WriteShard", "Describe", "Select", "Series", "Digest", "Export", "State"];

/// The answer to a call between nodes with these headers, as it comes: a refusal has the code 16.
fn call(address: &str, name: &str, headers: &str, body: &[u8]) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let length = body.len();
    let head = format!(
        "POST /mainstem.peer.v1.Peer/{name} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: \
         application/grpc\r\nContent-Length: {length}\r\n"
    );
    stream.write_all(format!("{head}{headers}\r\n").as_bytes())?;
    stream.write_all(body)?;
    let mut raw = Vec::new();
    stream.read_to_end(&mut raw)?;
    Ok(String::from_utf8_lossy(&raw).to_lowercase())
}

#[test]
fn calls_between_nodes_need_a_proof_for_this_node_and_this_time() {
    let (mut cluster, _dir) = cluster(49, 2);
    let done = (|| {
        guarded(&mut cluster)?;
        let [first, second] = [&cluster.nodes[0], &cluster.nodes[1]];
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
        let claims = |receiver: String| credentials::PeerClaims { cluster: 0, sender: 2, receiver };
        let own = || claims(first.at(8088));
        let good = credentials::peer::sign(&own(), NODES, now + 300);
        let (head, rest) = good.split_once('.').expect("parts");
        let (body, signature) = rest.split_once('.').expect("parts");
        let coded = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let bad = [
            ("nothing", String::new()),
            ("a password", basic(ADMIN.0, ADMIN.1)),
            (
                "another secret",
                bearer(&credentials::peer::sign(&own(), "planted-secret-of-other-nodes-32-", now + 300)),
            ),
            ("the secret of users", bearer(&credentials::peer::sign(&own(), USERS, now + 300))),
            ("one of yesterday", bearer(&credentials::peer::sign(&own(), NODES, now - 86_400))),
            ("one that has just ended", bearer(&credentials::peer::sign(&own(), NODES, now))),
            ("one for another node", bearer(&credentials::peer::sign(&claims(second.at(8088)), NODES, now + 300))),
            ("one for another port", bearer(&credentials::peer::sign(&claims(first.at(8086)), NODES, now + 300))),
            ("one for everybody", bearer(&credentials::peer::sign(&claims(String::new()), NODES, now + 300))),
            (
                "one of another cluster",
                bearer(&credentials::peer::sign(&credentials::PeerClaims { cluster: 7, ..own() }, NODES, now + 300)),
            ),
            ("one for the admin API", bearer(&credentials::token::sign("", NODES, now + 300))),
            ("one of a user", bearer(&credentials::token::sign(ADMIN.0, USERS, now + 300))),
            ("no signature", bearer(&format!("{head}.{body}."))),
            ("no way of signing", bearer(&format!("{}.{body}.", coded(r#"{"alg":"none"}"#)))),
            (
                "no way of signing, kept signature",
                bearer(&format!("{}.{body}.{signature}", coded(r#"{"alg":"none"}"#))),
            ),
            ("another way of signing", bearer(&format!("{}.{body}.{signature}", coded(r#"{"alg":"HS256"}"#)))),
            ("a key pair", bearer(&format!("{}.{body}.{signature}", coded(r#"{"alg":"RS512"}"#)))),
            ("other claims", bearer(&format!("{head}.{}.{signature}", coded(r#"{"username":"","exp":9999999999}"#)))),
            ("a signature that is cut", bearer(&good[..good.len() - 1])),
        ];
        let raft = |node: &testkit::Node| -> anyhow::Result<serde_json::Value> {
            let proof = bearer(&credentials::token::sign("", NODES, NEVER));
            Ok(serde_json::from_str(&send(&node.at(8091), "GET /status", &proof, "")?.body)?)
        };
        let before = raft(first)?;
        let mut refused = 0;
        for name in CALLS {
            for (what, headers) in &bad {
                let answer = call(&first.at(8088), name, headers, b"\0\0\0\0\0")?;
                anyhow::ensure!(answer.contains("grpc-status: 16"), "{name} with {what}: {answer}");
                refused += 1;
            }
            let answer = call(&first.at(8088), name, &bearer(&good), b"garbage")?;
            anyhow::ensure!(!answer.contains("grpc-status: 16"), "{name} with a proof: {answer}");
        }
        // The other calls of that port.
        for (line, body) in [
            ("GET /shards", ""),
            ("GET /warm-cache", ""),
            ("POST /warm-cache", r#"{"cancel":false,"metaIndex":1}"#),
            ("POST /enter", r#"{"metaServers":["127.20.49.9:8091"]}"#),
            ("POST /leave", r#"{"incarnation":"0"}"#),
        ] {
            for (what, headers) in &bad {
                // These take what the admin API takes of nodes, which names neither a receiver nor a cluster.
                if ["one for the admin API", "one of another cluster"].contains(what) {
                    continue;
                }
                let answer = send(&first.at(8088), line, headers, body)?;
                anyhow::ensure!(answer.status == 401, "{line} with {what}: {answer:?}");
                refused += 1;
            }
        }
        // Nor are they good on the admin API, but for those that it takes of nodes and users.
        for (what, headers) in &bad {
            let answer = send(&first.at(8091), "GET /user", headers, "")?;
            let taken =
                ["a password", "one for the admin API", "one of a user", "one of another cluster"].contains(what);
            anyhow::ensure!(answer.status == if taken { 200 } else { 401 }, "GET /user with {what}: {answer:?}");
        }
        // All of it is counted, and nothing has come of it.
        let metrics = send(&first.at(8086), "GET /metrics", &basic(ADMIN.0, ADMIN.1), "")?.body;
        anyhow::ensure!(metrics.contains(&format!("peer_calls_refused_total {refused}\n")), "{refused}: {metrics}");
        anyhow::ensure!(raft(first)? == before);
        anyhow::ensure!(first.log_tail(1_000_000).contains("the call of another node is refused"));
        anyhow::ensure!(ask(&cluster, 1, ADMIN, "", "CREATE DATABASE after")?.status == 200);
        anyhow::ensure!(ask(&cluster, 0, ADMIN, "", "SHOW DATABASES")?.body.contains("after"));
        Ok(())
    })();
    check(&cluster, done);
}
