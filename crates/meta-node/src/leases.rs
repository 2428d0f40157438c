//! Leases: one node at a time does what must be done once.
//!
//! They live in the memory of the leader; a new leader knows none. So that a former holder which was paused does no harm,
//! every grant has a fencing number: the leader's term and a count. Whoever acts under a lease names its number, and an
//! older one than was seen before is refused.

use std::collections::BTreeMap;
use std::time::Duration;

use model::NodeId;

/// A lease, held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    /// What for.
    pub(crate) name: String,
    /// Who has it.
    pub(crate) owner: NodeId,
    /// Until when, by the leader's monotonic clock.
    pub(crate) expires: Duration,
    /// Larger for every later grant: term of the leader, then a count.
    pub(crate) fence: (u64, u64),
}

/// Why a lease was not given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotGranted {
    /// Another has it.
    #[error("the lease is held by node {}", .0.owner.0)]
    Held(Lease),
    /// Who asks is not in the metadata.
    #[error("node not found")]
    NoMember,
    /// There is no room for another name.
    #[error("there are {LEASES_MAX} leases already")]
    Full,
}

/// All leases of one leader.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    term: u64,
    granted: u64,
    held: BTreeMap<String, Lease>,
}

/// Leases that are kept track of at a time.
const LEASES_MAX: usize = 1_024;
/// Longest name of a lease, in bytes.
pub(crate) const NAME_BYTES_MAX: usize = 255;

impl Leases {
    /// Gives or renews the lease `name` to `node` for `duration`, unless another holds it. A renewal keeps its fencing
    /// number.
    ///
    /// # Errors
    /// [`NotGranted::Held`] and [`NotGranted::Full`].
    pub(crate) fn acquire(
        &mut self,
        name: &str,
        node: NodeId,
        term: u64,
        now: Duration,
        duration: Duration,
    ) -> Result<Lease, NotGranted> {
        if self.term != term {
            *self = Leases { term, ..Leases::default() };
        }
        self.held.retain(|_, lease| lease.expires > now);
        if let Some(lease) = self.held.get(name).filter(|lease| lease.owner != node) {
            return Err(NotGranted::Held(lease.clone()));
        }
        if self.held.len() >= LEASES_MAX && !self.held.contains_key(name) {
            return Err(NotGranted::Full);
        }
        let fence = match self.held.get(name) {
            Some(lease) => lease.fence,
            None => {
                self.granted += 1;
                (term, self.granted)
            }
        };
        let lease = Lease { name: name.to_owned(), owner: node, expires: now.saturating_add(duration), fence };
        self.held.insert(name.to_owned(), lease.clone());
        Ok(lease)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn one_holds_it_until_it_ends_and_later_grants_have_larger_numbers() {
        let mut leases = Leases::default();
        let (one, two) = (NodeId(1), NodeId(2));
        let first = leases.acquire("cq", one, 5, at(0), MINUTE).expect("free");
        assert_eq!((first.owner, first.expires, first.fence), (one, at(60), (5, 1)));
        assert_eq!(leases.acquire("cq", two, 5, at(59), MINUTE), Err(NotGranted::Held(first.clone())));
        let renewed = leases.acquire("cq", one, 5, at(59), MINUTE).expect("its own");
        assert_eq!((renewed.expires, renewed.fence), (at(119), first.fence));
        assert!(leases.acquire("other", two, 5, at(59), MINUTE).is_ok(), "another name");
        let passed_on = leases.acquire("cq", two, 5, at(119), MINUTE).expect("it has ended");
        assert!(passed_on.fence > renewed.fence);
        // The former holder comes back too late.
        assert_eq!(leases.acquire("cq", one, 5, at(120), MINUTE), Err(NotGranted::Held(passed_on.clone())));
        // A new leader knows nothing of it and gives a larger number still.
        let elsewhere = leases.acquire("cq", one, 6, at(121), MINUTE).expect("a new term");
        assert!(elsewhere.fence > passed_on.fence);
    }

    #[test]
    fn there_are_not_leases_without_end() {
        let mut leases = Leases::default();
        for number in 0..LEASES_MAX {
            leases.acquire(&number.to_string(), NodeId(1), 1, at(0), MINUTE).expect("room");
        }
        assert_eq!(leases.acquire("one more", NodeId(1), 1, at(0), MINUTE), Err(NotGranted::Full));
        assert!(leases.acquire("7", NodeId(1), 1, at(1), MINUTE).is_ok());
        assert!(leases.acquire("one more", NodeId(1), 1, at(61), MINUTE).is_ok());
    }
}
