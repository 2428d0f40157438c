//! Planning a `SELECT`, in two calls with the coordinator's I/O between them.
//!
//! ```text
//! statement ─▶ analyse ─▶ Analysis ─▶ needs ─▶ (coordinator asks shards) ─▶ Catalog ─▶ Analysis::plan ─▶ SelectPlan
//! ```

use influxql::ast::{Expr, MeasurementName, SelectStatement, Source};
use model::{TimeRange, Timestamp};

use crate::build::{Surroundings, build};
use crate::compile::{Compiled, CompiledSource, PlanContext, compile};
use crate::error::PlanError;
use crate::resolve::{Resolved, ResolvedSource, resolve};
use crate::schema::Catalog;
use crate::select_plan::SelectPlan;
use crate::window::Window;

/// A statement that has been checked as far as is possible without its schema.
#[derive(Clone, Debug)]
pub struct Analysis {
    statement: SelectStatement,
    compiled: Compiled,
    select_buckets_max: u64,
}

/// One thing of which the schema is needed.
#[derive(Clone, Debug, PartialEq)]
pub struct Need {
    /// The database.
    pub database: String,
    /// The retention policy.
    pub retention_policy: String,
    /// The measurement, or a pattern of those.
    pub name: MeasurementName,
    /// The shards of this time count.
    pub range: TimeRange,
}

/// Checks a statement in which every measurement has its database and retention policy.
///
/// # Errors
/// Everything that is wrong whatever the schema is.
pub fn analyse(statement: &SelectStatement, context: &PlanContext) -> Result<Analysis, PlanError> {
    let compiled = compile(statement, context)?;
    Ok(Analysis { statement: statement.clone(), compiled, select_buckets_max: context.select_buckets_max })
}

/// Checks and plans at once, for those who have the schema.
///
/// # Errors
/// As [`analyse`] and [`Analysis::plan`].
pub fn plan_select(
    statement: &SelectStatement,
    context: &PlanContext,
    catalog: &Catalog,
) -> Result<SelectPlan, PlanError> {
    analyse(statement, context)?.plan(catalog)
}

impl Analysis {
    /// The measurements that the statement and its subqueries read, in the order of the text; each as often as it occurs.
    /// None where the time range is empty.
    pub fn needs(&self) -> Vec<Need> {
        let mut needs = Vec::new();
        collect_needs(&self.compiled, None, &mut needs);
        needs
    }

    /// Plans with the schema of what is needed. Measurements that the catalog does not know give no rows.
    ///
    /// # Errors
    /// Types that do not fit, wildcards where they may not be, too many windows.
    pub fn plan(&self, catalog: &Catalog) -> Result<SelectPlan, PlanError> {
        self.check_buckets()?;
        build(&resolve(&self.compiled, catalog)?, &Surroundings::default())
    }

    /// The statement with wildcards written out, types as casts, and no time in its conditions: the label that
    /// `EXPLAIN ANALYZE` gives it.
    ///
    /// # Errors
    /// As [`Analysis::plan`], for wildcards.
    pub fn typed_statement(&self, catalog: &Catalog) -> Result<SelectStatement, PlanError> {
        Ok(with_types(&self.statement, &resolve(&self.compiled, catalog)?))
    }

    /// How `GROUP BY time` cuts, if it does. The schedule of a continuous query follows it.
    pub fn window(&self) -> Option<Window> {
        self.compiled.window()
    }

    /// Whether the statement computes something of many rows: only such statements make continuous queries.
    pub fn is_aggregate(&self) -> bool {
        self.compiled.has_calls
    }

    fn check_buckets(&self) -> Result<(), PlanError> {
        let most = self.select_buckets_max;
        let (Some(window), Some(range)) = (self.compiled.window(), self.compiled.bounds.range()) else { return Ok(()) };
        if most == 0 || !self.compiled.has_calls || range.start() == Timestamp::MIN {
            return Ok(());
        }
        let first = window.start(range.start()).0;
        let last = window.start(Timestamp(range.end().0 - 1)).0;
        let count = (i128::from(last) - i128::from(first)) / i128::from(window.interval_ns()) + 1;
        if count > i128::from(most) {
            return Err(PlanError::new(format!("max-select-buckets limit exceeded: ({count}/{most})")));
        }
        Ok(())
    }
}

fn with_types(statement: &SelectStatement, resolved: &Resolved<'_>) -> SelectStatement {
    let mut typed = statement.clone();
    typed.fields.clone_from(&resolved.fields);
    typed.condition.clone_from(&resolved.condition);
    typed.dimensions.retain(|dimension| matches!(dimension.without_parens(), Expr::Call(_)));
    typed.dimensions.extend(resolved.group_by.iter().map(|tag| Expr::var(tag.as_str())));
    for (source, known) in typed.sources.iter_mut().zip(&resolved.sources) {
        if let (Source::Subquery(inner), ResolvedSource::Subquery(known)) = (source, known) {
            **inner = with_types(inner, known);
        }
    }
    typed
}

fn collect_needs(compiled: &Compiled, within: Option<TimeRange>, needs: &mut Vec<Need>) {
    let Some(range) = compiled.read_range(within) else { return };
    for source in &compiled.sources {
        match source {
            CompiledSource::Measurement(measurement) => needs.push(Need {
                database: measurement.database.clone().unwrap_or_default(),
                retention_policy: measurement.retention_policy.clone().unwrap_or_default(),
                name: measurement.name.clone(),
                range,
            }),
            CompiledSource::Subquery(inner) => collect_needs(inner, Some(range), needs),
        }
    }
}
