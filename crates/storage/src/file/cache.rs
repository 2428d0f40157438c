//! Chunks, kept for the next question: their indexes, and their blocks as they lie in the file where those are small.
//!
//! One for the whole store, bounded in bytes. When it is full the oldest half goes: simple, and right often enough.
//!
//! Invariant: checksums were compared when a chunk came in; blocks that did not fit are listed and never handed out.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashMap;
use parking_lot::Mutex;

use super::format::{BlockRef, ChunkIndex};

/// A chunk in memory.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    pub(crate) index: ChunkIndex,
    /// All blocks, for a small chunk.
    data: Option<Vec<u8>>,
    /// Where blocks begin whose checksum is wrong, from the start of the chunk.
    damaged: Vec<u32>,
}

impl Chunk {
    /// A chunk of which only the index is kept.
    pub(crate) fn of_index(index: ChunkIndex) -> Chunk {
        Chunk { index, ..Chunk::default() }
    }

    /// A chunk with its blocks. `is_whole` compares the checksum of a block.
    pub(crate) fn with_data(index: ChunkIndex, data: Vec<u8>, is_whole: impl Fn(&BlockRef, &[u8]) -> bool) -> Chunk {
        let fields = index.fields.iter().flat_map(|field| &field.blocks);
        let blocks = index.times.iter().chain(&index.stamps).chain(fields).filter(|block| block.length > 0);
        let damaged = blocks.filter(|block| !is_whole(block, &data[block.offset as usize..][..block.length as usize]));
        let damaged = damaged.map(|block| block.offset).collect();
        Chunk { index, data: Some(data), damaged }
    }

    /// The bytes of a block: `None` where they are not kept, an error where they are damaged.
    pub(crate) fn block(&self, block: &BlockRef) -> Option<Result<&[u8], ()>> {
        let data = self.data.as_ref()?;
        if self.damaged.contains(&block.offset) {
            return Some(Err(()));
        }
        Some(Ok(&data[block.offset as usize..][..block.length as usize]))
    }

    /// About how many bytes it takes in memory.
    fn byte_count(&self) -> usize {
        let fields = self.index.fields.iter().map(|field| 64 + field.blocks.len() * 160).sum::<usize>();
        fields + self.index.pages.len() * 64 + self.data.as_ref().map_or(0, Vec::len)
    }
}

/// Identity of the file, offset of the chunk.
type Key = (u64, u64);

#[derive(Debug)]
pub(crate) struct ChunkCache {
    bytes_max: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    entries: HashMap<Key, (Arc<Chunk>, usize)>,
    order: VecDeque<Key>,
    bytes: usize,
}

impl ChunkCache {
    pub(crate) fn new(bytes_max: u64) -> ChunkCache {
        ChunkCache { bytes_max: usize::try_from(bytes_max).unwrap_or(usize::MAX), kept: Mutex::default() }
    }

    pub(crate) fn get(&self, key: Key) -> Option<Arc<Chunk>> {
        self.kept.lock().entries.get(&key).map(|(chunk, _)| chunk.clone())
    }

    pub(crate) fn put(&self, key: Key, chunk: Arc<Chunk>) {
        let bytes = chunk.byte_count();
        let mut kept = self.kept.lock();
        if bytes > self.bytes_max || kept.entries.insert(key, (chunk, bytes)).is_some() {
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

    fn chunk(bytes: usize) -> Arc<Chunk> {
        Arc::new(Chunk::with_data(ChunkIndex::default(), vec![0; bytes], |_, _| true))
    }

    #[test]
    fn stays_within_its_bound() {
        let cache = ChunkCache::new(1_000);
        for offset in 0..100 {
            cache.put((1, offset), chunk(100));
            assert!(cache.kept.lock().bytes <= 1_000);
        }
        assert!(cache.get((1, 99)).is_some());
        assert!(cache.get((1, 0)).is_none());
        cache.put((2, 0), chunk(2_000));
        assert!(cache.get((2, 0)).is_none());
    }
}
