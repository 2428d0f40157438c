//! Clusters of real processes on addresses of the loopback range: they form, are written to, are killed and come back.
//!
//! Every test has addresses of its own (127.20.<test>.<node>), so that tests run side by side. The number of rounds of
//! the kill test is `MAINSTEM_KILL_ROUNDS` (2 by default, more by hand).

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::http::{Connection, encode};
use testkit::{Cluster, Node, stays, until};

/// A cluster that is not formed yet, and the folder it lives in.
fn cluster(test: u8, nodes: u8) -> (Cluster, TempDir) {
    let dir = tempfile::tempdir().expect("a folder");
    let hosts: Vec<String> = (1..=nodes).map(|node| format!("127.20.{test}.{node}")).collect();
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let influxd = Path::new(env!("CARGO_BIN_EXE_influxd"));
    let cluster = Cluster::new(influxd, &dir.path().join("nodes"), &hosts).expect("addresses of our own");
    (cluster, dir)
}

/// Shows what the nodes logged when a test fails.
#[track_caller]
fn check<T>(cluster: &Cluster, result: anyhow::Result<T>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => {
            let logs: Vec<String> =
                cluster.nodes.iter().map(|node| format!("{}:\n{}", node.host, node.log_tail(30))).collect();
            panic!("{error:#}\n{}", logs.concat());
        }
    }
}

/// Starts a node that has only metadata and a second one that has only points.
fn form_apart(cluster: &mut Cluster) -> anyhow::Result<()> {
    cluster.configure(0, true, false, "")?;
    cluster.configure(1, false, true, "")?;
    cluster.start(0, &[])?;
    let join = cluster.nodes[0].at(8091);
    cluster.start(1, &["-join", &join])
}

/// (id, http address, tcp address) of the members in one list of `SHOW SERVERS`.
fn members(document: &Value, list: &str) -> Vec<(u64, String, String)> {
    let series = document["results"][0]["series"].as_array().cloned().unwrap_or_default();
    let rows = series.iter().find(|series| series["name"] == list).map(|series| series["values"].clone());
    let rows = rows.unwrap_or_default().as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    rows.iter().map(|row| (row[0].as_u64().unwrap_or(0), text(&row[1]), text(&row[2]))).collect()
}

#[test]
fn nodes_join_and_keep_their_ids_over_restarts() {
    let (mut cluster, _dir) = cluster(1, 4);
    check(&cluster, cluster.configure(3, false, true, ""));
    let formed = (|| {
        cluster.start(0, &[])?;
        // The first address of the list is dead.
        let join = format!("127.20.1.9:8091,{}", cluster.nodes[0].at(8091));
        cluster.start(1, &["-join", &join])?;
        let join = cluster.nodes[1].at(8091);
        cluster.start(2, &["-join", &join])?;
        cluster.start(3, &["-join", &join])
    })();
    check(&cluster, formed);
    let listed = check(
        &cluster,
        until("all are listed", Duration::from_secs(20), || {
            let servers = cluster.nodes[3].query("", "SHOW SERVERS")?;
            let (data, meta) = (members(&servers, "data_nodes"), members(&servers, "meta_nodes"));
            Ok((data.len() == 4 && meta.len() == 3).then_some((data, meta)))
        }),
    );
    assert!(listed.0.iter().any(|node| node.1 == "127.20.1.4:8086" && node.2 == "127.20.1.4:8088"));
    assert!(listed.1.iter().all(|node| node.1.ends_with(":8091")));
    for index in 0..4 {
        let restarted = cluster_restart(&mut cluster, index);
        check(&cluster, restarted);
    }
    for node in &cluster.nodes {
        let servers = check(&cluster, node.query("", "SHOW SERVERS"));
        assert_eq!((members(&servers, "data_nodes"), members(&servers, "meta_nodes")), listed);
    }
}

fn cluster_restart(cluster: &mut Cluster, index: usize) -> anyhow::Result<()> {
    let code = cluster.stop(index)?;
    anyhow::ensure!(code == Some(0), "a node ended with {code:?}");
    cluster.start(index, &[])
}

#[test]
fn two_nodes_that_join_at_once_both_get_in() {
    let (mut cluster, _dir) = cluster(2, 3);
    let joined = (|| {
        cluster.start(0, &[])?;
        let join = cluster.nodes[0].at(8091);
        cluster.spawn(1, &["-join", &join])?;
        cluster.spawn(2, &["-join", &join])?;
        until("both are members", Duration::from_secs(30), || {
            let servers = cluster.nodes[0].query("", "SHOW SERVERS")?;
            let both = members(&servers, "data_nodes").len() == 3 && members(&servers, "meta_nodes").len() == 3;
            Ok(both.then_some(()))
        })
    })();
    check(&cluster, joined);
}

#[test]
fn a_node_without_points_answers_for_the_metadata() {
    let (mut cluster, _dir) = cluster(3, 2);
    let formed = (|| {
        form_apart(&mut cluster)?;
        cluster.nodes[1].query("", "CREATE DATABASE d")?;
        cluster.nodes[1].write_ok("d", "", b"m v=1 1")?;
        until("the meta node knows the database", Duration::from_secs(5), || {
            let rows = cluster.nodes[0].rows("", "SHOW DATABASES")?;
            Ok(rows.contains(&json!(["d"])).then_some(()))
        })?;
        anyhow::ensure!(cluster.nodes[0].rows("d", "SELECT v FROM m")? == [json!([1, 1])]);
        // Through the node without points, too.
        cluster.nodes[0].write_ok("d", "", b"m v=2 2")
    })();
    check(&cluster, formed);
    assert_eq!(check(&cluster, cluster.nodes[1].rows("d", "SELECT sum(v) FROM m")), [json!([0, 3])]);
}

#[test]
fn a_database_is_there_at_once_on_every_node() {
    let (mut cluster, _dir) = cluster(4, 3);
    let formed = cluster.form();
    check(&cluster, formed);
    for round in 0..20u64 {
        let db = format!("db{round}");
        let (here, there) = (round as usize % 3, (round as usize + 1) % 3);
        check(&cluster, cluster.nodes[here].query("", &format!("CREATE DATABASE {db}")));
        check(&cluster, cluster.nodes[there].write_ok(&db, "consistency=all", b"m v=1i 1"));
        for node in &cluster.nodes {
            assert_eq!(check(&cluster, node.rows(&db, "SELECT v FROM m")), [json!([1, 1])]);
        }
    }
}

#[test]
fn a_change_of_the_default_policy_holds_at_once_on_every_node() {
    let (mut cluster, _dir) = cluster(25, 3);
    let done = (|| {
        cluster.form()?;
        cluster.nodes[0].query("", "CREATE DATABASE d WITH DURATION 1h REPLICATION 1 NAME short")?;
        for round in 0..10usize {
            let (here, there) = (&cluster.nodes[round % 3], &cluster.nodes[(round + 1) % 3]);
            here.query("", "CREATE RETENTION POLICY long ON d DURATION INF REPLICATION 1 DEFAULT")?;
            // The other policy keeps nothing that is so old.
            there.write_ok("d", "", b"m v=1i 1")?;
            here.query("", "ALTER RETENTION POLICY short ON d DEFAULT")?;
            let answer = there.write("d", "", b"m v=1i 1")?;
            anyhow::ensure!(answer.status == 400, "round {round}: {answer:?}");
            here.query("", "DROP RETENTION POLICY long ON d")?;
            let names = there.rows("", "SHOW RETENTION POLICIES ON d")?;
            anyhow::ensure!(names.len() == 1, "round {round}: {names:?}");
        }
        Ok(())
    })();
    check(&cluster, done);
}

#[test]
fn everything_survives_a_kill_of_all_nodes() {
    let (mut cluster, _dir) = cluster(5, 3);
    let written = (|| {
        cluster.form()?;
        cluster.nodes[0].query("", "CREATE DATABASE d")?;
        let lines: Vec<String> = (0..5_000).map(|n| format!("m,host=h{} v={n}i {n}", n % 7)).collect();
        cluster.nodes[1].write_ok("d", "consistency=all", lines.join("\n").as_bytes())?;
        for index in 0..3 {
            cluster.kill(index)?;
        }
        for index in 0..3 {
            cluster.spawn(index, &[])?;
        }
        for node in &cluster.nodes {
            until("the node answers", Duration::from_secs(30), || Ok(node.answers().then_some(())))?;
            until("the node has everything", Duration::from_secs(30), || {
                let rows = node.own_rows("d", "SELECT count(v), sum(v) FROM m")?;
                Ok((rows == [json!([0, 5_000, 12_497_500])]).then_some(()))
            })?;
        }
        Ok(())
    })();
    check(&cluster, written);
}

/// Writes numbered points through one node after the other until told to stop; gives the numbers that were
/// acknowledged.
fn load(hosts: &[String], stop: &AtomicBool, next: &AtomicU64) -> Vec<u64> {
    let mut acknowledged = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let first = next.fetch_add(10, Ordering::Relaxed);
        let lines: Vec<String> = (first..first + 10).map(|n| format!("m,host=h{} v={n}i {n}", n % 5)).collect();
        let host = &hosts[(first / 10) as usize % hosts.len()];
        let target = "/write?db=d&consistency=quorum";
        let answer = testkit::http::request("POST", &format!("{host}:8086"), target, lines.join("\n").as_bytes());
        if answer.is_ok_and(|answer| answer.status == 204) {
            acknowledged.extend(first..first + 10);
        }
    }
    acknowledged
}

/// Kills one node during a load at `quorum`, brings it back, and compares: no acknowledged point is missing, and every
/// copy, asked alone, is the same.
fn kill_during_load(
    cluster: &mut Cluster,
    victim: usize,
    through_victim: bool,
    next: &AtomicU64,
) -> anyhow::Result<()> {
    let mut hosts: Vec<String> = cluster.nodes.iter().map(|node| node.host.clone()).collect();
    if through_victim {
        hosts = vec![hosts[victim].clone()];
    }
    let (stop, before) = (AtomicBool::new(false), next.load(Ordering::Relaxed));
    let acknowledged = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3).map(|_| scope.spawn(|| load(&hosts, &stop, next))).collect();
        let reached = |count: u64| next.load(Ordering::Relaxed) >= before + count;
        let killed = until("the load runs", Duration::from_secs(60), || Ok(reached(600).then_some(())))
            .and_then(|()| cluster.kill(victim));
        let target = if through_victim { 600 } else { 1_200 };
        let went_on = until("the load goes on", Duration::from_secs(60), || Ok(reached(target).then_some(())));
        stop.store(true, Ordering::Relaxed);
        let acknowledged: Vec<u64> =
            writers.into_iter().flat_map(|writer| writer.join().expect("a writer ends")).collect();
        killed.and(went_on).map(|()| acknowledged)
    })?;
    anyhow::ensure!(!acknowledged.is_empty(), "no write was acknowledged");
    cluster.start(victim, &[])?;
    until("all copies are the same and whole", Duration::from_secs(60), || {
        let copies: Vec<Vec<Value>> =
            cluster.nodes.iter().map(|node| node.own_rows("d", "SELECT v FROM m")).collect::<Result<_, _>>()?;
        let known: std::collections::BTreeSet<u64> = copies[0].iter().filter_map(|row| row[1].as_u64()).collect();
        let missing = acknowledged.iter().filter(|n| !known.contains(n)).count();
        anyhow::ensure!(missing == 0, "{missing} acknowledged points are missing");
        anyhow::ensure!(
            copies.iter().all(|copy| *copy == copies[0]),
            "copies differ: {:?} rows",
            copies.iter().map(Vec::len).collect::<Vec<_>>()
        );
        Ok(Some(()))
    })
}

#[test]
fn a_kill_during_a_quorum_load_loses_nothing() {
    let rounds: usize = std::env::var("MAINSTEM_KILL_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(2);
    let (mut cluster, _dir) = cluster(6, 3);
    let formed = cluster.form();
    check(&cluster, formed);
    check(&cluster, cluster.nodes[0].query("", "CREATE DATABASE d"));
    let next = AtomicU64::new(0);
    for round in 0..rounds {
        // Every fourth round, and the second, kill the coordinator that all writes go through.
        let through_victim = round % 4 == 1;
        let result = kill_during_load(&mut cluster, round % 3, through_victim, &next);
        let result = result.map_err(|error| error.context(format!("round {round}")));
        check(&cluster, result);
    }
}

#[test]
fn reads_and_writes_go_on_without_any_meta_node() {
    let (mut cluster, _dir) = cluster(7, 2);
    let formed = (|| {
        form_apart(&mut cluster)?;
        cluster.nodes[1].query("", "CREATE DATABASE d")?;
        cluster.nodes[1].write_ok("d", "", b"m v=1i 1")?;
        cluster.kill(0)?;
        cluster.nodes[1].write_ok("d", "", b"m v=2i 2")?;
        anyhow::ensure!(cluster.nodes[1].rows("d", "SELECT sum(v) FROM m")? == [json!([0, 3])]);
        // Also after a restart, from the copy on its disk.
        cluster.kill(1)?;
        cluster.start(1, &[])?;
        cluster.nodes[1].write_ok("d", "", b"m v=3i 3")?;
        anyhow::ensure!(cluster.nodes[1].rows("d", "SELECT sum(v) FROM m")? == [json!([0, 6])]);
        Ok(())
    })();
    check(&cluster, formed);
}

#[test]
fn nodes_that_all_wait_for_each_other_say_so() {
    let (mut cluster, _dir) = cluster(8, 2);
    let list = format!("{},{}", cluster.nodes[0].at(8091), cluster.nodes[1].at(8091));
    let waiting = (|| {
        cluster.spawn(0, &["-join", &list])?;
        cluster.spawn(1, &["-join", &list])?;
        until("a node says what to do", Duration::from_secs(25), || {
            Ok(cluster.nodes[0].log_tail(50).contains("without -join").then_some(()))
        })
    })();
    check(&cluster, waiting);
}

/// Every copy, asked alone, gives these rows.
fn every_copy_gives(cluster: &Cluster, query: &str, want: &[Value]) -> anyhow::Result<()> {
    for node in &cluster.nodes {
        until("a copy is as the others", Duration::from_secs(60), || {
            let rows = node.own_rows("d", query)?;
            anyhow::ensure!(rows == want, "{} has {rows:?}", node.host);
            Ok(Some(()))
        })?;
    }
    Ok(())
}

#[test]
fn an_older_hint_does_not_win_over_a_newer_value() {
    let (mut cluster, _dir) = cluster(9, 3);
    let done = (|| {
        cluster.form()?;
        cluster.nodes[0].query("", "CREATE DATABASE d")?;
        cluster.kill(2)?;
        cluster.nodes[0].write_ok("d", "consistency=quorum", b"m v=1i 1")?;
        // The hint for node 3 waits on the disk of node 1 while a newer value is written through node 2.
        cluster.kill(0)?;
        cluster.start(2, &[])?;
        cluster.nodes[1].write_ok("d", "consistency=quorum", b"m v=2i 1")?;
        cluster.start(0, &[])?;
        every_copy_gives(&cluster, "SELECT v FROM m", &[json!([1, 2])])
    })();
    check(&cluster, done);
}

#[test]
fn copies_become_equal_without_any_hint() {
    let (mut cluster, _dir) = cluster(10, 3);
    let done = (|| {
        cluster.form()?;
        cluster.nodes[0].query("", "CREATE DATABASE d")?;
        cluster.nodes[0].write_ok("d", "consistency=all", b"m v=1i 1")?;
        cluster.kill(1)?;
        cluster.kill(2)?;
        cluster.nodes[0].write_ok("d", "consistency=one", b"m v=2i 2")?;
        cluster.kill(0)?;
        std::fs::remove_dir_all(cluster.nodes[0].dir().join("hh"))?;
        for index in 0..3 {
            cluster.spawn(index, &[])?;
        }
        every_copy_gives(&cluster, "SELECT v FROM m", &[json!([1, 1]), json!([2, 2])])
    })();
    check(&cluster, done);
}

#[test]
fn every_node_answers_whole_at_once_with_two_copies() {
    let (mut cluster, _dir) = cluster(11, 3);
    let done = (|| {
        cluster.form()?;
        cluster.nodes[0].query("", "CREATE DATABASE d WITH REPLICATION 2")?;
        for round in 0..10u64 {
            // A new shard group every round, and several shards in it.
            let start = round * 14 * 86_400_000_000_000;
            let lines: Vec<String> = (0..30).map(|n| format!("m,host=h{n} v=1i {}", start + n)).collect();
            cluster.nodes[round as usize % 3].write_ok("d", "consistency=all", lines.join("\n").as_bytes())?;
            for node in &cluster.nodes {
                let rows = node.rows("d", "SELECT count(v) FROM m")?;
                anyhow::ensure!(rows == [json!([0, 30 * (round + 1)])], "{} says {rows:?}", node.host);
            }
        }
        Ok(())
    })();
    check(&cluster, done);
}

#[test]
fn a_lost_data_directory_is_rebuilt_and_answers_nothing_before() {
    let (mut cluster, _dir) = cluster(12, 3);
    let done = (|| {
        cluster.form()?;
        cluster.nodes[0].query("", "CREATE DATABASE d")?;
        let lines: Vec<String> = (0..1_000).map(|n| format!("m,host=h{} v=1i {n}", n % 9)).collect();
        cluster.nodes[0].write_ok("d", "consistency=all", lines.join("\n").as_bytes())?;
        cluster.stop(2)?;
        std::fs::remove_dir_all(cluster.nodes[2].dir().join("data"))?;
        cluster.start(2, &[])?;
        let want = [json!([0, 1_000])];
        for _ in 0..20 {
            let rows = cluster.nodes[2].rows("d", "SELECT count(v) FROM m")?;
            anyhow::ensure!(rows == want, "{rows:?}");
        }
        every_copy_gives(&cluster, "SELECT count(v) FROM m", &want)
    })();
    check(&cluster, done);
}

#[test]
fn first_writes_to_new_groups_reach_every_owner() {
    let (mut cluster, _dir) = cluster(13, 3);
    let done = (|| {
        cluster.form()?;
        cluster.nodes[0].query("", "CREATE DATABASE d")?;
        let mut want = Vec::new();
        for round in 0..20u64 {
            let time = round * 14 * 86_400_000_000_000;
            cluster.nodes[round as usize % 3].write_ok("d", "consistency=all", format!("m v=1i {time}").as_bytes())?;
            want.push(json!([time, 1]));
        }
        every_copy_gives(&cluster, "SELECT v FROM m", &want)
    })();
    check(&cluster, done);
}

#[test]
fn times_that_make_no_sense_do_not_make_groups_without_end() {
    let (mut cluster, _dir) = cluster(14, 1);
    let done = (|| {
        let config = cluster.nodes[0].dir().join("influxdb.conf");
        let text = std::fs::read_to_string(&config)?;
        std::fs::write(&config, text.replace("[meta]\n", "[meta]\n  max-shard-groups-per-policy = 10\n"))?;
        cluster.start(0, &[])?;
        cluster.nodes[0].query("", "CREATE DATABASE d")?;
        let lines: Vec<String> = (0..100u64).map(|n| format!("m v=1i {}", n * 14 * 86_400_000_000_000)).collect();
        let answer = cluster.nodes[0].write("d", "", lines.join("\n").as_bytes())?;
        anyhow::ensure!(answer.status == 400, "{answer:?}");
        anyhow::ensure!(answer.body.contains("max-shard-groups-per-policy limit exceeded"), "{answer:?}");
        // The next good request succeeds.
        cluster.nodes[0].write_ok("d", "", b"m v=1i 1")
    })();
    check(&cluster, done);
}

#[test]
fn a_directory_in_use_is_refused() {
    let (mut cluster, _dir) = cluster(15, 2);
    let done = (|| {
        cluster.start(0, &[])?;
        // The second node is told to live in the directories of the first.
        let first = cluster.nodes[0].dir().display().to_string();
        let second = cluster.nodes[1].dir().display().to_string();
        let config = cluster.nodes[1].dir().join("influxdb.conf");
        let text = std::fs::read_to_string(&config)?.replace(&second, &first);
        std::fs::write(&config, text)?;
        let refused = cluster.start(1, &[]).err().map(|error| format!("{error:#}")).unwrap_or_default();
        anyhow::ensure!(refused.contains("in use by another process"), "{refused}");
        anyhow::ensure!(cluster.nodes[0].answers());
        Ok(())
    })();
    check(&cluster, done);
}

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
        anyhow::ensure!(log.contains("the node serves") && !log.contains("lvl=warn"), "{log}");
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

/// Flips a bit in the middle of the first log segment of the node's only shard.
fn damage_log(node: &Node) -> anyhow::Result<()> {
    let log = node.dir().join("data/d/autogen/1/log");
    let segment = std::fs::read_dir(&log)?.next().context("a segment")??.path();
    let mut bytes = std::fs::read(&segment)?;
    bytes[70] ^= 1;
    Ok(std::fs::write(&segment, bytes)?)
}

#[test]
fn a_damaged_log_is_reported() {
    let (mut cluster, _dir) = cluster(26, 1);
    let done = (|| {
        cluster.start(0, &[])?;
        cluster.nodes[0].query("", "CREATE DATABASE d")?;
        cluster.nodes[0].write_ok("d", "", b"m v=1i 1")?;
        cluster.nodes[0].write_ok("d", "", b"m v=2i 2")?;
        cluster.stop(0)?;
        damage_log(&cluster.nodes[0])?;
        cluster.start(0, &[])?;
        until("the damage is reported", Duration::from_secs(10), || {
            let log = cluster.nodes[0].log_tail(50);
            let is_told = log.contains("a shard is damaged") && log.contains("write-ahead log lost records");
            Ok(is_told.then_some(()))
        })?;
        // What comes after the damage is there, and the node goes on.
        anyhow::ensure!(cluster.nodes[0].rows("d", "SELECT v FROM m")?.len() == 1);
        cluster.nodes[0].write_ok("d", "", b"m v=3i 3")
    })();
    check(&cluster, done);
}

/// A number on the node's page of metrics.
fn metric(node: &Node, name: &str) -> anyhow::Result<i64> {
    let answer = Connection::open(&node.at(8086))?.request("GET", "/metrics", b"")?;
    let line = answer.body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(line.with_context(|| format!("{name} in {}", answer.body))?.parse()?)
}

#[test]
fn a_query_whose_client_leaves_ends() {
    let (mut cluster, _dir) = cluster(27, 1);
    let done = (|| {
        cluster.start(0, &[])?;
        let node = &cluster.nodes[0];
        node.query("", "CREATE DATABASE d")?;
        node.write_ok("d", "", b"m v=1i 1")?;
        let windows = "SELECT mean(v) FROM m WHERE time >= 0 AND time < 3000d GROUP BY time(1u)";
        let windows = encode(windows);
        let mut client = TcpStream::connect(node.at(8086))?;
        write!(client, "GET /query?db=d&q={windows} HTTP/1.1\r\nHost: x\r\n\r\n")?;
        until("the query takes memory", Duration::from_secs(20), || {
            Ok((metric(node, "query_memory_bytes")? > 1_000_000).then_some(()))
        })?;
        drop(client);
        until("the memory is given back", Duration::from_secs(5), || {
            Ok((metric(node, "query_memory_bytes")? == 0).then_some(()))
        })?;
        // It ended because of its client, not because of its limit.
        anyhow::ensure!(metric(node, "queries_out_of_memory_total")? == 0);
        Ok(())
    })();
    check(&cluster, done);
}

#[test]
fn points_all_over_time_stop_nobody_else() {
    let (mut cluster, _dir) = cluster(28, 1);
    let done = (|| {
        cluster.start(0, &[])?;
        let node = &cluster.nodes[0];
        node.query("", "CREATE DATABASE d")?;
        node.write_ok("d", "", b"m v=1i 1")?;
        // A week each: one shard group for each point.
        let lines: String = (1..3_000).map(|week| format!("m v=1i {}\n", week * 604_800)).collect();
        std::thread::scope(|scope| {
            let garbage = scope.spawn(|| node.write("d", "&precision=s", lines.as_bytes()));
            let began = std::time::Instant::now();
            let mut done = 0;
            while !garbage.is_finished() {
                node.write_ok("d", "", format!("m v=1i {}", 2 + done).as_bytes())?;
                node.query("", &format!("CREATE DATABASE other{done}"))?;
                done += 1;
            }
            let each = began.elapsed() / done;
            anyhow::ensure!(done > 1 && each < Duration::from_secs(2), "{done} in {:?}", began.elapsed());
            Ok(())
        })
    })();
    check(&cluster, done);
}
