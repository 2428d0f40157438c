//! Files and directories.
//!
//! Calls block; whoever is on an async thread goes through [`crate::Env::blocking`]. What survives a crash is what a
//! caller may count on, in both worlds: file contents and length after [`File::sync`], names after [`Fs::sync_dir`] of
//! the directory that holds them. Nothing else.

use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// To read; it must exist.
    Read,
    /// To read and write; it must exist.
    ReadWrite,
    /// To read and write; made when missing. Mode 0600.
    Create,
    /// To read and write; it must not exist yet. Mode 0600.
    CreateNew,
    /// To add to, by [`File::append`] alone; made when missing. Mode 0640: for logs that operators read.
    Append,
}

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// The name alone.
    pub name: String,
    /// Whether it is a directory.
    pub is_dir: bool,
}

/// An open file. Positions are explicit, so one handle serves many threads.
pub trait File: Send + Sync + Debug {
    /// Reads at `offset` into `buf`; fewer bytes only at the end of the file.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`, growing the file as needed.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Writes all of `bytes` behind the end, wherever it is by then: the file may have been cut by somebody else. After an
    /// error a part of them may be there.
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.write_at(self.len()?, bytes)
    }

    /// Writes the parts one behind the other at `offset`, as one [`File::write_at`] of all of them would.
    fn write_parts_at(&self, offset: u64, parts: &[&[u8]]) -> io::Result<()> {
        self.write_at(offset, &parts.concat())
    }

    /// Makes contents and length durable. After an error nobody can know what reached the disk: never sync again and
    /// count on it.
    fn sync(&self) -> io::Result<()>;

    /// Cuts the file or fills it with zeros up to `len` bytes.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Sees to it that the first `len` bytes have their place on the disk, growing the file with zeros as needed; never
    /// cuts it. `StorageFull` when they have none; the file is then as long as before.
    fn allocate(&self, len: u64) -> io::Result<()> {
        if self.len()? < len { self.set_len(len) } else { Ok(()) }
    }

    /// Its length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Whether it has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Reads exactly `buf.len()` bytes at `offset`; `UnexpectedEof` when there are fewer.
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let mut done = 0;
        while done < buf.len() {
            match self.read_at(offset + done as u64, &mut buf[done..])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => done += count,
            }
        }
        Ok(())
    }
}

/// Held while a process owns a directory; released when dropped or when the process ends.
pub trait DirLock: Send + Sync + Debug {}

/// A file system.
pub trait Fs: Send + Sync + Debug {
    /// Makes a directory and its parents, mode 0700; no error when it exists. Durable after syncing each parent.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// The entries of a directory, sorted by name.
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>>;

    /// Opens a file.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>>;

    /// Gives a file or directory another name, replacing a file that has it. Durable after [`Fs::sync_dir`].
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file. Durable after [`Fs::sync_dir`].
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes a directory with all it holds. Durable after [`Fs::sync_dir`] of its parent.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Whether a file or directory of this name exists.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// The length of a file in bytes, without opening it.
    fn file_bytes(&self, path: &Path) -> io::Result<u64> {
        self.open(path, OpenMode::Read)?.len()
    }

    /// Who may do what with a file: the last nine bits of its mode. A simulated disk has one user.
    fn mode(&self, path: &Path) -> io::Result<u32> {
        self.open(path, OpenMode::Read).map(|_| 0o600)
    }

    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Takes the lock of a directory (a file `name` in it). `WouldBlock` when another process holds it.
    fn lock(&self, dir: &Path, name: &str) -> io::Result<Box<dyn DirLock>>;

    /// Time that a simulated disk has spent since this was asked last and that nobody has waited for yet. A real disk
    /// makes its callers wait by itself.
    fn take_time_spent(&self) -> Duration {
        Duration::ZERO
    }

    /// Bytes that an unprivileged process may still write to the disk that holds `path`.
    fn free_bytes(&self, path: &Path) -> io::Result<u64>;

    /// [`Fs::create_dir_all`] whose result survives a crash: every directory that got a new entry is synced. Those that
    /// were there are taken to be durable; after an error, some may be there that are not.
    fn create_dir_durable(&self, dir: &Path) -> io::Result<()> {
        let mut parents = Vec::new();
        let mut missing = dir;
        while !self.exists(missing)? {
            let Some(parent) = missing.parent() else { break };
            // The parent of a relative name of one part is the empty path: the current directory.
            parents.push(if parent.as_os_str().is_empty() { Path::new(".") } else { parent });
            missing = parents[parents.len() - 1];
        }
        self.create_dir_all(dir)?;
        parents.iter().rev().try_for_each(|parent| self.sync_dir(parent))
    }

    /// The whole contents of a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self.open(path, OpenMode::Read)?;
        let mut bytes = vec![0; usize::try_from(file.len()?).map_err(io::Error::other)?];
        file.read_exact_at(0, &mut bytes)?;
        Ok(bytes)
    }

    /// Puts `bytes` into a file so that after a crash there is the old file or the new one, never a part: written
    /// beside it, synced, renamed, directory synced.
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let dir = path.parent().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        let mut beside = path.as_os_str().to_owned();
        beside.push(".new");
        let beside = PathBuf::from(beside);
        let file = self.open(&beside, OpenMode::Create)?;
        file.set_len(0)?;
        file.write_at(0, bytes)?;
        file.sync()?;
        drop(file);
        self.rename(&beside, path)?;
        self.sync_dir(dir)
    }
}
