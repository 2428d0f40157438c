//! A node from start to stop.
//!
//! Order of the start: the directories are looked at, then locked and opened; the listener for peers and the admin API
//! answer (a joining node needs both); the node becomes a member; its copy of the metadata, its shards and its queues are
//! wired together; the background work begins; clients are served last. Stopping goes the other way: clients are drained
//! first, then logs are synced and closed.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use axum::Router;
use cluster::budget::QueryMemory;
use cluster::hints::HintSender;
use cluster::shard_server::Parts;
use cluster::{
    HybridClock, LocalShards, MetaEndpoint, Peers, PointsWriter, QueryLimits, Repair, ShardServer, Statements, expire,
};
use config::{DataNodeConfig, Mode};
use env::{DirLock, Env, TaskHandle};
use hinted_handoff::Queues;
use http_api::config as http_limits;
use meta::{Command, Data, Incarnation};
use meta_client::{MetaClient, MetaLink};
use meta_node::http::HttpConfig;
use meta_node::{DataAddresses, MetaConfig, MetaNode, Timeouts};
use model::NodeId;
use rpc::Channels;
use storage::{Store, StoreConfig};
use telemetry::Metrics;
use tokio::sync::watch;

use crate::COMPATIBLE_VERSION;
use crate::link::RemoteMeta;
use crate::meta_endpoint::{LocalMeta, RaftOverRpc};
use crate::services::{NodeStatus, Queries, Writes};

/// Entries of the Raft log between two snapshots.
const SNAPSHOT_ENTRIES: u64 = 1_000;
/// The least memory for queries where the configuration names none.
const QUERY_MEMORY_MIN: u64 = 256 << 20;
/// The file with the node's copy of the metadata.
const CLIENT_FILE: &str = "client.meta";
/// Locked in the metadata directory by a node that holds shards. A meta node has a lock of its own there, so that one of
/// each kind may share the directory.
const CLIENT_LOCK: &str = "client.lock";
/// Pause between attempts to register addresses.
const REGISTER_PAUSE: Duration = Duration::from_millis(200);
/// How long a stopping node waits for its clients.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// A running node.
#[derive(Debug)]
pub struct Node {
    env: Env,
    /// Turned to true once, when the node stops.
    stop: watch::Sender<bool>,
    clients: TaskHandle<()>,
    background: Vec<TaskHandle<()>>,
    store: Option<Arc<Store>>,
    handoff: Option<Arc<Queues>>,
    meta_node: Option<MetaNode>,
    id: NodeId,
    _lock: Option<Box<dyn DirLock>>,
}

/// What the mode of a configuration means here.
#[derive(Clone, Debug)]
struct Roles {
    join: Vec<String>,
    meta: bool,
    data: bool,
}

/// Addresses under which others reach the node.
#[derive(Clone, Debug)]
struct Addresses {
    http: String,
    rpc: String,
    meta_http: String,
}

impl Node {
    /// Starts a node; returns once it serves clients. Joining takes as long as it takes.
    ///
    /// # Errors
    /// What stops a node from starting, in a sentence.
    pub async fn start(env: Env, config: DataNodeConfig, command_line: Vec<String>) -> anyhow::Result<Node> {
        let started = env.now();
        let roles = roles(&env, &config).await?;
        let addresses = Addresses {
            http: config.advertised(&config.http_bind),
            rpc: config.advertised(&config.rpc_bind),
            meta_http: config.advertised(&config.meta_http_bind),
        };
        let metrics = Metrics::new();
        let (stop, stopped) = watch::channel(false);
        let mut background = Vec::new();

        check_directories(&env, &config, &roles).await?;
        let lock = lock_metadata(&env, &config, &roles).await?;
        let handoff = open_handoff(&env, &config).await?;
        let store = open_store(&env, &config, &roles).await?;
        let channels = Arc::new(Channels::new(env.clone(), config.dial_timeout));
        let remote = RemoteMeta::new(Arc::clone(&channels), Vec::new());
        let meta_node = match roles.meta {
            true => Some(start_meta_node(&env, &config, &addresses, &channels).await?),
            false => None,
        };
        let local_meta = meta_node.clone().map(|node| Arc::new(LocalMeta::new(node, Arc::clone(&remote))));
        let link: Arc<dyn MetaLink> = match &local_meta {
            Some(local) => Arc::clone(local) as Arc<dyn MetaLink>,
            None => Arc::clone(&remote) as Arc<dyn MetaLink>,
        };
        let meta = MetaClient::open(env.clone(), config.meta_dir.join(CLIENT_FILE), link)?;
        remote.follow(&meta);

        // Peers and joining nodes are answered before this node is a member.
        let endpoint = local_meta.map(|local| local as Arc<dyn MetaEndpoint>);
        let server = ShardServer::new(env.clone(), endpoint);
        let listener = listen(&env, "[meta] bind-address", &config.rpc_bind).await?;
        let incarnation = match &meta_node {
            Some(node) => node.incarnation(),
            None => meta_node::identity::incarnation(&env, &config.meta_dir).await?,
        };
        let app = rpc::server::routes(server.clone()).merge(status_route(&addresses, &meta, incarnation));
        background.push(serve(&env, listener, app, &stopped));
        let listener = listen(&env, "[meta] http-bind-address", &config.meta_http_bind).await?;
        background.push(serve(&env, listener, admin_app(&meta_node, &meta), &stopped));

        let id = become_member(&env, &config, &roles, &addresses, meta_node.as_ref(), &meta).await?;
        background.push(env.spawn(Arc::clone(&meta).run()));
        background.push(env.spawn(keep_registered(roles.clone(), addresses.clone(), Arc::clone(&meta), id)));

        let seen = match store.clone() {
            Some(store) => env.blocking(move || store.clock_max()).await,
            None => 0,
        };
        let clock = Arc::new(HybridClock::new(env.clone(), seen));
        let peers = Peers::new(env.clone(), id, Arc::clone(&meta), Arc::clone(&clock), channels, &metrics);
        let local = store.clone().map(|store| Arc::new(LocalShards::new(id, Arc::clone(&meta), store)));
        let memory = query_memory(&env, &config, &metrics);
        server.complete(Parts {
            meta: Arc::clone(&meta),
            local: local.clone(),
            peers: Arc::clone(&peers),
            handoff: handoff.clone(),
            memory: Arc::clone(&memory),
        });
        background.push(env.spawn(Arc::clone(&peers).run_heartbeats()));
        if let Some(local) = &local {
            let learning = Arc::clone(local);
            background.push(env.spawn(async move { learning.learn_start().await }));
            background.extend(shard_work(&env, &config, &meta, local, &peers, handoff.as_ref(), &metrics));
        }
        if let Some(handoff) = &handoff {
            let sender = HintSender::new(Arc::clone(&meta), Arc::clone(&peers), config.write_timeout);
            let draining = hinted_handoff::drain(Arc::clone(handoff), Arc::new(sender), stopped.clone());
            background.push(env.spawn(draining));
            background.push(env.spawn(cluster::hints::wake_returned(Arc::clone(handoff), peers.subscribe())));
        }
        let writer = PointsWriter::new(
            env.clone(),
            Arc::clone(&meta),
            local.clone(),
            Arc::clone(&peers),
            handoff.clone(),
            clock,
            config.write_timeout,
            &metrics,
        );
        let limits = QueryLimits {
            concurrent_max: config.concurrent_queries_max,
            timeout: config.query_timeout,
            buckets_max: config.select_buckets_max,
            remote_read_timeout: config.shard_reader_timeout,
            retention_autocreate: config.retention_autocreate,
            memory,
        };
        let greeting = Arc::clone(&peers);
        let statements =
            Statements::new(env.clone(), Arc::clone(&meta), local, peers, Arc::clone(&writer), limits, &metrics);
        let services = http_api::Services {
            query: Arc::new(Queries(statements)),
            write: Arc::new(Writes(writer)),
            status: Arc::new(NodeStatus { metrics, started, command_line, store: store.clone() }),
        };
        // Who was told that this node is there sends it writes; it should not begin by missing some.
        greeting.greet().await;
        let clients = serve_clients(&env, &config, services, &stopped).await?;
        tracing::info!(node = id.0, meta = roles.meta, data = roles.data, http = %addresses.http, "the node serves");
        Ok(Node { env, stop, clients, background, store, handoff, meta_node, id, _lock: lock })
    }

    /// The number of the node in its cluster.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// Waits until the node cannot go on by itself; tells why.
    pub async fn failed(&self) -> String {
        match &self.meta_node {
            Some(node) => format!("raft: {}", node.failed().await),
            None => std::future::pending().await,
        }
    }

    /// Stops: requests under way may end, then everything is synced and closed.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if tokio::time::timeout(DRAIN_TIMEOUT, self.clients).await.is_err() {
            tracing::warn!("requests did not end in time");
        }
        self.background.iter().for_each(TaskHandle::abort);
        if let Some(node) = &self.meta_node {
            node.shutdown().await;
        }
        if let Some(handoff) = self.handoff {
            for problem in self.env.blocking(move || handoff.close()).await {
                tracing::warn!(%problem, "a queue of hints was not closed; its last entries are sent again");
            }
        }
        if let Some(store) = self.store {
            self.env.blocking(move || store.close()).await;
        }
        tracing::info!("the node has stopped");
    }
}

/// The roles that the configuration gives. A data node that has joined needs no `-join` any more.
async fn roles(env: &Env, config: &DataNodeConfig) -> anyhow::Result<Roles> {
    if let Mode::Classic { join, meta, data } = config.mode.clone() {
        return Ok(Roles { join, meta, data });
    }
    match meta_node::identity::load_member(env, &config.meta_dir).await? {
        Some(member) => Ok(Roles { join: Vec::new(), meta: member.meta && !config.meta_is_off, data: true }),
        None => Err(anyhow!(
            "server not set to join existing cluster must run also as a meta node: give -join with the address of a \
             member, or set [meta] enabled = true (a file with [cluster], [enterprise] or [anti-entropy] is taken for that \
             of a data node that is yet to join)"
        )),
    }
}

/// Looks at everything that is there before anything is opened for writing: a directory of another program, or a file of
/// a later release, leaves all of them as they were.
async fn check_directories(env: &Env, config: &DataNodeConfig, roles: &Roles) -> anyhow::Result<()> {
    let (copy, meta_dir) = (env.clone(), config.meta_dir.clone());
    let data_dir = roles.data.then(|| config.data_dir.clone());
    let handoff_dir = config.handoff_enabled.then(|| config.handoff_dir.clone());
    let check = move || {
        meta_node::identity::check(&copy, &meta_dir)?;
        meta_client::check(&copy, &meta_dir.join(CLIENT_FILE))?;
        if let Some(dir) = data_dir {
            storage::check(&copy, &dir)?;
        }
        if let Some(dir) = handoff_dir {
            hinted_handoff::check(&copy, &dir)?;
        }
        anyhow::Ok(())
    };
    env.blocking(check).await
}

/// Keeps a second node that holds shards off the metadata directory.
async fn lock_metadata(env: &Env, config: &DataNodeConfig, roles: &Roles) -> anyhow::Result<Option<Box<dyn DirLock>>> {
    if !roles.data {
        return Ok(None);
    }
    let (fs, dir) = (Arc::clone(env.fs()), config.meta_dir.clone());
    let locked = env.blocking(move || fs.create_dir_durable(&dir).and_then(|()| fs.lock(&dir, CLIENT_LOCK))).await;
    let dir = config.meta_dir.display();
    match locked {
        Ok(lock) => Ok(Some(lock)),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
            Err(anyhow!("the metadata directory {dir} is in use by another process"))
        }
        Err(error) => Err(error).with_context(|| format!("open the metadata directory {dir}")),
    }
}

async fn open_store(env: &Env, config: &DataNodeConfig, roles: &Roles) -> anyhow::Result<Option<Arc<Store>>> {
    if !roles.data {
        return Ok(None);
    }
    let store_config = StoreConfig {
        wal_sync_delay: config.wal_fsync_delay,
        flush_bytes: config.flush_bytes,
        flush_idle: config.flush_idle,
        ..StoreConfig::new(&config.data_dir)
    };
    let copy = env.clone();
    let store = env.blocking(move || Store::open(copy, store_config)).await?;
    Ok(Some(Arc::new(store)))
}

/// The memory of queries: what the configuration says, else a quarter of what there is.
fn query_memory(env: &Env, config: &DataNodeConfig, metrics: &Metrics) -> Arc<QueryMemory> {
    let bytes_max = match config.query_memory_max {
        0 => (env.memory_bytes() / 4).max(QUERY_MEMORY_MIN),
        bytes_max => bytes_max,
    };
    QueryMemory::new(bytes_max, metrics)
}

async fn start_meta_node(
    env: &Env,
    config: &DataNodeConfig,
    addresses: &Addresses,
    channels: &Arc<Channels>,
) -> anyhow::Result<MetaNode> {
    let meta_config = MetaConfig {
        dir: config.meta_dir.clone(),
        http_addr: addresses.meta_http.clone(),
        tcp_addr: addresses.rpc.clone(),
        timeouts: Timeouts::from_keys(config.heartbeat_timeout, config.election_timeout),
        propose_timeout: config.consensus_timeout.min(Duration::from_secs(5)),
        shard_groups_max: u32::try_from(config.shard_groups_max).unwrap_or(u32::MAX),
        snapshot_entries: SNAPSHOT_ENTRIES,
    };
    let transport = Arc::new(RaftOverRpc::new(Arc::clone(channels)));
    Ok(MetaNode::start(env.clone(), meta_config, transport).await?)
}

async fn listen(env: &Env, key: &str, address: &str) -> anyhow::Result<env::Listener> {
    env.listen(address).await.with_context(|| format!("{key}: cannot listen on {address}"))
}

fn serve(env: &Env, listener: env::Listener, app: Router, stopped: &watch::Receiver<bool>) -> TaskHandle<()> {
    let (env_, stopped) = (env.clone(), stopped.clone());
    env.spawn(async move {
        if let Err(error) = rpc::server::serve(env_, listener, app, stopped).await {
            tracing::error!(%error, "a listener ended");
        }
    })
}

/// What a meta node answers on its admin port, or where a data node sends those who ask.
fn admin_app(meta_node: &Option<MetaNode>, meta: &Arc<MetaClient>) -> Router {
    match meta_node {
        Some(node) => {
            let config = HttpConfig {
                version: COMPATIBLE_VERSION.to_owned(),
                cluster_version: format!("{COMPATIBLE_VERSION}-c{COMPATIBLE_VERSION}"),
            };
            meta_node::http::router(node.clone(), config)
        }
        None => {
            let meta = Arc::clone(meta);
            meta_node::http::redirect_router(Arc::new(move || {
                let data = meta.data();
                data.meta_nodes().find_map(|node| node.meta.as_ref().map(|role| role.http_addr.clone()))
            }))
        }
    }
}

/// `GET /status` on the port for peers.
fn status_route(addresses: &Addresses, meta: &Arc<MetaClient>, incarnation: Incarnation) -> Router {
    let (addresses, meta) = (addresses.clone(), Arc::clone(meta));
    let answer = move || {
        let data = meta.data();
        let members = data.meta_nodes().filter_map(|node| node.meta.as_ref().map(|role| role.http_addr.clone()));
        let members: Vec<String> = members.collect();
        let host = addresses.rpc.rsplit_once(':').map_or(addresses.rpc.as_str(), |(host, _)| host);
        let document = serde_json::json!({
            "nodeType": "data",
            "hostname": host,
            "tcpBind": addresses.rpc,
            "tcpAddr": addresses.rpc,
            "httpAddr": addresses.http,
            "nodeStatus": if members.is_empty() { "disjoined" } else { "joined" },
            "metaAddrs": members,
            "incarnation": incarnation.to_string(),
        });
        let body = format!("{document}\n");
        async move { ([("content-type", "application/json")], body) }
    };
    Router::new().route("/status", axum::routing::get(answer))
}

/// Makes the node a member, or takes up the membership that its directory has. Returns its number.
async fn become_member(
    env: &Env,
    config: &DataNodeConfig,
    roles: &Roles,
    addresses: &Addresses,
    meta_node: Option<&MetaNode>,
    meta: &Arc<MetaClient>,
) -> anyhow::Result<NodeId> {
    let data = roles.data.then(|| DataAddresses {
        http_addr: addresses.http.clone(),
        tcp_addr: addresses.rpc.clone(),
        passive: false,
    });
    let Some(node) = meta_node else {
        return join_as_data(env, config, roles, data, meta).await;
    };
    if let Some(id) = node.id() {
        if !roles.join.is_empty() {
            tracing::info!(node = id.0, "this node is a member already, -join is ignored");
        }
        // Its own log may be all it can reach.
        meta.install(node.data()).await;
        return Ok(id);
    }
    if roles.join.is_empty() {
        let id = node.bootstrap().await?;
        tracing::info!(node = id.0, "this node is the first of a new cluster");
        meta.install(node.data()).await;
        return Ok(id);
    }
    let joined = node.join(&roles.join, data).await?;
    meta.install(joined.data).await;
    Ok(joined.id)
}

async fn join_as_data(
    env: &Env,
    config: &DataNodeConfig,
    roles: &Roles,
    data: Option<DataAddresses>,
    meta: &Arc<MetaClient>,
) -> anyhow::Result<NodeId> {
    let data = data.ok_or_else(|| anyhow!("either Meta, Data, or both must be enabled"))?;
    let member = meta_node::join::join_data(env, &config.meta_dir, &roles.join, data).await?;
    if meta.data().node(member.id).is_none() {
        let peers = if member.meta_servers.is_empty() { &roles.join } else { &member.meta_servers };
        meta.install(meta_node::join::fetch_data(env, peers, model::MetaIndex(1)).await).await;
    }
    Ok(member.id)
}

/// Whether the metadata has the node as it is now.
fn is_registered(data: &Data, id: NodeId, roles: &Roles, addresses: &Addresses) -> bool {
    let Some(node) = data.node(id) else { return false };
    let data_fits = match &node.data {
        Some(role) => roles.data && role.http_addr == addresses.http && role.tcp_addr == addresses.rpc,
        None => !roles.data,
    };
    let meta_fits = match &node.meta {
        Some(role) => roles.meta && role.http_addr == addresses.meta_http && role.tcp_addr == addresses.rpc,
        None => !roles.meta,
    };
    data_fits && meta_fits
}

/// Registers the roles and addresses that the configuration gives, until the metadata has them: of a first node, and
/// after a change of addresses. A node that was dropped stays dropped.
async fn keep_registered(roles: Roles, addresses: Addresses, meta: Arc<MetaClient>, id: NodeId) {
    loop {
        let data = meta.data();
        let Some(node) = data.node(id) else {
            tracing::warn!(node = id.0, "this node is no member of its cluster any more");
            return;
        };
        if is_registered(&data, id, &roles, &addresses) {
            return;
        }
        for command in registration(node, &roles, &addresses) {
            if let Err(error) = meta.propose(command).await {
                tracing::warn!(%error, "the addresses of this node are not registered yet");
            }
        }
        tokio::time::sleep(REGISTER_PAUSE).await;
    }
}

/// What brings the record of a member to what it is now. A role that it has is updated, never created anew: that would
/// bring back one that was dropped meanwhile.
fn registration(node: &meta::Node, roles: &Roles, addresses: &Addresses) -> Vec<Command> {
    let (id, incarnation) = (node.id, node.incarnation);
    let mut commands = Vec::new();
    if roles.meta {
        let (http_addr, tcp_addr) = (addresses.meta_http.clone(), addresses.rpc.clone());
        commands.push(match node.meta {
            Some(_) => Command::UpdateMetaNode { id, http_addr, tcp_addr },
            None => Command::CreateMetaNode { incarnation, http_addr, tcp_addr },
        });
    }
    if roles.data {
        let (http_addr, tcp_addr) = (addresses.http.clone(), addresses.rpc.clone());
        commands.push(match node.data {
            Some(_) => Command::UpdateDataNode { id, http_addr, tcp_addr, incarnation: None },
            None => Command::CreateDataNode { incarnation, http_addr, tcp_addr, passive: false },
        });
    }
    commands
}

async fn open_handoff(env: &Env, config: &DataNodeConfig) -> anyhow::Result<Option<Arc<Queues>>> {
    if !config.handoff_enabled {
        return Ok(None);
    }
    let settings = hinted_handoff::Config {
        enabled: true,
        bytes_max: config.handoff_bytes_max,
        entry_age_max: config.handoff_age_max,
        retry_interval: config.handoff_retry,
        retry_interval_max: config.handoff_retry_max,
        entry_bytes_max: wire::MESSAGE_BYTES_MAX,
        retry_concurrency: config.handoff_concurrency,
        retry_bytes_per_second: config.handoff_bytes_per_second,
        writes_pending_max: config.handoff_writes_pending_max,
        purge_interval: config.handoff_purge_interval,
    };
    let (copy, dir) = (env.clone(), config.handoff_dir.clone());
    let opened = env.blocking(move || Queues::open(&copy, &dir, settings)).await;
    let (queues, report) = opened?;
    for problem in &report.problems {
        tracing::warn!(%problem, "a queue of hints cannot be read; what is lost is fetched by comparing copies");
    }
    if report.entries > 0 {
        tracing::info!(entries = report.entries, bytes = report.bytes, "hints wait for other nodes");
    }
    Ok(Some(Arc::new(queues)))
}

/// The background work of a node that holds shards.
fn shard_work(
    env: &Env,
    config: &DataNodeConfig,
    meta: &Arc<MetaClient>,
    local: &Arc<LocalShards>,
    peers: &Arc<Peers>,
    handoff: Option<&Arc<Queues>>,
    metrics: &Metrics,
) -> Vec<TaskHandle<()>> {
    let mut tasks = Vec::new();
    if config.anti_entropy_enabled {
        let repair = Repair::new(
            env.clone(),
            Arc::clone(meta),
            Arc::clone(local),
            Arc::clone(peers),
            config.anti_entropy_interval,
            metrics,
        );
        tasks.push(env.spawn(repair.run()));
    }
    tasks.push(env.spawn(expire::run_drops(env.clone(), Arc::clone(meta), Arc::clone(local), handoff.cloned())));
    if config.retention_enabled {
        tasks.push(env.spawn(expire::run_retention(env.clone(), Arc::clone(meta), config.retention_interval)));
    }
    tasks.push(env.spawn(cluster::upkeep::run(env.clone(), Arc::clone(local.store()), metrics.clone())));
    tasks
}

async fn serve_clients(
    env: &Env,
    config: &DataNodeConfig,
    services: http_api::Services,
    stopped: &watch::Receiver<bool>,
) -> anyhow::Result<TaskHandle<()>> {
    let http = http_api::Config {
        version: COMPATIBLE_VERSION.to_owned(),
        build: "ENT".to_owned(),
        bind: config.http_bind.clone(),
        headers: config.http_headers.clone(),
        body_bytes_max: usize::try_from(config.body_bytes_max).unwrap_or(usize::MAX),
        row_count_max: config.rows_max,
        connection_count_max: config.connections_max,
        write_bytes_in_flight_max: http_limits::WRITE_BYTES_IN_FLIGHT_MAX,
        parser_count_max: std::thread::available_parallelism().map_or(1, usize::from),
        concurrent_write_max: config.concurrent_writes_max,
        enqueued_write_max: config.enqueued_writes_max,
        enqueued_write_timeout: config.enqueued_write_timeout,
        header_timeout: http_limits::HEADER_TIMEOUT,
        progress_timeout: http_limits::PROGRESS_TIMEOUT,
        idle_timeout: http_limits::IDLE_TIMEOUT,
        drain_timeout: http_limits::DRAIN_TIMEOUT,
        access_log: http_api::AccessLog {
            enabled: config.access_log,
            suppress_writes: config.access_log_without_writes,
            statuses: config.access_log_statuses.clone(),
        },
        write_tracing: config.write_tracing,
    };
    if !config.http_enabled {
        return Ok(env.spawn(async {}));
    }
    let listener = listen(env, "[http] bind-address", &config.http_bind).await?;
    let server = http_api::Server::new(env.clone(), http, services)?;
    let mut stopped = stopped.clone();
    Ok(env.spawn(async move {
        let shutdown = async move {
            // The sender lives as long as the node.
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        if let Err(error) = server.serve(listener, shutdown).await {
            tracing::error!(%error, "the client listener ended");
        }
    }))
}
