//! Changes behind the copy on the disk, so that a change does not write all of the metadata: a header that names the copy,
//! and records that are appended and synced. See `docs/format/meta-cache.md`.
//!
//! Invariants
//! - A journal counts for the copy that it names alone; behind another one it is what an earlier copy left.
//! - What was synced is read again. The first record that does not hold ends the journal: a crash cut it off.

use std::io;
use std::path::Path;
use std::sync::Arc;

use env::{Env, File, OpenMode};
use meta::codec::decode_entry;
use meta::{Change, Data};
use model::MetaIndex;

/// First bytes of the file, before the version.
const MAGIC: &[u8; 7] = b"MSMETAJ";
/// The version that is written, and the latest that is read: one byte.
pub(crate) const VERSION: u8 = 1;
/// Magic, version, index and checksum of the copy, checksum of the header.
const HEADER_BYTES: usize = 24;
/// Length and checksum, index.
const RECORD_HEADER_BYTES: usize = 16;

/// The copy that a journal is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Base {
    /// Its version.
    pub(crate) index: MetaIndex,
    /// Of its bytes.
    pub(crate) checksum: u32,
}

/// An open journal.
#[derive(Debug)]
pub(crate) struct Journal {
    base: Base,
    file: Arc<dyn File>,
    len: u64,
}

impl Journal {
    /// A new journal with `changes`, in the place of an older one. On `Ok` it survives a power cut.
    pub(crate) fn create(env: &Env, path: &Path, base: Base, changes: &[Change]) -> io::Result<Journal> {
        let bytes = file(base, changes);
        env.fs().replace(path, &bytes)?;
        let file = env.fs().open(path, OpenMode::ReadWrite)?;
        Ok(Journal { base, file, len: bytes.len() as u64 })
    }

    /// Adds `changes`. On `Ok` they survive a power cut; afterwards the journal must not be used any more.
    pub(crate) fn append(&mut self, changes: &[Change]) -> io::Result<()> {
        let mut bytes = Vec::new();
        changes.iter().for_each(|change| record(&mut bytes, self.base, change));
        self.file.write_at(self.len, &bytes)?;
        self.file.sync()?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Bytes of the file.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }
}

/// The version of the journal in `bytes`; `None` when it is none of ours.
pub(crate) fn version(bytes: &[u8]) -> Option<u8> {
    bytes.strip_prefix(MAGIC)?.first().copied()
}

/// Applies the records in `bytes` to `data`, the copy `base`, as far as they hold.
pub(crate) fn replay(bytes: &[u8], base: Base, data: &mut Data) {
    let expected = header(base);
    let Some(mut rest) = bytes.strip_prefix(expected.as_slice()) else { return };
    while let Some((index, entry, behind)) = split(rest, base) {
        let Ok((facts, command)) = decode_entry(entry) else { return };
        if index <= data.index() || data.apply(index, &facts, &command).is_err() {
            return;
        }
        rest = behind;
    }
}

/// The bytes of a journal.
pub(crate) fn file(base: Base, changes: &[Change]) -> Vec<u8> {
    let mut bytes = header(base);
    changes.iter().for_each(|change| record(&mut bytes, base, change));
    bytes
}

/// A right header in front of any bytes.
pub(crate) fn behind(base: Base, bytes: &[u8]) -> Vec<u8> {
    [&header(base), bytes].concat()
}

fn header(base: Base) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES);
    bytes.extend_from_slice(MAGIC);
    bytes.push(VERSION);
    bytes.extend_from_slice(&base.index.0.to_le_bytes());
    bytes.extend_from_slice(&base.checksum.to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

fn record(bytes: &mut Vec<u8>, base: Base, change: &Change) {
    let len = u32::try_from(change.entry.len()).expect("a message holds less");
    bytes.extend_from_slice(&len.to_le_bytes());
    bytes.extend_from_slice(&checksum(base, change.index, &change.entry).to_le_bytes());
    bytes.extend_from_slice(&change.index.0.to_le_bytes());
    bytes.extend_from_slice(&change.entry);
}

/// The first record and what is behind it.
fn split(bytes: &[u8], base: Base) -> Option<(MetaIndex, &[u8], &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<RECORD_HEADER_BYTES>()?;
    let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let index = MetaIndex(u64::from(number(12)) << 32 | u64::from(number(8)));
    let (entry, rest) = rest.split_at_checked(usize::try_from(number(0)).ok()?)?;
    (number(4) == checksum(base, index, entry)).then_some((index, entry, rest))
}

/// Binds a record to the copy and to its place in the log.
fn checksum(base: Base, index: MetaIndex, entry: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&base.checksum.to_le_bytes());
    hasher.update(&index.0.to_le_bytes());
    hasher.update(entry);
    hasher.finalize()
}
