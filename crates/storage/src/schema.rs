//! Which rows of a client's batch a shard refuses: those with a field under another type than it has.
//!
//! The first type wins, in the shard or in the rows before. A refused row is refused with all its fields, and fixes no
//! type. A field that already has several types (replicas may bring them) takes each of those.

use std::collections::BTreeMap;

use model::{FieldType, Table};

use crate::error::FieldTypeConflict;
use crate::index::Measurement;

/// Rows of a table that do not fit.
#[derive(Debug, PartialEq)]
pub(crate) struct Refused {
    /// The numbers of the rows that fit.
    pub(crate) kept: Vec<u32>,
    /// Why the first of the others does not.
    pub(crate) reason: FieldTypeConflict,
}

/// Compares a table with what the shard knows of its measurement. `None` when every row fits.
pub(crate) fn check(known: Option<&Measurement>, table: &Table) -> Option<Refused> {
    let types_of = |name: &[u8]| -> Vec<FieldType> { known.map(|m| m.field_types(name).collect()).unwrap_or_default() };
    let mut refusing = Vec::new();
    let mut new_names = BTreeMap::new();
    let mut fight = false;
    for (index, field) in table.columns.iter().enumerate() {
        let types = types_of(&field.name);
        if types.is_empty() {
            fight |= new_names.insert(field.name.as_slice(), index).is_some();
        } else if !types.contains(&field.column.field_type()) {
            refusing.push((index, types[0]));
        }
    }
    if refusing.is_empty() && !fight {
        return None;
    }
    // Row by row: rare, and the order of the rows decides.
    let mut fixed: BTreeMap<&[u8], FieldType> = BTreeMap::new();
    let mut kept = Vec::new();
    let mut reason = None;
    for row in 0..table.row_count() {
        match conflict_of_row(table, row, &refusing, &fixed) {
            Some((column, existing)) => {
                let field = &table.columns[column];
                reason.get_or_insert_with(|| FieldTypeConflict {
                    measurement: table.measurement.clone(),
                    field: field.name.clone(),
                    sent: field.column.field_type(),
                    existing,
                });
            }
            None => {
                kept.push(row as u32);
                for index in new_names_in_row(table, row, &new_names) {
                    let field = &table.columns[index];
                    fixed.insert(&field.name, field.column.field_type());
                }
            }
        }
    }
    Some(Refused { kept, reason: reason? })
}

/// The first column of a row that does not fit, and the type that its field has.
fn conflict_of_row(
    table: &Table,
    row: usize,
    refusing: &[(usize, FieldType)],
    fixed: &BTreeMap<&[u8], FieldType>,
) -> Option<(usize, FieldType)> {
    let against_shard = refusing.iter().copied().find(|(index, _)| table.columns[*index].column.is_valid(row));
    let mut in_row: BTreeMap<&[u8], FieldType> = BTreeMap::new();
    let against_rows = table.columns.iter().enumerate().find_map(|(index, field)| {
        let is_refusing = refusing.iter().any(|(refused, _)| *refused == index);
        if is_refusing || !field.column.is_valid(row) {
            return None;
        }
        let sent = field.column.field_type();
        let existing = fixed.get(field.name.as_slice()).copied();
        let existing = existing.or_else(|| in_row.insert(&field.name, sent)).filter(|existing| *existing != sent);
        existing.map(|existing| (index, existing))
    });
    match (against_shard, against_rows) {
        (Some(a), Some(b)) => Some(if a.0 < b.0 { a } else { b }),
        (a, b) => a.or(b),
    }
}

fn new_names_in_row<'a>(
    table: &'a Table,
    row: usize,
    new_names: &'a BTreeMap<&[u8], usize>,
) -> impl Iterator<Item = usize> + 'a {
    let columns = table.columns.iter().enumerate();
    columns
        .filter(move |(_, field)| new_names.contains_key(field.name.as_slice()) && field.column.is_valid(row))
        .map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::Index;
    use model::{Batch, FieldValue, Tags};

    fn table(rows: &[&[(&str, FieldValue)]]) -> Table {
        let mut batch = Batch::default();
        for (time, fields) in rows.iter().enumerate() {
            let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_bytes(), value.clone())).collect();
            batch.push_point(b"m", &Tags::default(), time as i64, &fields);
        }
        batch.tables.remove(0)
    }

    fn index(fields: &[(&str, FieldType)]) -> Index {
        let mut index = Index::new(1);
        let m = index.add_measurement(b"m");
        fields.iter().for_each(|(name, kind)| {
            index.add_field(m, name.as_bytes(), *kind);
        });
        index
    }

    use FieldValue::{Float, Integer};

    #[test]
    fn a_row_against_the_type_of_the_shard_is_refused_whole() {
        let index = index(&[("v", FieldType::Float)]);
        let table = table(&[&[("v", Float(1.0))], &[("v", Integer(1)), ("w", Float(2.0))], &[("w", Integer(3))]]);
        let refused = check(Some(index.measurement(0)), &table).expect("one row does not fit");
        assert_eq!(refused.kept, [0, 2]);
        assert_eq!(
            refused.reason.to_string(),
            "field type conflict: input field \"v\" on measurement \"m\" is type integer, already exists as type float"
        );
    }

    #[test]
    fn the_first_row_of_a_batch_fixes_the_type() {
        let table = table(&[&[("v", Integer(1))], &[("v", Float(1.0))], &[("v", Integer(2))]]);
        let refused = check(None, &table).expect("one row does not fit");
        assert_eq!(refused.kept, [0, 2]);
        assert_eq!((refused.reason.sent, refused.reason.existing), (FieldType::Float, FieldType::Integer));
    }

    #[test]
    fn a_refused_row_fixes_no_type() {
        let index = index(&[("v", FieldType::Float)]);
        let table = table(&[&[("v", Integer(1)), ("w", Float(2.0))], &[("w", Integer(3))], &[("w", Float(3.0))]]);
        assert_eq!(check(Some(index.measurement(0)), &table).expect("two do not fit").kept, [1]);
    }

    #[test]
    fn fields_with_two_types_take_both() {
        let index = index(&[("v", FieldType::Float), ("v", FieldType::Integer)]);
        assert_eq!(check(Some(index.measurement(0)), &table(&[&[("v", Integer(1))], &[("v", Float(1.0))]])), None);
    }
}
