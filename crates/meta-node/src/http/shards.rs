//! `GET /show-shards`.

use meta::{Data, ShardPlace};
use model::Timestamp;
use serde_json::{Value, json};
use stdx::human::print_instant;

use super::reply::Reply;
use super::{Admin, parameter};

/// How an instant is told that there is none of.
const NEVER: &str = "0001-01-01T00:00:00Z";

impl Admin {
    /// Every shard of a live group and who holds it, as the metadata has it.
    pub(super) fn show_shards(&self, query: Option<&str>) -> Reply {
        if parameter(query, "verbose") == Some("true") {
            return Reply::error(
                http::StatusCode::NOT_IMPLEMENTED,
                "the state of each copy is not available in this release; ask without verbose",
            );
        }
        let data = self.node.data();
        let mut places: Vec<_> = data.live_shards().collect();
        places.sort_by_key(|place| place.shard.id);
        Reply::json(&places.iter().map(|place| shard(&data, place)).collect())
    }
}

fn shard(data: &Data, place: &ShardPlace<'_>) -> Value {
    let owners = place.shard.owners.iter().map(|owner| {
        let role = data.node(owner.node).and_then(|node| node.data.as_ref());
        json!({ "id": owner.node.0, "tcpAddr": role.map(|role| role.tcp_addr.as_str()).unwrap_or_default() })
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

fn instant(at: Option<Timestamp>) -> String {
    at.map_or_else(|| NEVER.to_owned(), |at| print_instant(at.0))
}
