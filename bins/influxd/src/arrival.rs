//! How a server that stood alone becomes a data node of a cluster, with what it holds.
//!
//! With `[meta] enabled = false` such a server does not lead itself any more. Its metadata is read from its own Raft log
//! one last time, and nothing changes it from then on: the server waits, as any data node that is in no cluster, until it
//! is added. Then the cluster is asked to take what it holds (`meta_node::arrival`). Once it has, the files follow
//! ([`finish`]), in an order in which every start can go on where the last one was cut short:
//!
//! 1. no shard has an old number any more, and that is written down;
//! 2. all shards have their new ones; hints are gone; the former Raft log stands aside, the former copy of the metadata too;
//! 3. `node.json` names the new member; the note of the arrival is removed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use bytes::Bytes;
use cluster::ShardServer;
use config::{DataNodeConfig, Mode};
use env::Env;
use login::Logins;
use meta::Data;
use meta_client::MetaClient;
use meta_node::arrival::{self, Arrival, ArrivalError, Guest, Progress};
use meta_node::identity::{self, Files, Member};
use meta_node::{BoxFuture, DataAddresses, MetaConfig, MetaNode, RaftTransport, TransportError};
use model::{MetaIndex, ShardId};
use rpc::{Channels, ClusterAuth};
use storage::Store;
use telemetry::Metrics;
use tokio::sync::{mpsc, oneshot, watch};

use crate::link::RemoteMeta;
use crate::membership::{self, Call, Directory};
use crate::node::{self, Addresses, CLIENT_FILE, Roles};
use crate::tls::NodeTls;

/// How long a server that stands alone may take to lead itself.
const LEAD_DEADLINE: Duration = Duration::from_secs(20);
/// Between two looks whether it does.
const LEAD_PAUSE: Duration = Duration::from_millis(50);
/// How long one try to come into a cluster may take.
const ENTER_DEADLINE: Duration = Duration::from_secs(20);
/// Between two tries of a node that may have been taken already.
const RETRY_PAUSE: Duration = Duration::from_secs(5);
/// Where no copy of the metadata is, and none is ever written.
const NO_COPY: &str = "arrival.meta";

/// A server that has just come.
#[derive(Debug)]
pub(crate) struct Arrived {
    /// Who is to be told once it serves.
    pub(crate) whom: Option<oneshot::Sender<Result<(), String>>>,
    /// The metadata has it from here on.
    pub(crate) index: MetaIndex,
}

/// A server that stands alone: who it was, and all it knows.
struct Alone {
    member: Member,
    data: Arc<Data>,
}

/// Where a node keeps what it has.
struct Dirs {
    meta: PathBuf,
    data: PathBuf,
    handoff: PathBuf,
}

/// Ends an arrival that was begun. A server that stands alone and is to do so no more waits here until a cluster has taken
/// it; every other node goes on at once.
pub(crate) async fn settle(
    env: &Env,
    config: &DataNodeConfig,
    tls: &NodeTls,
    addresses: &Addresses,
) -> anyhow::Result<Option<Arrived>> {
    let begun = Arrival::load(env, &config.meta_dir).await?;
    let is_asked = matches!(&begun, Some(arrival) if arrival.progress == Progress::Asked);
    let leads_itself = config.mode != Mode::Unjoined || !config.meta_is_off;
    if begun.is_none() && leads_itself {
        return Ok(None);
    }
    let roles = Roles::DATA;
    let dirs =
        Dirs { meta: config.meta_dir.clone(), data: config.data_dir.clone(), handoff: config.handoff_dir.clone() };
    if let Some(arrival) = begun.filter(|_| !is_asked) {
        let _lock = node::lock_metadata(env, config, &roles).await?;
        finish(env, &dirs, arrival).await?;
        return Ok(None);
    }
    if leads_itself {
        bail!(
            "{} says that this server was to be added to a cluster, and that may have happened: set [meta] enabled = false and \
             add it again, or, where no cluster lists it, remove that file",
            dirs.meta.join(arrival::FILE).display()
        );
    }
    // Of other programs nothing is touched.
    node::check_directories(env, config, &roles).await?;
    let Some(member) = identity::load_member(env, &dirs.meta, Files::NODE).await?.filter(|member| member.meta) else {
        ensure!(!is_asked, "{} is there without a server that stood alone", dirs.meta.join(arrival::FILE).display());
        return Ok(None);
    };
    let _lock = node::lock_metadata(env, config, &roles).await?;
    let Some(alone) = read_alone(env, config, tls, addresses, member).await? else {
        ensure!(!is_asked, "{} is there without a server that stood alone", dirs.meta.join(arrival::FILE).display());
        return Ok(None);
    };
    let store = node::open_store(env, config, &roles).await?.context("a data node has a store")?;
    let waited = wait(env, config, tls, addresses, &alone, &store, is_asked).await;
    let closing = Arc::clone(&store);
    env.blocking(move || closing.close()).await;
    let (arrival, arrived) = waited?;
    finish(env, &dirs, arrival).await?;
    if !alone.data.users().is_empty() {
        let names: Vec<&str> = alone.data.users().iter().map(|user| user.name.as_str()).collect();
        tracing::warn!("users of this server were not brought along, the cluster has its own: {}", names.join(", "));
    }
    Ok(Some(arrived))
}

/// All that a server knows that stands alone; `None` when it is, or was, a member of a cluster of several.
async fn read_alone(
    env: &Env,
    config: &DataNodeConfig,
    tls: &NodeTls,
    addresses: &Addresses,
    member: Member,
) -> anyhow::Result<Option<Alone>> {
    let is_alone = |data: &Data| {
        let [only] = data.nodes() else { return false };
        only.id == member.id && only.meta.is_some() && only.data.is_some()
    };
    let (copy, file) = (env.clone(), config.meta_dir.join(CLIENT_FILE));
    let last = env.blocking(move || meta_client::load(&copy, &file)).await?;
    if last.is_some_and(|last| !last.nodes().is_empty() && !is_alone(&last)) {
        return Ok(None);
    }
    // Nobody else is spoken to, and what it proves to itself is not what it proves to the cluster.
    let meta_config = MetaConfig {
        auth: ClusterAuth::new(env.clone(), config.cluster_auth.secret.clone(), Vec::new()),
        dialers: Some(tls.dialers()),
        ..MetaConfig::new(config.meta_dir.clone(), addresses.meta_http.clone(), addresses.rpc.clone())
    };
    let meta_node = MetaNode::start(env.clone(), meta_config, Arc::new(Nobody)).await?;
    let read = read_own(&meta_node).await;
    meta_node.shutdown().await;
    let Some(data) = read? else { return Ok(None) };
    if !is_alone(&data) || data.node(member.id).is_none_or(|node| node.incarnation != meta_node.incarnation()) {
        return Ok(None);
    }
    Ok(Some(Alone { member, data }))
}

/// The metadata with everything that was ever decided; `None` when others vote.
async fn read_own(meta_node: &MetaNode) -> anyhow::Result<Option<Arc<Data>>> {
    if meta_node.status().peers.len() != 1 {
        return Ok(None);
    }
    let reading = async {
        loop {
            match meta_node.ensure_linearizable().await {
                Ok(data) => return data,
                Err(error) => tracing::debug!(%error, "this server does not lead itself yet"),
            }
            tokio::time::sleep(LEAD_PAUSE).await;
        }
    };
    tokio::select! {
        data = reading => Ok(Some(data)),
        why = meta_node.failed() => Err(anyhow!("raft: {why}")),
        () = tokio::time::sleep(LEAD_DEADLINE) => Err(anyhow!("the metadata of this server cannot be read: no leader")),
    }
}

/// Carries nothing: a server that stands alone has nobody to talk to.
#[derive(Debug)]
struct Nobody;

impl RaftTransport for Nobody {
    fn call<'a>(
        &'a self,
        target_addr: &'a str,
        _request: Bytes,
        _deadline: Duration,
    ) -> BoxFuture<'a, Result<Bytes, TransportError>> {
        Box::pin(async move { Err(TransportError::Unreachable(target_addr.to_owned())) })
    }
}

/// Why what the server holds cannot be brought along as it is.
fn obstacle(alone: &Alone, on_disk: &[ShardId]) -> Option<String> {
    if !alone.data.restrictions().is_empty() || !alone.data.access_grants().is_empty() {
        let why = "this data node has restrictions and grants on series, which are not brought along: in the cluster what they \
                   hide would be shown; drop them, add it, and create them there";
        return Some(why.to_owned());
    }
    let held = alone.data.holdings(alone.member.id).numbered(Default::default(), Default::default()).shards;
    let is_held = |id: &ShardId| held.binary_search_by_key(id, |(old, _)| *old).is_ok();
    let dropped = cluster::expire::dropped(&alone.data, alone.member.id, on_disk);
    let stranger = on_disk.iter().find(|id| !is_held(id) && !dropped.contains(id))?;
    Some(format!("this data node has files of shard {stranger}, which its metadata does not know: it is left as it is"))
}

/// Waits until somebody adds the server and a cluster has taken it.
async fn wait(
    env: &Env,
    config: &DataNodeConfig,
    tls: &NodeTls,
    addresses: &Addresses,
    alone: &Alone,
    store: &Arc<Store>,
    is_asked: bool,
) -> anyhow::Result<(Arrival, Arrived)> {
    let own = vec![addresses.rpc.clone(), addresses.meta_http.clone()];
    let auth = ClusterAuth::new(env.clone(), config.cluster_auth.secret.clone(), own);
    let on_disk: Vec<ShardId> = store.shards().into_iter().map(|shard| shard.id).collect();
    let node = alone.data.node(alone.member.id).context("a server that stands alone knows itself")?;
    let guest = Guest {
        incarnation: node.incarnation,
        cluster_id: alone.data.cluster_id(),
        holdings: alone.data.holdings(node.id),
        addresses: DataAddresses { http_addr: addresses.http.clone(), tcp_addr: addresses.rpc.clone(), passive: false },
    };
    let databases: Vec<String> = guest.holdings.names().map(str::to_owned).collect();
    let directory = Directory {
        incarnation: node.incarnation,
        has_meta_role: false,
        store: Some(Arc::clone(store)),
        logins: Logins::with(env.clone(), config.password_hash, None, &Metrics::new()),
        brings: Some(databases.len()),
    };
    // Knows of nobody, and is never told.
    let channels = Arc::new(Channels::new(tls.to_meta.clone(), auth.clone(), config.dial_timeout));
    let meta = MetaClient::open(env.clone(), config.meta_dir.join(NO_COPY), RemoteMeta::new(channels, Vec::new()))?;
    let (routes, mut membership) = membership::open(env, config, addresses, &meta, directory, &auth);
    let (stop, stopped) = watch::channel(false);
    let listener = node::listen(env, "[meta] bind-address", &config.rpc_bind).await?;
    // Calls of nodes that have heard of it before it has are told to come again.
    let app = rpc::server::routes(ShardServer::new(env.clone(), None), auth.clone()).merge(routes);
    let mut serving = vec![node::serve(env, tls::Listener::new(listener, tls.cluster.clone()), app, &stopped)];
    if config.http_enabled {
        let listener = node::listen(env, "[http] bind-address", &config.http_bind).await?;
        let listener = tls::Listener::new(listener, tls.clients.clone());
        serving.push(node::serve(env, listener, membership::waiting_app(), &stopped));
    }
    tracing::info!(
        databases = databases.join(", "),
        "this server stood alone, and waits to be brought into a cluster; run on a meta node: influxd-ctl add-data {}",
        addresses.rpc
    );
    let obstacle = obstacle(alone, &on_disk);
    let entered = enter(tls, &auth, &config.meta_dir, guest, obstacle, &mut membership.calls, is_asked).await;
    // Closes the ports, which the node is about to open again. Who waits for an answer keeps the connection.
    stop.send_replace(true);
    for task in serving {
        task.await;
    }
    entered
}

/// Tries whenever somebody asks; and by itself, as long as it may have been taken already.
async fn enter(
    tls: &NodeTls,
    auth: &ClusterAuth,
    meta_dir: &Path,
    mut guest: Guest,
    obstacle: Option<String>,
    calls: &mut mpsc::Receiver<Call>,
    mut is_asked: bool,
) -> anyhow::Result<(Arrival, Arrived)> {
    let env = tls.to_meta.env();
    loop {
        let call = tokio::select! {
            call = calls.recv() => Some(call.ok_or_else(|| anyhow!("the port for calls between nodes was closed"))?),
            () = tokio::time::sleep(RETRY_PAUSE), if is_asked => None,
        };
        let (peers, whom) = match call {
            Some(Call { enter, answer }) => {
                guest.addresses.passive = enter.passive;
                (enter.meta_servers, Some(answer))
            }
            None => {
                let asked = Arrival::load(env, meta_dir).await?;
                (asked.map(|asked| asked.meta_servers).unwrap_or_default(), None)
            }
        };
        let asked = match &obstacle {
            Some(why) if !is_asked => Err(ArrivalError::Refused(why.clone())),
            _ => arrival::ask(&tls.to_meta, auth, meta_dir, &peers, &guest, ENTER_DEADLINE).await,
        };
        let why = match asked {
            Ok((arrival, index)) => return Ok((arrival, Arrived { whom, index })),
            Err(ArrivalError::Disk(error)) => {
                return Err(error).context("write down that this node comes into a cluster");
            }
            Err(error) => error.to_string(),
        };
        tracing::warn!(why, "this server was not brought into the cluster");
        if let Some(whom) = whom {
            // Whoever asked may have gone.
            let _ = whom.send(Err(why));
        }
        is_asked = Arrival::load(env, meta_dir).await?.is_some();
    }
}

/// What is left to do once the cluster has taken the server.
async fn finish(env: &Env, dirs: &Dirs, arrival: Arrival) -> anyhow::Result<()> {
    let (member, is_aside) = match &arrival.progress {
        Progress::Asked => bail!("no cluster has taken this server yet"),
        Progress::Taken(member) => (member.clone(), false),
        Progress::Aside(member) => (member.clone(), true),
    };
    tracing::info!(node = member.id.0, shards = arrival.shards.len(), "the files follow this server into its cluster");
    if !is_aside {
        let numbers: BTreeMap<ShardId, ShardId> = arrival.shards.iter().copied().collect();
        let (copy, dir) = (env.clone(), dirs.data.clone());
        let aside = env.blocking(move || storage::set_aside(&copy, &dir, &numbers)).await;
        aside.context("take the old numbers from the shards")?;
        let arrival = Arrival { progress: Progress::Aside(member.clone()), ..arrival.clone() };
        arrival.store(env, &dirs.meta).await?;
    }
    let (copy, dir, handoff) = (env.clone(), dirs.data.clone(), dirs.handoff.clone());
    let placing = move || {
        storage::put_in_place(&copy, &dir)?;
        membership::empty(&**copy.fs(), &handoff)
    };
    env.blocking(placing).await.context("give the shards their new numbers")?;
    identity::set_aside(env, &dirs.meta, arrival.former_cluster).await.context("set the former metadata aside")?;
    identity::store_member(env, &dirs.meta, Files::NODE, &member).await?;
    Arrival::remove(env, &dirs.meta).await?;
    Ok(())
}

#[cfg(test)]
mod tests;
