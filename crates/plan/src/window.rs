//! Windows of `GROUP BY time`: which one an instant falls into.
//!
//! Windows are half open and aligned to the Unix epoch, moved by the offset. With a time zone they are aligned to its
//! wall clock: where the zone changes its offset, the window at the change is longer or shorter, unless windows are no
//! longer than the change.
//!
//! Zones come from the database that is built into the program, so that every node cuts alike.

use std::fmt;
use std::sync::OnceLock;

use jiff::tz::{TimeZone, TimeZoneDatabase};
use model::{TimeRange, Timestamp};

const SECOND_NS: i64 = 1_000_000_000;

/// A time zone.
#[derive(Clone, PartialEq, Eq)]
pub struct Zone {
    name: String,
    zone: TimeZone,
}

/// How time is cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    interval_ns: i64,
    offset_ns: i64,
    zone: Option<Zone>,
}

impl Zone {
    /// The zone of this name in the IANA database; letter case counts not.
    pub fn get(name: &str) -> Option<Zone> {
        static BUNDLED: OnceLock<TimeZoneDatabase> = OnceLock::new();
        let zone = BUNDLED.get_or_init(TimeZoneDatabase::bundled).get(name).ok()?;
        Some(Zone { name: name.to_owned(), zone })
    }

    /// The name it was asked for by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Seconds east of UTC at an instant.
    pub fn offset_seconds(&self, at: Timestamp) -> i32 {
        let second = at.0.div_euclid(SECOND_NS);
        let instant = jiff::Timestamp::from_second(second).expect("64 bits of nanoseconds lie within jiff's range");
        self.zone.to_offset(instant).seconds()
    }

    fn offset_ns(&self, at: i64) -> i64 {
        i64::from(self.offset_seconds(Timestamp(at))) * SECOND_NS
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({})", self.name)
    }
}

impl Window {
    /// `None` unless `interval_ns` is positive. The offset counts modulo the interval.
    pub fn new(interval_ns: i64, offset_ns: i64, zone: Option<Zone>) -> Option<Window> {
        (interval_ns > 0).then(|| Window { interval_ns, offset_ns: offset_ns % interval_ns, zone })
    }

    /// Length in nanoseconds; positive.
    pub fn interval_ns(&self) -> i64 {
        self.interval_ns
    }

    /// Offset in nanoseconds; less than an interval, either sign.
    pub fn offset_ns(&self) -> i64 {
        self.offset_ns
    }

    /// The zone whose wall clock it follows; `None` means UTC.
    pub fn zone(&self) -> Option<&Zone> {
        self.zone.as_ref()
    }

    /// The window of an instant, cut at the first and last instants that a point may have.
    pub fn of(&self, at: Timestamp) -> TimeRange {
        let base = at.0.saturating_sub(self.offset_ns);
        let zone_ns = self.zone.as_ref().map_or(0, |zone| zone.offset_ns(base));
        let into = (i128::from(base) + i128::from(zone_ns)).rem_euclid(i128::from(self.interval_ns));
        let start = self.adjusted(i128::from(base) - into, zone_ns);
        let end = self.adjusted(i128::from(base) - into + i128::from(self.interval_ns), zone_ns);
        // A window that begins before all time begins with it; one that ends after ends with it.
        let start = start.max(i128::from(Timestamp::MIN.0)).min(i128::from(at.0)) as i64;
        let end = end.max(i128::from(start) + 1).min(i128::from(i64::MAX)) as i64;
        TimeRange::new(Timestamp(start), Timestamp(end)).expect("the end was set after the start")
    }

    /// The start of the window of an instant.
    pub fn start(&self, at: Timestamp) -> Timestamp {
        self.of(at).start()
    }

    /// Moves a bound by the offset, and by the change of the zone between there and the instant asked for.
    fn adjusted(&self, bound: i128, zone_ns: i64) -> i128 {
        let bound = bound + i128::from(self.offset_ns);
        let Some(zone) = &self.zone else { return bound };
        let at = bound.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64;
        let change = zone_ns - zone.offset_ns(at);
        if change != 0 && change.abs() < self.interval_ns { bound + i128::from(change) } else { bound }
    }
}
