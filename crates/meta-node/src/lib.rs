//! Raft around the metadata, and the admin HTTP API.
//!
//! A [`MetaNode`] is one member of the metadata service. It starts without a cluster; [`MetaNode::bootstrap`] forms one
//! and [`MetaNode::join`] enters one; after that it is a member whenever it starts. Commands go in through
//! [`MetaNode::propose`] on the leader, versions of the metadata come out of [`MetaNode::subscribe`] on every member.
//!
//! In reading order: `config`, `identity` (who a directory is), `transport` (how Raft messages travel), `raft` (what
//! openraft needs from us), `snapshots`, `node` (start, bootstrap, propose), `peers` (the list of members for operators),
//! `membership` (who votes), `admission` (the leader's side of a join), `join` (the other side), `arrival` (one that brings
//! what it holds), `operate` (what operators
//! ask for), `leases`, `announcements` and `gossip` (what nodes say of themselves), `http` (the admin API), `http_client`.
//!
//! Invariants
//! - A member's number is given by a committed command before it starts Raft, and is never used again. A directory that
//!   was wiped is somebody new.
//! - Who votes follows the metadata: a member without the meta role is taken out of Raft; one that has it votes once it
//!   has asked to and has caught up.
//! - Messages name the cluster and the member they are for; others do not answer them.
//!
//! Not here: what operators do with it later (users, copying shards); such calls answer 501.

pub mod arrival;
pub mod config;
pub mod fuzzing;
pub mod gossip;
pub mod http;
pub mod identity;
pub mod join;
pub mod node;
pub mod raft;
pub mod transport;

mod admission;
mod announcements;
mod http_client;
mod leases;
mod membership;
mod operate;
mod peers;
mod snapshots;

pub use announcements::Announcement;
pub use config::{Dialers, MetaConfig, Timeouts};
pub use join::{DataAddresses, JoinAnswer, JoinRequest, Joined, MetaAddresses};
pub use node::{Leader, MetaNode, MetaStatus, News, ProposeError, StartError};
pub use operate::{Enter, HeldShard, Leave, WarmAnswer, WarmOrder};
pub use peers::PeersError;
pub use raft::{LogMark, RaftWitness};
pub use transport::{BoxFuture, RaftTransport, TransportError};
