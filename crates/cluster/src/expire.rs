//! Dropping what is no longer kept: groups that a policy has outlived, and shards that the metadata has dropped.
//!
//! A shard on this node's disk is dropped only when the metadata is sure to have known it once: its number is not above
//! the largest ever given, and it is in no live group, or it is held by others now of whom one is whole.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use env::Env;
use hinted_handoff::Queues;
use meta::{Command, Data, Shard};
use meta_client::MetaClient;
use model::{NodeId, ShardId};

use crate::local::LocalShards;

/// Shards on the disk of `me` that are in no live group any more, or that it was relieved of: others own them, and one of
/// those has everything.
pub fn dropped(data: &Data, me: NodeId, on_disk: &[ShardId]) -> Vec<ShardId> {
    let stays = |shard: &Shard| {
        let has_whole_copy = shard.owners.iter().any(|owner| !data.is_blank(*owner));
        shard.is_owned_by(me) || !has_whole_copy
    };
    let staying = data.live_shards().filter(|place| stays(place.shard)).map(|place| place.shard.id);
    let staying: BTreeSet<ShardId> = staying.collect();
    on_disk.iter().copied().filter(|shard| *shard <= data.shard_id_max() && !staying.contains(shard)).collect()
}

/// Drops local shards as the metadata changes, for ever.
pub async fn run_drops(env: Env, meta: Arc<MetaClient>, local: Arc<LocalShards>, handoff: Option<Arc<Queues>>) {
    let mut changes = meta.subscribe();
    loop {
        let on_disk: Vec<ShardId> = local.store().shards().into_iter().map(|shard| shard.id).collect();
        for shard in dropped(&meta.data(), local.me, &on_disk) {
            let (local, handoff) = (Arc::clone(&local), handoff.clone());
            let result = env.blocking(move || {
                local.forget(shard);
                if let Some(handoff) = handoff {
                    // Hints for a shard that is gone are refused by its owners; dropping them saves the trip.
                    let _ = handoff.drop_shard(shard);
                }
                local.store().drop_shard(shard)
            });
            match result.await {
                Ok(()) => tracing::info!(shard = shard.0, "a shard was dropped"),
                Err(error) => tracing::warn!(shard = shard.0, %error, "a shard was not dropped"),
            }
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// Has expired groups deleted every `interval`, for ever. Every node asks for it when it finds any by its own clock; which
/// ones have expired is decided by the clocks of the cluster.
pub async fn run_retention(env: Env, meta: Arc<MetaClient>, interval: Duration) {
    loop {
        tokio::time::sleep(interval).await;
        let now = env.now();
        if !meta.data().has_expired(now) {
            continue;
        }
        match meta.propose(Command::ExpireShardGroups { now }).await {
            Ok(_) => tracing::info!(live = meta.data().live_shards().count(), "shards that have expired are deleted"),
            Err(error) => tracing::warn!(%error, "shards that have expired were not deleted"),
        }
    }
}

#[cfg(test)]
mod tests {
    use meta::{Incarnation, LeaderFacts, PolicySpec};
    use model::{MetaIndex, Timestamp};

    use super::*;

    fn apply(data: &mut Data, command: &Command) {
        let facts = LeaderFacts { now: Timestamp(0), random: 1, shard_groups_max: 0 };
        data.apply(MetaIndex(data.index().0 + 1), &facts, command).expect("a command that is carried out");
    }

    #[test]
    fn only_shards_that_the_metadata_has_known_and_dropped_are_dropped() {
        let (mut data, on_disk) = (Data::default(), [ShardId(1), ShardId(2)]);
        let me = NodeId(1);
        assert_eq!(dropped(&data, me, &on_disk), [], "a node that knows nothing yet");
        let node = Command::CreateDataNode {
            incarnation: Incarnation(1),
            http_addr: "n:8086".to_owned(),
            tcp_addr: "n:8088".to_owned(),
            passive: false,
        };
        let policy = Some(PolicySpec::automatic());
        apply(&mut data, &node);
        apply(&mut data, &Command::CreateDatabase { name: "d".to_owned(), policy, explicit: false });
        let (database, policy) = ("d".to_owned(), "autogen".to_owned());
        apply(&mut data, &Command::CreateShardGroups { database, policy, instants: vec![Timestamp(0)] });
        assert_eq!(data.shard_id_max(), ShardId(1));
        assert_eq!(dropped(&data, me, &on_disk), []);
        apply(&mut data, &Command::DropDatabase { name: "d".to_owned() });
        assert_eq!(dropped(&data, me, &on_disk), [ShardId(1)], "the second may be newer than this copy");
    }

    #[test]
    fn a_copy_that_a_node_was_relieved_of_is_dropped_when_another_is_whole() {
        let (mut data, on_disk) = (Data::default(), [ShardId(1)]);
        for number in [1, 2] {
            let command = Command::CreateDataNode {
                incarnation: Incarnation(number),
                http_addr: format!("n{number}:8086"),
                tcp_addr: format!("n{number}:8088"),
                passive: false,
            };
            apply(&mut data, &command);
        }
        let policy = Some(PolicySpec { replica_n: Some(2), ..PolicySpec::automatic() });
        apply(&mut data, &Command::CreateDatabase { name: "d".to_owned(), policy, explicit: true });
        let (database, policy) = ("d".to_owned(), "autogen".to_owned());
        apply(&mut data, &Command::CreateShardGroups { database, policy, instants: vec![Timestamp(0)] });
        let both = data.clone();
        apply(&mut data, &Command::RemoveShardOwner { shard: ShardId(1), node: NodeId(1) });
        assert_eq!(dropped(&data, NodeId(1), &on_disk), on_disk);
        assert_eq!(dropped(&data, NodeId(2), &on_disk), []);
        // Of a node that was removed whole, nothing is dropped unless the other has it all.
        let mut data = both;
        apply(&mut data, &Command::DeleteDataNode { id: NodeId(2) });
        let replace = Command::UpdateDataNode {
            id: NodeId(1),
            http_addr: "x:8086".to_owned(),
            tcp_addr: "x:8088".to_owned(),
            incarnation: Some(Incarnation(3)),
        };
        apply(&mut data, &replace);
        assert_eq!(dropped(&data, NodeId(2), &on_disk), [], "the only other copy is blank");
    }
}
