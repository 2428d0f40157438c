//! The payload of a log record: an entry's number, the time it was queued, and its bytes.

use bytes::Bytes;
use model::Timestamp;

/// Version of what follows it.
const ENTRY_VERSION: u8 = 1;
pub(crate) const ENTRY_HEADER_BYTES: usize = 17;

/// What stands before an entry's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EntryHeader {
    /// Counts the entries of a queue from 0 on, so that lost ones are noticed.
    pub(crate) sequence: u64,
    /// When it was queued, by the wall clock of this node.
    pub(crate) queued_at: Timestamp,
}

impl EntryHeader {
    pub(crate) fn encode(self) -> [u8; ENTRY_HEADER_BYTES] {
        let mut bytes = [ENTRY_VERSION; ENTRY_HEADER_BYTES];
        bytes[1..9].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[9..].copy_from_slice(&self.queued_at.0.to_le_bytes());
        bytes
    }

    /// The header of a payload; the entry's bytes are what follows. `None` if this is not one that we know.
    pub(crate) fn decode(payload: &[u8]) -> Option<EntryHeader> {
        let header: &[u8; ENTRY_HEADER_BYTES] = payload.get(..ENTRY_HEADER_BYTES)?.try_into().ok()?;
        if header[0] != ENTRY_VERSION {
            return None;
        }
        let (sequence, queued_at) = header[1..].split_at(8);
        Some(EntryHeader {
            sequence: u64::from_le_bytes(sequence.try_into().ok()?),
            queued_at: Timestamp(i64::from_le_bytes(queued_at.try_into().ok()?)),
        })
    }
}

/// The entry's own bytes.
pub(crate) fn body(payload: &[u8]) -> Bytes {
    Bytes::copy_from_slice(payload.get(ENTRY_HEADER_BYTES..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_back() {
        let header = EntryHeader { sequence: 1 << 40, queued_at: Timestamp(-5) };
        let payload = [&header.encode()[..], b"body"].concat();
        assert_eq!(EntryHeader::decode(&payload), Some(header));
        assert_eq!(body(&payload), &b"body"[..]);
        assert_eq!(body(b"short"), &b""[..]);
    }

    #[test]
    fn others_are_refused() {
        let mut payload = EntryHeader { sequence: 0, queued_at: Timestamp(0) }.encode();
        assert_eq!(EntryHeader::decode(&payload[..16]), None);
        payload[0] = 2;
        assert_eq!(EntryHeader::decode(&payload), None);
    }
}
