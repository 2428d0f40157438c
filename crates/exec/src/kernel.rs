//! Inner loops over slices and validity words.
//!
//! A kernel sees the rows of one window of one batch: a range of positions and which of them count (a [`Mask`]). It is
//! handed the values that count in slices ([`each_slice`]), so that its loops are plain loops that the compiler turns into
//! vector code. Without gaps there is one slice.

use std::ops::Range;

use stdx::Bitmap;

use crate::sum::{DoubleSum, LANES_FROM, SumChain, SumLanes};

/// Which positions of a batch count; `None` for all.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mask<'a> {
    words: Option<&'a [u64]>,
}

impl<'a> Mask<'a> {
    /// The positions that are set.
    pub(crate) fn of(bits: Option<&'a Bitmap>) -> Mask<'a> {
        Mask { words: bits.map(Bitmap::words) }
    }

    /// How many positions of `range` count.
    #[inline]
    pub(crate) fn count(self, range: Range<usize>) -> usize {
        let Some(words) = self.words else { return range.len() };
        if range.is_empty() {
            return 0;
        }
        let (first, last) = (range.start / 64, (range.end - 1) / 64);
        let mut count = 0;
        for (index, word) in words[first..=last].iter().enumerate() {
            count += (word & word_mask(first + index, &range)).count_ones() as usize;
        }
        count
    }

    /// Whether a position of `range`, which is not empty, counts.
    #[inline]
    pub(crate) fn any(self, range: Range<usize>) -> bool {
        self.words.is_none() || self.runs(range).next().is_some()
    }

    /// The first position of `range` that counts.
    #[inline]
    pub(crate) fn first(self, range: Range<usize>) -> Option<usize> {
        self.runs(range).next().map(|run| run.start)
    }

    /// The last position of `range` that counts.
    #[inline]
    pub(crate) fn last(self, range: Range<usize>) -> Option<usize> {
        let Some(words) = self.words else { return range.end.checked_sub(1).filter(|last| *last >= range.start) };
        if range.is_empty() {
            return None;
        }
        let (first, last) = (range.start / 64, (range.end - 1) / 64);
        for index in (first..=last).rev() {
            let word = words[index] & word_mask(index, &range);
            if word != 0 {
                return Some(index * 64 + 63 - word.leading_zeros() as usize);
            }
        }
        None
    }

    /// The runs of consecutive positions in `range` that count, ascending.
    #[inline]
    pub(crate) fn runs(self, range: Range<usize>) -> Runs<'a> {
        Runs { words: self.words, at: range.start, end: range.end }
    }

    /// Every position of `range` that counts, ascending.
    #[inline]
    pub(crate) fn positions(self, range: Range<usize>) -> impl Iterator<Item = usize> + 'a {
        self.runs(range).flatten()
    }
}

/// The bits of word `index` that belong to `range`.
#[inline]
fn word_mask(index: usize, range: &Range<usize>) -> u64 {
    let base = index * 64;
    let low = range.start.saturating_sub(base).min(64);
    let high = range.end.saturating_sub(base).min(64);
    let below = |bits: usize| if bits == 64 { u64::MAX } else { (1u64 << bits) - 1 };
    below(high) & !below(low)
}

/// See [`Mask::runs`].
#[derive(Clone, Debug)]
pub(crate) struct Runs<'a> {
    words: Option<&'a [u64]>,
    at: usize,
    end: usize,
}

impl Runs<'_> {
    /// The first position from `at` on whose bit, seen through `flip`, is set; `end` when there is none.
    #[inline]
    fn seek(words: &[u64], at: usize, end: usize, flip: u64) -> usize {
        let mut index = at / 64;
        let mut word = (words[index] ^ flip) & (u64::MAX << (at % 64));
        while word == 0 {
            index += 1;
            if index * 64 >= end {
                return end;
            }
            word = words[index] ^ flip;
        }
        (index * 64 + word.trailing_zeros() as usize).min(end)
    }
}

impl Iterator for Runs<'_> {
    type Item = Range<usize>;

    #[inline]
    fn next(&mut self) -> Option<Range<usize>> {
        if self.at >= self.end {
            return None;
        }
        let Some(words) = self.words else {
            let run = self.at..self.end;
            self.at = self.end;
            return Some(run);
        };
        let start = Runs::seek(words, self.at, self.end, 0);
        if start == self.end {
            self.at = self.end;
            return None;
        }
        let end = Runs::seek(words, start, self.end, u64::MAX);
        self.at = end;
        Some(start..end)
    }
}

/// Hands the values that count to `f`, in order, in slices: where words of the mask are full the values themselves, else
/// the values of a word, moved together.
#[inline]
pub(crate) fn each_slice<T: Copy>(values: &[T], mask: Mask<'_>, range: Range<usize>, mut f: impl FnMut(&[T])) {
    if range.is_empty() {
        return;
    }
    let Some(words) = mask.words else {
        f(&values[range]);
        return;
    };
    let mut packed = [values[range.start]; 64];
    // Where the values that need no moving begin.
    let mut from = range.start;
    let (first, last) = (range.start / 64, (range.end - 1) / 64);
    for (index, word) in words.iter().enumerate().take(last + 1).skip(first) {
        let here = word_mask(index, &range);
        let word = word & here;
        if word == here {
            continue;
        }
        let base = index * 64;
        let begin = base.max(range.start);
        if from < begin {
            f(&values[from..begin]);
        }
        let end = (base + 64).min(range.end);
        from = end;
        if word == 0 {
            continue;
        }
        let mut count = 0;
        for (position, value) in values[begin..end].iter().enumerate() {
            packed[count & 63] = *value;
            count += (word >> (begin - base + position) & 1) as usize;
        }
        f(&packed[..count]);
    }
    if from < range.end {
        f(&values[from..range.end]);
    }
}

/// The sum of the doubles that count.
#[inline]
pub(crate) fn sum_floats(values: &[f64], mask: Mask<'_>, range: Range<usize>) -> DoubleSum {
    if range.len() < LANES_FROM {
        let mut sum = SumChain::default();
        each_slice(values, mask, range, |slice| sum.add_slice(slice));
        return sum.finish();
    }
    let mut sum = SumLanes::default();
    each_slice(values, mask, range, |slice| sum.add_slice(slice));
    sum.finish()
}

/// The wrapping sum of the integers that count.
#[inline]
pub(crate) fn sum_integers(values: &[i64], mask: Mask<'_>, range: Range<usize>) -> i64 {
    let mut total = 0i64;
    each_slice(values, mask, range, |slice| {
        total = slice.iter().fold(total, |sum, value| sum.wrapping_add(*value));
    });
    total
}

/// As [`sum_integers`].
#[inline]
pub(crate) fn sum_unsigned(values: &[u64], mask: Mask<'_>, range: Range<usize>) -> u64 {
    let mut total = 0u64;
    each_slice(values, mask, range, |slice| {
        total = slice.iter().fold(total, |sum, value| sum.wrapping_add(*value));
    });
    total
}

/// Numbers that have a smallest and a largest.
pub(crate) trait Ordered: Copy {
    /// The smaller of two, without a branch.
    fn smaller(self, other: Self) -> Self;
    /// The larger of two, without a branch.
    fn larger(self, other: Self) -> Self;
    /// Whether both are equal as numbers.
    fn same(self, other: Self) -> bool;
}

macro_rules! ordered {
    ($kind:ty) => {
        impl Ordered for $kind {
            #[inline]
            fn smaller(self, other: $kind) -> $kind {
                if other < self { other } else { self }
            }
            #[inline]
            fn larger(self, other: $kind) -> $kind {
                if other > self { other } else { self }
            }
            #[inline]
            #[allow(clippy::float_cmp)]
            fn same(self, other: $kind) -> bool {
                self == other
            }
        }
    };
}

ordered!(f64);
ordered!(i64);
ordered!(u64);

/// Folds a slice in eight independent chains.
#[inline]
fn fold_lanes<T: Copy>(values: &[T], pick: impl Fn(T, T) -> T + Copy) -> Option<T> {
    const LANES: usize = 8;
    let (chunks, rest) = values.as_chunks::<LANES>();
    let Some((head, chunks)) = chunks.split_first() else {
        return rest.iter().copied().reduce(pick);
    };
    let mut lanes = *head;
    for chunk in chunks {
        for lane in 0..LANES {
            lanes[lane] = pick(lanes[lane], chunk[lane]);
        }
    }
    rest.iter().chain(&lanes).copied().reduce(pick)
}

/// The smallest value that counts.
#[inline]
pub(crate) fn smallest<T: Ordered>(values: &[T], mask: Mask<'_>, range: Range<usize>) -> Option<T> {
    extreme(values, mask, range, T::smaller)
}

/// The largest value that counts.
#[inline]
pub(crate) fn largest<T: Ordered>(values: &[T], mask: Mask<'_>, range: Range<usize>) -> Option<T> {
    extreme(values, mask, range, T::larger)
}

#[inline]
fn extreme<T: Ordered>(
    values: &[T],
    mask: Mask<'_>,
    range: Range<usize>,
    pick: impl Fn(T, T) -> T + Copy,
) -> Option<T> {
    let mut found: Option<T> = None;
    each_slice(values, mask, range, |slice| {
        if let Some(here) = fold_lanes(slice, pick) {
            found = Some(found.map_or(here, |known| pick(known, here)));
        }
    });
    found
}

/// The first position that counts and holds `wanted`.
#[inline]
pub(crate) fn position_of<T: Ordered>(values: &[T], mask: Mask<'_>, range: Range<usize>, wanted: T) -> Option<usize> {
    for run in mask.runs(range) {
        if let Some(offset) = values[run.clone()].iter().position(|value| value.same(wanted)) {
            return Some(run.start + offset);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug)]
    struct Case {
        values: Vec<i64>,
        bits: Option<Vec<bool>>,
        range: Range<usize>,
    }

    fn cases() -> impl Strategy<Value = Case> {
        let rows = prop::collection::vec((-50i64..50, prop::bool::weighted(0.7)), 0..300);
        (rows, any::<bool>(), 0usize..300, 0usize..300).prop_map(|(rows, masked, a, b)| {
            let (a, b) = (a.min(rows.len()), b.min(rows.len()));
            Case {
                values: rows.iter().map(|row| row.0).collect(),
                bits: masked.then(|| rows.iter().map(|row| row.1).collect()),
                range: a.min(b)..a.max(b),
            }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn kernels_agree_with_plain_loops(case in cases()) {
            let bitmap = case.bits.as_ref().map(|bits| {
                let mut bitmap = Bitmap::new();
                bits.iter().for_each(|bit| bitmap.push(*bit));
                bitmap
            });
            let mask = Mask::of(bitmap.as_ref());
            let counted: Vec<usize> =
                case.range.clone().filter(|index| case.bits.as_ref().is_none_or(|bits| bits[*index])).collect();
            let plain: Vec<i64> = counted.iter().map(|index| case.values[*index]).collect();

            prop_assert_eq!(mask.positions(case.range.clone()).collect::<Vec<_>>(), counted.clone());
            prop_assert_eq!(mask.count(case.range.clone()), counted.len());
            prop_assert_eq!(mask.first(case.range.clone()), counted.first().copied());
            prop_assert_eq!(mask.last(case.range.clone()), counted.last().copied());
            prop_assert_eq!(sum_integers(&case.values, mask, case.range.clone()), plain.iter().sum::<i64>());
            let smallest_plain = plain.iter().copied().min();
            prop_assert_eq!(smallest(&case.values, mask, case.range.clone()), smallest_plain);
            prop_assert_eq!(largest(&case.values, mask, case.range.clone()), plain.iter().copied().max());
            if let Some(wanted) = smallest_plain {
                let at = counted.iter().copied().find(|index| case.values[*index] == wanted);
                prop_assert_eq!(position_of(&case.values, mask, case.range.clone(), wanted), at);
            }

            let floats: Vec<f64> = case.values.iter().map(|value| *value as f64 / 8.0).collect();
            let mut want = DoubleSum::ZERO;
            counted.iter().for_each(|index| want.add(floats[*index]));
            prop_assert_eq!(sum_floats(&floats, mask, case.range.clone()).value(), want.value());
        }
    }
}
