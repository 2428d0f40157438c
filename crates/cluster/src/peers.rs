//! The other nodes: where they are, whether they answer, and calls to them.
//!
//! Every message carries a header with the sender's metadata version and hybrid clock, and every answer is looked at for
//! the same. Every node asks every other how it is each [`HEARTBEAT_INTERVAL`], which also carries the clocks around. A
//! node that failed to answer is left alone until a heartbeat succeeds; meanwhile writes for it go to its hint queue at
//! once and reads ask others first.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use env::Env;
use meta_client::MetaClient;
use model::{NodeId, ShardId};
use parking_lot::Mutex;
use rpc::peer::peer_client::PeerClient;
use rpc::{CallError, Channels, Connection, Lane, call};
use telemetry::{Counter, Metrics};
use tokio::sync::{Notify, broadcast};
use tonic::{Response, Status};
use wire::v1;

use crate::clock::HybridClock;

/// How often nodes ask each other how they are.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(250);
/// How long such a question waits.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(1);
/// A node that is only slow counts as down after so many questions in a row without an answer in time.
const SLOW_HEARTBEATS_MAX: u32 = 2;
/// How long the answer to a change of the metadata waits for other nodes to hear of it. One that has the metadata service
/// out of reach holds up every change for so long; one that is down holds up none.
const SPREAD_MAX: Duration = Duration::from_secs(1);
/// Largest answer to one question that is put together from pieces, bytes.
pub const ANSWER_BYTES_MAX: usize = 2 << 30;

/// The other nodes.
#[derive(Debug)]
pub struct Peers {
    env: Env,
    me: NodeId,
    meta: Arc<MetaClient>,
    clock: Arc<HybridClock>,
    channels: Arc<Channels>,
    /// Nodes that failed to answer.
    down: Mutex<HashSet<NodeId>>,
    /// Nodes that a heartbeat is waiting for.
    asked: Mutex<HashSet<NodeId>>,
    /// How many heartbeats in a row were not answered in time.
    slow: Mutex<HashMap<NodeId, u32>>,
    /// Drawn when this process started.
    start: u64,
    /// What the others drew, as they last said.
    starts: Mutex<HashMap<NodeId, u64>>,
    changes: broadcast::Sender<Change>,
    /// A node that was down has spoken to us: it is worth asking at once.
    spoken: Notify,
    failures: Counter,
}

/// News of another node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It does not answer any more.
    Lost(NodeId),
    /// It answers again, or it was started anew so quickly that nobody missed it.
    Returned(NodeId),
    /// It keeps writes for these shards of ours that we have not seen.
    KeepsHints(NodeId, Vec<ShardId>),
}

/// Why a call gave nothing to use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// The transport failed, in whichever way.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The node is no member, or no data node.
    #[error("node {0} is not a data node of the cluster")]
    Unknown(NodeId),
    /// The node is down and not asked again before a probe found it.
    #[error("node {0} is down")]
    Down(NodeId),
    /// The node answered that it cannot.
    #[error("{}", .0.text)]
    Fault(v1::Fault),
}

impl Peers {
    /// Knows the members through `meta`.
    pub fn new(
        env: Env,
        me: NodeId,
        meta: Arc<MetaClient>,
        clock: Arc<HybridClock>,
        channels: Arc<Channels>,
        metrics: &Metrics,
    ) -> Arc<Peers> {
        let failures = metrics.counter("peer_call_failures", "Calls to other nodes that failed or were not answered");
        let (changes, _) = broadcast::channel(1_024);
        let (down, asked, slow) = (Mutex::default(), Mutex::default(), Mutex::default());
        let (spoken, start, starts) = (Notify::new(), env.random_u64(), Mutex::default());
        Arc::new(Peers { env, me, meta, clock, channels, down, asked, slow, start, starts, changes, spoken, failures })
    }

    /// This node.
    pub fn me(&self) -> NodeId {
        self.me
    }

    /// A number that is another one after every start of this process.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// What rides on messages from here.
    pub fn header(&self) -> Option<v1::Header> {
        Some(v1::Header { meta_index: self.meta.data().index().0, clock: self.clock.now(), sender: self.me.0 })
    }

    /// Takes note of what rode on a message from elsewhere.
    pub fn heard(&self, header: Option<&v1::Header>) {
        let Some(header) = header else { return };
        self.clock.observe(header.clock);
        if !self.is_up(NodeId(header.sender)) {
            self.spoken.notify_one();
        }
    }

    /// Whether a node is worth asking.
    pub fn is_up(&self, node: NodeId) -> bool {
        !self.down.lock().contains(&node)
    }

    /// News of the other nodes from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    fn address(&self, node: NodeId) -> Result<String, PeerError> {
        let data = self.meta.data();
        let role = data.node(node).and_then(|node| node.data.clone());
        role.map(|role| role.tcp_addr).ok_or(PeerError::Unknown(node))
    }

    /// Calls a data node. A failure of the transport marks it as down and starts probing it.
    ///
    /// # Errors
    /// See [`PeerError`]; at once when the node is down.
    pub async fn call<T, F, Fut>(&self, node: NodeId, lane: Lane, deadline: Duration, method: F) -> Result<T, PeerError>
    where
        F: FnOnce(PeerClient<Connection>) -> Fut,
        Fut: Future<Output = Result<Response<T>, Status>>,
    {
        let address = self.address(node)?;
        if !self.is_up(node) {
            return Err(PeerError::Down(node));
        }
        let answer = call(&self.channels, &address, lane, deadline, method).await;
        if let Err(error) = &answer {
            self.failures.inc();
            if !matches!(error, CallError::Refused(_)) {
                self.mark_down(node, error);
            }
        }
        Ok(answer?)
    }

    /// Calls a data node for an answer in pieces and joins them.
    ///
    /// # Errors
    /// As [`Peers::call`]; `Fault` when a piece carries one.
    pub async fn select(
        self: &Arc<Self>,
        node: NodeId,
        deadline: Duration,
        request: v1::SelectRequest,
    ) -> Result<Bytes, PeerError> {
        let peers = Arc::clone(self);
        let whole = async move |mut peer: PeerClient<Connection>| {
            let mut pieces = peer.select(request).await?.into_inner();
            let mut joined = BytesMut::new();
            while let Some(piece) = pieces.message().await? {
                peers.heard(piece.header.as_ref());
                if let Some(fault) = piece.fault {
                    return Ok(Response::new(Err(PeerError::Fault(fault))));
                }
                if joined.len() + piece.piece.len() > ANSWER_BYTES_MAX {
                    return Err(Status::resource_exhausted("the answer is too large"));
                }
                joined.extend_from_slice(&piece.piece);
            }
            Ok(Response::new(Ok(joined.freeze())))
        };
        self.call(node, Lane::Query, deadline, whole).await?
    }

    fn mark_down(&self, node: NodeId, error: &CallError) {
        if self.down.lock().insert(node) {
            tracing::warn!(node = node.0, %error, "a node does not answer");
            // Nobody listening is fine, here and below.
            let _ = self.changes.send(Change::Lost(node));
        }
    }

    /// Asks every other data node how it is, for ever.
    pub async fn run_heartbeats(self: Arc<Self>) {
        loop {
            let others: Vec<NodeId> =
                self.meta.data().data_nodes().map(|node| node.id).filter(|id| *id != self.me).collect();
            // Nodes that were removed are nobody's business any more.
            self.down.lock().retain(|node| others.contains(node));
            for node in others {
                if self.asked.lock().insert(node) {
                    let peers = Arc::clone(&self);
                    self.env.spawn(async move {
                        peers.heartbeat(node).await;
                        peers.asked.lock().remove(&node);
                    });
                }
            }
            tokio::select! {
                // Neither loses anything: a notification stays until it was seen.
                () = tokio::time::sleep(HEARTBEAT_INTERVAL) => {}
                () = self.spoken.notified() => {}
            }
        }
    }

    /// Asks every other data node once how it is, which also tells them that this one is there.
    pub async fn greet(&self) {
        let data = self.meta.data();
        let others = data.data_nodes().map(|node| node.id).filter(|id| *id != self.me);
        futures_util::future::join_all(others.map(|node| self.heartbeat(node))).await;
    }

    /// Has every data node that answers catch up with the metadata of this one; waits until all have, at most
    /// [`SPREAD_MAX`]. Whoever cannot in time follows the metadata service by itself.
    pub async fn spread_metadata(&self) {
        let data = self.meta.data();
        let others = data.data_nodes().map(|node| node.id).filter(|id| *id != self.me && self.is_up(*id));
        let asked = others.map(|node| async move {
            let Ok(address) = self.address(node) else { return };
            let request = v1::StateRequest { header: self.header(), catch_up: true };
            // Not `Peers::call`: who is late with the metadata takes writes all the same and is not down.
            let answer = call(&self.channels, &address, Lane::Control, SPREAD_MAX, |mut peer| async move {
                peer.state(request).await
            });
            match answer.await {
                Ok(answer) => self.heard(answer.header.as_ref()),
                Err(error) => tracing::debug!(node = node.0, %error, "a node has not caught up"),
            }
        });
        futures_util::future::join_all(asked).await;
    }

    async fn heartbeat(&self, node: NodeId) {
        let Ok(address) = self.address(node) else { return };
        let request = v1::StateRequest { header: self.header(), catch_up: false };
        let answer = call(&self.channels, &address, Lane::Control, HEARTBEAT_TIMEOUT, |mut peer| async move {
            peer.state(request).await
        });
        let answer = match answer.await {
            Ok(answer) => answer,
            Err(error) => {
                let mut slow = self.slow.lock();
                let count = slow.entry(node).or_insert(0);
                *count += 1;
                let only_slow = matches!(error, CallError::Timeout { .. }) && *count < SLOW_HEARTBEATS_MAX;
                drop(slow);
                if !only_slow {
                    self.mark_down(node, &error);
                }
                return;
            }
        };
        self.slow.lock().remove(&node);
        let header = answer.header.unwrap_or_default();
        if header.sender != node.0 {
            let other = CallError::Refused(format!("{address} is node {} now", header.sender));
            return self.mark_down(node, &other);
        }
        self.heard(Some(&header));
        let known = self.starts.lock().insert(node, answer.start);
        let restarted = known.is_some_and(|known| known != answer.start);
        if self.down.lock().remove(&node) || restarted {
            tracing::info!(node = node.0, restarted, "a node answers again");
            let _ = self.changes.send(Change::Returned(node));
        }
        if !answer.hinted_shards.is_empty() {
            let shards = answer.hinted_shards.into_iter().map(ShardId).collect();
            let _ = self.changes.send(Change::KeepsHints(node, shards));
        }
    }
}
