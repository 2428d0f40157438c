//! Indexes of chunks, kept for the next question.
//!
//! One for the whole store, bounded in bytes. When it is full the oldest half goes: simple, and right often enough.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashMap;
use parking_lot::Mutex;

use super::format::ChunkIndex;

/// Identity of the file, offset of the chunk.
type Key = (u64, u64);

#[derive(Debug)]
pub(crate) struct ChunkCache {
    bytes_max: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    entries: HashMap<Key, (Arc<ChunkIndex>, usize)>,
    order: VecDeque<Key>,
    bytes: usize,
}

impl ChunkCache {
    pub(crate) fn new(bytes_max: u64) -> ChunkCache {
        ChunkCache { bytes_max: usize::try_from(bytes_max).unwrap_or(usize::MAX), kept: Mutex::default() }
    }

    pub(crate) fn get(&self, key: Key) -> Option<Arc<ChunkIndex>> {
        self.kept.lock().entries.get(&key).map(|(index, _)| index.clone())
    }

    /// Keeps an index of about `bytes` bytes.
    pub(crate) fn put(&self, key: Key, index: Arc<ChunkIndex>, bytes: usize) {
        let mut kept = self.kept.lock();
        if bytes > self.bytes_max || kept.entries.insert(key, (index, bytes)).is_some() {
            return;
        }
        kept.order.push_back(key);
        kept.bytes += bytes;
        if kept.bytes > self.bytes_max {
            while kept.bytes > self.bytes_max / 2 {
                let Some(oldest) = kept.order.pop_front() else { break };
                if let Some((_, bytes)) = kept.entries.remove(&oldest) {
                    kept.bytes -= bytes;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_within_its_bound() {
        let cache = ChunkCache::new(1_000);
        for offset in 0..100 {
            cache.put((1, offset), Arc::default(), 100);
            assert!(cache.kept.lock().bytes <= 1_000);
        }
        assert!(cache.get((1, 99)).is_some());
        assert!(cache.get((1, 0)).is_none());
        cache.put((2, 0), Arc::default(), 2_000);
        assert!(cache.get((2, 0)).is_none());
    }
}
