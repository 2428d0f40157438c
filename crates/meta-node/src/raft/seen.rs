//! What other members have been seen to promise, so that an older copy of one of them is found out.
//!
//! A member that votes, or takes entries, has them on its disk before it says so. When it starts later with less than
//! others have seen of it, its disk is not the one it had: it was restored from a copy, and under its old number it
//! could vote twice and take back what it acknowledged. Votes only grow; under the same vote the log only grows.

use std::collections::BTreeMap;

use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteResponse};
use openraft::{LogId, SnapshotMeta, Vote};
use serde::{Deserialize, Serialize};

use super::types::TypeConfig;

/// A vote, and how far the log went under it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Promise {
    pub(crate) vote: Vote<u64>,
    pub(crate) last_log: Option<LogId<u64>>,
}

impl Promise {
    /// Whether a member that has promised `other` has promised less than this.
    pub(crate) fn exceeds(&self, other: &Promise) -> bool {
        other.vote < self.vote || (other.vote == self.vote && other.last_log < self.last_log)
    }
}

/// The largest promise of each member, by its number. As many as there are members.
#[derive(Debug, Default)]
pub(crate) struct Seen(BTreeMap<u64, Promise>);

impl Seen {
    /// What was seen of a member.
    pub(crate) fn of(&self, member: u64) -> Option<Promise> {
        self.0.get(&member).copied()
    }

    fn note(&mut self, member: u64, promise: Promise) {
        let known = self.0.entry(member).or_default();
        if promise.exceeds(known) {
            *known = promise;
        }
    }

    /// `member` has this vote.
    pub(crate) fn vote(&mut self, member: u64, vote: Vote<u64>) {
        self.note(member, Promise { vote, last_log: None });
    }

    pub(crate) fn vote_reply(&mut self, member: u64, reply: &VoteResponse<u64>) {
        self.vote(member, reply.vote);
    }

    pub(crate) fn append_reply(
        &mut self,
        member: u64,
        request: &AppendEntriesRequest<TypeConfig>,
        reply: &AppendEntriesResponse<u64>,
    ) {
        let last_log = match reply {
            AppendEntriesResponse::Success => request.entries.last().map(|entry| entry.log_id).or(request.prev_log_id),
            AppendEntriesResponse::PartialSuccess(matching) => *matching,
            AppendEntriesResponse::Conflict => None,
            AppendEntriesResponse::HigherVote(vote) => return self.vote(member, *vote),
        };
        self.note(member, Promise { vote: request.vote, last_log });
    }

    pub(crate) fn snapshot_reply(
        &mut self,
        member: u64,
        vote: Vote<u64>,
        meta: &SnapshotMeta<u64, openraft::BasicNode>,
        reply: &SnapshotResponse<u64>,
    ) {
        let last_log = meta.last_log_id.filter(|_| reply.vote == vote);
        self.note(member, Promise { vote: reply.vote, last_log });
    }
}

#[cfg(test)]
mod tests {
    use openraft::CommittedLeaderId;

    use super::*;

    fn promise(term: u64, index: Option<u64>) -> Promise {
        let last_log = index.map(|index| LogId::new(CommittedLeaderId::new(term, 1), index));
        Promise { vote: Vote::new_committed(term, 1), last_log }
    }

    #[test]
    fn less_of_the_log_is_less_only_under_the_same_vote() {
        assert!(promise(3, Some(7)).exceeds(&promise(3, Some(6))));
        assert!(promise(3, Some(7)).exceeds(&promise(3, None)));
        assert!(!promise(3, Some(7)).exceeds(&promise(3, Some(7))));
        // Another leader may have cut the log.
        assert!(!promise(3, Some(7)).exceeds(&promise(4, Some(2))));
        assert!(promise(4, None).exceeds(&promise(3, Some(9))));
    }

    #[test]
    fn the_largest_promise_is_kept() {
        let mut seen = Seen::default();
        assert_eq!(seen.of(2), None);
        for made in [promise(3, Some(5)), promise(3, Some(4)), promise(2, Some(9))] {
            seen.note(2, made);
        }
        assert_eq!(seen.of(2), Some(promise(3, Some(5))));
        seen.vote(2, Vote::new(4, 3));
        assert_eq!(seen.of(2), Some(Promise { vote: Vote::new(4, 3), last_log: None }));
    }
}
