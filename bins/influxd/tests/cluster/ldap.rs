//! Users in a directory, on every node: with OpenLDAP's server, where it is installed (`apt-get install slapd`).

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use testkit::http::{encode, request};
use testkit::slapd::{LDAP, Slapd};
use testkit::{Cluster, until};

use super::users::{guard, start_all};
use super::{check, cluster};

const HOST: &str = "127.20.52.9";
const ROOT: (&str, &str) = ("root", "planted-root-secret");

/// The directory, with its one group or without.
fn entries(with_group: bool) -> String {
    let group = "dn: cn=admins,ou=groups,dc=example,dc=com\nobjectClass: groupOfUniqueNames\ncn: admins\nou: admins\n\
                 uniqueMember: uid=root,ou=people,dc=example,dc=com\n";
    format!(
        "dn: dc=example,dc=com\nobjectClass: organization\nobjectClass: dcObject\no: example\ndc: example\n\n\
         dn: cn=search,dc=example,dc=com\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\n\
         cn: search\nuserPassword: planted-search-secret\n\n\
         dn: ou=people,dc=example,dc=com\nobjectClass: organizationalUnit\nou: people\n\n\
         dn: ou=groups,dc=example,dc=com\nobjectClass: organizationalUnit\nou: groups\n\n\
         dn: uid=root,ou=people,dc=example,dc=com\nobjectClass: inetOrgPerson\nuid: root\ncn: R\nsn: R\n\
         userPassword: {}\n\n{}",
        ROOT.1,
        if with_group { group } else { "" }
    )
}

fn config() -> String {
    format!(
        "enabled = true\n[[servers]]\nhost = \"{HOST}\"\nport = {LDAP}\nsecurity = \"none\"\nbind-dn = \
         \"cn=search,dc=example,dc=com\"\nbind-password = \"planted-search-secret\"\nsearch-base-dns = \
         [\"ou=people,dc=example,dc=com\"]\nsearch-filter = \"(uid=%s)\"\ngroup-search-base-dns = \
         [\"ou=groups,dc=example,dc=com\"]\nadmin-groups = [\"admins\"]\n"
    )
}

fn slapd(dir: &Path, name: &str, with_group: bool) -> anyhow::Result<Option<Slapd>> {
    let dir = dir.join(name);
    fs::create_dir(&dir)?;
    Ok(Slapd::start(&dir, HOST, &entries(with_group)))
}

fn admin(cluster: &Cluster, method: &str, path: &str, body: &str) -> anyhow::Result<(u16, String)> {
    let answer = request(method, &cluster.nodes[0].at(8091), path, body.as_bytes())?;
    Ok((answer.status, answer.body))
}

/// The state, the groups that were read and the members.
type Stand = (String, u64, u64);

/// How each data node stands with it, and all that is told.
fn stand(cluster: &Cluster) -> anyhow::Result<(Vec<Stand>, String)> {
    let (status, told) = admin(cluster, "GET", "/ldap/v1/warm-cache", "")?;
    anyhow::ensure!(status == 200, "{status} {told}");
    let document: Value = serde_json::from_str(&told)?;
    let nodes = document["nodes"].as_array().cloned().unwrap_or_default();
    let number = |value: &Value| value.as_u64().unwrap_or(u64::MAX);
    let node = |node: &Value| {
        (node["state"].as_str().unwrap_or_default().to_owned(), number(&node["groupsRead"]), number(&node["members"]))
    };
    Ok((nodes.iter().map(node).collect(), told))
}

/// What an administrator alone may ask, as ROOT or with another password.
fn log_in(cluster: &Cluster, node: usize, password: &str) -> anyhow::Result<u16> {
    let target = format!("/query?u={}&p={}&q=SHOW+USERS", ROOT.0, encode(password));
    Ok(request("POST", &cluster.nodes[node].at(8086), &target, b"")?.status)
}

/// Starts nodes that ask who sends requests, and may look users up.
fn start(cluster: &mut Cluster) -> anyhow::Result<()> {
    guard(cluster, "")?;
    for node in &cluster.nodes {
        let file = node.dir().join("influxdb.conf");
        let text = fs::read_to_string(&file)?;
        fs::write(&file, text.replacen("[meta]\n", "[meta]\n  ldap-allowed = true\n", 1))?;
    }
    start_all(cluster)
}

#[test]
fn reading_ahead_is_ended_on_every_node() {
    let (mut cluster, _dir) = cluster(55, 2);
    let done = (|| {
        // A directory that takes connections and never says anything.
        let silent = "127.20.55.9";
        let _listener = std::net::TcpListener::bind((silent, LDAP))?;
        start(&mut cluster)?;
        let config = config().replace(HOST, silent);
        anyhow::ensure!(admin(&cluster, "POST", "/ldap/v1/config", &config)?.0 == 204);
        let warm = "/ldap/v1/warm-cache";
        let begun = admin(&cluster, "POST", warm, "")?;
        anyhow::ensure!(begun.0 == 200 && begun.1.matches("\"running\"").count() == 2, "{begun:?}");
        let ended = admin(&cluster, "POST", warm, "cancel=true")?;
        anyhow::ensure!(ended.0 == 200 && ended.1.matches("\"cancelled\"").count() == 2, "{ended:?}");
        anyhow::ensure!(stand(&cluster)?.0 == vec![("cancelled".to_owned(), 0, 0); 2]);
        Ok(())
    })();
    check(&cluster, done);
}

#[test]
fn groups_are_read_ahead_on_every_node_and_passwords_are_not() {
    let (mut cluster, dir) = cluster(52, 2);
    let done = (|| {
        let Some(server) = slapd(dir.path(), "first", true)? else {
            eprintln!("skipped: there is no slapd, or no openssl, on this machine");
            return Ok(());
        };
        start(&mut cluster)?;
        let warm = "/ldap/v1/warm-cache";
        let not_set = admin(&cluster, "POST", warm, "")?;
        anyhow::ensure!(not_set.0 == 400 && not_set.1.contains("no LDAP configuration is set"), "{not_set:?}");
        anyhow::ensure!(admin(&cluster, "POST", "/ldap/v1/config", &config())?.0 == 204);
        anyhow::ensure!(stand(&cluster)?.0 == vec![("idle".to_owned(), 0, 0); 2]);

        let begun = admin(&cluster, "POST", warm, "")?;
        anyhow::ensure!(begun.0 == 200 && !begun.1.contains("failed") && !begun.1.contains("unknown"), "{begun:?}");
        let is_warm = || Ok((stand(&cluster)?.0 == vec![("warm".to_owned(), 1, 1); 2]).then_some(()));
        until("groups are read", Duration::from_secs(20), is_warm)?;
        // The group is gone. Who was in it is still known to be, and shows the password that the directory has.
        drop(server);
        for node in 0..2 {
            anyhow::ensure!(log_in(&cluster, node, ROOT.1)? == 503, "nobody vouches for the password");
        }
        let server = slapd(dir.path(), "second", false)?.expect("it was there");
        for node in 0..2 {
            anyhow::ensure!(log_in(&cluster, node, "planted-wrong-secret")? == 401);
            anyhow::ensure!(log_in(&cluster, node, ROOT.1)? == 200, "by what was read ahead");
        }
        anyhow::ensure!(admin(&cluster, "POST", "/ldap/v1/purge-cache", "")?.0 == 204);
        // The nodes hear of it in a moment.
        let is_expired = || Ok((stand(&cluster)?.0 == vec![("expired".to_owned(), 1, 1); 2]).then_some(()));
        until("it is forgotten", Duration::from_secs(20), is_expired)?;
        for node in 0..2 {
            anyhow::ensure!(log_in(&cluster, node, ROOT.1)? == 403, "the directory was asked");
        }
        // Nobody is there to read from.
        drop(server);
        anyhow::ensure!(admin(&cluster, "POST", warm, "")?.0 == 200);
        until("it is told", Duration::from_secs(20), || {
            let (nodes, told) = stand(&cluster)?;
            let failed = nodes.iter().all(|(state, ..)| state == "failed");
            Ok((failed && told.matches(&format!("{HOST}:{LDAP}: ")).count() == 2).then_some(()))
        })?;
        let ended = admin(&cluster, "POST", warm, "cancel=true")?;
        anyhow::ensure!(ended.0 == 200 && ended.1.matches("\"failed\"").count() == 2, "it had ended: {ended:?}");
        // Where nobody logs in nothing is read, and a node that is gone is told.
        let file = cluster.nodes[1].dir().join("influxdb.conf");
        let text = fs::read_to_string(&file)?;
        anyhow::ensure!(cluster.stop(1)? == Some(0));
        let gone = stand(&cluster)?;
        anyhow::ensure!(gone.0[1].0 == "unknown" && gone.1.contains("connect: "), "{gone:?}");
        fs::write(&file, text.replace("  auth-enabled = true\n", ""))?;
        cluster.start(1, &[])?;
        let begun = admin(&cluster, "POST", warm, "")?;
        let want = "nobody logs in to this node: auth-enabled in its [http] section is false";
        anyhow::ensure!(begun.0 == 200 && begun.1.matches(want).count() == 1, "{begun:?}");
        for node in &cluster.nodes {
            anyhow::ensure!(!node.log_tail(1_000_000).contains("planted"), "the log of {}", node.host);
        }
        Ok(())
    })();
    check(&cluster, done);
}
