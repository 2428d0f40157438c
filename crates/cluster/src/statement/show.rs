//! Listing what the metadata knows.

use std::sync::Arc;

use influxql::ast::Statement;
use meta::{Data, Database, Privilege, SubscriptionMode};
use model::result::{Series, Value};
use stdx::human::{print_duration, print_instant};

use super::{QueryContext, StatementError, Statements};
use crate::access::{Asker, sees};

impl Statements {
    /// Answers a statement that lists metadata; `None` when it is none of those.
    pub(super) async fn show(
        &self,
        statement: &Statement,
        context: &QueryContext,
    ) -> Result<Option<Vec<Series>>, StatementError> {
        let data = self.meta.data();
        Ok(Some(match statement {
            Statement::ShowDatabases => vec![databases(&data, &context.asker)],
            Statement::ShowRetentionPolicies { database } => {
                let name = self.database(database.as_deref(), context).await?;
                let data = self.meta.data();
                data.database(&name).map(|database| policies(database)).into_iter().collect()
            }
            Statement::ShowServers => servers(&data),
            Statement::ShowShards => shards(&data),
            Statement::ShowShardGroups => vec![shard_groups(&data)],
            Statement::ShowUsers => vec![users(&data)],
            Statement::ShowGrants { user } => vec![grants(&data, user)?],
            Statement::ShowContinuousQueries => {
                let seen = data.databases().iter().filter(|db| sees(&data, &context.asker, &db.name));
                seen.map(|db| continuous_queries(db)).collect()
            }
            Statement::ShowSubscriptions => data.databases().iter().filter_map(|db| subscriptions(db)).collect(),
            _ => return Ok(None),
        }))
    }
}

fn integer(value: u64) -> Value {
    Value::Integer(i64::try_from(value).unwrap_or(i64::MAX))
}

fn databases(data: &Data, asker: &Asker) -> Series {
    let mut series = Series::new("databases", &["name"]);
    let seen = data.databases().iter().filter(|database| sees(data, asker, &database.name));
    seen.for_each(|database| series.rows.push([Value::text(Arc::clone(&database.name))]));
    series
}

fn policies(database: &Database) -> Series {
    let columns =
        ["name", "duration", "shardGroupDuration", "replicaN", "futureWriteLimit", "pastWriteLimit", "default"];
    let mut series = Series::new("", &columns);
    for policy in &database.policies {
        series.rows.push([
            Value::text(Arc::clone(&policy.name)),
            Value::text(print_duration(policy.duration)),
            Value::text(print_duration(policy.shard_group_duration)),
            integer(u64::from(policy.replica_n)),
            Value::text(print_duration(policy.future_write_limit)),
            Value::text(print_duration(policy.past_write_limit)),
            Value::Boolean(database.default_policy.as_ref() == Some(&policy.name)),
        ]);
    }
    series
}

/// The guide's two lists; one that has no member is left out.
fn servers(data: &Data) -> Vec<Series> {
    let columns = ["id", "http_addr", "tcp_addr"];
    let (mut data_nodes, mut meta_nodes) = (Series::new("data_nodes", &columns), Series::new("meta_nodes", &columns));
    for node in data.nodes() {
        let row = |http: &str, tcp: &str| [integer(node.id.0), Value::text(http), Value::text(tcp)];
        if let Some(role) = &node.data {
            data_nodes.rows.push(row(&role.http_addr, &role.tcp_addr));
        }
        if let Some(role) = &node.meta {
            meta_nodes.rows.push(row(&role.http_addr, &role.tcp_addr));
        }
    }
    [data_nodes, meta_nodes].into_iter().filter(|series| !series.rows.is_empty()).collect()
}

fn shards(data: &Data) -> Vec<Series> {
    let columns =
        ["id", "database", "retention_policy", "shard_group", "start_time", "end_time", "expiry_time", "owners"];
    let alone = data.data_nodes().count() < 2;
    let mut all: Vec<Series> = data.databases().iter().map(|database| Series::new(&*database.name, &columns)).collect();
    for place in data.live_shards() {
        let Some(series) = all.iter_mut().find(|series| *series.name == *place.database.name) else { continue };
        let owners: Vec<String> = place.shard.owners.iter().map(|owner| owner.node.to_string()).collect();
        let expiry = place.group.expires_at(place.policy).map(|at| print_instant(at.0)).unwrap_or_default();
        series.rows.push([
            integer(place.shard.id.0),
            Value::text(Arc::clone(&place.database.name)),
            Value::text(Arc::clone(&place.policy.name)),
            integer(place.group.id.0),
            Value::text(print_instant(place.group.range.start().0)),
            Value::text(print_instant(place.group.range.end().0)),
            Value::text(expiry),
            Value::text(if alone { String::new() } else { owners.join(",") }),
        ]);
    }
    all
}

fn shard_groups(data: &Data) -> Series {
    let columns = ["id", "database", "retention_policy", "start_time", "end_time", "expiry_time"];
    let mut series = Series::new("shard groups", &columns);
    for database in data.databases() {
        for policy in &database.policies {
            for group in policy.live_groups() {
                let expiry = group.expires_at(policy).map(|at| print_instant(at.0)).unwrap_or_default();
                series.rows.push([
                    integer(group.id.0),
                    Value::text(Arc::clone(&database.name)),
                    Value::text(Arc::clone(&policy.name)),
                    Value::text(print_instant(group.range.start().0)),
                    Value::text(print_instant(group.range.end().0)),
                    Value::text(expiry),
                ]);
            }
        }
    }
    series
}

fn users(data: &Data) -> Series {
    let mut series = Series::new("", &["user", "admin"]);
    data.users().iter().for_each(|user| series.rows.push([Value::text(&*user.name), Value::Boolean(user.admin)]));
    series
}

fn grants(data: &Data, name: &str) -> Result<Series, StatementError> {
    let user = data.users().iter().find(|user| user.name == name);
    let user = user.ok_or_else(|| StatementError::Wrong("user not found".to_owned()))?;
    let mut series = Series::new("", &["database", "privilege"]);
    for (database, privilege) in &user.privileges {
        let privilege = match privilege {
            Privilege::None => "NO PRIVILEGES",
            Privilege::Read => "READ",
            Privilege::Write => "WRITE",
            Privilege::All => "ALL PRIVILEGES",
        };
        series.rows.push([Value::text(&**database), Value::text(privilege)]);
    }
    Ok(series)
}

fn continuous_queries(database: &Database) -> Series {
    let mut series = Series::new(&*database.name, &["name", "query"]);
    for query in &database.continuous_queries {
        series.rows.push([Value::text(&*query.name), Value::text(&*query.query)]);
    }
    series
}

fn subscriptions(database: &Database) -> Option<Series> {
    let mut series = Series::new(&*database.name, &["retention_policy", "name", "mode", "destinations"]);
    for policy in &database.policies {
        for subscription in &policy.subscriptions {
            let mode = match subscription.mode {
                SubscriptionMode::All => "ALL",
                SubscriptionMode::Any => "ANY",
            };
            series.rows.push([
                Value::text(Arc::clone(&policy.name)),
                Value::text(&*subscription.name),
                Value::text(mode),
                Value::List(subscription.destinations.as_slice().into()),
            ]);
        }
    }
    (!series.rows.is_empty()).then_some(series)
}
