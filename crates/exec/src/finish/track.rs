//! Values at times, in the order of the answer: what a stream is at each stage.

use model::{Column, FieldType, FieldValue};

use crate::columns;
use crate::error::ExecError;

/// The values of one stream.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Track {
    pub(super) times: Vec<i64>,
    pub(super) values: Column,
    /// The other cells of the rows of the values.
    pub(super) auxiliary: Vec<Column>,
}

impl Track {
    pub(super) fn new(times: Vec<i64>, values: Column) -> Track {
        debug_assert_eq!(times.len(), values.len());
        Track { times, values, auxiliary: Vec::new() }
    }

    pub(super) fn empty(field_type: FieldType) -> Track {
        Track::new(Vec::new(), Column::new(field_type))
    }

    pub(super) fn len(&self) -> usize {
        self.times.len()
    }

    /// Turns the order round.
    pub(super) fn reverse(&mut self) {
        self.times.reverse();
        self.values = columns::reverse(&self.values);
        self.auxiliary = self.auxiliary.iter().map(columns::reverse).collect();
    }
}

/// Appends a cell to a column.
///
/// # Errors
/// When it has another type.
pub(super) fn push_cell(column: &mut Column, cell: Option<&FieldValue>) -> Result<(), ExecError> {
    match cell {
        None => column.pad_to(column.len() + 1),
        Some(value) if value.field_type() == column.field_type() => column.push(value),
        Some(_) => return Err(ExecError::Mismatch("a value of another type")),
    }
    Ok(())
}
