//! Who may do what: statements and what they need.
//!
//! [`needs`] tells what a statement needs, whoever asks: what the language says of it (`influxql::privileges`), more where
//! its sources or its author could reach further, and beside each which permissions do as well. What somebody has is
//! `meta::Rights`. `Statements::query` asks before anything of a request is carried out; [`rules`] tells which series are
//! hidden from somebody after that.
//!
//! Invariants
//! - Every kind of statement stands in both tables, that of the language and that of permissions: a new one does not
//!   compile before it does.
//! - All statements of a request are allowed, or none is begun.
//!
//! Not here: who asks (`login` and `directory` find out), and writes in line protocol, which need one privilege.

use influxql::ast::{self, CreateContinuousQuery, SelectStatement, ShowCardinality, Source, Statement};
use influxql::privileges::Requirement;
use meta::{Access, Data, Permission, Permissions, Privilege, Rights, RuleSet, Who};
use model::Batch;
use model::series_key::split_key;

/// What clients are told of points that a restriction hides from them.
pub const FORBIDDEN_POINTS: &str = "write to restricted series is forbidden";

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
    /// Somebody whom the directory knows.
    Directory {
        /// The name.
        name: String,
        /// Whether the directory makes them an administrator.
        admin: bool,
        /// Roles that the directory gives them.
        roles: Vec<String>,
    },
}

impl Asker {
    /// What they may do by the metadata; `None` for those who are nobody in particular, and for a user who is gone.
    pub fn rights(&self, data: &Data) -> Option<Rights> {
        match self {
            Asker::Anyone | Asker::Nobody => None,
            Asker::User(name) => data.rights(Who::User(name)),
            Asker::Directory { name, admin, roles } => data.rights(Who::Directory { name, admin: *admin, roles }),
        }
    }
}

/// Something that a statement needs: one of several things will do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// Where; empty for the cluster, or for a request that names no database.
    pub database: String,
    /// The privilege of InfluxQL that will do, READ or WRITE. `None`: only administrators have it by InfluxQL.
    pub privilege: Option<Privilege>,
    /// The permissions of which one will do.
    pub any_of: Permissions,
}

impl Need {
    /// To read a database.
    pub fn read(database: impl Into<String>) -> Need {
        let any_of = Permissions::of(&[Permission::ReadData]);
        Need { database: database.into(), privilege: Some(Privilege::Read), any_of }
    }

    /// To write to a database.
    pub fn write(database: impl Into<String>) -> Need {
        let any_of = Permissions::of(&[Permission::WriteData]);
        Need { database: database.into(), privilege: Some(Privilege::Write), any_of }
    }

    /// A permission for the cluster, which administrators have.
    pub fn in_cluster(permission: Permission) -> Need {
        Need { database: String::new(), privilege: None, any_of: Permissions::of(&[permission]) }
    }

    /// Whether it is met.
    pub fn is_met(&self, rights: &Rights) -> bool {
        let granted = self.privilege.is_some_and(|privilege| rights.is_granted(&self.database, privilege));
        granted || rights.has(&self.database, self.any_of)
    }

    /// In the words that clients of InfluxDB know.
    fn told(&self) -> String {
        match self.privilege {
            Some(Privilege::Read) => format!("READ on {}", self.database),
            Some(Privilege::Write) => format!("WRITE on {}", self.database),
            _ => "admin privilege".to_owned(),
        }
    }
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
    let read_at = |database: &Option<String>| Need::read(named(database).unwrap_or_else(|| db.to_owned()));
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
        other => other.requirements().into_iter().map(|requirement| need(other, requirement, db)).collect(),
    }
}

/// A requirement of the language, at the database of the request where it names none, and what else will do. To read a
/// database without a name is to read that one.
fn need(statement: &Statement, requirement: Requirement<'_>, db: &str) -> Need {
    let (place, any_of) = permitted(statement);
    match requirement {
        Requirement::Admin => {
            let database = match place {
                Place::Cluster => "",
                Place::Request => db,
                Place::Database(name) => name,
            };
            Need { database: database.to_owned(), privilege: None, any_of }
        }
        Requirement::On { privilege: ast::Privilege::Read, database } => {
            let database = database.filter(|name| !name.is_empty()).unwrap_or(db);
            Need { any_of, ..Need::read(database) }
        }
        Requirement::On { database, .. } => Need { any_of, ..Need::write(database.unwrap_or(db)) },
    }
}

/// Where a permission must be given for a statement that InfluxQL keeps for administrators.
enum Place<'a> {
    /// For the cluster.
    Cluster,
    /// For the database of the request.
    Request,
    /// For the one that the statement names.
    Database(&'a str),
}

/// The permissions of which one lets somebody carry out a statement: the second table.
fn permitted(statement: &Statement) -> (Place<'_>, Permissions) {
    use Permission::{
        AddRemoveNode, CreateDatabase, CreateUserAndRole, DropData, DropDatabase, ManageContinuousQuery, ManageQuery,
        ManageShard, ManageSubscription, Monitor, ReadData, WriteData,
    };
    let in_cluster = |permission| (Place::Cluster, Permissions::of(&[permission]));
    let at = |database, permission| (Place::Database(database), Permissions::of(&[permission]));
    let request = |list: &[Permission]| (Place::Request, Permissions::of(list));
    match statement {
        Statement::Select(_) | Statement::Explain(_) => request(&[ReadData, WriteData]),
        Statement::ShowSeries(_)
        | Statement::ShowTagKeys(_)
        | Statement::ShowTagValues(_)
        | Statement::ShowFieldKeys(_)
        | Statement::ShowCardinality(_) => request(&[ReadData]),
        // Without a database it shows all of them.
        Statement::ShowMeasurements(_) => in_cluster(ReadData),
        Statement::Delete(_) | Statement::DropSeries(_) | Statement::DropMeasurement { .. } => request(&[DropData]),
        Statement::ShowRetentionPolicies { .. } => request(&[ReadData, CreateDatabase]),
        Statement::ShowContinuousQueries => request(&[ReadData, ManageContinuousQuery]),
        Statement::CreateContinuousQuery(create) => at(&create.database, ManageContinuousQuery),
        Statement::DropContinuousQuery { database, .. } => at(database, ManageContinuousQuery),
        Statement::ShowQueries => request(&[ReadData, ManageQuery]),
        Statement::KillQuery(_) => in_cluster(ManageQuery),
        Statement::ShowDatabases => (Place::Cluster, Permissions::NONE),
        Statement::CreateDatabase(_) => in_cluster(CreateDatabase),
        Statement::DropDatabase { .. } => in_cluster(DropDatabase),
        Statement::CreateRetentionPolicy(create) => at(&create.database, CreateDatabase),
        Statement::AlterRetentionPolicy(alter) => at(&alter.database, CreateDatabase),
        Statement::DropRetentionPolicy { database, .. } => at(database, DropDatabase),
        Statement::CreateSubscription(create) => at(&create.database, ManageSubscription),
        Statement::DropSubscription { database, .. } => at(database, ManageSubscription),
        Statement::ShowSubscriptions => in_cluster(ManageSubscription),
        Statement::CreateUser(_)
        | Statement::DropUser { .. }
        | Statement::SetPassword(_)
        | Statement::Grant(_)
        | Statement::GrantAdmin { .. }
        | Statement::Revoke(_)
        | Statement::RevokeAdmin { .. }
        | Statement::ShowUsers
        | Statement::ShowGrants { .. } => in_cluster(CreateUserAndRole),
        Statement::DropShard { .. } | Statement::ShowShards | Statement::ShowShardGroups => in_cluster(ManageShard),
        Statement::DropServer { .. } | Statement::ShowServers => in_cluster(AddRemoveNode),
        Statement::ShowStats { .. } | Statement::ShowDiagnostics { .. } => in_cluster(Monitor),
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
        Asker::User(_) | Asker::Directory { .. } => {
            // Dropped since the credentials were looked at.
            let rights = asker.rights(data).ok_or_else(|| Denied::Forbidden("user not found".to_owned()))?;
            statements.iter().try_for_each(|statement| authorize_statement(&rights, statement, db))
        }
    }
}

/// Whether the request is the one that needs no user: it makes the first.
pub fn creates_first_admin(statements: &[Statement]) -> bool {
    matches!(statements.first(), Some(Statement::CreateUser(create)) if create.admin)
}

/// Whether somebody may write points to a database.
pub fn may_write(rights: &Rights, db: &str) -> bool {
    Need::write(db).is_met(rights)
}

/// Whether `asker` gets to know that a database exists.
pub fn sees(data: &Data, asker: &Asker, db: &str) -> bool {
    match asker {
        // Nobody gets as far as to ask when they create the first administrator, who may see everything.
        Asker::Anyone | Asker::Nobody => true,
        Asker::User(_) | Asker::Directory { .. } => asker.rights(data).is_some_and(|rights| rights.sees(db)),
    }
}

/// Takes the points that `rules` forbid out of a batch, and tells how many they were.
pub fn without_forbidden(batch: Batch, rules: &RuleSet) -> (Batch, usize) {
    if rules.is_open() {
        return (batch, 0);
    }
    let before = batch.row_count();
    let allowed = |key: &[u8]| {
        let (measurement, tags) = split_key(key);
        rules.allows(&measurement, &tags)
    };
    let tables = batch.tables.into_iter().filter_map(|table| {
        let verdicts: Vec<bool> = table.series.iter().map(allowed).collect();
        if verdicts.iter().all(|allowed| *allowed) {
            return Some(table);
        }
        let rows = 0..u32::try_from(table.row_count()).expect("a request has fewer rows");
        let kept: Vec<u32> = rows.filter(|row| verdicts[table.row_series[*row as usize] as usize]).collect();
        (!kept.is_empty()).then(|| table.select(&kept))
    });
    let kept = Batch { tables: tables.collect() };
    let dropped = before - kept.row_count();
    (kept, dropped)
}

/// The rules that hide series of a database from `asker`; `None` when there is no such user any more.
pub fn rules(data: &Data, asker: &Asker, db: &str, access: Access) -> Option<RuleSet> {
    match asker {
        Asker::Anyone | Asker::Nobody => Some(RuleSet::default()),
        Asker::User(_) | Asker::Directory { .. } => asker.rights(data).map(|rights| data.rules(&rights, db, access)),
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

fn authorize_statement(rights: &Rights, statement: &Statement, db: &str) -> Result<(), Denied> {
    let missing = needs(statement, db).into_iter().find(|need| !need.is_met(rights));
    let Some(missing) = missing else { return Ok(()) };
    let (name, required) = (&rights.name, missing.told());
    Err(Denied::Forbidden(format!("{name} not authorized to execute statement '{statement}', requires {required}")))
}

/// Reads from every source, also below, then the write. The target of a subquery means nothing.
fn select_needs(select: &SelectStatement, db: &str) -> Vec<Need> {
    let place = |database: &Option<String>| database.clone().filter(|name| !name.is_empty());
    let reads = select.measurements().into_iter().map(|measurement| place(&measurement.database));
    let mut needs: Vec<Need> = reads.map(|named| Need::read(named.unwrap_or_else(|| db.to_owned()))).collect();
    if let Some(target) = &select.target {
        needs.push(Need::write(place(&target.database).unwrap_or_else(|| db.to_owned())));
    }
    needs
}

/// Reads from the sources that name a database.
fn named_sources(sources: &[Source]) -> Vec<Need> {
    let mut needs = Vec::new();
    for source in sources {
        match source {
            Source::Measurement(measurement) => {
                needs.extend(measurement.database.clone().filter(|name| !name.is_empty()).map(Need::read));
            }
            Source::Subquery(select) => {
                let named = select.measurements().into_iter().filter_map(|measurement| measurement.database.clone());
                needs.extend(named.map(Need::read));
            }
        }
    }
    needs
}

/// The reference asks nothing of those who count without naming a measurement.
fn cardinality_needs(show: &ShowCardinality, db: &str) -> Vec<Need> {
    let on = show.database.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| db.to_owned());
    let mut needs = named_sources(&show.sources);
    needs.push(Need::read(on));
    needs
}

/// A continuous query runs later and without a user, so its author must be allowed everything that it will do. The
/// reference looks at the database that it belongs to and at a target that names another.
fn continuous_query_needs(create: &CreateContinuousQuery) -> Vec<Need> {
    let any_of = Permissions::of(&[Permission::ManageContinuousQuery]);
    let mut needs = vec![Need { any_of, ..Need::read(&*create.database) }];
    needs.extend(select_needs(&create.select, &create.database));
    needs
}

#[cfg(test)]
mod tests;
