//! From a shard's id to the group that holds it.
//!
//! Ids are dense and grow, so this is an array cut into chunks that versions of the metadata share: a change copies the
//! chunk it touches and a list of pointers, however many shards there are.

use std::sync::Arc;

use model::{ShardGroupId, ShardId, Timestamp};

use crate::data::DatabaseId;

/// Shards in a chunk.
const CHUNK_LEN: usize = 256;

type Chunk = Vec<Option<ShardRef>>;

/// The array.
#[derive(Clone, Debug, Default)]
pub(crate) struct ShardIndex {
    chunks: Arc<Vec<Option<Arc<Chunk>>>>,
}

/// Where a shard is. The start of a group never changes, so it leads to the place of the group in its policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShardRef {
    pub(crate) database: DatabaseId,
    pub(crate) policy: Arc<str>,
    pub(crate) group: ShardGroupId,
    pub(crate) group_start: Timestamp,
}

impl ShardIndex {
    pub(crate) fn get(&self, shard: ShardId) -> Option<&ShardRef> {
        let (chunk, offset) = position(shard)?;
        self.chunks.get(chunk)?.as_ref()?[offset].as_ref()
    }

    /// Puts a shard in, or moves it.
    pub(crate) fn put(&mut self, shard: ShardId, place: ShardRef) {
        let Some((chunk, offset)) = position(shard) else { return };
        let chunks = Arc::make_mut(&mut self.chunks);
        if chunks.len() <= chunk {
            chunks.resize(chunk + 1, None);
        }
        let chunk = chunks[chunk].get_or_insert_with(|| Arc::new(vec![None; CHUNK_LEN]));
        Arc::make_mut(chunk)[offset] = Some(place);
    }

    pub(crate) fn remove(&mut self, shard: ShardId) {
        let Some((chunk, offset)) = position(shard) else { return };
        if self.get(shard).is_none() {
            return;
        }
        let slot = &mut Arc::make_mut(&mut self.chunks)[chunk];
        let Some(chunk) = slot else { return };
        let chunk = Arc::make_mut(chunk);
        chunk[offset] = None;
        if chunk.iter().all(Option::is_none) {
            *slot = None;
        }
    }

    /// How many shards there are. Walks all of them.
    pub(crate) fn len(&self) -> usize {
        self.chunks.iter().flatten().map(|chunk| chunk.iter().flatten().count()).sum()
    }
}

fn position(shard: ShardId) -> Option<(usize, usize)> {
    let id = usize::try_from(shard.0).ok()?;
    Some((id / CHUNK_LEN, id % CHUNK_LEN))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(group: u64) -> ShardRef {
        ShardRef {
            database: DatabaseId(1),
            policy: "autogen".into(),
            group: ShardGroupId(group),
            group_start: Timestamp(0),
        }
    }

    #[test]
    fn versions_do_not_see_each_others_changes() {
        let mut index = ShardIndex::default();
        index.put(ShardId(1), place(1));
        let before = index.clone();
        index.put(ShardId(700), place(2));
        index.remove(ShardId(1));
        assert_eq!(before.get(ShardId(1)), Some(&place(1)));
        assert_eq!(before.get(ShardId(700)), None);
        assert_eq!(index.get(ShardId(1)), None);
        assert_eq!(index.get(ShardId(700)), Some(&place(2)));
        assert_eq!((before.len(), index.len()), (1, 1));
    }

    #[test]
    fn unknown_ids_are_absent() {
        let mut index = ShardIndex::default();
        index.remove(ShardId(5));
        assert_eq!(index.get(ShardId(5)), None);
        assert_eq!(index.get(ShardId(u64::MAX)), None);
    }
}
