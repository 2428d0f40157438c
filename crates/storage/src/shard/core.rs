//! An open shard.
//!
//! Locks, in the order in which they may be taken: `maintenance` (one flush or compaction at a time, held during its
//! disk I/O), `writer` (the memory table and which log takes appends; short), `index`.

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use block_codec::batch;
use env::Env;
use model::ShardId;
use parking_lot::{Mutex, RwLock};
use seglog::{AppendError, Log};

use crate::config::StoreConfig;
use crate::digest::{Cell, CellShape, DigestCache, Replaced};
use crate::error::{ReadError, Unavailable, WriteError};
use crate::file::{self, ChunkCache, DataFile, file_path};
use crate::index::Index;
use crate::manifest::{Manifest, ManifestError};
use crate::memory::{MemoryTable, Runs};
use crate::read::ShardReader;
use crate::shard::maintain;
use crate::usage::{Shared, Usage};
use crate::wal::{self, Position};

/// A log that took no record for this long gives its file back.
const LOG_IDLE: Duration = Duration::from_secs(60);

/// Most replacements that are remembered for the next digest.
const REPLACED_MAX: usize = 1_024;

#[derive(Debug)]
pub(crate) struct Core {
    pub(super) env: Env,
    pub(super) config: Arc<StoreConfig>,
    pub(super) usage: Arc<Usage>,
    pub(super) dir: PathBuf,
    pub(super) id: ShardId,
    pub(super) index: Arc<RwLock<Index>>,
    pub(super) cache: Arc<ChunkCache>,
    /// The manifest as it is on the disk, or may be.
    pub(super) maintenance: Mutex<Manifest>,
    pub(super) writer: Mutex<Writer>,
    /// What was found out about cells. Taken before `writer`; held while cells are computed.
    digests: Mutex<DigestCache>,
    damage: Mutex<Option<String>>,
    log_failed: AtomicBool,
    /// Set once, when the shard takes no calls any more.
    retired: AtomicBool,
}

/// What a write changes.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(super) memory: MemoryTable,
    /// What is being flushed: still to be read, not yet in a file.
    pub(super) frozen: Option<Arc<Runs>>,
    /// Older content first.
    pub(super) files: Arc<[Arc<DataFile>]>,
    /// Which files took the place of which runs and files, since the last digest.
    pub(super) replaced: Vec<Replaced>,
    /// `None` while it is being replayed.
    pub(super) log: Option<Log>,
    /// The largest clock of a stamp.
    pub(super) clock_max: u64,
    /// When the last write came, by the monotonic clock.
    pub(super) written_at: Duration,
    /// What this shard has added to the usage of all.
    counted_bytes: u64,
}

/// Why a shard did not open.
#[derive(Debug)]
pub(super) enum OpenFault {
    /// Its files are not what was written.
    Damaged(String),
    /// The disk refused; another try may succeed.
    Disk(String),
}

impl Core {
    /// Opens the shard in `dir`.
    pub(super) fn open(env: &Env, shared: &Shared, dir: &Path, id: ShardId) -> Result<Core, OpenFault> {
        let manifest = Manifest::load(env, dir).map_err(|error| match error {
            ManifestError::Io(error) if error.kind() != io::ErrorKind::NotFound => OpenFault::Disk(error.to_string()),
            other => OpenFault::Damaged(other.to_string()),
        })?;
        let core = Core {
            env: env.clone(),
            config: shared.config.clone(),
            usage: shared.usage.clone(),
            dir: dir.to_owned(),
            id,
            index: Arc::new(RwLock::new(Index::new(env.random_u64()))),
            cache: shared.cache.clone(),
            maintenance: Mutex::new(manifest.clone()),
            writer: Mutex::new(Writer {
                memory: MemoryTable::default(),
                frozen: None,
                files: Arc::default(),
                replaced: Vec::new(),
                log: None,
                clock_max: manifest.files.iter().map(|file| file.clock_max).max().unwrap_or(0),
                written_at: env.monotonic(),
                counted_bytes: 0,
            }),
            digests: Mutex::default(),
            damage: Mutex::new(None),
            log_failed: AtomicBool::new(false),
            retired: AtomicBool::new(false),
        };
        core.remove_unlisted(&manifest).map_err(|error| OpenFault::Disk(error.to_string()))?;
        let files = maintain::open_files(&core, &manifest).map_err(|error| match &error {
            ReadError::Io { .. } => OpenFault::Disk(error.to_string()),
            _ => OpenFault::Damaged(error.to_string()),
        })?;
        core.writer.lock().files = files.into();
        if let Err(fault) = core.open_log(manifest.flushed) {
            core.retire();
            return Err(fault);
        }
        Ok(core)
    }

    /// Removes data files that no manifest lists: a crash left them behind.
    fn remove_unlisted(&self, manifest: &Manifest) -> io::Result<()> {
        let fs = self.env.fs();
        for entry in fs.list(&self.dir)? {
            let Some(number) = file::number_of(&entry.name) else { continue };
            let listed = file_path(&self.dir, number).file_name().is_some_and(|name| name == entry.name.as_str())
                && manifest.files.iter().any(|file| file.number == number);
            if !listed {
                fs.remove_file(&self.dir.join(&entry.name))?;
            }
        }
        Ok(())
    }

    /// Opens the log and puts what it holds into memory.
    fn open_log(&self, flushed: Position) -> Result<(), OpenFault> {
        let mut manifest = self.maintenance.lock();
        let mut writer = self.writer.lock();
        let mut broken = None;
        let opened = wal::open(&self.env, &self.dir, &self.config, flushed, &mut |position, bytes| match self.replay(
            &mut writer,
            position,
            bytes,
        ) {
            Ok(()) => ControlFlow::Continue(()),
            Err(reason) => {
                broken = Some(reason);
                ControlFlow::Break(())
            }
        });
        let (log, recovery) = opened.map_err(|error| match (broken, &error) {
            (Some(reason), _) => OpenFault::Damaged(reason),
            (None, seglog::OpenError::Io { source, .. }) => OpenFault::Disk(format!("{error}: {source}")),
            (None, _) => OpenFault::Damaged(error.to_string()),
        })?;
        let is_gone = recovery.is_new && flushed != Position::START;
        if recovery.has_losses() {
            let ranges = recovery.fenced.iter().filter(|fenced| fenced.cause != seglog::Cause::NeverDurable);
            let ranges: Vec<_> = ranges.map(|fenced| format!("{} to {}", fenced.start, fenced.end)).collect();
            *self.damage.lock() = Some(format!("write-ahead log lost records at {}", ranges.join(", ")));
        }
        if is_gone {
            *self.damage.lock() = Some("write-ahead log is gone".to_owned());
            // Positions of a new log start over.
            manifest.flushed = Position::START;
            manifest.store(&self.env, &self.dir).map_err(|error| OpenFault::Disk(error.to_string()))?;
        }
        writer.log = Some(log);
        Ok(())
    }

    fn replay(&self, writer: &mut Writer, position: Position, bytes: &[u8]) -> Result<(), String> {
        let (stamp, record) = wal::split(bytes).ok_or("write-ahead log: a record is no batch")?;
        let batch = batch::decode(record).map_err(|error| format!("write-ahead log at {position}: {error}"))?;
        let resolved = self.resolve(&batch);
        self.apply(writer, stamp, &batch, resolved);
        Ok(())
    }

    /// The shard as it is now.
    pub(super) fn read(&self) -> ShardReader {
        let mut writer = self.writer.lock();
        let runs = writer.memory.runs();
        self.count_memory(&mut writer);
        ShardReader::new(self.index.clone(), writer.files.clone(), writer.frozen.clone(), runs)
    }

    /// What copies compare.
    pub(super) fn digest(&self, shape: CellShape) -> Result<Vec<Cell>, ReadError> {
        let mut digests = self.digests.lock();
        let replaced = std::mem::take(&mut self.writer.lock().replaced);
        let reader = self.read();
        digests.cells(&reader, shape, &replaced)
    }

    /// Remembers that a file holds what others held. Forgetting it would only cost time.
    pub(super) fn note_replaced(writer: &mut Writer, inputs: Vec<u64>, output: u64) {
        if writer.replaced.len() < REPLACED_MAX {
            writer.replaced.push(Replaced { inputs, output });
        }
    }

    pub(super) fn clock_max(&self) -> u64 {
        self.writer.lock().clock_max
    }

    /// Bytes of the memory table, about, and the time since the last write.
    pub(crate) fn memory(&self) -> (u64, Duration) {
        let writer = self.writer.lock();
        (writer.memory.byte_count() as u64, self.env.monotonic().saturating_sub(writer.written_at))
    }

    pub(super) fn file_bytes(&self) -> u64 {
        self.writer.lock().files.iter().map(|file| file.entry.bytes).sum()
    }

    /// Takes no writes and starts no flush from now on; its memory no longer counts. Waits for a flush or merge that is
    /// under way, so that nobody else changes the directory afterwards. A log that is whole is closed.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::SeqCst);
        drop(self.maintenance.lock());
        if let Some(log) = self.writer.lock().log.take()
            && !log.is_failed()
        {
            // It only saves the next open some work.
            let _ = log.close_idle();
        }
        let mut writer = self.writer.lock();
        self.usage.change(writer.counted_bytes, 0);
        writer.counted_bytes = 0;
    }

    pub(super) fn check_usable(&self) -> Result<(), Unavailable> {
        if self.retired.load(Ordering::SeqCst) { Err(Unavailable::Closed) } else { Ok(()) }
    }

    /// Tells all shards' usage what this one has now.
    pub(super) fn count_memory(&self, writer: &mut Writer) {
        if self.retired.load(Ordering::SeqCst) {
            return;
        }
        let frozen =
            writer.frozen.iter().flat_map(|runs| runs.iter().flatten()).map(|run| run.byte_count()).sum::<usize>();
        let now = (writer.memory.byte_count() + frozen) as u64;
        self.usage.change(writer.counted_bytes, now);
        writer.counted_bytes = now;
    }

    /// Makes the log durable where its delay has passed, and closes its file when nobody has written for a while.
    pub(crate) fn tend_log(&self) {
        let (log, idle) = {
            let writer = self.writer.lock();
            (writer.log.clone(), self.env.monotonic().saturating_sub(writer.written_at))
        };
        let Some(log) = log else { return };
        let tended = log.sync_overdue().and_then(|()| match idle >= LOG_IDLE {
            true => log.close_idle().map(|_| ()),
            false => Ok(()),
        });
        if let Err(error) = tended {
            self.log_refused(error);
        }
    }

    /// An append or a sync was refused. After anything but a full disk the shard has to be opened again: nobody knows
    /// what the disk has.
    pub(super) fn log_refused(&self, error: AppendError) -> WriteError {
        match error {
            AppendError::Io { .. } | AppendError::Failed => self.log_failed.store(true, Ordering::SeqCst),
            AppendError::Full => self.usage.note_refused(self.env.fs().free_bytes(&self.dir).unwrap_or(0)),
            AppendError::TooLong { .. } => {}
        }
        wal::write_error(error)
    }

    /// Whether the log takes nothing any more until the shard was opened again.
    pub(super) fn has_failed(&self) -> bool {
        self.log_failed.load(Ordering::SeqCst)
    }

    /// What was found damaged and waits for repair, although the shard works.
    pub(super) fn damage(&self) -> Option<String> {
        self.damage.lock().clone()
    }
}
