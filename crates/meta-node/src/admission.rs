//! The leader's side of a join.

use std::time::Duration;

use meta::{Command, Data, Incarnation, Node, Rejection, Reply};
use model::NodeId;
use serde::Deserialize;

use crate::join::{JoinAnswer, JoinRequest, Stage};
use crate::membership::MembershipError;
use crate::node::{Leader, MetaNode, Port, ProposeError, Running};

/// How long a member whose address is claimed has to say that it is still there.
const ALIVE_DEADLINE: Duration = Duration::from_secs(1);

/// Why somebody is not let in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JoinRefusal {
    /// This node is no member itself.
    #[error("not part of a cluster")]
    Unjoined,
    /// Ask there.
    #[error("node {} leads", .0.id)]
    NotLeader(Leader),
    /// Later, perhaps.
    #[error("no leader")]
    NoLeader,
    /// A member that is alive has the address, most likely because a host name was not set.
    #[error("{address} is the address of node {id}, which is alive; give each node its own hostname and ports")]
    AddressInUse {
        /// The address.
        address: String,
        /// Whose it is.
        id: NodeId,
    },
    /// It is not, or no longer, a member.
    #[error("node {0} of this directory is not a member of the cluster")]
    NotMember(NodeId),
    /// It is about to be no member.
    #[error("node {0} is being taken out of raft")]
    Leaving(NodeId),
    /// The command broke a rule.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// It is a member, but does not vote yet.
    #[error("raft: {0}")]
    Membership(#[from] MembershipError),
    /// It chose the numbers of its shards for another cluster.
    #[error(
        "this data node was to be added to cluster {0}, and that may have happened: add it there, or, where nobody lists it, \
         remove the file arrival.json from its metadata directory"
    )]
    Elsewhere(String),
    /// What is asked cannot be read.
    #[error("{0}")]
    Malformed(String),
    /// Something that may pass.
    #[error("{0}")]
    Failed(String),
}

impl From<ProposeError> for JoinRefusal {
    fn from(error: ProposeError) -> JoinRefusal {
        match error {
            ProposeError::NotLeader(leader) => JoinRefusal::NotLeader(leader),
            ProposeError::NoLeader => JoinRefusal::NoLeader,
            ProposeError::Rejected(rejection) => JoinRefusal::Rejected(rejection),
            other => JoinRefusal::Failed(other.to_string()),
        }
    }
}

impl MetaNode {
    /// Carries out one step of a join. See [`crate::join`].
    pub(crate) async fn admit(&self, request: JoinRequest) -> Result<JoinAnswer, JoinRefusal> {
        let running = self.running().ok_or(JoinRefusal::Unjoined)?;
        // Also tells who leads if we do not.
        let data = self.ensure_linearizable().await?;
        let id = match request.stage {
            Stage::Register => self.register(&data, &request).await?,
            Stage::Promote => self.admit_voter(&running, &data, &request).await?,
            Stage::Update => self.move_member(&running, &data, &request).await?,
        };
        self.join_answer(id)
    }

    /// What a member is told that came in as `id`.
    pub(crate) fn join_answer(&self, id: NodeId) -> Result<JoinAnswer, JoinRefusal> {
        let data = self.data();
        let member = self.member().ok_or(JoinRefusal::Unjoined)?;
        Ok(JoinAnswer {
            id,
            recoveries: member.recoveries,
            group: member.group,
            cluster_id: data.cluster_id(),
            meta_servers: data.meta_http_addrs().cloned().collect(),
            index: data.index(),
        })
    }

    async fn register(&self, data: &Data, request: &JoinRequest) -> Result<NodeId, JoinRefusal> {
        self.refuse_addresses_in_use(data, request).await?;
        let mut id = None;
        if let Some(meta) = &request.meta {
            let command = Command::CreateMetaNode {
                incarnation: request.incarnation,
                http_addr: meta.http_addr.clone(),
                tcp_addr: meta.tcp_addr.clone(),
            };
            id = Some(node_id(self.propose(&command).await?.0)?);
        }
        if let Some(data) = &request.data {
            let command = Command::CreateDataNode {
                incarnation: request.incarnation,
                http_addr: data.http_addr.clone(),
                tcp_addr: data.tcp_addr.clone(),
                passive: data.passive,
            };
            id = Some(node_id(self.propose(&command).await?.0)?);
        }
        id.ok_or_else(|| JoinRefusal::Failed("a role is required".to_owned()))
    }

    async fn admit_voter(&self, running: &Running, data: &Data, request: &JoinRequest) -> Result<NodeId, JoinRefusal> {
        let node = member(running, data, request)?;
        let meta = node.meta.as_ref().ok_or_else(|| not_member(running, node.id))?;
        self.promote(running, node.id, &meta.tcp_addr).await?;
        Ok(node.id)
    }

    async fn move_member(&self, running: &Running, data: &Data, request: &JoinRequest) -> Result<NodeId, JoinRefusal> {
        let id = member(running, data, request)?.id;
        if let Some(meta) = &request.meta {
            let (http_addr, tcp_addr) = (meta.http_addr.clone(), meta.tcp_addr.clone());
            self.propose(&Command::UpdateMetaNode { id, http_addr, tcp_addr }).await?;
        }
        if let Some(data) = &request.data {
            let (http_addr, tcp_addr) = (data.http_addr.clone(), data.tcp_addr.clone());
            self.propose(&Command::UpdateDataNode { id, http_addr, tcp_addr, incarnation: None }).await?;
        }
        Ok(id)
    }

    /// Registering under an address that is known takes the role from whoever had it: that is how a wiped node comes
    /// back. But a member that still runs there must not be thrown out by one that merely has no host name of its own.
    pub(crate) async fn refuse_addresses_in_use(&self, data: &Data, request: &JoinRequest) -> Result<(), JoinRefusal> {
        for node in data.nodes().iter().filter(|node| node.incarnation != request.incarnation) {
            for (address, port, ask_at) in claimed(node, request) {
                let alive = Some(node.id) == self.id() || self.is_alive(port, ask_at, node.incarnation).await;
                if alive {
                    return Err(JoinRefusal::AddressInUse { address: address.to_owned(), id: node.id });
                }
            }
        }
        Ok(())
    }

    /// Whether the directory `incarnation` answers at `address`.
    async fn is_alive(&self, port: Port, address: &str, incarnation: Incarnation) -> bool {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Status {
            incarnation: String,
        }
        match self.request(port, address, "/status", None, ALIVE_DEADLINE).await {
            Ok(answer) => {
                let status: Status = serde_json::from_slice(&answer.body).unwrap_or_default();
                Incarnation::parse(&status.incarnation) == Some(incarnation)
            }
            Err(_) => false,
        }
    }
}

/// Addresses of `node` that the request claims, each with the one where the node tells its status.
fn claimed<'a>(node: &'a Node, request: &JoinRequest) -> Vec<(&'a str, Port, &'a str)> {
    let mut claimed = Vec::new();
    if let (Some(has), Some(wants)) = (&node.meta, &request.meta) {
        for (address, wanted) in [(&has.http_addr, &wants.http_addr), (&has.tcp_addr, &wants.tcp_addr)] {
            if address == wanted {
                claimed.push((address.as_str(), Port::Admin, has.http_addr.as_str()));
            }
        }
    }
    if let (Some(has), Some(wants)) = (&node.data, &request.data)
        && has.tcp_addr == wants.tcp_addr
    {
        claimed.push((&has.tcp_addr, Port::Peer, &has.tcp_addr));
    }
    claimed
}

fn member<'a>(running: &Running, data: &'a Data, request: &JoinRequest) -> Result<&'a Node, JoinRefusal> {
    let id = request.id.ok_or_else(|| JoinRefusal::Failed("id is required".to_owned()))?;
    match data.node(id) {
        Some(node) if node.incarnation == request.incarnation => Ok(node),
        Some(_) => Err(JoinRefusal::NotMember(id)),
        None => Err(not_member(running, id)),
    }
}

/// Who hears that it is no member empties its directory. While Raft has it yet, its vote may be needed to take it out.
fn not_member(running: &Running, id: NodeId) -> JoinRefusal {
    let metrics = running.raft.server_metrics();
    let is_left = metrics.borrow().membership_config.membership().get_node(&id.0).is_none();
    if is_left { JoinRefusal::NotMember(id) } else { JoinRefusal::Leaving(id) }
}

fn node_id(reply: Reply) -> Result<NodeId, JoinRefusal> {
    match reply {
        Reply::Node(id) => Ok(id),
        _ => Err(JoinRefusal::Failed("the answer to a registration names no node".to_owned())),
    }
}
