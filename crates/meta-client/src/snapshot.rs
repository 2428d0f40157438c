//! The copy on the disk: a magic word, a checksum, and the metadata in its own encoding, replaced whole; and behind it, in
//! `journal`, the changes since. After a crash there is what was there before the last change, or after it. See
//! `docs/format/meta-cache.md`.

use std::io;
use std::path::{Path, PathBuf};

use env::Env;
use meta::codec::{CodecError, decode_snapshot, encode_snapshot};
use meta::{Change, Data};
use model::MetaIndex;

use crate::journal::{self, Base, Journal};

/// First bytes of the file, before the version.
const MAGIC: &[u8; 7] = b"MSMETAC";
/// The version that is written, and the latest that is read: one byte.
const VERSION: u8 = 1;
/// Magic, version and the checksum of what follows.
const HEADER_BYTES: usize = 12;
/// The journal grows as large as the copy is, but not beyond the second, and to the first in any case: a start applies it
/// all.
const JOURNAL_BYTES_MIN: usize = 64 << 10;
const JOURNAL_BYTES_MAX: usize = 1 << 20;

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

/// The copy in `file`; `None` when there is no file. Reads only.
///
/// # Errors
/// As for [`crate::MetaClient::open`].
pub fn load(env: &Env, file: &Path) -> Result<Option<Data>, OpenError> {
    let io = |source| OpenError::Io { path: file.to_owned(), source };
    if !env.fs().exists(file).map_err(io)? {
        return Ok(None);
    }
    let bytes = env.fs().read(file).map_err(io)?;
    let mut data = decode(file, &bytes)?;
    let path = journal_of(file);
    let io = |source| OpenError::Io { path: path.clone(), source };
    if env.fs().exists(&path).map_err(io)? {
        let changes = env.fs().read(&path).map_err(io)?;
        match journal::version(&changes) {
            None => return Err(OpenError::Foreign(path)),
            Some(found) if found > journal::VERSION => return Err(OpenError::Newer { path, found }),
            Some(_) => {}
        }
        let base = Base { index: data.index(), checksum: crc32fast::hash(&bytes[HEADER_BYTES..]) };
        journal::replay(&changes, base, &mut data);
    }
    Ok(Some(data))
}

/// The file beside the copy with the changes behind it.
pub(crate) fn journal_of(file: &Path) -> PathBuf {
    file.with_extension("changes")
}

/// The place where the copy is kept.
#[derive(Debug)]
pub(crate) struct Disk {
    env: Env,
    file: PathBuf,
    /// The version that is there.
    index: MetaIndex,
    /// The copy without the changes behind it, and its bytes, once this process has written it.
    base: Option<(Base, usize)>,
    /// The changes behind it, once there are some.
    journal: Option<Journal>,
}

impl Disk {
    /// The place and what is there, if that is anything.
    pub(crate) fn open(env: &Env, file: PathBuf) -> Result<(Disk, Data), OpenError> {
        let data = load(env, &file)?.unwrap_or_default();
        let disk = Disk { env: env.clone(), file, index: data.index(), base: None, journal: None };
        Ok((disk, data))
    }

    /// The version that is there.
    #[cfg(test)]
    pub(crate) fn index(&self) -> MetaIndex {
        self.index
    }

    /// Keeps `data` if it is newer than what is there. When the disk refuses, the node goes on with what it knows; after a
    /// restart it starts with the older copy and asks.
    pub(crate) fn save(&mut self, data: &Data) {
        if data.index() <= self.index {
            return;
        }
        self.journal = None;
        let body = encode_snapshot(data);
        let base = Base { index: data.index(), checksum: crc32fast::hash(&body) };
        match self.env.fs().replace(&self.file, &around(&body)) {
            Ok(()) => {
                self.index = data.index();
                self.base = Some((base, body.len()));
            }
            Err(error) => {
                // Nobody knows what is there now.
                self.base = None;
                tracing::warn!(%error, file = %self.file.display(), "metadata was not saved");
            }
        }
    }

    /// As [`Disk::save`], where `changes` lead from version `from` to `data`: only they are written when that is less.
    pub(crate) fn follow(&mut self, from: MetaIndex, changes: &[Change], data: &Data) {
        if data.index() <= self.index {
            return;
        }
        if from == self.index
            && let Some((base, bytes)) = self.base
            && self.is_worth_it(changes, bytes)
        {
            let changes: Vec<_> = changes.iter().filter(|change| change.index > from).cloned().collect();
            match self.append(base, &changes) {
                Ok(()) => {
                    self.index = data.index();
                    return;
                }
                Err(error) => {
                    tracing::warn!(%error, file = %self.file.display(), "changes of the metadata were not saved");
                }
            }
        }
        self.save(data);
    }

    fn append(&mut self, base: Base, changes: &[Change]) -> io::Result<()> {
        // What was refused is not used again.
        let journal = match self.journal.take() {
            Some(mut journal) => journal.append(changes).map(|()| journal)?,
            None => Journal::create(&self.env, &journal_of(&self.file), base, changes)?,
        };
        self.journal = Some(journal);
        Ok(())
    }

    /// Whether the journal may get that long; and without one, whether the next change is the first behind the copy.
    fn is_worth_it(&self, changes: &[Change], base_bytes: usize) -> bool {
        let more: usize = changes.iter().map(|change| change.entry.len()).sum();
        let is_there = match &self.journal {
            Some(journal) => usize::try_from(journal.len()).unwrap_or(usize::MAX),
            None if self.base.is_some_and(|(base, _)| base.index == self.index) => 0,
            None => return false,
        };
        is_there.saturating_add(more) <= base_bytes.clamp(JOURNAL_BYTES_MIN, JOURNAL_BYTES_MAX)
    }
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
