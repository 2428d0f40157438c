//! What openraft needs from us: types, log, state machine, network. Nothing outside this folder and `node` knows
//! openraft.
//!
//! The log, the vote and the last committed position live in one redb file, `raft.db`. The state machine is memory: it is
//! rebuilt from the latest snapshot file and the log behind it, so an apply writes nothing and a write costs one sync.
//! Each value in the file carries a checksum over itself and its place, verified when it is read.

mod backend;
mod log_store;
mod machine;
mod message;
mod network;
mod runtime;
mod seen;
mod types;
mod witness;

pub(crate) use log_store::{LogStore, Recovery, Roster, Written, membership};
pub(crate) use machine::Machine;
#[cfg(test)]
pub(crate) use message::SnapshotBytes;
pub(crate) use message::{Body, Envelope, Refusal, Reply as RaftReply};
pub(crate) use network::{Network, Peers};
pub(crate) use runtime::seed_election_dice;
pub(crate) use seen::{Promise, Seen};
pub(crate) use types::{LogCommand, RaftError, TypeConfig};

pub(crate) use log_store::fuzz as fuzz_stored;
pub use log_store::{APPEND_BYTES_MAX, StoreError};
pub use machine::RestoreError;
pub use witness::{LogMark, RaftWitness};

#[cfg(test)]
mod tests;
