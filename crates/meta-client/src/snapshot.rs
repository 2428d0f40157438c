//! The copy on the disk: a magic word, a checksum, and the metadata in its own encoding. Replaced whole; after a crash
//! there is the old one or the new one. See `docs/format/meta-cache.md`.

use std::io;
use std::path::{Path, PathBuf};

use env::Env;
use meta::Data;
use meta::codec::{CodecError, decode_snapshot, encode_snapshot};
use model::MetaIndex;

/// First bytes of the file, before the version.
const MAGIC: &[u8; 7] = b"MSMETAC";
/// The version that is written, and the latest that is read: one byte.
const VERSION: u8 = 1;
/// Magic, version and the checksum of what follows.
const HEADER_BYTES: usize = 12;

/// The copy cannot be used. It is left untouched.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The disk refused.
    #[error("read {}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// The file is none of ours.
    #[error("{} is no metadata of ours; it is left untouched: give another directory", .0.display())]
    Foreign(PathBuf),
    /// A later release wrote it.
    #[error(
        "{} has format {found}, this release reads up to {VERSION}; it is left untouched: start the release that wrote it",
        .path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u8,
    },
    /// The bytes are not those that were written.
    #[error("{} is damaged; remove it and the node asks the cluster anew", .0.display())]
    Damaged(PathBuf),
    /// The metadata cannot be read.
    #[error("{}: {source}", .path.display())]
    Codec {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: CodecError,
    },
}

/// Whether [`crate::MetaClient::open`] could use `file`. Reads only.
///
/// # Errors
/// As there.
pub fn check(env: &Env, file: &Path) -> Result<(), OpenError> {
    load(env, file).map(drop)
}

/// The copy in `file`; `None` when there is no file.
pub(crate) fn load(env: &Env, file: &Path) -> Result<Option<Data>, OpenError> {
    let io = |source| OpenError::Io { path: file.to_owned(), source };
    if !env.fs().exists(file).map_err(io)? {
        return Ok(None);
    }
    let bytes = env.fs().read(file).map_err(io)?;
    decode(file, &bytes).map(Some)
}

/// The place where the copy is kept.
#[derive(Debug)]
pub(crate) struct Disk {
    env: Env,
    file: PathBuf,
    /// The version that is there.
    index: MetaIndex,
}

impl Disk {
    /// The place and what is there, if that is anything.
    pub(crate) fn open(env: &Env, file: PathBuf) -> Result<(Disk, Data), OpenError> {
        let data = load(env, &file)?.unwrap_or_default();
        Ok((Disk { env: env.clone(), file, index: data.index() }, data))
    }

    /// Keeps `data` if it is newer than what is there. When the disk refuses, the node goes on with what it knows; after a
    /// restart it starts with the older copy and asks.
    pub(crate) fn save(&mut self, data: &Data) {
        if data.index() <= self.index {
            return;
        }
        match save(&self.env, &self.file, data) {
            Ok(()) => self.index = data.index(),
            Err(error) => tracing::warn!(%error, file = %self.file.display(), "metadata was not saved"),
        }
    }
}

/// Replaces the copy in `file`.
pub(crate) fn save(env: &Env, file: &Path, data: &Data) -> io::Result<()> {
    env.fs().replace(file, &around(&encode_snapshot(data)))
}

/// The metadata in the bytes of `file`.
pub(crate) fn decode(file: &Path, bytes: &[u8]) -> Result<Data, OpenError> {
    let Some((header, body)) = bytes.split_at_checked(HEADER_BYTES) else {
        return Err(OpenError::Damaged(file.to_owned()));
    };
    if !header.starts_with(MAGIC) {
        return Err(OpenError::Foreign(file.to_owned()));
    }
    let (version, sum) = (header[MAGIC.len()], &header[MAGIC.len() + 1..]);
    if version > VERSION {
        return Err(OpenError::Newer { path: file.to_owned(), found: version });
    }
    if version != VERSION || *sum != crc32fast::hash(body).to_le_bytes() {
        return Err(OpenError::Damaged(file.to_owned()));
    }
    decode_snapshot(body).map_err(|source| OpenError::Codec { path: file.to_owned(), source })
}

/// The bytes of a file around metadata that is bytes already.
pub(crate) fn around(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len());
    bytes.extend_from_slice(MAGIC);
    bytes.push(VERSION);
    bytes.extend_from_slice(&crc32fast::hash(body).to_le_bytes());
    bytes.extend_from_slice(body);
    bytes
}
