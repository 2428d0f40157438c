//! The queries over the data sets in `tests/data`, whose answers were computed from the raw lines by other means.

use std::path::PathBuf;

use model::result::{Series, Value};

use crate::database::{Cut, Database};
use crate::lines;

fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/data").join(name)
}

fn expected(name: &str) -> Vec<(String, String, serde_json::Value)> {
    let text = std::fs::read_to_string(data("expected.json")).expect("the answers");
    let all: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let queries = all[name]["queries"].as_object().expect("queries by name");
    let query = |(name, query): (&String, &serde_json::Value)| {
        (name.clone(), query["q"].as_str().expect("text").to_owned(), query["series"].clone())
    };
    queries.iter().map(query).filter(|(_, text, _)| text.starts_with("SELECT")).collect()
}

#[track_caller]
fn check(name: &str, cuts: &[Cut], count: usize) {
    let points = lines::parse(&testkit::recording::text(name).expect("a data set"));
    let queries = expected(name);
    assert_eq!(queries.len(), count);
    let mut wrong = Vec::new();
    for cut in cuts {
        let database = Database::new(&points, *cut);
        for (title, text, want) in &queries {
            let answer = database.query(text);
            match &answer {
                Ok(answer) if same_answer(answer, want) => {}
                Ok(answer) => wrong.push(format!(
                    "{title}\n  {text}\n  cut into {} shards\n  got\n{}  want {want}",
                    database.shard_count(),
                    crate::database::show(answer)
                )),
                Err(error) => wrong.push(format!("{title}\n  {text}\n  {error}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {} wrong\n{}", wrong.len(), count * cuts.len(), wrong.join("\n"));
}

fn same_answer(answer: &[Series], want: &serde_json::Value) -> bool {
    let want = want.as_array().expect("a list of series");
    answer.len() == want.len() && answer.iter().zip(want).all(|(series, want)| same_series(series, want))
}

fn same_series(series: &Series, want: &serde_json::Value) -> bool {
    let columns: Vec<&str> =
        want["columns"].as_array().expect("columns").iter().filter_map(|name| name.as_str()).collect();
    let tags: Vec<(String, String)> = want["tags"].as_object().map_or(Vec::new(), |tags| {
        tags.iter().map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
    });
    let rows = want["values"].as_array().expect("rows");
    series.name == want["name"].as_str().unwrap_or_default()
        && series.tags == tags
        && series.columns == columns
        && series.rows.len() == rows.len()
        && series.rows.iter().zip(rows).all(|(row, want)| {
            let want = want.as_array().expect("cells");
            row.len() == want.len() && row.iter().zip(want).all(|(cell, want)| same_cell(cell, want))
        })
}

fn same_cell(cell: &Value, want: &serde_json::Value) -> bool {
    match cell {
        Value::Null => want.is_null(),
        Value::Float(value) => {
            want.as_f64().is_some_and(|want| (value - want).abs() <= 1e-9 * want.abs().max(value.abs()))
        }
        Value::Integer(value) | Value::Time { ns: value, .. } => want.as_i64() == Some(*value),
        Value::Unsigned(value) => want.as_u64() == Some(*value),
        Value::String(value) => want.as_str() == Some(value),
        Value::Boolean(value) => want.as_bool() == Some(*value),
        Value::List(_) => false,
    }
}

const MINUTE: i64 = 60_000_000_000;
const YEAR: i64 = 365 * 1_440 * MINUTE;

#[test]
fn host_telemetry() {
    check("host-telemetry.lp.gz", &[Cut::WHOLE, Cut { group_ns: 7 * MINUTE, shards: 3 }], 32);
}

#[test]
fn weather() {
    check("weather.lp.gz", &[Cut::WHOLE, Cut { group_ns: 3 * YEAR, shards: 2 }], 16);
}

#[test]
fn events() {
    check("events.lp.gz", &[Cut::WHOLE, Cut { group_ns: YEAR, shards: 3 }], 13);
}
