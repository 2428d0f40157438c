//! One shard: everything that a node keeps of the series of one shard group that share owners.
//!
//! A shard is a directory of its own (see `docs/format/shard.md`) with a manifest, a log and data files. It is opened
//! when it is first used: until then it costs an entry in a map. What is open is a [`core::Core`].
//!
//! Invariants
//! - A damaged shard answers nothing and takes nothing; it says why, and the other shards go on.
//! - Every acked write is in the log or in a data file that the manifest lists, synced.

mod core;
mod maintain;
mod mark;
mod write;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use env::Env;
use model::{Batch, ShardId, Stamp};
use parking_lot::Mutex;

use crate::digest::{self, Cell, CellShape};
use crate::error::{MaintenanceError, ReadError, Unavailable, WriteError};
use crate::manifest::{Manifest, ManifestError};
use crate::read::ShardReader;
use crate::usage::Shared;

pub use mark::MARK_BYTES_MAX;
pub(crate) use mark::fuzz as fuzz_mark;
pub use write::{Origin, Pending, Written};

pub(crate) use self::core::Core;
use self::core::OpenFault;

/// A shard of this node. Cheap to share; calls block.
#[derive(Debug)]
pub struct Shard {
    id: ShardId,
    db: String,
    rp: String,
    dir: PathBuf,
    env: Env,
    shared: Shared,
    /// As its files were when the store opened.
    cold: ColdInfo,
    /// Guards opening and closing. Disk I/O happens under it, of this shard only.
    life: Mutex<Life>,
}

/// What a manifest tells of its shard's files.
#[derive(Clone, Copy, Debug, Default)]
struct ColdInfo {
    bytes: u64,
    clock_max: u64,
}

#[derive(Debug)]
enum Life {
    /// Not opened yet.
    Cold,
    Open(Arc<Core>),
    Gone(Unavailable),
}

/// What is known of a shard without opening it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardInfo {
    /// Its number.
    pub id: ShardId,
    /// The database, raw.
    pub db: String,
    /// The retention policy, raw.
    pub rp: String,
    /// Bytes of its data files.
    pub bytes: u64,
    /// The largest clock of a stamp in it: when its last point was written, nanoseconds since 1970. 0 when it has none,
    /// or does not tell.
    pub clock_max: u64,
    /// Bytes of its memory table, about; zero when it is not open.
    pub memory_bytes: u64,
    /// Whether it is open.
    pub is_open: bool,
    /// What is wrong with it, if anything: it answers nothing, or lacks rows that another owner has.
    pub damage: Option<String>,
}

impl Shard {
    /// A shard that exists on disk, with its manifest or what is wrong with that.
    pub(crate) fn new(
        env: Env,
        shared: Shared,
        dir: PathBuf,
        id: ShardId,
        manifest: Result<Manifest, ManifestError>,
    ) -> Shard {
        let damaged = |reason: String| Life::Gone(Unavailable::Damaged { shard: id, reason: reason.into() });
        let (life, db, rp, cold) = match manifest {
            Ok(found) if found.shard == id => {
                let cold = ColdInfo {
                    bytes: found.files.iter().map(|file| file.bytes).sum(),
                    clock_max: found.files.iter().map(|file| file.clock_max).max().unwrap_or(0),
                };
                (Life::Cold, found.db, found.rp, cold)
            }
            Ok(found) => {
                let reason = format!("the manifest is that of shard {}", found.shard);
                (damaged(reason), found.db, found.rp, ColdInfo::default())
            }
            Err(error) => {
                // The names on the way down are all that is left to show.
                let name = |dir: Option<&Path>| dir.and_then(Path::file_name).map(|name| name.to_string_lossy().into());
                let rp_dir = dir.parent();
                let db = name(rp_dir.and_then(Path::parent)).unwrap_or_default();
                (damaged(error.to_string()), db, name(rp_dir).unwrap_or_default(), ColdInfo::default())
            }
        };
        Shard { id, db, rp, dir, env, shared, cold, life: Mutex::new(life) }
    }

    /// Its number.
    pub fn id(&self) -> ShardId {
        self.id
    }

    /// The database, raw.
    pub fn db(&self) -> &str {
        &self.db
    }

    /// The retention policy, raw.
    pub fn rp(&self) -> &str {
        &self.rp
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What is known of it without opening it.
    pub fn info(&self) -> ShardInfo {
        let life = self.life.lock();
        let (core, damage) = match &*life {
            Life::Cold => (None, None),
            Life::Open(core) => (Some(core.clone()), core.damage()),
            Life::Gone(why) => (None, Some(why.to_string())),
        };
        drop(life);
        ShardInfo {
            id: self.id,
            db: self.db.clone(),
            rp: self.rp.clone(),
            bytes: core.as_ref().map_or(self.cold.bytes, |core| core.file_bytes()),
            clock_max: core.as_ref().map_or(self.cold.clock_max, |core| core.clock_max()),
            memory_bytes: core.as_ref().map_or(0, |core| core.memory().0),
            is_open: core.is_some(),
            damage,
        }
    }

    /// Writes a batch under the stamp of its request. On `Ok` the rows survive a power cut, unless a sync delay is
    /// configured. `record` is the batch as `block_codec::batch::encode` writes it, if the caller has it.
    ///
    /// # Errors
    /// See [`WriteError`]. After an error the rows may be readable or not, whole; writing them again is safe.
    pub fn write(
        &self,
        stamp: Stamp,
        batch: &Batch,
        record: Option<&[u8]>,
        origin: Origin,
    ) -> Result<Written, WriteError> {
        self.write_start(stamp, batch, record, origin)?.wait()
    }

    /// The first half of [`Shard::write`]: the rows are readable and in the log, but not synced. Whoever writes to
    /// several shards starts all and then waits for all.
    pub fn write_start(
        &self,
        stamp: Stamp,
        batch: &Batch,
        record: Option<&[u8]>,
        origin: Origin,
    ) -> Result<Pending, WriteError> {
        self.core()?.write_start(stamp, batch, record, origin)
    }

    /// The shard as it is now.
    pub fn read(&self) -> Result<ShardReader, ReadError> {
        Ok(self.core()?.read())
    }

    /// What copies of the shard compare: its cells that have rows, by bucket and window. What was computed before is
    /// computed again only where rows came.
    pub fn digest(&self, shape: CellShape) -> Result<Vec<Cell>, ReadError> {
        self.core()?.digest(shape)
    }

    /// The rows of a cell with their stamps, as far as they are still read, to be written on a peer as
    /// [`Origin::Replica`]; writing them twice is safe.
    pub fn export_cell(
        &self,
        shape: CellShape,
        bucket: u32,
        window_start: i64,
    ) -> Result<Vec<(Stamp, Batch)>, ReadError> {
        digest::export(&self.core()?.read(), shape, bucket, window_start)
    }

    /// Bytes that whoever owns the meaning keeps beside the shard, durably; at most [`MARK_BYTES_MAX`].
    pub fn set_mark(&self, bytes: &[u8]) -> io::Result<()> {
        mark::store(&self.env, &self.dir, bytes)
    }

    /// What [`Shard::set_mark`] was given last; `None` when it never was.
    ///
    /// # Errors
    /// `InvalidData` when the file is damaged.
    pub fn mark(&self) -> io::Result<Option<Vec<u8>>> {
        mark::load(&self.env, &self.dir)
    }

    /// Writes the memory table to a data file and gives its part of the log back. `false` when it was empty.
    pub fn flush(&self) -> Result<bool, MaintenanceError> {
        self.core()?.flush()
    }

    /// Merges data files until there are few enough. `false` when there were.
    pub fn compact(&self) -> Result<bool, MaintenanceError> {
        let core = self.core()?;
        let mut any = false;
        while core.compact()? {
            any = true;
        }
        Ok(any)
    }

    /// The largest clock of a stamp in the shard; opens it.
    pub fn clock_max(&self) -> Result<u64, Unavailable> {
        Ok(self.core()?.clock_max())
    }

    /// Opens the shard if it is not open, and again if its log failed.
    pub(crate) fn core(&self) -> Result<Arc<Core>, Unavailable> {
        let mut life = self.life.lock();
        match &*life {
            Life::Open(core) if core.has_failed() => core.retire(),
            Life::Open(core) => return Ok(core.clone()),
            Life::Gone(why) => return Err(why.clone()),
            Life::Cold => {}
        }
        *life = Life::Cold;
        match Core::open(&self.env, &self.shared, &self.dir, self.id) {
            Ok(core) => {
                let core = Arc::new(core);
                *life = Life::Open(core.clone());
                Ok(core)
            }
            Err(OpenFault::Damaged(reason)) => {
                let why = Unavailable::Damaged { shard: self.id, reason: reason.into() };
                *life = Life::Gone(why.clone());
                Err(why)
            }
            Err(OpenFault::Disk(reason)) => Err(Unavailable::Disk { shard: self.id, reason: reason.into() }),
        }
    }

    /// The core, if the shard is open.
    pub(crate) fn core_if_open(&self) -> Option<Arc<Core>> {
        match &*self.life.lock() {
            Life::Open(core) => Some(core.clone()),
            _ => None,
        }
    }

    /// Takes no calls any more, for this reason. Gives the core, if there was one.
    pub(crate) fn end(&self, why: Unavailable) -> Option<Arc<Core>> {
        match std::mem::replace(&mut *self.life.lock(), Life::Gone(why)) {
            Life::Open(core) => {
                core.retire();
                Some(core)
            }
            _ => None,
        }
    }
}

/// Makes the directory of a shard, with an empty manifest, durably.
pub(crate) fn create(env: &Env, dir: &Path, manifest: &Manifest) -> std::io::Result<()> {
    let fs = env.fs();
    fs.create_dir_all(dir)?;
    // The names on the way down: store, database, policy. All of them each time, since an earlier try may have failed
    // between making and syncing them.
    let parents: Vec<&Path> = dir.ancestors().skip(1).take(3).collect();
    parents.iter().rev().try_for_each(|parent| fs.sync_dir(parent))?;
    manifest.store(env, dir)
}
