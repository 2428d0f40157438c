//! `cargo xtask demo`: the 0.10 guide's three-node cluster on this machine, with real telemetry in it.
//!
//! The nodes have the guide's configuration text and ports, on 127.0.0.1, 127.0.0.2 and 127.0.0.3. The tour shows the
//! members, asks each node something, kills one, goes on reading and writing, brings it back and shows that it caught
//! up.

use std::fs;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::http;
use crate::process;
use crate::say;

const HOSTS: [&str; 3] = ["127.0.0.1", "127.0.0.2", "127.0.0.3"];
const DATA: &str = "tests/data/host-telemetry.lp.gz";
const LINES_PER_REQUEST: usize = 5_000;
const START_MAX: Duration = Duration::from_secs(30);
const CATCH_UP_MAX: Duration = Duration::from_secs(60);

/// The three nodes; killed when dropped.
struct Cluster {
    dir: PathBuf,
    influxd: PathBuf,
    influx: PathBuf,
    nodes: [Option<Child>; 3],
}

pub(crate) fn run(once: bool) -> anyhow::Result<()> {
    say("Building release programs (about five minutes the first time) ...\n");
    process::run(&process::cargo(), &["build", "--release", "--package", "influxd", "--package", "influx"])?;
    let dir = std::env::temp_dir().join(format!("mainstem-demo-{}", std::process::id()));
    let target = process::target_dir("release");
    let mut cluster =
        Cluster { dir, influxd: target.join("influxd"), influx: target.join("influx"), nodes: [None, None, None] };
    let tour = cluster.tour();
    if let Err(error) = &tour {
        for number in 0..HOSTS.len() {
            say(&format!("\nlast lines of node {}:\n{}", number + 1, cluster.log_tail(number)));
        }
        bail!("the tour stopped: {error:#}");
    }
    if once {
        say("\nDone: everything above was checked.\n");
        return Ok(());
    }
    say(&format!(
        "\nThe cluster stays up until Ctrl-C. Connect with\n\n    {} -host 127.0.0.2 -database telemetry\n\n\
         or point Telegraf, Grafana or a client library at http://127.0.0.1:8086. Data and logs: {}\n",
        cluster.influx.display(),
        cluster.dir.display()
    ));
    cluster.wait()
}

impl Cluster {
    fn tour(&mut self) -> anyhow::Result<()> {
        self.check_addresses()?;
        say("\n== Three nodes, as the guide has them\n");
        self.write_config(0)?;
        self.start(0, &[])?;
        for number in 1..HOSTS.len() {
            self.write_config(number)?;
            let join = format!("{}:8091", HOSTS[0]);
            self.start(number, &["-join", &join])?;
        }
        self.until("three data nodes are listed", START_MAX, |cluster| {
            Ok(cluster.rows(0, "SHOW SERVERS", "")?.len() == 2 * HOSTS.len())
        })?;
        self.show(0, "SHOW SERVERS", "")?;

        say("\n== Loading 28 minutes of one busy machine, through node 1\n");
        self.query(0, "CREATE DATABASE telemetry", "")?;
        let lines = self.load()?;
        say(&format!("{lines} lines written, each acknowledged by a majority of three copies\n"));

        say("\n== The same answers from every node\n");
        self.show(0, "SELECT count(usage_idle), mean(usage_idle) FROM cpu GROUP BY cpu", "telemetry")?;
        self.show(
            1,
            "SELECT max(load1), uptime_format FROM system WHERE time >= '2026-11-22T12:10:00Z' AND \
             time < '2026-11-22T12:38:00Z' GROUP BY time(7m)",
            "telemetry",
        )?;
        self.show(2, "SELECT top(memory_rss, process_name, 3) FROM procstat", "telemetry")?;
        let total = "SELECT count(pid), sum(memory_rss) FROM procstat";
        self.same_everywhere(total, &[0, 1, 2])?;

        say("\n== Node 3 is killed (-9); reading and writing go on\n");
        self.kill(2)?;
        for n in 0..100 {
            let line = format!("tour,host=web-01 n={n}i {}", 1_800_000_000_000_000_000i64 + n);
            self.write(n as usize % 2, "telemetry", line.as_bytes())?;
        }
        say("100 points written through nodes 1 and 2 while node 3 is down\n");
        self.same_everywhere(total, &[0, 1])?;
        self.show(1, "SELECT count(n), sum(n) FROM tour", "telemetry")?;

        say("\n== Node 3 comes back and catches up\n");
        self.start(2, &[])?;
        let missed = "SELECT count(n), sum(n) FROM tour";
        let want = self.rows(0, missed, "telemetry")?;
        self.until("node 3 has what it missed", CATCH_UP_MAX, |cluster| Ok(cluster.rows_of_node(2, missed)? == want))?;
        self.show(2, missed, "telemetry")?;
        say("(asked of node 3's own copy alone)\n");
        Ok(())
    }

    /// Something else on the guide's ports would answer instead of the nodes.
    fn check_addresses(&self) -> anyhow::Result<()> {
        for host in HOSTS {
            for port in [8086, 8088, 8091] {
                std::net::TcpListener::bind((host, port)).with_context(|| {
                    format!("{host}:{port} is in use; stop what listens there, the demo needs the guide's ports")
                })?;
            }
        }
        Ok(())
    }

    fn node_dir(&self, number: usize) -> PathBuf {
        self.dir.join(format!("node-{}", number + 1))
    }

    fn write_config(&self, number: usize) -> anyhow::Result<()> {
        let dir = self.node_dir(number);
        fs::create_dir_all(&dir)?;
        let (host, at) = (HOSTS[number], dir.display());
        let text = format!(
            "[meta]\n  enabled = true\n  dir = \"{at}/meta\"\n  bind-address = \"{host}:8088\"\n  \
             http-bind-address = \"{host}:8091\"\n\n[data]\n  enabled = true\n  dir = \"{at}/data\"\n  \
             wal-dir = \"{at}/wal\"\n\n[hinted-handoff]\n  enabled = true\n  dir = \"{at}/hh\"\n\n[http]\n  \
             enabled = true\n  bind-address = \"{host}:8086\"\n"
        );
        fs::write(dir.join("influxdb.conf"), text)?;
        Ok(())
    }

    fn start(&mut self, number: usize, more: &[&str]) -> anyhow::Result<()> {
        let dir = self.node_dir(number);
        let log = fs::OpenOptions::new().create(true).append(true).open(dir.join("influxd.log"))?;
        let config = dir.join("influxdb.conf");
        say(&format!("node {}: influxd -config influxdb.conf {}\n", number + 1, more.join(" ")));
        let child = Command::new(&self.influxd)
            .arg("-config")
            .arg(&config)
            .args(more)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {}", self.influxd.display()))?;
        self.nodes[number] = Some(child);
        self.until(&format!("node {} answers", number + 1), START_MAX, |cluster| {
            if let Some(child) = &mut cluster.nodes[number]
                && let Some(status) = child.try_wait()?
            {
                bail!("node {} ended by itself: {status}", number + 1);
            }
            Ok(http::request("GET", &format!("{}:8086", HOSTS[number]), "/ping", b"").is_ok_and(|a| a.status == 204))
        })
    }

    fn kill(&mut self, number: usize) -> anyhow::Result<()> {
        if let Some(mut child) = self.nodes[number].take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Sends the recording in requests, with a bar on a terminal. Returns how many lines were sent.
    fn load(&self) -> anyhow::Result<usize> {
        let packed = fs::File::open(crate::root().join(DATA)).with_context(|| format!("open {DATA}"))?;
        let mut text = String::new();
        flate2::read::GzDecoder::new(packed).read_to_string(&mut text).context("unpack the recording")?;
        let lines: Vec<&str> = text.lines().collect();
        let bar = if std::io::stderr().is_terminal() {
            let style = ProgressStyle::with_template("{bar:40} {pos}/{len} lines, {per_sec}, {eta} left");
            ProgressBar::new(lines.len() as u64).with_style(style.context("a bar")?)
        } else {
            ProgressBar::hidden()
        };
        for part in lines.chunks(LINES_PER_REQUEST) {
            self.write(0, "telemetry", part.join("\n").as_bytes())?;
            bar.inc(part.len() as u64);
        }
        bar.finish_and_clear();
        Ok(lines.len())
    }

    fn write(&self, number: usize, db: &str, body: &[u8]) -> anyhow::Result<()> {
        let target = format!("/write?db={db}&consistency=quorum");
        let answer = http::request("POST", &format!("{}:8086", HOSTS[number]), &target, body)?;
        if answer.status != 204 {
            bail!("write through node {}: {} {}", number + 1, answer.status, answer.body.trim());
        }
        Ok(())
    }

    fn query(&self, number: usize, text: &str, db: &str) -> anyhow::Result<Value> {
        self.query_with(number, text, &format!("db={db}"))
    }

    fn query_with(&self, number: usize, text: &str, parameters: &str) -> anyhow::Result<Value> {
        let target = format!("/query?{parameters}&epoch=ns&q={}", http::encode(text));
        let answer = http::request("POST", &format!("{}:8086", HOSTS[number]), &target, b"")?;
        let document: Value = serde_json::from_str(&answer.body).with_context(|| answer.body.clone())?;
        if let Some(error) = document["results"][0]["error"].as_str().or(document["error"].as_str()) {
            bail!("node {}: {text}: {error}", number + 1);
        }
        Ok(document)
    }

    /// All rows of an answer, whatever their series.
    fn rows(&self, number: usize, text: &str, db: &str) -> anyhow::Result<Vec<Value>> {
        Ok(rows(&self.query(number, text, db)?))
    }

    /// The same, from the shards of one node alone.
    fn rows_of_node(&self, number: usize, text: &str) -> anyhow::Result<Vec<Value>> {
        let servers = self.query(number, "SHOW SERVERS", "")?;
        let address = format!("{}:8086", HOSTS[number]);
        let nodes = servers["results"][0]["series"][0]["values"].as_array().context("data nodes")?;
        let node = nodes.iter().find(|row| row[1] == address.as_str()).context("the node is listed")?;
        Ok(rows(&self.query_with(number, text, &format!("db=telemetry&node_id={}", node[0]))?))
    }

    fn same_everywhere(&self, text: &str, numbers: &[usize]) -> anyhow::Result<()> {
        let answers: Vec<_> =
            numbers.iter().map(|number| self.rows(*number, text, "telemetry")).collect::<Result<_, _>>()?;
        if answers.iter().any(|answer| *answer != answers[0]) || answers[0].is_empty() {
            bail!("{text}: the nodes do not agree: {answers:?}");
        }
        say(&format!("{text}\n  nodes {:?} all say {}\n", names(numbers), Value::Array(answers[0].clone())));
        Ok(())
    }

    /// What the shell prints.
    fn show(&self, number: usize, text: &str, db: &str) -> anyhow::Result<()> {
        say(&format!("\nnode {}> {text}\n", number + 1));
        let done = Command::new(&self.influx)
            .args(["-host", HOSTS[number], "-database", db, "-precision", "rfc3339", "-execute", text])
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("start {}", self.influx.display()))?;
        say(&String::from_utf8_lossy(&done.stdout));
        let printed = done.stdout.windows(5).any(|five| five == b"name:");
        if !done.status.success() || !printed {
            bail!("influx printed no series: {}", String::from_utf8_lossy(&done.stderr).trim());
        }
        Ok(())
    }

    /// Asks again and again until `probe` says yes. A probe that fails counts as no until the time is up.
    fn until(
        &mut self,
        what: &str,
        within: Duration,
        probe: impl Fn(&mut Cluster) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            match probe(self) {
                Ok(true) => {
                    say(&format!("  {what} ({:.1} s)\n", began.elapsed().as_secs_f64()));
                    return Ok(());
                }
                Err(error) if began.elapsed() > within || error.to_string().contains("ended by itself") => {
                    return Err(error.context(format!("not within {within:?}: {what}")));
                }
                Ok(false) if began.elapsed() > within => bail!("not within {within:?}: {what}"),
                _ => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    fn log_tail(&self, number: usize) -> String {
        let text = fs::read_to_string(self.node_dir(number).join("influxd.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].iter().map(|line| format!("  {line}\n")).collect()
    }

    /// Until somebody stops us: Ctrl-C reaches the nodes as well, for they share our terminal.
    fn wait(&mut self) -> anyhow::Result<()> {
        for child in self.nodes.iter_mut().flatten() {
            child.wait()?;
        }
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self.nodes.iter_mut().flatten() {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
        if remove(&self.dir).is_err() {
            say(&format!("left behind: {}\n", self.dir.display()));
        }
    }
}

fn remove(dir: &Path) -> std::io::Result<()> {
    if dir.exists() { fs::remove_dir_all(dir) } else { Ok(()) }
}

fn names(numbers: &[usize]) -> Vec<usize> {
    numbers.iter().map(|number| number + 1).collect()
}

fn rows(document: &Value) -> Vec<Value> {
    let series = document["results"][0]["series"].as_array().cloned().unwrap_or_default();
    series.iter().flat_map(|series| series["values"].as_array().cloned().unwrap_or_default()).collect()
}
