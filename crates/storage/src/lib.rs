//! Shards of one node: log, memory table, data files.
