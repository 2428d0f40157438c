//! `holt_winters`: forecasts by triple exponential smoothing, damped, with a multiplicative season.
//!
//! The four weights and the initial level, trend and season are chosen by Nelder-Mead, started from sixteen points, so
//! that the squared errors over the known values are least. The model feeds on its own output, not on the values.

use model::{ColumnData, FieldType};

use super::{column, size};
use crate::columns::as_floats;
use crate::error::{Budget, ExecError};
use crate::finish::track::Track;

/// What is asked for.
pub(super) struct Shape {
    pub(super) count: u64,
    pub(super) season: u64,
    pub(super) with_fit: bool,
    pub(super) interval_ns: i64,
}

/// Most values of a model, known and forecast.
const VALUES_MAX: usize = 1 << 24;

pub(super) fn holt_winters(input: &Track, shape: &Shape, budget: &mut dyn Budget) -> Result<Track, ExecError> {
    let season = if shape.season < 2 { 1 } else { size(shape.season) };
    let Some((first_time, slots)) = slots(input, shape.interval_ns) else { return Ok(Track::empty(FieldType::Float)) };
    let count = size(shape.count);
    if slots.len() < 2 || (season > 1 && slots.len() < season) || count > VALUES_MAX {
        return Ok(Track::empty(FieldType::Float));
    }
    let model = Model { season, values: &slots };
    let parameters = model.fit(budget)?;
    let forecast = model.forecast(count, &mut parameters.clone());
    let skip = if shape.with_fit { 0 } else { slots.len() };
    let mut times = Vec::new();
    let mut values = Vec::new();
    for (index, value) in forecast.iter().enumerate().skip(skip) {
        times.push(first_time.wrapping_add((index as i64).wrapping_mul(shape.interval_ns)));
        values.push(*value);
    }
    Ok(Track::new(times, column(ColumnData::Float(values))))
}

/// The time of the first value, and the values at steps of the interval: not a number where there is none. Of two values
/// of one slot the first counts.
fn slots(input: &Track, interval_ns: i64) -> Option<(i64, Vec<f64>)> {
    let interval = interval_ns.max(1);
    let round = |time: i64| {
        let rest = time.rem_euclid(interval);
        if rest > interval / 2 { time.saturating_add(interval - rest) } else { time - rest }
    };
    let first = round(*input.times.first()?);
    let mut slots: Vec<f64> = Vec::new();
    for (time, value) in input.times.iter().zip(as_floats(&input.values)) {
        let slot = usize::try_from((round(*time).checked_sub(first)?) / interval).ok()?;
        if slot >= VALUES_MAX {
            return None;
        }
        if slot >= slots.len() {
            slots.resize(slot, f64::NAN);
            slots.push(value);
        }
    }
    Some((first, slots))
}

struct Model<'a> {
    season: usize,
    values: &'a [f64],
}

/// Where alpha, beta, gamma, phi, level, trend and season lie in the parameters.
const SEASON_AT: usize = 6;

impl Model<'_> {
    /// The parameters with the least squared error.
    fn fit(&self, budget: &mut dyn Budget) -> Result<Vec<f64>, ExecError> {
        let mut start = vec![0.0; SEASON_AT];
        if self.season > 1 {
            let m = self.season;
            let value = |index: usize| self.values.get(index).copied().unwrap_or(f64::NAN);
            let level = (0..m).map(value).sum::<f64>() / m as f64;
            let trend = (0..m).map(|i| value(m + i) - value(i)).filter(|change| !change.is_nan()).sum::<f64>();
            (start[4], start[5]) = (level, trend / (m * m) as f64);
            start.extend((0..m).map(|i| value(i) / level));
        } else {
            (start[4], start[5]) = (0.5 * self.values[0], 0.5 * (self.values[1] - self.values[0]));
        }
        let mut best: Option<(f64, Vec<f64>)> = None;
        for choice in 0..16 {
            budget.rows(self.values.len().saturating_mul(256)).map_err(ExecError::Refused)?;
            start[..4].iter_mut().enumerate().for_each(|(index, weight)| {
                *weight = if choice >> (3 - index) & 1 == 0 { 0.3 } else { 0.7 };
            });
            let (error, parameters) = minimise(&start, |parameters| self.error(parameters));
            if best.as_ref().is_none_or(|best| error < best.0) {
                best = Some((error, parameters));
            }
        }
        Ok(best.map_or(start, |best| best.1))
    }

    /// The sum of squared errors; infinite if the model leaves the numbers.
    fn error(&self, parameters: &mut [f64]) -> f64 {
        let forecast = self.forecast(0, parameters);
        let mut sum = 0.0;
        for (value, forecast) in self.values.iter().zip(&forecast) {
            if forecast.is_nan() {
                return f64::INFINITY;
            }
            if !value.is_nan() {
                sum += (value - forecast) * (value - forecast);
            }
        }
        sum
    }

    /// The output of the model for the known values and `more` after them. The weights are first brought into 0..=1, and
    /// the season is left as it is at the end.
    fn forecast(&self, more: usize, parameters: &mut [f64]) -> Vec<f64> {
        parameters[..4].iter_mut().for_each(|weight| *weight = weight.clamp(0.0, 1.0));
        let (alpha, beta, gamma, phi) = (parameters[0], parameters[1], parameters[2], parameters[3]);
        let (mut level, mut trend) = (parameters[4], parameters[5]);
        let m = self.season;
        let seasonal = m > 1;
        // What the season has become stays in the parameters, as the weights do: the search goes on from there.
        let ring = &mut parameters[SEASON_AT..];
        let mut out = Vec::with_capacity(self.values.len() + more);
        let mut y = self.values[0];
        out.push(y);
        let mut damping = phi;
        for t in 1..self.values.len() + more {
            // The ring turns by two places a step, which is how the reference has it.
            let at = (2 * t - 2) % m;
            let (season_now, season_ahead) = if seasonal { (ring[at], ring[(at + t % m) % m]) } else { (1.0, 1.0) };
            let level_next = alpha * (y / season_now) + (1.0 - alpha) * (level + phi * trend);
            let trend_next = beta * (level_next - level) + (1.0 - beta) * phi * trend;
            if seasonal {
                let season_next = gamma * (y / (level + phi * trend)) + (1.0 - gamma) * season_now;
                ring[at] = season_next;
            }
            y = (level_next + damping * trend_next) * season_ahead;
            damping += phi.powf(t as f64);
            (level, trend) = (level_next, trend_next);
            out.push(y);
        }
        out
    }
}

const ITERATIONS_MAX: usize = 1_000;
const SPREAD_MIN: f64 = 1e-4;

/// Nelder-Mead: the least value of `f` near `start`, and where it is. `f` may correct its argument in place.
fn minimise(start: &[f64], f: impl Fn(&mut [f64]) -> f64) -> (f64, Vec<f64>) {
    let n = start.len();
    let root = (n as f64 + 1.0).sqrt();
    let scale = n as f64 * std::f64::consts::SQRT_2;
    let (p, q) = ((root - 1.0 + n as f64) / scale, (root - 1.0) / scale);
    let mut simplex = Simplex { corners: vec![start.to_vec()], values: Vec::new() };
    for i in 0..n {
        simplex.corners.push(start.iter().enumerate().map(|(j, x)| x + if i == j { p } else { q }).collect());
    }
    simplex.values = simplex.corners.iter_mut().map(|corner| f(corner)).collect();
    for _ in 0..ITERATIONS_MAX {
        simplex.step(&f);
        if simplex.spread() < SPREAD_MIN {
            break;
        }
    }
    let best = simplex.best();
    let parameters = simplex.corners.swap_remove(best);
    // What decides between starts is the value at the corrected place, as in the reference.
    (f(&mut parameters.clone()), parameters)
}

struct Simplex {
    corners: Vec<Vec<f64>>,
    values: Vec<f64>,
}

impl Simplex {
    /// The first corner with the least value.
    fn best(&self) -> usize {
        (0..self.values.len()).fold(0, |best, index| if self.values[index] < self.values[best] { index } else { best })
    }

    /// The first corner with the largest value.
    fn worst(&self) -> usize {
        (0..self.values.len())
            .fold(0, |worst, index| if self.values[index] > self.values[worst] { index } else { worst })
    }

    /// The corner with the largest value below the worst; the best one if there is none.
    fn second_worst(&self, best: usize, worst: usize) -> usize {
        let below = |index: &usize| self.values[*index] < self.values[worst];
        let larger =
            |second: usize, index: usize| if self.values[index] > self.values[second] { index } else { second };
        (0..self.values.len()).filter(below).fold(best, larger)
    }

    /// The middle of all corners but one.
    fn centre(&self, without: usize) -> Vec<f64> {
        let n = self.corners.len() - 1;
        let others =
            || self.corners.iter().enumerate().filter(|(index, _)| *index != without).map(|(_, corner)| corner);
        (0..n).map(|j| others().map(|corner| corner[j]).sum::<f64>() / n as f64).collect()
    }

    fn step(&mut self, f: &impl Fn(&mut [f64]) -> f64) {
        let (best, worst) = (self.best(), self.worst());
        let second = self.second_worst(best, worst);
        let centre = self.centre(worst);
        let beyond = |from: &[f64], by: f64| -> Vec<f64> {
            centre.iter().zip(from).map(|(middle, x)| middle + by * (x - middle)).collect()
        };
        let mut reflected = beyond(&self.corners[worst], -1.0);
        let value = f(&mut reflected);
        if value < self.values[best] {
            let mut expanded = beyond(&reflected, 2.0);
            let further = f(&mut expanded);
            if further < value {
                self.replace(worst, expanded, further);
            } else {
                self.replace(worst, reflected, value);
            }
        } else if value < self.values[second] {
            self.replace(worst, reflected, value);
        } else {
            let outside = value < self.values[worst];
            let mut contracted = beyond(if outside { &reflected } else { &self.corners[worst] }, 0.5);
            let nearer = f(&mut contracted);
            if nearer < self.values[worst] {
                self.replace(worst, contracted, nearer);
            } else {
                self.shrink(best);
                self.values[worst] = f(&mut self.corners[worst]);
                self.values[second] = f(&mut self.corners[second]);
            }
        }
    }

    fn replace(&mut self, index: usize, corner: Vec<f64>, value: f64) {
        self.corners[index] = corner;
        self.values[index] = value;
    }

    /// Halves the way of every corner to the best.
    fn shrink(&mut self, best: usize) {
        let anchor = self.corners[best].clone();
        for (_, corner) in self.corners.iter_mut().enumerate().filter(|(index, _)| *index != best) {
            corner.iter_mut().zip(&anchor).for_each(|(x, to)| *x = to + (*x - to) / 2.0);
        }
    }

    /// How far the values lie apart.
    fn spread(&self) -> f64 {
        let n = self.values.len() as f64 - 1.0;
        let mean = self.values.iter().sum::<f64>() / (n + 1.0);
        self.values.iter().map(|value| (value - mean) * (value - mean) / n).sum::<f64>().sqrt()
    }
}
