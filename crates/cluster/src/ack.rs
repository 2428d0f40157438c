//! Counting acknowledgements: when a write to one shard has succeeded, and when it cannot any more.
//!
//! Pure: outcomes of owners go in, a verdict comes out. A hint counts for `any` alone, and there even while older hints
//! wait. The verdict is given as soon as it is certain; what the other owners say later changes nothing.

use model::ConsistencyLevel;

/// What became of the write at one owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is durable there.
    Written,
    /// The owner was not reached, or cannot take the write now and says why; the write is durable in the coordinator's
    /// queue for it.
    Hinted(Option<String>),
    /// Neither there nor in the queue.
    Failed(String),
}

/// How the write to a shard ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The level is reached.
    Reached,
    /// It cannot be reached any more, and no owner wrote. The text is for the client.
    Missed(String),
    /// It cannot be reached any more; some owners wrote. The text is for the client.
    Partial(String),
}

/// The acknowledgements of one shard.
#[derive(Clone, Debug)]
pub struct Acks {
    level: ConsistencyLevel,
    required: usize,
    outstanding: usize,
    written: usize,
    hinted: usize,
    first_error: Option<String>,
}

impl Acks {
    /// Nothing heard yet from `owner_count` owners.
    pub fn new(level: ConsistencyLevel, owner_count: usize) -> Acks {
        Acks {
            level,
            required: level.required(owner_count),
            outstanding: owner_count,
            written: 0,
            hinted: 0,
            first_error: None,
        }
    }

    /// Takes the outcome of one owner and tells the verdict if it is certain now.
    pub fn record(&mut self, outcome: Outcome) -> Option<Verdict> {
        assert!(self.outstanding > 0, "each owner is heard once");
        self.outstanding -= 1;
        match outcome {
            Outcome::Written => self.written += 1,
            Outcome::Hinted(why) => {
                self.hinted += 1;
                self.first_error = self.first_error.take().or(why);
            }
            Outcome::Failed(error) => {
                self.first_error.get_or_insert(error);
            }
        }
        self.verdict()
    }

    /// The verdict if it is certain.
    pub fn verdict(&self) -> Option<Verdict> {
        let counted = match self.level {
            ConsistencyLevel::Any => self.written + self.hinted,
            _ => self.written,
        };
        if counted >= self.required {
            return Some(Verdict::Reached);
        }
        if counted + self.outstanding >= self.required {
            return None;
        }
        // Whether more owners write does not change that it failed, but it does change the words.
        if self.written == 0 && self.outstanding > 0 {
            return None;
        }
        Some(match self.written {
            0 => Verdict::Missed(self.told("write failed")),
            _ => Verdict::Partial(self.told("partial write")),
        })
    }

    /// `what`, and the first reason that is known.
    fn told(&self, what: &str) -> String {
        self.first_error.as_ref().map_or_else(|| what.to_owned(), |error| format!("{what}: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed() -> Outcome {
        Outcome::Failed("disk full".to_owned())
    }

    #[track_caller]
    fn check(level: ConsistencyLevel, owners: usize, outcomes: &[Outcome], want: Option<Verdict>) {
        let mut acks = Acks::new(level, owners);
        let mut verdict = None;
        for outcome in outcomes {
            assert_eq!(verdict, None, "the verdict came earlier than expected");
            verdict = acks.record(outcome.clone());
        }
        assert_eq!(verdict, want);
    }

    fn missed(text: &str) -> Option<Verdict> {
        Some(Verdict::Missed(text.to_owned()))
    }

    fn partial(text: &str) -> Option<Verdict> {
        Some(Verdict::Partial(text.to_owned()))
    }

    #[test]
    fn quorum_does_not_wait_for_all() {
        use ConsistencyLevel::Quorum;
        check(Quorum, 3, &[Outcome::Written], None);
        check(Quorum, 3, &[Outcome::Written, Outcome::Written], Some(Verdict::Reached));
        check(Quorum, 3, &[Outcome::Hinted(None), Outcome::Written, Outcome::Written], Some(Verdict::Reached));
        check(Quorum, 2, &[Outcome::Written, Outcome::Written], Some(Verdict::Reached));
    }

    #[test]
    fn hints_count_for_any_alone() {
        check(ConsistencyLevel::Any, 3, &[Outcome::Hinted(None)], Some(Verdict::Reached));
        check(ConsistencyLevel::One, 2, &[Outcome::Hinted(None), Outcome::Hinted(None)], missed("write failed"));
        check(
            ConsistencyLevel::Quorum,
            3,
            &[Outcome::Written, Outcome::Hinted(None), Outcome::Hinted(None)],
            partial("partial write"),
        );
    }

    #[test]
    fn failures_are_told_by_their_first_error() {
        check(ConsistencyLevel::One, 2, &[failed(), failed()], missed("write failed: disk full"));
        check(ConsistencyLevel::All, 2, &[Outcome::Written, failed()], partial("partial write: disk full"));
        check(ConsistencyLevel::All, 3, &[failed(), Outcome::Written], partial("partial write: disk full"));
        // Of hints, too, when the owner said why.
        let full = || Outcome::Hinted(Some("disk full".to_owned()));
        check(ConsistencyLevel::All, 2, &[Outcome::Hinted(None), full()], missed("write failed: disk full"));
        check(ConsistencyLevel::All, 2, &[Outcome::Written, full()], partial("partial write: disk full"));
        check(ConsistencyLevel::Any, 1, &[full()], Some(Verdict::Reached));
    }

    #[test]
    fn one_owner_is_enough_for_one() {
        check(ConsistencyLevel::One, 3, &[failed(), Outcome::Written], Some(Verdict::Reached));
    }
}
