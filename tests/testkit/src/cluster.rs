//! Nodes as processes: each has an address of the loopback range, a directory and a log.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::Value;

use crate::http::{self, Answer};

/// How long a node may take to answer after its start.
pub const START_MAX: Duration = Duration::from_secs(30);

/// A node, running or not.
#[derive(Debug)]
pub struct Node {
    /// Its address; the ports are the guide's.
    pub host: String,
    dir: PathBuf,
    child: Option<Child>,
}

/// Some nodes in one directory. Killed and removed when dropped.
#[derive(Debug)]
pub struct Cluster {
    /// The nodes; the first one is started without `-join`.
    pub nodes: Vec<Node>,
    influxd: PathBuf,
    dir: PathBuf,
    /// Keep the directory, to look into it.
    pub keep: bool,
}

/// Asks again and again until `probe` gives something. A probe that fails counts as no until the time is up.
///
/// # Errors
/// When the time is up; the text names `what` was waited for and what the last probe said.
pub fn until<T>(
    what: &str,
    within: Duration,
    mut probe: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let began = Instant::now();
    loop {
        let last = match probe() {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => "not yet".to_owned(),
            Err(error) => format!("{error:#}"),
        };
        if began.elapsed() > within {
            bail!("not within {within:?}: {what}; last: {last}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Asks again and again whether something that should not change has changed.
///
/// # Errors
/// When `probe` fails or says no within this time.
pub fn stays(what: &str, during: Duration, mut probe: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let began = Instant::now();
    while began.elapsed() < during {
        if !probe().with_context(|| what.to_owned())? {
            bail!("no longer so after {:?}: {what}", began.elapsed());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

impl Node {
    /// `host:port`.
    pub fn at(&self, port: u16) -> String {
        format!("{}:{port}", self.host)
    }

    /// Where its files are.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether its process is there.
    pub fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// The number of its process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Whether it answers clients.
    pub fn answers(&self) -> bool {
        http::request("GET", &self.at(8086), "/ping", b"").is_ok_and(|answer| answer.status == 204)
    }

    /// The last lines of its log.
    pub fn log_tail(&self, count: usize) -> String {
        let text = fs::read_to_string(self.dir.join("influxd.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(count)..].iter().map(|line| format!("  {line}\n")).collect()
    }

    /// Writes lines; tells status and body.
    ///
    /// # Errors
    /// When the node does not answer.
    pub fn write(&self, db: &str, parameters: &str, body: &[u8]) -> anyhow::Result<Answer> {
        http::request("POST", &self.at(8086), &format!("/write?db={db}&{parameters}"), body)
    }

    /// Writes lines that must be acknowledged.
    ///
    /// # Errors
    /// When they are not.
    pub fn write_ok(&self, db: &str, parameters: &str, body: &[u8]) -> anyhow::Result<()> {
        let answer = self.write(db, parameters, body)?;
        if answer.status != 204 {
            bail!("write through {}: {} {}", self.host, answer.status, answer.body.trim());
        }
        Ok(())
    }

    /// The document that answers statements, times in nanoseconds.
    ///
    /// # Errors
    /// When the node does not answer, or a statement failed.
    pub fn query_with(&self, text: &str, parameters: &str) -> anyhow::Result<Value> {
        let target = format!("/query?{parameters}&epoch=ns&q={}", http::encode(text));
        let answer = http::request("POST", &self.at(8086), &target, b"")?;
        let document: Value = serde_json::from_str(&answer.body).with_context(|| answer.body.clone())?;
        let results = document["results"].as_array().cloned().unwrap_or_default();
        let failed = results.iter().find_map(|result| result["error"].as_str()).or(document["error"].as_str());
        match failed {
            Some(error) => bail!("{}: {text}: {error}", self.host),
            None => Ok(document),
        }
    }

    /// As [`Node::query_with`], for a database.
    ///
    /// # Errors
    /// The same.
    pub fn query(&self, db: &str, text: &str) -> anyhow::Result<Value> {
        self.query_with(text, &format!("db={db}"))
    }

    /// All rows of an answer, whatever their series.
    ///
    /// # Errors
    /// As [`Node::query_with`].
    pub fn rows(&self, db: &str, text: &str) -> anyhow::Result<Vec<Value>> {
        Ok(rows(&self.query(db, text)?))
    }

    /// The same from this node's own copies alone.
    ///
    /// # Errors
    /// As [`Node::query_with`]; also when the node is not listed.
    pub fn own_rows(&self, db: &str, text: &str) -> anyhow::Result<Vec<Value>> {
        let servers = self.query("", "SHOW SERVERS")?;
        let series = servers["results"][0]["series"].as_array().cloned().unwrap_or_default();
        let nodes = series.iter().find(|series| series["name"] == "data_nodes").context("data nodes are listed")?;
        let nodes = nodes["values"].as_array().context("data nodes are listed")?;
        let address = self.at(8086);
        let node = nodes.iter().find(|row| row[1] == address.as_str()).context("the node is listed")?;
        Ok(rows(&self.query_with(text, &format!("db={db}&node_id={}", node[0]))?))
    }
}

/// All rows of an answer, whatever their series.
pub fn rows(document: &Value) -> Vec<Value> {
    let series = document["results"][0]["series"].as_array().cloned().unwrap_or_default();
    series.iter().flat_map(|series| series["values"].as_array().cloned().unwrap_or_default()).collect()
}

impl Cluster {
    /// Nodes with these addresses below `dir`, none running, each with the guide's configuration.
    ///
    /// # Errors
    /// When the directories cannot be made, or something listens on the guide's ports of an address.
    pub fn new(influxd: &Path, dir: &Path, hosts: &[&str]) -> anyhow::Result<Cluster> {
        let mut cluster = Cluster { nodes: Vec::new(), influxd: influxd.to_owned(), dir: dir.to_owned(), keep: false };
        for (index, host) in hosts.iter().enumerate() {
            for port in [8086, 8088, 8091] {
                std::net::TcpListener::bind((*host, port)).with_context(|| {
                    format!("{host}:{port} is in use; stop what listens there, the nodes need the guide's ports")
                })?;
            }
            let node_dir = dir.join(format!("node-{}", index + 1));
            fs::create_dir_all(&node_dir).with_context(|| format!("make {}", node_dir.display()))?;
            cluster.nodes.push(Node { host: (*host).to_owned(), dir: node_dir, child: None });
            cluster.configure(index, true, true, "")?;
        }
        Ok(cluster)
    }

    /// Writes the configuration of a node: the guide's text with its roles, and `more` lines at the end.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn configure(&self, index: usize, meta: bool, data: bool, more: &str) -> anyhow::Result<()> {
        let (host, at) = (&self.nodes[index].host, self.nodes[index].dir.display());
        let text = format!(
            "[meta]\n  enabled = {meta}\n  dir = \"{at}/meta\"\n  bind-address = \"{host}:8088\"\n  \
             http-bind-address = \"{host}:8091\"\n\n[data]\n  enabled = {data}\n  dir = \"{at}/data\"\n  \
             wal-dir = \"{at}/wal\"\n\n[hinted-handoff]\n  enabled = true\n  dir = \"{at}/hh\"\n\n[http]\n  \
             enabled = true\n  bind-address = \"{host}:8086\"\n  log-enabled = false\n{more}"
        );
        let file = self.nodes[index].dir.join("influxdb.conf");
        fs::write(&file, text).with_context(|| format!("write {}", file.display()))
    }

    /// Starts the process of a node and does not wait.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn spawn(&mut self, index: usize, more: &[&str]) -> anyhow::Result<()> {
        let node = &mut self.nodes[index];
        let log = fs::OpenOptions::new().create(true).append(true).open(node.dir.join("influxd.log"))?;
        let child = Command::new(&self.influxd)
            .arg("-config")
            .arg(node.dir.join("influxdb.conf"))
            .args(more)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {}", self.influxd.display()))?;
        node.child = Some(child);
        Ok(())
    }

    /// Starts a node and waits until it answers clients.
    ///
    /// # Errors
    /// When it ends by itself or takes too long.
    pub fn start(&mut self, index: usize, more: &[&str]) -> anyhow::Result<()> {
        self.spawn(index, more)?;
        let node = &mut self.nodes[index];
        let mut ended = None;
        let answered = until(&format!("node {} answers", index + 1), START_MAX, || {
            if let Some(child) = &mut node.child {
                ended = child.try_wait()?;
            }
            Ok((ended.is_some() || node.answers()).then_some(()))
        });
        if let Some(status) = ended {
            node.child = None;
            bail!("node {} ended by itself: {status}\n{}", index + 1, node.log_tail(10));
        }
        answered
    }

    /// Starts all nodes: the first plainly, the others with `-join`, and waits until all are listed.
    ///
    /// # Errors
    /// When one does not start, or they do not find together.
    pub fn form(&mut self) -> anyhow::Result<()> {
        self.start(0, &[])?;
        let join = self.nodes[0].at(8091);
        for index in 1..self.nodes.len() {
            self.start(index, &["-join", &join])?;
        }
        let count = self.nodes.len();
        for node in &self.nodes {
            until("all data nodes are listed", START_MAX, || {
                let servers = node.query("", "SHOW SERVERS")?;
                let listed = servers["results"][0]["series"][0]["values"].as_array().map_or(0, Vec::len);
                Ok((listed == count).then_some(()))
            })?;
        }
        Ok(())
    }

    /// Kills a node with -9: it has no time to write anything.
    ///
    /// # Errors
    /// When the process cannot be waited for.
    pub fn kill(&mut self, index: usize) -> anyhow::Result<()> {
        if let Some(mut child) = self.nodes[index].child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Asks a node to end, as a service manager does, and tells its exit code.
    ///
    /// # Errors
    /// When it does not end within 40 s.
    pub fn stop(&mut self, index: usize) -> anyhow::Result<Option<i32>> {
        let Some(mut child) = self.nodes[index].child.take() else { return Ok(None) };
        let pid = child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().context("send SIGTERM")?;
        let ended = until("the node ends", Duration::from_secs(40), || Ok(child.try_wait()?));
        if ended.is_err() {
            child.kill()?;
            child.wait()?;
        }
        Ok(ended?.code())
    }

    /// Waits until every node has ended by itself.
    ///
    /// # Errors
    /// When a process cannot be waited for.
    pub fn wait(&mut self) -> anyhow::Result<()> {
        for node in &mut self.nodes {
            if let Some(child) = &mut node.child {
                child.wait()?;
            }
        }
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            if let Some(child) = &mut node.child {
                // It may have ended already.
                let _ = child.kill();
                let _ = child.wait();
            }
        }
        if !self.keep {
            // What is left behind is in the temporary folder.
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}
