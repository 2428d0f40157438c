//! Clusters of real processes on addresses of the loopback range: they form, are written to, are killed and come back.
//!
//! Every test has addresses of its own (127.20.<test>.<node>), so that tests run side by side. The number of rounds of
//! the kill test is `MAINSTEM_KILL_ROUNDS` (2 by default, more by hand).

mod directories;
mod keys;
#[cfg(feature = "ldap")]
mod ldap;
mod metadata;
mod names;
mod rights;
mod security;
mod users;

use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::http::{Connection, encode};
use testkit::{Cluster, Node, until};

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

#[test]
fn a_node_that_is_none_is_not_asked() {
    let (mut cluster, _dir) = cluster(32, 1);
    let done = (|| {
        cluster.start(0, &[])?;
        let ask = |node: u64| {
            let target = format!("/query?node_id={node}&q={}", testkit::http::encode("SHOW DATABASES; SHOW USERS"));
            testkit::http::request("GET", &cluster.nodes[0].at(8086), &target, b"").map(|answer| answer.body)
        };
        let want = "{\"results\":[{\"statement_id\":0,\"error\":\"data node not found: 99\"},\
                    {\"statement_id\":1,\"error\":\"not executed\"}]}\n";
        let answer = ask(99)?;
        anyhow::ensure!(answer == want, "{answer}");
        let answer = ask(1)?;
        anyhow::ensure!(!answer.contains("error"), "{answer}");
        Ok(())
    })();
    check(&cluster, done);
}
