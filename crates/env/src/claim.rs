//! Taking a directory for one program and one process.
//!
//! A mark, a small file, says that a directory is ours and in which format; a lock, another file, that a process uses
//! it. A directory without the mark is taken only when nothing in it is anybody else's. Everything is looked at before
//! anything is written, so that a directory that is refused is as it was.
//!
//! The mark: eight bytes of magic, the version (4 bytes) and the CRC-32 of both (4 bytes), little endian.

use std::io;
use std::path::{Path, PathBuf};

use crate::fs::{DirEntry, DirLock, Fs};

/// What a kind of directory is known by.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// What it is for, as in "the data directory".
    pub what: &'static str,
    /// The name of the mark.
    pub mark: &'static str,
    /// The first bytes of the mark.
    pub magic: [u8; 8],
    /// The version that is written, and the latest that is read.
    pub version: u32,
    /// The name of the lock.
    pub lock: &'static str,
}

/// The directory was not taken. It is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// Another process uses it.
    #[error("the {what} directory {} is in use by another process", .dir.display())]
    Locked {
        /// What it is for.
        what: &'static str,
        /// The directory.
        dir: PathBuf,
    },
    /// It holds what this program did not write.
    #[error(
        "the {what} directory {} holds {found:?}, which this program did not write; it is left untouched: give a \
         directory that is new, empty or this program's own", .dir.display()
    )]
    Foreign {
        /// What it is for.
        what: &'static str,
        /// The directory.
        dir: PathBuf,
        /// The first name that is none of ours.
        found: String,
    },
    /// A later release wrote it.
    #[error(
        "the {what} directory {} has format {found}, this release knows up to {known}; it is left untouched: start the \
         release that wrote it", .dir.display()
    )]
    Newer {
        /// What it is for.
        what: &'static str,
        /// The directory.
        dir: PathBuf,
        /// The version in the directory.
        found: u32,
        /// The latest version that this release knows.
        known: u32,
    },
    /// The mark is damaged.
    #[error("the file {} is damaged; it is left untouched", .0.display())]
    Damaged(PathBuf),
    /// The disk refused.
    #[error("open the {what} directory {}: {source}", .dir.display())]
    Io {
        /// What it is for.
        what: &'static str,
        /// The directory.
        dir: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
}

/// Tells of an entry of an unmarked directory what in it is not ours, as a path from the directory.
pub type Stranger<'a> = &'a dyn Fn(&DirEntry) -> io::Result<Option<String>>;

/// Nothing else may be there.
pub fn all_are_strangers(entry: &DirEntry) -> io::Result<Option<String>> {
    Ok(Some(entry.name.clone()))
}

impl Claim {
    /// Whether the directory has our mark. Reads only.
    ///
    /// # Errors
    /// When it can never be taken: what it holds is not ours, newer or damaged.
    pub fn check(&self, fs: &dyn Fs, dir: &Path, stranger: Stranger<'_>) -> Result<bool, ClaimError> {
        let io = |source| ClaimError::Io { what: self.what, dir: dir.to_owned(), source };
        let mark = dir.join(self.mark);
        if !fs.exists(&mark).map_err(io)? {
            let unfinished = format!("{}.new", self.mark);
            let known = |entry: &DirEntry| match entry.name == self.lock || entry.name == unfinished {
                true => Ok(None),
                false => stranger(entry),
            };
            return refuse_strangers(fs, self.what, dir, &known).map(|()| false);
        }
        let bytes = fs.read(&mark).map_err(io)?;
        let Some(version) = bytes.strip_prefix(&self.magic).and_then(|rest| rest.first_chunk()) else {
            return Err(ClaimError::Damaged(mark));
        };
        let (found, known) = (u32::from_le_bytes(*version), self.version);
        if found > known {
            return Err(ClaimError::Newer { what: self.what, dir: dir.to_owned(), found, known });
        }
        let sum = bytes.split_last_chunk().map(|(body, sum)| crc32fast::hash(body) == u32::from_le_bytes(*sum));
        if sum == Some(true) { Ok(true) } else { Err(ClaimError::Damaged(mark)) }
    }

    /// Takes the directory, making and marking it when it is missing or without a mark; durable when it returns.
    ///
    /// # Errors
    /// As [`Claim::check`], and when another process has it.
    pub fn take(&self, fs: &dyn Fs, dir: &Path, stranger: Stranger<'_>) -> Result<Box<dyn DirLock>, ClaimError> {
        let io = |source| ClaimError::Io { what: self.what, dir: dir.to_owned(), source };
        let is_marked = self.check(fs, dir, stranger)?;
        fs.create_dir_durable(dir).map_err(io)?;
        let lock = fs.lock(dir, self.lock).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => ClaimError::Locked { what: self.what, dir: dir.to_owned() },
            _ => io(error),
        })?;
        if !is_marked {
            self.write_mark(fs, dir).map_err(io)?;
        }
        Ok(lock)
    }

    fn write_mark(&self, fs: &dyn Fs, dir: &Path) -> io::Result<()> {
        let mut bytes = self.magic.to_vec();
        bytes.extend_from_slice(&self.version.to_le_bytes());
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        // Again where an earlier try made the directory and failed before it was durable.
        if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs.sync_dir(parent)?;
        }
        fs.replace(&dir.join(self.mark), &bytes)
    }
}

/// Refuses a directory that holds what is not ours. What file systems and people keep everywhere, `lost+found` and names
/// with a dot in front, is no reason.
///
/// # Errors
/// [`ClaimError::Foreign`] with the first such name, and the disk's.
pub fn refuse_strangers(fs: &dyn Fs, what: &'static str, dir: &Path, stranger: Stranger<'_>) -> Result<(), ClaimError> {
    let io = |source| ClaimError::Io { what, dir: dir.to_owned(), source };
    if !fs.exists(dir).map_err(io)? {
        return Ok(());
    }
    for entry in fs.list(dir).map_err(io)? {
        if entry.name == "lost+found" || entry.name.starts_with('.') {
            continue;
        }
        if let Some(found) = stranger(&entry).map_err(io)? {
            return Err(ClaimError::Foreign { what, dir: dir.to_owned(), found });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Env;

    const CLAIM: Claim = Claim { what: "test", mark: "ours", magic: *b"TESTMARK", version: 1, lock: "lock" };

    fn take(dir: &Path) -> Result<Box<dyn DirLock>, ClaimError> {
        CLAIM.take(&**Env::real().fs(), dir, &all_are_strangers)
    }

    #[test]
    fn one_process_has_it_at_a_time() {
        let temp = tempfile::tempdir().expect("a directory");
        let dir = temp.path().join("a").join("b");
        let lock = take(&dir).expect("made");
        assert!(matches!(take(&dir), Err(ClaimError::Locked { .. })));
        drop(lock);
        take(&dir).expect("free again");
    }

    #[test]
    fn what_is_not_ours_is_named_and_left_alone() {
        let temp = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(temp.path().join("lost+found")).expect("made");
        std::fs::write(temp.path().join(".keep"), b"").expect("written");
        std::fs::write(temp.path().join("meta.db"), b"x").expect("written");
        let refused = take(temp.path()).expect_err("foreign").to_string();
        assert!(refused.contains("holds \"meta.db\", which this program did not write"), "{refused}");
        assert_eq!(std::fs::read_dir(temp.path()).expect("listed").count(), 3);
        std::fs::remove_file(temp.path().join("meta.db")).expect("removed");
        drop(take(temp.path()).expect("ours"));
        // Once it is marked, others may put things there.
        std::fs::write(temp.path().join("meta.db"), b"x").expect("written");
        take(temp.path()).expect("ours");
    }

    #[test]
    fn later_and_damaged_marks_are_told_apart() {
        let temp = tempfile::tempdir().expect("a directory");
        drop(take(temp.path()).expect("made"));
        let mark = temp.path().join(CLAIM.mark);
        let mut bytes = std::fs::read(&mark).expect("the mark");
        bytes[8] = 2;
        std::fs::write(&mark, &bytes).expect("written");
        assert!(matches!(take(temp.path()), Err(ClaimError::Newer { found: 2, known: 1, .. })));
        bytes[8] = 1;
        bytes[13] ^= 1;
        std::fs::write(&mark, &bytes).expect("written");
        assert!(matches!(take(temp.path()), Err(ClaimError::Damaged(_))));
    }
}
