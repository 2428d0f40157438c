//! Writing points: from the rows of a request to durable copies on the owners.
//!
//! The request gets one stamp. Its rows are cut by shard, missing shard groups are made by one command, and every shard
//! is written to all its owners at once: here, over the network, or into the hint queue of an owner that cannot be
//! reached. The client is answered as soon as every shard's level is reached or missed; the rest goes on by itself. A
//! request that had groups made is answered once the other data nodes have heard of them, too: the client may ask one of
//! them for its points next, and a node that knows no group has nothing to answer.
//!
//! Invariants
//! - No owner is acknowledged before its log is synced; a hint counts for `any` alone (see `ack`).
//! - What an owner did not take for another reason than the request itself is in its hint queue, or the failure is
//!   counted.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use env::Env;
use futures_util::StreamExt;
use hinted_handoff::Queues;
use meta::{Command, Owner, Reply};
use meta_client::MetaClient;
use model::{Batch, ConsistencyLevel, NodeId, ShardId, Stamp};
use rpc::Lane;
use storage::Origin;
use telemetry::{Counter, Metrics};
use tokio::sync::mpsc;
use wire::v1;

use crate::ack::{Acks, Outcome, Verdict};
use crate::clock::HybridClock;
use crate::local::LocalShards;
use crate::peers::{PeerError, Peers};
use crate::route::{self, Beyond, Routed};

/// How often missing groups are made before the writer gives up.
const ROUTE_ATTEMPTS_MAX: usize = 4;
/// Shards of one request that are written to at a time. One with points all over time must not take every thread.
const SHARDS_AT_ONCE: usize = 16;

/// Why a write was not acknowledged, by what the client should do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteFailure {
    /// There is no such database.
    #[error("database not found: \"{0}\"")]
    DatabaseNotFound(String),
    /// There is no such policy.
    #[error("retention policy not found: {0}")]
    PolicyNotFound(String),
    /// Some points are stored, others refused for good.
    #[error("partial write: {reason} dropped={dropped}")]
    Partial {
        /// Why.
        reason: String,
        /// How many.
        dropped: usize,
    },
    /// The request is wrong and nothing of it is stored.
    #[error("{0}")]
    Refused(String),
    /// A limit of the server is reached; later it may work.
    #[error("{0}")]
    Busy(String),
    /// The level was not reached in time. What was written stays.
    #[error("timeout")]
    Timeout,
    /// The level was not reached. What was written stays.
    #[error("{0}")]
    Failed(String),
}

/// Counters of the writer.
#[derive(Clone, Debug)]
struct WriterMetrics {
    requests: Counter,
    points: Counter,
    failures: Counter,
    hinted: Counter,
    lost_hints: Counter,
}

/// Writes points for clients.
#[derive(Debug)]
pub struct PointsWriter {
    env: Env,
    meta: Arc<MetaClient>,
    /// `None` on a node without shards.
    local: Option<Arc<LocalShards>>,
    peers: Arc<Peers>,
    /// `None` when hinted handoff is off.
    handoff: Option<Arc<Queues>>,
    clock: Arc<HybridClock>,
    timeout: Duration,
    metrics: WriterMetrics,
}

/// Where the rows of one request go.
#[derive(Debug)]
struct Route {
    parts: Vec<(ShardId, Batch)>,
    beyond: Beyond,
    /// Whether groups were made for it, which other nodes may not have heard of.
    made_groups: bool,
}

/// What the owners said about the rows of one shard.
#[derive(Clone, Debug, Default)]
struct Dropped {
    rows: usize,
    reason: Option<String>,
}

/// What one owner said.
#[derive(Debug)]
struct OwnerAnswer {
    outcome: Outcome,
    dropped: Dropped,
    busy: bool,
}

impl PointsWriter {
    /// Puts the parts together. `timeout` bounds how long a client waits.
    #[allow(clippy::too_many_arguments, reason = "wiring: each is another part of the node")]
    pub fn new(
        env: Env,
        meta: Arc<MetaClient>,
        local: Option<Arc<LocalShards>>,
        peers: Arc<Peers>,
        handoff: Option<Arc<Queues>>,
        clock: Arc<HybridClock>,
        timeout: Duration,
        metrics: &Metrics,
    ) -> Arc<PointsWriter> {
        let metrics = WriterMetrics {
            requests: metrics.counter("write_requests", "Write requests of clients"),
            points: metrics.counter("write_points", "Points that clients sent and that were acknowledged"),
            failures: metrics.counter("write_failures", "Write requests that were not acknowledged whole"),
            hinted: metrics.counter("write_hints", "Writes to one owner that were kept as a hint"),
            lost_hints: metrics.counter("write_hints_lost", "Writes to one owner that could not be kept as a hint"),
        };
        Arc::new(PointsWriter { env, meta, local, peers, handoff, clock, timeout, metrics })
    }

    /// Whether there is such a database; asks the metadata service once when this node does not know it.
    pub async fn database_exists(&self, db: &str) -> bool {
        if self.meta.data().database(db).is_some() {
            return true;
        }
        self.meta.refresh().await;
        self.meta.data().database(db).is_some()
    }

    /// Writes the rows of one request. An empty policy name means the default one.
    ///
    /// # Errors
    /// See [`WriteFailure`].
    pub async fn write(
        self: &Arc<Self>,
        db: &str,
        rp: &str,
        level: ConsistencyLevel,
        batch: Batch,
    ) -> Result<(), WriteFailure> {
        self.metrics.requests.inc();
        let rows = batch.row_count();
        let result = match tokio::time::timeout(self.timeout, self.write_points(db, rp, level, batch)).await {
            Ok(result) => result,
            Err(_) => Err(WriteFailure::Timeout),
        };
        match &result {
            Ok(()) => {
                self.metrics.points.inc_by(rows as u64);
            }
            Err(_) => {
                self.metrics.failures.inc();
            }
        }
        result
    }

    async fn write_points(
        self: &Arc<Self>,
        db: &str,
        rp: &str,
        level: ConsistencyLevel,
        batch: Batch,
    ) -> Result<(), WriteFailure> {
        let Route { parts, beyond, made_groups } = self.route(db, rp, batch).await?;
        let spread = async {
            if made_groups {
                self.peers.spread_metadata().await;
            }
        };
        let (written, ()) = futures_util::future::join(self.write_shards(parts, level), spread).await;
        let refused = written?;
        match refused.reason {
            Some(reason) => Err(WriteFailure::Partial { reason, dropped: refused.rows + beyond.rows }),
            None if beyond.rows > 0 => Err(WriteFailure::Partial { reason: beyond.reason, dropped: beyond.rows }),
            None => Ok(()),
        }
    }

    /// Writes the parts of one request; adds up what the shards refused.
    async fn write_shards(
        self: &Arc<Self>,
        parts: Vec<(ShardId, Batch)>,
        level: ConsistencyLevel,
    ) -> Result<Dropped, WriteFailure> {
        let stamp = self.clock.stamp(self.peers.me());
        let shards = parts.into_iter().map(|(shard, batch)| self.write_shard(shard, stamp, level, batch));
        let mut answers = futures_util::stream::iter(shards).buffered(SHARDS_AT_ONCE);
        let mut refused = Dropped::default();
        let mut failure = None;
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(dropped) => {
                    refused.rows += dropped.rows;
                    refused.reason = refused.reason.or(dropped.reason);
                }
                Err(error) => {
                    failure.get_or_insert(error);
                }
            }
        }
        failure.map_or(Ok(refused), Err)
    }

    /// Cuts the batch by shard; makes the shard groups it needs.
    async fn route(&self, db: &str, rp: &str, mut batch: Batch) -> Result<Route, WriteFailure> {
        let now = self.env.now();
        let (mut refreshed, mut made_groups) = (false, false);
        for _ in 0..ROUTE_ATTEMPTS_MAX {
            let data = self.meta.data();
            let policy = match data.policy(db, rp) {
                Ok(policy) => Arc::clone(policy),
                Err(_) if !refreshed => {
                    refreshed = true;
                    self.meta.refresh().await;
                    continue;
                }
                Err(meta::Rejection::DatabaseNotFound(db)) => return Err(WriteFailure::DatabaseNotFound(db)),
                Err(_) => return Err(WriteFailure::PolicyNotFound(rp.to_owned())),
            };
            // Cutting a large batch takes long enough to leave the async threads.
            let name = policy.name.to_string();
            let routed = self.env.blocking(move || route::route(batch, &policy, now)).await;
            let (instants, back) = match routed {
                Routed::Parts { parts, beyond } => return Ok(Route { parts, beyond, made_groups }),
                Routed::Missing { instants, batch } => (instants, batch),
            };
            batch = back;
            let command = Command::CreateShardGroups { database: db.to_owned(), policy: name, instants };
            match self.meta.propose(command).await {
                Ok(Reply::ShardGroups(_)) => made_groups = true,
                Ok(reply) => return Err(WriteFailure::Failed(format!("unexpected answer of the metadata: {reply:?}"))),
                Err(error) => return Err(propose_failure(&error)),
            }
        }
        Err(WriteFailure::Failed("shard groups keep vanishing while points are written to them".to_owned()))
    }

    /// Writes one shard's rows to its owners and waits for the level.
    async fn write_shard(
        self: &Arc<Self>,
        shard: ShardId,
        stamp: Stamp,
        level: ConsistencyLevel,
        batch: Batch,
    ) -> Result<Dropped, WriteFailure> {
        let data = self.meta.data();
        let place = data.shard(shard).ok_or_else(|| WriteFailure::Failed(format!("shard {shard} was dropped")))?;
        let owners: Vec<NodeId> = place.shard.owners.iter().map(|owner: &Owner| owner.node).collect();
        if owners.is_empty() {
            return Err(WriteFailure::Failed(format!("write failed: shard {shard} has no owner")));
        }
        let batch = Arc::new(batch);
        let encoded = Arc::clone(&batch);
        let record = self.env.blocking(move || {
            let mut record = Vec::new();
            block_codec::batch::encode(&encoded, &mut record).map(|()| Bytes::from(record))
        });
        let record = record.await.map_err(|error| WriteFailure::Refused(error.to_string()))?;
        let (answer, mut answers) = mpsc::channel(owners.len());
        let mut acks = Acks::new(level, owners.len());
        for owner in owners {
            let write = OwnerWrite { shard, stamp, batch: Arc::clone(&batch), record: record.clone() };
            let (writer, answer) = (Arc::clone(self), answer.clone());
            // Spawned, so that it is carried to its end when the client has been answered or has gone.
            self.env.spawn(async move {
                let said = writer.write_owner(owner, write).await;
                // The receiver is gone once the verdict is known.
                let _ = answer.send(said).await;
            });
        }
        drop(answer);
        let (mut dropped, mut busy) = (Dropped::default(), false);
        while let Some(said) = answers.recv().await {
            busy |= said.busy;
            if said.dropped.rows > dropped.rows {
                dropped = said.dropped;
            }
            match acks.record(said.outcome) {
                Some(Verdict::Reached) => return Ok(dropped),
                Some(Verdict::Missed(text)) if busy => return Err(WriteFailure::Busy(text)),
                Some(Verdict::Missed(text) | Verdict::Partial(text)) => return Err(WriteFailure::Failed(text)),
                None => {}
            }
        }
        Err(WriteFailure::Failed("write failed".to_owned()))
    }

    async fn write_owner(&self, owner: NodeId, write: OwnerWrite) -> OwnerAnswer {
        if owner == self.peers.me() {
            return self.write_here(write).await;
        }
        match self.write_there(owner, &write).await {
            Ok(reply) => OwnerAnswer {
                outcome: Outcome::Written,
                dropped: Dropped {
                    rows: usize::try_from(reply.dropped).unwrap_or(usize::MAX),
                    reason: (!reply.reason.is_empty()).then_some(reply.reason),
                },
                busy: false,
            },
            // Trying again would give the same answer.
            Err(PeerError::Fault(fault)) if fault.kind() == v1::fault::Kind::Refused => {
                OwnerAnswer { outcome: Outcome::Failed(fault.text), dropped: Dropped::default(), busy: false }
            }
            Err(error) => self.keep_hint(owner, write, &error).await,
        }
    }

    async fn write_here(&self, write: OwnerWrite) -> OwnerAnswer {
        let Some(local) = self.local.clone() else {
            let text = format!("this node holds no shards, not even {}", write.shard);
            return OwnerAnswer { outcome: Outcome::Failed(text), dropped: Dropped::default(), busy: false };
        };
        let written = match local.prepare(&self.env, write.shard).await {
            Ok(()) => {
                let work =
                    move || local.write(write.shard, write.stamp, &write.batch, Some(&write.record), Origin::Client);
                self.env.blocking(work).await
            }
            Err(error) => Err(error),
        };
        match written {
            Ok(written) => OwnerAnswer {
                outcome: Outcome::Written,
                dropped: Dropped { rows: written.dropped, reason: written.reason.map(|reason| reason.to_string()) },
                busy: false,
            },
            Err(error) => OwnerAnswer {
                outcome: Outcome::Failed(error.to_string()),
                dropped: Dropped::default(),
                busy: error.is_full(),
            },
        }
    }

    async fn write_there(&self, owner: NodeId, write: &OwnerWrite) -> Result<v1::WriteShardReply, PeerError> {
        let request = v1::WriteShardRequest {
            header: self.peers.header(),
            shard: write.shard.0,
            stamp_clock: write.stamp.clock,
            stamp_coordinator: write.stamp.coordinator,
            from_client: true,
            record: write.record.clone(),
        };
        let reply = self
            .peers
            .call(owner, Lane::Write, self.timeout, |mut peer| async move { peer.write_shard(request).await });
        let reply = reply.await?;
        self.peers.heard(reply.header.as_ref());
        match reply.fault {
            Some(fault) => Err(PeerError::Fault(fault)),
            None => Ok(reply),
        }
    }

    async fn keep_hint(&self, owner: NodeId, write: OwnerWrite, reason: &PeerError) -> OwnerAnswer {
        // What an owner that was reached says of itself is worth telling the client.
        let (said, busy) = match reason {
            PeerError::Fault(fault) => (Some(fault.text.clone()), fault.kind() == v1::fault::Kind::Full),
            _ => (None, false),
        };
        let answer = |outcome| OwnerAnswer { outcome, dropped: Dropped::default(), busy };
        let Some(handoff) = self.handoff.clone() else {
            self.metrics.lost_hints.inc();
            return answer(Outcome::Failed("hinted handoff disabled".to_owned()));
        };
        let hint = encode_hint(write.stamp, &write.record);
        let kept = self.env.blocking(move || handoff.append(owner, write.shard, &hint));
        match kept.await {
            Ok(()) => {
                self.metrics.hinted.inc();
                answer(Outcome::Hinted(said))
            }
            Err(error) => {
                self.metrics.lost_hints.inc();
                tracing::warn!(node = owner.0, shard = write.shard.0, %reason, %error, "a hint was not kept");
                answer(Outcome::Failed(error.to_string()))
            }
        }
    }
}

/// One owner's share of a request.
#[derive(Clone, Debug)]
struct OwnerWrite {
    shard: ShardId,
    stamp: Stamp,
    batch: Arc<Batch>,
    record: Bytes,
}

fn propose_failure(error: &meta_client::ProposeError) -> WriteFailure {
    match error {
        meta_client::ProposeError::Rejected(rejection @ meta::Rejection::ShardGroupLimit { .. }) => {
            WriteFailure::Refused(rejection.to_string())
        }
        meta_client::ProposeError::Rejected(meta::Rejection::DatabaseNotFound(db)) => {
            WriteFailure::DatabaseNotFound(db.clone())
        }
        meta_client::ProposeError::Rejected(rejection) => WriteFailure::Failed(rejection.to_string()),
        error => WriteFailure::Busy(error.to_string()),
    }
}

/// The bytes of a hint: the stamp and the record.
pub fn encode_hint(stamp: Stamp, record: &[u8]) -> Vec<u8> {
    let mut hint = Vec::with_capacity(16 + record.len());
    hint.extend_from_slice(&stamp.clock.to_le_bytes());
    hint.extend_from_slice(&stamp.coordinator.to_le_bytes());
    hint.extend_from_slice(record);
    hint
}

/// The inverse of [`encode_hint`]; `None` when it is too short.
pub fn decode_hint(hint: &[u8]) -> Option<(Stamp, &[u8])> {
    let (clock, rest) = hint.split_first_chunk::<8>()?;
    let (coordinator, record) = rest.split_first_chunk::<8>()?;
    Some((Stamp { clock: u64::from_le_bytes(*clock), coordinator: u64::from_le_bytes(*coordinator) }, record))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_come_back() {
        let stamp = Stamp { clock: 5, coordinator: 3 };
        assert_eq!(decode_hint(&encode_hint(stamp, b"rows")), Some((stamp, b"rows".as_slice())));
        assert_eq!(decode_hint(b"short"), None);
    }
}
