//! The power goes at every operation of what follows once a cluster has taken a server.

use env::simulated::{Effect, Fuse, LossModel, SimClock, SimDisk};
use meta::{Command, Incarnation, LeaderFacts, PolicySpec};
use model::{Batch, FieldValue, NodeId, ShardGroupId, Stamp, Tags, Timestamp};
use storage::{Origin, StoreConfig};

use super::*;

fn env(disk: &SimDisk) -> Env {
    Env::simulated(1, &SimClock::new(Timestamp(0)), disk)
}

fn dirs() -> Dirs {
    Dirs { meta: "/meta".into(), data: "/data".into(), handoff: "/hh".into() }
}

fn numbers() -> Vec<(ShardId, ShardId)> {
    [(1, 2), (2, 3), (3, 1)].map(|(old, new)| (ShardId(old), ShardId(new))).into()
}

fn member() -> Member {
    Member {
        id: NodeId(7),
        cluster_id: 5,
        meta_servers: vec!["m:8091".to_owned()],
        meta: false,
        raft_started: false,
        recoveries: 1,
        group: 6,
    }
}

/// A server that stood alone and was taken a moment ago. Its shards 1 to 3 hold their old number; 4 is of no group any
/// more.
async fn taken(disk: &SimDisk) -> Incarnation {
    let env = env(disk);
    let store = Store::open(env.clone(), StoreConfig::new("/data")).expect("opened");
    for id in 1..=4 {
        store.create_shard(ShardId(id), "db", if id == 2 { "other" } else { "rp" }).expect("made");
        let mut batch = Batch::default();
        let tags = Tags::new(Vec::new());
        batch.push_point(b"m", &tags, id as i64, &[(b"v".as_slice(), FieldValue::Integer(id as i64))]);
        let shard = store.shard(ShardId(id)).expect("made");
        shard.write(Stamp { clock: id, coordinator: 1 }, &batch, None, Origin::Client).expect("written");
        shard.flush().expect("flushed");
    }
    store.close();
    let (fs, dirs) = (env.fs(), dirs());
    let incarnation = identity::incarnation(&env, &dirs.meta, Files::NODE).await.expect("made");
    let alone = Member { id: NodeId(1), cluster_id: 9, group: 9, meta: true, raft_started: true, ..member() };
    identity::store_member(&env, &dirs.meta, Files::NODE, &alone).await.expect("written");
    fs.create_dir_durable(Path::new("/meta/snapshots")).expect("made");
    fs.create_dir_durable(Path::new("/hh/queue")).expect("made");
    for file in ["/meta/raft.db", "/meta/peers.json", "/meta/client.meta", "/meta/snapshots/1", "/hh/queue/1"] {
        fs.replace(Path::new(file), b"old").expect("written");
    }
    let arrival = Arrival {
        former_cluster: 9,
        cluster_id: 5,
        meta_servers: vec!["m:8091".to_owned()],
        passive: false,
        groups_above: ShardGroupId(0),
        shards_above: ShardId(0),
        shards: numbers(),
        progress: Progress::Taken(member()),
    };
    arrival.store(&env, &dirs.meta).await.expect("written");
    assert_eq!(Arrival::load(&env, &dirs.meta).await.expect("read"), Some(arrival));
    incarnation
}

/// As a start does it.
async fn go_on(disk: &SimDisk) -> Option<()> {
    let env = env(disk);
    match Arrival::load(&env, &dirs().meta).await.ok()? {
        Some(arrival) => finish(&env, &dirs(), arrival).await.ok(),
        None => Some(()),
    }
}

async fn check(disk: &SimDisk, incarnation: Incarnation, story: &str) {
    let (env, dirs) = (env(disk), dirs());
    assert_eq!(Arrival::load(&env, &dirs.meta).await.expect("read"), None, "{story}");
    let known = identity::load_member(&env, &dirs.meta, Files::NODE).await.expect("read");
    assert_eq!(known, Some(member()), "{story}");
    assert_eq!(identity::incarnation(&env, &dirs.meta, Files::NODE).await.expect("read"), incarnation, "{story}");
    for gone in ["raft.db", "peers.json", "client.meta", "snapshots"] {
        assert!(!env.fs().exists(&dirs.meta.join(gone)).expect("looked at"), "{story}: {gone}");
    }
    assert_eq!(env.fs().list(&dirs.handoff).expect("there"), [], "{story}");
    let store = Store::open(env.clone(), StoreConfig::new("/data")).expect("opened");
    let found: Vec<_> = store.shards().iter().map(|info| (info.id.0, info.rp.clone(), info.clock_max)).collect();
    let wanted = [(1, "rp", 3), (2, "rp", 1), (3, "other", 2)].map(|(id, rp, clock)| (id, rp.to_owned(), clock));
    assert_eq!(found, wanted, "{story}");
    assert!(store.shards().iter().all(|info| info.damage.is_none() && info.bytes > 0), "{story}");
    store.close();
}

#[tokio::test]
async fn a_power_cut_at_any_operation_leaves_what_the_next_start_ends() {
    let disk = SimDisk::new(1);
    let incarnation = taken(&disk).await;
    let before = disk.counts().changes();
    go_on(&disk).await.expect("nothing fails");
    let changes = disk.counts().changes() - before;
    check(&disk, incarnation, "without a crash").await;
    let former = env(&disk).fs().read(Path::new("/meta/former-0000000000000009/raft.db")).expect("kept");
    assert_eq!(former, b"old");
    identity::check(&env(&disk), &dirs().meta).expect("all of it is ours");
    assert!(changes > 40, "{changes}");
    for loss in LossModel::ALL {
        for after in 0..changes {
            let disk = SimDisk::new(after + 1);
            let incarnation = taken(&disk).await;
            disk.arm(Fuse { kinds: Fuse::CHANGES, after, effect: Effect::PowerOff });
            let story = format!("{loss:?}, the power went at {after}");
            assert_eq!(go_on(&disk).await, None, "{story}");
            disk.crash(loss);
            // And once more in what the next start does.
            disk.arm(Fuse { kinds: Fuse::CHANGES, after: changes / 4, effect: Effect::PowerOff });
            let _ = go_on(&disk).await;
            disk.crash(loss);
            go_on(&disk).await.unwrap_or_else(|| panic!("{story}"));
            disk.crash(LossModel::LoseAll);
            check(&disk, incarnation, &story).await;
        }
    }
}

#[test]
fn what_cannot_be_brought_along_is_told() {
    let mut data = Data::default();
    let mut apply = |command: Command| {
        let facts = LeaderFacts { now: Timestamp(0), random: 1, shard_groups_max: 0 };
        data.apply(MetaIndex(data.index().0 + 1), &facts, &command).expect("carried out");
    };
    apply(Command::CreateDataNode {
        incarnation: Incarnation(1),
        http_addr: "a:8086".to_owned(),
        tcp_addr: "a:8088".to_owned(),
        passive: false,
    });
    let policy = Some(PolicySpec::automatic());
    apply(Command::CreateDatabase { name: "d".to_owned(), policy, explicit: false });
    for time in [0, i64::MAX / 2] {
        let instants = vec![Timestamp(time)];
        apply(Command::CreateShardGroups { database: "d".to_owned(), policy: "autogen".to_owned(), instants });
    }
    apply(Command::DropShard { shard: ShardId(1) });
    let mut alone = Alone { member: Member { id: NodeId(1), ..member() }, data: Arc::new(data.clone()) };
    assert_eq!(obstacle(&alone, &[ShardId(1), ShardId(2)]), None, "the first is on its way out");
    let why = obstacle(&alone, &[ShardId(2), ShardId(3)]).expect("a stranger");
    assert!(why.contains("files of shard 3, which its metadata does not know"), "{why}");
    let facts = LeaderFacts { now: Timestamp(0), random: 1, shard_groups_max: 0 };
    let rule = meta::Rule {
        database: meta::Matcher::Exact("d".to_owned()),
        measurement: None,
        tags: Vec::new(),
        read: true,
        write: true,
    };
    data.apply(MetaIndex(99), &facts, &Command::CreateRestriction { rule }).expect("carried out");
    alone.data = Arc::new(data);
    assert!(obstacle(&alone, &[]).is_some_and(|why| why.contains("restrictions")));
}
