//! HTTP requests to calls and results to bytes; knows nothing of shards.
