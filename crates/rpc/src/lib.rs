//! Carries `wire` messages over gRPC: channels, deadlines, the listener.
//!
//! `channels` keeps one connection per peer and lane, so that a bulk copy never delays a heartbeat; `client` makes calls
//! with a deadline and tells "the peer said no" from "the peer was not reached"; `auth` proves who calls; `server` tells HTTP/1
//! and HTTP/2 apart on accept and serves both on one port, not for ever to those who say nothing (`patient`); `trace` logs
//! calls for those who want to see them.

pub mod auth;
pub mod channels;
pub mod client;
mod heads;
pub mod patient;
pub mod server;
mod trace;

/// The service of the peers, as generated.
#[allow(missing_debug_implementations, unreachable_pub, clippy::all, reason = "generated code")]
pub mod peer {
    include!(concat!(env!("OUT_DIR"), "/mainstem.peer.v1.rs"));
}

pub use auth::ClusterAuth;
pub use channels::{Channels, Lane};
pub use client::{CallError, Connection, call};
pub use trace::Traced;
