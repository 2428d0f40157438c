//! What a user needs to run a statement, as data, and other facts by kind of statement.
//!
//! Not here: what a user has, and the comparison. See `cluster::access`, which asks for more in places.

use crate::ast::{
    CardinalityOf, NameOrWildcard, OnDatabase, Privilege, SelectStatement, ShowCardinality, Source, Statement, Target,
};

/// One thing a user must have. An admin has everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requirement<'a> {
    Admin,
    /// A privilege, [`Privilege::Read`] or [`Privilege::Write`], on a database; `None` is the database of the request.
    On {
        privilege: Privilege,
        database: Option<&'a str>,
    },
}

fn read(database: Option<&str>) -> Requirement<'_> {
    Requirement::On { privilege: Privilege::Read, database }
}

fn write(database: Option<&str>) -> Requirement<'_> {
    Requirement::On { privilege: Privilege::Write, database }
}

impl Statement {
    /// What it takes to run this statement, all of it. The first that is not met is the one an error names.
    pub fn requirements(&self) -> Vec<Requirement<'_>> {
        match self {
            Statement::Select(select) => of_select(select),
            Statement::Explain(explain) => of_select(&explain.statement),
            Statement::Delete(_) | Statement::DropSeries(_) => vec![write(None)],

            // A client names one database. All of them at once are for admins.
            Statement::ShowMeasurements(show) => match &show.on {
                Some(OnDatabase { database: NameOrWildcard::Wildcard, .. }) => vec![Requirement::Admin],
                _ => vec![read(self.default_database())],
            },
            Statement::ShowSeries(_)
            | Statement::ShowTagKeys(_)
            | Statement::ShowTagValues(_)
            | Statement::ShowFieldKeys(_)
            | Statement::ShowRetentionPolicies { .. } => vec![read(self.default_database())],
            Statement::ShowCardinality(show) => of_cardinality(show),
            Statement::ShowQueries | Statement::ShowContinuousQueries => vec![read(None)],
            Statement::ShowDatabases => Vec::new(),

            Statement::DropRetentionPolicy { database, .. } | Statement::DropContinuousQuery { database, .. } => {
                vec![write(Some(database))]
            }
            Statement::CreateContinuousQuery(create) => {
                let target = create.select.target.as_ref().and_then(|target| target.database.as_deref());
                let target = target.map(|database| write(Some(database)));
                [read(Some(&create.database))].into_iter().chain(target).collect()
            }

            Statement::CreateDatabase(_)
            | Statement::DropDatabase { .. }
            | Statement::CreateRetentionPolicy(_)
            | Statement::AlterRetentionPolicy(_)
            | Statement::CreateSubscription(_)
            | Statement::DropSubscription { .. }
            | Statement::CreateUser(_)
            | Statement::DropUser { .. }
            | Statement::SetPassword(_)
            | Statement::Grant(_)
            | Statement::GrantAdmin { .. }
            | Statement::Revoke(_)
            | Statement::RevokeAdmin { .. }
            | Statement::DropMeasurement { .. }
            | Statement::DropShard { .. }
            | Statement::DropServer { .. }
            | Statement::KillQuery(_)
            | Statement::ShowUsers
            | Statement::ShowGrants { .. }
            | Statement::ShowSubscriptions
            | Statement::ShowShards
            | Statement::ShowShardGroups
            | Statement::ShowServers
            | Statement::ShowStats { .. }
            | Statement::ShowDiagnostics { .. } => vec![Requirement::Admin],
        }
    }

    /// Whether it draws the warning `deprecated use of ... in a read only context` when it comes by `GET`. It runs
    /// nevertheless. `DELETE` is missing, as in the reference.
    pub fn warns_in_read_only_context(&self) -> bool {
        match self {
            Statement::Select(select) => select.target.is_some(),
            Statement::DropSeries(_)
            | Statement::DropMeasurement { .. }
            | Statement::DropShard { .. }
            | Statement::CreateDatabase(_)
            | Statement::DropDatabase { .. }
            | Statement::CreateRetentionPolicy(_)
            | Statement::AlterRetentionPolicy(_)
            | Statement::DropRetentionPolicy { .. }
            | Statement::CreateContinuousQuery(_)
            | Statement::DropContinuousQuery { .. }
            | Statement::CreateSubscription(_)
            | Statement::DropSubscription { .. }
            | Statement::CreateUser(_)
            | Statement::DropUser { .. }
            | Statement::SetPassword(_)
            | Statement::Grant(_)
            | Statement::GrantAdmin { .. }
            | Statement::Revoke(_)
            | Statement::RevokeAdmin { .. }
            | Statement::KillQuery(_)
            | Statement::DropServer { .. } => true,
            _ => false,
        }
    }

    /// The database that the statement itself names as the one it is about. It takes the place of the request's
    /// database where that is missing.
    pub fn default_database(&self) -> Option<&str> {
        match self {
            Statement::ShowMeasurements(show) => match &show.on {
                Some(OnDatabase { database: NameOrWildcard::Name(name), .. }) => Some(name),
                _ => None,
            },
            Statement::ShowSeries(show) => show.database.as_deref(),
            Statement::ShowTagKeys(show) => show.database.as_deref(),
            Statement::ShowTagValues(show) => show.database.as_deref(),
            Statement::ShowFieldKeys(show) => show.database.as_deref(),
            Statement::ShowCardinality(show) => show.database.as_deref(),
            Statement::ShowRetentionPolicies { database } => database.as_deref(),
            Statement::CreateRetentionPolicy(create) => Some(&create.database),
            Statement::AlterRetentionPolicy(alter) => Some(&alter.database),
            Statement::DropRetentionPolicy { database, .. }
            | Statement::DropContinuousQuery { database, .. }
            | Statement::DropSubscription { database, .. } => Some(database),
            Statement::CreateContinuousQuery(create) => Some(&create.database),
            Statement::CreateSubscription(create) => Some(&create.database),
            Statement::Grant(grant) => Some(&grant.database),
            Statement::Revoke(revoke) => Some(&revoke.database),
            _ => None,
        }
    }
}

/// READ on every source, WRITE on the target; for a subquery in its place, with the target that it does not write.
fn of_select(select: &SelectStatement) -> Vec<Requirement<'_>> {
    let mut requirements = of_sources(&select.sources);
    if let Some(Target { database, .. }) = &select.target {
        requirements.push(write(database.as_deref()));
    }
    requirements
}

fn of_sources<'a>(sources: &'a [Source]) -> Vec<Requirement<'a>> {
    let of_source = |source: &'a Source| match source {
        Source::Measurement(measurement) => vec![read(measurement.database.as_deref())],
        Source::Subquery(select) => of_select(select),
    };
    sources.iter().flat_map(of_source).collect()
}

/// Only the estimates of series and measurements ask for the database itself; the rest ask for their sources, and so
/// for nothing if there are none.
fn of_cardinality(show: &ShowCardinality) -> Vec<Requirement<'_>> {
    match show.of {
        CardinalityOf::Series | CardinalityOf::Measurement if !show.exact => vec![read(show.database.as_deref())],
        _ => of_sources(&show.sources),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Params, parse_query};

    fn statement(text: &str) -> Statement {
        let mut statements = parse_query(text, &Params::new()).expect("the text parses");
        assert_eq!(statements.len(), 1, "{text}");
        statements.remove(0)
    }

    /// What the statement requires, in the words of the error that names it.
    fn render(text: &str) -> String {
        let statement = statement(text);
        let words = statement.requirements().into_iter().map(|requirement| match requirement {
            Requirement::Admin => "admin".to_owned(),
            Requirement::On { privilege, database } => {
                format!("{} on {}", privilege.as_str(), database.unwrap_or("the request's"))
            }
        });
        words.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn select_reads_its_sources_and_writes_its_targets() {
        assert_eq!(render("SELECT v FROM m"), "READ on the request's");
        assert_eq!(render("SELECT v FROM a..m, b.r.n"), "READ on a, READ on b");
        assert_eq!(render("SELECT v INTO x FROM a..m"), "READ on a, WRITE on the request's");
        assert_eq!(render("EXPLAIN SELECT v INTO b..x FROM m"), "READ on the request's, WRITE on b");
        assert_eq!(render("SELECT v FROM (SELECT v INTO b..x FROM a..m), c..n"), "READ on a, WRITE on b, READ on c");
    }

    #[test]
    fn cardinality_asks_for_sources_unless_it_is_an_estimate_of_series_or_measurements() {
        assert_eq!(render("SHOW SERIES CARDINALITY FROM y.z.m"), "READ on the request's");
        assert_eq!(render("SHOW MEASUREMENT CARDINALITY ON x FROM y.z.m"), "READ on x");
        assert_eq!(render("SHOW SERIES EXACT CARDINALITY ON x FROM y.z.m"), "READ on y");
        assert_eq!(render("SHOW TAG KEY CARDINALITY ON x FROM m"), "READ on the request's");
        assert_eq!(render("SHOW FIELD KEY CARDINALITY ON x"), "");
        assert_eq!(render("SHOW TAG VALUES CARDINALITY WITH KEY = a"), "");
    }

    #[test]
    fn schema_statements_ask_for_their_database() {
        for what in ["MEASUREMENTS", "SERIES", "TAG KEYS", "FIELD KEYS", "RETENTION POLICIES"] {
            assert_eq!(render(&format!("SHOW {what}")), "READ on the request's");
            assert_eq!(render(&format!("SHOW {what} ON x")), "READ on x");
        }
        assert_eq!(render("SHOW TAG VALUES ON x FROM y.z.m WITH KEY = a"), "READ on x");
        assert_eq!(render("SHOW MEASUREMENTS ON x.*"), "READ on x");
        assert_eq!(render("SHOW MEASUREMENTS ON *.*"), "admin");
    }

    #[test]
    fn continuous_queries_ask_for_their_database_and_a_named_target() {
        assert_eq!(render("CREATE CONTINUOUS QUERY c ON a BEGIN SELECT v INTO x FROM b..m END"), "READ on a");
        assert_eq!(
            render("CREATE CONTINUOUS QUERY c ON a BEGIN SELECT v INTO b..x FROM m END"),
            "READ on a, WRITE on b"
        );
        assert_eq!(render("DROP CONTINUOUS QUERY c ON a"), "WRITE on a");
    }

    #[test]
    fn the_rest_of_the_table() {
        assert_eq!(render("SHOW DATABASES"), "");
        assert_eq!(render("SHOW QUERIES"), "READ on the request's");
        assert_eq!(render("SHOW CONTINUOUS QUERIES"), "READ on the request's");
        assert_eq!(render("DELETE FROM m"), "WRITE on the request's");
        assert_eq!(render("DROP SERIES FROM m"), "WRITE on the request's");
        assert_eq!(render("DROP RETENTION POLICY p ON a"), "WRITE on a");
        for text in [
            "CREATE DATABASE a",
            "DROP DATABASE a",
            "CREATE RETENTION POLICY p ON a DURATION 1h REPLICATION 1",
            "ALTER RETENTION POLICY p ON a DEFAULT",
            "CREATE SUBSCRIPTION s ON a.r DESTINATIONS ALL 'x'",
            "DROP SUBSCRIPTION s ON a.r",
            "CREATE USER u WITH PASSWORD 'x'",
            "DROP USER u",
            "SET PASSWORD FOR u = 'x'",
            "GRANT READ ON a TO u",
            "GRANT ALL TO u",
            "REVOKE READ ON a FROM u",
            "REVOKE ALL FROM u",
            "DROP MEASUREMENT m",
            "DROP SHARD 1",
            "DROP META SERVER 1",
            "KILL QUERY 1",
            "SHOW USERS",
            "SHOW GRANTS FOR u",
            "SHOW SUBSCRIPTIONS",
            "SHOW SHARDS",
            "SHOW SHARD GROUPS",
            "SHOW SERVERS",
            "SHOW STATS",
            "SHOW DIAGNOSTICS",
        ] {
            assert_eq!(render(text), "admin", "{text}");
        }
    }

    #[test]
    fn writing_statements_warn_in_a_read_only_context() {
        for text in ["SELECT v INTO x FROM m", "DROP SERIES FROM m", "CREATE DATABASE a", "KILL QUERY 1"] {
            assert!(statement(text).warns_in_read_only_context(), "{text}");
        }
        for text in ["SELECT v FROM m", "SHOW DATABASES", "DELETE FROM m", "EXPLAIN SELECT v INTO x FROM m"] {
            assert!(!statement(text).warns_in_read_only_context(), "{text}");
        }
    }

    #[test]
    fn a_statement_about_one_database_names_it() {
        for text in [
            "SHOW SERIES ON a",
            "SHOW TAG KEY CARDINALITY ON a",
            "CREATE RETENTION POLICY p ON a DURATION 1h REPLICATION 1",
            "DROP SUBSCRIPTION s ON a.r",
            "GRANT READ ON a TO u",
        ] {
            assert_eq!(statement(text).default_database(), Some("a"), "{text}");
        }
        for text in ["SHOW SERIES", "SELECT v FROM a..m", "SHOW MEASUREMENTS ON *.*", "DROP DATABASE a"] {
            assert_eq!(statement(text).default_database(), None, "{text}");
        }
    }
}
