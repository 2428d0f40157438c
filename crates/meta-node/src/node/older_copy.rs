//! Whether the directory of a member is the one that it had.
//!
//! Before a member takes part again it asks the others what they have seen of it since they started
//! ([`crate::raft::Seen`]). When one has seen more than the directory knows, the directory was put back from an older copy
//! and the member does not start. Who does not answer is not waited for: after a loss of power nobody may be there yet.
//! So a copy is not found out when everyone who has seen more is away or was started since; see `docs/hazards.md`.

use std::time::Duration;

use futures_util::future::join_all;
use openraft::storage::RaftLogStorage;

use super::{MetaNode, Port, StartError};
use crate::identity::{Member, format_cluster_id};
use crate::raft::{LogStore, Promise};

/// How long another member may take to say what it has seen.
const SEEN_DEADLINE: Duration = Duration::from_secs(1);

impl MetaNode {
    pub(super) async fn refuse_older_copy(&self, member: &Member, mut log: LogStore) -> Result<(), StartError> {
        let state = log.get_log_state().await.map_err(|error| StartError::Raft(error.to_string()))?;
        let own = Promise { vote: log.saved_vote().await?, last_log: state.last_log_id };
        let others = member.meta_servers.iter().filter(|server| **server != self.0.config.http_addr);
        let path = format!("/seen?id={}&cluster={}", member.id, format_cluster_id(member.cluster_id));
        let asked = others.map(|server| {
            let path = path.clone();
            async move { (server, self.request(Port::Admin, server, &path, None, SEEN_DEADLINE).await) }
        });
        for (server, answer) in join_all(asked).await {
            let Ok(answer) = answer else { continue };
            // Anything else comes from somebody who is no member of this cluster.
            let Ok(Some(seen)) = serde_json::from_slice::<Option<Promise>>(&answer.body) else { continue };
            if seen.exceeds(&own) {
                tracing::error!(?seen, ?own, peer = server, "this directory is an older copy");
                let dir = self.0.config.dir.display().to_string();
                return Err(StartError::OlderCopy { dir, id: member.id, peer: server.clone() });
            }
        }
        Ok(())
    }

    /// What this node has seen of a member of the cluster.
    pub(crate) fn seen_of(&self, cluster: &str, id: u64) -> Option<Promise> {
        let is_ours = self.member().is_some_and(|member| format_cluster_id(member.cluster_id) == cluster);
        self.0.seen.lock().of(id).filter(|_| is_ours)
    }
}
