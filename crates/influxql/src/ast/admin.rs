//! Databases, retention policies, users, subscriptions, continuous queries, running queries.

use std::fmt;

use super::select::SelectStatement;

/// `CREATE DATABASE`.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateDatabase {
    pub name: String,
    /// The `WITH` clause: attributes of the default retention policy.
    pub options: Option<DatabaseOptions>,
}

/// The options of `CREATE DATABASE ... WITH`; at least one is given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DatabaseOptions {
    /// 0 for `INF`.
    pub duration_ns: Option<i64>,
    /// 1 to 2^31 - 1.
    pub replication: Option<u32>,
    pub shard_duration_ns: Option<i64>,
    /// How far ahead of now a point may be; 0 for no limit.
    pub future_limit_ns: Option<i64>,
    /// How far behind now a point may be; 0 for no limit.
    pub past_limit_ns: Option<i64>,
    /// Name of the retention policy.
    pub name: Option<String>,
}

/// `CREATE RETENTION POLICY`.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateRetentionPolicy {
    pub name: String,
    pub database: String,
    /// 0 for `INF`.
    pub duration_ns: i64,
    /// 1 to 2^31 - 1.
    pub replication: u32,
    pub shard_duration_ns: Option<i64>,
    /// Whether it becomes the database's default.
    pub default: bool,
    pub future_limit_ns: Option<i64>,
    pub past_limit_ns: Option<i64>,
}

/// `ALTER RETENTION POLICY`; `None` leaves an attribute as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct AlterRetentionPolicy {
    pub name: String,
    pub database: String,
    /// 0 for `INF`.
    pub duration_ns: Option<i64>,
    pub replication: Option<u32>,
    pub shard_duration_ns: Option<i64>,
    pub default: bool,
    pub future_limit_ns: Option<i64>,
    pub past_limit_ns: Option<i64>,
}

/// `CREATE USER`.
#[derive(Clone, PartialEq)]
pub struct CreateUser {
    pub name: String,
    pub password: String,
    /// `WITH ALL PRIVILEGES`.
    pub admin: bool,
}

/// `SET PASSWORD FOR user = '...'`.
#[derive(Clone, PartialEq)]
pub struct SetPassword {
    pub user: String,
    pub password: String,
}

/// `GRANT privilege ON database TO user`.
#[derive(Clone, Debug, PartialEq)]
pub struct Grant {
    pub privilege: Privilege,
    pub database: String,
    pub user: String,
}

/// `REVOKE privilege ON database FROM user`.
#[derive(Clone, Debug, PartialEq)]
pub struct Revoke {
    pub privilege: Privilege,
    pub database: String,
    pub user: String,
}

/// What a user may do in one database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Privilege {
    Read,
    Write,
    All,
}

/// `CREATE SUBSCRIPTION`.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateSubscription {
    pub name: String,
    pub database: String,
    pub retention_policy: String,
    pub mode: DestinationMode,
    /// URLs, at least one, unchecked.
    pub destinations: Vec<String>,
}

/// Which destinations of a subscription get a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DestinationMode {
    All,
    Any,
}

/// `CREATE CONTINUOUS QUERY`.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateContinuousQuery {
    pub name: String,
    pub database: String,
    pub resample: Option<Resample>,
    /// Has a target; grouped by time if it calls a function.
    pub select: Box<SelectStatement>,
}

/// The `RESAMPLE` clause; at least one part is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resample {
    pub every_ns: Option<i64>,
    pub for_ns: Option<i64>,
}

/// `KILL QUERY id [ON "host"]`.
#[derive(Clone, Debug, PartialEq)]
pub struct KillQuery {
    pub id: u64,
    pub host: Option<String>,
}

/// The kind of node in `DROP META SERVER` and `DROP DATA SERVER`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServerKind {
    Meta,
    Data,
}

impl Privilege {
    /// `READ`, `WRITE` or `ALL PRIVILEGES`.
    pub fn as_str(self) -> &'static str {
        match self {
            Privilege::Read => "READ",
            Privilege::Write => "WRITE",
            Privilege::All => "ALL PRIVILEGES",
        }
    }
}

impl DestinationMode {
    /// `ALL` or `ANY`.
    pub fn as_str(self) -> &'static str {
        match self {
            DestinationMode::All => "ALL",
            DestinationMode::Any => "ANY",
        }
    }
}

impl ServerKind {
    /// `META` or `DATA`.
    pub fn as_str(self) -> &'static str {
        match self {
            ServerKind::Meta => "META",
            ServerKind::Data => "DATA",
        }
    }
}

// By hand, so that a password does not reach a log through `{:?}`.
impl fmt::Debug for CreateUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateUser").field("name", &self.name).field("admin", &self.admin).finish_non_exhaustive()
    }
}

impl fmt::Debug for SetPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetPassword").field("user", &self.user).finish_non_exhaustive()
    }
}
