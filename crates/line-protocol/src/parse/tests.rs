use model::{Batch, FieldValue, Precision};
use proptest::prelude::*;

use super::*;
use crate::{fuzzing, write};

/// What a body becomes: the canonical text of its points, then errors and drops.
fn read_with(parser: &mut Parser, body: &[u8], precision: Precision) -> String {
    let mut batch = Batch::default();
    let outcome = parser.parse(body, precision, 1_500_000_000_123_456_789, &mut batch);
    assert_eq!(batch.validate(), Ok(()));
    let mut text = Vec::new();
    write::batch(&batch, &mut text);
    let mut text = String::from_utf8_lossy(&text).into_owned();
    if !outcome.errors.is_empty() {
        text += &format!("{}\n", outcome.errors);
    }
    if let Some(reason) = outcome.dropped_reason {
        text += &format!("{reason} dropped={}\n", outcome.dropped_count);
    }
    text
}

fn read(body: &str) -> String {
    read_with(&mut Parser::new(1), body.as_bytes(), Precision::Nanosecond)
}

#[track_caller]
fn check(body: &str, want: &str) {
    assert_eq!(read(body), want);
    // Once more by a parser that knows the series and fields, with an ordinary line behind.
    let mut parser = Parser::new(2);
    for _ in 0..3 {
        assert_eq!(read_with(&mut parser, body.as_bytes(), Precision::Nanosecond), want);
    }
}

#[track_caller]
fn refuse(line: &str, reason: &str) {
    check(line, &format!("unable to parse '{}': {reason}\n", line.trim_start()));
    let mixed = format!("{line}\nm v=1 1\n{line}\nm v=2 2\n");
    let error = format!("unable to parse '{}': {reason}\n", line.trim_start());
    if !line.contains('"') {
        check(&mixed, &format!("m v=1 1\nm v=2 2\n{error}{error}"));
    }
}

const NOW: &str = "1500000000123456789";

#[test]
fn the_vectors_of_the_protocol_document() {
    check("cpu v=1", &format!("cpu v=1 {NOW}\n"));
    check("cpu,host=a,region=us v=1,i=2i,s=\"x y\",b=t 1", "cpu,host=a,region=us b=true,i=2i,s=\"x y\",v=1 1\n");
    check("  cpu v=1", &format!("cpu v=1 {NOW}\n"));
    check("# c\ncpu v=1", &format!("cpu v=1 {NOW}\n"));
    check("cpu   v=1    5   ", "cpu v=1 5\n");
    check("cpu v=1\r\n", "unable to parse 'cpu v=1\r': invalid number\n");
    check("cpu v=1 5\r\n", "unable to parse 'cpu v=1 5\r': bad timestamp\n");
    check("cpu\tv=1", "unable to parse 'cpu\tv=1': missing fields\n");
    check("a\\,b\\ c,t\\=k=v\\ 1 f\\,1=2 1", "a\\,b\\ c,t\\=k=v\\ 1 f\\,1=2 1\n");
    check("m s=\"a\nb\" 1", "m s=\"a\nb\" 1\n");
    check(r#"m s="a\"b\\c" 1"#, "m s=\"a\\\"b\\\\c\" 1\n");
    check(r#"m s="\n" 1"#, "m s=\"\\\\n\" 1\n");
    check("m v=1,v=2 1", "m v=2 1\n");
    check("m,b=1,a=2 v=1 1", "m,a=2,b=1 v=1 1\n");
    check("m v=1 1\nbad", "m v=1 1\nunable to parse 'bad': missing fields\n");
    check("", "");
    check("m v=9223372036854775807i 1", "m v=9223372036854775807i 1\n");
    let range = "strconv.ParseInt: parsing \"9223372036854775808\": value out of range";
    refuse("m v=9223372036854775808i", &format!("unable to parse integer 9223372036854775808: {range}"));
    check("m v=1 9223372036854775806", "m v=1 9223372036854775806\n");
    refuse("m v=1 9223372036854775807", "time outside range -9223372036854775806 - 9223372036854775806");
    let hour = read_with(&mut Parser::new(1), b"m v=1 1", Precision::Hour);
    assert_eq!(hour, "m v=1 3600000000000\n");
}

#[test]
fn zero_bytes_are_blanks_and_no_time() {
    // As many as a time of today has digits.
    let zeros = "\0".repeat(20);
    check(&format!("m v=1 {zeros}3\nm v=2 {zeros}4\n"), "m v=1 3\nm v=2 4\n");
    check(&format!("m v=1 1\nm v=2 {zeros}\n"), &format!("m v=1 1\nm v=2 {NOW}\n"));
}

#[test]
fn every_reason_of_the_protocol_document() {
    refuse(",host=a v=1", "missing measurement");
    for line in ["cpu", "cpu,host=a", "cpu\tv=1"] {
        refuse(line, "missing fields");
    }
    for line in ["cpu,=a v=1", "cpu, v=1"] {
        refuse(line, "missing tag key");
    }
    for line in ["cpu,host= v=1", "cpu,host v=1", "cpu,host,b=c v=1"] {
        refuse(line, "missing tag value");
    }
    refuse("cpu,host=a=b v=1", "invalid tag format");
    for line in ["cpu,a=1,a=2 v=1", "cpu,b=1,a=2,b=3 v=1", "cpu,b\\ =1,a=2,b\\ =3 v=1"] {
        refuse(line, "duplicate tags");
    }
    for line in ["cpu =1", "cpu v=1,=2"] {
        refuse(line, "missing field key");
    }
    for line in ["cpu v=", "cpu v= 1", "cpu v=1,w="] {
        refuse(line, "missing field value");
    }
    for line in ["cpu v", "cpu ", "cpu v=1,w", "cpu v=1,,w=2", "cpu v=1,", "bad line here x", "cpu s=\"a\"b"] {
        refuse(line, "invalid field format");
    }
    refuse("cpu a\\\\=1", "invalid value: field-key=a\\\\=1");
    for line in ["cpu v=1.1i", "cpu v=1u", "cpu v=--1", "cpu v=NaN", "cpu v=1\r"] {
        refuse(line, "invalid number");
    }
    for line in ["cpu v=1e999", "cpu v=1e"] {
        refuse(line, "invalid float");
    }
    for line in ["cpu v=tru", "cpu v=abc", "cpu v=inf", "cpu v=+1"] {
        refuse(line, "invalid boolean");
    }
    refuse("cpu v=\"abc", "unbalanced quotes");
    for line in ["cpu v=1 abc", "cpu v=1 1x", "cpu v=1 1.5", "cpu v=1 1\t"] {
        refuse(line, "bad timestamp");
    }
    refuse("cpu v=1 1 2", "point is invalid");
    refuse("cpu v=1 -", "strconv.ParseInt: parsing \"-\": invalid syntax");
    let big = "99999999999999999999";
    refuse(&format!("cpu v=1 {big}"), &format!("strconv.ParseInt: parsing \"{big}\": value out of range"));
    refuse("cp\\\nu v=1", "line feed outside of a string");
}

#[test]
fn keys_have_a_longest_length() {
    let tag = "x".repeat(KEY_BYTES_MAX - "m,t=".len());
    let long = format!("m,t={tag}");
    // Four bytes and the field key no longer fit behind it.
    refuse(&format!("{long} v=1 1"), "max key length exceeded: 65540 > 65535");
    refuse(&format!("{long}x v=1 1"), "max key length exceeded: 65536 > 65535");
    let fits = &long[..KEY_BYTES_MAX - 5];
    check(&format!("{fits} v=1 1\n"), &format!("{fits} v=1 1\n"));
    refuse(&format!("{fits} vw=1 1"), "max key length exceeded: 65536 > 65535");
    // Also when the series is known.
    check(
        &format!("{fits} v=1 1\n{fits} v=2 2\n{fits} vw=3 3\n"),
        &format!(
            "{fits} v=1 1\n{fits} v=2 2\nunable to parse '{fits} vw=3 3': max key length exceeded: 65536 > 65535\n"
        ),
    );
}

#[test]
fn lines_have_a_largest_number_of_fields() {
    let line = |count: usize| {
        let fields: Vec<String> = (0..count).map(|index| format!("f{index:05}={index}i")).collect();
        format!("m {} 1\n", fields.join(","))
    };
    check(&line(FIELDS_PER_LINE_MAX), &line(FIELDS_PER_LINE_MAX));
    let text = read(&line(FIELDS_PER_LINE_MAX + 1));
    assert!(text.ends_with("': too many fields: more than 10000\n"), "{}", &text[text.len() - 100..]);
    // The same field again and again is no way around it, also when it is known.
    let body = format!("m v=1 1\nm {}v=2 2\n", "v=1,".repeat(FIELDS_PER_LINE_MAX));
    assert!(read(&body).ends_with("': too many fields: more than 10000\n"));
}

#[test]
fn strings_have_a_longest_length() {
    let fits = "y".repeat(STRING_BYTES_MAX);
    let line = format!("m s=\"{fits}\" 1\n");
    check(&line, &line);
    // Escapes do not count.
    let escaped = format!("m s=\"{}\\\"\" 1\n", &fits[1..]);
    check(&escaped, &escaped);
    let reason = "input field \"s\" on measurement \"m\" is too long, 1048577 > 1048576 dropped=1\n";
    check(&format!("m s=\"a\" 1\nm s=\"{fits}z\" 2\nm s=\"b\" 3\n"), &format!("m s=\"a\" 1\nm s=\"b\" 3\n{reason}"));
}

#[test]
fn sparse_requests_are_bounded() {
    let lines: Vec<String> = (0..400).map(|index| format!("m f{index}=1i {index}\n")).collect();
    let mut parser = Parser::new(1);
    assert_eq!(parser.sparse_places_max, SPARSE_PLACES_MAX);
    parser.sparse_places_max = 50_000;
    for _ in 0..3 {
        let mut batch = Batch::default();
        let outcome = parser.parse(lines.concat().as_bytes(), Precision::Nanosecond, 0, &mut batch);
        assert_eq!(batch.validate(), Ok(()));
        let (rows, columns) = (batch.tables[0].row_count() as u64, batch.tables[0].columns.len() as u64);
        assert!(rows < 400 && rows * columns + columns * COLUMN_PLACES + TABLE_PLACES <= 50_000 + rows);
        assert!((rows + 1) * (columns + 1 + COLUMN_PLACES) + TABLE_PLACES > 50_000, "{rows} rows, {columns} columns");
        assert_eq!(outcome.dropped_count as u64, 400 - rows);
        assert!(matches!(outcome.dropped_reason, Some(DropReason::TooSparse { .. })));
    }
}

#[test]
fn many_measurements_are_bounded() {
    let lines: Vec<String> = (0..400).map(|index| format!("m{index} v=1,w=2 1\n")).collect();
    let mut parser = Parser::new(1);
    parser.sparse_places_max = 100 * (TABLE_PLACES + 2 * COLUMN_PLACES);
    for _ in 0..3 {
        let mut batch = Batch::default();
        let outcome = parser.parse(lines.concat().as_bytes(), Precision::Nanosecond, 0, &mut batch);
        assert_eq!((batch.tables.len(), outcome.dropped_count), (100, 300));
        assert!(matches!(outcome.dropped_reason, Some(DropReason::TooSparse { .. })));
    }
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut parser = Parser::new(1);
    let name = "a-host-with-a-very-long-name".repeat(30);
    let mut most = 0;
    for round in 0..5 {
        let mut body = String::new();
        for index in 0..10_000 {
            body += &format!("m,host={name}-{round}-{index} v=1i 1\nm{round}-{index} refused\n");
        }
        let mut batch = Batch::default();
        let outcome = parser.parse(body.as_bytes(), Precision::Nanosecond, 0, &mut batch);
        assert_eq!((outcome.errors.count(), batch.tables[0].series.len()), (10_000, 10_000));
        most = most.max(parser.memory_bytes());
        assert!(most <= CACHE_BYTES_MAX, "{most} bytes");
    }
    assert!(most > CACHE_BYTES_MAX / 4, "{most} bytes");
}

#[test]
fn tag_and_field_named_time() {
    check(
        "a,time=x v=1 1\nok v=1 1",
        "ok v=1 1\ninvalid tag key: input tag \"time\" on measurement \"a\" is invalid dropped=1\n",
    );
    check(
        "a\\ b time=1 1\na\\ b,c=d time=2,time=3i 1",
        "invalid field name: input field \"time\" on measurement \"a b\" is invalid dropped=2\n",
    );
    check("a v=1,time=5 1\na time=\"x\",v=2 2", "a v=1 1\na v=2 2\n");
    // A line must be readable before it can be dropped.
    refuse("a,time=x v=abc 1", "invalid boolean");
    // Tags are looked at before fields.
    check(
        "a time=1 1\nb,time=x v=1 1",
        "invalid tag key: input tag \"time\" on measurement \"b\" is invalid dropped=2\n",
    );
}

#[test]
fn a_field_under_two_types_has_two_columns() {
    let mut batch = Batch::default();
    Parser::new(1).parse(b"m v=1 1\nm v=2i 2\nm v=3,v=4i,v=5 3\n", Precision::Nanosecond, 0, &mut batch);
    let rows: Vec<Vec<FieldValue>> =
        batch.points().map(|point| point.fields.into_iter().map(|field| field.1).collect()).collect();
    let (float, integer) = (FieldValue::Float, FieldValue::Integer);
    assert_eq!(rows, [vec![float(1.0)], vec![integer(2)], vec![float(5.0), integer(4)]]);
    assert_eq!(batch.tables[0].columns.len(), 2);
}

#[test]
fn whitespace_before_the_first_field_is_no_part_of_its_key() {
    check("m v=1,\tw=2 1\nm \tw=3 2\nm \0v=4 3\n", "m v=1,\tw=2 1\nm w=3 2\nm v=4 3\n");
    check("m time=1,\tw=2 1\nm \tw=3 2\n", "m w=3 2\n");
}

#[test]
fn quotes_in_field_keys_may_have_a_backslash() {
    check(r#"m a\"b=1,c"d=2 1"#, "m a\"b=1,c\"d=2 1\n");
    check(r#"m a\\\"b=1 1"#, "m a\\\\\\\"b=1 1\n");
    check("m a\"b=1 1\nm a\\\"b=2 2\n", "m a\"b=1 1\nm a\"b=2 2\n");
}

#[test]
fn series_are_numbered_by_their_canonical_key() {
    let mut batch = Batch::default();
    let mut parser = Parser::new(1);
    let body = b"m,b=1,a=2 v=1 1\nm,a=2,b=1 v=1 2\nn v=1 3\nm,b=1,a=2 v=1 4\nm v=1 5\nm,a=2,b=1 v=2 6\n";
    for _ in 0..2 {
        batch.tables.clear();
        parser.parse(body, Precision::Nanosecond, 0, &mut batch);
        assert_eq!(batch.tables[0].series.iter().collect::<Vec<_>>(), [b"m,a=2,b=1".as_slice(), b"m"]);
        assert_eq!(batch.tables[0].row_series, [0, 0, 0, 1, 0]);
        assert_eq!(batch.tables[0].row_times, [1, 2, 4, 5, 6]);
    }
}

#[test]
fn a_refused_line_leaves_no_trace() {
    let mut parser = Parser::new(1);
    for _ in 0..3 {
        let mut batch = Batch::default();
        let body =
            b"m,t=1 a=1i,b=2 1\nm,t=1 a=5i,b=6,c=7 1x\nm,t=2 a=8i,b=x 2\nnew v=1,w= 3\nm,t=1 b=3 4\nm,t=1 a=9i,b=9 y\n";
        let outcome = parser.parse(body, Precision::Nanosecond, 0, &mut batch);
        assert_eq!(outcome.errors.count(), 4);
        assert_eq!(batch.validate(), Ok(()));
        assert_eq!(batch.tables.len(), 1);
        let table = &batch.tables[0];
        assert_eq!((table.series.len(), table.columns.len(), table.row_count()), (1, 2, 2));
        assert_eq!(table.columns[0].column.get(1), None);
        assert_eq!(table.columns[1].column.get(1), Some(FieldValue::Float(3.0)));
    }
}

#[test]
fn what_a_parser_remembers_changes_no_order() {
    let mut kept = Parser::new(1);
    let known = b"m a=1,b=2 1\nn c=1,d=2 1\n";
    kept.parse(known, Precision::Nanosecond, 0, &mut Batch::default());
    let body = b"m a=1,b=x 1\nn d=1 2\nn c=1,a=2,d=x 3\nm b=1 4\nn c=1 5\nm a=1 x\n";
    let mut batches = [Batch::default(), Batch::default()];
    for (parser, batch) in [&mut kept, &mut Parser::new(2)].into_iter().zip(&mut batches) {
        assert_eq!(parser.parse(body, Precision::Nanosecond, 0, batch).errors.count(), 3);
    }
    assert_eq!(batches[0], batches[1]);
    let names: Vec<&[u8]> = batches[0].tables[0].columns.iter().map(|field| field.name.as_slice()).collect();
    assert_eq!((batches[0].tables[0].measurement.as_slice(), names), (b"n".as_slice(), vec![b"d".as_slice(), b"c"]));
}

#[test]
fn default_times_are_cut_to_the_precision() {
    let mut parser = Parser::new(1);
    for (precision, want) in [
        (Precision::Nanosecond, "1500000000123456789"),
        (Precision::Microsecond, "1500000000123456000"),
        (Precision::Millisecond, "1500000000123000000"),
        (Precision::Second, "1500000000000000000"),
        (Precision::Minute, "1500000000000000000"),
        (Precision::Hour, "1499997600000000000"),
    ] {
        assert_eq!(read_with(&mut parser, b"m v=1", precision), format!("m v=1 {want}\n"));
    }
    let mut batch = Batch::default();
    parser.parse(b"m v=1", Precision::Second, -1, &mut batch);
    assert_eq!(batch.tables[0].row_times, [-1_000_000_000]);
}

#[test]
fn the_precision_of_a_request_is_not_remembered() {
    let mut parser = Parser::new(1);
    let line = b"m v=1 1500000000000000000\nm v=1 1500000000000000000\n";
    assert!(read_with(&mut parser, line, Precision::Nanosecond).starts_with("m v=1 15"));
    assert!(read_with(&mut parser, line, Precision::Second).contains("time outside range"));
}

/// Any text that may stand in a key, as raw bytes. A backslash before an escaped byte or at the end cannot be written.
fn name() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        4 => proptest::sample::select(b"abcxyz0159._-:/#'\"@".to_vec()).prop_map(|byte| vec![byte]),
        1 => proptest::sample::select(b", =".to_vec()).prop_map(|byte| vec![byte]),
        1 => Just("é".as_bytes().to_vec()),
        1 => Just(b"\\n".to_vec()),
    ];
    let parts = proptest::collection::vec(part, 1..12).prop_map(|parts| parts.concat());
    parts.prop_filter("a comment, or the reserved name", |name| name[0] != b'#' && name != b"time")
}

fn value() -> impl Strategy<Value = FieldValue> {
    prop_oneof![
        any::<i64>().prop_map(FieldValue::Integer),
        (-1000..1000i64).prop_map(FieldValue::Integer),
        any::<f64>().prop_filter("has a text", |value| value.is_finite()).prop_map(FieldValue::Float),
        (-100_000..100_000i32).prop_map(|value| FieldValue::Float(f64::from(value) / 100.0)),
        any::<bool>().prop_map(FieldValue::Boolean),
        proptest::collection::vec(any::<u8>(), 0..30).prop_map(FieldValue::String),
        Just(FieldValue::String(b"a \"b\", c=\"d\"\n\\".to_vec())),
    ]
}

type RandomPoint = (Vec<u8>, Vec<(Vec<u8>, Vec<u8>)>, i64, Vec<(Vec<u8>, FieldValue)>);

fn point() -> impl Strategy<Value = RandomPoint> {
    let tags = proptest::collection::vec((name(), name()), 0..4);
    let fields = proptest::collection::vec((name(), value()), 1..6);
    (name(), tags, Timestamp::MIN.0..=Timestamp::MAX.0, fields)
}

use model::{Tags, Timestamp};

fn build(points: &[RandomPoint]) -> Batch {
    let mut batch = Batch::default();
    for (measurement, tags, time, fields) in points {
        let mut distinct: Vec<(&[u8], FieldValue)> = Vec::new();
        for (name, value) in fields {
            if distinct.iter().all(|(known, _)| known != name) {
                distinct.push((name, value.clone()));
            }
        }
        batch.push_point(measurement, &Tags::new(tags.clone()), *time, &distinct);
    }
    batch
}

/// Pieces of lines, so that random bodies are nearly right.
fn piece() -> impl Strategy<Value = String> {
    let pieces = [
        "cpu",
        "m",
        ",",
        ",",
        "=",
        "=",
        " ",
        " ",
        " ",
        "\n",
        "\n",
        "\\",
        "\"",
        "\"",
        "v",
        "w",
        "a=b",
        "host=x",
        "v=1",
        "w=2i",
        "s=\"x\"",
        "t=true",
        "1",
        "1i",
        "1.5",
        "-",
        "e5",
        "t",
        "#",
        "\t",
        "\0",
        "\r",
        "time",
        "time=1",
        ",time=x",
        " 1\n",
        " 1500000000000000000\n",
        "cpu,host=x v=1,w=2i 1\n",
        "m v=20.97902097902098,u=12345678901234567i 7\n",
        "m s=\"a b\",t=f 1500000000000000000\n",
        "12345678",
        "123456789012345678",
        ".5",
        "0.1234567890123456789",
    ];
    proptest::sample::select(pieces.to_vec()).prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn random_points_come_back(points in proptest::collection::vec(point(), 1..8)) {
        let batch = build(&points);
        let mut text = Vec::new();
        write::batch(&batch, &mut text);
        let mut parser = Parser::new(3);
        for _ in 0..2 {
            let mut back = Batch::default();
            let outcome = parser.parse(&text, Precision::Nanosecond, 0, &mut back);
            prop_assert_eq!(outcome, ParseOutcome::default());
            let mut again = Vec::new();
            write::batch(&back, &mut again);
            prop_assert_eq!(String::from_utf8_lossy(&again), String::from_utf8_lossy(&text));
            prop_assert_eq!(back.row_count(), batch.row_count());
        }
    }

    #[test]
    fn random_bytes_break_no_promise(data in proptest::collection::vec(any::<u8>(), 0..300)) {
        fuzzing::fuzz_parse(&data);
    }

    #[test]
    fn random_pieces_break_no_promise(pieces in proptest::collection::vec(piece(), 0..60)) {
        fuzzing::fuzz_parse(pieces.concat().as_bytes());
    }

    #[test]
    fn a_good_line_after_bad_ones_is_read(pieces in proptest::collection::vec(piece(), 0..30)) {
        // Quotes that stay open take the good line with them, as they must.
        let mut body = pieces.concat().replace(['"', '\\'], "");
        body += "\nlast,tag=x good=1i 42\n";
        let text = read_with(&mut Parser::new(1), body.as_bytes(), Precision::Nanosecond);
        prop_assert!(text.contains("last,tag=x good=1i 42\n"), "{}", text);
    }

    #[test]
    fn fast_and_slow_agree_on_numbers(digits in "-?[0-9]{0,22}(\\.[0-9]{0,22})?(e[+-]?[0-9]{1,3})?i?") {
        let line = format!("m v={digits} 1\n");
        // The second reading of each type is by the fast reader; the first two lines have a time that no other has.
        let body = format!("m v=1 7\nm w=1i 7\n{}{}{}", line, line.replace('v', "w"), line);
        let slow = read(&line);
        let text = read(&body);
        if slow.starts_with("unable") {
            prop_assert!(text.contains(&slow), "{} and {}", slow, text);
        } else {
            prop_assert_eq!(text.matches(slow.trim_end()).count(), 2, "{} and {}", slow, text);
        }
    }
}
