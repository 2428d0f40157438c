//! Power cuts at each change of the disk while the file is followed, and while it is kept.

use std::path::{Path, PathBuf};

use env::Env;
use env::simulated::{Effect, Fuse, LossModel, SimClock, SimDisk};
use meta::PolicySpec;
use model::Timestamp;

use super::*;
use crate::MetaConfig;
use crate::identity::{LOCK, LOG, SNAPSHOTS};
use crate::transport::Nobody;

const DATABASES: usize = 9;

fn config() -> MetaConfig {
    MetaConfig {
        snapshot_entries: 4,
        ..MetaConfig::new(PathBuf::from("/meta"), "a:8091".to_owned(), "a:8088".to_owned())
    }
}

fn roster(names: &[&str]) -> Roster {
    (1..).zip(names).map(|(id, name)| (id, format!("{name}:8088"))).collect()
}

/// Runs `work` with a disk in a runtime of its own, then ends both as a power cut does.
fn life<T>(seed: u64, disk: &SimDisk, loss: Option<LossModel>, work: impl AsyncFnOnce(Env) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    let runtime = runtime.expect("a runtime");
    let env = Env::simulated(seed, &SimClock::new(Timestamp(0)), disk);
    let outcome = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(600), work(env)).await });
    if let Some(loss) = loss {
        disk.crash(loss);
    }
    outcome.expect("something happens")
}

async fn until(mut met: impl FnMut() -> bool) {
    let mut pause = tokio::time::interval(Duration::from_millis(50));
    while !met() {
        pause.tick().await;
    }
}

async fn started(env: &Env) -> Result<MetaNode, StartError> {
    MetaNode::start(env.clone(), config(), Arc::new(Nobody)).await
}

/// The directory of one of three, with some databases in snapshots and in the log. It was made by a cluster of one, whose
/// memberships are exchanged for that of three; `listed` is what counts as written.
async fn one_of_three(env: Env, listed: &Roster) {
    let node = started(&env).await.expect("starts");
    node.bootstrap().await.expect("forms");
    for number in 0..DATABASES {
        let policy = Some(PolicySpec::automatic());
        let create = Command::CreateDatabase { name: format!("db{number}"), policy, explicit: false };
        node.propose(&create).await.expect("created");
    }
    let incarnation = node.incarnation();
    node.shutdown().await;
    drop(node);
    let dir = Path::new("/meta");
    let mut lock = env.fs().lock(dir, LOCK);
    while lock.is_err() {
        tokio::time::sleep(Duration::from_millis(1)).await;
        lock = env.fs().lock(dir, LOCK);
    }
    let lock = Arc::from(lock.expect("free"));
    let log = LogStore::open(&env, &dir.join(LOG), lock, incarnation, NodeId(1), true).await.expect("opens");
    let members = roster(&["a", "b", "c"]);
    let made = Recovery { members: members.clone(), count: 0, group: 0, last_log: None, done: true };
    log.begin_recovery(&made).await.expect("exchanged");
    let snapshots = SnapshotDir::open(&env, &dir.join(SNAPSHOTS)).await.expect("opens");
    snapshots.replace_membership(&membership(&members)).await.expect("exchanged");
    log.note_peers(&Written { last: listed.clone(), ..Written::default() }).await.expect("noted");
    env.fs().replace(&dir.join(PEERS), &peers::print(listed)).expect("written");
}

/// A disk with that directory.
fn disk_of_one_of_three(seed: u64, listed: &Roster) -> SimDisk {
    let disk = SimDisk::new(seed);
    life(seed, &disk, None, async |env| one_of_three(env, listed).await);
    disk
}

/// Goes on alone, and has everything.
async fn goes_on(env: Env) -> Result<(), String> {
    let node = started(&env).await.map_err(|error| error.to_string())?;
    let member = node.member().ok_or("no member")?;
    assert_eq!(member.recoveries, 1, "it was recovered once");
    assert_eq!(member.group, peers::group_of(member.cluster_id, 1, &roster(&["a"])));
    tokio::select! {
        () = until(|| node.leader().is_some()) => {}
        why = node.failed() => return Err(why),
    }
    tokio::select! {
        () = until(|| node.data().databases().len() == DATABASES) => {}
        why = node.failed() => return Err(why),
    }
    assert_eq!(node.status().peers, ["a:8088"]);
    Ok(())
}

#[test]
fn a_recovery_that_is_cut_short_anywhere_comes_to_its_end() {
    let edited = |seed| {
        let disk = disk_of_one_of_three(seed, &roster(&["a", "b", "c"]));
        life(seed, &disk, None, async |env: Env| {
            env.fs().replace(&Path::new("/meta").join(PEERS), b"[ \"a:8088\" ]").expect("edited");
        });
        disk
    };
    let whole = edited(1);
    let before = whole.counts().changes();
    life(2, &whole, None, async |env| goes_on(env).await.expect("goes on"));
    let changes = whole.counts().changes() - before;
    assert!(changes > 10, "{changes}");
    for after in 0..changes {
        let loss = LossModel::ALL[usize::try_from(after).expect("few") % LossModel::ALL.len()];
        let disk = edited(100 + after);
        disk.arm(Fuse { kinds: Fuse::CHANGES, after, effect: Effect::PowerOff });
        // It may come to its end or not; what counts is the next start.
        let _ = life(200 + after, &disk, Some(loss), goes_on);
        let next = life(300 + after, &disk, None, goes_on);
        next.unwrap_or_else(|why| panic!("cut after {after}, {loss:?}: {why}"));
    }
}

/// The log has three members and the file still one: the node was cut short before it wrote the file. However often that
/// happens, it never takes the file for one that somebody edited.
#[test]
fn a_file_that_lags_behind_leaves_the_members_as_they_are() {
    let lagging = |seed| disk_of_one_of_three(seed, &roster(&["a"]));
    let writes = async |env: Env| {
        let node = started(&env).await.map_err(|error| error.to_string())?;
        assert_eq!(node.member().expect("a member").recoveries, 0);
        let text = peers::print(&roster(&["a", "b", "c"]));
        let is_written = || env.fs().read(&Path::new("/meta").join(PEERS)).is_ok_and(|found| found == text);
        tokio::select! {
            () = until(is_written) => {}
            why = node.failed() => return Err(why),
        }
        assert_eq!(node.status().peers, ["a:8088", "b:8088", "c:8088"]);
        assert_eq!(node.leader(), None, "one of three leads nobody");
        Ok::<(), String>(())
    };
    let whole = lagging(1);
    let before = whole.counts().changes();
    life(2, &whole, None, async |env| writes(env).await.expect("written"));
    let changes = whole.counts().changes() - before;
    for after in 0..changes {
        let loss = LossModel::ALL[usize::try_from(after).expect("few") % LossModel::ALL.len()];
        let disk = lagging(100 + after);
        disk.arm(Fuse { kinds: Fuse::CHANGES, after, effect: Effect::PowerOff });
        let _ = life(200 + after, &disk, Some(loss), async |env: Env| {
            tokio::time::timeout(Duration::from_secs(60), writes(env)).await
        });
        let next = life(300 + after, &disk, None, writes);
        next.unwrap_or_else(|why| panic!("cut after {after}, {loss:?}: {why}"));
    }
}
