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
    ///
    /// Cost: without a zone, a division. With one, up to six look-ups in its table, so ask once for each run of points
    /// before the end of the window.
    pub fn of(&self, at: Timestamp) -> TimeRange {
        let (mut start, mut end) = self.bounds(at.0);
        if self.zone.is_some() {
            // An hour that the clock repeats belongs to the window that was running when it came the first time.
            let before = self.bounds(clamped(start - 1));
            if before.1 > i128::from(at.0) {
                (start, end) = before;
            }
        }
        // A window that begins before all time begins with it; one that ends after ends with it.
        let start = start.max(i128::from(Timestamp::MIN.0)).min(i128::from(at.0)) as i64;
        let end = end.max(i128::from(at.0) + 1).min(i128::from(i64::MAX)) as i64;
        TimeRange::new(Timestamp(start), Timestamp(end))
            .expect("no point has the last instant, so it ends after it starts")
    }

    /// Start and end as the arithmetic of one instant gives them.
    fn bounds(&self, at: i64) -> (i128, i128) {
        let base = i128::from(at) - i128::from(self.offset_ns);
        let zone_ns = self.zone.as_ref().map_or(0, |zone| zone.offset_ns(clamped(base)));
        let into = (base + i128::from(zone_ns)).rem_euclid(i128::from(self.interval_ns));
        let start = self.adjusted(base - into, zone_ns);
        let end = self.adjusted(base - into + i128::from(self.interval_ns), zone_ns);
        (start, end)
    }

    /// The start of the window of an instant.
    pub fn start(&self, at: Timestamp) -> Timestamp {
        self.of(at).start()
    }

    /// Moves a bound by the change of the zone between there and the instant asked for, and by the offset. The zone is
    /// asked before the offset is added, as in the reference.
    fn adjusted(&self, bound: i128, zone_ns: i64) -> i128 {
        let offset = i128::from(self.offset_ns);
        let Some(zone) = &self.zone else { return bound + offset };
        let change = zone_ns - zone.offset_ns(clamped(bound));
        let change = if change.abs() < self.interval_ns { change } else { 0 };
        bound + i128::from(change) + offset
    }
}

fn clamped(ns: i128) -> i64 {
    ns.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60 * SECOND_NS;

    #[track_caller]
    fn check(window: &Window, at: i64, want: (i64, i64)) {
        let range = window.of(Timestamp(at));
        assert_eq!((range.start().0, range.end().0), want, "{window} at {at}");
        assert!(range.contains(Timestamp(at)));
    }

    #[test]
    fn windows_are_aligned_to_the_epoch() {
        let minute = Window::new(MINUTE, 0, None).expect("positive");
        check(&minute, 0, (0, MINUTE));
        check(&minute, MINUTE - 1, (0, MINUTE));
        check(&minute, -1, (-MINUTE, 0));
    }

    #[test]
    fn offsets_move_windows_either_way() {
        let later = Window::new(MINUTE, 90 * SECOND_NS, None).expect("positive");
        assert_eq!(later.offset_ns(), 30 * SECOND_NS);
        check(&later, 0, (-30 * SECOND_NS, 30 * SECOND_NS));
        let sooner = Window::new(MINUTE, -10 * SECOND_NS, None).expect("positive");
        check(&sooner, 55 * SECOND_NS, (50 * SECOND_NS, 110 * SECOND_NS));
    }

    #[test]
    fn windows_end_with_all_time() {
        for interval_ns in [1, MINUTE, i64::MAX] {
            for zone in [None, Zone::get("Europe/Berlin")] {
                let window = Window::new(interval_ns, interval_ns / 2, zone).expect("positive");
                for at in [Timestamp::MIN, Timestamp(0), Timestamp::MAX] {
                    let range = window.of(at);
                    assert!(range.contains(at) && range.start() >= Timestamp::MIN, "{window} at {at:?}");
                }
            }
        }
    }

    #[test]
    fn intervals_are_positive_and_zones_known() {
        assert_eq!(Window::new(0, 0, None), None);
        assert_eq!(Window::new(-MINUTE, 0, None), None);
        assert_eq!(Zone::get("Nowhere/X"), None);
    }

    #[test]
    fn an_hour_that_comes_twice_stays_in_one_window() {
        let berlin = Zone::get("Europe/Berlin").expect("a zone");
        let two_hours = Window::new(120 * MINUTE, 0, Some(berlin)).expect("positive");
        // 2014-10-26: 02:00 comes at 00:00 UTC and again at 01:00 UTC.
        let midnight = 1_414_281_600 * SECOND_NS;
        let want = (midnight, midnight + 180 * MINUTE);
        check(&two_hours, midnight + 30 * MINUTE, want);
        check(&two_hours, midnight + 90 * MINUTE, want);
        check(&two_hours, midnight + 179 * MINUTE, want);
    }
}
