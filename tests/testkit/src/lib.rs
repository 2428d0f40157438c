//! Clusters of real processes on this machine, for tests, the demo and the benchmark.
//!
//! `cluster` starts, kills and asks nodes; `http` is how it talks to them; `recording` reads the telemetry that the
//! project keeps for all of them; `seeds` runs what a fuzzer runs, for a moment; `slapd` is a directory of users.

pub mod cluster;
pub mod http;
pub mod recording;
pub mod seeds;
pub mod slapd;

pub use cluster::{Cluster, Node, stays, until};
