//! When a member stands for election.
//!
//! openraft would let each member stand as soon as its leader was silent for long enough. A member that cannot win then
//! spoils the round of one that can: it raises the term, and of two candidates of a term the one with the larger number
//! goes first, however short its log. The member that has just come back is such a member. So openraft's own clock for
//! elections is switched off, and each member asks the others first whether they would vote for it (Raft's *pre-vote*):
//! whether they, too, have lost the leader, and have no longer log. Nothing is promised by saying yes, so safety does not
//! depend on this module; it decides alone when openraft is told to stand.
//!
//! A member waits between `election_max` and `election_max` + the distance to `election_min` after it last heard of a
//! leader: openraft's voters refuse everybody for `election_max`.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use env::TaskHandle;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use openraft::storage::RaftLogStorage;
use openraft::{LogId, RaftNetworkFactory, ServerState, Vote};

use super::{Inner, MetaNode, Running};
use crate::raft::{Body, Network, RaftReply};

/// What a member has seen of leaders, by its monotonic clock.
#[derive(Debug)]
pub(crate) struct Sight {
    /// When it last heard of one, or started.
    heard: Duration,
    /// As who it leads, and since when.
    leading: Option<(Vote<u64>, Duration)>,
}

impl Sight {
    pub(super) fn new(now: Duration) -> Sight {
        Sight { heard: now, leading: None }
    }

    /// Since when this member leads as `vote`, which it does now.
    fn leading_since(&mut self, vote: Vote<u64>, now: Duration) -> Duration {
        match self.leading {
            Some((known, since)) if known == vote => since,
            _ => {
                self.leading = Some((vote, now));
                now
            }
        }
    }
}

impl MetaNode {
    pub(super) fn spawn_standing(&self) -> TaskHandle<()> {
        // Only a weak handle: the task belongs to the node, not the other way round.
        self.0.env.spawn(stand(Arc::downgrade(&self.0)))
    }

    /// A leader sent something that this member accepted.
    pub(super) fn heard_of_leader(&self) {
        self.0.sight.lock().heard = self.0.env.monotonic();
        self.note_alone(false);
    }

    pub(super) fn is_alone(&self) -> bool {
        *self.0.alone.borrow()
    }

    fn note_alone(&self, is_alone: bool) {
        self.0.alone.send_if_modified(|known| std::mem::replace(known, is_alone) != is_alone);
    }

    /// How long this member has heard of no leader.
    fn silence(&self) -> Duration {
        self.0.env.monotonic().saturating_sub(self.0.sight.lock().heard)
    }

    /// Whether a majority acknowledged this leader recently. One that was cut off must not speak for the cluster.
    pub(crate) fn is_backed(&self, running: &Running) -> bool {
        let metrics = running.raft.metrics();
        let metrics = metrics.borrow();
        if metrics.membership_config.voter_ids().count() <= 1 {
            return true;
        }
        // A new leader has no acknowledgement yet; its election was one. A leader that was started again has none either,
        // and may have been followed by another: it has to get one soon.
        let since = metrics.millis_since_quorum_ack.map(Duration::from_millis).unwrap_or_else(|| {
            let now = self.0.env.monotonic();
            now.saturating_sub(self.0.sight.lock().leading_since(metrics.vote, now))
        });
        since <= self.0.config.timeouts.election_max
    }

    /// Whether this member would vote for one whose log ends with `last_log`.
    pub(super) async fn would_vote(&self, running: &Running, last_log: Option<LogId<u64>>) -> bool {
        let leads = self.is_leader(running);
        if (leads && self.is_backed(running)) || (!leads && self.silence() < self.0.config.timeouts.election_max) {
            return false;
        }
        own_last_log(running).await.is_some_and(|own| own <= last_log)
    }

    /// One look around; how long to wait until the next.
    async fn consider(&self, patience: &mut Duration) -> Duration {
        let timeouts = self.0.config.timeouts;
        let idle = timeouts.heartbeat / 2;
        let Some(running) = self.running().filter(|_| !self.is_dropped()) else { return idle };
        let (state, voters, only) = {
            let metrics = running.raft.metrics();
            let metrics = metrics.borrow();
            let voters = metrics.membership_config.membership().get_joint_config().clone();
            let only = metrics.membership_config.voter_ids().all(|id| id == running.id.0);
            (metrics.state, voters, only)
        };
        if state == ServerState::Leader || !voters.iter().flatten().any(|id| *id == running.id.0) {
            return idle;
        }
        let silence = self.silence();
        if !only && silence < *patience {
            return (*patience - silence).min(idle);
        }
        *patience = self.draw_patience();
        if only || self.is_wanted(&running, &voters).await {
            tracing::info!(node = running.id.0, silence_ms = silence.as_millis(), "stands for election");
            // It fails when Raft has ended, which others report.
            let _ = running.raft.trigger().elect().await;
            // Time to be elected in.
            return self.between(timeouts.election_min / 2, timeouts.election_min);
        }
        self.note_alone(true);
        self.between(timeouts.heartbeat / 4, timeouts.heartbeat)
    }

    /// Whether a majority would vote for this member.
    async fn is_wanted(&self, running: &Running, voters: &[BTreeSet<u64>]) -> bool {
        let Some(last_log) = own_last_log(running).await else { return false };
        // After a recovery the first to lead must have the longest log of all that are left: a majority of them may have
        // less than what a majority of all had decided. Who has led since has brought its own entry along.
        let is_first = running.recovered.as_ref().is_some_and(|recovery| recovery.last_log == last_log);
        let mut yes = BTreeSet::from([running.id.0]);
        let others: BTreeSet<u64> = voters.iter().flatten().copied().filter(|id| *id != running.id.0).collect();
        let mut asked: FuturesUnordered<_> =
            others.into_iter().map(|id| async move { (id, self.asks_for_vote(running, id, last_log).await) }).collect();
        while !is_majority(voters, &yes) || (is_first && !voters.iter().flatten().all(|id| yes.contains(id))) {
            match asked.next().await {
                Some((id, true)) => drop(yes.insert(id)),
                Some((_, false)) => {}
                None => return false,
            }
        }
        true
    }

    async fn asks_for_vote(&self, running: &Running, id: u64, last_log: Option<LogId<u64>>) -> bool {
        let address = running.raft.metrics().borrow().membership_config.membership().get_node(&id).cloned();
        let client = Network(Arc::clone(&running.peers)).new_client(id, &address.unwrap_or_default()).await;
        let deadline = self.0.config.timeouts.election_min;
        matches!(
            client.call(Body::WouldVote { candidate: Some(running.id.0), last_log }, deadline).await,
            Ok(RaftReply::WouldVote(true))
        )
    }

    fn draw_patience(&self) -> Duration {
        let timeouts = self.0.config.timeouts;
        timeouts.election_max + self.between(Duration::ZERO, timeouts.election_max - timeouts.election_min)
    }

    /// A random time, so that members do not do the same at the same moment again and again.
    fn between(&self, from: Duration, to: Duration) -> Duration {
        let span = u64::try_from(to.saturating_sub(from).as_micros()).unwrap_or(u64::MAX);
        from + Duration::from_micros(self.0.env.random_u64().checked_rem(span).unwrap_or(0))
    }
}

/// Where the log on the disk ends; `None` when it cannot be read.
pub(super) async fn own_last_log(running: &Running) -> Option<Option<LogId<u64>>> {
    match running.log.clone().get_log_state().await {
        Ok(state) => Some(state.last_log_id),
        Err(error) => {
            tracing::error!(%error, "the log cannot be read");
            None
        }
    }
}

/// Whether `yes` has a majority of each of the configurations.
pub(super) fn is_majority(configurations: &[BTreeSet<u64>], yes: &BTreeSet<u64>) -> bool {
    configurations.iter().all(|voters| voters.intersection(yes).count() > voters.len() / 2)
}

async fn stand(node: Weak<Inner>) {
    let Some(mut patience) = node.upgrade().map(|inner| MetaNode(inner).draw_patience()) else { return };
    loop {
        let Some(inner) = node.upgrade() else { return };
        let pause = MetaNode(inner).consider(&mut patience).await;
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_majority_is_one_of_both_memberships_during_a_change() {
        let sets =
            |sets: &[&[u64]]| sets.iter().map(|set| set.iter().copied().collect()).collect::<Vec<BTreeSet<u64>>>();
        let yes = |ids: &[u64]| ids.iter().copied().collect::<BTreeSet<u64>>();
        assert!(is_majority(&sets(&[&[1, 2, 3]]), &yes(&[1, 2])));
        assert!(!is_majority(&sets(&[&[1, 2, 3]]), &yes(&[1, 9])));
        assert!(!is_majority(&sets(&[&[1, 2, 3, 4]]), &yes(&[1, 2])));
        assert!(!is_majority(&sets(&[&[1, 2, 3], &[3, 4, 5]]), &yes(&[1, 2, 3])));
        assert!(is_majority(&sets(&[&[1, 2, 3], &[3, 4, 5]]), &yes(&[1, 3, 5])));
    }

    #[test]
    fn a_leader_counts_from_when_it_began_to_lead() {
        let mut sight = Sight::new(Duration::ZERO);
        let at = Duration::from_secs;
        assert_eq!(sight.leading_since(Vote::new_committed(3, 1), at(5)), at(5));
        assert_eq!(sight.leading_since(Vote::new_committed(3, 1), at(9)), at(5));
        assert_eq!(sight.leading_since(Vote::new_committed(4, 1), at(10)), at(10));
    }
}
