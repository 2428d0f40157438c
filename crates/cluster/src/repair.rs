//! Anti-entropy: bringing the copies of a shard together again, with or without hints.
//!
//! Owners compare digests of their merged content, cell by cell (a bucket of series, a window of time), and fetch from
//! the other the rows of the cells that differ, with their stamps; the larger stamp wins, so fetching twice or in any
//! order is safe. Every owner pulls, so a difference closes from both sides. This runs for a copy that may lack rows at
//! once, and for all shared shards at every interval.
//!
//! Not here: which copies may lack rows. See `local`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use env::Env;
use meta_client::MetaClient;
use model::{NodeId, ShardId, Stamp};
use rpc::Lane;
use storage::{CellShape, Origin};
use telemetry::{Counter, Metrics};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tonic::Response;
use wire::v1;

use crate::local::{LocalError, LocalShards, Trust};
use crate::peers::{Change, PeerError, Peers};

/// Series buckets of a digest.
const BUCKETS: u32 = 16;
/// The most that a peer may ask for.
const BUCKETS_MAX: u32 = 4_096;
/// A shard's span is cut into about this many windows, none shorter than an hour.
const WINDOWS: i64 = 128;
const WINDOW_NS_MIN: i64 = 3_600_000_000_000;
/// Cells fetched by one call.
const CELLS_PER_CALL: usize = 64;
const DIGEST_TIMEOUT: Duration = Duration::from_secs(30);
const EXPORT_TIMEOUT: Duration = Duration::from_secs(120);
/// Pause before copies that could not be compared are tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// How often all shared shards are compared, or that nothing is; can be changed while it works. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Schedule(Arc<watch::Sender<Option<Duration>>>);

impl Schedule {
    /// Every so often; `None` for never.
    pub fn new(interval: Option<Duration>) -> Schedule {
        Schedule(Arc::new(watch::Sender::new(interval)))
    }

    /// The same from now on, for whoever works by it. A round begins at once.
    pub fn change(&self, interval: Option<Duration>) {
        self.0.send_if_modified(|current| std::mem::replace(current, interval) != interval);
    }
}

/// Compares and repairs the shards of this node.
#[derive(Debug)]
pub struct Repair {
    env: Env,
    meta: Arc<MetaClient>,
    local: Arc<LocalShards>,
    peers: Arc<Peers>,
    schedule: Schedule,
    compared: Counter,
    differing: Counter,
    fetched: Counter,
}

/// How a comparison with one peer went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compared {
    /// The peer's copy is whole, and now ours has all that it has.
    WithWhole,
    /// The peer's own copy may lack rows, or all of them.
    WithBehind,
}

impl Repair {
    /// Compares all shared shards as `schedule` says.
    pub fn new(
        env: Env,
        meta: Arc<MetaClient>,
        local: Arc<LocalShards>,
        peers: Arc<Peers>,
        schedule: Schedule,
        metrics: &Metrics,
    ) -> Arc<Repair> {
        Arc::new(Repair {
            env,
            meta,
            local,
            peers,
            schedule,
            compared: metrics.counter("repair_shards_compared", "Comparisons of a shard with another copy"),
            differing: metrics.counter("repair_cells_differing", "Cells that another copy had otherwise"),
            fetched: metrics.counter("repair_rows_fetched", "Rows fetched from other copies"),
        })
    }

    /// Runs for ever.
    pub async fn run(self: Arc<Self>) {
        let mut changes = self.peers.subscribe();
        let mut next_round = self.env.monotonic();
        // Its sender is ours, so that a change is never an end.
        let mut schedule = self.schedule.0.subscribe();
        loop {
            let Some(interval) = *schedule.borrow_and_update() else {
                let _ = schedule.changed().await;
                next_round = self.env.monotonic();
                continue;
            };
            let round = self.env.monotonic() >= next_round;
            if round {
                next_round = self.env.monotonic() + interval;
            }
            let unsure = self.compare_all(round).await;
            let until_round = next_round.saturating_sub(self.env.monotonic());
            let pause = if unsure { RETRY_PAUSE } else { until_round };
            tokio::select! {
                // A change that is lost by cancelling is not: it stays in the channel.
                change = changes.recv() => match change {
                    Ok(change) => {
                        self.note(&change);
                        // A node that was lost may have died in the middle of a write that reached some owners only,
                        // and kept no hint for the others.
                        if !matches!(change, Change::KeepsHints(..)) {
                            next_round = self.env.monotonic();
                        }
                    }
                    Err(RecvError::Lagged(_)) => next_round = self.env.monotonic(),
                    Err(RecvError::Closed) => return,
                },
                _ = schedule.changed() => next_round = self.env.monotonic(),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// What news of another node means for our copies.
    fn note(&self, change: &Change) {
        match change {
            Change::Lost(_) => {
                let data = self.meta.data();
                for (shard, _) in self.local.shared() {
                    let Some(place) = data.shard(shard) else { continue };
                    let owners = &place.shard.owners;
                    let me = self.peers.me();
                    let reached = owners.iter().filter(|owner| owner.node == me || self.peers.is_up(owner.node));
                    // Writes may be acknowledged without us.
                    if reached.count() * 2 <= owners.len() {
                        self.local.mark_behind(shard);
                    }
                }
            }
            Change::Returned(_) => {}
            Change::KeepsHints(_, shards) => shards.iter().for_each(|shard| self.local.mark_behind(*shard)),
        }
    }

    /// Compares shared shards: all of them, or only those that may lack rows. Tells whether such are left.
    async fn compare_all(&self, all: bool) -> bool {
        let mut unsure = false;
        for (shard, trust) in self.local.shared() {
            if all || trust != Trust::Whole {
                self.compare(shard, trust).await;
                unsure |= self.local.trust(shard).is_ok_and(|trust| trust != Trust::Whole);
            }
        }
        unsure
    }

    /// Compares one shard with its other owners.
    async fn compare(&self, shard: ShardId, trust: Trust) {
        let data = self.meta.data();
        let Some(place) = data.shard(shard) else { return };
        let others: Vec<NodeId> =
            place.shard.owners.iter().map(|owner| owner.node).filter(|node| *node != self.peers.me()).collect();
        let window = window_ns(place.group.range.end().0.saturating_sub(place.group.range.start().0));
        let (mut met_whole, mut met) = (false, 0usize);
        for other in &others {
            if !self.peers.is_up(*other) {
                continue;
            }
            match self.compare_with(*other, shard, window).await {
                Ok(Compared::WithWhole) => (met_whole, met) = (true, met + 1),
                Ok(Compared::WithBehind) => met += 1,
                Err(error) => {
                    tracing::debug!(shard = shard.0, node = other.0, %error, "copies were not compared");
                }
            }
        }
        // One whole copy is enough; without any, all of them together have what there is.
        if met_whole || (trust != Trust::Whole && met > 0 && met == others.len()) {
            self.local.mark_whole(shard);
        }
    }

    async fn compare_with(&self, other: NodeId, shard: ShardId, window_ns: i64) -> Result<Compared, RepairError> {
        self.compared.inc();
        let request = v1::DigestRequest { header: self.peers.header(), shard: shard.0, buckets: BUCKETS, window_ns };
        let theirs = self
            .peers
            .call(other, Lane::Bulk, DIGEST_TIMEOUT, |mut peer| async move { peer.digest(request).await })
            .await?;
        self.peers.heard(theirs.header.as_ref());
        let compared = match theirs.fault {
            None => Compared::WithWhole,
            // It told its cells all the same; a blank copy has none.
            Some(fault) if matches!(fault.kind(), v1::fault::Kind::Behind | v1::fault::Kind::Blank) => {
                Compared::WithBehind
            }
            Some(fault) => return Err(RepairError::Peer(PeerError::Fault(fault))),
        };
        let local = Arc::clone(&self.local);
        let ours = self.env.blocking(move || digest_any(&local, shard, BUCKETS, window_ns)).await?;
        let wanted = missing(&ours, &theirs.cells);
        self.differing.inc_by(wanted.len() as u64);
        for cells in wanted.chunks(CELLS_PER_CALL) {
            self.fetch(other, shard, window_ns, cells).await?;
        }
        Ok(compared)
    }

    /// Fetches cells from another owner and applies them here.
    async fn fetch(
        &self,
        other: NodeId,
        shard: ShardId,
        window_ns: i64,
        cells: &[v1::DigestCell],
    ) -> Result<(), RepairError> {
        let request = v1::ExportRequest {
            header: self.peers.header(),
            shard: shard.0,
            buckets: BUCKETS,
            window_ns,
            cells: cells.to_vec(),
        };
        let (env, local, fetched) = (self.env.clone(), Arc::clone(&self.local), self.fetched.clone());
        let apply = async move |mut peer: rpc::peer::peer_client::PeerClient<rpc::Connection>| {
            let mut replies = peer.export(request).await?.into_inner();
            while let Some(reply) = replies.message().await? {
                if let Some(fault) = reply.fault {
                    return Ok(Response::new(Err(RepairError::Peer(PeerError::Fault(fault)))));
                }
                let (local, fetched) = (Arc::clone(&local), fetched.clone());
                let applied = env.blocking(move || apply(&local, shard, &reply.records)).await;
                match applied {
                    Ok(rows) => fetched.inc_by(rows),
                    Err(error) => return Ok(Response::new(Err(error))),
                };
            }
            Ok(Response::new(Ok(())))
        };
        self.peers.call(other, Lane::Bulk, EXPORT_TIMEOUT, apply).await?
    }
}

/// Why copies were not brought together this time.
#[derive(Debug, thiserror::Error)]
enum RepairError {
    #[error(transparent)]
    Peer(#[from] PeerError),
    #[error(transparent)]
    Local(#[from] LocalError),
    #[error("undecodable record: {0}")]
    Record(String),
}

/// Length of a digest window for a shard of this span. Every owner computes the same.
fn window_ns(span_ns: i64) -> i64 {
    (span_ns / WINDOWS).max(WINDOW_NS_MIN)
}

/// Cells of theirs that ours do not equal.
fn missing(ours: &[v1::DigestCell], theirs: &[v1::DigestCell]) -> Vec<v1::DigestCell> {
    let place = |cell: &v1::DigestCell| (cell.bucket, cell.window_start);
    let known: std::collections::BTreeMap<_, _> = ours.iter().map(|cell| (place(cell), cell)).collect();
    let differs = |cell: &&v1::DigestCell| known.get(&place(cell)).is_none_or(|own| own.hash != cell.hash);
    theirs.iter().filter(differs).copied().collect()
}

fn apply(local: &LocalShards, shard: ShardId, records: &[v1::StampedRecord]) -> Result<u64, RepairError> {
    let mut rows = 0;
    for record in records {
        let batch = block_codec::batch::decode(&record.record).map_err(|e| RepairError::Record(e.to_string()))?;
        let stamp = Stamp { clock: record.stamp_clock, coordinator: record.stamp_coordinator };
        rows += batch.row_count() as u64;
        local.write(shard, stamp, &batch, Some(&record.record), Origin::Replica)?;
    }
    Ok(rows)
}

/// The digest of a copy, for a peer.
///
/// # Errors
/// What the store says; `Blank` when there is nothing to compare with.
pub fn digest(
    local: &LocalShards,
    shard: ShardId,
    buckets: u32,
    window_ns: i64,
) -> Result<Vec<v1::DigestCell>, LocalError> {
    match local.trust(shard)? {
        Trust::Blank => Err(LocalError::Blank(shard)),
        Trust::Whole | Trust::Behind => digest_any(local, shard, buckets, window_ns),
    }
}

/// What a peer asks for may be anything.
fn shape(buckets: u32, window_ns: i64) -> CellShape {
    CellShape { bucket_count: buckets.clamp(1, BUCKETS_MAX), window_ns: window_ns.max(WINDOW_NS_MIN) }
}

fn digest_any(
    local: &LocalShards,
    shard: ShardId,
    buckets: u32,
    window_ns: i64,
) -> Result<Vec<v1::DigestCell>, LocalError> {
    let Some(open) = local.store().shard(shard) else { return Ok(Vec::new()) };
    let cells = open.digest(shape(buckets, window_ns))?;
    Ok(cells
        .into_iter()
        .map(|cell| v1::DigestCell {
            bucket: cell.bucket,
            window_start: cell.window_start,
            rows: cell.rows,
            hash: cell.hash,
        })
        .collect())
}

/// The rows of a cell with their stamps.
///
/// # Errors
/// What the store says.
pub fn export(
    local: &LocalShards,
    shard: ShardId,
    buckets: u32,
    window_ns: i64,
    cell: &v1::DigestCell,
) -> Result<Vec<v1::StampedRecord>, LocalError> {
    let Some(open) = local.store().shard(shard) else { return Ok(Vec::new()) };
    let exported = open.export_cell(shape(buckets, window_ns), cell.bucket, cell.window_start)?;
    let mut records = Vec::with_capacity(exported.len());
    for (stamp, batch) in exported {
        let mut record = Vec::new();
        block_codec::batch::encode(&batch, &mut record).map_err(|error| LocalError::Write(error.into()))?;
        records.push(v1::StampedRecord {
            stamp_clock: stamp.clock,
            stamp_coordinator: stamp.coordinator,
            record: Bytes::from(record),
        });
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(bucket: u32, window_start: i64, hash: u64) -> v1::DigestCell {
        v1::DigestCell { bucket, window_start, rows: 1, hash }
    }

    #[test]
    fn cells_that_differ_or_are_absent_are_missing() {
        let ours = [cell(0, 0, 1), cell(0, 10, 2), cell(1, 0, 3)];
        let theirs = [cell(0, 0, 1), cell(0, 10, 9), cell(2, 0, 4)];
        assert_eq!(missing(&ours, &theirs), [cell(0, 10, 9), cell(2, 0, 4)]);
        assert_eq!(missing(&ours, &[]), []);
    }

    #[test]
    fn windows_are_never_shorter_than_an_hour() {
        assert_eq!(window_ns(3_600_000_000_000), WINDOW_NS_MIN);
        assert_eq!(window_ns(i64::MAX), i64::MAX / WINDOWS);
    }
}
