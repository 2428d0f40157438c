//! Integers: differences, a common factor taken out, and as few bits as the rest needs.
//!
//! Every way below is tried on paper (a histogram of bit lengths) and the shortest is written. The steps are: subtract
//! the smallest value and divide by the greatest common factor; then take the numbers as they are, or their differences,
//! or the differences of those; then pack them with a width that leaves a few outliers, which follow as patches. Long
//! repeats become values and run lengths, each packed the same way.
//!
//! Invariants
//! - All arithmetic wraps, so every sequence of 64-bit numbers comes back exactly.
//! - Decoding reads a count that the caller knows, and refuses bytes that are left over.
//!
//! The bytes stand in `docs/format/shard.md`.

use stdx::varint;

use crate::bitpack::{self, Numbers};
use crate::block::BlockError;

#[cfg(test)]
mod tests;

const TAG_CONSTANT: u8 = 1;
const TAG_PACKED: u8 = 2;
const TAG_RUNS: u8 = 3;

/// How the packed numbers make the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Shape {
    /// They are the values.
    Plain = 0,
    /// They are the differences from the smallest difference.
    Delta = 1,
    /// They are the differences, zigzag.
    DeltaZigzag = 2,
    /// They are the differences of the differences, zigzag.
    DeltaDelta = 3,
}

impl Shape {
    fn from_code(code: u8) -> Option<Shape> {
        [Shape::Plain, Shape::Delta, Shape::DeltaZigzag, Shape::DeltaDelta]
            .into_iter()
            .find(|shape| *shape as u8 == code)
    }
}

/// Appends a block of `values`. An empty sequence takes no bytes.
pub fn encode(values: &[i64], out: &mut Vec<u8>) {
    let Some((first, rest)) = values.split_first() else { return };
    if rest.iter().all(|value| value == first) {
        out.push(TAG_CONSTANT);
        varint::put_i64(out, *first);
        return;
    }
    let run_count = 1 + values.windows(2).filter(|pair| pair[0] != pair[1]).count();
    let start = out.len();
    encode_packed(values, out);
    // Runs cost about three numbers each; below that share they are worth a try.
    if run_count * 4 < values.len() {
        let mut runs = Vec::new();
        encode_runs(values, run_count, &mut runs);
        if runs.len() < out.len() - start {
            out.truncate(start);
            out.extend_from_slice(&runs);
        }
    }
}

/// Appends the `count` values of a block that fills `bytes`.
pub fn decode(bytes: &[u8], count: usize, out: &mut Vec<i64>) -> Result<(), BlockError> {
    if count == 0 {
        return if bytes.is_empty() { Ok(()) } else { Err(BlockError::Damaged("bytes after the end")) };
    }
    let (tag, mut input) = bytes.split_first().ok_or(BlockError::Cut)?;
    match *tag {
        TAG_CONSTANT => {
            let value = varint::take_i64(&mut input).ok_or(BlockError::Cut)?;
            if !input.is_empty() {
                return Err(BlockError::Damaged("bytes after the end"));
            }
            out.resize(out.len() + count, value);
            Ok(())
        }
        TAG_PACKED => decode_packed(input, count, out),
        TAG_RUNS => decode_runs(input, count, out),
        _ => Err(BlockError::Damaged("unknown integer coding")),
    }
}

fn encode_runs(values: &[i64], run_count: usize, out: &mut Vec<u8>) {
    let mut run_values = Vec::with_capacity(run_count);
    let mut run_lengths = Vec::with_capacity(run_count);
    for run in values.chunk_by(|a, b| a == b) {
        run_values.push(run[0]);
        run_lengths.push(run.len() as i64);
    }
    out.push(TAG_RUNS);
    varint::put_u64(out, run_count as u64);
    let mut part = Vec::new();
    encode_flat(&run_lengths, &mut part);
    varint::put_bytes(out, &part);
    encode_flat(&run_values, out);
}

/// A constant or packed block: what is inside of runs.
fn encode_flat(values: &[i64], out: &mut Vec<u8>) {
    if values.iter().all(|value| *value == values[0]) {
        out.push(TAG_CONSTANT);
        varint::put_i64(out, values[0]);
    } else {
        encode_packed(values, out);
    }
}

fn decode_runs(mut input: &[u8], count: usize, out: &mut Vec<i64>) -> Result<(), BlockError> {
    let run_count = varint::take_u64(&mut input).ok_or(BlockError::Cut)?;
    let run_count = usize::try_from(run_count).ok().filter(|runs| *runs <= count && *runs > 0);
    let run_count = run_count.ok_or(BlockError::Damaged("more runs than values"))?;
    let lengths = varint::take_bytes(&mut input).ok_or(BlockError::Cut)?;
    if lengths.first() == Some(&TAG_RUNS) || input.first() == Some(&TAG_RUNS) {
        return Err(BlockError::Damaged("runs within runs"));
    }
    let (mut run_lengths, mut run_values) = (Vec::new(), Vec::new());
    decode(lengths, run_count, &mut run_lengths)?;
    decode(input, run_count, &mut run_values)?;
    let mut left = count;
    for (length, value) in run_lengths.into_iter().zip(run_values) {
        let length = usize::try_from(length).ok().filter(|length| *length > 0 && *length <= left);
        let length = length.ok_or(BlockError::Damaged("run lengths"))?;
        out.resize(out.len() + length, value);
        left -= length;
    }
    if left == 0 { Ok(()) } else { Err(BlockError::Damaged("run lengths")) }
}

/// Writes what the shortest of the shapes makes of the values. There are at least two different ones.
fn encode_packed(values: &[i64], out: &mut Vec<u8>) {
    let base = *values.iter().min().expect("there are values");
    let factor = common_factor(values, base);
    let scaled: Vec<u64> = match factor {
        1 => values.iter().map(|value| value.wrapping_sub(base) as u64).collect(),
        _ => values.iter().map(|value| value.wrapping_sub(base) as u64 / factor).collect(),
    };
    let deltas: Vec<i64> = scaled.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]) as i64).collect();
    let delta_base = deltas.iter().copied().min().unwrap_or(0);

    let plain = Plan::of(scaled.iter().copied());
    let delta = Plan::of(deltas.iter().map(|delta| delta.wrapping_sub(delta_base) as u64));
    let delta_zigzag = Plan::of(deltas.iter().map(|delta| zigzag(*delta)));
    let delta_delta = Plan::of(deltas.windows(2).map(|pair| zigzag(pair[1].wrapping_sub(pair[0]))));
    // What stands before the packed numbers.
    let first_bits = varint_bits(scaled[0]);
    let delta_base_bits = varint_bits(zigzag(delta_base));
    let first_delta_bits = varint_bits(zigzag(deltas[0]));
    let plans = [
        (plain, 0, Shape::Plain),
        (delta, first_bits + delta_base_bits, Shape::Delta),
        (delta_zigzag, first_bits, Shape::DeltaZigzag),
        (delta_delta, first_bits + first_delta_bits, Shape::DeltaDelta),
    ];
    let cost = |(plan, head, shape): &(Plan, u64, Shape)| (plan.cost + head, *shape as u8);
    let (plan, _, shape) = plans.into_iter().min_by_key(cost).expect("four plans");

    out.push(TAG_PACKED);
    out.push(shape as u8 | if factor == 1 { 0 } else { FACTOR_FLAG });
    varint::put_i64(out, base);
    if factor != 1 {
        varint::put_u64(out, factor);
    }
    let numbers: Vec<u64> = match shape {
        Shape::Plain => scaled,
        Shape::Delta => {
            varint::put_u64(out, scaled[0]);
            varint::put_i64(out, delta_base);
            after_zeros(1, deltas.iter().map(|delta| delta.wrapping_sub(delta_base) as u64))
        }
        Shape::DeltaZigzag => {
            varint::put_u64(out, scaled[0]);
            after_zeros(1, deltas.iter().map(|delta| zigzag(*delta)))
        }
        Shape::DeltaDelta => {
            varint::put_u64(out, scaled[0]);
            varint::put_i64(out, deltas[0]);
            after_zeros(2, deltas.windows(2).map(|pair| zigzag(pair[1].wrapping_sub(pair[0]))))
        }
    };
    pack_patched(numbers, plan.width, out);
}

/// Zeros stand where values come from elsewhere, so that as many numbers are packed as there are values: a full page
/// then fills whole groups.
fn after_zeros(count: usize, numbers: impl Iterator<Item = u64>) -> Vec<u64> {
    std::iter::repeat_n(0, count).chain(numbers).collect()
}

/// Set in the shape's byte when a common factor follows.
const FACTOR_FLAG: u8 = 0x80;

fn decode_packed(mut input: &[u8], count: usize, out: &mut Vec<i64>) -> Result<(), BlockError> {
    let (code, rest) = input.split_first().ok_or(BlockError::Cut)?;
    input = rest;
    let shape = Shape::from_code(code & !FACTOR_FLAG).ok_or(BlockError::Damaged("unknown shape"))?;
    let base = varint::take_i64(&mut input).ok_or(BlockError::Cut)?;
    let factor = match code & FACTOR_FLAG {
        0 => 1,
        _ => varint::take_u64(&mut input).ok_or(BlockError::Cut)? as i64,
    };
    let first = match shape {
        Shape::Plain => 0,
        _ => varint::take_u64(&mut input).ok_or(BlockError::Cut)? as i64,
    };
    let start = out.len();
    out.reserve(count);
    // Without a factor the sums may start from the base at once.
    let (origin, offset) = if factor == 1 { (first.wrapping_add(base), 0) } else { (first, base) };
    match shape {
        Shape::Plain if factor == 1 => unpack_patched(input, count, out, |number| base.wrapping_add(number as i64))?,
        Shape::Plain => unpack_patched(input, count, out, |number| number as i64)?,
        Shape::Delta => {
            let delta_base = varint::take_i64(&mut input).ok_or(BlockError::Cut)?;
            // The first step takes the base of the differences back.
            let state = State { value: origin.wrapping_sub(delta_base), delta: delta_base };
            unpack_patched_scan(input, count, out, state, |state, number| {
                state.value = state.value.wrapping_add(number as i64).wrapping_add(state.delta);
            })?;
        }
        Shape::DeltaZigzag => {
            unpack_patched_scan(input, count, out, State { value: origin, delta: 0 }, |state, number| {
                state.value = state.value.wrapping_add(unzigzag(number));
            })?;
        }
        Shape::DeltaDelta => {
            let delta = varint::take_i64(&mut input).ok_or(BlockError::Cut)?;
            let state = State { value: origin.wrapping_sub(delta), delta };
            unpack_patched_scan(input, count, out, state, |state, number| {
                state.delta = state.delta.wrapping_add(unzigzag(number));
                state.value = state.value.wrapping_add(state.delta);
            })?;
        }
    }
    if factor != 1 {
        let values = &mut out[start..];
        values.iter_mut().for_each(|value| *value = value.wrapping_mul(factor).wrapping_add(offset));
    }
    Ok(())
}

/// A width, and about how many bits packing with it costs.
#[derive(Clone, Copy, Debug)]
struct Plan {
    width: u32,
    cost: u64,
}

/// Bits that a number takes as a varint.
fn varint_bits(value: u64) -> u64 {
    u64::from(bitpack::bits(value).div_ceil(7).max(1)) * 8
}

/// About what a patch costs besides its own high bits.
const PATCH_BITS: u64 = 14;

impl Plan {
    fn of(numbers: impl ExactSizeIterator<Item = u64>) -> Plan {
        let count = numbers.len() as u64;
        let mut histogram = [0u64; 65];
        for number in numbers {
            histogram[bitpack::bits(number) as usize] += 1;
        }
        let mut best = Plan { width: 64, cost: count * 64 };
        let (mut patches, mut patch_bits) = (0, 0);
        for width in (0..=64u32).rev() {
            let high_bits = patch_bits - patches * u64::from(width);
            let cost = count * u64::from(width) + patches * PATCH_BITS + high_bits;
            if cost <= best.cost {
                best = Plan { width, cost };
            }
            patches += histogram[width as usize];
            patch_bits += histogram[width as usize] * u64::from(width);
        }
        best
    }
}

/// Width, number of patches, packed low bits; then for each patch the distance from the one before and the high bits.
fn pack_patched(mut numbers: Vec<u64>, width: u32, out: &mut Vec<u8>) {
    let mask = if width == 0 { 0 } else { u64::MAX >> (64 - width) };
    let mut patches = Vec::new();
    let mut patch_count = 0;
    let mut last = 0;
    for (index, number) in numbers.iter_mut().enumerate() {
        if *number & mask != *number {
            varint::put_u64(&mut patches, (index - last) as u64);
            varint::put_u64(&mut patches, *number >> width);
            last = index;
            patch_count += 1;
            *number &= mask;
        }
    }
    out.push(width as u8);
    varint::put_u64(out, patch_count);
    bitpack::pack(&numbers, width, out);
    out.extend_from_slice(&patches);
}

/// What [`pack_patched`] wrote, taken apart.
struct Patched<'a> {
    width: u32,
    packed: &'a [u8],
    patch_count: u64,
    patches: &'a [u8],
}

fn split_patched(mut input: &[u8], count: usize) -> Result<Patched<'_>, BlockError> {
    let (width, rest) = input.split_first().ok_or(BlockError::Cut)?;
    input = rest;
    let width = u32::from(*width);
    if width > 64 {
        return Err(BlockError::Damaged("width of packed numbers"));
    }
    let patch_count = varint::take_u64(&mut input).ok_or(BlockError::Cut)?;
    if patch_count > count as u64 {
        return Err(BlockError::Damaged("more patches than numbers"));
    }
    let (packed, patches) = input.split_at_checked(bitpack::packed_len(count, width)).ok_or(BlockError::Cut)?;
    if patch_count == 0 && !patches.is_empty() {
        return Err(BlockError::Damaged("bytes after the end"));
    }
    Ok(Patched { width, packed, patch_count, patches })
}

/// Unpacks numbers that do not depend on each other.
fn unpack_patched(
    input: &[u8],
    count: usize,
    out: &mut Vec<i64>,
    value_of: impl Fn(u64) -> i64,
) -> Result<(), BlockError> {
    let Patched { width, packed, patch_count, patches } = split_patched(input, count)?;
    let start = out.len();
    let unpacked = bitpack::unpack(packed, count, width, |numbers| match numbers {
        Numbers::Narrow(narrow) => out.extend(narrow.iter().map(|number| value_of(u64::from(*number)))),
        Numbers::Wide(wide) => out.extend(wide.iter().map(|number| value_of(*number))),
    });
    unpacked.ok_or(BlockError::Damaged("packed numbers"))?;
    let values = &mut out[start..];
    for_each_patch(patches, patch_count, count, width, |index, high| {
        values[index] = values[index].wrapping_add(high as i64);
    })
}

/// The value before, and the difference before or one that is the same for all.
#[derive(Clone, Copy)]
struct State {
    value: i64,
    delta: i64,
}

/// Unpacks numbers of which each makes a value out of the value before.
fn unpack_patched_scan(
    input: &[u8],
    count: usize,
    out: &mut Vec<i64>,
    mut state: State,
    step: impl Fn(&mut State, u64) + Copy,
) -> Result<(), BlockError> {
    let Patched { width, packed, patch_count, .. } = split_patched(input, count)?;
    if patch_count == 0 && width == 0 {
        scan((0..count).map(|_| 0), &mut state, step, out);
        return Ok(());
    }
    if patch_count == 0 {
        let unpacked = bitpack::unpack(packed, count, width, |numbers| match numbers {
            Numbers::Narrow(narrow) => scan(narrow.iter().map(|number| u64::from(*number)), &mut state, step, out),
            Numbers::Wide(wide) => scan(wide.iter().copied(), &mut state, step, out),
        });
        return unpacked.ok_or(BlockError::Damaged("packed numbers"));
    }
    let mut numbers = Vec::with_capacity(count);
    unpack_patched(input, count, &mut numbers, |number| number as i64)?;
    scan(numbers.iter().map(|number| *number as u64), &mut state, step, out);
    Ok(())
}

/// The state is a local one in the loop, so that it stays in registers: through a captured reference every step would
/// wait for the store of the one before.
#[inline(always)]
fn scan(
    numbers: impl ExactSizeIterator<Item = u64>,
    state: &mut State,
    step: impl Fn(&mut State, u64),
    out: &mut Vec<i64>,
) {
    let mut local = *state;
    let start = out.len();
    out.resize(start + numbers.len(), 0);
    for (slot, number) in out[start..].iter_mut().zip(numbers) {
        step(&mut local, number);
        *slot = local.value;
    }
    *state = local;
}

fn for_each_patch(
    mut patches: &[u8],
    patch_count: u64,
    count: usize,
    width: u32,
    mut apply: impl FnMut(usize, u64),
) -> Result<(), BlockError> {
    let mut index = 0u64;
    for _ in 0..patch_count {
        let distance = varint::take_u64(&mut patches).ok_or(BlockError::Cut)?;
        let high = varint::take_u64(&mut patches).ok_or(BlockError::Cut)?;
        index =
            index.checked_add(distance).filter(|index| *index < count as u64).ok_or(BlockError::Damaged("patch"))?;
        let high = high.checked_shl(width).ok_or(BlockError::Damaged("patch"))?;
        apply(index as usize, high);
    }
    if patches.is_empty() { Ok(()) } else { Err(BlockError::Damaged("bytes after the end")) }
}

/// The greatest factor of all distances from `base`; 1 for most data, found at once then.
fn common_factor(values: &[i64], base: i64) -> u64 {
    let mut factor = 0u64;
    for value in values {
        let distance = value.wrapping_sub(base) as u64;
        if factor == 0 || !distance.is_multiple_of(factor) {
            factor = greatest_common_divisor(factor, distance);
            if factor == 1 {
                return 1;
            }
        }
    }
    factor.max(1)
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[inline(always)]
fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

#[inline(always)]
fn unzigzag(folded: u64) -> i64 {
    ((folded >> 1) as i64) ^ -((folded & 1) as i64)
}
