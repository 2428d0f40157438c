//! What nodes promise each other when one of them is behind, cut off, silent or has lost its disk: the guards of
//! `docs/hazards.md` that several nodes are needed for, each by itself.

mod harness;

use std::time::{Duration, Instant};

use cluster::WriteFailure;
use cluster::hints::HintSender;
use cluster::local::{LocalError, Trust};
use cluster::points_writer::encode_hint;
use env::simulated::SimDisk;
use hinted_handoff::Sender;
use meta::{Command, PolicySpec};
use model::result::Value;
use model::{ConsistencyLevel, NodeId, ShardId, Stamp, Timestamp};
use rpc::peer::peer_server::Peer;
use tonic::Request;
use wire::v1;

use crate::harness::{Cluster, NEVER, PATIENCE, batch, eventually, value};

const WEEK: i64 = 7 * 86_400_000_000_000;

fn create_database(name: &str) -> Command {
    Command::CreateDatabase { name: name.to_owned(), policy: Some(PolicySpec::automatic()), explicit: false }
}

/// Two nodes, each with a copy of everything in the database `d`.
async fn two_copies() -> Cluster {
    copies(2).await
}

async fn copies(count: u64) -> Cluster {
    let cluster = Cluster::start(count).await;
    let create = format!("CREATE DATABASE d WITH REPLICATION {count}");
    cluster.nodes[0].query("", &create).await.expect("made");
    cluster
}

/// What `SELECT v FROM m` gives of one row.
fn row(time: i64, value: i64) -> Vec<Value> {
    vec![Value::time(time), Value::Integer(value)]
}

#[tokio::test]
async fn a_change_is_decided_by_the_service_and_not_by_the_copy() {
    let cluster = Cluster::start(1).await;
    let (service, node) = (&cluster.service, &cluster.nodes[0]);
    let has = |name: &str| service.data().database(name).is_some();
    // The copy knows nothing of it.
    service.decide(&create_database("new")).outcome.expect("made");
    node.query("", "DROP DATABASE new").await.expect("dropped");
    assert!(!has("new"));
    // The copy still has it.
    node.query("", "CREATE DATABASE old").await.expect("made");
    service.decide(&Command::DropDatabase { name: "old".to_owned() }).outcome.expect("dropped");
    node.query("", "CREATE DATABASE old").await.expect("made");
    assert!(has("old"));
    // The same with policies.
    let policies = || service.data().database("old").map_or(0, |database| database.policies.len());
    let (database, name) = ("old".to_owned(), "p".to_owned());
    let policy = PolicySpec { name: name.clone(), ..PolicySpec::automatic() };
    let create = Command::CreateRetentionPolicy { database: database.clone(), policy, make_default: false };
    service.decide(&create).outcome.expect("made");
    node.query("", "DROP RETENTION POLICY p ON old").await.expect("dropped");
    assert_eq!(policies(), 1);
    node.query("", "CREATE RETENTION POLICY p ON old DURATION INF REPLICATION 1").await.expect("made");
    service.decide(&Command::DropRetentionPolicy { database, name }).outcome.expect("dropped");
    node.query("", "CREATE RETENTION POLICY p ON old DURATION INF REPLICATION 1").await.expect("made");
    assert_eq!(policies(), 2);
}

#[tokio::test]
async fn what_the_copy_lacks_is_asked_for_before_it_is_refused() {
    let cluster = Cluster::start(1).await;
    let (service, node) = (&cluster.service, &cluster.nodes[0]);
    service.decide(&create_database("a")).outcome.expect("made");
    assert!(node.writer.database_exists("a").await);
    service.decide(&create_database("b")).outcome.expect("made");
    node.query("", "SHOW RETENTION POLICIES ON b").await.expect("known");
    service.decide(&create_database("d")).outcome.expect("made");
    node.write("", ConsistencyLevel::All, &[1]).await.expect("written");
    let policy = PolicySpec { name: "p".to_owned(), ..PolicySpec::automatic() };
    let create = Command::CreateRetentionPolicy { database: "d".to_owned(), policy, make_default: false };
    service.decide(&create).outcome.expect("made");
    node.write("p", ConsistencyLevel::All, &[1]).await.expect("written");
    assert!(!node.writer.database_exists("nowhere").await);
}

#[tokio::test]
async fn a_change_is_answered_once_the_other_nodes_have_heard_of_it() {
    let cluster = Cluster::start(3).await;
    let [first, others @ ..] = cluster.nodes.as_slice() else { panic!("three nodes") };
    let default = |index: usize| {
        let data = others[index].meta.data();
        data.policy("d", "").map(|policy| policy.name.to_string()).unwrap_or_default()
    };
    for (statement, want) in [
        ("CREATE DATABASE d", "autogen"),
        ("CREATE RETENTION POLICY p ON d DURATION 1h REPLICATION 1 DEFAULT", "p"),
        ("ALTER RETENTION POLICY autogen ON d DEFAULT", "autogen"),
        ("DROP RETENTION POLICY p ON d", "autogen"),
        ("DROP DATABASE d", ""),
    ] {
        first.query("", statement).await.expect("decided");
        assert_eq!([default(0), default(1)], [want, want], "{statement}");
    }
}

#[tokio::test]
async fn a_change_does_not_wait_for_nodes_that_cannot_hear_of_it() {
    let mut cluster = Cluster::start(3).await;
    cluster.nodes[1].cut_off(true);
    cluster.nodes[2].fall_silent().await;
    let began = Instant::now();
    cluster.nodes[0].query("", "CREATE DATABASE d").await.expect("decided");
    assert!(began.elapsed() < PATIENCE / 3, "{:?}", began.elapsed());
    assert!(cluster.nodes[0].meta.data().database("d").is_some());
    // Who is only late is not down.
    assert!(cluster.nodes[0].peers.is_up(NodeId(2)));
}

#[tokio::test]
async fn points_of_a_new_group_are_found_through_nodes_that_do_not_hold_them() {
    let cluster = Cluster::start(3).await;
    cluster.nodes[0].query("", "CREATE DATABASE d WITH REPLICATION 1").await.expect("made");
    let [writer, readers @ ..] = cluster.nodes.as_slice() else { panic!("three nodes") };
    for week in 0..3 {
        writer.write("", ConsistencyLevel::One, &[week * WEEK]).await.expect("written");
        // At most one of them has heard of the group by being asked to store the point.
        for reader in readers {
            let found = reader.query("d", "SELECT count(v) FROM m").await;
            assert_eq!(found, Ok(vec![vec![Value::time(0), Value::Integer(week + 1)]]));
        }
    }
}

#[tokio::test]
async fn an_owner_catches_up_before_it_takes_or_answers_for_a_shard() {
    let cluster = two_copies().await;
    let [first, second] = cluster.nodes.as_slice() else { panic!("two nodes") };
    // Only the first hears of a group; the second is asked to write to it, or, for the last, to answer for it.
    let make_group = async |week: i64| {
        let instants = vec![Timestamp(week * WEEK)];
        let group = Command::CreateShardGroups { database: "d".into(), policy: "autogen".into(), instants };
        cluster.service.decide(&group).outcome.expect("made");
        assert!(first.meta.refresh().await);
    };
    for week in 0..3 {
        make_group(week).await;
        let before = second.meta.data().shard_id_max();
        first.write("", ConsistencyLevel::All, &[week * WEEK]).await.expect("both have written");
        assert!(second.meta.data().shard_id_max() > before);
    }
    assert_eq!((first.row_count(), second.row_count()), (3, 3));
    make_group(9).await;
    let shards = vec![first.meta.data().shard_id_max().0];
    let request = v1::SeriesRequest { header: first.peers.header(), shards, ..Default::default() };
    let answer = second.server.series(Request::new(request)).await.expect("an answer").into_inner();
    assert_eq!(answer.fault, None);
}

#[tokio::test]
async fn an_owner_that_has_not_heard_of_a_shard_neither_takes_nor_answers() {
    let cluster = two_copies().await;
    let second = &cluster.nodes[1];
    let mut record = Vec::new();
    block_codec::batch::encode(&batch(&[1]), &mut record).expect("encoded");
    let write = v1::WriteShardRequest { shard: 77, stamp_clock: 1, record: record.into(), ..Default::default() };
    let fault = second.server.write_shard(Request::new(write)).await.expect("an answer").into_inner().fault;
    assert_eq!(fault.expect("a fault").kind(), v1::fault::Kind::NotOwner);
    let series = v1::SeriesRequest { shards: vec![77], accept_behind: true, ..Default::default() };
    let fault = second.server.series(Request::new(series)).await.expect("an answer").into_inner().fault;
    assert_eq!(fault.expect("a fault").kind(), v1::fault::Kind::NotOwner);
    let describe = v1::DescribeRequest { shards: vec![77], accept_behind: true, ..Default::default() };
    let fault = second.server.describe(Request::new(describe)).await.expect("an answer").into_inner().fault;
    assert_eq!(fault.expect("a fault").kind(), v1::fault::Kind::NotOwner);
    let digest = v1::DigestRequest { shard: 77, buckets: 1, window_ns: WEEK, ..Default::default() };
    let fault = second.server.digest(Request::new(digest)).await.expect("an answer").into_inner().fault;
    assert_eq!(fault.expect("a fault").kind(), v1::fault::Kind::NotOwner);
}

#[tokio::test]
async fn a_hint_is_no_copy() {
    let mut cluster = two_copies().await;
    cluster.nodes[1].fall_silent().await;
    let node = &cluster.nodes[0];
    assert_eq!(node.write("", ConsistencyLevel::Any, &[1]).await, Ok(()));
    assert_eq!(node.write("", ConsistencyLevel::One, &[2]).await, Ok(()));
    for level in [ConsistencyLevel::Quorum, ConsistencyLevel::All] {
        assert_eq!(node.write("", level, &[3]).await, Err(WriteFailure::Failed("partial write".to_owned())));
    }
}

#[tokio::test]
async fn an_owner_with_a_full_disk_says_so_through_any_coordinator() {
    let disks = [SimDisk::new(1), SimDisk::new(2)];
    let cluster = Cluster::start_on(2, |id| disks.get(id.0 as usize - 1).cloned()).await;
    let [first, second] = cluster.nodes.as_slice() else { panic!("two nodes") };
    first.query("", "CREATE DATABASE d WITH REPLICATION 2").await.expect("made");
    first.write("", ConsistencyLevel::All, &[1]).await.expect("written");
    let full = "no space left on device";
    // An old shard and one that is to be made, here and there.
    let old = first.owned()[0];
    second.fill(&disks[1], old);
    for (node, time) in [(first, 2), (second, 2), (first, 9 * WEEK), (second, 9 * WEEK)] {
        let want = Err(WriteFailure::Failed(format!("partial write: {full}")));
        assert_eq!(node.write("", ConsistencyLevel::All, &[time]).await, want, "{time} at {:?}", node.id);
        assert_eq!(node.write("", ConsistencyLevel::One, &[time]).await, Ok(()), "{time} at {:?}", node.id);
    }
    first.fill(&disks[0], old);
    for (node, time) in [(first, 3), (second, 3), (first, 18 * WEEK), (second, 18 * WEEK)] {
        let want = Err(WriteFailure::Busy(format!("write failed: {full}")));
        for level in [ConsistencyLevel::One, ConsistencyLevel::All] {
            assert_eq!(node.write("", level, &[time]).await, want, "{time} at {:?}", node.id);
        }
    }
    disks.iter().for_each(|disk| disk.set_bytes_max(None));
    first.write("", ConsistencyLevel::All, &[4, 18 * WEEK]).await.expect("there is space again");
}

#[tokio::test]
async fn the_other_owners_get_a_write_though_the_client_was_answered_before() {
    let cluster = two_copies().await;
    let [first, second] = cluster.nodes.as_slice() else { panic!("two nodes") };
    // The second has to hear of the group first, and cannot before the client has its answer.
    second.cut_off(true);
    first.write("", ConsistencyLevel::One, &[1]).await.expect("written");
    assert_eq!(second.row_count(), 0);
    second.cut_off(false);
    eventually("the second copy", async || second.row_count() == 1).await;
}

#[tokio::test]
async fn what_was_made_while_a_node_was_away_is_blank() {
    let mut cluster = two_copies().await;
    cluster.nodes[0].write("", ConsistencyLevel::All, &[1]).await.expect("written");
    let (old, mut new) = (cluster.nodes[1].owned(), Vec::new());
    cluster
        .restart(1, async |others, _| {
            others[0].write("", ConsistencyLevel::One, &[9 * WEEK]).await.expect("written");
            new = others[0].owned();
        })
        .await;
    new.retain(|shard| !old.contains(shard));
    let node = &cluster.nodes[1];
    // It knows only what it knew; then it hears of the new shard from somebody; then it knows what there was at its start.
    assert!(matches!(node.local.trust(new[0]), Err(LocalError::NotOwner(_))));
    let check = |when: &str| {
        assert_eq!(node.local.trust(old[0]).expect("an owner"), Trust::Behind, "{when}");
        assert_eq!(node.local.trust(new[0]).expect("an owner"), Trust::Blank, "{when}");
        assert!(matches!(node.local.read(old[0], false), Err(LocalError::Behind(_))), "{when}");
        assert!(matches!(node.local.read(new[0], true), Err(LocalError::Blank(_))), "{when}");
    };
    assert!(node.meta.refresh().await);
    check("before it was asked what there was");
    node.local.learn_start().await;
    check("after");
    // What is made from now on is whole from its beginning.
    cluster.nodes[0].peers.greet().await;
    cluster.nodes[0].write("", ConsistencyLevel::All, &[18 * WEEK]).await.expect("written");
    let newest = node.meta.data().shard_id_max();
    assert_eq!(node.local.trust(newest).expect("an owner"), Trust::Whole);
}

#[tokio::test]
async fn what_a_node_does_not_hear_from_the_service_it_does_not_trust() {
    let mut cluster = two_copies().await;
    let mut new = ShardId(0);
    cluster
        .restart(1, async |others, _| {
            others[0].write("", ConsistencyLevel::One, &[1]).await.expect("written");
            new = others[0].meta.data().shard_id_max();
        })
        .await;
    let node = &cluster.nodes[1];
    node.cut_off(true);
    let (local, learning) = (node.local.clone(), node.local.clone());
    let learning = env::Env::real().spawn(async move { learning.learn_start().await });
    tokio::task::yield_now().await;
    // Heard of from a peer, while the leader has not been reached.
    node.meta.install(cluster.nodes[0].meta.data()).await;
    assert!(!learning.is_finished());
    assert_eq!(local.trust(new).expect("an owner"), Trust::Blank);
    node.cut_off(false);
    learning.await.expect("it learns");
    assert_eq!(local.trust(new).expect("an owner"), Trust::Blank);
}

#[tokio::test]
async fn a_copy_without_its_disk_is_blank_until_it_was_rebuilt() {
    let mut cluster = two_copies().await;
    cluster.nodes[0].write("", ConsistencyLevel::All, &[1, 2, 3]).await.expect("written");
    cluster.restart(1, async |_, dir| std::fs::remove_dir_all(dir.join("data")).expect("the disk is lost")).await;
    let [first, second] = cluster.nodes.as_slice() else { panic!("two nodes") };
    second.local.learn_start().await;
    let shard = second.owned()[0];
    let answers = |accept_behind| second.local.read(shard, accept_behind).is_ok();
    assert_eq!(second.local.trust(shard).expect("an owner"), Trust::Blank);
    assert!(!answers(true), "not even when nobody better is left");
    // Nor does it vouch for others that compare theirs with it.
    let digest = v1::DigestRequest { shard: shard.0, buckets: 1, window_ns: WEEK, ..Default::default() };
    let fault = second.server.digest(Request::new(digest)).await.expect("an answer").into_inner().fault;
    assert_eq!(fault.expect("a fault").kind(), v1::fault::Kind::Blank);
    // A write makes its directory, and nothing else.
    second.write_alone(shard, 9, &batch(&[4]));
    assert_eq!(second.local.trust(shard).expect("an owner"), Trust::Blank);
    assert!(!answers(true));
    let rows = second.query("d", "SELECT count(v) FROM m").await.expect("the first answers");
    assert_eq!(rows[0][1], Value::Integer(3));
    let repair = second.start_repair(NEVER);
    eventually("rebuilt", async || answers(false)).await;
    assert_eq!(second.row_count(), 4);
    assert!(first.local.read(shard, false).is_ok());
    repair.abort();
}

#[tokio::test]
async fn copies_become_equal_though_every_hint_is_lost() {
    let mut cluster = two_copies().await;
    cluster.nodes[0].write("", ConsistencyLevel::All, &[1]).await.expect("written");
    cluster
        .restart(1, async |others, _| {
            others[0].write("", ConsistencyLevel::One, &[2, 3]).await.expect("written");
        })
        .await;
    // Nobody sends hints here.
    let second = &cluster.nodes[1];
    second.local.learn_start().await;
    assert_eq!(second.row_count(), 1);
    let repair = second.start_repair(NEVER);
    let shard = second.owned()[0];
    eventually("whole", async || second.local.trust(shard).is_ok_and(|trust| trust == Trust::Whole)).await;
    assert_eq!(second.row_count(), 3);
    repair.abort();
}

#[tokio::test]
async fn a_change_of_the_default_policy_holds_for_the_next_write_through_any_node() {
    let cluster = Cluster::start(2).await;
    let [first, second] = cluster.nodes.as_slice() else { panic!("two nodes") };
    first.query("", "CREATE DATABASE d WITH DURATION 1h REPLICATION 1 NAME short").await.expect("made");
    // The old policy refuses what is so old.
    assert!(matches!(
        second.write("", ConsistencyLevel::All, &[1]).await,
        Err(WriteFailure::Partial { dropped: 1, .. })
    ));
    first.query("", "CREATE RETENTION POLICY long ON d DURATION INF REPLICATION 1 DEFAULT").await.expect("made");
    assert_eq!(second.write("", ConsistencyLevel::All, &[1]).await, Ok(()));
    first.query("", "DROP RETENTION POLICY long ON d").await.expect("dropped");
    let written = second.write("", ConsistencyLevel::All, &[2]).await;
    assert!(written.is_err(), "there is no default policy any more: {written:?}");
}

#[tokio::test]
async fn a_hint_keeps_the_stamp_of_its_write() {
    let cluster = two_copies().await;
    let [first, second] = cluster.nodes.as_slice() else { panic!("two nodes") };
    first.writer.write("d", "", ConsistencyLevel::All, value(2)).await.expect("written");
    let mut record = Vec::new();
    block_codec::batch::encode(&value(1), &mut record).expect("encoded");
    let hint = encode_hint(Stamp { clock: 1, coordinator: 1 }, &record);
    let sender = HintSender::new(first.meta.clone(), first.peers.clone(), PATIENCE);
    sender.send(second.id, second.owned()[0], hint.into()).await.expect("taken");
    assert_eq!(second.query("d", "SELECT v FROM m").await, Ok(vec![row(1, 2)]));
}

#[tokio::test]
async fn the_later_of_two_writes_wins_though_its_coordinator_has_the_slower_clock() {
    let cluster = two_copies().await;
    let [first, second] = cluster.nodes.as_slice() else { panic!("two nodes") };
    first.clock.observe(first.clock.now() + u64::try_from(WEEK).expect("positive"));
    first.writer.write("d", "", ConsistencyLevel::All, value(1)).await.expect("written");
    second.writer.write("d", "", ConsistencyLevel::All, value(2)).await.expect("written");
    for node in &cluster.nodes {
        assert_eq!(node.query("d", "SELECT v FROM m").await, Ok(vec![row(1, 2)]));
    }
}

#[tokio::test]
async fn a_copy_that_may_lack_rows_does_not_answer_while_a_better_one_can() {
    let mut cluster = copies(3).await;
    // The first choice is another node from shard to shard; for some of these it is the second.
    let times: Vec<i64> = (0..6).map(|group| group * WEEK).collect();
    cluster.nodes[0].write("", ConsistencyLevel::All, &times).await.expect("written");
    cluster
        .restart(1, async |others, _| {
            let later: Vec<i64> = times.iter().map(|time| time + 1).collect();
            others[0].write("", ConsistencyLevel::Quorum, &later).await.expect("written");
        })
        .await;
    cluster.restart(2, async |_, _| {}).await;
    for index in [1, 2] {
        cluster.nodes[index].local.learn_start().await;
    }
    let [first, second, third] = cluster.nodes.as_slice() else { panic!("three nodes") };
    assert_eq!((first.row_count(), second.row_count(), third.row_count()), (12, 6, 12));
    for node in [second, third] {
        for time in &times {
            let query = format!("SELECT count(v) FROM m WHERE time >= {time} AND time <= {}", time + 1);
            let rows = node.query("d", &query).await.expect("the first answers");
            assert_eq!(rows[0][1], Value::Integer(2), "{query} through node {}", node.id);
        }
    }
}

#[tokio::test]
async fn all_copies_are_compared_every_interval() {
    let cluster = two_copies().await;
    let [first, second] = cluster.nodes.as_slice() else { panic!("two nodes") };
    first.write("", ConsistencyLevel::All, &[1]).await.expect("written");
    let repair = second.start_repair(Duration::from_millis(20));
    first.write_alone(second.owned()[0], 1, &batch(&[2]));
    eventually("equal", async || second.row_count() == 2).await;
    repair.abort();
}

#[tokio::test]
async fn copies_are_compared_when_a_node_is_lost() {
    let mut cluster = copies(3).await;
    cluster.nodes[0].write("", ConsistencyLevel::All, &[1]).await.expect("written");
    let repair = cluster.nodes[1].start_repair(NEVER);
    eventually("the first comparison", async || cluster.nodes[1].metric("repair_shards_compared") >= 2).await;
    // The third dies in a write that has reached the first alone.
    cluster.nodes[0].write_alone(cluster.nodes[1].owned()[0], 1, &batch(&[2]));
    cluster.nodes[2].fall_silent().await;
    cluster.nodes[1].peers.greet().await;
    eventually("equal", async || cluster.nodes[1].row_count() == 2).await;
    repair.abort();
}

#[tokio::test]
async fn a_copy_is_compared_when_another_node_keeps_hints_for_it() {
    let cluster = two_copies().await;
    let [first, second] = cluster.nodes.as_slice() else { panic!("two nodes") };
    first.write("", ConsistencyLevel::All, &[1]).await.expect("written");
    let repair = second.start_repair(NEVER);
    eventually("the first comparison", async || second.metric("repair_shards_compared") >= 1).await;
    let shard = second.owned()[0];
    first.write_alone(shard, 1, &batch(&[2]));
    first.handoff.append(second.id, shard, b"of which only the second node's number matters").expect("kept");
    second.peers.greet().await;
    eventually("equal", async || second.row_count() == 2).await;
    repair.abort();
}

#[tokio::test]
async fn a_copy_may_lack_rows_once_most_other_owners_are_out_of_reach() {
    let mut cluster = two_copies().await;
    cluster.nodes[0].write("", ConsistencyLevel::All, &[1]).await.expect("written");
    let shard = cluster.nodes[1].owned()[0];
    let repair = cluster.nodes[1].start_repair(NEVER);
    cluster.nodes[0].fall_silent().await;
    let second = &cluster.nodes[1];
    assert_eq!(second.local.trust(shard).expect("an owner"), Trust::Whole);
    second.peers.greet().await;
    eventually("behind", async || matches!(second.local.read(shard, false), Err(LocalError::Behind(_)))).await;
    // Better than nothing, when nobody else is left.
    assert_eq!(second.query("d", "SELECT v FROM m").await, Ok(vec![row(1, 1)]));
    repair.abort();
}
