//! `GET /show-shards`.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use meta::{Data, Owner, ShardPlace};
use model::{NodeId, Timestamp};
use serde_json::{Value, json};
use stdx::human::print_instant;

use super::reply::Reply;
use super::{Admin, parameter};
use crate::operate::HeldShard;

/// How an instant is told that there is none.
const NEVER: &str = "0001-01-01T00:00:00Z";
/// What is said of an owner that has no such shard. An owner that was not written to yet has none.
const NOT_FOUND: &str = "not found";

/// What every data node has on its disk, by shard, or why it did not tell.
type Disks = BTreeMap<NodeId, Result<BTreeMap<u64, HeldShard>, String>>;

impl Admin {
    /// Every shard of a live group and who holds it, as the metadata has it. With `verbose=true` the data nodes are asked
    /// for the state of each copy; with `missing=true` shards that lie on a disk and are in no live group come as well.
    pub(super) async fn show_shards(&self, query: Option<&str>) -> Reply {
        let is_true = |name| parameter(query, name) == Some("true");
        let data = self.node.data();
        let disks = if is_true("verbose") { Some(self.disks(&data).await) } else { None };
        let mut places: Vec<_> = data.live_shards().collect();
        places.sort_by_key(|place| place.shard.id);
        let mut shards: Vec<_> = places.iter().map(|place| shard(&data, place, disks.as_ref())).collect();
        if let Some(disks) = disks.filter(|_| is_true("missing")) {
            shards.extend(strays(&data, &disks));
        }
        Reply::json(&Value::Array(shards))
    }

    async fn disks(&self, data: &Arc<Data>) -> Disks {
        let asked = data.data_nodes().filter_map(|node| Some((node.id, node.data.as_ref()?.tcp_addr.clone())));
        let answers = asked.map(|(id, addr)| async move {
            let held = self.node.shards_of(&addr).await;
            (id, held.map(|held| held.into_iter().map(|shard| (shard.id, shard)).collect()))
        });
        join_all(answers).await.into_iter().collect()
    }
}

fn shard(data: &Data, place: &ShardPlace<'_>, disks: Option<&Disks>) -> Value {
    let owners = place.shard.owners.iter().map(|owner| match disks {
        None => json!({ "id": owner.node.0, "tcpAddr": tcp_addr(data, owner.node) }),
        Some(disks) => copy(data, owner, disks, place.shard.id.0),
    });
    json!({
        "id": place.shard.id.0,
        "database": &*place.database.name,
        "retention-policy": &*place.policy.name,
        "replica-n": place.policy.replica_n,
        "shard-group-id": place.group.id.0,
        "start-time": instant(Some(place.group.range.start())),
        "end-time": instant(Some(place.group.range.end())),
        "expire-time": instant(place.group.expires_at(place.policy)),
        "truncated-at": instant(place.group.truncated_at),
        "owners": owners.collect::<Vec<_>>(),
    })
}

/// An owner, with what it says of its copy.
fn copy(data: &Data, owner: &Owner, disks: &Disks, shard: u64) -> Value {
    let unknown = |why: &str| HeldShard { err: Some(why.to_owned()), ..HeldShard::default() };
    match disks.get(&owner.node) {
        Some(Ok(held)) => match held.get(&shard) {
            Some(held) => told(data, owner.node, held, if held.hot { "hot" } else { "cold" }),
            None => told(data, owner.node, &unknown(NOT_FOUND), ""),
        },
        Some(Err(why)) => told(data, owner.node, &unknown(why), ""),
        None => told(data, owner.node, &unknown("node not found"), ""),
    }
}

/// Shards that lie on disks and are in no live group: what was dropped while a node was away, until it hears of it.
fn strays(data: &Data, disks: &Disks) -> Vec<Value> {
    let live: std::collections::BTreeSet<u64> = data.live_shards().map(|place| place.shard.id.0).collect();
    let held = disks.iter().filter_map(|(node, held)| Some((*node, held.as_ref().ok()?)));
    let stray = held.flat_map(|(node, held)| held.values().map(move |shard| (node, shard)));
    let stray = stray.filter(|(_, shard)| !live.contains(&shard.id));
    stray
        .map(|(node, held)| {
            json!({
                "id": held.id,
                "database": held.database,
                "retention-policy": held.policy,
                "replica-n": 0,
                "shard-group-id": 0,
                "start-time": NEVER,
                "end-time": NEVER,
                "expire-time": NEVER,
                "truncated-at": NEVER,
                "owners": [told(data, node, held, if held.hot { "hot" } else { "cold" })],
            })
        })
        .collect()
}

fn told(data: &Data, node: NodeId, held: &HeldShard, state: &str) -> Value {
    let modified = (held.last_modified > 0).then_some(Timestamp(held.last_modified));
    json!({
        "id": node.0,
        "tcpAddr": tcp_addr(data, node),
        "state": state,
        "last-modified": instant(modified),
        "size": held.size,
        "err": held.err.as_deref().unwrap_or_default(),
    })
}

fn tcp_addr(data: &Data, node: NodeId) -> &str {
    data.node(node).and_then(|node| node.data.as_ref()).map(|role| role.tcp_addr.as_str()).unwrap_or_default()
}

fn instant(at: Option<Timestamp>) -> String {
    at.map_or_else(|| NEVER.to_owned(), |at| print_instant(at.0))
}
