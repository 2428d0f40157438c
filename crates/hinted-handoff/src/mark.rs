//! *Needs repair* marks: what was dropped that a peer should have got.
//!
//! A mark is a small file beside the queue, `<shard>.repair`. That it is there is what matters; it stays when it is
//! damaged. It is set, durably, before the entry goes, and taken away when anti-entropy has compared the shard with the
//! node.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use env::Env;
use model::{NodeId, ShardId, Timestamp};

pub(crate) const MARK_END: &str = ".repair";
const MAGIC: [u8; 8] = *b"MSTHHMRK";
const FORMAT_VERSION: u32 = 1;
const MARK_BYTES: usize = 28;
const EVERY_REASON: u8 = 0x7f;

/// Why entries did not reach their node. The numbers are written to disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum MarkReason {
    /// The queues of the node, or the disk, were full.
    Full = 1,
    /// Too many appends were under way.
    Blocked = 2,
    /// They waited too long.
    Expired = 4,
    /// The node refused them.
    Refused = 8,
    /// They failed again and again while others arrived.
    Hopeless = 16,
    /// They were damaged on disk.
    Damaged = 32,
    /// The disk failed while they were queued.
    Failed = 64,
}

impl MarkReason {
    /// Each of them.
    pub const ALL: [MarkReason; 7] = [
        MarkReason::Full,
        MarkReason::Blocked,
        MarkReason::Expired,
        MarkReason::Refused,
        MarkReason::Hopeless,
        MarkReason::Damaged,
        MarkReason::Failed,
    ];
}

/// A shard of a node that misses writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Who misses them.
    pub node: NodeId,
    /// Of which shard.
    pub shard: ShardId,
    /// When the first of them was dropped.
    pub since: Timestamp,
    reasons: u8,
    /// Changes with each further loss, so that a repair that began before does not take the mark away.
    generation: u64,
}

impl Mark {
    /// Whether entries were dropped for this reason.
    pub fn has(&self, reason: MarkReason) -> bool {
        self.reasons & reason as u8 != 0
    }
}

#[derive(Clone, Copy, Debug)]
struct State {
    since: Timestamp,
    reasons: u8,
    /// The reasons that the file tells; 0 while there is no file.
    stored: u8,
    generation: u64,
}

/// The marks of one node.
#[derive(Debug)]
pub(crate) struct Marks {
    dir: PathBuf,
    node: NodeId,
    marks: BTreeMap<ShardId, State>,
}

impl Marks {
    /// No marks yet; `dir` is the node's directory.
    pub(crate) fn new(dir: PathBuf, node: NodeId) -> Marks {
        Marks { dir, node, marks: BTreeMap::new() }
    }

    /// Takes in the mark file of a shard.
    pub(crate) fn load(&mut self, env: &Env, shard: ShardId) -> io::Result<()> {
        let bytes = env.fs().read(&self.path(shard))?;
        // Of a damaged mark only the name counts.
        let (since, reasons) = decode(&bytes).unwrap_or((Timestamp::MIN, EVERY_REASON));
        self.marks.insert(shard, State { since, reasons, stored: reasons, generation: env.random_u64() });
        Ok(())
    }

    /// Sets the mark of a shard, durably when it returns. After an error it is set in memory.
    pub(crate) fn set(&mut self, env: &Env, shard: ShardId, reason: MarkReason) -> io::Result<()> {
        let fresh = State { since: env.now(), reasons: 0, stored: 0, generation: env.random_u64() };
        let state = self.marks.entry(shard).or_insert(fresh);
        state.reasons |= reason as u8;
        state.generation = state.generation.wrapping_add(1);
        self.store(env, shard)
    }

    /// Tries again to store what could not be stored before.
    pub(crate) fn store_all(&mut self, env: &Env) -> io::Result<()> {
        let shards: Vec<ShardId> = self.marks.keys().copied().collect();
        shards.into_iter().try_for_each(|shard| self.store(env, shard))
    }

    fn store(&mut self, env: &Env, shard: ShardId) -> io::Result<()> {
        let path = self.path(shard);
        let Some(state) = self.marks.get_mut(&shard).filter(|state| state.stored != state.reasons) else {
            return Ok(());
        };
        env.fs().create_dir_durable(&self.dir)?;
        env.fs().replace(&path, &encode(state.since, state.reasons))?;
        state.stored = state.reasons;
        Ok(())
    }

    /// Takes a mark away, unless more was lost since it was read. Returns whether it is gone.
    pub(crate) fn clear(&mut self, env: &Env, mark: &Mark) -> io::Result<bool> {
        match self.marks.get(&mark.shard) {
            Some(state) if state.generation == mark.generation => self.remove(env, mark.shard).map(|()| true),
            Some(_) => Ok(false),
            None => Ok(true),
        }
    }

    /// Takes the mark of a shard away.
    pub(crate) fn remove(&mut self, env: &Env, shard: ShardId) -> io::Result<()> {
        let Some(state) = self.marks.get(&shard) else { return Ok(()) };
        if state.stored != 0 {
            match env.fs().remove_file(&self.path(shard)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => env.fs().sync_dir(&self.dir)?,
            }
        }
        self.marks.remove(&shard);
        Ok(())
    }

    pub(crate) fn list(&self) -> impl Iterator<Item = Mark> {
        self.marks.iter().map(|(shard, state)| Mark {
            node: self.node,
            shard: *shard,
            since: state.since,
            reasons: state.reasons,
            generation: state.generation,
        })
    }

    fn path(&self, shard: ShardId) -> PathBuf {
        self.dir.join(format!("{shard}{MARK_END}"))
    }
}

/// The shard whose mark has this file name.
pub(crate) fn shard_of(name: &str) -> Option<ShardId> {
    crate::queues::parse_id(name.strip_suffix(MARK_END)?).map(ShardId)
}

/// Whether a file is one that a crash left while a mark was written.
pub(crate) fn is_leftover(name: &Path) -> bool {
    name.to_str().is_some_and(|name| name.strip_suffix(".new").is_some_and(|name| shard_of(name).is_some()))
}

fn encode(since: Timestamp, reasons: u8) -> [u8; MARK_BYTES] {
    let mut bytes = [0; MARK_BYTES];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    bytes[12] = reasons;
    bytes[16..24].copy_from_slice(&since.0.to_le_bytes());
    let crc = crc32fast::hash(&bytes[..24]);
    bytes[24..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<(Timestamp, u8)> {
    let bytes: &[u8; MARK_BYTES] = bytes.try_into().ok()?;
    let crc = u32::from_le_bytes(bytes[24..].try_into().ok()?);
    let is_ours = bytes[..8] == MAGIC && bytes[8..12] == FORMAT_VERSION.to_le_bytes();
    if !is_ours || crc32fast::hash(&bytes[..24]) != crc {
        return None;
    }
    Some((Timestamp(i64::from_le_bytes(bytes[16..24].try_into().ok()?)), bytes[12]))
}

/// Reasons and time that are taken come from a whole file and come back the same, also where the checksum is right.
pub(crate) fn fuzz(bytes: &[u8]) {
    let mut whole = bytes.to_vec();
    if whole.len() == MARK_BYTES {
        let crc = crc32fast::hash(&whole[..24]);
        whole[24..].copy_from_slice(&crc.to_le_bytes());
    }
    for bytes in [bytes, &whole] {
        if let Some((since, reasons)) = decode(bytes) {
            assert_eq!(bytes.len(), MARK_BYTES);
            assert_eq!(decode(&encode(since, reasons)), Some((since, reasons)));
        }
    }
}

/// A mark to begin with.
#[cfg(test)]
pub(crate) fn fuzz_seed() -> Vec<u8> {
    encode(Timestamp(-7), EVERY_REASON).to_vec()
}

#[cfg(test)]
mod tests {
    use env::Fs;
    use env::simulated::{LossModel, SimClock, SimDisk};

    use super::*;

    const SHARD: ShardId = ShardId(5);

    fn world() -> (SimDisk, Env) {
        let disk = SimDisk::new(1);
        let env = Env::simulated(1, &SimClock::default(), &disk);
        disk.create_dir_durable(Path::new("/hh")).expect("made");
        (disk, env)
    }

    fn marks() -> Marks {
        Marks::new(PathBuf::from("/hh/3"), NodeId(3))
    }

    #[test]
    fn a_mark_survives_a_crash_with_all_its_reasons() {
        let (disk, env) = world();
        let mut before = marks();
        before.set(&env, SHARD, MarkReason::Full).expect("set");
        before.set(&env, SHARD, MarkReason::Expired).expect("set");
        let changes = disk.counts().changes();
        before.set(&env, SHARD, MarkReason::Expired).expect("set");
        assert_eq!(disk.counts().changes(), changes, "nothing new is not written again");
        disk.crash(LossModel::LoseAll);
        let mut after = marks();
        after.load(&env, SHARD).expect("loaded");
        let mark = after.list().next().expect("a mark");
        assert_eq!((mark.node, mark.shard), (NodeId(3), SHARD));
        assert!(mark.has(MarkReason::Full) && mark.has(MarkReason::Expired) && !mark.has(MarkReason::Damaged));
        assert!(after.clear(&env, &mark).expect("cleared"));
        assert_eq!(after.list().count(), 0);
        disk.crash(LossModel::LoseAll);
        assert!(marks().load(&env, SHARD).is_err(), "gone for good");
    }

    #[test]
    fn a_loss_after_the_repair_began_keeps_the_mark() {
        let (_disk, env) = world();
        let mut marks = marks();
        marks.set(&env, SHARD, MarkReason::Full).expect("set");
        let read = marks.list().next().expect("a mark");
        marks.set(&env, SHARD, MarkReason::Full).expect("set");
        assert!(!marks.clear(&env, &read).expect("refused"));
        let read = marks.list().next().expect("a mark");
        assert!(marks.clear(&env, &read).expect("cleared") && marks.clear(&env, &read).expect("nothing to do"));
    }

    #[test]
    fn a_damaged_mark_is_a_mark() {
        let (disk, env) = world();
        let mut before = marks();
        before.set(&env, SHARD, MarkReason::Full).expect("set");
        disk.flip(Path::new("/hh/3/5.repair"), 12, 3).expect("flipped");
        let mut after = marks();
        after.load(&env, SHARD).expect("loaded");
        assert!(MarkReason::ALL.iter().all(|reason| after.list().next().expect("a mark").has(*reason)));
    }

    #[test]
    fn a_mark_that_could_not_be_stored_is_stored_later() {
        let (disk, env) = world();
        let mut before = marks();
        disk.set_bytes_max(Some(0));
        assert!(before.set(&env, SHARD, MarkReason::Full).is_err());
        assert_eq!(before.list().count(), 1);
        disk.set_bytes_max(None);
        before.store_all(&env).expect("stored");
        disk.crash(LossModel::LoseAll);
        marks().load(&env, SHARD).expect("it is there");
    }

    #[test]
    fn names_are_told_apart() {
        assert_eq!(shard_of("5.repair"), Some(SHARD));
        assert_eq!(shard_of("05.repair"), None);
        assert_eq!(shard_of("5"), None);
        assert!(is_leftover(Path::new("5.repair.new")) && !is_leftover(Path::new("5.repair")));
    }
}
