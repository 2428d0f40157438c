//! A leader that is about to go has another member lead first, so that nobody waits for the patience of the others to end.
//!
//! openraft has no such thing; what it has is enough:
//! 1. The leader takes no more commands and no changes of members, and waits until one of the others has all of its log.
//!    Commands that come meanwhile wait, and are sent on to the new leader.
//! 2. It has the other voters *give way*: they let go of its term and take a vote for the successor in the next one as if
//!    it had asked them, though the leader's lease has not ended. That is no election yet: the successor has still to ask
//!    for each vote, and is refused by those who have more of the log. Then it gives way itself.
//! 3. It tells the successor to stand, who is elected within two messages.
//!
//! All of it is bounded by `election_max`, the time that an election would have to wait for anyway. Whatever fails on the
//! way, members with too old a term or no leader are what elections are for.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse};
use openraft::{CommittedLeaderId, LogId, RaftNetworkFactory, Vote};

use super::stand::{is_majority, own_last_log};
use super::{MetaNode, Running};
use crate::raft::{Body, Network, RaftReply};

impl MetaNode {
    /// If this member leads, has the one with the longest log lead in its place. `true` when that one does; this node then
    /// goes on as any other member.
    ///
    /// Takes `election_max` at most. May be given up at any time.
    pub async fn hand_over(&self) -> bool {
        let Some(running) = self.running().filter(|running| self.is_leader(running)) else { return false };
        let limit = self.0.config.timeouts.election_max;
        let successor = tokio::time::timeout(limit, self.hand_over_as(&running)).await.ok().flatten();
        match successor {
            Some(id) => tracing::info!(node = running.id.0, successor = id, "handed over"),
            None => tracing::info!(node = running.id.0, "nobody has taken over; the others elect somebody"),
        }
        successor.is_some()
    }

    async fn hand_over_as(&self, running: &Running) -> Option<u64> {
        let _members_stay = self.0.membership.lock().await;
        let _no_commands = self.0.commands.write().await;
        let (candidates, leader) = self.caught_up(running).await?;
        let successor = self.first_alive(running, candidates).await?;
        let (voters, last_log) = {
            let metrics = running.raft.metrics();
            let metrics = metrics.borrow();
            (metrics.membership_config.membership().get_joint_config().clone(), metrics.last_applied)
        };
        let next = Vote::new(leader.leader_id.term + 1, successor);
        let own = running.id.0;
        let others = voters.iter().flatten().copied().filter(|id| *id != own && *id != successor);
        let asked = others.collect::<BTreeSet<u64>>().into_iter().map(|id| async move {
            let agrees = self.tells(running, id, Body::GiveWay { leader, next }).await;
            if agrees {
                self.0.seen.lock().vote(id, next);
            }
            agrees.then_some(id)
        });
        let mut agree: BTreeSet<u64> = join_all(asked).await.into_iter().flatten().collect();
        agree.extend([own, successor]);
        if !is_majority(&voters, &agree) || !self.let_go(running, next).await {
            return None;
        }
        if !self.tells(running, successor, Body::Stand { leader, last_log }).await {
            return None;
        }
        let mut metrics = running.raft.metrics();
        metrics.wait_for(|metrics| metrics.current_leader == Some(successor)).await.ok()?;
        Some(successor)
    }

    /// Whoever of `candidates` answers: while nothing is written, one that is gone still has all of the log.
    async fn first_alive(&self, running: &Running, candidates: Vec<u64>) -> Option<u64> {
        let asked = candidates.into_iter().map(|id| async move { self.answers(running, id).await.then_some(id) });
        let mut asked: FuturesUnordered<_> = asked.collect();
        while let Some(answered) = asked.next().await {
            if answered.is_some() {
                return answered;
            }
        }
        None
    }

    /// Whether a member answers; what, is all the same.
    async fn answers(&self, running: &Running, id: u64) -> bool {
        let body = Body::WouldVote { candidate: Some(running.id.0), last_log: None };
        matches!(self.call(running, id, body).await, Some(RaftReply::WouldVote(_)))
    }

    /// Waits until other voters have all of this leader's log, and all of it is decided. Answers who, and as whom this one
    /// leads; `None` when it leads no more, or is alone.
    async fn caught_up(&self, running: &Running) -> Option<(Vec<u64>, Vote<u64>)> {
        let mut metrics = running.raft.metrics();
        loop {
            {
                let metrics = metrics.borrow_and_update();
                let replication =
                    metrics.replication.as_ref().filter(|_| metrics.current_leader == Some(running.id.0))?;
                let mut voters = metrics.membership_config.voter_ids().filter(|id| *id != running.id.0).peekable();
                voters.peek()?;
                let last = metrics.last_log_index;
                let decided = metrics.last_applied.map(|id| id.index) == last;
                let has_all = |id: &u64| replication.get(id).copied().flatten().map(|id| id.index) == last;
                let found: Vec<u64> = voters.filter(has_all).collect();
                if decided && !found.is_empty() {
                    return Some((found, metrics.vote));
                }
            }
            metrics.changed().await.ok()?;
        }
    }

    async fn tells(&self, running: &Running, id: u64, body: Body) -> bool {
        matches!(self.call(running, id, body).await, Some(RaftReply::Agreed(true)))
    }

    async fn call(&self, running: &Running, id: u64, body: Body) -> Option<RaftReply> {
        let node = running.raft.metrics().borrow().membership_config.membership().get_node(&id).cloned();
        let client = Network(Arc::clone(&running.peers)).new_client(id, &node.unwrap_or_default()).await;
        let deadline = self.0.config.timeouts.heartbeat;
        client.call(body, deadline).await.ok()
    }

    /// The leader `leader` wants the successor that `next` names.
    pub(super) async fn give_way(&self, running: &Running, leader: Vote<u64>, next: Vote<u64>) -> bool {
        let is_meant = follows(running, leader)
            && !next.committed
            && next.leader_id.term == leader.leader_id.term + 1
            && next.leader_id.node_id != running.id.0;
        is_meant && self.let_go(running, next).await
    }

    /// The leader `leader`, whose log ends with `last_log`, wants this member for its successor.
    pub(super) async fn succeed(&self, running: &Running, leader: Vote<u64>, last_log: Option<LogId<u64>>) -> bool {
        if !follows(running, leader) || own_last_log(running).await != Some(last_log) {
            return false;
        }
        tracing::info!(
            node = running.id.0,
            leader = leader.leader_id.node_id,
            "stands for election: the leader hands over"
        );
        running.raft.trigger().elect().await.is_ok()
    }

    /// Takes a vote for another member in a later term, which has the time of an election then. A message with entries does
    /// it that follow on one that nobody has: openraft takes the larger vote from it, then says that it cannot follow, and
    /// changes nothing else. It looks at leases only where votes are asked for.
    async fn let_go(&self, running: &Running, next: Vote<u64>) -> bool {
        let nowhere = LogId::new(CommittedLeaderId::new(next.leader_id.term, next.leader_id.node_id), u64::MAX - 1);
        let nothing =
            AppendEntriesRequest { vote: next, prev_log_id: Some(nowhere), entries: Vec::new(), leader_commit: None };
        self.heard_of_leader();
        matches!(running.raft.append_entries(nothing).await, Ok(AppendEntriesResponse::Conflict))
    }
}

/// Whether this member follows `leader` and nobody later.
fn follows(running: &Running, leader: Vote<u64>) -> bool {
    leader.committed && leader.leader_id.node_id != running.id.0 && running.raft.metrics().borrow().vote == leader
}
