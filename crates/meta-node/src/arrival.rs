//! A node that was a cluster by itself becomes a data node of another one, with what it holds: what it writes down of that,
//! what it asks, and what the leader answers.
//!
//! The node chooses the new numbers of its shards from what the cluster has given so far, writes them down
//! ([`Arrival`], the file `arrival.json`) and then asks for one command (`BringDataNode`), which takes all or nothing. The
//! file is there from before the question is asked until everything is over:
//! - *asked*: nobody can tell whether the cluster took the node. The same is asked again until it is known. A node in this
//!   state must not go on by itself.
//! - *taken*: the cluster has the databases. What is left is this node's own work, which begins with taking the old
//!   numbers from the shards;
//! - *aside*: no shard has an old number any more.
//!
//! A refusal by the metadata is final and removes the file: a command that was refused is not carried out later.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use env::Env;
use http::StatusCode;
use meta::codec::{decode_command, encode_command};
use meta::{Command, Data, Holdings, Incarnation, Numbered};
use model::{MetaIndex, NodeId, ShardGroupId, ShardId};
use rpc::ClusterAuth;
use serde::{Deserialize, Serialize};
use tls::Dialer;

use crate::admission::JoinRefusal;
use crate::http::BODY_BYTES_MAX;
use crate::http_client::{self, HttpError, Sent, strip_scheme};
use crate::identity::{Member, format_cluster_id, parse_cluster_id};
use crate::join::{self, DataAddresses, JoinAnswer, JoinRequest, Stage};
use crate::node::MetaNode;

/// The file. It is there while a node that was alone comes into a cluster.
pub const FILE: &str = "arrival.json";
/// How long one meta node may take to answer.
const ASK_DEADLINE: Duration = Duration::from_secs(15);
/// Between two rounds over all addresses.
const PAUSE: Duration = Duration::from_millis(500);
/// How often other numbers are chosen when those were given to others meanwhile.
const CHOICES_MAX: usize = 10;

/// How far a node has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The cluster that it came from: itself.
    pub former_cluster: u64,
    /// The cluster that it comes into.
    pub cluster_id: u64,
    /// Admin addresses of its meta nodes.
    pub meta_servers: Vec<String>,
    /// Never an owner.
    pub passive: bool,
    /// New groups have ids above this one.
    pub groups_above: ShardGroupId,
    /// New shards have ids above this one.
    pub shards_above: ShardId,
    /// The id of each shard before, and the one that it gets.
    pub shards: Vec<(ShardId, ShardId)>,
    /// How far it is.
    pub progress: Progress,
}

/// The steps of an arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The cluster may have taken the node.
    Asked,
    /// It has, as this member.
    Taken(Member),
    /// And no shard has its old number any more.
    Aside(Member),
}

/// What a node that comes holds, and under which addresses it does.
#[derive(Clone, Debug)]
pub struct Guest {
    /// The directory.
    pub incarnation: Incarnation,
    /// The cluster that it was.
    pub cluster_id: u64,
    /// What it holds.
    pub holdings: Holdings,
    /// Its addresses.
    pub addresses: DataAddresses,
}

/// Why a node did not come.
#[derive(Debug, thiserror::Error)]
pub enum ArrivalError {
    /// Nothing has changed, here or there.
    #[error("{0}")]
    Refused(String),
    /// It may have been taken, or be taken yet: asking again tells.
    #[error("{0}")]
    Unknown(String),
    /// This node's disk.
    #[error(transparent)]
    Disk(#[from] io::Error),
}

#[derive(Serialize, Deserialize)]
struct ArrivalJson {
    #[serde(rename = "formerClusterID")]
    former_cluster: String,
    #[serde(rename = "clusterID")]
    cluster_id: String,
    #[serde(rename = "metaServers")]
    meta_servers: Vec<String>,
    #[serde(default)]
    passive: bool,
    #[serde(rename = "groupsAbove")]
    groups_above: u64,
    #[serde(rename = "shardsAbove")]
    shards_above: u64,
    shards: Vec<(u64, u64)>,
    #[serde(default)]
    member: Option<MemberJson>,
    #[serde(default)]
    aside: bool,
}

#[derive(Serialize, Deserialize)]
struct MemberJson {
    id: u64,
    #[serde(rename = "metaServers")]
    meta_servers: Vec<String>,
    recoveries: u64,
    group: String,
}

impl Arrival {
    /// Reads the file; `None` when there is none.
    ///
    /// # Errors
    /// The disk's, and `InvalidData` when it is damaged.
    pub async fn load(env: &Env, dir: &Path) -> io::Result<Option<Arrival>> {
        let (fs, path) = (Arc::clone(env.fs()), dir.join(FILE));
        env.blocking(move || {
            if !fs.exists(&path)? {
                return Ok(None);
            }
            let damaged = |why: &str| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {why}", path.display()));
            let json: ArrivalJson =
                serde_json::from_slice(&fs.read(&path)?).map_err(|error| damaged(&error.to_string()))?;
            Arrival::of(json).ok_or_else(|| damaged("an id is none")).map(Some)
        })
        .await
    }

    /// Writes the file.
    ///
    /// # Errors
    /// The disk's. The old file is then still there, or the new one is.
    pub async fn store(&self, env: &Env, dir: &Path) -> io::Result<()> {
        let bytes = serde_json::to_vec(&self.json()).expect("plain values");
        let (fs, path) = (Arc::clone(env.fs()), dir.join(FILE));
        env.blocking(move || fs.replace(&path, &bytes)).await
    }

    /// Removes the file.
    ///
    /// # Errors
    /// The disk's.
    pub async fn remove(env: &Env, dir: &Path) -> io::Result<()> {
        let (fs, dir) = (Arc::clone(env.fs()), dir.to_owned());
        env.blocking(move || {
            fs.remove_file(&dir.join(FILE))?;
            fs.sync_dir(&dir)
        })
        .await
    }

    fn of(json: ArrivalJson) -> Option<Arrival> {
        let cluster_id = parse_cluster_id(&json.cluster_id)?;
        let member = |json: MemberJson| {
            Some(Member {
                id: NodeId(json.id),
                cluster_id,
                meta_servers: json.meta_servers,
                meta: false,
                raft_started: false,
                recoveries: json.recoveries,
                group: parse_cluster_id(&json.group)?,
            })
        };
        let progress = match (json.member, json.aside) {
            (None, _) => Progress::Asked,
            (Some(taken), false) => Progress::Taken(member(taken)?),
            (Some(taken), true) => Progress::Aside(member(taken)?),
        };
        Some(Arrival {
            former_cluster: parse_cluster_id(&json.former_cluster)?,
            cluster_id,
            meta_servers: json.meta_servers,
            passive: json.passive,
            groups_above: ShardGroupId(json.groups_above),
            shards_above: ShardId(json.shards_above),
            shards: json.shards.into_iter().map(|(old, new)| (ShardId(old), ShardId(new))).collect(),
            progress,
        })
    }

    fn json(&self) -> ArrivalJson {
        let member = match &self.progress {
            Progress::Asked => None,
            Progress::Taken(member) | Progress::Aside(member) => Some(MemberJson {
                id: member.id.0,
                meta_servers: member.meta_servers.clone(),
                recoveries: member.recoveries,
                group: format_cluster_id(member.group),
            }),
        };
        ArrivalJson {
            former_cluster: format_cluster_id(self.former_cluster),
            cluster_id: format_cluster_id(self.cluster_id),
            meta_servers: self.meta_servers.clone(),
            passive: self.passive,
            groups_above: self.groups_above.0,
            shards_above: self.shards_above.0,
            shards: self.shards.iter().map(|(old, new)| (old.0, new.0)).collect(),
            member,
            aside: matches!(self.progress, Progress::Aside(_)),
        }
    }
}

/// Asks the cluster that one of `peers` belongs to for `guest`, or asks again what was asked before. On `Ok` the arrival is
/// taken, and written down as such, and the metadata has the node from the index on. The cluster is waited for `patience`.
///
/// # Errors
/// See [`ArrivalError`]; after `Refused` nothing is written down.
pub async fn ask(
    dialer: &Dialer,
    auth: &ClusterAuth,
    dir: &Path,
    peers: &[String],
    guest: &Guest,
    patience: Duration,
) -> Result<(Arrival, MetaIndex), ArrivalError> {
    let env = dialer.env();
    let deadline = env.monotonic() + patience;
    // What is written down is never given up half-way, only the waiting for others is.
    let left = || deadline.saturating_sub(env.monotonic());
    let no_leader = || format!("no leader in meta servers: [{}]", peers.join(" "));
    let mut known = Arrival::load(env, dir).await?;
    for _ in 0..CHOICES_MAX {
        let is_asked_again = known.is_some();
        let (arrival, databases) = match known.take() {
            Some(asked) => {
                let Numbered { databases, .. } = guest.holdings.numbered(asked.groups_above, asked.shards_above);
                (asked, databases)
            }
            None => {
                let fetching = join::fetch_data(dialer, auth, peers, MetaIndex(1));
                let cluster = tokio::time::timeout(left(), fetching).await;
                choose(guest, peers, &*cluster.map_err(|_| ArrivalError::Refused(no_leader()))?)?
            }
        };
        let command = Command::BringDataNode {
            cluster_id: arrival.cluster_id,
            incarnation: guest.incarnation,
            http_addr: guest.addresses.http_addr.clone(),
            tcp_addr: guest.addresses.tcp_addr.clone(),
            passive: arrival.passive,
            databases,
        };
        let command = Bytes::from(encode_command(&command));
        if command.len() > BODY_BYTES_MAX {
            let why = format!(
                "this server has more shard groups than can be brought into a cluster at once ({} bytes of {BODY_BYTES_MAX})",
                command.len()
            );
            return Err(ArrivalError::Refused(why));
        }
        arrival.store(env, dir).await?;
        let asking = bring(dialer, auth, peers, &command, is_asked_again);
        let answer = tokio::time::timeout(left(), asking).await;
        match answer.unwrap_or_else(|_| Err(BringError::Unknown(no_leader()))) {
            Ok(answer) => {
                let index = answer.index;
                let taken = Arrival { progress: Progress::Taken(answer.into_data_member()), ..arrival };
                taken.store(env, dir).await?;
                return Ok((taken, index));
            }
            Err(BringError::Chosen) => {
                tracing::info!("numbers of shards were given to others meanwhile, others are chosen");
                Arrival::remove(env, dir).await?;
            }
            Err(BringError::Refused(why)) => {
                Arrival::remove(env, dir).await?;
                return Err(ArrivalError::Refused(why));
            }
            Err(BringError::Unknown(why)) => return Err(ArrivalError::Unknown(why)),
        }
    }
    Err(ArrivalError::Refused("ids of shards are given to others again and again; try later".to_owned()))
}

/// Numbers for what `guest` holds that nobody in `cluster` has.
fn choose(
    guest: &Guest,
    peers: &[String],
    cluster: &Data,
) -> Result<(Arrival, Vec<Arc<meta::Database>>), ArrivalError> {
    let taken: Vec<&str> = guest.holdings.names().filter(|name| cluster.database(name).is_some()).collect();
    if !taken.is_empty() && cluster.node_by_incarnation(guest.incarnation).is_none() {
        return Err(ArrivalError::Refused(meta::Rejection::DatabasesTaken(taken.join(", ")).to_string()));
    }
    let (groups_above, shards_above) = (cluster.shard_group_id_max(), cluster.shard_id_max());
    let Numbered { databases, shards } = guest.holdings.numbered(groups_above, shards_above);
    let arrival = Arrival {
        former_cluster: guest.cluster_id,
        cluster_id: cluster.cluster_id(),
        meta_servers: peers.to_vec(),
        passive: guest.addresses.passive,
        groups_above,
        shards_above,
        shards,
        progress: Progress::Asked,
    };
    Ok((arrival, databases))
}

/// Why there is no answer that makes it a member.
enum BringError {
    /// Other numbers have to be chosen.
    Chosen,
    Refused(String),
    Unknown(String),
}

/// How a node is told what the metadata refused: for good, and whether only the numbers were wrong.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RefusalJson {
    error: String,
    rejected: bool,
    ids_taken: bool,
}

/// Asks until somebody decides. `may_be_decided`: an earlier question may have been.
async fn bring(
    dialer: &Dialer,
    auth: &ClusterAuth,
    peers: &[String],
    command: &Bytes,
    mut may_be_decided: bool,
) -> Result<JoinAnswer, BringError> {
    loop {
        let mut why = "no address of a meta node is known".to_owned();
        for peer in peers {
            let (address, sent) = (strip_scheme(peer), Sent::Bytes(command.clone()));
            let answer = http_client::request(dialer, auth, address, "/bring", Some(sent), ASK_DEADLINE).await;
            let answer = match answer {
                Ok(answer) => answer,
                Err(error) => {
                    may_be_decided |= !matches!(error, HttpError::Connect(_));
                    why = format!("{address}: {error}");
                    continue;
                }
            };
            if answer.status == StatusCode::OK {
                let read = JoinAnswer::from_json(&answer.body);
                return read.ok_or_else(|| BringError::Unknown(format!("{address}: what answers is no meta node")));
            }
            let refusal: RefusalJson = serde_json::from_slice(&answer.body).unwrap_or_default();
            why = if refusal.error.is_empty() { answer.status.to_string() } else { refusal.error };
            match (refusal.rejected, refusal.ids_taken) {
                (true, true) => return Err(BringError::Chosen),
                (true, false) => return Err(BringError::Refused(why)),
                // Somebody has to do something about it.
                _ if answer.status.is_client_error() && may_be_decided => return Err(BringError::Unknown(why)),
                _ if answer.status.is_client_error() => return Err(BringError::Refused(why)),
                _ => may_be_decided = true,
            }
        }
        tracing::warn!(why, "the cluster was not entered yet, trying again");
        tokio::time::sleep(PAUSE).await;
    }
}

/// What the leader tells of a command that the metadata refused.
pub(crate) fn rejected(rejection: &meta::Rejection) -> serde_json::Value {
    let ids_taken = matches!(rejection, meta::Rejection::IdsTaken);
    serde_json::json!(RefusalJson { error: rejection.to_string(), rejected: true, ids_taken })
}

impl MetaNode {
    /// The leader's side: has the command decided, once nobody else is at the addresses.
    pub(crate) async fn bring(&self, body: &[u8]) -> Result<JoinAnswer, JoinRefusal> {
        self.running().ok_or(JoinRefusal::Unjoined)?;
        let data = self.ensure_linearizable().await?;
        let malformed = |why: String| JoinRefusal::Malformed(format!("bad request to bring databases along: {why}"));
        let command = decode_command(body).map_err(|error| malformed(error.to_string()))?;
        let Command::BringDataNode { cluster_id, incarnation, http_addr, tcp_addr, passive, .. } = &command else {
            return Err(malformed("another command".to_owned()));
        };
        if *cluster_id != data.cluster_id() {
            // Not for the metadata to refuse: the other cluster may have taken the node.
            return Err(JoinRefusal::Elsewhere(format_cluster_id(*cluster_id)));
        }
        let addresses = DataAddresses { http_addr: http_addr.clone(), tcp_addr: tcp_addr.clone(), passive: *passive };
        let request = JoinRequest {
            stage: Stage::Register,
            incarnation: *incarnation,
            id: None,
            meta: None,
            data: Some(addresses),
        };
        let request = JoinRequest::from_json(&request.to_json()).map_err(malformed)?;
        self.refuse_addresses_in_use(&data, &request).await?;
        let (reply, index) = self.propose(&command).await?;
        let meta::Reply::Node(id) = reply else {
            return Err(JoinRefusal::Failed("the answer to a registration names no node".to_owned()));
        };
        Ok(JoinAnswer { index, ..self.join_answer(id)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn how_far_a_node_has_come_is_remembered() {
        let temp = tempfile::tempdir().expect("a directory");
        let (env, dir) = (Env::real(), temp.path());
        assert_eq!(Arrival::load(&env, dir).await.expect("none"), None);
        let member = Member {
            id: NodeId(4),
            cluster_id: u64::MAX,
            meta_servers: vec!["a:8091".to_owned()],
            meta: false,
            raft_started: false,
            recoveries: 2,
            group: 77,
        };
        for progress in [Progress::Asked, Progress::Taken(member.clone()), Progress::Aside(member)] {
            let arrival = Arrival {
                former_cluster: 1,
                cluster_id: u64::MAX,
                meta_servers: vec!["b:8091".to_owned()],
                passive: true,
                groups_above: ShardGroupId(5),
                shards_above: ShardId(6),
                shards: vec![(ShardId(1), ShardId(7))],
                progress,
            };
            arrival.store(&env, dir).await.expect("written");
            assert_eq!(Arrival::load(&env, dir).await.expect("read"), Some(arrival));
        }
        Arrival::remove(&env, dir).await.expect("removed");
        assert_eq!(Arrival::load(&env, dir).await.expect("none"), None);
        env.fs().replace(&dir.join(FILE), b"{\"clusterID\":").expect("damaged");
        let error = Arrival::load(&env, dir).await.expect_err("damaged");
        assert!(error.kind() == io::ErrorKind::InvalidData && error.to_string().contains(FILE), "{error}");
    }

    #[test]
    fn a_refusal_tells_whether_other_numbers_would_do() {
        let read = |rejection: &meta::Rejection| -> RefusalJson {
            serde_json::from_value(rejected(rejection)).expect("as written")
        };
        let chosen = read(&meta::Rejection::IdsTaken);
        assert!(chosen.rejected && chosen.ids_taken);
        let refused = read(&meta::Rejection::DatabasesTaken("a".to_owned()));
        assert!(refused.rejected && !refused.ids_taken && refused.error.contains("as well: a;"));
        // Any other answer is none.
        let other: RefusalJson = serde_json::from_str(r#"{"error":"no leader"}"#).expect("readable");
        assert!(!other.rejected);
    }
}
