//! A segmented, checksummed append log, shared by the shard WAL and the hinted-handoff queues.
//!
//! A log is a directory of segment files. Records are appended to the last segment; when it is full the next one is
//! begun. [`Log::append`] writes, [`Log::sync`] makes durable: whoever comes first syncs for all who wait (group
//! commit). Old segments are removed whole by [`Log::purge_before`]. [`Log::open`] replays what is there.
//!
//! Everything blocks; callers on async threads go through `Env::blocking`. There are no threads and no tasks in here,
//! and nobody waits for another thread unless that thread is in the middle of a sync, so under simulation all runs
//! inline.
//!
//! Invariants
//! - A record whose position was passed to a successful [`Log::sync`] is there after any crash, unaltered, in order,
//!   until it is purged (`Config::sync_delay` relaxes this on purpose).
//! - A record that was written and not synced is there after a crash wholly or not at all; any subset of such records
//!   may survive.
//! - Only the last segment can hold bytes that were not synced: a segment begins after the one before it is durable.
//! - A position is never used for two records, not even when the first was lost in a crash: after an open, appends go to
//!   a new segment.
//! - Checksums bind a record to its log, segment and offset, so misplaced, stale or copied bytes are never taken for a
//!   record.
//! - Damage never hides what comes behind it. See `recover` for how the next record is found.
//! - After a failed sync nothing is appended and nothing synced until the log is opened again; opening writes what
//!   nobody knows to be durable once more, because after a failed sync the cache of the operating system cannot be
//!   trusted. After a failed write nothing is appended until then. A full disk is an answer, not a failure.
//!
//! The bytes are described in `docs/format/seglog.md`.
//!
//! Not here: a lock on the directory (whoever owns the data directory has one), compression, what records mean, when to
//! purge. Nothing is logged: [`Recovery`] tells, its receiver logs.

mod append;
mod group_sync;
mod planted;
mod purge;
mod read;
mod recover;
mod segment;

pub mod fuzzing;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use env::Env;
use parking_lot::{Condvar, Mutex};

pub use read::{Entry, ReadError, Reader};
pub use recover::{Cause, Fenced, OpenError, Recovery, later_format};
pub use segment::FORMAT_VERSION;

use append::Writer;
use group_sync::Shared;

/// Whether a file of this name is a segment of some log.
pub fn is_segment_name(name: &str) -> bool {
    segment::SegmentId::from_file_name(name).is_some()
}

/// Where a record begins. Positions of one log grow from record to record, over segments and restarts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Number of the segment, from 1 on.
    pub segment: u64,
    /// Byte in the segment's file.
    pub offset: u64,
}

impl Position {
    /// Before every record.
    pub const START: Position = Position { segment: 0, offset: 0 };
    /// Behind every record.
    pub const END: Position = Position { segment: u64::MAX, offset: u64::MAX };

    /// Sixteen bytes, for whoever keeps a position in a file of their own.
    pub fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.segment.to_le_bytes());
        bytes[8..].copy_from_slice(&self.offset.to_le_bytes());
        bytes
    }

    /// What [`Position::to_bytes`] wrote.
    pub fn from_bytes(bytes: [u8; 16]) -> Position {
        let (segment, offset) = bytes.split_at(8);
        Position {
            segment: u64::from_le_bytes(segment.try_into().expect("eight of sixteen bytes")),
            offset: u64::from_le_bytes(offset.try_into().expect("eight of sixteen bytes")),
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.segment, self.offset)
    }
}

/// How a log behaves. Nothing in it is stored: a log can be opened with another one each time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// A segment is ended before it would grow past this many bytes; taken into 4 KiB..=1 GiB. A record that is longer
    /// by itself gets a segment of its own.
    pub segment_bytes_max: u64,
    /// The longest record, bytes; at most 1 GiB.
    pub record_bytes_max: usize,
    /// How much disk space is reserved ahead of the end at most, bytes; 0 for none. The reserve grows with the segment
    /// and is given back when the segment ends or the log is closed.
    pub reserve_bytes_max: u64,
    /// `None`: [`Log::sync`] returns when the record is durable. `Some(delay)`: it returns at once while the oldest
    /// record that is not durable is younger than this; then a power cut, not the end of the process, loses records of
    /// up to `delay` and the time until the next [`Log::sync`] or [`Log::sync_overdue`].
    pub sync_delay: Option<Duration>,
    /// Records before this are not replayed. Segments that lie wholly before it are not even read.
    pub replay_from: Position,
}

/// The shortest segment that can be asked for.
pub const SEGMENT_BYTES_MIN: u64 = 4 << 10;
/// The longest segment that can be asked for, and the longest record.
pub const SEGMENT_BYTES_MAX: u64 = 1 << 30;

/// Why a record was not appended or not made durable.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The record can never be appended; nothing was written.
    #[error("record of {bytes} bytes is longer than the limit of {bytes_max}")]
    TooLong {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        bytes_max: usize,
    },

    /// The disk is full. The record is not in the log; the same call may succeed once there is space.
    #[error("no space left for the log")]
    Full,

    /// The disk refused. The log takes no appends until it is opened again, because nobody can know how much reached
    /// the disk; whether the record is there will be known then.
    #[error("{action} log segment {segment}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which segment.
        segment: u64,
        /// What the disk said.
        #[source]
        source: io::Error,
    },

    /// An earlier call got [`AppendError::Io`] and the log was not opened again. Nothing was written.
    #[error("log failed earlier and was not opened again")]
    Failed,
}

/// A log. Clones are handles to the same log.
#[derive(Clone)]
pub struct Log {
    inner: Arc<Inner>,
}

struct Inner {
    env: Env,
    dir: PathBuf,
    identity: u64,
    config: Config,
    /// Guards the end of the active segment. Held across writes to it and across beginning a new segment, which is what
    /// puts them in order; `shared` may be taken while holding it.
    writer: Mutex<Writer>,
    /// Guards the positions. Never held across I/O; nothing else is taken while holding it.
    shared: Mutex<Shared>,
    /// Signalled when a sync ends.
    sync_ended: Condvar,
    /// Puts purges in order; `writer` and `shared` may be taken while holding it.
    purging: Mutex<()>,
}

impl Log {
    /// Random number made with the log; tells it from a later log in the same place.
    pub fn identity(&self) -> u64 {
        self.inner.identity
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// Behind the last record that was appended. The next one gets this position or a greater one.
    pub fn end(&self) -> Position {
        self.inner.shared.lock().end
    }

    /// Before this everything is durable.
    pub fn durable(&self) -> Position {
        self.inner.shared.lock().durable
    }

    /// Bytes in its segments, headers included and reserved space not.
    pub fn bytes(&self) -> u64 {
        self.inner.shared.lock().segments.iter().map(|segment| segment.bytes).sum()
    }

    /// How many segments it has; at least one.
    pub fn segment_count(&self) -> usize {
        self.inner.shared.lock().segments.len()
    }

    /// Whether a write or sync failed, so that the log must be opened again before it takes appends.
    pub fn is_failed(&self) -> bool {
        self.inner.shared.lock().health != group_sync::Health::Good
    }

    /// Reads records from `from` on, or from the oldest one if that comes later. Runs beside appends and purges and
    /// sees what is appended meanwhile.
    pub fn reader(&self, from: Position) -> Reader {
        Reader::new(Arc::clone(&self.inner), from)
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("dir", &self.inner.dir).field("end", &self.end()).finish_non_exhaustive()
    }
}
