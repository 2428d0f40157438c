//! One meta node on a simulated disk that fails or loses power at one operation after the other. Whatever happens, the
//! directory opens again without help and has all that was acknowledged.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use env::Env;
use env::simulated::{Effect, Fuse, LossModel, SimClock, SimDisk};
use meta::{Command, Data, PolicySpec};
use meta_node::{BoxFuture, MetaConfig, MetaNode, ProposeError, RaftTransport, TransportError};
use model::Timestamp;

/// Databases that a life tries to create. With a snapshot every few of them, all kinds of writing happen.
const DATABASES: usize = 12;

/// A cluster of one needs no carrier.
#[derive(Debug)]
struct Nobody;

impl RaftTransport for Nobody {
    fn call<'a>(&'a self, target: &'a str, _: Bytes, _: Duration) -> BoxFuture<'a, Result<Bytes, TransportError>> {
        Box::pin(async move { Err(TransportError::Unreachable(target.to_owned())) })
    }
}

fn config() -> MetaConfig {
    MetaConfig {
        shard_groups_max: 0,
        snapshot_entries: 4,
        ..MetaConfig::new(PathBuf::from("/meta"), "a:8091".to_owned(), "a:8088".to_owned())
    }
}

/// What a life left behind.
#[derive(Debug, Default)]
struct Acknowledged {
    databases: Vec<String>,
    cluster_id: Option<u64>,
}

/// Starts a node, forms the cluster if there is none, and creates databases until all are there or the node fails.
/// `known` must be there from the beginning.
async fn live(env: Env, known: &Acknowledged) -> Result<Acknowledged, String> {
    let told = |error: &dyn std::fmt::Display| error.to_string();
    let node = MetaNode::start(env, config(), Arc::new(Nobody)).await.map_err(|error| told(&error))?;
    node.bootstrap().await.map_err(|error| told(&error))?;
    let mut versions = node.subscribe();
    // It has to be elected again before it knows how far its log was decided.
    let is_known = |data: &Data| known.cluster_id.is_none_or(|_| data.cluster_id() != 0);
    let all_known =
        versions.wait_for(|data| is_known(data) && known.databases.iter().all(|name| data.database(name).is_some()));
    tokio::select! {
        _ = all_known => {}
        why = node.failed() => return Err(why),
    }
    let cluster_id = node.data().cluster_id();
    assert!(known.cluster_id.is_none_or(|known| known == cluster_id), "it is still the same cluster");
    let mut acknowledged = Acknowledged { databases: Vec::new(), cluster_id: Some(cluster_id) };
    for number in 0..DATABASES {
        let name = format!("db{number}");
        let policy = Some(PolicySpec::automatic());
        let create = Command::CreateDatabase { name: name.clone(), policy, explicit: false };
        tokio::select! {
            () = carried_out(&node, &create) => acknowledged.databases.push(name),
            // What comes next is the crash.
            _ = node.failed() => break,
        }
    }
    node.data().validate().expect("consistent");
    Ok(acknowledged)
}

/// Proposes until it is acknowledged; after a start it takes a while until the node leads.
async fn carried_out(node: &MetaNode, command: &Command) {
    let mut pause = tokio::time::interval(Duration::from_millis(100));
    while node.propose(command).await.is_err() {
        pause.tick().await;
    }
}

/// One life in a runtime of its own, so that nothing of it is left afterwards. Ends with `end`, before anything in the
/// runtime is dropped: a crash gives nobody time to tidy up.
fn life(seed: u64, disk: &SimDisk, known: &Acknowledged, end: impl FnOnce(&SimDisk)) -> Result<Acknowledged, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    let runtime = runtime.expect("a runtime");
    let env = Env::simulated(seed, &SimClock::new(Timestamp(0)), disk);
    let outcome = runtime.block_on(async {
        let limit = tokio::time::timeout(Duration::from_secs(600), live(env, known));
        limit.await.unwrap_or_else(|_| Err("nothing happens".to_owned()))
    });
    end(disk);
    drop(runtime);
    outcome
}

/// How many operations that change the disk an undisturbed life has.
fn changes_of_a_life() -> u64 {
    let disk = SimDisk::new(1);
    let acknowledged = life(1, &disk, &Acknowledged::default(), SimDisk::kill).expect("lives");
    assert_eq!(acknowledged.databases.len(), DATABASES);
    disk.counts().changes()
}

fn check(seed: u64, fuse: Fuse, loss: LossModel) {
    let disk = SimDisk::new(seed);
    disk.arm(fuse);
    let first = life(seed, &disk, &Acknowledged::default(), |disk| disk.crash(loss)).unwrap_or_default();
    let second = life(seed + 1, &disk, &first, |disk| disk.crash(loss));
    let second = second.unwrap_or_else(|why| panic!("{fuse:?}, {loss:?}, seed {seed}: {why}, knew {first:?}"));
    assert_eq!(second.databases.len(), DATABASES, "{fuse:?}, {loss:?}, seed {seed}");
}

#[test]
fn a_power_cut_at_any_change_loses_nothing_acknowledged() {
    let changes = changes_of_a_life();
    // Every third, so that each model meets all kinds of operations within a few seconds.
    for after in (0..changes).step_by(3) {
        let loss = LossModel::ALL[usize::try_from(after).expect("few") % LossModel::ALL.len()];
        check(1_000 + after, Fuse { kinds: Fuse::CHANGES, after, effect: Effect::PowerOff }, loss);
    }
}

#[test]
fn a_failing_disk_stops_the_node_and_loses_nothing_acknowledged() {
    let changes = changes_of_a_life();
    for after in (0..changes).step_by(11) {
        let effect = if after % 2 == 0 { Effect::FailOnce } else { Effect::FailForever };
        check(5_000 + after, Fuse { kinds: Fuse::CHANGES, after, effect }, LossModel::LoseAll);
    }
}

/// With a name that takes space.
fn create(number: usize) -> Command {
    let policy = Some(PolicySpec { name: "x".repeat(250), ..PolicySpec::automatic() });
    Command::CreateDatabase { name: format!("db{number}"), policy, explicit: false }
}

/// Creates databases with room for `room` more bytes, until that has failed a few times; then there is room again, and all
/// come about. The node never ends.
async fn squeezed(env: Env, disk: &SimDisk, room: u64) -> Acknowledged {
    let node = MetaNode::start(env, config(), Arc::new(Nobody)).await.expect("starts");
    node.bootstrap().await.expect("forms");
    carried_out(&node, &create(0)).await;
    disk.set_bytes_max(Some(disk.used_bytes() + room));
    let mut names = vec!["db0".to_owned()];
    let work = async {
        let (mut refused, mut pause) = (0, tokio::time::interval(Duration::from_secs(2)));
        while refused < 5 {
            let number = names.len();
            assert!(number < 5_000, "room for {room}: it is never full");
            match node.propose(&create(number)).await {
                Ok(_) => names.push(format!("db{number}")),
                Err(ProposeError::NoSpace | ProposeError::Timeout(_)) => {
                    refused += 1;
                    pause.tick().await;
                }
                Err(error) => panic!("room for {room}: {error}"),
            }
        }
        assert!(node.data().database("db0").is_some(), "what there is can be read");
        disk.set_bytes_max(None);
        for number in names.len()..names.len() + DATABASES {
            carried_out(&node, &create(number)).await;
            names.push(format!("db{number}"));
        }
    };
    tokio::select! {
        () = work => {}
        why = node.failed() => panic!("room for {room}: {why}"),
    }
    Acknowledged { databases: names, cluster_id: Some(node.data().cluster_id()) }
}

#[test]
fn a_full_disk_is_waited_for_and_loses_nothing_acknowledged() {
    // Whatever the next thing is for which there is no space.
    for room in (0..24).map(|step| step * 4_096 / 3) {
        let disk = SimDisk::new(room);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        let runtime = runtime.expect("a runtime");
        let env = Env::simulated(room, &SimClock::new(Timestamp(0)), &disk);
        let acknowledged = runtime.block_on(async {
            let limit = tokio::time::timeout(Duration::from_secs(3_600), squeezed(env, &disk, room));
            limit.await.unwrap_or_else(|_| panic!("room for {room}: nothing happens"))
        });
        disk.crash(LossModel::LoseAll);
        drop(runtime);
        life(room + 1, &disk, &acknowledged, SimDisk::kill).unwrap_or_else(|why| panic!("room for {room}: {why}"));
    }
}

#[test]
fn a_node_that_waits_for_space_can_be_stopped() {
    let disk = SimDisk::new(3);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    let env = Env::simulated(3, &SimClock::new(Timestamp(0)), &disk);
    runtime.expect("a runtime").block_on(async {
        let node = MetaNode::start(env.clone(), config(), Arc::new(Nobody)).await.expect("starts");
        node.bootstrap().await.expect("forms");
        carried_out(&node, &create(0)).await;
        disk.set_bytes_max(Some(0));
        for number in 1.. {
            match node.propose(&create(number)).await {
                Ok(_) => assert!(number < 5_000, "it is never full"),
                Err(ProposeError::Timeout(_)) => break,
                Err(error) => panic!("{error}"),
            }
        }
        assert!(matches!(node.propose(&create(0)).await, Err(ProposeError::NoSpace)));
        tokio::time::timeout(Duration::from_secs(60), node.shutdown()).await.expect("it stops");
    });
}
