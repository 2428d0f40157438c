//! A cluster of meta nodes in one process: Raft messages over a switch in memory that can cut nodes off, the admin API
//! over real sockets on the loopback interface.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use credentials::Secret;
use env::{Env, TaskHandle};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use meta::{Command, Data};
use meta_node::http::{HttpConfig, router};
use meta_node::{BoxFuture, MetaConfig, MetaNode, RaftTransport, StartError, Timeouts, TransportError};
use model::NodeId;
use rpc::ClusterAuth;

/// Signs the tokens of nodes whose admin API is guarded.
pub(crate) const NODE_SECRET: &str = "a secret of the nodes of a test";
/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Carries Raft messages between the nodes of one test.
#[derive(Clone, Debug, Default)]
pub(crate) struct Switch(Arc<Mutex<Ports>>);

#[derive(Debug, Default)]
struct Ports {
    nodes: HashMap<String, MetaNode>,
    cut: HashSet<String>,
}

impl Switch {
    fn plug(&self, address: &str, node: MetaNode) {
        self.0.lock().expect("not poisoned").nodes.insert(address.to_owned(), node);
    }

    fn unplug(&self, address: &str) {
        self.0.lock().expect("not poisoned").nodes.remove(address);
    }

    /// Nothing reaches this address or comes from it, until [`Switch::heal`].
    pub(crate) fn cut(&self, address: &str) {
        self.0.lock().expect("not poisoned").cut.insert(address.to_owned());
    }

    pub(crate) fn heal(&self, address: &str) {
        self.0.lock().expect("not poisoned").cut.remove(address);
    }

    fn reach(&self, from: &str, to: &str) -> Option<MetaNode> {
        let ports = self.0.lock().expect("not poisoned");
        let open = !ports.cut.contains(from) && !ports.cut.contains(to);
        ports.nodes.get(to).filter(|_| open).cloned()
    }
}

/// One node's end of the switch.
#[derive(Debug)]
struct Cable {
    switch: Switch,
    address: String,
}

impl RaftTransport for Cable {
    fn call<'a>(
        &'a self,
        target: &'a str,
        request: Bytes,
        deadline: Duration,
    ) -> BoxFuture<'a, Result<Bytes, TransportError>> {
        Box::pin(async move {
            let unreachable = || TransportError::Unreachable(target.to_owned());
            let node = self.switch.reach(&self.address, target).ok_or_else(unreachable)?;
            let reply = tokio::time::timeout(deadline, node.handle_raft(request)).await;
            let reply = reply.map_err(|_| TransportError::Other("too late".to_owned()))?;
            // The way back may have been cut meanwhile.
            self.switch.reach(target, &self.address).ok_or_else(unreachable)?;
            Ok(reply)
        })
    }
}

/// A directory and addresses, with or without a process.
pub(crate) struct Host {
    pub(crate) dir: PathBuf,
    pub(crate) http_addr: String,
    pub(crate) tcp_addr: String,
    pub(crate) snapshot_entries: u64,
    /// Whether the admin API asks for proof.
    pub(crate) admin_auth: bool,
    /// Signs the tokens of users.
    pub(crate) user_secret: &'static str,
    switch: Switch,
}

/// A running process.
pub(crate) struct Process {
    pub(crate) node: MetaNode,
    pub(crate) host: Arc<Host>,
    server: TaskHandle<()>,
    gossip: TaskHandle<()>,
}

impl Host {
    /// Reserves a port for the admin API.
    pub(crate) async fn new(root: &Path, name: &str, switch: &Switch) -> Arc<Host> {
        Host::with_snapshots(root, name, switch, 1_000).await
    }

    pub(crate) async fn with_snapshots(root: &Path, name: &str, switch: &Switch, snapshot_entries: u64) -> Arc<Host> {
        let http_addr = free_address().await;
        Arc::new(Host {
            dir: root.join(name),
            http_addr,
            tcp_addr: format!("{name}:8088"),
            snapshot_entries,
            admin_auth: false,
            user_secret: "a secret of users",
            switch: switch.clone(),
        })
    }

    /// One whose admin API asks for proof; nodes have `secret`.
    pub(crate) async fn guarded(root: &Path, name: &str, switch: &Switch) -> Arc<Host> {
        let host = Host::new(root, name, switch).await;
        let mut host = Arc::into_inner(host).expect("nobody else has it");
        host.admin_auth = true;
        Arc::new(host)
    }

    /// One that asks for proof and takes no tokens of users.
    pub(crate) async fn without_user_secret(root: &Path, name: &str, switch: &Switch) -> Arc<Host> {
        let host = Host::guarded(root, name, switch).await;
        let mut host = Arc::into_inner(host).expect("nobody else has it");
        host.user_secret = "";
        Arc::new(host)
    }

    /// The same directory under other addresses.
    pub(crate) async fn moved(&self, name: &str) -> Arc<Host> {
        Arc::new(Host {
            dir: self.dir.clone(),
            http_addr: free_address().await,
            tcp_addr: format!("{name}:8088"),
            snapshot_entries: self.snapshot_entries,
            admin_auth: self.admin_auth,
            user_secret: self.user_secret,
            switch: self.switch.clone(),
        })
    }

    pub(crate) fn config(&self) -> MetaConfig {
        MetaConfig {
            timeouts: Timeouts {
                heartbeat: Duration::from_millis(100),
                election_min: Duration::from_millis(300),
                election_max: Duration::from_millis(500),
            },
            shard_groups_max: 100,
            snapshot_entries: self.snapshot_entries,
            gossip_interval: Duration::from_millis(50),
            version: "1.12.4-c1.12.4".to_owned(),
            auth: match self.admin_auth {
                true => ClusterAuth::new(Env::real(), Secret::new(NODE_SECRET.to_owned()), vec![self.tcp_addr.clone()]),
                false => ClusterAuth::default(),
            },
            ..MetaConfig::new(self.dir.clone(), self.http_addr.clone(), self.tcp_addr.clone())
        }
    }

    pub(crate) async fn try_start(self: &Arc<Host>) -> Result<Process, StartError> {
        self.start_with(self.config()).await
    }

    async fn start_with(self: &Arc<Host>, config: MetaConfig) -> Result<Process, StartError> {
        let env = Env::real();
        let cable = Cable { switch: self.switch.clone(), address: self.tcp_addr.clone() };
        let node = MetaNode::start(env.clone(), config, Arc::new(cable)).await?;
        self.switch.plug(&self.tcp_addr, node.clone());
        let gossip = env.spawn(node.clone().run_gossip());
        let versions = HttpConfig {
            version: "1.12.4".to_owned(),
            password_hash: credentials::Scheme::parse("bcrypt;cost=4").expect("a scheme"),
            auth_enabled: self.admin_auth,
            shared_secret: Secret::new(self.user_secret.to_owned()),
            directory: Some(Arc::new(Guests)),
            ldap_allowed: self.admin_auth,
            tracing: true,
        };
        let server = serve(&env, &self.http_addr, router(node.clone(), versions)).await;
        Ok(Process { node, host: Arc::clone(self), server, gossip })
    }

    /// As `-single-server` does.
    pub(crate) async fn start_single(self: &Arc<Host>) -> Process {
        let process = self.start_with(MetaConfig { single_server: true, ..self.config() }).await.expect("starts");
        process.node.bootstrap().await.expect("forms");
        process
    }

    pub(crate) async fn start(self: &Arc<Host>) -> Process {
        self.try_start().await.expect("starts")
    }

    /// Starts once the former process has let go of the directory.
    pub(crate) async fn restart(self: &Arc<Host>) -> Process {
        eventually("the directory is free", async || match self.try_start().await {
            Ok(process) => Some(process),
            Err(StartError::InUse(_)) => None,
            Err(error) => panic!("cannot start again: {error}"),
        })
        .await
    }
}

impl Process {
    /// Ends it as a kill would, but for what redb does when it is dropped.
    pub(crate) async fn stop(self) -> Arc<Host> {
        self.server.abort();
        self.gossip.abort();
        self.host.switch.unplug(&self.host.tcp_addr);
        self.node.shutdown().await;
        self.host
    }

    pub(crate) fn peer(&self) -> String {
        self.host.http_addr.clone()
    }

    /// Joins `others` and waits until it votes.
    pub(crate) async fn join(&self, others: &[&Process]) -> NodeId {
        let peers: Vec<_> = others.iter().map(|other| other.peer()).collect();
        within("join", self.node.join(&peers, None)).await.expect("joins").id
    }
}

/// Serves a router until the handle is aborted.
pub(crate) async fn serve(env: &Env, address: &str, app: axum::Router) -> TaskHandle<()> {
    let listener = eventually("the port is free", async || env.listen(address).await.ok()).await;
    let spawner = env.clone();
    env.spawn(async move {
        let mut connections = Connections::default();
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(app.clone());
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            connections.0.push(spawner.spawn(async move {
                let _ = connection.await;
            }));
        }
    })
}

/// Ends with the server.
#[derive(Default)]
struct Connections(Vec<TaskHandle<()>>);

impl Drop for Connections {
    fn drop(&mut self) {
        self.0.iter().for_each(TaskHandle::abort);
    }
}

pub(crate) async fn free_address() -> String {
    let listener = Env::real().listen("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("known").to_string()
}

pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}

/// Asks again and again until there is an answer.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    within(what, async {
        let mut pause = tokio::time::interval(Duration::from_millis(20));
        loop {
            pause.tick().await;
            if let Some(answer) = ask().await {
                return answer;
            }
        }
    })
    .await
}

/// Waits until a node has metadata as wanted.
pub(crate) async fn sees(process: &Process, what: &str, wanted: impl Fn(&Data) -> bool) {
    let mut versions = process.node.subscribe();
    within(what, versions.wait_for(|data| wanted(data))).await.expect("the node lives");
}

/// Proposes at whichever node leads, until it is carried out.
pub(crate) async fn propose(processes: &[&Process], command: &Command) -> meta::Reply {
    eventually(&format!("{command:?}"), async || {
        for process in processes {
            if let Ok((reply, _)) = process.node.propose(command).await {
                return Some(reply);
            }
        }
        None
    })
    .await
}

/// The node that leads, once all of `processes` agree.
pub(crate) async fn leader<'a>(processes: &[&'a Process]) -> &'a Process {
    eventually("one leader", async || {
        let first = processes[0].node.leader()?;
        let agree = processes.iter().all(|process| process.node.leader().as_ref() == Some(&first));
        let leads = processes.iter().find(|process| process.node.id() == Some(first.id));
        leads.copied().filter(|_| agree)
    })
    .await
}

pub(crate) fn create_database(name: &str) -> Command {
    Command::CreateDatabase { name: name.to_owned(), policy: Some(meta::PolicySpec::automatic()), explicit: false }
}

/// Raft addresses of the voters, sorted, as a node sees them.
pub(crate) fn voters(process: &Process) -> Vec<String> {
    let mut peers = process.node.status().peers;
    peers.sort();
    peers
}

/// A directory that knows `guest`, with the password `guest` and the role `ops`. Its configuration is `on` or `off`, with a
/// secret behind.
#[derive(Debug)]
struct Guests;

impl login::Directory for Guests {
    fn check(&self, config: &str) -> Result<login::DirectorySummary, String> {
        let (enabled, _) = config.split_once(' ').ok_or("no secret")?;
        let roles = vec!["ops".to_owned()];
        Ok(login::DirectorySummary { enabled: enabled == "on", roles, masked: format!("{enabled} [REDACTED]") })
    }

    fn find<'a>(
        &'a self,
        _: &'a str,
        name: &'a str,
        password: Option<&'a str>,
        _: Option<&'a login::Memberships>,
    ) -> login::Pending<'a, Result<login::Known, login::DirectoryError>> {
        let known = login::Known { name: name.to_owned(), admin: false, roles: vec!["ops".to_owned()] };
        let right = name == "guest" && password.is_none_or(|password| password == "guest");
        Box::pin(async move { if right { Ok(known) } else { Err(login::DirectoryError::Wrong) } })
    }

    fn memberships<'a>(
        &'a self,
        _: &'a str,
        _: &'a login::Progress,
    ) -> login::Pending<'a, Result<(login::Memberships, Vec<String>), login::DirectoryError>> {
        Box::pin(std::future::ready(Ok((login::Memberships::default(), Vec::new()))))
    }

    fn explain<'a>(&'a self, config: &'a str, name: &'a str, _: &'a str) -> login::Pending<'a, String> {
        Box::pin(async move { format!("{name} by {}\n", config.split(' ').next().unwrap_or_default()) })
    }
}
