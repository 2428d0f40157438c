//! Why a statement cannot be planned.

/// A statement that is wrong. Displays the text that the client sees.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PlanError(String);

impl PlanError {
    /// The error with this text.
    pub fn new(text: impl Into<String>) -> PlanError {
        PlanError(text.into())
    }
}
