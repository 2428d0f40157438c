//! The file, open; and what happens when the disk has no space for it.
//!
//! openraft takes every failed write for the end of the node, and redb does not go on with a file after one. A full disk
//! passes, though: a node that runs waits for space, opens the file anew (which takes back what was begun) and does the
//! same once more. Meanwhile it is to the others as if it were not there. Only writes wait. A sync that fails is the end:
//! what the disk has then cannot be known.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use env::{DirLock, Env, OpenMode};
use redb::Database;
use tokio::sync::{RwLock, watch};

use super::{CACHE_BYTES, StoreError};
use crate::raft::backend::Backend;

/// How long to wait before the disk is tried again.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) struct LogFile {
    path: PathBuf,
    // Closed before the lock is let go: fields drop in order.
    open: Arc<RwLock<Opened>>,
    _lock: Arc<dyn DirLock>,
    patience: watch::Sender<Patience>,
    is_full: AtomicBool,
}

/// The file, shared by those who work with it.
struct Opened {
    /// How often it was opened.
    times: u64,
    /// `None` when it could not be opened again, for want of space.
    database: Option<Database>,
}

/// Whether a write waits for space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patience {
    /// Not while the node starts: who started it is told.
    NotYet,
    Waits,
    /// Not any more: the node ends.
    Over,
}

impl LogFile {
    /// Opens the file, or makes it. Blocks.
    pub(super) fn open(env: &Env, path: &Path, lock: Arc<dyn DirLock>) -> Result<LogFile, StoreError> {
        let fs = env.fs();
        let existed = fs.exists(path)?;
        let database = open(env, path)?;
        if !existed && let Some(dir) = path.parent() {
            fs.sync_dir(dir)?;
        }
        Ok(LogFile {
            path: path.to_owned(),
            open: Arc::new(RwLock::new(Opened { times: 0, database: Some(database) })),
            _lock: lock,
            patience: watch::Sender::new(Patience::NotYet),
            is_full: AtomicBool::new(false),
        })
    }

    /// From now on a full disk is waited for.
    pub(super) fn be_patient(&self) {
        self.patience.send_if_modified(|patience| std::mem::replace(patience, Patience::Waits) != Patience::Waits);
    }

    /// Nobody waits any more.
    pub(super) fn give_up(&self) {
        self.patience.send_replace(Patience::Over);
    }

    /// Whether a write waits for space.
    pub(super) fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Acquire)
    }

    /// Does `work` off the async threads, again and again while the disk is full. It must do the same each time, and
    /// nothing more the second time than the first.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        env: &Env,
        work: impl Fn(&Database) -> Result<T, StoreError> + Send + Sync + 'static,
    ) -> Result<T, StoreError> {
        let work = Arc::new(work);
        loop {
            let (opened, work) = (Arc::clone(&self.open).read_owned().await, Arc::clone(&work));
            let times = opened.times;
            let done = env.blocking(move || match &opened.database {
                Some(database) => work(database),
                None => Err(StoreError::Io(io::ErrorKind::StorageFull.into())),
            });
            match done.await {
                Err(error) if error.is_for_want_of_space() || (self.is_full() && error.is_of_before()) => {
                    self.wait_for_space(env, times, error).await?;
                }
                done => return done,
            }
        }
    }

    /// A write has succeeded.
    pub(super) fn note_space(&self) {
        if self.is_full.swap(false, Ordering::AcqRel) {
            tracing::info!(file = %self.path.display(), "there is space again");
        }
    }

    /// Waits a little and opens the file anew, unless somebody has done so since it was opened for the time `times`.
    async fn wait_for_space(&self, env: &Env, times: u64, error: StoreError) -> Result<(), StoreError> {
        let mut patience = self.patience.subscribe();
        if *patience.borrow_and_update() != Patience::Waits {
            return Err(error);
        }
        if !self.is_full.swap(true, Ordering::AcqRel) {
            tracing::error!(%error, "no space left for the log of the metadata; this node waits until there is some");
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            _ = patience.wait_for(|patience| *patience == Patience::Over) => return Err(error),
        }
        // Nobody works with it from here on.
        let mut opened = Arc::clone(&self.open).write_owned().await;
        if opened.times != times {
            return Ok(());
        }
        let (again, path) = (env.clone(), self.path.clone());
        env.blocking(move || {
            opened.times += 1;
            opened.database = None;
            match open(&again, &path) {
                Ok(database) => opened.database = Some(database),
                Err(error) if error.is_for_want_of_space() => {}
                Err(error) => return Err(error),
            }
            Ok(())
        })
        .await
    }
}

fn open(env: &Env, path: &Path) -> Result<Database, StoreError> {
    let file = env.fs().open(path, OpenMode::Create)?;
    Ok(redb::Builder::new().set_cache_size(CACHE_BYTES).create_with_backend(Backend(file))?)
}

impl StoreError {
    /// Whether the same may be done once there is space on the disk.
    fn is_for_want_of_space(&self) -> bool {
        let is_full =
            |error: &io::Error| matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        match self {
            StoreError::Io(error) => is_full(error),
            StoreError::Redb(error) => matches!(&**error, redb::Error::Io(error) if is_full(error)),
            _ => false,
        }
    }

    /// Whether redb refuses because of an error of before.
    fn is_of_before(&self) -> bool {
        matches!(self, StoreError::Redb(error) if matches!(**error, redb::Error::PreviousIo))
    }
}
