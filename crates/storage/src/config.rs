//! What a store is told when it opens.

use std::path::PathBuf;
use std::time::Duration;

/// Settings of a store. The defaults of the program stand in the `config` crate; [`StoreConfig::new`] has the same.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// The directory that the store owns.
    pub dir: PathBuf,
    /// Above zero, a write is acked before its sync, and a power cut loses what is younger than this.
    pub wal_sync_delay: Duration,
    /// About how long a file of the log becomes, bytes.
    pub wal_segment_bytes: u64,
    /// A shard whose memory table passes this many bytes is flushed.
    pub flush_bytes: u64,
    /// A shard that took no write for this long is flushed.
    pub flush_idle: Duration,
    /// Memory tables of all shards together: above it the largest is flushed, whatever its size.
    pub memory_bytes: u64,
    /// Above this the memory tables of all shards together refuse writes.
    pub memory_bytes_max: u64,
    /// This many neighbouring data files of like size are merged; at least 2.
    pub compact_files: usize,
    /// Most bytes of decoded chunk parts that are kept for all shards together.
    pub cache_bytes: u64,
}

impl StoreConfig {
    /// The defaults, in `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> StoreConfig {
        StoreConfig {
            dir: dir.into(),
            wal_sync_delay: Duration::ZERO,
            wal_segment_bytes: 16 << 20,
            flush_bytes: 25 << 20,
            flush_idle: Duration::from_secs(10 * 60),
            memory_bytes: 256 << 20,
            memory_bytes_max: 1 << 30,
            compact_files: 4,
            cache_bytes: 128 << 20,
        }
    }
}
