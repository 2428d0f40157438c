//! Indicators made of the moves from one value to the next.

use model::FieldType;
use plan::Warmup;

use super::averages::Average;
use super::{held_back, size};
use crate::columns::as_floats;
use crate::finish::track::Track;

/// The upward and downward moves, each averaged.
struct Moves {
    up: Average,
    down: Average,
    last: f64,
}

impl Moves {
    fn new(period: usize, warmup: Warmup) -> Moves {
        let average = Average::new(period.saturating_add(1), warmup).with_factor(1.0 / period as f64);
        Moves { up: average.clone(), down: average, last: 0.0 }
    }

    fn add(&mut self, value: f64) -> (f64, f64) {
        let change = value - self.last;
        self.last = value;
        (self.up.add(change.max(0.0)), self.down.add((-change).max(0.0)))
    }
}

pub(super) fn relative_strength(input: &Track, period: u64, hold: Option<u64>, warmup: Warmup) -> Track {
    let period = size(period).max(1);
    let mut moves = Moves::new(period, warmup);
    let index = |value: &f64| {
        let (up, down) = moves.add(*value);
        100.0 - 100.0 / (1.0 + up / down)
    };
    let values = as_floats(&input.values).iter().map(index).collect();
    held_back(input, values, hold.map_or(period, size))
}

pub(super) fn chande_momentum(input: &Track, period: u64, hold: Option<u64>, warmup: Option<Warmup>) -> Track {
    let period = size(period).max(1);
    let Some(warmup) = warmup else {
        let values = unsmoothed_momentum(&as_floats(&input.values), period);
        return held_back(input, values, hold.map_or(period - 1, size));
    };
    let mut moves = Moves::new(period, warmup);
    let momentum = |value: &f64| {
        let (up, down) = moves.add(*value);
        // Divided first: of moves in one direction alone the quotient is exactly one.
        100.0 * ((up - down) / (up + down))
    };
    let values = as_floats(&input.values).iter().map(momentum).collect();
    held_back(input, values, hold.map_or(period, size))
}

/// Over the last `span` moves.
fn unsmoothed_momentum(values: &[f64], span: usize) -> Vec<f64> {
    let change = |index: usize| if index == 0 { 0.0 } else { values[index] - values[index - 1] };
    let (mut up, mut down) = (0.0, 0.0);
    let mut out = Vec::with_capacity(values.len());
    for index in 0..values.len() {
        let now = change(index);
        up += now.max(0.0);
        down += (-now).max(0.0);
        if let Some(gone) = index.checked_sub(span) {
            up -= change(gone).max(0.0);
            down -= (-change(gone)).max(0.0);
        }
        out.push(if up == 0.0 && down == 0.0 { 0.0 } else { 100.0 * ((up - down) / (up + down)) });
    }
    out
}

/// The last values and the moves to them, in a ring that begins with zeros.
struct Efficiency {
    values: Vec<f64>,
    moves: Vec<f64>,
    at: usize,
    noise: f64,
    count: usize,
}

impl Efficiency {
    fn new(period: usize) -> Efficiency {
        Efficiency { values: vec![0.0; period], moves: vec![0.0; period], at: 0, noise: 0.0, count: 0 }
    }

    fn is_warm(&self) -> bool {
        self.count > self.values.len()
    }

    fn last(&self) -> f64 {
        self.values[self.at]
    }

    fn add(&mut self, value: f64) -> f64 {
        let oldest = (self.at + 1) % self.values.len();
        let signal = (value - self.values[oldest]).abs();
        let moved = (value - self.last()).abs();
        self.noise = self.noise - self.moves[oldest] + moved;
        (self.values[oldest], self.moves[oldest]) = (value, moved);
        self.at = oldest;
        if !self.is_warm() {
            self.count += 1;
        }
        if signal == 0.0 || self.noise == 0.0 { 0.0 } else { signal / self.noise }
    }
}

/// Longest ring; a longer period has no row in any data that fits into memory.
const PERIOD_MAX: u64 = 1 << 24;

pub(super) fn kaufmans(input: &Track, adaptive: bool, period: u64, hold: Option<u64>) -> Track {
    if period > PERIOD_MAX {
        return Track::empty(FieldType::Float);
    }
    let period = size(period).max(1);
    let mut efficiency = Efficiency::new(period);
    // 2/3 - 2/31 and 2/31: the weights of averages over 2 and over 30 values. Each is rounded once.
    let (spread, slow) = (56.0 / 93.0, 2.0 / 31.0);
    let mut average = 0.0;
    let step = |value: &f64| {
        if !adaptive {
            return efficiency.add(*value);
        }
        if !efficiency.is_warm() {
            average = efficiency.last();
        }
        let smoothing = (efficiency.add(*value) * spread + slow).powi(2);
        average += smoothing * (value - average);
        average
    };
    let values = as_floats(&input.values).iter().map(step).collect();
    held_back(input, values, hold.map_or(period, size))
}
