//! What the HTTP API calls, carried out by the cluster.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cluster::access::{FORBIDDEN_POINTS, may_write, rules, without_forbidden};
use cluster::{Denied, PointsWriter, QueryContext, Statements, WriteFailure};
use http_api::{
    Caller, Health, Pending, QueryRefusal, QueryRequest, QueryService, Statistic, StatusService, WriteRequest,
    WriteService,
};
use meta::Access;
use meta_client::MetaClient;
use model::Timestamp;
use model::result::Chunk;
use storage::Store;
use telemetry::Metrics;
use tokio::sync::mpsc::Receiver;

use crate::auth::asker;

/// When a client that met a full server should come back.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Queries.
#[derive(Debug)]
pub struct Queries(pub Arc<Statements>);

impl QueryService for Queries {
    fn query(&self, request: QueryRequest) -> Pending<'_, Result<Receiver<Chunk>, QueryRefusal>> {
        let context = QueryContext {
            db: request.db,
            rp: request.rp,
            read_only: request.read_only,
            node: request.node_id,
            asker: asker(request.caller),
        };
        Box::pin(async move {
            self.0.query(request.statements, context).await.map_err(|denied| match denied {
                Denied::Forbidden(_) => QueryRefusal::Forbidden(denied.to_string()),
                Denied::Unknown(_) => QueryRefusal::Unknown(denied.to_string()),
            })
        })
    }
}

/// Writes.
#[derive(Debug)]
pub struct Writes {
    /// Takes the points.
    pub writer: Arc<PointsWriter>,
    /// Tells who may write where.
    pub meta: Arc<MetaClient>,
}

impl WriteService for Writes {
    fn admit<'a>(&'a self, caller: &'a Caller, db: &'a str) -> Pending<'a, Result<(), http_api::WriteFailure>> {
        Box::pin(async move {
            if !self.writer.database_exists(db).await {
                return Err(http_api::WriteFailure::DatabaseNotFound(db.to_owned()));
            }
            let asker = asker(caller.clone());
            let rights = asker.rights(&self.meta.data());
            match caller {
                Caller::Anyone => Ok(()),
                _ if rights.is_some_and(|rights| may_write(&rights, db)) => Ok(()),
                Caller::User(name) | Caller::Directory { name, .. } => Err(http_api::WriteFailure::Forbidden(format!(
                    "{name:?} user is not authorized to write to database {db:?}"
                ))),
                Caller::Nobody => {
                    let text = format!("user is required to write to database {db:?}");
                    Err(http_api::WriteFailure::Forbidden(text))
                }
            }
        })
    }

    fn write(&self, request: WriteRequest) -> Pending<'_, Result<(), http_api::WriteFailure>> {
        Box::pin(async move {
            let rp = request.rp.unwrap_or_default();
            let rules = rules(&self.meta.data(), &asker(request.caller), &request.db, Access::Write);
            // Dropped since the credentials were looked at.
            let rules = rules.ok_or_else(|| http_api::WriteFailure::Forbidden("user not found".to_owned()))?;
            let (batch, forbidden) = without_forbidden(request.batch, &rules);
            if batch.is_empty() {
                return Err(http_api::WriteFailure::Forbidden(FORBIDDEN_POINTS.to_owned()));
            }
            let written = self.writer.write(&request.db, &rp, request.consistency, batch).await;
            let written = match (written, forbidden) {
                (Ok(()), 1..) => Err(WriteFailure::Partial { reason: FORBIDDEN_POINTS.to_owned(), dropped: forbidden }),
                (Err(WriteFailure::Partial { reason, dropped }), _) => {
                    Err(WriteFailure::Partial { reason, dropped: dropped + forbidden })
                }
                (other, _) => other,
            };
            written.map_err(|failure| match failure {
                WriteFailure::DatabaseNotFound(db) => http_api::WriteFailure::DatabaseNotFound(db),
                WriteFailure::Partial { reason, dropped } => http_api::WriteFailure::Partial { reason, dropped },
                WriteFailure::Refused(text) => http_api::WriteFailure::Invalid(text),
                WriteFailure::Busy(text) => http_api::WriteFailure::Busy { text, retry_after: RETRY_AFTER },
                failure @ (WriteFailure::PolicyNotFound(_) | WriteFailure::Timeout | WriteFailure::Failed(_)) => {
                    http_api::WriteFailure::Failed(failure.to_string())
                }
            })
        })
    }
}

/// How the node is.
#[derive(Debug)]
pub struct NodeStatus {
    /// Every metric of the process.
    pub metrics: Metrics,
    /// When the process started.
    pub started: Timestamp,
    /// How it was called.
    pub command_line: Vec<String>,
    /// Its shards, if it holds any.
    pub store: Option<Arc<Store>>,
}

impl StatusService for NodeStatus {
    fn health(&self) -> Health {
        match self.store.as_ref().is_some_and(|store| store.is_disk_full()) {
            true => Health::Fail("writes are refused: no space left on the disk of the data directory".to_owned()),
            false => Health::Pass,
        }
    }

    fn metrics(&self) -> String {
        self.metrics.render()
    }

    fn statistics(&self) -> Vec<Statistic> {
        // One entry with every number that the metrics have, under their own names.
        let text = self.metrics.render();
        let numbers = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
        let values: BTreeMap<String, i64> = numbers
            .filter_map(|(name, value)| Some((name.trim_end_matches("_total").to_owned(), value.parse().ok()?)))
            .collect();
        vec![Statistic { name: "node".to_owned(), tags: BTreeMap::new(), values }]
    }

    fn started(&self) -> Timestamp {
        self.started
    }

    fn command_line(&self) -> Vec<String> {
        self.command_line.clone()
    }
}
