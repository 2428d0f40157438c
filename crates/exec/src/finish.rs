//! Above the cut: partial results to the series of the answer.
//!
//! Groups are finished one after another, in the order of the answer. A group of rows is merged by time and leaves in
//! pieces, so that a large answer is never whole in memory twice. A group of calls is finished as a whole: the states of
//! each call become results, the results of each stream are filled and transformed, and the streams are joined by time.

mod fill;
mod integral;
mod join;
mod merge;
mod output;
mod results;
mod track;
mod transform;

use std::collections::btree_map;

use model::FieldType;
use model::result::Series;
use plan::{ColumnKind, Direction, FinishPlan, Input, PartialCall, SelectPlan, ShardPlan, Work};

use crate::error::{Budget, ExecError};
use crate::partial::{Body, GroupKey, Partial};
use join::Joined;
use merge::Merge;
use output::{Block, Output};

/// Most rows in one piece of a series.
pub const PIECE_ROWS_MAX: usize = 4_096;

/// A series of the answer, or a piece of one.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// At least one row.
    pub series: Series,
    /// Whether the next piece has more rows of the same series.
    pub continues: bool,
}

/// Makes the answer of `plan` from the partial results of each of its outputs, in the order of `plan.outputs`.
///
/// # Errors
/// When the partial results of one output are not of one plan. Other errors come when the pieces are taken.
pub fn finish<'a>(
    plan: &'a SelectPlan,
    partials: Vec<Vec<Partial>>,
    budget: Box<dyn Budget + 'a>,
) -> Result<Finish<'a>, ExecError> {
    if partials.len() != plan.outputs.len() {
        return Err(ExecError::Mismatch("partial results of other outputs"));
    }
    let mut outputs = Vec::with_capacity(partials.len());
    for (output, parts) in plan.outputs.iter().zip(partials) {
        let mut whole = Partial::default();
        for part in parts {
            whole.merge(part)?;
        }
        let shard = match output.inputs.first() {
            Some(Input::Shards { plan, .. } | Input::Subquery { plan, .. }) => plan,
            None => return Err(ExecError::Mismatch("an output without inputs")),
        };
        outputs.push(Groups {
            name: &output.name,
            shard,
            as_given: whole.as_given,
            groups: whole.groups.into_iter(),
            counted: 0,
        });
    }
    if plan.finish.direction == Direction::Ascending {
        outputs.reverse();
    }
    Ok(Finish { plan: &plan.finish, budget, waiting: outputs, series: None, ready: None, failed: false })
}

/// The pieces of an answer, in order. After an error there are no more.
pub struct Finish<'a> {
    plan: &'a FinishPlan,
    budget: Box<dyn Budget + 'a>,
    /// The outputs that are not over, the next one last.
    waiting: Vec<Groups<'a>>,
    /// The series that pieces are taken from.
    series: Option<OpenSeries<'a>>,
    /// A piece that leaves when it is known whether another follows.
    ready: Option<Series>,
    failed: bool,
}

/// The groups of one output that are not over.
struct Groups<'a> {
    name: &'a str,
    shard: &'a ShardPlan,
    as_given: bool,
    groups: btree_map::IntoIter<GroupKey, Body>,
    /// Series that had a row, those skipped by SOFFSET included.
    counted: u64,
}

/// A series whose rows are being taken.
struct OpenSeries<'a> {
    output: Output<'a>,
    blocks: Blocks<'a>,
    /// The first block, which was taken to see whether there is one.
    first: Option<Block>,
    skip: u64,
    left: u64,
}

/// Where the rows of a series come from.
enum Blocks<'a> {
    Rows(Box<Merge>),
    Calls(Joined<'a>),
}

impl std::fmt::Debug for Finish<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Finish").field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}

impl Iterator for Finish<'_> {
    type Item = Result<Piece, ExecError>;

    fn next(&mut self) -> Option<Result<Piece, ExecError>> {
        if self.failed {
            return None;
        }
        let next = self.next_piece();
        self.failed = next.is_err();
        next.transpose()
    }
}

impl<'a> Finish<'a> {
    fn next_piece(&mut self) -> Result<Option<Piece>, ExecError> {
        loop {
            let Some(series) = &mut self.series else {
                match self.open_series()? {
                    Some(series) => self.series = Some(series),
                    None => return Ok(None),
                }
                continue;
            };
            match series.next_rows(self.budget.as_mut())? {
                Some(rows) => {
                    if let Some(ready) = self.ready.replace(rows) {
                        return Ok(Some(Piece { series: ready, continues: true }));
                    }
                }
                None => {
                    self.series = None;
                    if let Some(ready) = self.ready.take() {
                        return Ok(Some(Piece { series: ready, continues: false }));
                    }
                }
            }
        }
    }

    /// The next series that has a row and is not cut off by SOFFSET and SLIMIT.
    fn open_series(&mut self) -> Result<Option<OpenSeries<'a>>, ExecError> {
        let plan = self.plan;
        while let Some(groups) = self.waiting.last_mut() {
            let end = plan.slimit.map_or(u64::MAX, |limit| limit.saturating_add(plan.soffset));
            let next = match plan.direction {
                Direction::Ascending => groups.groups.next(),
                Direction::Descending => groups.groups.next_back(),
            };
            let Some((key, body)) = next.filter(|_| groups.counted < end) else {
                self.waiting.pop();
                continue;
            };
            if key.len() != plan.group_by.len() {
                return Err(ExecError::Mismatch("groups of other tags"));
            }
            let mut blocks = open_blocks(plan, groups, body, self.budget.as_mut())?;
            let Some(first) = blocks.next(self.budget.as_mut())? else { continue };
            groups.counted += 1;
            if groups.counted <= plan.soffset {
                continue;
            }
            return Ok(Some(OpenSeries {
                output: Output::new(plan, groups.name, &key),
                blocks,
                first: Some(first),
                skip: plan.offset,
                left: plan.limit.unwrap_or(u64::MAX),
            }));
        }
        Ok(None)
    }
}

fn open_blocks<'a>(
    plan: &'a FinishPlan,
    groups: &Groups<'a>,
    body: Body,
    budget: &mut dyn Budget,
) -> Result<Blocks<'a>, ExecError> {
    match (body, &groups.shard.work) {
        (Body::Rows(rows), Work::Rows { columns, .. }) => {
            let types = column_types(groups.shard, columns)?;
            Ok(Blocks::Rows(Box::new(Merge::new(rows, types, plan.direction, groups.as_given)?)))
        }
        (Body::Calls(states), Work::Calls(calls)) if states.len() == calls.len() => {
            let auxiliary = match calls.as_slice() {
                [only] => column_types(groups.shard, &only.auxiliary)?,
                _ => Vec::new(),
            };
            let inputs = CallInputs { shard: groups.shard, calls, auxiliary, as_given: groups.as_given };
            Ok(Blocks::Calls(Joined::new(plan, &inputs, states, budget)?))
        }
        _ => Err(ExecError::Mismatch("partial results of another kind of work")),
    }
}

/// The calls of a plan, and the types of what they are of.
struct CallInputs<'a> {
    shard: &'a ShardPlan,
    calls: &'a [PartialCall],
    auxiliary: Vec<ColumnType>,
    /// Whether points stay in the order in which they came.
    as_given: bool,
}

/// The type of a column of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ColumnType {
    Field(FieldType),
    Tag,
}

fn column_types(shard: &ShardPlan, columns: &[usize]) -> Result<Vec<ColumnType>, ExecError> {
    let column_type = |index: &usize| match shard.columns.get(*index).map(|column| column.kind) {
        Some(ColumnKind::Field(field_type)) => Ok(ColumnType::Field(field_type)),
        Some(ColumnKind::Tag) => Ok(ColumnType::Tag),
        None => Err(ExecError::Mismatch("a column that the plan does not have")),
    };
    columns.iter().map(column_type).collect()
}

impl Blocks<'_> {
    /// The next rows, at least one.
    fn next(&mut self, budget: &mut dyn Budget) -> Result<Option<Block>, ExecError> {
        let block = match self {
            Blocks::Rows(merge) => merge.next_block(),
            Blocks::Calls(joined) => joined.next_block(),
        };
        if let Some(block) = &block {
            budget.rows(block.len()).map_err(ExecError::Refused)?;
        }
        Ok(block)
    }
}

impl OpenSeries<'_> {
    /// The next rows after OFFSET and before the end of LIMIT, at least one.
    fn next_rows(&mut self, budget: &mut dyn Budget) -> Result<Option<Series>, ExecError> {
        while self.left > 0 {
            let block = match self.first.take() {
                Some(block) => block,
                None => match self.blocks.next(budget)? {
                    Some(block) => block,
                    None => return Ok(None),
                },
            };
            let len = block.len() as u64;
            let skip = self.skip.min(len);
            let take = self.left.min(len - skip);
            self.skip -= skip;
            self.left -= take;
            // The rows that are skipped are looked at too, for they may be what a later one repeats.
            let rows = self.output.rows(block, skip as usize..(skip + take) as usize)?;
            if take > 0 {
                return Ok(Some(rows));
            }
        }
        Ok(None)
    }
}
