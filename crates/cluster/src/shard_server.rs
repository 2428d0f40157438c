//! What this node does when a peer asks: the other end of `points_writer`, `fan_out` and `repair`.
//!
//! A peer whose metadata is newer is caught up with first, so that nothing is refused because this node has not heard of
//! it yet. Work that must finish (a write) is spawned: the caller may go away.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use env::Env;
use futures_util::Stream;
use hinted_handoff::Queues;
use meta::{Digest, Known};
use meta_client::MetaClient;
use model::{MetaIndex, NodeId, ShardId, Stamp, TagFilter, Timestamp};
use plan::rewrite::SeriesStatement;
use plan::{PlanContext, ShardPlan};
use rpc::peer::peer_server::Peer;
use storage::{Origin, WriteError};
use tonic::{Request, Response, Status};
use wire::v1;
use wire::v1::fault::Kind;

use crate::budget::QueryMemory;
use crate::local::{LocalError, LocalShards, Trust};
use crate::peers::Peers;
use crate::question::{self, SchemaAnswer, SeriesAnswer};

/// How long a call waits for metadata that its caller already has. Longer than an election takes, for a node that comes
/// back during one; shorter than a write may take.
const CATCH_UP_MAX: Duration = Duration::from_secs(5);
/// Longest wait of one `Watch` call.
const WATCH_WAIT_MAX: Duration = Duration::from_secs(10);
/// Rows of an exported cell are sent in messages of about this size.
const EXPORT_BYTES: usize = 4 << 20;

/// The metadata service of a node that takes part in it.
#[tonic::async_trait]
pub trait MetaEndpoint: Send + Sync + std::fmt::Debug {
    /// A Raft message and its answer.
    async fn raft(&self, message: Bytes) -> Result<Bytes, String>;
    /// Decides a command.
    async fn propose(&self, command: Bytes) -> v1::propose_reply::Outcome;
    /// Metadata newer than `known`, whole or as changes, as soon as there is some; `None` after `wait`. Without any
    /// patience the answer is what the leader knows, or an error when there is none. The header is left to the caller.
    async fn watch(&self, known: Known, wait: Duration) -> Result<Option<v1::WatchReply>, String>;
}

/// What the node has once it is a member.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Its copy of the metadata.
    pub meta: Arc<MetaClient>,
    /// Its shards, if it holds any.
    pub local: Option<Arc<LocalShards>>,
    /// The other nodes.
    pub peers: Arc<Peers>,
    /// Its hints, if it keeps any.
    pub handoff: Option<Arc<Queues>>,
    /// What queries may use.
    pub memory: Arc<QueryMemory>,
}

/// The service that peers call. It serves Raft from the beginning, for a node becomes a member by it, and the rest once
/// the node has its [`Parts`].
#[derive(Clone, Debug)]
pub struct ShardServer {
    env: Env,
    meta_endpoint: Option<Arc<dyn MetaEndpoint>>,
    parts: Arc<OnceLock<Parts>>,
}

type Pieces<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl ShardServer {
    /// Serves Raft, if the node takes part in it, and nothing else yet.
    pub fn new(env: Env, meta_endpoint: Option<Arc<dyn MetaEndpoint>>) -> ShardServer {
        ShardServer { env, meta_endpoint, parts: Arc::new(OnceLock::new()) }
    }

    /// The node is a member; everything is served from now on.
    pub fn complete(&self, parts: Parts) {
        // A node becomes a member once.
        let _ = self.parts.set(parts);
    }

    fn parts(&self) -> Result<&Parts, Status> {
        self.parts.get().ok_or_else(|| Status::unavailable("the node is starting"))
    }

    /// Takes note of a clock, where there is anybody to tell.
    fn note(&self, header: Option<&v1::Header>) {
        if let Some(parts) = self.parts.get() {
            parts.peers.heard(header);
        }
    }

    fn header(&self) -> Option<v1::Header> {
        self.parts.get().and_then(|parts| parts.peers.header())
    }

    fn endpoint(&self) -> Result<&Arc<dyn MetaEndpoint>, Status> {
        self.meta_endpoint.as_ref().ok_or_else(|| Status::failed_precondition("this node is no meta node"))
    }

    async fn take_write(&self, parts: &Parts, request: v1::WriteShardRequest) -> Result<storage::Written, v1::Fault> {
        let local = parts.local()?;
        let env = self.env.clone();
        let task = self.env.spawn(async move {
            local.prepare(&env, ShardId(request.shard)).await.map_err(|error| fault(&error))?;
            env.blocking(move || write(&local, &request)).await
        });
        task.await.unwrap_or_else(|| Err(v1::Fault::new(Kind::Retry, "the write was interrupted")))
    }
}

impl Parts {
    /// Takes note of the caller's clock and catches up with its metadata.
    async fn heard(&self, header: Option<&v1::Header>) {
        self.peers.heard(header);
        let wanted = MetaIndex(header.map_or(0, |header| header.meta_index));
        if wanted > self.meta.data().index() {
            // If it does not come in time the call goes on with what there is, and fails where that is not enough.
            self.meta.wait_for(wanted, CATCH_UP_MAX).await;
        }
    }

    fn local(&self) -> Result<Arc<LocalShards>, v1::Fault> {
        self.local.clone().ok_or_else(|| v1::Fault::new(Kind::NotOwner, "this node holds no shards"))
    }
}

fn write(local: &LocalShards, request: &v1::WriteShardRequest) -> Result<storage::Written, v1::Fault> {
    let batch = block_codec::batch::decode(&request.record)
        .map_err(|error| v1::Fault::new(Kind::Refused, format!("undecodable record: {error}")))?;
    let stamp = Stamp { clock: request.stamp_clock, coordinator: request.stamp_coordinator };
    let origin = if request.from_client { Origin::Client } else { Origin::Replica };
    local.write(ShardId(request.shard), stamp, &batch, Some(&request.record), origin).map_err(|error| fault(&error))
}

/// What a peer makes of a failure here.
pub fn fault(error: &LocalError) -> v1::Fault {
    let kind = match error {
        LocalError::NotOwner(_) => Kind::NotOwner,
        LocalError::Blank(_) => Kind::Blank,
        LocalError::Behind(_) => Kind::Behind,
        LocalError::Write(WriteError::TooLarge(_)) => Kind::Refused,
        error if error.is_full() => Kind::Full,
        _ => Kind::Retry,
    };
    v1::Fault::new(kind, error.to_string())
}

fn shard_ids(shards: &[u64]) -> Vec<ShardId> {
    shards.iter().map(|shard| ShardId(*shard)).collect()
}

#[tonic::async_trait]
impl Peer for ShardServer {
    type SelectStream = Pieces<v1::SelectReply>;
    type ExportStream = Pieces<v1::ExportReply>;

    async fn raft(&self, request: Request<v1::RaftRequest>) -> Result<Response<v1::RaftReply>, Status> {
        let endpoint = Arc::clone(self.endpoint()?);
        let message = request.into_inner().message;
        // A vote or an append must be carried to its end even when the caller gives up.
        let answer = self.env.spawn(async move { endpoint.raft(message).await }).await;
        match answer {
            Some(Ok(message)) => Ok(Response::new(v1::RaftReply { message })),
            Some(Err(error)) => Err(Status::failed_precondition(error)),
            None => Err(Status::internal("the message was not handled")),
        }
    }

    async fn propose(&self, request: Request<v1::ProposeRequest>) -> Result<Response<v1::ProposeReply>, Status> {
        let endpoint = Arc::clone(self.endpoint()?);
        let request = request.into_inner();
        self.note(request.header.as_ref());
        let outcome = self.env.spawn(async move { endpoint.propose(request.command).await }).await;
        Ok(Response::new(v1::ProposeReply { header: self.header(), outcome }))
    }

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Result<Response<v1::WatchReply>, Status> {
        let endpoint = self.endpoint()?;
        let request = request.into_inner();
        self.note(request.header.as_ref());
        let wait = Duration::from_millis(u64::from(request.wait_ms)).min(WATCH_WAIT_MAX);
        let known = Known { index: MetaIndex(request.from_index), digest: request.from_digest.map(Digest) };
        let newer = endpoint.watch(known, wait).await.map_err(Status::unavailable)?;
        Ok(Response::new(v1::WatchReply { header: self.header(), ..newer.unwrap_or_default() }))
    }

    async fn write_shard(
        &self,
        request: Request<v1::WriteShardRequest>,
    ) -> Result<Response<v1::WriteShardReply>, Status> {
        let request = request.into_inner();
        let parts = self.parts()?;
        parts.heard(request.header.as_ref()).await;
        parts.peers.heard(Some(&v1::Header { clock: request.stamp_clock, ..Default::default() }));
        let reply = match self.take_write(parts, request).await {
            Ok(written) => v1::WriteShardReply {
                header: self.header(),
                fault: None,
                rows: written.rows as u64,
                dropped: written.dropped as u64,
                reason: written.reason.map(|reason| reason.to_string()).unwrap_or_default(),
            },
            Err(fault) => v1::WriteShardReply { header: self.header(), fault: Some(fault), ..Default::default() },
        };
        Ok(Response::new(reply))
    }

    async fn describe(&self, request: Request<v1::DescribeRequest>) -> Result<Response<v1::DescribeReply>, Status> {
        let request = request.into_inner();
        let parts = self.parts()?;
        parts.heard(request.header.as_ref()).await;
        let answer = match parts.local() {
            Ok(local) => {
                let (shards, names) = (shard_ids(&request.shards), request.measurements);
                let names: Vec<Vec<u8>> = names.iter().map(|name| name.to_vec()).collect();
                let work = move || question::describe(&local, &shards, &names, request.accept_behind);
                self.env.blocking(work).await.map_err(|error| fault(&error))
            }
            Err(fault) => Err(fault),
        };
        let mut reply = v1::DescribeReply { header: self.header(), ..Default::default() };
        match answer {
            Ok(SchemaAnswer(schemas)) => reply.measurements = question::schemas_to_wire(&schemas),
            Err(fault) => reply.fault = Some(fault),
        }
        Ok(Response::new(reply))
    }

    async fn select(&self, request: Request<v1::SelectRequest>) -> Result<Response<Self::SelectStream>, Status> {
        let request = request.into_inner();
        let parts = self.parts()?;
        parts.heard(request.header.as_ref()).await;
        let answer = match (parts.local(), ShardPlan::decode(&request.plan)) {
            (Ok(local), Ok(plan)) => {
                let shards = shard_ids(&request.shards);
                let plan = Arc::new(plan);
                // Over when the caller gives up, for then this future is dropped.
                let query = parts.memory.begin();
                let partial = question::select(&self.env, &local, &shards, &plan, request.accept_behind, &query).await;
                partial.map(|partial| Bytes::from(partial.encode())).map_err(|error| error.to_fault())
            }
            (Err(fault), _) => Err(fault),
            (_, Err(error)) => Err(v1::Fault::new(Kind::Refused, format!("undecodable plan: {error}"))),
        };
        let header = self.header();
        let pieces: Vec<Result<v1::SelectReply, Status>> = match answer {
            Ok(mut bytes) => {
                let mut pieces = Vec::with_capacity(bytes.len() / wire::PIECE_BYTES + 1);
                while !bytes.is_empty() {
                    let piece = bytes.split_to(bytes.len().min(wire::PIECE_BYTES));
                    pieces.push(Ok(v1::SelectReply { header, fault: None, piece }));
                }
                pieces
            }
            Err(fault) => vec![Ok(v1::SelectReply { header, fault: Some(fault), piece: Bytes::new() })],
        };
        Ok(Response::new(Box::pin(futures_util::stream::iter(pieces))))
    }

    async fn series(&self, request: Request<v1::SeriesRequest>) -> Result<Response<v1::SeriesReply>, Status> {
        let request = request.into_inner();
        let parts = self.parts()?;
        parts.heard(request.header.as_ref()).await;
        let asked = parse_filter(&request.condition, question::statement_of(&request.tag_keys));
        let filter = asked.and_then(|asked| restricted(asked, &request.visible));
        let answer = match (parts.local(), filter) {
            (Ok(local), Ok(filter)) => {
                let shards = shard_ids(&request.shards);
                let keys: Vec<Vec<u8>> = request.tag_keys.iter().map(|key| key.to_vec()).collect();
                let measurement = request.measurement.to_vec();
                let work =
                    move || question::series(&local, &shards, &measurement, &filter, &keys, request.accept_behind);
                self.env.blocking(work).await.map_err(|error| fault(&error))
            }
            (Err(fault), _) => Err(fault),
            (_, Err(error)) => Err(v1::Fault::new(Kind::Refused, error)),
        };
        let mut reply = v1::SeriesReply { header: self.header(), ..Default::default() };
        match answer {
            Ok(SeriesAnswer { keys, pairs }) => {
                reply.keys = keys.into_iter().map(Bytes::from).collect();
                let pair = |(key, value): (Vec<u8>, Vec<u8>)| v1::TagPair { key: key.into(), value: value.into() };
                reply.pairs = pairs.into_iter().map(pair).collect();
            }
            Err(fault) => reply.fault = Some(fault),
        }
        Ok(Response::new(reply))
    }

    async fn digest(&self, request: Request<v1::DigestRequest>) -> Result<Response<v1::DigestReply>, Status> {
        let request = request.into_inner();
        let parts = self.parts()?;
        parts.heard(request.header.as_ref()).await;
        let mut reply = v1::DigestReply { header: self.header(), ..Default::default() };
        match parts.local() {
            Ok(local) => {
                let shard = ShardId(request.shard);
                let copy = Arc::clone(&local);
                let work = move || crate::repair::digest(&copy, shard, request.buckets, request.window_ns);
                match self.env.blocking(work).await {
                    Ok(cells) => {
                        reply.cells = cells;
                        // Told beside the cells: they are worth having all the same.
                        if local.trust(shard).is_ok_and(|trust| trust == Trust::Behind) {
                            reply.fault = Some(fault(&LocalError::Behind(shard)));
                        }
                    }
                    Err(error) => reply.fault = Some(fault(&error)),
                }
            }
            Err(fault) => reply.fault = Some(fault),
        }
        Ok(Response::new(reply))
    }

    async fn export(&self, request: Request<v1::ExportRequest>) -> Result<Response<Self::ExportStream>, Status> {
        let request = request.into_inner();
        let parts = self.parts()?;
        parts.heard(request.header.as_ref()).await;
        let local = match parts.local() {
            Ok(local) => local,
            Err(fault) => {
                let reply = v1::ExportReply { header: self.header(), fault: Some(fault), records: Vec::new() };
                return Ok(Response::new(Box::pin(futures_util::stream::iter(vec![Ok(reply)]))));
            }
        };
        let (pieces, stream) = tokio::sync::mpsc::channel(4);
        let server = self.clone();
        self.env.spawn(async move {
            for cell in request.cells {
                let (local, shard) = (Arc::clone(&local), ShardId(request.shard));
                let work = move || crate::repair::export(&local, shard, request.buckets, request.window_ns, &cell);
                let exported = server.env.blocking(work).await;
                let mut reply = v1::ExportReply { header: server.header(), ..Default::default() };
                let records = match exported {
                    Ok(records) => records,
                    Err(error) => {
                        reply.fault = Some(fault(&error));
                        // The caller may be gone, here and below; then the rest is not wanted.
                        let _ = pieces.send(Ok(reply)).await;
                        return;
                    }
                };
                let mut size = 0;
                for record in records {
                    size += record.record.len();
                    reply.records.push(record);
                    if size >= EXPORT_BYTES {
                        let full = std::mem::replace(
                            &mut reply,
                            v1::ExportReply { header: server.header(), ..Default::default() },
                        );
                        size = 0;
                        if pieces.send(Ok(full)).await.is_err() {
                            return;
                        }
                    }
                }
                if !reply.records.is_empty() && pieces.send(Ok(reply)).await.is_err() {
                    return;
                }
            }
        });
        let stream = futures_util::stream::unfold(stream, |mut stream| async move {
            let next = stream.recv().await?;
            Some((next, stream))
        });
        Ok(Response::new(Box::pin(stream)))
    }

    async fn state(&self, request: Request<v1::StateRequest>) -> Result<Response<v1::StateReply>, Status> {
        let request = request.into_inner();
        match request.catch_up {
            true => self.parts()?.heard(request.header.as_ref()).await,
            false => self.note(request.header.as_ref()),
        }
        let sender = NodeId(request.header.map_or(0, |header| header.sender));
        let handoff = self.parts()?.handoff.as_ref();
        let queues = handoff.map(|handoff| handoff.stats()).unwrap_or_default();
        let waiting = queues.into_iter().filter(|queue| queue.node == sender && queue.entries > 0);
        let hinted_shards = waiting.map(|queue| queue.shard.0).collect();
        let start = self.parts()?.peers.start();
        Ok(Response::new(v1::StateReply { header: self.header(), hinted_shards, blank_shards: Vec::new(), start }))
    }
}

/// Only those of the series that the asker may see, as a peer says; all when it says nothing.
fn restricted(asked: TagFilter, visible: &[u8]) -> Result<TagFilter, String> {
    if visible.is_empty() {
        return Ok(asked);
    }
    let visible = plan::decode_filter(visible).map_err(|error| format!("undecodable filter: {error}"))?;
    Ok(TagFilter::And(vec![visible, asked]))
}

/// A condition on series as a peer sends it: InfluxQL, or nothing for all series.
fn parse_filter(condition: &str, statement: SeriesStatement) -> Result<TagFilter, String> {
    if condition.is_empty() {
        return Ok(TagFilter::All);
    }
    let expr = influxql::parse_canonical_expr(condition).map_err(|error| format!("undecodable condition: {error}"))?;
    // Times were looked at by the coordinator, which chose the shards.
    let context = PlanContext { now: Timestamp(0), local_zone: None, select_buckets_max: 0 };
    let meant = plan::rewrite::series_condition(statement, Some(&expr), &context);
    Ok(meant.map_err(|error| error.to_string())?.series)
}
