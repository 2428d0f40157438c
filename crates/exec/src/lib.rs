//! Runs plan operators over rows, merges partial states, finishes the result.

pub mod error;
pub mod partial;
pub mod shard;
pub mod source;

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
pub use partial::Partial;
pub use shard::run_shard;
