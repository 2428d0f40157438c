//! Statements and their plans or errors, from `tests/cases/*.txt`.
//!
//! A case is a statement on a line that starts with `> `, and below it the plan, or `error: ` and the text. A line that
//! starts with `#` is a comment. With `UPDATE_EXPECT=1` the files are written anew; read the difference as you would
//! code. The error texts were compared with those of the reference.

use std::fs;
use std::path::Path;

use influxql::ast::Statement;
use model::{FieldType, Timestamp};
use plan::{Catalog, PlanContext, Schema, ShardPlan, Zone, analyse};

/// 2000-01-01T00:00:00Z
const NOW: Timestamp = Timestamp(946_684_800_000_000_000);

fn schema(fields: &[(&str, FieldType)], tags: &[&str]) -> Schema {
    let mut schema = Schema::default();
    fields.iter().for_each(|(name, kind)| schema.add_field(*name, *kind));
    tags.iter().for_each(|tag| schema.add_tag(*tag));
    schema
}

/// The measurements of all cases, in database `d` and retention policy `r`.
fn catalog() -> Catalog {
    use FieldType::{Boolean, Float, Integer, String, Unsigned};
    let mut catalog = Catalog::default();
    let mut add = |name: &str, fields: &[(&str, FieldType)], tags: &[&str]| {
        catalog.add("d", "r", name.as_bytes(), &schema(fields, tags));
    };
    add("m", &[("b", Boolean), ("i", Integer), ("s", String), ("v", Float)], &["h", "r"]);
    add("k", &[("i", Integer), ("v", Integer), ("w", Integer)], &["h"]);
    add("n", &[("u", Unsigned), ("i", Integer), ("both", Float), ("many", Integer), ("many", Float)], &["both", "h"]);
    add("cpu", &[("usage_idle", Float), ("usage_iowait", Float), ("usage_irq", Float)], &["cpu", "host"]);
    add("diskio", &[("read_bytes", Integer), ("write_bytes", Integer)], &["host", "name"]);
    add("kernel", &[("boot_time", Integer), ("context_switches", Integer), ("processes_forked", Integer)], &["host"]);
    add("mem", &[("available", Integer), ("used", Integer), ("used_percent", Float)], &["host"]);
    let procstat = [("cpu_time_user", Float), ("cpu_usage", Float), ("is_kernel", Boolean), ("is_running", Boolean)];
    let more = [("memory_rss", Integer), ("pid", Integer), ("status", String), ("wchan", String)];
    add("procstat", &[procstat, more].concat(), &["host", "process_name", "slot"]);
    add("system", &[("load1", Float), ("load5", Float), ("uptime", Integer), ("uptime_format", String)], &["host"]);
    let weather = [("condition", String), ("precipitation", Float), ("temp_max", Float), ("temp_min", Float)];
    add("weather", &[weather.as_slice(), &[("wet", Boolean), ("wind", Float)]].concat(), &["location", "station"]);
    add("normals", &[("pressure", Float), ("temperature", Float)], &["location", "station"]);
    add("co2", &[("adjusted", Float), ("ppm", Float)], &["site"]);
    let quake = [("alert", String), ("depth", Float), ("felt", Integer), ("mag", Float), ("mmi", Float)];
    let more = [("place", String), ("status", String), ("tsunami", Boolean)];
    add("quake", &[quake.as_slice(), &more].concat(), &["net", "type"]);
    let strike = [("airport", String), ("cost_total", Integer), ("damage", String), ("damaged", Boolean)];
    add("strike", &[strike.as_slice(), &[("speed", Integer)]].concat(), &["phase", "size", "state"]);
    catalog
}

fn answer(text: &str) -> String {
    let statements = match influxql::parse_query(text, &influxql::Params::new()) {
        Ok(statements) => statements,
        Err(error) => return format!("parse error: {error}\n"),
    };
    let [Statement::Select(statement)] = statements.as_slice() else { panic!("{text} is one SELECT") };
    let mut statement = statement.clone();
    let mut qualify = |measurement: &mut influxql::ast::Measurement| {
        measurement.database.get_or_insert_with(|| "d".to_owned());
        measurement.retention_policy.get_or_insert_with(|| "r".to_owned());
    };
    influxql::visit::for_each_measurement_mut(&mut statement.sources, &mut qualify);
    let context = PlanContext { now: NOW, local_zone: Zone::get("Asia/Tokyo"), select_buckets_max: 1_000_000 };
    match analyse(&statement, &context).and_then(|analysis| analysis.plan(&catalog())) {
        Ok(plan) => {
            plan.for_each_shard_plan(&mut comes_back);
            plan.to_string()
        }
        Err(error) => format!("error: {error}\n"),
    }
}

/// Every shard plan survives its way over the wire.
fn comes_back(plan: &ShardPlan) {
    let again = ShardPlan::decode(&plan.encode()).unwrap();
    assert_eq!(again.to_string(), plan.to_string());
    assert_eq!(again.encode(), plan.encode());
}

/// The file with the answers as they are now.
fn rewritten(file: &str) -> String {
    let mut out = String::new();
    let mut in_answer = false;
    for line in file.lines() {
        if let Some(text) = line.strip_prefix("> ") {
            out.push_str(&format!("> {text}\n{}", answer(text)));
            in_answer = true;
        } else if line.is_empty() || line.starts_with('#') {
            out.push_str(line);
            out.push('\n');
            in_answer = false;
        } else {
            assert!(in_answer, "a line that belongs to no statement: {line}");
        }
    }
    out
}

#[test]
fn plans_are_as_written_down() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    for path in paths {
        let want = fs::read_to_string(&path).unwrap();
        let got = rewritten(&want);
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(&path, got).unwrap();
            continue;
        }
        for (line, (want, got)) in want.lines().zip(got.lines()).enumerate() {
            assert_eq!(got, want, "{}:{}", path.display(), line + 1);
        }
        assert_eq!(got.len(), want.len(), "{} has as many lines", path.display());
    }
}
