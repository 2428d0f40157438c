//! The members of a cluster.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{LINE, table};
use crate::document::{Cluster, DataNode, MetaNode, Status};

/// Narrowest column of these sections.
const WIDTH_MIN: usize = 8;

/// Who belongs to the cluster, as the installation guide shows it. Meta nodes are told by their HTTP address, which
/// `add-meta` and `-bind` want.
pub(crate) fn short(cluster: &Cluster) -> String {
    let data = by_id(&cluster.data, |node| node.id);
    let data = data.iter().map(|node| vec![node.id.to_string(), node.tcp_addr.clone(), node.version.clone()]);
    let meta = by_id(&cluster.meta, |node| node.id);
    let meta = meta.iter().map(|node| vec![node.addr.clone(), node.version.clone()]);
    let data = section("Data Nodes", &["ID", "TCP Address", "Version"], data);
    let meta = section("Meta Nodes", &["TCP Address", "Version"], meta);
    format!("{data}\n{meta}")
}

/// All that is known of the members, and the state of Raft as `status` tells it.
pub(crate) fn long(cluster: &Cluster, status: &Status) -> String {
    let data = by_id(&cluster.data, |node| node.id);
    let data = data.iter().map(|node| data_row(node));
    let meta = by_id(&cluster.meta, |node| node.id);
    let meta = meta.iter().map(|node| meta_row(node));
    let data = section("Data Nodes", &["ID", "TCP Address", "HTTP Address", "Version", "Labels", "Passive"], data);
    let meta = section("Meta Nodes", &["ID", "Raft Address", "HTTP Address", "Version", "Labels"], meta);
    let peers = status.peers.iter().filter(|peer| **peer != status.leader);
    let peers: Vec<String> = peers.map(|peer| Value::from(peer.as_str()).to_string()).collect();
    let rows =
        [vec!["Leader".to_owned(), status.leader.clone()], vec!["Peers".to_owned(), format!("[{}]", peers.join(", "))]];
    format!("{data}\n{meta}\nRaft Status\n{LINE}\n{}", table(&rows, WIDTH_MIN))
}

fn data_row(node: &DataNode) -> Vec<String> {
    vec![
        node.id.to_string(),
        node.tcp_addr.clone(),
        node.http_addr().to_owned(),
        node.version.clone(),
        labels(&node.labels),
        node.passive.to_string(),
    ]
}

fn meta_row(node: &MetaNode) -> Vec<String> {
    vec![node.id.to_string(), node.tcp_addr.clone(), node.addr.clone(), node.version.clone(), labels(&node.labels)]
}

fn labels(labels: &BTreeMap<String, Value>) -> String {
    serde_json::to_string(labels).expect("names and values of JSON are JSON")
}

fn by_id<T>(nodes: &[T], id: impl Fn(&T) -> u64) -> Vec<&T> {
    let mut nodes: Vec<&T> = nodes.iter().collect();
    nodes.sort_by_key(|node| id(node));
    nodes
}

/// A title and a table, which keeps its head when there is nothing to show.
fn section(title: &str, head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let head = head.iter().map(|cell| (*cell).to_owned()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    format!("{title}\n{LINE}\n{}", table(&rows, WIDTH_MIN))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn cluster() -> Cluster {
        let text = r#"{
            "data": [
                {"id": 12, "tcpAddr": "data2.example.com:8088", "addr": "data2:8086", "status": "joined", "version": ""},
                {"id": 4, "tcpAddr": "data1:8088", "httpAddr": "data1:8086", "httpScheme": "http", "status": "joined",
                 "version": "1.12.4-c1.12.4", "labels": {"rack": "7", "az": "us-west"}, "passive": true}
            ],
            "meta": [
                {"id": 2, "addr": "meta2:8091", "tcpAddr": "meta2:8089", "version": "1.12.4-c1.12.4", "labels": {}},
                {"id": 1, "addr": "enterprise-meta-01:8091", "httpScheme": "http", "tcpAddr": "meta1:8089",
                 "version": "1.12.4-c1.12.4", "labels": {"az": "us-west"}}
            ]
        }"#;
        serde_json::from_str(text).expect("a document")
    }

    #[test]
    fn members_are_listed_by_id() {
        expect![[r#"
            Data Nodes
            ==========
            ID      TCP Address             Version
            4       data1:8088              1.12.4-c1.12.4
            12      data2.example.com:8088

            Meta Nodes
            ==========
            TCP Address              Version
            enterprise-meta-01:8091  1.12.4-c1.12.4
            meta2:8091               1.12.4-c1.12.4
        "#]]
        .assert_eq(&short(&cluster()));
    }

    #[test]
    fn nobody_is_listed_below_the_heads() {
        expect![[r#"
            Data Nodes
            ==========
            ID      TCP Address  Version

            Meta Nodes
            ==========
            TCP Address  Version
        "#]]
        .assert_eq(&short(&Cluster::default()));
    }

    #[test]
    fn all_that_is_known_of_members() {
        let status = Status {
            leader: "meta1:8089".to_owned(),
            peers: ["meta1:8089", "meta2:8089", "meta3:8089"].map(str::to_owned).to_vec(),
            ..Status::default()
        };
        expect![[r#"
            Data Nodes
            ==========
            ID      TCP Address             HTTP Address  Version         Labels                       Passive
            4       data1:8088              data1:8086    1.12.4-c1.12.4  {"az":"us-west","rack":"7"}  true
            12      data2.example.com:8088  data2:8086                    {}                           false

            Meta Nodes
            ==========
            ID      Raft Address  HTTP Address             Version         Labels
            1       meta1:8089    enterprise-meta-01:8091  1.12.4-c1.12.4  {"az":"us-west"}
            2       meta2:8089    meta2:8091               1.12.4-c1.12.4  {}

            Raft Status
            ==========
            Leader  meta1:8089
            Peers   ["meta2:8089", "meta3:8089"]
        "#]]
        .assert_eq(&long(&cluster(), &status));
    }

    #[test]
    fn without_a_cluster_there_is_no_leader() {
        let text = long(&Cluster::default(), &Status::default());
        assert!(text.ends_with("\nRaft Status\n==========\nLeader\nPeers   []\n"), "{text}");
    }
}
