//! The server: wires the parts of a node together.
//!
//! `node` starts the parts in order and stops them; `link` is the way to the metadata service; `services` lets the HTTP
//! API call into the cluster, `auth` tells it who asks and `access_file` takes the lines of its access log; `membership` is
//! how a node waits to be added, is added, and is told to leave, and with `arrival` a server that stood alone comes into a
//! cluster with what it holds. `meta_only` is a node of the program `influxd-meta`: the metadata service and nothing else.
//! The programs in `main` and `meta_main` read flags; `lookup` finds their files, and what else they share is in `program`.
//! `tls` has the certificates of all ports.
//!
//! This is a library so that a whole node can also run inside a simulation.

pub mod access_file;
mod arrival;
pub mod auth;
pub mod link;
pub mod lookup;
pub mod membership;
pub mod meta_endpoint;
pub mod meta_only;
pub mod node;
pub mod program;
pub mod services;
pub mod tls;

/// The level of InfluxDB 1.x that clients are told.
pub const COMPATIBLE_VERSION: &str = "1.12.4";

/// What members are listed with: the level that clients are told, and that of the cluster.
pub const CLUSTER_VERSION: &str = "1.12.4-c1.12.4";
