//! Line protocol bytes to points and back.
//!
//! A request body becomes a columnar [`model::Batch`]: see [`Parser`]. A batch becomes canonical text: see [`mod@write`].
//! The grammar, its quirks and the texts of the errors are those of InfluxDB 1.x, for clients match on them.
//!
//! In reading order: `scan` (one line, exactly as the grammar has it), `parse` (whole bodies, fast, with what was
//! learnt from the lines before), `escape` (backslashes), `write` (text from batches), `error` (why lines are refused).
//!
//! Invariants
//! - A refused line leaves no trace in the batch, and the lines after it are read as if it were not there.
//! - No bytes make this crate panic, and memory is bounded by the length of the body and the limits in [`parse`].
//!
//! Not here: types of fields that a shard already has, retention, series limits. They need a store.

pub mod error;
mod escape;
pub mod fuzzing;
pub mod parse;
mod scan;
pub mod write;

pub use error::{DropReason, LineError, LineErrors, Reason};
pub use parse::{ParseOutcome, Parser};
