//! From the rows of a request to the shards they belong to.
//!
//! Pure: the batch, the policy and the time go in; parts for shards come out, or the instants for which shard groups are
//! missing. Rows that the policy does not keep, or whose time lies outside its write limits, are dropped and counted.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use meta::{RetentionPolicy, ShardGroup};
use model::{Batch, ShardId, Table, Timestamp};
use stdx::human::print_duration;

/// Where the rows of a batch go.
#[derive(Debug)]
pub enum Routed {
    /// Every row has a shard.
    Parts {
        /// One batch for each shard that is touched.
        parts: Vec<(ShardId, Batch)>,
        /// Rows that the policy refuses.
        beyond: Beyond,
    },
    /// Shard groups must be made for these instants first (one of each missing span, or several); the batch comes back.
    Missing {
        /// Ascending, distinct.
        instants: Vec<Timestamp>,
        /// As it was given.
        batch: Batch,
    },
}

/// Rows that the policy refuses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beyond {
    /// How many.
    pub rows: usize,
    /// Which of its rules they break; the retention before the limits of writing. Empty without such rows.
    pub reason: String,
}

/// The slice of time in which a policy takes points, as instants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Accepted {
    /// First instant.
    from: i64,
    /// Last instant.
    to: i64,
    /// First instant that is kept, whether it may be written or not.
    kept_from: i64,
}

impl Accepted {
    fn new(policy: &RetentionPolicy, now: Timestamp) -> Accepted {
        let ns = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        let limit = |duration: Duration| (!duration.is_zero()).then(|| ns(duration));
        let before = |back: Option<i64>| back.map_or(i64::MIN, |back| now.0.saturating_sub(back));
        let kept_from = before(policy.retains().map(ns));
        Accepted {
            from: kept_from.max(before(limit(policy.past_write_limit))),
            kept_from,
            to: limit(policy.future_write_limit).map_or(i64::MAX, |ahead| now.0.saturating_add(ahead)),
        }
    }
}

/// Where a row goes, as far as it is known.
const DROPPED: u32 = u32::MAX;

/// Finds the shard of every row.
pub fn route(batch: Batch, policy: &RetentionPolicy, now: Timestamp) -> Routed {
    let accepted = Accepted::new(policy, now);
    let mut router = Router { policy, accepted, parts: Vec::new(), numbers: HashMap::new(), missing: BTreeMap::new() };
    let places: Vec<Vec<u32>> = batch.tables.iter().map(|table| router.table(table)).collect();
    let Router { parts: shards, missing, .. } = router;
    if !missing.is_empty() {
        return Routed::Missing { instants: missing.into_values().collect(), batch };
    }
    let rows = places.iter().flatten().filter(|place| **place == DROPPED).count();
    match shards.as_slice() {
        // The usual case: nothing is copied.
        [only] if rows == 0 => Routed::Parts { parts: vec![(*only, batch)], beyond: Beyond::default() },
        _ => {
            let is_old = batch.tables.iter().flat_map(|table| &table.row_times).any(|time| *time < accepted.kept_from);
            let reason = if rows == 0 { String::new() } else { refusal(policy, is_old) };
            Routed::Parts { parts: cut(&batch, &places, &shards), beyond: Beyond { rows, reason } }
        }
    }
}

/// What a client is told about rows that the policy refuses, some of which it would not keep if `is_old`.
fn refusal(policy: &RetentionPolicy, is_old: bool) -> String {
    if is_old {
        return "points beyond retention policy".to_owned();
    }
    let limit = |sign: &str, limit: Duration| match limit.is_zero() {
        true => "unlimited".to_owned(),
        false => format!("{sign}{}", print_duration(limit)),
    };
    let (past, future) = (limit("-", policy.past_write_limit), limit("", policy.future_write_limit));
    format!("points outside write window ({past} to {future})")
}

struct Router<'a> {
    policy: &'a RetentionPolicy,
    accepted: Accepted,
    parts: Vec<ShardId>,
    numbers: HashMap<ShardId, u32>,
    /// By number of the span.
    missing: BTreeMap<i64, Timestamp>,
}

impl Router<'_> {
    /// For each row of a table the number of its part.
    fn table(&mut self, table: &Table) -> Vec<u32> {
        let mut places = Vec::with_capacity(table.row_count());
        // Rows come with similar times, so the group of the row before nearly always takes this one too; and a series
        // stays in its slot, so its part in that group is looked up once.
        let mut group: Option<&ShardGroup> = None;
        let mut series_parts: Vec<Option<u32>> = vec![None; table.series.len()];
        for (series, time) in table.row_series.iter().zip(&table.row_times) {
            if *time < self.accepted.from || *time > self.accepted.to {
                places.push(DROPPED);
                continue;
            }
            let instant = Timestamp(*time);
            if !group.is_some_and(|group| group.takes(instant)) {
                group = self.policy.group_for(instant).map(Arc::as_ref);
                series_parts.fill(None);
            }
            let Some(found) = group else {
                self.miss(instant);
                places.push(DROPPED);
                continue;
            };
            let known = &mut series_parts[*series as usize];
            let part = match *known {
                Some(part) => part,
                None => match found.shard_for_key(table.series.get(*series)) {
                    Some(shard) => *known.insert(self.number(shard.id)),
                    None => {
                        self.miss(instant);
                        DROPPED
                    }
                },
            };
            places.push(part);
        }
        places
    }

    /// Notes one instant for each span of the policy; rows of one span need one group, unless others cut it short, and
    /// then routing is tried again.
    fn miss(&mut self, instant: Timestamp) {
        let span = i64::try_from(self.policy.shard_group_duration.as_nanos()).unwrap_or(i64::MAX).max(1);
        self.missing.entry(instant.0.div_euclid(span)).or_insert(instant);
    }

    fn number(&mut self, shard: ShardId) -> u32 {
        *self.numbers.entry(shard).or_insert_with(|| {
            self.parts.push(shard);
            self.parts.len() as u32 - 1
        })
    }
}

fn cut(batch: &Batch, places: &[Vec<u32>], shards: &[ShardId]) -> Vec<(ShardId, Batch)> {
    let mut parts: Vec<(ShardId, Batch)> = shards.iter().map(|shard| (*shard, Batch::default())).collect();
    for (table, places) in batch.tables.iter().zip(places) {
        let mut rows: Vec<Vec<u32>> = vec![Vec::new(); shards.len()];
        for (row, place) in places.iter().enumerate() {
            if *place != DROPPED {
                rows[*place as usize].push(row as u32);
            }
        }
        for ((_, part), rows) in parts.iter_mut().zip(rows) {
            if !rows.is_empty() {
                part.tables.push(table.select(&rows));
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use meta::{Command, Data, Incarnation, LeaderFacts, PolicySpec};
    use model::{FieldValue, MetaIndex, Tags};

    use super::*;

    const HOUR: i64 = 3_600_000_000_000;

    /// Metadata with two data nodes and the database `d`, whose policy keeps a day in groups of an hour.
    fn data(instants: &[i64]) -> Data {
        let mut data = Data::default();
        let member = |id: u128| Command::CreateDataNode {
            incarnation: Incarnation(id),
            http_addr: format!("n{id}:8086"),
            tcp_addr: format!("n{id}:8088"),
            passive: false,
        };
        let policy = PolicySpec {
            duration: Some(Duration::from_secs(86_400)),
            shard_group_duration: Duration::from_secs(3_600),
            replica_n: Some(1),
            ..PolicySpec::automatic()
        };
        let create = Command::CreateDatabase { name: "d".to_owned(), policy: Some(policy), explicit: true };
        let groups = Command::CreateShardGroups {
            database: "d".to_owned(),
            policy: "autogen".to_owned(),
            instants: instants.iter().map(|instant| Timestamp(*instant)).collect(),
        };
        let facts = LeaderFacts { now: Timestamp(0), random: 1, shard_groups_max: 0 };
        for command in [member(1), member(2), create, groups] {
            let index = MetaIndex(data.index().0 + 1);
            data.apply(index, &facts, &command).expect("a command that is carried out");
        }
        data
    }

    fn batch(times: &[i64]) -> Batch {
        let mut batch = Batch::default();
        for (host, time) in times.iter().enumerate() {
            let tags = Tags::new(vec![(b"host".to_vec(), format!("h{host}").into_bytes())]);
            batch.push_point(b"cpu", &tags, *time, &[(b"v", FieldValue::Integer(*time))]);
        }
        batch
    }

    fn routed(data: &Data, times: &[i64], now: i64) -> Routed {
        route(batch(times), data.policy("d", "").expect("a policy"), Timestamp(now))
    }

    #[test]
    fn every_row_goes_to_the_shard_of_its_group_and_series() {
        let data = data(&[0, HOUR]);
        let times: Vec<i64> = (0..40).map(|n| n % 2 * HOUR + n).collect();
        let Routed::Parts { parts, beyond } = routed(&data, &times, 2 * HOUR) else { panic!("groups are there") };
        assert_eq!((beyond.rows, parts.iter().map(|(_, part)| part.row_count()).sum::<usize>()), (0, 40));
        // Two groups of two shards each.
        assert_eq!(parts.len(), 4);
        let policy = data.policy("d", "").expect("a policy");
        for (shard, part) in &parts {
            assert_eq!(part.validate(), Ok(()));
            for point in part.points() {
                let (_, found) = policy.shard_for(Timestamp(point.time), point.series_key).expect("a shard");
                assert_eq!(found.id, *shard);
            }
        }
    }

    #[test]
    fn missing_groups_are_asked_for_once_each_and_the_batch_comes_back() {
        let data = data(&[0]);
        let Routed::Missing { instants, batch } = routed(&data, &[5, HOUR + 1, HOUR + 2, 9 * HOUR], 2 * HOUR) else {
            panic!("groups are missing")
        };
        assert_eq!(instants, [Timestamp(HOUR + 1), Timestamp(9 * HOUR)]);
        assert_eq!(batch.row_count(), 4);
    }

    #[test]
    fn rows_that_the_policy_does_not_keep_are_dropped_and_counted() {
        let data = data(&[30 * HOUR]);
        let Routed::Parts { parts, beyond } = routed(&data, &[HOUR, 30 * HOUR], 30 * HOUR) else {
            panic!("groups are there")
        };
        assert_eq!((beyond.rows, parts.len(), parts[0].1.row_count()), (1, 1, 1));
        assert_eq!(beyond.reason, "points beyond retention policy");
    }

    #[test]
    fn rows_outside_the_limits_of_writing_are_dropped_and_the_limits_named() {
        let data = data(&[20 * HOUR, 29 * HOUR, 30 * HOUR]);
        let mut policy = RetentionPolicy::clone(data.policy("d", "").expect("a policy"));
        policy.past_write_limit = Duration::from_secs(3_600);
        let refused = |policy: &RetentionPolicy, times: &[i64]| {
            let Routed::Parts { beyond, .. } = route(batch(times), policy, Timestamp(30 * HOUR)) else {
                panic!("groups are there")
            };
            (beyond.rows, beyond.reason)
        };
        let none = (0, String::new());
        assert_eq!(refused(&policy, &[29 * HOUR + 1, 30 * HOUR]), none);
        let window = "points outside write window (-1h0m0s to unlimited)".to_owned();
        assert_eq!(refused(&policy, &[20 * HOUR, 30 * HOUR]), (1, window));
        policy.future_write_limit = Duration::from_secs(60);
        let window = "points outside write window (-1h0m0s to 1m0s)".to_owned();
        assert_eq!(refused(&policy, &[30 * HOUR, 30 * HOUR + 61_000_000_000]), (1, window));
        // What would not even be kept is told first.
        let old = "points beyond retention policy".to_owned();
        assert_eq!(refused(&policy, &[HOUR, 20 * HOUR, 30 * HOUR]), (2, old));
    }
}
