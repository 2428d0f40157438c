//! Users: who is let in, on every node, and what they may do there.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use testkit::http::{Answer, encode, request};
use testkit::{Cluster, until};

use super::{check, cluster};

/// A secret that signs tokens of users.
const SECRET: &str = "planted-token-secret";

/// Asks a node as a user; `u` may be empty.
pub(crate) fn ask(cluster: &Cluster, node: usize, user: (&str, &str), db: &str, text: &str) -> anyhow::Result<Answer> {
    let login = match user {
        ("", _) => String::new(),
        (name, password) => format!("u={name}&p={}&", encode(password)),
    };
    let target = format!("/query?{login}db={db}&q={}", encode(text));
    request("POST", &cluster.nodes[node].at(8086), &target, b"")
}

/// The same; the answer must have this status, and hold this text.
#[track_caller]
pub(crate) fn expect(
    cluster: &Cluster,
    node: usize,
    user: (&str, &str),
    text: &str,
    want: (u16, &str),
) -> anyhow::Result<()> {
    let answer = ask(cluster, node, user, "d", text)?;
    anyhow::ensure!(answer.status == want.0 && answer.body.contains(want.1), "node {node}: {text}: {answer:?}");
    Ok(())
}

fn write(cluster: &Cluster, node: usize, user: (&str, &str), db: &str) -> anyhow::Result<Answer> {
    let target = format!("/write?u={}&p={}&db={db}", user.0, encode(user.1));
    request("POST", &cluster.nodes[node].at(8086), &target, b"m v=1 1")
}

/// Turns authentication on, and the access log.
pub(crate) fn guard(cluster: &Cluster, more: &str) -> anyhow::Result<()> {
    for index in 0..cluster.nodes.len() {
        let keys = format!("  auth-enabled = true\n  shared-secret = \"{SECRET}\"\n{more}");
        cluster.configure(index, true, true, &keys)?;
        let file = cluster.nodes[index].dir().join("influxdb.conf");
        let text = std::fs::read_to_string(&file)?;
        std::fs::write(&file, text.replace("  log-enabled = false\n", "  log-enabled = true\n"))?;
    }
    Ok(())
}

/// Starts all nodes. Their lists are not asked for, which needs a user.
pub(crate) fn start_all(cluster: &mut Cluster) -> anyhow::Result<()> {
    cluster.start(0, &[])?;
    let join = cluster.nodes[0].at(8091);
    for index in 1..cluster.nodes.len() {
        cluster.start(index, &["-join", &join])?;
    }
    Ok(())
}

const ADMIN: (&str, &str) = ("admin", "planted-admin-password");
const OLD: (&str, &str) = ("u", "planted-old-password");
const NEW: (&str, &str) = ("u", "planted-new-password");
const NOBODY: (&str, &str) = ("", "");
const FAILED: (u16, &str) = (401, "authorization failed");

#[test]
fn users_are_the_same_on_every_node() {
    let (mut cluster, _dir) = cluster(40, 3);
    let done = (|| {
        guard(&cluster, "")?;
        start_all(&mut cluster)?;
        let first = (403, "create admin user first or disable authentication");
        for node in 0..3 {
            expect(&cluster, node, NOBODY, "SHOW DATABASES", first)?;
            expect(&cluster, node, ADMIN, "CREATE USER u WITH PASSWORD 'x'", first)?;
        }
        let create = format!("CREATE USER admin WITH PASSWORD '{}' WITH ALL PRIVILEGES; CREATE DATABASE d", ADMIN.1);
        expect(&cluster, 1, NOBODY, &create, (200, "{\"statement_id\":1}"))?;
        let create = format!("CREATE USER u WITH PASSWORD '{}'; CREATE DATABASE hidden", OLD.1);
        expect(&cluster, 0, ADMIN, &create, (200, "{\"statement_id\":1}"))?;
        for node in 0..3 {
            expect(&cluster, node, NOBODY, "SHOW DATABASES", (401, "unable to parse authentication credentials"))?;
            expect(&cluster, node, ("nobody", "x"), "SHOW DATABASES", FAILED)?;
            expect(&cluster, node, (ADMIN.0, OLD.1), "SHOW DATABASES", FAILED)?;
            expect(&cluster, node, ADMIN, "SHOW USERS", (200, "[[\"admin\",true],[\"u\",false]]"))?;
            expect(&cluster, node, OLD, "SHOW DATABASES", (200, "\"columns\":[\"name\"]}"))?;
            expect(&cluster, node, OLD, "SHOW USERS", (403, "requires admin privilege"))?;
            // A second bootstrap is none.
            let again = "CREATE USER thief WITH PASSWORD 'x' WITH ALL PRIVILEGES";
            expect(&cluster, node, NOBODY, again, (401, "unable to parse"))?;
            anyhow::ensure!(write(&cluster, node, OLD, "d")?.status == 403);
            anyhow::ensure!(write(&cluster, node, OLD, "nowhere")?.status == 404);
        }
        grants_act_at_once(&cluster)?;
        passwords_and_drops_act_at_once(&cluster)
    })();
    check(&cluster, done);
    let restarted = (|| {
        cluster.kill(2)?;
        cluster.start(2, &[])?;
        expect(&cluster, 2, ADMIN, "SHOW USERS", (200, "[[\"admin\",true]]"))?;
        nothing_planted_was_logged(&cluster)
    })();
    check(&cluster, restarted);
}

fn grants_act_at_once(cluster: &Cluster) -> anyhow::Result<()> {
    let (read, refused) = ("SELECT v FROM m", (403, "requires READ on d"));
    expect(cluster, 0, ADMIN, "GRANT WRITE ON d TO u", (200, "{\"statement_id\":0}"))?;
    for node in 0..3 {
        let answer = write(cluster, node, OLD, "d")?;
        anyhow::ensure!(answer.status == 204, "{answer:?}");
        let told = write(cluster, node, OLD, "hidden")?;
        let want = r#"{"error":"\"u\" user is not authorized to write to database \"hidden\""}"#;
        anyhow::ensure!((told.status, told.body.trim()) == (403, want), "{told:?}");
        expect(cluster, node, OLD, read, refused)?;
        expect(cluster, node, OLD, "SHOW DATABASES", (200, "\"values\":[[\"d\"]]"))?;
    }
    expect(cluster, 1, ADMIN, "GRANT READ ON d TO u", (200, "{\"statement_id\":0}"))?;
    for node in 0..3 {
        anyhow::ensure!(write(cluster, node, OLD, "d")?.status == 403);
        expect(cluster, node, OLD, read, (200, "\"columns\":[\"time\",\"v\"]"))?;
        let inner = "SELECT v FROM (SELECT v FROM hidden..m)";
        expect(cluster, node, OLD, inner, (403, "requires READ on hidden"))?;
        expect(cluster, node, OLD, "SELECT v INTO hidden..m FROM m", (403, "requires WRITE on hidden"))?;
        expect(cluster, node, OLD, "SELECT v FROM hidden../.*/", (403, "requires READ on hidden"))?;
    }
    expect(cluster, 2, ADMIN, "REVOKE ALL ON d FROM u", (200, "{\"statement_id\":0}"))?;
    (0..3).try_for_each(|node| expect(cluster, node, OLD, read, refused))
}

fn passwords_and_drops_act_at_once(cluster: &Cluster) -> anyhow::Result<()> {
    let token = credentials::token::sign("u", SECRET, 9_999_999_999);
    let show = |node: usize, token: &str| -> anyhow::Result<Answer> {
        let mut stream = TcpStream::connect(cluster.nodes[node].at(8086))?;
        let head = "GET /query?q=SHOW+DATABASES HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer";
        stream.write_all(format!("{head} {token}\r\n\r\n").as_bytes())?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let status = text.split(' ').nth(1).unwrap_or_default().parse()?;
        Ok(Answer { status, body: text })
    };
    // Every node remembers the old password by now.
    expect(cluster, 0, ADMIN, &format!("SET PASSWORD FOR u = '{}'", NEW.1), (200, "{\"statement_id\":0}"))?;
    for node in 0..3 {
        expect(cluster, node, OLD, "SHOW DATABASES", FAILED)?;
        expect(cluster, node, NEW, "SHOW DATABASES", (200, ""))?;
        anyhow::ensure!(show(node, &token)?.status == 200);
        let forged = show(node, &credentials::token::sign("admin", "another secret", 9_999_999_999))?;
        anyhow::ensure!(forged.status == 401 && forged.body.contains("signature is invalid"), "{forged:?}");
        let old = show(node, &credentials::token::sign("u", SECRET, 1))?;
        anyhow::ensure!(old.status == 401 && old.body.contains("Token is expired"), "{old:?}");
    }
    expect(cluster, 1, ADMIN, "DROP USER u", (200, "{\"statement_id\":0}"))?;
    for node in 0..3 {
        expect(cluster, node, NEW, "SHOW DATABASES", FAILED)?;
        let gone = show(node, &token)?;
        anyhow::ensure!(gone.status == 401 && gone.body.contains("user not found"), "{gone:?}");
    }
    Ok(())
}

/// Every secret of the test begins with the same word. The log has the requests.
fn nothing_planted_was_logged(cluster: &Cluster) -> anyhow::Result<()> {
    for node in &cluster.nodes {
        let log = node.log_tail(100_000);
        anyhow::ensure!(log.contains("POST /query?u=admin&p=[REDACTED]"), "{log}");
        let leak = log.lines().find(|line| line.contains("planted") || line.contains("$2a$"));
        anyhow::ensure!(leak.is_none(), "{leak:?}");
    }
    Ok(())
}

#[test]
fn liveness_and_debug_ask_for_credentials_as_configured() {
    let (mut cluster, _dir) = cluster(41, 2);
    let done = (|| {
        guard(&cluster, "")?;
        let file = cluster.nodes[1].dir().join("influxdb.conf");
        let keys = "  log-enabled = true\n  ping-auth-enabled = true\n  pprof-auth-enabled = true\n";
        std::fs::write(&file, std::fs::read_to_string(&file)?.replace("  log-enabled = true\n", keys))?;
        cluster.start(0, &[])?;
        let (join, admin) = (cluster.nodes[0].at(8091), "CREATE USER a WITH PASSWORD 'x' WITH ALL PRIVILEGES");
        anyhow::ensure!(ask(&cluster, 0, NOBODY, "", admin)?.status == 200);
        anyhow::ensure!(ask(&cluster, 0, ("a", "x"), "", "CREATE USER u WITH PASSWORD 'x'")?.status == 200);
        cluster.spawn(1, &["-join", &join])?;
        until("the node serves", Duration::from_secs(20), || {
            Ok(cluster.nodes[1].log_tail(100).contains("the node serves").then_some(()))
        })?;
        for (path, open) in [("/ping", 204), ("/status", 204), ("/health", 200)] {
            anyhow::ensure!(request("GET", &cluster.nodes[0].at(8086), path, b"")?.status == open, "{path}");
            anyhow::ensure!(request("GET", &cluster.nodes[1].at(8086), path, b"")?.status == 401, "{path}");
            let login = format!("{path}?u=u&p=x");
            anyhow::ensure!(request("GET", &cluster.nodes[1].at(8086), &login, b"")?.status == open, "{path}");
        }
        for (path, user, of_two) in [
            ("/metrics", "", [401, 401]),
            ("/metrics", "u", [200, 200]),
            ("/debug/vars", "", [401, 401]),
            ("/debug/vars", "u", [200, 403]),
            ("/debug/vars", "a", [200, 200]),
        ] {
            for (node, want) in of_two.into_iter().enumerate() {
                let target = format!("{path}?u={user}&p=x");
                let answer = request("GET", &cluster.nodes[node].at(8086), &target, b"")?;
                anyhow::ensure!(answer.status == want, "{node} {target} {}", answer.status);
            }
        }
        Ok(())
    })();
    check(&cluster, done);
}

#[test]
fn passwords_are_hashed_as_configured_and_old_hashes_stay_good() {
    let (mut cluster, _dir) = cluster(42, 1);
    let done = (|| {
        guard(&cluster, "")?;
        cluster.start(0, &[])?;
        let admin = format!("CREATE USER admin WITH PASSWORD '{}' WITH ALL PRIVILEGES", ADMIN.1);
        expect(&cluster, 0, NOBODY, &admin, (200, "{\"statement_id\":0}"))?;
        let log = cluster.nodes[0].log_tail(1_000);
        anyhow::ensure!(log.contains("Password hashing configuration: bcrypt;cost=10"), "{log}");
        anyhow::ensure!(log.contains("Password hashing is FIPS-ready: false"), "{log}");
        anyhow::ensure!(cluster.stop(0)? == Some(0));
        let file = cluster.nodes[0].dir().join("influxdb.conf");
        let keys = "[meta]\n  password-hash = \"pbkdf2-sha512;salt_len=20;rounds=2000\"\n  ensure-fips = true\n";
        std::fs::write(&file, std::fs::read_to_string(&file)?.replacen("[meta]\n", keys, 1))?;
        cluster.start(0, &[])?;
        let log = cluster.nodes[0].log_tail(1_000);
        anyhow::ensure!(log.contains("configuration: pbkdf2-sha512;rounds=2000;salt_len=20"), "{log}");
        anyhow::ensure!(log.contains("Password hashing is FIPS-ready: true"), "{log}");
        let create = format!("CREATE USER u WITH PASSWORD '{}'", OLD.1);
        expect(&cluster, 0, ADMIN, &create, (200, "{\"statement_id\":0}"))?;
        expect(&cluster, 0, OLD, "SHOW DATABASES", (200, ""))?;
        let users: Value = serde_json::from_str(&request("GET", &cluster.nodes[0].at(8091), "/user", b"")?.body)?;
        let hash = |index: usize| users["users"][index]["hash"].as_str().unwrap_or_default().to_owned();
        anyhow::ensure!(hash(0).starts_with("$2a$10$"), "{users}");
        anyhow::ensure!(hash(1).starts_with("$pbkdf2-sha512$2000$"), "{users}");
        Ok(())
    })();
    check(&cluster, done);
}

/// How a program ends that is given this file, and what it says.
fn ending(program: &str, dir: &Path, text: &str) -> anyhow::Result<(Option<i32>, String)> {
    let file = dir.join("some.conf");
    std::fs::write(&file, text)?;
    let output = Command::new(program).arg("-config").arg(&file).env_clear().env("HOME", dir).output()?;
    Ok((output.status.code(), String::from_utf8(output.stderr)?))
}

#[test]
fn a_weak_hash_stops_both_programs_where_fips_is_asked_for() {
    let dir = tempfile::tempdir().expect("a folder");
    for program in [env!("CARGO_BIN_EXE_influxd"), env!("CARGO_BIN_EXE_influxd-meta")] {
        let run = |text: &str| ending(program, dir.path(), text).expect("it ends");
        let (code, said) = run("[meta]\nensure-fips = true\n");
        let want = "run: create server: passwordhash: not FIPS-ready: config: 'bcrypt'\n";
        assert!(code == Some(1) && said.ends_with(want), "{code:?} {said}");
        assert!(said.contains("Password hashing is FIPS-ready: false"), "{said}");
        let (code, said) = run("[meta]\nensure-fips = true\npassword-hash = \"pbkdf2-sha256;rounds=999\"\n");
        assert!(code == Some(1) && said.contains("config: 'pbkdf2-sha256;rounds=999'"), "{code:?} {said}");
        let (code, said) = run("[meta]\n\npassword-hash = \"sha1\"\n");
        assert!(code == Some(1) && said.contains("some.conf:3: [meta] password-hash: unknown password hash"), "{said}");
    }
}
