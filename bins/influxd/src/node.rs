//! A node from start to stop.
//!
//! Order of the start: the directories are looked at, before a cluster is formed also the ports, then they are locked and opened; the listener for peers and the admin API
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
    HybridClock, LocalShards, MetaEndpoint, Peers, PointsWriter, QueryLimits, Repair, Schedule, ShardServer,
    Statements, expire,
};
use config::{DataNodeConfig, Mode};
use env::{DirLock, Env, TaskHandle};
use hinted_handoff::Queues;
use http_api::{AuthService, config as http_limits};
use login::Logins;
use meta::{Command, Data, Incarnation};
use meta_client::{MetaClient, MetaLink};
use meta_node::identity::{self, Files};
use meta_node::{DataAddresses, MetaConfig, MetaNode, Timeouts};
use model::{MetaIndex, NodeId};
use rpc::{Channels, ClusterAuth};
use storage::{Store, StoreConfig};
use telemetry::Metrics;
use tokio::sync::{oneshot, watch};

use crate::access_file::AccessFile;
use crate::auth::Users;
use crate::link::RemoteMeta;
use crate::membership::{self, Directory, Membership};
use crate::meta_endpoint::{LocalMeta, RaftOverRpc};
use crate::program::Ended;
use crate::services::{NodeStatus, Queries, Writes};
use crate::tls::NodeTls;
use crate::{CLUSTER_VERSION, COMPATIBLE_VERSION, arrival, meta_only};

/// Entries of the Raft log between two snapshots.
pub(crate) const SNAPSHOT_ENTRIES: u64 = 1_000;
/// `consensus-timeout`, at most: whoever waits has other members to ask.
pub(crate) const PROPOSE_TIMEOUT_MAX: Duration = Duration::from_secs(5);
/// The least memory for queries where the configuration names none.
const QUERY_MEMORY_MIN: u64 = 256 << 20;
/// The file with the node's copy of the metadata.
pub(crate) const CLIENT_FILE: &str = "client.meta";
/// The changes behind it.
pub(crate) const CLIENT_CHANGES: &str = "client.changes";
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
    left: watch::Sender<bool>,
    /// Why the node must not go on, once it must not.
    failure: watch::Sender<Option<String>>,
    _lock: Option<Box<dyn DirLock>>,
}

/// What the mode of a configuration means here.
#[derive(Clone, Debug)]
pub(crate) struct Roles {
    join: Vec<String>,
    meta: bool,
    data: bool,
    /// Waits until a meta node asks it in.
    waits: bool,
}

/// Addresses under which others reach the node.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    pub(crate) http: String,
    pub(crate) rpc: String,
    pub(crate) meta_http: String,
}

impl Node {
    /// Starts a node; returns once it serves clients. Joining takes as long as it takes.
    ///
    /// # Errors
    /// What stops a node from starting, in a sentence.
    pub async fn start(env: Env, config: DataNodeConfig, command_line: Vec<String>) -> anyhow::Result<Node> {
        let tls = NodeTls::open(&env, &config.tls)?;
        let schedule = Schedule::new(repair_interval(&config));
        Node::start_with(env, config, tls, schedule, None, command_line).await
    }

    /// As [`Node::start`], with certificates that have been read, a schedule of comparisons that may change, and a file for
    /// the access log.
    ///
    /// # Errors
    /// The same.
    pub async fn start_with(
        env: Env,
        config: DataNodeConfig,
        tls: NodeTls,
        schedule: Schedule,
        access_file: Option<Arc<AccessFile>>,
        command_line: Vec<String>,
    ) -> anyhow::Result<Node> {
        let started = env.now();
        membership::finish_leaving(&env, &config).await?;
        let addresses = Addresses {
            http: config.advertised(&config.http_bind),
            rpc: config.advertised(&config.rpc_bind),
            meta_http: config.advertised(&config.meta_http_bind),
        };
        let arrived = arrival::settle(&env, &config, &tls, &addresses).await?;
        let roles = roles(&env, &config).await?;
        let metrics = Metrics::new();
        tls.stats.register(&metrics);
        if let Some(file) = &access_file {
            file.register(&metrics);
        }
        let (stop, stopped) = watch::channel(false);
        let mut background = Vec::new();

        check_directories(&env, &config, &roles).await?;
        try_ports(&env, &config, &roles).await?;
        let lock = lock_metadata(&env, &config, &roles).await?;
        let handoff = open_handoff(&env, &config).await?;
        let store = open_store(&env, &config, &roles).await?;
        refuse_points_of_others(&env, &config, store.as_deref(), handoff.as_deref()).await?;
        let own = vec![addresses.rpc.clone(), addresses.meta_http.clone()];
        let auth = ClusterAuth::new(env.clone(), config.cluster_auth.secret.clone(), own);
        auth.register(&metrics);
        let channels_to = |dialer: &tls::Dialer| {
            let channels = Channels::new(dialer.clone(), auth.clone(), config.dial_timeout);
            Arc::new(channels.with_tracing(config.cluster_tracing))
        };
        let (channels, meta_channels) = (channels_to(&tls.to_data), channels_to(&tls.to_meta));
        let remote = RemoteMeta::new(meta_channels, Vec::new());
        let meta_node = match roles.meta {
            true => Some(start_meta_node(&env, &config, &addresses, &tls, &channels).await?),
            false => None,
        };
        let local_meta = meta_node.clone().map(|node| Arc::new(LocalMeta::new(node, Arc::clone(&remote))));
        let link: Arc<dyn MetaLink> = match &local_meta {
            Some(local) => Arc::clone(local) as Arc<dyn MetaLink>,
            None => Arc::clone(&remote) as Arc<dyn MetaLink>,
        };
        let meta = MetaClient::open(env.clone(), config.meta_dir.join(CLIENT_FILE), link)?;
        remote.follow(&meta);
        meta.show_metrics(&metrics);
        if let Some(node) = &meta_node {
            node.show_metrics(&metrics);
        }

        // Peers and joining nodes are answered before this node is a member.
        let endpoint = local_meta.map(|local| local as Arc<dyn MetaEndpoint>);
        let server = ShardServer::new(env.clone(), endpoint.clone());
        let listener = listen(&env, "[meta] bind-address", &config.rpc_bind).await?;
        let incarnation = match &meta_node {
            Some(node) => node.incarnation(),
            None => identity::incarnation(&env, &config.meta_dir, Files::NODE).await?,
        };
        let logins = Logins::with(env.clone(), config.password_hash, crate::auth::directory(&env), &metrics);
        let (has_meta_role, store_of, logins_of) = (meta_node.is_some(), store.clone(), Arc::clone(&logins));
        let directory = Directory { incarnation, has_meta_role, store: store_of, logins: logins_of, brings: None };
        let (routes, mut membership) = membership::open(&env, &config, &addresses, &meta, directory, &auth);
        let mut app = rpc::server::routes(server.clone(), auth.clone()).merge(routes);
        if config.cluster_tracing {
            app = rpc::server::traced(&env, app);
        }
        background.push(serve(&env, tls::Listener::new(listener, tls.cluster.clone()), app, &stopped));
        // A data node that is added by operators leaves this port to a meta node on the same machine.
        if !roles.is_added() {
            let listener = listen(&env, "[meta] http-bind-address", &config.meta_http_bind).await?;
            let app = admin_app(&meta_node, &meta, &env, endpoint, &config, tls.to_meta.scheme());
            background.push(serve(&env, tls::Listener::new(listener, tls.admin.clone()), app, &stopped));
        }

        let known_from = arrived.as_ref().map_or(MetaIndex(1), |arrived| arrived.index);
        let mut added = arrived.and_then(|arrived| arrived.whom);
        let id = match roles.waits {
            true => {
                let (id, whom) = wait_to_be_added(&tls, &config, &addresses, &mut membership, &meta, &auth).await?;
                added = Some(whom);
                id
            }
            false => {
                let members = Members { known_from, meta_node: meta_node.as_ref(), meta: &meta };
                become_member(&tls, &config, &roles, &addresses, members, &auth).await?
            }
        };
        auth.belongs_to(meta.data().cluster_id(), id.0);
        background.push(env.spawn(Arc::clone(&meta).run()));
        match &meta_node {
            Some(node) => background.push(env.spawn(node.clone().run_gossip())),
            None => {
                let announcing = membership::announce(
                    tls.clone(),
                    auth.clone(),
                    addresses.clone(),
                    Arc::clone(&meta),
                    config.gossip_interval,
                );
                background.push(env.spawn(announcing));
                let keeping = membership::keep_client_json(env.clone(), config.meta_dir.clone(), Arc::clone(&meta));
                background.push(env.spawn(keeping));
            }
        }
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
            background.extend(shard_work(&env, &config, &meta, local, handoff.as_ref(), &metrics));
            let (meta, local, peers) = (Arc::clone(&meta), Arc::clone(local), Arc::clone(&peers));
            let repair = Repair::new(env.clone(), meta, local, peers, schedule, &metrics);
            background.push(env.spawn(repair.run()));
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
        let statements = Statements::new(
            env.clone(),
            Arc::clone(&meta),
            local,
            peers,
            Arc::clone(&writer),
            Arc::clone(&logins),
            limits,
            &metrics,
        );
        let services = http_api::Services {
            query: Arc::new(Queries(statements)),
            write: Arc::new(Writes { writer, meta: Arc::clone(&meta) }),
            status: Arc::new(NodeStatus { metrics, started, command_line, store: store.clone() }),
            auth: config.http_auth.then(|| {
                let (meta, secret) = (Arc::clone(&meta), config.http_secret.clone());
                Arc::new(Users { env: env.clone(), meta, logins, secret }) as Arc<dyn AuthService>
            }),
            access_lines: access_file.map(|file| file as Arc<dyn http_api::AccessLines>),
        };
        // Who was told that this node is there sends it writes; it should not begin by missing some.
        greeting.greet().await;
        let clients = serve_clients(&env, &config, services, &tls, &stopped).await?;
        if let Some(whom) = added {
            // Whoever asked may have gone.
            let _ = whom.send(Ok(()));
        }
        tracing::info!(node = id.0, meta = roles.meta, data = roles.data, http = %addresses.http, "the node serves");
        let (left, failure) = (membership.left, watch::Sender::new(None));
        background.push(env.spawn(notice_replacement(meta, id, incarnation, failure.clone())));
        Ok(Node { env, stop, clients, background, store, handoff, meta_node, id, left, failure, _lock: lock })
    }

    /// The number of the node in its cluster.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// Waits until the node cannot go on, or has left its cluster.
    pub async fn ended(&self) -> Ended {
        let (mut left, mut failure) = (self.left.subscribe(), self.failure.subscribe());
        let failed = async {
            match &self.meta_node {
                Some(node) => node.failed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            why = failed => Ended::Failed(format!("raft: {why}")),
            // The sender is this node's own.
            Ok(why) = failure.wait_for(Option::is_some) => Ended::Failed(why.clone().unwrap_or_default()),
            // The sender is this node's own.
            _ = left.wait_for(|left| *left) => Ended::Left,
        }
    }

    /// Stops: another member leads if this one did, requests under way may end, then everything is synced and closed.
    pub async fn stop(self) {
        if let Some(node) = &self.meta_node {
            node.hand_over().await;
        }
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
        return Ok(Roles { join, meta, data, waits: false });
    }
    let member = identity::load_member(env, &config.meta_dir, Files::NODE).await?;
    let meta = member.as_ref().is_some_and(|member| member.meta) && !config.meta_is_off;
    Ok(Roles { join: Vec::new(), meta, data: true, waits: member.is_none() })
}

impl Roles {
    /// Those of a data node.
    pub(crate) const DATA: Roles = Roles { join: Vec::new(), meta: false, data: true, waits: false };

    /// Whether it was not started to join, but is or was added.
    fn is_added(&self) -> bool {
        self.join.is_empty() && !self.meta
    }
}

/// Looks at everything that is there before anything is opened for writing: a directory of another program, or a file of
/// a later release, leaves all of them as they were.
pub(crate) async fn check_directories(env: &Env, config: &DataNodeConfig, roles: &Roles) -> anyhow::Result<()> {
    let (copy, meta_dir) = (env.clone(), config.meta_dir.clone());
    let data_dir = roles.data.then(|| config.data_dir.clone());
    let handoff_dir = config.handoff_enabled.then(|| config.handoff_dir.clone());
    let has_raft = roles.meta;
    let check = move || {
        identity::check(&copy, &meta_dir)?;
        identity::check_owner(&copy, &meta_dir, Files::NODE, has_raft)?;
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

/// A server that is about to become a cluster by itself makes its directories only when its ports are free. They are closed
/// again: each is opened for good when there is somebody to answer.
async fn try_ports(env: &Env, config: &DataNodeConfig, roles: &Roles) -> anyhow::Result<()> {
    let forms_cluster = roles.meta && roles.join.is_empty();
    if !forms_cluster || identity::load_member(env, &config.meta_dir, Files::NODE).await?.is_some() {
        return Ok(());
    }
    let own = [("[meta] bind-address", &config.rpc_bind), ("[meta] http-bind-address", &config.meta_http_bind)];
    let clients = config.http_enabled.then_some(("[http] bind-address", &config.http_bind));
    let mut listeners = Vec::new();
    for (key, address) in own.into_iter().chain(clients) {
        listeners.push(listen(env, key, address).await?);
    }
    Ok(())
}

/// Keeps a second node that holds shards off the metadata directory.
pub(crate) async fn lock_metadata(
    env: &Env,
    config: &DataNodeConfig,
    roles: &Roles,
) -> anyhow::Result<Option<Box<dyn DirLock>>> {
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

pub(crate) async fn open_store(
    env: &Env,
    config: &DataNodeConfig,
    roles: &Roles,
) -> anyhow::Result<Option<Arc<Store>>> {
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

/// A node that is yet to become a member must not bring anything along: numbers of shards and nodes mean something else
/// in every cluster, so that points would be taken for those of other databases, and hints be sent to strangers.
async fn refuse_points_of_others(
    env: &Env,
    config: &DataNodeConfig,
    store: Option<&Store>,
    handoff: Option<&Queues>,
) -> anyhow::Result<()> {
    if identity::load_member(env, &config.meta_dir, Files::NODE).await?.is_some() {
        return Ok(());
    }
    let holds_shards = store.is_some_and(|store| !store.shards().is_empty());
    let holds_hints = handoff.is_some_and(|handoff| !handoff.nodes().is_empty());
    let (what, dir) = match (holds_shards, holds_hints) {
        (true, _) => ("shards", &config.data_dir),
        (false, true) => ("hints", &config.handoff_dir),
        (false, false) => return Ok(()),
    };
    Err(anyhow!(
        "{} holds {what}, and nothing in {} says of which cluster: put the files of the metadata directory back, or empty \
         both directories",
        dir.display(),
        config.meta_dir.display()
    ))
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
    tls: &NodeTls,
    channels: &Arc<Channels>,
) -> anyhow::Result<MetaNode> {
    let meta_config = MetaConfig {
        version: CLUSTER_VERSION.to_owned(),
        auth: channels.auth().clone(),
        dialers: Some(tls.dialers()),
        client_scheme: Some(tls.clients.scheme()),
        lease_duration: config.lease_duration,
        timeouts: Timeouts::from_keys(config.heartbeat_timeout, config.election_timeout),
        propose_timeout: config.consensus_timeout.min(PROPOSE_TIMEOUT_MAX),
        shard_groups_max: u32::try_from(config.shard_groups_max).unwrap_or(u32::MAX),
        snapshot_entries: SNAPSHOT_ENTRIES,
        ..MetaConfig::new(config.meta_dir.clone(), addresses.meta_http.clone(), addresses.rpc.clone())
    };
    let transport = Arc::new(RaftOverRpc::new(Arc::clone(channels)));
    Ok(MetaNode::start(env.clone(), meta_config, transport).await?)
}

/// Listens on `address`, the value of `key`.
pub(crate) async fn listen(env: &Env, key: &str, address: &str) -> anyhow::Result<env::Listener> {
    env.listen(address).await.with_context(|| format!("{key}: cannot listen on {address}"))
}

/// Serves `app` until the node stops.
pub(crate) fn serve(
    env: &Env,
    listener: impl Into<tls::Listener>,
    app: Router,
    stopped: &watch::Receiver<bool>,
) -> TaskHandle<()> {
    let (env_, listener, stopped) = (env.clone(), listener.into(), stopped.clone());
    env.spawn(async move {
        if let Err(error) = rpc::server::serve(env_, listener, app, stopped).await {
            tracing::error!(%error, "a listener ended");
        }
    })
}

/// What a meta node answers on its admin port, or where a data node sends those who ask.
fn admin_app(
    meta_node: &Option<MetaNode>,
    meta: &Arc<MetaClient>,
    env: &Env,
    endpoint: Option<Arc<dyn MetaEndpoint>>,
    config: &DataNodeConfig,
    scheme: &'static str,
) -> Router {
    match meta_node {
        Some(node) => {
            let server = ShardServer::new(env.clone(), endpoint);
            let (auth, scheme) = (&config.cluster_auth, config.password_hash);
            meta_only::admin_app(env, node, server, auth, scheme, config.meta_tracing)
        }
        None => {
            let meta = Arc::clone(meta);
            let target = move || meta.data().meta_http_addrs().next().cloned();
            meta_node::http::redirect_router(scheme, Arc::new(target))
        }
    }
}

/// Serves clients that there is nothing to be had yet, until the node is added.
async fn wait_to_be_added(
    tls: &NodeTls,
    config: &DataNodeConfig,
    addresses: &Addresses,
    membership: &mut Membership,
    meta: &Arc<MetaClient>,
    auth: &ClusterAuth,
) -> anyhow::Result<(NodeId, oneshot::Sender<Result<(), String>>)> {
    let (added, stopped) = watch::channel(false);
    let mut waiting = None;
    if config.http_enabled {
        let env = tls.to_meta.env();
        let listener = listen(env, "[http] bind-address", &config.http_bind).await?;
        let listener = tls::Listener::new(listener, tls.clients.clone());
        waiting = Some(serve(env, listener, membership::waiting_app(), &stopped));
    }
    let (member, whom) =
        membership::wait_to_be_added(&tls.to_meta, auth, config, addresses, &mut membership.calls).await?;
    let data = meta_node::join::fetch_data(&tls.to_meta, auth, &member.meta_servers, model::MetaIndex(1)).await;
    meta.install(data).await;
    added.send_replace(true);
    if let Some(waiting) = waiting {
        // Closes the port, which the node is about to open again.
        waiting.await;
    }
    Ok((member.id, whom))
}

/// What tells a node who the members are.
struct Members<'a> {
    meta_node: Option<&'a MetaNode>,
    meta: &'a Arc<MetaClient>,
    /// Metadata that is older does not know this node.
    known_from: MetaIndex,
}

/// Makes the node a member, or takes up the membership that its directory has. Returns its number.
async fn become_member(
    tls: &NodeTls,
    config: &DataNodeConfig,
    roles: &Roles,
    addresses: &Addresses,
    members: Members<'_>,
    auth: &ClusterAuth,
) -> anyhow::Result<NodeId> {
    let Members { meta_node, meta, known_from } = members;
    let data = roles.data.then(|| DataAddresses {
        http_addr: addresses.http.clone(),
        tcp_addr: addresses.rpc.clone(),
        passive: false,
    });
    let Some(node) = meta_node else {
        return join_as_data(&tls.to_meta, auth, config, roles, data, (meta, known_from)).await;
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
        if let Some(member) = identity::load_member(tls.to_meta.env(), &config.meta_dir, Files::NODE).await? {
            // By itself it would be another cluster, over the same points.
            return Err(anyhow!(
                "{} is that of data node {} of a cluster, which is no meta node: set [meta] enabled = false, or give -join to \
                 make it one as well",
                config.meta_dir.display(),
                member.id
            ));
        }
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
    to_meta: &tls::Dialer,
    auth: &ClusterAuth,
    config: &DataNodeConfig,
    roles: &Roles,
    data: Option<DataAddresses>,
    (meta, known_from): (&Arc<MetaClient>, MetaIndex),
) -> anyhow::Result<NodeId> {
    let data = data.ok_or_else(|| anyhow!("either Meta, Data, or both must be enabled"))?;
    let member = meta_node::join::join_data(to_meta, auth, &config.meta_dir, &roles.join, data).await?;
    if meta.data().node(member.id).is_none() {
        let peers = if member.meta_servers.is_empty() { &roles.join } else { &member.meta_servers };
        meta.install(meta_node::join::fetch_data(to_meta, auth, peers, known_from).await).await;
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

/// Notices when another directory has got this node's number: two nodes of one number would give writes the same stamps.
async fn notice_replacement(
    meta: Arc<MetaClient>,
    id: NodeId,
    incarnation: Incarnation,
    failure: watch::Sender<Option<String>>,
) {
    let mut changes = meta.subscribe();
    loop {
        if meta.data().node(id).is_some_and(|node| node.incarnation != incarnation) {
            failure.send_replace(Some(format!(
                "another node has taken the place of this one as node {id}; to use this one again, empty its directories \
                 and add it to the cluster"
            )));
            return;
        }
        if changes.changed().await.is_err() {
            return;
        }
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

/// How often copies are compared, if they are.
pub fn repair_interval(config: &DataNodeConfig) -> Option<Duration> {
    config.anti_entropy_enabled.then_some(config.anti_entropy_interval)
}

/// The background work of a node that holds shards, but for repair.
fn shard_work(
    env: &Env,
    config: &DataNodeConfig,
    meta: &Arc<MetaClient>,
    local: &Arc<LocalShards>,
    handoff: Option<&Arc<Queues>>,
    metrics: &Metrics,
) -> Vec<TaskHandle<()>> {
    let mut tasks = Vec::new();
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
    tls: &NodeTls,
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
        realm: config.http_realm.clone(),
        ping_auth: config.http_ping_auth,
        debug_admin: config.http_debug_admin,
    };
    if !config.http_enabled {
        return Ok(env.spawn(async {}));
    }
    let listener = listen(env, "[http] bind-address", &config.http_bind).await?;
    let listener = tls::Listener::new(listener, tls.clients.clone());
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
