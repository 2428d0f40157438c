//! Statements about databases, users, subscriptions, continuous queries and running queries.

use std::fmt::{self, Display, Formatter};

use super::{Ident, quote_string, write_list};
use crate::ast::{
    AlterRetentionPolicy, CreateContinuousQuery, CreateDatabase, CreateRetentionPolicy, CreateSubscription, CreateUser,
    DatabaseOptions, Grant, KillQuery, Resample, Revoke, SetPassword,
};
use crate::duration::{format_duration, format_duration_go};

/// What is shown for a password.
const REDACTED: &str = "[REDACTED]";

impl Display for CreateDatabase {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "CREATE DATABASE {}", Ident(&self.name))?;
        match &self.options {
            Some(options) => write!(f, " WITH{options}"),
            None => Ok(()),
        }
    }
}

/// Each option with a space before it.
impl Display for DatabaseOptions {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_duration(f, "DURATION", self.duration_ns, format_option)?;
        write_replication(f, self.replication)?;
        write_duration(f, "SHARD DURATION", self.shard_duration_ns, format_option)?;
        write_duration(f, "FUTURE LIMIT", self.future_limit_ns, format_option)?;
        write_duration(f, "PAST LIMIT", self.past_limit_ns, format_option)?;
        match &self.name {
            Some(name) => write!(f, " NAME {}", Ident(name)),
            None => Ok(()),
        }
    }
}

/// In this statement the reference prints durations in the style of Go. Parts of a second would not read back so.
fn format_option(duration_ns: i64) -> String {
    if duration_ns % 1_000_000_000 == 0 { format_duration_go(duration_ns) } else { format_duration(duration_ns) }
}

impl Display for CreateRetentionPolicy {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "CREATE RETENTION POLICY {} ON {}", Ident(&self.name), Ident(&self.database))?;
        write_duration(f, "DURATION", Some(self.duration_ns), format_duration)?;
        write_replication(f, Some(self.replication))?;
        write_duration(f, "SHARD DURATION", self.shard_duration_ns, format_duration)?;
        write_default(f, self.default)?;
        write_duration(f, "FUTURE LIMIT", self.future_limit_ns, format_duration)?;
        write_duration(f, "PAST LIMIT", self.past_limit_ns, format_duration)
    }
}

impl Display for AlterRetentionPolicy {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "ALTER RETENTION POLICY {} ON {}", Ident(&self.name), Ident(&self.database))?;
        write_duration(f, "DURATION", self.duration_ns, format_duration)?;
        write_replication(f, self.replication)?;
        write_duration(f, "SHARD DURATION", self.shard_duration_ns, format_duration)?;
        write_default(f, self.default)?;
        write_duration(f, "FUTURE LIMIT", self.future_limit_ns, format_duration)?;
        write_duration(f, "PAST LIMIT", self.past_limit_ns, format_duration)
    }
}

fn write_duration(
    f: &mut Formatter<'_>,
    option: &str,
    duration_ns: Option<i64>,
    format: fn(i64) -> String,
) -> fmt::Result {
    match duration_ns {
        Some(duration_ns) => write!(f, " {option} {}", format(duration_ns)),
        None => Ok(()),
    }
}

fn write_replication(f: &mut Formatter<'_>, replication: Option<u32>) -> fmt::Result {
    match replication {
        Some(replication) => write!(f, " REPLICATION {replication}"),
        None => Ok(()),
    }
}

fn write_default(f: &mut Formatter<'_>, default: bool) -> fmt::Result {
    if default { f.write_str(" DEFAULT") } else { Ok(()) }
}

impl Display for CreateContinuousQuery {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "CREATE CONTINUOUS QUERY {} ON {} ", Ident(&self.name), Ident(&self.database))?;
        if let Some(Resample { every_ns, for_ns }) = self.resample {
            f.write_str("RESAMPLE ")?;
            if let Some(every_ns) = every_ns {
                write!(f, "EVERY {} ", format_duration(every_ns))?;
            }
            if let Some(for_ns) = for_ns {
                write!(f, "FOR {} ", format_duration(for_ns))?;
            }
        }
        write!(f, "BEGIN {} END", self.select)
    }
}

impl Display for CreateSubscription {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (name, database, retention_policy) =
            (Ident(&self.name), Ident(&self.database), Ident(&self.retention_policy));
        let mode = self.mode.as_str();
        write!(f, "CREATE SUBSCRIPTION {name} ON {database}.{retention_policy} DESTINATIONS {mode} ")?;
        write_list(f, self.destinations.iter().map(|destination| quote_string(destination)))
    }
}

impl Display for CreateUser {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "CREATE USER {} WITH PASSWORD {REDACTED}", Ident(&self.name))?;
        if self.admin { f.write_str(" WITH ALL PRIVILEGES") } else { Ok(()) }
    }
}

impl Display for SetPassword {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "SET PASSWORD FOR {} = {REDACTED}", Ident(&self.user))
    }
}

impl Display for Grant {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let privilege = self.privilege.as_str();
        write!(f, "GRANT {privilege} ON {} TO {}", Ident(&self.database), Ident(&self.user))
    }
}

impl Display for Revoke {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let privilege = self.privilege.as_str();
        write!(f, "REVOKE {privilege} ON {} FROM {}", Ident(&self.database), Ident(&self.user))
    }
}

impl Display for KillQuery {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "KILL QUERY {}", self.id)?;
        match &self.host {
            Some(host) => write!(f, " ON {}", Ident(host)),
            None => Ok(()),
        }
    }
}
