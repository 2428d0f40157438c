//! Instants and spans, in nanoseconds.

/// Nanoseconds since the Unix epoch. Negative before 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The first instant that a point may have: 1677-09-21T00:12:43.145224194Z.
    pub const MIN: Timestamp = Timestamp(i64::MIN + 2);
    /// The last instant that a point may have: 2262-04-11T23:47:16.854775806Z.
    pub const MAX: Timestamp = Timestamp(i64::MAX - 1);
}

/// `start <= t && t < end`. Never empty, so whoever holds one can take its first instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimeRange {
    start: Timestamp,
    end: Timestamp,
}

impl TimeRange {
    /// Every instant that a point may have.
    pub const ALL: TimeRange = TimeRange { start: Timestamp::MIN, end: Timestamp(i64::MAX) };

    /// `None` when it would be empty.
    pub fn new(start: Timestamp, end: Timestamp) -> Option<TimeRange> {
        (start < end).then_some(TimeRange { start, end })
    }

    /// The first instant inside.
    pub fn start(self) -> Timestamp {
        self.start
    }

    /// The first instant after.
    pub fn end(self) -> Timestamp {
        self.end
    }

    /// Whether `instant` lies inside.
    pub fn contains(self, instant: Timestamp) -> bool {
        self.start <= instant && instant < self.end
    }

    /// What both have in common, or `None`.
    pub fn intersect(self, other: TimeRange) -> Option<TimeRange> {
        TimeRange::new(self.start.max(other.start), self.end.min(other.end))
    }

    /// Whether both have an instant in common.
    pub fn overlaps(self, other: TimeRange) -> bool {
        self.intersect(other).is_some()
    }
}

/// The unit of the timestamps in a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// `n`, `ns` and the default.
    #[default]
    Nanosecond,
    /// `u`
    Microsecond,
    /// `ms`
    Millisecond,
    /// `s`
    Second,
    /// `m`
    Minute,
    /// `h`
    Hour,
}

impl Precision {
    /// The precision that a request parameter names, `None` for any other word. The empty word means nanoseconds.
    pub fn parse(word: &str) -> Option<Precision> {
        Some(match word {
            "" | "n" | "ns" => Precision::Nanosecond,
            "u" => Precision::Microsecond,
            "ms" => Precision::Millisecond,
            "s" => Precision::Second,
            "m" => Precision::Minute,
            "h" => Precision::Hour,
            _ => return None,
        })
    }

    /// How many nanoseconds one unit has.
    pub fn nanoseconds(self) -> i64 {
        match self {
            Precision::Nanosecond => 1,
            Precision::Microsecond => 1_000,
            Precision::Millisecond => 1_000_000,
            Precision::Second => 1_000_000_000,
            Precision::Minute => 60_000_000_000,
            Precision::Hour => 3_600_000_000_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: i64, end: i64) -> Option<TimeRange> {
        TimeRange::new(Timestamp(start), Timestamp(end))
    }

    #[test]
    fn ranges_are_half_open_and_never_empty() {
        assert_eq!(range(5, 5), None);
        let ten = range(0, 10).expect("ten instants");
        assert!(ten.contains(Timestamp(0)) && ten.contains(Timestamp(9)) && !ten.contains(Timestamp(10)));
        assert_eq!(ten.intersect(range(5, 20).expect("some")), range(5, 10));
        assert!(!ten.overlaps(range(10, 20).expect("some")));
    }

    #[test]
    fn every_legal_instant_is_in_all() {
        assert!(TimeRange::ALL.contains(Timestamp::MIN) && TimeRange::ALL.contains(Timestamp::MAX));
    }

    #[test]
    fn precisions_are_known_by_their_words() {
        assert_eq!(Precision::parse("ms").map(Precision::nanoseconds), Some(1_000_000));
        assert_eq!(Precision::parse("us"), None);
    }
}
