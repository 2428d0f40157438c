//! A whole `SELECT`: the parts below the cut, and the part above it.

use influxql::ast::TargetName;

use crate::finish_plan::FinishPlan;
use crate::shard_plan::ShardPlan;

/// The plan of a `SELECT`.
#[derive(Clone, Debug)]
pub struct SelectPlan {
    /// One for each measurement that can have an answer, by name, ascending. May be empty: then the answer is.
    pub outputs: Vec<OutputPlan>,
    /// What is made of their parts.
    pub finish: FinishPlan,
    /// The subqueries of `FROM`, each to be run once.
    pub subqueries: Vec<SelectPlan>,
    /// Where `INTO` writes the answer.
    pub target: Option<TargetPlan>,
}

/// The sources of one measurement of the answer.
#[derive(Clone, Debug)]
pub struct OutputPlan {
    /// Name of the series in the answer.
    pub name: String,
    /// Merged with each other; at least one. All have the same group keys, window, and work but for the indexes of
    /// columns.
    pub inputs: Vec<Input>,
}

/// Something that gives rows.
#[derive(Clone, Debug)]
pub enum Input {
    /// The shards of a retention policy in the range of the plan.
    Shards {
        /// The database.
        database: String,
        /// The retention policy.
        retention_policy: String,
        /// What they do.
        plan: ShardPlan,
    },
    /// The rows of a subquery, of those series whose name is the measurement of the plan.
    ///
    /// A field column is the first output column of the subquery that has its name (names are not distinct here), or
    /// null; a tag column is a tag of its series, as are the tags of tests and groups. Every row of the subquery is a
    /// row for [`Work::Rows`](crate::Work::Rows), in the order in which the subquery gives it (not merged by time) and
    /// whatever its time: windows begin before the range, predictions lie after it. Calls see all rows too; only where
    /// calls have different ranges, a call does not see rows in windows before the first (descending: after the last)
    /// of its range. A call may read a tag column; it then sees strings.
    Subquery {
        /// Index into [`SelectPlan::subqueries`].
        index: usize,
        /// What is made of its rows.
        plan: ShardPlan,
    },
}

/// Where `INTO` writes.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetPlan {
    /// The database, if the statement names one.
    pub database: Option<String>,
    /// The retention policy, if the statement names one.
    pub retention_policy: Option<String>,
    /// The measurement.
    pub name: TargetName,
    /// Output columns that become tags of the points: the extra arguments of `top` and `bottom`. They are indexes into
    /// [`FinishPlan::columns`].
    pub tag_columns: Vec<usize>,
}

impl SelectPlan {
    /// Calls `visit` with every plan for shards, those of subqueries included.
    pub fn for_each_shard_plan(&self, visit: &mut impl FnMut(&ShardPlan)) {
        for input in self.outputs.iter().flat_map(|output| &output.inputs) {
            if let Input::Shards { plan, .. } = input {
                visit(plan);
            }
        }
        for subquery in &self.subqueries {
            subquery.for_each_shard_plan(visit);
        }
    }
}
