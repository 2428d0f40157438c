//! Sums of doubles that do not depend on how the data was cut.
//!
//! A sum is kept as an unevaluated pair `hi + lo` (double-double, about 106 bits) and rounded once at the end. Adding is
//! error free as long as the bits of all terms fit into these 106, which holds for measurements: then partial sums can be
//! joined in any order and the last bit of the answer is always the same.
//!
//! The zero is -0.0, the only neutral element of addition, so that the sum of a single -0.0 keeps its sign.

/// A sum of doubles, not yet rounded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct DoubleSum {
    hi: f64,
    lo: f64,
}

impl Default for DoubleSum {
    fn default() -> DoubleSum {
        DoubleSum::ZERO
    }
}

impl DoubleSum {
    /// The sum of nothing.
    pub(crate) const ZERO: DoubleSum = DoubleSum { hi: -0.0, lo: 0.0 };

    /// A sum from its two parts, as page statistics keep it. The parts need not be normalised.
    pub(crate) fn from_parts(hi: f64, lo: f64) -> DoubleSum {
        // A zero keeps its sign.
        let (hi, lo) = if lo == 0.0 { (hi, lo) } else { two_sum(hi, lo) };
        DoubleSum::normalised(hi, lo)
    }

    /// The two parts; the first is the rounded sum.
    pub(crate) fn parts(self) -> (f64, f64) {
        (self.hi, self.lo)
    }

    /// The sum of `values`.
    pub(crate) fn of(values: &[f64]) -> DoubleSum {
        let mut lanes = SumLanes::default();
        lanes.add_slice(values);
        lanes.finish()
    }

    /// Adds one value.
    #[inline]
    pub(crate) fn add(&mut self, value: f64) {
        let (sum, error) = two_sum(self.hi, value);
        *self = DoubleSum::normalised(sum, self.lo + error);
    }

    /// Adds another sum.
    #[inline]
    pub(crate) fn merge(&mut self, other: DoubleSum) {
        let (high, high_error) = two_sum(self.hi, other.hi);
        let (low, low_error) = two_sum(self.lo, other.lo);
        let first = DoubleSum::normalised(high, high_error + low);
        *self = DoubleSum::normalised(first.hi, first.lo + low_error);
    }

    /// `a - b` without rounding.
    pub(crate) fn difference(a: f64, b: f64) -> DoubleSum {
        let (hi, lo) = two_sum(a, -b);
        DoubleSum::normalised(hi, lo)
    }

    /// The product, to about 104 bits.
    pub(crate) fn times(self, other: DoubleSum) -> DoubleSum {
        let product = self.hi * other.hi;
        let error = self.hi.mul_add(other.hi, -product);
        DoubleSum::normalised(product, error + (self.hi * other.lo + self.lo * other.hi))
    }

    /// The quotient by a double, to about 104 bits.
    pub(crate) fn over(self, divisor: f64) -> DoubleSum {
        let quotient = self.hi / divisor;
        let rest = (-quotient).mul_add(divisor, self.hi) + self.lo;
        DoubleSum::normalised(quotient, rest / divisor)
    }

    /// The same with the other sign.
    pub(crate) fn negated(self) -> DoubleSum {
        DoubleSum { hi: -self.hi, lo: -self.lo }
    }

    /// The sum, rounded to the nearest double.
    pub(crate) fn value(self) -> f64 {
        self.hi
    }

    /// `lo` is small beside `hi`. A sum that left the range of doubles stays infinite instead of becoming NaN.
    #[inline]
    fn normalised(hi: f64, lo: f64) -> DoubleSum {
        if lo == 0.0 || !hi.is_finite() {
            return DoubleSum { hi, lo: 0.0 };
        }
        let sum = hi + lo;
        DoubleSum { hi: sum, lo: lo - (sum - hi) }
    }
}

/// `a + b` as a rounded sum and its error, exactly.
#[inline]
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let part = sum - a;
    (sum, (a - (sum - part)) + (b - part))
}

const LANES: usize = 8;

/// Fewest values for which the lanes are worth joining at the end.
pub(crate) const LANES_FROM: usize = 4 * LANES;

/// A running sum of few values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SumChain {
    sum: f64,
    error: f64,
}

impl Default for SumChain {
    fn default() -> SumChain {
        SumChain { sum: -0.0, error: 0.0 }
    }
}

impl SumChain {
    /// Adds all values of a slice.
    #[inline]
    pub(crate) fn add_slice(&mut self, values: &[f64]) {
        for value in values {
            let (sum, error) = two_sum(self.sum, *value);
            self.sum = sum;
            self.error += error;
        }
    }

    /// The sum of everything added.
    #[inline]
    pub(crate) fn finish(&self) -> DoubleSum {
        DoubleSum::normalised(self.sum, self.error)
    }
}

/// A running sum of many values: eight independent chains, which the compiler keeps in vector registers, and one more for
/// what does not fill them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SumLanes {
    sums: [f64; LANES],
    errors: [f64; LANES],
    rest: SumChain,
}

impl Default for SumLanes {
    fn default() -> SumLanes {
        SumLanes { sums: [-0.0; LANES], errors: [0.0; LANES], rest: SumChain::default() }
    }
}

impl SumLanes {
    /// Adds all values of a slice.
    #[inline]
    pub(crate) fn add_slice(&mut self, values: &[f64]) {
        let (chunks, rest) = values.as_chunks::<LANES>();
        let (mut sums, mut errors) = (self.sums, self.errors);
        for chunk in chunks {
            for lane in 0..LANES {
                let (sum, error) = two_sum(sums[lane], chunk[lane]);
                sums[lane] = sum;
                errors[lane] += error;
            }
        }
        (self.sums, self.errors) = (sums, errors);
        self.rest.add_slice(rest);
    }

    /// The sum of everything added.
    pub(crate) fn finish(&self) -> DoubleSum {
        let mut total = self.rest;
        total.add_slice(&self.sums);
        total.error += self.errors.iter().sum::<f64>();
        total.finish()
    }
}

/// Sums of the distances of values from a pivot, and of their squares.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SquareLanes {
    pivot: f64,
    sums: SumLanes,
    squares: SumLanes,
}

impl SquareLanes {
    pub(crate) fn new(pivot: f64) -> SquareLanes {
        SquareLanes { pivot, sums: SumLanes::default(), squares: SumLanes::default() }
    }

    /// Adds all values of a slice.
    pub(crate) fn add_slice(&mut self, values: &[f64]) {
        let (chunks, rest) = values.as_chunks::<LANES>();
        let pivot = self.pivot;
        let (mut sums, mut sum_errors) = (self.sums.sums, self.sums.errors);
        let (mut squares, mut square_errors) = (self.squares.sums, self.squares.errors);
        for chunk in chunks {
            for lane in 0..LANES {
                let (distance, missing) = two_sum(chunk[lane], -pivot);
                let (sum, error) = two_sum(sums[lane], distance);
                sums[lane] = sum;
                sum_errors[lane] += error + missing;
                let (square, square_missing) = two_square(distance);
                let (sum, error) = two_sum(squares[lane], square);
                squares[lane] = sum;
                square_errors[lane] += error + (square_missing + 2.0 * distance * missing);
            }
        }
        (self.sums.sums, self.sums.errors) = (sums, sum_errors);
        (self.squares.sums, self.squares.errors) = (squares, square_errors);
        for value in rest {
            let (distance, missing) = two_sum(*value, -pivot);
            self.sums.rest.add_slice(&[distance, missing]);
            let (square, square_missing) = two_square(distance);
            self.squares.rest.add_slice(&[square, square_missing + 2.0 * distance * missing]);
        }
    }

    /// The sum of the distances and that of their squares.
    pub(crate) fn finish(&self) -> (DoubleSum, DoubleSum) {
        (self.sums.finish(), self.squares.finish())
    }
}

/// `a * a` as a rounded product and its error, exactly unless it overflows. In plain operations, of which the compiler can
/// do several at once on every machine.
#[inline]
fn two_square(a: f64) -> (f64, f64) {
    const SPLIT: f64 = 134_217_729.0;
    let square = a * a;
    let scaled = SPLIT * a;
    let high = scaled - (scaled - a);
    let low = a - high;
    (square, ((high * high - square) + 2.0 * high * low) + low * low)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn joined(pieces: &[&[f64]]) -> f64 {
        let mut total = DoubleSum::ZERO;
        for piece in pieces {
            total.merge(DoubleSum::of(piece));
        }
        total.value()
    }

    #[test]
    fn nothing_is_lost_beside_a_large_term() {
        let values = [1e16, 1.0, -1e16, 1.0, 0.1];
        assert_eq!(DoubleSum::of(&values).value(), 2.1);
        let many: Vec<f64> = [1e15, 0.1].into_iter().chain((0..998).map(|_| 0.1)).collect();
        assert_eq!(DoubleSum::of(&many).value(), 1e15 + 99.9);
    }

    #[test]
    fn the_sign_of_zero_survives_alone() {
        assert!(DoubleSum::of(&[-0.0]).value().is_sign_negative());
        assert!(joined(&[&[-0.0], &[]]).is_sign_negative());
        assert!(DoubleSum::of(&[-0.0, 0.0]).value().is_sign_positive());
        assert!(DoubleSum::of(&[-0.0; 100]).value().is_sign_negative());
    }

    #[test]
    fn parts_in_any_order_become_a_sum() {
        let large = (1u64 << 60) as f64;
        for (hi, lo) in [(large, 1.0), (1.0, large), (large + 256.0, -255.0)] {
            assert_eq!(DoubleSum::from_parts(hi, lo).parts(), (large, 1.0), "{hi} + {lo}");
        }
        assert!(DoubleSum::from_parts(-0.0, 0.0).value().is_sign_negative());
        assert_eq!(DoubleSum::from_parts(1.0, f64::INFINITY).parts(), (f64::INFINITY, 0.0));
    }

    #[test]
    fn overflow_is_infinite_and_not_nan() {
        assert_eq!(DoubleSum::of(&[f64::MAX, f64::MAX]).value(), f64::INFINITY);
        assert_eq!(DoubleSum::of(&[f64::MAX; 100]).value(), f64::INFINITY);
        assert_eq!(joined(&[&[f64::MAX], &[f64::MAX], &[1.0]]), f64::INFINITY);
    }

    #[test]
    fn products_and_quotients_are_not_rounded() {
        let value = DoubleSum::of(&[1.0 + f64::EPSILON]);
        let mut square = value.times(value);
        square.add(-1.0);
        square.add(-2.0 * f64::EPSILON);
        assert_eq!(square.value(), f64::EPSILON * f64::EPSILON);
        let third = DoubleSum::of(&[1.0]).over(3.0);
        let mut rest = third.times(DoubleSum::of(&[3.0]));
        rest.add(-1.0);
        assert!(rest.value().abs() < 1e-31);
        let mut nothing = third;
        nothing.merge(third.negated());
        assert_eq!(nothing.value(), 0.0);
        assert_eq!(DoubleSum::difference(1e20, 1.0).parts(), (1e20, -1.0));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_cut_and_any_order_give_the_same_bits(
            values in prop::collection::vec(-1e6f64..1e6, 0..300),
            cuts in prop::collection::vec(0usize..300, 0..6),
            turn in 0usize..300,
        ) {
            let whole = DoubleSum::of(&values).value();
            let mut turned = values.clone();
            turned.rotate_left(if values.is_empty() { 0 } else { turn % values.len() });
            let mut total = DoubleSum::ZERO;
            let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (values.len() + 1)).collect();
            ends.push(values.len());
            ends.sort_unstable();
            let mut start = 0;
            for end in ends {
                total.merge(DoubleSum::of(&turned[start..end]));
                start = end;
            }
            prop_assert_eq!(whole.to_bits(), total.value().to_bits());
        }
    }
}
