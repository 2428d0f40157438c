//! The streams of a group to rows: one for each time at which a stream has something.
//!
//! A stream may have several values at one time (`distinct`, points of several series); then the first of one stream goes
//! with the first of the other, and so on.

use model::Column;
use plan::{Direction, FinishPlan};

use super::output::{Block, InputColumn};
use super::results::results;
use super::track::Track;
use super::transform::transform;
use super::{CallInputs, PIECE_ROWS_MAX, fill};
use crate::columns;
use crate::error::{Budget, ExecError};
use crate::states::CallStates;

/// The rows of a group of calls that were not taken yet.
pub(super) struct Joined<'a> {
    plan: &'a FinishPlan,
    tracks: Vec<Track>,
    /// How many values of each track were taken.
    taken: Vec<usize>,
}

impl<'a> Joined<'a> {
    pub(super) fn new(
        plan: &'a FinishPlan,
        inputs: &CallInputs<'_>,
        states: Vec<CallStates>,
        budget: &mut dyn Budget,
    ) -> Result<Joined<'a>, ExecError> {
        let mut left: Vec<usize> = vec![0; states.len()];
        for stream in &plan.streams {
            *left.get_mut(stream.call).ok_or(ExecError::Mismatch("a stream of no call"))? += 1;
        }
        let mut states: Vec<Option<CallStates>> = states.into_iter().map(Some).collect();
        let mut tracks = Vec::with_capacity(plan.streams.len());
        for stream in &plan.streams {
            left[stream.call] -= 1;
            let place = &mut states[stream.call];
            let of_call = if left[stream.call] == 0 { place.take() } else { place.clone() };
            let found = results(inputs, stream, plan, of_call.expect("taken only for its last stream"))?;
            let mut track = fill::fill(found, stream, plan, budget)?;
            for step in &stream.transforms {
                track = transform(step, track, plan.direction, budget)?;
            }
            if track.values.field_type() != stream.value_type {
                return Err(ExecError::Mismatch("a stream of another type"));
            }
            tracks.push(track);
        }
        let taken = vec![0; tracks.len()];
        Ok(Joined { plan, tracks, taken })
    }

    /// The next rows, at most [`PIECE_ROWS_MAX`].
    pub(super) fn next_block(&mut self) -> Option<Block> {
        let block = match self.in_step() {
            Some(count) => self.cut_block(count),
            None => self.join_block(),
        };
        (block.len() > 0).then_some(block)
    }

    /// How many of the next rows have a value in each track, when all tracks go in step to their end.
    fn in_step(&self) -> Option<usize> {
        let rest = |index: usize| &self.tracks[index].times[self.taken[index]..];
        if self.tracks.is_empty() {
            return Some(0);
        }
        let first = rest(0);
        let same = (1..self.tracks.len()).all(|index| rest(index) == first);
        same.then(|| first.len().min(PIECE_ROWS_MAX))
    }

    fn cut_block(&mut self, count: usize) -> Block {
        let mut inputs = Vec::new();
        for (track, taken) in self.tracks.iter().zip(&self.taken) {
            inputs.push(InputColumn::Column(columns::slice(&track.values, *taken..taken + count)));
        }
        let times = match (self.tracks.first(), self.taken.first()) {
            (Some(track), Some(taken)) => {
                let cut = |column: &Column| InputColumn::Column(columns::slice(column, *taken..taken + count));
                inputs.extend(track.auxiliary.iter().map(cut));
                track.times[*taken..taken + count].to_vec()
            }
            _ => Vec::new(),
        };
        self.taken.iter_mut().for_each(|taken| *taken += count);
        Block { times, inputs }
    }

    fn join_block(&mut self) -> Block {
        let mut times = Vec::new();
        let mut values: Vec<Column> = self.tracks.iter().map(|track| Column::new(track.values.field_type())).collect();
        while times.len() < PIECE_ROWS_MAX {
            let heads = self.tracks.iter().zip(&self.taken).filter_map(|(track, taken)| track.times.get(*taken));
            let next = match self.plan.direction {
                Direction::Ascending => heads.min(),
                Direction::Descending => heads.max(),
            };
            let Some(time) = next.copied() else { break };
            times.push(time);
            for ((track, taken), column) in self.tracks.iter().zip(&mut self.taken).zip(&mut values) {
                if track.times.get(*taken) == Some(&time) {
                    column.push_from(&track.values, *taken);
                    *taken += 1;
                } else {
                    column.pad_to(times.len());
                }
            }
        }
        Block { times, inputs: values.into_iter().map(InputColumn::Column).collect() }
    }
}
