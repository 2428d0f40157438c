//! openraft's own conformance suite, run against our log and state machine on a real disk.

use std::sync::Arc;

use env::Env;
use meta::{Data, History, Incarnation};
use model::NodeId;
use openraft::SnapshotMeta;
use openraft::raft::{AppendEntriesRequest, VoteRequest};
use openraft::storage::RaftLogStorage;
use openraft::testing::{StoreBuilder, Suite};
use openraft::{StorageError, Vote};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::message::{Body, SnapshotBytes};
use super::{LogStore, Machine, TypeConfig};
use crate::snapshots::SnapshotDir;

struct Stores;

impl StoreBuilder<TypeConfig, LogStore, Machine, tempfile::TempDir> for Stores {
    async fn build(&self) -> Result<(tempfile::TempDir, LogStore, Machine), StorageError<u64>> {
        let temp = tempfile::tempdir().expect("a directory");
        let env = Env::real();
        let lock = Arc::from(env.fs().lock(temp.path(), "lock").expect("free"));
        let path = temp.path().join("raft.db");
        let log = LogStore::open(&env, &path, lock, Incarnation(1), NodeId(1), false).await.expect("opens");
        let snapshots = SnapshotDir::open(&env, &temp.path().join("snapshots")).await.expect("opens");
        let published = watch::Sender::new(Arc::new(Data::default()));
        let history = Arc::new(Mutex::new(History::new(&Data::default(), 1 << 20)));
        let machine = Machine::restore(&env, snapshots, history, published).await.expect("restores");
        Ok((temp, log, machine))
    }
}

#[test]
fn the_stores_do_what_openraft_expects() {
    Suite::test_all(Stores).expect("conforms");
}

/// openraft goes on as the leader when it reads a vote for itself that was decided. What the log has committed it would
/// then know too late, and answer reads from before what it had acknowledged.
#[tokio::test]
async fn who_led_before_a_restart_has_to_be_elected_anew() {
    let (_temp, mut log, _machine) = Stores.build().await.expect("builds");
    for (vote, again) in [
        (Vote::new_committed(3, 1), Vote::new(3, 1)),
        (Vote::new(4, 1), Vote::new(4, 1)),
        (Vote::new_committed(5, 2), Vote::new_committed(5, 2)),
    ] {
        log.save_vote(&vote).await.expect("saved");
        assert_eq!(log.read_vote().await.expect("read"), Some(again), "{vote}");
    }
}

/// Whoever reaches the port of an open cluster can send these; openraft takes for granted that they are sound.
#[test]
fn only_who_was_elected_sends_entries_and_only_who_was_not_asks_for_votes() {
    let (asks, leads) = (Vote::new(3, 1), Vote::new_committed(3, 1));
    let append = |vote| {
        Body::Append(AppendEntriesRequest { vote, prev_log_id: None, entries: Vec::new(), leader_commit: None })
            .is_sound()
    };
    let ask = |vote| Body::Vote(VoteRequest { vote, last_log_id: None }).is_sound();
    let snapshot =
        |vote| Body::Snapshot { vote, meta: SnapshotMeta::default(), data: SnapshotBytes(Vec::new()) }.is_sound();
    assert!(append(leads) && snapshot(leads) && ask(asks));
    assert!(!append(asks) && !snapshot(asks) && !ask(leads));
}
