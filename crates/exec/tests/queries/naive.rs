//! Each function against a few plain lines over a list of points.

use model::FieldValue;
use model::result::Value;
use proptest::prelude::*;

use crate::cuts::points;
use crate::database::{Cut, Database};
use crate::lines::Point;

/// A point of field `i`: time, host, value. Sorted by time, then host, which is the order of the series keys.
type Row = (i64, String, i64);

/// A function of the rows of a window, if it has a value there.
type Plain<'a> = &'a dyn Fn(&[Row]) -> Option<f64>;

/// Cells and their times.
type Cells = Vec<(i64, Option<f64>)>;

fn rows(points: &[Point]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for point in points {
        let host = String::from_utf8_lossy(point.tags.get(b"host")).into_owned();
        let found = point.fields.iter().find(|field| field.0 == b"i");
        if let Some((_, FieldValue::Integer(value))) = found {
            rows.retain(|row| (row.0, &row.1) != (point.time, &host));
            rows.push((point.time, host, *value));
        }
    }
    rows.sort();
    rows
}

fn values(rows: &[Row]) -> Vec<f64> {
    rows.iter().map(|row| row.2 as f64).collect()
}

fn sorted(rows: &[Row]) -> Vec<f64> {
    let mut values = values(rows);
    values.sort_by(f64::total_cmp);
    values
}

fn mean(rows: &[Row]) -> f64 {
    values(rows).iter().sum::<f64>() / rows.len() as f64
}

fn stddev(rows: &[Row]) -> f64 {
    let mean = mean(rows);
    (values(rows).iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (rows.len() as f64 - 1.0)).sqrt()
}

fn median(rows: &[Row]) -> f64 {
    let sorted = sorted(rows);
    let half = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[half] } else { (sorted[half - 1] + sorted[half]) / 2.0 }
}

fn percentile(rows: &[Row], percent: f64) -> Option<f64> {
    let index = (rows.len() as f64 * percent / 100.0 + 0.5).floor() as usize;
    sorted(rows).get(index.checked_sub(1)?).copied()
}

fn first(rows: &[Row]) -> f64 {
    rows.iter().filter(|row| row.0 == rows[0].0).map(|row| row.2).max().expect("a row") as f64
}

fn last(rows: &[Row]) -> f64 {
    let time = rows.last().expect("a row").0;
    rows.iter().filter(|row| row.0 == time).map(|row| row.2).max().expect("a row") as f64
}

fn distinct(rows: &[Row]) -> Vec<f64> {
    let mut by_first: Vec<(i64, i64)> = Vec::new();
    for row in rows {
        if by_first.iter().all(|known| known.1 != row.2) {
            by_first.push((row.0, row.2));
        }
    }
    by_first.sort();
    by_first.into_iter().map(|pair| pair.1 as f64).collect()
}

/// The best rows, in order of time.
fn top(rows: &[Row], count: usize) -> Vec<(i64, f64)> {
    let mut best = rows.to_vec();
    best.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| a.cmp(b)));
    best.truncate(count);
    best.sort_by(|a, b| a.0.cmp(&b.0).then(b.2.cmp(&a.2)));
    best.into_iter().map(|row| (row.0, row.2 as f64)).collect()
}

fn changes(rows: &[Row]) -> Vec<(i64, f64)> {
    let mut single: Vec<&Row> = Vec::new();
    for row in rows {
        if single.last().is_none_or(|last| last.0 != row.0) {
            single.push(row);
        }
    }
    single.windows(2).map(|pair| (pair[1].0, (pair[1].2 - pair[0].2) as f64)).collect()
}

/// Of several points at one time the first ends the line before it, and the last begins the one after.
fn integral(rows: &[Row]) -> f64 {
    rows.windows(2).map(|pair| (pair[0].2 + pair[1].2) as f64 / 2.0 * (pair[1].0 - pair[0].0) as f64).sum()
}

/// The cells of one column of the answer with their times.
fn answer(database: &Database, query: &str) -> Cells {
    let series = database.query(query).expect("an answer");
    let rows = series.iter().flat_map(|series| series.rows.iter());
    rows.map(|row| {
        let Value::Time { ns, .. } = row[0] else { panic!("a time comes first") };
        let value = match &row[1] {
            Value::Float(value) => Some(*value),
            Value::Integer(value) => Some(*value as f64),
            Value::Null => None,
            other => panic!("a number: {other:?}"),
        };
        (ns, value)
    })
    .collect()
}

fn close(got: &[(i64, Option<f64>)], want: &[(i64, Option<f64>)]) -> bool {
    let same = |a: Option<f64>, b: Option<f64>| match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0),
        (a, b) => a.is_none() == b.is_none(),
    };
    got.len() == want.len() && got.iter().zip(want).all(|(got, want)| got.0 == want.0 && same(got.1, want.1))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn functions_agree_with_plain_computations(points in points(), interval in 20i64..150) {
        let database = Database::new(&points, Cut { group_ns: 130, shards: 2 });
        let all = rows(&points);
        if all.is_empty() {
            return Ok(());
        }
        let functions: [(&str, Plain<'_>); 14] = [
            ("count(i)", &|rows| Some(rows.len() as f64)),
            ("sum(i)", &|rows| Some(values(rows).iter().sum())),
            ("mean(i)", &|rows| Some(mean(rows))),
            ("min(i)", &|rows| sorted(rows).first().copied()),
            ("max(i)", &|rows| sorted(rows).last().copied()),
            ("spread(i)", &|rows| Some(sorted(rows)[rows.len() - 1] - sorted(rows)[0])),
            ("stddev(i)", &|rows| Some(stddev(rows)).filter(|_| rows.len() > 1)),
            ("median(i)", &|rows| Some(median(rows))),
            ("first(i)", &|rows| Some(first(rows))),
            ("last(i)", &|rows| Some(last(rows))),
            ("count(distinct(i))", &|rows| Some(distinct(rows).len() as f64)),
            ("percentile(i, 25)", &|rows| percentile(rows, 25.0)),
            ("percentile(i, 90)", &|rows| percentile(rows, 90.0)),
            ("percentile(i, 100)", &|rows| percentile(rows, 100.0)),
        ];
        for (function, plain) in functions {
            let query = format!("SELECT {function} FROM m WHERE time >= 0 AND time < 400 GROUP BY time({interval}ns) fill(none)");
            let windows = all.chunk_by(|a, b| a.0 / interval == b.0 / interval);
            let want: Cells =
                windows.map(|rows| (rows[0].0 / interval * interval, plain(rows))).collect();
            // A percentile without a point is no row; a deviation of one value is a row without a value.
            let keep = |row: &(i64, Option<f64>)| row.1.is_some() || function.starts_with("stddev");
            let want: Vec<_> = want.into_iter().filter(keep).collect();
            let got = answer(&database, &query);
            prop_assert!(close(&got, &want), "{query}\n{got:?}\n{want:?}");
        }
        let some = |rows: Vec<(i64, f64)>| rows.into_iter().map(|row| (row.0, Some(row.1))).collect::<Vec<_>>();
        let lists: [(&str, Cells); 7] = [
            ("distinct(i)", distinct(&all).into_iter().map(|value| (0, Some(value))).collect()),
            ("top(i, 4)", some(top(&all, 4))),
            ("difference(i)", some(changes(&all))),
            ("integral(i, 1ns)", vec![(0, Some(integral(&all)))].into_iter().filter(|_| all[all.len() - 1].0 != 0).collect()),
            ("elapsed(i, 3ns)", some(all.windows(2).map(|pair| (pair[1].0, ((pair[1].0 - pair[0].0) / 3) as f64)).collect())),
            ("cumulative_sum(i)", some((1..=all.len()).map(|end| (all[end - 1].0, values(&all[..end]).iter().sum())).collect())),
            ("moving_average(i, 3)", some(all.windows(3).map(|three| (three[2].0, mean(three))).collect())),
        ];
        for (function, want) in lists {
            let query = format!("SELECT {function} FROM m");
            let got = answer(&database, &query);
            prop_assert!(close(&got, &want), "{query}\n{got:?}\n{want:?}");
        }
    }
}
