//! The messages between nodes.
