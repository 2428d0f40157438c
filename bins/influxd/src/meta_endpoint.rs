//! The metadata service of this process, for peers and for this node itself.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cluster::MetaEndpoint;
use meta::codec::decode_snapshot;
use meta::{Change, Changes, Command, Data, Digest, Known};
use meta_client::{BoxFuture, LinkError, MetaLink, News, Proposed};
use meta_node::{MetaNode, ProposeError, RaftTransport, TransportError};
use model::MetaIndex;
use rpc::{CallError, Channels, Lane, call};
use wire::v1;
use wire::v1::propose_reply::{Accepted, Outcome};

use crate::link::RemoteMeta;

/// How long a question for the newest metadata waits for the leader.
const NEWEST_TIMEOUT: Duration = Duration::from_secs(2);

/// The member of the metadata service that runs in this process.
#[derive(Clone, Debug)]
pub struct LocalMeta {
    node: MetaNode,
    remote: Arc<RemoteMeta>,
}

impl LocalMeta {
    /// `remote` reaches the other members.
    pub fn new(node: MetaNode, remote: Arc<RemoteMeta>) -> LocalMeta {
        LocalMeta { node, remote }
    }

    /// The metadata as the leader has it now, if it is newer than what is `known`.
    async fn newest(&self, known: Known) -> Result<Newest, LinkError> {
        let leader = match self.node.ensure_linearizable().await {
            Ok(data) => return Ok(Newest::Here(Some(data).filter(|data| data.index() > known.index))),
            Err(ProposeError::NotLeader(leader)) => leader,
            Err(_) => self.node.leader().ok_or_else(|| LinkError::Unavailable("no leader".to_owned()))?,
        };
        self.remote.ask(&leader.http_addr, known, Duration::ZERO).await.map(Newest::There)
    }
}

#[tonic::async_trait]
impl MetaEndpoint for LocalMeta {
    async fn raft(&self, message: Bytes) -> Result<Bytes, String> {
        Ok(self.node.handle_raft(message).await)
    }

    async fn propose(&self, command: Bytes) -> Outcome {
        match self.node.propose_bytes(&command).await {
            Ok(reply) => Outcome::Accepted(Accepted { index: 0, reply }),
            Err(ProposeError::NotLeader(leader)) => Outcome::NotLeader(leader.http_addr),
            Err(ProposeError::NoLeader | ProposeError::NoSpace) => Outcome::NotLeader(String::new()),
            Err(error) => Outcome::Unknown(error.to_string()),
        }
    }

    async fn watch(&self, known: Known, wait: Duration) -> Result<Option<v1::WatchReply>, String> {
        if !wait.is_zero() {
            return Ok(tokio::time::timeout(wait, self.node.news_after(known)).await.ok().map(to_wire));
        }
        // Whoever asks without patience wants to know what the leader knows.
        let newest = tokio::time::timeout(NEWEST_TIMEOUT, self.newest(known)).await;
        let newest = newest.map_err(|_| "the leader does not answer".to_owned())?.map_err(|error| error.to_string())?;
        Ok(match newest {
            Newest::Here(Some(data)) => Some(to_wire(self.node.news(known, data).await)),
            Newest::Here(None) => None,
            // Passed on as it is.
            Newest::There(reply) => Some(reply),
        })
    }
}

impl MetaLink for LocalMeta {
    fn newer<'a>(&'a self, known: Known, wait: Duration) -> BoxFuture<'a, Result<Option<News>, LinkError>> {
        // One state serves the member and the copy.
        let here = move |data: Arc<Data>| News::Shared { changes: self.node.changes_to(&data, known), data };
        Box::pin(async move {
            if wait.is_zero() {
                return match self.newest(known).await? {
                    Newest::Here(data) => Ok(data.map(here)),
                    Newest::There(reply) => from_wire("the leader", reply),
                };
            }
            let mut versions = self.node.subscribe();
            let newer = tokio::time::timeout(wait, versions.wait_for(|data| data.index() > known.index)).await;
            Ok(newer.ok().and_then(Result::ok).map(|data| here(Arc::clone(&data))))
        })
    }

    fn propose<'a>(&'a self, command: &'a Command) -> BoxFuture<'a, Result<Proposed, LinkError>> {
        Box::pin(async move {
            match self.node.propose(command).await {
                Ok((reply, index)) => Ok(Proposed { outcome: Ok(reply), index }),
                Err(ProposeError::Rejected(rejection)) => {
                    Ok(Proposed { outcome: Err(rejection), index: self.node.data().index() })
                }
                Err(ProposeError::NotLeader(leader)) => self.remote.propose_first(&leader.http_addr, command).await,
                Err(error @ (ProposeError::NoLeader | ProposeError::NoSpace)) => {
                    Err(LinkError::Unavailable(error.to_string()))
                }
                Err(error) => Err(LinkError::Unknown(error.to_string())),
            }
        })
    }
}

/// Carries Raft messages over gRPC.
#[derive(Debug)]
pub struct RaftOverRpc {
    channels: Arc<Channels>,
}

impl RaftOverRpc {
    /// Uses the lane for urgent calls.
    pub fn new(channels: Arc<Channels>) -> RaftOverRpc {
        RaftOverRpc { channels }
    }
}

impl RaftTransport for RaftOverRpc {
    fn call<'a>(
        &'a self,
        target_addr: &'a str,
        request: Bytes,
        deadline: Duration,
    ) -> meta_node::BoxFuture<'a, Result<Bytes, TransportError>> {
        Box::pin(async move {
            let request = v1::RaftRequest { message: request };
            let reply = call(&self.channels, target_addr, Lane::Control, deadline, |mut peer| async move {
                peer.raft(request).await
            });
            match reply.await {
                Ok(reply) => Ok(reply.message),
                Err(error @ (CallError::NotConnected(_) | CallError::Unreachable(_))) => {
                    Err(TransportError::Unreachable(error.to_string()))
                }
                Err(error) => Err(TransportError::Other(error.to_string())),
            }
        })
    }
}

/// Where the newest metadata was found.
enum Newest {
    /// This member leads.
    Here(Option<Arc<Data>>),
    /// What the leader said.
    There(v1::WatchReply),
}

fn to_wire(news: meta_node::News) -> v1::WatchReply {
    match news {
        meta_node::News::Document { index, bytes } => {
            v1::WatchReply { index: index.0, data: bytes, ..Default::default() }
        }
        meta_node::News::Changes(Changes { changes, digest }) => v1::WatchReply {
            index: changes.last().map_or(0, |change| change.index.0),
            changes: changes
                .into_iter()
                .map(|Change { index, entry }| v1::MetaChange { index: index.0, entry })
                .collect(),
            digest: digest.0,
            ..Default::default()
        },
    }
}

/// Reads what a peer said of newer metadata.
///
/// # Errors
/// When it cannot be read; the text names the peer.
pub(crate) fn from_wire(peer: &str, reply: v1::WatchReply) -> Result<Option<News>, LinkError> {
    if !reply.changes.is_empty() {
        let changes = reply.changes.into_iter();
        let changes = changes.map(|change| Change { index: MetaIndex(change.index), entry: change.entry }).collect();
        return Ok(Some(News::Changes(Changes { changes, digest: Digest(reply.digest) })));
    }
    if reply.data.is_empty() {
        return Ok(None);
    }
    let read = decode_snapshot(&reply.data);
    let data = read.map_err(|error| LinkError::Unavailable(format!("{peer}: {error}")))?;
    Ok(Some(News::Document { data: Arc::new(data), bytes: reply.data.len() }))
}
