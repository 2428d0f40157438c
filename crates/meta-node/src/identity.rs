//! Who a directory is: the files `incarnation` and `node.json`.
//!
//! The incarnation is 128 random bits made with the directory; `node.json` says as which member the cluster knows it.
//! Both are replaced atomically.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use env::{ClaimError, DirEntry, Env, claim};
use meta::Incarnation;
use model::NodeId;
use serde::{Deserialize, Serialize};

use crate::snapshots;

const WHAT: &str = "metadata";
pub(crate) const SNAPSHOTS: &str = "snapshots";
const INCARNATION: &str = "incarnation";
const NODE: &str = "node.json";

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
}

/// `node.json`. The first two keys are those that other programs know.
#[derive(Serialize, Deserialize)]
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
}

/// What lies in a metadata directory beside the file `incarnation`: what meta nodes and data nodes keep there, who may
/// share it, and what is on its way to replace it.
const NAMES: [&str; 6] = [INCARNATION, NODE, "meta.lock", "raft.db", "client.meta", "client.lock"];

/// Whether a node may use the metadata directory `dir`: it is new, or an earlier start made it. Reads only.
///
/// # Errors
/// When it holds what is not ours, or a snapshot that a later release wrote; the disk's.
pub fn check(env: &Env, dir: &Path) -> Result<(), DirError> {
    let fs = &**env.fs();
    let io = |source| ClaimError::Io { what: WHAT, dir: dir.to_owned(), source };
    let is_taken = fs.exists(&dir.join(INCARNATION)).map_err(io)?;
    if !is_taken {
        let stranger = |entry: &DirEntry| {
            let is_ours = match entry.is_dir {
                true => entry.name == SNAPSHOTS,
                false => NAMES.contains(&entry.name.strip_suffix(".new").unwrap_or(&entry.name)),
            };
            Ok((!is_ours).then(|| entry.name.clone()))
        };
        claim::refuse_strangers(fs, WHAT, dir, &stranger)?;
    }
    match snapshots::later_format(env, &dir.join(SNAPSHOTS)).map_err(io)? {
        Some((path, found)) => Err(DirError::NewerFile { path, found, known: snapshots::VERSION }),
        None => Ok(()),
    }
}

/// The incarnation of a directory. Made, with the directory, when there is none.
///
/// # Errors
/// The disk's, and `InvalidData` when the file is damaged.
pub async fn incarnation(env: &Env, dir: &Path) -> io::Result<Incarnation> {
    let mut random = [0; 16];
    env.random_fill(&mut random);
    let (fs, dir) = (Arc::clone(env.fs()), dir.to_owned());
    env.blocking(move || {
        fs.create_dir_durable(&dir)?;
        let path = dir.join(INCARNATION);
        if fs.exists(&path)? {
            let text = String::from_utf8(fs.read(&path)?).unwrap_or_default();
            return Incarnation::parse(text.trim_end()).ok_or_else(|| damaged(&path, "not 32 hexadecimal digits"));
        }
        let incarnation = Incarnation(u128::from_le_bytes(random));
        fs.replace(&path, format!("{incarnation}\n").as_bytes())?;
        Ok(incarnation)
    })
    .await
}

/// Reads `node.json`. `None` when there is none, or one that says it is no member (id 0).
///
/// # Errors
/// The disk's, and `InvalidData` when the file is damaged.
pub async fn load_member(env: &Env, dir: &Path) -> io::Result<Option<Member>> {
    let (fs, path) = (Arc::clone(env.fs()), dir.join(NODE));
    env.blocking(move || {
        if !fs.exists(&path)? {
            return Ok(None);
        }
        decode_member(&fs.read(&path)?).map_err(|error| damaged(&path, &error.to_string()))
    })
    .await
}

/// The member in the bytes of `node.json`.
fn decode_member(bytes: &[u8]) -> serde_json::Result<Option<Member>> {
    let read: NodeJson = serde_json::from_slice(bytes)?;
    Ok((read.id != 0).then(|| Member {
        id: NodeId(read.id),
        cluster_id: parse_cluster_id(&read.cluster_id).unwrap_or(0),
        meta_servers: read.meta_servers.unwrap_or_default(),
        meta: read.meta,
        raft_started: read.raft_started,
    }))
}

fn encode_member(member: &Member) -> Vec<u8> {
    let json = NodeJson {
        id: member.id.0,
        meta_servers: Some(member.meta_servers.clone()),
        cluster_id: format_cluster_id(member.cluster_id),
        meta: member.meta,
        raft_started: member.raft_started,
    };
    serde_json::to_vec(&json).expect("plain values")
}

/// Reads `bytes` as `node.json`; a member comes back the same.
pub(crate) fn fuzz(bytes: &[u8]) {
    if let Ok(Some(member)) = decode_member(bytes) {
        assert_eq!(decode_member(&encode_member(&member)).ok(), Some(Some(member)));
    }
}

/// Writes `node.json`.
///
/// # Errors
/// The disk's. The old file is then still there, or the new one is.
pub async fn store_member(env: &Env, dir: &Path, member: &Member) -> io::Result<()> {
    let bytes = encode_member(member);
    let (fs, path) = (Arc::clone(env.fs()), dir.join(NODE));
    env.blocking(move || fs.replace(&path, &bytes)).await
}

/// Sixteen hexadecimal digits: JSON numbers do not hold 64 bits everywhere.
pub(crate) fn format_cluster_id(id: u64) -> String {
    format!("{id:016x}")
}

pub(crate) fn parse_cluster_id(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
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
        for ours in [".hidden", "client.meta", "node.json.new"] {
            std::fs::write(dir.join(ours), b"x").expect("written");
        }
        check(&env, dir).expect("nothing else is there");
        for foreign in ["meta.db", "client.json", "notes"] {
            std::fs::write(dir.join(foreign), b"x").expect("written");
            let refused = check(&env, dir).expect_err("foreign").to_string();
            assert!(refused.contains(&format!("holds {foreign:?}")), "{refused}");
            std::fs::remove_file(dir.join(foreign)).expect("removed");
        }
        incarnation(&env, dir).await.expect("made");
        std::fs::write(dir.join("notes"), b"x").expect("written");
        check(&env, dir).expect("it is known as ours");
    }

    #[tokio::test]
    async fn an_incarnation_is_made_once() {
        let temp = tempfile::tempdir().expect("a directory");
        let (env, dir) = (Env::real(), temp.path().join("meta"));
        let first = incarnation(&env, &dir).await.expect("made");
        assert_eq!(incarnation(&env, &dir).await.expect("read"), first);
        assert_ne!(incarnation(&env, &temp.path().join("other")).await.expect("made"), first);
        env.fs().replace(&dir.join(INCARNATION), b"short\n").expect("damaged");
        assert_eq!(incarnation(&env, &dir).await.expect_err("damaged").kind(), io::ErrorKind::InvalidData);
    }

    #[tokio::test]
    async fn membership_comes_back() {
        let temp = tempfile::tempdir().expect("a directory");
        let (env, dir) = (Env::real(), temp.path());
        assert_eq!(load_member(&env, dir).await.expect("none"), None);
        let member = Member {
            id: NodeId(4),
            cluster_id: u64::MAX,
            meta_servers: vec!["a:8091".to_owned()],
            meta: true,
            raft_started: false,
        };
        store_member(&env, dir, &member).await.expect("written");
        assert_eq!(load_member(&env, dir).await.expect("read"), Some(member));
        for (text, want) in [(r#"{"ID":0,"MetaServers":null}"#, None), (r#"{"ID":7}"#, Some(NodeId(7)))] {
            env.fs().replace(&dir.join(NODE), text.as_bytes()).expect("an older program's file");
            assert_eq!(load_member(&env, dir).await.expect("read").map(|member| member.id), want);
        }
        env.fs().replace(&dir.join(NODE), b"{").expect("damaged");
        assert_eq!(load_member(&env, dir).await.expect_err("damaged").kind(), io::ErrorKind::InvalidData);
    }
}
