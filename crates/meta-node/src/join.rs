//! The joiner's side of a join.
//!
//! Three requests to `POST /join`, each of which may be repeated at will:
//! 1. *register*: who the directory is and where. The leader commits it and answers the member's number. A directory
//!    that is known gets the number it has.
//! 2. *promote*, by a meta node that has started Raft under this number: the leader adds it, waits until it has caught
//!    up and makes it a voter. A node that crashed on the way asks again when it starts.
//! 3. *update*, by a member that came back under other addresses.
//!
//! Peers are tried in turn, for ever; a peer that does not lead sends us on to the leader.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use meta::codec::decode_snapshot;
use meta::{Data, Incarnation};
use model::{MetaIndex, NodeId};
use rpc::ClusterAuth;
use serde::{Deserialize, Serialize};
use tls::Dialer;

use crate::http::OWN_FORMAT;
use crate::http_client::{self, HttpError, Sent, strip_scheme};
use crate::identity::{self, Files, Member, format_cluster_id, parse_cluster_id};

/// Between two rounds over all addresses.
const BACKOFF: Duration = Duration::from_secs(1);
/// How long one address may take.
const ASK_DEADLINE: Duration = Duration::from_secs(15);
/// How often it is said again that an address is of no use, and that nobody has a cluster.
const HINT_INTERVAL: Duration = Duration::from_secs(10);

/// What a joiner asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinRequest {
    /// Which of the three requests it is.
    pub stage: Stage,
    /// The directory.
    pub incarnation: Incarnation,
    /// Its number, once it has one.
    pub id: Option<NodeId>,
    /// Present for the meta role.
    pub meta: Option<MetaAddresses>,
    /// Present for the data role.
    pub data: Option<DataAddresses>,
}

/// The steps of a join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Become a member.
    Register,
    /// Become a voter.
    Promote,
    /// Be known under other addresses.
    Update,
}

/// Where a meta node is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetaAddresses {
    /// `host:port` of its admin API.
    #[serde(rename = "httpAddr")]
    pub http_addr: String,
    /// `host:port` of its Raft.
    #[serde(rename = "tcpAddr")]
    pub tcp_addr: String,
}

/// Where a data node is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataAddresses {
    /// `host:port` of its client API.
    #[serde(rename = "httpAddr")]
    pub http_addr: String,
    /// `host:port` of the calls between nodes.
    #[serde(rename = "tcpAddr")]
    pub tcp_addr: String,
    /// Never an owner.
    #[serde(default)]
    pub passive: bool,
}

/// What the leader answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinAnswer {
    /// The member's number.
    pub id: NodeId,
    /// The cluster.
    pub cluster_id: u64,
    /// Admin addresses of the meta nodes.
    pub meta_servers: Vec<String>,
    /// The metadata has the member from this index on.
    pub index: MetaIndex,
    /// See [`Member::recoveries`].
    pub recoveries: u64,
    /// See [`Member::group`].
    pub group: u64,
}

/// A member that has just come in.
#[derive(Clone, Debug)]
pub struct Joined {
    /// Its number.
    pub id: NodeId,
    /// The cluster.
    pub cluster_id: u64,
    /// Admin addresses of the meta nodes.
    pub meta_servers: Vec<String>,
    /// The metadata, with the member in it.
    pub data: Arc<Data>,
}

#[derive(Serialize, Deserialize)]
struct RequestJson {
    stage: Stage,
    incarnation: String,
    #[serde(default)]
    id: Option<u64>,
    #[serde(default)]
    meta: Option<MetaAddresses>,
    #[serde(default)]
    data: Option<DataAddresses>,
}

#[derive(Serialize, Deserialize)]
struct AnswerJson {
    id: u64,
    #[serde(rename = "clusterID")]
    cluster_id: String,
    #[serde(rename = "metaServers")]
    meta_servers: Vec<String>,
    index: u64,
    #[serde(default)]
    recoveries: u64,
    #[serde(default)]
    group: String,
}

/// The body of an answer that is none.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorJson {
    error: String,
    /// The answering node is no member of a cluster itself.
    unjoined: bool,
    /// Who asked is no member of the cluster named below.
    #[serde(rename = "notMember")]
    not_member: bool,
    #[serde(rename = "clusterID")]
    cluster_id: String,
    /// The metadata that says so.
    index: u64,
    #[serde(rename = "maxNodeID")]
    node_id_max: u64,
    /// Of members that went on without others, another one than theirs.
    group: String,
}

/// By which version of the metadata somebody is no member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Judged {
    pub(crate) index: MetaIndex,
    /// The largest number that was given until then.
    pub(crate) node_id_max: NodeId,
    /// Whom members mean by the cluster; see [`identity::Member::group`].
    pub(crate) group: u64,
}

impl Judged {
    /// Whether member `id` of `group`, which knows the metadata at `index`, has been removed by it. One that is older than
    /// what the member has seen, or than the member, comes from a directory that was put back from a copy; one of another
    /// group from members that went on without others, who may well be there.
    pub(crate) fn is_later_than(self, id: NodeId, index: MetaIndex, group: u64) -> bool {
        self.index >= index && self.node_id_max >= id && self.group == group
    }
}

impl JoinRequest {
    /// The request as JSON.
    pub fn to_json(&self) -> Vec<u8> {
        let json = RequestJson {
            stage: self.stage,
            incarnation: self.incarnation.to_string(),
            id: self.id.map(|id| id.0),
            meta: self.meta.clone(),
            data: self.data.clone(),
        };
        serde_json::to_vec(&json).expect("plain values")
    }

    /// Reads what [`JoinRequest::to_json`] wrote. The error says what is wrong with it.
    pub fn from_json(bytes: &[u8]) -> Result<JoinRequest, String> {
        let json: RequestJson = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let incarnation = Incarnation::parse(&json.incarnation).ok_or("incarnation must be 32 hexadecimal digits")?;
        let addresses = [&json.meta.as_ref().map(|meta| [&meta.http_addr, &meta.tcp_addr])];
        let addresses = addresses.into_iter().flatten().flatten();
        let data = json.data.iter().flat_map(|data| [&data.http_addr, &data.tcp_addr]);
        if addresses.copied().chain(data).any(|address| !is_address(address)) {
            return Err("an address must be host:port".to_owned());
        }
        if json.meta.is_none() && json.data.is_none() {
            return Err("a role is required".to_owned());
        }
        Ok(JoinRequest { stage: json.stage, incarnation, id: json.id.map(NodeId), meta: json.meta, data: json.data })
    }
}

impl JoinAnswer {
    /// What a data node without the meta role writes down of it.
    pub(crate) fn into_data_member(self) -> Member {
        Member {
            id: self.id,
            cluster_id: self.cluster_id,
            meta_servers: self.meta_servers,
            meta: false,
            raft_started: false,
            recoveries: self.recoveries,
            group: self.group,
        }
    }

    pub(crate) fn to_json(&self) -> Vec<u8> {
        let json = AnswerJson {
            id: self.id.0,
            cluster_id: format_cluster_id(self.cluster_id),
            meta_servers: self.meta_servers.clone(),
            index: self.index.0,
            recoveries: self.recoveries,
            group: format_cluster_id(self.group),
        };
        serde_json::to_vec(&json).expect("plain values")
    }

    pub(crate) fn from_json(bytes: &[u8]) -> Option<JoinAnswer> {
        let json: AnswerJson = serde_json::from_slice(bytes).ok()?;
        let cluster_id = parse_cluster_id(&json.cluster_id)?;
        Some(JoinAnswer {
            id: NodeId(json.id),
            cluster_id,
            meta_servers: json.meta_servers,
            index: MetaIndex(json.index),
            recoveries: json.recoveries,
            group: parse_cluster_id(&json.group).unwrap_or(cluster_id),
        })
    }
}

/// Reads `bytes` as a request to join and as the answer to one; both come back the same.
pub(crate) fn fuzz(bytes: &[u8]) {
    if let Ok(request) = JoinRequest::from_json(bytes) {
        assert_eq!(JoinRequest::from_json(&request.to_json()), Ok(request));
    }
    if let Some(answer) = JoinAnswer::from_json(bytes) {
        assert_eq!(JoinAnswer::from_json(&answer.to_json()), Some(answer));
    }
}

fn is_address(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// Why one address was of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// It waits for a cluster as we do.
    #[error("it is not part of a cluster")]
    Unjoined,
    /// The leader knows no such member.
    #[error("this node is not a member of cluster {} at index {}", format_cluster_id(*.cluster_id), .by.index)]
    NotMember { cluster_id: u64, by: Judged },
    #[error("{0}")]
    Http(#[from] HttpError),
    #[error("{status}: {message}")]
    Refused { status: StatusCode, message: String },
    #[error("what answers there ({0}) is no meta node of this program; give the address of a meta node's admin API")]
    NoMetaNode(StatusCode),
}

/// What was said of each address, so that the same is not said again each second.
#[derive(Debug, Default)]
struct Said(BTreeMap<String, (String, Duration)>);

impl Said {
    /// Whether `why` is to be told of `address`: it is another reason than before, or [`HINT_INTERVAL`] has passed.
    fn is_due(&mut self, address: &str, why: &str, now: Duration) -> bool {
        let known = self.0.get(address);
        let is_due = known.is_none_or(|(said, at)| said != why || now.saturating_sub(*at) >= HINT_INTERVAL);
        if is_due {
            self.0.insert(address.to_owned(), (why.to_owned(), now));
        }
        is_due
    }
}

/// Makes a data node without the meta role a member and writes `node.json`; nothing is asked when it is one already.
/// Tries for ever.
///
/// # Errors
/// Of this node's disk.
pub async fn join_data(
    dialer: &Dialer,
    auth: &ClusterAuth,
    dir: &Path,
    peers: &[String],
    addresses: DataAddresses,
) -> std::io::Result<Member> {
    let env = dialer.env();
    let incarnation = identity::incarnation(env, dir, Files::NODE).await?;
    if let Some(member) = identity::load_member(env, dir, Files::NODE).await? {
        return Ok(member);
    }
    let request = JoinRequest { stage: Stage::Register, incarnation, id: None, meta: None, data: Some(addresses) };
    let (answer, _) = ask(dialer, auth, peers, &request).await;
    let member = answer.into_data_member();
    identity::store_member(env, dir, Files::NODE, &member).await?;
    Ok(member)
}

/// Fetches the metadata from one of `peers`, at `index` or later. Tries for ever.
pub async fn fetch_data(dialer: &Dialer, auth: &ClusterAuth, peers: &[String], index: MetaIndex) -> Arc<Data> {
    let path = format!("/?format={OWN_FORMAT}&index={}", index.0.saturating_sub(1));
    let mut said = Said::default();
    loop {
        for peer in peers {
            let address = strip_scheme(peer);
            let why = match http_client::request(dialer, auth, address, &path, None, ASK_DEADLINE).await {
                Ok(answer) if answer.status == StatusCode::OK => match decode_snapshot(&answer.body) {
                    Ok(data) => return Arc::new(data),
                    Err(error) => error.to_string(),
                },
                Ok(answer) => answer.status.to_string(),
                Err(error) => error.to_string(),
            };
            if said.is_due(address, &why, dialer.env().monotonic()) {
                tracing::warn!(address, error = why, "metadata cannot be fetched, trying the next address");
            }
        }
        tokio::time::sleep(BACKOFF).await;
    }
}

/// Asks `peers` in turn until one helps; answers which one.
pub(crate) async fn ask(
    dialer: &Dialer,
    auth: &ClusterAuth,
    peers: &[String],
    request: &JoinRequest,
) -> (JoinAnswer, String) {
    let peers: Vec<_> = peers.iter().map(|peer| strip_scheme(peer)).filter(|peer| !peer.is_empty()).collect();
    let mut hinted: Option<Duration> = None;
    let mut said = Said::default();
    loop {
        let mut unjoined = 0;
        for address in &peers {
            match ask_one(dialer, auth, address, request, ASK_DEADLINE).await {
                Ok(answer) => {
                    tracing::info!(address, node = answer.id.0, "joined the cluster");
                    return (answer, (*address).to_owned());
                }
                Err(error) => {
                    unjoined += usize::from(matches!(error, AskError::Unjoined));
                    if said.is_due(address, &error.to_string(), dialer.env().monotonic()) {
                        tracing::warn!(address, %error, "cannot join here, trying again and again");
                    }
                }
            }
        }
        let now = dialer.env().monotonic();
        let due = hinted.is_none_or(|hinted| now.saturating_sub(hinted) >= HINT_INTERVAL);
        if unjoined == peers.len() && due {
            hinted = Some(now);
            let list = peers.join(", ");
            tracing::warn!(
                "none of {list} is part of a cluster yet; start one of them without -join to form the cluster"
            );
        }
        tokio::time::sleep(BACKOFF).await;
    }
}

/// Asks one address.
pub(crate) async fn ask_one(
    dialer: &Dialer,
    auth: &ClusterAuth,
    address: &str,
    request: &JoinRequest,
    deadline: Duration,
) -> Result<JoinAnswer, AskError> {
    let body = Bytes::from(request.to_json());
    let answer = http_client::request(dialer, auth, address, "/join", Some(Sent::Json(body)), deadline).await?;
    if answer.status == StatusCode::OK {
        return JoinAnswer::from_json(&answer.body).ok_or(AskError::NoMetaNode(answer.status));
    }
    let error: ErrorJson = serde_json::from_slice(&answer.body).unwrap_or_default();
    if error.error.is_empty() {
        return Err(AskError::NoMetaNode(answer.status));
    }
    if error.unjoined {
        return Err(AskError::Unjoined);
    }
    if let Some(cluster_id) = parse_cluster_id(&error.cluster_id).filter(|_| error.not_member) {
        let group = parse_cluster_id(&error.group).unwrap_or(cluster_id);
        let by = Judged { index: MetaIndex(error.index), node_id_max: NodeId(error.node_id_max), group };
        return Err(AskError::NotMember { cluster_id, by });
    }
    Err(AskError::Refused { status: answer.status, message: error.error })
}

#[cfg(test)]
mod tests {
    use env::Env;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn request() -> JoinRequest {
        JoinRequest {
            stage: Stage::Register,
            incarnation: Incarnation(5),
            id: None,
            meta: Some(MetaAddresses { http_addr: "a:8091".into(), tcp_addr: "a:8088".into() }),
            data: Some(DataAddresses { http_addr: "a:8086".into(), tcp_addr: "a:8088".into(), passive: false }),
        }
    }

    #[tokio::test]
    async fn who_is_no_meta_node_is_told_apart() {
        for (answer, status) in [
            ("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", "404 Not Found"),
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", "200 OK"),
            ("HTTP/1.1 401 Unauthorized\r\ncontent-length: 16\r\n\r\n{\"message\":\"no\"}", "401 Unauthorized"),
        ] {
            let env = Env::real();
            let listener = env.listen("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("known").to_string();
            let other = env.spawn(async move {
                let (mut stream, _) = listener.accept().await.expect("a caller");
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await.expect("a request");
                stream.write_all(answer.as_bytes()).await.expect("answered");
            });
            let error =
                ask_one(&env.clone().into(), &ClusterAuth::default(), &address, &request(), Duration::from_secs(5))
                    .await
                    .expect_err("no answer");
            let want = format!(
                "what answers there ({status}) is no meta node of this program; give the address of a meta node's admin API"
            );
            assert_eq!(error.to_string(), want);
            other.await;
        }
    }

    #[test]
    fn a_repeated_reason_is_told_every_ten_seconds() {
        let mut said = Said::default();
        let mut told = |why, seconds| said.is_due("a:8091", why, Duration::from_secs(seconds));
        assert!(told("refused", 0));
        assert!((1..10).all(|second| !told("refused", second)));
        assert!(told("refused", 10) && !told("refused", 11));
        assert!(told("404", 12) && told("refused", 13), "another reason is told at once");
        assert!(said.is_due("b:8091", "refused", Duration::from_secs(13)), "each address has its own");
    }

    #[test]
    fn only_who_knows_as_much_can_say_that_a_member_was_removed() {
        let by = |index, max| Judged { index: MetaIndex(index), node_id_max: NodeId(max), group: 5 };
        assert!(by(9, 3).is_later_than(NodeId(3), MetaIndex(9), 5));
        assert!(!by(8, 3).is_later_than(NodeId(3), MetaIndex(9), 5), "it has not seen what the member has");
        assert!(!by(99, 2).is_later_than(NodeId(3), MetaIndex(9), 5), "it has never given that number");
        assert!(!by(99, 99).is_later_than(NodeId(3), MetaIndex(9), 6), "it went on without this member");
    }

    #[test]
    fn requests_and_answers_come_back() {
        assert_eq!(JoinRequest::from_json(&request().to_json()), Ok(request()));
        let answer = JoinAnswer {
            id: NodeId(4),
            cluster_id: u64::MAX,
            meta_servers: vec!["a:8091".into()],
            index: MetaIndex(9),
            recoveries: 1,
            group: 9,
        };
        assert_eq!(JoinAnswer::from_json(&answer.to_json()), Some(answer));
    }

    #[test]
    fn bad_requests_say_what_is_wrong() {
        let check = |change: fn(&mut JoinRequest), want: &str| {
            let mut bad = request();
            change(&mut bad);
            assert_eq!(JoinRequest::from_json(&bad.to_json()), Err(want.to_owned()));
        };
        for address in ["", "a", ":8091", "a:", "a:0", "a:99999"] {
            let mut bad = request();
            bad.meta = Some(MetaAddresses { http_addr: address.into(), tcp_addr: "a:1".into() });
            assert_eq!(JoinRequest::from_json(&bad.to_json()), Err("an address must be host:port".to_owned()));
        }
        check(
            |bad| bad.data = Some(DataAddresses { http_addr: "x".into(), tcp_addr: "a:1".into(), passive: true }),
            "an address must be host:port",
        );
        check(|bad| (bad.meta, bad.data) = (None, None), "a role is required");
        // What 0.10 sends.
        let old = br#"{"ID":0,"Host":"a:8091","TCPHost":"a:8088"}"#;
        assert!(JoinRequest::from_json(old).expect_err("no incarnation").contains("stage"));
        let short = br#"{"stage":"register","incarnation":"5"}"#;
        assert_eq!(JoinRequest::from_json(short), Err("incarnation must be 32 hexadecimal digits".to_owned()));
    }
}
