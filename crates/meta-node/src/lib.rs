//! Raft around the metadata, and the admin HTTP API.
