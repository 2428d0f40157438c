//! A node of `influxd-meta`: a member of the metadata service, with the ports of such a node.

use std::sync::Arc;
use std::time::Duration;

use cluster::{MetaEndpoint, ShardServer};
use config::{ClusterAuthConfig, MetaNodeConfig};
use credentials::Scheme;
use env::{Env, TaskHandle};
use meta_node::http::HttpConfig;
use meta_node::identity::Files;
use meta_node::{MetaConfig, MetaNode, RaftWitness, Timeouts};
use rpc::{Channels, ClusterAuth};
use tokio::sync::watch;

use crate::link::RemoteMeta;
use crate::meta_endpoint::{LocalMeta, RaftOverRpc};
use crate::node::{PROPOSE_TIMEOUT_MAX, SNAPSHOT_ENTRIES, listen, serve};
use crate::program::Ended;
use crate::tls::NodeTls;
use crate::{CLUSTER_VERSION, COMPATIBLE_VERSION};

/// Connecting to another member gives up after this.
const DIAL_TIMEOUT: Duration = Duration::from_secs(1);

/// Entries between two snapshots where Raft is watched: simulations are short.
const WATCHED_SNAPSHOT_ENTRIES: u64 = 20;

/// How often, and after which pause, a node that has left is started anew.
const RESTART_ATTEMPTS_MAX: usize = 100;
const RESTART_PAUSE: Duration = Duration::from_millis(100);

/// A running meta node.
#[derive(Debug)]
pub struct MetaOnly {
    node: MetaNode,
    /// Turned to true once, when the node stops.
    stop: watch::Sender<bool>,
    tasks: Vec<TaskHandle<()>>,
}

impl MetaOnly {
    /// As [`MetaOnly::start`], after a node of the same process that has left: its connections may hold its directory and
    /// its ports for a moment.
    ///
    /// # Errors
    /// The same.
    pub async fn start_again(
        env: Env,
        config: MetaNodeConfig,
        tls: NodeTls,
        single_server: bool,
    ) -> anyhow::Result<MetaOnly> {
        let mut attempts = 0;
        loop {
            match MetaOnly::start(env.clone(), config.clone(), tls.clone(), single_server).await {
                Err(error) if attempts < RESTART_ATTEMPTS_MAX => {
                    tracing::debug!(%error, "not yet free");
                    attempts += 1;
                    tokio::time::sleep(RESTART_PAUSE).await;
                }
                result => return result,
            }
        }
    }

    /// Starts a node; returns once its ports are open. `single_server` has it form a cluster by itself.
    ///
    /// # Errors
    /// What stops a node from starting, in a sentence.
    pub async fn start(
        env: Env,
        config: MetaNodeConfig,
        tls: NodeTls,
        single_server: bool,
    ) -> anyhow::Result<MetaOnly> {
        MetaOnly::start_watched(env, config, tls, single_server, None).await
    }

    /// As [`MetaOnly::start`], with somebody who watches Raft and few entries between snapshots.
    ///
    /// # Errors
    /// The same.
    pub async fn start_watched(
        env: Env,
        config: MetaNodeConfig,
        tls: NodeTls,
        single_server: bool,
        witness: Option<Arc<dyn RaftWitness>>,
    ) -> anyhow::Result<MetaOnly> {
        let (http_addr, raft_addr) = (config.advertised(&config.http_bind), config.advertised(&config.raft_bind));
        let own = vec![raft_addr.clone(), http_addr.clone()];
        let auth = ClusterAuth::new(env.clone(), config.cluster_auth.secret.clone(), own);
        let meta_config = MetaConfig {
            auth: auth.clone(),
            dialers: Some(tls.dialers()),
            lease_duration: config.lease_duration,
            files: Files::META_ONLY,
            single_server,
            gossip_interval: config.gossip_interval,
            announcement_age_max: config.announcement_age_max,
            version: CLUSTER_VERSION.to_owned(),
            timeouts: Timeouts::from_keys(config.heartbeat_timeout, config.election_timeout),
            propose_timeout: config.consensus_timeout.min(PROPOSE_TIMEOUT_MAX),
            shard_groups_max: u32::try_from(config.shard_groups_max).unwrap_or(u32::MAX),
            snapshot_entries: if witness.is_some() { WATCHED_SNAPSHOT_ENTRIES } else { SNAPSHOT_ENTRIES },
            witness,
            ..MetaConfig::new(config.dir.clone(), http_addr, raft_addr)
        };
        let (stop, stopped) = watch::channel(false);
        let raft_listener = listen(&env, "[meta] bind-address", &config.raft_bind).await?;
        let http_listener = listen(&env, "[meta] http-bind-address", &config.http_bind).await?;
        let raft_listener = tls::Listener::new(raft_listener, tls.cluster.clone());
        let http_listener = tls::Listener::new(http_listener, tls.admin.clone());
        let channels = Arc::new(Channels::new(tls.to_meta.clone(), auth.clone(), DIAL_TIMEOUT));
        let transport = Arc::new(RaftOverRpc::new(Arc::clone(&channels)));
        let node = MetaNode::start(env.clone(), meta_config, transport).await?;
        let endpoint: Arc<dyn MetaEndpoint> =
            Arc::new(LocalMeta::new(node.clone(), RemoteMeta::new(channels, Vec::new())));
        let server = ShardServer::new(env.clone(), Some(endpoint));
        let mut tasks = vec![
            serve(&env, raft_listener, rpc::server::routes(server.clone(), auth), &stopped),
            serve(
                &env,
                http_listener,
                admin_app(&env, &node, server, &config.cluster_auth, config.password_hash, config.tracing),
                &stopped,
            ),
            env.spawn(node.clone().run_gossip()),
        ];
        if single_server {
            node.bootstrap().await?;
        }
        match node.id() {
            Some(id) => tracing::info!(node = id.0, "this meta node is a member"),
            None => tracing::info!(
                "this meta node is in no cluster yet and waits; run here: influxd-ctl add-meta {}",
                node.config().http_addr
            ),
        }
        let leaving = node.clone();
        tasks.push(env.spawn(async move {
            if let Err(error) = leaving.leave_when_dropped().await {
                tracing::error!(%error, "this node was removed from its cluster and cannot note it down");
            }
        }));
        Ok(MetaOnly { node, stop, tasks })
    }

    /// The member of the metadata service.
    pub fn meta(&self) -> &MetaNode {
        &self.node
    }

    /// Waits until the node cannot go on, or has left its cluster.
    pub async fn ended(&self) -> Ended {
        tokio::select! {
            why = self.node.failed() => Ended::Failed(format!("raft: {why}")),
            () = self.node.left() => Ended::Left,
        }
    }

    /// Stops: another member leads if this one did, answers under way are given, then the log is closed.
    pub async fn stop(self) {
        self.node.hand_over().await;
        self.stop.send_replace(true);
        // Whoever asked this node to leave is answered while the others wind up.
        self.node.shutdown().await;
        self.tasks.iter().for_each(TaskHandle::abort);
        tracing::info!("the node has stopped");
    }
}

/// The admin API, and on the same port the calls of data nodes to the metadata service.
pub(crate) fn admin_app(
    env: &Env,
    node: &MetaNode,
    server: ShardServer,
    auth: &ClusterAuthConfig,
    password_hash: Scheme,
    tracing: bool,
) -> axum::Router {
    let config = HttpConfig {
        version: COMPATIBLE_VERSION.to_owned(),
        password_hash,
        auth_enabled: auth.admin_auth_enabled,
        shared_secret: auth.shared_secret.clone(),
        directory: crate::auth::directory(env),
        ldap_allowed: auth.ldap_allowed,
        tracing,
    };
    rpc::server::routes(server, node.config().auth.clone()).merge(meta_node::http::router(node.clone(), config))
}
