//! `cargo xtask demo`: the 0.10 guide's three-node cluster on this machine, with real telemetry in it.
//!
//! The nodes have the guide's configuration text and ports, on 127.0.0.1, 127.0.0.2 and 127.0.0.3. The tour shows the
//! members, asks each node something, kills one, goes on reading and writing, brings it back and shows that it caught
//! up.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use testkit::{Cluster, recording, until};

use crate::{process, say};

const HOSTS: [&str; 3] = ["127.0.0.1", "127.0.0.2", "127.0.0.3"];
const RECORDING: &str = "host-telemetry.lp.gz";
const LINES_PER_REQUEST: usize = 5_000;
const CATCH_UP_MAX: Duration = Duration::from_secs(60);
const DB: &str = "telemetry";

pub(crate) fn run(once: bool) -> anyhow::Result<()> {
    say("Building release programs (some minutes the first time) ...\n");
    process::run(&process::cargo(), &["build", "--release", "--package", "influxd", "--package", "influx"])?;
    let target = process::target_dir("release");
    let dir = std::env::temp_dir().join(format!("mainstem-demo-{}", std::process::id()));
    let mut tour =
        Tour { cluster: Cluster::new(&target.join("influxd"), &dir, &HOSTS)?, influx: target.join("influx") };
    if let Err(error) = tour.all() {
        for node in &tour.cluster.nodes {
            say(&format!("\nlast lines of {}:\n{}", node.host, node.log_tail(15)));
        }
        bail!("the tour stopped: {error:#}");
    }
    if once {
        say("\nDone: everything above was checked.\n");
        return Ok(());
    }
    say(&format!(
        "\nThe cluster stays up until Ctrl-C. Connect with\n\n    {} -host 127.0.0.2 -database {DB}\n\n\
         or point Telegraf, Grafana or a client library at http://127.0.0.1:8086. Data and logs: {}\n",
        tour.influx.display(),
        dir.display()
    ));
    // Ctrl-C reaches the nodes as well, for they share our terminal.
    tour.cluster.wait()
}

struct Tour {
    cluster: Cluster,
    influx: PathBuf,
}

impl Tour {
    fn all(&mut self) -> anyhow::Result<()> {
        say("\n== Three nodes, as the guide has them\n");
        say("node 1: influxd -config influxdb.conf\nnodes 2, 3: influxd -config influxdb.conf -join 127.0.0.1:8091\n");
        let began = Instant::now();
        self.cluster.form()?;
        say(&format!("  all three are one cluster ({:.1} s)\n", began.elapsed().as_secs_f64()));
        self.show(0, "SHOW SERVERS", "")?;

        say("\n== Loading 28 minutes of one busy machine, through node 1\n");
        self.cluster.nodes[0].query("", &format!("CREATE DATABASE {DB}"))?;
        let lines = self.load()?;
        say(&format!("{lines} lines written, each acknowledged by a majority of three copies\n"));

        say("\n== The same answers from every node\n");
        self.show(0, "SELECT count(usage_idle), mean(usage_idle) FROM cpu GROUP BY cpu", DB)?;
        let by_minutes = "SELECT max(load1), mean(load1) FROM system WHERE time >= '2026-11-22T12:10:00Z' AND \
                          time < '2026-11-22T12:38:00Z' GROUP BY time(7m)";
        self.show(1, by_minutes, DB)?;
        self.show(2, "SELECT top(memory_rss, process_name, 3) FROM procstat", DB)?;
        let total = "SELECT count(pid), sum(memory_rss) FROM procstat";
        self.same_everywhere(total, &[0, 1, 2])?;

        say("\n== Node 3 is killed (-9); reading and writing go on\n");
        self.cluster.kill(2)?;
        for n in 0..100i64 {
            let line = format!("tour,host=web-01 n={n}i {}", 1_795_350_000_000_000_000 + n);
            self.cluster.nodes[n as usize % 2].write_ok(DB, "consistency=quorum", line.as_bytes())?;
        }
        say("100 points written through nodes 1 and 2 while node 3 is down\n");
        self.same_everywhere(total, &[0, 1])?;
        let missed = "SELECT count(n), sum(n) FROM tour";
        self.show(1, missed, DB)?;

        say("\n== Node 3 comes back and catches up\n");
        let began = Instant::now();
        self.cluster.start(2, &[])?;
        let want = self.cluster.nodes[0].rows(DB, missed)?;
        let returned = &self.cluster.nodes[2];
        until(
            "node 3 has what it missed",
            CATCH_UP_MAX,
            || Ok((returned.own_rows(DB, missed)? == want).then_some(())),
        )?;
        say(&format!(
            "  node 3 has all it missed, in its own copy ({:.1} s): {}\n",
            began.elapsed().as_secs_f64(),
            Value::Array(want)
        ));
        Ok(())
    }

    /// Sends the recording in requests, with a bar on a terminal. Returns how many lines were sent.
    fn load(&self) -> anyhow::Result<usize> {
        let lines = recording::lines(RECORDING)?;
        let bar = if std::io::stderr().is_terminal() {
            let style = ProgressStyle::with_template("{bar:40} {pos}/{len} lines, {per_sec}, {eta} left");
            ProgressBar::new(lines.len() as u64).with_style(style.context("a bar")?)
        } else {
            ProgressBar::hidden()
        };
        for part in lines.chunks(LINES_PER_REQUEST) {
            self.cluster.nodes[0].write_ok(DB, "consistency=quorum", part.join("\n").as_bytes())?;
            bar.inc(part.len() as u64);
        }
        bar.finish_and_clear();
        Ok(lines.len())
    }

    fn same_everywhere(&self, text: &str, numbers: &[usize]) -> anyhow::Result<()> {
        let nodes = &self.cluster.nodes;
        let answers: Vec<_> = numbers.iter().map(|number| nodes[*number].rows(DB, text)).collect::<Result<_, _>>()?;
        if answers.iter().any(|answer| *answer != answers[0]) || answers[0].is_empty() {
            bail!("{text}: the nodes do not agree: {answers:?}");
        }
        let names: Vec<usize> = numbers.iter().map(|number| number + 1).collect();
        say(&format!("{text}\n  nodes {names:?} all say {}\n", Value::Array(answers[0].clone())));
        Ok(())
    }

    /// What the shell prints.
    fn show(&self, number: usize, text: &str, db: &str) -> anyhow::Result<()> {
        say(&format!("\nnode {}> {text}\n", number + 1));
        let host = &self.cluster.nodes[number].host;
        let done = Command::new(&self.influx)
            .args(["-host", host, "-database", db, "-precision", "rfc3339", "-execute", text])
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
}
