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

use env::{DirLock, Env};
use model::ShardId;
use parking_lot::{Mutex, RwLock};

use crate::config::StoreConfig;
use crate::error::{MaintenanceError, OpenError, ShardError, Unavailable};
use crate::manifest::{MANIFEST_FILE, Manifest, ManifestError};
use crate::path;
use crate::plan::{self, ShardMemory};
use crate::shard::{self, Core, Shard, ShardInfo};
use crate::usage::Shared;

/// The file that marks a directory as a store.
const MARK_FILE: &str = "mainstem-store";
const MARK_MAGIC: &[u8; 8] = b"MSTMSTOR";
/// The version that is written, and the latest that is read.
const VERSION: u32 = 1;
const LOCK_FILE: &str = "lock";
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
        let marked = check_mark(&env, &dir)?;
        env.fs().create_dir_durable(&dir).map_err(io)?;
        let lock = env.fs().lock(&dir, LOCK_FILE).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => OpenError::Locked(dir.clone()),
            _ => io(error),
        })?;
        if !marked {
            write_mark(&env, &dir).map_err(io)?;
        }
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
        shard::create(&self.env, &dir, &manifest)?;
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
        let fs = self.env.fs();
        for db in fs.list(&self.shared.config.dir)? {
            let db_dir = self.shared.config.dir.join(&db.name);
            if db.name.starts_with(DROPPED_PREFIX) {
                fs.remove_dir_all(&db_dir)?;
                continue;
            }
            if !db.is_dir {
                continue;
            }
            for rp in fs.list(&db_dir)?.into_iter().filter(|entry| entry.is_dir) {
                let rp_dir = db_dir.join(&rp.name);
                for shard in fs.list(&rp_dir)?.into_iter().filter(|entry| entry.is_dir) {
                    let Ok(id) = shard.name.parse() else { continue };
                    self.find_shard(rp_dir.join(&shard.name), ShardId(id))?;
                }
            }
        }
        Ok(())
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

/// Whether the directory is a store already. An error when it is something else; nothing is changed.
fn check_mark(env: &Env, dir: &Path) -> Result<bool, OpenError> {
    let io = |source| OpenError::Io { dir: dir.to_owned(), source };
    if !env.fs().exists(dir).map_err(io)? {
        return Ok(false);
    }
    let mark = dir.join(MARK_FILE);
    if !env.fs().exists(&mark).map_err(io)? {
        let entries = env.fs().list(dir).map_err(io)?;
        let unfinished = format!("{MARK_FILE}.new");
        let ours = [LOCK_FILE, unfinished.as_str(), "lost+found"];
        return match entries.into_iter().find(|entry| !ours.contains(&entry.name.as_str())) {
            Some(entry) => Err(OpenError::Foreign { dir: dir.to_owned(), found: entry.name }),
            None => Ok(false),
        };
    }
    let bytes = env.fs().read(&mark).map_err(io)?;
    let Some(version) = bytes.strip_prefix(MARK_MAGIC).and_then(|rest| rest.first_chunk()) else {
        return Err(OpenError::Damaged(mark));
    };
    let version = u32::from_le_bytes(*version);
    if version > VERSION {
        return Err(OpenError::Newer { dir: dir.to_owned(), found: version, known: VERSION });
    }
    let whole = bytes.split_last_chunk().is_some_and(|(body, sum)| crc32fast::hash(body) == u32::from_le_bytes(*sum));
    if whole { Ok(true) } else { Err(OpenError::Damaged(mark)) }
}

fn write_mark(env: &Env, dir: &Path) -> io::Result<()> {
    let mut bytes = MARK_MAGIC.to_vec();
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    // Again where an earlier try made the directory and failed before it was durable.
    if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        env.fs().sync_dir(parent)?;
    }
    env.fs().replace(&dir.join(MARK_FILE), &bytes)
}
