//! Numbers of a fixed width in bits.
//!
//! Whole groups of 1,024 lie in lanes: with words of 32 bits there are 32 lanes, number `i` is in lane `i % 32`, and the
//! first words of all lanes come first. Neighbouring numbers thus stand in neighbouring words at the same bit, so the
//! loops below work on several lanes at once. What remains is cut into groups of 256 (8 lanes), then of 64 (2 lanes).
//! Widths above 32 take 16 lanes of 64-bit words for each 1,024, and no smaller groups. What remains then is a plain
//! stream of bits, lowest first.
//!
//! Invariants
//! - The packed length is a function of count and width alone, see [`packed_len`].
//! - Words are little endian on every machine.

/// Numbers of one group.
pub(crate) const GROUP: usize = 1024;

/// Bytes that `count` numbers of `width` bits take.
pub(crate) fn packed_len(count: usize, width: u32) -> usize {
    (count * width as usize).div_ceil(8)
}

/// Appends numbers, each below `1 << width`.
pub(crate) fn pack(values: &[u64], width: u32, out: &mut Vec<u8>) {
    debug_assert!(values.iter().all(|value| bits(*value) <= width), "numbers fit the width");
    if width == 0 {
        return;
    }
    let mut rest = values;
    while let Some((group, after)) = rest.split_at_checked(group_len(rest.len(), width)).filter(|(g, _)| !g.is_empty())
    {
        match (group.len(), width) {
            (GROUP, 33..) => pack_group::<u64, 16>(group, width as usize, out),
            (GROUP, _) => pack_group::<u32, 32>(group, width as usize, out),
            (256, _) => pack_group::<u32, 8>(group, width as usize, out),
            _ => pack_group::<u32, 2>(group, width as usize, out),
        }
        rest = after;
    }
    pack_stream(rest, width, out);
}

/// How many numbers the next group has when `count` are left; zero when they are a stream.
fn group_len(count: usize, width: u32) -> usize {
    match count {
        GROUP.. => GROUP,
        256.. if width <= 32 => 256,
        64.. if width <= 32 => 64,
        _ => 0,
    }
}

/// Reads `count` numbers from bytes that [`pack`] wrote and hands them on, a group at a time. `None` when there are too
/// few bytes or too many.
pub(crate) fn unpack(bytes: &[u8], count: usize, width: u32, mut take: impl FnMut(Numbers<'_>)) -> Option<()> {
    if width > 64 || bytes.len() != packed_len(count, width) {
        return None;
    }
    let (mut bytes, mut left) = (bytes, count);
    if width > 32 {
        let mut wide = [0u64; GROUP];
        while left >= GROUP {
            let (group, rest) = bytes.split_at(GROUP / 8 * width as usize);
            unpack_group::<u64, 16>(group, width as usize, &mut wide);
            take(Numbers::Wide(&wide));
            (bytes, left) = (rest, left - GROUP);
        }
    } else if left >= 64 {
        let mut narrow = [0u32; GROUP];
        loop {
            let length = group_len(left, width);
            if length == 0 {
                break;
            }
            let (group, rest) = bytes.split_at(length / 8 * width as usize);
            unpack_narrow(group, width, &mut narrow[..length]);
            take(Numbers::Narrow(&narrow[..length]));
            (bytes, left) = (rest, left - length);
        }
    }
    unpack_stream(bytes, left, width, &mut take);
    Some(())
}

/// Unpacked numbers, of at most 32 bits or of any width.
#[derive(Debug)]
pub(crate) enum Numbers<'a> {
    Narrow(&'a [u32]),
    Wide(&'a [u64]),
}

/// How many bits a number needs.
#[inline]
pub(crate) fn bits(value: u64) -> u32 {
    64 - value.leading_zeros()
}

/// A word of a lane.
trait Word: Copy + Default {
    const WIDTH: usize;
    fn from_u64(value: u64) -> Self;
    fn low(self, width: usize) -> Self;
    fn shl(self, by: usize) -> Self;
    fn shr(self, by: usize) -> Self;
    fn or(self, other: Self) -> Self;
    fn put(self, out: &mut Vec<u8>);
    fn get(bytes: &[u8]) -> Self;
}

macro_rules! word {
    ($word:ty) => {
        impl Word for $word {
            const WIDTH: usize = <$word>::BITS as usize;
            #[inline(always)]
            fn from_u64(value: u64) -> Self {
                value as $word
            }
            #[inline(always)]
            fn low(self, width: usize) -> Self {
                self & (<$word>::MAX >> (Self::WIDTH - width))
            }
            #[inline(always)]
            fn shl(self, by: usize) -> Self {
                self << by
            }
            #[inline(always)]
            fn shr(self, by: usize) -> Self {
                self >> by
            }
            #[inline(always)]
            fn or(self, other: Self) -> Self {
                self | other
            }
            #[inline(always)]
            fn put(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            #[inline(always)]
            fn get(bytes: &[u8]) -> Self {
                <$word>::from_le_bytes(bytes.try_into().expect("as many bytes as the word has"))
            }
        }
    };
}

word!(u32);
word!(u64);

/// Packs one group into `LANES` lanes; it has `LANES` times as many numbers as a word has bits.
fn pack_group<W: Word, const LANES: usize>(group: &[u64], width: usize, out: &mut Vec<u8>) {
    debug_assert_eq!(group.len(), LANES * W::WIDTH);
    let mut word = [W::default(); LANES];
    let mut used = 0;
    for row in group.chunks_exact(LANES) {
        for lane in 0..LANES {
            word[lane] = word[lane].or(W::from_u64(row[lane]).shl(used));
        }
        used += width;
        if used >= W::WIDTH {
            word.iter().for_each(|word| word.put(out));
            used -= W::WIDTH;
            for lane in 0..LANES {
                // What did not fit into the word that is out.
                word[lane] = if used == 0 { W::default() } else { W::from_u64(row[lane]).shr(width - used) };
            }
        }
    }
    debug_assert_eq!(used, 0, "a group ends with a word");
}

#[inline(always)]
fn unpack_group<W: Word, const LANES: usize>(bytes: &[u8], width: usize, out: &mut [W]) {
    let size = W::WIDTH / 8;
    let row_bytes = LANES * size;
    let load = |index: usize| -> [W; LANES] {
        let bytes = &bytes[index * row_bytes..][..row_bytes];
        std::array::from_fn(|lane| W::get(&bytes[lane * size..][..size]))
    };
    let mut word = load(0);
    let mut next = 1;
    let mut used = 0;
    for row in out.chunks_exact_mut(LANES) {
        if used + width <= W::WIDTH {
            for lane in 0..LANES {
                row[lane] = word[lane].shr(used).low(width);
            }
            used += width;
            if used == W::WIDTH && next < width {
                word = load(next);
                next += 1;
                used = 0;
            }
        } else {
            let following = load(next);
            next += 1;
            for lane in 0..LANES {
                row[lane] = word[lane].shr(used).or(following[lane].shl(W::WIDTH - used)).low(width);
            }
            word = following;
            used = used + width - W::WIDTH;
        }
    }
}

/// One copy of the loop for each width and size of group, so that shifts and masks are constants.
fn unpack_narrow(bytes: &[u8], width: u32, out: &mut [u32]) {
    macro_rules! widths {
        ($lanes:literal: $($width:literal)*) => {
            match width {
                $($width => unpack_group::<u32, $lanes>(bytes, $width, out),)*
                _ => out.fill(0),
            }
        };
    }
    match out.len() {
        GROUP => widths!(32: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32),
        256 => widths!(8: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32),
        _ => widths!(2: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32),
    }
}

fn pack_stream(values: &[u64], width: u32, out: &mut Vec<u8>) {
    let mut word = 0u128;
    let mut used = 0;
    for value in values {
        word |= u128::from(*value) << used;
        used += width;
        while used >= 8 {
            out.push(word as u8);
            word >>= 8;
            used -= 8;
        }
    }
    if used > 0 {
        out.push(word as u8);
    }
}

/// Numbers of a stream that are unpacked at once. A multiple of eight, so that each part starts at a whole byte.
const PART: usize = 64;

/// `bytes` has exactly the bytes of `count` numbers.
fn unpack_stream(bytes: &[u8], count: usize, width: u32, take: &mut impl FnMut(Numbers<'_>)) {
    let mut out = [0u64; PART];
    let part_bytes = PART / 8 * width as usize;
    for start in (0..count).step_by(PART) {
        let bytes = &bytes[start / PART * part_bytes..];
        let out = &mut out[..PART.min(count - start)];
        match width {
            0 => out.fill(0),
            1..=56 => unpack_part(bytes, width as usize, out),
            _ => unpack_wide_part(bytes, width as usize, out),
        }
        take(Numbers::Wide(out));
    }
}

/// With up to 56 bits a number lies in eight bytes, wherever it starts.
fn unpack_part(bytes: &[u8], width: usize, out: &mut [u64]) {
    let mask = u64::MAX >> (64 - width);
    for (index, value) in out.iter_mut().enumerate() {
        let bit = index * width;
        let (byte, shift) = (bit / 8, bit % 8);
        let word = match bytes[byte..].first_chunk::<8>() {
            Some(chunk) => u64::from_le_bytes(*chunk),
            None => {
                let mut chunk = [0; 8];
                let rest = &bytes[byte..];
                chunk[..rest.len()].copy_from_slice(rest);
                u64::from_le_bytes(chunk)
            }
        };
        *value = (word >> shift) & mask;
    }
}

fn unpack_wide_part(bytes: &[u8], width: usize, out: &mut [u64]) {
    let mask = u64::MAX >> (64 - width);
    for (index, value) in out.iter_mut().enumerate() {
        let bit = index * width;
        let rest = &bytes[bit / 8..];
        let mut chunk = [0; 16];
        let length = rest.len().min(16);
        chunk[..length].copy_from_slice(&rest[..length]);
        *value = (u128::from_le_bytes(chunk) >> (bit % 8)) as u64 & mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, width: u32) -> Vec<u64> {
        let mut state = 0x9e37_79b9_7f4a_7c15u64 ^ count as u64;
        let mask = if width == 0 { 0 } else { u64::MAX >> (64 - width) };
        let next = |state: &mut u64| {
            *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (*state ^ (*state >> 29)) & mask
        };
        (0..count).map(|_| next(&mut state)).collect()
    }

    fn unpacked(bytes: &[u8], count: usize, width: u32) -> Option<Vec<u64>> {
        let mut out = Vec::new();
        unpack(bytes, count, width, |numbers| match numbers {
            Numbers::Narrow(narrow) => out.extend(narrow.iter().map(|value| u64::from(*value))),
            Numbers::Wide(wide) => out.extend_from_slice(wide),
        })?;
        Some(out)
    }

    #[test]
    fn every_width_comes_back() {
        for width in 0..=64 {
            for count in [0, 1, 7, 63, 64, 65, 255, 256, 340, 1023, 1024, 1025, 2100] {
                let values = numbers(count, width);
                let mut bytes = Vec::new();
                pack(&values, width, &mut bytes);
                assert_eq!(bytes.len(), packed_len(count, width));
                assert_eq!(unpacked(&bytes, count, width), Some(values), "{count} numbers of {width} bits");
            }
        }
    }

    #[test]
    fn a_wrong_length_is_refused() {
        let mut bytes = Vec::new();
        pack(&numbers(1030, 5), 5, &mut bytes);
        assert_eq!(unpacked(&bytes[1..], 1030, 5), None);
        assert_eq!(unpacked(&bytes, 1030, 65), None);
        assert_eq!(unpacked(&bytes, 1031, 6), None);
    }

    #[test]
    fn the_layout_is_fixed() {
        let mut bytes = Vec::new();
        pack(&[1, 2, 3, 4, 5], 3, &mut bytes);
        assert_eq!(bytes, [0b1101_0001, 0b0101_1000]);
        let mut bytes = Vec::new();
        let group: Vec<u64> = (0..1024).collect();
        pack(&group, 10, &mut bytes);
        // Lane 0 has 0, 32, 64, 96 in its first word.
        assert_eq!(bytes[..4], (32u32 << 10 | 64 << 20 | 96 << 30).to_le_bytes());
    }
}
