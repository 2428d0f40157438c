//! Finds and repairs differences between the copies of a shard.
