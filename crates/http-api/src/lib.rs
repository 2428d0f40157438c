//! HTTP requests to calls and results to bytes; knows nothing of shards.
//!
//! The API of port 8086 as clients of InfluxDB 1.x know it: `/query`, `/write`, `/ping` and their relatives. A
//! [`Server`] accepts connections, reads requests within limits, calls the [`Services`] that the program supplies, and
//! writes answers in the formats of [`encode`].
//!
//! Invariants
//! - Everything that a client can make grow has a limit, named in [`config`]: connections, heads, bodies before and after
//!   decompression, bytes of writes in flight, documents, patience.
//! - An answer streams: memory does not depend on its length. The exception is named in [`encode`].
//! - A panic in a handler is counted and answered 500; other requests do not notice.
//!
//! Not here: what statements mean, where points are stored, who users are and what they may do.

mod accept;
mod access_log;
mod api;
mod auth;
pub mod config;
mod connection;
mod debug;
pub mod encode;
pub mod fuzzing;
mod query;
mod redact;
mod request;
mod request_id;
mod respond;
mod router;
mod server;
pub mod service;
mod stats;
mod status;
mod throttle;
mod write;

pub use api::ConfigError;
pub use config::{AccessLog, Config};
pub use server::{Server, serve};
pub use service::{
    AccessLines, AuthFailure, AuthService, Caller, Credentials, Health, Pending, QueryRefusal, QueryRequest,
    QueryService, Services, Statistic, StatusService, WriteFailure, WriteRequest, WriteService,
};
pub use stats::HttpStats;

#[cfg(test)]
mod tests;
