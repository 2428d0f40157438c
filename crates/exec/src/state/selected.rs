//! The one point that a selector keeps.

use std::cmp::Ordering;
use std::sync::Arc;

use model::FieldValue;

use super::{Rule, State};
use crate::bytes::{DecodeError, Reader, Writer};

/// Which point a selector prefers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pick {
    /// The smallest value; of equal ones the earliest.
    Min,
    /// The largest value; of equal ones the earliest.
    Max,
    /// The earliest; of one time the largest value, but false before true.
    First,
    /// The latest; of one time the largest value.
    Last,
}

/// A point with the series it came from and the other cells of its row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) value: FieldValue,
    pub(crate) time: i64,
    pub(crate) key: Arc<[u8]>,
    pub(crate) aux: Box<[Option<FieldValue>]>,
}

impl Point {
    pub(crate) fn encode(&self, out: &mut Writer) {
        out.value(&self.value);
        out.i64(self.time);
        out.bytes(&self.key);
        out.count(self.aux.len());
        self.aux.iter().for_each(|cell| out.optional_value(cell.as_ref()));
    }

    pub(crate) fn decode(input: &mut Reader<'_>) -> Result<Point, DecodeError> {
        let (value, time, key) = (input.value()?, input.i64()?, input.shared_bytes()?);
        let count = input.count()?;
        let aux = (0..count).map(|_| input.optional_value()).collect::<Result<_, _>>()?;
        Ok(Point { value, time, key, aux })
    }
}

/// The order of two values of one type. Values of different types, which one call never sees, are equal.
pub(crate) fn compare_values(a: &FieldValue, b: &FieldValue) -> Ordering {
    match (a, b) {
        (FieldValue::Float(a), FieldValue::Float(b)) => a.partial_cmp(b).unwrap_or(Ordering::Equal),
        (FieldValue::Integer(a), FieldValue::Integer(b)) => a.cmp(b),
        (FieldValue::Unsigned(a), FieldValue::Unsigned(b)) => a.cmp(b),
        (FieldValue::String(a), FieldValue::String(b)) => a.cmp(b),
        (FieldValue::Boolean(a), FieldValue::Boolean(b)) => a.cmp(b),
        _ => Ordering::Equal,
    }
}

impl Pick {
    /// The order of preference of two points: less means that the first is preferred.
    pub(crate) fn order(self, a: (&FieldValue, i64), b: (&FieldValue, i64)) -> Ordering {
        match self {
            Pick::Min => compare_values(a.0, b.0).then(a.1.cmp(&b.1)),
            Pick::Max => compare_values(b.0, a.0).then(a.1.cmp(&b.1)),
            Pick::First => {
                let larger = compare_values(b.0, a.0);
                a.1.cmp(&b.1).then(if matches!(a.0, FieldValue::Boolean(_)) { larger.reverse() } else { larger })
            }
            Pick::Last => b.1.cmp(&a.1).then(compare_values(b.0, a.0)),
        }
    }

    /// As [`Pick::order`], the series key deciding between equal points.
    pub(crate) fn order_points(self, a: &Point, b: &Point) -> Ordering {
        self.order((&a.value, a.time), (&b.value, b.time)).then_with(|| a.key.cmp(&b.key))
    }

    /// The number of this choice on the wire.
    pub(crate) fn code(self) -> u8 {
        match self {
            Pick::Min => 1,
            Pick::Max => 2,
            Pick::First => 3,
            Pick::Last => 4,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Pick> {
        [Pick::Min, Pick::Max, Pick::First, Pick::Last].into_iter().find(|pick| pick.code() == code)
    }
}

/// The point that a selector keeps of a window.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Selected(pub(crate) Option<Point>);

impl Selected {
    /// Whether a point with this value and time, of the series `key`, is preferred to the one kept so far.
    pub(crate) fn yields_to(&self, pick: Pick, value: &FieldValue, time: i64, key: &[u8]) -> bool {
        let Some(kept) = &self.0 else { return true };
        let order = pick.order((value, time), (&kept.value, kept.time)).then_with(|| key.cmp(&kept.key));
        order == Ordering::Less
    }
}

impl State for Selected {
    fn merge(&mut self, other: Selected, rule: Rule) {
        let Rule::Pick(pick) = rule else { unreachable!("a selector has a preference") };
        let Some(other) = other.0 else { return };
        if self.yields_to(pick, &other.value, other.time, &other.key) {
            self.0 = Some(other);
        }
    }

    fn encode(&self, out: &mut Writer) {
        self.0.as_ref().expect("a window without points is not kept").encode(out);
    }

    fn decode(input: &mut Reader<'_>, _: Rule) -> Result<Selected, DecodeError> {
        Ok(Selected(Some(Point::decode(input)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(value: FieldValue, time: i64, key: &str) -> Point {
        Point { value, time, key: key.as_bytes().into(), aux: Box::default() }
    }

    #[track_caller]
    fn check(pick: Pick, preferred: (FieldValue, i64, &str), other: (FieldValue, i64, &str)) {
        let (a, b) = (point(preferred.0, preferred.1, preferred.2), point(other.0, other.1, other.2));
        assert_eq!(pick.order_points(&a, &b), Ordering::Less);
        for (mut left, right) in
            [(Selected(Some(a.clone())), Selected(Some(b.clone()))), (Selected(Some(b)), Selected(Some(a.clone())))]
        {
            left.merge(right, Rule::Pick(pick));
            assert_eq!(left.0, Some(a.clone()));
        }
    }

    #[test]
    fn equal_extremes_are_the_earliest() {
        let two = || FieldValue::Integer(2);
        check(Pick::Max, (two(), 9, "b"), (FieldValue::Integer(1), 1, "a"));
        check(Pick::Max, (two(), 1, "b"), (two(), 2, "a"));
        check(Pick::Min, (two(), 1, "b"), (two(), 2, "a"));
        check(Pick::Min, (two(), 1, "a"), (two(), 1, "b"));
        check(Pick::Min, (FieldValue::Boolean(false), 9, "b"), (FieldValue::Boolean(true), 1, "a"));
    }

    #[test]
    fn of_one_time_the_larger_value_is_first_and_last() {
        let text = |text: &str| FieldValue::String(text.into());
        check(Pick::First, (text("b"), 1, "b"), (text("a"), 1, "a"));
        check(Pick::Last, (text("b"), 1, "b"), (text("a"), 1, "a"));
        check(Pick::First, (FieldValue::Boolean(false), 1, "b"), (FieldValue::Boolean(true), 1, "a"));
        check(Pick::Last, (FieldValue::Boolean(true), 1, "b"), (FieldValue::Boolean(false), 1, "a"));
        check(Pick::First, (text("a"), 1, "a"), (text("z"), 2, "a"));
        check(Pick::Last, (text("a"), 2, "b"), (text("z"), 1, "a"));
    }
}
