//! What must hold for any bytes: no panic and no invented record. The fuzzer calls this, and so does a test over its seeds.

use std::io;
use std::sync::Arc;

use env::File;

use crate::read::{Item, Walk};
use crate::segment::{FILE_HEADER_BYTES, Kind, RecordHeader, SegmentId, judge_file_header};

const ID: SegmentId = SegmentId { identity: 0x5eed_5eed_5eed_5eed, number: 3 };

/// Walks `bytes` as if they were a segment, and then a good segment that `bytes` tell how to make and how to damage:
/// records that were not hit must be found and no others.
///
/// # Panics
/// When a promise of this crate is broken.
pub fn fuzz_segment(bytes: &[u8]) {
    judge_file_header(ID, bytes);
    walk(bytes.to_vec());

    let split = bytes.len() / 2;
    let (lengths, damages) = bytes.split_at(split);
    let (good, records) = make_segment(&lengths[..lengths.len().min(256)]);
    let mut damaged = good.clone();
    for damage in damages.chunks_exact(4) {
        let at = (usize::from(damage[0]) << 16 | usize::from(damage[1]) << 8 | usize::from(damage[2])) % damaged.len();
        damaged[at] ^= damage[3];
    }
    let want: Vec<u64> = records
        .iter()
        .filter(|(start, end)| good[*start as usize..*end as usize] == damaged[*start as usize..*end as usize])
        .map(|(start, _)| *start)
        .collect();
    assert_eq!(walk(damaged), want, "exactly the undamaged records are found");
}

/// The offsets of the records in a segment of these bytes, after checking that the walk covers it without overlaps.
fn walk(bytes: Vec<u8>) -> Vec<u64> {
    let limit = bytes.len() as u64;
    let mut walk = Walk::new(Arc::new(Bytes(bytes)), ID, 0, limit);
    let mut at = FILE_HEADER_BYTES as u64;
    let mut found = Vec::new();
    while let Some(item) = walk.next().expect("memory can be read") {
        let (offset, end) = match item {
            Item::Record { offset, end, header } => {
                assert_eq!(crc32fast::hash(walk.payload()), header.payload_crc);
                found.push(offset);
                (offset, end)
            }
            Item::Gap { offset, end } | Item::Rest { offset, end, .. } => (offset, end),
        };
        assert!(offset == at && end > offset && end <= limit, "items follow each other");
        at = end;
    }
    found
}

/// A segment with one record per byte of `lengths`, and where each stands.
fn make_segment(lengths: &[u8]) -> (Vec<u8>, Vec<(u64, u64)>) {
    let mut bytes = ID.file_header(0).to_vec();
    let mut records = Vec::new();
    for (index, length) in lengths.iter().enumerate() {
        let start = bytes.len() as u64;
        let payload: Vec<u8> = (0..*length).map(|byte| byte ^ index as u8).collect();
        let payload_crc = crc32fast::hash(&payload);
        let header = RecordHeader { kind: Kind::Data, length: u32::from(*length), payload_crc, durable: 0 };
        bytes.extend_from_slice(&header.encode(ID, start));
        bytes.extend_from_slice(&payload);
        records.push((start, bytes.len() as u64));
    }
    (bytes, records)
}

/// A file in memory, to read.
#[derive(Debug)]
struct Bytes(Vec<u8>);

impl File for Bytes {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.0.len());
        let count = buf.len().min(self.0.len() - start);
        buf[..count].copy_from_slice(&self.0[start..start + count]);
        Ok(count)
    }

    fn write_at(&self, _offset: u64, _bytes: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn set_len(&self, _len: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use testkit::seeds;

    use super::*;

    #[test]
    fn seeds_keep_the_promises() {
        let (whole, records) = make_segment(&[0, 1, 20, 200, 3]);
        let mut reserved = whole.clone();
        reserved.resize(whole.len() + 100, 0);
        let mut torn = whole.clone();
        torn.truncate(records[3].0 as usize + 30);
        let mut hit = whole.clone();
        hit[records[2].0 as usize + 25] ^= 4;
        // Five lengths, then four damages: place and change.
        let recipe = [9, 0, 255, 7, 30, 1, 0, 0, 60, 1, 0, 0, 90, 128, 0, 1, 44, 255, 0, 0, 5, 16].to_vec();
        let made = [("hit", hit), ("recipe", recipe), ("reserved", reserved), ("torn", torn), ("whole", whole)];
        seeds::try_all("seglog", seeds::MANY, &made, fuzz_segment);
    }
}
