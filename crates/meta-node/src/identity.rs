//! Who a directory is: the files `incarnation` and `node.json`, or those of the same use of a program that is a meta node
//! and nothing else.
//!
//! The incarnation is 128 random bits made with the directory; the other file says as which member the cluster knows it.
//! Both are replaced atomically.
//!
//! Who leaves a cluster first writes down that it has left ([`mark_left`]), then removes what it had ([`clear`]); a start
//! that finds the mark goes on with that. It comes back as somebody else.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use env::{ClaimError, DirEntry, Env, Fs, claim};
use meta::Incarnation;
use model::NodeId;
use serde::{Deserialize, Serialize};

use crate::snapshots;

const WHAT: &str = "metadata";
pub(crate) const SNAPSHOTS: &str = "snapshots";
/// What directories are called that have the Raft log of a cluster that the node was by itself; its id follows.
const FORMER: &str = "former-";
pub(crate) const LOCK: &str = "meta.lock";
pub(crate) const LOG: &str = "raft.db";
/// Raft addresses of the members, for operators; see [`crate::node`].
pub(crate) const PEERS: &str = "peers.json";

/// What the files of an identity are called. Two programs may share a directory; each is a node of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Files {
    /// The program that keeps them.
    program: &'static str,
    incarnation: &'static str,
    /// As which member the cluster knows the directory.
    pub member: &'static str,
}

impl Files {
    /// Those of a server.
    pub const NODE: Files = Files { program: "influxd", incarnation: "incarnation", member: "node.json" };
    /// Those of a program that is a meta node and nothing else.
    pub const META_ONLY: Files =
        Files { program: "influxd-meta", incarnation: "meta-incarnation", member: "meta-node.json" };

    fn other(self) -> Files {
        if self == Files::NODE { Files::META_ONLY } else { Files::NODE }
    }
}

/// The directory cannot be used. It is as it was.
#[derive(Debug, thiserror::Error)]
pub enum DirError {
    /// It is not ours.
    #[error(transparent)]
    Dir(#[from] ClaimError),
    /// A later release wrote a file.
    #[error(
        "{} has format {found}, this release reads up to {known}; the metadata directory is left untouched: start the \
         release that wrote it", .path.display()
    )]
    NewerFile {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u8,
        /// The latest version that this release reads.
        known: u8,
    },
    /// A meta node of the other program lives there.
    #[error(
        "{} is the metadata directory of {owner}; it is left untouched: start {owner}, or give {program} another [meta] dir",
        .dir.display()
    )]
    Other {
        /// The directory.
        dir: PathBuf,
        /// Whose it is.
        owner: &'static str,
        /// Who was started.
        program: &'static str,
    },
    /// The directory is that of a member, and nothing says which directory it is. With a new incarnation it would be
    /// somebody else under the same number.
    #[error("{}: {beside} is there but {file} is not; put {file} back from a backup", .dir.display())]
    IncarnationMissing {
        /// The directory.
        dir: PathBuf,
        /// What tells that there was one.
        beside: &'static str,
        /// The file.
        file: &'static str,
    },
    /// The disk refused. The file is named.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// What a directory knows of its membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its number in the cluster.
    pub id: NodeId,
    /// Which cluster.
    pub cluster_id: u64,
    /// `host:port` of the admin APIs of the meta nodes it last knew of.
    pub meta_servers: Vec<String>,
    /// Whether it is a meta node.
    pub meta: bool,
    /// Whether it has had a Raft log. If so and the log is gone it must not take part again under its number.
    pub raft_started: bool,
    /// How often the cluster was put together anew from the members that were left, as far as this one has heard.
    pub recoveries: u64,
    /// What Raft messages name as the cluster: since a recovery something else than before, so that members that were
    /// left out and come back with their old logs are not heard, and elect nobody.
    pub group: u64,
}

/// `node.json`. The first two keys are those that other programs know.
#[derive(Default, Serialize, Deserialize)]
struct NodeJson {
    #[serde(rename = "ID")]
    id: u64,
    #[serde(rename = "MetaServers", default)]
    meta_servers: Option<Vec<String>>,
    #[serde(rename = "ClusterID", default)]
    cluster_id: String,
    #[serde(rename = "Meta", default)]
    meta: bool,
    #[serde(rename = "RaftStarted", default)]
    raft_started: bool,
    #[serde(rename = "Recoveries", default, skip_serializing_if = "is_zero")]
    recoveries: u64,
    /// Left out while there was no recovery: it is the cluster then.
    #[serde(rename = "Group", default, skip_serializing_if = "String::is_empty")]
    group: String,
    #[serde(rename = "Left", default, skip_serializing_if = "std::ops::Not::not")]
    left: bool,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What may lie in a metadata directory before it has an incarnation: what meta nodes and data nodes keep there, who may
/// share it, and what is on its way to replace it.
const NAMES: [&str; 11] = [
    Files::NODE.incarnation,
    Files::NODE.member,
    Files::META_ONLY.incarnation,
    Files::META_ONLY.member,
    LOCK,
    LOG,
    PEERS,
    "client.meta",
    "client.changes",
    "client.lock",
    crate::arrival::FILE,
];

/// Whether a node may use the metadata directory `dir`: it is new, or an earlier start made it. Reads only.
///
/// # Errors
/// When it holds what is not ours, or a snapshot that a later release wrote; the disk's.
pub fn check(env: &Env, dir: &Path) -> Result<(), DirError> {
    let fs = &**env.fs();
    let io = |source| ClaimError::Io { what: WHAT, dir: dir.to_owned(), source };
    let has = |file: &str| fs.exists(&dir.join(file)).map_err(io);
    if !has(Files::NODE.incarnation)? && !has(Files::META_ONLY.incarnation)? {
        let stranger = |entry: &DirEntry| {
            let is_ours = match entry.is_dir {
                true => entry.name == SNAPSHOTS || entry.name.starts_with(FORMER),
                false => NAMES.contains(&entry.name.strip_suffix(".new").unwrap_or(&entry.name)),
            };
            Ok((!is_ours).then(|| entry.name.clone()))
        };
        claim::refuse_strangers(fs, WHAT, dir, &stranger)?;
    }
    match snapshots::later_format(env, &dir.join(SNAPSHOTS))? {
        Some((path, found)) => Err(DirError::NewerFile { path, found, known: snapshots::VERSION }),
        None => Ok(()),
    }
}

/// Whether the identity in `dir` is whole and that of the program that is started: `files` are its own. `has_raft` when it
/// is to be a meta node. A directory without any may get one. Reads only.
///
/// # Errors
/// When it is a meta node's of the other program, or has lost its incarnation; the disk's.
pub fn check_owner(env: &Env, dir: &Path, files: Files, has_raft: bool) -> Result<(), DirError> {
    let has = |file: &str| env.fs().exists(&dir.join(file)).map_err(naming(&dir.join(file)));
    // Who has left is emptied, which may have begun.
    if has(files.incarnation)? || read_json(env, dir, files)?.is_some_and(|json| json.left) {
        return Ok(());
    }
    let member = read_member(env, dir, files)?;
    let has_log = has_raft && log_bytes(env, dir)? > 0;
    if has_raft && member.is_none() {
        let other = files.other();
        let is_others = match files == Files::NODE {
            // It may wait to be added, and have no log yet.
            true => has(other.incarnation)?,
            false => has_log && read_member(env, dir, other)?.is_some_and(|member| member.meta),
        };
        if is_others {
            return Err(DirError::Other { dir: dir.to_owned(), owner: other.program, program: files.program });
        }
    }
    let beside = match (has_log, member) {
        (true, _) => LOG,
        (false, Some(_)) => files.member,
        (false, None) => return Ok(()),
    };
    Err(DirError::IncarnationMissing { dir: dir.to_owned(), beside, file: files.incarnation })
}

/// The incarnation of a directory. Made, with the directory, when there is none.
///
/// # Errors
/// The disk's, and `InvalidData` when the file is damaged.
pub async fn incarnation(env: &Env, dir: &Path, files: Files) -> io::Result<Incarnation> {
    let mut random = [0; 16];
    env.random_fill(&mut random);
    let (fs, dir) = (Arc::clone(env.fs()), dir.to_owned());
    env.blocking(move || {
        fs.create_dir_durable(&dir).map_err(naming(&dir))?;
        let path = dir.join(files.incarnation);
        if let Some(bytes) = read_if_there(&*fs, &path)? {
            let text = String::from_utf8(bytes).unwrap_or_default();
            return Incarnation::parse(text.trim_end()).ok_or_else(|| damaged(&path, "not 32 hexadecimal digits"));
        }
        let incarnation = Incarnation(u128::from_le_bytes(random));
        fs.replace(&path, format!("{incarnation}\n").as_bytes()).map_err(naming(&path))?;
        Ok(incarnation)
    })
    .await
}

/// Reads as which member the cluster knows the directory. `None` when there is none, or one that says it is no member (id 0).
///
/// # Errors
/// The disk's, and `InvalidData` when the file is damaged.
pub async fn load_member(env: &Env, dir: &Path, files: Files) -> io::Result<Option<Member>> {
    let (copy, dir) = (env.clone(), dir.to_owned());
    env.blocking(move || read_member(&copy, &dir, files)).await
}

/// How long the Raft log is. A file system that went down may have left an empty one, which is none.
pub(crate) fn log_bytes(env: &Env, dir: &Path) -> io::Result<u64> {
    let (fs, path) = (&**env.fs(), dir.join(LOG));
    let bytes = || if fs.exists(&path)? { fs.file_bytes(&path) } else { Ok(0) };
    bytes().map_err(naming(&path))
}

fn read_member(env: &Env, dir: &Path, files: Files) -> io::Result<Option<Member>> {
    let path = dir.join(files.member);
    let Some(bytes) = read_if_there(&**env.fs(), &path)? else { return Ok(None) };
    decode_member(&bytes).map_err(|error| damaged(&path, &error.to_string()))
}

fn read_json(env: &Env, dir: &Path, files: Files) -> io::Result<Option<NodeJson>> {
    let path = dir.join(files.member);
    let Some(bytes) = read_if_there(&**env.fs(), &path)? else { return Ok(None) };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| damaged(&path, &error.to_string()))
}

/// What a file holds; `None` when there is none. Errors name it.
pub(crate) fn read_if_there(fs: &dyn Fs, path: &Path) -> io::Result<Option<Vec<u8>>> {
    let read = || if fs.exists(path)? { fs.read(path).map(Some) } else { Ok(None) };
    read().map_err(naming(path))
}

/// The member in the bytes of `node.json`.
fn decode_member(bytes: &[u8]) -> serde_json::Result<Option<Member>> {
    let read: NodeJson = serde_json::from_slice(bytes)?;
    let cluster_id = parse_cluster_id(&read.cluster_id).unwrap_or(0);
    let group = parse_cluster_id(&read.group).filter(|_| read.recoveries > 0);
    Ok((read.id != 0).then(|| Member {
        id: NodeId(read.id),
        cluster_id,
        meta_servers: read.meta_servers.unwrap_or_default(),
        meta: read.meta,
        raft_started: read.raft_started,
        recoveries: read.recoveries,
        group: group.unwrap_or(cluster_id),
    }))
}

fn encode_member(member: &Member) -> Vec<u8> {
    let json = NodeJson {
        id: member.id.0,
        meta_servers: Some(member.meta_servers.clone()),
        cluster_id: format_cluster_id(member.cluster_id),
        meta: member.meta,
        raft_started: member.raft_started,
        recoveries: member.recoveries,
        group: if member.recoveries == 0 { String::new() } else { format_cluster_id(member.group) },
        left: false,
    };
    serde_json::to_vec(&json).expect("plain values")
}

/// Reads `bytes` as `node.json`; a member comes back the same.
pub(crate) fn fuzz(bytes: &[u8]) {
    if let Ok(Some(member)) = decode_member(bytes) {
        assert_eq!(decode_member(&encode_member(&member)).ok(), Some(Some(member)));
    }
}

/// Writes as which member the cluster knows the directory.
///
/// # Errors
/// The disk's. The old file is then still there, or the new one is.
pub async fn store_member(env: &Env, dir: &Path, files: Files, member: &Member) -> io::Result<()> {
    let bytes = encode_member(member);
    let (fs, path) = (Arc::clone(env.fs()), dir.join(files.member));
    env.blocking(move || fs.replace(&path, &bytes).map_err(naming(&path))).await
}

/// Writes down that the directory is to be emptied: what it was a member of does not know it any more.
///
/// # Errors
/// The disk's. It is then still the member that it was, or has left.
pub async fn mark_left(env: &Env, dir: &Path, files: Files) -> io::Result<()> {
    let bytes = serde_json::to_vec(&NodeJson { left: true, ..NodeJson::default() }).expect("plain values");
    let (fs, path) = (Arc::clone(env.fs()), dir.join(files.member));
    env.blocking(move || fs.replace(&path, &bytes).map_err(naming(&path))).await
}

/// Whether [`mark_left`] was called and [`clear`] has not come to its end since.
///
/// # Errors
/// The disk's, and `InvalidData` when the file is damaged.
pub async fn has_left(env: &Env, dir: &Path, files: Files) -> io::Result<bool> {
    let (copy, dir) = (env.clone(), dir.to_owned());
    env.blocking(move || Ok(read_json(&copy, &dir, files)?.is_some_and(|json| json.left))).await
}

/// Removes the identity of the directory, and `with_raft` also the Raft log and the snapshots, which may be another
/// program's. The mark goes last, so that a crash on the way is made up for.
///
/// # Errors
/// The disk's.
pub async fn clear(env: &Env, dir: &Path, files: Files, with_raft: bool) -> io::Result<()> {
    let (fs, dir) = (Arc::clone(env.fs()), dir.to_owned());
    env.blocking(move || {
        let snapshots = dir.join(SNAPSHOTS);
        if with_raft && fs.exists(&snapshots)? {
            fs.remove_dir_all(&snapshots).map_err(naming(&snapshots))?;
        }
        for file in [LOG, PEERS, files.incarnation, files.member] {
            let path = dir.join(file);
            let is_rafts = file == LOG || file == PEERS;
            if (with_raft || !is_rafts) && fs.exists(&path)? {
                fs.remove_file(&path).map_err(naming(&path))?;
            }
            fs.sync_dir(&dir).map_err(naming(&dir))?;
        }
        Ok(())
    })
    .await
}

/// Sets the Raft log, the snapshots and the copy of the metadata of `cluster` aside, which the directory was by itself
/// before it came into another one. Repeated after a crash it goes on where it was.
///
/// # Errors
/// The disk's.
pub async fn set_aside(env: &Env, dir: &Path, cluster: u64) -> io::Result<()> {
    let (fs, dir) = (Arc::clone(env.fs()), dir.to_owned());
    env.blocking(move || {
        let former = dir.join(format!("{FORMER}{}", format_cluster_id(cluster)));
        fs.create_dir_durable(&former)?;
        for name in [LOG, PEERS, SNAPSHOTS, "client.meta", "client.changes"] {
            if fs.exists(&dir.join(name))? {
                fs.rename(&dir.join(name), &former.join(name))?;
            }
        }
        fs.sync_dir(&former)?;
        fs.sync_dir(&dir)
    })
    .await
}

/// Sixteen hexadecimal digits: JSON numbers do not hold 64 bits everywhere.
pub(crate) fn format_cluster_id(id: u64) -> String {
    format!("{id:016x}")
}

pub(crate) fn parse_cluster_id(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

/// Gives an error of the disk the name of the file.
pub(crate) fn naming(path: &Path) -> impl Fn(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn damaged(path: &Path, why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{}: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_directory_with_anything_else_in_it_is_refused_untouched() {
        let temp = tempfile::tempdir().expect("a directory");
        let (env, dir) = (Env::real(), temp.path());
        for ours in ["lost+found", SNAPSHOTS] {
            std::fs::create_dir(dir.join(ours)).expect("made");
        }
        for ours in [".hidden", "client.meta", "client.changes", "node.json.new"] {
            std::fs::write(dir.join(ours), b"x").expect("written");
        }
        check(&env, dir).expect("nothing else is there");
        for foreign in ["meta.db", "client.json", "notes"] {
            std::fs::write(dir.join(foreign), b"x").expect("written");
            let refused = check(&env, dir).expect_err("foreign").to_string();
            assert!(refused.contains(&format!("holds {foreign:?}")), "{refused}");
            std::fs::remove_file(dir.join(foreign)).expect("removed");
        }
        incarnation(&env, dir, Files::NODE).await.expect("made");
        std::fs::write(dir.join("notes"), b"x").expect("written");
        check(&env, dir).expect("it is known as ours");
    }

    #[tokio::test]
    async fn an_incarnation_is_made_once() {
        let temp = tempfile::tempdir().expect("a directory");
        let (env, dir) = (Env::real(), temp.path().join("meta"));
        let first = incarnation(&env, &dir, Files::NODE).await.expect("made");
        assert_eq!(incarnation(&env, &dir, Files::NODE).await.expect("read"), first);
        assert_ne!(incarnation(&env, &temp.path().join("other"), Files::NODE).await.expect("made"), first);
        env.fs().replace(&dir.join(Files::NODE.incarnation), b"short\n").expect("damaged");
        assert_eq!(incarnation(&env, &dir, Files::NODE).await.expect_err("damaged").kind(), io::ErrorKind::InvalidData);
    }

    #[tokio::test]
    async fn membership_comes_back() {
        let temp = tempfile::tempdir().expect("a directory");
        let (env, dir) = (Env::real(), temp.path());
        assert_eq!(load_member(&env, dir, Files::NODE).await.expect("none"), None);
        let member = Member {
            id: NodeId(4),
            cluster_id: u64::MAX,
            meta_servers: vec!["a:8091".to_owned()],
            meta: true,
            raft_started: false,
            recoveries: 2,
            group: 77,
        };
        store_member(&env, dir, Files::NODE, &member).await.expect("written");
        assert_eq!(load_member(&env, dir, Files::NODE).await.expect("read"), Some(member));
        for (text, want) in [(r#"{"ID":0,"MetaServers":null}"#, None), (r#"{"ID":7}"#, Some(NodeId(7)))] {
            env.fs().replace(&dir.join(Files::NODE.member), text.as_bytes()).expect("an older program's file");
            assert_eq!(load_member(&env, dir, Files::NODE).await.expect("read").map(|member| member.id), want);
        }
        env.fs().replace(&dir.join(Files::NODE.member), b"{").expect("damaged");
        assert_eq!(load_member(&env, dir, Files::NODE).await.expect_err("damaged").kind(), io::ErrorKind::InvalidData);
    }

    #[tokio::test]
    async fn two_programs_in_one_directory_are_two_nodes() {
        let temp = tempfile::tempdir().expect("a directory");
        let (env, dir) = (Env::real(), temp.path());
        let server = incarnation(&env, dir, Files::NODE).await.expect("made");
        let meta_only = incarnation(&env, dir, Files::META_ONLY).await.expect("made");
        assert_ne!(server, meta_only);
        clear(&env, dir, Files::META_ONLY, true).await.expect("removed");
        assert_eq!(incarnation(&env, dir, Files::NODE).await.expect("untouched"), server);
        assert_ne!(incarnation(&env, dir, Files::META_ONLY).await.expect("made anew"), meta_only);
    }

    #[tokio::test]
    async fn a_directory_whose_incarnation_is_lost_or_that_is_another_programs_is_refused() {
        let (node, meta_only) = (Files::NODE, Files::META_ONLY);
        let told = |present: &[&str], files: Files, has_raft: bool| {
            let temp = tempfile::tempdir().expect("a directory");
            for name in present {
                let text = match *name {
                    "node.json" => r#"{"ID":7,"Meta":true}"#,
                    "node.json of a data node" => r#"{"ID":7}"#,
                    "meta-node.json" => r#"{"ID":8,"Meta":true}"#,
                    "node.json of one that left" => r#"{"ID":0,"Left":true}"#,
                    _ => "x",
                };
                let name = name.split(' ').next().expect("a name");
                std::fs::write(temp.path().join(name), text).expect("written");
            }
            let refused = check_owner(&Env::real(), temp.path(), files, has_raft).map_err(|error| error.to_string());
            refused.err().map_or_else(String::new, |text| text.replace(&temp.path().display().to_string(), "d"))
        };
        for (present, files, has_raft) in [
            (&[][..], node, true),
            (&[][..], meta_only, true),
            (&["incarnation", "node.json", "raft.db"], node, true),
            // Empty, or emptied half-way.
            (&["node.json of one that left", "raft.db"], node, true),
            // Both programs of a single server, whichever came first.
            (&["meta-incarnation", "meta-node.json", "raft.db"], node, false),
            (&["incarnation", "node.json of a data node"], meta_only, true),
        ] {
            assert_eq!(told(present, files, has_raft), "", "{present:?}");
        }
        let missing =
            |beside: &str, file: &str| format!("d: {beside} is there but {file} is not; put {file} back from a backup");
        assert_eq!(told(&["raft.db"], node, true), missing("raft.db", "incarnation"));
        assert_eq!(told(&["raft.db", "node.json"], node, true), missing("raft.db", "incarnation"));
        assert_eq!(told(&["raft.db", "meta-node.json"], meta_only, true), missing("raft.db", "meta-incarnation"));
        assert_eq!(told(&["node.json of a data node"], node, false), missing("node.json", "incarnation"));
        let shared = ["incarnation", "node.json of a data node", "raft.db", "meta-node.json"];
        assert_eq!(told(&shared, meta_only, true), missing("raft.db", "meta-incarnation"));
        let others = told(&["meta-incarnation"], node, true);
        assert!(others.starts_with("d is the metadata directory of influxd-meta; it is left untouched: "), "{others}");
        let others = told(&["incarnation", "node.json", "raft.db"], meta_only, true);
        assert!(others.ends_with("start influxd, or give influxd-meta another [meta] dir"), "{others}");
    }

    #[tokio::test]
    async fn who_has_left_is_somebody_else_after_clearing_however_often_it_is_cut_short() {
        let temp = tempfile::tempdir().expect("a directory");
        let (env, dir, files) = (Env::real(), temp.path(), Files::META_ONLY);
        let before = incarnation(&env, dir, files).await.expect("made");
        std::fs::create_dir(dir.join(SNAPSHOTS)).expect("made");
        std::fs::write(dir.join(LOG), b"log").expect("written");
        mark_left(&env, dir, files).await.expect("marked");
        assert!(has_left(&env, dir, files).await.expect("read"));
        assert_eq!(load_member(&env, dir, files).await.expect("read"), None);
        // A crash after the log went.
        std::fs::remove_file(dir.join(LOG)).expect("removed");
        clear(&env, dir, files, true).await.expect("cleared");
        assert!(!has_left(&env, dir, files).await.expect("read"));
        assert!(std::fs::read_dir(dir).expect("a directory").next().is_none());
        clear(&env, dir, files, true).await.expect("nothing to do");
        assert_ne!(incarnation(&env, dir, files).await.expect("made"), before);
    }
}
