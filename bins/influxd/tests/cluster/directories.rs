//! Directories that a node must not touch, and says why.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use testkit::{Cluster, until};

use super::{check, cluster};

#[test]
fn a_directory_in_use_is_refused() {
    let (mut cluster, _dir) = cluster(15, 2);
    let done = (|| {
        cluster.start(0, &[])?;
        // The second node is told to live in the directories of the first.
        let first = cluster.nodes[0].dir().display().to_string();
        let second = cluster.nodes[1].dir().display().to_string();
        let config = cluster.nodes[1].dir().join("influxdb.conf");
        let text = std::fs::read_to_string(&config)?.replace(&second, &first);
        std::fs::write(&config, text)?;
        let refused = cluster.start(1, &[]).err().map(|error| format!("{error:#}")).unwrap_or_default();
        anyhow::ensure!(refused.contains("in use by another process"), "{refused}");
        anyhow::ensure!(cluster.nodes[0].answers());
        Ok(())
    })();
    check(&cluster, done);
}

/// Starts a node that is to refuse to; what it says.
fn refusal(cluster: &mut Cluster, index: usize) -> anyhow::Result<String> {
    match cluster.start(index, &[]) {
        Ok(()) => anyhow::bail!("node {} started", index + 1),
        Err(error) => Ok(format!("{error:#}")),
    }
}

/// Every file below a directory, with its bytes.
fn files(dir: &Path) -> anyhow::Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(self::files(&path)?);
        } else {
            files.insert(path.clone(), std::fs::read(&path)?);
        }
    }
    Ok(files)
}

#[test]
fn a_handoff_directory_in_use_is_refused() {
    let (mut cluster, _dir) = cluster(29, 2);
    let done = (|| {
        cluster.start(0, &[])?;
        let dirs = [0, 1].map(|node: usize| cluster.nodes[node].dir().to_owned());
        let in_dir = |node: usize, name: &str| dirs[node].join(name).display().to_string();
        let config = cluster.nodes[1].dir().join("influxdb.conf");
        let original = std::fs::read_to_string(&config)?;
        for name in ["hh", "meta"] {
            std::fs::write(&config, original.replace(&in_dir(1, name), &in_dir(0, name)))?;
            let said = refusal(&mut cluster, 1)?;
            anyhow::ensure!(said.contains("in use by another process"), "{said}");
            anyhow::ensure!(cluster.nodes[0].answers());
        }
        Ok(())
    })();
    check(&cluster, done);
}

#[test]
fn directories_of_other_programs_are_left_as_they_were() {
    let (mut cluster, _dir) = cluster(30, 1);
    let done = (|| {
        let dir = cluster.nodes[0].dir().to_owned();
        for (foreign, named) in [("hh/5/3/1", "\"5/3/1\""), ("meta/meta.db", "\"meta.db\""), ("data/db/x", "\"db\"")] {
            let path = dir.join(foreign);
            std::fs::create_dir_all(path.parent().expect("below the directory"))?;
            std::fs::write(&path, b"theirs")?;
            let said = refusal(&mut cluster, 0)?;
            anyhow::ensure!(said.contains(named) && said.contains("this program did not write"), "{said}");
            for name in ["hh", "meta", "data"] {
                let found = dir.join(name).exists().then(|| files(&dir.join(name))).transpose()?.unwrap_or_default();
                let want = if foreign.starts_with(name) { vec![path.clone()] } else { Vec::new() };
                anyhow::ensure!(found.keys().eq(&want), "{name}: {:?}", found.keys());
                let _ = std::fs::remove_dir_all(dir.join(name));
            }
        }
        // What file systems and people keep everywhere is no obstacle.
        for name in ["hh", "meta", "data"] {
            std::fs::create_dir_all(dir.join(name).join("lost+found"))?;
            std::fs::write(dir.join(name).join(".keep"), b"")?;
        }
        cluster.start(0, &[])
    })();
    check(&cluster, done);
}

#[test]
fn a_port_that_is_taken_leaves_no_cluster_behind() {
    let (mut cluster, _dir) = cluster(63, 1);
    let done = (|| {
        let dir = cluster.nodes[0].dir().to_owned();
        for port in [8086, 8088, 8091] {
            let address = cluster.nodes[0].at(port);
            let _taken = std::net::TcpListener::bind(&address)?;
            cluster.spawn(0, &[])?;
            let said = format!("cannot listen on {address}");
            until("it refuses", Duration::from_secs(30), || {
                Ok(cluster.nodes[0].log_tail(1).contains(&said).then_some(()))
            })?;
            cluster.kill(0)?;
            let made = ["hh", "meta", "data"].map(|name| dir.join(name)).into_iter().find(|path| path.exists());
            anyhow::ensure!(made.is_none(), "{made:?}");
        }
        cluster.start(0, &[])
    })();
    check(&cluster, done);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let (mut cluster, _dir) = cluster(64, 1);
    let done = (|| {
        cluster.start(0, &[])?;
        anyhow::ensure!(cluster.stop(0)? == Some(0));
        let meta = cluster.nodes[0].dir().join("meta");
        let aside = cluster.nodes[0].dir().join("aside");
        for name in ["node.json", "incarnation", "peers.json"] {
            let path = meta.join(name);
            std::fs::rename(&path, &aside)?;
            std::fs::create_dir(&path)?;
            let said = refusal(&mut cluster, 0)?;
            anyhow::ensure!(said.contains(&format!("run: {}: Is a directory", path.display())), "{said}");
            std::fs::remove_dir(&path)?;
            std::fs::rename(&aside, &path)?;
        }
        // A new one would make somebody else of the member.
        std::fs::rename(meta.join("incarnation"), &aside)?;
        let before = files(&meta)?;
        let said = refusal(&mut cluster, 0)?;
        let why = "raft.db is there but incarnation is not; put incarnation back from a backup";
        anyhow::ensure!(said.contains(&format!("{}: {why}", meta.display())), "{said}");
        anyhow::ensure!(files(&meta)? == before, "it is as it was");
        std::fs::rename(&aside, meta.join("incarnation"))?;
        cluster.start(0, &[])
    })();
    check(&cluster, done);
}

#[test]
fn a_file_of_a_later_release_leaves_everything_as_it_was() {
    let (mut cluster, _dir) = cluster(31, 1);
    let done = (|| {
        cluster.start(0, &[])?;
        cluster.nodes[0].query("", "CREATE DATABASE d")?;
        cluster.nodes[0].write_ok("d", "", b"m v=1i 1")?;
        // Killed: a file that is opened for writing would be repaired.
        cluster.kill(0)?;
        let dir = cluster.nodes[0].dir().to_owned();
        let client = dir.join("meta").join("client.meta");
        let original = std::fs::read(&client)?;
        let mut later = original.clone();
        later[7] = 2;
        std::fs::write(&client, &later)?;
        let before = ["hh", "meta", "data"].map(|name| files(&dir.join(name)).expect("read"));
        let said = refusal(&mut cluster, 0)?;
        anyhow::ensure!(said.contains("client.meta has format 2, this release reads up to 1"), "{said}");
        anyhow::ensure!(before == ["hh", "meta", "data"].map(|name| files(&dir.join(name)).expect("read")));
        std::fs::write(&client, &original)?;
        cluster.start(0, &[])?;
        anyhow::ensure!(cluster.nodes[0].rows("d", "SELECT v FROM m")? == [json!([1, 1])]);
        // A file that cannot be read is complained of once.
        cluster.stop(0)?;
        std::fs::write(dir.join("meta").join("node.json"), b"{")?;
        let said = refusal(&mut cluster, 0)?;
        anyhow::ensure!(said.matches("node.json: EOF").count() == 1, "{said}");
        Ok(())
    })();
    check(&cluster, done);
}

#[test]
fn points_of_another_cluster_are_not_brought_into_a_new_one() {
    let (mut cluster, _dir) = cluster(34, 1);
    let done = (|| {
        cluster.start(0, &[])?;
        cluster.nodes[0].query("", "CREATE DATABASE d")?;
        cluster.nodes[0].write_ok("d", "", b"m v=1 1")?;
        anyhow::ensure!(cluster.stop(0)? == Some(0));
        let dir = cluster.nodes[0].dir().to_owned();
        std::fs::rename(dir.join("meta"), dir.join("kept"))?;
        let before = files(&dir.join("data"))?;
        let refused = refusal(&mut cluster, 0)?;
        anyhow::ensure!(refused.contains("holds shards, and nothing in"), "{refused}");
        anyhow::ensure!(files(&dir.join("data"))? == before, "it is as it was");
        std::fs::remove_dir_all(dir.join("meta"))?;
        std::fs::rename(dir.join("kept"), dir.join("meta"))?;
        cluster.start(0, &[])?;
        anyhow::ensure!(cluster.nodes[0].rows("d", "SELECT v FROM m")?[0][1] == 1);
        Ok(())
    })();
    check(&cluster, done);
}
