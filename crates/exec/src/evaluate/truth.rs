//! Expressions to the rows for which they are true.

use model::{ColumnData, FieldType, FieldValue, Pattern};
use plan::{Expr, Node, Operator};
use stdx::Bitmap;

use super::vector::type_of;
use super::{Inputs, Lane, Truth, Vector, tag_test, vector};

/// The rows for which `expr`, a boolean, is true; null is not.
pub(crate) fn truth(expr: &Expr, inputs: Inputs<'_>) -> Truth {
    match expr.node() {
        Node::Literal(FieldValue::Boolean(value)) => Truth::of(*value),
        Node::TagTest { .. } => Truth::of(tag_test(expr, inputs)),
        Node::Binary { operator: Operator::And, lhs, rhs } => match truth(lhs, inputs) {
            Truth::None => Truth::None,
            left => left.and(truth(rhs, inputs)),
        },
        Node::Binary { operator: Operator::Or, lhs, rhs } => match truth(lhs, inputs) {
            Truth::All => Truth::All,
            left => left.or(truth(rhs, inputs)),
        },
        Node::Binary { operator, lhs, rhs } if operator.is_comparison() => {
            let (lhs, rhs) = (vector(lhs, inputs), vector(rhs, inputs));
            if lhs.is_null() || rhs.is_null() {
                return Truth::None;
            }
            compare(*operator, &lhs, &rhs, inputs.len).and_valid(lhs.validity()).and_valid(rhs.validity())
        }
        Node::Match { negated, pattern, value } => {
            let value = vector(value, inputs);
            if value.is_null() {
                return Truth::None;
            }
            matches(pattern, *negated, &value, inputs.len).and_valid(value.validity())
        }
        _ => is_true(&vector(expr, inputs)),
    }
}

fn is_true(value: &Vector<'_>) -> Truth {
    match value {
        Vector::Constant(value) => Truth::of(*value == Some(FieldValue::Boolean(true))),
        Vector::Column(column) => match column.data() {
            ColumnData::Boolean(values) => {
                Truth::Some(pack(Lane::Slice(values), Lane::One(true), values.len(), |a, b| a == b))
                    .and_valid(column.validity())
            }
            _ => Truth::None,
        },
    }
}

/// Compares two values of one type, or an integer and an unsigned integer. Says nothing about rows without a value.
pub(super) fn compare(operator: Operator, lhs: &Vector<'_>, rhs: &Vector<'_>, len: usize) -> Truth {
    if let (Vector::Constant(Some(_)), Vector::Constant(Some(_))) = (lhs, rhs)
        && len > 1
    {
        // One row stands for all.
        return match compare(operator, lhs, rhs, 1) {
            Truth::Some(bits) => Truth::of(bits.get(0)),
            whole => whole,
        };
    }
    match (type_of(lhs), type_of(rhs)) {
        (Some(FieldType::Float), Some(FieldType::Float)) => ordered(operator, lhs.floats(), rhs.floats(), len),
        (Some(FieldType::Integer), Some(FieldType::Integer)) => ordered(operator, lhs.integers(), rhs.integers(), len),
        (Some(FieldType::Unsigned), Some(FieldType::Unsigned)) => {
            ordered(operator, lhs.unsigned(), rhs.unsigned(), len)
        }
        (Some(FieldType::Integer), Some(FieldType::Unsigned)) => {
            mixed(operator, lhs.integers(), rhs.unsigned(), len, |a, b| i128::from(a).cmp(&i128::from(b)))
        }
        (Some(FieldType::Unsigned), Some(FieldType::Integer)) => {
            mixed(operator, lhs.unsigned(), rhs.integers(), len, |a, b| i128::from(a).cmp(&i128::from(b)))
        }
        (Some(FieldType::Boolean), Some(FieldType::Boolean)) => ordered(operator, lhs.booleans(), rhs.booleans(), len),
        (Some(FieldType::String), Some(FieldType::String)) => strings(operator, lhs, rhs, len),
        _ => Truth::None,
    }
}

fn ordered<T: Copy + PartialOrd>(operator: Operator, a: Lane<'_, T>, b: Lane<'_, T>, len: usize) -> Truth {
    Truth::Some(match operator {
        Operator::Eq => pack(a, b, len, |a, b| a == b),
        Operator::NotEq => pack(a, b, len, |a, b| a != b),
        Operator::Lt => pack(a, b, len, |a, b| a < b),
        Operator::LtEq => pack(a, b, len, |a, b| a <= b),
        Operator::Gt => pack(a, b, len, |a, b| a > b),
        _ => pack(a, b, len, |a, b| a >= b),
    })
}

fn mixed<T: Copy, U: Copy>(
    operator: Operator,
    a: Lane<'_, T>,
    b: Lane<'_, U>,
    len: usize,
    order: impl Fn(T, U) -> std::cmp::Ordering,
) -> Truth {
    let mut bits = Bitmap::new();
    for index in 0..len {
        let order = order(a.get(index), b.get(index));
        bits.push(match operator {
            Operator::Eq => order.is_eq(),
            Operator::NotEq => order.is_ne(),
            Operator::Lt => order.is_lt(),
            Operator::LtEq => order.is_le(),
            Operator::Gt => order.is_gt(),
            _ => order.is_ge(),
        });
    }
    Truth::Some(bits)
}

fn strings(operator: Operator, lhs: &Vector<'_>, rhs: &Vector<'_>, len: usize) -> Truth {
    let wanted = operator == Operator::Eq;
    let mut bits = Bitmap::new();
    (0..len).for_each(|index| bits.push((lhs.text(index) == rhs.text(index)) == wanted));
    Truth::Some(bits)
}

fn matches(pattern: &Pattern, negated: bool, value: &Vector<'_>, len: usize) -> Truth {
    if let Vector::Constant(_) = value {
        return Truth::of(pattern.is_match(value.text(0)) != negated);
    }
    let mut bits = Bitmap::new();
    // Strings of consecutive rows are often the same.
    let mut last: Option<(&[u8], bool)> = None;
    for index in 0..len {
        let text = value.text(index);
        let found = match last {
            Some((known, found)) if known == text => found,
            _ => pattern.is_match(text),
        };
        last = Some((text, found));
        bits.push(found != negated);
    }
    Truth::Some(bits)
}

/// A bit for each row for which `test` holds.
fn pack<T: Copy>(a: Lane<'_, T>, b: Lane<'_, T>, len: usize, test: impl Fn(T, T) -> bool) -> Bitmap {
    let mut words = Vec::with_capacity(len.div_ceil(64));
    let mut base = 0;
    while base < len {
        let count = (len - base).min(64);
        let mut flags = [0u8; 64];
        match (a, b) {
            (Lane::Slice(a), Lane::Slice(b)) => {
                let pairs = a[base..base + count].iter().zip(&b[base..base + count]);
                flags.iter_mut().zip(pairs).for_each(|(flag, (a, b))| *flag = u8::from(test(*a, *b)));
            }
            (Lane::Slice(a), Lane::One(b)) => {
                flags.iter_mut().zip(&a[base..base + count]).for_each(|(flag, a)| *flag = u8::from(test(*a, b)));
            }
            (Lane::One(a), Lane::Slice(b)) => {
                flags.iter_mut().zip(&b[base..base + count]).for_each(|(flag, b)| *flag = u8::from(test(a, *b)));
            }
            (Lane::One(a), Lane::One(b)) => flags[..count].fill(u8::from(test(a, b))),
        }
        words.push(pack_flags(&flags));
        base += count;
    }
    Bitmap::from_words(words, len).expect("a word for every 64 rows")
}

/// Sixty-four bytes of 0 or 1 as one word, the first lowest.
fn pack_flags(flags: &[u8; 64]) -> u64 {
    let (eights, _) = flags.as_chunks::<8>();
    eights.iter().rev().fold(0, |word, eight| {
        // The product gathers the lowest bits of the eight bytes in its highest byte.
        let byte = u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        word << 8 | byte
    })
}
