//! What must hold for any bytes, also where their checksums are right: no panic and little memory. The fuzzer calls these,
//! and so do tests over their seeds.

use crate::file::fuzz_parts;
use crate::manifest::Manifest;
use crate::{shard, wal};

/// Reads `data` as a manifest, and as one without its checksum. What is read is consistent and comes back the same.
///
/// # Panics
/// When a promise of this crate is broken.
pub fn fuzz_manifest(data: &[u8]) {
    if let Ok(manifest) = Manifest::decode(data) {
        assert_eq!(Manifest::decode(&manifest.encode()).ok(), Some(manifest));
    }
    let whole = [data, &crc32fast::hash(data).to_le_bytes()].concat();
    if let Ok(manifest) = Manifest::decode(&whole) {
        assert_eq!(Manifest::decode(&manifest.encode()).ok(), Some(manifest));
    }
    shard::fuzz_mark(data);
}

/// Reads `data` as header, footer, trailer, chunk index and stamps of a data file, as if their checksums were right.
pub fn fuzz_data_file(data: &[u8]) {
    fuzz_parts(data);
}

/// Reads `data` as a record of the log. What is read comes back the same.
///
/// # Panics
/// When a promise of this crate is broken.
pub fn fuzz_log_record(data: &[u8]) {
    let Some((stamp, batch)) = wal::split(data) else { return };
    assert_eq!([wal::header(stamp).as_slice(), batch].concat(), data);
    if let Ok(batch) = block_codec::batch::decode(batch) {
        assert_eq!(batch.validate(), Ok(()));
    }
}

#[cfg(test)]
mod tests {
    use model::{Batch, FieldValue, ShardId, Stamp, Tags};
    use testkit::seeds;

    use super::*;
    use crate::manifest::FileEntry;

    #[test]
    fn manifests_keep_the_promises() {
        let mut manifest = Manifest::new(ShardId(7), "telegraf", "auto gen");
        let empty = manifest.encode();
        for number in 1..4 {
            let entry = FileEntry { number, bytes: 4_096 << number, identity: u64::MAX, rows: 12, clock_max: 99 };
            manifest.files.push(entry);
        }
        let whole = manifest.encode();
        let open = whole[..whole.len() - 4].to_vec();
        let made = [("empty", empty), ("mark", b"MSTMMARK\x01\0\0\0mark".to_vec()), ("open", open), ("whole", whole)];
        seeds::try_all("shard_manifest", seeds::MANY, &made, fuzz_manifest);
    }

    #[test]
    fn data_files_keep_the_promises() {
        let made = crate::file::fuzz_seeds();
        seeds::try_all("shard_data_file", seeds::MANY, &made, fuzz_data_file);
    }

    #[test]
    fn log_records_keep_the_promises() {
        let mut batch = Batch::default();
        for row in 0..8i64 {
            let tags = Tags::new(vec![(b"host".to_vec(), format!("web-{}", row % 3).into_bytes())]);
            let fields = [(b"up".as_slice(), FieldValue::Boolean(row % 2 == 0)), (b"n", FieldValue::Integer(row))];
            batch.push_point(b"cpu", &tags, row * 10, &fields);
        }
        let mut record = wal::header(Stamp { clock: 1 << 60, coordinator: 3 }).to_vec();
        block_codec::batch::encode(&batch, &mut record).expect("a small batch");
        seeds::try_all("shard_log_record", seeds::MANY, &[("batch", record)], fuzz_log_record);
    }
}
