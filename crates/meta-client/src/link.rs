//! How the metadata service is reached: the trait is ours, who carries it is decided by the program.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use meta::{Changes, Command, Data, Known, Rejection, Reply};
use model::MetaIndex;

/// A future behind a trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A command that was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposed {
    /// What came of it.
    pub outcome: Result<Reply, Rejection>,
    /// A copy of at least this index has its effect.
    pub index: MetaIndex,
}

/// Newer metadata.
#[derive(Clone, Debug)]
pub enum News {
    /// All of it.
    Document {
        /// The metadata.
        data: Arc<Data>,
        /// Bytes that came over the network.
        bytes: usize,
    },
    /// A version that this process has anyway.
    Shared {
        /// The metadata.
        data: Arc<Data>,
        /// What leads to it from the version that was named, if that is known.
        changes: Option<Changes>,
    },
    /// What leads on from the version that was named.
    Changes(Changes),
}

/// Why the service gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// There is no leader, or none that can be reached; nothing was decided.
    #[error("{0}")]
    Unavailable(String),
    /// Whether a command was decided is not known. It may be decided yet.
    #[error("{0}")]
    Unknown(String),
}

/// The way to the metadata service. It follows the leader by itself.
pub trait MetaLink: Send + Sync + Debug {
    /// Metadata newer than `known` as soon as there is some; `None` when there was none for `wait`.
    fn newer<'a>(&'a self, known: Known, wait: Duration) -> BoxFuture<'a, Result<Option<News>, LinkError>>;

    /// Has a command decided, in one attempt.
    fn propose<'a>(&'a self, command: &'a Command) -> BoxFuture<'a, Result<Proposed, LinkError>>;
}
