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
    /// The owner was not reached; the write is durable in the coordinator's queue for it.
    Hinted,
    /// Neither there nor in the queue.
    Failed(String),
}

/// How the write to a shard ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The level is reached.
    Reached,
    /// It cannot be reached any more. The text is for the client.
    Missed(String),
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
            Outcome::Hinted => self.hinted += 1,
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
        Some(Verdict::Missed(self.missed()))
    }

    fn missed(&self) -> String {
        match &self.first_error {
            _ if self.written > 0 => "partial write".to_owned(),
            Some(error) => format!("write failed: {error}"),
            None => "write failed".to_owned(),
        }
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

    #[test]
    fn quorum_does_not_wait_for_all() {
        use ConsistencyLevel::Quorum;
        check(Quorum, 3, &[Outcome::Written], None);
        check(Quorum, 3, &[Outcome::Written, Outcome::Written], Some(Verdict::Reached));
        check(Quorum, 3, &[Outcome::Hinted, Outcome::Written, Outcome::Written], Some(Verdict::Reached));
        check(Quorum, 2, &[Outcome::Written, Outcome::Written], Some(Verdict::Reached));
    }

    #[test]
    fn hints_count_for_any_alone() {
        check(ConsistencyLevel::Any, 3, &[Outcome::Hinted], Some(Verdict::Reached));
        check(ConsistencyLevel::One, 2, &[Outcome::Hinted, Outcome::Hinted], missed("write failed"));
        check(
            ConsistencyLevel::Quorum,
            3,
            &[Outcome::Written, Outcome::Hinted, Outcome::Hinted],
            missed("partial write"),
        );
    }

    #[test]
    fn failures_are_told_by_their_first_error() {
        check(ConsistencyLevel::One, 2, &[failed(), failed()], missed("write failed: disk full"));
        check(ConsistencyLevel::All, 2, &[Outcome::Written, failed()], missed("partial write"));
        check(ConsistencyLevel::All, 3, &[failed(), Outcome::Written], missed("partial write"));
    }

    #[test]
    fn one_owner_is_enough_for_one() {
        check(ConsistencyLevel::One, 3, &[failed(), Outcome::Written], Some(Verdict::Reached));
    }
}
