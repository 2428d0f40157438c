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
use crate::error::{Unavailable, WriteError};
use crate::index::Index;
use crate::manifest::{Manifest, ManifestError};
use crate::memory::MemoryTable;
use crate::read::ShardReader;
use crate::usage::Usage;
use crate::wal;

#[derive(Debug)]
pub(crate) struct Core {
    pub(super) env: Env,
    pub(super) config: Arc<StoreConfig>,
    pub(super) usage: Arc<Usage>,
    pub(super) dir: PathBuf,
    pub(super) id: ShardId,
    pub(super) index: Arc<RwLock<Index>>,
    pub(super) writer: Mutex<Writer>,
    damage: Mutex<Option<String>>,
    log_failed: AtomicBool,
    /// Set once, when the shard takes no calls any more.
    retired: AtomicBool,
}

/// What a write changes.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(super) memory: MemoryTable,
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
    pub(super) fn open(
        env: &Env,
        config: &Arc<StoreConfig>,
        usage: &Arc<Usage>,
        dir: &Path,
        id: ShardId,
    ) -> Result<Core, OpenFault> {
        let mut manifest = Manifest::load(env, dir).map_err(|error| match error {
            ManifestError::Io(error) if error.kind() != io::ErrorKind::NotFound => OpenFault::Disk(error.to_string()),
            other => OpenFault::Damaged(other.to_string()),
        })?;
        let core = Core {
            env: env.clone(),
            config: config.clone(),
            usage: usage.clone(),
            dir: dir.to_owned(),
            id,
            index: Arc::new(RwLock::new(Index::new(env.random_u64()))),
            writer: Mutex::new(Writer {
                memory: MemoryTable::default(),
                log: None,
                clock_max: 0,
                written_at: env.monotonic(),
                counted_bytes: 0,
            }),
            damage: Mutex::new(None),
            log_failed: AtomicBool::new(false),
            retired: AtomicBool::new(false),
        };
        core.open_log(&mut manifest)?;
        Ok(core)
    }

    /// Opens the log and puts what it holds into memory.
    fn open_log(&self, manifest: &mut Manifest) -> Result<(), OpenFault> {
        let mut writer = self.writer.lock();
        let mut broken = None;
        let opened = wal::open(&self.env, &self.dir, &self.config, manifest.flushed, &mut |position, bytes| match self
            .replay(&mut writer, position, bytes)
        {
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
        if recovery.has_losses() || (recovery.is_new && manifest.flushed != wal::Position::START) {
            *self.damage.lock() = Some(format!("write-ahead log lost records: {:?}", recovery.fenced));
        }
        if recovery.is_new && manifest.flushed != wal::Position::START {
            // Positions of a new log start over.
            manifest.flushed = wal::Position::START;
            manifest.store(&self.env, &self.dir).map_err(|error| OpenFault::Disk(error.to_string()))?;
        }
        writer.log = Some(log);
        Ok(())
    }

    fn replay(&self, writer: &mut Writer, position: wal::Position, bytes: &[u8]) -> Result<(), String> {
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
        let series_count = self.index.read().series_count();
        ShardReader::new(self.index.clone(), series_count, Arc::new(runs))
    }

    pub(super) fn clock_max(&self) -> u64 {
        self.writer.lock().clock_max
    }

    pub(super) fn memory_bytes(&self) -> u64 {
        self.writer.lock().memory.byte_count() as u64
    }

    pub(super) fn file_bytes(&self) -> u64 {
        0
    }

    /// Takes no writes and starts no flush from now on; its memory no longer counts.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::SeqCst);
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
        let now = writer.memory.byte_count() as u64;
        self.usage.change(writer.counted_bytes, now);
        writer.counted_bytes = now;
    }

    /// An append or a sync was refused. After anything but a full disk the shard has to be opened again: nobody knows
    /// what the disk has.
    pub(super) fn log_refused(&self, error: AppendError) -> WriteError {
        if matches!(error, AppendError::Io { .. } | AppendError::Failed) {
            self.log_failed.store(true, Ordering::SeqCst);
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
