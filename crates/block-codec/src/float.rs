//! Doubles: as decimals where they are short decimals, else by their bits, both then packed as integers.
//!
//! A decimal is an integer over a power of ten that gives the very same bits when divided; the few values of a block
//! that are none follow as patches. The other way takes the bits as an integer in the order of the doubles, so that
//! repeats, common leading bits and common trailing zeros still pay.
//!
//! Invariant: every bit comes back, of NaN payloads and negative zero too.

use stdx::varint;

use crate::block::BlockError;
use crate::integer;

const TAG_DECIMAL: u8 = 1;
const TAG_BITS: u8 = 2;

/// The largest power of ten that is tried. Up to 22 they are exact doubles.
const EXPONENT_MAX: usize = 17;

const POWERS: [f64; EXPONENT_MAX + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17];

/// Integers up to here are exact doubles.
const MANTISSA_MAX: f64 = 9_007_199_254_740_992.0;

/// Values that are looked at to choose a power of ten.
const SAMPLES: usize = 48;

/// Appends a block of `values`. An empty sequence takes no bytes.
pub fn encode(values: &[f64], out: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    let start = out.len();
    let bits_len = {
        out.push(TAG_BITS);
        let ordered: Vec<i64> = values.iter().map(|value| ordered_bits(*value)).collect();
        integer::encode(&ordered, out);
        out.len() - start
    };
    let Some(exponent) = choose_exponent(values) else { return };
    let mut decimal = Vec::new();
    if encode_decimal(values, exponent, &mut decimal) && decimal.len() < bits_len {
        out.truncate(start);
        out.extend_from_slice(&decimal);
    }
}

/// Appends the `count` values of a block that fills `bytes`.
pub fn decode(bytes: &[u8], count: usize, out: &mut Vec<f64>) -> Result<(), BlockError> {
    if count == 0 {
        return if bytes.is_empty() { Ok(()) } else { Err(BlockError::Damaged("bytes after the end")) };
    }
    let (tag, input) = bytes.split_first().ok_or(BlockError::Cut)?;
    let mut numbers = Vec::new();
    match *tag {
        TAG_BITS => {
            integer::decode(input, count, &mut numbers)?;
            out.extend(numbers.iter().map(|number| from_ordered_bits(*number)));
            Ok(())
        }
        TAG_DECIMAL => decode_decimal(input, count, &mut numbers, out),
        _ => Err(BlockError::Damaged("unknown float coding")),
    }
}

/// The decimal form of `value`, if it has one with this power of ten.
#[inline(always)]
fn to_decimal(value: f64, power: f64) -> Option<i64> {
    let scaled = (value * power).round_ties_even();
    // NaN and infinities come out as other bits.
    let integer = scaled as i64;
    let is_exact = scaled.abs() <= MANTISSA_MAX && from_decimal(integer, power).to_bits() == value.to_bits();
    is_exact.then_some(integer)
}

#[inline(always)]
fn from_decimal(integer: i64, power: f64) -> f64 {
    integer as f64 / power
}

/// The smallest power that most samples have; `None` when there is none.
fn choose_exponent(values: &[f64]) -> Option<usize> {
    let step = values.len().div_ceil(SAMPLES);
    let samples: Vec<f64> = values.iter().step_by(step).copied().collect();
    let hits = |exponent: usize| samples.iter().filter(|v| to_decimal(**v, POWERS[exponent]).is_some()).count();
    let mut best = (0, None);
    for exponent in 0..=EXPONENT_MAX {
        let count = hits(exponent);
        // A larger power must bring clearly more: each digit costs three bits a value.
        if count > best.0 + samples.len() / 32 {
            best = (count, Some(exponent));
        }
        if count == samples.len() {
            break;
        }
    }
    best.1.filter(|_| best.0 * 10 >= samples.len() * 8)
}

/// Writes the decimal form. `false` when too many values have none; `out` is then of no use.
fn encode_decimal(values: &[f64], exponent: usize, out: &mut Vec<u8>) -> bool {
    let power = POWERS[exponent];
    let mut numbers = Vec::with_capacity(values.len());
    let mut patches = Vec::new();
    let mut patch_count = 0u64;
    let mut last = 0;
    let mut previous = 0;
    for (index, value) in values.iter().enumerate() {
        match to_decimal(*value, power) {
            Some(integer) => previous = integer,
            None => {
                varint::put_u64(&mut patches, (index - last) as u64);
                patches.extend_from_slice(&value.to_bits().to_le_bytes());
                last = index;
                patch_count += 1;
            }
        }
        numbers.push(previous);
    }
    if patch_count * 4 > values.len() as u64 {
        return false;
    }
    out.push(TAG_DECIMAL);
    out.push(exponent as u8);
    varint::put_u64(out, patch_count);
    out.extend_from_slice(&patches);
    integer::encode(&numbers, out);
    true
}

fn decode_decimal(
    mut input: &[u8],
    count: usize,
    numbers: &mut Vec<i64>,
    out: &mut Vec<f64>,
) -> Result<(), BlockError> {
    let (exponent, rest) = input.split_first().ok_or(BlockError::Cut)?;
    input = rest;
    let power = *POWERS.get(usize::from(*exponent)).ok_or(BlockError::Damaged("power of ten"))?;
    let patch_count = varint::take_u64(&mut input).ok_or(BlockError::Cut)?;
    if patch_count > count as u64 {
        return Err(BlockError::Damaged("more patches than values"));
    }
    let mut patches = Vec::new();
    let mut index = 0u64;
    for _ in 0..patch_count {
        let distance = varint::take_u64(&mut input).ok_or(BlockError::Cut)?;
        let (bits, rest) = input.split_first_chunk::<8>().ok_or(BlockError::Cut)?;
        input = rest;
        index =
            index.checked_add(distance).filter(|index| *index < count as u64).ok_or(BlockError::Damaged("patch"))?;
        patches.push((index as usize, f64::from_bits(u64::from_le_bytes(*bits))));
    }
    integer::decode(input, count, numbers)?;
    let start = out.len();
    if *exponent == 0 {
        out.extend(numbers.iter().map(|number| *number as f64));
    } else {
        out.extend(numbers.iter().map(|number| from_decimal(*number, power)));
    }
    for (index, value) in patches {
        out[start + index] = value;
    }
    Ok(())
}

/// The bits as an integer that is ordered as the doubles are.
#[inline(always)]
fn ordered_bits(value: f64) -> i64 {
    let bits = value.to_bits() as i64;
    bits ^ ((bits >> 63) & i64::MAX)
}

#[inline(always)]
fn from_ordered_bits(ordered: i64) -> f64 {
    f64::from_bits((ordered ^ ((ordered >> 63) & i64::MAX)) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(values: &[f64]) -> usize {
        let mut bytes = Vec::new();
        encode(values, &mut bytes);
        let mut back = Vec::new();
        decode(&bytes, values.len(), &mut back).expect("as written");
        let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&back), bits(values));
        bytes.len()
    }

    #[test]
    fn decimals_are_short() {
        assert_eq!(round_trip(&[]), 0);
        let walk: Vec<f64> = (0..1024).map(|i| f64::from(2000 + (i * 7 % 23) - 11) / 100.0).collect();
        assert!(round_trip(&walk) < 1024 * 6 / 8);
        assert!(round_trip(&[20.97902097902098; 1000]) < 14);
        let mut odd = walk.clone();
        odd[5] = f64::NAN;
        odd[77] = std::f64::consts::PI;
        odd[78] = -0.0;
        assert!(round_trip(&odd) < 1024 * 6 / 8 + 32);
    }

    #[test]
    fn every_bit_comes_back() {
        round_trip(&[
            f64::NAN,
            -f64::NAN,
            f64::from_bits(0x7ff0_0000_0000_0001),
            f64::from_bits(0xfff8_dead_beef_0001),
        ]);
        round_trip(&[0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, 5e-324, f64::MAX, f64::MIN]);
        round_trip(&[-0.0; 9]);
        round_trip(&[9_007_199_254_740_993.0, 9_007_199_254_740_992.0, -9_007_199_254_740_992.0, 1e22]);
        round_trip(&(0..2000).map(|i| (f64::from(i) * 0.1).sin()).collect::<Vec<_>>());
    }

    #[test]
    fn damage_is_refused() {
        let mut bytes = Vec::new();
        encode(&[1.5, 2.25, f64::NAN, 3.0, 4.0, 4.5, 5.0, 5.5, 6.0, 7.0], &mut bytes);
        for end in 0..bytes.len() {
            assert!(decode(&bytes[..end], 10, &mut Vec::new()).is_err());
        }
        assert!(decode(&[TAG_DECIMAL, 99, 0, 1, 0], 1, &mut Vec::new()).is_err());
    }

    #[test]
    fn the_bytes_are_fixed() {
        let mut bytes = Vec::new();
        encode(&[0.5, 1.0, 2.5, 1.5], &mut bytes);
        // Decimal, one digit, no patches; packed plain with factor: base 5, factor 5, 3 bits, 0 1 4 2.
        assert_eq!(bytes, [1, 1, 0, 2, 0x80, 10, 5, 3, 0, 0b0000_1000, 0b0000_0101]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_bits_come_back(bits in prop::collection::vec(any::<u64>(), 0..600)) {
            round_trip(&bits.into_iter().map(f64::from_bits).collect::<Vec<_>>());
        }

        #[test]
        fn any_decimals_come_back(numbers in prop::collection::vec(-100_000i64..100_000, 0..1500), digits in 0i32..9) {
            round_trip(&numbers.into_iter().map(|n| n as f64 / 10f64.powi(digits)).collect::<Vec<_>>());
        }

        #[test]
        fn any_bytes_decode_or_not(bytes in prop::collection::vec(any::<u8>(), 0..60), count in 0usize..2000) {
            let mut out = Vec::new();
            if decode(&bytes, count, &mut out).is_ok() {
                prop_assert_eq!(out.len(), count);
            }
        }
    }
}
