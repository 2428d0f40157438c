//! What operators do with members and shards: the leader's side of `influxd-ctl`.
//!
//! Another node is asked who it is before anything is decided: its status names its directory, and a directory is one
//! member under whatever name it is addressed. A node that waits to be added is then told whom to join; it does the rest
//! itself, see [`crate::join`].

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use meta::{Command, Data, DataRole, Incarnation, Node, Rejection};
use model::{NodeId, ShardId};
use serde::{Deserialize, Serialize};

use crate::http_client::{Answer, Sent, strip_scheme};
use crate::node::{Leader, MetaNode, Port, ProposeError};

/// How long a node may take to say who it is.
const STATUS_DEADLINE: Duration = Duration::from_secs(5);
/// How long a node may take to become a member.
const ENTER_DEADLINE: Duration = Duration::from_secs(25);
/// How long a node may take to stop and to empty its directories.
const LEAVE_DEADLINE: Duration = Duration::from_secs(20);
/// Between two looks at it.
const LEAVE_PAUSE: Duration = Duration::from_millis(100);
/// A member that has heard of no leader for so long is in no election, but alone.
const LEADER_DEADLINE: Duration = Duration::from_secs(4);
/// Between two looks for one.
const LEADER_PAUSE: Duration = Duration::from_millis(50);

/// What two nodes say that were told to add each other: each formed a cluster first.
const FORMED_ALONE: &str = "; it has formed one by itself, being told to add a node: stop it, empty its metadata \
                            directory and start it, then add it again";

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OperateError {
    /// The request cannot be carried out as it is.
    #[error("{0}")]
    Invalid(String),
    /// It contradicts what there is.
    #[error("{0}")]
    Conflict(String),
    /// Only the leader can.
    #[error("node {} leads", .0.id)]
    NotLeader(Leader),
    /// Later, perhaps.
    #[error("no leader")]
    NoLeader,
    /// This node stops.
    #[error("server closed")]
    Closed,
    /// Something failed on the way.
    #[error("{0}")]
    Failed(String),
}

impl From<ProposeError> for OperateError {
    fn from(error: ProposeError) -> OperateError {
        match error {
            ProposeError::NotLeader(leader) => OperateError::NotLeader(leader),
            ProposeError::NoLeader => OperateError::NoLeader,
            ProposeError::Stopped(why) => {
                tracing::error!(why, "raft has ended");
                OperateError::Closed
            }
            other => OperateError::Failed(other.to_string()),
        }
    }
}

/// What a node says of itself at `GET /status`, of either kind.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    node_type: String,
    incarnation: String,
    http_addr: String,
    tcp_addr: String,
    leader: String,
    peers: Option<Vec<String>>,
    node_status: String,
    /// How many databases a server holds that stood alone.
    databases: u64,
    /// It is a cluster by itself.
    stands_alone: bool,
}

/// What a node that waits is told.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Enter {
    /// Admin addresses of the meta nodes to join.
    pub meta_servers: Vec<String>,
    /// Never an owner; for data nodes.
    #[serde(default)]
    pub passive: bool,
}

/// Who is told to leave, and by whom, so that nobody leaves by mistake.
#[derive(Debug, Serialize, Deserialize)]
pub struct Leave {
    /// The directory.
    pub incarnation: String,
}

/// How a meta node is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removal<'a> {
    /// It is told by the cluster, and waited for.
    Usual,
    /// It has asked for it, and does the rest itself.
    Left,
    /// It is not waited for, and may be one that only its Raft address still names.
    Forced { tcp_addr: Option<&'a str> },
}

/// A shard on the disk of a data node, as the node tells at `GET /shards`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HeldShard {
    /// Its number.
    pub id: u64,
    /// The database, raw.
    pub database: String,
    /// The retention policy, raw.
    pub policy: String,
    /// Bytes of its files.
    pub size: u64,
    /// When its last point was written; nanoseconds since 1970, 0 for never.
    pub last_modified: i64,
    /// Whether that is not long ago.
    pub hot: bool,
    /// What is wrong with it.
    pub err: Option<String>,
}

/// What a data node is told about reading the members of groups ahead, at `POST /warm-cache`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WarmOrder {
    /// To end it rather than to begin it.
    pub cancel: bool,
    /// The metadata that says which directory it is: the node waits for it.
    pub meta_index: u64,
}

/// How a data node stands with that.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WarmAnswer {
    /// `idle`, `running`, `warm`, `expired`, `cancelled`, `failed`; from a meta node also `unknown`.
    pub state: String,
    /// Groups to read.
    pub groups: u64,
    /// Groups that were read.
    pub groups_read: u64,
    /// Members of those; somebody counts once for each group.
    pub members: u64,
    /// What went wrong, or why it is not known; empty for nothing.
    pub message: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorJson {
    error: String,
}

impl MetaNode {
    /// Makes a meta node of the node at `addr`. If this node is in no cluster it forms one first.
    pub(crate) async fn add_meta(&self, addr: &str) -> Result<NodeId, OperateError> {
        let status = self.status_of(Port::Admin, addr).await?;
        if status.node_type != "meta" {
            return Err(OperateError::Failed(format!("{addr} is not a meta node")));
        }
        let incarnation = status.incarnation()?;
        if self.id().is_none() {
            refuse_foreign_cluster(addr, &status)?;
            self.bootstrap().await.map_err(|error| OperateError::Failed(error.to_string()))?;
        }
        if incarnation == self.incarnation() {
            let id = self.id().ok_or(OperateError::NoLeader)?;
            // One that has just formed a cluster by itself may not be listed yet.
            let listed = self.wait_for_data(|data| data.node(id).is_some());
            let listed = tokio::time::timeout(STATUS_DEADLINE, listed).await.map_err(|_| OperateError::NoLeader)?;
            listed.map_err(|error| OperateError::Failed(error.to_string()))?;
            return Ok(id);
        }
        if !self.finds_leader().await {
            return Err(OperateError::Invalid(format!(
                "dangled meta node at \"{}\" already has state present, cannot add another meta node",
                self.0.config.http_addr
            )));
        }
        let data = self.ensure_linearizable().await?;
        let known = data.node_by_incarnation(incarnation).filter(|node| node.meta.is_some());
        if let Some(node) = known.filter(|_| !status.waits()) {
            return Ok(node.id);
        }
        refuse_foreign_cluster(addr, &status)?;
        if self.0.config.single_server {
            return Err(single_server());
        }
        refuse_unreachable_names(&self.0.config.http_addr, &status.http_addr, Reach::Loopback)?;
        self.tell_to_enter(Port::Admin, addr, &data, false).await?;
        self.member_of(incarnation, |node| node.meta.is_some()).await
    }

    /// Whether somebody leads, after an election if there is one.
    async fn finds_leader(&self) -> bool {
        let found = async {
            while self.leader().is_none() {
                tokio::time::sleep(LEADER_PAUSE).await;
            }
        };
        tokio::time::timeout(LEADER_DEADLINE, found).await.is_ok()
    }

    /// What [`MetaNode::add_meta`] has a node do that waits: joins one of `peers`, and votes when this is over.
    pub(crate) async fn enter_on_request(&self, peers: &[String]) -> Result<(), OperateError> {
        if self.id().is_some() {
            let hint = if self.has_nothing() { FORMED_ALONE } else { "" };
            return Err(OperateError::Conflict(format!("already joined to cluster{hint}")));
        }
        match tokio::time::timeout(ENTER_DEADLINE, self.join(peers, None)).await {
            Ok(Ok(joined)) => {
                tracing::info!(node = joined.id.0, "this node was added to a cluster");
                Ok(())
            }
            Ok(Err(error)) => Err(OperateError::Failed(error.to_string())),
            Err(_) => {
                Err(OperateError::Failed(format!("not joined to {} within {ENTER_DEADLINE:?}", peers.join(", "))))
            }
        }
    }

    /// Whether this node is a cluster by itself that nobody has used: it was told to add another one.
    fn has_nothing(&self) -> bool {
        let data = self.data();
        let is_own = |node: &std::sync::Arc<Node>| Some(node.id) == self.id();
        let is_unused = data.databases().is_empty() && data.users().is_empty();
        is_unused && self.status().peers.len() == 1 && data.nodes().iter().all(is_own)
    }

    /// Takes the meta role from the member with this admin address. One that runs is back when this is over, and waits to
    /// be added.
    pub(crate) async fn remove_meta(&self, http_addr: &str, removal: Removal<'_>) -> Result<(), OperateError> {
        let data = self.ensure_linearizable().await?;
        let is_meant = |node: &&std::sync::Arc<Node>| {
            let Some(role) = &node.meta else { return false };
            let is_named = |tcp_addr| tcp_addr == role.tcp_addr;
            role.http_addr == http_addr || matches!(removal, Removal::Forced { tcp_addr: Some(addr) } if is_named(addr))
        };
        let Some(node) = data.meta_nodes().find(is_meant) else {
            return Err(OperateError::Failed(format!("node not found: {http_addr}")));
        };
        // One that holds points goes on as a data node.
        let waits_for_it = removal == Removal::Usual && Some(node.id) != self.id() && node.data.is_none();
        // One that is away learns of it when it comes back.
        let runs = waits_for_it && self.status_of(Port::Admin, http_addr).await.is_ok();
        self.remove_member(node.id).await?;
        if !runs {
            return Ok(());
        }
        let before = node.incarnation.to_string();
        let is_back = |status: &Status| status.waits() && status.incarnation != before;
        if !self.comes_back(Port::Admin, http_addr, is_back).await {
            // It may be a program that ends now; it is removed all the same.
            tracing::warn!(address = http_addr, "a node was removed, and is not back as one that waits to be added");
        }
        Ok(())
    }

    /// Waits until who was removed, and closes its ports for a moment, is back; whether it is.
    async fn comes_back(&self, port: Port, addr: &str, is_back: impl Fn(&Status) -> bool) -> bool {
        let back = async {
            loop {
                tokio::time::sleep(LEAVE_PAUSE).await;
                if self.status_of(port, addr).await.is_ok_and(|status| is_back(&status)) {
                    return;
                }
            }
        };
        tokio::time::timeout(LEAVE_DEADLINE, back).await.is_ok()
    }

    /// Leaves the cluster; the program then starts anew, with an empty directory.
    pub(crate) async fn leave(&self) -> Result<(), OperateError> {
        self.hand_over().await;
        self.finds_leader().await;
        let leader = self.leader().ok_or(OperateError::NoLeader)?;
        let own = self.0.config.http_addr.clone();
        if Some(leader.id) == self.id() {
            self.remove_meta(&own, Removal::Left).await?;
        } else {
            let form = Sent::Form(Bytes::from(format!("httpAddr={own}&leaves=true")));
            let answer = self.tell(Port::Admin, &leader.http_addr, "/remove", form, LEAVE_DEADLINE).await?;
            if !answer.status.is_success() {
                return Err(OperateError::Failed(error_of(&answer)));
            }
        }
        self.mark_left().await.map_err(|error| OperateError::Failed(error.to_string()))
    }

    /// Makes a data node of the node at `addr`, or finds it if it is one.
    pub(crate) async fn add_data(&self, addr: &str, passive: bool) -> Result<NodeId, OperateError> {
        if self.id().is_none() {
            return Err(OperateError::Invalid("data node failed to contact valid meta server in list []".to_owned()));
        }
        let data = self.ensure_linearizable().await?;
        let status = self.status_of(Port::Peer, addr).await?;
        let incarnation = status.data_incarnation(addr)?;
        let known = data.node_by_incarnation(incarnation).filter(|node| node.data.is_some());
        if let Some(node) = known.filter(|_| !status.waits()) {
            return Ok(node.id);
        }
        if !status.waits() {
            let hint = match status.stands_alone {
                true => {
                    "; it is one by itself: to bring its databases along, start it with [meta] enabled = false first"
                }
                false => "",
            };
            return Err(OperateError::Failed(format!("already joined to cluster{hint}")));
        }
        if self.0.config.single_server && data.data_nodes().next().is_some() {
            return Err(single_server());
        }
        refuse_unreachable_names(&self.0.config.http_addr, &status.tcp_addr, Reach::Name)?;
        self.tell_to_enter(Port::Peer, addr, &data, passive).await?;
        self.member_of(incarnation, |node| node.data.is_some()).await
    }

    /// Takes the data role and all shards from the node at `addr`; unless `force`, has it empty itself.
    pub(crate) async fn remove_data(&self, addr: &str, force: bool) -> Result<(), OperateError> {
        let data = self.ensure_linearizable().await?;
        let node =
            data_node_at(&data, addr).ok_or_else(|| OperateError::Invalid(format!("node not found: {addr}")))?.clone();
        self.propose(&Command::DeleteDataNode { id: node.id }).await?;
        if force {
            return Ok(());
        }
        let leave = Leave { incarnation: node.incarnation.to_string() };
        let body = Sent::Json(Bytes::from(serde_json::to_vec(&leave).expect("plain values")));
        let answer = self.tell(Port::Peer, addr, "/leave", body, LEAVE_DEADLINE).await?;
        if !answer.status.is_success() {
            return Err(OperateError::Failed(error_of(&answer)));
        }
        match self.comes_back(Port::Peer, addr, Status::waits).await {
            true => Ok(()),
            false => Err(OperateError::Failed(format!("{addr} was removed, but has not emptied itself in time"))),
        }
    }

    /// Puts the node at `new_addr` in the place of the data node at `old_addr`: its number and its shards stay.
    pub(crate) async fn update_data(&self, old_addr: &str, new_addr: &str) -> Result<NodeId, OperateError> {
        let data = self.ensure_linearizable().await?;
        let unknown = || OperateError::Invalid(format!("no data node with bind address {old_addr} exists"));
        let Some(node) = data_node_at(&data, old_addr) else {
            // One that came back under another name has told so by itself.
            let moved = data_node_at(&data, new_addr).ok_or_else(unknown)?;
            let status = self.status_of(Port::Peer, new_addr).await?;
            if moved.incarnation != status.data_incarnation(new_addr)? {
                return Err(unknown());
            }
            if status.waits() {
                let passive = moved.data.as_ref().is_some_and(|role| role.passive);
                self.tell_to_enter(Port::Peer, new_addr, &data, passive).await?;
            }
            return Ok(moved.id);
        };
        let status = self.status_of(Port::Peer, new_addr).await?;
        let incarnation = status.data_incarnation(new_addr)?;
        if incarnation == node.incarnation {
            // The same directory under another name: it registers its addresses by itself.
            let (http_addr, tcp_addr) = (status.http_addr, status.tcp_addr);
            let command = Command::UpdateDataNode { id: node.id, http_addr, tcp_addr, incarnation: None };
            self.propose(&command).await?;
            return Ok(node.id);
        }
        if data.node_by_incarnation(incarnation).is_some_and(|node| node.data.is_some()) {
            return Err(OperateError::Invalid(format!(
                "cannot update data node {old_addr} to {new_addr}; {new_addr} is already part of cluster"
            )));
        }
        if !status.waits() {
            return Err(OperateError::Failed("already joined to cluster".to_owned()));
        }
        if status.databases > 0 {
            return Err(OperateError::Invalid(format!(
                "{new_addr} holds databases and cannot take the place of another data node; add it with influxd-ctl add-data"
            )));
        }
        refuse_unreachable_names(&self.0.config.http_addr, &status.tcp_addr, Reach::Name)?;
        let passive = node.data.as_ref().is_some_and(|role| role.passive);
        let command = Command::UpdateDataNode {
            id: node.id,
            http_addr: status.http_addr,
            tcp_addr: status.tcp_addr,
            incarnation: Some(incarnation),
        };
        self.propose(&command).await?;
        self.tell_to_enter(Port::Peer, new_addr, &data, passive).await?;
        Ok(node.id)
    }

    /// Ends every live group `delay` from now.
    pub(crate) async fn truncate_shards(&self, delay: Duration) -> Result<(), OperateError> {
        self.propose(&Command::TruncateShardGroups { delay }).await?;
        Ok(())
    }

    /// Takes a shard from the data node at `addr`, which then removes its copy.
    pub(crate) async fn remove_shard(&self, addr: &str, shard: &str) -> Result<(), OperateError> {
        let invalid = |text: String| Err(OperateError::Invalid(text));
        let data = self.ensure_linearizable().await?;
        let Some(node) = data_node_at(&data, addr) else {
            return invalid(format!("unable to find node for {addr:?}"));
        };
        let Ok(id) = shard.parse::<u64>() else {
            return invalid(format!("error converting shard to int: {shard}"));
        };
        if id == 0 {
            return invalid("invalid parameter value for 'shard': shard id must be greater than 0".to_owned());
        }
        let place = data.shard(ShardId(id)).filter(|place| !place.group.is_deleted());
        let Some(place) = place else { return invalid(format!("shard not found for id: {id}")) };
        if !place.shard.is_owned_by(node.id) {
            return invalid(format!("{addr:?} is not an owner of shard {id}"));
        }
        self.propose(&Command::RemoveShardOwner { shard: ShardId(id), node: node.id }).await?;
        Ok(())
    }

    /// Changes the labels of a member.
    pub(crate) async fn change_labels(
        &self,
        node: NodeId,
        set: std::collections::BTreeMap<String, String>,
        remove: Vec<String>,
    ) -> Result<(), OperateError> {
        match self.propose(&Command::ChangeLabels { node, set, remove }).await {
            Ok(_) => Ok(()),
            Err(ProposeError::Rejected(rejection @ Rejection::NodeNotFound)) => {
                Err(OperateError::Invalid(rejection.to_string()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What lies on the disk of a data node, or why it does not tell.
    pub(crate) async fn shards_of(&self, addr: &str) -> Result<Vec<HeldShard>, String> {
        let answer = self.request(Port::Peer, strip_scheme(addr), "/shards", None, STATUS_DEADLINE).await;
        let answer = answer.map_err(|error| error.to_string())?;
        if answer.status != StatusCode::OK {
            return Err(error_of(&answer));
        }
        serde_json::from_slice(&answer.body).map_err(|_| "what answers is no node of this program".to_owned())
    }

    /// How a data node stands with reading the members of groups ahead, after it was told to if there is an `order`.
    pub(crate) async fn warm(&self, addr: &str, order: Option<WarmOrder>) -> WarmAnswer {
        let body = order.map(|order| Sent::Json(Bytes::from(serde_json::to_vec(&order).expect("plain values"))));
        let answer = self.request(Port::Peer, strip_scheme(addr), "/warm-cache", body, STATUS_DEADLINE).await;
        let not_told =
            |state: &str, message: String| WarmAnswer { state: state.to_owned(), message, ..WarmAnswer::default() };
        match answer {
            Ok(answer) if answer.status == StatusCode::OK => serde_json::from_slice(&answer.body)
                .unwrap_or_else(|_| not_told("unknown", "what answers is no node of this program".to_owned())),
            Ok(answer) if answer.status == StatusCode::NOT_FOUND => {
                not_told("unknown", "the node runs a release that cannot do this".to_owned())
            }
            Ok(answer) if answer.status == StatusCode::CONFLICT => not_told("failed", error_of(&answer)),
            Ok(answer) => not_told("unknown", error_of(&answer)),
            Err(error) => not_told("unknown", error.to_string()),
        }
    }

    async fn status_of(&self, port: Port, addr: &str) -> Result<Status, OperateError> {
        let answer = self.request(port, strip_scheme(addr), "/status", None, STATUS_DEADLINE).await;
        let scheme = self.dialer(port).scheme();
        let answer = answer.map_err(|error| OperateError::Failed(format!("Get {scheme}://{addr}/status: {error}")))?;
        if answer.status != StatusCode::OK {
            return Err(OperateError::Failed(format!("Get {scheme}://{addr}/status: {}", error_of(&answer))));
        }
        serde_json::from_slice(&answer.body)
            .map_err(|_| OperateError::Failed(format!("what answers at {addr} is no node of this program")))
    }

    async fn tell_to_enter(&self, port: Port, addr: &str, data: &Data, passive: bool) -> Result<(), OperateError> {
        // This node first: it leads.
        let own = self.0.config.http_addr.clone();
        let others = data.meta_http_addrs().filter(|other| **other != own).cloned().collect::<Vec<_>>();
        let enter = Enter { meta_servers: [vec![own], others].concat(), passive };
        let body = Sent::Json(Bytes::from(serde_json::to_vec(&enter).expect("plain values")));
        let answer = self.tell(port, addr, "/enter", body, ENTER_DEADLINE).await?;
        if answer.status.is_success() { Ok(()) } else { Err(OperateError::Failed(error_of(&answer))) }
    }

    async fn tell(
        &self,
        port: Port,
        addr: &str,
        path: &str,
        body: Sent,
        deadline: Duration,
    ) -> Result<Answer, OperateError> {
        let answer = self.request(port, strip_scheme(addr), path, Some(body), deadline).await;
        answer.map_err(|error| OperateError::Failed(format!("{addr}: {error}")))
    }

    /// The number under which a directory was registered a moment ago.
    async fn member_of(
        &self,
        incarnation: Incarnation,
        has_role: impl Fn(&Node) -> bool,
    ) -> Result<NodeId, OperateError> {
        let data = self.ensure_linearizable().await?;
        let node = data.node_by_incarnation(incarnation).filter(|node| has_role(node));
        node.map(|node| node.id).ok_or_else(|| OperateError::Failed("the node joined and was removed again".to_owned()))
    }
}

impl Status {
    fn incarnation(&self) -> Result<Incarnation, OperateError> {
        Incarnation::parse(&self.incarnation)
            .ok_or_else(|| OperateError::Failed("the node does not tell who it is; is it another program?".to_owned()))
    }

    /// Whether it is in no cluster as far as it knows. A member that says so went down before it had written that it is
    /// one, and has to be told again.
    fn waits(&self) -> bool {
        match self.node_type.as_str() {
            "data" => self.node_status == "disjoined",
            _ => self.leader.is_empty() && self.peers.as_ref().is_none_or(Vec::is_empty),
        }
    }

    fn data_incarnation(&self, addr: &str) -> Result<Incarnation, OperateError> {
        if self.node_type != "data" {
            return Err(OperateError::Failed(format!("{addr} is not a data node")));
        }
        self.incarnation()
    }
}

fn single_server() -> OperateError {
    OperateError::Invalid("single-server mode: cluster already has a node".to_owned())
}

fn error_of(answer: &Answer) -> String {
    let error: ErrorJson = serde_json::from_slice(&answer.body).unwrap_or_default();
    if error.error.is_empty() { answer.status.to_string() } else { error.error }
}

fn data_node_at<'a>(data: &'a Data, tcp_addr: &str) -> Option<&'a std::sync::Arc<Node>> {
    let is_at = |role: &DataRole| role.tcp_addr == tcp_addr;
    data.data_nodes().find(|node| node.data.as_ref().is_some_and(is_at))
}

/// A node that has a leader and is none of our members belongs to somebody else.
fn refuse_foreign_cluster(addr: &str, status: &Status) -> Result<(), OperateError> {
    if status.leader.is_empty() {
        return Ok(());
    }
    let peers = status.peers.as_deref().unwrap_or_default().join(" ");
    Err(OperateError::Conflict(format!(
        "meta node at \"{addr}\" is a member of another cluster: leader={} peers=[{peers}]",
        status.leader
    )))
}

/// Two nodes of which one is known to others as `localhost` would not find each other, or each itself. Two of which both
/// are may be on one machine, which is fine from `fine` on.
fn refuse_unreachable_names(own: &str, other: &str, fine: Reach) -> Result<(), OperateError> {
    let (own_reach, other_reach) = (Reach::of(own), Reach::of(other));
    if own_reach == other_reach && own_reach >= fine {
        return Ok(());
    }
    let wrong = if own_reach <= other_reach { own } else { other };
    Err(OperateError::Invalid(format!(
        "a node calls itself {wrong}, which no other machine can reach: set hostname in its configuration file, and \
         restart it"
    )))
}

/// From where an address can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    /// A name that every machine has for itself.
    Name,
    /// A number of the loopback network: fine between nodes of one machine.
    Loopback,
    Anywhere,
}

impl Reach {
    fn of(address: &str) -> Reach {
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']']);
        match host.parse::<IpAddr>() {
            Ok(ip) if ip.is_loopback() => Reach::Loopback,
            Ok(_) => Reach::Anywhere,
            Err(_) if host.is_empty() || host == "localhost" || host.starts_with("localhost.") => Reach::Name,
            Err(_) if host.starts_with("ip6-l") => Reach::Name,
            Err(_) => Reach::Anywhere,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_mean_every_machine_are_refused() {
        let check = |own: &str, other: &str| {
            refuse_unreachable_names(own, other, Reach::Loopback).map_err(|error| error.to_string())
        };
        assert_eq!(check("meta-01:8091", "meta-02:8091"), Ok(()));
        assert_eq!(check("127.0.0.1:8091", "127.0.0.2:8091"), Ok(()), "on one machine");
        for (own, other, wrong) in [
            ("localhost:8091", "meta-02:8091", "localhost:8091"),
            ("meta-01:8091", "localhost.localdomain:8091", "localhost.localdomain:8091"),
            ("127.0.0.1:8091", "meta-02:8091", "127.0.0.1:8091"),
            ("10.0.0.1:8091", "[::1]:8091", "[::1]:8091"),
            ("localhost:8091", "localhost:8091", "localhost:8091"),
        ] {
            let said = check(own, other).expect_err("refused");
            assert!(said.contains(&format!("calls itself {wrong},")) && said.contains("set hostname"), "{said}");
        }
        let by_name = refuse_unreachable_names("localhost:8091", "localhost:8088", Reach::Name);
        assert!(by_name.is_ok(), "a data node beside its only meta node");
    }
}
