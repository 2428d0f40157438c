//! Whether the directory of a member is the one that it had.
//!
//! Before a member takes part again it asks the others what they have seen of it since they started
//! ([`crate::raft::Seen`]). When one has seen more than the directory knows, the directory was put back from an older copy
//! and the member does not start. Who does not answer is not waited for: after a loss of power nobody may be there yet.
//! So a copy is not found out when everyone who has seen more is away or was started since; see `docs/hazards.md`.
//!
//! A copy from when the member was alone knows nobody to ask, and leads at once. It is found out when it is asked for a
//! vote, or told of entries, by a member whose number it never gave: while it is alone, it gives them all.
//!
//! They also tell when the cluster was recovered (`recover`) without this member, or without it knowing.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use model::NodeId;
use openraft::ServerState;
use openraft::storage::RaftLogStorage;
use serde::{Deserialize, Serialize};

use super::{MetaNode, Port, Running, StartError};
use crate::identity::{Member, format_cluster_id};
use crate::raft::{LogStore, Promise};

/// How long another member may take to say what it has seen.
const SEEN_DEADLINE: Duration = Duration::from_secs(1);

/// In how many steps members are looked for that the directory does not know.
const ROUNDS_MAX: usize = 3;
/// How many of them are asked in a step.
const NAMED_MAX: usize = 64;

/// What a member tells of another.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Account {
    /// What it has seen of it.
    seen: Option<Promise>,
    /// Admin addresses of all members that it knows.
    members: Vec<String>,
}

/// What a member answers instead when the cluster was recovered since: how often, and with whom the last time.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Recovered {
    pub(crate) recoveries: u64,
    pub(crate) members: Vec<(u64, String)>,
}

impl Recovered {
    fn refuses(self, member: &Member, dir: String, peer: &str) -> StartError {
        let peer = peer.to_owned();
        let is_listed = self.members.iter().any(|(id, _)| *id == member.id.0);
        // Only the one that comes next can be made up for.
        if is_listed && self.recoveries == member.recoveries + 1 {
            let members = self.members.into_iter().map(|(_, address)| address).collect::<Vec<_>>().join(" ");
            return StartError::NotRecovered { dir, members, peer };
        }
        StartError::LeftOut { dir, id: member.id, peer }
    }
}

impl MetaNode {
    pub(super) async fn refuse_older_copy(&self, member: &Member, mut log: LogStore) -> Result<(), StartError> {
        let state = log.get_log_state().await.map_err(|error| StartError::Raft(error.to_string()))?;
        let own = Promise { vote: log.saved_vote().await?, last_log: state.last_log_id };
        let (cluster, group) = (format_cluster_id(member.cluster_id), format_cluster_id(member.group));
        let recoveries = member.recoveries;
        let path = format!("/seen?id={}&cluster={cluster}&recoveries={recoveries}&group={group}", member.id);
        // A copy may know members only that know of others, which came later.
        let mut known = BTreeSet::from([self.0.config.http_addr.clone()]);
        let mut next: Vec<String> = member.meta_servers.clone();
        for _ in 0..ROUNDS_MAX {
            next.retain(|server| known.insert(server.clone()));
            let asked = next.iter().map(|server| async {
                (server.clone(), self.request(Port::Admin, server, &path, None, SEEN_DEADLINE).await)
            });
            let mut named = Vec::new();
            for (server, answer) in join_all(asked).await {
                let Ok(answer) = answer else { continue };
                let dir = self.0.config.dir.display().to_string();
                if let Ok(recovered) = serde_json::from_slice::<Recovered>(&answer.body) {
                    return Err(recovered.refuses(member, dir, &server));
                }
                // Anything else comes from somebody who is no member of this cluster.
                let Ok(Some(answer)) = serde_json::from_slice::<Option<Account>>(&answer.body) else { continue };
                if let Some(seen) = answer.seen.filter(|seen| seen.exceeds(&own)) {
                    tracing::error!(?seen, ?own, peer = server, "this directory is an older copy");
                    return Err(StartError::OlderCopy { dir, id: member.id, peer: server });
                }
                named.extend(answer.members);
            }
            named.truncate(NAMED_MAX);
            next = named;
        }
        Ok(())
    }

    /// Whether this node, which believes to be the only voter, hears from a member that is younger than all it knows. It
    /// fails then.
    pub(super) fn is_outgrown(&self, running: &Running, sender: u64) -> bool {
        let (is_only, has_all) = {
            let metrics = running.raft.metrics();
            let metrics = metrics.borrow();
            // Before it has applied an entry of its own, there may be some in its log that give the number.
            let applied_own = metrics.last_applied.is_some_and(|last| last.leader_id.term == metrics.current_term);
            let has_all = metrics.state == ServerState::Leader && applied_own;
            (metrics.membership_config.voter_ids().eq([running.id.0]), has_all)
        };
        if !is_only || !has_all || NodeId(sender) <= self.data().node_id_max() {
            return false;
        }
        let (dir, peer) = (self.0.config.dir.display().to_string(), format!("node {sender}"));
        let error = StartError::OlderCopy { dir, id: running.id, peer };
        tracing::error!(%error, "this directory is an older copy");
        self.0.failure.send_replace(Some(error.to_string()));
        true
    }

    /// What this node has seen of a member of its cluster, and who else may have.
    pub(crate) fn seen_of(&self, cluster: &str, id: u64) -> Option<Account> {
        self.member().filter(|member| format_cluster_id(member.cluster_id) == cluster)?;
        let members = self.data().meta_http_addrs().cloned().collect();
        Some(Account { seen: self.0.seen.lock().of(id), members })
    }
}
