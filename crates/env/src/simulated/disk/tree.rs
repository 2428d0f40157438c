//! Names: directories as they are seen, as they are durable, and what happened in between.
//!
//! An operation on names is atomic, also when it concerns two directories (a rename), and it reaches the disk no earlier
//! than those before it that concern the same name. Operations on different names may reach it in any order.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path};
use std::sync::Arc;

use super::image::Image;
use crate::fs::DirEntry;
use crate::simulated::rng::Dice;

/// Number of a file or directory.
pub(super) type NodeId = u64;
pub(super) const ROOT: NodeId = 0;

#[derive(Clone, Debug)]
enum Node {
    Dir(Dir),
    File(Image),
}

#[derive(Clone, Debug, Default)]
struct Dir {
    view: BTreeMap<String, NodeId>,
    durable: BTreeMap<String, NodeId>,
}

/// A name in a directory.
type Key = (NodeId, String);

/// A change of names that is not durable.
#[derive(Clone, Debug)]
struct Op {
    seq: u64,
    /// What each name means afterwards.
    edits: Vec<(Key, Option<NodeId>)>,
    /// Those that are durable no later.
    after: Vec<u64>,
}

impl Op {
    fn concerns(&self, dir: NodeId) -> bool {
        self.edits.iter().any(|((it, _), _)| *it == dir)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Tree {
    nodes: BTreeMap<NodeId, Node>,
    node_next: NodeId,
    pending: Vec<Op>,
}

impl Tree {
    pub(super) fn new() -> Tree {
        Tree { nodes: BTreeMap::from([(ROOT, Node::Dir(Dir::default()))]), node_next: ROOT + 1, pending: Vec::new() }
    }

    /// The names of a path from the root on.
    fn parts(path: &Path) -> io::Result<Vec<&str>> {
        let mut parts = Vec::new();
        for component in path.components() {
            match component {
                Component::RootDir | Component::CurDir => {}
                Component::Normal(name) => parts.push(name.to_str().ok_or(io::ErrorKind::InvalidInput)?),
                Component::ParentDir | Component::Prefix(_) => return Err(io::ErrorKind::InvalidInput.into()),
            }
        }
        Ok(parts)
    }

    fn dir(&self, id: NodeId) -> io::Result<&Dir> {
        match self.nodes.get(&id) {
            Some(Node::Dir(dir)) => Ok(dir),
            Some(Node::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn is_dir(&self, id: NodeId) -> bool {
        matches!(self.nodes.get(&id), Some(Node::Dir(_)))
    }

    /// What stands at `path`.
    pub(super) fn find(&self, path: &Path) -> io::Result<NodeId> {
        let mut at = ROOT;
        for name in Tree::parts(path)? {
            at = *self.dir(at)?.view.get(name).ok_or(io::ErrorKind::NotFound)?;
        }
        Ok(at)
    }

    pub(super) fn find_dir(&self, path: &Path) -> io::Result<NodeId> {
        let id = self.find(path)?;
        self.dir(id).map(|_| id)
    }

    pub(super) fn find_file(&self, path: &Path) -> io::Result<NodeId> {
        let id = self.find(path)?;
        if self.is_dir(id) { Err(io::ErrorKind::IsADirectory.into()) } else { Ok(id) }
    }

    /// The directory of `path` and the last name of it.
    fn key(&self, path: &Path) -> io::Result<Key> {
        let name = Tree::parts(path)?.last().copied().ok_or(io::ErrorKind::InvalidInput)?;
        Ok((self.find_dir(path.parent().unwrap_or(Path::new("/")))?, name.to_owned()))
    }

    fn lookup(&self, key: &Key) -> io::Result<Option<NodeId>> {
        Ok(self.dir(key.0)?.view.get(&key.1).copied())
    }

    /// An open file. It is there as long as a handle is, whatever its names.
    pub(super) fn file(&self, id: NodeId) -> io::Result<&Image> {
        match self.nodes.get(&id) {
            Some(Node::File(image)) => Ok(image),
            Some(Node::Dir(_)) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn file_mut(&mut self, id: NodeId) -> io::Result<&mut Image> {
        match self.nodes.get_mut(&id) {
            Some(Node::File(image)) => Ok(image),
            Some(Node::Dir(_)) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let dir = self.dir(self.find(path)?)?;
        Ok(dir.view.iter().map(|(name, id)| DirEntry { name: name.clone(), is_dir: self.is_dir(*id) }).collect())
    }

    /// Bytes in all files that have a name.
    pub(super) fn used_bytes(&self) -> u64 {
        self.files().filter(|image| image.is_linked).map(Image::len).sum()
    }

    fn files(&self) -> impl Iterator<Item = &Image> {
        self.nodes.values().filter_map(|node| match node {
            Node::File(image) => Some(image),
            Node::Dir(_) => None,
        })
    }

    /// Every file that has a name, with its path.
    pub(super) fn walk(&self, mut visit: impl FnMut(String, &Image)) {
        let mut todo = vec![(String::new(), ROOT)];
        while let Some((path, id)) = todo.pop() {
            match self.nodes.get(&id) {
                Some(Node::Dir(dir)) => todo.extend(dir.view.iter().map(|(name, id)| (format!("{path}/{name}"), *id))),
                Some(Node::File(image)) => visit(path, image),
                None => {}
            }
        }
    }

    /// Makes an empty file at a free name.
    pub(super) fn create_file(&mut self, seq: u64, path: &Path) -> io::Result<NodeId> {
        let key = self.key(path)?;
        if self.lookup(&key)?.is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let id = self.add(Node::File(Image::default()));
        self.change(seq, vec![(key, Some(id))], Vec::new());
        Ok(id)
    }

    /// Makes the last directory of `path` unless it exists.
    pub(super) fn create_dir(&mut self, seq: u64, path: &Path) -> io::Result<()> {
        let key = self.key(path)?;
        if let Some(id) = self.lookup(&key)? {
            return self.dir(id).map(|_| ());
        }
        let id = self.add(Node::Dir(Dir::default()));
        self.change(seq, vec![(key, Some(id))], Vec::new());
        Ok(())
    }

    pub(super) fn rename(&mut self, seq: u64, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (self.key(from)?, self.key(to)?);
        let id = self.lookup(&from)?.ok_or(io::ErrorKind::NotFound)?;
        if self.is_inside(to.0, id) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut after = Vec::new();
        if let Some(old) = self.lookup(&to)? {
            match (self.is_dir(id), self.is_dir(old)) {
                _ if id == old => return Ok(()),
                (false, true) => return Err(io::ErrorKind::IsADirectory.into()),
                (true, false) => return Err(io::ErrorKind::NotADirectory.into()),
                (true, true) if !self.dir(old)?.view.is_empty() => {
                    return Err(io::ErrorKind::DirectoryNotEmpty.into());
                }
                (true, true) => after = self.pending_in(old),
                (false, false) => {}
            }
        }
        self.change(seq, vec![(from, None), (to, Some(id))], after);
        Ok(())
    }

    pub(super) fn remove_file(&mut self, seq: u64, path: &Path) -> io::Result<()> {
        self.find_file(path)?;
        let key = self.key(path)?;
        self.change(seq, vec![(key, None)], Vec::new());
        Ok(())
    }

    /// Removes an empty directory.
    pub(super) fn remove_dir(&mut self, seq: u64, path: &Path) -> io::Result<()> {
        let id = self.find_dir(path)?;
        if !self.dir(id)?.view.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        let key = self.key(path)?;
        let after = self.pending_in(id);
        self.change(seq, vec![(key, None)], after);
        Ok(())
    }

    /// Whether `id` is `dir` or one of its parents.
    fn is_inside(&self, dir: NodeId, id: NodeId) -> bool {
        let mut todo = vec![id];
        while let Some(at) = todo.pop() {
            if at == dir {
                return true;
            }
            if let Some(Node::Dir(it)) = self.nodes.get(&at) {
                todo.extend(it.view.values().copied());
            }
        }
        false
    }

    fn add(&mut self, node: Node) -> NodeId {
        let id = self.node_next;
        self.node_next += 1;
        self.nodes.insert(id, node);
        id
    }

    fn pending_in(&self, dir: NodeId) -> Vec<u64> {
        self.pending.iter().filter(|op| op.concerns(dir)).map(|op| op.seq).collect()
    }

    fn change(&mut self, seq: u64, edits: Vec<(Key, Option<NodeId>)>, mut after: Vec<u64>) {
        for (key, _) in &edits {
            after.extend(self.pending.iter().filter(|op| op.edits.iter().any(|(it, _)| it == key)).map(|op| op.seq));
        }
        for (key, id) in &edits {
            self.edit(key, *id, false);
        }
        self.pending.push(Op { seq, edits, after });
    }

    /// Changes the meaning of a name, in what is durable or in what is seen.
    fn edit(&mut self, (dir, name): &Key, id: Option<NodeId>, durable: bool) {
        let Some(Node::Dir(dir)) = self.nodes.get_mut(dir) else { return };
        let names = if durable { &mut dir.durable } else { &mut dir.view };
        let old = match id {
            Some(id) => names.insert(name.clone(), id),
            None => names.remove(name),
        };
        for (id, is_linked) in [(old, false), (id, true)] {
            if let Some(Node::File(image)) = id.and_then(|id| self.nodes.get_mut(&id)) {
                if durable {
                    image.is_linked_durably = is_linked;
                } else {
                    image.is_linked = is_linked;
                }
            }
        }
    }

    /// Makes the names in a directory durable, with all that had to happen before.
    pub(super) fn sync_dir(&mut self, dir: NodeId) {
        let mut chosen = BTreeSet::new();
        let mut todo = self.pending_in(dir);
        while let Some(seq) = todo.pop() {
            if chosen.insert(seq)
                && let Some(op) = self.pending.iter().find(|op| op.seq == seq)
            {
                todo.extend(&op.after);
            }
        }
        self.commit(&chosen);
        // Files without a name that nobody has open are gone for good.
        let needed: BTreeSet<NodeId> =
            self.pending.iter().flat_map(|op| op.edits.iter().filter_map(|(_, id)| *id)).collect();
        self.nodes.retain(|id, node| match node {
            Node::Dir(_) => true,
            Node::File(image) => {
                image.is_linked
                    || image.is_linked_durably
                    || needed.contains(id)
                    || Arc::strong_count(&image.handles) > 1
            }
        });
    }

    fn commit(&mut self, chosen: &BTreeSet<u64>) {
        let (committed, left): (Vec<Op>, Vec<Op>) =
            std::mem::take(&mut self.pending).into_iter().partition(|op| chosen.contains(&op.seq));
        self.pending = left;
        for op in committed {
            for (key, id) in &op.edits {
                self.edit(key, *id, true);
            }
        }
    }

    /// The sequence number of the last change of anything that is not durable.
    pub(super) fn last_pending(&self) -> Option<u64> {
        let names = self.pending.last().map(|op| op.seq);
        self.files().filter_map(Image::last_pending).max().max(names)
    }

    /// Crash: `survives` tells for each change of names, in order, whether it reached the disk if those before it did;
    /// `content` decides about each file.
    pub(super) fn crash(&mut self, mut survives: impl FnMut(u64) -> bool, mut content: impl FnMut(&mut Image)) {
        let pending: BTreeSet<u64> = self.pending.iter().map(|op| op.seq).collect();
        let mut chosen = BTreeSet::new();
        for op in &self.pending {
            let may = op.after.iter().all(|seq| chosen.contains(seq) || !pending.contains(seq));
            if may && survives(op.seq) {
                chosen.insert(op.seq);
            }
        }
        self.commit(&chosen);
        self.pending.clear();
        let mut reachable = BTreeSet::new();
        let mut todo = vec![ROOT];
        while let Some(id) = todo.pop() {
            reachable.insert(id);
            if let Some(Node::Dir(dir)) = self.nodes.get_mut(&id) {
                dir.view = dir.durable.clone();
                todo.extend(dir.view.values().copied());
            }
        }
        self.nodes.retain(|id, _| reachable.contains(id));
        for node in self.nodes.values_mut() {
            if let Node::File(image) = node {
                image.is_linked = true;
                image.is_linked_durably = true;
                content(image);
            }
        }
    }

    /// A roll of the dice for each change of names: mostly kept, mostly lost, or even.
    pub(super) fn scatter(dice: &mut Dice) -> u64 {
        [100, 500, 900][dice.below(3) as usize]
    }
}
