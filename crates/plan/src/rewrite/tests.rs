use model::{Tags, Timestamp};

use super::*;

fn condition(statement: SeriesStatement, text: &str) -> Result<SeriesCondition, PlanError> {
    let expr = influxql::parse_expr(text).expect("an expression");
    let context = PlanContext { now: Timestamp(100), local_zone: None, select_buckets_max: 0 };
    series_condition(statement, Some(&expr), &context)
}

#[track_caller]
fn check_error(statement: SeriesStatement, text: &str, want: &str) {
    let error = condition(statement, text).expect_err("a wrong condition");
    assert_eq!(error.to_string(), want, "{text}");
}

/// Which of the series `h=a,r=x`, `h=b,r=y` and `h=b` are meant.
#[track_caller]
fn check(statement: SeriesStatement, text: &str, want: &str) {
    let checked = condition(statement, text).expect("a condition");
    let tags = |pairs: &[(&str, &str)]| {
        Tags::new(pairs.iter().map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec())).collect())
    };
    let series = [tags(&[("h", "a"), ("r", "x")]), tags(&[("h", "b"), ("r", "y")]), tags(&[("h", "b")])];
    let got: String = series.iter().map(|tags| if checked.series.accepts(tags) { '1' } else { '0' }).collect();
    assert_eq!(got, want, "{text}");
}

#[test]
fn names_are_tags() {
    use SeriesStatement::ShowSeries;
    check(ShowSeries, "h = 'a'", "100");
    check(ShowSeries, "'a' = h", "100");
    check(ShowSeries, "h != 'a' AND r = ''", "001");
    check(ShowSeries, "(h = 'a' OR r =~ /^y$/)", "110");
    check(ShowSeries, "nosuch = ''", "111");
    check(ShowSeries, "nosuch = 'x'", "000");
    check(ShowSeries, "true", "111");
}

#[test]
fn conditions_on_fields_say_nothing_about_series() {
    for statement in [SeriesStatement::ShowSeries, SeriesStatement::ShowTagKeys, SeriesStatement::ShowTagValues] {
        check(statement, "v = 1", "111");
        check_error(statement, "v > 1", "invalid tag comparison operator");
        check_error(statement, "h = 'a' AND v > 1", "invalid tag comparison operator");
        check_error(statement, "h", "invalid condition expression: h");
        check_error(statement, "h = 'a' AND 5", "invalid condition expression: 5");
    }
}

#[test]
fn two_names_mean_series_that_have_both() {
    check(SeriesStatement::ShowSeries, "h = r", "110");
    check(SeriesStatement::ShowTagKeys, "h = r", "110");
    let text =
        "bad WHERE clause for metaquery; one term must be a string literal tag value within single quotes: h = a";
    check_error(SeriesStatement::ShowTagValues, "h = a", text);
}

#[test]
fn show_measurements_is_strict() {
    use SeriesStatement::ShowMeasurements;
    check(ShowMeasurements, "h = 'b' AND r = 'y'", "010");
    check_error(ShowMeasurements, "v = 1", "right side of '=' must be a tag value string");
    check_error(ShowMeasurements, "h != a", "right side of '!=' must be a tag value string");
    check_error(ShowMeasurements, "abs(h) = 'a'", "left side of '=' must be a tag key");
    check_error(ShowMeasurements, "h > 'a'", "invalid tag comparison operator");
}

#[test]
fn some_statements_take_no_time() {
    let names = [
        (SeriesStatement::ShowMeasurements, "SHOW MEASUREMENTS"),
        (SeriesStatement::SeriesCardinality, "SHOW SERIES EXACT CARDINALITY"),
        (SeriesStatement::MeasurementCardinality, "SHOW MEASUREMENT EXACT CARDINALITY"),
        (SeriesStatement::TagKeyCardinality, "SHOW TAG KEY EXACT CARDINALITY"),
        (SeriesStatement::FieldKeyCardinality, "SHOW FIELD KEY CARDINALITY"),
        (SeriesStatement::DropSeries, "DROP SERIES"),
    ];
    for (statement, name) in names {
        check_error(statement, "time > 5", &format!("{name} doesn't support time in WHERE clause"));
    }
}

#[test]
fn others_are_bounded_by_time() {
    let bounded =
        condition(SeriesStatement::ShowSeries, "time >= 5 AND time < now() AND h = 'a'").expect("a condition");
    assert!(bounded.has_time);
    assert_eq!(bounded.range, TimeRange::new(Timestamp(5), Timestamp(100)));
    let never = condition(SeriesStatement::Delete, "time > 5 AND time < 5").expect("a condition");
    assert_eq!(never.range, None);
    let always = condition(SeriesStatement::Delete, "h = 'a'").expect("a condition");
    assert_eq!((always.has_time, always.range), (false, Some(TimeRange::ALL)));
}

#[test]
fn deletion_refuses_what_is_no_tag() {
    for statement in [SeriesStatement::Delete, SeriesStatement::DropSeries] {
        check(statement, "h = 'a'", "100");
        check(statement, "s = 'zz'", "000");
        for text in ["v > 1", "h = 5", "v + 1 > 5", "v = 1 AND h = 'a'", "foo(h) = 'zz'"] {
            check_error(statement, text, "fields not supported in WHERE clause during deletion");
        }
        check_error(statement, "h > 'a'", "invalid tag comparison operator");
        check_error(statement, "h = 'zz' AND 5", "invalid condition expression: 5");
        let text =
            "bad WHERE clause for metaquery; one term must be a string literal tag value within single quotes: h = a";
        check_error(statement, "h = a", text);
    }
}

#[test]
fn the_word_value_means_the_values_answered() {
    let checked = condition(SeriesStatement::ShowTagValues, "value =~ /a/ AND h = 'b' AND value != 'x'").expect("one");
    assert_eq!(checked.values.len(), 2);
    assert!(checked.values.iter().all(|test| test.accepts(b"ba")));
    assert!(!checked.values.iter().all(|test| test.accepts(b"x")));
    let text = "Expression too complex for metaquery: value = 'x'";
    check_error(SeriesStatement::ShowTagValues, "value = 'x' OR h = 'a'", text);
    check(SeriesStatement::ShowSeries, "value = 'x'", "000");
}

#[test]
fn keys_are_chosen() {
    let accepts = |condition: KeyCondition| {
        let filter = key_filter(&condition).expect("a condition");
        ["h", "host", "r"].map(|key| filter.accepts(key.as_bytes()))
    };
    assert_eq!(accepts(KeyCondition::Eq("h".to_owned())), [true, false, false]);
    assert_eq!(accepts(KeyCondition::In(vec!["h".to_owned(), "r".to_owned()])), [true, false, true]);
    assert_eq!(accepts(KeyCondition::NotEq("h".to_owned())), [false, true, true]);
    assert_eq!(accepts(KeyCondition::Matches("^h".to_owned())), [true, true, false]);
    assert_eq!(accepts(KeyCondition::NotMatches("^h".to_owned())), [false, false, true]);
    assert!(key_filter(&KeyCondition::Matches("(".to_owned())).is_err());
}

#[test]
fn names_left_out_are_put_in() {
    let text = "SELECT v FROM m, rp.n, (SELECT v FROM db.rp.k, db..j)";
    let mut statement = influxql::parse_canonical_select(text).expect("a statement");
    let policy = |database: &str| Ok::<_, PlanError>(format!("{database}_default"));
    qualify(&mut statement, "x", policy).expect("names");
    let want = "SELECT v FROM x.x_default.m, x.rp.n, (SELECT v FROM db.rp.k, db.db_default.j)";
    assert_eq!(statement.to_string(), want);
    let mut statement = influxql::parse_canonical_select("SELECT v FROM m").expect("a statement");
    let error = qualify(&mut statement, "", policy).expect_err("no database");
    assert_eq!(error.to_string(), "database name required");
}

#[test]
fn a_statement_is_narrowed_to_a_range() {
    let narrowed = |text: &str, start, end| {
        let mut statement = influxql::parse_canonical_select(text).expect("a statement");
        narrow(&mut statement, TimeRange::new(Timestamp(start), Timestamp(end)).expect("a range"));
        // The text is what a continuous query is seen running as.
        let again = influxql::parse_canonical_select(&statement.to_string()).expect("a statement");
        let context = PlanContext { now: Timestamp(0), local_zone: None, select_buckets_max: 0 };
        let needs = |statement| crate::analyse(statement, &context).expect("a statement that is right").needs();
        assert_eq!(needs(&again), needs(&statement));
        needs(&statement).first().map(|need| (need.range.start().0, need.range.end().0))
    };
    let minute = 60_000_000_000;
    assert_eq!(narrowed("SELECT mean(v) FROM m GROUP BY time(1m)", 0, minute), Some((0, minute)));
    assert_eq!(narrowed("SELECT v FROM m WHERE h = 'a' OR time > 5", 0, 100), Some((6, 100)));
    assert_eq!(narrowed("SELECT v FROM m WHERE time > 100", 0, 100), None);
}

#[test]
fn an_analysis_knows_how_time_is_cut() {
    let context = PlanContext { now: Timestamp(90_000_000_000), local_zone: None, select_buckets_max: 0 };
    let analysed = |text: &str| {
        let statement = influxql::parse_canonical_select(text).expect("a statement");
        let analysis = crate::analyse(&statement, &context).expect("a statement that is right");
        (analysis.is_aggregate(), analysis.window().map(|window| window.to_string()))
    };
    let text = "SELECT mean(v) FROM m GROUP BY time(1m, now()), h TZ('Asia/Tokyo')";
    assert_eq!(analysed(text), (true, Some("1m offset 30s in Asia/Tokyo".to_owned())));
    assert_eq!(analysed("SELECT abs(v) FROM m"), (false, None));
}
