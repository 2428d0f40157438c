//! Delivering hints: writes that were kept for a node that could not be reached.
//!
//! `hinted_handoff` keeps the queues and decides when to try; this is how one entry reaches its owner. Entries carry
//! their stamps, so they may arrive twice or late.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hinted_handoff::{HandoffError, Queues, SendError, Sender};
use meta_client::MetaClient;
use model::{NodeId, ShardId};
use rpc::Lane;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use wire::v1;

use crate::peers::{Change, PeerError, Peers};
use crate::points_writer::decode_hint;

/// Sends hints to their owners.
#[derive(Clone, Debug)]
pub struct HintSender {
    meta: Arc<MetaClient>,
    peers: Arc<Peers>,
    timeout: Duration,
}

impl HintSender {
    /// `timeout` bounds one attempt.
    pub fn new(meta: Arc<MetaClient>, peers: Arc<Peers>, timeout: Duration) -> HintSender {
        HintSender { meta, peers, timeout }
    }
}

impl Sender for HintSender {
    async fn send(&self, node: NodeId, shard: ShardId, hint: Bytes) -> Result<(), SendError> {
        // A shard that was dropped, or that the node does not own any more, wants no hints.
        let owned = self.meta.data().shard(shard).is_some_and(|place| place.shard.is_owned_by(node));
        if !owned {
            return Err(refused(node, shard, "it does not own the shard any more"));
        }
        let Some((stamp, record)) = decode_hint(&hint) else {
            return Err(refused(node, shard, "the hint is too short to hold a stamp"));
        };
        let request = v1::WriteShardRequest {
            header: self.peers.header(),
            shard: shard.0,
            stamp_clock: stamp.clock,
            stamp_coordinator: stamp.coordinator,
            from_client: false,
            record: hint.slice_ref(record),
        };
        let reply =
            self.peers.call(node, Lane::Bulk, self.timeout, |mut peer| async move { peer.write_shard(request).await });
        match reply.await {
            Ok(reply) => match reply.fault {
                None => Ok(()),
                Some(fault) if fault.kind() == v1::fault::Kind::Refused => Err(refused(node, shard, &fault.text)),
                Some(_) => Err(SendError::Retry),
            },
            Err(error @ PeerError::Unknown(_)) => Err(refused(node, shard, &error.to_string())),
            Err(_) => Err(SendError::Retry),
        }
    }

    fn problem(&self, problem: HandoffError) {
        tracing::warn!(error = %problem, "a queue of hints has trouble");
    }
}

/// Tells the queues of nodes that answer again, so that they do not wait for their next attempt.
pub async fn wake_returned(queues: Arc<Queues>, mut changes: Receiver<Change>) {
    loop {
        match changes.recv().await {
            Ok(Change::Returned(node)) => queues.node_is_back(node),
            Ok(Change::Lost(_) | Change::KeepsHints(..)) => {}
            // What was missed may have been a return.
            Err(RecvError::Lagged(_)) => queues.nodes().into_iter().for_each(|node| queues.node_is_back(node)),
            Err(RecvError::Closed) => return,
        }
    }
}

fn refused(node: NodeId, shard: ShardId, why: &str) -> SendError {
    tracing::warn!(node = node.0, shard = shard.0, why, "a hint will never be taken");
    SendError::Refused
}
