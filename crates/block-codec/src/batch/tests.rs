use model::{Batch, FieldType, FieldValue, SeriesKey, Tags};
use proptest::prelude::*;

use super::*;

fn record(batch: &Batch) -> Vec<u8> {
    let mut out = Vec::new();
    encode(batch, &mut out).expect("a small batch");
    out
}

/// Points with floats as bits, since NaN differs from itself.
fn points(batch: &Batch) -> Vec<String> {
    let bits = |value: &FieldValue| match value {
        FieldValue::Float(value) => format!("float {:x}", value.to_bits()),
        other => format!("{other:?}"),
    };
    let fields = |point: &model::Point<'_>| {
        point.fields.iter().map(|(name, value)| format!("{name:?}={}", bits(value))).collect::<Vec<_>>()
    };
    batch.points().map(|point| format!("{:?} {} {:?}", point.series_key, point.time, fields(&point))).collect()
}

#[track_caller]
fn check_round_trip(batch: &Batch) -> usize {
    let bytes = record(batch);
    let back = decode(&bytes).expect("what was encoded decodes");
    assert_eq!(back.validate(), Ok(()));
    assert_eq!(points(&back), points(batch));
    for (table, original) in back.tables.iter().zip(&batch.tables) {
        assert_eq!(table.series, original.series);
        assert_eq!(table.row_series, original.row_series);
        let columns = |table: &Table| {
            let columns = table.columns.iter();
            columns.map(|field| (field.name.clone(), field.column.field_type())).collect::<Vec<_>>()
        };
        assert_eq!(columns(table), columns(original));
    }
    bytes.len()
}

fn tags(host: &str) -> Tags {
    Tags::new(vec![(b"host".to_vec(), host.as_bytes().to_vec()), (b"zone".to_vec(), b"eu-1".to_vec())])
}

/// A batch with one of everything, gaps included. Its record is the golden one: only ever add to new batches.
fn sample() -> Batch {
    let mut batch = Batch::default();
    for row in 0..12i64 {
        let host = format!("web-{:02}", row % 4);
        let time = 1_700_000_000_000_000_000 + row / 4 * 10_000_000_000;
        let mut fields: Vec<(&[u8], FieldValue)> = vec![
            (b"idle", FieldValue::Float(90.5 + row as f64 / 4.0)),
            (b"count", FieldValue::Integer(1_000_000 + row * 300)),
            (b"total", FieldValue::Unsigned(u64::MAX - row as u64)),
            (b"up", FieldValue::Boolean(row % 3 != 0)),
            (b"state", FieldValue::String(format!("running {row}").into_bytes())),
        ];
        if row % 2 == 1 {
            fields.push((b"ratio", FieldValue::Float(1.0 / (row + 2) as f64)));
        }
        batch.push_point(b"cpu", &tags(&host), time, &fields);
    }
    batch.push_point(b"odd name", &Tags::default(), -5, &[(b"v", FieldValue::Float(f64::NEG_INFINITY))]);
    batch
}

#[test]
fn every_type_comes_back_with_its_gaps() {
    check_round_trip(&sample());
    check_round_trip(&Batch::default());
}

#[test]
fn a_table_without_rows_comes_back() {
    let mut batch = Batch::default();
    batch.table_mut(b"m").series.push(b"m,a=b");
    batch.table_mut(b"m").column_mut(b"v", FieldType::String);
    check_round_trip(&batch);
}

#[test]
fn version_1_is_read_for_ever() {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let golden = include_str!("golden_v1.txt");
    let golden: String = golden.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(hex(&record(&sample())), golden);
    let bytes: Vec<u8> = (0..golden.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&golden[at..at + 2], 16))
        .map(|byte| byte.expect("hex"))
        .collect();
    assert_eq!(points(&decode(&bytes).expect("golden bytes decode")), points(&sample()));
}

#[test]
fn a_row_of_the_devops_shape_takes_few_bytes() {
    let mut batch = Batch::default();
    let table = batch.table_mut(b"cpu");
    for host in 0..100 {
        let key = format!(
            "cpu,arch=x64,datacenter=eu-west-1a,hostname=host_{host},os=Ubuntu15.10,rack={},region=eu-west-1,service={},service_environment=staging,service_version=1,team=SF",
            host % 97,
            host % 19
        );
        table.series.push(key.as_bytes());
    }
    let names: Vec<String> = (0..10).map(|field| format!("usage_{field}")).collect();
    for row in 0..5_000u32 {
        let fields: Vec<(&[u8], FieldValue)> = names
            .iter()
            .enumerate()
            .map(|(field, name)| (name.as_bytes(), FieldValue::Integer(i64::from((row * 7 + field as u32 * 13) % 101))))
            .collect();
        table.push_row(row % 100, 1_700_000_000_000_000_000 + i64::from(row / 100) * 10_000_000_000, &fields);
    }
    let bytes = check_round_trip(&batch);
    assert!(bytes < 5_000 * 13, "{bytes} bytes for 5,000 rows");
}

#[test]
fn numbers_of_any_range_come_back() {
    let cases: [&[i64]; 9] = [
        &[0],
        &[i64::MIN, i64::MAX, 0, -1],
        &[5, 5, 5, 5],
        &[0, 255, 3],
        &[-1, 256, 255],
        &[1, 70_000],
        &[i64::MAX, i64::MAX - 4_294_967_296],
        &[10_000_000_000, 30_000_000_000, 20_000_000_000],
        &[1, 1_000_000_001, 2_000_000_001, 3_000_000_001],
    ];
    for values in cases {
        for encode in [numbers::encode, numbers::encode_times] {
            let mut out = Vec::new();
            encode(values, &mut out);
            let mut input = Input { rest: &out, places_left: 0, text_bytes_left: 0 };
            assert_eq!(numbers::decode(&mut input, values.len()).expect("decodes"), values);
            assert!(input.rest.is_empty());
        }
    }
}

#[test]
fn regular_times_take_no_bytes() {
    let times: Vec<i64> = (0..1000).map(|row| 1_700_000_000_123_456_789 + row * 10_000_000_000).collect();
    let mut out = Vec::new();
    numbers::encode_times(&times, &mut out);
    assert!(out.len() < 24, "{} bytes", out.len());
}

#[test]
fn odd_floats_keep_every_bit() {
    let odd = [
        0.0,
        -0.0,
        f64::NAN,
        f64::from_bits(0x7ff0_0000_0000_0001),
        f64::INFINITY,
        f64::MIN_POSITIVE,
        5e-324,
        1e300,
        0.1,
        0.1 + 0.2,
        1e15 + 0.3,
        123_456_789.125,
    ];
    for first in odd {
        for second in odd {
            let mut batch = Batch::default();
            for (row, value) in [first, second, 1.5, first].into_iter().enumerate() {
                batch.push_point(b"m", &Tags::default(), row as i64, &[(b"v", FieldValue::Float(value))]);
            }
            check_round_trip(&batch);
        }
    }
}

#[test]
fn decimal_floats_become_small_integers() {
    let mut batch = Batch::default();
    for row in 0..1000 {
        let value = f64::from((row * 37) % 10_001) / 100.0;
        batch.push_point(b"m", &Tags::default(), i64::from(row), &[(b"v", FieldValue::Float(value))]);
    }
    let bytes = check_round_trip(&batch);
    assert!(bytes < 2_100, "{bytes} bytes for 1,000 decimals");
}

#[test]
fn a_batch_over_the_limits_is_refused_whole() {
    let mut batch = Batch::default();
    let table = batch.table_mut(b"m");
    table.series.push(b"m");
    table.row_series = vec![0; (PLACES_MAX / 2) as usize];
    table.row_times = vec![0; (PLACES_MAX / 2) as usize];
    let mut out = vec![7];
    let refused = encode(&batch, &mut out).expect_err("one place too many");
    assert_eq!((refused.places, out), (PLACES_MAX + 1, vec![7]));
}

#[test]
fn a_record_that_declares_too_much_is_refused_before_memory_is_taken() {
    // A table of no columns, one series and 2^60 rows, all the same series and time.
    let mut bytes = vec![VERSION, 1, 1, b'm'];
    varint::put_u64(&mut bytes, 1 << 60);
    bytes.extend_from_slice(&[1, 0, 0, 0, 0]);
    assert_eq!(decode(&bytes), Err(DecodeError::Limit("places")));
    // A table of more series than there can be.
    let mut bytes = vec![VERSION, 1, 1, b'm', 0];
    varint::put_u64(&mut bytes, PLACES_MAX + 1);
    bytes.extend_from_slice(&[0; 16]);
    assert_eq!(decode(&bytes), Err(DecodeError::Limit("places")));
    // One series key of 1 GiB, as lengths of no bytes and compressed text.
    let mut bytes = vec![VERSION, 1, 1, b'm', 0, 1, 0, 0];
    varint::put_i64(&mut bytes, 1 << 30);
    bytes.extend_from_slice(&[1, 0, 0, 0, 0]);
    assert_eq!(decode(&bytes), Err(DecodeError::Limit("text")));
    // The same with a length that is allowed, but not from so few bytes.
    let mut bytes = vec![VERSION, 1, 1, b'm', 0, 1, 0, 0];
    varint::put_i64(&mut bytes, 1 << 20);
    bytes.extend_from_slice(&[1, 3, 0, 0, 0]);
    assert_eq!(decode(&bytes), Err(DecodeError::Damaged("length of compressed text")));
}

#[test]
fn every_cut_is_noticed() {
    let bytes = record(&sample());
    for length in 0..bytes.len() {
        assert!(decode(&bytes[..length]).is_err(), "cut at {length}");
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert_eq!(decode(&longer), Err(DecodeError::Damaged("bytes after the end")));
}

#[test]
fn a_later_version_is_named() {
    assert_eq!(decode(&[2, 0]), Err(DecodeError::Version(2)));
    assert_eq!(decode(&[]), Err(DecodeError::Cut));
}

#[test]
fn damaged_bytes_never_panic() {
    let bytes = record(&sample());
    for at in 0..bytes.len() {
        for change in [1u8, 0x10, 0x20, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] ^= change;
            crate::fuzzing::fuzz_batch(&damaged);
        }
    }
}

#[test]
fn duplicate_names_are_damage() {
    let bytes = [VERSION, 2, 1, b'm', 0, 0, 0, 1, b'm', 0, 0, 0];
    assert_eq!(decode(&bytes), Err(DecodeError::Damaged("one table for a measurement")));
    let bytes = [VERSION, 1, 1, b'm', 0, 0, 2, 1, b'v', 1, 1, b'v', 1];
    assert_eq!(decode(&bytes), Err(DecodeError::Damaged("one column for a field and type")));
}

fn value() -> impl Strategy<Value = FieldValue> {
    prop_oneof![
        any::<i16>().prop_map(|value| FieldValue::Float(f64::from(value) / 10.0)),
        any::<u64>().prop_map(|bits| FieldValue::Float(f64::from_bits(bits))),
        any::<i64>().prop_map(FieldValue::Integer),
        (0..200i64).prop_map(FieldValue::Integer),
        any::<u64>().prop_map(FieldValue::Unsigned),
        any::<bool>().prop_map(FieldValue::Boolean),
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(FieldValue::String),
    ]
}

type RandomPoint = (u8, u8, i64, Vec<(u8, FieldValue)>);

fn build(points: &[RandomPoint]) -> Batch {
    let mut batch = Batch::default();
    for (measurement, host, time, fields) in points {
        let names: Vec<[u8; 2]> = fields.iter().map(|(name, _)| [b'f', *name]).collect();
        let mut row: Vec<(&[u8], FieldValue)> = Vec::new();
        for (name, (_, value)) in names.iter().zip(fields) {
            if row.iter().all(|(known, _)| known != name) {
                row.push((name, value.clone()));
            }
        }
        let tags = Tags::new(vec![(b"host".to_vec(), vec![*host])]);
        let key = SeriesKey::new(&[*measurement], &tags);
        assert!(!key.as_bytes().is_empty());
        batch.push_point(&[*measurement], &tags, *time, &row);
    }
    batch
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn random_batches_come_back(points in proptest::collection::vec(
        (b'a'..b'd', b'0'..=b'9', any::<i64>(), proptest::collection::vec((b'a'..b'f', value()), 1..6)), 0..60)) {
        check_round_trip(&build(&points));
    }

    #[test]
    fn random_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        crate::fuzzing::fuzz_batch(&bytes);
        bytes.insert(0, VERSION);
        crate::fuzzing::fuzz_batch(&bytes);
    }
}
