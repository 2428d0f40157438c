//! Whole numbers with as few bytes each as their range needs: 0, 1, 2, 4 or 8.
//!
//! All arithmetic wraps, so that every sequence of 64-bit numbers has a form and comes back, whatever its range.

use stdx::varint;

use super::{DecodeError, Input, Scratch};

/// Low four bits of the form byte: bytes of one number.
const WIDTH_MASK: u8 = 0x0f;
/// The numbers are differences to the number before.
const DELTA: u8 = 0x10;
/// The numbers were divided by a common factor.
const SCALED: u8 = 0x20;

/// How one sequence is written.
#[derive(Clone, Copy, Debug)]
struct Form {
    base: i64,
    factor: u64,
    width: u8,
}

/// Appends numbers as distances to the smallest.
pub(super) fn encode(values: &[i64], out: &mut Vec<u8>) {
    let Some((base, last)) = bounds(values.iter().copied()) else { return };
    let form = Form { base, factor: 1, width: width_of(last.wrapping_sub(base) as u64) };
    put_form(out, form, 0);
    put_narrow(out, values, form);
}

/// Appends numbers that tend to grow in equal steps: as distances to the smallest or as differences, whichever is
/// smaller, divided by what they have in common (seconds have nine zeros).
pub(super) fn encode_times(values: &[i64], out: &mut Vec<u8>) {
    let Some(direct) = scaled_form(values.iter().copied()) else { return };
    let differences = values.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]));
    match scaled_form(differences.clone()) {
        Some(delta) if delta.width < direct.width => {
            put_form(out, delta, DELTA);
            varint::put_i64(out, values[0]);
            put_scaled(out, differences, delta);
        }
        _ => {
            put_form(out, direct, 0);
            put_scaled(out, values.iter().copied(), direct);
        }
    }
}

/// Appends series numbers. Senders repeat their series in one order, so that the first round is often all of it.
pub(super) fn encode_series(series: &[u32], out: &mut Vec<u8>, scratch: &mut Scratch) {
    let Some(first) = series.first() else { return };
    let again = series[1..].iter().position(|number| number == first).map_or(series.len(), |index| index + 1);
    let repeats = series[again..] == series[..series.len() - again];
    let round = if repeats { again } else { series.len() };
    varint::put_u64(out, round as u64);
    scratch.numbers.clear();
    scratch.numbers.extend(series[..round].iter().map(|number| i64::from(*number)));
    encode_times(&scratch.numbers, out);
}

/// The `count` numbers that one of the functions above wrote; `encode_series` has [`decode_series`].
pub(super) fn decode(input: &mut Input<'_>, count: usize) -> Result<Vec<i64>, DecodeError> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let head = input.byte()?;
    let base = input.signed()?;
    let factor = if head & SCALED == 0 { 1 } else { input.unsigned()? };
    if head & !(WIDTH_MASK | DELTA | SCALED) != 0 {
        return Err(DecodeError::Damaged("form of numbers"));
    }
    let form = Form { base, factor, width: head & WIDTH_MASK };
    if head & DELTA == 0 {
        return take_narrow(input, count, form);
    }
    let mut value = input.signed()?;
    let mut values = Vec::with_capacity(count);
    values.push(value);
    for difference in take_narrow(input, count - 1, form)? {
        value = value.wrapping_add(difference);
        values.push(value);
    }
    Ok(values)
}

/// `count` series numbers, all below `series_count`.
pub(super) fn decode_series(input: &mut Input<'_>, count: usize, series_count: usize) -> Result<Vec<u32>, DecodeError> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let round = input.unsigned()?;
    if round == 0 || round > count as u64 {
        return Err(DecodeError::Damaged("round of series"));
    }
    let round = decode(input, round as usize)?;
    if round.iter().any(|number| *number < 0 || *number >= series_count as i64) {
        return Err(DecodeError::Damaged("series numbers are in the table"));
    }
    let mut series = Vec::with_capacity(count);
    series.extend(round.iter().map(|number| *number as u32));
    while series.len() < count {
        let more = round.len().min(count - series.len());
        series.extend_from_within(..more);
    }
    Ok(series)
}

fn bounds(mut values: impl Iterator<Item = i64>) -> Option<(i64, i64)> {
    let first = values.next()?;
    Some(values.fold((first, first), |(low, high), value| (low.min(value), high.max(value))))
}

fn width_of(range: u64) -> u8 {
    match range {
        0 => 0,
        1..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xffff_ffff => 4,
        _ => 8,
    }
}

fn scaled_form(values: impl Iterator<Item = i64> + Clone) -> Option<Form> {
    let (base, last) = bounds(values.clone())?;
    let range = last.wrapping_sub(base) as u64;
    let width = width_of(range);
    if width < 2 {
        return Some(Form { base, factor: 1, width });
    }
    let mut factor = 0;
    let mut before = base;
    for value in values {
        if value != before {
            before = value;
            factor = common_factor(factor, value.wrapping_sub(base) as u64);
            if factor == 1 {
                break;
            }
        }
    }
    let scaled = width_of(range / factor);
    Some(if scaled < width { Form { base, factor, width: scaled } } else { Form { base, factor: 1, width } })
}

fn common_factor(a: u64, b: u64) -> u64 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

fn put_form(out: &mut Vec<u8>, form: Form, flags: u8) {
    let scaled = if form.factor == 1 { 0 } else { SCALED };
    out.push(form.width | flags | scaled);
    varint::put_i64(out, form.base);
    if scaled != 0 {
        varint::put_u64(out, form.factor);
    }
}

fn put_narrow(out: &mut Vec<u8>, values: &[i64], form: Form) {
    let distances = values.iter().map(|value| value.wrapping_sub(form.base) as u64);
    match form.width {
        0 => {}
        1 => out.extend(distances.map(|distance| distance as u8)),
        2 => put_array(out, distances.map(|distance| (distance as u16).to_le_bytes())),
        4 => put_array(out, distances.map(|distance| (distance as u32).to_le_bytes())),
        _ => put_array(out, distances.map(u64::to_le_bytes)),
    }
}

/// Appends arrays of one length to `out`, which grows once.
pub(super) fn put_array<const N: usize>(out: &mut Vec<u8>, values: impl ExactSizeIterator<Item = [u8; N]>) {
    let start = out.len();
    out.resize(start + N * values.len(), 0);
    for (place, value) in out[start..].as_chunks_mut::<N>().0.iter_mut().zip(values) {
        *place = value;
    }
}

fn put_scaled(out: &mut Vec<u8>, values: impl Iterator<Item = i64>, form: Form) {
    let mut before = (form.base, 0);
    for value in values {
        if value != before.0 {
            let distance = value.wrapping_sub(form.base) as u64;
            before = (value, if form.factor == 1 { distance } else { distance / form.factor });
        }
        out.extend_from_slice(&before.1.to_le_bytes()[..form.width as usize]);
    }
}

fn take_narrow(input: &mut Input<'_>, count: usize, form: Form) -> Result<Vec<i64>, DecodeError> {
    let width = form.width as usize;
    let bytes = input.bytes(count.checked_mul(width).ok_or(DecodeError::Cut)?)?;
    let widen = |raw: u64| form.base.wrapping_add(raw.wrapping_mul(form.factor) as i64);
    Ok(match width {
        0 => vec![form.base; count],
        1 => bytes.iter().map(|byte| widen(u64::from(*byte))).collect(),
        2 => arrays(bytes).map(|raw| widen(u64::from(u16::from_le_bytes(raw)))).collect(),
        4 => arrays(bytes).map(|raw| widen(u64::from(u32::from_le_bytes(raw)))).collect(),
        8 => arrays(bytes).map(|raw| widen(u64::from_le_bytes(raw))).collect(),
        _ => return Err(DecodeError::Damaged("width of numbers")),
    })
}

/// `bytes` as arrays of `N`; bytes left over at the end are not seen.
pub(super) fn arrays<const N: usize>(bytes: &[u8]) -> impl ExactSizeIterator<Item = [u8; N]> + '_ {
    bytes.as_chunks::<N>().0.iter().copied()
}
