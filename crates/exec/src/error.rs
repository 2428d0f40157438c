//! Why a query could not be carried out.

use crate::bytes::DecodeError;
use crate::source::SourceError;

/// What the caller of a query says no with: out of memory, killed, too slow.
pub type Refusal = Box<dyn std::error::Error + Send + Sync>;

/// A query that failed while running.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// The rows could not be read: another owner of the shard may be able to.
    #[error("{0}")]
    Source(#[from] SourceError),
    /// The caller stopped the query. Its reason is the text that the client sees.
    #[error("{0}")]
    Refused(#[source] Refusal),
    /// A partial result is not what the plan asked for: the node that sent it has another version, or a bug.
    #[error("{0}")]
    Decode(#[from] DecodeError),
    /// A partial result is well formed but not of this plan: a bug of whoever joined the two.
    #[error("partial result does not fit the plan: {0}")]
    Mismatch(&'static str),
}

/// What a query may use, and whether it may go on. One for each query and thread of work.
pub trait Budget {
    /// Asked before some rows are worked on; a good moment to look whether the query was killed.
    ///
    /// # Errors
    /// The reason why the query must stop.
    fn rows(&mut self, count: usize) -> Result<(), Refusal>;

    /// Asked when about to keep so many more bytes, until the work is over.
    ///
    /// # Errors
    /// The reason why the query must stop.
    fn grow(&mut self, bytes: usize) -> Result<(), Refusal>;
}

/// Everything is allowed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unlimited;

impl Budget for Unlimited {
    fn rows(&mut self, _: usize) -> Result<(), Refusal> {
        Ok(())
    }

    fn grow(&mut self, _: usize) -> Result<(), Refusal> {
        Ok(())
    }
}
