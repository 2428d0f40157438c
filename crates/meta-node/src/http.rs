//! The admin HTTP API (8091).
//!
//! Answers that only the leader can give are redirected to it with 307; clients send method and body again. Answers that
//! any member can give are given from what this one has.

mod auth;
mod directory;
mod execute;
mod operators;
mod reply;
mod roles;
mod rules;
mod shards;
mod trace;
mod users;
mod wrap;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use bytes::Bytes;
use credentials::{Scheme, Secret};
use http::{Method, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use login::{Directory, Logins};
use meta::Node;
use model::{MetaIndex, NodeId};
use rpc::patient::is_stalled;
use serde_json::{Value, json};
use stdx::form::Fields;
use stdx::human::print_instant;
use telemetry::Metrics;

use self::auth::Refusal;
use self::reply::{Reply, request_id};
use self::trace::Trace;
use crate::admission::JoinRefusal;
use crate::announcements::Announcement;
use crate::arrival;
use crate::join::{JoinAnswer, JoinRequest};
use crate::leases::{NAME_BYTES_MAX, NotGranted};
use crate::node::{MetaNode, Port};

/// Largest request body, in bytes.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// How long another meta node may take to say who leads.
const PING_DEADLINE: std::time::Duration = std::time::Duration::from_secs(2);

/// The value of `format` that asks for the metadata as `meta::codec` has it.
pub(crate) const OWN_FORMAT: &str = "own";

type Response = http::Response<Body>;

/// What the router needs to know besides the node.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Value of `X-Influxdb-Version`, like `1.12.4`.
    pub version: String,
    /// Whether everything but `/ping` is for those who prove who they are.
    pub auth_enabled: bool,
    /// Signs the tokens of users.
    pub shared_secret: Secret,
    /// How passwords of users are hashed.
    pub password_hash: Scheme,
    /// Asks a directory of users, where this build can.
    pub directory: Option<Arc<dyn Directory>>,
    /// Whether operators may have users looked up there.
    pub ldap_allowed: bool,
    /// Whether every request is logged.
    pub tracing: bool,
}

#[derive(Debug)]
struct Admin {
    node: MetaNode,
    config: HttpConfig,
    logins: Arc<Logins>,
}

/// The admin API of a meta node, member or not.
pub fn router(node: MetaNode, config: HttpConfig) -> Router {
    let directory = config.directory.clone();
    let logins = Logins::with(node.0.env.clone(), config.password_hash, directory, &Metrics::new());
    Router::new().fallback(serve).with_state(Arc::new(Admin { node, config, logins }))
}

/// What a data node without the meta role serves on 8091: everything is sent on to a meta node, whose address `target`
/// gives and which is reached by `scheme`. While it gives none the node is not part of a cluster, and says so.
pub fn redirect_router(scheme: &'static str, target: Arc<dyn Fn() -> Option<String> + Send + Sync>) -> Router {
    Router::new().fallback(move |request: Request| {
        let target = target();
        async move {
            match target {
                Some(address) => reply::redirect(&address, request.uri()).with_scheme(scheme).into_response(),
                None => Reply::unjoined().into_response(),
            }
        }
    })
}

async fn serve(State(admin): State<Arc<Admin>>, request: Request) -> Response {
    let gzip = wrap::takes_gzip(request.headers());
    let trace = admin.config.tracing.then(|| Trace::begin(&admin.node.0.env, &request));
    let answer = wrap::contained(answer(&admin, request, trace.as_ref())).await;
    if let Some(trace) = trace {
        trace.log(&admin.node.0.env, &answer);
    }
    if gzip { wrap::compressed(&admin.node.0.env, answer).await } else { answer }
}

async fn answer(admin: &Admin, request: Request, trace: Option<&Trace>) -> Response {
    let (parts, body) = request.into_parts();
    if !matches!(parts.method, Method::GET | Method::POST | Method::DELETE) {
        return Reply::text(StatusCode::BAD_REQUEST, "\n").into_response();
    }
    let id = request_id(&parts.headers, &admin.node.0.env);
    if let Err(why) = admin.check(&parts).await {
        return admin.finish(refused(&why), &id);
    }
    let reply = match (parts.method.as_str(), parts.uri.path()) {
        ("GET", "/") if parameter(parts.uri.query(), "consistent") == Some("true") => admin.newest(&parts.uri).await,
        ("GET", "/") => admin.snapshot(parts.uri.query()).await,
        ("GET", "/ping") => admin.ping(parts.uri.query()).await,
        ("GET", "/status") => admin.status(),
        ("GET", "/peers") => admin.peers(),
        ("GET", "/show-cluster") => admin.show_cluster(),
        ("GET", "/seen") => admin.seen(parts.uri.query()),
        ("GET", "/lease") => admin.lease(&parts.uri).await,
        ("GET", "/user") => admin.users(parts.uri.query()),
        ("GET", "/ldap/v1/config") => admin.show_directory(),
        ("GET", "/ldap/v1/warm-cache") => admin.show_warming().await,
        ("GET", "/role") => admin.roles(parts.uri.query()),
        ("GET", "/influxdb/v2/acl/restrictions") => admin.restrictions(),
        ("GET", "/influxdb/v2/acl/grants") => admin.access_grants(),
        ("DELETE", path) if path.starts_with("/influxdb/v2/acl/") => admin.drop_rule(&parts.uri).await,
        ("GET", "/show-shards") => admin.show_shards(parts.uri.query()).await,
        ("POST", path) if !is_later("POST", path) => match read_body(body).await {
            Ok(body) => {
                if let Some(trace) = trace {
                    trace.tell(path, &body);
                }
                match admin.post(&parts.headers, &body, &parts.uri).await {
                    Some(reply) => reply,
                    None => return Reply::text(StatusCode::NOT_FOUND, "404 page not found\n").into_response(),
                }
            }
            Err(reply) => reply,
        },
        (method, path) if is_later(method, path) => {
            Reply::error(StatusCode::NOT_IMPLEMENTED, &format!("{method} {path} is not available in this release"))
        }
        _ => return Reply::text(StatusCode::NOT_FOUND, "404 page not found\n").into_response(),
    };
    admin.finish(reply, &id)
}

/// Calls that exist and that this release does not serve yet.
fn is_later(method: &str, path: &str) -> bool {
    match method {
        "GET" => matches!(path, "/copy-shard-status" | "/authorized") || path.starts_with("/debug/"),
        "POST" => {
            matches!(path, "/copy-shard" | "/kill-copy-shard" | "/restore-meta" | "/repair" | "/cancel-repair")
        }
        _ => false,
    }
}

fn refused(why: &Refusal) -> Reply {
    match why {
        Refusal::Unknown(why) => Reply::unauthorized(why),
        Refusal::Lacks { .. } => Reply::error(StatusCode::FORBIDDEN, &why.to_string()),
        Refusal::NoAdmin => Reply::error(StatusCode::BAD_REQUEST, &why.to_string()),
        Refusal::TooMany(why) => Reply::error(StatusCode::TOO_MANY_REQUESTS, why),
        Refusal::Later(why) => Reply::error(StatusCode::SERVICE_UNAVAILABLE, why),
    }
}

async fn read_body(body: Body) -> Result<Bytes, Reply> {
    match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) => Err(unread(error.as_ref())),
    }
}

/// The answer to a body that could not be read to its end.
fn unread(error: &(dyn std::error::Error + 'static)) -> Reply {
    if error.is::<LengthLimitError>() {
        return Reply::too_large();
    }
    let status = if is_stalled(error) { StatusCode::REQUEST_TIMEOUT } else { StatusCode::BAD_REQUEST };
    Reply::error(status, &error.to_string())
}

impl Admin {
    /// Puts the headers on that every answer has.
    fn finish(&self, reply: Reply, id: &str) -> Response {
        reply
            .with_scheme(self.node.dialer(Port::Admin).scheme())
            .header("X-Influxdb-Version", &self.config.version)
            .header("Influxdb-Metaindex", &self.node.data().index().to_string())
            .header("Request-Id", id)
            .header("X-Request-Id", id)
            .into_response()
    }

    /// Blocks until there is metadata above the index of the client. Our own nodes ask for their own encoding, everyone
    /// else gets the document of the reference.
    async fn snapshot(&self, query: Option<&str>) -> Reply {
        let index = parameter(query, "index").unwrap_or("0");
        let Ok(index) = index.parse() else {
            return Reply::error(StatusCode::BAD_REQUEST, "error parsing index");
        };
        if self.node.member().is_none() {
            return Reply::unjoined();
        }
        let own = parameter(query, "format") == Some(OWN_FORMAT);
        let bytes = async {
            if own { self.node.snapshot_after(MetaIndex(index)).await.1 } else { self.document_after(index).await }
        };
        tokio::select! {
            bytes = bytes => Reply::bytes(bytes),
            () = self.node.closed() => Reply::error(StatusCode::INTERNAL_SERVER_ERROR, "server closed"),
        }
    }

    async fn document_after(&self, index: u64) -> Bytes {
        self.document(self.node.data_after(MetaIndex(index)).await).await
    }

    async fn document(&self, data: Arc<meta::Data>) -> Bytes {
        let term = self.node.term();
        Bytes::from(self.node.0.env.blocking(move || meta::published::encode_document(&data, term)).await)
    }

    /// The metadata with everything that was decided before the question: the leader gives it, once a majority has told it
    /// that it still leads.
    async fn newest(&self, uri: &http::Uri) -> Reply {
        match self.node.ensure_linearizable().await {
            Ok(data) if parameter(uri.query(), "format") == Some(OWN_FORMAT) => {
                Reply::bytes(self.node.encoded(data).await.1)
            }
            Ok(data) => Reply::bytes(self.document(data).await),
            Err(error) => operators::refused(&error.into(), uri),
        }
    }

    /// The Raft address of the leader; empty while there is none.
    async fn ping(&self, query: Option<&str>) -> Reply {
        let leader = self.node.leader().map(|leader| leader.tcp_addr).unwrap_or_default();
        if parameter(query, "all").is_none() {
            return Reply::text(StatusCode::OK, &leader);
        }
        let data = self.node.data();
        let others = data.meta_nodes().filter(|node| Some(node.id) != self.node.id());
        for meta in others.filter_map(|node| node.meta.as_ref()) {
            let answer = self.node.request(Port::Admin, &meta.http_addr, "/ping", None, PING_DEADLINE).await;
            let agrees = answer.is_ok_and(|answer| answer.status == StatusCode::OK && answer.body == leader);
            if !agrees {
                return Reply::error(StatusCode::INTERNAL_SERVER_ERROR, "one or more metaservers not up");
            }
        }
        Reply::text(StatusCode::OK, &leader)
    }

    /// Besides the documented keys, the identity of the directory: the leader asks for it before it lets somebody else
    /// have this address.
    fn status(&self) -> Reply {
        let status = self.node.status();
        let config = self.node.config();
        let peers = (status.id.is_some()).then_some(status.peers);
        let data = self.node.data();
        let holds_data = status.id.and_then(|id| data.node(id)).is_some_and(|node| node.data.is_some());
        Reply::json(&json!({
            "nodeType": "meta",
            "leader": status.leader.map(|leader| leader.tcp_addr).unwrap_or_default(),
            "httpAddr": config.http_addr,
            "raftAddr": config.tcp_addr,
            "peers": peers,
            "incarnation": self.node.incarnation().to_string(),
            "holdsData": holds_data,
        }))
    }

    /// For a member that starts: what this one has seen of it, or that the cluster went another way since.
    fn seen(&self, query: Option<&str>) -> Reply {
        let cluster = parameter(query, "cluster").unwrap_or_default();
        let number = |name: &str| parameter(query, name).and_then(|number| number.parse().ok()).unwrap_or(0);
        let group = parameter(query, "group").unwrap_or(cluster);
        match self.node.recovered_since(cluster, number("recoveries"), group) {
            Some(recovered) => Reply::json(&json!(recovered)),
            None => Reply::json(&json!(self.node.seen_of(cluster, number("id")))),
        }
    }

    fn peers(&self) -> Reply {
        let status = self.node.status();
        Reply::json(&json!(status.id.map(|_| status.peers)))
    }

    /// Who may do what must be done once. Both spellings of the node's parameter are in use.
    async fn lease(&self, uri: &http::Uri) -> Reply {
        let fields = Fields::parse(uri.query().unwrap_or_default().as_bytes());
        let wrong = |text: &str| Reply::text(StatusCode::BAD_REQUEST, text);
        let name = fields.get("name");
        if name.is_empty() {
            return wrong("lease name required");
        }
        if name.len() > NAME_BYTES_MAX {
            return wrong("lease name too long");
        }
        let id = Some(fields.get("nodeid")).filter(|id| !id.is_empty()).unwrap_or_else(|| fields.get("node_id"));
        if id.is_empty() {
            return wrong("node ID required");
        }
        let Ok(id) = id.parse() else { return wrong("invalid node ID") };
        let (status, lease) = match self.node.lease(name, NodeId(id)).await {
            Ok(Ok(lease)) => (StatusCode::OK, lease),
            Ok(Err(NotGranted::Held(lease))) => (StatusCode::CONFLICT, lease),
            Ok(Err(why @ NotGranted::NoMember)) => return wrong(&why.to_string()),
            Ok(Err(why @ NotGranted::Full)) => return Reply::error(StatusCode::SERVICE_UNAVAILABLE, &why.to_string()),
            Err(error) => return operators::refused(&error.into(), uri),
        };
        let left = lease.expires.saturating_sub(self.node.0.env.monotonic());
        let expiration = self.node.0.env.now().0.saturating_add(i64::try_from(left.as_nanos()).unwrap_or(i64::MAX));
        Reply::json_with(
            status,
            &json!({
                "name": lease.name,
                "expiration": print_instant(expiration),
                "owner": lease.owner.0,
                "fence": [lease.fence.0, lease.fence.1],
            }),
        )
    }

    fn show_cluster(&self) -> Reply {
        let data = self.node.data();
        let data_nodes = data.data_nodes().map(|node| self.data_node(node));
        let meta_nodes = data.meta_nodes().map(|node| self.meta_node(node));
        Reply::json(&json!({
            "data": data_nodes.collect::<Vec<_>>(),
            "meta": meta_nodes.collect::<Vec<_>>(),
            "openPorts": !self.node.config().auth.is_on(),
        }))
    }

    /// A data node as operators are shown it. Two names for the address of clients, for programs know one or the other.
    fn data_node(&self, node: &Node) -> Value {
        let Some(role) = &node.data else { return Value::Null };
        let said = self.node.announcement_of(&role.tcp_addr);
        // What a node with both roles says is of its admin API.
        let client_scheme = said.as_ref().and_then(|said| said.client_scheme.clone());
        json!({
            "id": node.id.0,
            "tcpAddr": role.tcp_addr,
            "httpAddr": role.http_addr,
            "addr": role.http_addr,
            "httpScheme": client_scheme.unwrap_or_else(|| scheme(said.as_ref()).to_owned()),
            "status": "joined",
            "version": said.map(|said| said.version).unwrap_or_default(),
            "labels": node.labels,
            "passive": role.passive,
        })
    }

    fn meta_node(&self, node: &Node) -> Value {
        let Some(role) = &node.meta else { return Value::Null };
        let said = self.node.announcement_of(&role.tcp_addr);
        json!({
            "id": node.id.0,
            "addr": role.http_addr,
            "httpScheme": scheme(said.as_ref()),
            "tcpAddr": role.tcp_addr,
            "version": said.map(|said| said.version).unwrap_or_default(),
            "labels": node.labels,
        })
    }

    /// A step that a joining node asks for; see [`crate::join`].
    async fn join(&self, body: &[u8], uri: &http::Uri) -> Reply {
        let request = match JoinRequest::from_json(body) {
            Ok(request) => request,
            Err(why) => return Reply::error(StatusCode::BAD_REQUEST, &format!("bad join request: {why}")),
        };
        self.admitted(self.node.admit(request).await, uri)
    }

    /// A node that was alone comes with what it holds; see [`crate::arrival`].
    async fn bring(&self, body: &[u8], uri: &http::Uri) -> Reply {
        match self.node.bring(body).await {
            Err(JoinRefusal::Rejected(rejection)) => {
                Reply::json_with(StatusCode::BAD_REQUEST, &arrival::rejected(&rejection))
            }
            answer => self.admitted(answer, uri),
        }
    }

    fn admitted(&self, answer: Result<JoinAnswer, JoinRefusal>, uri: &http::Uri) -> Reply {
        match answer {
            Ok(answer) => Reply::json_bytes(answer.to_json()),
            Err(JoinRefusal::Unjoined) => Reply::unjoined(),
            Err(JoinRefusal::NotLeader(leader)) if !leader.http_addr.is_empty() => {
                reply::redirect(&leader.http_addr, uri)
            }
            Err(refusal @ JoinRefusal::NotMember(_)) => {
                Reply::not_member(&refusal.to_string(), &self.node.data(), self.node.group())
            }
            Err(refusal) => Reply::error(status_of(&refusal), &refusal.to_string()),
        }
    }
}

/// How a node is to be asked.
fn scheme(said: Option<&Announcement>) -> &str {
    said.map(|said| said.http_scheme.as_str()).filter(|scheme| !scheme.is_empty()).unwrap_or("http")
}

fn status_of(refusal: &JoinRefusal) -> StatusCode {
    match refusal {
        JoinRefusal::Unjoined
        | JoinRefusal::NotLeader(_)
        | JoinRefusal::NoLeader
        | JoinRefusal::Membership(_)
        | JoinRefusal::Leaving(_)
        | JoinRefusal::Failed(_) => StatusCode::SERVICE_UNAVAILABLE,
        JoinRefusal::AddressInUse { .. } | JoinRefusal::Elsewhere(_) => StatusCode::CONFLICT,
        JoinRefusal::NotMember(_) => StatusCode::NOT_FOUND,
        JoinRefusal::Rejected(_) | JoinRefusal::Malformed(_) => StatusCode::BAD_REQUEST,
    }
}

/// The first value of a query parameter, as it was sent. The values here are numbers and words.
fn parameter<'a>(query: Option<&'a str>, name: &str) -> Option<&'a str> {
    query?.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use rpc::patient::Stalled;

    use super::*;

    #[tokio::test]
    async fn a_body_that_is_too_long_or_stands_still_is_refused() {
        let status = async |body: Body| match read_body(body).await {
            Ok(_) => StatusCode::OK,
            Err(reply) => reply.into_response().status(),
        };
        assert_eq!(status(Body::from(vec![0; BODY_BYTES_MAX])).await, StatusCode::OK);
        assert_eq!(status(Body::from(vec![0; BODY_BYTES_MAX + 1])).await, StatusCode::PAYLOAD_TOO_LARGE);
        let cut = |error: Box<dyn std::error::Error + Send + Sync>| {
            Body::from_stream(stream::iter([Ok(Bytes::from_static(b"half")), Err(error)]))
        };
        assert_eq!(status(cut(Stalled.into())).await, StatusCode::REQUEST_TIMEOUT);
        assert_eq!(status(cut("gone".into())).await, StatusCode::BAD_REQUEST);
    }
}
