//! Decides which node does what for a write, a query or a statement.
//!
//! Writing: `route` cuts a request by shard, `points_writer` sends the parts to owners, `ack` counts. Reading:
//! `statement` carries out what a client asks, `fan_out` asks the owners of shards, `local` answers for the shards held
//! here, `shard_source` reads one of them, within the `budget` of the query. `shard_server` is the other end of both: what
//! this node does when a peer asks. `repair` and `hints` bring copies together again, `expire` drops what a policy no longer
//! keeps, `upkeep` flushes and merges. `peers` knows who answers, `clock` gives stamps.
//!
//! Not here: HTTP, storage formats, Raft.

pub mod access;
pub mod ack;
pub mod budget;
pub mod clock;
pub mod expire;
pub mod fan_out;
pub mod fuzzing;
pub mod hints;
pub mod local;
pub mod peers;
pub mod points_writer;
pub mod question;
pub mod repair;
pub mod route;
pub mod shard_server;
pub mod shard_source;
pub mod statement;
pub mod upkeep;

pub use access::{Asker, Denied};
pub use clock::HybridClock;
pub use local::LocalShards;
pub use peers::Peers;
pub use points_writer::{PointsWriter, WriteFailure};
pub use repair::{Repair, Schedule};
pub use shard_server::{MetaEndpoint, ShardServer};
pub use statement::{QueryContext, QueryLimits, Statements};
