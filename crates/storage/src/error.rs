//! What can go wrong, sorted by what a caller does about it.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use env::ClaimError;
use model::{FieldType, ShardId};

/// The store did not open. The directory is as it was.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory cannot be taken.
    #[error(transparent)]
    Dir(#[from] ClaimError),
    /// A later release wrote a file of a shard.
    #[error(
        "{} has format {found}, this release reads up to {known}; the data directory is left untouched: start the release \
         that wrote it", .path.display()
    )]
    NewerFile {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The latest version that this release reads.
        known: u32,
    },
    /// The disk refused.
    #[error("open the data directory {}: {source}", .dir.display())]
    Io {
        /// The directory.
        dir: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
}

/// The shard cannot be used now, for reading or for writing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// Its files are damaged. Another owner has to answer until it was rebuilt.
    #[error("shard {shard} is damaged: {reason}")]
    Damaged {
        /// Which.
        shard: ShardId,
        /// What is wrong with it.
        reason: Arc<str>,
    },
    /// The disk refused while the shard was being opened; the next call tries again.
    #[error("shard {shard} cannot be opened: {reason}")]
    Disk {
        /// Which.
        shard: ShardId,
        /// What the disk said.
        reason: Arc<str>,
    },
    /// The store is closing.
    #[error("engine is closed")]
    Closed,
    /// It was dropped.
    #[error("shard {0} is pending deletion")]
    Dropped(ShardId),
}

/// The shard could not be made or dropped.
#[derive(Debug, thiserror::Error)]
pub enum ShardError {
    /// The store is closing.
    #[error("engine is closed")]
    Closed,
    /// The number is taken by a shard of another database or policy.
    #[error("shard {shard} already belongs to {db}.{rp}")]
    Elsewhere {
        /// Which.
        shard: ShardId,
        /// The database that has it.
        db: String,
        /// Its policy.
        rp: String,
    },
    /// Try later: there is no space left.
    #[error("no space left on device")]
    DiskFull,
    /// The disk refused.
    #[error("shard directory: {0}")]
    Io(#[source] io::Error),
}

impl From<io::Error> for ShardError {
    fn from(error: io::Error) -> ShardError {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ShardError::DiskFull,
            _ => ShardError::Io(error),
        }
    }
}

/// A field came with another type than it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldTypeConflict {
    /// The measurement, raw.
    pub measurement: Vec<u8>,
    /// The field, raw.
    pub field: Vec<u8>,
    /// The type that came.
    pub sent: FieldType,
    /// The type that the field has.
    pub existing: FieldType,
}

impl fmt::Display for FieldTypeConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "field type conflict: input field \"{}\" on measurement \"{}\" is type {}, already exists as type {}",
            String::from_utf8_lossy(&self.field),
            String::from_utf8_lossy(&self.measurement),
            self.sent,
            self.existing
        )
    }
}

/// Nothing of the batch is promised: it may be in the shard or not, whole.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The batch has to be cut in parts. Nothing was written.
    #[error(transparent)]
    TooLarge(#[from] block_codec::batch::TooLarge),
    /// The batch has to be cut in parts. Nothing was written.
    #[error("a record of {bytes} bytes is longer than the limit of {bytes_max}")]
    TooLong {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        bytes_max: usize,
    },
    /// Try later: memory tables are full and flushing does not keep up. Nothing was written.
    #[error("cache-max-memory-size exceeded: ({used}/{max})")]
    MemoryFull {
        /// Bytes in use.
        used: u64,
        /// The limit.
        max: u64,
    },
    /// Try later: there is no space left. The shard takes writes again when there is.
    #[error("no space left on device")]
    DiskFull,
    /// The disk refused. The shard opens its log again before it takes another write.
    #[error("append to write-ahead log: {0}")]
    Wal(#[source] io::Error),
    /// The shard takes no writes.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// The answer is not known; another owner may have it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// The shard answers nothing.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// Bytes of a data file are not what was written.
    #[error("data file {} is damaged at {offset}: {reason}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where, in bytes from its start.
        offset: u64,
        /// What is wrong.
        reason: Arc<str>,
    },
    /// The disk refused.
    #[error("read data file {}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the disk said.
        source: Arc<io::Error>,
    },
}

/// A flush or a compaction did not happen; what was there before is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum MaintenanceError {
    /// The disk refused.
    #[error("write data file: {0}")]
    Io(#[from] io::Error),
    /// An input could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The shard is not open.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}
