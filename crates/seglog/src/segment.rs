//! The bytes of a segment: file name, file header, record header.
//!
//! A segment is a file header and then records without gaps. Behind the last record there may be zeros (reserved space)
//! or, after a crash, the torn rest of a record. Numbers are little endian.
//!
//! What the file header tells to find and check records stands in the file's name as well, so a damaged header costs no
//! record. It also tells where the segment before it ended, so that one that became too short is noticed.

use crc32fast::Hasher;

use crate::planted::{self, Bug};

/// First bytes of every segment.
pub(crate) const MAGIC: [u8; 8] = *b"MSTSEGLG";
/// The version of the format that is written, and the only one that is read.
pub const FORMAT_VERSION: u32 = 1;
/// Magic, version and their checksum: the same in every version.
pub(crate) const VERSION_BYTES: usize = 16;
pub(crate) const FILE_HEADER_BYTES: usize = 44;
pub(crate) const RECORD_HEADER_BYTES: usize = 20;
/// First byte of every record: rare in text, not a zero.
pub(crate) const RECORD_MARKER: u8 = 0xE7;
const RECORD_VERSION: u8 = 1;

const NAME_END: &str = ".log";
const NAME_DIGITS: usize = 16;

/// Which file, and therefore which records, may stand there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentId {
    /// The log's random number.
    pub(crate) identity: u64,
    /// From 1 on, without gaps.
    pub(crate) number: u64,
}

impl SegmentId {
    /// `<number>-<identity>.log`, sixteen hexadecimal digits each.
    pub(crate) fn file_name(self) -> String {
        format!("{:016x}-{:016x}{NAME_END}", self.number, self.identity)
    }

    /// `None` for files that are not segments.
    pub(crate) fn from_file_name(name: &str) -> Option<SegmentId> {
        let (number, identity) = name.strip_suffix(NAME_END)?.split_once('-')?;
        let id = SegmentId { number: parse_hex(number)?, identity: parse_hex(identity)? };
        (1..u64::MAX).contains(&id.number).then_some(id)
    }

    /// The header of its file. `previous_end` is the length of the segment before, 0 if there was none.
    pub(crate) fn file_header(self, previous_end: u64) -> [u8; FILE_HEADER_BYTES] {
        let mut header = [0; FILE_HEADER_BYTES];
        header[..8].copy_from_slice(&MAGIC);
        header[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        let version_crc = crc32fast::hash(&header[..12]);
        header[12..16].copy_from_slice(&version_crc.to_le_bytes());
        header[16..24].copy_from_slice(&self.identity.to_le_bytes());
        header[24..32].copy_from_slice(&self.number.to_le_bytes());
        header[32..40].copy_from_slice(&previous_end.to_le_bytes());
        let crc = crc32fast::hash(&header[..40]);
        header[40..].copy_from_slice(&crc.to_le_bytes());
        header
    }
}

fn parse_hex(digits: &str) -> Option<u64> {
    let lower = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if digits.len() != NAME_DIGITS || !digits.bytes().all(lower) {
        return None;
    }
    u64::from_str_radix(digits, 16).ok()
}

/// What the first bytes of a segment's file say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileHeader {
    /// As it should be.
    Good {
        /// Where the segment before it ended; 0 if it is the first.
        previous_end: u64,
    },
    /// A front part of it, and then nothing or zeros: the crash came while the segment was made, before any record.
    Unfinished,
    /// Ours, of another format version. The version's own checksum is right, so it is no damage.
    OtherVersion(u32),
    /// Mostly right: ours, but damaged.
    Damaged,
    /// Not ours, unless records are found in it.
    Foreign,
}

/// Judges `bytes`, the first of a file that should be segment `id`; shorter than a header only when the file is.
pub(crate) fn judge_file_header(id: SegmentId, bytes: &[u8]) -> FileHeader {
    let mut header = [0; FILE_HEADER_BYTES];
    let length = bytes.len().min(FILE_HEADER_BYTES);
    header[..length].copy_from_slice(&bytes[..length]);
    let previous_end = u64::from_le_bytes(header[32..40].try_into().expect("eight bytes"));
    let want = id.file_header(previous_end);
    if header == want && length == FILE_HEADER_BYTES {
        return FileHeader::Good { previous_end };
    }
    if let Some(version) = checked_version(&header)
        && version != FORMAT_VERSION
    {
        return FileHeader::OtherVersion(version);
    }
    let same = header[..32].iter().zip(&want).take_while(|(have, want)| have == want).count();
    let is_cut = if same < 32 { header[same..].iter().all(|byte| *byte == 0) } else { header[40..] != want[40..] };
    if is_cut && (same < 32 || length < FILE_HEADER_BYTES || header[40..] == [0; 4]) {
        return FileHeader::Unfinished;
    }
    let right = header[..32].iter().zip(&want).filter(|(have, want)| have == want).count();
    if right >= 16 { FileHeader::Damaged } else { FileHeader::Foreign }
}

/// The format version, when magic and version are undamaged. These first 16 bytes are the same in every version.
pub(crate) fn checked_version(bytes: &[u8]) -> Option<u32> {
    let front = bytes.get(..VERSION_BYTES)?;
    let crc = u32::from_le_bytes(front[12..].try_into().ok()?);
    if front[..8] != MAGIC || crc32fast::hash(&front[..12]) != crc {
        return None;
    }
    Some(u32::from_le_bytes(front[8..12].try_into().ok()?))
}

/// What a record is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// A caller's record.
    Data = 1,
    /// Written by a clean close: all before it is durable. No payload.
    Closed = 2,
    /// Covers bytes that a crash left behind and that were never durable.
    Filler = 3,
}

/// The header of a record; its payload follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    pub(crate) kind: Kind,
    /// Bytes of the payload.
    pub(crate) length: u32,
    /// CRC-32 of the payload.
    pub(crate) payload_crc: u32,
    /// What of this segment was known to be durable when the record was written: everything before this offset. Tells
    /// damage from what a crash tore.
    pub(crate) durable: u32,
}

impl RecordHeader {
    /// Its bytes when it stands at `offset` of segment `id`.
    pub(crate) fn encode(&self, id: SegmentId, offset: u64) -> [u8; RECORD_HEADER_BYTES] {
        let mut bytes = [0; RECORD_HEADER_BYTES];
        bytes[0] = RECORD_MARKER;
        bytes[1] = self.kind as u8;
        bytes[2] = RECORD_VERSION;
        bytes[4..8].copy_from_slice(&self.length.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.payload_crc.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.durable.to_le_bytes());
        let crc = header_crc(id, offset, &bytes[..16]);
        bytes[16..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// `None` unless these are the bytes of a header that was written to this very place.
    pub(crate) fn decode(id: SegmentId, offset: u64, bytes: &[u8]) -> Option<RecordHeader> {
        let bytes: &[u8; RECORD_HEADER_BYTES] = bytes.get(..RECORD_HEADER_BYTES)?.try_into().ok()?;
        let kind = match bytes[1] {
            1 => Kind::Data,
            2 => Kind::Closed,
            3 => Kind::Filler,
            _ => return None,
        };
        if bytes[0] != RECORD_MARKER || bytes[2] != RECORD_VERSION || bytes[3] != 0 {
            return None;
        }
        let number = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        if header_crc(id, offset, &bytes[..16]) != number(16) {
            return None;
        }
        Some(RecordHeader { kind, length: number(4), payload_crc: number(8), durable: number(12) })
    }

    /// Bytes of header and payload.
    pub(crate) fn record_bytes(&self) -> u64 {
        RECORD_HEADER_BYTES as u64 + u64::from(self.length)
    }
}

/// Binds the header to its place: the same bytes elsewhere do not pass.
fn header_crc(id: SegmentId, offset: u64, front: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    if !planted::is(Bug::ForgetPlace) {
        hasher.update(&id.identity.to_le_bytes());
        hasher.update(&id.number.to_le_bytes());
        hasher.update(&offset.to_le_bytes());
    }
    hasher.update(front);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: SegmentId = SegmentId { identity: 0x1234_5678_9abc_def0, number: 7 };
    const RECORD: RecordHeader = RecordHeader { kind: Kind::Data, length: 5, payload_crc: 77, durable: 36 };

    #[test]
    fn names_come_back_and_others_are_left_alone() {
        assert_eq!(ID.file_name(), "0000000000000007-123456789abcdef0.log");
        assert_eq!(SegmentId::from_file_name(&ID.file_name()), Some(ID));
        for other in [
            "0000000000000007-123456789abcdef0.log.new",
            "0000000000000007-123456789ABCDEF0.log",
            "+000000000000007-123456789abcdef0.log",
            "0000000000000000-123456789abcdef0.log",
            "ffffffffffffffff-123456789abcdef0.log",
            "7-1.log",
            "head",
            "",
        ] {
            assert_eq!(SegmentId::from_file_name(other), None, "{other}");
        }
    }

    #[test]
    fn file_headers_are_told_apart() {
        let good = ID.file_header(0x0102_0304_0506_0708);
        assert_eq!(judge_file_header(ID, &good), FileHeader::Good { previous_end: 0x0102_0304_0506_0708 });
        for cut in 0..good.len() {
            assert_eq!(judge_file_header(ID, &good[..cut]), FileHeader::Unfinished);
            let mut zeroed = good;
            zeroed[cut..].fill(0);
            assert!(matches!(judge_file_header(ID, &zeroed), FileHeader::Unfinished | FileHeader::Damaged), "{cut}");
        }
        for index in 0..good.len() * 8 {
            let mut flipped = good;
            flipped[index / 8] ^= 1 << (index % 8);
            let judged = judge_file_header(ID, &flipped);
            assert!(matches!(judged, FileHeader::Damaged | FileHeader::Unfinished), "{judged:?}");
        }
        let mut newer = good;
        newer[8..12].copy_from_slice(&2u32.to_le_bytes());
        let crc = crc32fast::hash(&newer[..12]);
        newer[12..16].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(judge_file_header(ID, &newer), FileHeader::OtherVersion(2));
        assert_eq!(judge_file_header(ID, b"PNG this is a picture and nothing else"), FileHeader::Foreign);
    }

    #[test]
    fn record_headers_come_back_from_their_place_only() {
        let bytes = RECORD.encode(ID, 100);
        assert_eq!(RecordHeader::decode(ID, 100, &bytes), Some(RECORD));
        assert_eq!(RecordHeader::decode(ID, 101, &bytes), None);
        assert_eq!(RecordHeader::decode(SegmentId { number: 8, ..ID }, 100, &bytes), None);
        assert_eq!(RecordHeader::decode(SegmentId { identity: 1, ..ID }, 100, &bytes), None);
        assert_eq!(RecordHeader::decode(ID, 100, &bytes[..19]), None);
        for index in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[index / 8] ^= 1 << (index % 8);
            assert_eq!(RecordHeader::decode(ID, 100, &flipped), None);
        }
    }
}
