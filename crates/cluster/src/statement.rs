//! Carrying out statements of clients.
//!
//! `select` plans and runs queries over the cluster, `schema` answers questions about measurements, series, tags and
//! fields, `show` lists what the metadata knows, `admin` changes it. Every statement answers in chunks through a channel;
//! when nobody listens any more the statement stops.
//!
//! The first statement that fails ends the request; those behind it answer `not executed`.

mod admin;
mod cardinality;
mod into;
mod schema;
mod select;
mod show;
mod users;

use std::sync::Arc;
use std::time::Duration;

use env::Env;
use influxql::ast::Statement;
use login::Logins;
use meta::{Access, Data, RuleSet};
use meta_client::MetaClient;
use model::result::{Chunk, Message, Series};
use model::{NodeId, ShardId, TimeRange};
use telemetry::{Counter, Gauge, Metrics};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::access::{self, Asker, Denied};
use crate::budget::QueryMemory;
use crate::fan_out::{Ask, AskError, FanOutError, Gathered, gather};
use crate::local::LocalShards;
use crate::peers::{PeerError, Peers};
use crate::points_writer::PointsWriter;
use crate::question;

/// Chunks that wait for a slow client.
const CHUNKS_WAITING_MAX: usize = 8;
/// One call to another node for a part of a query, when no other limit is set.
const REMOTE_READ_TIMEOUT: Duration = Duration::from_secs(60);

/// Limits of queries.
#[derive(Clone, Debug)]
pub struct QueryLimits {
    /// Queries that run at once; 0 for no limit.
    pub concurrent_max: usize,
    /// Time for one statement; zero for no limit.
    pub timeout: Duration,
    /// Windows of one `SELECT`; 0 for no limit.
    pub buckets_max: usize,
    /// Time for one call to another node; zero for the default.
    pub remote_read_timeout: Duration,
    /// Whether `CREATE DATABASE` makes a policy.
    pub retention_autocreate: bool,
    /// Memory of all queries of this node.
    pub memory: Arc<QueryMemory>,
}

/// What a request brings along with its statements.
#[derive(Clone, Debug, Default)]
pub struct QueryContext {
    /// The database of statements that name none.
    pub db: String,
    /// The policy of sources that name none; empty for the database's default.
    pub rp: String,
    /// Whether the request came as one that should only read.
    pub read_only: bool,
    /// Ask only this node's shards.
    pub node: Option<NodeId>,
    /// Who sent it.
    pub asker: Asker,
}

/// Carries out statements.
#[derive(Debug)]
pub struct Statements {
    env: Env,
    meta: Arc<MetaClient>,
    local: Option<Arc<LocalShards>>,
    peers: Arc<Peers>,
    writer: Arc<PointsWriter>,
    logins: Arc<Logins>,
    limits: QueryLimits,
    permits: Option<Arc<Semaphore>>,
    started: Counter,
    failed: Counter,
    running: Gauge,
}

/// Why a statement failed. Displays what the client sees.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// The statement is wrong, or what it asks for is not there.
    #[error("{0}")]
    Wrong(String),
    /// This release cannot do it yet.
    #[error("{0} is not supported yet")]
    NotYet(String),
    /// The cluster cannot do it now.
    #[error("{0}")]
    Unavailable(String),
    /// The client has gone.
    #[error("query aborted")]
    Aborted,
}

impl From<FanOutError> for StatementError {
    fn from(error: FanOutError) -> StatementError {
        StatementError::Unavailable(error.to_string())
    }
}

impl From<plan::PlanError> for StatementError {
    fn from(error: plan::PlanError) -> StatementError {
        StatementError::Wrong(error.to_string())
    }
}

impl From<meta_client::ProposeError> for StatementError {
    fn from(error: meta_client::ProposeError) -> StatementError {
        match error {
            meta_client::ProposeError::Rejected(rejection) => StatementError::Wrong(rejection.to_string()),
            error => StatementError::Unavailable(error.to_string()),
        }
    }
}

/// Where a statement puts its answer.
#[derive(Debug)]
struct Answers {
    statement_id: usize,
    chunks: mpsc::Sender<Chunk>,
    messages: Vec<Message>,
    /// One series is held back, to know whether it is the last.
    held: Option<Chunk>,
    sent: bool,
}

impl Answers {
    fn new(statement_id: usize, chunks: mpsc::Sender<Chunk>) -> Answers {
        Answers { statement_id, chunks, messages: Vec::new(), held: None, sent: false }
    }

    fn warn(&mut self, text: String) {
        self.messages.push(Message { level: "warning", text });
    }

    /// Sends a series, or a piece of one that goes on in the next.
    async fn series(&mut self, series: Series, continues: bool) -> Result<(), StatementError> {
        let chunk = Chunk {
            statement_id: self.statement_id,
            series: Some(series),
            series_continues: continues,
            statement_continues: true,
            ..Chunk::default()
        };
        match self.held.replace(chunk) {
            Some(before) => self.send(before).await,
            None => Ok(()),
        }
    }

    async fn send(&mut self, mut chunk: Chunk) -> Result<(), StatementError> {
        if !self.sent {
            chunk.messages = std::mem::take(&mut self.messages);
            self.sent = true;
        }
        self.chunks.send(chunk).await.map_err(|_| StatementError::Aborted)
    }

    /// The statement is over.
    async fn finish(mut self, result: Result<(), StatementError>) -> Result<(), StatementError> {
        let id = self.statement_id;
        match &result {
            Ok(()) => {
                let mut last = self.held.take().unwrap_or_else(|| Chunk::empty(id));
                last.statement_continues = false;
                self.send(last).await?;
            }
            Err(StatementError::Aborted) => {}
            Err(error) => {
                if let Some(held) = self.held.take() {
                    self.send(held).await?;
                }
                // A failing statement carries no warning.
                self.messages.clear();
                self.send(Chunk::failed(id, error.to_string())).await?;
            }
        }
        result
    }
}

impl Statements {
    /// Puts the parts together.
    #[expect(clippy::too_many_arguments, reason = "the parts of a coordinator, put together once")]
    pub fn new(
        env: Env,
        meta: Arc<MetaClient>,
        local: Option<Arc<LocalShards>>,
        peers: Arc<Peers>,
        writer: Arc<PointsWriter>,
        logins: Arc<Logins>,
        limits: QueryLimits,
        metrics: &Metrics,
    ) -> Arc<Statements> {
        let count = limits.concurrent_max.min(Semaphore::MAX_PERMITS);
        let permits = (count > 0).then(|| Arc::new(Semaphore::new(count)));
        Arc::new(Statements {
            env,
            meta,
            local,
            peers,
            writer,
            logins,
            limits,
            permits,
            started: metrics.counter("query_statements", "Statements that were started"),
            failed: metrics.counter("query_statement_failures", "Statements that failed"),
            running: metrics.gauge("queries_running", "Requests whose statements are running"),
        })
    }

    /// Starts the statements of a request, one after the other, if its sender may have all of them carried out. Dropping
    /// the receiver stops them.
    ///
    /// # Errors
    /// See [`Denied`]; nothing was begun.
    pub async fn query(
        self: &Arc<Self>,
        statements: Vec<Statement>,
        context: QueryContext,
    ) -> Result<mpsc::Receiver<Chunk>, Denied> {
        // A copy that lags would let anybody become administrator of a cluster that has one.
        if context.asker == Asker::Nobody && access::creates_first_admin(&statements) && !self.meta.refresh().await {
            return Err(Denied::Unknown("the metadata service does not answer".to_owned()));
        }
        access::authorize(&self.meta.data(), &context.asker, &statements, &context.db)?;
        Ok(self.start(statements, context))
    }

    fn start(self: &Arc<Self>, statements: Vec<Statement>, context: QueryContext) -> mpsc::Receiver<Chunk> {
        let (chunks, receiver) = mpsc::channel(CHUNKS_WAITING_MAX);
        let this = Arc::clone(self);
        self.env.spawn(async move {
            let permit = match this.admit(&context).await {
                Ok(permit) => permit,
                Err(error) => return refuse(0, statements.len(), &error.to_string(), &chunks).await,
            };
            this.running.inc();
            tokio::select! {
                // Losing a statement half-way loses only its answer: changes are made by commands that are carried out
                // whole or not at all.
                () = this.run_all(&statements, &context, &chunks) => {}
                () = chunks.closed() => {}
            }
            this.running.dec();
            drop(permit);
        });
        receiver
    }

    /// Whether a request may run at all.
    async fn admit(&self, context: &QueryContext) -> Result<Option<OwnedSemaphorePermit>, StatementError> {
        if let Some(node) = context.node {
            let is_data_node = |data: &Data| data.node(node).and_then(|node| node.data.as_ref()).map(|_| ());
            if self.data_with(is_data_node).await.is_none() {
                return Err(StatementError::Wrong(format!("data node not found: {node}")));
            }
        }
        let Some(permits) = &self.permits else { return Ok(None) };
        Arc::clone(permits).try_acquire_owned().map(Some).map_err(|_| {
            let max = self.limits.concurrent_max;
            StatementError::Unavailable(format!("max-concurrent-queries limit exceeded({}, {max})", max + 1))
        })
    }

    async fn run_all(self: &Arc<Self>, statements: &[Statement], context: &QueryContext, chunks: &mpsc::Sender<Chunk>) {
        for (id, statement) in statements.iter().enumerate() {
            self.started.inc();
            let mut answers = Answers::new(id, chunks.clone());
            if context.read_only && statement.warns_in_read_only_context() {
                answers.warn(format!(
                    "deprecated use of '{statement}' in a read only context, please use a POST request instead"
                ));
            }
            let run = self.run(statement, context, &mut answers);
            let result = match self.limits.timeout {
                Duration::ZERO => run.await,
                limit => tokio::time::timeout(limit, run)
                    .await
                    .unwrap_or_else(|_| Err(StatementError::Unavailable("query-timeout limit exceeded".to_owned()))),
            };
            if answers.finish(result).await.is_err() {
                self.failed.inc();
                return skip(id + 1, statements.len(), chunks).await;
            }
        }
    }

    async fn run(
        self: &Arc<Self>,
        statement: &Statement,
        context: &QueryContext,
        answers: &mut Answers,
    ) -> Result<(), StatementError> {
        match statement {
            Statement::Select(select) => self.select(select, context, answers).await,
            Statement::ShowMeasurements(show) => self.show_measurements(show, context, answers).await,
            Statement::ShowSeries(show) => self.show_series(show, context, answers).await,
            Statement::ShowTagKeys(show) => self.show_tag_keys(show, context, answers).await,
            Statement::ShowTagValues(show) => self.show_tag_values(show, context, answers).await,
            Statement::ShowFieldKeys(show) => self.show_field_keys(show, context, answers).await,
            Statement::ShowCardinality(show) => self.show_cardinality(show, context, answers).await,
            _ => {
                if let Some(series) = self.show(statement, context).await? {
                    for series in series {
                        answers.series(series, false).await?;
                    }
                    return Ok(());
                }
                self.administer(statement, context).await
            }
        }
    }

    /// The metadata; asked for anew once when `known` does not find in it what it looks for.
    async fn data_with<T>(&self, known: impl Fn(&Data) -> Option<T>) -> Option<T> {
        if let Some(found) = known(&self.meta.data()) {
            return Some(found);
        }
        self.meta.refresh().await;
        known(&self.meta.data())
    }

    /// The database that a statement means: what it names, or that of the request.
    ///
    /// # Errors
    /// `database name required`, `database not found: x`.
    async fn database(&self, named: Option<&str>, context: &QueryContext) -> Result<String, StatementError> {
        let name = named.filter(|name| !name.is_empty()).unwrap_or(&context.db).to_owned();
        if name.is_empty() {
            return Err(StatementError::Wrong("database name required".to_owned()));
        }
        match self.data_with(|data| data.database(&name).map(|_| ())).await {
            Some(()) => Ok(name),
            None => Err(StatementError::Wrong(format!("database not found: {name}"))),
        }
    }

    /// The rules that hide series of a database from who asks, as the metadata has them now.
    ///
    /// # Errors
    /// When who asks was dropped meanwhile.
    fn rules(&self, db: &str, access: Access, context: &QueryContext) -> Result<RuleSet, StatementError> {
        let rules = access::rules(&self.meta.data(), &context.asker, db, access);
        rules.ok_or_else(|| StatementError::Wrong("user not found".to_owned()))
    }

    /// The shards of a policy (of all policies when it is empty) that may hold points of a range, in order of their
    /// numbers.
    fn shards(&self, db: &str, rp: &str, range: TimeRange, context: &QueryContext) -> Vec<ShardId> {
        let data = self.meta.data();
        let Some(database) = data.database(db) else { return Vec::new() };
        let policies = database.policies.iter().filter(|policy| rp.is_empty() || *policy.name == *rp);
        let groups = policies.flat_map(|policy| policy.groups_overlapping(range));
        let shards = groups.flat_map(|group| &group.shards);
        let wanted = shards.filter(|shard| context.node.is_none_or(|node| shard.is_owned_by(node)));
        let mut ids: Vec<ShardId> = wanted.map(|shard| shard.id).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    fn remote_read_timeout(&self) -> Duration {
        match self.limits.remote_read_timeout {
            Duration::ZERO => REMOTE_READ_TIMEOUT,
            limit => limit,
        }
    }

    /// Asks one owner of every shard; see `fan_out`.
    async fn gather<A, F, Fut>(
        &self,
        shards: &[ShardId],
        context: &QueryContext,
        ask: F,
    ) -> Result<Gathered<A>, StatementError>
    where
        F: Fn(Ask) -> Fut,
        Fut: Future<Output = Result<A, AskError>>,
    {
        let data = self.meta.data();
        Ok(gather(shards, context.node, &data, &self.peers, self.local.as_ref(), ask).await?)
    }
}

/// Answers statement `id` of `count` with an error and those behind it as not executed.
async fn refuse(id: usize, count: usize, error: &str, chunks: &mpsc::Sender<Chunk>) {
    if chunks.send(Chunk::failed(id, error)).await.is_ok() {
        skip(id + 1, count, chunks).await;
    }
}

/// Answers the statements from `first` on, of `count`, as not executed.
async fn skip(first: usize, count: usize, chunks: &mpsc::Sender<Chunk>) {
    for id in first..count {
        if chunks.send(Chunk::failed(id, "not executed")).await.is_err() {
            return;
        }
    }
}

/// What a failed call means to the fan-out.
fn ask_error(error: PeerError) -> AskError {
    match error {
        PeerError::Fault(fault) => question::fault_to_ask_error(&fault),
        error => AskError::Node(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn statements_behind_one_that_was_refused_are_not_executed() {
        let (chunks, mut receiver) = mpsc::channel(8);
        refuse(0, 3, "max-concurrent-queries limit exceeded(2, 1)", &chunks).await;
        drop(chunks);
        let mut answers = Vec::new();
        while let Some(chunk) = receiver.recv().await {
            assert!(!chunk.statement_continues);
            answers.push((chunk.statement_id, chunk.error.expect("an error")));
        }
        let rest = |id| (id, "not executed".to_owned());
        assert_eq!(answers, [(0, "max-concurrent-queries limit exceeded(2, 1)".to_owned()), rest(1), rest(2)]);
    }
}
