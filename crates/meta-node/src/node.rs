//! One member of the metadata service.

mod hand_over;
mod news;
mod older_copy;
mod recover;
mod stand;
mod tend;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use env::{DirLock, Env, OpenMode, TaskHandle};
use meta::codec::{CodecError, decode_command, decode_snapshot, encode_entry, encode_outcome, encode_snapshot};
use meta::{Command, Data, History, Incarnation, LeaderFacts, Rejection, Reply};
use model::{MetaIndex, NodeId, Timestamp};
use openraft::error::{CheckIsLeaderError, ClientWriteError, ForwardToLeader};
use openraft::raft::AppendEntriesResponse;
use openraft::{BasicNode, Raft, Snapshot, SnapshotMeta, SnapshotPolicy, Vote};
use parking_lot::Mutex;
use tls::Dialer;
use tokio::sync::watch;

use crate::announcements::Announcements;
use crate::config::{Dialers, MetaConfig};
use crate::http_client::{self, Answer, HttpError, Sent};
use crate::identity::{self, DirError, LOCK, LOG, Member, SNAPSHOTS, naming};
use crate::join::{self, DataAddresses, JoinRequest, Joined, MetaAddresses, Stage};
use crate::leases::{Lease, Leases, NotGranted};
use crate::peers::PeersError;
use crate::raft::{
    Body, Envelope, LogCommand, LogStore, Machine, Network, Peers, RaftError, RaftReply, Recovery, Refusal, Roster,
    Seen, TypeConfig, seed_election_dice,
};
use crate::snapshots::SnapshotDir;
use crate::transport::RaftTransport;

pub use self::news::News;
use self::news::Stats;
use self::stand::Sight;
pub use crate::raft::{RestoreError, StoreError};

/// The number of the node that forms a cluster. A member that joins never gets it.
const FIRST: NodeId = NodeId(1);

/// How long a snapshot may take to get to another member.
const SNAPSHOT_SEND_MS: u64 = 30_000;

/// The port of another node that is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    /// The admin API of a meta node (8091).
    Admin,
    /// That for calls between nodes, of a data node (8088).
    Peer,
}

/// A member of the metadata service, or somebody who is going to be one. Cheap to clone.
#[derive(Clone)]
pub struct MetaNode(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) env: Env,
    pub(crate) config: MetaConfig,
    dialers: Dialers,
    transport: Arc<dyn RaftTransport>,
    /// Let go of when the node is shut down.
    lock: Mutex<Option<Arc<dyn DirLock>>>,
    incarnation: Incarnation,
    member: Mutex<Option<Member>>,
    /// Held while `node.json` is written, so that nothing comes after the mark of one that has left.
    noting: tokio::sync::Mutex<()>,
    cluster: Arc<AtomicU64>,
    running: Mutex<Option<Running>>,
    /// Held while the node becomes a member, so that it becomes one once.
    entering: tokio::sync::Mutex<()>,
    /// Held during a change of Raft's membership: openraft leaves it to us that there is one at a time.
    pub(crate) membership: tokio::sync::Mutex<()>,
    /// Held by each command on its way through Raft, and by a leader that hands over, alone. Taken after `membership`.
    commands: tokio::sync::RwLock<()>,
    data: watch::Sender<Arc<Data>>,
    /// What led to the present version. Nothing is awaited while it is held.
    history: Arc<Mutex<History>>,
    stats: Stats,
    encoded: tokio::sync::Mutex<Option<(MetaIndex, Bytes)>>,
    failure: watch::Sender<Option<String>>,
    /// The leader said that this node is no member any more.
    dropped: watch::Sender<bool>,
    /// This node has left its cluster and its directory is marked so.
    left: watch::Sender<bool>,
    /// Nobody waits for news any more, for there will be none.
    closed: watch::Sender<bool>,
    pub(crate) announcements: Mutex<Announcements>,
    leases: Mutex<Leases>,
    /// Guards two times; nothing is awaited while it is held.
    sight: Mutex<Sight>,
    /// Whether it would like to be elected, and no majority would have it: it knows of no leader then.
    alone: watch::Sender<bool>,
    seen: Arc<Mutex<Seen>>,
    /// What `peers.json` surely says.
    peers: Mutex<Option<Roster>>,
}

/// Raft at work.
#[derive(Clone)]
pub(crate) struct Running {
    pub(crate) id: NodeId,
    pub(crate) raft: Raft<TypeConfig>,
    /// For calls that are not openraft's.
    peers: Arc<Peers>,
    log: LogStore,
    snapshots: SnapshotDir,
    /// The latest recovery that this node went through.
    recovered: Option<Recovery>,
    /// Whether what comes first after a recovery is done; a leader takes no other command before that.
    settled: Arc<AtomicBool>,
    tasks: Arc<Tasks>,
}

/// Aborted with the last handle.
struct Tasks(Vec<TaskHandle<()>>);

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(TaskHandle::abort);
    }
}

/// Why a node cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another process uses the directory.
    #[error("the metadata directory {0} is in use by another process")]
    InUse(String),
    /// The directory is not ours, or of a later release.
    #[error(transparent)]
    Dir(#[from] DirError),
    /// The disk, or a damaged file.
    #[error("{0}")]
    Disk(#[from] std::io::Error),
    /// The log.
    #[error(transparent)]
    Log(#[from] StoreError),
    /// The snapshot.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// `node.json` names a member that has had a log, and the log is not there. Under its old number the node could
    /// vote twice.
    #[error(
        "{dir}: {file} says that this is node {id}, but raft.db is missing or empty; put it back, or empty the directory and \
         join again"
    )]
    LogMissing {
        /// The directory.
        dir: String,
        /// The file that says so.
        file: &'static str,
        /// What it was.
        id: NodeId,
    },
    /// There is a log, and nothing says whose.
    #[error("{dir}: raft.db is there but {file} is not; put it back, or empty the directory and join again")]
    IdentityMissing {
        /// The directory.
        dir: String,
        /// The file that would say so.
        file: &'static str,
    },
    /// The directory was put back from a copy: others have seen this member promise more than it knows of. Under its old
    /// number it could vote twice, and take back what it acknowledged.
    #[error(
        "{dir} is an older copy of what node {id} had: {peer} has seen more of it; remove node {id} from the cluster, empty \
         the directory and add the node again"
    )]
    OlderCopy {
        /// The directory.
        dir: String,
        /// Which member.
        id: NodeId,
        /// Who has seen more, by its admin address.
        peer: String,
    },
    /// `peers.json` was edited and cannot be followed. Nothing was changed.
    #[error("{path}: {why}")]
    Peers {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: PeersError,
    },
    /// The others went on with fewer members, this one among them, and it does not know of that.
    #[error(
        "{dir}: the cluster was recovered with the members [{members}], {peer} says, and this node was not; list the same \
         in {dir}/{} and start again",
        identity::PEERS
    )]
    NotRecovered {
        /// The directory.
        dir: String,
        /// Raft addresses of the members with which the cluster went on.
        members: String,
        /// Who says so, by its admin address.
        peer: String,
    },
    /// The others went on without this member. Under its old number it must not take part.
    #[error(
        "{dir}: the cluster was recovered and went on without what node {id} has, {peer} says; empty the directory and add the \
         node again"
    )]
    LeftOut {
        /// The directory.
        dir: String,
        /// Which member.
        id: NodeId,
        /// Who says so, by its admin address.
        peer: String,
    },
    /// Raft ended.
    #[error("raft: {0}")]
    Raft(String),
}

/// Where the leader is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leader {
    /// Which member.
    pub id: NodeId,
    /// Its admin API.
    pub http_addr: String,
    /// Its Raft.
    pub tcp_addr: String,
}

/// Why a command was not carried out, as far as is known.
#[derive(Debug, thiserror::Error)]
pub enum ProposeError {
    /// Ask there.
    #[error("node {} leads", .0.id)]
    NotLeader(Leader),
    /// Nobody leads now, or this node is no member. Try again later, anywhere.
    #[error("no leader")]
    NoLeader,
    /// The command breaks a rule. The metadata is unchanged.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// No majority answered in time. The command may be carried out yet.
    #[error("no majority of the meta nodes answered within {0:?}")]
    Timeout(Duration),
    /// This node led when it took the command, and does not any more. The command may be carried out yet.
    #[error("the leader was lost before a majority had the command")]
    Lost,
    /// The leader's disk is full. Try again later.
    #[error("no space left on device")]
    NoSpace,
    /// This node's Raft has ended. The process should end, too.
    #[error("raft: {0}")]
    Stopped(String),
    /// The command comes from a later release, or is damaged.
    #[error(transparent)]
    Malformed(#[from] CodecError),
}

/// What a node knows of the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaStatus {
    /// Its number; `None` while it is no member.
    pub id: Option<NodeId>,
    /// Who leads, as far as it knows. A leader that has not heard of a majority for a while does not count itself.
    pub leader: Option<Leader>,
    /// Raft's term.
    pub term: u64,
    /// Index of the metadata it has.
    pub index: MetaIndex,
    /// Raft addresses of the members that vote, by number. Empty while it is no member.
    pub peers: Vec<String>,
}

impl fmt::Debug for MetaNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetaNode").field("http_addr", &self.0.config.http_addr).field("id", &self.id()).finish()
    }
}

impl MetaNode {
    /// Opens the directory. A member takes up its work; anybody else waits for [`MetaNode::bootstrap`] or
    /// [`MetaNode::join`].
    ///
    /// # Errors
    /// When the directory is in use, damaged, or put together from several.
    pub async fn start(
        env: Env,
        config: MetaConfig,
        transport: Arc<dyn RaftTransport>,
    ) -> Result<MetaNode, StartError> {
        let (copy, dir) = (env.clone(), config.dir.clone());
        env.blocking(move || identity::check(&copy, &dir)).await?;
        if identity::has_left(&env, &config.dir, config.files).await? {
            identity::clear(&env, &config.dir, config.files, true).await?;
        }
        let (copy, dir, files) = (env.clone(), config.dir.clone(), config.files);
        env.blocking(move || identity::check_owner(&copy, &dir, files, true)).await?;
        let incarnation = identity::incarnation(&env, &config.dir, config.files).await?;
        let lock = env.fs().lock(&config.dir, LOCK).map_err(|error| match error.kind() {
            std::io::ErrorKind::WouldBlock => StartError::InUse(config.dir.display().to_string()),
            _ => StartError::Disk(naming(&config.dir.join(LOCK))(error)),
        })?;
        let member = identity::load_member(&env, &config.dir, config.files).await?.filter(|member| member.meta);
        let has_log = has_bytes(&env, &config.dir.join(LOG)).await.map_err(naming(&config.dir.join(LOG)))?;
        let (dir, file) = (|| config.dir.display().to_string(), config.files.member);
        match &member {
            None if has_log => return Err(StartError::IdentityMissing { dir: dir(), file }),
            Some(member) if member.raft_started && !has_log => {
                return Err(StartError::LogMissing { dir: dir(), file, id: member.id });
            }
            _ => {}
        }
        let cluster = member.as_ref().map_or(0, |member| member.group);
        let sight = Sight::new(env.monotonic());
        let plain = || Dialers { to_meta: env.clone().into(), to_data: env.clone().into() };
        let dialers = config.dialers.clone().unwrap_or_else(plain);
        let history = Arc::new(Mutex::new(History::new(&Data::default(), config.changes_bytes_max)));
        let node = MetaNode(Arc::new(Inner {
            env,
            config,
            dialers,
            transport,
            lock: Mutex::new(Some(Arc::from(lock))),
            incarnation,
            member: Mutex::new(member.clone()),
            noting: tokio::sync::Mutex::new(()),
            cluster: Arc::new(AtomicU64::new(cluster)),
            running: Mutex::new(None),
            entering: tokio::sync::Mutex::new(()),
            membership: tokio::sync::Mutex::new(()),
            commands: tokio::sync::RwLock::new(()),
            data: watch::Sender::new(Arc::new(Data::default())),
            history,
            stats: Stats::default(),
            encoded: tokio::sync::Mutex::new(None),
            failure: watch::Sender::new(None),
            dropped: watch::Sender::new(false),
            left: watch::Sender::new(false),
            closed: watch::Sender::new(false),
            announcements: Mutex::default(),
            leases: Mutex::default(),
            sight: Mutex::new(sight),
            alone: watch::Sender::new(false),
            seen: Arc::default(),
            peers: Mutex::default(),
        }));
        if let Some(member) = member {
            node.0.config.auth.belongs_to(member.cluster_id, member.id.0);
            node.run(member).await?;
        }
        Ok(node)
    }

    /// Forms a cluster of this one node; nothing to do when it is a member already. Answers its number.
    ///
    /// # Errors
    /// As [`MetaNode::start`]. A crash on the way is made up for by the next start.
    pub async fn bootstrap(&self) -> Result<NodeId, StartError> {
        let _once = self.0.entering.lock().await;
        if let Some(id) = self.id() {
            return Ok(id);
        }
        let cluster_id = self.0.env.random_u64().max(1);
        let member = Member {
            id: FIRST,
            cluster_id,
            meta_servers: vec![self.0.config.http_addr.clone()],
            meta: true,
            raft_started: false,
            recoveries: 0,
            group: cluster_id,
        };
        self.enter(member).await?;
        self.wait_for_data(|data| data.cluster_id() != 0).await?;
        Ok(FIRST)
    }

    /// Enters the cluster that one of `peers` (admin addresses) belongs to, with the meta role and, if `data` is given,
    /// the data role. Tries for ever; answers once this node votes. Nothing is asked when it is a member already.
    ///
    /// May be given up and repeated at any time, also after a crash: the directory stays the member it became.
    ///
    /// # Errors
    /// Of this node's disk and Raft; what peers answer is logged and tried again.
    pub async fn join(&self, peers: &[String], data: Option<DataAddresses>) -> Result<Joined, StartError> {
        let _once = self.0.entering.lock().await;
        if self.id().is_none() {
            let request = JoinRequest {
                stage: Stage::Register,
                incarnation: self.0.incarnation,
                id: None,
                meta: Some(self.addresses()),
                data,
            };
            let (answer, _) = join::ask(self.dialer(Port::Admin), &self.0.config.auth, peers, &request).await;
            let member = Member {
                id: answer.id,
                cluster_id: answer.cluster_id,
                meta_servers: answer.meta_servers,
                meta: true,
                raft_started: false,
                recoveries: answer.recoveries,
                group: answer.group,
            };
            self.enter(member).await?;
        }
        let running = self.running().ok_or_else(|| StartError::Raft("raft stopped".to_owned()))?;
        let mut metrics = running.raft.server_metrics();
        // Until the change is over the old members decide, too: with one of two gone, nobody could.
        let voting = metrics.wait_for(|metrics| {
            let membership = metrics.membership_config.membership();
            membership.get_joint_config().len() == 1 && membership.voter_ids().any(|id| id == running.id.0)
        });
        if voting.await.is_err() {
            return Err(self.stopped());
        }
        let data = self.wait_for_data(|data| data.node(running.id).is_some()).await?;
        let member = self.0.member.lock().clone().ok_or_else(|| self.stopped())?;
        Ok(Joined { id: running.id, cluster_id: member.cluster_id, meta_servers: member.meta_servers, data })
    }

    /// Commits a command. Only the leader can. On `Ok` it is durable on a majority, and everyone who has reached the
    /// index sees it.
    ///
    /// # Errors
    /// See [`ProposeError`]; only after `Rejected` is it certain that the command has no effect.
    pub async fn propose(&self, command: &Command) -> Result<(Reply, MetaIndex), ProposeError> {
        self.propose_with(self.facts(), command).await
    }

    /// As [`MetaNode::propose`], from and to bytes of `meta::codec`: the server's side of a call by a data node. A
    /// rejection is an outcome like any other.
    ///
    /// # Errors
    /// As [`MetaNode::propose`], but for `Rejected`.
    pub async fn propose_bytes(&self, command: &[u8]) -> Result<Bytes, ProposeError> {
        let command = decode_command(command)?;
        let (outcome, index) = match self.propose(&command).await {
            Ok((reply, index)) => (Ok(reply), index),
            Err(ProposeError::Rejected(rejection)) => (Err(rejection), self.data().index()),
            Err(error) => return Err(error),
        };
        Ok(Bytes::from(encode_outcome(&outcome, index)))
    }

    async fn propose_with(&self, facts: LeaderFacts, command: &Command) -> Result<(Reply, MetaIndex), ProposeError> {
        let running = self.running().ok_or(ProposeError::NoLeader)?;
        let _not_while_handing_over = self.0.commands.read().await;
        // Who does not lead does not hand it to Raft: when Raft says afterwards that another leads, it may have been
        // appended, and be on its way.
        if !self.is_leader(&running) {
            return Err(self.leader().map_or(ProposeError::NoLeader, ProposeError::NotLeader));
        }
        let is_in_turn =
            self.has_founder(command) && (recover::comes_first(command) || running.settled.load(Ordering::Acquire));
        if !self.is_backed(&running) || !is_in_turn {
            return Err(ProposeError::NoLeader);
        }
        if running.log.is_full() {
            return Err(ProposeError::NoSpace);
        }
        let timeout = self.0.config.propose_timeout;
        let decided = self.with_agreed_time(command);
        let write = running.raft.client_write(LogCommand(encode_entry(&facts, decided.as_ref().unwrap_or(command))));
        match tokio::time::timeout(timeout, write).await {
            Err(_) => Err(ProposeError::Timeout(timeout)),
            Ok(Ok(written)) => Ok((written.data.outcome?, written.data.index)),
            Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_)))) => Err(ProposeError::Lost),
            Ok(Err(error)) => Err(ProposeError::Stopped(error.to_string())),
        }
    }

    /// The first member of a cluster is the one that formed it, however early another asks to be let in.
    fn has_founder(&self, command: &Command) -> bool {
        let founds = |command: &Command| match command {
            Command::CreateMetaNode { incarnation, .. } => *incarnation == self.0.incarnation,
            _ => false,
        };
        self.data().cluster_id() != 0 || founds(command)
    }

    /// What expires is not for the clock of one node to say, neither of the one that asks nor of the one that leads. While
    /// the members do not agree on a time, nothing does.
    fn with_agreed_time(&self, command: &Command) -> Option<Command> {
        let Command::ExpireShardGroups { .. } = command else { return None };
        let now = self.agreed_now().unwrap_or_else(|| {
            tracing::warn!("the clocks of fewer than half of the members are known; nothing expires until they are");
            Timestamp(i64::MIN)
        });
        Some(Command::ExpireShardGroups { now })
    }

    /// Waits until this node has seen everything that was committed before the call. Only the leader can, and asks a
    /// majority.
    ///
    /// # Errors
    /// As [`MetaNode::propose`].
    pub async fn ensure_linearizable(&self) -> Result<Arc<Data>, ProposeError> {
        let running = self.running().ok_or(ProposeError::NoLeader)?;
        let timeout = self.0.config.propose_timeout;
        match tokio::time::timeout(timeout, running.raft.ensure_linearizable()).await {
            Err(_) => Err(ProposeError::Timeout(timeout)),
            Ok(Ok(_)) => Ok(self.data()),
            Ok(Err(RaftError::APIError(CheckIsLeaderError::ForwardToLeader(forward)))) => Err(self.forward(&forward)),
            Ok(Err(RaftError::APIError(CheckIsLeaderError::QuorumNotEnough(_)))) => Err(ProposeError::NoLeader),
            Ok(Err(error)) => Err(ProposeError::Stopped(error.to_string())),
        }
    }

    /// Gives or renews a lease to `node`, a member of any kind; the inner error tells why not. Only the leader can, and asks
    /// a majority first whether it still is.
    ///
    /// # Errors
    /// As [`MetaNode::propose`].
    pub(crate) async fn lease(&self, name: &str, node: NodeId) -> Result<Result<Lease, NotGranted>, ProposeError> {
        // Of the term in which it was the leader, and not of one that it hears of meanwhile: its numbers are another's.
        let term = self.term();
        let data = self.ensure_linearizable().await?;
        if self.term() != term {
            return Err(ProposeError::NoLeader);
        }
        if data.node(node).is_none() {
            return Ok(Err(NotGranted::NoMember));
        }
        let (now, duration) = (self.0.env.monotonic(), self.0.config.lease_duration);
        Ok(self.0.leases.lock().acquire(name, node, term, now, duration))
    }

    /// The term of Raft; 0 while it does not run.
    pub(crate) fn term(&self) -> u64 {
        self.running().map_or(0, |running| running.raft.metrics().borrow().current_term)
    }

    /// Answers a Raft message of another member.
    pub async fn handle_raft(&self, request: Bytes) -> Bytes {
        let reply = match Envelope::decode(&request) {
            Some(envelope) => self.answer(envelope).await,
            None => RaftReply::Refused(Refusal::Malformed),
        };
        Bytes::from(reply.encode())
    }

    async fn answer(&self, envelope: Envelope) -> RaftReply {
        let stopped = RaftReply::Refused(Refusal::NotRunning);
        let Some(running) = self.running() else { return stopped };
        if envelope.cluster != self.0.cluster.load(Ordering::Relaxed) {
            return RaftReply::Refused(Refusal::OtherCluster);
        }
        if envelope.target != running.id.0 {
            return RaftReply::Refused(Refusal::OtherMember);
        }
        if !envelope.body.is_sound() {
            return RaftReply::Refused(Refusal::Malformed);
        }
        if envelope.body.sender().is_some_and(|sender| self.is_outgrown(&running, sender)) {
            return stopped;
        }
        match envelope.body {
            Body::Append(rpc) => {
                self.0.seen.lock().vote(rpc.vote.leader_id.node_id, rpc.vote);
                let reply = running.raft.append_entries(rpc).await;
                if matches!(reply, Ok(AppendEntriesResponse::Success | AppendEntriesResponse::PartialSuccess(_))) {
                    self.heard_of_leader();
                }
                reply.map_or(stopped, RaftReply::Append)
            }
            Body::WouldVote { last_log, .. } => RaftReply::WouldVote(self.would_vote(&running, last_log).await),
            Body::Vote(rpc) => {
                self.0.seen.lock().vote(rpc.vote.leader_id.node_id, rpc.vote);
                running.raft.vote(rpc).await.map_or(stopped, RaftReply::Vote)
            }
            Body::GiveWay { leader, next } => RaftReply::Agreed(self.give_way(&running, leader, next).await),
            Body::Stand { leader, last_log } => RaftReply::Agreed(self.succeed(&running, leader, last_log).await),
            Body::Snapshot { vote, meta, data } => {
                let data = Bytes::from(data.0);
                if let Err(error) = self.keep_before_purge(&running, vote, &meta, &data).await {
                    tracing::warn!(%error, "a snapshot of the leader is not taken");
                    return stopped;
                }
                let snapshot = Snapshot { meta, snapshot: Box::new(data) };
                let reply = running.raft.install_full_snapshot(vote, snapshot).await;
                if reply.as_ref().is_ok_and(|reply| reply.vote == vote) {
                    self.heard_of_leader();
                }
                reply.map_or(stopped, RaftReply::Snapshot)
            }
        }
    }

    /// Has a snapshot on the disk before openraft hears of it: openraft takes the entries that it covers out of the log
    /// while it is still being written, and without either a node does not start again.
    async fn keep_before_purge(
        &self,
        running: &Running,
        vote: Vote<u64>,
        meta: &SnapshotMeta<u64, BasicNode>,
        data: &Bytes,
    ) -> Result<(), StartError> {
        let is_news = {
            let metrics = running.raft.metrics();
            let metrics = metrics.borrow();
            metrics.vote <= vote && metrics.last_applied < meta.last_log_id
        };
        if !is_news {
            return Ok(());
        }
        let bytes = data.clone();
        let read = self.0.env.blocking(move || decode_snapshot(&bytes).map(drop)).await;
        read.map_err(|error| StartError::Raft(error.to_string()))?;
        Ok(running.snapshots.write(meta.clone(), data.clone()).await?)
    }

    /// The versions of the metadata from now on, the present one first. They never go backwards.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Data>> {
        self.0.data.subscribe()
    }

    /// The metadata as this node has it.
    pub fn data(&self) -> Arc<Data> {
        Arc::clone(&self.0.data.borrow())
    }

    /// The metadata as bytes of `meta::codec`, once its index is above `index`. Encoded once for all who ask.
    pub async fn snapshot_after(&self, index: MetaIndex) -> (MetaIndex, Bytes) {
        let data = self.data_after(index).await;
        self.encoded(data).await
    }

    /// The metadata, once its index is above `index`.
    pub(crate) async fn data_after(&self, index: MetaIndex) -> Arc<Data> {
        let mut versions = self.subscribe();
        let newer = versions.wait_for(|data| data.index() > index).await.map(|data| Arc::clone(&data));
        // It fails only without a sender, and the node that we are a method of has one.
        let Ok(data) = newer else { return std::future::pending().await };
        data
    }

    /// A version of the metadata, or a later one, as bytes of `meta::codec`.
    pub async fn encoded(&self, data: Arc<Data>) -> (MetaIndex, Bytes) {
        // Held while one encodes, so that the others wait for its bytes.
        let mut encoded = self.0.encoded.lock().await;
        if let Some((known, bytes)) = encoded.as_ref().filter(|(known, _)| *known >= data.index()) {
            return (*known, bytes.clone());
        }
        let index = data.index();
        let bytes = Bytes::from(self.0.env.blocking(move || encode_snapshot(&data)).await);
        *encoded = Some((index, bytes.clone()));
        (index, bytes)
    }

    /// What this node knows of the service.
    pub fn status(&self) -> MetaStatus {
        let Some(running) = self.running() else {
            return MetaStatus { id: None, leader: None, term: 0, index: MetaIndex(0), peers: Vec::new() };
        };
        let metrics = running.raft.metrics().borrow().clone();
        let membership = metrics.membership_config.membership();
        let data = self.data();
        let peers = membership.voter_ids().map(|id| match data.node(NodeId(id)).and_then(|node| node.meta.as_ref()) {
            Some(meta) => meta.tcp_addr.clone(),
            None => membership.get_node(&id).map(|node| node.addr.clone()).unwrap_or_default(),
        });
        MetaStatus {
            id: Some(running.id),
            leader: self.leader(),
            term: metrics.current_term,
            index: data.index(),
            peers: peers.collect(),
        }
    }

    /// Who leads, as far as this node knows.
    pub fn leader(&self) -> Option<Leader> {
        let running = self.running()?;
        let leader = running.raft.metrics().borrow().current_leader?;
        let is_known = if leader == running.id.0 { self.is_backed(&running) } else { !self.is_alone() };
        if !is_known {
            return None;
        }
        self.leader_of(leader, None)
    }

    /// This node's number; `None` while it is no member.
    pub fn id(&self) -> Option<NodeId> {
        self.running().map(|running| running.id)
    }

    /// Whether the cluster has removed this node. It takes no part in elections then, and its directory must be emptied
    /// before it can join again.
    pub fn is_dropped(&self) -> bool {
        *self.0.dropped.borrow()
    }

    /// Waits until the cluster has removed this node.
    pub async fn dropped(&self) {
        wait_for_true(&self.0.dropped).await;
    }

    /// Waits until this node has left its cluster. It must be stopped then; the next start empties the directory.
    pub async fn left(&self) {
        wait_for_true(&self.0.left).await;
    }

    /// Marks the directory: who had it has left.
    pub(crate) async fn mark_left(&self) -> std::io::Result<()> {
        let _one_at_a_time = self.0.noting.lock().await;
        identity::mark_left(&self.0.env, &self.0.config.dir, self.0.config.files).await?;
        self.0.left.send_replace(true);
        Ok(())
    }

    /// As [`MetaNode::left`], because the cluster removed it: for programs that then wait to be added again.
    ///
    /// # Errors
    /// The disk's.
    pub async fn leave_when_dropped(&self) -> std::io::Result<()> {
        self.dropped().await;
        self.mark_left().await
    }

    /// The identity of its directory.
    pub fn incarnation(&self) -> Incarnation {
        self.0.incarnation
    }

    /// What it was started with.
    pub fn config(&self) -> &MetaConfig {
        &self.0.config
    }

    /// What `node.json` says.
    pub fn member(&self) -> Option<Member> {
        self.0.member.lock().clone()
    }

    /// Waits until Raft ends by itself, and tells why: the disk failed, or a bug was met. The process should end then;
    /// what was acknowledged is safe with the others.
    pub async fn failed(&self) -> String {
        let mut failure = self.0.failure.subscribe();
        let why = failure.wait_for(Option::is_some).await.map(|why| why.clone().unwrap_or_default());
        // It fails only without a sender, and the node that we are a method of has one.
        let Ok(why) = why else { return std::future::pending().await };
        why
    }

    /// Stops Raft and answers those who wait for news; a leader that ends in order calls [`MetaNode::hand_over`] first. The
    /// directory can be opened again soon after, when Raft has let go of its log.
    pub async fn shutdown(&self) {
        self.0.closed.send_replace(true);
        if let Some(running) = self.running() {
            running.log.give_up();
        }
        let running = self.0.running.lock().take();
        if let Some(running) = running {
            running.tasks.0.iter().for_each(TaskHandle::abort);
            if let Err(error) = running.raft.shutdown().await {
                tracing::error!(%error, "raft did not end in order");
            }
        }
        *self.0.lock.lock() = None;
    }

    /// Waits until there will be no news from this node: it stops, or cannot go on.
    pub(crate) async fn closed(&self) {
        let mut closed = self.0.closed.subscribe();
        tokio::select! {
            _ = self.failed() => {}
            // The sender is this node's own.
            _ = closed.wait_for(|closed| *closed) => {}
        }
    }

    pub(crate) fn running(&self) -> Option<Running> {
        self.0.running.lock().clone()
    }

    pub(crate) fn is_leader(&self, running: &Running) -> bool {
        running.raft.metrics().borrow().current_leader == Some(running.id.0)
    }

    fn leader_of(&self, id: u64, node: Option<&BasicNode>) -> Option<Leader> {
        let id = NodeId(id);
        if Some(id) == self.id() {
            let MetaAddresses { http_addr, tcp_addr } = self.addresses();
            return Some(Leader { id, http_addr, tcp_addr });
        }
        let data = self.data();
        let known = data.node(id).and_then(|node| node.meta.clone());
        match (known, node) {
            (Some(meta), _) => Some(Leader { id, http_addr: meta.http_addr, tcp_addr: meta.tcp_addr }),
            (None, Some(node)) => Some(Leader { id, http_addr: String::new(), tcp_addr: node.addr.clone() }),
            (None, None) => None,
        }
    }

    fn forward(&self, forward: &ForwardToLeader<u64, BasicNode>) -> ProposeError {
        let known = forward.leader_id.filter(|_| !self.is_alone());
        let leader = known.and_then(|id| self.leader_of(id, forward.leader_node.as_ref()));
        leader.map_or(ProposeError::NoLeader, ProposeError::NotLeader)
    }

    fn facts(&self) -> LeaderFacts {
        LeaderFacts {
            now: self.0.env.now(),
            random: self.0.env.random_u64(),
            shard_groups_max: self.0.config.shard_groups_max,
        }
    }

    /// What calls go through.
    pub(crate) fn dialer(&self, port: Port) -> &Dialer {
        match port {
            Port::Admin => &self.0.dialers.to_meta,
            Port::Peer => &self.0.dialers.to_data,
        }
    }

    /// Sends a request to another node, as this one.
    pub(crate) async fn request(
        &self,
        port: Port,
        address: &str,
        path: &str,
        body: Option<Sent>,
        deadline: Duration,
    ) -> Result<Answer, HttpError> {
        http_client::request(self.dialer(port), &self.0.config.auth, address, path, body, deadline).await
    }

    pub(crate) fn addresses(&self) -> MetaAddresses {
        MetaAddresses { http_addr: self.0.config.http_addr.clone(), tcp_addr: self.0.config.tcp_addr.clone() }
    }

    fn stopped(&self) -> StartError {
        let why = self.0.failure.borrow().clone();
        StartError::Raft(why.unwrap_or_else(|| "raft stopped".to_owned()))
    }

    pub(crate) async fn wait_for_data(&self, wanted: impl Fn(&Data) -> bool) -> Result<Arc<Data>, StartError> {
        let mut versions = self.subscribe();
        tokio::select! {
            data = versions.wait_for(|data| wanted(data)) => data.map(|data| Arc::clone(&data)).map_err(|_| self.stopped()),
            why = self.failed() => Err(StartError::Raft(why)),
        }
    }

    /// Writes down the membership, then takes part. In this order: a number is never used without being remembered.
    async fn enter(&self, member: Member) -> Result<(), StartError> {
        self.remember(member.clone()).await?;
        self.run(member).await
    }

    pub(crate) async fn remember(&self, member: Member) -> std::io::Result<()> {
        let _one_at_a_time = self.0.noting.lock().await;
        if *self.0.left.borrow() {
            return Ok(());
        }
        identity::store_member(&self.0.env, &self.0.config.dir, self.0.config.files, &member).await?;
        self.0.cluster.store(member.group, Ordering::Relaxed);
        self.0.config.auth.belongs_to(member.cluster_id, member.id.0);
        *self.0.member.lock() = Some(member);
        Ok(())
    }

    /// Starts Raft as a member.
    async fn run(&self, mut member: Member) -> Result<(), StartError> {
        let Inner { env, config, .. } = &*self.0;
        let lock = self.0.lock.lock().clone();
        let (id, lock) = (member.id, lock.ok_or_else(|| StartError::Raft("the node was shut down".to_owned()))?);
        let path = config.dir.join(LOG);
        if !member.raft_started {
            // A crash may have left half a file that never took part in anything.
            let (fs, path) = (Arc::clone(env.fs()), path.clone());
            let remove = move || if fs.exists(&path)? { fs.remove_file(&path) } else { Ok(()) };
            env.blocking(remove).await.map_err(naming(&config.dir.join(LOG)))?;
        }
        let log = LogStore::open(env, &path, lock, self.0.incarnation, id, member.raft_started).await?;
        let log = log.watched(config.witness.clone());
        let snapshots = SnapshotDir::open(env, &config.dir.join(SNAPSHOTS)).await?;
        if member.raft_started {
            member = self.recover(member, &log, &snapshots).await?;
        }
        self.refuse_older_copy(&member, log.clone()).await?;
        log.show().await?;
        if !member.raft_started {
            member.raft_started = true;
            self.remember(member).await?;
        }
        let kept = snapshots.clone();
        let machine = Machine::restore(env, snapshots, Arc::clone(&self.0.history), self.0.data.clone()).await?;
        let machine = machine.watched(id.0, config.witness.clone());
        let peers = Arc::new(Peers {
            transport: Arc::clone(&self.0.transport),
            cluster: Arc::clone(&self.0.cluster),
            data: self.subscribe(),
            seen: Arc::clone(&self.0.seen),
            pause: config.timeouts.heartbeat,
        });
        let recovered = log.recovery().await?;
        let raft_config = Arc::new(self.raft_config()?);
        seed_election_dice(env.random_u64());
        let raft = Raft::new(id.0, raft_config, Network(Arc::clone(&peers)), log.clone(), machine).await;
        let raft = raft.map_err(|error| StartError::Raft(error.to_string()))?;
        if id == FIRST {
            self.initialize(&raft).await?;
        }
        self.heard_of_leader();
        let tasks = vec![
            env.spawn(tend::watch_failure(raft.clone(), self.0.failure.clone())),
            self.spawn_tending(&raft),
            self.spawn_standing(),
        ];
        let settled = Arc::new(AtomicBool::new(recovered.is_none()));
        let tasks = Arc::new(Tasks(tasks));
        log.be_patient();
        *self.0.running.lock() = Some(Running { id, raft, peers, log, snapshots: kept, recovered, settled, tasks });
        Ok(())
    }

    /// The first node is a cluster by itself, unless it is one already.
    async fn initialize(&self, raft: &Raft<TypeConfig>) -> Result<(), StartError> {
        let failed = |error: &dyn fmt::Display| StartError::Raft(error.to_string());
        if !raft.is_initialized().await.map_err(|error| failed(&error))? {
            let alone = BTreeMap::from([(FIRST.0, BasicNode::new(&self.0.config.tcp_addr))]);
            raft.initialize(alone).await.map_err(|error| failed(&error))?;
        }
        Ok(())
    }

    fn raft_config(&self) -> Result<openraft::Config, StartError> {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let timeouts = self.0.config.timeouts;
        let snapshot_entries = self.0.config.snapshot_entries.max(1);
        let config = openraft::Config {
            cluster_name: "meta".to_owned(),
            heartbeat_interval: ms(timeouts.heartbeat),
            election_timeout_min: ms(timeouts.election_min),
            election_timeout_max: ms(timeouts.election_max),
            // `stand` decides when to stand.
            enable_elect: false,
            install_snapshot_timeout: SNAPSHOT_SEND_MS,
            snapshot_policy: SnapshotPolicy::LogsSinceLast(snapshot_entries),
            max_in_snapshot_log_to_keep: snapshot_entries.saturating_mul(2),
            ..openraft::Config::default()
        };
        config.validate().map_err(|error| StartError::Raft(error.to_string()))
    }
}

/// Whether there is a file with anything in it: a file system that went down may have left an empty one.
async fn has_bytes(env: &Env, path: &Path) -> std::io::Result<bool> {
    let (fs, path) = (Arc::clone(env.fs()), path.to_owned());
    env.blocking(move || Ok(fs.exists(&path)? && fs.open(&path, OpenMode::Read)?.len()? > 0)).await
}

async fn wait_for_true(flag: &watch::Sender<bool>) {
    // It fails only without a sender, and here is one.
    let _ = flag.subscribe().wait_for(|is_so| *is_so).await;
}
