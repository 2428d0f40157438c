//! Which values occur, how often, and where first: for `distinct`, `mode` and `count(distinct)`.

use std::collections::HashMap;

use model::{ColumnData, FieldType, FieldValue};
use plan::Direction;

use super::{Rule, State};
use crate::bytes::{DecodeError, Reader, Writer};

/// A value as a key of a map: the bits of a number, or the bytes of a text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Word(u64),
    Text(Box<[u8]>),
}

/// How often a value occurs, and where.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Occurrence {
    pub(crate) count: u64,
    pub(crate) time_first: i64,
    pub(crate) time_last: i64,
}

/// Every value of a window and its occurrences.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tally {
    field_type: FieldType,
    values: HashMap<Key, Occurrence>,
}

impl Default for Tally {
    fn default() -> Tally {
        Tally { field_type: FieldType::Float, values: HashMap::new() }
    }
}

impl Tally {
    /// Counts the values of `data` at `positions`.
    pub(crate) fn add(&mut self, data: &ColumnData, times: &[i64], positions: impl Iterator<Item = usize>) {
        self.field_type = data.field_type();
        for index in positions {
            let key = match data {
                ColumnData::Float(values) => float_key(values[index]),
                ColumnData::Integer(values) => Key::Word(values[index] as u64),
                ColumnData::Unsigned(values) => Key::Word(values[index]),
                ColumnData::Boolean(values) => Key::Word(u64::from(values[index])),
                ColumnData::String(values) => Key::Text(values.get(index).into()),
            };
            self.count(key, times[index], times[index], 1);
        }
    }

    fn count(&mut self, key: Key, time_first: i64, time_last: i64, count: u64) {
        let known = self.values.entry(key).or_insert(Occurrence { count: 0, time_first, time_last });
        known.count = known.count.saturating_add(count);
        known.time_first = known.time_first.min(time_first);
        known.time_last = known.time_last.max(time_last);
    }

    /// How many values there are.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// The values in the order of their first occurrence, of one time the smaller first. If rows descend: of their last, backwards, which is how the
    /// reference orders the values that it met in that direction, turned round.
    pub(crate) fn by_occurrence(self, direction: Direction) -> Vec<FieldValue> {
        let mut values = self.entries();
        match direction {
            Direction::Ascending => values.sort_by_key(|entry| entry.1.time_first),
            Direction::Descending => values.sort_by_key(|entry| !entry.1.time_last),
        }
        values.into_iter().map(|(value, _)| value).collect()
    }

    /// The most frequent value; `None` when there are none.
    ///
    /// Of equally frequent ones, going up by value, a later one wins if its first point is not later than the last
    /// point of the winner so far; if nothing repeats it is the smallest; true wins over false.
    pub(crate) fn mode(self) -> Option<FieldValue> {
        let is_boolean = self.field_type == FieldType::Boolean;
        let mut values = self.entries().into_iter();
        let (mut winner, mut best) = values.next()?;
        for (value, occurrence) in values {
            let ties = occurrence.count == best.count;
            let wins = if is_boolean {
                occurrence.count >= best.count
            } else {
                occurrence.count > 1
                    && (occurrence.count > best.count || ties && occurrence.time_first <= best.time_last)
            };
            if wins {
                (winner, best) = (value, occurrence);
            }
        }
        Some(winner)
    }

    /// The values, ascending.
    fn entries(self) -> Vec<(FieldValue, Occurrence)> {
        let field_type = self.field_type;
        let value = |(key, occurrence): (Key, Occurrence)| (value_of(field_type, key), occurrence);
        let mut entries: Vec<_> = self.values.into_iter().map(value).collect();
        entries.sort_by(|a, b| super::selected::compare_values(&a.0, &b.0));
        entries
    }
}

fn float_key(value: f64) -> Key {
    // Both zeros are one value.
    Key::Word(if value == 0.0 { 0 } else { value.to_bits() })
}

fn value_of(field_type: FieldType, key: Key) -> FieldValue {
    match (field_type, key) {
        (FieldType::String, Key::Text(text)) => FieldValue::String(text.into_vec()),
        (FieldType::Integer, Key::Word(word)) => FieldValue::Integer(word as i64),
        (FieldType::Unsigned, Key::Word(word)) => FieldValue::Unsigned(word),
        (FieldType::Boolean, Key::Word(word)) => FieldValue::Boolean(word != 0),
        (_, Key::Word(word)) => FieldValue::Float(f64::from_bits(word)),
        (_, Key::Text(text)) => FieldValue::String(text.into_vec()),
    }
}

impl State for Tally {
    fn merge(&mut self, other: Tally, _: Rule) {
        self.field_type = other.field_type;
        for (key, seen) in other.values {
            self.count(key, seen.time_first, seen.time_last, seen.count);
        }
    }

    fn encode(&self, out: &mut Writer) {
        out.u8(self.field_type as u8);
        out.count(self.values.len());
        // Sorted, so that equal states have equal bytes.
        for (value, seen) in self.clone().entries() {
            out.value(&value);
            out.u64(seen.count);
            out.i64(seen.time_first);
            out.i64(seen.time_last);
        }
    }

    fn decode(input: &mut Reader<'_>, rule: Rule) -> Result<Tally, DecodeError> {
        let mut tally = Tally { field_type: input.field_type()?, values: HashMap::new() };
        for _ in 0..input.count()? {
            let value = input.value()?;
            if value.field_type() != tally.field_type {
                return Err(DecodeError("values of two types"));
            }
            let key = match value {
                FieldValue::Float(value) => float_key(value),
                FieldValue::Integer(value) => Key::Word(value as u64),
                FieldValue::Unsigned(value) => Key::Word(value),
                FieldValue::Boolean(value) => Key::Word(u64::from(value)),
                FieldValue::String(value) => Key::Text(value.into()),
            };
            let count = u64::decode(input, rule)?;
            tally.count(key, input.i64()?, input.i64()?, count);
        }
        if tally.values.is_empty() {
            return Err(DecodeError("a window without points"));
        }
        Ok(tally)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(values: &[(i64, i64)]) -> Tally {
        let mut tally = Tally::default();
        let times: Vec<i64> = values.iter().map(|pair| pair.0).collect();
        let data = ColumnData::Integer(values.iter().map(|pair| pair.1).collect());
        tally.add(&data, &times, 0..values.len());
        tally
    }

    #[test]
    fn values_are_listed_as_they_appeared() {
        let seen = tally(&[(1, 5), (2, 3), (3, 5), (4, 1)]);
        assert_eq!(seen.len(), 3);
        let values = [5, 3, 1].map(FieldValue::Integer);
        assert_eq!(seen.clone().by_occurrence(Direction::Ascending), values);
        assert_eq!(seen.by_occurrence(Direction::Descending), [1, 5, 3].map(FieldValue::Integer));
    }

    #[test]
    fn the_most_frequent_value_is_the_mode() {
        assert_eq!(Tally::default().mode(), None);
        assert_eq!(tally(&[(1, 5), (2, 3), (3, 5)]).mode(), Some(FieldValue::Integer(5)));
        assert_eq!(tally(&[(1, 5), (2, 3), (3, 4)]).mode(), Some(FieldValue::Integer(3)));
        // 5 appeared before the last 3, 9 only after the last 5.
        let ties = tally(&[(1, 5), (2, 3), (3, 3), (4, 5), (5, 9), (6, 9)]);
        assert_eq!(ties.mode(), Some(FieldValue::Integer(5)));
    }

    #[test]
    fn a_tie_of_booleans_is_true() {
        let mut seen = Tally::default();
        let data = ColumnData::Boolean(vec![true, false]);
        seen.add(&data, &[1, 2], 0..2);
        assert_eq!(seen.mode(), Some(FieldValue::Boolean(true)));
    }

    #[test]
    fn both_zeros_are_one_value() {
        let mut seen = Tally::default();
        seen.add(&ColumnData::Float(vec![0.0, -0.0]), &[1, 2], 0..2);
        assert_eq!(seen.len(), 1);
    }
}
