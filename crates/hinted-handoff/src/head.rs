//! How far a queue has been delivered: a small file with two slots, written in turns.
//!
//! A slot lies within one sector, so a crash leaves one of them whole. A slot counts only for the log it was written
//! for. Losing the file, or its newest slot, means that entries are sent again, not that any are lost.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use env::{Env, File, OpenMode};
use seglog::Position;

use crate::OpenError;
use crate::planted::{self, Bug};

pub(crate) const HEAD_FILE: &str = "head";
const MAGIC: [u8; 8] = *b"MSTHHHED";
const FORMAT_VERSION: u32 = 1;
const SLOT_BYTES: usize = 64;
/// Distance of the slots: a sector.
const SLOT_STEP: u64 = 512;

/// The first entry that is not done with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) position: Position,
    /// Its number.
    pub(crate) sequence: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    /// Of the log.
    identity: u64,
    /// Counts the writes; the greater one is newer.
    generation: u64,
    head: Head,
}

impl Slot {
    fn encode(&self) -> [u8; SLOT_BYTES] {
        let mut bytes = [0; SLOT_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        let version_crc = crc32fast::hash(&bytes[..12]);
        bytes[12..16].copy_from_slice(&version_crc.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.identity.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.generation.to_le_bytes());
        bytes[32..48].copy_from_slice(&self.head.position.to_bytes());
        bytes[48..56].copy_from_slice(&self.head.sequence.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// `Ok(None)` for what is no whole slot; `Err` with the version for one of another version.
    fn decode(bytes: &[u8]) -> Result<Option<Slot>, u32> {
        let Some(bytes) = bytes.get(..SLOT_BYTES) else { return Ok(None) };
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let number = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
        if bytes[..8] != MAGIC || crc32fast::hash(&bytes[..12]) != word(12) {
            return Ok(None);
        }
        if word(8) != FORMAT_VERSION {
            return Err(word(8));
        }
        if crc32fast::hash(&bytes[..60]) != word(60) {
            return Ok(None);
        }
        let position = Position { segment: number(32), offset: number(40) };
        let head = Head { position, sequence: number(48) };
        Ok(Some(Slot { identity: number(16), generation: number(24), head }))
    }
}

/// The file.
#[derive(Debug)]
pub(crate) struct HeadFile {
    path: PathBuf,
    identity: u64,
    generation: u64,
    file: Option<Arc<dyn File>>,
    /// Its name is known to be durable.
    is_named: bool,
}

impl HeadFile {
    /// Reads the file of a queue whose log has this identity. No head if there is none for this log. Makes it if there is
    /// none, so that it has its room on the disk when that becomes full.
    pub(crate) fn open(env: &Env, dir: &Path, identity: u64) -> Result<(HeadFile, Option<Head>), OpenError> {
        let path = dir.join(HEAD_FILE);
        let bytes = match env.fs().read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(source) => return Err(OpenError::Io { action: "read", path, source }),
        };
        let mut newest: Option<Slot> = None;
        for bytes in bytes.chunks(SLOT_STEP as usize).take(2) {
            match Slot::decode(bytes) {
                Err(version) => return Err(OpenError::OtherFormat { path, version, known: FORMAT_VERSION }),
                Ok(Some(slot)) if slot.identity == identity => {
                    let is_newer = newest.is_none_or(|it| {
                        if planted::is(Bug::OlderHead) {
                            slot.generation < it.generation
                        } else {
                            slot.generation > it.generation
                        }
                    });
                    newest = if is_newer { Some(slot) } else { newest };
                }
                Ok(_) => {}
            }
        }
        if bytes.is_empty() {
            // If there is no room now, there may be when it is needed.
            let made = env.fs().open(&path, OpenMode::Create).and_then(|file| file.allocate(2 * SLOT_STEP));
            made.or_else(|error| if is_disk_full(&error) { Ok(()) } else { Err(error) })
                .map_err(|source| OpenError::Io { action: "create", path: path.clone(), source })?;
        }
        let generation = newest.map_or(0, |slot| slot.generation);
        let file = HeadFile { path, identity, generation, file: None, is_named: false };
        Ok((file, newest.map(|slot| slot.head)))
    }

    /// Makes `head` the one that is found by the next open, durably. After an error the one before counts.
    pub(crate) fn store(&mut self, env: &Env, head: Head) -> io::Result<()> {
        let file = match &self.file {
            Some(file) => Arc::clone(file),
            None => {
                let file = env.fs().open(&self.path, OpenMode::Create)?;
                if !self.is_named
                    && let Some(dir) = self.path.parent()
                {
                    env.fs().sync_dir(dir)?;
                    self.is_named = true;
                }
                self.file = Some(Arc::clone(&file));
                file
            }
        };
        let slot = Slot { identity: self.identity, generation: self.generation + 1, head };
        let offset = slot.generation % 2 * SLOT_STEP;
        if let Err(error) = file.write_at(offset, &slot.encode()).and_then(|()| file.sync()) {
            // The other slot still counts; the next attempt writes this one again.
            self.file = None;
            return Err(error);
        }
        self.generation = slot.generation;
        Ok(())
    }

    /// Closes the file until the next store.
    pub(crate) fn close(&mut self) {
        self.file = None;
    }
}

/// A slot that is taken is the one that was written, also where the checksums are right.
pub(crate) fn fuzz(bytes: &[u8]) {
    let mut whole = bytes.to_vec();
    if whole.len() >= SLOT_BYTES {
        let version_crc = crc32fast::hash(&whole[..12]);
        whole[12..16].copy_from_slice(&version_crc.to_le_bytes());
        // The bytes that nothing is kept in.
        whole[56..60].fill(0);
        let crc = crc32fast::hash(&whole[..60]);
        whole[60..64].copy_from_slice(&crc.to_le_bytes());
    }
    for bytes in [bytes, &whole] {
        if let Ok(Some(slot)) = Slot::decode(bytes) {
            assert_eq!(Slot::decode(&slot.encode()), Ok(Some(slot)), "a slot comes back the same");
        }
    }
    if let Ok(Some(slot)) = Slot::decode(&whole) {
        assert_eq!(slot.encode()[..], whole[..SLOT_BYTES], "a slot has one form");
    }
}

/// A slot to begin with.
#[cfg(test)]
pub(crate) fn fuzz_seed() -> Vec<u8> {
    let head = Head { position: Position { segment: 3, offset: 44 }, sequence: 70_000 };
    Slot { identity: u64::MAX, generation: 9, head }.encode().to_vec()
}

fn is_disk_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use env::Fs;
    use env::simulated::{Effect, Fuse, LossModel, OpKind, SimClock, SimDisk};

    use super::*;
    use crate::planted::found_by;

    fn head(number: u64) -> Head {
        Head { position: Position { segment: number, offset: 44 + number }, sequence: number * 10 }
    }

    fn open(env: &Env, identity: u64) -> (HeadFile, Option<Head>) {
        HeadFile::open(env, Path::new("/q"), identity).expect("opens")
    }

    #[test]
    fn the_last_head_is_found_after_any_crash() {
        for seed in 0..40 {
            let disk = SimDisk::new(seed);
            let env = Env::simulated(seed, &SimClock::default(), &disk);
            disk.create_dir_durable(Path::new("/q")).expect("made");
            let (mut file, found) = open(&env, 7);
            assert_eq!(found, None);
            for number in 1..=seed % 5 {
                file.store(&env, head(number)).expect("stored");
            }
            disk.arm(Fuse { kinds: &[OpKind::Sync], after: 0, effect: Effect::PowerOff });
            assert!(file.store(&env, head(9)).is_err());
            disk.crash(LossModel::ALL[seed as usize % 4]);
            let (mut file, found) = open(&env, 7);
            let before = (seed % 5 > 0).then(|| head(seed % 5));
            assert!(found == before || found == Some(head(9)), "{found:?}");
            file.store(&env, head(10)).expect("stored");
            assert_eq!(open(&env, 7).1, Some(head(10)));
            assert_eq!(open(&env, 8).1, None, "it is for another log");
        }
    }

    #[test]
    fn planted_bugs_are_found() {
        let found = found_by(Bug::OlderHead, the_last_head_is_found_after_any_crash);
        assert!(found.is_some());
    }

    #[test]
    fn damage_of_one_slot_leaves_the_other() {
        let disk = SimDisk::new(1);
        let env = Env::simulated(1, &SimClock::default(), &disk);
        disk.create_dir_durable(Path::new("/q")).expect("made");
        let (mut file, _) = open(&env, 7);
        for number in 1..=4 {
            file.store(&env, head(number)).expect("stored");
        }
        for bit in 0..SLOT_BYTES as u64 * 8 {
            let disk = disk.fork(1);
            let env = Env::simulated(1, &SimClock::default(), &disk);
            disk.flip(Path::new("/q/head"), bit / 8, (bit % 8) as u8).expect("flipped");
            assert_eq!(open(&env, 7).1, Some(head(3)));
        }
    }

    #[test]
    fn another_version_is_refused() {
        let disk = SimDisk::new(1);
        let env = Env::simulated(1, &SimClock::default(), &disk);
        disk.create_dir_durable(Path::new("/q")).expect("made");
        let mut bytes = Slot { identity: 7, generation: 1, head: head(1) }.encode();
        bytes[8] = 2;
        let crc = crc32fast::hash(&bytes[..12]);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        disk.replace(Path::new("/q/head"), &bytes).expect("written");
        let error = HeadFile::open(&env, Path::new("/q"), 7).expect_err("refused");
        assert_eq!(
            error.to_string(),
            "/q/head has format 2, this release reads 1; it is left untouched: start the release that wrote it"
        );
    }
}
