use super::*;
use proptest::prelude::*;

fn round_trip(values: &[i64]) -> usize {
    let mut bytes = Vec::new();
    encode(values, &mut bytes);
    let mut back = Vec::new();
    decode(&bytes, values.len(), &mut back).expect("as written");
    assert_eq!(back, values);
    bytes.len()
}

#[test]
fn all_kinds_of_sequences_come_back_short() {
    assert_eq!(round_trip(&[]), 0);
    assert_eq!(round_trip(&[5; 4000]), 2);
    let regular: Vec<i64> = (0..4096).map(|i| 1_795_349_370_000_000_000 + i * 10_000_000_000).collect();
    assert!(round_trip(&regular) < 24);
    let jitter: Vec<i64> = regular.iter().enumerate().map(|(i, t)| t + (i as i64 * 7919) % 1000 * 1_000_000).collect();
    assert!(round_trip(&jitter) < 4096 * 3 / 2);
    let mut outlier: Vec<i64> = (0..1024).map(|i| i % 8).collect();
    outlier[100] = i64::MAX;
    outlier[101] = i64::MIN;
    assert!(round_trip(&outlier) < 600);
    let steps: Vec<i64> = (0..4096).map(|i| i / 500 * 1_000_003).collect();
    assert!(round_trip(&steps) < 80);
    round_trip(&[i64::MIN, i64::MAX, 0, -1, 1]);
    round_trip(&[i64::MIN, i64::MAX]);
    round_trip(&[7, 8]);
}

#[test]
fn random_walks_cost_what_their_steps_cost() {
    let mut state = 1u64;
    let mut value = 50;
    let walk: Vec<i64> = (0..4096)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            value = (value + (state >> 62) as i64 - 1).clamp(0, 100);
            value
        })
        .collect();
    assert!(round_trip(&walk) < 4096 * 2 / 8 + 64);
}

#[test]
fn damaged_blocks_are_refused_and_never_panic() {
    let mut bytes = Vec::new();
    let values: Vec<i64> = (0..300).map(|i| i * i % 71).collect();
    encode(&values, &mut bytes);
    for end in 0..bytes.len() {
        assert!(decode(&bytes[..end], values.len(), &mut Vec::new()).is_err());
    }
    let _ = decode(&bytes, 299, &mut Vec::new());
    assert!(decode(&[TAG_CONSTANT, 2, 0], 4, &mut Vec::new()).is_err());
    assert!(decode(&[9], 4, &mut Vec::new()).is_err());
    assert!(decode(&[], 4, &mut Vec::new()).is_err());
    assert!(decode(&[0], 0, &mut Vec::new()).is_err());
}

#[test]
fn the_bytes_are_fixed() {
    let mut bytes = Vec::new();
    encode(&[10, 20, 40, 30, 50], &mut bytes);
    // Packed, plain, factor; base 10, factor 10, 3 bits, no patches, the numbers 0 1 3 2 4.
    assert_eq!(bytes, [2, 0x80, 20, 10, 3, 0, 0b1100_1000, 0b0100_0100]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_sequence_comes_back(values in prop::collection::vec(any::<i64>(), 0..3000)) {
        round_trip(&values);
    }

    #[test]
    fn small_steps_come_back(steps in prop::collection::vec((-3i64..9, 1usize..40), 0..200), scale in 1i64..5000) {
        let mut value = -77;
        let mut values = Vec::new();
        for (step, count) in steps {
            value += step * scale;
            values.resize(values.len() + count, value);
        }
        round_trip(&values);
    }

    #[test]
    fn any_bytes_decode_or_not(bytes in prop::collection::vec(any::<u8>(), 0..60), count in 0usize..3000) {
        let mut out = Vec::new();
        if decode(&bytes, count, &mut out).is_ok() {
            prop_assert_eq!(out.len(), count);
        }
    }
}
