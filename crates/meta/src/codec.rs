//! Bytes: snapshots, log entries, commands and their outcomes.
//!
//! A version byte, then MessagePack with field names. A reader skips fields it does not know and fills in those that are
//! missing, so fields can be added; the version byte changes only when that is not enough. The types written down here
//! are apart from those the rest of the crate works with. See `docs/format/meta.md`.

mod entry;
mod rights;
mod snapshot;

pub use entry::{decode_command, decode_entry, decode_outcome, encode_command, encode_entry, encode_outcome};
pub use snapshot::{decode_snapshot, encode_snapshot};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::validate::Violation;

/// The version that is written.
const VERSION: u8 = 1;

/// Why bytes could not be read.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// Written by a later release that changed the format. The node must be upgraded.
    #[error("version {0} of the metadata format is not known to this release")]
    Version(u8),
    /// Nothing at all.
    #[error("no bytes")]
    Empty,
    /// The bytes are damaged, or hold something that a later release added, such as a new command.
    #[error("metadata bytes cannot be read: {0}")]
    Malformed(#[from] rmp_serde::decode::Error),
    /// A number outside its range.
    #[error("metadata bytes hold an impossible {0}")]
    Impossible(&'static str),
    /// The parts do not fit together.
    #[error(transparent)]
    Inconsistent(#[from] Violation),
}

fn to_bytes<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    rmp_serde::encode::write_named(&mut bytes, value).expect("writing to memory does not fail");
    bytes
}

fn from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    match bytes.split_first() {
        None => Err(CodecError::Empty),
        Some((&VERSION, rest)) => Ok(rmp_serde::from_slice(rest)?),
        Some((&version, _)) => Err(CodecError::Version(version)),
    }
}

fn halves(value: u128) -> (u64, u64) {
    ((value >> 64) as u64, value as u64)
}

fn whole((high, low): (u64, u64)) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::sample;
