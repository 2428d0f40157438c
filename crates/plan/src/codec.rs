//! A shard plan as bytes, for its way to the owner of a shard.
//!
//! ```text
//! version (1 byte) | measurement | range | direction | columns | series | condition | group_by | window | work
//! ```
//!
//! Numbers are varints (`stdx::varint`), signed ones folded; byte strings and lists begin with their length; enums are
//! one byte with the numbers written beside each. Expressions are written parents first; the types of inputs are those
//! of the columns, so they are not repeated.
//!
//! Invariants
//! - What decodes keeps every promise of the types: indexes point at something, types fit, ranges and windows are not
//!   empty. Whatever else comes in is an error.
//! - Decoding allocates no more than a small multiple of the input, and recurses no deeper than
//!   [`EXPR_HEIGHT_MAX`](crate::expr::EXPR_HEIGHT_MAX).
//!
//! Not here: the finish plan, which never leaves the coordinator.

mod read;
mod write;

#[cfg(test)]
pub(crate) mod tests;

use model::TagFilter;

use crate::shard_plan::ShardPlan;

/// The version that is written. Older ones are read as long as a rolling upgrade may meet them.
pub const VERSION: u8 = 1;

/// Bytes that are no plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Written by a newer release: the sender must speak an older version.
    #[error("shard plan has version {0}, newest known is {VERSION}")]
    Version(u8),
    /// Damaged, or not a plan at all.
    #[error("shard plan is malformed: {0}")]
    Malformed(&'static str),
}

/// A filter as bytes: the version, and what stands for the series in a plan.
pub fn encode_filter(filter: &TagFilter) -> Vec<u8> {
    let mut out = vec![VERSION];
    write::put_filter(&mut out, filter);
    out
}

/// The inverse of [`encode_filter`].
///
/// # Errors
/// Bytes that are no filter.
pub fn decode_filter(bytes: &[u8]) -> Result<TagFilter, DecodeError> {
    match bytes.split_first() {
        None => Err(DecodeError::Malformed("empty")),
        Some((&VERSION, rest)) => read::read_filter(rest),
        Some((version, _)) => Err(DecodeError::Version(*version)),
    }
}

impl ShardPlan {
    /// The plan as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        write::put_plan(&mut out, self);
        out
    }

    /// The inverse of [`ShardPlan::encode`].
    ///
    /// # Errors
    /// Bytes that are no plan, or one that breaks a promise of its types.
    pub fn decode(bytes: &[u8]) -> Result<ShardPlan, DecodeError> {
        match bytes.split_first() {
            None => Err(DecodeError::Malformed("empty")),
            Some((&VERSION, rest)) => read::read_plan(rest),
            Some((version, _)) => Err(DecodeError::Version(*version)),
        }
    }
}
