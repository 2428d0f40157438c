//! Having a command decided, with patience for elections.

use std::time::Duration;

use meta::{Command, Rejection, Reply};

use crate::{LinkError, MetaClient};

/// How long a command may take in all.
pub(crate) const PROPOSE_TIMEOUT: Duration = Duration::from_secs(10);
/// First pause between attempts; doubled up to the next.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_millis(200);

/// Why a command had no effect, or none that is known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// It was decided, and refused. The text is for the client.
    #[error(transparent)]
    Rejected(Rejection),
    /// No decision in time.
    #[error("meta service unavailable: {0}")]
    Unavailable(String),
    /// It may have been decided, or be decided yet, once. The client has to look.
    #[error("meta service unavailable, the outcome is unknown: {0}")]
    Unknown(String),
}

impl MetaClient {
    /// Has a command decided and waits until this copy has its effect. An attempt whose outcome is not known is made again
    /// only when the command may be repeated: what was created, dropped and created again by then must not change once
    /// more.
    ///
    /// # Errors
    /// See [`ProposeError`]; within 10 s.
    pub async fn propose(&self, command: Command) -> Result<Reply, ProposeError> {
        let mut last = "no attempt ended".to_owned();
        match tokio::time::timeout(PROPOSE_TIMEOUT, self.attempts(&command, &mut last)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(ProposeError::Unavailable(last)),
        }
    }

    async fn attempts(&self, command: &Command, last: &mut String) -> Result<Reply, ProposeError> {
        let mut pause = PAUSE_MIN;
        loop {
            match self.link.propose(command).await {
                Ok(proposed) => {
                    // A refusal changed nothing that could be waited for.
                    if proposed.outcome.is_ok() && !self.wait_for(proposed.index, PROPOSE_TIMEOUT).await {
                        tracing::warn!(index = proposed.index.0, "this node's metadata lags behind");
                    }
                    return proposed.outcome.map_err(ProposeError::Rejected);
                }
                Err(LinkError::Unknown(text)) if !command.may_be_repeated() => return Err(ProposeError::Unknown(text)),
                Err(error) => *last = error.to_string(),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}
