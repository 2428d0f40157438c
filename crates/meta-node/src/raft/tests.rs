//! openraft's own conformance suite, run against our log and state machine on a real disk.

use std::sync::Arc;

use env::Env;
use meta::{Data, Incarnation};
use model::NodeId;
use openraft::StorageError;
use openraft::testing::{StoreBuilder, Suite};
use tokio::sync::watch;

use super::{LogStore, Machine, TypeConfig};
use crate::snapshots::SnapshotDir;

struct Stores;

impl StoreBuilder<TypeConfig, LogStore, Machine, tempfile::TempDir> for Stores {
    async fn build(&self) -> Result<(tempfile::TempDir, LogStore, Machine), StorageError<u64>> {
        let temp = tempfile::tempdir().expect("a directory");
        let env = Env::real();
        let lock = Arc::from(env.fs().lock(temp.path(), "lock").expect("free"));
        let path = temp.path().join("raft.db");
        let log = LogStore::open(&env, &path, lock, Incarnation(1), NodeId(1)).await.expect("opens");
        let snapshots = SnapshotDir::open(&env, &temp.path().join("snapshots")).await.expect("opens");
        let published = watch::Sender::new(Arc::new(Data::default()));
        let machine = Machine::restore(&env, snapshots, published).await.expect("restores");
        Ok((temp, log, machine))
    }
}

#[test]
fn the_stores_do_what_openraft_expects() {
    Suite::test_all(Stores).expect("conforms");
}
