//! The first half of planning: what can be said of a statement without knowing any schema.
//!
//! Folds constants, takes the time out of the condition, checks functions and their arguments, dimensions, and what may
//! stand beside what. The checks come in the order of the reference, so that of several mistakes the same one is told.
//!
//! Not here: whether names exist and of which types they are. See `resolve`.

mod call;
mod dimension;

use influxql::ast::{BinaryOp, Direction, Expr, Field, Fill, Literal, Measurement, SelectStatement, Source, Target};
use model::{TimeRange, Timestamp};

use crate::error::PlanError;
use crate::expr::MathFunction;
use crate::fold::{Constants, fold};
use crate::time_bounds::{Bounds, split_time};
use crate::window::{Window, Zone};

/// What planning needs to know besides the statement.
#[derive(Clone, Debug)]
pub struct PlanContext {
    /// What `now()` is.
    pub now: Timestamp,
    /// The zone of `tz('Local')`; `None` for UTC.
    pub local_zone: Option<Zone>,
    /// Most windows of `GROUP BY time` for a series; 0 for no limit.
    pub select_buckets_max: u64,
}

/// `GROUP BY time(...)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interval {
    /// Negative ones are accepted and cut nothing.
    pub(crate) length_ns: i64,
    pub(crate) offset_ns: i64,
}

/// A checked statement.
#[derive(Clone, Debug)]
pub(crate) struct Compiled {
    /// The select list without `time`, folded.
    pub(crate) fields: Vec<Field>,
    /// Name of the time column.
    pub(crate) time_column: String,
    pub(crate) sources: Vec<CompiledSource>,
    /// The condition without time.
    pub(crate) condition: Option<Expr>,
    /// Its own; a subquery reads only what the statement around it lets it, too.
    pub(crate) bounds: Bounds,
    pub(crate) interval: Option<Interval>,
    /// The `GROUP BY` list without time: names, wildcards and patterns.
    pub(crate) dimensions: Vec<Expr>,
    pub(crate) fill: Fill,
    pub(crate) direction: Direction,
    pub(crate) limit: u64,
    pub(crate) offset: u64,
    pub(crate) slimit: u64,
    pub(crate) soffset: u64,
    pub(crate) zone: Option<Zone>,
    pub(crate) target: Option<Target>,
    /// Whether a call other than of a function of numbers occurs.
    pub(crate) has_calls: bool,
    /// Whether a transformation wants a window before the first.
    pub(crate) wants_warmup: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum CompiledSource {
    Measurement(Measurement),
    Subquery(Box<Compiled>),
}

impl Compiled {
    /// The range that is read, `within` that of the statement around this one: with a window more if a transformation
    /// wants it. `None` when it is empty.
    pub(crate) fn read_range(&self, within: Option<TimeRange>) -> Option<TimeRange> {
        let own = self.bounds.range()?;
        let own = within.map_or(Some(own), |within| own.intersect(within))?;
        let warmup = self.window().filter(|_| self.wants_warmup);
        Some(warmup.map_or(own, |window| extended(own, window.interval_ns(), self.direction)))
    }

    /// The window, if the interval cuts anything.
    pub(crate) fn window(&self) -> Option<Window> {
        self.interval.and_then(|interval| Window::new(interval.length_ns, interval.offset_ns, self.zone.clone()))
    }
}

/// What a subquery takes over from the statement around it.
struct Parent {
    interval: Option<Interval>,
    direction: Direction,
}

/// Compiles a statement and its subqueries.
pub(crate) fn compile(statement: &SelectStatement, context: &PlanContext) -> Result<Compiled, PlanError> {
    compile_nested(statement, context, None)
}

fn compile_nested(
    statement: &SelectStatement,
    context: &PlanContext,
    parent: Option<&Parent>,
) -> Result<Compiled, PlanError> {
    let zone = zone_of(statement, context)?;
    let constants = Constants { now: Some(context.now.0), zone: zone.as_ref(), math: false };
    let (condition, mut bounds) = split_time(statement.condition.as_ref(), &constants)?;
    if let Some(condition) = &condition {
        check_calls_in_condition(condition)?;
    }
    let (mut interval, dimensions) = dimension::compile_dimensions(&statement.dimensions, &constants)?;
    if interval.is_some() && bounds.last.is_none() {
        bounds.last = Some(context.now.0);
    }
    let mut fill = statement.fill;
    let mut inherited = false;
    if let Some(parent) = parent {
        if statement.order_by.is_some() && statement.direction() != parent.direction {
            return Err(PlanError::new("subqueries must be ordered in the same direction as the query itself"));
        }
        if interval.is_some() && fill == Fill::Null {
            fill = Fill::None;
        }
        if interval.is_none() && parent.interval.is_some() {
            (interval, inherited) = (parent.interval, true);
        }
    }
    let direction = parent.map_or(statement.direction(), |parent| parent.direction);
    let mut checker = Checker::new(statement, interval, inherited);
    let fields = checker.compile_fields(&statement.fields)?;
    checker.check_together(&fields, fill)?;

    let own = Parent { interval, direction };
    let sources = statement.sources.iter().map(|source| match source {
        Source::Measurement(measurement) => Ok(CompiledSource::Measurement(measurement.clone())),
        Source::Subquery(inner) => {
            compile_nested(inner, context, Some(&own)).map(|inner| CompiledSource::Subquery(Box::new(inner)))
        }
    });
    let sources = sources.collect::<Result<Vec<_>, PlanError>>()?;
    let target = statement.target.clone().filter(|_| parent.is_none());
    // Null would not be written; an inherited window fills nothing either.
    if fill == Fill::Null && (target.is_some() || inherited) {
        fill = Fill::None;
    }
    Ok(Compiled {
        fields,
        time_column: checker.time_column.unwrap_or_else(|| "time".to_owned()),
        sources,
        condition,
        bounds,
        interval,
        dimensions,
        fill,
        direction,
        limit: statement.limit,
        offset: statement.offset,
        slimit: statement.slimit,
        soffset: statement.soffset,
        zone,
        target,
        has_calls: checker.call_count > 0,
        wants_warmup: checker.wants_warmup,
    })
}

fn zone_of(statement: &SelectStatement, context: &PlanContext) -> Result<Option<Zone>, PlanError> {
    match statement.tz.as_deref() {
        None | Some("" | "UTC") => Ok(None),
        Some("Local") => Ok(context.local_zone.clone()),
        Some(name) => {
            Zone::get(name).map(Some).ok_or_else(|| PlanError::new(format!("unable to find time zone {name}")))
        }
    }
}

/// Only functions of numbers may stand in a condition.
pub(crate) fn check_calls_in_condition(condition: &Expr) -> Result<(), PlanError> {
    if let Expr::Call(call) = condition {
        let Some(function) = MathFunction::from_name(&call.name) else {
            return Err(PlanError::new(format!("invalid function call in condition: {condition}")));
        };
        check_count(&call.name, call.args.len(), function.arity())?;
    }
    condition.children().try_for_each(check_calls_in_condition)
}

/// The message for a wrong number of arguments.
fn check_count(name: &str, got: usize, want: usize) -> Result<(), PlanError> {
    if got == want {
        return Ok(());
    }
    Err(PlanError::new(format!("invalid number of arguments for {name}, expected {want}, got {got}")))
}

/// Walks the select list and remembers what matters for the list as a whole.
struct Checker {
    interval: Option<Interval>,
    inherited: bool,
    limit: u64,
    time_column: Option<String>,
    call_count: usize,
    top_or_bottom: Option<String>,
    has_distinct: bool,
    has_plain_fields: bool,
    only_selectors: bool,
    wants_warmup: bool,
    /// Whether a wildcard may stand here: not below a binary operator.
    wildcard_allowed: bool,
}

impl Checker {
    fn new(statement: &SelectStatement, interval: Option<Interval>, inherited: bool) -> Checker {
        Checker {
            interval,
            inherited,
            limit: statement.limit,
            time_column: None,
            call_count: 0,
            top_or_bottom: None,
            has_distinct: false,
            has_plain_fields: false,
            only_selectors: true,
            wants_warmup: false,
            wildcard_allowed: true,
        }
    }

    fn compile_fields(&mut self, list: &[Field]) -> Result<Vec<Field>, PlanError> {
        let constants = Constants { math: true, ..Constants::default() };
        let mut fields = Vec::with_capacity(list.len());
        for field in list {
            if matches!(&field.expr, Expr::VarRef(var) if var.name == "time") {
                self.time_column = field.alias.clone().or(self.time_column.take());
                continue;
            }
            let expr = fold(&field.expr, &constants)?;
            self.wildcard_allowed = true;
            self.check_expr(&expr)?;
            fields.push(Field { expr: distinct_as_call(expr), alias: field.alias.clone() });
        }
        Ok(fields)
    }

    fn check_expr(&mut self, expr: &Expr) -> Result<(), PlanError> {
        match expr {
            Expr::VarRef(_) => {
                self.has_plain_fields = true;
                Ok(())
            }
            Expr::Wildcard(_) => {
                self.has_plain_fields = true;
                self.refuse_unless(self.wildcard_allowed, "unable to use wildcard in a binary expression")
            }
            Expr::Literal(Literal::Regex(_)) => {
                self.has_plain_fields = true;
                self.refuse_unless(self.wildcard_allowed, "unable to use regex in a binary expression")
            }
            Expr::Literal(_) => Err(PlanError::new("field must contain at least one variable")),
            Expr::Paren(inner) => self.check_expr(inner),
            Expr::Binary(binary) => {
                self.wildcard_allowed = false;
                match (&binary.lhs, &binary.rhs) {
                    (Expr::Literal(_), Expr::Literal(_)) => {
                        Err(PlanError::new("cannot perform a binary expression on two literals"))
                    }
                    (Expr::Literal(_), side) | (side, Expr::Literal(_)) => self.check_expr(side),
                    (lhs, rhs) => {
                        self.check_expr(lhs)?;
                        self.check_expr(rhs)
                    }
                }?;
                refuse_comparison(binary.op)
            }
            Expr::Distinct(name) => {
                self.call_count += 1;
                self.check_distinct(&[Expr::var(name.as_str())], false)
            }
            Expr::Call(call) => match MathFunction::from_name(&call.name) {
                Some(function) => {
                    check_count(&call.name, call.args.len(), function.arity())?;
                    let variable = call.args.iter().filter(|arg| !matches!(arg, Expr::Literal(_)));
                    variable.into_iter().try_for_each(|arg| self.check_expr(arg))
                }
                None => self.check_call(call),
            },
        }
    }

    fn refuse_unless(&self, allowed: bool, text: &str) -> Result<(), PlanError> {
        if allowed { Ok(()) } else { Err(PlanError::new(text)) }
    }

    /// What the fields mean for each other.
    fn check_together(&self, fields: &[Field], fill: Fill) -> Result<(), PlanError> {
        let refuse = |text: &str| Err(PlanError::new(text));
        if fields.is_empty() {
            return refuse("at least 1 non-time field must be queried");
        }
        if let Some(name) = self.top_or_bottom.as_ref().filter(|_| self.call_count > 1) {
            return Err(cannot_be_combined(name));
        }
        if self.call_count == 0 {
            match fill {
                Fill::None => return refuse("fill(none) must be used with a function"),
                Fill::Linear => return refuse("fill(linear) must be used with a function"),
                _ if self.interval.is_some() && !self.inherited => {
                    return refuse("GROUP BY requires at least one aggregate function");
                }
                _ => {}
            }
        }
        if self.has_distinct && (self.call_count != 1 || self.has_plain_fields) {
            return refuse("aggregate function distinct() cannot be combined with other functions or fields");
        }
        if self.has_plain_fields && !self.only_selectors {
            return refuse("mixing aggregate and non-aggregate queries is not supported");
        }
        if self.has_plain_fields && self.call_count > 1 {
            return refuse("mixing multiple selector functions with tags or fields is not supported");
        }
        Ok(())
    }
}

fn cannot_be_combined(name: &str) -> PlanError {
    PlanError::new(format!("selector function {name}() cannot be combined with other functions"))
}

/// The parser refuses comparisons in a select list; a tree from elsewhere may have one.
fn refuse_comparison(op: BinaryOp) -> Result<(), PlanError> {
    if op.is_arithmetic() {
        return Ok(());
    }
    let op = op.as_str();
    Err(PlanError::new(format!("invalid operator {op} in SELECT clause; operator is intended for WHERE clause")))
}

/// `DISTINCT v` as `distinct(v)`, at the top of a field and inside of calls.
fn distinct_as_call(expr: Expr) -> Expr {
    influxql::visit::rewrite_expr(expr, &mut |expr| match expr {
        Expr::Distinct(name) => Expr::call("distinct", vec![Expr::var(name)]),
        other => other,
    })
}

/// A range and one window more, at the end where the rows begin. No bound stays no bound.
pub(crate) fn extended(range: TimeRange, window_ns: i64, direction: Direction) -> TimeRange {
    let (mut start, mut end) = (range.start(), range.end());
    match direction {
        Direction::Ascending => start = Timestamp(start.0.saturating_sub(window_ns)).max(Timestamp::MIN),
        Direction::Descending => end = Timestamp(end.0.saturating_add(window_ns)),
    }
    TimeRange::new(start, end).unwrap_or(range)
}
