//! Several points of a window: the best for `top` and `bottom`, some of them for `sample`.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{FieldValue, Tags};

use super::selected::{Pick, Point};
use super::{Rule, State};
use crate::bytes::{DecodeError, Reader, Writer};

/// The best points so far: at most as many as wanted, or the best of each key.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Best {
    /// Sorted, best first.
    Overall(Vec<Point>),
    /// By the values of the tags that the call names, see [`key_of`].
    ByKey(BTreeMap<Box<[u8]>, Point>),
}

impl Default for Best {
    fn default() -> Best {
        Best::Overall(Vec::new())
    }
}

/// The values of the tags `by` of a series, as one key.
pub(crate) fn key_of(tags: &Tags, by: &[Vec<u8>]) -> Box<[u8]> {
    let mut writer = Writer::default();
    by.iter().for_each(|tag| writer.bytes(tags.get(tag)));
    writer.out.into()
}

impl Best {
    /// How many points are kept.
    pub(crate) fn len(&self) -> usize {
        match self {
            Best::Overall(points) => points.len(),
            Best::ByKey(points) => points.len(),
        }
    }

    /// Whether a point with this value and time could be among the best. Used to build only the points that are.
    pub(crate) fn wants(&self, pick: Pick, limit: usize, value: &FieldValue, time: i64, series: &[u8]) -> bool {
        let Best::Overall(points) = self else { return true };
        let Some(worst) = points.last().filter(|_| points.len() >= limit) else { return limit > 0 };
        pick.order((value, time), (&worst.value, worst.time)).then_with(|| series.cmp(&worst.key)).is_lt()
    }

    /// As [`Best::wants`], for the points of one key.
    pub(crate) fn wants_of_key(&self, key: &[u8], pick: Pick, value: &FieldValue, time: i64, series: &[u8]) -> bool {
        let Best::ByKey(points) = self else { return true };
        let Some(known) = points.get(key) else { return true };
        pick.order((value, time), (&known.value, known.time)).then_with(|| series.cmp(&known.key)).is_lt()
    }

    /// Takes one point in.
    pub(crate) fn add(&mut self, point: Point, pick: Pick, limit: usize) {
        let Best::Overall(points) = self else { unreachable!("a call has keys or has none") };
        let at = points.partition_point(|other| pick.order_points(other, &point).is_le());
        if at < limit {
            points.truncate(limit - 1);
            points.insert(at, point);
        }
    }

    /// Takes one point of a key in.
    pub(crate) fn add_of_key(&mut self, key: &[u8], point: Point, pick: Pick) {
        if let Best::Overall(points) = self {
            debug_assert!(points.is_empty(), "a call has keys or has none");
            *self = Best::ByKey(BTreeMap::new());
        }
        let Best::ByKey(points) = self else { unreachable!("just made so") };
        match points.get_mut(key) {
            None => {
                points.insert(key.into(), point);
            }
            Some(known) => {
                if pick.order_points(&point, known).is_lt() {
                    *known = point;
                }
            }
        }
    }

    /// The best `limit` points, best first.
    pub(crate) fn finish(self, pick: Pick, limit: usize) -> Vec<Point> {
        let mut points = match self {
            Best::Overall(points) => points,
            Best::ByKey(points) => points.into_values().collect(),
        };
        points.sort_by(|a, b| pick.order_points(a, b));
        points.truncate(limit);
        points
    }
}

impl State for Best {
    fn merge(&mut self, other: Best, rule: Rule) {
        let Rule::Best { pick, limit, .. } = rule else { unreachable!("top and bottom have their rule") };
        match other {
            Best::Overall(points) => points.into_iter().for_each(|point| self.add(point, pick, limit)),
            Best::ByKey(points) => points.into_iter().for_each(|(key, point)| self.add_of_key(&key, point, pick)),
        }
    }

    fn encode(&self, out: &mut Writer) {
        match self {
            Best::Overall(points) => {
                out.count(points.len());
                points.iter().for_each(|point| point.encode(out));
            }
            Best::ByKey(points) => {
                out.count(points.len());
                for (key, point) in points {
                    out.bytes(key);
                    point.encode(out);
                }
            }
        }
    }

    fn decode(input: &mut Reader<'_>, rule: Rule) -> Result<Best, DecodeError> {
        let Rule::Best { pick, limit, by_key } = rule else { return Err(DecodeError("not a rule of top")) };
        let mut best = Best::default();
        for _ in 0..input.count()? {
            if by_key {
                let key = input.bytes()?;
                best.add_of_key(key, Point::decode(input)?, pick);
            } else {
                best.add(Point::decode(input)?, pick, limit);
            }
        }
        Ok(best)
    }
}

/// Points drawn by lot: those with the smallest numbers, which depend on nothing but the point. Every point has the same
/// chance, any cut of the data draws the same ones, and the same question has the same answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sample(Vec<(u64, Point)>);

/// The lot of a point.
pub(crate) fn lot(key: &[u8], time: i64) -> u64 {
    // FNV spreads poorly into the high bits; the finaliser of splitmix64 mixes them.
    let mut lot = stdx::fnv::fnv1a64(key) ^ time as u64;
    lot = (lot ^ (lot >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    lot = (lot ^ (lot >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    lot ^ (lot >> 31)
}

impl Sample {
    /// How many points are kept.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether a point with this lot would be drawn.
    pub(crate) fn wants(&self, limit: usize, lot: u64) -> bool {
        self.0.len() < limit || self.0.last().is_some_and(|last| lot <= last.0)
    }

    /// Takes one point in.
    pub(crate) fn add(&mut self, point: Point, limit: usize) {
        let lot = lot(&point.key, point.time);
        let place = |entry: &(u64, Point)| (entry.0, entry.1.time, Arc::clone(&entry.1.key));
        let entry = (lot, point);
        let at = self.0.partition_point(|other| place(other) <= place(&entry));
        if at < limit {
            self.0.truncate(limit - 1);
            self.0.insert(at, entry);
        }
    }

    /// The points drawn, in order of time.
    pub(crate) fn finish(self) -> Vec<Point> {
        let mut points: Vec<Point> = self.0.into_iter().map(|entry| entry.1).collect();
        points.sort_by(|a, b| a.time.cmp(&b.time).then_with(|| a.key.cmp(&b.key)));
        points
    }
}

impl State for Sample {
    fn merge(&mut self, other: Sample, rule: Rule) {
        let Rule::Sample { limit } = rule else { unreachable!("sample has its rule") };
        for (_, point) in other.0 {
            self.add(point, limit);
        }
    }

    fn encode(&self, out: &mut Writer) {
        out.count(self.0.len());
        self.0.iter().for_each(|(_, point)| point.encode(out));
    }

    fn decode(input: &mut Reader<'_>, rule: Rule) -> Result<Sample, DecodeError> {
        let Rule::Sample { limit } = rule else { return Err(DecodeError("not a rule of sample")) };
        let mut sample = Sample::default();
        for _ in 0..input.count()? {
            sample.add(Point::decode(input)?, limit);
        }
        Ok(sample)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(value: i64, time: i64, host: &str) -> Point {
        Point {
            value: FieldValue::Integer(value),
            time,
            key: host.as_bytes().into(),
            aux: Box::new([Some(FieldValue::String(host.into()))]),
        }
    }

    fn values(points: Vec<Point>) -> Vec<(FieldValue, i64)> {
        points.into_iter().map(|point| (point.value, point.time)).collect()
    }

    fn want(pairs: &[(i64, i64)]) -> Vec<(FieldValue, i64)> {
        pairs.iter().map(|(value, time)| (FieldValue::Integer(*value), *time)).collect()
    }

    #[test]
    fn the_best_are_kept_and_equal_ones_are_the_earliest() {
        let mut best = Best::default();
        for (value, time) in [(1, 1), (5, 2), (5, 3), (2, 4), (9, 5)] {
            if best.wants(Pick::Max, 2, &FieldValue::Integer(value), time, b"a") {
                best.add(point(value, time, "a"), Pick::Max, 2);
            }
        }
        assert_eq!(values(best.finish(Pick::Max, 2)), want(&[(9, 5), (5, 2)]));
    }

    #[test]
    fn of_each_key_only_the_best_is_kept() {
        let rule = Rule::Best { pick: Pick::Min, limit: 2, by_key: true };
        let (mut left, mut right) = (Best::default(), Best::default());
        left.add_of_key(b"a", point(1, 1, "a"), Pick::Min);
        left.add_of_key(b"a", point(2, 2, "a"), Pick::Min);
        right.add_of_key(b"b", point(3, 3, "b"), Pick::Min);
        right.add_of_key(b"a", point(0, 4, "a"), Pick::Min);
        right.add_of_key(b"c", point(7, 4, "c"), Pick::Min);
        assert!(!right.wants_of_key(b"a", Pick::Min, &FieldValue::Integer(1), 1, b"a"));
        left.merge(right, rule);
        assert_eq!(values(left.finish(Pick::Min, 2)), want(&[(0, 4), (3, 3)]));
    }

    #[test]
    fn a_sample_does_not_depend_on_the_cut() {
        let points: Vec<Point> = (0..200).map(|n| point(n, n % 50, &format!("host-{}", n / 50))).collect();
        let mut whole = Sample::default();
        points.iter().for_each(|point| whole.add(point.clone(), 7));
        let (mut left, mut right) = (Sample::default(), Sample::default());
        points.iter().rev().enumerate().for_each(|(index, point)| {
            if index % 3 == 0 { left.add(point.clone(), 7) } else { right.add(point.clone(), 7) }
        });
        left.merge(right, Rule::Sample { limit: 7 });
        assert_eq!(left, whole);
        assert_eq!(whole.finish().len(), 7);
    }

    #[test]
    fn lots_are_spread_evenly() {
        let low = (0..10_000).filter(|time| lot(b"cpu,host=a", *time) < u64::MAX / 4).count();
        assert!((2_200..2_800).contains(&low), "{low}");
    }
}
