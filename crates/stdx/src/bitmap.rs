//! One bit a row, packed in words of 64.

/// A growable sequence of bits.
///
/// Invariant: bits at and above `len` in the last word are zero, so that words can be compared and counted whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bitmap {
    words: Vec<u64>,
    len: usize,
}

impl Bitmap {
    /// No bits.
    pub fn new() -> Bitmap {
        Bitmap::default()
    }

    /// `len` bits, all equal to `value`.
    pub fn filled(len: usize, value: bool) -> Bitmap {
        let mut bitmap = Bitmap { words: vec![if value { u64::MAX } else { 0 }; len.div_ceil(64)], len };
        bitmap.clear_tail();
        bitmap
    }

    /// Bits from words as [`Bitmap::words`] gives them. `None` when there are too few words for `len`.
    pub fn from_words(mut words: Vec<u64>, len: usize) -> Option<Bitmap> {
        if words.len() < len.div_ceil(64) {
            return None;
        }
        words.truncate(len.div_ceil(64));
        let mut bitmap = Bitmap { words, len };
        bitmap.clear_tail();
        Some(bitmap)
    }

    /// Number of bits.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bits in words of 64, lowest bit first.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// Bit `index`, which must be below `len`.
    #[inline]
    pub fn get(&self, index: usize) -> bool {
        debug_assert!(index < self.len);
        self.words[index / 64] >> (index % 64) & 1 == 1
    }

    /// Sets bit `index`, which must be below `len`.
    #[inline]
    pub fn set(&mut self, index: usize, value: bool) {
        assert!(index < self.len, "bit within the bitmap");
        let mask = 1u64 << (index % 64);
        if value {
            self.words[index / 64] |= mask;
        } else {
            self.words[index / 64] &= !mask;
        }
    }

    /// Appends one bit.
    #[inline]
    pub fn push(&mut self, value: bool) {
        if self.len.is_multiple_of(64) {
            self.words.push(0);
        }
        self.len += 1;
        if value {
            self.words[(self.len - 1) / 64] |= 1u64 << ((self.len - 1) % 64);
        }
    }

    /// Makes the bitmap `len` bits long, cutting it or appending bits equal to `value`.
    pub fn resize(&mut self, len: usize, value: bool) {
        while value && self.len < len && !self.len.is_multiple_of(64) {
            self.push(true);
        }
        self.words.resize(len.div_ceil(64), if value { u64::MAX } else { 0 });
        self.len = len;
        self.clear_tail();
    }

    /// How many bits are set.
    pub fn count_ones(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The indexes of the bits that are set, ascending.
    pub fn ones(&self) -> impl Iterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(|(index, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                (rest != 0).then(|| {
                    let bit = rest.trailing_zeros() as usize;
                    rest &= rest - 1;
                    index * 64 + bit
                })
            })
        })
    }

    fn clear_tail(&mut self) {
        let used = self.len % 64;
        if used != 0 {
            let last = self.words.last_mut().expect("a bitmap with bits has a word");
            *last &= (1u64 << used) - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behaves_like_a_vector_of_booleans() {
        let mut bits = Bitmap::new();
        let mut plain = Vec::new();
        for index in 0..200 {
            bits.push(index % 3 == 0);
            plain.push(index % 3 == 0);
        }
        for len in [150, 64, 70, 130, 1, 0] {
            for value in [true, false] {
                bits.resize(len, value);
                plain.resize(len, value);
                assert_eq!((0..len).map(|index| bits.get(index)).collect::<Vec<_>>(), plain);
                assert_eq!(bits.count_ones(), plain.iter().filter(|bit| **bit).count());
                let ones: Vec<usize> = (0..len).filter(|index| plain[*index]).collect();
                assert_eq!(bits.ones().collect::<Vec<_>>(), ones);
                bits.resize(len + 70, value);
                plain.resize(len + 70, value);
                assert_eq!(bits.count_ones(), plain.iter().filter(|bit| **bit).count());
            }
        }
    }

    #[test]
    fn words_come_back_and_too_few_are_refused() {
        let bits = Bitmap::filled(70, true);
        assert_eq!(Bitmap::from_words(bits.words().to_vec(), 70), Some(bits));
        assert_eq!(Bitmap::from_words(vec![0], 65), None);
    }
}
