//! `cargo xtask bench`: ingest and dashboard queries, this server and the reference side by side.
//!
//! Both get the same bytes from the same clients in the same run, one after the other, on default durability (nothing is
//! acknowledged before it is synced). The load has the shape of a monitoring system: hosts with ten tags that send ten
//! integer fields every ten seconds, the fields being random walks. Server CPU is user and system time of the server
//! process, so it does not depend on how much of the machine the clients take.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use testkit::http::{Connection, encode};
use testkit::until;

use crate::{process, say};

const REFERENCE: &str = "/usr/bin/influxd";
const HOSTS: usize = 1_000;
const STEP_S: i64 = 10;
const FIELDS: usize = 10;
const ROWS_PER_REQUEST: usize = 5_000;
const CLIENTS: usize = 2;
/// 2026-01-05T00:00:00Z, a Monday: everything lies in one shard group of seven days.
const START_S: i64 = 1_767_571_200;
const QUERY_RUNS: usize = 11;
/// How often both servers are started from nothing; the report has the medians.
const ROUNDS: usize = 3;

/// A load: requests by client, and how many rows they hold.
struct Load {
    bodies: Vec<Vec<Vec<u8>>>,
    rows: usize,
    end_s: i64,
}

/// The row of the report in which the hand-written part of it begins: what the figures say, and why.
const REMARKS: &str = "## What takes the time";

/// What is measured before the queries: name, digits behind the point, whether more is better.
const FIGURES: [(&str, usize, bool); 4] = [
    ("ingest, rows/s", 0, true),
    ("server CPU, µs a row", 2, false),
    ("peak memory, MiB", 0, false),
    ("disk, bytes a value", 2, false),
];

/// What one server did in one round: the [`FIGURES`], then the milliseconds of each query.
type Measured = Vec<f64>;

/// A server under test.
struct Server {
    name: &'static str,
    child: Child,
    address: String,
    dir: PathBuf,
}

pub(crate) fn run(quick: bool) -> anyhow::Result<()> {
    if !Path::new(REFERENCE).exists() {
        bail!("{REFERENCE} is not there; install the package influxdb (1.6.7) to compare with");
    }
    process::run(&process::cargo(), &["build", "--release", "--package", "influxd"])?;
    let hours = if quick { 1 } else { 3 };
    say(&format!("Making {hours} h of {HOSTS} hosts ...\n"));
    let load = make_load(hours);
    let queries = queries(&load);
    let dir = std::env::temp_dir().join(format!("mainstem-bench-{}", std::process::id()));
    let rounds = if quick { 1 } else { ROUNDS };
    let measured = race(&dir, rounds, &load, &queries);
    // What is left behind is in the temporary folder.
    let _ = fs::remove_dir_all(&dir);
    let (ours, reference) = measured?;
    let path = crate::root().join("docs/benchmarks.md");
    let mut report = report(&load, hours, &queries, &ours, &reference);
    say(&report);
    let before = fs::read_to_string(&path).unwrap_or_default();
    if let Some(remarks) = before.find(REMARKS) {
        report.push('\n');
        report.push_str(&before[remarks..]);
    }
    fs::write(path, report).context("write docs/benchmarks.md")
}

/// Lets both run in turn, from nothing each time.
fn race(
    dir: &Path,
    rounds: usize,
    load: &Load,
    queries: &[(&str, String)],
) -> anyhow::Result<(Vec<Measured>, Vec<Measured>)> {
    let (mut ours, mut reference) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        say(&format!("Round {} of {rounds}\n", round + 1));
        ours.push(measure(Server::ours(&dir.join(format!("ours-{round}")))?, load, queries)?);
        reference.push(measure(Server::reference(&dir.join(format!("reference-{round}")))?, load, queries)?);
    }
    Ok((ours, reference))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Random walks that repeat: a small generator of our own, seeded.
struct Walk(u64);

impl Walk {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

fn make_load(hours: i64) -> Load {
    let mut walk = Walk(0x9e37_79b9_7f4a_7c15);
    let mut values = vec![[50i64; FIELDS]; HOSTS];
    let tags: Vec<String> = (0..HOSTS)
        .map(|host| {
            format!(
                "cpu,arch=x64,datacenter=eu-central-1{},hostname=host_{host},os=Ubuntu16.{:02},rack={},region=eu-central-1,\
                 service={},service_environment=production,service_version={},team=team_{}",
                char::from(b'a' + (host % 3) as u8),
                host % 4 + 4,
                host % 97,
                host % 19,
                host % 2,
                host % 7
            )
        })
        .collect();
    let names = ["user", "system", "idle", "nice", "iowait", "irq", "softirq", "steal", "guest", "guest_nice"];
    let steps = hours * 3_600 / STEP_S;
    let mut bodies = vec![Vec::new(); CLIENTS];
    let (mut body, mut rows, mut total, mut client) = (Vec::new(), 0, 0, 0);
    for step in 0..steps {
        let ns = (START_S + step * STEP_S) * 1_000_000_000;
        for (host, tags) in tags.iter().enumerate() {
            let mut line = String::with_capacity(400);
            line.push_str(tags);
            for (field, name) in names.iter().enumerate() {
                let value = &mut values[host][field];
                *value = (*value + (walk.next() % 3) as i64 - 1).clamp(0, 100);
                let _ = write!(line, "{}usage_{name}={value}i", if field == 0 { ' ' } else { ',' });
            }
            let _ = writeln!(line, " {ns}");
            body.extend_from_slice(line.as_bytes());
            (rows, total) = (rows + 1, total + 1);
            if rows == ROWS_PER_REQUEST {
                bodies[client].push(std::mem::take(&mut body));
                (rows, client) = (0, (client + 1) % CLIENTS);
            }
        }
    }
    if !body.is_empty() {
        bodies[client].push(body);
    }
    Load { bodies, rows: total, end_s: START_S + steps * STEP_S }
}

/// Name and text of the queries.
fn queries(load: &Load) -> Vec<(&'static str, String)> {
    let time = |from: i64, to: i64| format!("time >= {from}s AND time < {to}s");
    let (start, end) = (START_S, load.end_s);
    let hour = time(end - 3_600, end);
    let all = time(start, end);
    let eight: Vec<String> = (0..8).map(|host| format!("hostname = 'host_{}'", host * 7)).collect();
    let eight = eight.join(" OR ");
    let five = "max(usage_user), max(usage_system), max(usage_idle), max(usage_nice), max(usage_iowait)";
    vec![
        (
            "1 field, 1 host, 1 h by 1 m",
            format!("SELECT max(usage_user) FROM cpu WHERE hostname = 'host_7' AND {hour} GROUP BY time(1m)"),
        ),
        (
            "1 field, 8 hosts, 1 h by 1 m",
            format!("SELECT max(usage_user) FROM cpu WHERE ({eight}) AND {hour} GROUP BY time(1m)"),
        ),
        (
            "5 fields, 1 host, 1 h by 1 m",
            format!("SELECT {five} FROM cpu WHERE hostname = 'host_7' AND {hour} GROUP BY time(1m)"),
        ),
        (
            "5 fields, 8 hosts, all by 1 h, host",
            format!("SELECT {five} FROM cpu WHERE ({eight}) AND {all} GROUP BY time(1h), hostname"),
        ),
        (
            "mean of 1 field by hour and host, all hosts",
            format!("SELECT mean(usage_user) FROM cpu WHERE {all} GROUP BY time(1h), hostname"),
        ),
        (
            "mean of 5 fields by hour and host, all hosts",
            format!(
                "SELECT mean(usage_user), mean(usage_system), mean(usage_idle), mean(usage_nice), mean(usage_iowait) FROM cpu WHERE {all} GROUP BY time(1h), hostname"
            ),
        ),
        ("all fields above a threshold, all hosts", format!("SELECT * FROM cpu WHERE usage_user > 90 AND {all}")),
        ("last row of every host", "SELECT last(usage_user), usage_system FROM cpu GROUP BY hostname".to_owned()),
    ]
}

impl Server {
    fn ours(dir: &Path) -> anyhow::Result<Server> {
        fs::create_dir_all(dir)?;
        let (host, at) = ("127.50.0.1", dir.display());
        let config = format!(
            "[meta]\n  dir = \"{at}/meta\"\n  bind-address = \"{host}:8088\"\n  http-bind-address = \"{host}:8091\"\n\
             [data]\n  dir = \"{at}/data\"\n  cache-snapshot-write-cold-duration = \"5s\"\n\
             [hinted-handoff]\n  dir = \"{at}/hh\"\n[http]\n  bind-address = \"{host}:8086\"\n  log-enabled = false\n"
        );
        Server::start("mainstem", &process::target_dir("release").join("influxd"), dir, &config, host)
    }

    fn reference(dir: &Path) -> anyhow::Result<Server> {
        fs::create_dir_all(dir)?;
        let (host, at) = ("127.50.0.2", dir.display());
        let config = format!(
            "reporting-disabled = true\nbind-address = \"{host}:8088\"\n[meta]\n  dir = \"{at}/meta\"\n\
             [data]\n  dir = \"{at}/data\"\n  wal-dir = \"{at}/wal\"\n  query-log-enabled = false\n  \
             cache-snapshot-write-cold-duration = \"5s\"\n[monitor]\n  store-enabled = false\n\
             [http]\n  bind-address = \"{host}:8086\"\n  log-enabled = false\n[continuous_queries]\n  enabled = false\n"
        );
        Server::start("InfluxDB 1.6.7", Path::new(REFERENCE), dir, &config, host)
    }

    fn start(name: &'static str, program: &Path, dir: &Path, config: &str, host: &str) -> anyhow::Result<Server> {
        let file = dir.join("influxdb.conf");
        fs::write(&file, config)?;
        let log = fs::File::create(dir.join("log"))?;
        let child = Command::new(program)
            .arg("-config")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        let server = Server { name, child, address: format!("{host}:8086"), dir: dir.to_owned() };
        until("the server answers", Duration::from_secs(30), || {
            let mut connection = Connection::open(&server.address)?;
            Ok((connection.request("GET", "/ping", b"")?.status == 204).then_some(()))
        })?;
        Ok(server)
    }

    /// User and system time of the process so far.
    fn cpu(&self) -> anyhow::Result<Duration> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |index: usize| fields.get(index).and_then(|ticks| ticks.parse::<u64>().ok()).unwrap_or(0);
        // Linux counts in hundredths of a second for programs.
        Ok(Duration::from_millis((ticks(11) + ticks(12)) * 10))
    }

    fn peak_mib(&self) -> anyhow::Result<f64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = text.lines().find(|line| line.starts_with("VmHWM:")).context("peak memory")?;
        let kib: f64 = line.split_whitespace().nth(1).context("peak memory")?.parse()?;
        Ok(kib / 1_024.0)
    }

    fn query(&self, connection: &mut Connection, text: &str) -> anyhow::Result<usize> {
        let target = format!("/query?db=bench&epoch=ns&q={}", encode(text));
        let answer = connection.request("GET", &target, b"")?;
        if answer.status != 200 || answer.body.contains("\"error\"") {
            bail!("{}: {text}: {}", self.name, &answer.body[..answer.body.len().min(300)]);
        }
        Ok(answer.body.len())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn measure(server: Server, load: &Load, queries: &[(&str, String)]) -> anyhow::Result<Measured> {
    say(&format!("{}: writing {} rows with {CLIENTS} clients ...\n", server.name, load.rows));
    let mut connection = Connection::open(&server.address)?;
    connection.request("POST", &format!("/query?q={}", encode("CREATE DATABASE bench")), b"")?;
    let (cpu, began) = (server.cpu()?, Instant::now());
    std::thread::scope(|scope| {
        let writers: Vec<_> = load.bodies.iter().map(|bodies| scope.spawn(|| write(&server.address, bodies))).collect();
        writers.into_iter().try_for_each(|writer| writer.join().unwrap_or_else(|_| bail!("a client panicked")))
    })?;
    let rows_per_second = load.rows as f64 / began.elapsed().as_secs_f64();
    let cpu_us_per_row = (server.cpu()? - cpu).as_secs_f64() * 1e6 / load.rows as f64;
    say(&format!("  {rows_per_second:.0} rows/s, {cpu_us_per_row:.2} µs of CPU a row\n"));
    say("  waiting until everything is in data files ...\n");
    settle(&server)?;
    let peak_mib = server.peak_mib()?;
    let bytes = size(&server.dir.join("data"))? + size(&server.dir.join("wal")).unwrap_or(0);
    let bytes_per_value = bytes as f64 / (load.rows * FIELDS) as f64;
    let mut measured = vec![rows_per_second, cpu_us_per_row, peak_mib, bytes_per_value];
    for (name, text) in queries {
        let mut times = Vec::with_capacity(QUERY_RUNS);
        for _ in 0..QUERY_RUNS {
            let began = Instant::now();
            server.query(&mut connection, text)?;
            times.push(began.elapsed().as_secs_f64() * 1e3);
        }
        let time = median(times);
        say(&format!("  {name}: {time:.2} ms\n"));
        measured.push(time);
    }
    Ok(measured)
}

fn write(address: &str, bodies: &[Vec<u8>]) -> anyhow::Result<()> {
    let mut connection = Connection::open(address)?;
    for body in bodies {
        let answer = connection.request("POST", "/write?db=bench", body)?;
        if answer.status != 204 {
            bail!("write: {} {}", answer.status, answer.body);
        }
    }
    Ok(())
}

/// Waits until the server has written and merged its files: no CPU to speak of and no change of size for a while.
fn settle(server: &Server) -> anyhow::Result<()> {
    let mut before = (server.cpu()?, size(&server.dir)?);
    let mut quiet = 0;
    for _ in 0..60 {
        std::thread::sleep(Duration::from_secs(2));
        let now = (server.cpu()?, size(&server.dir)?);
        let still = now.1 == before.1 && now.0 - before.0 < Duration::from_millis(100);
        quiet = if still { quiet + 1 } else { 0 };
        before = now;
        if quiet == 4 {
            return Ok(());
        }
    }
    Ok(())
}

fn size(path: &Path) -> anyhow::Result<u64> {
    let metadata = fs::symlink_metadata(path)?;
    if !metadata.is_dir() {
        return Ok(metadata.len());
    }
    let mut total = 0;
    for entry in fs::read_dir(path)? {
        // A file may be gone by now: it was merged into another.
        total += entry.map_err(anyhow::Error::from).and_then(|entry| size(&entry.path())).unwrap_or(0);
    }
    Ok(total)
}

fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split(": ").nth(1));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let gib = memory.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) >> 20;
    format!("{cores} cores ({}), {gib} GiB, Linux", model.unwrap_or("unknown"))
}

fn report(load: &Load, hours: i64, queries: &[(&str, String)], ours: &[Measured], reference: &[Measured]) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "# Benchmarks\n\nWritten by `cargo xtask bench`. {}; the clients share it with the server. {hours} h of {HOSTS} hosts \
         every {STEP_S} s,\n10 tags and {FIELDS} integer fields a row, {} rows in requests of {ROWS_PER_REQUEST} from {CLIENTS} \
         clients, default durability on both\nsides: nothing is acknowledged before it is synced. Medians of rounds in \
         which both start from nothing, one after the\nother: {}. Queries: median of {QUERY_RUNS} runs in each round, \
         everything in data files before. A ratio above 1 is in favour of\nMainstem; behind it the least and the largest of \
         the rounds.\n",
        machine(),
        load.rows,
        ours.len()
    );
    let _ = writeln!(out, "| | Mainstem | InfluxDB 1.6.7 | ratio | of rounds |\n|---|---|---|---|---|");
    let queries = queries.iter().map(|(name, _)| (format!("{name}, ms"), 2, false));
    let figures = FIGURES.iter().map(|(name, digits, more)| ((*name).to_owned(), *digits, *more)).chain(queries);
    for (index, (name, digits, more_is_better)) in figures.enumerate() {
        let pairs = || ours.iter().zip(reference).map(|(ours, reference)| (ours[index], reference[index]));
        let ratio = |(ours, reference): (f64, f64)| if more_is_better { ours / reference } else { reference / ours };
        let (a, b) = (median(pairs().map(|pair| pair.0).collect()), median(pairs().map(|pair| pair.1).collect()));
        let least = pairs().map(ratio).fold(f64::INFINITY, f64::min);
        let largest = pairs().map(ratio).fold(0.0, f64::max);
        let _ = writeln!(
            out,
            "| {name} | {a:.digits$} | {b:.digits$} | {:.1} | {least:.1} to {largest:.1} |",
            ratio((a, b))
        );
    }
    out
}
