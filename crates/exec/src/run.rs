//! States of one call by window, in order of time.

/// States keyed by the start of their window, ascending.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Run<S> {
    starts: Vec<i64>,
    states: Vec<S>,
}

impl<S> Default for Run<S> {
    fn default() -> Run<S> {
        Run { starts: Vec::new(), states: Vec::new() }
    }
}

impl<S> Run<S> {
    /// A run from its parts. `None` when the starts do not ascend or the lengths differ.
    pub(crate) fn from_parts(starts: Vec<i64>, states: Vec<S>) -> Option<Run<S>> {
        let ascending = starts.windows(2).all(|pair| pair[0] < pair[1]);
        (ascending && starts.len() == states.len()).then_some(Run { starts, states })
    }

    pub(crate) fn starts(&self) -> &[i64] {
        &self.starts
    }

    pub(crate) fn states(&self) -> &[S] {
        &self.states
    }

    pub(crate) fn len(&self) -> usize {
        self.starts.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    pub(crate) fn into_states(self) -> impl Iterator<Item = (i64, S)> {
        self.starts.into_iter().zip(self.states)
    }

    fn push(&mut self, start: i64, state: S) {
        self.starts.push(start);
        self.states.push(state);
    }

    /// Joins two runs; states of one window are joined by `fold`.
    pub(crate) fn merge(&mut self, other: Run<S>, mut fold: impl FnMut(&mut S, S)) {
        if other.is_empty() {
            return;
        }
        if self.starts.last().is_none_or(|last| *last < other.starts[0]) {
            self.starts.extend(other.starts);
            self.states.extend(other.states);
            return;
        }
        if self.starts == other.starts {
            self.states.iter_mut().zip(other.states).for_each(|(state, more)| fold(state, more));
            return;
        }
        let mine = std::mem::take(self);
        let mut right = other.into_states().peekable();
        for (start, mut state) in mine.into_states() {
            while let Some((start, state)) = right.next_if(|next| next.0 < start) {
                self.push(start, state);
            }
            if let Some((_, more)) = right.next_if(|next| next.0 == start) {
                fold(&mut state, more);
            }
            self.push(start, state);
        }
        right.for_each(|(start, state)| self.push(start, state));
    }
}

/// A run that the windows of one series after another are folded into.
///
/// The windows of one series come in ascending order, so finding one is a step from the last. Windows that an earlier
/// series did not have and that lie between its windows wait in a run of their own until the series ends.
#[derive(Clone, Debug)]
pub(crate) struct Folding<S> {
    run: Run<S>,
    at: usize,
    late: Run<S>,
}

impl<S> Default for Folding<S> {
    fn default() -> Folding<S> {
        Folding { run: Run::default(), at: 0, late: Run::default() }
    }
}

impl<S: Default> Folding<S> {
    /// How many windows there are.
    pub(crate) fn len(&self) -> usize {
        self.run.len() + self.late.len()
    }

    /// The state of the window that starts at `start`, which is not before the window asked for last.
    #[inline]
    pub(crate) fn slot(&mut self, start: i64) -> &mut S {
        let starts = &self.run.starts;
        if self.at < starts.len() && starts[self.at] < start {
            self.at += 1;
            if self.at < starts.len() && starts[self.at] < start {
                self.at += starts[self.at..].partition_point(|other| *other < start);
            }
        }
        if self.at == starts.len() {
            self.run.push(start, S::default());
        } else if starts[self.at] != start {
            debug_assert!(self.late.starts.last().is_none_or(|last| *last <= start), "windows of a series ascend");
            if self.late.starts.last() != Some(&start) {
                self.late.push(start, S::default());
            }
            return self.late.states.last_mut().expect("just added or already there");
        }
        &mut self.run.states[self.at]
    }

    /// The series is over; the next may start anywhere.
    pub(crate) fn end_series(&mut self) {
        self.at = 0;
        let late = std::mem::take(&mut self.late);
        self.run.merge(late, |_, _| unreachable!("a late window was not in the run"));
    }

    /// Everything that was folded.
    pub(crate) fn into_run(mut self) -> Run<S> {
        self.end_series();
        self.run
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn folding_and_merging_count_like_a_map(
            parts in prop::collection::vec(prop::collection::vec(prop::collection::vec(0i64..30, 0..20), 0..5), 1..4),
        ) {
            let mut want: BTreeMap<i64, u32> = BTreeMap::new();
            let mut total: Run<u32> = Run::default();
            for series in parts {
                let mut folding: Folding<u32> = Folding::default();
                for mut windows in series {
                    windows.sort_unstable();
                    for start in windows {
                        *folding.slot(start) += 1;
                        *want.entry(start).or_default() += 1;
                    }
                    folding.end_series();
                }
                total.merge(folding.into_run(), |state, more| *state += more);
            }
            prop_assert_eq!(total.into_states().collect::<Vec<_>>(), want.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn unordered_parts_are_refused() {
        assert_eq!(Run::from_parts(vec![2, 1], vec![0, 0]), None);
        assert_eq!(Run::from_parts(vec![1], Vec::<u8>::new()), None);
    }
}
