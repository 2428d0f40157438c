//! What the API needs from the rest of the server. The program supplies it; tests have fakes.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use model::result::Chunk;
use model::{Batch, ConsistencyLevel, NodeId, Timestamp};
use tokio::sync::mpsc::Receiver;

/// A call under way.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Everything that the API calls.
#[derive(Clone, Debug)]
pub struct Services {
    /// Runs statements.
    pub query: Arc<dyn QueryService>,
    /// Stores points.
    pub write: Arc<dyn WriteService>,
    /// Tells how the node is.
    pub status: Arc<dyn StatusService>,
    /// Tells who sends requests; `None` where nobody is asked.
    pub auth: Option<Arc<dyn AuthService>>,
    /// Takes the lines of the access log; `None` where they go to the log with everything else.
    pub access_lines: Option<Arc<dyn AccessLines>>,
}

/// Takes the lines of the access log.
pub trait AccessLines: Send + Sync + Debug {
    /// One line, without its end. Returns at once, whatever becomes of it.
    fn line(&self, line: &str);
}

/// Runs statements.
pub trait QueryService: Send + Sync + Debug {
    /// Begins to run the statements of a request, one after the other, and returns where their answers arrive.
    ///
    /// The chunks of a statement come together and in order of their statements; every statement has at least one, also
    /// one that was not executed. The last chunk of a statement has `statement_continues` unset: a channel that closes
    /// before the last statement is complete is reported to the client as an aborted query. Chunks may have any number
    /// of rows; see [`QueryRequest::row_count_wanted`].
    ///
    /// The channel is bounded, so that a slow client holds the query back. Dropping the receiver cancels the query.
    ///
    /// Refused, and nothing begun, when the caller may not have all of them carried out.
    fn query(&self, request: QueryRequest) -> Pending<'_, Result<Receiver<Chunk>, QueryRefusal>>;
}

/// Why the statements of a request were not begun. The texts are what the client sees.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryRefusal {
    /// The caller may not: 403.
    #[error("{0}")]
    Forbidden(String),
    /// Whether the caller may is not known now: 503.
    #[error("{0}")]
    Unknown(String),
}

/// The statements of a request and what they refer to.
#[derive(Clone, Debug)]
pub struct QueryRequest {
    /// What to run. Never empty.
    pub statements: Vec<influxql::Statement>,
    /// Their text as it was sent, for logs; may hold passwords.
    pub text: String,
    /// The database of statements that name none; may be empty.
    pub db: String,
    /// The retention policy of sources that name none; may be empty.
    pub rp: String,
    /// The request may only read: statements that modify carry a warning.
    pub read_only: bool,
    /// How many rows a chunk should have at most. What comes in other sizes is cut and joined here when the client
    /// asked for chunks of a size.
    pub row_count_wanted: usize,
    /// Ask only this data node.
    pub node_id: Option<NodeId>,
    /// Who asks.
    pub caller: Caller,
}

/// Who sent a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Nobody in particular: authentication is off.
    Anyone,
    /// Authentication is on, but there is no administrator yet, so nobody can prove who they are.
    Nobody,
    /// A user who proved it.
    User(String),
    /// Somebody whom a directory of users knows.
    Directory {
        /// The name.
        name: String,
        /// Whether the directory makes them an administrator.
        admin: bool,
        /// Roles of the cluster that the directory gives them.
        roles: Vec<String>,
    },
}

/// What a request brings along to prove who sent it.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A name and a password; either may be empty.
    Password {
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
    /// A signed token.
    Token(String),
}

// By hand, so that secrets do not reach a log through `{:?}`.
impl Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Credentials::Password { user, .. } => {
                f.debug_struct("Password").field("user", user).finish_non_exhaustive()
            }
            Credentials::Token(_) => f.debug_struct("Token").finish_non_exhaustive(),
        }
    }
}

/// Tells who sends requests.
pub trait AuthService: Send + Sync + Debug {
    /// Who has these credentials. While there is no administrator that is [`Caller::Nobody`], whatever they are. `source`
    /// is the address of the client, or of whoever stands before it.
    fn authenticate(
        &self,
        credentials: Option<Credentials>,
        source: Option<IpAddr>,
    ) -> Pending<'_, Result<Caller, AuthFailure>>;

    /// Whether the caller may do everything.
    fn is_admin(&self, caller: &Caller) -> bool;
}

/// Why nobody was recognised. The texts are what the client sees.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthFailure {
    /// There are no credentials, or none that can be read: 401.
    #[error("unable to parse authentication credentials")]
    NoCredentials,
    /// The name is empty: 401.
    #[error("username required")]
    NoUsername,
    /// They prove nothing: 401.
    #[error("{0}")]
    Refused(String),
    /// Too many others are being looked at: 503.
    #[error("too many logins at a time")]
    Busy,
    /// Too many came from this address that proved nothing: 429.
    #[error("too many failed logins from this address")]
    TooMany,
    /// Those who know users cannot be asked now: 503.
    #[error("the directory of users does not answer")]
    NoDirectory,
}

/// Stores points.
pub trait WriteService: Send + Sync + Debug {
    /// Whether the database exists and the caller may write to it; asked before the body is read. May ask the meta
    /// service once before it says that there is no such database.
    fn admit<'a>(&'a self, caller: &'a Caller, db: &'a str) -> Pending<'a, Result<(), WriteFailure>>;

    /// Stores the points of a request. On `Ok` all of them are as safe as the consistency level says.
    fn write(&self, request: WriteRequest) -> Pending<'_, Result<(), WriteFailure>>;
}

/// Points and where they belong.
#[derive(Clone, Debug)]
pub struct WriteRequest {
    /// The database; it existed a moment ago.
    pub db: String,
    /// The retention policy; `None` for the default one.
    pub rp: Option<String>,
    /// How many owners must have the points.
    pub consistency: ConsistencyLevel,
    /// The points. Never empty.
    pub batch: Batch,
    /// Who sent them.
    pub caller: Caller,
}

/// Why points were not stored. The texts are what the client sees.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteFailure {
    /// Some points can never be stored, the others were: 400 with an envelope that names reason and number.
    #[error("partial write: {reason} dropped={dropped}")]
    Partial {
        /// Why, without the envelope.
        reason: String,
        /// How many points were not stored.
        dropped: usize,
    },

    /// The request is wrong and nothing was stored: 400.
    #[error("{0}")]
    Invalid(String),

    /// The caller may not write there: 403.
    #[error("{0}")]
    Forbidden(String),

    /// The database was dropped meanwhile: 404.
    #[error("database not found: {0:?}")]
    DatabaseNotFound(String),

    /// The server is too busy; the same request may succeed later: 503 with `Retry-After`.
    #[error("{text}")]
    Busy {
        /// Why.
        text: String,
        /// When to come back.
        retry_after: Duration,
    },

    /// Anything else, like an unknown retention policy or a timeout: 500. The client tries again.
    #[error("{0}")]
    Failed(String),
}

/// Tells how the node is.
pub trait StatusService: Send + Sync + Debug {
    /// Whether the node serves.
    fn health(&self) -> Health;

    /// All metrics as Prometheus text.
    fn metrics(&self) -> String;

    /// All statistics but those of this API, for `/debug/vars`.
    fn statistics(&self) -> Vec<Statistic>;

    /// When the process started.
    fn started(&self) -> Timestamp;

    /// How the process was called.
    fn command_line(&self) -> Vec<String>;
}

/// Whether a node serves, in a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It serves.
    Pass,
    /// It does not; why.
    Fail(String),
}

/// Counters of one part of the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistic {
    /// The measurement, such as `shard`.
    pub name: String,
    /// What tells it from others of the name.
    pub tags: BTreeMap<String, String>,
    /// The counters.
    pub values: BTreeMap<String, i64>,
}
