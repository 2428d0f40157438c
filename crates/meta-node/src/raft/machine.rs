//! The state machine: metadata in memory, snapshots on disk.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use env::Env;
use meta::codec::{CodecError, decode_entry, decode_snapshot, encode_snapshot};
use meta::{Data, History, Reply};
use model::MetaIndex;
use openraft::storage::RaftStateMachine;
use openraft::{
    BasicNode, Entry, EntryPayload, LogId, RaftSnapshotBuilder, Snapshot, SnapshotMeta, StorageError, StorageIOError,
    StoredMembership,
};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::types::{Applied, LogCommand, TypeConfig};
use super::witness::{self, RaftWitness};
use crate::snapshots::SnapshotDir;

/// The state machine. One per node, owned by Raft; everyone else sees the versions it publishes.
#[derive(Debug)]
pub(crate) struct Machine {
    env: Env,
    snapshots: SnapshotDir,
    applied: State,
    /// Has what led to each version before that is published.
    history: Arc<Mutex<History>>,
    published: watch::Sender<Arc<Data>>,
    member: u64,
    witness: Option<Arc<dyn RaftWitness>>,
}

#[derive(Clone, Debug, Default)]
struct State {
    data: Data,
    last_applied: Option<LogId<u64>>,
    membership: StoredMembership<u64, BasicNode>,
}

/// Why the state could not be restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The disk.
    #[error("metadata snapshot: {0}")]
    Io(#[from] io::Error),
    /// Written by a later release, or damaged.
    #[error("metadata snapshot: {0}")]
    Codec(#[from] CodecError),
}

impl Machine {
    /// Starts from the newest snapshot; Raft applies the log behind it. `history` gets the changes and `published` each
    /// version from now on.
    pub(crate) async fn restore(
        env: &Env,
        snapshots: SnapshotDir,
        history: Arc<Mutex<History>>,
        published: watch::Sender<Arc<Data>>,
    ) -> Result<Machine, RestoreError> {
        let applied = match snapshots.newest().await? {
            Some((meta, bytes)) => State::from_snapshot(&meta, &bytes)?,
            None => State::default(),
        };
        history.lock().restart(&applied.data);
        let machine = Machine { env: env.clone(), snapshots, applied, history, published, member: 0, witness: None };
        machine.publish();
        Ok(machine)
    }

    /// The same, watched, as that of the member with this number.
    pub(crate) fn watched(self, member: u64, witness: Option<Arc<dyn RaftWitness>>) -> Machine {
        Machine { member, witness, ..self }
    }

    fn publish(&self) {
        let data = &self.applied.data;
        self.published.send_if_modified(|published| {
            let newer = published.index() < data.index();
            if newer {
                *published = Arc::new(data.clone());
            }
            newer
        });
    }
}

impl State {
    fn from_snapshot(meta: &SnapshotMeta<u64, BasicNode>, bytes: &[u8]) -> Result<State, CodecError> {
        Ok(State {
            data: decode_snapshot(bytes)?,
            last_applied: meta.last_log_id,
            membership: meta.last_membership.clone(),
        })
    }

    fn apply(&mut self, entry: Entry<TypeConfig>, history: &Mutex<History>) -> Result<Applied, CodecError> {
        let log_id = entry.log_id;
        self.last_applied = Some(log_id);
        let outcome = match entry.payload {
            EntryPayload::Blank => Ok(Reply::Done),
            EntryPayload::Membership(membership) => {
                self.membership = StoredMembership::new(Some(log_id), membership);
                Ok(Reply::Done)
            }
            EntryPayload::Normal(LogCommand(bytes)) => {
                let (facts, command) = decode_entry(&bytes)?;
                let before = self.data.clone();
                let outcome = self.data.apply(MetaIndex(log_id.index), &facts, &command);
                history.lock().push(&before, &self.data, Bytes::from(bytes));
                outcome
            }
        };
        Ok(Applied { outcome, index: self.data.index() })
    }
}

impl RaftStateMachine<TypeConfig> for Machine {
    type SnapshotBuilder = Builder;

    async fn applied_state(
        &mut self,
    ) -> Result<(Option<LogId<u64>>, StoredMembership<u64, BasicNode>), StorageError<u64>> {
        Ok((self.applied.last_applied, self.applied.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Applied>, StorageError<u64>>
    where
        I: IntoIterator<Item = Entry<TypeConfig>> + Send,
        I::IntoIter: Send,
    {
        let mut applied = Vec::new();
        for entry in entries {
            let log_id = entry.log_id;
            let mark = self.witness.as_ref().map(|_| witness::mark(&entry));
            // Bytes that cannot be read stop the node: going on would make it differ from the others.
            let outcome = self.applied.apply(entry, &self.history);
            applied.push(outcome.map_err(|error| StorageIOError::apply(log_id, &error))?);
            if let (Some(witness), Some(mark)) = (&self.witness, mark) {
                witness.applied(self.member, mark, &self.applied.data);
            }
        }
        self.publish();
        Ok(applied)
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder { env: self.env.clone(), snapshots: self.snapshots.clone(), state: self.applied.clone() }
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Bytes>, StorageError<u64>> {
        Ok(Box::default())
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta<u64, BasicNode>,
        snapshot: Box<Bytes>,
    ) -> Result<(), StorageError<u64>> {
        let failed = |error: &dyn std::error::Error| {
            let error = io::Error::other(error.to_string());
            StorageError::from(StorageIOError::write_snapshot(Some(meta.signature()), &error))
        };
        let (owned, bytes) = (meta.clone(), Bytes::clone(&snapshot));
        let state = self.env.blocking(move || State::from_snapshot(&owned, &bytes)).await;
        let state = state.map_err(|error| failed(&error))?;
        self.snapshots.write(meta.clone(), *snapshot).await.map_err(|error| failed(&error))?;
        self.applied = state;
        self.history.lock().restart(&self.applied.data);
        if let (Some(witness), Some(last)) = (&self.witness, &self.applied.last_applied) {
            witness.installed(self.member, last.index, witness::leader(last), &self.applied.data);
        }
        self.publish();
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<TypeConfig>>, StorageError<u64>> {
        let newest = self.snapshots.newest().await.map_err(|error| StorageIOError::read_snapshot(None, &error))?;
        Ok(newest.map(|(meta, data)| Snapshot { meta, snapshot: Box::new(data) }))
    }
}

/// Writes the state of one moment while the machine goes on.
#[derive(Debug)]
pub(crate) struct Builder {
    env: Env,
    snapshots: SnapshotDir,
    state: State,
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    async fn build_snapshot(&mut self) -> Result<Snapshot<TypeConfig>, StorageError<u64>> {
        let data = self.state.data.clone();
        let data = Bytes::from(self.env.blocking(move || encode_snapshot(&data)).await);
        let (index, term) = self.state.last_applied.map_or((0, 0), |id| (id.index, id.leader_id.term));
        let meta = SnapshotMeta {
            last_log_id: self.state.last_applied,
            last_membership: self.state.membership.clone(),
            snapshot_id: format!("{term}-{index}"),
        };
        let written = self.snapshots.write(meta.clone(), data.clone()).await;
        written.map_err(|error| StorageIOError::write_snapshot(Some(meta.signature()), &error))?;
        Ok(Snapshot { meta, snapshot: Box::new(data) })
    }
}
