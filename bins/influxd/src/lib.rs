//! The server: wires the parts of a node together.
//!
//! `node` starts the parts in order and stops them; `link` is the way to the metadata service; `services` lets the HTTP
//! API call into the cluster. The program in `main` reads flags and files and waits for a signal.
//!
//! This is a library so that a whole node can also run inside a simulation.

pub mod link;
pub mod meta_endpoint;
pub mod node;
pub mod services;

/// The level of InfluxDB 1.x that clients are told.
pub const COMPATIBLE_VERSION: &str = "1.12.4";
