//! The manifest of a shard: which files count. Written whole beside the old one and renamed over it.
//!
//! The bytes stand in `docs/format/shard.md`.

use std::path::Path;

use env::Env;
use model::ShardId;
use stdx::varint;

use crate::wal::Position;

/// The name of the file.
pub(crate) const MANIFEST_FILE: &str = "manifest";

/// The version that is written, and the latest that is read.
pub(crate) const VERSION: u32 = 1;

const MAGIC: &[u8; 8] = b"MSTMMANI";

/// Most data files of one shard; more are damage.
const FILES_MAX: u64 = 1 << 20;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) shard: ShardId,
    pub(crate) db: String,
    pub(crate) rp: String,
    /// Rows of log records before this position are in data files.
    pub(crate) flushed: Position,
    /// The next number of a data file.
    pub(crate) file_next: u64,
    /// The data files, older content first.
    pub(crate) files: Vec<FileEntry>,
}

/// A data file that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileEntry {
    /// Names the file.
    pub(crate) number: u64,
    /// Its length.
    pub(crate) bytes: u64,
    /// Random, also in the file: another file under the same name is found out.
    pub(crate) identity: u64,
    /// How many rows it has.
    pub(crate) rows: u64,
    /// The largest clock of its stamps.
    pub(crate) clock_max: u64,
}

/// Why a manifest was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ManifestError {
    #[error("read the manifest: {0}")]
    Io(#[from] std::io::Error),
    #[error("manifest is damaged: {0}")]
    Damaged(&'static str),
    #[error("manifest has version {0}, this release knows up to {VERSION}")]
    Newer(u32),
}

impl Manifest {
    pub(crate) fn new(shard: ShardId, db: &str, rp: &str) -> Manifest {
        let (db, rp) = (db.to_owned(), rp.to_owned());
        Manifest { shard, db, rp, flushed: Position::START, file_next: 1, files: Vec::new() }
    }

    /// Puts it in place durably.
    pub(crate) fn store(&self, env: &Env, dir: &Path) -> std::io::Result<()> {
        env.fs().replace(&dir.join(MANIFEST_FILE), &self.encode())
    }

    pub(crate) fn load(env: &Env, dir: &Path) -> Result<Manifest, ManifestError> {
        Manifest::decode(&env.fs().read(&dir.join(MANIFEST_FILE))?)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&VERSION.to_le_bytes());
        varint::put_u64(&mut out, self.shard.0);
        varint::put_bytes(&mut out, self.db.as_bytes());
        varint::put_bytes(&mut out, self.rp.as_bytes());
        out.extend_from_slice(&self.flushed.to_bytes());
        varint::put_u64(&mut out, self.file_next);
        varint::put_u64(&mut out, self.files.len() as u64);
        for file in &self.files {
            varint::put_u64(&mut out, file.number);
            varint::put_u64(&mut out, file.bytes);
            out.extend_from_slice(&file.identity.to_le_bytes());
            varint::put_u64(&mut out, file.rows);
            varint::put_u64(&mut out, file.clock_max);
        }
        let sum = crc32fast::hash(&out);
        out.extend_from_slice(&sum.to_le_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Manifest, ManifestError> {
        let damaged = ManifestError::Damaged;
        let head = bytes.strip_prefix(MAGIC).ok_or(damaged("no magic"))?;
        let (version, _) = head.split_first_chunk().ok_or(damaged("cut short"))?;
        let version = u32::from_le_bytes(*version);
        let (body, sum) = bytes.split_last_chunk().ok_or(damaged("cut short"))?;
        if crc32fast::hash(body) != u32::from_le_bytes(*sum) {
            return Err(damaged("checksum"));
        }
        if version > VERSION {
            return Err(ManifestError::Newer(version));
        }
        let mut input = body.get(MAGIC.len() + 4..).ok_or(damaged("cut short"))?;
        let manifest = Manifest::decode_body(&mut input).ok_or(damaged("cut short"))?;
        if input.is_empty() { Ok(manifest) } else { Err(damaged("bytes after the end")) }
    }

    fn decode_body(input: &mut &[u8]) -> Option<Manifest> {
        let shard = ShardId(varint::take_u64(input)?);
        let db = String::from_utf8(varint::take_bytes(input)?.to_vec()).ok()?;
        let rp = String::from_utf8(varint::take_bytes(input)?.to_vec()).ok()?;
        let (flushed, rest) = input.split_first_chunk()?;
        *input = rest;
        let flushed = Position::from_bytes(*flushed);
        let file_next = varint::take_u64(input)?;
        let count = varint::take_u64(input).filter(|count| *count <= FILES_MAX)?;
        let mut files = Vec::new();
        for _ in 0..count {
            let number = varint::take_u64(input)?;
            let bytes = varint::take_u64(input)?;
            let (identity, rest) = input.split_first_chunk()?;
            *input = rest;
            let identity = u64::from_le_bytes(*identity);
            let rows = varint::take_u64(input)?;
            files.push(FileEntry { number, bytes, identity, rows, clock_max: varint::take_u64(input)? });
        }
        Some(Manifest { shard, db, rp, flushed, file_next, files })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Manifest {
        let mut manifest = Manifest::new(ShardId(7), "telegraf", "auto gen");
        manifest.files.push(FileEntry { number: 1, bytes: 4096, identity: u64::MAX, rows: 12, clock_max: 99 });
        manifest
    }

    #[test]
    fn comes_back() {
        assert_eq!(Manifest::decode(&sample().encode()).expect("as written"), sample());
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_found() {
        let bytes = sample().encode();
        for bit in 0..bytes.len() * 8 {
            let mut wrong = bytes.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(Manifest::decode(&wrong).is_err(), "bit {bit}");
        }
        for end in 0..bytes.len() {
            assert!(Manifest::decode(&bytes[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn a_later_version_is_named() {
        let mut bytes = sample().encode();
        bytes[8] = 9;
        let flipped = Manifest::decode(&bytes).expect_err("the checksum does not fit");
        assert_eq!(flipped.to_string(), "manifest is damaged: checksum");
        let end = bytes.len() - 4;
        let sum = crc32fast::hash(&bytes[..end]);
        bytes[end..].copy_from_slice(&sum.to_le_bytes());
        let error = Manifest::decode(&bytes).expect_err("a later version");
        assert_eq!(error.to_string(), "manifest has version 9, this release knows up to 1");
    }
}
