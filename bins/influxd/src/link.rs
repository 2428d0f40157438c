//! The way to the metadata service: the member in this process if there is one, else the others over the network.

use std::fmt;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use bytes::Bytes;
use meta::codec::{decode_outcome, encode_command};
use meta::{Command, Known};
use meta_client::{BoxFuture, LinkError, MetaClient, MetaLink, News, Proposed};
use parking_lot::Mutex;
use rpc::{CallError, Channels, Lane, call};
use wire::v1;
use wire::v1::propose_reply::Outcome;

use crate::meta_endpoint::from_wire;

/// How long one member may take to decide.
const PROPOSE_TIMEOUT: Duration = Duration::from_secs(3);
/// What a question for newer metadata may take beyond the wait that it asks for.
const WATCH_GRACE: Duration = Duration::from_secs(2);
/// How often one proposal is sent on to another member.
const HOPS_MAX: usize = 6;

/// The members of the metadata service, over the network.
pub struct RemoteMeta {
    channels: Arc<Channels>,
    /// Addresses to ask before the first metadata was seen.
    first: Vec<String>,
    /// Knows the members; set once the client that uses this link is there.
    client: OnceLock<Weak<MetaClient>>,
    /// The member that decided last.
    leader: Mutex<Option<String>>,
}

impl fmt::Debug for RemoteMeta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteMeta").field("leader", &self.leader.lock()).finish_non_exhaustive()
    }
}

impl RemoteMeta {
    /// Asks the members that the metadata names, or `first` (addresses for calls between nodes) while it names none.
    pub fn new(channels: Arc<Channels>, first: Vec<String>) -> Arc<RemoteMeta> {
        Arc::new(RemoteMeta { channels, first, client: OnceLock::new(), leader: Mutex::new(None) })
    }

    /// Tells who knows the members.
    pub fn follow(&self, client: &Arc<MetaClient>) {
        // Set once, by the wiring.
        let _ = self.client.set(Arc::downgrade(client));
    }

    /// The members, the one that decided last first.
    fn members(&self) -> Vec<String> {
        let data = self.client.get().and_then(Weak::upgrade).map(|client| client.data());
        let mut members: Vec<String> = data.iter().flat_map(|data| data.meta_http_addrs()).cloned().collect();
        if members.is_empty() {
            members.clone_from(&self.first);
        }
        if let Some(leader) = self.leader.lock().clone() {
            members.retain(|member| *member != leader);
            members.insert(0, leader);
        }
        members
    }

    /// Has `command` decided, asking members in turn and following their hints.
    ///
    /// # Errors
    /// When none decided.
    pub async fn propose(&self, command: &Command) -> Result<Proposed, LinkError> {
        self.propose_in_turn(self.members(), command).await
    }

    /// As [`RemoteMeta::propose`], asking `member` first.
    ///
    /// # Errors
    /// The same.
    pub async fn propose_first(&self, member: &str, command: &Command) -> Result<Proposed, LinkError> {
        let mut members = self.members();
        members.retain(|other| other != member);
        members.insert(0, member.to_owned());
        self.propose_in_turn(members, command).await
    }

    /// Once a member may have decided, no other is asked: it would be decided twice.
    async fn propose_in_turn(&self, mut waiting: Vec<String>, command: &Command) -> Result<Proposed, LinkError> {
        let bytes = Bytes::from(encode_command(command));
        let mut last = LinkError::Unavailable("no meta node is known".to_owned());
        for _ in 0..HOPS_MAX {
            if waiting.is_empty() {
                break;
            }
            let member = waiting.remove(0);
            match self.propose_at(&member, bytes.clone()).await {
                Ok(proposed) => {
                    *self.leader.lock() = Some(member);
                    return Ok(proposed);
                }
                Err(Refused::NotLeader(hint)) => {
                    if self.leader.lock().as_ref() == Some(&member) {
                        *self.leader.lock() = None;
                    }
                    if !hint.is_empty() && hint != member {
                        waiting.retain(|other| *other != hint);
                        waiting.insert(0, hint);
                    }
                    last = LinkError::Unavailable("no leader".to_owned());
                }
                Err(Refused::Failed(error)) => {
                    if self.leader.lock().as_ref() == Some(&member) {
                        *self.leader.lock() = None;
                    }
                    if matches!(error, LinkError::Unknown(_)) && !command.may_be_repeated() {
                        return Err(error);
                    }
                    last = error;
                }
            }
        }
        Err(last)
    }

    async fn propose_at(&self, member: &str, command: Bytes) -> Result<Proposed, Refused> {
        let request = v1::ProposeRequest { header: None, command };
        let reply = call(&self.channels, member, Lane::Control, PROPOSE_TIMEOUT, |mut peer| async move {
            peer.propose(request).await
        });
        let reply = reply.await.map_err(|error| Refused::Failed(unknown(&error)))?;
        match reply.outcome {
            Some(Outcome::Accepted(accepted)) => {
                let (outcome, index) = decode_outcome(&accepted.reply)
                    .map_err(|error| Refused::Failed(LinkError::Unknown(error.to_string())))?;
                Ok(Proposed { outcome, index })
            }
            Some(Outcome::NotLeader(hint)) => Err(Refused::NotLeader(hint)),
            Some(Outcome::Rejected(text)) => Err(Refused::Failed(LinkError::Unavailable(text))),
            Some(Outcome::Unknown(text)) => Err(Refused::Failed(LinkError::Unknown(text))),
            None => Err(Refused::Failed(LinkError::Unknown("an empty answer".to_owned()))),
        }
    }
}

/// Why one member did not decide.
enum Refused {
    NotLeader(String),
    Failed(LinkError),
}

fn unknown(error: &CallError) -> LinkError {
    match error {
        CallError::NotConnected(text) | CallError::Refused(text) => LinkError::Unavailable(text.clone()),
        CallError::Unreachable(_) | CallError::Timeout { .. } => LinkError::Unknown(error.to_string()),
    }
}

impl RemoteMeta {
    /// Asks one member for metadata newer than what is `known`.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn ask(&self, member: &str, known: Known, wait: Duration) -> Result<v1::WatchReply, LinkError> {
        let wait_ms = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX);
        let from_digest = known.digest.map(|digest| digest.0);
        let request = v1::WatchRequest { header: None, from_index: known.index.0, wait_ms, from_digest };
        let reply = call(&self.channels, member, Lane::Control, wait + WATCH_GRACE, |mut peer| async move {
            peer.watch(request).await
        });
        reply.await.map_err(|error| unknown(&error))
    }
}

impl MetaLink for RemoteMeta {
    fn newer<'a>(&'a self, known: Known, wait: Duration) -> BoxFuture<'a, Result<Option<News>, LinkError>> {
        Box::pin(async move {
            let mut last = LinkError::Unavailable("no meta node is known".to_owned());
            for member in self.members() {
                let newer = self.ask(&member, known, wait).await;
                match newer.and_then(|reply| from_wire(&member, reply)) {
                    Ok(news) => return Ok(news),
                    Err(error) => last = error,
                }
            }
            Err(last)
        })
    }

    fn propose<'a>(&'a self, command: &'a Command) -> BoxFuture<'a, Result<Proposed, LinkError>> {
        Box::pin(RemoteMeta::propose(self, command))
    }
}
