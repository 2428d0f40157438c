//! Snapshots of the metadata in the directory `snapshots`, so that the log can be cut.
//!
//! A file holds the metadata after one entry of the log, and where in Raft that was. It is written beside, synced and
//! renamed, so it is there wholly or not at all. The two newest stay: when the newest is damaged, the one before it and
//! the log behind that do as well, for the log is kept longer than the distance of two snapshots.
//!
//! They are plain files rather than values in `raft.db` because redb does not give space back.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use env::Env;
use openraft::{Membership, SnapshotMeta, StoredMembership};

use crate::identity::naming;

/// First bytes of a file, before the version.
const MAGIC: [u8; 7] = *b"MSMETAS";
/// The version that is written, and the latest that is read: one byte.
pub(crate) const VERSION: u8 = 1;
/// Magic and version, checksum over all that follows, length of the description.
const HEADER_BYTES: usize = 8 + 4 + 4;
const SUFFIX: &str = ".snapshot";
/// How long to wait for space before the disk is tried again.
const PAUSE: Duration = Duration::from_secs(5);
/// How many files stay.
const KEPT: usize = 2;

pub(crate) type Meta = SnapshotMeta<u64, openraft::BasicNode>;

/// The directory.
#[derive(Clone, Debug)]
pub(crate) struct SnapshotDir {
    env: Env,
    dir: PathBuf,
    /// Held while one is written and old ones are removed.
    writing: Arc<tokio::sync::Mutex<()>>,
}

impl SnapshotDir {
    /// Makes the directory when it is missing.
    pub(crate) async fn open(env: &Env, dir: &Path) -> io::Result<SnapshotDir> {
        let opened = SnapshotDir { env: env.clone(), dir: dir.to_owned(), writing: Arc::default() };
        let (fs, dir) = (Arc::clone(env.fs()), dir.to_owned());
        env.blocking(move || fs.create_dir_durable(&dir).map_err(naming(&dir))).await?;
        Ok(opened)
    }

    /// The newest snapshot that can be read; also tells of damaged newer ones.
    pub(crate) async fn newest(&self) -> io::Result<Option<(Meta, Bytes)>> {
        let (fs, dir) = (Arc::clone(self.env.fs()), self.dir.clone());
        self.env
            .blocking(move || {
                for name in names(&*fs, &dir)?.into_iter().rev() {
                    let path = dir.join(&name);
                    match decode(&fs.read(&path).map_err(naming(&path))?) {
                        Some(read) => return Ok(Some(read)),
                        None => tracing::error!(file = name, "metadata snapshot is damaged, using the one before it"),
                    }
                }
                Ok(None)
            })
            .await
    }

    /// Writes a snapshot; afterwards it is durable and the oldest ones are gone. A full disk is waited for.
    pub(crate) async fn write(&self, meta: Meta, data: Bytes) -> io::Result<()> {
        let _one_at_a_time = self.writing.lock().await;
        let snapshot = Arc::new((meta, data));
        loop {
            let (fs, dir, snapshot) = (Arc::clone(self.env.fs()), self.dir.clone(), Arc::clone(&snapshot));
            match self.env.blocking(move || write(&*fs, &dir, &snapshot.0, &snapshot.1)).await {
                Err(error) if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
                    tracing::warn!(%error, "no space left for a snapshot of the metadata");
                    tokio::time::sleep(PAUSE).await;
                }
                done => return done,
            }
        }
    }
}

fn write(fs: &dyn env::Fs, dir: &Path, meta: &Meta, data: &Bytes) -> io::Result<()> {
    let (index, term) = meta.last_log_id.map_or((0, 0), |id| (id.index, id.leader_id.term));
    let path = dir.join(format!("{index:020}-{term:020}{SUFFIX}"));
    fs.replace(&path, &encode(meta, data)).map_err(naming(&path))?;
    let names = names(fs, dir)?;
    let old = names.len().saturating_sub(KEPT);
    for name in &names[..old] {
        let path = dir.join(name);
        fs.remove_file(&path).map_err(naming(&path))?;
    }
    if old > 0 { fs.sync_dir(dir) } else { Ok(()) }
}

impl SnapshotDir {
    /// Puts `membership` in the place of the one that each snapshot has; all else stays, and doing it again changes
    /// nothing. Damaged files are left as they are.
    pub(crate) async fn replace_membership(&self, membership: &Membership<u64, openraft::BasicNode>) -> io::Result<()> {
        let (fs, dir, membership) = (Arc::clone(self.env.fs()), self.dir.clone(), membership.clone());
        self.env
            .blocking(move || {
                for name in names(&*fs, &dir)? {
                    let path = dir.join(&name);
                    let Some((mut meta, data)) = decode(&fs.read(&path).map_err(naming(&path))?) else { continue };
                    if *meta.last_membership.membership() != membership {
                        meta.last_membership =
                            StoredMembership::new(*meta.last_membership.log_id(), membership.clone());
                        fs.replace(&path, &encode(&meta, &data)).map_err(naming(&path))?;
                    }
                }
                Ok(())
            })
            .await
    }
}

/// A snapshot in `dir` that a later release wrote, and its version, if there is one. Reads only. The checksum stands at
/// the same place in every version and tells a later one from damage.
pub(crate) fn later_format(env: &Env, dir: &Path) -> io::Result<Option<(PathBuf, u8)>> {
    let fs = &**env.fs();
    if !fs.exists(dir).map_err(naming(dir))? {
        return Ok(None);
    }
    for name in names(fs, dir)? {
        let path = dir.join(name);
        let bytes = fs.read(&path).map_err(naming(&path))?;
        if let Some(version) = version(&bytes).filter(|version| *version > VERSION) {
            return Ok(Some((path, version)));
        }
    }
    Ok(None)
}

/// The version of a file whose checksum is right.
fn version(bytes: &[u8]) -> Option<u8> {
    let (version, rest) = bytes.strip_prefix(&MAGIC)?.split_first()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    (u32::from_le_bytes(*crc) == crc32fast::hash(rest)).then_some(*version)
}

/// Names of snapshot files, oldest first.
fn names(fs: &dyn env::Fs, dir: &Path) -> io::Result<Vec<String>> {
    let entries = fs.list(dir).map_err(naming(dir))?.into_iter().map(|entry| entry.name);
    Ok(entries.filter(|name| name.ends_with(SUFFIX)).collect())
}

fn encode(meta: &Meta, data: &[u8]) -> Vec<u8> {
    around(&rmp_serde::to_vec_named(meta).expect("writing to memory does not fail"), data)
}

/// The file of a description that is bytes already.
fn around(description: &[u8], data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + description.len() + data.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.push(VERSION);
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&u32::try_from(description.len()).expect("a few addresses").to_le_bytes());
    bytes.extend_from_slice(description);
    bytes.extend_from_slice(data);
    let crc = crc32fast::hash(&bytes[12..]);
    bytes[8..12].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<(Meta, Bytes)> {
    version(bytes).filter(|version| *version == VERSION)?;
    let (length, rest) = bytes[12..].split_first_chunk::<4>()?;
    let (description, data) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    Some((rmp_serde::from_slice(description).ok()?, Bytes::copy_from_slice(data)))
}

/// Reads `bytes` as a file, and as the description in a file whose checksum is right.
pub(crate) fn fuzz(bytes: &[u8]) {
    decode(bytes);
    let Some((meta, data)) = decode(&around(bytes, b"data")) else { return };
    assert_eq!(decode(&encode(&meta, &data)), Some((meta, data)), "a snapshot comes back the same");
}

/// A file to begin with.
#[cfg(test)]
pub(crate) fn fuzz_seeds() -> [(&'static str, Vec<u8>); 2] {
    let meta = Meta { snapshot_id: "s7".to_owned(), ..Meta::default() };
    let description = rmp_serde::to_vec_named(&meta).expect("writing to memory does not fail");
    [("snapshot_description", description), ("snapshot_file", encode(&meta, b"data"))]
}

#[cfg(test)]
mod tests {
    use openraft::{CommittedLeaderId, LogId};

    use super::*;

    fn meta(index: u64) -> Meta {
        Meta {
            last_log_id: Some(LogId::new(CommittedLeaderId::new(1, 1), index)),
            snapshot_id: format!("s{index}"),
            ..Meta::default()
        }
    }

    #[tokio::test]
    async fn the_two_newest_stay_and_a_damaged_one_is_passed_over() {
        let temp = tempfile::tempdir().expect("a directory");
        let env = Env::real();
        let snapshots = SnapshotDir::open(&env, &temp.path().join("snapshots")).await.expect("opens");
        assert!(snapshots.newest().await.expect("readable").is_none());
        for index in [5, 90, 300] {
            snapshots.write(meta(index), Bytes::from(vec![1, 2, 3])).await.expect("written");
        }
        let (newest, data) = snapshots.newest().await.expect("readable").expect("there is one");
        assert_eq!((newest, &data[..]), (meta(300), &[1, 2, 3][..]));
        let names = names(&**env.fs(), &snapshots.dir).expect("listed");
        assert_eq!(names.len(), KEPT);
        let path = snapshots.dir.join(&names[1]);
        let mut bytes = env.fs().read(&path).expect("read");
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        env.fs().replace(&path, &bytes).expect("damaged");
        assert_eq!(snapshots.newest().await.expect("readable").expect("the one before").0, meta(90));
    }

    #[tokio::test]
    async fn a_later_version_is_told_from_damage() {
        let temp = tempfile::tempdir().expect("a directory");
        let env = Env::real();
        let snapshots = SnapshotDir::open(&env, temp.path()).await.expect("opens");
        snapshots.write(meta(5), Bytes::from(vec![1])).await.expect("written");
        let path = temp.path().join(&names(&**env.fs(), temp.path()).expect("listed")[0]);
        assert_eq!(later_format(&env, temp.path()).expect("readable"), None);
        let mut bytes = env.fs().read(&path).expect("read");
        bytes[7] = 2;
        env.fs().replace(&path, &bytes).expect("written");
        assert_eq!(later_format(&env, temp.path()).expect("readable"), Some((path.clone(), 2)));
        assert_eq!(decode(&bytes), None);
        bytes[20] ^= 1;
        env.fs().replace(&path, &bytes).expect("written");
        assert_eq!(later_format(&env, temp.path()).expect("readable"), None);
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_read_is_named() {
        let temp = tempfile::tempdir().expect("a directory");
        let env = Env::real();
        let snapshots = SnapshotDir::open(&env, temp.path()).await.expect("opens");
        let path = temp.path().join(format!("5-1{SUFFIX}"));
        std::fs::create_dir(&path).expect("made");
        let named = format!("{}: Is a directory", path.display());
        for error in [snapshots.newest().await.err(), later_format(&env, temp.path()).err()] {
            let text = error.expect("no file").to_string();
            assert!(text.starts_with(&named), "{text}");
        }
    }

    #[test]
    fn damage_is_found_at_every_byte() {
        let bytes = encode(&meta(7), b"data");
        assert!(decode(&bytes).is_some());
        for index in 0..bytes.len() {
            assert!(decode(&bytes[..index]).is_none(), "cut at {index}");
            let mut damaged = bytes.clone();
            damaged[index] ^= 0x10;
            assert!(decode(&damaged).is_none(), "flipped at {index}");
        }
    }
}
