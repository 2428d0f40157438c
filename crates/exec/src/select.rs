//! A whole `SELECT` on one thread: subqueries first, then the shards, then the finish.
//!
//! Whoever runs queries says how the part of a plan below the cut is carried out: over local shards, or by asking other
//! nodes. The rest is here.

use plan::{Input, SelectPlan, ShardPlan};

use crate::error::{Budget, ExecError};
use crate::finish::{Finish, finish};
use crate::partial::Partial;
use crate::subquery::{SubqueryRows, run_subquery};

/// Carries out the part of a plan that runs where the shards are.
pub trait Shards {
    /// The partial results of all shards of a retention policy in the range of the plan.
    ///
    /// # Errors
    /// When a shard cannot be read.
    fn run(&mut self, database: &str, retention_policy: &str, plan: &ShardPlan) -> Result<Vec<Partial>, ExecError>;

    /// A budget for the next part of the query; all draw on the same means.
    fn budget(&self) -> Box<dyn Budget>;
}

/// Runs a `SELECT` and gives the pieces of its answer. `INTO` is up to the caller.
///
/// # Errors
/// Those of the shards and of subqueries. Other errors come when the pieces are taken.
pub fn run_select<'a>(plan: &'a SelectPlan, shards: &mut dyn Shards) -> Result<Finish<'a>, ExecError> {
    let mut subqueries = Vec::with_capacity(plan.subqueries.len());
    for inner in &plan.subqueries {
        let pieces = run_select(inner, shards)?;
        subqueries.push(SubqueryRows::collect(inner, pieces, shards.budget().as_mut())?);
    }
    let mut partials = Vec::with_capacity(plan.outputs.len());
    for output in &plan.outputs {
        let mut parts = Vec::new();
        for input in &output.inputs {
            match input {
                Input::Shards { database, retention_policy, plan } => {
                    parts.extend(shards.run(database, retention_policy, plan)?);
                }
                Input::Subquery { index, plan } => {
                    let rows = subqueries.get(*index).ok_or(ExecError::Mismatch("a subquery that is not there"))?;
                    parts.push(run_subquery(plan, rows, shards.budget().as_mut())?);
                }
            }
        }
        partials.push(parts);
    }
    finish(plan, partials, shards.budget())
}
