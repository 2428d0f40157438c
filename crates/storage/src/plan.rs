//! What to flush and what to merge: facts in, decision out.

use std::ops::Range;
use std::time::Duration;

use model::ShardId;

use crate::config::StoreConfig;

/// A shard's memory table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardMemory {
    /// Which shard.
    pub shard: ShardId,
    /// Bytes, about.
    pub bytes: u64,
    /// Since the last write.
    pub idle: Duration,
}

/// The shard to flush next, if any: the largest when one is over its limit or all together are over theirs, else the
/// one that has been idle longest.
pub fn pick_flush(shards: &[ShardMemory], config: &StoreConfig) -> Option<ShardId> {
    let used = shards.iter().filter(|shard| shard.bytes > 0);
    let largest = used.clone().max_by_key(|shard| (shard.bytes, shard.shard))?;
    let total: u64 = shards.iter().map(|shard| shard.bytes).sum();
    if largest.bytes >= config.flush_bytes || total > config.memory_bytes {
        return Some(largest.shard);
    }
    let idle = used.filter(|shard| shard.idle >= config.flush_idle);
    idle.max_by_key(|shard| (shard.idle, shard.shard)).map(|shard| shard.shard)
}

/// Files up to this size are alike, however small.
const SMALL_BYTES: u64 = 256 << 10;

/// Each size class is this many times the one before.
const CLASS_FACTOR: u64 = 4;

/// The neighbouring files to merge, given their sizes with older content first: the first stretch of at least
/// `count_min` neighbours of one size class or below that is worth it. `None` when there is none.
///
/// So a row is written once for each size class its file grows through, and there are fewer than `count_min` files of a
/// class beside each other: their number grows with the logarithm of the data.
pub fn pick_compaction(file_bytes: &[u64], count_min: usize) -> Option<Range<usize>> {
    let count_min = count_min.max(2);
    let classes: Vec<u32> = file_bytes.iter().map(|bytes| size_class(*bytes)).collect();
    let highest = classes.iter().copied().max()?;
    for class in 0..=highest {
        let mut start = 0;
        for end in 0..=classes.len() {
            if end < classes.len() && classes[end] <= class {
                continue;
            }
            if end - start >= count_min && is_worth(&file_bytes[start..end]) {
                return Some(start..end);
            }
            start = end + 1;
        }
    }
    None
}

/// A large file is not written again for the sake of a few small ones.
fn is_worth(file_bytes: &[u64]) -> bool {
    let largest = file_bytes.iter().copied().max().unwrap_or(0);
    let others = file_bytes.iter().sum::<u64>() - largest;
    others.saturating_mul(CLASS_FACTOR) >= largest || largest <= SMALL_BYTES
}

fn size_class(bytes: u64) -> u32 {
    (bytes / SMALL_BYTES).max(1).ilog(CLASS_FACTOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(shard: u64, bytes: u64, idle_secs: u64) -> ShardMemory {
        ShardMemory { shard: ShardId(shard), bytes, idle: Duration::from_secs(idle_secs) }
    }

    fn config() -> StoreConfig {
        StoreConfig {
            flush_bytes: 100,
            memory_bytes: 250,
            flush_idle: Duration::from_secs(60),
            ..StoreConfig::new("unused")
        }
    }

    #[track_caller]
    fn check_flush(shards: &[ShardMemory], want: Option<u64>) {
        assert_eq!(pick_flush(shards, &config()), want.map(ShardId));
    }

    #[test]
    fn large_then_crowded_then_idle_shards_are_flushed() {
        check_flush(&[], None);
        check_flush(&[memory(1, 0, 900)], None);
        check_flush(&[memory(1, 99, 0), memory(2, 50, 59)], None);
        check_flush(&[memory(1, 100, 0), memory(2, 150, 0), memory(3, 10, 900)], Some(2));
        check_flush(&[memory(1, 90, 0), memory(2, 95, 0), memory(3, 70, 900)], Some(2));
        check_flush(&[memory(1, 90, 61), memory(2, 95, 0), memory(3, 5, 90)], Some(3));
    }

    #[test]
    fn like_neighbours_are_merged() {
        let mib = 1 << 20;
        assert_eq!(pick_compaction(&[], 4), None);
        assert_eq!(pick_compaction(&[1, 1, 1], 4), None);
        assert_eq!(pick_compaction(&[900 * mib, 1, 5, 2, 9], 4), Some(1..5));
        assert_eq!(pick_compaction(&[900 * mib, 1, 40 * mib, 2, 9], 4), None);
        assert_eq!(pick_compaction(&[40 * mib, 1, 40 * mib, 2, 9], 4), Some(0..5));
        assert_eq!(pick_compaction(&[1, 1], 0), Some(0..2));
    }

    #[test]
    fn rows_are_written_a_few_times_and_files_stay_few() {
        let mut files: Vec<u64> = Vec::new();
        let mut written = 0;
        for round in 0..2_000u64 {
            // Every third flush is a small one.
            files.push(if round % 3 == 0 { 1 << 10 } else { 3 << 20 });
            while let Some(range) = pick_compaction(&files, 4) {
                let merged = files[range.clone()].iter().sum();
                written += merged;
                files.splice(range, [merged]);
            }
            assert!(files.len() <= 24, "{} files after {round} flushes", files.len());
        }
        let total: u64 = files.iter().sum();
        assert!(written < total * 12, "each row is written a few times, not {} times", written / total);
    }
}
