//! What servers answer, as JSON. Keys that are not known here are passed over; those that are missing or `null` are
//! empty, because older servers leave some out and servers written in Go write `null` for empty lists.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// `GET /show-cluster`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Cluster {
    #[serde(deserialize_with = "or_empty")]
    pub(crate) data: Vec<DataNode>,
    #[serde(deserialize_with = "or_empty")]
    pub(crate) meta: Vec<MetaNode>,
    /// Whether nodes take calls from anyone who reaches their ports.
    #[serde(rename = "openPorts", deserialize_with = "or_empty")]
    pub(crate) open_ports: bool,
}

/// A data node of a [`Cluster`], and the answer to adding or updating one.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct DataNode {
    #[serde(deserialize_with = "or_empty")]
    pub(crate) id: u64,
    #[serde(deserialize_with = "or_empty")]
    pub(crate) tcp_addr: String,
    /// Some servers call it `addr`, some send both.
    #[serde(deserialize_with = "or_empty")]
    pub(crate) http_addr: String,
    #[serde(deserialize_with = "or_empty")]
    pub(crate) addr: String,
    #[serde(deserialize_with = "or_empty")]
    pub(crate) version: String,
    #[serde(deserialize_with = "or_empty")]
    pub(crate) labels: BTreeMap<String, Value>,
    #[serde(deserialize_with = "or_empty")]
    pub(crate) passive: bool,
}

/// A meta node of a [`Cluster`], and the answer to adding one.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct MetaNode {
    #[serde(deserialize_with = "or_empty")]
    pub(crate) id: u64,
    /// Its HTTP address.
    #[serde(deserialize_with = "or_empty")]
    pub(crate) addr: String,
    /// Its Raft address.
    #[serde(deserialize_with = "or_empty")]
    pub(crate) tcp_addr: String,
    #[serde(deserialize_with = "or_empty")]
    pub(crate) version: String,
    #[serde(deserialize_with = "or_empty")]
    pub(crate) labels: BTreeMap<String, Value>,
}

/// `GET /status` of either kind of node.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Status {
    #[serde(deserialize_with = "or_empty")]
    pub(crate) node_type: String,
    /// Whether a meta node is a data node, too; told by our own nodes.
    pub(crate) holds_data: bool,
    /// The identity of its directory, told by our own nodes.
    #[serde(deserialize_with = "or_empty")]
    pub(crate) incarnation: String,
    /// The Raft address of the leader, told by meta nodes; empty without a cluster.
    #[serde(deserialize_with = "or_empty")]
    pub(crate) leader: String,
    /// Raft addresses of all meta nodes, told by meta nodes.
    #[serde(deserialize_with = "or_empty")]
    pub(crate) peers: Vec<String>,
    /// The address that a data node is registered with.
    #[serde(deserialize_with = "or_empty")]
    pub(crate) tcp_addr: String,
    /// Meta nodes that a data node knows; empty without a cluster.
    #[serde(deserialize_with = "or_empty")]
    pub(crate) meta_addrs: Vec<String>,
}

/// A row of `GET /show-shards`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct Shard {
    #[serde(deserialize_with = "or_empty")]
    pub(crate) id: u64,
    #[serde(deserialize_with = "or_empty")]
    pub(crate) database: String,
    #[serde(deserialize_with = "or_empty")]
    pub(crate) retention_policy: String,
    #[serde(deserialize_with = "or_empty")]
    pub(crate) replica_n: u64,
    /// 0 for a shard that lies on a disk and is in no group.
    #[serde(deserialize_with = "or_empty")]
    pub(crate) shard_group_id: u64,
    #[serde(deserialize_with = "or_empty")]
    pub(crate) start_time: String,
    #[serde(deserialize_with = "or_empty")]
    pub(crate) end_time: String,
    #[serde(deserialize_with = "or_empty")]
    pub(crate) expire_time: String,
    #[serde(deserialize_with = "or_empty")]
    pub(crate) truncated_at: String,
    #[serde(deserialize_with = "or_empty")]
    pub(crate) owners: Vec<Owner>,
}

/// An owner of a [`Shard`]. All but the first two are told only when asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Owner {
    #[serde(deserialize_with = "or_empty")]
    pub(crate) id: u64,
    #[serde(rename = "tcpAddr", deserialize_with = "or_empty")]
    pub(crate) tcp_addr: String,
    /// `hot` or `cold`.
    #[serde(deserialize_with = "or_empty")]
    pub(crate) state: String,
    #[serde(rename = "last-modified", deserialize_with = "or_empty")]
    pub(crate) last_modified: String,
    #[serde(deserialize_with = "or_empty")]
    pub(crate) size: u64,
    /// Why the owner could not tell.
    #[serde(deserialize_with = "or_empty")]
    pub(crate) err: String,
}

impl DataNode {
    pub(crate) fn http_addr(&self) -> &str {
        if self.http_addr.is_empty() { &self.addr } else { &self.http_addr }
    }
}

fn or_empty<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_may_be_missing_null_or_unknown() {
        let cluster: Cluster = serde_json::from_str(r#"{"data":null,"meta":[{"labels":null,"x":[1]}]}"#).expect("fine");
        assert!(cluster.data.is_empty() && cluster.meta[0].labels.is_empty());
        let status: Status = serde_json::from_str(r#"{"nodeType":"data","metaAddrs":null}"#).expect("fine");
        assert!(status.node_type == "data" && status.meta_addrs.is_empty());
        let shard: Shard = serde_json::from_str(r#"{"id":3,"owners":[{"id":4,"err":null}]}"#).expect("fine");
        assert_eq!((shard.id, shard.owners[0].id, shard.owners[0].err.as_str()), (3, 4, ""));
    }

    #[test]
    fn the_address_of_a_data_node_has_two_names() {
        let of = |text: &str| serde_json::from_str::<DataNode>(text).expect("fine").http_addr().to_owned();
        assert_eq!(of(r#"{"addr":"a:8086"}"#), "a:8086");
        assert_eq!(of(r#"{"addr":"a:8086","httpAddr":"b:8086"}"#), "b:8086");
    }
}
