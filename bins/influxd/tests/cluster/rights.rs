//! Roles, permissions, and series that are hidden, on every node of a cluster.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::http::request;
use testkit::{Cluster, until};

use super::users::{ask, expect, guard, start_all};
use super::{check, cluster};

const ADMIN: (&str, &str) = ("admin", "admin");
const ANN: (&str, &str) = ("ann", "ann");
const DONE: (u16, &str) = (200, "{\"statement_id\":0}");
const RESTRICTIONS: &str = "/influxdb/v2/acl/restrictions";
const GRANTS: &str = "/influxdb/v2/acl/grants";
/// How long a change may take until every node knows it.
const HEARD: Duration = Duration::from_secs(2);

/// Posts to the admin API, through a node that may send on to the leader.
fn post(cluster: &Cluster, path: &str, body: &Value) -> anyhow::Result<String> {
    for node in &cluster.nodes {
        let answer = request("POST", &node.at(8091), path, body.to_string().as_bytes())?;
        if answer.status != 307 {
            anyhow::ensure!(answer.status == 200, "{path} {body}: {answer:?}");
            return Ok(answer.body);
        }
    }
    anyhow::bail!("nobody leads")
}

/// All values of all rows of an answer, as texts.
fn values(cluster: &Cluster, node: usize, user: (&str, &str), text: &str) -> anyhow::Result<BTreeSet<String>> {
    let answer = ask(cluster, node, user, "d", text)?;
    anyhow::ensure!(answer.status == 200, "{text}: {answer:?}");
    let document: Value = serde_json::from_str(&answer.body)?;
    anyhow::ensure!(document["results"][0]["error"].is_null(), "{text}: {document}");
    let mut found = BTreeSet::new();
    for series in document["results"][0]["series"].as_array().into_iter().flatten() {
        for row in series["values"].as_array().into_iter().flatten() {
            for value in row.as_array().into_iter().flatten() {
                found.insert(value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            }
        }
    }
    Ok(found)
}

/// Every node gives this answer within the time that changes have, and how long that took.
fn soon(cluster: &Cluster, user: (&str, &str), text: &str, want: (u16, &str)) -> anyhow::Result<Duration> {
    let start = Instant::now();
    until(text, Duration::from_secs(20), || {
        let all = (0..cluster.nodes.len()).all(|node| expect(cluster, node, user, text, want).is_ok());
        Ok(all.then_some(()))
    })?;
    let took = start.elapsed();
    anyhow::ensure!(took <= HEARD, "{text}: heard after {took:?}");
    Ok(took)
}

/// A cluster with `admin` and `ann`, and a database of one copy, so that most shards are elsewhere.
fn prepared(cluster: &mut Cluster) -> anyhow::Result<()> {
    guard(cluster, "")?;
    start_all(cluster)?;
    let create = "CREATE USER admin WITH PASSWORD 'admin' WITH ALL PRIVILEGES";
    expect(cluster, 0, ("", ""), create, DONE)?;
    expect(cluster, 1, ADMIN, "CREATE DATABASE d WITH REPLICATION 1; CREATE DATABASE other", DONE)?;
    expect(cluster, 2, ADMIN, "CREATE USER ann WITH PASSWORD 'ann'", DONE)
}

#[test]
fn permissions_and_roles_act_on_every_node() {
    let (mut cluster, _dir) = cluster(43, 3);
    let done = (|| {
        prepared(&mut cluster)?;
        let (read, refused) = ("SELECT v FROM m", (403, "requires READ on d"));
        soon(&cluster, ANN, read, refused)?;
        let user = |action: &str, permissions: Value| json!({ "action": action, "user": { "name": "ann", "permissions": permissions } });
        let role = |action: &str, role: Value| json!({ "action": action, "role": role });
        let mut slowest = Duration::ZERO;
        let mut change = |path: &str, body: Value, text: &str, want: (u16, &str)| -> anyhow::Result<()> {
            post(&cluster, path, &body)?;
            slowest = slowest.max(soon(&cluster, ANN, text, want)?);
            Ok(())
        };
        change("/user", user("add-permissions", json!({ "d": ["ReadData"] })), read, (200, ""))?;
        change("/user", user("remove-permissions", json!({ "d": ["ReadData"] })), read, refused)?;
        post(&cluster, "/role", &role("create", json!({ "name": "ops" })))?;
        let of_cluster = json!({ "name": "ops", "permissions": { "": ["ReadData", "ManageShard"] } });
        post(&cluster, "/role", &role("add-permissions", of_cluster))?;
        let members = json!({ "name": "ops", "users": ["ann"] });
        change("/role", role("add-users", members.clone()), "SHOW SHARDS", (200, ""))?;
        for node in 0..3 {
            let seen: BTreeSet<String> = ["d", "other"].map(str::to_owned).into();
            anyhow::ensure!(values(&cluster, node, ANN, "SHOW DATABASES")? == seen, "all may be read");
            expect(&cluster, node, ANN, "SELECT v FROM (SELECT v FROM other..m)", (200, ""))?;
            expect(&cluster, node, ANN, "SHOW USERS", (403, "requires admin privilege"))?;
            expect(&cluster, node, ANN, "SELECT v INTO other..m FROM m", (403, "requires WRITE on other"))?;
        }
        change("/role", role("remove-users", members), "SHOW SHARDS", (403, "requires admin privilege"))?;
        eprintln!("the slowest change was known to all after {slowest:?}");
        Ok(())
    })();
    check(&cluster, done);
}

/// The points of the test: hosts of two kinds in `cpu`, one in `mem`.
fn points() -> String {
    let hosts = (0..12).map(|number| if number < 8 { format!("web{number}") } else { format!("db{number}") });
    let lines = hosts.map(|host| format!("cpu,host={host},zone=north v={} 1\n", host.len()));
    lines.chain(["mem,host=web0 v=1 1\n".to_owned()]).collect()
}

#[test]
fn hidden_series_are_hidden_everywhere() {
    let (mut cluster, _dir) = cluster(44, 3);
    let done = (|| {
        prepared(&mut cluster)?;
        expect(&cluster, 0, ADMIN, "GRANT ALL ON d TO ann", DONE)?;
        let write = |node: usize, user: &str, lines: &str| {
            let target = format!("/write?u={user}&p={user}&db=d");
            request("POST", &cluster.nodes[node].at(8086), &target, lines.as_bytes())
        };
        anyhow::ensure!(write(0, "admin", &points())?.status == 204);
        expect(&cluster, 0, ADMIN, "GRANT ALL ON other TO ann", DONE)?;
        expect(&cluster, 0, ADMIN, "SELECT v INTO other..cpu FROM cpu GROUP BY *", (200, "\"written\""))?;
        let whole = values(&cluster, 0, ANN, "SHOW SERIES")?;
        anyhow::ensure!(whole.len() == 13, "{whole:?}");

        let database = json!({ "match": "exact", "value": "d" });
        let both = json!(["read", "write"]);
        let web = json!([{ "match": "prefix", "key": "host", "value": "web" }]);
        let cpu = json!({ "match": "exact", "value": "cpu" });
        let mem = json!({ "match": "prefix", "value": "me" });
        let hide = json!({ "database": database, "measurement": cpu, "tags": web, "permissions": both });
        post(&cluster, RESTRICTIONS, &hide)?;
        let hide = json!({ "database": database, "measurement": mem, "permissions": ["read"] });
        post(&cluster, RESTRICTIONS, &hide)?;
        soon(&cluster, ANN, "SELECT count(v) FROM cpu", (200, ",4]]"))?;
        soon(&cluster, ANN, "SELECT count(v) FROM mem", DONE)?;

        let dbs: BTreeSet<String> = (8..12).map(|number| format!("db{number}")).collect();
        for node in 0..3 {
            let seen = |text: &str| values(&cluster, node, ANN, text);
            let hosts = |text: &str| -> anyhow::Result<BTreeSet<String>> {
                let found = seen(text)?;
                Ok(found.into_iter().filter(|value| value.starts_with("web") || value.starts_with("db")).collect())
            };
            for text in [
                "SELECT v, host FROM cpu",
                "SELECT v, host FROM /.*/",
                "SELECT v, host FROM d..cpu WHERE host =~ /./ OR v > 0",
                "SELECT v, host FROM (SELECT v, host FROM cpu WHERE host = 'web1' OR host != 'x')",
                "SELECT last(v), host FROM cpu, mem",
                "SHOW TAG VALUES WITH KEY = host",
                "SHOW TAG VALUES FROM cpu WITH KEY IN (host, zone) WHERE zone = 'north'",
            ] {
                let wanted: BTreeSet<String> = match text.contains("last(v)") {
                    true => ["db10".to_owned(), "db11".to_owned()].into(),
                    false => dbs.clone(),
                };
                let found = hosts(text)?;
                anyhow::ensure!(
                    found == wanted || text.contains("last(v)") && found.is_subset(&dbs),
                    "{text}: {found:?}"
                );
            }
            let series = seen("SHOW SERIES")?;
            anyhow::ensure!(
                series == dbs.iter().map(|host| format!("cpu,host={host},zone=north")).collect(),
                "{series:?}"
            );
            for (text, want) in [
                ("SHOW MEASUREMENTS", "cpu"),
                ("SHOW MEASUREMENTS ON d.*", "cpu"),
                ("SHOW FIELD KEYS", "v"),
                ("SHOW TAG KEYS", "host"),
                ("SHOW SERIES CARDINALITY", "4"),
                ("SHOW SERIES EXACT CARDINALITY FROM cpu", "4"),
                ("SHOW MEASUREMENT EXACT CARDINALITY", "1"),
                ("SHOW TAG VALUES EXACT CARDINALITY WITH KEY = host", "4"),
                ("SHOW TAG KEY EXACT CARDINALITY", "2"),
                ("SHOW FIELD KEY EXACT CARDINALITY", "1"),
            ] {
                let found = seen(text)?;
                anyhow::ensure!(found.contains(want) && !found.contains("mem"), "{text}: {found:?}");
                anyhow::ensure!(!found.contains("12") && !found.contains("13"), "{text}: {found:?}");
            }
            anyhow::ensure!(values(&cluster, node, ADMIN, "SHOW SERIES")? == whole, "nothing is hidden from them");

            let told = write(node, "ann", "cpu,host=web3 v=1 2")?;
            let forbidden = "write to restricted series is forbidden";
            anyhow::ensure!(told.status == 403 && told.body.contains(forbidden), "{told:?}");
            let told = write(node, "ann", &format!("cpu,host=web3 v=1 2\ncpu,host=db8,zone=north v=1 {}", 2 + node))?;
            let partial = format!("partial write: {forbidden} dropped=1");
            anyhow::ensure!(told.status == 400 && told.body.contains(&partial), "{told:?}");
            anyhow::ensure!(write(node, "ann", "mem,host=web0 v=1 2")?.status == 204, "reading alone is hidden");
            expect(&cluster, node, ANN, "SELECT v INTO cpu FROM cpu GROUP BY *", (200, "\"written\""))?;
            expect(&cluster, node, ANN, "SELECT v INTO d..cpu FROM other..cpu GROUP BY *", (200, forbidden))?;
        }
        let all = values(&cluster, 0, ADMIN, "SELECT v FROM cpu WHERE host = 'web3'")?;
        anyhow::ensure!(all.len() == 2, "one time and one value, as before: {all:?}");

        // A role lifts it for one host, and takes it back when it goes.
        post(&cluster, "/role", &json!({ "action": "create", "role": { "name": "ops" } }))?;
        post(&cluster, "/role", &json!({ "action": "add-users", "role": { "name": "ops", "users": ["ann"] } }))?;
        let one = json!([{ "match": "exact", "key": "host", "value": "web3" }]);
        let roles = json!([{ "name": "ops" }]);
        let grant = json!({ "database": database, "tags": one, "permissions": both, "roles": roles });
        let made: Value = serde_json::from_str(&post(&cluster, GRANTS, &grant)?)?;
        let web3 = "SHOW TAG VALUES FROM cpu WITH KEY = host WHERE host = 'web3'";
        soon(&cluster, ANN, web3, (200, "web3"))?;
        for node in 0..3 {
            let series = values(&cluster, node, ANN, "SHOW SERIES FROM cpu")?;
            anyhow::ensure!(
                series.contains("cpu,host=web3,zone=north") && !series.contains("cpu,host=web4,zone=north")
            );
            anyhow::ensure!(write(node, "ann", "cpu,host=web3,zone=north v=1 2")?.status == 204);
        }
        let id = made["id"].as_str().unwrap_or_default();
        for node in &cluster.nodes {
            let answer = request("DELETE", &node.at(8091), &format!("{GRANTS}/{id}"), b"")?;
            anyhow::ensure!([204, 307].contains(&answer.status), "{answer:?}");
            if answer.status == 204 {
                break;
            }
        }
        soon(&cluster, ANN, web3, DONE)?;
        Ok(())
    })();
    check(&cluster, done);
}
