//! The log, the vote and the committed position, in one redb file.
//!
//! Appends and votes are synced before they count. The committed position is written without a sync and reaches the disk
//! with the next append; losing it costs nothing but knowledge of what was committed, which the leader has.

mod file;
mod recover;

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::path::Path;
use std::sync::Arc;

use env::{DirLock, Env};
use meta::Incarnation;
use model::NodeId;
use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{Entry, LogId, LogState, RaftLogReader, StorageError, StorageIOError, Vote};
use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::file::LogFile;
pub(crate) use self::recover::{Recovery, Roster, Written, membership};
use super::types::TypeConfig;
use super::witness::{self, RaftWitness};

/// Entries by index.
const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
/// Single values by name.
const STATE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("state");

const VOTE: &str = "vote";
const COMMITTED: &str = "committed";
const PURGED: &str = "purged";
const OWNER: &str = "owner";

/// First byte of each value. The rest is MessagePack with field names.
const VERSION: u8 = 1;
const CRC_BYTES: usize = 4;

/// What redb may keep of the file in memory.
const CACHE_BYTES: usize = 8 << 20;

/// About the most that one append message carries, in bytes: it must get there and onto the other disk within one
/// heartbeat. A single larger entry goes alone.
pub const APPEND_BYTES_MAX: usize = 512 << 10;

/// Why the file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk, or redb about the bytes on it.
    #[error("raft.db: {0}")]
    Redb(#[source] Box<redb::Error>),
    /// The disk.
    #[error("raft.db: {0}")]
    Io(#[from] io::Error),
    /// A checksum or an encoding is wrong.
    #[error("raft.db: the {0} is damaged")]
    Damaged(String),
    /// A later release wrote it.
    #[error(
        "raft.db: the {what} has format {found}, this release reads up to {VERSION}: start the release that wrote it"
    )]
    Newer {
        /// A part of the file.
        what: String,
        /// Its version.
        found: u8,
    },
    /// The file is another node's, or the directory was put together from two.
    #[error(
        "raft.db belongs to node {found_id} of directory {found}, but this is node {id} of directory {incarnation}; \
         empty the directory and join again"
    )]
    NotOurs {
        /// What this directory is.
        incarnation: Incarnation,
        /// What this node is.
        id: NodeId,
        /// Whose the file is.
        found: Incarnation,
        /// Whose the file is.
        found_id: NodeId,
    },
}

impl<E: Into<redb::Error>> From<E> for StoreError
where
    E: RedbError,
{
    fn from(error: E) -> StoreError {
        StoreError::Redb(Box::new(error.into()))
    }
}

/// The errors of redb, each its own type.
trait RedbError {}
impl RedbError for redb::DatabaseError {}
impl RedbError for redb::TransactionError {}
impl RedbError for redb::TableError {}
impl RedbError for redb::StorageError {}
impl RedbError for redb::CommitError {}
impl RedbError for redb::SetDurabilityError {}

/// Handle to the file. Cheap to clone; the directory stays locked until the last one is gone.
#[derive(Clone)]
pub(crate) struct LogStore {
    env: Env,
    file: Arc<LogFile>,
    member: u64,
    witness: Option<Arc<dyn RaftWitness>>,
}

impl Debug for LogStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LogStore")
    }
}

impl LogStore {
    /// Opens the file, or makes it for the node `id` of the directory `incarnation`. One that `was_used` says whose it is.
    ///
    /// # Errors
    /// When it is damaged, or another node's.
    pub(crate) async fn open(
        env: &Env,
        path: &Path,
        lock: Arc<dyn DirLock>,
        incarnation: Incarnation,
        id: NodeId,
        was_used: bool,
    ) -> Result<LogStore, StoreError> {
        let (again, path) = (env.clone(), path.to_owned());
        let file = env.blocking(move || LogFile::open(&again, &path, lock)).await?;
        file.run(env, move |database| own(database, incarnation, id, was_used)).await?;
        Ok(LogStore { env: env.clone(), file: Arc::new(file), member: id.0, witness: None })
    }

    /// From now on a full disk is waited for.
    pub(crate) fn be_patient(&self) {
        self.file.be_patient();
    }

    /// Nobody waits for space any more.
    pub(crate) fn give_up(&self) {
        self.file.give_up();
    }

    /// Whether a write waits for space.
    pub(crate) fn is_full(&self) -> bool {
        self.file.is_full()
    }

    /// The same, watched.
    pub(crate) fn watched(self, witness: Option<Arc<dyn RaftWitness>>) -> LogStore {
        LogStore { witness, ..self }
    }

    /// Tells the witness of everything that is there.
    pub(crate) async fn show(&self) -> Result<(), StoreError> {
        let Some(witness) = &self.witness else { return Ok(()) };
        let vote = self.saved_vote().await?;
        witness.voted(self.member, (vote.leader_id.term, vote.leader_id.node_id, vote.committed));
        for entry in self.entries((Bound::Unbounded, Bound::Unbounded), usize::MAX).await? {
            witness.appended(self.member, witness::mark(&entry));
        }
        Ok(())
    }

    /// The vote as it was saved.
    pub(crate) async fn saved_vote(&self) -> Result<Vote<u64>, StoreError> {
        Ok(self.read_state(VOTE).await?.unwrap_or_default())
    }

    /// Runs `read` off the async threads.
    async fn read<T: Send + 'static>(
        &self,
        read: impl Fn(&Database) -> Result<T, StoreError> + Send + Sync + 'static,
    ) -> Result<T, StoreError> {
        self.file.run(&self.env, read).await
    }

    /// Runs `write` in one transaction, off the async threads; more than once when the disk is full meanwhile.
    async fn write(
        &self,
        durability: Durability,
        write: impl Fn(&redb::WriteTransaction) -> Result<(), StoreError> + Send + Sync + 'static,
    ) -> Result<(), StoreError> {
        self.file.run(&self.env, move |database| commit(database, durability, &write)).await?;
        self.file.note_space();
        Ok(())
    }

    async fn read_state<T: DeserializeOwned + Send + 'static>(
        &self,
        name: &'static str,
    ) -> Result<Option<T>, StoreError> {
        self.read(move |database| {
            let table = database.begin_read()?.open_table(STATE)?;
            let value = table.get(name)?;
            value.map(|value| unseal(name.as_bytes(), value.value(), name)).transpose()
        })
        .await
    }

    async fn write_state<T: Serialize>(
        &self,
        name: &'static str,
        value: &T,
        durability: Durability,
    ) -> Result<(), StoreError> {
        let sealed = seal(name.as_bytes(), value);
        self.write(durability, move |transaction| {
            transaction.open_table(STATE)?.insert(name, sealed.as_slice())?;
            Ok(())
        })
        .await
    }

    /// Entries of `range` in order, at least one if there is one, until they have `bytes_max` bytes.
    async fn entries(
        &self,
        range: (Bound<u64>, Bound<u64>),
        bytes_max: usize,
    ) -> Result<Vec<Entry<TypeConfig>>, StoreError> {
        self.read(move |database| {
            let table = database.begin_read()?.open_table(LOG)?;
            let (mut entries, mut bytes) = (Vec::new(), 0);
            for item in table.range::<u64>(range)? {
                let (index, value) = item?;
                let (index, value) = (index.value(), value.value());
                if !entries.is_empty() && bytes + value.len() > bytes_max {
                    break;
                }
                bytes += value.len();
                entries.push(unseal(&index.to_le_bytes(), value, &format!("entry {index}"))?);
            }
            Ok(entries)
        })
        .await
    }
}

/// Makes the tables; a new file is made ours, an old one must be.
fn own(database: &Database, incarnation: Incarnation, id: NodeId, was_used: bool) -> Result<(), StoreError> {
    commit(database, Durability::Immediate, |transaction| {
        transaction.open_table(LOG)?;
        let mut table = transaction.open_table(STATE)?;
        let found = match table.get(OWNER)? {
            Some(value) => Some(unseal::<(String, u64)>(OWNER.as_bytes(), value.value(), OWNER)?),
            None => None,
        };
        match found {
            None if was_used => Err(StoreError::Damaged(OWNER.to_owned())),
            None => {
                let sealed = seal(OWNER.as_bytes(), &(incarnation.to_string(), id.0));
                table.insert(OWNER, sealed.as_slice())?;
                Ok(())
            }
            Some((text, found_id)) => {
                let found = Incarnation::parse(&text).ok_or_else(|| StoreError::Damaged(OWNER.to_owned()))?;
                let found_id = NodeId(found_id);
                let ours = found == incarnation && found_id == id;
                if ours { Ok(()) } else { Err(StoreError::NotOurs { incarnation, id, found, found_id }) }
            }
        }
    })
}

fn commit(
    database: &Database,
    durability: Durability,
    write: impl FnOnce(&redb::WriteTransaction) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(durability)?;
    write(&transaction)?;
    transaction.commit()?;
    Ok(())
}

/// Reads `bytes` as a value of the file, and as the MessagePack of one whose checksum and version are right.
pub(crate) fn fuzz(bytes: &[u8]) {
    check::<Entry<TypeConfig>>(bytes);
    check::<Vote<u64>>(bytes);
    check::<Option<LogId<u64>>>(bytes);
}

fn check<T: Serialize + DeserializeOwned>(bytes: &[u8]) {
    const PLACE: &[u8] = b"here";
    let _ = unseal::<T>(PLACE, bytes, "value");
    let mut sealed = vec![0; CRC_BYTES];
    sealed.push(VERSION);
    sealed.extend_from_slice(bytes);
    let crc = checksum(PLACE, &sealed[CRC_BYTES..]);
    sealed[..CRC_BYTES].copy_from_slice(&crc.to_le_bytes());
    let Ok(value) = unseal::<T>(PLACE, &sealed, "value") else { return };
    let written = seal(PLACE, &value);
    let again: T = unseal(PLACE, &written, "value").expect("what was written can be read");
    assert_eq!(seal(PLACE, &again), written, "a value comes back the same");
}

/// Version byte, MessagePack, and in front a checksum over them and the place where they are kept.
fn seal<T: Serialize>(place: &[u8], value: &T) -> Vec<u8> {
    let mut sealed = vec![0; CRC_BYTES];
    sealed.push(VERSION);
    rmp_serde::encode::write_named(&mut sealed, value).expect("writing to memory does not fail");
    let crc = checksum(place, &sealed[CRC_BYTES..]);
    sealed[..CRC_BYTES].copy_from_slice(&crc.to_le_bytes());
    sealed
}

fn unseal<T: DeserializeOwned>(place: &[u8], sealed: &[u8], what: &str) -> Result<T, StoreError> {
    let damaged = || StoreError::Damaged(what.to_owned());
    let (crc, rest) = sealed.split_first_chunk::<CRC_BYTES>().ok_or_else(damaged)?;
    if u32::from_le_bytes(*crc) != checksum(place, rest) {
        return Err(damaged());
    }
    match rest.split_first() {
        Some((&VERSION, bytes)) => rmp_serde::from_slice(bytes).map_err(|_| damaged()),
        Some((&found, _)) if found > VERSION => Err(StoreError::Newer { what: what.to_owned(), found }),
        _ => Err(damaged()),
    }
}

fn checksum(place: &[u8], bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(place);
    hasher.update(bytes);
    hasher.finalize()
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + Send>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry<TypeConfig>>, StorageError<u64>> {
        let range = (range.start_bound().cloned(), range.end_bound().cloned());
        Ok(self.entries(range, usize::MAX).await.map_err(|error| StorageIOError::read_logs(&error))?)
    }

    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<Entry<TypeConfig>>, StorageError<u64>> {
        let range = (Bound::Included(start), Bound::Excluded(end));
        Ok(self.entries(range, APPEND_BYTES_MAX).await.map_err(|error| StorageIOError::read_logs(&error))?)
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = LogStore;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, StorageError<u64>> {
        let read = self.read(|database| {
            let transaction = database.begin_read()?;
            let table = transaction.open_table(LOG)?;
            let last = match table.last()? {
                Some((index, value)) => {
                    let index = index.value();
                    let what = format!("entry {index}");
                    Some(unseal::<Entry<TypeConfig>>(&index.to_le_bytes(), value.value(), &what)?.log_id)
                }
                None => None,
            };
            let state = transaction.open_table(STATE)?;
            let purged = state.get(PURGED)?;
            let purged = purged.map(|value| unseal::<LogId<u64>>(PURGED.as_bytes(), value.value(), PURGED));
            Ok((last, purged.transpose()?))
        });
        let (last, purged) = read.await.map_err(|error| StorageIOError::read_logs(&error))?;
        Ok(LogState { last_purged_log_id: purged, last_log_id: last.or(purged) })
    }

    async fn get_log_reader(&mut self) -> LogStore {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote<u64>) -> Result<(), StorageError<u64>> {
        let written = self.write_state(VOTE, vote, Durability::Immediate).await;
        written.map_err(|error| StorageIOError::write_vote(&error))?;
        if let Some(witness) = &self.witness {
            witness.voted(self.member, (vote.leader_id.term, vote.leader_id.node_id, vote.committed));
        }
        Ok(())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote<u64>>, StorageError<u64>> {
        let vote: Option<Vote<u64>> = self.read_state(VOTE).await.map_err(|error| StorageIOError::read_vote(&error))?;
        // openraft would have a leader that was started again go on as one. But how far the log was committed is written
        // down without a sync, so it would answer reads from before what it has acknowledged. It has to be elected anew.
        Ok(vote.map(|vote| Vote { committed: vote.committed && vote.leader_id.node_id != self.member, ..vote }))
    }

    async fn save_committed(&mut self, committed: Option<LogId<u64>>) -> Result<(), StorageError<u64>> {
        let written = self.write_state(COMMITTED, &committed, Durability::None).await;
        Ok(written.map_err(|error| StorageIOError::write(&error))?)
    }

    async fn read_committed(&mut self) -> Result<Option<LogId<u64>>, StorageError<u64>> {
        let committed = self.read_state::<Option<LogId<u64>>>(COMMITTED).await;
        Ok(committed.map_err(|error| StorageIOError::read(&error))?.flatten())
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<TypeConfig>) -> Result<(), StorageError<u64>>
    where
        I: IntoIterator<Item = Entry<TypeConfig>> + Send,
        I::IntoIter: Send,
    {
        let mut marks = Vec::new();
        let sealed: Vec<_> = entries
            .into_iter()
            .map(|entry| {
                if self.witness.is_some() {
                    marks.push(witness::mark(&entry));
                }
                (entry.log_id.index, seal(&entry.log_id.index.to_le_bytes(), &entry))
            })
            .collect();
        let written = self.write(Durability::Immediate, move |transaction| {
            let mut table = transaction.open_table(LOG)?;
            for (index, sealed) in &sealed {
                table.insert(index, sealed.as_slice())?;
            }
            Ok(())
        });
        match written.await {
            Ok(()) => {
                if let Some(witness) = &self.witness {
                    marks.into_iter().for_each(|mark| witness.appended(self.member, mark));
                }
                callback.log_io_completed(Ok(()));
                Ok(())
            }
            Err(error) => {
                callback.log_io_completed(Err(io::Error::other(error.to_string())));
                Err(StorageIOError::write_logs(&error).into())
            }
        }
    }

    async fn truncate(&mut self, log_id: LogId<u64>) -> Result<(), StorageError<u64>> {
        let written = self.write(Durability::Immediate, move |transaction| {
            transaction.open_table(LOG)?.retain_in(log_id.index.., |_, _| false)?;
            Ok(())
        });
        written.await.map_err(|error| StorageIOError::write_logs(&error))?;
        if let Some(witness) = &self.witness {
            witness.truncated(self.member, log_id.index);
        }
        Ok(())
    }

    async fn purge(&mut self, log_id: LogId<u64>) -> Result<(), StorageError<u64>> {
        let sealed = seal(PURGED.as_bytes(), &log_id);
        let written = self.write(Durability::Immediate, move |transaction| {
            transaction.open_table(STATE)?.insert(PURGED, sealed.as_slice())?;
            transaction.open_table(LOG)?.retain_in(..=log_id.index, |_, _| false)?;
            Ok(())
        });
        Ok(written.await.map_err(|error| StorageIOError::write_logs(&error))?)
    }
}
