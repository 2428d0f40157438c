//! Clusters whose nodes wait until an operator adds them: `influxd-meta` and data nodes as processes of their own.
//!
//! Addresses are 127.21.<test>.<node>; operators' calls go to the admin API, as `influxd-ctl` makes them.

#[path = "enterprise/alone.rs"]
mod alone;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use testkit::until;

/// How long anything may take that should be quick.
const SOON: Duration = Duration::from_secs(20);
const SECRET: &str = "internal-shared-secret = \"a long pass phrase for the nodes\"";

/// The two kinds of nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Meta,
    Data,
}

/// A node: an address, a directory, and a process while it runs.
struct Node {
    host: String,
    dir: PathBuf,
    kind: Kind,
    child: Option<Child>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Node {
    fn new(root: &Path, test: u8, node: u8, kind: Kind, meta_keys: &str) -> Node {
        let host = format!("127.21.{test}.{node}");
        Node::in_dir(&root.join(&host), &host, kind, meta_keys)
    }

    fn in_dir(dir: &Path, host: &str, kind: Kind, meta_keys: &str) -> Node {
        fs::create_dir_all(dir).expect("a directory");
        let path = dir.display();
        let text = match kind {
            Kind::Meta => format!(
                "hostname = \"{host}\"\n[enterprise]\n  license-key = \"any\"\n[meta]\n  dir = \"{path}/meta\"\n  \
                 bind-address = \"{host}:8089\"\n  http-bind-address = \"{host}:8091\"\n  {meta_keys}\n"
            ),
            Kind::Data => format!(
                "hostname = \"{host}\"\nbind-address = \"{host}:8088\"\n[meta]\n  enabled = false\n  dir = \
                 \"{path}/meta\"\n  {meta_keys}\n[data]\n  dir = \"{path}/data\"\n[hinted-handoff]\n  dir = \
                 \"{path}/hh\"\n[http]\n  bind-address = \"{host}:8086\"\n"
            ),
        };
        fs::write(dir.join(format!("{kind:?}.conf")), text).expect("a configuration");
        Node { host: host.to_owned(), dir: dir.to_owned(), kind, child: None }
    }

    fn at(&self, port: u16) -> String {
        format!("{}:{port}", self.host)
    }

    /// The port that operators name it by.
    fn named(&self) -> String {
        self.at(if self.kind == Kind::Meta { 8091 } else { 8088 })
    }

    fn spawn(&mut self, more: &[&str]) -> anyhow::Result<()> {
        let program = match self.kind {
            Kind::Meta => env!("CARGO_BIN_EXE_influxd-meta"),
            Kind::Data => env!("CARGO_BIN_EXE_influxd"),
        };
        let log = fs::File::options().create(true).append(true).open(self.dir.join(format!("{:?}.log", self.kind)))?;
        let child = Command::new(program)
            .arg("-config")
            .arg(self.dir.join(format!("{:?}.conf", self.kind)))
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(|| program.to_owned())?;
        self.child = Some(child);
        Ok(())
    }

    fn start(&mut self) -> anyhow::Result<()> {
        self.spawn(&[])?;
        self.answers()
    }

    fn answers(&self) -> anyhow::Result<()> {
        until("the node tells its status", SOON, || Ok(self.status().ok())).with_context(|| self.log())?;
        Ok(())
    }

    fn status(&self) -> anyhow::Result<Value> {
        let answer = testkit::http::request("GET", &self.named(), "/status", b"")?;
        Ok(serde_json::from_str(&answer.body)?)
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// As an operator does: asked to end, it ends well and in time.
    fn stop(&mut self) -> anyhow::Result<()> {
        let mut child = self.child.take().context("it runs")?;
        let pid = child.id().to_string();
        ensure!(Command::new("kill").args(["-TERM", &pid]).status()?.success());
        let ended = until("it ends", Duration::from_secs(30), || Ok(child.try_wait()?));
        let status = ended.with_context(|| self.log())?;
        ensure!(status.success(), "{}: {status}\n{}", self.host, self.log());
        Ok(())
    }

    /// Waits until it serves clients again, or knows who leads.
    fn is_back(&self) -> anyhow::Result<()> {
        until("it is back", SOON, || {
            Ok(match self.kind {
                Kind::Meta => (self.status()?["leader"] != "").then_some(()),
                Kind::Data => {
                    let health = testkit::http::request("GET", &self.at(8086), "/health", b"");
                    health.is_ok_and(|answer| answer.status == 200).then_some(())
                }
            })
        })
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.join(format!("{:?}.log", self.kind))).unwrap_or_default()
    }

    fn query(&self, text: &str) -> anyhow::Result<Value> {
        let target = format!("/query?db=d&epoch=ns&q={}", testkit::http::encode(text));
        let answer = testkit::http::request("POST", &self.at(8086), &target, b"")?;
        let document: Value = serde_json::from_str(&answer.body).with_context(|| answer.body.clone())?;
        let failed = document["results"][0]["error"].as_str().or(document["error"].as_str());
        match failed {
            Some(error) => bail!("{}: {text}: {error}", self.host),
            None => Ok(document["results"][0].clone()),
        }
    }

    fn count(&self) -> anyhow::Result<i64> {
        let result = self.query("SELECT count(v) FROM m")?;
        Ok(result["series"][0]["values"][0][1].as_i64().unwrap_or(0))
    }

    fn write(&self, from: i64, count: i64) -> anyhow::Result<()> {
        let lines: Vec<String> = (from..from + count).map(|n| format!("m,host=h{} v={n} {n}", n % 7)).collect();
        let answer =
            testkit::http::request("POST", &self.at(8086), "/write?db=d&consistency=all", lines.join("\n").as_bytes())?;
        ensure!(answer.status == 204, "{}: {} {}", self.host, answer.status, answer.body);
        Ok(())
    }
}

/// Posts a form to whichever of the meta nodes leads.
fn operate(metas: &[Node], path: &str, form: &str) -> anyhow::Result<(u16, String)> {
    until("a leader", SOON, || {
        for meta in metas.iter().filter(|meta| meta.child.is_some()) {
            let answer = testkit::http::post_form(&meta.at(8091), path, form)?;
            if answer.status != 307 && !answer.body.contains("no leader") {
                return Ok(Some((answer.status, answer.body)));
            }
        }
        Ok(None)
    })
}

/// Adds a node; its number.
fn add(metas: &[Node], node: &Node) -> anyhow::Result<u64> {
    let path = if node.kind == Kind::Meta { "/join" } else { "/add-data" };
    let (status, body) = operate(metas, path, &format!("addr={}", node.named()))?;
    ensure!(status == 200, "{status} {body}\n{}", node.log());
    let document: Value = serde_json::from_str(&body)?;
    document["id"].as_u64().context("a number")
}

/// Meta nodes that have formed a cluster.
fn metas(root: &Path, test: u8, count: u8, keys: &str) -> anyhow::Result<Vec<Node>> {
    let mut metas: Vec<Node> = (1..=count).map(|node| Node::new(root, test, node, Kind::Meta, keys)).collect();
    for meta in &mut metas {
        meta.start()?;
    }
    for (id, meta) in (1..).zip(&metas) {
        // The first is asked, so that it forms the cluster.
        ensure!(add(&metas[..1], meta)? == id);
    }
    Ok(metas)
}

fn data_node(root: &Path, test: u8, node: u8, keys: &str) -> anyhow::Result<Node> {
    let mut data = Node::new(root, test, node, Kind::Data, keys);
    data.start()?;
    Ok(data)
}

#[test]
fn a_cluster_is_formed_used_hurt_and_changed_as_operators_do() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let mut metas = metas(dir.path(), 1, 3, "")?;
    let mut first = data_node(dir.path(), 1, 11, "")?;
    // Until it is added it is there, and of no use.
    let ask = |target: &str| testkit::http::request("GET", &first.at(8086), target, b"").map(|answer| answer.status);
    // It listens to nodes before it listens to clients.
    until("it listens to clients", SOON, || Ok(ask("/ping").ok()))?;
    ensure!((ask("/ping")?, ask("/health")?, ask("/query?q=SHOW+DATABASES")?) == (204, 200, 503));
    ensure!(first.status()?["nodeStatus"] == "disjoined");
    let second = data_node(dir.path(), 1, 12, "")?;
    ensure!((add(&metas, &first)?, add(&metas, &second)?) == (4, 5));
    ensure!(add(&metas, &first)? == 4, "again changes nothing");
    ensure!(first.status()?["nodeStatus"] == "joined");
    let list = fs::read_to_string(first.dir.join("meta/client.json"))?;
    ensure!(metas.iter().all(|meta| list.contains(&meta.at(8091))), "{list}");

    first.query("CREATE DATABASE d WITH REPLICATION 2")?;
    second.write(0, 100)?;
    ensure!((first.count()?, second.count()?) == (100, 100));

    // A lost leader stops no write and is replaced.
    let leader = metas[0].status()?["leader"].as_str().context("a leader")?.to_owned();
    let lost = metas.iter().position(|meta| meta.at(8089) == leader).context("one of them")?;
    metas[lost].kill();
    first.write(100, 100)?;
    until("another leader decides", SOON, || Ok(second.query("CREATE DATABASE later").ok()))?;
    metas[lost].start()?;
    until("all agree on a leader", SOON, || {
        let leaders: Vec<Value> =
            metas.iter().map(|meta| Ok(meta.status()?["leader"].clone())).collect::<anyhow::Result<_>>()?;
        Ok((leaders[0] != "" && leaders.iter().all(|leader| *leader == leaders[0])).then_some(()))
    })?;

    // A data node comes back from its disk without being added.
    first.kill();
    first.start()?;
    until("it serves", SOON, || Ok((first.count()? == 200).then_some(())))?;

    // One that is removed empties itself, waits, and comes back as somebody else.
    let (status, body) = operate(&metas, "/remove-data", &format!("addr={}", second.at(8088)))?;
    ensure!(status == 204, "{status} {body}");
    ensure!(second.status()?["nodeStatus"] == "disjoined");
    ensure!(!second.dir.join("meta/client.json").exists() && !second.dir.join("meta/node.json").exists());
    ensure!(first.count()? == 200, "the other copy is there");
    ensure!(add(&metas, &second)? == 6);
    Ok(())
}

#[test]
fn another_node_takes_the_place_of_one_with_its_number_and_its_points() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let metas = metas(dir.path(), 2, 1, "")?;
    let mut old = data_node(dir.path(), 2, 11, "")?;
    let other = data_node(dir.path(), 2, 12, "")?;
    ensure!((add(&metas, &old)?, add(&metas, &other)?) == (2, 3));
    old.query("CREATE DATABASE d WITH REPLICATION 2")?;
    old.write(0, 100)?;
    let new = data_node(dir.path(), 2, 13, "")?;
    let (status, body) =
        operate(&metas, "/update-data", &format!("oldAddr={}&newAddr={}", old.at(8088), new.at(8088)))?;
    ensure!(status == 200 && body.contains("\"id\":2"), "{status} {body}");
    // The one whose number it was must not go on under it.
    let mut child = old.child.take().context("it was started")?;
    let ended = until("the old one ends", SOON, || Ok(child.try_wait()?))?;
    ensure!(!ended.success() && old.log().contains("another node has taken the place of this one as node 2"));
    // The new one is rebuilt from the other copy, and asked alone it has everything.
    until("all points are there", SOON, || {
        let own = format!("/query?db=d&node_id=2&q={}", testkit::http::encode("SELECT count(v) FROM m"));
        let answer = testkit::http::request("POST", &new.at(8086), &own, b"")?;
        Ok(answer.body.contains(",100]").then_some(()))
    })?;
    Ok(())
}

#[test]
fn nodes_without_the_secret_of_the_cluster_are_kept_out() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let metas = metas(dir.path(), 3, 1, SECRET)?;
    let stranger = data_node(dir.path(), 3, 11, "internal-shared-secret = \"another pass phrase of others\"")?;
    let (status, body) = operate(&metas, "/add-data", &format!("addr={}", stranger.at(8088)))?;
    ensure!(status == 500 && body.contains("signature is invalid"), "{status} {body}");
    ensure!(stranger.status()?["nodeStatus"] == "disjoined");
    let friend = data_node(dir.path(), 3, 12, &format!("meta-{SECRET}"))?;
    ensure!(add(&metas, &friend)? == 2);
    friend.query("CREATE DATABASE d")?;
    friend.write(0, 10)?;
    // Nobody makes it leave without the secret.
    let incarnation = friend.status()?["incarnation"].clone();
    let leave = serde_json::json!({ "incarnation": incarnation }).to_string();
    let answer = testkit::http::request("POST", &friend.at(8088), "/leave", leave.as_bytes())?;
    ensure!(answer.status == 401, "{} {}", answer.status, answer.body);
    ensure!(friend.count()? == 10);
    for node in [&metas[0], &stranger, &friend] {
        ensure!(!node.log().contains("pass phrase"), "a secret is in the log of {}", node.host);
    }
    let open = Node::new(dir.path(), 3, 13, Kind::Meta, "");
    let mut open = open;
    open.start()?;
    ensure!(open.log().contains("the cluster ports are open"));
    Ok(())
}

#[test]
fn a_data_node_that_is_sent_to_nobody_says_so_and_can_be_added_after() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let metas = metas(dir.path(), 16, 1, "")?;
    let data = data_node(dir.path(), 16, 11, "")?;
    let nobody = r#"{"metaServers":["127.21.16.8:8091","127.21.16.9:8091"]}"#;
    let answer = testkit::http::request("POST", &data.at(8088), "/enter", nobody.as_bytes())?;
    let told: Value = serde_json::from_str(&answer.body)?;
    let text = "no leader in meta servers: [127.21.16.8:8091 127.21.16.9:8091]";
    ensure!((answer.status, told["error"].as_str()) == (500, Some(text)), "{} {}", answer.status, answer.body);
    ensure!(data.status()?["nodeStatus"] == "disjoined");
    ensure!(add(&metas, &data)? == 2);
    Ok(())
}

/// Nodes of both kinds whose number was given out, and which went down before they had heard of it.
#[test]
fn who_does_not_know_that_it_is_a_member_is_added_again() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let metas = metas(dir.path(), 10, 1, "")?;
    let mut meta = Node::new(dir.path(), 10, 2, Kind::Meta, "");
    meta.start()?;
    let data = data_node(dir.path(), 10, 11, "")?;
    for (node, role, http, tcp, id) in [(&meta, "meta", 8091, 8089, 2), (&data, "data", 8086, 8088, 3)] {
        let addresses = serde_json::json!({ "httpAddr": node.at(http), "tcpAddr": node.at(tcp) });
        let request =
            serde_json::json!({ "stage": "register", "incarnation": node.status()?["incarnation"], role: addresses });
        let answer = testkit::http::request("POST", &metas[0].at(8091), "/join", request.to_string().as_bytes())?;
        ensure!(answer.status == 200, "{} {}", answer.status, answer.body);
        let waits = node.status()?;
        ensure!(waits["peers"] == Value::Null && waits["nodeStatus"] != "joined", "{waits}");
        ensure!(add(&metas, node)? == id, "its number stays");
    }
    until("both know", SOON, || {
        let knows = meta.status()?["peers"].as_array().is_some_and(|peers| peers.len() == 2);
        Ok((knows && data.status()?["nodeStatus"] == "joined").then_some(()))
    })
}

#[test]
fn a_single_server_has_both_programs_in_one_directory() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let host = "127.21.4.1";
    let mut meta = Node::in_dir(dir.path(), host, Kind::Meta, "");
    let mut data = Node::in_dir(dir.path(), host, Kind::Data, "");
    for round in 0..2 {
        meta.spawn(&["-single-server"])?;
        data.spawn(&[])?;
        meta.answers()?;
        data.answers()?;
        until("it leads by itself", SOON, || Ok((meta.status()?["leader"] == "127.21.4.1:8089").then_some(())))?;
        let metas = std::slice::from_ref(&meta);
        ensure!((add(metas, &meta)?, add(metas, &data)?) == (1, 2), "round {round}");
        if round == 0 {
            data.query("CREATE DATABASE d")?;
            data.write(0, 10)?;
        }
        until("the points are there", SOON, || Ok((data.count()? == 10).then_some(())))?;
        let (status, body) = operate(metas, "/join", "addr=127.21.4.1:8088")?;
        ensure!(status == 500 && body.contains("is not a meta node"), "{status} {body}");
        meta.kill();
        data.kill();
    }
    Ok(())
}

#[test]
fn influxd_forms_no_cluster_in_the_directory_of_a_meta_node() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let host = "127.21.46.1";
    let mut meta = Node::in_dir(dir.path(), host, Kind::Meta, "");
    meta.start()?;
    meta.stop()?;
    let mut server = Node::in_dir(dir.path(), host, Kind::Data, "");
    let path = dir.path().join("Data.conf");
    // As it is where [meta] enabled is not set to false: a server that stands alone.
    fs::write(&path, fs::read_to_string(&path)?.replace("enabled = false", "enabled = true"))?;
    let incarnation = fs::read(dir.path().join("meta/meta-incarnation"))?;
    server.spawn(&[])?;
    let child = server.child.as_mut().context("it was started")?;
    let status = until("it refuses", SOON, || Ok(child.try_wait()?))?;
    let log = server.log();
    let why = "is the metadata directory of influxd-meta; it is left untouched: start influxd-meta, or give influxd another \
               [meta] dir";
    ensure!(!status.success() && log.contains(why), "{log}");
    for made in ["data", "hh", "meta/incarnation", "meta/node.json", "meta/raft.db", "meta/client.lock"] {
        ensure!(!dir.path().join(made).exists(), "{made}");
    }
    ensure!(fs::read(dir.path().join("meta/meta-incarnation"))? == incarnation);
    meta.start()?;
    ensure!(add(std::slice::from_ref(&meta), &meta)? == 1);
    Ok(())
}

#[test]
fn a_meta_node_that_leaves_or_is_removed_while_it_is_away_waits_again() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let mut metas = metas(dir.path(), 5, 3, "")?;
    // Its ports close for a moment; then it is somebody else.
    let waits = |meta: &Node, before: &Value| {
        let is_new = |status: Value| status["peers"] == Value::Null && status["incarnation"] != before["incarnation"];
        until("it waits", SOON, || Ok(is_new(meta.status()?).then_some(())))
    };
    let before = [metas[1].status()?, metas[2].status()?];
    ensure!(testkit::http::post_form(&metas[2].at(8091), "/leave", "")?.status == 204);
    waits(&metas[2], &before[1])?;
    ensure!(add(&metas[..2], &metas[2])? == 4);
    // Removed while it is down: it learns of it when it comes back.
    metas[1].kill();
    let (status, body) = operate(&metas, "/remove", &format!("httpAddr={}", metas[1].at(8091)))?;
    ensure!(status == 204, "{status} {body}");
    metas[1].start()?;
    waits(&metas[1], &before[0])?;
    ensure!(add(&metas[..1], &metas[1])? == 5);
    // One that runs is back when the answer comes.
    let (status, body) = operate(&metas[..1], "/remove", &format!("httpAddr={}", metas[2].at(8091)))?;
    ensure!(status == 204 && metas[2].status()?["peers"] == Value::Null, "{status} {body}");
    ensure!(add(&metas[..1], &metas[2])? == 6);
    ensure!(metas[0].status()?["peers"].as_array().is_some_and(|peers| peers.len() == 3));
    Ok(())
}

#[test]
fn nodes_of_both_kinds_make_one_cluster() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let hosts = ["127.21.6.1"];
    let influxd = Path::new(env!("CARGO_BIN_EXE_influxd"));
    let mut classic = testkit::Cluster::new(influxd, &dir.path().join("classic"), &hosts)?;
    classic.form()?;
    let mut meta = Node::new(dir.path(), 6, 2, Kind::Meta, "");
    meta.start()?;
    let answer = testkit::http::post_form("127.21.6.1:8091", "/join", "addr=127.21.6.2:8091")?;
    ensure!(answer.status == 200, "{} {}", answer.status, answer.body);
    let data = data_node(dir.path(), 6, 3, "")?;
    let answer = testkit::http::post_form("127.21.6.1:8091", "/add-data", "addr=127.21.6.3:8088")?;
    // Either of the two may lead by now.
    if answer.status == 307 {
        ensure!(add(std::slice::from_ref(&meta), &data)? == 3);
    } else {
        ensure!(answer.status == 200, "{} {}", answer.status, answer.body);
    }
    let servers = data.query("SHOW SERVERS")?;
    let addresses = |index: usize| -> Vec<String> {
        let rows = servers["series"][index]["values"].as_array().cloned().unwrap_or_default();
        rows.iter().map(|row| row[1].as_str().unwrap_or_default().to_owned()).collect()
    };
    ensure!(addresses(0) == ["127.21.6.1:8086", "127.21.6.3:8086"], "{servers}");
    ensure!(addresses(1) == ["127.21.6.1:8091", "127.21.6.2:8091"], "{servers}");
    data.query("CREATE DATABASE d WITH REPLICATION 2")?;
    data.write(0, 10)?;
    ensure!(classic.nodes[0].rows("d", "SELECT count(v) FROM m")?[0][1] == 10);

    // The classic one goes on as a data node when it is no meta node any more: there is nothing to wait for.
    let status = testkit::http::request("GET", "127.21.6.1:8091", "/status", b"")?;
    ensure!(status.body.contains(r#""holdsData":true"#), "{}", status.body);
    let began = Instant::now();
    let removed = until("a leader", SOON, || {
        for host in ["127.21.6.2:8091", "127.21.6.1:8091"] {
            let answer = testkit::http::post_form(host, "/remove", "httpAddr=127.21.6.1:8091")?;
            if answer.status != 307 && !answer.body.contains("no leader") {
                return Ok(Some(answer));
            }
        }
        Ok(None)
    })?;
    ensure!(removed.status == 204, "{} {}", removed.status, removed.body);
    ensure!(began.elapsed() < SOON / 2, "it was waited for: {:?}", began.elapsed());
    ensure!(data.count()? == 10);
    Ok(())
}

/// How long a change of the metadata may take when the leader has just been killed. `docs/testing.md` has what it takes.
const CHANGE_MAX: Duration = Duration::from_secs(4);

/// `MAINSTEM_LEADER_KILLS` says how many; a few without it.
#[test]
fn a_killed_leader_is_replaced_in_time_and_stops_no_reads_or_writes() -> anyhow::Result<()> {
    let kills = std::env::var("MAINSTEM_LEADER_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(2);
    let dir = tempfile::tempdir()?;
    let mut metas = metas(dir.path(), 7, 3, "")?;
    let nodes = [data_node(dir.path(), 7, 11, "")?, data_node(dir.path(), 7, 12, "")?];
    for node in &nodes {
        add(&metas, node)?;
    }
    nodes[0].query("CREATE DATABASE d WITH REPLICATION 2")?;
    nodes[0].write(0, 1)?;
    let stop = AtomicBool::new(false);
    let load = || -> anyhow::Result<i64> {
        let mut written = 1;
        while !stop.load(Ordering::Relaxed) {
            let turn = usize::try_from(written)? % 2;
            nodes[turn].write(written, 1)?;
            written += 1;
            let count = nodes[1 - turn].count()?;
            ensure!(count == written, "{count} of {written} points through {}", nodes[1 - turn].host);
        }
        Ok(written)
    };
    std::thread::scope(|scope| {
        let load = scope.spawn(load);
        let killing = (|| -> anyhow::Result<Vec<Duration>> {
            let mut times = Vec::new();
            for kill in 0..kills {
                let leader = until("all agree on a leader", SOON, || {
                    let leaders: Vec<Value> =
                        metas.iter().map(|meta| Ok(meta.status()?["leader"].clone())).collect::<anyhow::Result<_>>()?;
                    let agree = leaders[0] != "" && leaders.iter().all(|leader| *leader == leaders[0]);
                    Ok(agree.then(|| leaders[0].clone()))
                })?;
                let lost = metas.iter().position(|meta| leader == meta.at(8089)).context("one of them")?;
                metas[lost].kill();
                let began = Instant::now();
                until("a change is decided", SOON, || {
                    Ok(nodes[kill % 2].query(&format!("CREATE DATABASE k{kill}")).ok())
                })?;
                times.push(began.elapsed());
                metas[lost].start()?;
            }
            Ok(times)
        })();
        stop.store(true, Ordering::Relaxed);
        let written = load.join().map_err(|_| anyhow::anyhow!("the load panicked"))??;
        let mut times = killing?;
        times.sort();
        let (median, longest) = (times[times.len() / 2], times[times.len() - 1]);
        eprintln!("{kills} kills: median {median:?}, longest {longest:?}; {written} writes and as many reads");
        ensure!(longest <= CHANGE_MAX, "{times:?}");
        Ok(())
    })
}

/// A node whose file is the one that its package ships, changed by the edits that the guide asks for.
fn shipped(root: &Path, node: u8, kind: Kind) -> anyhow::Result<Node> {
    let host = format!("127.52.1.{node}");
    let made = Node::in_dir(&root.join(&host), &host, kind, "");
    let path = made.dir.display();
    let secret = "\"a long pass phrase for the nodes\"";
    let (name, own) = match kind {
        Kind::Meta => (
            "influxdb-meta.conf",
            [
                format!("s/^  # internal-shared-secret = .*/  internal-shared-secret = {secret}/"),
                format!("s/^  # bind-address = .*/  bind-address = \"{host}:8089\"/"),
                format!("s/^  # http-bind-address = .*/  http-bind-address = \"{host}:8091\"/"),
            ]
            .to_vec(),
        ),
        Kind::Data => (
            "influxdb-data.conf",
            [
                format!("s/^  # meta-internal-shared-secret = .*/  meta-internal-shared-secret = {secret}/"),
                format!("s/^# bind-address = .*/bind-address = \"{host}:8088\"/"),
                format!("s/^  # bind-address = \":8086\"/  bind-address = \"{host}:8086\"/"),
                format!("s#^  dir = \"/var/lib/influxdb/data\"#  dir = \"{path}/data\"#"),
                format!("s#^  dir = \"/var/lib/influxdb/hh\"#  dir = \"{path}/hh\"#"),
            ]
            .to_vec(),
        ),
    };
    let both = [
        format!("s/^# hostname = .*/hostname = \"{host}\"/"),
        "s/^  # license-key = .*/  license-key = \"any\"/".to_owned(),
        format!("s#^  dir = \"/var/lib/influxdb/meta\"#  dir = \"{path}/meta\"#"),
    ];
    let file = made.dir.join(format!("{kind:?}.conf"));
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/etc").join(name);
    fs::copy(&shipped, &file).with_context(|| shipped.display().to_string())?;
    for edit in own.iter().chain(&both) {
        let before = fs::read_to_string(&file)?;
        let status = Command::new("sed").arg("-i").arg(edit).arg(&file).status()?;
        ensure!(status.success(), "{edit}");
        let after = fs::read_to_string(&file)?;
        let changed = before.lines().zip(after.lines()).filter(|(before, after)| before != after).count();
        ensure!(changed == 1 && before.lines().count() == after.lines().count(), "{edit}: {changed} lines");
    }
    Ok(made)
}

#[test]
fn the_guide_is_followed_with_the_files_that_packages_ship() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let mut nodes = Vec::new();
    for (node, kind) in [(1, Kind::Meta), (2, Kind::Meta), (3, Kind::Meta), (11, Kind::Data), (12, Kind::Data)] {
        let mut node = shipped(dir.path(), node, kind)?;
        node.start()?;
        nodes.push(node);
    }
    let (metas, datas) = nodes.split_at(3);
    for (id, node) in (1..).zip(metas.iter().chain(datas)) {
        ensure!(add(&metas[..1], node)? == id, "{} is number {id}", node.host);
    }
    for meta in metas {
        until("the member list is whole", SOON, || {
            let answer = testkit::http::request("GET", &meta.at(8091), "/show-cluster", b"")?;
            Ok(nodes.iter().all(|node| answer.body.contains(&node.named())).then_some(()))
        })?;
    }
    datas[0].query("CREATE DATABASE d")?;
    datas[0].write(0, 100)?;
    for data in datas {
        ensure!(data.count()? == 100, "{}", data.log());
    }
    for node in &nodes {
        let log = node.log();
        let warnings: Vec<&str> = log.lines().filter(|line| line.contains("lvl=warn")).collect();
        // A licence has no effect, and the log says so. Nothing else in the file is odd.
        let odd = warnings.iter().filter(|line| line.contains(".conf:") && !line.contains("license-key"));
        ensure!(odd.count() == 0 && !log.contains("ports are open"), "{}: {warnings:?}", node.host);
    }
    Ok(())
}

/// Where the copies of shards are and how they are: `influxd-ctl show-shards -v` and `-m`.
#[test]
fn copies_are_asked_for_their_state() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let metas = metas(dir.path(), 8, 1, SECRET)?;
    let key = SECRET.replace("internal", "meta-internal");
    let mut nodes = Vec::new();
    for node in [11, 12] {
        let data = data_node(dir.path(), 8, node, &key)?;
        add(&metas, &data)?;
        nodes.push(data);
    }
    nodes[0].query("CREATE DATABASE d")?;
    nodes[0].write(0, 100)?;
    let shards = |query: &str| -> anyhow::Result<Vec<Value>> {
        let answer = testkit::http::request("GET", &metas[0].at(8091), &format!("/show-shards{query}"), b"")?;
        Ok(serde_json::from_str(&answer.body)?)
    };
    ensure!(shards("")?[0]["owners"][0].get("state").is_none(), "the metadata alone does not know");
    let listed = shards("?verbose=true")?;
    ensure!(listed.len() == 1, "{listed:?}");
    for owner in listed[0]["owners"].as_array().context("owners")? {
        let modified = owner["last-modified"].as_str().context("an instant")?;
        ensure!(owner["state"] == "hot" && modified.starts_with("20") && owner["err"] == "", "{owner}");
    }
    // A copy that is gone from a disk, one that nobody has on the books, and a node that does not answer.
    nodes[1].kill();
    let shard = listed[0]["id"].as_u64().context("a number")?;
    let of = |number: u64| nodes[1].dir.join(format!("data/d/autogen/{number}"));
    ensure!(of(shard).is_dir(), "the files of shard {shard} are not in {}", of(shard).display());
    let silent = &shards("?verbose=true")?[0]["owners"][1];
    ensure!(
        silent["state"] == "" && silent["err"].as_str().is_some_and(|why| why.starts_with("connect: ")),
        "{silent}"
    );
    fs::rename(of(shard), dir.path().join("aside"))?;
    // Without the other owner nobody can bring it back at once.
    nodes[0].kill();
    nodes[1].start()?;
    let lost = until("the loss is told", SOON, || {
        let owner = shards("?verbose=true&missing=true")?[0]["owners"][1].clone();
        Ok((owner["err"] == "not found").then_some(owner))
    });
    lost.with_context(|| nodes[1].log())?;
    nodes[0].start()?;
    let repaired = until("the copy is brought back", SOON * 5, || {
        let owner = shards("?verbose=true")?[0]["owners"][1].clone();
        Ok((owner["state"] == "hot" && owner["err"] == "").then_some(()))
    });
    repaired.with_context(|| nodes[1].log())?;
    let stranger = testkit::http::request("GET", &nodes[0].at(8088), "/shards", b"")?;
    ensure!(stranger.status == 401, "{} {}", stranger.status, stranger.body);
    Ok(())
}

/// A client behind a load balancer tries the next node for so long, and then gives up.
const RETRY_MAX: Duration = Duration::from_secs(4);
/// What the client does before the next node is restarted.
const TURNS_A_NODE: usize = 20;

/// Asks one node after the other until one has done it; how often it had to be asked.
fn with_retry(hosts: &[String], from: usize, ask: impl Fn(&str) -> anyhow::Result<()>) -> anyhow::Result<usize> {
    let mut attempts = 0;
    until("a node does it", RETRY_MAX, || {
        attempts += 1;
        ask(&hosts[(from + attempts) % hosts.len()]).map(Some)
    })?;
    Ok(attempts)
}

/// What a client of a cluster that is being restarted sees.
#[derive(Debug, Default)]
struct Seen {
    writes: i64,
    reads: i64,
    changes: i64,
    /// Requests that had to be sent again.
    again: usize,
}

/// Writes at `quorum`, reads all of it, and changes the metadata now and then, each through the next node.
fn client(hosts: &[String], stop: &AtomicBool, progress: &AtomicUsize) -> anyhow::Result<Seen> {
    let mut seen = Seen::default();
    let post = |host: &str, target: &str, body: &str| -> anyhow::Result<String> {
        let answer = testkit::http::request("POST", &format!("{host}:8086"), target, body.as_bytes())?;
        ensure!(matches!(answer.status, 200 | 204), "{host}: {} {}", answer.status, answer.body);
        Ok(answer.body)
    };
    for turn in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        progress.store(turn, Ordering::Relaxed);
        let point = format!("m,host=h{} v={} {}", turn % 7, seen.writes, seen.writes);
        let write = |host: &str| post(host, "/write?db=d&consistency=quorum", &point).map(drop);
        seen.again += with_retry(hosts, turn, write).context("a write")? - 1;
        seen.writes += 1;
        let written = seen.writes;
        let read = |host: &str| {
            let text = testkit::http::encode("SELECT count(v) FROM m");
            let answer: Value = serde_json::from_str(&post(host, &format!("/query?db=d&q={text}"), "")?)?;
            let count = answer["results"][0]["series"][0]["values"][0][1].as_i64();
            // The third copy of a point may still be on its way when two are enough.
            ensure!(count == Some(written), "{host}: {answer} instead of {written} points");
            Ok(())
        };
        seen.again += with_retry(hosts, turn + 1, read).context("a read")? - 1;
        seen.reads += 1;
        if turn % 20 == 0 {
            let text = testkit::http::encode(&format!("CREATE DATABASE c{turn}"));
            let change = |host: &str| {
                let answer = post(host, &format!("/query?q={text}"), "")?;
                ensure!(!answer.contains("error"), "{host}: {answer}");
                Ok(())
            };
            seen.again += with_retry(hosts, turn + 2, change).context("a change of the metadata")? - 1;
            seen.changes += 1;
        }
    }
    Ok(seen)
}

/// Meta nodes first, then data nodes, one at a time, as an upgrade does. `MAINSTEM_ROLLS` says how many times around.
#[test]
fn a_rolling_restart_fails_no_request_and_loses_nothing() -> anyhow::Result<()> {
    let rolls = std::env::var("MAINSTEM_ROLLS").ok().and_then(|rolls| rolls.parse().ok()).unwrap_or(1);
    let dir = tempfile::tempdir()?;
    let mut metas = metas(dir.path(), 9, 3, "")?;
    let mut nodes = Vec::new();
    for node in [11, 12, 13] {
        let data = data_node(dir.path(), 9, node, "")?;
        add(&metas, &data)?;
        nodes.push(data);
    }
    nodes[0].query("CREATE DATABASE d WITH REPLICATION 3")?;
    let hosts: Vec<String> = nodes.iter().map(|node| node.host.clone()).collect();
    let (stop, progress) = (AtomicBool::new(false), AtomicUsize::new(0));
    let seen = std::thread::scope(|scope| -> anyhow::Result<Seen> {
        let client = scope.spawn(|| client(&hosts, &stop, &progress));
        let rolling = (0..rolls).try_for_each(|_| {
            metas.iter_mut().chain(&mut nodes).try_for_each(|node| {
                let turn = progress.load(Ordering::Relaxed);
                node.stop()?;
                node.start()?;
                node.is_back()?;
                until("the client goes on", SOON * 2, || {
                    let goes_on = progress.load(Ordering::Relaxed) >= turn + TURNS_A_NODE;
                    Ok((goes_on || client.is_finished()).then_some(()))
                })
            })
        });
        stop.store(true, Ordering::Relaxed);
        let seen = client.join().map_err(|_| anyhow::anyhow!("the client panicked"))??;
        rolling.map(|()| seen)
    })?;
    eprintln!("{rolls} times around: {seen:?}");
    ensure!(seen.writes > 50 && seen.changes > 2, "too little to prove anything: {seen:?}");
    for node in &nodes {
        let all = until("all points", SOON, || Ok((node.count()? == seen.writes).then_some(())));
        all.with_context(|| format!("{}: {:?} of {}", node.host, node.count(), seen.writes))?;
    }
    Ok(())
}

/// docs/operating/recover.md, step by step: two of three meta nodes are lost with their disks.
#[test]
fn the_last_meta_node_of_three_goes_on_and_is_joined_by_new_ones() -> anyhow::Result<()> {
    const TEST: u8 = 12;
    let dir = tempfile::tempdir()?;
    let mut all = metas(dir.path(), TEST, 3, "")?;
    let mut data = data_node(dir.path(), TEST, 11, "")?;
    ensure!(add(&all, &data)? == 4);
    data.query("CREATE DATABASE d")?;
    data.write(0, 100)?;
    let names: Vec<String> = (0..20).map(|number| format!("acknowledged{number}")).collect();
    for name in &names {
        data.query(&format!("CREATE DATABASE {name}"))?;
    }
    let mut left = all.remove(2);
    let file = left.dir.join("meta/peers.json");
    let listed = || -> anyhow::Result<Value> { Ok(serde_json::from_slice(&fs::read(&file)?)?) };
    let addresses = |nodes: &[&Node]| Value::from(nodes.iter().map(|node| node.at(8089)).collect::<Vec<_>>());
    ensure!(listed()? == addresses(&[&all[0], &all[1], &left]), "{}", listed()?);
    for mut lost in all {
        lost.kill();
        fs::remove_dir_all(&lost.dir)?;
    }
    // Points of known shard groups are written and read without any of them; decisions are not to be had.
    data.write(100, 10)?;
    until("nobody leads", SOON, || Ok((left.status()?["leader"] == "").then_some(())))?;
    ensure!(data.query("CREATE DATABASE refused").is_err());

    left.stop()?;
    fs::write(&file, serde_json::to_vec(&addresses(&[&left]))?)?;
    left.start()?;
    left.is_back().with_context(|| left.log())?;
    ensure!(left.log().contains("the cluster goes on with these members"), "{}", left.log());
    until("the lost ones are members no more", SOON, || {
        let shown = testkit::http::request("GET", &left.at(8091), "/show-cluster", b"")?;
        let shown: Value = serde_json::from_str(&shown.body)?;
        let one =
            |kind: &str, id: u64| shown[kind].as_array().is_some_and(|nodes| nodes.len() == 1 && nodes[0]["id"] == id);
        Ok((one("meta", 3) && one("data", 4)).then_some(()))
    })?;

    data.stop()?;
    fs::remove_file(data.dir.join("meta/client.meta"))?;
    data.start()?;
    data.is_back()?;
    let shown = data.query("SHOW DATABASES")?.to_string();
    ensure!(names.iter().all(|name| shown.contains(&format!("\"{name}\""))), "{shown}");
    until("all points are there", SOON, || Ok((data.count()? == 110).then_some(())))?;

    // New ones, on hosts of their own and on one of the old.
    let mut metas = vec![left];
    for node in [1, 4] {
        let mut fresh = Node::new(dir.path(), TEST, node, Kind::Meta, "");
        fresh.start()?;
        ensure!(add(&metas, &fresh)? > 4);
        metas.push(fresh);
    }
    let wanted = addresses(&metas.iter().collect::<Vec<_>>());
    until("they are listed", SOON, || Ok((listed()? == wanted).then_some(())))?;
    metas[0].kill();
    until("the new ones decide without it", SOON, || Ok(data.query("CREATE DATABASE after").ok()))?;
    data.write(110, 10)?;
    ensure!(data.count()? == 120);
    Ok(())
}

/// The leader is asked to end again and again, as a rolling restart does. `MAINSTEM_ROUNDS` says how often; the median of
/// the times until the next change is made is printed.
#[test]
fn a_leader_that_is_stopped_hands_over_first() -> anyhow::Result<()> {
    let rounds = std::env::var("MAINSTEM_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(3);
    let dir = tempfile::tempdir()?;
    let mut metas = metas(dir.path(), 13, 3, "")?;
    let data = data_node(dir.path(), 13, 11, "")?;
    add(&metas, &data)?;
    data.query("CREATE DATABASE d")?;
    let mut times = Vec::new();
    for round in 0..rounds {
        let leader = agreed_leader(&metas)?;
        let lost = metas.iter().position(|meta| meta.at(8089) == leader).context("one of them")?;
        let mut child = metas[lost].child.take().context("it runs")?;
        let asked = Instant::now();
        ensure!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status()?.success());
        until("a change is made", SOON, || Ok(data.query(&format!("CREATE DATABASE d{round}")).ok()))?;
        times.push(asked.elapsed());
        let status = until("it ends", SOON, || Ok(child.try_wait()?))?;
        ensure!(status.success(), "{}", metas[lost].log());
        metas[lost].start()?;
    }
    times.sort();
    eprintln!("until the next change: median {:?} of {times:?}", times[times.len() / 2]);
    let logs: String = metas.iter().map(Node::log).collect();
    let count = |text: &str| logs.matches(text).count();
    ensure!(count("handed over") == rounds, "{} of {rounds}\n{logs}", count("handed over"));
    Ok(())
}

fn agreed_leader(metas: &[Node]) -> anyhow::Result<String> {
    until("all agree on a leader", SOON, || {
        let leaders: Vec<Value> =
            metas.iter().map(|meta| Ok(meta.status()?["leader"].clone())).collect::<anyhow::Result<_>>()?;
        let first = leaders[0].as_str().filter(|first| !first.is_empty());
        Ok(first.filter(|_| leaders.iter().all(|leader| *leader == leaders[0])).map(str::to_owned))
    })
}
