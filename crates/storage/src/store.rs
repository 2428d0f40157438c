//! All shards of one node.
//!
//! The store owns a directory: `<dir>/<db>/<rp>/<shard id>/`, names encoded so that they can never become paths. At
//! open it takes the directory's lock, checks that the directory is one of ours and reads the manifest of every shard;
//! the shards themselves open when they are first used.
//!
//! Invariants
//! - A directory that is not ours, in use, or written by a later release is refused and left as it was.
//! - A shard that is damaged is listed with the reason; it never stops the store.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use env::{Claim, DirLock, Env, OpenMode, claim};
use model::ShardId;
use parking_lot::{Mutex, RwLock};

use crate::config::StoreConfig;
use crate::error::{MaintenanceError, OpenError, ShardError, Unavailable};
use crate::manifest::{self, MANIFEST_FILE, Manifest, ManifestError};
use crate::plan::{self, ShardMemory};
use crate::shard::{self, Core, Shard, ShardInfo};
use crate::usage::Shared;
use crate::{file, path, wal};

/// How a directory is known as a store.
const CLAIM: Claim = Claim { what: "data", mark: "mainstem-store", magic: *b"MSTMSTOR", version: 1, lock: "lock" };
/// A directory that is being removed. No encoded name starts so.
const DROPPED_PREFIX: &str = "~dropped-";

/// What a round of maintenance did.
#[derive(Debug, Default)]
pub struct Maintained {
    /// Memory tables written to files.
    pub flushed: usize,
    /// Merges of files.
    pub compacted: usize,
    /// What failed; everything is as it was before, there.
    pub errors: Vec<(ShardId, MaintenanceError)>,
}

/// The shards of this node. Calls block.
#[derive(Debug)]
pub struct Store {
    env: Env,
    shared: Shared,
    shards: RwLock<BTreeMap<ShardId, Arc<Shard>>>,
    /// Held while shards are made and dropped; disk I/O happens under it.
    changing: Mutex<()>,
    closed: AtomicBool,
    lock: Mutex<Option<Box<dyn DirLock>>>,
}

impl Store {
    /// Opens the store in `config.dir`, or makes one where the directory is empty or missing.
    ///
    /// # Errors
    /// See [`OpenError`]; the directory is as it was.
    pub fn open(env: Env, config: StoreConfig) -> Result<Store, OpenError> {
        let dir = config.dir.clone();
        let io = |source| OpenError::Io { dir: dir.clone(), source };
        check(&env, &dir)?;
        let lock = CLAIM.take(&**env.fs(), &dir, &claim::all_are_strangers)?;
        let store = Store {
            env,
            shared: Shared::new(config),
            shards: RwLock::default(),
            changing: Mutex::new(()),
            closed: AtomicBool::new(false),
            lock: Mutex::new(Some(lock)),
        };
        store.find_shards().map_err(io)?;
        Ok(store)
    }

    /// Makes a shard, durably. Making it again changes nothing.
    pub fn create_shard(&self, id: ShardId, db: &str, rp: &str) -> Result<(), ShardError> {
        let _changing = self.changing.lock();
        if self.closed.load(Ordering::SeqCst) {
            return Err(ShardError::Closed);
        }
        if let Some(shard) = self.shard(id) {
            if shard.db() == db && shard.rp() == rp {
                return Ok(());
            }
            return Err(ShardError::Elsewhere { shard: id, db: shard.db().to_owned(), rp: shard.rp().to_owned() });
        }
        let dir = self.shared.config.dir.join(path::component(db)).join(path::component(rp)).join(id.to_string());
        let manifest = Manifest::new(id, db, rp);
        shard::create(&self.env, &dir, &manifest).map_err(ShardError::from).inspect_err(|error| {
            // The writes that the shard is made for are refused with it.
            if matches!(error, ShardError::DiskFull) {
                self.shared.usage.note_refused(self.free_bytes());
            }
        })?;
        self.insert(dir, id, Ok(manifest));
        Ok(())
    }

    /// Removes a shard with all it holds. No error when there is none.
    pub fn drop_shard(&self, id: ShardId) -> Result<(), ShardError> {
        let _changing = self.changing.lock();
        let Some(shard) = self.shard(id) else { return Ok(()) };
        shard.end(Unavailable::Dropped(id));
        // Renamed first: a crash in between leaves no half of a shard.
        let aside = self.shared.config.dir.join(format!("{DROPPED_PREFIX}{id}"));
        let fs = self.env.fs();
        if fs.exists(&aside)? {
            fs.remove_dir_all(&aside)?;
        }
        fs.rename(shard.dir(), &aside)?;
        fs.sync_dir(&self.shared.config.dir)?;
        if let Some(parent) = shard.dir().parent() {
            fs.sync_dir(parent)?;
        }
        self.shards.write().remove(&id);
        fs.remove_dir_all(&aside)?;
        Ok(())
    }

    /// What is known of every shard, by number.
    pub fn shards(&self) -> Vec<ShardInfo> {
        self.shards.read().values().map(|shard| shard.info()).collect()
    }

    /// A shard of this node.
    pub fn shard(&self, id: ShardId) -> Option<Arc<Shard>> {
        self.shards.read().get(&id).cloned()
    }

    /// Does what is due: flushes the memory table that the plan names, again until none is left, then merges files
    /// where there are too many. Called every second or so, and when writes are refused for lack of memory; errors are
    /// told, and tried again by the next call.
    pub fn maintain(&self) -> Maintained {
        let mut done = Maintained::default();
        let mut failed = BTreeSet::new();
        loop {
            let shards = self.open_shards();
            let memory: Vec<ShardMemory> = shards
                .iter()
                .filter(|(id, _)| !failed.contains(id))
                .map(|(id, core)| {
                    let (bytes, idle) = core.memory();
                    ShardMemory { shard: *id, bytes, idle }
                })
                .collect();
            let Some(id) = plan::pick_flush(&memory, &self.shared.config) else { break };
            let Some((_, core)) = shards.iter().find(|(shard, _)| *shard == id) else { break };
            match core.flush() {
                Ok(_) => done.flushed += 1,
                Err(error) => {
                    failed.insert(id);
                    done.errors.push((id, error));
                }
            }
        }
        for (id, core) in self.open_shards() {
            core.tend_log();
            loop {
                match core.compact() {
                    Ok(true) => done.compacted += 1,
                    Ok(false) => break,
                    Err(error) => {
                        done.errors.push((id, error));
                        break;
                    }
                }
            }
        }
        done
    }

    /// Flushes every memory table. The first error is told after all were tried.
    pub fn flush_all(&self) -> Result<(), MaintenanceError> {
        let mut result = Ok(());
        for (_, core) in self.open_shards() {
            if let Err(error) = core.flush() {
                result = result.and(Err(error));
            }
        }
        result
    }

    fn open_shards(&self) -> Vec<(ShardId, Arc<Core>)> {
        let shards = self.shards.read();
        shards.iter().filter_map(|(id, shard)| Some((*id, shard.core_if_open()?))).collect()
    }

    /// Bytes of all memory tables, about.
    pub fn memory_bytes(&self) -> u64 {
        self.shared.usage.memory_bytes()
    }

    /// Whether the disk refused the last write for being full and has hardly more space since.
    pub fn is_disk_full(&self) -> bool {
        self.shared.usage.is_disk_full(|| self.free_bytes())
    }

    fn free_bytes(&self) -> u64 {
        self.env.fs().free_bytes(&self.shared.config.dir).unwrap_or(0)
    }

    /// The largest clock of a stamp on this disk: a node starts its own clock above it. Opens every shard.
    pub fn clock_max(&self) -> u64 {
        let shards: Vec<_> = self.shards.read().values().cloned().collect();
        shards.iter().filter_map(|shard| shard.clock_max().ok()).max().unwrap_or(0)
    }

    /// Ends all use: every later call fails, and the directory's lock is released. Everything acked is on disk already.
    pub fn close(&self) {
        let _changing = self.changing.lock();
        self.closed.store(true, Ordering::SeqCst);
        for shard in self.shards.read().values() {
            shard.end(Unavailable::Closed);
        }
        self.lock.lock().take();
    }

    /// Finds the shards in the directory and finishes drops that a crash interrupted.
    fn find_shards(&self) -> io::Result<()> {
        let (fs, dir) = (self.env.fs(), &self.shared.config.dir);
        for dropped in fs.list(dir)?.into_iter().filter(|entry| entry.name.starts_with(DROPPED_PREFIX)) {
            fs.remove_dir_all(&dir.join(&dropped.name))?;
        }
        list_shards(&self.env, dir)?.into_iter().try_for_each(|(dir, id)| self.find_shard(dir, id))
    }

    fn find_shard(&self, dir: PathBuf, id: ShardId) -> io::Result<()> {
        let loaded = Manifest::load(&self.env, &dir);
        let missing = matches!(&loaded, Err(ManifestError::Io(error)) if error.kind() == io::ErrorKind::NotFound);
        let unfinished = format!("{MANIFEST_FILE}.new");
        if missing && self.env.fs().list(&dir)?.iter().all(|entry| entry.name == unfinished) {
            // A crash in the middle of making it: nobody was told that it exists.
            return self.env.fs().remove_dir_all(&dir);
        }
        self.insert(dir, id, loaded);
        Ok(())
    }

    fn insert(&self, dir: PathBuf, id: ShardId, manifest: Result<Manifest, ManifestError>) {
        let shard = Shard::new(self.env.clone(), self.shared.clone(), dir, id, manifest);
        self.shards.write().insert(id, Arc::new(shard));
    }
}

/// Whether [`Store::open`] would take the directory and could read all of its files. Reads only, so that a node can look
/// at all that it has before it changes any of it.
///
/// Cost: opens each file and reads its header.
///
/// # Errors
/// As [`Store::open`], except that it does not notice another process. Damage and a disk that refuses to read a shard
/// are that shard's own.
pub fn check(env: &Env, dir: &Path) -> Result<(), OpenError> {
    if !CLAIM.check(&**env.fs(), dir, &claim::all_are_strangers)? {
        return Ok(());
    }
    let shards = list_shards(env, dir).map_err(|source| OpenError::Io { dir: dir.to_owned(), source })?;
    match shards.iter().find_map(|(dir, _)| later_file(env, dir)) {
        Some((path, found, known)) => Err(OpenError::NewerFile { path, found, known }),
        None => Ok(()),
    }
}

/// A file of a shard that a later release wrote: its version, and the latest that is known.
fn later_file(env: &Env, shard_dir: &Path) -> Option<(PathBuf, u32, u32)> {
    if let Err(ManifestError::Newer(found)) = Manifest::load(env, shard_dir) {
        return Some((shard_dir.join(MANIFEST_FILE), found, manifest::VERSION));
    }
    if let Ok(Some((path, found))) = seglog::later_format(env, &shard_dir.join(wal::LOG_DIR)) {
        return Some((path, found, seglog::FORMAT_VERSION));
    }
    let files = env.fs().list(shard_dir).unwrap_or_default();
    files.into_iter().filter(|entry| file::number_of(&entry.name).is_some()).find_map(|entry| {
        let path = shard_dir.join(&entry.name);
        let mut header = [0; file::HEADER_BYTES];
        env.fs().open(&path, OpenMode::Read).and_then(|file| file.read_exact_at(0, &mut header)).ok()?;
        file::later_version(&header).map(|found| (path, found, file::VERSION))
    })
}

/// The directories of all shards.
pub(crate) fn list_shards(env: &Env, dir: &Path) -> io::Result<Vec<(PathBuf, ShardId)>> {
    let mut shards = Vec::new();
    for policy_dir in policy_dirs(env, dir)? {
        for shard in env.fs().list(&policy_dir)?.into_iter().filter(|entry| entry.is_dir) {
            let Ok(id) = shard.name.parse() else { continue };
            shards.push((policy_dir.join(&shard.name), ShardId(id)));
        }
    }
    Ok(shards)
}

/// The directories of all policies.
pub(crate) fn policy_dirs(env: &Env, dir: &Path) -> io::Result<Vec<PathBuf>> {
    let fs = env.fs();
    let mut policies = Vec::new();
    let dbs = fs.list(dir)?.into_iter().filter(|entry| entry.is_dir && !entry.name.starts_with(DROPPED_PREFIX));
    for db in dbs {
        let db_dir = dir.join(&db.name);
        for rp in fs.list(&db_dir)?.into_iter().filter(|entry| entry.is_dir) {
            policies.push(db_dir.join(&rp.name));
        }
    }
    Ok(policies)
}
