//! A disk that forgets what was not synced.
//!
//! What programs see is one thing, what survives a crash another: contents and length of a file become durable by
//! [`File::sync`], names by [`Fs::sync_dir`]; [`SimDisk::crash`] throws the rest away as a [`LossModel`] says. A
//! [`Fuse`] makes the n-th operation fail or cuts the power there. Everything is decided by the seed and the order of
//! the calls.
//!
//! Harsher than a real disk on purpose: names are forgotten one by one, also where a journal would keep them in order;
//! after a failed sync what should have been written may be seen until the crash and be gone after it, whatever later
//! syncs say.

mod image;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use self::tree::{NodeId, Tree};
use super::rng::Dice;
use crate::fs::{DirEntry, DirLock, File, Fs, OpenMode};

/// What a disk writes in one piece.
pub const SECTOR_BYTES: usize = 512;

/// What becomes of operations that were not synced when the power goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossModel {
    /// All of them reached the disk.
    KeepAll,
    /// None did.
    LoseAll,
    /// Some did: each sector and each length of a file stands at some moment since its last sync; of the changes of
    /// names a random subset is there that keeps the order of those that concern the same name.
    Random,
    /// All but the very last one did, and of that, if it was a write, only its first sectors.
    TornLast,
}

impl LossModel {
    /// Each of them.
    pub const ALL: [LossModel; 4] = [LossModel::KeepAll, LossModel::LoseAll, LossModel::Random, LossModel::TornLast];
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OpKind {
    /// Reads contents, opens, lists.
    Read,
    /// Changes contents or length of a file.
    Write,
    /// Makes a file or a directory durable.
    Sync,
    /// Makes, renames or removes a file or directory.
    Name,
}

/// What a fuse does when it blows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The operation fails. A write may have been done in part. A sync may have made all pending writes look done
    /// without doing them.
    FailOnce,
    /// It fails, and so do all that follow, of the kinds of the fuse, until [`SimDisk::disarm`].
    FailForever,
    /// The power goes while the operation is under way: it and all others fail until [`SimDisk::crash`].
    PowerOff,
}

/// Blows at an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fuse {
    /// Which operations count.
    pub kinds: &'static [OpKind],
    /// How many of them pass before.
    pub after: u64,
    /// What happens then.
    pub effect: Effect,
}

impl Fuse {
    /// Every kind that changes the disk.
    pub const CHANGES: &'static [OpKind] = &[OpKind::Write, OpKind::Sync, OpKind::Name];
    /// Every kind.
    pub const ANY: &'static [OpKind] = &[OpKind::Read, OpKind::Write, OpKind::Sync, OpKind::Name];
}

/// How many operations there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpCounts {
    /// [`OpKind::Read`]
    pub reads: u64,
    /// [`OpKind::Write`]
    pub writes: u64,
    /// [`OpKind::Sync`]
    pub syncs: u64,
    /// [`OpKind::Name`]
    pub names: u64,
}

impl OpCounts {
    /// Those that change the disk.
    pub fn changes(self) -> u64 {
        self.writes + self.syncs + self.names
    }

    /// All.
    pub fn all(self) -> u64 {
        self.reads + self.changes()
    }
}

/// A simulated disk. Clones are the same disk.
#[derive(Clone)]
pub struct SimDisk(Arc<Mutex<State>>);

#[derive(Clone, Debug)]
struct State {
    tree: Tree,
    dice: Dice,
    /// Number of the next change.
    seq: u64,
    /// Handles of an earlier epoch are dead.
    epoch: u64,
    has_power: bool,
    fuse: Option<(Fuse, u64)>,
    /// In thousandths.
    error_rates: BTreeMap<OpKind, u64>,
    counts: OpCounts,
    bytes_max: Option<u64>,
    ignores_file_syncs: bool,
    ignores_dir_syncs: bool,
    /// How long an operation of a kind takes, and what was not waited for yet.
    latency: BTreeMap<OpKind, Duration>,
    time_spent: Duration,
    locks: BTreeSet<(NodeId, String)>,
}

impl SimDisk {
    /// An empty disk. `seed` decides what crashes and failures do.
    pub fn new(seed: u64) -> SimDisk {
        SimDisk(Arc::new(Mutex::new(State {
            tree: Tree::new(),
            dice: Dice(seed),
            seq: 0,
            epoch: 0,
            has_power: true,
            fuse: None,
            error_rates: BTreeMap::new(),
            counts: OpCounts::default(),
            bytes_max: None,
            ignores_file_syncs: false,
            ignores_dir_syncs: false,
            latency: BTreeMap::new(),
            time_spent: Duration::ZERO,
            locks: BTreeSet::new(),
        })))
    }

    /// Another disk with the same contents, pending operations included, whose fate `seed` decides. Open handles stay
    /// with this one.
    pub fn fork(&self, seed: u64) -> SimDisk {
        let mut state = self.0.lock().clone();
        state.dice = Dice(seed);
        state.epoch += 1;
        state.locks.clear();
        SimDisk(Arc::new(Mutex::new(state)))
    }

    /// The power went and is back: forgets what `loss` says, kills all handles and locks, disarms the fuse.
    pub fn crash(&self, loss: LossModel) {
        let state = &mut *self.0.lock();
        let State { tree, dice, .. } = state;
        match loss {
            LossModel::KeepAll => tree.crash(|_| true, |image| image.keep_all()),
            LossModel::LoseAll => tree.crash(|_| false, |image| image.lose_all()),
            LossModel::Random => {
                let per_mille = Tree::scatter(dice);
                // Two generators, since both closures roll dice.
                let mut names = Dice(dice.next());
                tree.crash(|_| names.chance(per_mille), |image| image.scatter(dice));
            }
            LossModel::TornLast => {
                let last = tree.last_pending().unwrap_or(0);
                tree.crash(|seq| seq < last, |image| image.tear_at(last, dice));
            }
        }
        state.fuse = None;
        state.has_power = true;
        state.end_epoch();
    }

    /// The program ended without warning, the machine did not: kills all handles and locks, forgets nothing.
    pub fn kill(&self) {
        self.0.lock().end_epoch();
    }

    /// Puts a fuse in, instead of the one that may be there.
    pub fn arm(&self, fuse: Fuse) {
        self.0.lock().fuse = Some((fuse, 0));
    }

    /// Takes the fuse out.
    pub fn disarm(&self) {
        self.0.lock().fuse = None;
    }

    /// Lets `per_mille` of 1,000 operations of a kind fail as by [`Effect::FailOnce`]; 0 for none.
    pub fn set_error_rate(&self, kind: OpKind, per_mille: u64) {
        self.0.lock().error_rates.insert(kind, per_mille);
    }

    /// Lets each operation of a kind take so long: who calls it through [`Env::blocking`](crate::Env::blocking) waits
    /// that much longer in virtual time. Nothing takes any time at first.
    pub fn set_latency(&self, kind: OpKind, latency: Duration) {
        self.0.lock().latency.insert(kind, latency);
    }

    /// Whether a fuse has cut the power.
    pub fn is_off(&self) -> bool {
        !self.0.lock().has_power
    }

    /// How many operations there were, failed ones included.
    pub fn counts(&self) -> OpCounts {
        self.0.lock().counts
    }

    /// How many bytes all files together may have; `None` for no limit. A write beyond it is done in part and fails with
    /// `StorageFull`.
    pub fn set_bytes_max(&self, bytes_max: Option<u64>) {
        self.0.lock().bytes_max = bytes_max;
    }

    /// Bytes in all files that have a name.
    pub fn used_bytes(&self) -> u64 {
        self.0.lock().tree.used_bytes()
    }

    /// A disk that lies: syncs of files succeed and do nothing.
    pub fn ignore_file_syncs(&self, ignore: bool) {
        self.0.lock().ignores_file_syncs = ignore;
    }

    /// A disk that lies: syncs of directories succeed and do nothing.
    pub fn ignore_dir_syncs(&self, ignore: bool) {
        self.0.lock().ignores_dir_syncs = ignore;
    }

    /// Flips a bit (0..8) of a byte of a file, in what is seen and what is durable. Nothing happens behind the end.
    pub fn flip(&self, path: &Path, offset: u64, bit: u8) -> io::Result<()> {
        let mut state = self.0.lock();
        let id = state.tree.find_file(path)?;
        state.tree.file_mut(id)?.poke(offset, |byte| *byte ^= 1 << (bit % 8));
        Ok(())
    }

    /// Puts other bytes into a file, in what is seen and what is durable: a misdirected write, a stale block.
    pub fn poke(&self, path: &Path, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.0.lock();
        let id = state.tree.find_file(path)?;
        let image = state.tree.file_mut(id)?;
        for (index, byte) in bytes.iter().enumerate() {
            image.poke(offset + index as u64, |old| *old = *byte);
        }
        Ok(())
    }

    /// Every file with the bytes that are seen in it.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        self.0.lock().tree.walk(|path, image| {
            files.insert(PathBuf::from(path), image.view().to_vec());
        });
        files
    }
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.lock();
        f.debug_struct("SimDisk").field("epoch", &state.epoch).field("counts", &state.counts).finish_non_exhaustive()
    }
}

/// Whether an operation takes place.
enum Fate {
    Done,
    /// It fails with the disk alive.
    Failed,
    /// It was under way when the power went.
    CutOff,
}

impl State {
    fn end_epoch(&mut self) {
        self.epoch += 1;
        self.locks.clear();
    }

    /// Counts an operation and decides its fate.
    fn begin(&mut self, kind: OpKind) -> io::Result<Fate> {
        match kind {
            OpKind::Read => self.counts.reads += 1,
            OpKind::Write => self.counts.writes += 1,
            OpKind::Sync => self.counts.syncs += 1,
            OpKind::Name => self.counts.names += 1,
        }
        if !self.has_power {
            return Err(power_is_off());
        }
        self.seq += 1;
        self.time_spent += self.latency.get(&kind).copied().unwrap_or_default();
        if let Some((fuse, passed)) = &mut self.fuse
            && fuse.kinds.contains(&kind)
        {
            let effect = fuse.effect;
            let blows = *passed >= fuse.after;
            *passed += 1;
            if blows {
                match effect {
                    Effect::FailOnce => self.fuse = None,
                    Effect::FailForever => {}
                    Effect::PowerOff => {
                        self.has_power = false;
                        return Ok(Fate::CutOff);
                    }
                }
                return Ok(Fate::Failed);
            }
        }
        let per_mille = self.error_rates.get(&kind).copied().unwrap_or(0);
        if per_mille > 0 && self.dice.chance(per_mille) {
            return Ok(Fate::Failed);
        }
        Ok(Fate::Done)
    }

    fn read<T>(&mut self, read: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        match self.begin(OpKind::Read)? {
            Fate::Done => read(self),
            Fate::Failed => Err(io_failed()),
            Fate::CutOff => Err(power_is_off()),
        }
    }

    /// Changes names: wholly or not at all.
    fn change_names<T>(&mut self, change: impl FnOnce(&mut Tree, u64) -> io::Result<T>) -> io::Result<T> {
        match self.begin(OpKind::Name)? {
            Fate::Done => change(&mut self.tree, self.seq),
            Fate::Failed => Err(io_failed()),
            Fate::CutOff => change(&mut self.tree, self.seq).and(Err(power_is_off())),
        }
    }

    fn write(&mut self, id: NodeId, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let fate = self.begin(OpKind::Write)?;
        let image = self.tree.file(id)?;
        let growth = (offset + bytes.len() as u64).saturating_sub(image.len());
        let room = match self.bytes_max {
            Some(bytes_max) if image.is_linked => bytes_max.saturating_sub(self.tree.used_bytes()),
            _ => u64::MAX,
        };
        let fits = bytes.len().saturating_sub(usize::try_from(growth.saturating_sub(room)).unwrap_or(usize::MAX));
        let (done, result) = match fate {
            Fate::Done if fits < bytes.len() => (fits, Err(io::ErrorKind::StorageFull.into())),
            Fate::Done => (bytes.len(), Ok(())),
            Fate::Failed => (self.dice.below(fits as u64 + 1) as usize, Err(io_failed())),
            Fate::CutOff => (fits, Err(power_is_off())),
        };
        if done > 0 {
            self.tree.file_mut(id)?.write(self.seq, offset, &bytes[..done]);
        }
        result
    }

    fn set_len(&mut self, id: NodeId, len: u64) -> io::Result<()> {
        let fate = self.begin(OpKind::Write)?;
        let image = self.tree.file(id)?;
        let growth = len.saturating_sub(image.len());
        if let Some(bytes_max) = self.bytes_max
            && image.is_linked
            && growth > bytes_max.saturating_sub(self.tree.used_bytes())
        {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let result = match fate {
            Fate::Done => Ok(()),
            Fate::Failed => return Err(io_failed()),
            Fate::CutOff => Err(power_is_off()),
        };
        self.tree.file_mut(id)?.set_len(self.seq, len);
        result
    }

    fn sync(&mut self, id: NodeId) -> io::Result<()> {
        let fate = self.begin(OpKind::Sync)?;
        let drops = matches!(fate, Fate::Failed) && self.tree.file(id)?.has_pending() && self.dice.chance(500);
        let ignores = self.ignores_file_syncs;
        let image = self.tree.file_mut(id)?;
        match fate {
            Fate::Done if ignores => Ok(()),
            Fate::Done => {
                image.sync();
                Ok(())
            }
            Fate::Failed => {
                if drops {
                    image.drop_pending();
                }
                Err(io_failed())
            }
            Fate::CutOff => Err(power_is_off()),
        }
    }
}

fn io_failed() -> io::Error {
    io::Error::other("simulated disk error")
}

fn power_is_off() -> io::Error {
    io::Error::other("simulated disk has no power")
}

fn handle_is_dead() -> io::Error {
    io::Error::other("simulated file was open when the host went down")
}

impl Fs for SimDisk {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut at = PathBuf::from("/");
        for component in dir.components() {
            at.push(component);
            let mut state = self.0.lock();
            match state.tree.find(&at) {
                Ok(_) if state.tree.find_dir(&at).is_ok() => {}
                Ok(_) if at.ends_with(dir) => return Err(io::ErrorKind::AlreadyExists.into()),
                Ok(_) => return Err(io::ErrorKind::NotADirectory.into()),
                Err(_) => state.change_names(|tree, seq| tree.create_dir(seq, &at))?,
            }
        }
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.0.lock().read(|state| state.tree.list(dir))
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let mut state = self.0.lock();
        let found = state.tree.find_file(path);
        let id = match (mode, found) {
            (OpenMode::CreateNew, Ok(_)) => return Err(io::ErrorKind::AlreadyExists.into()),
            (OpenMode::Create | OpenMode::CreateNew | OpenMode::Append, Err(error))
                if error.kind() == io::ErrorKind::NotFound =>
            {
                state.change_names(|tree, seq| tree.create_file(seq, path))?
            }
            (_, found) => state.read(|_| found)?,
        };
        let handle = Arc::clone(&state.tree.file(id)?.handles);
        let is_writable = mode != OpenMode::Read;
        Ok(Arc::new(SimFile { disk: self.clone(), id, epoch: state.epoch, is_writable, _handle: handle }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.lock().change_names(|tree, seq| tree.rename(seq, from, to))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.0.lock().change_names(|tree, seq| tree.remove_file(seq, path))
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        // One by one, as a real one is, so that a crash can come in between.
        for entry in self.list(path)? {
            let inner = path.join(&entry.name);
            if entry.is_dir { self.remove_dir_all(&inner) } else { self.remove_file(&inner) }?;
        }
        self.0.lock().change_names(|tree, seq| tree.remove_dir(seq, path))
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.0.lock().read(|state| match state.tree.find(path) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        })
    }

    fn file_bytes(&self, path: &Path) -> io::Result<u64> {
        self.0.lock().read(|state| state.tree.file(state.tree.find_file(path)?).map(|image| image.len()))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        let id = state.tree.find_dir(dir)?;
        match state.begin(OpKind::Sync)? {
            Fate::Done => {
                if !state.ignores_dir_syncs {
                    state.tree.sync_dir(id);
                }
                Ok(())
            }
            Fate::Failed => Err(io_failed()),
            Fate::CutOff => Err(power_is_off()),
        }
    }

    fn lock(&self, dir: &Path, name: &str) -> io::Result<Box<dyn DirLock>> {
        drop(self.open(&dir.join(name), OpenMode::Create)?);
        let mut state = self.0.lock();
        let key = (state.tree.find_dir(dir)?, name.to_owned());
        if !state.locks.insert(key.clone()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(SimLock { disk: self.clone(), key, epoch: state.epoch }))
    }

    fn take_time_spent(&self) -> Duration {
        std::mem::take(&mut self.0.lock().time_spent)
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        self.0.lock().read(|state| {
            state.tree.find(path)?;
            let bytes_max = state.bytes_max.unwrap_or(1 << 40);
            Ok(bytes_max.saturating_sub(state.tree.used_bytes()))
        })
    }
}

/// An open file.
#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    id: NodeId,
    epoch: u64,
    is_writable: bool,
    /// Keeps the file when it loses its name.
    _handle: Arc<()>,
}

impl SimFile {
    fn with<T>(&self, writes: bool, work: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.disk.0.lock();
        if state.epoch != self.epoch {
            return Err(handle_is_dead());
        }
        if writes && !self.is_writable {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        work(&mut state)
    }
}

impl File for SimFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.with(false, |state| {
            state.read(|state| {
                let view = state.tree.file(self.id)?.view();
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(view.len());
                let count = buf.len().min(view.len() - start);
                buf[..count].copy_from_slice(&view[start..start + count]);
                Ok(count)
            })
        })
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.with(true, |state| state.write(self.id, offset, bytes))
    }

    fn sync(&self) -> io::Result<()> {
        self.with(false, |state| state.sync(self.id))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.with(true, |state| state.set_len(self.id, len))
    }

    fn len(&self) -> io::Result<u64> {
        self.with(false, |state| state.read(|state| Ok(state.tree.file(self.id)?.len())))
    }
}

#[derive(Debug)]
struct SimLock {
    disk: SimDisk,
    key: (NodeId, String),
    epoch: u64,
}

impl DirLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.disk.0.lock();
        if state.epoch == self.epoch {
            state.locks.remove(&self.key);
        }
    }
}
