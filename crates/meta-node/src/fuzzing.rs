//! What must hold for any bytes. The fuzzer calls these, and so do tests over its seeds.

use crate::raft::{self, Envelope, RaftReply};
use crate::{identity, join, snapshots};

/// Reads `data` as a message of Raft and as the answer to one. What is read comes back the same.
///
/// # Panics
/// When a promise of this crate is broken.
pub fn fuzz_message(data: &[u8]) {
    if let Some(request) = Envelope::decode(data) {
        let written = request.encode();
        let again = Envelope::decode(&written).expect("what was written can be read");
        assert_eq!(again.encode(), written, "a request comes back the same");
    }
    if let Some(reply) = RaftReply::decode(data) {
        let written = reply.encode();
        let again = RaftReply::decode(&written).expect("what was written can be read");
        assert_eq!(again.encode(), written, "an answer comes back the same");
    }
}

/// Reads `data` as what the files of a meta node hold: a snapshot, and values of `raft.db`; also where checksums are right.
///
/// # Panics
/// When a promise of this crate is broken.
pub fn fuzz_file(data: &[u8]) {
    snapshots::fuzz(data);
    raft::fuzz_stored(data);
}

/// Reads `data` as the JSON of joining, and of `node.json`.
///
/// # Panics
/// When a promise of this crate is broken.
pub fn fuzz_join(data: &[u8]) {
    join::fuzz(data);
    identity::fuzz(data);
}

#[cfg(test)]
mod tests {
    use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, VoteRequest};
    use openraft::{BasicNode, CommittedLeaderId, Entry, EntryPayload, LogId, Membership, SnapshotMeta, Vote};
    use testkit::seeds;

    use super::*;
    use crate::raft::{Body, LogCommand, Refusal, SnapshotBytes, TypeConfig};

    fn log_id(index: u64) -> LogId<u64> {
        LogId::new(CommittedLeaderId::new(3, 1), index)
    }

    fn entries() -> Vec<Entry<TypeConfig>> {
        let nodes = [1u64, 2].map(|id| (id, BasicNode::new(format!("n{id}:8088"))));
        let membership = Membership::new(vec![[1].into()], std::collections::BTreeMap::from(nodes));
        vec![
            Entry { log_id: log_id(1), payload: EntryPayload::Blank },
            Entry { log_id: log_id(2), payload: EntryPayload::Normal(LogCommand(b"\x01command".to_vec())) },
            Entry { log_id: log_id(3), payload: EntryPayload::Membership(membership) },
        ]
    }

    fn message(body: Body) -> Vec<u8> {
        Envelope { cluster: u64::MAX, target: 2, body }.encode()
    }

    #[test]
    fn messages_keep_the_promises() {
        let append = AppendEntriesRequest {
            vote: Vote::new_committed(3, 1),
            prev_log_id: Some(log_id(0)),
            entries: entries(),
            leader_commit: None,
        };
        let snapshot = Body::Snapshot {
            vote: Vote::new(3, 1),
            meta: SnapshotMeta { last_log_id: Some(log_id(3)), ..SnapshotMeta::default() },
            data: SnapshotBytes(b"\x01data".to_vec()),
        };
        let made = [
            ("append", message(Body::Append(append))),
            ("append_reply", RaftReply::Append(AppendEntriesResponse::PartialSuccess(Some(log_id(2)))).encode()),
            ("refused", RaftReply::Refused(Refusal::OtherCluster).encode()),
            ("snapshot", message(snapshot)),
            ("would_vote", message(Body::WouldVote { candidate: Some(2), last_log: Some(log_id(3)) })),
            ("give_way", message(Body::GiveWay { leader: Vote::new_committed(4, 1), next: Vote::new(5, 2) })),
            ("stand", message(Body::Stand { leader: Vote::new_committed(4, 1), last_log: Some(log_id(3)) })),
            ("agreed", RaftReply::Agreed(true).encode()),
            ("would_vote_reply", RaftReply::WouldVote(true).encode()),
            ("vote", message(Body::Vote(VoteRequest::new(Vote::new(4, 2), Some(log_id(3)))))),
        ];
        seeds::try_all("raft_message", seeds::MANY, &made, fuzz_message);
    }

    #[test]
    fn files_keep_the_promises() {
        let packed = |value: &Entry<TypeConfig>| rmp_serde::to_vec_named(value).expect("writing to memory");
        let mut made = snapshots::fuzz_seeds().to_vec();
        made.extend(["blank", "command", "membership"].into_iter().zip(entries().iter().map(packed)));
        made.push(("vote", rmp_serde::to_vec_named(&Vote::new(3u64, 1)).expect("writing to memory")));
        seeds::try_all("raft_file", seeds::MANY, &made, fuzz_file);
    }

    #[test]
    fn joining_keeps_the_promises() {
        let request = br#"{"stage":"register","incarnation":"000000000000000000000000000000ff","id":3,
            "meta":{"httpAddr":"n1:8091","tcpAddr":"n1:8088"},"data":{"httpAddr":"[::1]:8086","tcpAddr":"n1:8088"}}"#;
        let answer = br#"{"id":3,"clusterID":"00000000000000ff","metaServers":["n1:8091","n2:8091"],"index":12,
            "recoveries":1,"group":"00000000000000ee"}"#;
        let node =
            br#"{"ID":3,"MetaServers":["n1:8091"],"ClusterID":"ff","Meta":true,"RaftStarted":true,"Recoveries":1,
            "Group":"00000000000000ee"}"#;
        let made = [("answer", answer.to_vec()), ("node", node.to_vec()), ("request", request.to_vec())];
        seeds::try_all("join", seeds::MANY, &made, fuzz_join);
    }
}
