//! Tree to text: the canonical form.
//!
//! `Display` of [`Statement`], [`Expr`] and their parts writes what the reference shows in `SHOW QUERIES`, in the text
//! of a continuous query and in its errors. The same text travels between nodes, so
//! [`parse_canonical`](crate::parse_canonical) reads it back to an equal tree, with these exceptions:
//! - Passwords print as `[REDACTED]`, so `CREATE USER` and `SET PASSWORD` do not come back.
//! - A time literal comes back as the string that denotes the same instant, a `nil` as a name.
//! - Trees that no text produces come back with parentheses that keep their meaning (`a * (b + c)`), and chains of
//!   `AND` and `OR` in their balanced shape.
//!
//! Where the reference prints something that does not read back, we print something that does: floats are exact
//! (1.8 has three decimals), and a number in `fill()` has no exponent.
//!
//! Not here: redaction of passwords in raw text. See [`sanitize`](crate::sanitize).

mod admin;
mod expr;
mod select;
mod show;

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter};

use crate::ast::{Expr, OrderBy, Source, Statement};
use crate::params::writable_pattern;
use crate::token::{is_identifier_part, is_identifier_start, lookup};

impl Display for Statement {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Statement::Select(select) => select.fmt(f),
            Statement::Explain(explain) => explain.fmt(f),
            Statement::Delete(delete) => delete.fmt(f),
            Statement::DropSeries(drop) => drop.fmt(f),
            Statement::DropMeasurement { name } => write!(f, "DROP MEASUREMENT {}", Ident(name)),
            Statement::DropShard { id } => write!(f, "DROP SHARD {id}"),
            Statement::ShowMeasurements(show) => show.fmt(f),
            Statement::ShowSeries(show) => show.fmt(f),
            Statement::ShowTagKeys(show) => show.fmt(f),
            Statement::ShowTagValues(show) => show.fmt(f),
            Statement::ShowFieldKeys(show) => show.fmt(f),
            Statement::ShowCardinality(show) => show.fmt(f),
            Statement::ShowDatabases => f.write_str("SHOW DATABASES"),
            Statement::ShowRetentionPolicies { database } => {
                f.write_str("SHOW RETENTION POLICIES")?;
                write_on(f, database.as_deref())
            }
            Statement::ShowContinuousQueries => f.write_str("SHOW CONTINUOUS QUERIES"),
            Statement::ShowQueries => f.write_str("SHOW QUERIES"),
            Statement::ShowUsers => f.write_str("SHOW USERS"),
            Statement::ShowGrants { user } => write!(f, "SHOW GRANTS FOR {}", Ident(user)),
            Statement::ShowSubscriptions => f.write_str("SHOW SUBSCRIPTIONS"),
            Statement::ShowShards => f.write_str("SHOW SHARDS"),
            Statement::ShowShardGroups => f.write_str("SHOW SHARD GROUPS"),
            Statement::ShowServers => f.write_str("SHOW SERVERS"),
            Statement::ShowStats { module } => write_module(f, "STATS", module.as_deref()),
            Statement::ShowDiagnostics { module } => write_module(f, "DIAGNOSTICS", module.as_deref()),
            Statement::CreateDatabase(create) => create.fmt(f),
            Statement::DropDatabase { name } => write!(f, "DROP DATABASE {}", Ident(name)),
            Statement::CreateRetentionPolicy(create) => create.fmt(f),
            Statement::AlterRetentionPolicy(alter) => alter.fmt(f),
            Statement::DropRetentionPolicy { name, database } => {
                write!(f, "DROP RETENTION POLICY {} ON {}", Ident(name), Ident(database))
            }
            Statement::CreateContinuousQuery(create) => create.fmt(f),
            Statement::DropContinuousQuery { name, database } => {
                write!(f, "DROP CONTINUOUS QUERY {} ON {}", Ident(name), Ident(database))
            }
            Statement::CreateSubscription(create) => create.fmt(f),
            Statement::DropSubscription { name, database, retention_policy } => {
                write!(f, "DROP SUBSCRIPTION {} ON {}.{}", Ident(name), Ident(database), Ident(retention_policy))
            }
            Statement::CreateUser(create) => create.fmt(f),
            Statement::DropUser { name } => write!(f, "DROP USER {}", Ident(name)),
            Statement::SetPassword(set) => set.fmt(f),
            Statement::Grant(grant) => grant.fmt(f),
            Statement::GrantAdmin { user } => write!(f, "GRANT ALL PRIVILEGES TO {}", Ident(user)),
            Statement::Revoke(revoke) => revoke.fmt(f),
            Statement::RevokeAdmin { user } => write!(f, "REVOKE ALL PRIVILEGES FROM {}", Ident(user)),
            Statement::KillQuery(kill) => kill.fmt(f),
            Statement::DropServer { kind, id } => write!(f, "DROP {} SERVER {id}", kind.as_str()),
        }
    }
}

/// A name, quoted if it is a keyword or is not written with letters, digits and underscores alone.
pub fn quote_ident(name: &str) -> Cow<'_, str> {
    let bare = name.starts_with(is_identifier_start) && name.chars().all(is_identifier_part);
    if bare && lookup(name).is_none() { Cow::Borrowed(name) } else { Cow::Owned(quoted(name, '"')) }
}

/// A string in single quotes.
pub fn quote_string(text: &str) -> String {
    quoted(text, '\'')
}

/// A pattern between slashes.
pub fn quote_regex(pattern: &str) -> String {
    format!("/{}/", writable_pattern(pattern).replace('/', "\\/"))
}

/// The segments of a dotted name; all but the last are quoted, empty ones in the middle are left empty.
pub(crate) fn quote_segments(segments: &[String]) -> String {
    let last = segments.len().saturating_sub(1);
    let quoted = segments.iter().enumerate().map(|(index, segment)| match index {
        0 if last > 0 => quoted(segment, '"'),
        _ if index == last => quote_ident(segment).into_owned(),
        _ if segment.is_empty() => String::new(),
        _ => quoted(segment, '"'),
    });
    quoted.collect::<Vec<_>>().join(".")
}

fn quoted(text: &str, quote: char) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push(quote);
    for ch in text.chars() {
        match ch {
            '\n' => quoted.push_str("\\n"),
            // These two are understood between our own nodes only.
            '\r' => quoted.push_str("\\r"),
            '\0' => quoted.push_str("\\0"),
            '\\' => quoted.push_str("\\\\"),
            _ if ch == quote => quoted.extend(['\\', quote]),
            _ => quoted.push(ch),
        }
    }
    quoted.push(quote);
    quoted
}

/// A name on its way into a text.
struct Ident<'a>(&'a str);

impl Display for Ident<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&quote_ident(self.0))
    }
}

/// The elements with `, ` between them.
fn write_list<T: Display>(f: &mut Formatter<'_>, items: impl IntoIterator<Item = T>) -> fmt::Result {
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        item.fmt(f)?;
    }
    Ok(())
}

fn write_on(f: &mut Formatter<'_>, database: Option<&str>) -> fmt::Result {
    match database {
        Some(database) => write!(f, " ON {}", Ident(database)),
        None => Ok(()),
    }
}

fn write_from(f: &mut Formatter<'_>, sources: &[Source]) -> fmt::Result {
    if sources.is_empty() {
        return Ok(());
    }
    f.write_str(" FROM ")?;
    write_list(f, sources)
}

fn write_where(f: &mut Formatter<'_>, condition: Option<&Expr>) -> fmt::Result {
    match condition {
        Some(condition) => write!(f, " WHERE {condition}"),
        None => Ok(()),
    }
}

fn write_group_by(f: &mut Formatter<'_>, dimensions: &[Expr]) -> fmt::Result {
    if dimensions.is_empty() {
        return Ok(());
    }
    f.write_str(" GROUP BY ")?;
    write_list(f, dimensions)
}

fn write_order_by(f: &mut Formatter<'_>, order_by: Option<OrderBy>) -> fmt::Result {
    match order_by {
        Some(order_by) => {
            let time = if order_by.names_time { "time " } else { "" };
            write!(f, " ORDER BY {time}{}", order_by.direction.as_str())
        }
        None => Ok(()),
    }
}

/// ` LIMIT n` and the like, unless `n` is 0.
fn write_count(f: &mut Formatter<'_>, keyword: &str, count: u64) -> fmt::Result {
    if count == 0 { Ok(()) } else { write!(f, " {keyword} {count}") }
}

fn write_module(f: &mut Formatter<'_>, what: &str, module: Option<&str>) -> fmt::Result {
    write!(f, "SHOW {what}")?;
    match module {
        Some(module) => write!(f, " FOR {}", quote_string(module)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
