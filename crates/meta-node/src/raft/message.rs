//! Raft messages as bytes: a version byte, then MessagePack with field names.
//!
//! Each request says which cluster and which member it is meant for. An address alone does not: a wiped node comes back
//! under its old address as somebody else, and must not answer for who it was.

use openraft::SnapshotMeta;
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse};
use openraft::{BasicNode, LogId, Vote};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::types::{BytesVisitor, TypeConfig};

/// Changes when field names are not enough.
const VERSION: u8 = 1;

/// A request.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Envelope {
    pub(crate) cluster: u64,
    pub(crate) target: u64,
    pub(crate) body: Body,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Body {
    Append(AppendEntriesRequest<TypeConfig>),
    Vote(VoteRequest<u64>),
    /// Whether the member would vote for one whose log ends so. It promises nothing.
    WouldVote {
        #[serde(default)]
        candidate: Option<u64>,
        last_log: Option<LogId<u64>>,
    },
    /// The leader wants a successor, whom `next` names: a vote for it that is not decided.
    GiveWay {
        leader: Vote<u64>,
        next: Vote<u64>,
    },
    /// The leader wants this member, if its log ends so, to stand for election at once.
    Stand {
        leader: Vote<u64>,
        last_log: Option<LogId<u64>>,
    },
    Snapshot {
        vote: Vote<u64>,
        meta: SnapshotMeta<u64, BasicNode>,
        data: SnapshotBytes,
    },
}

impl Body {
    /// Whether it is what its sender may say: only who was elected sends entries, and only who was not asks for votes.
    /// openraft takes that for granted.
    pub(crate) fn is_sound(&self) -> bool {
        match self {
            Body::Append(AppendEntriesRequest { vote, .. }) | Body::Snapshot { vote, .. } => vote.committed,
            Body::Vote(VoteRequest { vote, .. }) => !vote.committed,
            _ => true,
        }
    }

    /// Which member it is from, where it says so.
    pub(crate) fn sender(&self) -> Option<u64> {
        match self {
            Body::Append(AppendEntriesRequest { vote, .. })
            | Body::Vote(VoteRequest { vote, .. })
            | Body::Snapshot { vote, .. }
            | Body::GiveWay { leader: vote, .. }
            | Body::Stand { leader: vote, .. } => Some(vote.leader_id.node_id),
            Body::WouldVote { candidate, .. } => *candidate,
        }
    }
}

/// An answer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    Append(AppendEntriesResponse<u64>),
    Vote(VoteResponse<u64>),
    WouldVote(bool),
    /// To `GiveWay` and `Stand`.
    Agreed(bool),
    Snapshot(SnapshotResponse<u64>),
    Refused(Refusal),
}

/// Why a member does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("it is a member of another cluster")]
    OtherCluster,
    #[error("it is another member")]
    OtherMember,
    #[error("it takes no part in Raft at the moment")]
    NotRunning,
    #[error("the message cannot be read")]
    Malformed,
}

#[derive(Debug)]
pub(crate) struct SnapshotBytes(pub(crate) Vec<u8>);

impl Serialize for SnapshotBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for SnapshotBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SnapshotBytes, D::Error> {
        deserializer.deserialize_byte_buf(BytesVisitor).map(SnapshotBytes)
    }
}

impl Envelope {
    pub(crate) fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Envelope> {
        decode(bytes)
    }
}

impl Reply {
    pub(crate) fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Reply> {
        decode(bytes)
    }
}

fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    rmp_serde::encode::write_named(&mut bytes, message).expect("writing to memory does not fail");
    bytes
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => rmp_serde::from_slice(rest).ok(),
        _ => None,
    }
}
