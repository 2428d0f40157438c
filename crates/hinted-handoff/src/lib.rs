//! Hinted handoff: writes a peer could not take, kept on disk until it can.
//!
//! One queue per destination node and shard, each a segmented log. The points writer appends; a drain task per node
//! sends from the head, some entries at a time. New writes go to the peer as soon as it answers again, beside the drain:
//! write stamps, not order, decide which value wins, so entries may be sent twice and in any order.
//!
//! Invariants
//! - An appended entry is durable when [`Queues::append`] returns, and is handed out again and again, also after a
//!   crash, until the peer took it or it is dropped on purpose.
//! - What is dropped on purpose (refused for want of room, too old, refused by the peer, damaged on disk) is counted, and
//!   before it goes a durable *needs repair* mark for its node and shard is set, which anti-entropy acts on.
//! - The queues of a node never exceed `Config::bytes_max` on disk. A full queue refuses the new write; it does not drop
//!   an old one.
//! - Memory does not grow with the queues: what is known of entries in flight is bounded, their bytes are read when they
//!   are sent.
//! - One entry that can not be delivered does not block those behind it.
//! - The directory belongs to one process. One that is in use, holds what is not ours, or was written by a later release
//!   is refused and left as it was.
//!
//! Calls block, except [`drain()`]; callers on async threads go through `Env::blocking`.
//!
//! Not here: whether a queued write counts towards the consistency level (`cluster::ack`), what the bytes mean, how a
//! peer is reached ([`Sender`] is implemented by `cluster`), which nodes and shards exist.
//!
//! The bytes on disk are described in `docs/format/hinted-handoff.md`.

mod drain;
mod entry;
mod head;
mod limits;
mod mark;
mod metrics;
mod planted;
mod queue;
mod queues;

pub mod fuzzing;

#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use env::ClaimError;
use model::{NodeId, ShardId};

pub use drain::{SendError, Sender, drain};
pub use limits::{Backoff, RateLimit};
pub use mark::{Mark, MarkReason};
pub use metrics::{Counts, QueueStats};
pub use queue::{Block, Token};
pub use queues::{OpenReport, Pending, Queues, check};

/// How the queues behave; the keys of `[hinted-handoff]` they come from are named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `enabled`. If not, everything is refused and the directory is not looked at.
    pub enabled: bool,
    /// `max-size`: bytes that the queues of one node may have on disk.
    pub bytes_max: u64,
    /// `max-age`: how long an entry may wait.
    pub entry_age_max: Duration,
    /// The longest entry, bytes.
    pub entry_bytes_max: usize,
    /// `max-writes-pending`: how many appends to one queue may be under way at once; 0 for no limit.
    pub writes_pending_max: usize,
    /// `retry-concurrency`: how many entries may be on their way to one node at once; at least 1.
    pub retry_concurrency: usize,
    /// `retry-rate-limit`: bytes a second that are sent to one node; 0 for no limit.
    pub retry_bytes_per_second: u64,
    /// `retry-interval`: how long to wait after a failure; doubled by each further one.
    pub retry_interval: Duration,
    /// `retry-max-interval`: the longest wait.
    pub retry_interval_max: Duration,
    /// `purge-interval`: how often old entries and empty queues are looked for.
    pub purge_interval: Duration,
}

/// Why an entry was not queued.
#[derive(Debug, thiserror::Error)]
pub enum HandoffError {
    /// The queues of the node have no room for it. A repair mark is set.
    #[error("queue is full")]
    Full,

    /// Too many appends to the queue are under way. A repair mark is set.
    #[error("queue is blocked")]
    Blocked,

    /// The configuration says so.
    #[error("hinted handoff disabled")]
    Disabled,

    /// The entry can never be queued: the caller cuts it into smaller ones.
    #[error("hint of {bytes} bytes is longer than the limit of {bytes_max}")]
    TooLong {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        bytes_max: usize,
    },

    /// The disk is full. A repair mark is set, or will be as soon as there is room for it.
    #[error("no space left for hinted handoff")]
    DiskFull,

    /// The disk refused. Nobody knows whether the entry is queued; the next append opens the queue anew.
    #[error("append to hinted handoff queue of node {node}, shard {shard}")]
    Append {
        /// For whom.
        node: NodeId,
        /// Of which shard.
        shard: ShardId,
        /// What the log said.
        #[source]
        source: seglog::AppendError,
    },

    /// The queue could not be opened or made.
    #[error("open hinted handoff queue of node {node}, shard {shard}")]
    Open {
        /// For whom.
        node: NodeId,
        /// Of which shard.
        shard: ShardId,
        /// What stood in the way.
        #[source]
        source: OpenError,
    },

    /// The disk refused something else. It can be tried again.
    #[error("{action} {path}", path = path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the disk said.
        #[source]
        source: io::Error,
    },
}

/// Why a queue, or the directory of all queues, could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory cannot be taken.
    #[error(transparent)]
    Dir(#[from] ClaimError),

    /// Its log could not.
    #[error(transparent)]
    Log(#[from] seglog::OpenError),

    /// Its log could not be read.
    #[error(transparent)]
    Read(#[from] seglog::ReadError),

    /// Written by another version of the program; left untouched.
    #[error(
        "{path} has format {version}, this release reads {known}; it is left untouched: start the release that wrote it",
        path = path.display()
    )]
    OtherFormat {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
        /// The version this program knows.
        known: u32,
    },

    /// The disk refused.
    #[error("{action} {path}", path = path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the disk said.
        #[source]
        source: io::Error,
    },
}
