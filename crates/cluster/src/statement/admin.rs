//! Changing the metadata.
//!
//! Every change is one command of the metadata service, which decides it; nothing is decided from this node's copy. It
//! is answered once every data node that this one can reach has heard of it. What a copy lacks is asked for before it is
//! refused, but a default policy that was another one a moment ago is found and wrong, and the client's next write may go
//! through any node.

use std::time::Duration;

use influxql::ast::{
    AlterRetentionPolicy, CreateDatabase, CreateRetentionPolicy, DatabaseOptions, ServerKind, Statement,
};
use meta::{Command, PolicySpec, PolicyUpdate};
use model::{NodeId, ShardId};

use super::users::{grant_command, revoke_command};
use super::{QueryContext, StatementError, Statements};

/// Name of the policy that a database gets when none is asked for.
const AUTOMATIC_POLICY: &str = "autogen";

impl Statements {
    /// Carries out a statement that changes something.
    pub(super) async fn administer(&self, statement: &Statement, context: &QueryContext) -> Result<(), StatementError> {
        let command = match statement {
            Statement::CreateDatabase(create) => self.create_database(create),
            Statement::DropDatabase { name } => Command::DropDatabase { name: name.clone() },
            Statement::CreateRetentionPolicy(create) => create_policy(create),
            Statement::AlterRetentionPolicy(alter) => alter_policy(alter),
            Statement::DropRetentionPolicy { name, database } => {
                Command::DropRetentionPolicy { database: database.clone(), name: name.clone() }
            }
            Statement::CreateUser(create) => return self.create_user(create, context).await,
            Statement::DropUser { name } => Command::DropUser { name: name.clone() },
            Statement::SetPassword(set) => self.set_password(set).await?,
            Statement::Grant(grant) => grant_command(grant),
            Statement::GrantAdmin { user } => Command::SetAdmin { name: user.clone(), admin: true },
            Statement::Revoke(revoke) => revoke_command(revoke),
            Statement::RevokeAdmin { user } => Command::SetAdmin { name: user.clone(), admin: false },
            Statement::DropShard { id } => Command::DropShard { shard: ShardId(*id) },
            Statement::DropServer { kind: ServerKind::Data, id } => Command::DeleteDataNode { id: NodeId(*id) },
            Statement::DropServer { kind: ServerKind::Meta, id } => Command::DeleteMetaNode { id: NodeId(*id) },
            other => return Err(StatementError::NotYet(kind_of(other).to_owned())),
        };
        let drops_points = matches!(
            command,
            Command::DropDatabase { .. } | Command::DropRetentionPolicy { .. } | Command::DropShard { .. }
        );
        self.meta.propose(command).await?;
        // The client's next request may go to any node.
        self.peers.spread_metadata().await;
        if drops_points {
            self.report_absent()?;
        }
        Ok(())
    }

    /// Points are gone for every query as soon as the metadata says so; a node that is away removes its files when it
    /// returns, and the client is told that it has not yet.
    fn report_absent(&self) -> Result<(), StatementError> {
        let data = self.meta.data();
        let me = self.peers.me();
        let absent = data.data_nodes().find(|node| node.id != me && !self.peers.is_up(node.id));
        match absent {
            Some(node) => Err(StatementError::Unavailable(format!(
                "partial success, node {} may be down (its files are removed when it returns)",
                node.id
            ))),
            None => Ok(()),
        }
    }

    fn create_database(&self, create: &CreateDatabase) -> Command {
        let policy = match &create.options {
            Some(options) => Some(policy_of(options)),
            None => self.limits.retention_autocreate.then(PolicySpec::automatic),
        };
        Command::CreateDatabase { name: create.name.clone(), policy, explicit: create.options.is_some() }
    }
}

fn policy_of(options: &DatabaseOptions) -> PolicySpec {
    PolicySpec {
        name: options.name.clone().unwrap_or_else(|| AUTOMATIC_POLICY.to_owned()),
        duration: options.duration_ns.map(|ns| duration(Some(ns))),
        shard_group_duration: duration(options.shard_duration_ns),
        replica_n: options.replication,
        past_write_limit: duration(options.past_limit_ns),
        future_write_limit: duration(options.future_limit_ns),
    }
}

fn create_policy(create: &CreateRetentionPolicy) -> Command {
    Command::CreateRetentionPolicy {
        database: create.database.clone(),
        policy: PolicySpec {
            name: create.name.clone(),
            duration: Some(duration(Some(create.duration_ns))),
            shard_group_duration: duration(create.shard_duration_ns),
            replica_n: Some(create.replication),
            past_write_limit: duration(create.past_limit_ns),
            future_write_limit: duration(create.future_limit_ns),
        },
        make_default: create.default,
    }
}

fn alter_policy(alter: &AlterRetentionPolicy) -> Command {
    let given = |ns: Option<i64>| ns.map(|ns| duration(Some(ns)));
    Command::AlterRetentionPolicy {
        database: alter.database.clone(),
        name: alter.name.clone(),
        update: PolicyUpdate {
            name: None,
            duration: given(alter.duration_ns),
            shard_group_duration: given(alter.shard_duration_ns),
            replica_n: alter.replication,
            past_write_limit: given(alter.past_limit_ns),
            future_write_limit: given(alter.future_limit_ns),
            make_default: alter.default,
        },
    }
}

fn duration(ns: Option<i64>) -> Duration {
    Duration::from_nanos(ns.and_then(|ns| u64::try_from(ns).ok()).unwrap_or(0))
}

/// The first words of a statement that this release cannot carry out.
fn kind_of(statement: &Statement) -> &'static str {
    match statement {
        Statement::Explain(_) => "EXPLAIN",
        Statement::Delete(_) => "DELETE",
        Statement::DropSeries(_) => "DROP SERIES",
        Statement::DropMeasurement { .. } => "DROP MEASUREMENT",
        Statement::ShowQueries => "SHOW QUERIES",
        Statement::KillQuery(_) => "KILL QUERY",
        Statement::ShowStats { .. } => "SHOW STATS",
        Statement::ShowDiagnostics { .. } => "SHOW DIAGNOSTICS",
        Statement::CreateContinuousQuery(_) => "CREATE CONTINUOUS QUERY",
        Statement::DropContinuousQuery { .. } => "DROP CONTINUOUS QUERY",
        Statement::CreateSubscription(_) => "CREATE SUBSCRIPTION",
        Statement::DropSubscription { .. } => "DROP SUBSCRIPTION",
        _ => "this statement",
    }
}
