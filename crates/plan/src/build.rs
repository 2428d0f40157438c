//! The last step of planning: a resolved statement becomes shard plans and a finish plan.
//!
//! The select list decides columns, calls and streams, once for all sources. Each source then adds what is its own: how
//! the columns are read there, and the condition.

mod chain;
mod columns;
mod stream;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use influxql::ast::{DataType, Expr as Ast, Field, Fill as AstFill, VarRef};
use model::{TagFilter, TimeRange};

use crate::condition::{Split, split};
use crate::error::PlanError;
use crate::expr::{EXPR_HEIGHT_MAX, Expr, MathFunction};
use crate::finish_plan::{Absent, FinishPlan, OutputColumn, Stream};
use crate::operand::{Division, arithmetic, constant, math};
use crate::output::type_of;
use crate::resolve::{
    MeasurementSource, Resolved, ResolvedSource, column_names, extra_columns, field_name, field_type,
};
use crate::select_plan::{Input, OutputPlan, SelectPlan, TargetPlan};
use crate::shard_plan::{Column, PartialCall, ShardPlan, Work};
use crate::window::Window;

use columns::{ConditionNames, Origin, WantedColumn, WantedKind};

/// What a subquery takes over from the statements around it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Surroundings {
    /// Tags that they group by.
    group_by: BTreeSet<String>,
    /// What the outermost statement reads; nobody reads anything outside of it.
    clip: Option<TimeRange>,
    /// What the next statement reads.
    within: Option<TimeRange>,
    is_subquery: bool,
}

/// Plans a resolved statement and its subqueries.
pub(crate) fn build(resolved: &Resolved<'_>, around: &Surroundings) -> Result<SelectPlan, PlanError> {
    let mut builder = Builder::new(resolved, around);
    let columns = builder.output_columns()?;
    let work = builder.work();
    let mut subqueries = Vec::new();
    let mut outputs: BTreeMap<Vec<u8>, Vec<Input>> = BTreeMap::new();
    for source in &resolved.sources {
        match source {
            ResolvedSource::Measurements(measurements) => {
                for (measurement, plan) in builder.shard_plans(measurements, work.as_ref())? {
                    outputs.entry(measurement.name.to_vec()).or_default().push(Input::Shards {
                        database: measurement.database.to_owned(),
                        retention_policy: measurement.retention_policy.to_owned(),
                        plan,
                    });
                }
            }
            ResolvedSource::Subquery(inner) => {
                let mut inner_plan = build(inner, &builder.surroundings(work.as_ref()))?;
                let names: Vec<String> = inner_plan.outputs.iter().map(|output| output.name.clone()).collect();
                let plans = builder.subquery_plans(inner, names, work.as_ref())?;
                // Nobody wants the rows of the others.
                inner_plan.outputs.retain(|output| plans.iter().any(|(name, _)| *name == output.name));
                for (name, plan) in plans {
                    let input = Input::Subquery { index: subqueries.len(), plan };
                    outputs.entry(name.into_bytes()).or_default().push(input);
                }
                subqueries.push(inner_plan);
            }
        }
    }
    let output = |(name, inputs): (Vec<u8>, Vec<Input>)| OutputPlan {
        name: String::from_utf8_lossy(&name).into_owned(),
        inputs,
    };
    let outputs = outputs.into_iter().map(output).collect();
    let target = builder.target_plan(columns.len());
    Ok(SelectPlan { outputs, finish: builder.finish_plan(columns), subqueries, target })
}

struct Builder<'a> {
    resolved: &'a Resolved<'a>,
    is_subquery: bool,
    window: Option<Window>,
    /// The range of the statement; `None` when it is empty.
    range: Option<TimeRange>,
    clip: TimeRange,
    /// Tag and its raw key, by raw key.
    group_by: Vec<(Vec<u8>, String)>,
    /// Tags by which `top` and `bottom` tell points apart.
    by: BTreeSet<String>,
    /// Columns of the work.
    columns: Vec<WantedColumn>,
    column_indexes: HashMap<WantedColumn, usize>,
    /// Columns that stand in the select list by themselves, as indexes.
    plain: Vec<usize>,
    plain_positions: HashMap<usize, usize>,
    calls: Vec<PartialCall>,
    streams: Vec<Stream>,
    /// Each different call of the select list, by its text, with its stream; `None` for one that can have no results.
    seen: HashMap<String, Option<usize>>,
    /// The first call that does not take its argument. Told only when all types are known to fit otherwise.
    unsupported: Option<PlanError>,
    /// How many of the output columns, at their end, `INTO` writes as tags.
    tag_column_count: usize,
}

impl<'a> Builder<'a> {
    fn new(resolved: &'a Resolved<'a>, around: &Surroundings) -> Builder<'a> {
        let compiled = resolved.compiled;
        let window = compiled.window();
        let range = compiled.bounds.range();
        let range = match around.within {
            Some(within) => range.and_then(|range| range.intersect(within)),
            None => range,
        };
        let clip = around.clip.or_else(|| compiled.read_range(None)).unwrap_or(TimeRange::ALL);
        let tags = resolved.group_by.iter().chain(&around.group_by);
        let mut group_by: Vec<_> = tags.map(|tag| (resolved.scope.raw(tag), tag.clone())).collect();
        group_by.sort();
        group_by.dedup();
        Builder {
            resolved,
            is_subquery: around.is_subquery,
            window,
            range,
            clip,
            group_by,
            by: BTreeSet::new(),
            columns: Vec::new(),
            column_indexes: HashMap::new(),
            plain: Vec::new(),
            plain_positions: HashMap::new(),
            calls: Vec::new(),
            streams: Vec::new(),
            seen: HashMap::new(),
            unsupported: None,
            tag_column_count: 0,
        }
    }

    fn surroundings(&self, work: Option<&Work>) -> Surroundings {
        let tags = self.group_by.iter().map(|(_, tag)| tag).chain(&self.by);
        Surroundings {
            group_by: tags.cloned().collect(),
            clip: Some(self.clip),
            within: work.and_then(|work| self.read_range(work)).or(self.range),
            is_subquery: true,
        }
    }

    /// From the first instant that any call reads to the last.
    fn read_range(&self, work: &Work) -> Option<TimeRange> {
        let Work::Calls(calls) = work else { return self.range?.intersect(self.clip) };
        let start = calls.iter().map(|call| call.range.start()).min()?;
        let end = calls.iter().map(|call| call.range.end()).max()?;
        TimeRange::new(start, end)
    }

    // Above the cut.

    fn output_columns(&mut self) -> Result<Vec<OutputColumn>, PlanError> {
        let (fields, tag_fields) = self.listed_fields();
        for field in &fields {
            type_of(&field.expr)?;
        }
        // In a subquery a name means the first column that is called so by itself, so there are no numbers.
        let names = if self.is_subquery { fields.iter().map(field_name).collect() } else { column_names(&fields) };
        let mut columns = Vec::with_capacity(fields.len() + tag_fields.len());
        for (field, name) in fields.iter().zip(names) {
            let expr = self.output_expr(&field.expr)?;
            check_height(Some(&expr))?;
            columns.push(OutputColumn { name, expr });
        }
        for field in &tag_fields {
            columns.push(OutputColumn { name: field_name(field), expr: self.output_expr(&field.expr)? });
        }
        self.tag_column_count = tag_fields.len();
        if let Some(error) = self.unsupported.take() {
            return Err(error);
        }
        self.settle_times();
        Ok(columns)
    }

    /// The select list with the extra columns of `top` and `bottom`; those apart if they are to be tags of written
    /// points.
    fn listed_fields(&self) -> (Vec<Field>, Vec<Field>) {
        let (mut fields, mut tag_fields) = (Vec::new(), Vec::new());
        for field in &self.resolved.fields {
            fields.push(field.clone());
            let Ast::Call(call) = &field.expr else { continue };
            let extra = extra_columns(call).map(|var| Field::new(Ast::VarRef(var.clone())));
            if self.resolved.compiled.target.is_some() { tag_fields.extend(extra) } else { fields.extend(extra) }
        }
        (fields, tag_fields)
    }

    fn output_expr(&mut self, expr: &Ast) -> Result<Expr, PlanError> {
        Ok(match expr {
            Ast::VarRef(var) => self.plain_column(var),
            Ast::Literal(literal) => constant(literal),
            Ast::Paren(inner) => self.output_expr(inner)?,
            Ast::Binary(binary) => {
                let lhs = self.output_expr(&binary.lhs)?;
                let rhs = self.output_expr(&binary.rhs)?;
                arithmetic(binary.op, lhs, rhs, Division::Exact)
            }
            Ast::Call(call) => match MathFunction::from_name(&call.name) {
                Some(function) => {
                    let args = call.args.iter().map(|arg| self.output_expr(arg));
                    math(function, args.collect::<Result<Vec<_>, _>>()?)
                }
                None => self.call(call)?,
            },
            Ast::Distinct(_) | Ast::Wildcard(_) => Expr::null(),
        })
    }

    /// A name by itself: a column of the rows, or of the row that a selector picked.
    fn plain_column(&mut self, var: &VarRef) -> Expr {
        let kind = match (field_type(var.cast), var.cast) {
            (Some(kind), _) => WantedKind::Field(kind),
            (None, Some(DataType::Tag)) => WantedKind::Tag,
            _ => return Expr::null(),
        };
        let column = self.column(&var.name, kind);
        let position = *self.plain_positions.entry(column).or_insert_with(|| {
            self.plain.push(column);
            self.plain.len() - 1
        });
        // The results of the one call come before what it sends along.
        let before = usize::from(self.resolved.compiled.has_calls);
        let value_type = field_type(var.cast).unwrap_or(model::FieldType::String);
        Expr::input(before + position, value_type)
    }

    fn column(&mut self, name: &str, kind: WantedKind) -> usize {
        let wanted = WantedColumn { name: name.to_owned(), kind };
        *self.column_indexes.entry(wanted).or_insert_with_key(|wanted| {
            self.columns.push(wanted.clone());
            self.columns.len() - 1
        })
    }

    fn finish_plan(&mut self, columns: Vec<OutputColumn>) -> FinishPlan {
        let compiled = self.resolved.compiled;
        let some = |count: u64| (count > 0).then_some(count);
        FinishPlan {
            time_column: compiled.time_column.clone(),
            columns,
            streams: std::mem::take(&mut self.streams),
            absent: match compiled.fill {
                AstFill::Number(number) => Absent::Number(number),
                AstFill::Previous => Absent::Previous,
                AstFill::Null | AstFill::None | AstFill::Linear => Absent::Null,
            },
            window: self.window.clone(),
            group_by: self.group_by.iter().map(|(_, tag)| tag.clone()).collect(),
            direction: compiled.direction,
            limit: some(compiled.limit),
            offset: compiled.offset,
            slimit: some(compiled.slimit),
            soffset: compiled.soffset,
            zone: compiled.zone.clone(),
        }
    }

    fn target_plan(&self, column_count: usize) -> Option<TargetPlan> {
        let target = self.resolved.compiled.target.as_ref()?;
        Some(TargetPlan {
            database: target.database.clone(),
            retention_policy: target.retention_policy.clone(),
            name: target.name.clone(),
            tag_columns: (column_count - self.tag_column_count..column_count).collect(),
        })
    }

    // Below the cut.

    /// What all sources do; `None` when there can be no answer.
    fn work(&mut self) -> Option<Work> {
        self.range?;
        if self.resolved.compiled.has_calls {
            if self.streams.is_empty() {
                return None;
            }
            if let [call] = self.calls.as_mut_slice() {
                call.auxiliary.clone_from(&self.plain);
            }
            return Some(Work::Calls(std::mem::take(&mut self.calls)));
        }
        if self.plain.is_empty() {
            return None;
        }
        let (limit, offset) = (self.resolved.compiled.limit, self.resolved.compiled.offset);
        let limit = (limit > 0).then(|| limit.saturating_add(offset));
        Some(Work::Rows { columns: self.plain.clone(), limit })
    }

    fn shard_plans<'m>(
        &self,
        measurements: &'m [MeasurementSource<'m>],
        work: Option<&Work>,
    ) -> Result<Vec<(&'m MeasurementSource<'m>, ShardPlan)>, PlanError> {
        let Some(work) = work else { return Ok(Vec::new()) };
        let origin = Origin::Shards(&self.resolved.scope);
        let mut plans = Vec::new();
        let mut shared: Option<Filter> = None;
        for measurement in measurements {
            if !self.reads_something(measurement, work) {
                continue;
            }
            let filter = match shared.take().filter(|filter| !filter.asks_for_measurement) {
                Some(filter) => filter,
                None => self.filter(origin, measurement.name)?,
            };
            plans.extend(self.shard_plan(measurement.name, &filter, work).map(|plan| (measurement, plan)));
            shared = Some(filter);
        }
        Ok(plans)
    }

    fn subquery_plans(
        &self,
        inner: &Resolved<'_>,
        names: Vec<String>,
        work: Option<&Work>,
    ) -> Result<Vec<(String, ShardPlan)>, PlanError> {
        let Some(work) = work else { return Ok(Vec::new()) };
        let mut plans = Vec::new();
        for name in names {
            let filter = self.filter(Origin::Subquery(inner), name.as_bytes())?;
            let plan = self.shard_plan(name.as_bytes(), &filter, work);
            plans.extend(plan.map(|plan| (name, plan)));
        }
        Ok(plans)
    }

    /// Whether a measurement has a field that can give a row. Most of those that `FROM /.*/` finds have none.
    fn reads_something(&self, measurement: &MeasurementSource<'_>, work: &Work) -> bool {
        let is_field = |column: usize| {
            let wanted = &self.columns[column];
            let raw = self.resolved.scope.raw(&wanted.name);
            matches!(wanted.kind, WantedKind::Field(_)) && measurement.schema.field_type(&raw).is_some()
        };
        match work {
            Work::Rows { columns, .. } => columns.iter().any(|column| is_field(*column)),
            Work::Calls(calls) => calls.iter().any(|call| is_field(call.column)),
        }
    }

    fn filter(&self, origin: Origin<'_>, measurement: &[u8]) -> Result<Filter, PlanError> {
        let columns = self.columns.iter().map(|wanted| origin.column(wanted)).collect();
        let mut names = ConditionNames { origin, measurement, columns, asks_for_measurement: false };
        let split = match &self.resolved.condition {
            Some(condition) => split(condition, &mut names)?,
            None => Split { series: TagFilter::All, rows: None },
        };
        check_height(split.rows.as_ref())?;
        let ConditionNames { columns, asks_for_measurement, .. } = names;
        Ok(Filter { split, columns, asks_for_measurement })
    }

    /// `None` when no series can match.
    fn shard_plan(&self, measurement: &[u8], filter: &Filter, work: &Work) -> Option<ShardPlan> {
        if matches!(filter.split.series, TagFilter::None) {
            return None;
        }
        Some(ShardPlan {
            measurement: measurement.to_vec(),
            range: self.read_range(work)?,
            direction: self.resolved.compiled.direction,
            columns: filter.columns.clone(),
            series: filter.split.series.clone(),
            condition: filter.split.rows.clone(),
            group_by: self.group_by.iter().map(|(raw, _)| raw.clone()).collect(),
            window: self.window.clone(),
            work: work.clone(),
        })
    }
}

/// Evaluation and the way over the wire recurse.
fn check_height(expr: Option<&Expr>) -> Result<(), PlanError> {
    match expr {
        Some(expr) if expr.height() > EXPR_HEIGHT_MAX => Err(PlanError::new("expression is nested too deeply")),
        _ => Ok(()),
    }
}

/// The condition as one source sees it.
struct Filter {
    split: Split,
    /// The columns of the work, then those that only the condition reads.
    columns: Vec<Column>,
    /// Whether it is different for another measurement.
    asks_for_measurement: bool,
}
