use super::*;
use model::FieldValue;
use proptest::prelude::*;

fn column(field_type: FieldType, values: &[Option<FieldValue>]) -> Column {
    let mut column = Column::new(field_type);
    for (row, value) in values.iter().enumerate() {
        match value {
            Some(value) => column.push(value),
            None => column.pad_to(row + 1),
        }
    }
    column
}

fn round_trip(column: &Column) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(column, &mut bytes);
    let back = decode(&bytes, column.len()).expect("as written");
    assert_eq!(&back, column);
    bytes
}

#[test]
fn columns_of_every_type_come_back_with_their_gaps() {
    let samples = [
        FieldValue::Float(1.5),
        FieldValue::Integer(-7),
        FieldValue::Unsigned(u64::MAX),
        FieldValue::String(b"x y".to_vec()),
        FieldValue::Boolean(true),
    ];
    for sample in samples {
        let kind = sample.field_type();
        round_trip(&Column::new(kind));
        for period in [1, 2, 3, 50] {
            let values: Vec<_> = (0..500).map(|row| (row % period == 0).then(|| sample.clone())).collect();
            round_trip(&column(kind, &values));
        }
        round_trip(&column(kind, &[None, None]));
        round_trip(&column(kind, &vec![None; 1000]));
    }
}

#[test]
fn booleans_take_a_bit_and_gaps_less() {
    let flags: Vec<_> = (0..1024).map(|row| Some(FieldValue::Boolean(row * row % 7 < 3))).collect();
    assert!(round_trip(&column(FieldType::Boolean, &flags)).len() <= 128 + 8);
    let late: Vec<_> = (0..1024).map(|row| (row >= 1000).then_some(FieldValue::Integer(row))).collect();
    assert!(round_trip(&column(FieldType::Integer, &late)).len() < 32);
}

#[test]
fn the_bytes_are_fixed() {
    let values = [Some(FieldValue::Integer(3)), None, Some(FieldValue::Integer(3)), None];
    assert_eq!(round_trip(&column(FieldType::Integer, &values)), [2, 1, 0b0101, 1, 6]);
    let values = [Some(FieldValue::Boolean(true)), Some(FieldValue::Boolean(false))];
    assert_eq!(round_trip(&column(FieldType::Boolean, &values)), [5, 0, 2, 0, 0, 1, 0, 1]);
    let values = [Some(FieldValue::String(b"ab".to_vec())), Some(FieldValue::String(b"ab".to_vec()))];
    assert_eq!(round_trip(&column(FieldType::String, &values)), [4, 0, 2, 1, 2, 1, 0, 2, 1, 4, 0, b'a', b'b']);
}

#[test]
fn other_bytes_are_refused() {
    for wrong in [[].as_slice(), &[9, 0, 1, 0], &[2], &[2, 7, 1, 0], &[2, 1], &[2, 2, 9, 0], &[5, 0, 1, 4]] {
        assert!(decode(wrong, 3).is_err(), "{wrong:?}");
    }
    assert_eq!(decode(&[2, 0, 1, 0], BLOCK_ROWS_MAX + 1), Err(BlockError::Limit("rows")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn gaps_anywhere_come_back(gaps in prop::collection::vec(prop::option::of(0i64..90), 0..700)) {
        let values: Vec<_> = gaps.into_iter().map(|value| value.map(FieldValue::Integer)).collect();
        round_trip(&column(FieldType::Integer, &values));
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        crate::fuzzing::fuzz_block(&bytes);
    }

    #[test]
    fn small_counts_are_survived(kind in 1u8..6, validity in 0u8..3, rows in 0u8..40,
                                 bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let mut input = vec![rows, 0, kind, validity];
        input.extend(bytes);
        crate::fuzzing::fuzz_block(&input);
    }
}
