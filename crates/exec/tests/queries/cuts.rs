//! How the data is cut changes no byte of an answer.

use proptest::prelude::*;

use crate::database::{Cut, Database};
use crate::lines::{self, Point};

/// Lines of random points: three hosts, five fields, times that repeat between hosts.
pub(crate) fn points() -> impl Strategy<Value = Vec<Point>> {
    let point = (0usize..3, 0i64..400, -1e6f64..1e6, -50i64..50, 0u8..4, any::<bool>(), 0u8..32);
    prop::collection::vec(point, 1..120).prop_map(|points| {
        let line = |(host, time, float, integer, text, boolean, present): (usize, i64, f64, i64, u8, bool, u8)| {
            let fields = [
                format!("f={float}"),
                format!("i={integer}i"),
                format!("u={}u", integer.unsigned_abs()),
                format!("s=\"s{text}\""),
                format!("b={boolean}"),
            ];
            let chosen: Vec<String> =
                fields.into_iter().enumerate().filter(|(bit, _)| present >> bit & 1 == 1).map(|pair| pair.1).collect();
            let fields = if chosen.is_empty() { "f=0".to_owned() } else { chosen.join(",") };
            format!("m,host=h{host} {fields} {time}")
        };
        lines::parse(&points.into_iter().map(line).collect::<Vec<_>>().join("\n"))
    })
}

pub(crate) const QUERIES: &[&str] = &[
    "SELECT count(f), sum(f), mean(f), min(f), max(f), spread(f), stddev(f), median(f) FROM m",
    "SELECT count(i), sum(i), mean(i), min(i), max(i), spread(i), stddev(i), median(i), percentile(i, 30) FROM m GROUP BY host",
    "SELECT sum(f), mean(f), first(f), last(f), stddev(f) FROM m WHERE time >= 5 AND time < 395 GROUP BY time(37ns)",
    "SELECT sum(u), mode(u), count(s), mode(s), mode(b), first(s), last(b) FROM m WHERE time >= 0 AND time < 400 GROUP BY time(90ns), host fill(previous)",
    "SELECT mean(f) FROM m WHERE i > 0 AND s != 's1' AND time >= 0 AND time < 400 GROUP BY time(50ns) fill(linear)",
    "SELECT max(f), s, host FROM m",
    "SELECT min(i), f, b FROM m GROUP BY host",
    "SELECT last(s), f, host FROM m",
    "SELECT first(b), host FROM m",
    "SELECT percentile(f, 60), s FROM m",
    "SELECT top(f, 5), s FROM m",
    "SELECT bottom(i, host, 2), f FROM m",
    "SELECT top(i, 2) FROM m WHERE time >= 0 AND time < 400 GROUP BY time(100ns)",
    "SELECT sample(f, 4) FROM m",
    "SELECT distinct(s) FROM m",
    "SELECT count(distinct(i)) FROM m GROUP BY host",
    "SELECT integral(f, 10ns) FROM m",
    "SELECT integral(i, 10ns) FROM m WHERE time >= 0 AND time < 400 GROUP BY time(60ns)",
    "SELECT difference(f) FROM m GROUP BY host",
    "SELECT cumulative_sum(f), moving_average(f, 3), elapsed(f, 1ns) FROM m",
    "SELECT derivative(mean(f), 10ns), difference(max(i)) FROM m WHERE time >= 50 AND time < 400 GROUP BY time(40ns), host",
    "SELECT * FROM m",
    "SELECT * FROM m ORDER BY time DESC",
    "SELECT f, s, host FROM m LIMIT 7 OFFSET 3",
    "SELECT f + i, f / i, i % 7 FROM m WHERE b = true OR host = 'h1' ORDER BY time DESC LIMIT 9",
    "SELECT mean(x) FROM (SELECT sum(f) AS x FROM m WHERE time >= 0 AND time < 400 GROUP BY time(30ns), host) GROUP BY host",
    "SELECT f FROM m WHERE f > 0 GROUP BY host ORDER BY time DESC LIMIT 2 SLIMIT 2 SOFFSET 1",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_cut_gives_the_same_answer(points in points(), group_ns in 20i64..300, shards in 1u64..4) {
        let whole = Database::new(&points, Cut::WHOLE);
        let cut = Database::new(&points, Cut { group_ns, shards });
        for query in QUERIES {
            let want = whole.show(query);
            prop_assert!(!want.starts_with("error"), "{}: {}", query, want);
            prop_assert_eq!(cut.show(query), want, "{}", query);
        }
    }
}
