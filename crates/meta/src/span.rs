//! Which span of time a new shard group covers.

use std::sync::Arc;
use std::time::Duration;

use model::{TimeRange, Timestamp};

use crate::data::ShardGroup;

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// The shortest span of a group, and the shortest time that a policy may keep points.
pub(crate) const SPAN_MIN: Duration = HOUR;

/// From the first of January of the year 1, a Monday, to the Unix epoch. Spans are counted from there, so that groups of
/// seven days begin on Mondays.
const YEAR_1_TO_EPOCH_NS: i128 = 719_162 * 86_400 * 1_000_000_000;

/// The span of a group when none is asked for, by how long points are kept (zero: for ever).
pub fn auto_shard_group_duration(duration: Duration) -> Duration {
    if duration.is_zero() || duration >= 180 * DAY {
        7 * DAY
    } else if duration >= 2 * DAY {
        DAY
    } else {
        HOUR
    }
}

/// The span that a policy gets: the wanted one, at least an hour; zero means by the rule.
pub(crate) fn normal_shard_group_duration(wanted: Duration, duration: Duration) -> Duration {
    if wanted.is_zero() { auto_shard_group_duration(duration) } else { wanted.max(SPAN_MIN) }
}

/// The span of a new group for `instant`, which no live group takes: aligned, then cut where live groups begin or end.
pub(crate) fn new_group_range(groups: &[Arc<ShardGroup>], instant: Timestamp, duration: Duration) -> TimeRange {
    let (mut start, mut end) = aligned(instant, duration);
    for group in groups.iter().filter(|group| !group.is_deleted()) {
        let (group_start, group_end) = (group.range.start(), group.writable_end());
        assert!(!group.takes(instant), "a group for this instant exists");
        if group_end <= instant {
            start = start.max(group_end);
        }
        if instant < group_start {
            end = end.min(group_start);
        }
    }
    TimeRange::new(start, end).expect("the instant lies inside")
}

/// The multiple of `duration` that holds `instant`, within the instants that points may have.
fn aligned(instant: Timestamp, duration: Duration) -> (Timestamp, Timestamp) {
    let duration = i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX).max(1);
    let since_year_1 = i128::from(instant.0) + YEAR_1_TO_EPOCH_NS;
    let start = i128::from(instant.0) - since_year_1.rem_euclid(duration);
    let end = start.saturating_add(duration);
    let clip = |instant: i128| {
        let legal = TimeRange::ALL;
        let clipped = instant.clamp(i128::from(legal.start().0), i128::from(legal.end().0));
        Timestamp(i64::try_from(clipped).expect("clamped to 64 bits"))
    };
    (clip(start), clip(end))
}

#[cfg(test)]
mod tests {
    use model::ShardGroupId;

    use super::*;

    const S: i64 = 1_000_000_000;

    fn group(start: i64, end: i64) -> ShardGroup {
        ShardGroup {
            id: ShardGroupId(1),
            range: TimeRange::new(Timestamp(start), Timestamp(end)).expect("not empty"),
            deleted_at: None,
            truncated_at: None,
            slot_count: 1,
            shards: vec![],
        }
    }

    fn span(groups: &[ShardGroup], instant: i64, duration: Duration) -> (i64, i64) {
        let groups: Vec<_> = groups.iter().cloned().map(Arc::new).collect();
        let range = new_group_range(&groups, Timestamp(instant), duration);
        (range.start().0, range.end().0)
    }

    #[test]
    fn the_span_follows_the_retention() {
        let hours = |hours: u64| auto_shard_group_duration(Duration::from_secs(hours * 3_600)).as_secs() / 3_600;
        assert_eq!([0, 1, 47, 48, 179 * 24, 180 * 24].map(hours), [168, 1, 1, 24, 24, 168]);
        assert_eq!(normal_shard_group_duration(Duration::from_secs(5), DAY), HOUR);
        assert_eq!(normal_shard_group_duration(2 * HOUR, DAY), 2 * HOUR);
        assert_eq!(normal_shard_group_duration(Duration::ZERO, 3 * DAY), DAY);
    }

    #[test]
    fn weeks_begin_on_monday_and_days_at_midnight() {
        // 2017-01-26T17:30:00Z, a Thursday; 2017-01-23 was a Monday.
        let instant = 1_485_451_800 * S;
        assert_eq!(span(&[], instant, 7 * DAY), (1_485_129_600 * S, 1_485_734_400 * S));
        assert_eq!(span(&[], instant, DAY), (1_485_388_800 * S, 1_485_475_200 * S));
        assert_eq!(span(&[], instant, HOUR), (1_485_450_000 * S, 1_485_453_600 * S));
        assert_eq!(span(&[], -1, HOUR), (-3_600 * S, 0));
    }

    #[test]
    fn spans_end_where_legal_time_ends() {
        assert_eq!(span(&[], Timestamp::MAX.0, 7 * DAY).1, i64::MAX);
        assert_eq!(span(&[], Timestamp::MIN.0, 7 * DAY).0, Timestamp::MIN.0);
        assert_eq!(span(&[], 0, Duration::MAX), (Timestamp::MIN.0, i64::MAX));
    }

    #[test]
    fn live_neighbours_cut_the_span() {
        let neighbours = [group(0, 600 * S), group(3_000 * S, 3_600 * S)];
        assert_eq!(span(&neighbours, 1_000 * S, HOUR), (600 * S, 3_000 * S));
    }

    #[test]
    fn deleted_groups_do_not_cut_and_truncated_ones_do_at_their_new_end() {
        let deleted = ShardGroup { deleted_at: Some(Timestamp(1)), ..group(0, 3_600 * S) };
        assert_eq!(span(&[deleted], 1_000 * S, HOUR), (0, 3_600 * S));
        let truncated = ShardGroup { truncated_at: Some(Timestamp(900 * S)), ..group(0, 3_600 * S) };
        assert_eq!(span(&[truncated], 1_000 * S, HOUR), (900 * S, 3_600 * S));
        // Truncated before it began: it takes nothing, but its start still cuts.
        let ahead = ShardGroup { truncated_at: Some(Timestamp(1_800 * S)), ..group(1_800 * S, 3_600 * S) };
        assert_eq!(span(std::slice::from_ref(&ahead), 1_000 * S, HOUR), (0, 1_800 * S));
        assert_eq!(span(&[ahead], 2_000 * S, HOUR), (1_800 * S, 3_600 * S));
    }
}
