//! Below the cut: the rows of a source to a partial result.
//!
//! Series are read one after another, group by group. Every batch is handled as a whole: the condition becomes a mask, the
//! times are cut into windows, and each call folds the rows of each window into its state with one kernel.

mod accumulate;
mod calls;
pub(crate) mod cut;
mod rows;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Column, FieldValue, Tags};
use plan::{ColumnKind, ShardPlan, Work};
use stdx::Bitmap;

use crate::columns;
use crate::error::{Budget, ExecError};
use crate::evaluate::{Inputs, Truth, Vector, join_bits, truth};
use crate::partial::{GroupKey, Partial};
use crate::source::{FieldRequest, RowBatch, Source, SourceSeries};

/// Runs `plan` over the rows of `source`.
///
/// # Errors
/// Those of the source, and the refusals of the budget.
pub fn run_shard(plan: &ShardPlan, source: &dyn Source, budget: &mut dyn Budget) -> Result<Partial, ExecError> {
    run(plan, source, Rows::Stored, budget)
}

/// As [`run_shard`], but hands the partial result to `emit` in pieces of about `piece_bytes`, so that a large one need not
/// be whole in memory before it is sent. There may be none. Together the pieces say what one partial result would.
///
/// # Errors
/// Those of the source and of `emit`, and the refusals of the budget.
pub fn run_shard_in_pieces(
    plan: &ShardPlan,
    source: &dyn Source,
    budget: &mut dyn Budget,
    piece_bytes: usize,
    emit: &mut dyn FnMut(Partial) -> Result<(), ExecError>,
) -> Result<(), ExecError> {
    let reader = Reader::new(plan, source, Rows::Stored);
    run_groups(&reader, budget, piece_bytes, emit)
}

/// Where the rows of a source come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rows<'a> {
    /// From a shard. A row in which no field that the work reads has a value is none.
    Stored,
    /// From a subquery. Every one counts, and some lie outside the range of the plan. A series without one of these tags
    /// has it with an empty value.
    OfSubquery { tags: &'a [Vec<u8>] },
}

/// As [`run_shard`].
pub(crate) fn run(
    plan: &ShardPlan,
    source: &dyn Source,
    rows: Rows<'_>,
    budget: &mut dyn Budget,
) -> Result<Partial, ExecError> {
    let mut whole = Partial::default();
    let reader = Reader::new(plan, source, rows);
    run_groups(&reader, budget, usize::MAX, &mut |partial| {
        whole = partial;
        Ok(())
    })?;
    Ok(whole)
}

fn run_groups(
    reader: &Reader<'_>,
    budget: &mut dyn Budget,
    piece_bytes: usize,
    emit: &mut dyn FnMut(Partial) -> Result<(), ExecError>,
) -> Result<(), ExecError> {
    let mut partial = Partial::default();
    let mut bytes = 0;
    for (key, series) in groups(reader.plan, reader.source)? {
        // Rows of a group may be split between pieces after any series, states of calls only after the group.
        let parts: Vec<&[SourceSeries]> = match &reader.plan.work {
            Work::Rows { .. } if piece_bytes < usize::MAX => series.chunks(1).collect(),
            _ => vec![&series],
        };
        for part in parts {
            let (body, grown) = match &reader.plan.work {
                Work::Rows { columns, limit } => rows::read(reader, part, columns, *limit, budget)?,
                Work::Calls(calls) => calls::read(reader, part, calls, budget)?,
            };
            let Some(body) = body else { continue };
            let group_bytes = key.len() * 32 + 128;
            budget.grow(group_bytes).map_err(ExecError::Refused)?;
            bytes += grown + group_bytes;
            partial.add(key.clone(), body)?;
            if bytes >= piece_bytes {
                emit(std::mem::take(&mut partial))?;
                bytes = 0;
            }
        }
    }
    if partial.is_empty() { Ok(()) } else { emit(partial) }
}

/// The series of the plan by group, those of a group in order of their keys.
fn groups(plan: &ShardPlan, source: &dyn Source) -> Result<BTreeMap<GroupKey, Vec<SourceSeries>>, ExecError> {
    let mut groups: BTreeMap<GroupKey, Vec<SourceSeries>> = BTreeMap::new();
    for series in source.series(&plan.measurement, &plan.series)? {
        let value = |tag: &Vec<u8>| Arc::<[u8]>::from(series.tags.get(tag));
        let key: GroupKey = plan.group_by.iter().map(value).collect();
        groups.entry(key).or_default().push(series);
    }
    Ok(groups)
}

/// What is the same for all series of a plan.
struct Reader<'a> {
    plan: &'a ShardPlan,
    source: &'a dyn Source,
    /// The fields among the columns.
    requests: Vec<FieldRequest>,
    rows: Rows<'a>,
}

/// The columns of a batch, those that are tags included.
struct Batch {
    times: Vec<i64>,
    /// By index of [`ShardPlan::columns`].
    vectors: Vec<Vector<'static>>,
    /// The rows that pass the condition.
    passing: Truth,
}

impl<'a> Reader<'a> {
    fn new(plan: &'a ShardPlan, source: &'a dyn Source, rows: Rows<'a>) -> Reader<'a> {
        let request = |column: &plan::Column| match column.kind {
            ColumnKind::Field(field_type) => Some(FieldRequest { name: column.name.clone(), field_type }),
            ColumnKind::Tag => None,
        };
        Reader { plan, source, requests: plan.columns.iter().filter_map(request).collect(), rows }
    }

    /// The position among the requested fields of a column that is a field.
    fn request_index(&self, column: usize) -> usize {
        self.plan.columns[..column].iter().filter(|other| other.kind != ColumnKind::Tag).count()
    }

    /// A tag as the value of a column; null where it is missing.
    fn tag(&self, tags: &Tags, name: &[u8]) -> Option<Vec<u8>> {
        let value = tags.get(name);
        let is_known = matches!(self.rows, Rows::OfSubquery { tags } if tags.iter().any(|tag| tag == name));
        (is_known || !value.is_empty()).then(|| value.to_vec())
    }

    /// Gives the columns of a batch their types, adds the tags, and evaluates the condition.
    fn prepare(&self, batch: RowBatch, tags: &Tags) -> Result<Batch, ExecError> {
        let len = batch.times.len();
        if batch.columns.len() != self.requests.len() || batch.columns.iter().any(|column| column.len() != len) {
            return Err(ExecError::Mismatch("a batch with other columns than requested"));
        }
        let mut fields = batch.columns.into_iter();
        let vector = |column: &plan::Column| match column.kind {
            ColumnKind::Field(field_type) => {
                let stored = fields.next().expect("as many as were requested");
                Vector::Column(Cow::Owned(columns::convert(stored, field_type)))
            }
            ColumnKind::Tag => Vector::Constant(self.tag(tags, &column.name).map(FieldValue::String)),
        };
        let vectors: Vec<Vector<'static>> = self.plan.columns.iter().map(vector).collect();
        let passing = match &self.plan.condition {
            None => Truth::All,
            Some(condition) => truth(condition, Inputs { len, vectors: &vectors, tags: Some(tags) }),
        };
        Ok(Batch { times: batch.times, vectors, passing })
    }
}

impl Batch {
    /// A column of fields as it is; a column of tags spelled out.
    fn column(&self, index: usize) -> Cow<'_, Column> {
        match &self.vectors[index] {
            Vector::Column(column) => Cow::Borrowed(column),
            Vector::Constant(value) => Cow::Owned(spell_out(value.as_ref(), self.times.len())),
        }
    }
}

fn spell_out(value: Option<&FieldValue>, len: usize) -> Column {
    let Some(value) = value else { return columns::nulls(model::FieldType::String, len) };
    let mut column = Column::new(value.field_type());
    (0..len).for_each(|_| column.push(value));
    column
}

/// The rows in which one of the columns has a value.
fn any_valid<'a>(columns: impl Iterator<Item = &'a Column>) -> Truth {
    let mut any: Option<Bitmap> = None;
    for column in columns {
        let Some(bits) = column.validity() else { return Truth::All };
        any = Some(match any {
            None => bits.clone(),
            Some(any) => join_bits(&any, bits, |a, b| a | b),
        });
    }
    any.map_or(Truth::None, Truth::Some)
}
