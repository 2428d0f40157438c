//! Exponential moving averages, alone and of each other.

use plan::{Exponential, Warmup};

use super::{held_back, size};
use crate::columns::as_floats;
use crate::finish::track::Track;

/// A running exponential average.
#[derive(Clone, Debug)]
pub(super) struct Average {
    period: usize,
    factor: f64,
    warmup: Warmup,
    count: usize,
    value: f64,
}

impl Average {
    pub(super) fn new(period: usize, warmup: Warmup) -> Average {
        Average { period, factor: 2.0 / (period as f64 + 1.0), warmup, count: 0, value: 0.0 }
    }

    /// The same with another weight of a new value.
    pub(super) fn with_factor(self, factor: f64) -> Average {
        Average { factor, ..self }
    }

    /// Whether it has seen a whole period.
    pub(super) fn is_warm(&self) -> bool {
        self.count >= self.period
    }

    /// Takes a value in and gives the average.
    pub(super) fn add(&mut self, value: f64) -> f64 {
        let seen = self.count as f64;
        self.value = if self.count == 0 {
            value
        } else if self.is_warm() {
            (value - self.value) * self.factor + self.value
        } else {
            match self.warmup {
                Warmup::Simple => (self.value * seen + value) / (seen + 1.0),
                // A larger weight at first, so that the first value does not count for more than its share.
                Warmup::Exponential => (value - self.value) * (2.0 / (seen + 2.0)) + self.value,
            }
        };
        self.count = self.count.saturating_add(1);
        self.value
    }
}

/// Averages of averages: with simple warm-up one is fed once the one before is warm.
struct Chain {
    links: Vec<Average>,
    warmup: Warmup,
}

impl Chain {
    fn new(links: usize, period: usize, warmup: Warmup) -> Chain {
        Chain { links: vec![Average::new(period, warmup); links], warmup }
    }

    /// The average of each link; a link that is not fed passes on what it would have been fed with.
    fn add(&mut self, value: f64) -> Vec<f64> {
        let mut fed = true;
        let mut current = value;
        let mut out = Vec::with_capacity(self.links.len());
        for link in &mut self.links {
            if fed {
                current = link.add(current);
                fed = self.warmup == Warmup::Exponential || link.is_warm();
            }
            out.push(current);
        }
        out
    }
}

pub(super) fn exponential(input: &Track, kind: Exponential, period: u64, hold: Option<u64>, warmup: Warmup) -> Track {
    let period = size(period).max(1);
    let links = match kind {
        Exponential::Single => 1,
        Exponential::Double => 2,
        Exponential::Triple | Exponential::TripleDerivative => 3,
    };
    let mut chain = Chain::new(links, period, warmup);
    let mut last = 0.0;
    let step = |value: &f64| {
        let links = chain.add(*value);
        match (kind, links.as_slice()) {
            (Exponential::Double, [one, two]) => 2.0 * one - two,
            (Exponential::Triple, [one, two, three]) => 3.0 * one - 3.0 * two + three,
            (Exponential::TripleDerivative, [.., three]) => {
                let rate = (three / last - 1.0) * 100.0;
                last = *three;
                rate
            }
            (_, all) => all.last().copied().unwrap_or(*value),
        }
    };
    let values: Vec<f64> = as_floats(&input.values).iter().map(step).collect();
    let once = period - 1;
    let cold = match (kind, warmup) {
        (Exponential::Single, _) => once,
        (Exponential::TripleDerivative, Warmup::Exponential) => period,
        (Exponential::TripleDerivative, Warmup::Simple) => once.saturating_mul(3).saturating_add(1),
        (_, Warmup::Exponential) => once,
        (_, Warmup::Simple) => once.saturating_mul(links),
    };
    let out = held_back(input, values, hold.map_or(cold, size));
    if kind == Exponential::TripleDerivative { without_infinities(&out) } else { out }
}

/// A rate of change from zero is no row.
fn without_infinities(track: &Track) -> Track {
    let values = as_floats(&track.values);
    let kept = || values.iter().zip(&track.times).filter(|(value, _)| !value.is_infinite());
    let times = kept().map(|(_, time)| *time).collect();
    Track::new(times, super::column(model::ColumnData::Float(kept().map(|(value, _)| *value).collect())))
}
