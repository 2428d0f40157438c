//! Keys of the configuration that reach those who ask for them.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use testkit::{Cluster, stays, until};

use super::{check, cluster, every_copy_gives};

/// What `influxd config` prints for the file of a node.
fn printed_config(cluster: &Cluster, index: usize) -> anyhow::Result<String> {
    let file = cluster.nodes[index].dir().join("influxdb.conf");
    let output =
        Command::new(env!("CARGO_BIN_EXE_influxd")).args(["config", "-config"]).arg(file).env_clear().output()?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

#[test]
fn keys_without_effect_are_logged_and_defaults_are_not() {
    let (mut cluster, _dir) = cluster(16, 2);
    let done = (|| {
        cluster.configure(0, true, true, "[data-x]\n[monitor]\n  store-enabled = false\n")?;
        cluster.start(0, &[])?;
        let log = cluster.nodes[0].log_tail(1_000);
        let file = cluster.nodes[0].dir().join("influxdb.conf");
        let line = std::fs::read_to_string(&file)?.lines().position(|line| line.contains("store-enabled")).unwrap_or(0);
        let warning = format!("{}:{}: [monitor] store-enabled has no effect: ", file.display(), line + 1);
        anyhow::ensure!(log.matches(&warning).count() == 1, "{warning} not in\n{log}");
        anyhow::ensure!(log.contains("table [data-x] is not known"), "{log}");

        // The whole file with its defaults, but for `wal-dir`, which the file of the node sets.
        let printed = printed_config(&cluster, 1)?;
        let usual: Vec<&str> = printed.lines().filter(|line| !line.contains("wal-dir")).collect();
        anyhow::ensure!(usual.len() > 100, "{printed}");
        std::fs::write(cluster.nodes[1].dir().join("influxdb.conf"), usual.join("\n"))?;
        cluster.start(1, &[])?;
        let log = cluster.nodes[1].log_tail(1_000);
        let warnings: Vec<&str> = log.lines().filter(|line| line.contains("lvl=warn")).collect();
        // Without a secret every start says so.
        let is_usual = |line: &&str| line.contains("the cluster ports are open");
        anyhow::ensure!(
            log.contains("the node serves") && warnings.iter().all(is_usual) && warnings.len() == 1,
            "{log}"
        );
        Ok(())
    })();
    check(&cluster, done);
}

/// Puts lines into the `[http]` table of a node.
fn add_http_keys(cluster: &Cluster, index: usize, keys: &str, more: &str) -> anyhow::Result<()> {
    cluster.configure(index, true, true, more)?;
    let file = cluster.nodes[index].dir().join("influxdb.conf");
    let text = std::fs::read_to_string(&file)?;
    std::fs::write(&file, text.replace("  log-enabled = false\n", keys))?;
    Ok(())
}

/// Sends bytes that need be no whole request.
fn send(address: &str, bytes: &[u8]) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.write_all(bytes)?;
    Ok(stream)
}

#[test]
fn the_keys_of_http_reach_those_who_ask() {
    let (mut cluster, _dir) = cluster(17, 2);
    let done = (|| {
        let keys = "  suppress-write-log = true\n  access-log-status-filters = [\"2xx\", \"404\"]\n  \
                    write-tracing = true\n  max-concurrent-write-limit = 1\n  max-enqueued-write-limit = 1\n  \
                    enqueued-write-timeout = \"500ms\"\n";
        add_http_keys(&cluster, 0, keys, "[http.headers]\n  X-Own = \"yes\"\n")?;
        cluster.start(0, &[])?;
        let (node, address) = (&cluster.nodes[0], cluster.nodes[0].at(8086));
        node.query("", "CREATE DATABASE d")?;
        let mut answer = String::new();
        send(&address, b"GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?.read_to_string(&mut answer)?;
        anyhow::ensure!(answer.to_ascii_lowercase().contains("\r\nx-own: yes\r\n"), "{answer}");

        anyhow::ensure!(testkit::http::request("GET", &address, "/query", b"")?.status == 400);
        anyhow::ensure!(testkit::http::request("GET", &address, "/nowhere", b"")?.status == 404);
        node.write_ok("d", "", b"traced v=1")?;
        let log = node.log_tail(1_000);
        anyhow::ensure!(log.contains("GET /ping") && log.contains("GET /nowhere"), "{log}");
        anyhow::ensure!(!log.contains("GET /query ") && !log.contains("POST /write"), "{log}");
        anyhow::ensure!(log.contains("traced v=1"), "{log}");

        // One write has its turn and does not send its body; of two more, one waits in vain and one may not even wait.
        let unfinished = b"POST /write?db=d HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nm";
        let holder = send(&address, unfinished)?;
        until("the turn is taken", Duration::from_secs(10), || {
            Ok((node.write("d", "", b"m v=1")?.status == 503).then_some(()))
        })?;
        let write = || node.write("d", "", b"m v=1");
        let mut answers = std::thread::scope(|scope| {
            let both = [scope.spawn(write), scope.spawn(write)];
            both.map(|one| one.join().expect("a thread ends").map(|answer| (answer.status, answer.body)))
                .into_iter()
                .collect::<anyhow::Result<Vec<_>>>()
        })?;
        answers.sort();
        let told: Vec<String> = answers.iter().map(|(status, body)| format!("{status} {}", body.trim())).collect();
        let (waited, full) = ("503 request throttled, exceeds timeout", "503 request throttled, queue full");
        anyhow::ensure!(told == [waited, full], "{told:?}");
        drop(holder);
        Ok(())
    })();
    check(&cluster, done);

    let off = (|| {
        let file = cluster.nodes[1].dir().join("influxdb.conf");
        let text = std::fs::read_to_string(&file)?;
        std::fs::write(&file, text.replace("[http]\n  enabled = true\n", "[http]\n  enabled = false\n"))?;
        cluster.spawn(1, &[])?;
        until("the node serves", Duration::from_secs(20), || {
            Ok(cluster.nodes[1].log_tail(100).contains("the node serves").then_some(()))
        })?;
        anyhow::ensure!(TcpStream::connect(cluster.nodes[1].at(8086)).is_err());
        anyhow::ensure!(cluster.stop(1)? == Some(0));
        Ok(())
    })();
    check(&cluster, off);
}

#[test]
fn the_limits_of_http_hold() {
    let (mut cluster, _dir) = cluster(24, 2);
    let done = (|| {
        add_keys(&cluster, 0, "http", "max-body-size = 1000\nmax-row-limit = 3")?;
        add_keys(&cluster, 1, "http", "max-connection-limit = 5")?;
        for index in 0..2 {
            cluster.start(index, &[])?;
        }
        let (node, crowded) = (&cluster.nodes[0], cluster.nodes[1].at(8086));
        node.query("", "CREATE DATABASE d")?;
        let lines: Vec<String> = (0..10).map(|n| format!("m v={n}i {n}")).collect();
        node.write_ok("d", "", lines.join("\n").as_bytes())?;
        let answer = node.write("d", "", "#".repeat(1_001).as_bytes())?;
        anyhow::ensure!(answer.status == 413, "{answer:?}");
        let answer = node.query("d", "SELECT v FROM m")?;
        anyhow::ensure!(testkit::cluster::rows(&answer).len() == 3, "{answer}");
        anyhow::ensure!(answer["results"][0]["series"][0]["partial"] == true, "{answer}");

        let ping = || testkit::http::request("GET", &crowded, "/ping", b"");
        until("what asked before is gone", Duration::from_secs(10), || Ok((ping()?.status == 204).then_some(())))?;
        let idle: Vec<TcpStream> = (0..5).map(|_| TcpStream::connect(&crowded)).collect::<Result<_, _>>()?;
        until("no connection is left", Duration::from_secs(10), || Ok(ping().is_err().then_some(())))?;
        drop(idle);
        until("there is room again", Duration::from_secs(10), || Ok(ping().is_ok().then_some(())))
    })();
    check(&cluster, done);
}

#[test]
fn the_pid_file_is_there_while_the_node_is() {
    let (mut cluster, dir) = cluster(18, 1);
    let done = (|| {
        let file = dir.path().join("run/influxdb/influxd.pid");
        let name = file.display().to_string();
        cluster.start(0, &["-pidfile", &name])?;
        let pid = std::fs::read_to_string(&file)?;
        let command_line = std::fs::read_to_string(format!("/proc/{pid}/cmdline"))?;
        anyhow::ensure!(command_line.contains(&name), "{pid} is {command_line:?}");
        // Whoever did not end by himself has left it behind.
        cluster.kill(0)?;
        anyhow::ensure!(file.exists());
        cluster.start(0, &["-pidfile", &name])?;
        anyhow::ensure!(std::fs::read_to_string(&file)? != pid);
        anyhow::ensure!(cluster.stop(0)? == Some(0));
        anyhow::ensure!(!file.exists());
        Ok(())
    })();
    check(&cluster, done);
}

/// How many data files the shards of a node have.
fn data_files(dir: &Path) -> usize {
    let entries = std::fs::read_dir(dir).map(|entries| entries.flatten().collect::<Vec<_>>()).unwrap_or_default();
    let count = |path: std::path::PathBuf| match path.is_dir() {
        true => data_files(&path),
        false => usize::from(path.extension().is_some_and(|extension| extension == "data")),
    };
    entries.into_iter().map(|entry| count(entry.path())).sum()
}

/// Puts lines at the beginning of a table of a node's configuration.
fn add_keys(cluster: &Cluster, index: usize, table: &str, keys: &str) -> anyhow::Result<()> {
    let file = cluster.nodes[index].dir().join("influxdb.conf");
    let text = std::fs::read_to_string(&file)?;
    let header = format!("[{table}]\n");
    let text = match text.contains(&header) {
        true => text.replace(&header, &format!("{header}{keys}\n")),
        false => format!("{text}\n{header}{keys}\n"),
    };
    Ok(std::fs::write(&file, text)?)
}

/// How long a test looks whether something happens that should not.
const QUIET: Duration = Duration::from_secs(1);

#[test]
fn the_keys_of_data_decide_where_and_when_files_are_written() {
    let (mut cluster, _dir) = cluster(19, 3);
    let done = (|| {
        add_keys(&cluster, 0, "data", "cache-snapshot-write-cold-duration = \"100ms\"")?;
        add_keys(&cluster, 1, "data", "cache-snapshot-memory-size = \"1k\"")?;
        for index in 0..3 {
            cluster.start(index, &[])?;
            cluster.nodes[index].query("", "CREATE DATABASE d")?;
            let lines: Vec<String> = (0..1_000).map(|n| format!("m,host=h{} v={n} {n}", n % 9)).collect();
            cluster.nodes[index].write_ok("d", "", lines.join("\n").as_bytes())?;
        }
        for node in &cluster.nodes[..2] {
            until("there is a data file", Duration::from_secs(20), || {
                Ok((data_files(&node.dir().join("data")) > 0).then_some(()))
            })?;
        }
        stays("nothing is flushed by default", QUIET, || Ok(data_files(&cluster.nodes[2].dir().join("data")) == 0))
    })();
    check(&cluster, done);
}

#[test]
fn the_limits_of_cluster_hold() {
    let (mut cluster, _dir) = cluster(20, 4);
    let done = (|| {
        add_keys(&cluster, 0, "cluster", "max-select-buckets = 10")?;
        add_keys(&cluster, 1, "cluster", "query-timeout = \"1ns\"")?;
        add_keys(&cluster, 2, "cluster", "write-timeout = \"1ns\"")?;
        add_keys(&cluster, 3, "cluster", "max-concurrent-queries = 1")?;
        for index in 0..4 {
            cluster.start(index, &[])?;
        }
        let error = |node: &testkit::Node, text: &str| match node.query("d", text) {
            Ok(answer) => answer.to_string(),
            Err(error) => format!("{error:#}"),
        };
        let [buckets, hasty_reader, hasty_writer, narrow] = &cluster.nodes[..] else { anyhow::bail!("four nodes") };
        buckets.query("", "CREATE DATABASE d")?;
        buckets.write_ok("d", "", b"m v=1 0\nm v=1 9000000000")?;
        let windows = |end| format!("SELECT count(v) FROM m WHERE time >= 0 AND time < {end}s GROUP BY time(1s)");
        anyhow::ensure!(buckets.rows("d", &windows(10))?.len() == 10);
        let told = error(buckets, &windows(11));
        anyhow::ensure!(told.contains("max-select-buckets limit exceeded: (11/10)"), "{told}");

        let told = error(hasty_reader, "SELECT v FROM m");
        anyhow::ensure!(told.contains("query-timeout limit exceeded"), "{told}");

        hasty_writer.query("", "CREATE DATABASE d")?;
        let answer = hasty_writer.write("d", "", b"m v=1 0")?;
        anyhow::ensure!(answer.status == 500 && answer.body.contains("timeout"), "{answer:?}");

        narrow.query("", "CREATE DATABASE d")?;
        let lines: Vec<String> = (0..20_000).map(|n| format!("m v={n} {n}")).collect();
        narrow.write_ok("d", "", lines.join("\n").as_bytes())?;
        until("two queries meet", Duration::from_secs(30), || {
            let ask = || error(narrow, "SELECT v FROM m");
            let told = std::thread::scope(|scope| {
                let all = [0; 4].map(|_| scope.spawn(ask));
                all.map(|one| one.join().expect("a thread ends"))
            });
            Ok(told.iter().any(|told| told.contains("max-concurrent-queries limit exceeded(2, 1)")).then_some(()))
        })?;
        Ok(())
    })();
    check(&cluster, done);
}

#[test]
fn hints_follow_their_keys() {
    let (mut cluster, _dir) = cluster(21, 2);
    let done = (|| {
        cluster.configure(1, false, true, "[anti-entropy]\n  enabled = false\n")?;
        cluster.configure(0, true, true, "[anti-entropy]\n  enabled = false\n")?;
        add_keys(&cluster, 0, "hinted-handoff", "retry-interval = \"100ms\"\nretry-max-interval = \"200ms\"")?;
        cluster.start(0, &[])?;
        let join = cluster.nodes[0].at(8091);
        cluster.start(1, &["-join", &join])?;
        cluster.nodes[0].query("", "CREATE DATABASE d WITH REPLICATION 2")?;
        cluster.nodes[0].write_ok("d", "consistency=all", b"m v=1i 1")?;

        // Nothing but hints can bring what was written meanwhile.
        cluster.kill(1)?;
        cluster.nodes[0].write_ok("d", "consistency=one", b"m v=2i 2")?;
        let folders = |node: &testkit::Node| std::fs::read_dir(node.dir().join("hh")).map_or(0, Iterator::count);
        anyhow::ensure!(folders(&cluster.nodes[0]) > 0, "hints wait where the key says");
        cluster.start(1, &[])?;
        every_copy_gives(&cluster, "SELECT v FROM m", &[json!([1, 1]), json!([2, 2])])?;

        cluster.stop(0)?;
        let file = cluster.nodes[0].dir().join("influxdb.conf");
        let text = std::fs::read_to_string(&file)?;
        std::fs::write(&file, text.replace("200ms\"\n  enabled = true", "200ms\"\n  enabled = false"))?;
        cluster.start(0, &[])?;
        cluster.kill(1)?;
        cluster.nodes[0].write_ok("d", "consistency=one", b"m v=3i 3")?;
        cluster.start(1, &[])?;
        stays("without hints and repair nothing brings the third point", QUIET, || {
            Ok(cluster.nodes[1].own_rows("d", "SELECT v FROM m")?.len() == 2)
        })
    })();
    check(&cluster, done);
}

#[test]
fn expired_shards_go_where_retention_is_on() {
    let (mut cluster, _dir) = cluster(22, 2);
    let done = (|| {
        add_keys(&cluster, 0, "retention", "check-interval = \"200ms\"")?;
        add_keys(&cluster, 1, "retention", "check-interval = \"200ms\"\nenabled = false")?;
        let shards = |node: &testkit::Node| Ok::<_, anyhow::Error>(node.rows("", "SHOW SHARDS")?.len());
        for index in 0..2 {
            cluster.start(index, &[])?;
            let node = &cluster.nodes[index];
            node.query("", "CREATE DATABASE d WITH DURATION 52w SHARD DURATION 1h")?;
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_nanos();
            let two_days_ago = now - 2 * 86_400_000_000_000;
            node.write_ok("d", "", format!("m v=1i {now}\nm v=2i {two_days_ago}").as_bytes())?;
            stays("nothing has expired yet", QUIET, || Ok(shards(node)? == 2))?;
            node.query("", "ALTER RETENTION POLICY autogen ON d DURATION 2h")?;
        }
        let (on, off) = (&cluster.nodes[0], &cluster.nodes[1]);
        let folders =
            |node: &testkit::Node| Ok::<_, std::io::Error>(node.dir().join("data/d/autogen").read_dir()?.count());
        until("the old shard is gone with its files", Duration::from_secs(20), || {
            Ok((shards(on)? == 1 && folders(on)? == 1).then_some(()))
        })?;
        anyhow::ensure!(on.rows("d", "SELECT sum(v) FROM m")? == [json!([0, 1])]);
        stays("nothing goes where retention is off", QUIET, || Ok(shards(off)? == 2 && folders(off)? == 2))
    })();
    check(&cluster, done);
}

#[test]
fn remote_shards_must_answer_in_time() {
    let (mut cluster, _dir) = cluster(23, 2);
    let done = (|| {
        add_keys(&cluster, 0, "cluster", "shard-reader-timeout = \"1ns\"")?;
        cluster.form()?;
        cluster.nodes[1].query("", "CREATE DATABASE d WITH REPLICATION 1")?;
        let lines: Vec<String> = (0..30).map(|n| format!("m,host=h{n} v=1i 1")).collect();
        cluster.nodes[1].write_ok("d", "", lines.join("\n").as_bytes())?;
        anyhow::ensure!(cluster.nodes[1].rows("d", "SELECT sum(v) FROM m")? == [json!([0, 30])]);
        let refused = cluster.nodes[0].rows("d", "SELECT sum(v) FROM m").err().map(|error| format!("{error:#}"));
        anyhow::ensure!(refused.as_deref().is_some_and(|text| text.contains("node 2 is down")), "{refused:?}");
        Ok(())
    })();
    check(&cluster, done);
}

#[test]
fn a_meta_node_stays_one_whatever_tables_its_file_has() {
    let (mut cluster, _dir) = cluster(33, 1);
    let done = (|| {
        cluster.start(0, &[])?;
        cluster.nodes[0].query("", "CREATE DATABASE d")?;
        cluster.stop(0)?;
        cluster.configure(0, true, true, "[cluster]\n  max-query-memory = \"1g\"\n")?;
        let file = cluster.nodes[0].dir().join("influxdb.conf");
        let text = std::fs::read_to_string(&file)?;
        // Like a file that never said which roles the node has.
        std::fs::write(&file, text.replace("  enabled = true\n", ""))?;
        cluster.start(0, &[])?;
        cluster.nodes[0].query("", "CREATE DATABASE e")?;
        cluster.nodes[0].write_ok("e", "", b"m v=1i 1")
    })();
    check(&cluster, done);
}

#[test]
fn sighup_changes_when_copies_are_compared() {
    let (mut cluster, _dir) = cluster(50, 2);
    let done = (|| {
        let schedule = |text: &str| format!("[anti-entropy]\n  {text}\n");
        let often = schedule("check-interval = \"50ms\"");
        for node in 0..2 {
            cluster.configure(node, true, true, &schedule("enabled = false"))?;
        }
        cluster.form()?;
        cluster.nodes[0].query("", "CREATE DATABASE d WITH REPLICATION 2")?;
        cluster.nodes[0].write_ok("d", "consistency=all", b"m v=1 1")?;
        let compared = || -> anyhow::Result<u64> {
            let metrics = testkit::http::request("GET", &cluster.nodes[0].at(8086), "/metrics", b"")?.body;
            let line = metrics.lines().find_map(|line| line.strip_prefix("repair_shards_compared_total "));
            Ok(line.ok_or_else(|| anyhow::anyhow!("{metrics}"))?.parse()?)
        };
        let grows = |what: &str| {
            let before = compared()?;
            until(what, Duration::from_secs(20), || Ok((compared()? > before + 2).then_some(())))
        };
        anyhow::ensure!(compared()? == 0, "it was off from the start");
        cluster.configure(0, true, true, &often)?;
        hang_up(&cluster, 0)?;
        grows("copies are compared")?;
        cluster.configure(0, true, true, &schedule("enabled = false"))?;
        hang_up(&cluster, 0)?;
        // What is under way ends; then nothing begins.
        until("no copy is compared", Duration::from_secs(20), || {
            let before = compared()?;
            let stays = testkit::stays("as many", Duration::from_millis(500), || Ok(compared()? == before));
            Ok(stays.is_ok().then_some(()))
        })?;
        cluster.configure(0, true, true, &often)?;
        hang_up(&cluster, 0)?;
        grows("copies are compared again")
    })();
    check(&cluster, done);
}

#[test]
fn requests_to_the_admin_api_are_logged_on_demand_and_without_secrets() {
    let (mut cluster, _dir) = cluster(51, 1);
    let done = (|| {
        let file = cluster.nodes[0].dir().join("influxdb.conf");
        let text = fs::read_to_string(&file)?;
        fs::write(&file, text.replacen("[meta]\n", "[meta]\n  cluster-tracing = true\n", 1))?;
        cluster.start(0, &[])?;
        let admin = cluster.nodes[0].at(8091);
        let create = br#"{"action":"create","user":{"name":"ann","password":"planted-password"}}"#;
        let made = testkit::http::request("POST", &admin, "/user?u=root&p=planted-guess", create)?;
        anyhow::ensure!(made.status == 200, "{made:?}");
        let log = cluster.nodes[0].log_tail(1_000);
        let line = log.lines().find(|line| line.contains("msg=weblog") && line.contains("uri=\"/user"));
        let line = line.ok_or_else(|| anyhow::anyhow!("no line of it: {log}"))?;
        for part in [
            " service=meta-http ",
            " username=root ",
            " method=POST ",
            " uri=\"/user?u=root&p=[REDACTED]\" ",
            " protocol=HTTP/1.1 ",
            "[REDACTED]",
            " status=200 ",
            " request-id=",
            " execution-time-readable=",
        ] {
            anyhow::ensure!(line.contains(part), "{part}: {line}");
        }
        anyhow::ensure!(line.contains("ann") && !log.contains("planted"), "{line}");
        Ok(())
    })();
    check(&cluster, done);
}

/// Tells a node to read its file again.
fn hang_up(cluster: &Cluster, index: usize) -> anyhow::Result<()> {
    let pid = cluster.nodes[index].pid().ok_or_else(|| anyhow::anyhow!("it runs"))?;
    anyhow::ensure!(Command::new("kill").args(["-HUP", &pid.to_string()]).status()?.success());
    Ok(())
}

#[test]
fn calls_between_nodes_are_logged_on_demand() {
    let (mut cluster, _dir) = cluster(53, 2);
    let done = (|| {
        cluster.configure(0, true, true, "[cluster]\n  cluster-tracing = true\n")?;
        cluster.start(0, &[])?;
        cluster.start(1, &["-join", &cluster.nodes[0].at(8091)])?;
        let [first, second] = [&cluster.nodes[0], &cluster.nodes[1]];
        let query = |text: &str| {
            let target = format!("/query?q={}", testkit::http::encode(text));
            let answer = testkit::http::request("POST", &first.at(8086), &target, b"")?;
            anyhow::ensure!(answer.status == 200 && !answer.body.contains("error"), "{text}: {answer:?}");
            Ok(())
        };
        query("CREATE DATABASE d WITH REPLICATION 2")?;
        let point = b"secretive v=\"of points\" 1";
        let written = testkit::http::request("POST", &first.at(8086), "/write?db=d&consistency=all", point)?;
        anyhow::ensure!(written.status == 204, "{written:?}");
        let calls = |node: &testkit::Node, parts: &[&str]| {
            let log = node.log_tail(1_000_000);
            let lines = log.lines().filter(|line| line.contains("msg=\"call between nodes\""));
            lines.filter(|line| parts.iter().all(|part| line.contains(part))).map(str::to_owned).collect::<Vec<_>>()
        };
        let peer = format!(" peer={} ", second.at(8088));
        let write = [" direction=out ", &peer, " call=WriteShard ", " outcome=ok"];
        until("calls are logged", Duration::from_secs(20), || {
            let came = !calls(first, &[" direction=in ", " call=State ", " outcome=ok"]).is_empty();
            Ok((came && calls(first, &write).len() == 1).then_some(()))
        })?;
        let all = calls(first, &[]);
        let whole = |line: &String| {
            ["service=rpc ", " lvl=info ", " node=", " sent=", " received=", " took="]
                .iter()
                .all(|part| line.contains(part))
        };
        anyhow::ensure!(all.iter().all(whole), "{all:?}");
        anyhow::ensure!(!all.iter().any(|line| line.contains("secretive") || line.contains("points")), "{all:?}");
        anyhow::ensure!(calls(second, &[]).is_empty(), "the default");
        Ok(())
    })();
    check(&cluster, done);
}

/// Has a node log its requests to `path`.
fn log_requests(cluster: &Cluster, index: usize, path: &Path) -> anyhow::Result<()> {
    let file = cluster.nodes[index].dir().join("influxdb.conf");
    let keys = format!("  log-enabled = true\n  access-log-path = \"{}\"\n", path.display());
    Ok(fs::write(&file, fs::read_to_string(&file)?.replace("  log-enabled = false\n", &keys))?)
}

#[test]
fn requests_are_logged_to_a_file_that_is_opened_anew_on_sighup() {
    use std::os::unix::fs::PermissionsExt;

    let (mut cluster, dir) = cluster(54, 3);
    let done = (|| {
        let (folder, missing) = (dir.path().join("log"), dir.path().join("missing"));
        fs::create_dir(&folder)?;
        let [first, second] = [folder.join("access.log"), missing.join("access.log")];
        log_requests(&cluster, 0, &first)?;
        log_requests(&cluster, 1, &second)?;
        log_requests(&cluster, 2, Path::new("/dev/full"))?;
        for index in 0..3 {
            cluster.start(index, &[])?;
        }
        let ask = |index: usize, what: &str| {
            let target = format!("/ping?n={what}&p=planted");
            let answer = testkit::http::request("GET", &cluster.nodes[index].at(8086), &target, b"")?;
            anyhow::ensure!(answer.status == 204, "{answer:?}");
            Ok(())
        };
        let has = |path: &Path, what: &str| {
            let text = fs::read_to_string(path).unwrap_or_default();
            Ok(text.contains(&format!("\"GET /ping?n={what}&p=[REDACTED] HTTP/1.1\" 204 0 ")).then_some(()))
        };
        let soon = Duration::from_secs(20);
        ask(0, "first")?;
        until("it is logged", soon, || has(&first, "first"))?;
        anyhow::ensure!(fs::metadata(&first)?.permissions().mode() & 0o777 & !0o640 == 0);
        let line = fs::read_to_string(&first)?.lines().last().unwrap_or_default().to_owned();
        anyhow::ensure!(line.starts_with("127.20.54.1 - - [") || line.starts_with("127.0.0.1 - - ["), "{line}");
        // As logrotate does without copytruncate.
        let old = folder.join("access.log.1");
        fs::rename(&first, &old)?;
        ask(0, "renamed")?;
        until("it is logged there", soon, || has(&old, "renamed"))?;
        hang_up(&cluster, 0)?;
        until("there is another one", soon, || Ok(first.exists().then_some(())))?;
        ask(0, "second")?;
        until("it is logged", soon, || has(&first, "second"))?;
        anyhow::ensure!(!fs::read_to_string(&old)?.contains("second"));
        // As logrotate does with copytruncate.
        fs::File::options().write(true).open(&first)?.set_len(0)?;
        ask(0, "cut")?;
        until("it is logged", soon, || has(&first, "cut"))?;
        anyhow::ensure!(!fs::read(&first)?.contains(&0), "from the beginning");
        anyhow::ensure!(!cluster.nodes[0].log_tail(1_000).contains("GET /ping"), "it is logged once");

        // Where there is no file yet the log has it.
        let log = cluster.nodes[1].log_tail(1_000);
        anyhow::ensure!(log.contains("lvl=error msg=\"unable to open access log, falling back to stderr\""), "{log}");
        anyhow::ensure!(log.contains(&format!("path={}", second.display())), "{log}");
        ask(1, "elsewhere")?;
        until("it is logged", soon, || Ok(cluster.nodes[1].log_tail(1_000).contains("n=elsewhere").then_some(())))?;
        fs::create_dir(&missing)?;
        hang_up(&cluster, 1)?;
        until("it is made", soon, || Ok(second.exists().then_some(())))?;
        ask(1, "there")?;
        until("it is logged", soon, || has(&second, "there"))?;

        // A disk that is full.
        let node = &cluster.nodes[2];
        node.query("", "CREATE DATABASE d")?;
        node.write_ok("d", "", b"m v=1")?;
        let lost = || {
            let metrics = testkit::http::request("GET", &node.at(8086), "/metrics", b"")?.body;
            let line = metrics.lines().find_map(|line| line.strip_prefix("access_log_lost_lines_total "));
            Ok(line.and_then(|count| count.parse::<u64>().ok()).filter(|count| *count >= 2).map(|_| ()))
        };
        until("lost lines are counted", soon, lost)?;
        let log = node.log_tail(1_000);
        anyhow::ensure!(log.matches("the access log cannot be written, lines are lost").count() == 1, "{log}");
        // The last lines are in the file when the process has ended.
        ask(0, "last")?;
        anyhow::ensure!(cluster.stop(0)? == Some(0));
        anyhow::ensure!(has(&first, "last")?.is_some());
        anyhow::ensure!(!fs::read_to_string(&first)?.contains("planted"));
        Ok(())
    })();
    check(&cluster, done);
}
