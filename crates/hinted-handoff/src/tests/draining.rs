//! The drain against a peer that answers, does not, or answers badly; in virtual time.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use model::{NodeId, ShardId};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::{NODE, SHARD, World, config};
use crate::planted::{Bug, found_by};
use crate::{Config, HandoffError, MarkReason, Queues, SendError, Sender, drain};

/// What the peers do and what they got.
#[derive(Debug, Default)]
struct Peers {
    state: Mutex<PeersState>,
}

#[derive(Debug, Default)]
struct PeersState {
    is_down: bool,
    /// Entries with this text are answered with that, always.
    answers: BTreeMap<&'static str, SendError>,
    got: Vec<(NodeId, ShardId, String)>,
    calls: Vec<Duration>,
    on_the_way: usize,
    on_the_way_max: usize,
    latency: Duration,
    problems: usize,
    started: Option<Instant>,
}

impl Sender for Peers {
    fn send(&self, node: NodeId, shard: ShardId, bytes: Bytes) -> impl Future<Output = Result<(), SendError>> + Send {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let latency = {
            let mut state = self.state.lock();
            let started = *state.started.get_or_insert_with(Instant::now);
            state.calls.push(started.elapsed());
            state.on_the_way += 1;
            state.on_the_way_max = state.on_the_way_max.max(state.on_the_way);
            state.latency
        };
        async move {
            sleep(latency).await;
            let mut state = self.state.lock();
            state.on_the_way -= 1;
            if let Some(answer) = state.answers.get(&*text) {
                return Err(*answer);
            }
            if state.is_down {
                return Err(SendError::Retry);
            }
            state.got.push((node, shard, text));
            Ok(())
        }
    }

    fn problem(&self, _problem: HandoffError) {
        self.state.lock().problems += 1;
    }
}

impl Peers {
    fn new() -> Arc<Peers> {
        let peers = Peers::default();
        peers.state.lock().latency = Duration::from_millis(10);
        Arc::new(peers)
    }

    fn got(&self) -> Vec<String> {
        self.state.lock().got.iter().map(|(_, _, text)| text.clone()).collect()
    }
}

/// A drain that is running.
struct Drain {
    queues: Arc<Queues>,
    peers: Arc<Peers>,
    stop: watch::Sender<bool>,
    task: env::TaskHandle<()>,
}

impl Drain {
    fn start(world: &World, config: Config, peers: &Arc<Peers>) -> Drain {
        let queues = Arc::new(world.open(config).0);
        let (stop, stopped) = watch::channel(false);
        let task = world.env().spawn(drain(Arc::clone(&queues), Arc::clone(peers), stopped));
        Drain { queues, peers: Arc::clone(peers), stop, task }
    }

    async fn until(&self, what: impl Fn(&Drain) -> bool) {
        let wait = async {
            // Looks often at first, so that short times can be measured.
            let mut step = Duration::from_millis(1);
            while !what(self) {
                sleep(step).await;
                step = step.mul_f64(1.02).min(Duration::from_secs(10));
            }
        };
        timeout(Duration::from_secs(3600), wait).await.expect("it happens within an hour");
    }

    async fn until_empty(&self) {
        self.until(|drain| drain.queues.nodes().is_empty()).await;
    }

    async fn end(self) {
        self.stop.send(true).expect("the drain listens");
        timeout(Duration::from_secs(1), self.task).await.expect("it stops at once").expect("without a panic");
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_sent_and_what_comes_later_too() {
    let world = World::new(1);
    world.queues().append(NODE, SHARD, b"from before").expect("queued");
    world.disk.kill();
    let peers = Peers::new();
    let drain = Drain::start(&world, config(), &peers);
    drain.until_empty().await;
    for index in 0..100 {
        drain.queues.append(NodeId(index % 3), ShardId(index % 2), index.to_string().as_bytes()).expect("queued");
    }
    drain.until_empty().await;
    let mut got = peers.got();
    assert_eq!(got.remove(0), "from before");
    got.sort_by_key(|text| text.parse::<u64>().expect("a number"));
    assert_eq!(got, (0..100).map(|index| index.to_string()).collect::<Vec<_>>());
    let taken = std::mem::take(&mut peers.state.lock().got);
    assert!(taken[1..].iter().all(|(node, shard, text)| {
        let index: u64 = text.parse().expect("a number");
        (node.0, shard.0) == (index % 3, index % 2)
    }));
    drain.end().await;
    assert!(world.queues().nodes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn entries_are_sent_side_by_side_up_to_the_limit() {
    let world = World::new(2);
    let peers = Peers::new();
    let drain = Drain::start(&world, Config { retry_concurrency: 5, ..config() }, &peers);
    for index in 0..50 {
        drain.queues.append(NODE, SHARD, index.to_string().as_bytes()).expect("queued");
    }
    drain.until_empty().await;
    assert_eq!(peers.state.lock().on_the_way_max, 5);
    drain.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_down_is_asked_less_and_less_often() {
    let world = World::new(3);
    let peers = Peers::new();
    peers.state.lock().is_down = true;
    let drain = Drain::start(&world, config(), &peers);
    for index in 0..10 {
        drain.queues.append(NODE, SHARD, index.to_string().as_bytes()).expect("queued");
    }
    sleep(Duration::from_secs(100)).await;
    let seconds: Vec<u64> = peers.state.lock().calls.iter().map(Duration::as_secs).collect();
    // Four at once, then one after 1, 2, 4, 8, 10, 10 ... seconds.
    assert_eq!(seconds[..9], [0, 0, 0, 0, 1, 3, 7, 15, 25]);
    assert!(seconds.len() < 20, "{seconds:?}");
    peers.state.lock().is_down = false;
    drain.until_empty().await;
    assert_eq!(peers.got().len(), 10);
    assert!(drain.queues.needs_repair().is_empty(), "nothing was given up");
    drain.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_back_is_served_at_once() {
    let world = World::new(4);
    let peers = Peers::new();
    peers.state.lock().is_down = true;
    let config = Config { retry_interval: Duration::from_secs(500), ..config() };
    let drain = Drain::start(&world, Config { retry_interval_max: Duration::from_secs(500), ..config }, &peers);
    drain.queues.append(NODE, SHARD, b"1").expect("queued");
    drain.until(|drain| drain.peers.state.lock().calls.len() == 1).await;
    sleep(Duration::from_secs(5)).await;
    // One that has not been tried yet goes first; the other has its own time to wait.
    drain.queues.append(NODE, SHARD, b"2").expect("queued");
    peers.state.lock().is_down = false;
    drain.queues.node_is_back(NODE);
    let before = Instant::now();
    drain.until(|drain| drain.peers.got() == ["2"]).await;
    assert!(before.elapsed() < Duration::from_secs(1));
    drain.until_empty().await;
    assert_eq!(peers.got(), ["2", "1"]);
    drain.end().await;
}

#[tokio::test(start_paused = true)]
async fn refused_entries_hold_nothing_up() {
    let world = World::new(5);
    let peers = Peers::new();
    peers.state.lock().answers.insert("bad", SendError::Refused);
    let drain = Drain::start(&world, config(), &peers);
    for text in ["bad", "1", "bad", "2"] {
        drain.queues.append(NODE, SHARD, text.as_bytes()).expect("queued");
    }
    let before = Instant::now();
    drain.until_empty().await;
    assert!(before.elapsed() < Duration::from_millis(500), "no back-off for an answer");
    assert_eq!(peers.got(), ["1", "2"]);
    assert!(drain.queues.needs_repair()[0].has(MarkReason::Refused));
    drain.end().await;
}

async fn check_poison() {
    let world = World::new(6);
    let peers = Peers::new();
    peers.state.lock().answers.insert("poison", SendError::Retry);
    let drain = Drain::start(&world, config(), &peers);
    drain.queues.append(NODE, SHARD, b"poison").expect("queued");
    for index in 0..50 {
        drain.queues.append(NODE, SHARD, index.to_string().as_bytes()).expect("queued");
    }
    let before = Instant::now();
    drain.until(|drain| drain.peers.got().len() == 50).await;
    assert!(before.elapsed() < Duration::from_secs(5), "the others arrived after {:?}", before.elapsed());
    drain.until_empty().await;
    assert!(drain.queues.needs_repair()[0].has(MarkReason::Hopeless));
    assert_eq!(drain.queues.stats()[0].counts.hopeless, 1);
    drain.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_never_arrives_holds_nothing_up() {
    check_poison().await;
}

#[test]
fn planted_bugs_are_found() {
    let check = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.expect("a runtime").block_on(check_poison());
    };
    assert!(found_by(Bug::PoisonBlocks, check).is_some_and(|found| found.contains("within an hour")));
}

#[tokio::test(start_paused = true)]
async fn the_rate_is_kept() {
    let world = World::new(7);
    let peers = Peers::new();
    let drain = Drain::start(&world, Config { retry_bytes_per_second: 1000, ..config() }, &peers);
    for _ in 0..20 {
        drain.queues.append(NODE, SHARD, &[b'x'; 500]).expect("queued");
    }
    let before = Instant::now();
    drain.until_empty().await;
    let seconds = before.elapsed().as_secs_f64();
    assert!((9.0..11.0).contains(&seconds), "{seconds}");
    drain.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_gives_back_what_is_on_its_way() {
    let world = World::new(8);
    let peers = Peers::new();
    peers.state.lock().latency = Duration::from_secs(1_000_000);
    let drain = Drain::start(&world, config(), &peers);
    for index in 0..10 {
        drain.queues.append(NODE, SHARD, index.to_string().as_bytes()).expect("queued");
    }
    drain.until(|drain| drain.peers.state.lock().on_the_way == 4).await;
    let queues = Arc::clone(&drain.queues);
    drain.end().await;
    assert_eq!(super::take_all(&queues, NODE).len(), 10);
    assert_eq!(queues.stats()[0].counts.retried, 0, "it is not held against them");
}

#[tokio::test(start_paused = true)]
async fn the_drain_ends_when_nobody_can_stop_it_any_more() {
    let world = World::new(9);
    let drain = Drain::start(&world, config(), &Peers::new());
    drop(drain.stop);
    timeout(Duration::from_secs(5), drain.task).await.expect("it ends").expect("without a panic");
}

#[tokio::test(start_paused = true)]
async fn old_entries_and_empty_queues_are_tended() {
    let world = World::new(10);
    let peers = Peers::new();
    peers.state.lock().is_down = true;
    let drain = Drain::start(&world, config(), &peers);
    drain.queues.append(NODE, SHARD, b"old").expect("queued");
    sleep(Duration::from_secs(4000)).await;
    assert!(drain.queues.nodes().is_empty());
    assert!(drain.queues.needs_repair()[0].has(MarkReason::Expired));
    assert_eq!(world.files_of_queues(), ["/data/hh/2/7.repair"], "the queue is gone, the mark stays");
    assert_eq!(peers.state.lock().problems, 0);
    drain.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_dropped_node_ends_its_drain() {
    let world = World::new(11);
    let peers = Peers::new();
    peers.state.lock().is_down = true;
    let drain = Drain::start(&world, config(), &peers);
    drain.queues.append(NODE, SHARD, b"1").expect("queued");
    drain.until(|drain| drain.peers.state.lock().calls.len() == 1).await;
    drain.queues.drop_node(NODE).expect("dropped");
    let calls = peers.state.lock().calls.len();
    sleep(Duration::from_secs(100)).await;
    assert_eq!(peers.state.lock().calls.len(), calls);
    drain.end().await;
}
