//! How a data node waits to be added to a cluster, is added, and is told to leave: the calls of meta nodes to the port for
//! calls between nodes, and what clients are answered meanwhile.
//!
//! A node that has left is marked so (`meta_node::identity`); the next start empties its directories.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use config::DataNodeConfig;
use env::{Env, Fs};
use http::{HeaderMap, StatusCode};
use login::Logins;
use meta::Incarnation;
use meta_client::MetaClient;
use meta_node::gossip::{tell_all, tell_one};
use meta_node::identity::{self, Files, Member};
use meta_node::{Announcement, DataAddresses, Enter, HeldShard, Leave, WarmAnswer, WarmOrder};
use model::MetaIndex;
use rpc::ClusterAuth;
use storage::Store;
use tls::Dialer;
use tokio::sync::{mpsc, oneshot, watch};

use crate::node::Addresses;
use crate::tls::NodeTls;
use crate::{CLUSTER_VERSION, COMPATIBLE_VERSION};

/// How long a node that is being added tries to join.
const ENTER_DEADLINE: Duration = Duration::from_secs(20);
/// Largest body of such a call, bytes.
const BODY_BYTES_MAX: usize = 1 << 20;
/// How long such a call waits for metadata that its caller has.
const CATCH_UP_MAX: Duration = Duration::from_secs(3);
/// The file that says, in the words of other tools, which meta nodes there are. It is there while the node is a member.
const CLIENT_JSON: &str = "client.json";

/// Somebody wants this node in a cluster; the answer goes to whoever asked.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) enter: Enter,
    pub(crate) answer: oneshot::Sender<Result<(), String>>,
}

/// The node's end of the calls.
#[derive(Debug)]
pub(crate) struct Membership {
    pub(crate) calls: mpsc::Receiver<Call>,
    /// Turned to true once the node is marked as having left.
    pub(crate) left: watch::Sender<bool>,
}

/// The directory that the node runs on.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) incarnation: Incarnation,
    /// A meta node in this process has an identity that stays.
    pub(crate) has_meta_role: bool,
    /// Its shards, if it holds points.
    pub(crate) store: Option<Arc<Store>>,
    /// Checks the passwords of its clients.
    pub(crate) logins: Arc<Logins>,
    /// How many databases it holds, if it stood alone and waits to be brought into a cluster.
    pub(crate) brings: Option<usize>,
}

/// What the calls are answered from.
#[derive(Clone)]
struct Door {
    env: Env,
    meta_dir: PathBuf,
    addresses: Addresses,
    meta: Arc<MetaClient>,
    incarnation: Incarnation,
    has_meta_role: bool,
    auth: ClusterAuth,
    store: Option<Arc<Store>>,
    logins: Arc<Logins>,
    clients_log_in: bool,
    brings: Option<usize>,
    cold_after: Duration,
    calls: mpsc::Sender<Call>,
    left: watch::Sender<bool>,
}

/// The routes `/status`, `/shards`, `/warm-cache`, `/enter` and `/leave`, and the node's end of them.
pub(crate) fn open(
    env: &Env,
    config: &DataNodeConfig,
    addresses: &Addresses,
    meta: &Arc<MetaClient>,
    directory: Directory,
    auth: &ClusterAuth,
) -> (Router, Membership) {
    let (calls, received) = mpsc::channel(1);
    let left = watch::Sender::new(false);
    let door = Door {
        env: env.clone(),
        meta_dir: config.meta_dir.clone(),
        addresses: addresses.clone(),
        meta: Arc::clone(meta),
        incarnation: directory.incarnation,
        has_meta_role: directory.has_meta_role,
        auth: auth.clone(),
        store: directory.store,
        logins: directory.logins,
        clients_log_in: config.http_auth,
        brings: directory.brings,
        cold_after: config.cold_after,
        calls,
        left: left.clone(),
    };
    let (enter, leave, shards) = (door.clone(), door.clone(), door.clone());
    let (warm, warming) = (door.clone(), door.clone());
    let routes = Router::new()
        .route("/status", axum::routing::get(move || async move { door.status() }))
        .route("/shards", axum::routing::get(move |headers: HeaderMap| async move { shards.shards(&headers).await }))
        .route(
            "/warm-cache",
            axum::routing::get(move |headers: HeaderMap| async move { warming.warm(&headers, None).await })
                .post(move |headers: HeaderMap, body: Bytes| async move { warm.warm(&headers, Some(&body)).await }),
        )
        .route(
            "/enter",
            axum::routing::post(
                move |headers: HeaderMap, body: Bytes| async move { enter.enter(&headers, &body).await },
            ),
        )
        .route(
            "/leave",
            axum::routing::post(
                move |headers: HeaderMap, body: Bytes| async move { leave.leave(&headers, &body).await },
            ),
        )
        .layer(axum::extract::DefaultBodyLimit::max(BODY_BYTES_MAX));
    (routes, Membership { calls: received, left })
}

impl Door {
    fn status(&self) -> Response {
        let members = servers(&self.meta);
        let host = self.addresses.rpc.rsplit_once(':').map_or(self.addresses.rpc.as_str(), |(host, _)| host);
        let mut document = serde_json::json!({
            "nodeType": "data",
            "hostname": host,
            "tcpBind": self.addresses.rpc,
            "tcpAddr": self.addresses.rpc,
            "httpAddr": self.addresses.http,
            "nodeStatus": if members.is_empty() { "disjoined" } else { "joined" },
            "metaAddrs": members,
            "incarnation": self.incarnation.to_string(),
        });
        if self.has_meta_role && self.meta.data().nodes().len() == 1 {
            document["standsAlone"] = serde_json::json!(true);
        }
        if let Some(databases) = self.brings {
            document["databases"] = serde_json::json!(databases);
        }
        json(StatusCode::OK, &document)
    }

    fn no_proof(&self, why: &str) -> String {
        format!(
            "{} does not trust who asks: {why}; is the secret of the cluster the same on all nodes?",
            self.addresses.rpc
        )
    }

    /// What lies on this node's disk.
    async fn shards(&self, headers: &HeaderMap) -> Response {
        if let Err(why) = self.auth.check_headers(headers) {
            return refusal(StatusCode::UNAUTHORIZED, &self.no_proof(&why));
        }
        let infos = match self.store.clone() {
            Some(store) => self.env.blocking(move || store.shards()).await,
            None => Vec::new(),
        };
        let cold_before =
            self.env.now().0.saturating_sub(i64::try_from(self.cold_after.as_nanos()).unwrap_or(i64::MAX));
        let held = infos.into_iter().map(|info| {
            let last_modified = i64::try_from(info.clock_max).unwrap_or(i64::MAX);
            HeldShard {
                id: info.id.0,
                database: info.db,
                policy: info.rp,
                size: info.bytes,
                last_modified,
                hot: last_modified >= cold_before,
                err: info.damage,
            }
        });
        json(StatusCode::OK, &serde_json::json!(held.collect::<Vec<_>>()))
    }

    /// Has the members of groups read ahead of logins, or ends that; answers how it stands.
    async fn warm(&self, headers: &HeaderMap, order: Option<&[u8]>) -> Response {
        if let Err(why) = self.auth.check_headers(headers) {
            return refusal(StatusCode::UNAUTHORIZED, &self.no_proof(&why));
        }
        if let Some(order) = order {
            let Ok(order) = serde_json::from_slice::<WarmOrder>(order) else {
                return refusal(StatusCode::BAD_REQUEST, "bad request to read groups ahead");
            };
            if let Err(why) = self.carry_out(order).await {
                return refusal(StatusCode::CONFLICT, &why);
            }
        }
        let status = self.logins.warm_status(&self.meta.data());
        let answer = WarmAnswer {
            state: status.state.word().to_owned(),
            groups: status.groups,
            groups_read: status.groups_read,
            members: status.members,
            message: status.why,
        };
        json(StatusCode::OK, &serde_json::json!(answer))
    }

    async fn carry_out(&self, order: WarmOrder) -> Result<(), String> {
        if order.cancel {
            self.logins.cancel_warming();
            return Ok(());
        }
        if !self.clients_log_in {
            return Err("nobody logs in to this node: auth-enabled in its [http] section is false".to_owned());
        }
        if !self.meta.wait_for(MetaIndex(order.meta_index), CATCH_UP_MAX).await {
            return Err("this node has not heard of the newest metadata yet; try again".to_owned());
        }
        self.logins.warm(&self.meta.data()).map_err(|error| error.to_string())
    }

    async fn enter(&self, headers: &HeaderMap, body: &[u8]) -> Response {
        if let Err(why) = self.auth.check_headers(headers) {
            return refusal(StatusCode::UNAUTHORIZED, &self.no_proof(&why));
        }
        let Ok(enter) = serde_json::from_slice::<Enter>(body) else {
            return refusal(StatusCode::BAD_REQUEST, "bad request to join");
        };
        let (answer, answered) = oneshot::channel();
        if self.calls.try_send(Call { enter, answer }).is_err() {
            return refusal(StatusCode::INTERNAL_SERVER_ERROR, "already joined to cluster");
        }
        match answered.await {
            Ok(Ok(())) => StatusCode::NO_CONTENT.into_response(),
            Ok(Err(why)) => refusal(StatusCode::INTERNAL_SERVER_ERROR, &why),
            Err(_) => refusal(StatusCode::INTERNAL_SERVER_ERROR, "the node stopped meanwhile"),
        }
    }

    async fn leave(&self, headers: &HeaderMap, body: &[u8]) -> Response {
        if let Err(why) = self.auth.check_headers(headers) {
            return refusal(StatusCode::UNAUTHORIZED, &self.no_proof(&why));
        }
        let wanted = serde_json::from_slice::<Leave>(body).ok();
        let is_meant = wanted.and_then(|leave| Incarnation::parse(&leave.incarnation)) == Some(self.incarnation);
        if !is_meant {
            return refusal(StatusCode::BAD_REQUEST, "this is another node");
        }
        if self.brings.is_some() {
            let why = "this data node does not know yet whether the cluster has taken it, and keeps what it holds: add it again";
            return refusal(StatusCode::CONFLICT, why);
        }
        if self.has_meta_role {
            let why = "the node was removed as a data node; it is a meta node, too, and keeps its files until it is \
                       started with [data] enabled = false";
            return refusal(StatusCode::CONFLICT, why);
        }
        match identity::mark_left(&self.env, &self.meta_dir, Files::NODE).await {
            Ok(()) => {
                self.left.send_replace(true);
                StatusCode::NO_CONTENT.into_response()
            }
            Err(error) => refusal(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        }
    }
}

fn json(status: StatusCode, document: &serde_json::Value) -> Response {
    (status, [("content-type", "application/json")], format!("{document}\n")).into_response()
}

fn refusal(status: StatusCode, why: &str) -> Response {
    json(status, &serde_json::json!({ "error": why }))
}

/// Waits until a meta node wants this node and the join has worked. What is returned is to be told once the node serves.
pub(crate) async fn wait_to_be_added(
    to_meta: &Dialer,
    auth: &ClusterAuth,
    config: &DataNodeConfig,
    addresses: &Addresses,
    calls: &mut mpsc::Receiver<Call>,
) -> anyhow::Result<(Member, oneshot::Sender<Result<(), String>>)> {
    tracing::info!(
        "this data node is in no cluster yet and waits; run on a meta node: influxd-ctl add-data {}",
        addresses.rpc
    );
    loop {
        let Some(Call { enter, answer }) = calls.recv().await else {
            return Err(anyhow!("the port for calls between nodes was closed"));
        };
        let data = DataAddresses {
            http_addr: addresses.http.clone(),
            tcp_addr: addresses.rpc.clone(),
            passive: enter.passive,
        };
        let joining = meta_node::join::join_data(to_meta, auth, &config.meta_dir, &enter.meta_servers, data);
        match tokio::time::timeout(ENTER_DEADLINE, joining).await {
            Ok(joined) => return Ok((joined?, answer)),
            Err(_) => {
                let why = format!("no leader in meta servers: [{}]", enter.meta_servers.join(" "));
                tracing::warn!(why, "this node was not added");
                // Whoever asked may have gone.
                let _ = answer.send(Err(why));
            }
        }
    }
}

/// What clients are told by a node that is in no cluster: that it is there, and that it can do nothing.
pub(crate) fn waiting_app() -> Router {
    Router::new().fallback(|request: Request| async move {
        let answer = match request.uri().path() {
            "/ping" | "/status" => StatusCode::NO_CONTENT.into_response(),
            "/health" => json(
                StatusCode::OK,
                &serde_json::json!({
                    "checks": [],
                    "message": "waits to be added to a cluster",
                    "name": "influxdb",
                    "status": "pass",
                    "version": COMPATIBLE_VERSION,
                }),
            ),
            _ => refusal(StatusCode::SERVICE_UNAVAILABLE, "not joined to a cluster"),
        };
        ([("X-Influxdb-Version", COMPATIBLE_VERSION), ("X-Influxdb-Build", "ENT")], answer)
    })
}

/// Empties the directories of a node that has left. A crash on the way is made up for by the next start.
pub(crate) async fn finish_leaving(env: &Env, config: &DataNodeConfig) -> anyhow::Result<()> {
    if !identity::has_left(env, &config.meta_dir, Files::NODE).await? {
        return Ok(());
    }
    tracing::info!("this node has left its cluster; its directories are emptied");
    let (fs, meta_dir) = (Arc::clone(env.fs()), config.meta_dir.clone());
    let dirs = [config.data_dir.clone(), config.handoff_dir.clone()];
    let emptying = move || {
        // The directories stay: each may be the root of a disk.
        dirs.iter().try_for_each(|dir| empty(&*fs, dir))?;
        for file in [crate::node::CLIENT_FILE, crate::node::CLIENT_CHANGES, CLIENT_JSON] {
            let path = meta_dir.join(file);
            if fs.exists(&path)? {
                fs.remove_file(&path)?;
            }
        }
        std::io::Result::Ok(())
    };
    env.blocking(emptying).await.context("empty the directories of a node that has left")?;
    identity::clear(env, &config.meta_dir, Files::NODE, false).await?;
    Ok(())
}

/// Removes all that lies in a directory, durably.
pub(crate) fn empty(fs: &dyn Fs, dir: &Path) -> std::io::Result<()> {
    if !fs.exists(dir)? {
        return Ok(());
    }
    for entry in fs.list(dir)? {
        let path = dir.join(&entry.name);
        if entry.is_dir { fs.remove_dir_all(&path)? } else { fs.remove_file(&path)? }
    }
    fs.sync_dir(dir)
}

/// Keeps `client.json` in step with the metadata, for ever.
pub(crate) async fn keep_client_json(env: Env, meta_dir: PathBuf, meta: Arc<MetaClient>) {
    let mut written: Option<Vec<String>> = None;
    let mut changes = meta.subscribe();
    loop {
        let servers = servers(&meta);
        if !servers.is_empty() && written.as_ref() != Some(&servers) {
            match write_client_json(&env, &meta_dir, &servers).await {
                Ok(()) => written = Some(servers),
                Err(error) => tracing::warn!(%error, "{CLIENT_JSON} cannot be written"),
            }
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

async fn write_client_json(env: &Env, meta_dir: &Path, servers: &[String]) -> std::io::Result<()> {
    let (fs, path) = (Arc::clone(env.fs()), meta_dir.join(CLIENT_JSON));
    let text = serde_json::json!({ "MetaServers": servers }).to_string();
    env.blocking(move || fs.replace(&path, text.as_bytes())).await
}

fn servers(meta: &MetaClient) -> Vec<String> {
    let data = meta.data();
    data.meta_nodes().filter_map(|node| Some(node.meta.as_ref()?.http_addr.clone())).collect()
}

/// Tells meta nodes what this data node runs: all of them at first, then one every `interval`, for ever.
pub(crate) async fn announce(
    tls: NodeTls,
    auth: ClusterAuth,
    addresses: Addresses,
    meta: Arc<MetaClient>,
    interval: Duration,
) {
    let announcement = || Announcement {
        tcp_addr: addresses.rpc.clone(),
        http_addr: addresses.http.clone(),
        http_scheme: tls.clients.scheme().to_owned(),
        time: tls.to_meta.env().now().0,
        node_type: "data".to_owned(),
        status: "joined".to_owned(),
        context: None,
        age: None,
        version: CLUSTER_VERSION.to_owned(),
        client_scheme: None,
    };
    tell_all(&tls.to_meta, &auth, &servers(&meta), &announcement()).await;
    loop {
        tokio::time::sleep(interval).await;
        tell_one(&tls.to_meta, &auth, &servers(&meta), &announcement()).await;
    }
}
