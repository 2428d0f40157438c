//! The types that openraft is made for.

use std::fmt;

use bytes::Bytes;
use meta::codec::{decode_outcome, encode_outcome};
use meta::{Rejection, Reply};
use model::MetaIndex;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::runtime::Runtime;

openraft::declare_raft_types!(
    /// Our kind of Raft.
    pub(crate) TypeConfig:
        D = LogCommand,
        R = Applied,
        NodeId = u64,
        Node = openraft::BasicNode,
        SnapshotData = Bytes,
        AsyncRuntime = Runtime,
);

pub(crate) type RaftError<E> = openraft::error::RaftError<u64, E>;

/// A command with the facts of its leader, as `meta::codec` writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogCommand(pub(crate) Vec<u8>);

/// What an entry came to, and the index of the metadata afterwards. Entries that hold no command are `Done`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Applied {
    pub(crate) outcome: Result<Reply, Rejection>,
    pub(crate) index: MetaIndex,
}

impl Serialize for LogCommand {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for LogCommand {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<LogCommand, D::Error> {
        deserializer.deserialize_byte_buf(BytesVisitor).map(LogCommand)
    }
}

impl Serialize for Applied {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&encode_outcome(&self.outcome, self.index))
    }
}

impl<'de> Deserialize<'de> for Applied {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Applied, D::Error> {
        let bytes = deserializer.deserialize_byte_buf(BytesVisitor)?;
        let (outcome, index) = decode_outcome(&bytes).map_err(de::Error::custom)?;
        Ok(Applied { outcome, index })
    }
}

/// Reads a string of bytes.
pub(super) struct BytesVisitor;

impl Visitor<'_> for BytesVisitor {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.to_vec())
    }

    fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
        Ok(bytes)
    }
}
