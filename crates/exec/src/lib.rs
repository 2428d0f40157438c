//! Runs plan operators over rows, merges partial states, finishes the result.
//!
//! A query is cut in two. Below the cut, where the shards are, [`run_shard`] reads the rows of a [`Source`] and answers
//! with a [`Partial`]: rows, or the state of each call by group and window. Above it, at the coordinator, [`finish()`]
//! merges the partial results of all shards and makes the series of the answer, in pieces. A subquery is a query whose
//! answer becomes a source again. [`run_select`] puts these together on one thread.
//!
//! Invariants
//! - How the data is cut, into batches, series, shards or nodes, changes no byte of an answer.
//! - Bytes from other nodes are refused or understood; they never cause a panic.
//!
//! Not here: which shards are asked and where they are, how rows are stored, and what a statement means (see `plan`).

pub mod error;
pub mod finish;
pub mod fuzzing;
pub mod partial;
pub mod select;
pub mod shard;
pub mod source;
pub mod subquery;

mod bytes;
mod columns;
mod evaluate;
mod kernel;
mod run;
mod state;
mod states;
mod sum;

pub use bytes::DecodeError;
pub use error::{Budget, ExecError, Refusal, Unlimited};
pub use finish::{Finish, Piece, finish};
pub use partial::Partial;
pub use select::{Shards, run_select};
pub use shard::{run_shard, run_shard_in_pieces};
pub use source::Source;
pub use subquery::{SubqueryRows, run_subquery};
