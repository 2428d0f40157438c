//! Openraft's calls to other members, over the carrier that we were given.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use meta::Data;
use model::NodeId;
use openraft::error::{Fatal, NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{Backoff, RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse};
use openraft::{AnyError, BasicNode, OptionalSend, Snapshot, Vote};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::message::{Body, Envelope, Reply, SnapshotBytes};
use super::seen::Seen;
use super::types::{RaftError, TypeConfig};
use crate::transport::{RaftTransport, TransportError};

/// Makes clients for members.
#[derive(Clone, Debug)]
pub(crate) struct Network(pub(crate) Arc<Peers>);

/// What all clients share.
#[derive(Debug)]
pub(crate) struct Peers {
    pub(crate) transport: Arc<dyn RaftTransport>,
    /// 0 until it is known.
    pub(crate) cluster: Arc<AtomicU64>,
    /// Where members are now; Raft's own list has their addresses of when they joined.
    pub(crate) data: watch::Receiver<Arc<Data>>,
    /// What they have been seen to promise.
    pub(crate) seen: Arc<Mutex<Seen>>,
    /// The pause before an unreachable member is tried again.
    pub(crate) pause: Duration,
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Client;

    async fn new_client(&mut self, target: u64, node: &BasicNode) -> Client {
        Client { peers: Arc::clone(&self.0), target, joined_at: node.addr.clone() }
    }
}

/// Calls one member.
#[derive(Debug)]
pub(crate) struct Client {
    peers: Arc<Peers>,
    target: u64,
    joined_at: String,
}

impl Client {
    fn address(&self) -> String {
        let data = self.peers.data.borrow();
        let meta = data.node(NodeId(self.target)).and_then(|node| node.meta.as_ref());
        meta.map_or_else(|| self.joined_at.clone(), |meta| meta.tcp_addr.clone())
    }

    /// Sends one message and gives the answer to it.
    pub(crate) async fn call(&self, body: Body, deadline: Duration) -> Result<Reply, CallError> {
        let cluster = self.peers.cluster.load(Ordering::Relaxed);
        let request = Envelope { cluster, target: self.target, body }.encode();
        let address = self.address();
        let reply = self.peers.transport.call(&address, Bytes::from(request), deadline).await;
        let reply = reply.map_err(|error| match error {
            TransportError::Unreachable(_) => CallError::Unreachable(unreachable(&error)),
            TransportError::Other(_) => CallError::Network(NetworkError::new(&error)),
        })?;
        match Reply::decode(&reply) {
            Some(Reply::Refused(refusal)) => Err(CallError::Unreachable(unreachable(&refusal))),
            Some(reply) => Ok(reply),
            None => Err(unexpected()),
        }
    }
}

fn unreachable(error: &impl ToString) -> Unreachable {
    Unreachable::new(&AnyError::error(error.to_string()))
}

/// The peer answered something that is no answer to the question.
fn unexpected() -> CallError {
    CallError::Network(NetworkError::new(&AnyError::error("the answer cannot be read")))
}

/// The two ways in which a call fails.
pub(crate) enum CallError {
    /// Pause, then try again.
    Unreachable(Unreachable),
    /// Try again at once.
    Network(NetworkError),
}

impl From<CallError> for RPCError<u64, BasicNode, RaftError<openraft::error::Infallible>> {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Unreachable(error) => RPCError::Unreachable(error),
            CallError::Network(error) => RPCError::Network(error),
        }
    }
}

impl From<CallError> for StreamingError<TypeConfig, Fatal<u64>> {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Unreachable(error) => StreamingError::Unreachable(error),
            CallError::Network(error) => StreamingError::Network(error),
        }
    }
}

type RpcError = RPCError<u64, BasicNode, RaftError<openraft::error::Infallible>>;

impl RaftNetwork<TypeConfig> for Client {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, RpcError> {
        match self.call(Body::Append(rpc.clone()), option.hard_ttl()).await? {
            Reply::Append(reply) => {
                self.peers.seen.lock().append_reply(self.target, &rpc, &reply);
                Ok(reply)
            }
            _ => Err(unexpected().into()),
        }
    }

    async fn vote(&mut self, rpc: VoteRequest<u64>, option: RPCOption) -> Result<VoteResponse<u64>, RpcError> {
        match self.call(Body::Vote(rpc), option.hard_ttl()).await? {
            Reply::Vote(reply) => {
                self.peers.seen.lock().vote_reply(self.target, &reply);
                Ok(reply)
            }
            _ => Err(unexpected().into()),
        }
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote<u64>,
        snapshot: Snapshot<TypeConfig>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<u64>, StreamingError<TypeConfig, Fatal<u64>>> {
        let data = SnapshotBytes(snapshot.snapshot.to_vec());
        let meta = snapshot.meta.clone();
        let call = self.call(Body::Snapshot { vote, meta: snapshot.meta, data }, option.hard_ttl());
        // The deadline is ours to keep here. Giving up loses nothing: the snapshot is sent again.
        tokio::select! {
            closed = cancel => Err(closed.into()),
            () = tokio::time::sleep(option.hard_ttl()) => {
                Err(StreamingError::Unreachable(unreachable(&"the snapshot took too long")))
            }
            reply = call => match reply? {
                Reply::Snapshot(reply) => {
                    self.peers.seen.lock().snapshot_reply(self.target, vote, &meta, &reply);
                    Ok(reply)
                }
                _ => Err(unexpected().into()),
            },
        }
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(self.peers.pause))
    }
}
