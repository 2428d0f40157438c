//! Rows of inputs to rows of the answer: what stands for absent inputs, the output expressions, and the cells.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use influxql::ast::FillNumber;
use model::result::{Rows, Series, Value};
use model::{Column, ColumnData, FieldType, FieldValue, Timestamp};
use plan::expr::cast_constant;
use plan::{Absent, Expr, FinishPlan, Node};

use crate::error::ExecError;
use crate::evaluate::{Inputs, Vector, vector};
use crate::partial::GroupKey;

/// Some rows of inputs.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) times: Vec<i64>,
    pub(super) inputs: Vec<InputColumn>,
}

/// One input of the output expressions.
#[derive(Clone, Debug)]
pub(super) enum InputColumn {
    /// The values of a field or of a stream.
    Column(Column),
    /// The values of a tag, shared by the rows of a series.
    Tags(Vec<Option<Arc<str>>>),
}

impl Block {
    pub(super) fn len(&self) -> usize {
        self.times.len()
    }
}

/// Makes the rows of one series of the answer.
pub(super) struct Output<'a> {
    plan: &'a FinishPlan,
    /// Without rows.
    head: Series,
    /// The value that each input had last, for `fill(previous)`.
    last: Vec<Last>,
}

/// See [`Output::last`].
#[derive(Clone, Debug, Default)]
enum Last {
    #[default]
    None,
    Value(FieldValue),
    Tag(Arc<str>),
}

impl<'a> Output<'a> {
    pub(super) fn new(plan: &'a FinishPlan, name: &str, key: &GroupKey) -> Output<'a> {
        let text = |value: &Arc<[u8]>| String::from_utf8_lossy(value).into_owned();
        let tags = plan.group_by.iter().zip(key.iter()).map(|(tag, value)| (tag.clone(), text(value))).collect();
        let columns: Vec<String> =
            std::iter::once(&plan.time_column).chain(plan.columns.iter().map(|column| &column.name)).cloned().collect();
        let rows = Rows::new(columns.len());
        Output { plan, head: Series { name: name.to_owned(), tags, columns, rows }, last: Vec::new() }
    }

    /// The rows of `block` that lie in `range`, as a piece of the series.
    pub(super) fn rows(&mut self, mut block: Block, range: Range<usize>) -> Result<Series, ExecError> {
        self.replace_absent(&mut block.inputs);
        let len = block.len();
        let spelled: Vec<Vector<'_>> = block.inputs.iter().map(as_vector).collect();
        let inputs = Inputs { len, vectors: &spelled, tags: None };
        let mut cells: Vec<Cells<'_>> = Vec::with_capacity(self.plan.columns.len());
        for column in &self.plan.columns {
            cells.push(self.cells(&column.expr, &block.inputs, inputs)?);
        }
        let width = self.head.columns.len();
        let mut values = Vec::with_capacity(range.len() * width);
        for row in range {
            values.push(self.time(block.times[row]));
            values.extend(cells.iter_mut().map(|cells| cells.get(row)));
        }
        let rows = Rows::from_cells(width, values);
        Ok(Series {
            rows,
            name: self.head.name.clone(),
            tags: self.head.tags.clone(),
            columns: self.head.columns.clone(),
        })
    }

    fn time(&self, ns: i64) -> Value {
        let offset = self.plan.zone.as_ref().map_or(0, |zone| zone.offset_seconds(Timestamp(ns)));
        Value::Time { ns, offset }
    }

    /// Puts a number or the previous value in the place of inputs that are null.
    fn replace_absent(&mut self, inputs: &mut [InputColumn]) {
        match self.plan.absent {
            Absent::Null => {}
            Absent::Number(number) => {
                for input in inputs {
                    let InputColumn::Column(column) = input else { continue };
                    if let Some(value) = number_as(number, column.field_type()).filter(|_| column.validity().is_some())
                    {
                        *column = replaced(column, |_| Some(value.clone()));
                    }
                }
            }
            Absent::Previous => {
                self.last.resize_with(inputs.len(), Last::default);
                self.last.iter_mut().zip(inputs).for_each(|(last, input)| repeat_last(last, input));
            }
        }
    }

    /// The cells of one column of the answer.
    fn cells<'b>(&self, expr: &Expr, columns: &'b [InputColumn], inputs: Inputs<'b>) -> Result<Cells<'b>, ExecError> {
        let absent = match self.plan.absent {
            Absent::Number(FillNumber::Integer(number)) => Value::Integer(number),
            Absent::Number(FillNumber::Float(number)) => Value::Float(number),
            Absent::Null | Absent::Previous => Value::Null,
        };
        if let Node::Input(index) = expr.node() {
            return match columns.get(*index) {
                Some(InputColumn::Tags(values)) => Ok(Cells::Tags(values, absent)),
                Some(InputColumn::Column(column)) => Ok(Cells::of(Cow::Borrowed(column), absent)),
                None => Err(ExecError::Mismatch("an input that the plan does not have")),
            };
        }
        Ok(match vector(expr, inputs) {
            Vector::Constant(value) => Cells::Same(value.map_or(Value::Null, |value| cell(&value))),
            Vector::Column(column) => Cells::of(column, Value::Null),
        })
    }
}

/// The cells of one column of the answer, by row.
enum Cells<'a> {
    Same(Value),
    /// The value in the place of null comes last.
    Tags(&'a [Option<Arc<str>>], Value),
    Column {
        column: Cow<'a, Column>,
        absent: Value,
        /// The text that was made last: consecutive rows often have the same.
        text: Option<(usize, Arc<str>)>,
    },
}

impl<'a> Cells<'a> {
    fn of(column: Cow<'a, Column>, absent: Value) -> Cells<'a> {
        Cells::Column { column, absent, text: None }
    }

    fn get(&mut self, row: usize) -> Value {
        match self {
            Cells::Same(value) => value.clone(),
            Cells::Tags(values, absent) => values[row].clone().map_or_else(|| absent.clone(), Value::String),
            Cells::Column { column, absent, text } => {
                if !column.is_valid(row) {
                    return absent.clone();
                }
                match column.data() {
                    ColumnData::Float(values) => float(values[row]),
                    ColumnData::Integer(values) => Value::Integer(values[row]),
                    ColumnData::Unsigned(values) => Value::Unsigned(values[row]),
                    ColumnData::Boolean(values) => Value::Boolean(values[row]),
                    ColumnData::String(values) => {
                        let bytes = values.get(row);
                        if let Some((known, text)) = text
                            && values.get(*known) == bytes
                        {
                            return Value::String(Arc::clone(text));
                        }
                        let made: Arc<str> = String::from_utf8_lossy(bytes).into();
                        *text = Some((row, Arc::clone(&made)));
                        Value::String(made)
                    }
                }
            }
        }
    }
}

/// What is not a finite number is null in an answer.
fn float(value: f64) -> Value {
    if value.is_finite() { Value::Float(value) } else { Value::Null }
}

fn cell(value: &FieldValue) -> Value {
    match value {
        FieldValue::Float(value) => float(*value),
        FieldValue::Integer(value) => Value::Integer(*value),
        FieldValue::Unsigned(value) => Value::Unsigned(*value),
        FieldValue::Boolean(value) => Value::Boolean(*value),
        FieldValue::String(value) => Value::text(String::from_utf8_lossy(value)),
    }
}

/// The number of `fill(N)` in a column of this type; `None` where it does not fit into the column.
pub(super) fn number_as(number: FillNumber, field_type: FieldType) -> Option<FieldValue> {
    let number = match number {
        FillNumber::Integer(number) => FieldValue::Integer(number),
        FillNumber::Float(number) => FieldValue::Float(number),
    };
    cast_constant(&number, field_type)
}

/// The column with `value` where it has none.
fn replaced(column: &Column, mut value: impl FnMut(usize) -> Option<FieldValue>) -> Column {
    let mut out = Column::new(column.field_type());
    for index in 0..column.len() {
        match value(index).filter(|_| !column.is_valid(index)) {
            Some(value) => out.push(&value),
            None => out.push_from(column, index),
        }
    }
    out
}

fn repeat_last(last: &mut Last, input: &mut InputColumn) {
    match input {
        InputColumn::Column(column) => {
            if column.validity().is_some() {
                let mut known = if let Last::Value(value) = &*last { Some(value.clone()) } else { None };
                let source = column.clone();
                *column = replaced(&source, |index| {
                    if let Some(value) = source.get(index) {
                        known = Some(value);
                    }
                    known.clone()
                });
            }
            if let Some(value) = column.len().checked_sub(1).and_then(|index| column.get(index)) {
                *last = Last::Value(value);
            }
        }
        InputColumn::Tags(values) => {
            for value in values {
                match value {
                    Some(text) => *last = Last::Tag(Arc::clone(text)),
                    None => {
                        if let Last::Tag(text) = &*last {
                            *value = Some(Arc::clone(text));
                        }
                    }
                }
            }
        }
    }
}

/// An input as operand of an expression. Tags are never operands, only cells.
fn as_vector(input: &InputColumn) -> Vector<'_> {
    match input {
        InputColumn::Column(column) => Vector::Column(Cow::Borrowed(column)),
        InputColumn::Tags(_) => Vector::Constant(None),
    }
}
