//! Expressions over whole batches: the condition of a query, and the columns of its answer.
//!
//! A value is a column, or a constant that stands for all rows (a literal, a tag). Operators are plain loops over slices;
//! they also compute the places without a value, whose content means nothing, and join the validities word by word.
//!
//! A condition is evaluated to the rows for which it is true. Null is not true, `AND` and `OR` take it for false, and
//! every comparison with it is null, so below a condition only "true or not" matters and is kept, one bit a row.

mod truth;
mod vector;

use std::borrow::Cow;

use model::{Column, ColumnData, FieldValue, Tags};
use plan::{Expr, Node};
use stdx::Bitmap;

use crate::kernel::Mask;

pub(crate) use truth::truth;
pub(crate) use vector::vector;

/// A value for each row.
#[derive(Clone, Debug)]
pub(crate) enum Vector<'a> {
    /// The same in all rows; `None` is null.
    Constant(Option<FieldValue>),
    /// One for each row.
    Column(Cow<'a, Column>),
}

/// What an expression refers to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inputs<'a> {
    /// How many rows there are.
    pub(crate) len: usize,
    /// The inputs by index.
    pub(crate) vectors: &'a [Vector<'a>],
    /// The tags of the series of the rows.
    pub(crate) tags: Option<&'a Tags>,
}

/// For which rows a condition holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Truth {
    /// All of them.
    All,
    /// None of them.
    None,
    /// Those whose bit is set.
    Some(Bitmap),
}

impl Truth {
    fn of(value: bool) -> Truth {
        if value { Truth::All } else { Truth::None }
    }

    /// Both hold.
    pub(crate) fn and(self, other: Truth) -> Truth {
        match (self, other) {
            (Truth::None, _) | (_, Truth::None) => Truth::None,
            (Truth::All, other) | (other, Truth::All) => other,
            (Truth::Some(a), Truth::Some(b)) => Truth::Some(join_bits(&a, &b, |a, b| a & b)),
        }
    }

    /// One holds.
    fn or(self, other: Truth) -> Truth {
        match (self, other) {
            (Truth::All, _) | (_, Truth::All) => Truth::All,
            (Truth::None, other) | (other, Truth::None) => other,
            (Truth::Some(a), Truth::Some(b)) => Truth::Some(join_bits(&a, &b, |a, b| a | b)),
        }
    }

    /// Holds, and the row has a value by `validity`.
    pub(crate) fn and_valid(self, validity: Option<&Bitmap>) -> Truth {
        match validity {
            None => self,
            Some(bits) => match self {
                Truth::None => Truth::None,
                Truth::All => Truth::Some(bits.clone()),
                Truth::Some(mine) => Truth::Some(join_bits(&mine, bits, |a, b| a & b)),
            },
        }
    }

    /// As a mask over the rows; `None` when no row counts.
    pub(crate) fn mask(&self) -> Option<Mask<'_>> {
        match self {
            Truth::All => Some(Mask::of(None)),
            Truth::None => None,
            Truth::Some(bits) => Some(Mask::of(Some(bits))),
        }
    }
}

pub(crate) fn join_bits(a: &Bitmap, b: &Bitmap, join: impl Fn(u64, u64) -> u64) -> Bitmap {
    debug_assert_eq!(a.len(), b.len());
    let words = a.words().iter().zip(b.words()).map(|(a, b)| join(*a, *b)).collect();
    Bitmap::from_words(words, a.len()).expect("as many words as before")
}

/// One value for each row, or one value for all.
#[derive(Clone, Copy, Debug)]
enum Lane<'a, T> {
    Slice(&'a [T]),
    One(T),
}

impl<T: Copy> Lane<'_, T> {
    #[inline]
    fn get(self, index: usize) -> T {
        match self {
            Lane::Slice(values) => values[index],
            Lane::One(value) => value,
        }
    }
}

macro_rules! lane {
    ($name:ident, $kind:ty, $variant:ident) => {
        fn $name(&self) -> Lane<'_, $kind> {
            match self {
                Vector::Constant(Some(FieldValue::$variant(value))) => Lane::One(*value),
                Vector::Column(column) => match column.data() {
                    ColumnData::$variant(values) => Lane::Slice(values),
                    _ => Lane::One(<$kind>::default()),
                },
                Vector::Constant(_) => Lane::One(<$kind>::default()),
            }
        }
    };
}

impl<'a> Vector<'a> {
    lane!(floats, f64, Float);
    lane!(integers, i64, Integer);
    lane!(unsigned, u64, Unsigned);
    lane!(booleans, bool, Boolean);

    /// The string of a row; the row must have one.
    fn text(&self, index: usize) -> &[u8] {
        match self {
            Vector::Constant(Some(FieldValue::String(text))) => text,
            Vector::Column(column) => match column.data() {
                ColumnData::String(values) => values.get(index),
                _ => b"",
            },
            Vector::Constant(_) => b"",
        }
    }

    fn is_null(&self) -> bool {
        matches!(self, Vector::Constant(None))
    }

    /// Which rows have a value; `None` when all have. A constant null has to be asked for with `is_null`.
    fn validity(&self) -> Option<&Bitmap> {
        match self {
            Vector::Constant(_) => None,
            Vector::Column(column) => column.validity(),
        }
    }

    /// The same vector, borrowed.
    pub(crate) fn borrowed(&'a self) -> Vector<'a> {
        match self {
            Vector::Constant(value) => Vector::Constant(value.clone()),
            Vector::Column(column) => Vector::Column(Cow::Borrowed(column)),
        }
    }
}

/// Whether a tag of the series of these rows passes, when `expr` asks that.
fn tag_test(expr: &Expr, inputs: Inputs<'_>) -> bool {
    let Node::TagTest { key, test } = expr.node() else { return false };
    test.accepts(inputs.tags.map_or(b"".as_slice(), |tags| tags.get(key)))
}

#[cfg(test)]
mod tests;
