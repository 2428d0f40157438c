//! A file system whose syncs of some files do nothing: what a server looks like that acknowledges too early.
//!
//! The first sync of a file is done, so that files have their heads and nobody refuses to open them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use env::simulated::SimDisk;
use env::{DirEntry, DirLock, File, Fs, OpenMode};

/// Syncs of files in the folders below one directory do nothing and succeed, but for the first of each; everything else
/// is done by the disk.
#[derive(Debug)]
pub struct LyingFs {
    disk: SimDisk,
    below: PathBuf,
}

impl LyingFs {
    /// Lies about files below `below`.
    pub fn new(disk: SimDisk, below: &Path) -> LyingFs {
        LyingFs { disk, below: below.to_owned() }
    }
}

impl Fs for LyingFs {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.disk.create_dir_all(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.disk.list(dir)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let file = self.disk.open(path, mode)?;
        let lies = path.strip_prefix(&self.below).is_ok_and(|inner| inner.components().count() > 1);
        Ok(if lies { Arc::new(LyingFile { file, is_synced: AtomicBool::new(false) }) } else { file })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_dir_all(path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.disk.exists(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }

    fn lock(&self, dir: &Path, name: &str) -> io::Result<Box<dyn DirLock>> {
        self.disk.lock(dir, name)
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        self.disk.free_bytes(path)
    }
}

#[derive(Debug)]
struct LyingFile {
    file: Arc<dyn File>,
    is_synced: AtomicBool,
}

impl File for LyingFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, buf)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_at(offset, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        if self.is_synced.swap(true, Ordering::AcqRel) { Ok(()) } else { self.file.sync() }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}
