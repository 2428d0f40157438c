//! `SELECT`: fetch the schema, plan, ask the owners of the shards, finish.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use exec::{Partial, Piece, SubqueryRows};
use influxql::ast::{Measurement, MeasurementName, SelectStatement, Source};
use meta::Access;
use model::{TagFilter, TimeRange};
use plan::{Catalog, Input, PlanContext, SelectPlan, ShardPlan};
use wire::v1;

use crate::budget::Query;
use crate::fan_out::{Ask, AskError};
use crate::question;
use crate::statement::into::Writing;
use crate::statement::{Answers, QueryContext, StatementError, Statements, ask_error};

/// Pieces of an answer that wait for a slow client.
const PIECES_WAITING_MAX: usize = 4;

/// What the shards and subqueries below each output of a plan sent.
type Partials = Vec<Vec<Partial>>;

impl Statements {
    pub(super) async fn select(
        self: &Arc<Self>,
        select: &SelectStatement,
        context: &QueryContext,
        answers: &mut Answers,
    ) -> Result<(), StatementError> {
        let plan = self.plan(select, context).await?;
        let mut writing = match plan.target.clone() {
            Some(target) => Some(Writing::new(self, target, context).await?),
            None => None,
        };
        // Over when this future is dropped: by its end, by its client, by a time limit.
        let query = self.limits.memory.begin();
        let partials = self.partials(&plan, context, &query).await?;
        let mut pieces = self.finish(plan, partials, &query);
        while let Some(piece) = pieces.recv().await {
            let Piece { series, continues } = piece?;
            match &mut writing {
                Some(writing) => writing.take(&series).await?,
                None => answers.series(series, continues).await?,
            }
        }
        match writing {
            Some(writing) => writing.finish(answers).await,
            None => Ok(()),
        }
    }

    /// Resolves what the statement leaves open, fetches the schema of what it reads, and plans.
    async fn plan(
        self: &Arc<Self>,
        select: &SelectStatement,
        context: &QueryContext,
    ) -> Result<Arc<SelectPlan>, StatementError> {
        let select = self.with_places(select, context).await?;
        let planning =
            PlanContext { now: self.env.now(), local_zone: None, select_buckets_max: self.limits.buckets_max as u64 };
        let analysis = plan::analyse(&select, &planning)?;
        let mut catalog = Catalog::default();
        for need in analysis.needs() {
            let shards = self.shards(&need.database, &need.retention_policy, need.range, context);
            // A pattern is matched here, over the names of all measurements.
            let names = match &need.name {
                MeasurementName::Name(name) => vec![name.clone().into_bytes()],
                MeasurementName::Regex(_) => Vec::new(),
            };
            for (name, schema) in self.schemas(&shards, names, context).await? {
                catalog.add(&need.database, &need.retention_policy, &name, &schema);
            }
        }
        let mut plan = analysis.plan(&catalog)?;
        self.restrict(&mut plan, context)?;
        Ok(Arc::new(plan))
    }

    /// Leaves out the series that are hidden from who asks: the shards are not asked for them, wherever they are.
    fn restrict(&self, plan: &mut SelectPlan, context: &QueryContext) -> Result<(), StatementError> {
        for input in plan.outputs.iter_mut().flat_map(|output| &mut output.inputs) {
            let Input::Shards { database, plan, .. } = input else { continue };
            let rules = self.rules(database, Access::Read, context)?;
            if !rules.is_open() {
                let asked = std::mem::replace(&mut plan.series, TagFilter::None);
                plan.series = TagFilter::And(vec![rules.filter(&plan.measurement), asked]);
            }
        }
        plan.subqueries.iter_mut().try_for_each(|subquery| self.restrict(subquery, context))
    }

    /// The statement with a database and a retention policy at every measurement, all of which exist.
    async fn with_places(
        &self,
        select: &SelectStatement,
        context: &QueryContext,
    ) -> Result<SelectStatement, StatementError> {
        select.sources.iter().try_for_each(check_source)?;
        let mut places: Vec<(String, Option<String>)> = Vec::new();
        for measurement in select.measurements() {
            let db = self.database(measurement.database.as_deref(), context).await?;
            places.push((db, measurement.retention_policy.clone()));
        }
        let mut select = select.clone();
        let mut places = places.into_iter();
        let mut failed = None;
        let data = self.meta.data();
        select.for_each_measurement_mut(&mut |measurement| {
            let Some((db, named)) = places.next() else { return };
            // The request's policy goes with the request's database.
            let request = if db == context.db { context.rp.as_str() } else { "" };
            let rp = named.as_deref().unwrap_or(request);
            match data.policy(&db, rp) {
                Ok(policy) => measurement.retention_policy = Some(policy.name.to_string()),
                Err(_) if rp.is_empty() => {
                    failed.get_or_insert(format!("default retention policy not set for: {db}"));
                }
                Err(rejection) => {
                    failed.get_or_insert(rejection.to_string());
                }
            }
            measurement.database = Some(db);
        });
        match failed {
            Some(text) => Err(StatementError::Wrong(text)),
            None => Ok(select),
        }
    }

    /// Runs everything below the cut. Subqueries are whole queries of their own, so this calls itself.
    fn partials<'a>(
        self: &'a Arc<Self>,
        plan: &'a Arc<SelectPlan>,
        context: &'a QueryContext,
        query: &'a Query,
    ) -> Pin<Box<dyn Future<Output = Result<Partials, StatementError>> + Send + 'a>> {
        Box::pin(async move {
            let mut subqueries = Vec::with_capacity(plan.subqueries.len());
            for subquery in &plan.subqueries {
                let subquery = Arc::new(subquery.clone());
                let partials = self.partials(&subquery, context, query).await?;
                let (finishing, mut collecting) = (query.budget(), query.budget());
                let collect = move || {
                    let pieces = exec::finish(&subquery, partials, Box::new(finishing))?;
                    SubqueryRows::collect(&subquery, pieces, &mut collecting)
                };
                let rows =
                    self.env.blocking(collect).await.map_err(|error| StatementError::Wrong(error.to_string()))?;
                subqueries.push(Arc::new(rows));
            }
            let mut outputs = Vec::with_capacity(plan.outputs.len());
            for output in &plan.outputs {
                let mut parts = Vec::new();
                for input in &output.inputs {
                    match input {
                        Input::Shards { database, retention_policy, plan } => {
                            parts.extend(self.select_shards(database, retention_policy, plan, context, query).await?);
                        }
                        Input::Subquery { index, plan: below } => {
                            let (rows, below) = (Arc::clone(&subqueries[*index]), below.clone());
                            let mut budget = query.budget();
                            let work = move || exec::run_subquery(&below, &rows, &mut budget);
                            let partial = self.env.blocking(work).await;
                            parts.push(partial.map_err(|error| StatementError::Wrong(error.to_string()))?);
                        }
                    }
                }
                outputs.push(parts);
            }
            Ok(outputs)
        })
    }

    /// Runs the lower half of one output on an owner of every shard in range.
    async fn select_shards(
        self: &Arc<Self>,
        db: &str,
        rp: &str,
        plan: &ShardPlan,
        context: &QueryContext,
        query: &Query,
    ) -> Result<Vec<Partial>, StatementError> {
        let range: TimeRange = plan.range;
        let shards = self.shards(db, rp, range, context);
        let encoded = Bytes::from(plan.encode());
        let plan = Arc::new(plan.clone());
        let gathered = self
            .gather(&shards, context, |ask| {
                let (plan, encoded) = (Arc::clone(&plan), encoded.clone());
                async move { self.select_at(ask, &plan, encoded, query).await }
            })
            .await?;
        Ok(gathered.answers)
    }

    async fn select_at(
        &self,
        ask: Ask,
        plan: &Arc<ShardPlan>,
        encoded: Bytes,
        query: &Query,
    ) -> Result<Partial, AskError> {
        if ask.node == self.peers.me() {
            let Some(local) = &self.local else { return Err(AskError::Node("no shards here".to_owned())) };
            let partial = question::select(&self.env, local, &ask.shards, plan, ask.accept_behind, query).await;
            return partial.map_err(|error| error.to_ask_error());
        }
        let request = v1::SelectRequest {
            header: self.peers.header(),
            shards: ask.shards.iter().map(|shard| shard.0).collect(),
            plan: encoded,
            accept_behind: ask.accept_behind,
        };
        let bytes = self.peers.select(ask.node, self.remote_read_timeout(), request).await.map_err(ask_error)?;
        let decoded = self.env.blocking(move || Partial::decode(&bytes)).await;
        decoded.map_err(|error| AskError::Node(format!("node {}: {error}", ask.node)))
    }

    /// Makes the answer, off the async threads, as fast as it is taken.
    fn finish(
        &self,
        plan: Arc<SelectPlan>,
        partials: Partials,
        query: &Query,
    ) -> tokio::sync::mpsc::Receiver<Result<Piece, StatementError>> {
        let budget = query.budget();
        self.env.produce(PIECES_WAITING_MAX, move |emit| {
            let wrong = |error: exec::ExecError| StatementError::Wrong(error.to_string());
            let pieces = match exec::finish(&plan, partials, Box::new(budget)) {
                Ok(pieces) => pieces,
                Err(error) => {
                    emit(Err(wrong(error)));
                    return;
                }
            };
            for piece in pieces {
                if !emit(piece.map_err(wrong)) {
                    return;
                }
            }
        })
    }
}

/// Names that the reference keeps for itself cannot be read from.
fn check_source(source: &Source) -> Result<(), StatementError> {
    let Source::Measurement(Measurement { name: MeasurementName::Name(name), .. }) = source else { return Ok(()) };
    let instead = match name.as_str() {
        "_fieldKeys" => "SHOW FIELD KEYS",
        "_measurements" => "SHOW MEASUREMENTS",
        "_series" => "SHOW SERIES",
        "_tagKeys" => "SHOW TAG KEYS",
        "_tags" => "SHOW TAG VALUES",
        "_name" | "_tagKey" => "the appropriate meta command",
        _ => return Ok(()),
    };
    Err(StatementError::Wrong(format!("unable to use system source '{name}': use {instead} instead")))
}
