//! How data nodes hear of changes of the metadata.

use std::time::Duration;

use serde_json::json;
use testkit::http::request;
use testkit::{Node, until};

use super::{check, cluster, form_apart, metric};

const PATIENCE: Duration = Duration::from_secs(10);

/// Changes and documents that have arrived at a node since it started.
fn arrived(node: &Node) -> anyhow::Result<(i64, i64)> {
    let received = |what: &str| metric(node, &format!("meta_{what}_received_total"));
    anyhow::ensure!(metric(node, "meta_changes_refused_total")? == 0, "what was sent leads on");
    Ok((received("changes")?, received("documents")?))
}

/// The command as other programs send it.
fn create_continuous_query(database: &str, name: &str, query: &str) -> Vec<u8> {
    let mut fields = Vec::new();
    for (number, text) in [(1, database), (2, name), (3, query)] {
        fields.push(number << 3 | 2);
        put_bytes(&mut fields, text.as_bytes());
    }
    let mut command = vec![0x08, 11, 0xfa, 0x06];
    put_bytes(&mut command, &fields);
    command
}

/// Bytes behind their length.
fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut len = bytes.len();
    while len > 0x7f {
        out.push((len & 0x7f) as u8 | 0x80);
        len >>= 7;
    }
    out.push(len as u8);
    out.extend_from_slice(bytes);
}

fn databases(node: &Node) -> anyhow::Result<usize> {
    Ok(node.rows("", "SHOW DATABASES")?.len())
}

#[test]
fn data_nodes_get_changes_and_not_documents() {
    let (mut cluster, _dir) = cluster(60, 2);
    let done = (|| {
        form_apart(&mut cluster)?;
        let (service, node) = (&cluster.nodes[0], &cluster.nodes[1]);
        let (changes, documents) = arrived(node)?;
        let sent = metric(service, "meta_documents_sent_total")?;
        for number in 0..30 {
            // Through either.
            cluster.nodes[number % 2].query("", &format!("CREATE DATABASE d{number}"))?;
        }
        node.write_ok("d0", "", b"m v=1 1")?;
        until("all databases are known", PATIENCE, || Ok((databases(node)? == 30).then_some(())))?;
        let now = arrived(node)?;
        anyhow::ensure!(now.0 >= changes + 31 && now.1 == documents, "{now:?} after {:?}", (changes, documents));
        anyhow::ensure!(metric(service, "meta_documents_sent_total")? == sent, "no document was sent");
        anyhow::ensure!(metric(service, "meta_changes_sent_total")? > 0);
        anyhow::ensure!(metric(service, "meta_changes_kept_bytes")? > 0);

        // What was missed while the node was away, or the service, comes as changes, too.
        cluster.kill(1)?;
        for number in 30..35 {
            cluster.nodes[0].query("", &format!("CREATE DATABASE d{number}"))?;
        }
        cluster.kill(0)?;
        cluster.start(0, &[])?;
        cluster.start(1, &[])?;
        until("what was missed is known", PATIENCE, || Ok((databases(&cluster.nodes[1])? == 35).then_some(())))?;
        let now = arrived(&cluster.nodes[1])?;
        anyhow::ensure!(now.0 >= 5 && now.1 == 0, "{now:?}");
        anyhow::ensure!(cluster.nodes[1].rows("d0", "SELECT v FROM m")? == [json!([1, 1])]);
        Ok(())
    })();
    check(&cluster, done);
}

#[test]
fn a_data_node_that_is_too_far_behind_gets_a_document() {
    let (mut cluster, _dir) = cluster(61, 2);
    let done = (|| {
        form_apart(&mut cluster)?;
        cluster.nodes[1].query("", "CREATE DATABASE d")?;
        cluster.kill(1)?;
        // More than is kept of changes.
        let text = "x".repeat(60_000);
        for number in 0..20 {
            let command = create_continuous_query("d", &format!("q{number}"), &text);
            let answer = request("POST", &cluster.nodes[0].at(8091), "/execute", &command)?;
            anyhow::ensure!(answer.status == 200 && answer.body.len() < 20, "{}", answer.body);
        }
        cluster.nodes[0].query("", "CREATE DATABASE last")?;
        let kept = metric(&cluster.nodes[0], "meta_changes_kept_bytes")?;
        anyhow::ensure!(kept <= 1 << 20, "{kept} bytes of changes are kept");
        cluster.start(1, &[])?;
        until("the last change is known", PATIENCE, || Ok((databases(&cluster.nodes[1])? == 2).then_some(())))?;
        let (changes, documents) = arrived(&cluster.nodes[1])?;
        // A node that starts may ask twice at once.
        anyhow::ensure!((1..=2).contains(&documents), "{documents} documents");
        cluster.nodes[1].query("", "CREATE DATABASE another")?;
        let now = arrived(&cluster.nodes[1])?;
        anyhow::ensure!(now.0 > changes && now.1 <= 2, "and changes again: {now:?}");
        Ok(())
    })();
    check(&cluster, done);
}
