//! What it takes until a copy has a change: `cargo bench -p meta-client`. By changes and, for comparison, by documents.
//! 100 databases with 10,000 shard groups, 3 nodes with shards, copies of everything on each; no network in between.
//! Medians of `CHANGES` changes; files in a temporary directory, synced.

// A benchmark talks to whoever started it.
#![allow(clippy::print_stdout)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use env::Env;
use meta::codec::{decode_snapshot, encode_entry, encode_snapshot};
use meta::{Command, Data, Digest, History, Incarnation, Known, LeaderFacts, PolicySpec};
use meta_client::{BoxFuture, LinkError, MetaClient, MetaLink, News, Proposed};
use model::{MetaIndex, Timestamp};
use parking_lot::Mutex;
use tokio::sync::watch;

const DATABASES: usize = 100;
const GROUPS_PER_DATABASE: i64 = 100;
const WEEK_NS: i64 = 7 * 86_400 * 1_000_000_000;
const CHANGES: usize = 101;

const FACTS: LeaderFacts = LeaderFacts { now: Timestamp(0), random: 7, shard_groups_max: 0 };

/// The service, whose answers are bytes as they would go over the network.
#[derive(Debug)]
struct Service {
    data: watch::Sender<Arc<Data>>,
    history: Mutex<History>,
    /// Time and bytes of the last answer.
    told: Mutex<(Duration, usize)>,
}

impl Service {
    /// Decides a command; how long remembering it took.
    fn decide(&self, command: &Command) -> Duration {
        let before = Arc::clone(&self.data.borrow());
        let mut data = Data::clone(&before);
        let index = MetaIndex(data.index().0 + 1);
        data.apply(index, &FACTS, command).expect("fits");
        let entry = Bytes::from(encode_entry(&FACTS, command));
        let started = Instant::now();
        self.history.lock().push(&before, &data, entry);
        let took = started.elapsed();
        self.data.send_replace(Arc::new(data));
        took
    }
}

impl MetaLink for Service {
    fn newer<'a>(&'a self, known: Known, _: Duration) -> BoxFuture<'a, Result<Option<News>, LinkError>> {
        Box::pin(async move {
            let mut versions = self.data.subscribe();
            let data = versions.wait_for(|data| data.index() > known.index).await.expect("it lives").clone();
            let started = Instant::now();
            if let Some(changes) = self.history.lock().since(known) {
                *self.told.lock() = (started.elapsed(), changes.bytes());
                return Ok(Some(News::Changes(changes)));
            }
            let bytes = encode_snapshot(&data);
            *self.told.lock() = (started.elapsed(), bytes.len());
            let data = Arc::new(decode_snapshot(&bytes).expect("written so"));
            Ok(Some(News::Document { data, bytes: bytes.len() }))
        })
    }

    fn propose<'a>(&'a self, _: &'a Command) -> BoxFuture<'a, Result<Proposed, LinkError>> {
        Box::pin(async { Err(LinkError::Unavailable("not asked".to_owned())) })
    }
}

fn create(name: String) -> Command {
    Command::CreateDatabase { name, policy: Some(PolicySpec::automatic()), explicit: false }
}

fn groups(database: usize, weeks: std::ops::Range<i64>) -> Command {
    Command::CreateShardGroups {
        database: format!("db{database}"),
        policy: "autogen".to_owned(),
        instants: weeks.map(|week| Timestamp(week * WEEK_NS)).collect(),
    }
}

fn large() -> Data {
    let mut data = Data::default();
    let nodes = (1..=3u64).map(|node| Command::CreateDataNode {
        incarnation: Incarnation(node.into()),
        http_addr: format!("data-{node}.example:8086"),
        tcp_addr: format!("data-{node}.example:8088"),
        passive: false,
    });
    let databases = (0..DATABASES).flat_map(|db| [create(format!("db{db}")), groups(db, 0..GROUPS_PER_DATABASE)]);
    for (index, command) in nodes.chain(databases).enumerate() {
        data.apply(MetaIndex(index as u64 + 1), &FACTS, &command).expect("fits");
    }
    data
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e6
}

async fn follow(name: &str, kept_bytes: usize, make: impl Fn(usize) -> Command) {
    let data = large();
    let dir = tempfile::tempdir().expect("a directory");
    let history = Mutex::new(History::new(&data, kept_bytes));
    let data = Arc::new(data);
    let told = Mutex::default();
    let service = Arc::new(Service { data: watch::Sender::new(Arc::clone(&data)), history, told });
    let link = Arc::clone(&service) as Arc<dyn MetaLink>;
    let client = MetaClient::open(Env::real(), dir.path().join("client.meta"), link).expect("a copy");
    client.install(data).await;
    let following = Env::real().spawn(Arc::clone(&client).run());
    let (mut remembered, mut answered, mut arrived, mut bytes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for number in 0..CHANGES {
        // So that the client waits for it.
        tokio::time::sleep(Duration::from_millis(5)).await;
        remembered.push(service.decide(&make(number)));
        let started = Instant::now();
        let index = service.data.borrow().index();
        client.subscribe().wait_for(|known| *known >= index).await.expect("it follows");
        arrived.push(started.elapsed());
        let told = *service.told.lock();
        answered.push(told.0);
        bytes.push(told.1);
    }
    following.abort();
    bytes.sort_unstable();
    println!(
        "{name}: {} B, remembered in {:.0} µs, answered in {:.0} µs, there and on the disk after {:.0} µs",
        bytes[bytes.len() / 2],
        median(remembered),
        median(answered),
        median(arrived)
    );
}

fn main() {
    let data = large();
    let bytes = encode_snapshot(&data);
    let time = |work: &dyn Fn()| {
        let once = || {
            let started = Instant::now();
            work();
            started.elapsed()
        };
        median((0..21).map(|_| once()).collect())
    };
    println!("document: {} B", bytes.len());
    println!("written in {:.0} µs", time(&|| drop(encode_snapshot(&data))));
    println!("read in {:.0} µs", time(&|| drop(decode_snapshot(&bytes))));
    println!("its digest: {:.0} µs", time(&|| assert_ne!(Digest::of(&data), Digest::default())));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let database = |number: usize| create(format!("new{number}"));
        let group = |number: usize| groups(number % DATABASES, 200 + number as i64..201 + number as i64);
        follow("a database, by changes", 1 << 20, database).await;
        follow("a database, by documents", 0, database).await;
        follow("a shard group, by changes", 1 << 20, group).await;
        follow("a shard group, by documents", 0, group).await;
    });
}
