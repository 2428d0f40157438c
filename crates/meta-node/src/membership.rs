//! Who votes in Raft. The metadata says who should; here Raft is made to agree, one change at a time.

use std::collections::BTreeSet;
use std::time::Duration;

use meta::Command;
use model::{MetaIndex, NodeId};
use openraft::{BasicNode, ChangeMembers};

use crate::node::{MetaNode, ProposeError, Running};

/// How long one change may take, the catching up of a new member included.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(20);
/// How often a change is issued again when Raft stays between two memberships.
const ATTEMPTS_MAX: usize = 3;

/// Why a change did not come about.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MembershipError {
    #[error("no majority of the meta nodes within {0:?}")]
    Timeout(Duration),
    #[error("{0}")]
    Raft(String),
    #[error("raft stays between two memberships")]
    NotUniform,
}

impl MetaNode {
    /// Takes the meta role from a member and its vote with it. Only the leader can.
    ///
    /// # Errors
    /// As [`MetaNode::propose`]. Once the command is committed the vote goes as well, if not now then soon.
    pub async fn remove_member(&self, id: NodeId) -> Result<MetaIndex, ProposeError> {
        let (_, index) = self.propose(&Command::DeleteMetaNode { id }).await?;
        if let Some(running) = self.running()
            && let Err(error) = self.reconcile_membership(&running).await
        {
            tracing::warn!(%error, node = id.0, "removed from the metadata, not from raft yet");
        }
        Ok(index)
    }

    /// Makes a voter of a member that has started Raft. On `Ok` it votes.
    pub(crate) async fn promote(&self, running: &Running, id: NodeId, tcp_addr: &str) -> Result<(), MembershipError> {
        let _one_at_a_time = self.0.membership.lock().await;
        let change = async {
            make_uniform(running).await?;
            if voters(running).contains(&id.0) {
                return Ok(());
            }
            // Waits until it has caught up, so that its vote does not stall the others.
            let node = BasicNode::new(tcp_addr);
            running
                .raft
                .add_learner(id.0, node, true)
                .await
                .map_err(|error| MembershipError::Raft(error.to_string()))?;
            change(running, ChangeMembers::AddVoterIds(BTreeSet::from([id.0]))).await
        };
        tokio::time::timeout(CHANGE_TIMEOUT, change).await.unwrap_or(Err(MembershipError::Timeout(CHANGE_TIMEOUT)))
    }

    /// Takes everyone out of Raft who has no meta role any more, and ends a change that a former leader began.
    pub(crate) async fn reconcile_membership(&self, running: &Running) -> Result<(), MembershipError> {
        let _one_at_a_time = self.0.membership.lock().await;
        let change = async {
            make_uniform(running).await?;
            // A new leader may not have applied all yet; who is missing from old metadata may just have come.
            let data = self.ensure_linearizable().await.map_err(|error| MembershipError::Raft(error.to_string()))?;
            let stays = |id: &u64| data.node(NodeId(*id)).is_some_and(|node| node.meta.is_some());
            let voters = voters(running);
            let gone: BTreeSet<_> = voters.iter().copied().filter(|id| !stays(id)).collect();
            if !gone.is_empty() && gone.len() < voters.len() {
                tracing::info!(members = ?gone, "taking removed members out of raft");
                self::change(running, ChangeMembers::RemoveVoters(gone)).await?;
            }
            let learners: BTreeSet<_> = learners(running).into_iter().filter(|id| !stays(id)).collect();
            if !learners.is_empty() {
                self::change(running, ChangeMembers::RemoveNodes(learners)).await?;
            }
            Ok(())
        };
        tokio::time::timeout(CHANGE_TIMEOUT, change).await.unwrap_or(Err(MembershipError::Timeout(CHANGE_TIMEOUT)))
    }
}

async fn change(running: &Running, members: ChangeMembers<u64, BasicNode>) -> Result<(), MembershipError> {
    let changed = running.raft.change_membership(members, false).await;
    changed.map_err(|error| MembershipError::Raft(error.to_string()))?;
    make_uniform(running).await
}

/// Ends a state between two memberships by going on to the later one.
async fn make_uniform(running: &Running) -> Result<(), MembershipError> {
    for _ in 0..ATTEMPTS_MAX {
        let joint = running.raft.server_metrics().borrow().membership_config.membership().get_joint_config().clone();
        let [.., last] = joint.as_slice() else { return Ok(()) };
        if joint.len() == 1 {
            return Ok(());
        }
        let changed = running.raft.change_membership(last.clone(), false).await;
        changed.map_err(|error| MembershipError::Raft(error.to_string()))?;
    }
    Err(MembershipError::NotUniform)
}

fn voters(running: &Running) -> BTreeSet<u64> {
    running.raft.server_metrics().borrow().membership_config.voter_ids().collect()
}

fn learners(running: &Running) -> BTreeSet<u64> {
    running.raft.server_metrics().borrow().membership_config.membership().learner_ids().collect()
}
