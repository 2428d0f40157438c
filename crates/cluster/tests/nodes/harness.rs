//! Data nodes in one process, with real calls between them over the loopback interface, around a metadata service that
//! is a field in a struct.
//!
//! Nobody follows the service: the copy of a node is as old as its last question, so a test decides who is behind. A node
//! can be cut off from the service, fall silent, and start again.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cluster::budget::QueryMemory;
use cluster::shard_server::Parts;
use cluster::{
    HybridClock, LocalShards, Peers, PointsWriter, QueryContext, QueryLimits, Repair, Schedule, ShardServer,
    Statements, WriteFailure,
};
use credentials::Scheme;
use env::simulated::SimDisk;
use env::{Env, TaskHandle};
use hinted_handoff::Queues;
use influxql::Params;
use login::Logins;
use meta::{Command, Data, Incarnation, Known, LeaderFacts};
use meta_client::{BoxFuture, LinkError, MetaClient, MetaLink, News, Proposed};
use model::result::Value;
use model::{Batch, ConsistencyLevel, FieldValue, MetaIndex, NodeId, ShardId, Stamp, Tags, TimeRange, Timestamp};
use parking_lot::Mutex;
use rpc::Channels;
use storage::{Origin, Store, StoreConfig};
use telemetry::Metrics;
use tempfile::TempDir;
use tokio::sync::watch;

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Longer than a test.
pub(crate) const NEVER: Duration = Duration::from_secs(86_400);
/// How long a write may take.
const WRITE_MAX: Duration = Duration::from_secs(10);

/// The metadata service.
#[derive(Debug, Default)]
pub(crate) struct Service(Mutex<Data>);

impl Service {
    /// Decides a command that no node here has anything to do with.
    pub(crate) fn decide(&self, command: &Command) -> Proposed {
        let mut data = self.0.lock();
        let index = MetaIndex(data.index().0 + 1);
        let facts = LeaderFacts { now: Timestamp(0), random: 7, shard_groups_max: 0 };
        Proposed { outcome: data.apply(index, &facts, command), index }
    }

    /// What is true.
    pub(crate) fn data(&self) -> Data {
        self.0.lock().clone()
    }
}

/// One node's way to the service.
#[derive(Debug)]
struct Link {
    service: Arc<Service>,
    is_cut: AtomicBool,
}

impl Link {
    fn check(&self) -> Result<(), LinkError> {
        match self.is_cut.load(Ordering::SeqCst) {
            true => Err(LinkError::Unavailable("cut off".to_owned())),
            false => Ok(()),
        }
    }
}

impl MetaLink for Link {
    fn newer<'a>(&'a self, known: Known, _: Duration) -> BoxFuture<'a, Result<Option<News>, LinkError>> {
        Box::pin(async move {
            self.check()?;
            let data = self.service.data();
            Ok((data.index() > known.index).then(|| News::Document { data: Arc::new(data), bytes: 0 }))
        })
    }

    fn propose<'a>(&'a self, command: &'a Command) -> BoxFuture<'a, Result<Proposed, LinkError>> {
        Box::pin(async move {
            self.check()?;
            Ok(self.service.decide(command))
        })
    }
}

/// Some nodes and their service.
pub(crate) struct Cluster {
    pub(crate) service: Arc<Service>,
    pub(crate) nodes: Vec<Node>,
    dir: TempDir,
}

/// A node. Its background work is only what a test starts.
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) meta: Arc<MetaClient>,
    pub(crate) local: Arc<LocalShards>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) writer: Arc<PointsWriter>,
    pub(crate) server: ShardServer,
    pub(crate) clock: Arc<HybridClock>,
    pub(crate) handoff: Arc<Queues>,
    statements: Arc<Statements>,
    link: Arc<Link>,
    address: String,
    stop: watch::Sender<bool>,
    listening: Option<TaskHandle<std::io::Result<()>>>,
    metrics: Metrics,
}

impl Cluster {
    /// Nodes 1 to `count`, none of which has asked the service for anything but the list of all.
    pub(crate) async fn start(count: u64) -> Cluster {
        Cluster::start_on(count, |_| None).await
    }

    /// As [`Cluster::start`], with the shards of some nodes on simulated disks.
    pub(crate) async fn start_on(count: u64, disk_of: impl Fn(NodeId) -> Option<SimDisk>) -> Cluster {
        let (service, dir) = (Arc::new(Service::default()), tempfile::tempdir().expect("a folder"));
        let mut listeners = Vec::new();
        for id in 1..=count {
            let listener = Env::real().listen("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("an address").to_string();
            let joined = service.decide(&Command::CreateDataNode {
                incarnation: Incarnation(id.into()),
                http_addr: format!("n{id}:8086"),
                tcp_addr: address.clone(),
                passive: false,
            });
            joined.outcome.expect("a new node");
            listeners.push((address, listener));
        }
        let mut nodes = Vec::new();
        for (id, (address, listener)) in (1..).zip(listeners) {
            let disk = disk_of(NodeId(id));
            nodes.push(Node::open(NodeId(id), dir.path(), &service, address, listener, disk).await);
        }
        for node in &nodes {
            assert!(node.meta.refresh().await, "the service answers");
            node.local.learn_start().await;
        }
        Cluster { service, nodes, dir }
    }

    /// Ends a node, lets `meanwhile` happen among the others and to its directory, and opens that again. It has not asked
    /// the service since.
    pub(crate) async fn restart(&mut self, index: usize, meanwhile: impl AsyncFnOnce(&[Node], &Path)) {
        let mut node = self.nodes.remove(index);
        node.fall_silent().await;
        node.local.store().close();
        assert!(node.handoff.close().is_empty());
        let (id, address) = (node.id, node.address.clone());
        drop(node);
        meanwhile(&self.nodes, &self.dir.path().join(id.to_string())).await;
        let listener = Env::real().listen(&address).await.expect("its old port");
        let node = Node::open(id, self.dir.path(), &self.service, address, listener, None).await;
        self.nodes.insert(index, node);
    }
}

impl Node {
    async fn open(
        id: NodeId,
        dir: &Path,
        service: &Arc<Service>,
        address: String,
        listener: env::Listener,
        disk: Option<SimDisk>,
    ) -> Node {
        let (env, dir, metrics) = (Env::real(), dir.join(id.to_string()), Metrics::new());
        std::fs::create_dir_all(&dir).expect("a folder");
        let link = Arc::new(Link { service: Arc::clone(service), is_cut: AtomicBool::new(false) });
        let way: Arc<dyn MetaLink> = Arc::clone(&link) as Arc<dyn MetaLink>;
        let meta = MetaClient::open(env.clone(), dir.join("client.meta"), way).expect("a copy");
        let disk = disk.map(|disk| env.clone().with_fs(Arc::new(disk)));
        let store_env = disk.unwrap_or_else(|| env.clone());
        // Small, for a disk that is to be filled.
        let store_config = StoreConfig { wal_segment_bytes: 4 << 10, ..StoreConfig::new(dir.join("data")) };
        let store = Store::open(store_env, store_config).expect("a store");
        let local = Arc::new(LocalShards::new(id, Arc::clone(&meta), Arc::new(store)));
        let clock = Arc::new(HybridClock::new(env.clone(), 0));
        let channels = Arc::new(Channels::new(env.clone(), rpc::ClusterAuth::default(), Duration::from_secs(1)));
        let peers = Peers::new(env.clone(), id, Arc::clone(&meta), Arc::clone(&clock), channels, &metrics);
        let (handoff, _) = Queues::open(&env, &dir.join("hh"), handoff_config()).expect("queues");
        let handoff = Arc::new(handoff);
        let writer = PointsWriter::new(
            env.clone(),
            Arc::clone(&meta),
            Some(Arc::clone(&local)),
            Arc::clone(&peers),
            Some(Arc::clone(&handoff)),
            Arc::clone(&clock),
            WRITE_MAX,
            &metrics,
        );
        let memory = QueryMemory::new(1 << 30, &metrics);
        let limits = QueryLimits {
            concurrent_max: 0,
            timeout: Duration::ZERO,
            buckets_max: 0,
            remote_read_timeout: Duration::ZERO,
            retention_autocreate: true,
            memory: Arc::clone(&memory),
        };
        let statements = Statements::new(
            env.clone(),
            Arc::clone(&meta),
            Some(Arc::clone(&local)),
            Arc::clone(&peers),
            Arc::clone(&writer),
            Logins::new(env.clone(), Scheme::parse("bcrypt;cost=4").expect("a scheme")),
            limits,
            &metrics,
        );
        let server = ShardServer::new(env.clone(), None);
        server.complete(Parts {
            meta: Arc::clone(&meta),
            local: Some(Arc::clone(&local)),
            peers: Arc::clone(&peers),
            handoff: Some(Arc::clone(&handoff)),
            memory,
        });
        let (stop, stopped) = watch::channel(false);
        let app = rpc::server::routes(server.clone(), rpc::ClusterAuth::default());
        let listening = Some(env.spawn(rpc::server::serve(env.clone(), listener, app, stopped)));
        Node {
            id,
            meta,
            local,
            peers,
            writer,
            server,
            clock,
            handoff,
            statements,
            link,
            address,
            stop,
            listening,
            metrics,
        }
    }

    /// Nobody reaches it any more.
    pub(crate) async fn fall_silent(&mut self) {
        self.stop.send_replace(true);
        if let Some(listening) = self.listening.take() {
            listening.await;
        }
    }

    /// Cuts it off from the metadata service, or not any more.
    pub(crate) fn cut_off(&self, is_cut: bool) {
        self.link.is_cut.store(is_cut, Ordering::SeqCst);
    }

    /// Compares its copies with the others' from now on, all of them every `interval`.
    pub(crate) fn start_repair(&self, interval: Duration) -> TaskHandle<()> {
        let (meta, local, peers) = (Arc::clone(&self.meta), Arc::clone(&self.local), Arc::clone(&self.peers));
        Env::real()
            .spawn(Repair::new(Env::real(), meta, local, peers, Schedule::new(Some(interval)), &self.metrics).run())
    }

    /// The rows that a statement answers.
    pub(crate) async fn query(&self, db: &str, text: &str) -> Result<Vec<Vec<Value>>, String> {
        let statements = influxql::parse_query(text, &Params::new()).expect("a statement");
        let context = QueryContext { db: db.to_owned(), ..QueryContext::default() };
        let mut chunks = self.statements.query(statements, context).await.map_err(|denied| denied.to_string())?;
        let mut rows = Vec::new();
        while let Some(chunk) = chunks.recv().await {
            if let Some(error) = chunk.error {
                return Err(error);
            }
            rows.extend(chunk.series.iter().flat_map(|series| series.rows.iter().map(<[Value]>::to_vec)));
        }
        Ok(rows)
    }

    /// Writes the field `v` of `m` at each of these instants.
    pub(crate) async fn write(&self, rp: &str, level: ConsistencyLevel, times: &[i64]) -> Result<(), WriteFailure> {
        self.writer.write("d", rp, level, batch(times)).await
    }

    /// Puts rows into its copy that no other owner hears of: what a coordinator leaves behind that dies in a write.
    pub(crate) fn write_alone(&self, shard: ShardId, clock: u64, batch: &Batch) {
        let stamp = Stamp { clock, coordinator: self.id.0 };
        self.local.write(shard, stamp, batch, None, Origin::Client).expect("written");
    }

    /// Writes to its copy of `shard` alone until its disk takes no more, which has no room left but what files have taken.
    pub(crate) fn fill(&self, disk: &SimDisk, shard: ShardId) {
        disk.set_bytes_max(Some(0));
        let mut clock = 1;
        while !self.local.store().is_disk_full() {
            let stamp = Stamp { clock, coordinator: self.id.0 };
            let _ = self.local.write(shard, stamp, &batch(&[0]), None, Origin::Client);
            clock += 1;
            assert!(clock < 10_000, "the disk fills up");
        }
    }

    /// How many rows this node's own copies have.
    pub(crate) fn row_count(&self) -> usize {
        let open = self.local.store().shards().into_iter().filter_map(|info| self.local.store().shard(info.id));
        open.map(|shard| rows_of(&shard)).sum()
    }

    /// What a counter of its stands at.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let text = self.metrics.render();
        let counts = text.lines().filter_map(|line| line.rsplit_once(' ')).filter(|(known, _)| known.contains(name));
        counts.filter_map(|(_, count)| count.parse::<u64>().ok()).sum()
    }

    /// The shards that it owns, as the service has it.
    pub(crate) fn owned(&self) -> Vec<ShardId> {
        let data = self.link.service.data();
        let mine = data.live_shards().filter(|place| place.shard.is_owned_by(self.id));
        mine.map(|place| place.shard.id).collect()
    }
}

fn rows_of(shard: &storage::Shard) -> usize {
    let reader = shard.read().expect("a shard that can be read");
    let series = reader.series(b"m", &model::TagFilter::All);
    let fields = [(b"v".as_slice(), model::FieldType::Integer)];
    let mut count = 0;
    for one in series {
        let mut rows = reader.rows(one.handle, &fields, TimeRange::ALL, false);
        while let Some(batch) = rows.next().expect("rows") {
            count += batch.times.len();
        }
    }
    count
}

/// Rows of `m`, one an instant.
pub(crate) fn batch(times: &[i64]) -> Batch {
    let mut batch = Batch::default();
    for time in times {
        batch.push_point(b"m", &Tags::new(Vec::new()), *time, &[(b"v", FieldValue::Integer(*time))]);
    }
    batch
}

/// The row of `m` at instant 1, with this value.
pub(crate) fn value(value: i64) -> Batch {
    let mut batch = Batch::default();
    batch.push_point(b"m", &Tags::new(Vec::new()), 1, &[(b"v", FieldValue::Integer(value))]);
    batch
}

/// Asks until it is so.
///
/// # Panics
/// When it does not become so.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let asking = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("never: {what}"));
}

fn handoff_config() -> hinted_handoff::Config {
    hinted_handoff::Config {
        enabled: true,
        bytes_max: 1 << 30,
        entry_age_max: NEVER,
        entry_bytes_max: 1 << 20,
        writes_pending_max: 0,
        retry_concurrency: 1,
        retry_bytes_per_second: 0,
        retry_interval: Duration::from_secs(1),
        retry_interval_max: PATIENCE,
        purge_interval: PATIENCE,
    }
}
