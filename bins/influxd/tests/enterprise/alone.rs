//! A server that stood alone becomes a part of a cluster, with what it holds.

use super::*;

/// Servers at 127.21.<test>.2x that stand alone, and the folder that they live in.
fn servers(root: &Path, test: u8, count: u8) -> anyhow::Result<testkit::Cluster> {
    let hosts: Vec<String> = (0..count).map(|node| format!("127.21.{test}.{}", 20 + node)).collect();
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    testkit::Cluster::new(Path::new(env!("CARGO_BIN_EXE_influxd")), &root.join("alone"), &hosts)
}

/// Has a server that runs wait to be added from now on.
fn let_wait(servers: &mut testkit::Cluster, index: usize) -> anyhow::Result<()> {
    servers.kill(index)?;
    servers.configure(index, false, true, "")?;
    servers.start(index, &[])?;
    until("it waits", SOON, || Ok(status_of(servers, index).ok()))?;
    Ok(())
}

fn status_of(servers: &testkit::Cluster, index: usize) -> anyhow::Result<Value> {
    let answer = testkit::http::request("GET", &servers.nodes[index].at(8088), "/status", b"")?;
    Ok(serde_json::from_str(&answer.body)?)
}

fn add_server(metas: &[Node], servers: &testkit::Cluster, index: usize) -> anyhow::Result<(u16, String)> {
    operate(metas, "/add-data", &format!("addr={}", servers.nodes[index].at(8088)))
}

/// Starts a server that must not go on, and answers what it says.
fn refused_start(servers: &mut testkit::Cluster, index: usize) -> anyhow::Result<String> {
    ensure!(servers.start(index, &[]).is_err(), "it started");
    servers.kill(index)?;
    Ok(servers.nodes[index].log_tail(5))
}

fn count_at(host: &str, db: &str) -> anyhow::Result<i64> {
    let target = format!("/query?db={db}&q={}", testkit::http::encode("SELECT count(v) FROM m"));
    let answer = testkit::http::request("POST", &format!("{host}:8086"), &target, b"")?;
    let document: Value = serde_json::from_str(&answer.body)?;
    ensure!(document["results"][0]["error"].is_null() && document["error"].is_null(), "{host}: {document}");
    Ok(document["results"][0]["series"][0]["values"][0][1].as_i64().unwrap_or(0))
}

/// Every one of `hosts` has so many points of each database.
fn all_have(hosts: &[&str], counts: &[(&str, i64)]) -> anyhow::Result<()> {
    until("all points are there", SOON, || {
        for host in hosts {
            for (db, count) in counts {
                if count_at(host, db)? != *count {
                    return Ok(None);
                }
            }
        }
        Ok(Some(()))
    })
}

const WEEK: i64 = 7 * 24 * 3_600 * 1_000_000_000;
const HOUR: i64 = 3_600 * 1_000_000_000;

/// `count` points, one every `span`.
fn points(count: i64, span: i64) -> Vec<u8> {
    let lines: Vec<String> = (0..count).map(|n| format!("m,host=h{} v={n} {}", n % 3, n * span + 1)).collect();
    lines.join("\n").into_bytes()
}

/// Two databases in eight shards, and what does not come along.
fn fill(server: &testkit::Node) -> anyhow::Result<()> {
    server.query("", "CREATE DATABASE gone")?;
    server.write_ok("gone", "", b"m v=1 1")?;
    server.query("", "CREATE DATABASE d")?;
    server.query("", "CREATE DATABASE e WITH DURATION INF REPLICATION 1 SHARD DURATION 1h NAME r")?;
    server.write_ok("d", "", &points(4, WEEK))?;
    server.write_ok("e", "", &points(4, HOUR))?;
    server.query("", "DROP DATABASE gone")?;
    server.query("", "CREATE USER ann WITH PASSWORD 'secret'")?;
    Ok(())
}

#[test]
fn a_server_that_stood_alone_comes_into_a_cluster_with_all_it_holds() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let mut metas = metas(dir.path(), 40, 3, "")?;
    let other = data_node(dir.path(), 40, 11, "")?;
    ensure!(add(&metas, &other)? == 4);
    // Its shards have the numbers that those of the server have.
    other.query("CREATE DATABASE own")?;
    let written = testkit::http::request("POST", &other.at(8086), "/write?db=own", &points(5, WEEK))?;
    ensure!(written.status == 204, "{} {}", written.status, written.body);
    // The second one has the directories of the first: a server that has got a name of its own meanwhile.
    let mut servers = servers(dir.path(), 40, 2)?;
    servers.start(0, &[])?;
    fill(&servers.nodes[0])?;
    servers.kill(0)?;
    servers.nodes.swap_remove(0);
    let old = dir.path().join("alone");
    let old = fs::read_dir(&old)?.flatten().map(|entry| entry.path()).find(|path| path.join("meta").exists());
    let new = servers.nodes[0].dir().to_owned();
    fs::remove_dir_all(&new)?;
    fs::rename(old.context("the first one's")?, &new)?;
    let_wait(&mut servers, 0)?;
    let status = status_of(&servers, 0)?;
    ensure!(status["nodeStatus"] == "disjoined" && status["databases"] == 2, "{status}");
    let asked = testkit::http::request("GET", &servers.nodes[0].at(8086), "/query?q=SHOW+DATABASES", b"")?;
    ensure!(asked.status == 503, "{} {}", asked.status, asked.body);

    // Leaders come and go: whoever leads decides.
    metas[0].kill();
    let (status, body) = add_server(&metas, &servers, 0)?;
    ensure!(status == 200 && body.contains("\"id\":5"), "{status} {body}\n{}", servers.nodes[0].log_tail(20));
    let hosts = [other.host.clone(), servers.nodes[0].host.clone()];
    let hosts = [hosts[0].as_str(), hosts[1].as_str()];
    all_have(&hosts, &[("own", 5), ("d", 4), ("e", 4)])?;
    ensure!(servers.nodes[0].log_tail(50).contains("users of this server were not brought along"));
    ensure!(servers.nodes[0].rows("", "SHOW USERS")?.is_empty());
    let policies = other.query("SHOW RETENTION POLICIES ON e")?;
    ensure!(policies.to_string().contains("\"r\",\"0s\",\"1h0m0s\",1,\"0s\",\"0s\",true"), "{policies}");

    // It is a member as any other: it is found again, writes go on, in old groups and in new ones.
    metas[0].start()?;
    let (status, body) = add_server(&metas, &servers, 0)?;
    ensure!(status == 200 && body.contains("\"id\":5"), "{status} {body}");
    for (host, time) in [(hosts[0], 7), (hosts[1], 20 * WEEK)] {
        let line = format!("m v=1 {time}");
        let written = testkit::http::request("POST", &format!("{host}:8086"), "/write?db=d", line.as_bytes())?;
        ensure!(written.status == 204, "{} {}", written.status, written.body);
    }
    all_have(&hosts, &[("own", 5), ("d", 6), ("e", 4)])?;
    servers.kill(0)?;
    servers.start(0, &[])?;
    all_have(&hosts, &[("own", 5), ("d", 6), ("e", 4)])?;

    // It cannot be a cluster by itself any more.
    servers.kill(0)?;
    servers.configure(0, true, true, "")?;
    let said = refused_start(&mut servers, 0)?;
    ensure!(said.contains("is that of data node 5 of a cluster, which is no meta node"), "{said}");
    servers.configure(0, false, true, "")?;
    servers.start(0, &[])?;
    all_have(&hosts, &[("own", 5), ("d", 6), ("e", 4)])?;
    let meta_dir = servers.nodes[0].dir().join("meta");
    ensure!(!meta_dir.join("raft.db").exists() && !meta_dir.join("arrival.json").exists());
    let former =
        fs::read_dir(&meta_dir)?.flatten().find(|entry| entry.file_name().to_string_lossy().starts_with("former-"));
    ensure!(former.is_some_and(|entry| entry.path().join("raft.db").exists()));
    Ok(())
}

#[test]
fn a_server_whose_databases_the_cluster_has_stays_out_and_both_stay_as_they_are() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let metas = metas(dir.path(), 41, 1, "")?;
    let other = data_node(dir.path(), 41, 11, "")?;
    ensure!(add(&metas, &other)? == 2);
    other.query("CREATE DATABASE d")?;
    other.write(0, 3)?;
    let before = testkit::http::request("GET", &metas[0].at(8091), "/?index=0", b"")?.body;
    let mut servers = servers(dir.path(), 41, 1)?;
    servers.start(0, &[])?;
    fill(&servers.nodes[0])?;
    let (status, body) = add_server(&metas, &servers, 0)?;
    let hint = "already joined to cluster; it is one by itself: to bring its databases along, start it with [meta] enabled = \
                false first";
    ensure!(status == 500 && body.contains(hint), "{status} {body}");
    let_wait(&mut servers, 0)?;
    let (status, body) = add_server(&metas, &servers, 0)?;
    let why = "the cluster has databases that this data node holds as well: d; drop them on one of the two, or copy them to \
               databases of other names first, and add it again";
    ensure!(status == 500 && body.contains(why), "{status} {body}");
    // Nor can it take the place of another one, or be told to leave with all it has.
    let form = format!("oldAddr={}&newAddr={}", other.at(8088), servers.nodes[0].at(8088));
    let (status, body) = operate(&metas, "/update-data", &form)?;
    ensure!(status == 400 && body.contains("holds databases and cannot take the place"), "{status} {body}");
    let leave = serde_json::json!({ "incarnation": status_of(&servers, 0)?["incarnation"] }).to_string();
    let answer = testkit::http::request("POST", &servers.nodes[0].at(8088), "/leave", leave.as_bytes())?;
    ensure!(answer.status == 409 && answer.body.contains("keeps what it holds"), "{} {}", answer.status, answer.body);
    let after = testkit::http::request("GET", &metas[0].at(8091), "/?index=0", b"")?.body;
    ensure!(after == before, "the metadata is as it was");
    // A passive one would own what it brings.
    let passive = format!("addr={}&passive=true", servers.nodes[0].at(8088));
    other.query("DROP DATABASE d")?;
    let (status, body) = operate(&metas, "/add-data", &passive)?;
    ensure!(status == 500 && body.contains("a passive data node owns no shard"), "{status} {body}");
    other.query("CREATE DATABASE d")?;
    ensure!(!servers.nodes[0].dir().join("meta/arrival.json").exists());

    // It can go on alone, as if nothing had been.
    servers.kill(0)?;
    servers.configure(0, true, true, "")?;
    servers.start(0, &[])?;
    let host = servers.nodes[0].host.clone();
    all_have(&[&host], &[("d", 4), ("e", 4)])?;
    servers.nodes[0].write_ok("d", "", format!("m v=1 {}", 20 * WEEK).as_bytes())?;

    // Unless it may have been taken: then it must not.
    servers.kill(0)?;
    let note = servers.nodes[0].dir().join("meta/arrival.json");
    let text = serde_json::json!({
        "formerClusterID": "1", "clusterID": "2", "metaServers": [metas[0].at(8091)], "groupsAbove": 0, "shardsAbove": 0,
        "shards": [],
    });
    fs::write(&note, text.to_string())?;
    let said = refused_start(&mut servers, 0)?;
    ensure!(said.contains("was to be added to a cluster, and that may have happened"), "{said}");
    // The wrong cluster does not end it.
    let_wait(&mut servers, 0)?;
    let (status, body) = add_server(&metas, &servers, 0)?;
    ensure!(status == 500 && body.contains("was to be added to cluster 0000000000000002"), "{status} {body}");
    servers.kill(0)?;
    fs::remove_file(&note)?;

    // With the database out of the way it comes, with the point of meanwhile.
    other.query("DROP DATABASE d")?;
    let_wait(&mut servers, 0)?;
    let (status, body) = add_server(&metas, &servers, 0)?;
    ensure!(status == 200, "{status} {body}\n{}", servers.nodes[0].log_tail(20));
    all_have(&[&other.host, &host], &[("d", 5), ("e", 4)])?;
    // Removed it empties itself, as any other.
    let (status, body) = operate(&metas, "/remove-data", &format!("addr={}", servers.nodes[0].at(8088)))?;
    ensure!(status == 204, "{status} {body}");
    ensure!(status_of(&servers, 0)?["nodeStatus"] == "disjoined");
    let (status, body) = add_server(&metas, &servers, 0)?;
    ensure!(status == 200, "{status} {body}\n{}", servers.nodes[0].log_tail(20));
    Ok(())
}

#[test]
fn a_server_that_is_killed_while_it_comes_into_a_cluster_loses_nothing() -> anyhow::Result<()> {
    const SERVERS: u8 = 5;
    let dir = tempfile::tempdir()?;
    let metas = metas(dir.path(), 42, 1, "")?;
    let other = data_node(dir.path(), 42, 11, "")?;
    add(&metas, &other)?;
    other.query("CREATE DATABASE own WITH DURATION INF REPLICATION 1 SHARD DURATION 1h NAME r")?;
    let written = testkit::http::request("POST", &other.at(8086), "/write?db=own", &points(30, HOUR))?;
    ensure!(written.status == 204, "{} {}", written.status, written.body);
    let mut servers = servers(dir.path(), 42, SERVERS)?;
    let mut wanted = vec![("own".to_owned(), 30)];
    for index in 0..usize::from(SERVERS) {
        let db = format!("d{index}");
        servers.start(index, &[])?;
        let create = format!("CREATE DATABASE {db} WITH DURATION INF REPLICATION 1 SHARD DURATION 1h NAME r");
        servers.nodes[index].query("", &create)?;
        servers.nodes[index].write_ok(&db, "", &points(40, HOUR))?;
        let_wait(&mut servers, index)?;
        let meta_dir = servers.nodes[index].dir().join("meta");
        let read = |file: &str| fs::read_to_string(meta_dir.join(file)).unwrap_or_default();
        let is_there = || match index {
            0 => !read("arrival.json").is_empty(),
            1 => read("arrival.json").contains("\"member\":{"),
            2 => read("arrival.json").contains("\"aside\":true"),
            3 => read("arrival.json").contains("\"aside\":true") && !meta_dir.join("raft.db").exists(),
            _ => read("node.json").contains("\"Meta\":false"),
        };
        // Whoever adds it hears nothing of it any more.
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let adding = scope.spawn(|| {
                let form = format!("addr={}", servers.nodes[index].at(8088));
                let answer = operate(&metas, "/add-data", &form);
                is_over.store(true, Ordering::Relaxed);
                answer
            });
            while !is_there() && !is_over.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
            let pid = servers.nodes[index].pid().context("it runs")?.to_string();
            ensure!(Command::new("kill").args(["-KILL", &pid]).status()?.success());
            // It may have been added in time.
            let _ = adding.join();
            Ok(())
        })?;
        servers.kill(index)?;
        servers.start(index, &[])?;
        let (status, body) = add_server(&metas, &servers, index)?;
        ensure!(status == 200, "round {index}: {status} {body}\n{}", servers.nodes[index].log_tail(20));
        wanted.push((db, 40));
        let counts: Vec<(&str, i64)> = wanted.iter().map(|(db, count)| (db.as_str(), *count)).collect();
        all_have(&[&other.host, &servers.nodes[index].host], &counts)
            .with_context(|| format!("round {index}\n{}", servers.nodes[index].log_tail(20)))?;
        ensure!(!meta_dir.join("arrival.json").exists());
    }
    // One member each, and no shard has two of them.
    let shown = testkit::http::request("GET", &metas[0].at(8091), "/show-cluster", b"")?;
    let shown: Value = serde_json::from_str(&shown.body)?;
    ensure!(shown["data"].as_array().is_some_and(|nodes| nodes.len() == 1 + usize::from(SERVERS)), "{shown}");
    for index in 0..usize::from(SERVERS) {
        servers.kill(index)?;
        servers.start(index, &[])?;
    }
    let counts: Vec<(&str, i64)> = wanted.iter().map(|(db, count)| (db.as_str(), *count)).collect();
    all_have(&[&other.host, &servers.nodes[0].host], &counts)
}

#[test]
fn a_server_that_stood_alone_is_the_first_of_a_cluster_when_another_joins_it() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let mut servers = servers(dir.path(), 43, 2)?;
    servers.start(0, &[])?;
    fill(&servers.nodes[0])?;
    let join = servers.nodes[0].at(8091);
    servers.start(1, &["-join", &join])?;
    let hosts = [servers.nodes[0].host.clone(), servers.nodes[1].host.clone()];
    all_have(&[&hosts[0], &hosts[1]], &[("d", 4), ("e", 4)])?;
    ensure!(servers.nodes[1].rows("", "SHOW USERS")?.len() == 1, "users are those of the cluster that it is");
    Ok(())
}

#[test]
fn servers_that_come_at_once_all_get_in() -> anyhow::Result<()> {
    const SERVERS: u8 = 4;
    let dir = tempfile::tempdir()?;
    let metas = metas(dir.path(), 44, 1, "")?;
    let other = data_node(dir.path(), 44, 11, "")?;
    add(&metas, &other)?;
    let mut servers = servers(dir.path(), 44, SERVERS)?;
    for index in 0..usize::from(SERVERS) {
        servers.start(index, &[])?;
        servers.nodes[index].query("", &format!("CREATE DATABASE d{index}"))?;
        servers.nodes[index].write_ok(&format!("d{index}"), "", &points(3 + index as i64, WEEK))?;
        let_wait(&mut servers, index)?;
    }
    let answers = std::thread::scope(|scope| {
        let add = |index| add_server(&metas, &servers, index);
        let adding: Vec<_> = (0..usize::from(SERVERS)).map(|index| scope.spawn(move || add(index))).collect();
        adding.into_iter().map(|one| one.join().expect("no panic")).collect::<anyhow::Result<Vec<_>>>()
    })?;
    ensure!(answers.iter().all(|(status, _)| *status == 200), "{answers:?}");
    let counts: Vec<(String, i64)> = (0..SERVERS).map(|index| (format!("d{index}"), 3 + i64::from(index))).collect();
    let counts: Vec<(&str, i64)> = counts.iter().map(|(db, count)| (db.as_str(), *count)).collect();
    let hosts: Vec<&str> = servers.nodes.iter().map(|node| node.host.as_str()).chain([other.host.as_str()]).collect();
    all_have(&hosts, &counts)?;
    Ok(())
}

#[test]
fn a_server_that_stood_alone_proves_the_secret_of_the_cluster() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let metas = metas(dir.path(), 45, 1, SECRET)?;
    let mut server = Node::new(dir.path(), 45, 11, Kind::Data, &format!("meta-{SECRET}"));
    let file = server.dir.join("Data.conf");
    let waiting = fs::read_to_string(&file)?;
    let alone = format!("enabled = true\n  http-bind-address = \"{}\"", server.at(8091));
    fs::write(&file, waiting.replace("enabled = false", &alone))?;
    server.start()?;
    server.is_back()?;
    server.query("CREATE DATABASE d")?;
    server.write(0, 5)?;
    server.kill();
    fs::write(&file, waiting.replace("a long pass phrase", "another pass phrase"))?;
    server.start()?;
    let (status, body) = operate(&metas, "/add-data", &format!("addr={}", server.at(8088)))?;
    ensure!(status == 500 && body.contains("signature is invalid"), "{status} {body}");
    // Nor is anybody else heard.
    let enter = serde_json::json!({ "metaServers": [metas[0].at(8091)] }).to_string();
    let answer = testkit::http::request("POST", &server.at(8088), "/enter", enter.as_bytes())?;
    ensure!(answer.status == 401, "{} {}", answer.status, answer.body);
    ensure!(server.status()?["nodeStatus"] == "disjoined" && !server.dir.join("meta/arrival.json").exists());
    server.kill();
    fs::write(&file, waiting)?;
    server.start()?;
    ensure!(add(&metas, &server)? == 2);
    ensure!(server.count()? == 5);
    ensure!(!server.log().contains("pass phrase"), "a secret is in the log");
    Ok(())
}
