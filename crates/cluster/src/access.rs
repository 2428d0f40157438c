//! Who may do what: statements and the privileges that they need.
//!
//! [`needs`] tells what a statement needs, whoever asks: what the language says of it (`influxql::privileges`), and more
//! where its sources or its author could reach further; [`User`]s have an administrator's flag and a privilege in each
//! database. `Statements::query` asks before anything of a request is carried out.
//!
//! Invariants
//! - Every kind of statement stands in the table of the language: a new one does not compile before it does.
//! - All statements of a request are allowed, or none is begun.
//!
//! Not here: who asks (`login` checks passwords), and writes in line protocol, which need one privilege.

use influxql::ast::{self, CreateContinuousQuery, SelectStatement, ShowCardinality, Source, Statement};
use influxql::privileges::Requirement;
use meta::{Data, Privilege, User};

/// Who sent a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Asker {
    /// Nobody is asked who they are: authentication is off.
    #[default]
    Anyone,
    /// Authentication is on, but as there is no administrator nobody can prove who they are.
    Nobody,
    /// A user who proved it.
    User(String),
}

/// Something that a statement needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// To be an administrator.
    Admin,
    /// To read this database.
    Read(String),
    /// To write to this database.
    Write(String),
}

/// Why a request was not begun. Displays what the client sees.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The asker may not.
    #[error("error authorizing query: {0}")]
    Forbidden(String),
    /// Whether the asker may is not known now: the client tries again.
    #[error("error authorizing query: {0}")]
    Unknown(String),
}

/// What `statement` needs, in the order in which it is missed. `db` is the database of the request.
pub fn needs(statement: &Statement, db: &str) -> Vec<Need> {
    let named = |database: &Option<String>| database.clone().filter(|name| !name.is_empty());
    let read_at = |database: &Option<String>| Need::Read(named(database).unwrap_or_else(|| db.to_owned()));
    // Statements about a schema look at one database; a source that names another does not get around that.
    let schema = |database: &Option<String>, sources: &[Source]| {
        [read_at(database)].into_iter().chain(named_sources(sources)).collect()
    };
    match statement {
        Statement::Select(select) => select_needs(select, db),
        Statement::Explain(explain) => select_needs(&explain.statement, db),
        Statement::ShowSeries(show) => schema(&show.database, &show.sources),
        Statement::ShowTagKeys(show) => schema(&show.database, &show.sources),
        Statement::ShowTagValues(show) => schema(&show.database, &show.sources),
        Statement::ShowFieldKeys(show) => schema(&show.database, &show.sources),
        Statement::ShowCardinality(show) => cardinality_needs(show, db),
        Statement::CreateContinuousQuery(create) => continuous_query_needs(create),
        // What the language itself says of all others. What they list of other databases is left out.
        other => other.requirements().into_iter().map(|requirement| need(requirement, db)).collect(),
    }
}

/// A requirement at the database of the request. To read a database without a name is to read that one.
fn need(requirement: Requirement<'_>, db: &str) -> Need {
    match requirement {
        Requirement::Admin => Need::Admin,
        Requirement::On { privilege: ast::Privilege::Read, database } => {
            Need::Read(database.filter(|name| !name.is_empty()).unwrap_or(db).to_owned())
        }
        Requirement::On { database, .. } => Need::Write(database.unwrap_or(db).to_owned()),
    }
}

/// Whether `asker` may have `statements` carried out.
///
/// # Errors
/// [`Denied::Forbidden`], for the first statement that may not be.
pub fn authorize(data: &Data, asker: &Asker, statements: &[Statement], db: &str) -> Result<(), Denied> {
    match asker {
        Asker::Anyone => Ok(()),
        Asker::Nobody => authorize_nobody(data, statements),
        Asker::User(name) => {
            // Dropped since the credentials were looked at.
            let user = data.user(name).ok_or_else(|| Denied::Forbidden("user not found".to_owned()))?;
            statements.iter().try_for_each(|statement| authorize_statement(user, statement, db))
        }
    }
}

/// Whether the request is the one that needs no user: it makes the first.
pub fn creates_first_admin(statements: &[Statement]) -> bool {
    matches!(statements.first(), Some(Statement::CreateUser(create)) if create.admin)
}

/// Whether `user` may write points to a database.
pub fn may_write(user: &User, db: &str) -> bool {
    allows(user, &Need::Write(db.to_owned()))
}

/// Whether `asker` gets to know that a database exists.
pub fn sees(data: &Data, asker: &Asker, db: &str) -> bool {
    match asker {
        // Nobody gets as far as to ask when they create the first administrator, who may see everything.
        Asker::Anyone | Asker::Nobody => true,
        Asker::User(name) => data.user(name).is_some_and(|user| {
            let granted = user.privileges.get(db).copied().unwrap_or(Privilege::None);
            user.admin || granted != Privilege::None
        }),
    }
}

fn authorize_nobody(data: &Data, statements: &[Statement]) -> Result<(), Denied> {
    if !data.users().is_empty() {
        return Err(Denied::Forbidden("no user provided".to_owned()));
    }
    match creates_first_admin(statements) {
        true => Ok(()),
        false => Err(Denied::Forbidden("create admin user first or disable authentication".to_owned())),
    }
}

fn authorize_statement(user: &User, statement: &Statement, db: &str) -> Result<(), Denied> {
    let missing = needs(statement, db).into_iter().find(|need| !allows(user, need));
    let Some(missing) = missing else { return Ok(()) };
    let required = match missing {
        Need::Admin => "admin privilege".to_owned(),
        Need::Read(db) => format!("READ on {db}"),
        Need::Write(db) => format!("WRITE on {db}"),
    };
    let name = &user.name;
    Err(Denied::Forbidden(format!("{name} not authorized to execute statement '{statement}', requires {required}")))
}

fn allows(user: &User, need: &Need) -> bool {
    let has = |db: &str, wanted: Privilege| {
        let granted = user.privileges.get(db).copied().unwrap_or(Privilege::None);
        granted.bits() & wanted.bits() == wanted.bits()
    };
    user.admin
        || match need {
            Need::Admin => false,
            Need::Read(db) => has(db, Privilege::Read),
            Need::Write(db) => has(db, Privilege::Write),
        }
}

/// Reads from every source, also below, then the write. The target of a subquery means nothing.
fn select_needs(select: &SelectStatement, db: &str) -> Vec<Need> {
    let place = |database: &Option<String>| database.clone().filter(|name| !name.is_empty());
    let reads = select.measurements().into_iter().map(|measurement| place(&measurement.database));
    let mut needs: Vec<Need> = reads.map(|named| Need::Read(named.unwrap_or_else(|| db.to_owned()))).collect();
    if let Some(target) = &select.target {
        needs.push(Need::Write(place(&target.database).unwrap_or_else(|| db.to_owned())));
    }
    needs
}

/// Reads from the sources that name a database.
fn named_sources(sources: &[Source]) -> Vec<Need> {
    let mut needs = Vec::new();
    for source in sources {
        match source {
            Source::Measurement(measurement) => {
                needs.extend(measurement.database.clone().filter(|name| !name.is_empty()).map(Need::Read));
            }
            Source::Subquery(select) => {
                let named = select.measurements().into_iter().filter_map(|measurement| measurement.database.clone());
                needs.extend(named.map(Need::Read));
            }
        }
    }
    needs
}

/// The reference asks nothing of those who count without naming a measurement.
fn cardinality_needs(show: &ShowCardinality, db: &str) -> Vec<Need> {
    let on = show.database.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| db.to_owned());
    let mut needs = named_sources(&show.sources);
    needs.push(Need::Read(on));
    needs
}

/// A continuous query runs later and without a user, so its author must be allowed everything that it will do. The
/// reference looks at the database that it belongs to and at a target that names another.
fn continuous_query_needs(create: &CreateContinuousQuery) -> Vec<Need> {
    let mut needs = vec![Need::Read(create.database.clone())];
    needs.extend(select_needs(&create.select, &create.database));
    needs
}

#[cfg(test)]
mod tests;
