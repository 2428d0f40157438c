//! All queues of this node: `<dir>/<node>/<shard>/`.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use env::{Claim, DirEntry, DirLock, Env};
use model::{NodeId, ShardId, Timestamp};
use parking_lot::Mutex;
use seglog::Position;
use tokio::sync::Notify;

use crate::entry::ENTRY_HEADER_BYTES;
use crate::limits::admit;
use crate::mark::{self, Mark, MarkReason, Marks};
use crate::metrics::{Counters, QueueStats};
use crate::queue::{self, Block, Outcome, Parts, Queue, Token};
use crate::{Config, HandoffError, OpenError};

/// Ends the name of a directory that is being removed, before a number that makes it unique.
const REMOVED: &str = ".removed-";

/// How a directory is known as ours. The mark is younger than the rest: a directory without it is one of ours, too, when
/// there is nothing in it but queues.
const CLAIM: Claim =
    Claim { what: "hinted-handoff", mark: "mainstem-handoff", magic: *b"MSTHHDIR", version: 1, lock: "lock" };

/// What was found on disk.
#[derive(Debug, Default)]
pub struct OpenReport {
    /// Queues with entries.
    pub queues: usize,
    /// Entries in them.
    pub entries: u64,
    /// Bytes they have on disk.
    pub bytes: u64,
    /// Queues that could not be opened. Their shards are marked, their files left as they are; an append tries again.
    pub problems: Vec<HandoffError>,
}

/// What waits for a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// Shards with entries.
    pub shards: usize,
    /// Entries.
    pub entries: u64,
    /// Bytes on disk, those of delivered entries that are still there included.
    pub bytes: u64,
    /// When the oldest was queued; earlier rather than later where it is not known.
    pub oldest: Option<Timestamp>,
    /// The first entry that waits in the first of those shards.
    pub head: Position,
    /// The end of the queue of the last of those shards.
    pub tail: Position,
}

/// The queues for one node.
#[derive(Debug)]
struct Peer {
    node: NodeId,
    dir: PathBuf,
    /// Guards which queues there are, never held across I/O.
    queues: Mutex<BTreeMap<ShardId, Arc<Queue>>>,
    /// Held across the write of a mark.
    marks: Arc<Mutex<Marks>>,
    /// Of queues that are gone, too.
    counters: Mutex<BTreeMap<ShardId, Arc<Counters>>>,
    /// Bytes on disk, and bytes that appends under way may add.
    stored_bytes: AtomicU64,
    reserved_bytes: AtomicU64,
    /// The shard that was served last.
    turn: Mutex<ShardId>,
    /// Signalled when the node answers again.
    is_back: Notify,
}

/// All queues. See the crate for what they promise.
#[derive(Debug)]
pub struct Queues {
    env: Env,
    dir: PathBuf,
    config: Config,
    peers: Mutex<BTreeMap<NodeId, Arc<Peer>>>,
    /// Held while a queue or the directory of a node is made or removed, across the I/O for it. Taken before all others.
    structure: Mutex<()>,
    queue_next: AtomicU64,
    /// Signalled when an entry was appended.
    pub(crate) appended: Notify,
    /// That of the directory, until the queues are closed.
    lock: Mutex<Option<Box<dyn DirLock>>>,
}

impl Queues {
    /// Takes `dir`, which is made when missing, and opens the queues in it. A queue that cannot be opened does not stop
    /// the others.
    ///
    /// # Errors
    /// As [`check`], when another process has the directory, and the disk's.
    pub fn open(env: &Env, dir: &Path, config: Config) -> Result<(Queues, OpenReport), OpenError> {
        let queues = Queues {
            env: env.clone(),
            dir: dir.to_owned(),
            config,
            peers: Mutex::default(),
            structure: Mutex::default(),
            queue_next: AtomicU64::new(0),
            appended: Notify::new(),
            lock: Mutex::default(),
        };
        let mut report = OpenReport::default();
        if queues.config.enabled {
            let _structure = queues.structure.lock();
            check(env, dir)?;
            let lock = CLAIM.take(&**env.fs(), dir, &|entry| stranger(env, dir, entry))?;
            *queues.lock.lock() = Some(lock);
            for name in queues.list_dirs(dir)? {
                if let Some(node) = parse_id(&name) {
                    queues.open_peer(NodeId(node), &mut report)?;
                }
            }
        }
        Ok((queues, report))
    }

    /// The configuration it was opened with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn env(&self) -> &Env {
        &self.env
    }

    /// Directories in `dir`, without those that an interrupted removal left, which it removes.
    fn list_dirs(&self, dir: &Path) -> Result<Vec<String>, OpenError> {
        let mut names = Vec::new();
        for entry in self.env.fs().list(dir).map_err(io_error("list", dir))? {
            let path = dir.join(&entry.name);
            if entry.is_dir && entry.name.contains(REMOVED) {
                self.env.fs().remove_dir_all(&path).map_err(io_error("remove", &path))?;
            } else if entry.is_dir {
                names.push(entry.name);
            }
        }
        Ok(names)
    }

    fn open_peer(&self, node: NodeId, report: &mut OpenReport) -> Result<(), OpenError> {
        let peer = self.new_peer(node);
        for entry in self.env.fs().list(&peer.dir).map_err(io_error("list", &peer.dir))? {
            let path = peer.dir.join(&entry.name);
            if let Some(shard) = mark::shard_of(&entry.name) {
                peer.marks.lock().load(&self.env, shard).map_err(io_error("read", &path))?;
            } else if mark::is_leftover(Path::new(&entry.name)) {
                self.env.fs().remove_file(&path).map_err(io_error("remove", &path))?;
            }
        }
        for name in self.list_dirs(&peer.dir)? {
            let Some(shard) = parse_id(&name).map(ShardId) else { continue };
            match self.open_queue(&peer, shard) {
                Ok(queue) => {
                    let entries = queue.entry_count();
                    report.queues += usize::from(entries > 0);
                    report.entries += entries;
                    report.bytes += queue.stored_bytes.load(Ordering::Relaxed);
                }
                Err(error) => {
                    report.problems.push(error);
                    // A mark that cannot be stored now is stored later.
                    let _ = peer.marks.lock().set(&self.env, shard, MarkReason::Failed);
                }
            }
        }
        Ok(())
    }

    /// The node's queues, none to begin with.
    fn new_peer(&self, node: NodeId) -> Arc<Peer> {
        let dir = self.dir.join(node.to_string());
        let peer = Arc::new(Peer {
            node,
            marks: Arc::new(Mutex::new(Marks::new(dir.clone(), node))),
            dir,
            queues: Mutex::default(),
            counters: Mutex::default(),
            stored_bytes: AtomicU64::new(0),
            reserved_bytes: AtomicU64::new(0),
            turn: Mutex::new(ShardId(0)),
            is_back: Notify::new(),
        });
        Arc::clone(self.peers.lock().entry(node).or_insert(peer))
    }

    fn peer(&self, node: NodeId) -> Option<Arc<Peer>> {
        self.peers.lock().get(&node).cloned()
    }

    fn peers(&self) -> Vec<Arc<Peer>> {
        self.peers.lock().values().cloned().collect()
    }

    /// Opens or makes a queue and puts it on the list. The caller holds `structure`.
    fn open_queue(&self, peer: &Peer, shard: ShardId) -> Result<Arc<Queue>, HandoffError> {
        let dir = peer.dir.join(shard.to_string());
        let open_error = |source| HandoffError::Open { node: peer.node, shard, source };
        // The log sees to its own name only.
        self.env
            .fs()
            .create_dir_durable(&peer.dir)
            .and_then(|()| self.env.fs().sync_dir(&self.dir))
            .map_err(io_error("create", &peer.dir))
            .map_err(open_error)?;
        let counters = peer.counters(shard);
        let id = self.queue_next.fetch_add(1, Ordering::Relaxed);
        let parts = Parts { id, node: peer.node, shard, dir, counters, marks: Arc::clone(&peer.marks) };
        let queue = Arc::new(Queue::open(&self.env, &self.config, parts).map_err(open_error)?);
        peer.stored_bytes.fetch_add(queue.stored_bytes.load(Ordering::Relaxed), Ordering::Relaxed);
        peer.queues.lock().insert(shard, Arc::clone(&queue));
        Ok(queue)
    }

    /// Queues an entry for a shard of a node. It is durable on return.
    ///
    /// Cost: one write, one sync shared by all who append to the same queue.
    ///
    /// # Errors
    /// See [`HandoffError`]; whenever a write is refused or may not have been queued, except for its length, the shard
    /// is marked as in need of repair.
    pub fn append(&self, node: NodeId, shard: ShardId, bytes: &[u8]) -> Result<(), HandoffError> {
        if !self.config.enabled {
            return Err(HandoffError::Disabled);
        }
        if bytes.len() > self.config.entry_bytes_max {
            return Err(HandoffError::TooLong { bytes: bytes.len(), bytes_max: self.config.entry_bytes_max });
        }
        let result = self.append_to(node, shard, bytes);
        match &result {
            Ok(()) => self.appended.notify_one(),
            Err(error) => self.new_peer(node).note_refusal(&self.env, shard, error),
        }
        result
    }

    fn append_to(&self, node: NodeId, shard: ShardId, bytes: &[u8]) -> Result<(), HandoffError> {
        loop {
            let (peer, queue) = self.find_or_open(node, shard)?;
            let pending = Countdown::up(&queue.writes_pending);
            let need = (bytes.len() + ENTRY_HEADER_BYTES) as u64;
            let reserved = peer.reserved_bytes.fetch_add(need, Ordering::Relaxed) + need;
            let stored = peer.stored_bytes.load(Ordering::Relaxed);
            let result = admit(pending.count, self.config.writes_pending_max, stored, reserved, self.config.bytes_max)
                .and_then(|()| queue.append(bytes));
            peer.account(&queue);
            peer.reserved_bytes.fetch_sub(need, Ordering::Relaxed);
            // If it was removed between being found and being written to, there is a new one, or none.
            if result? {
                return Ok(());
            }
        }
    }

    fn find_or_open(&self, node: NodeId, shard: ShardId) -> Result<(Arc<Peer>, Arc<Queue>), HandoffError> {
        let find = || {
            let peer = self.peer(node)?;
            let queue = peer.queues.lock().get(&shard).cloned()?;
            Some((peer, queue))
        };
        if let Some(found) = find() {
            return Ok(found);
        }
        let _structure = self.structure.lock();
        if let Some(found) = find() {
            return Ok(found);
        }
        let peer = self.new_peer(node);
        let queue = self.open_queue(&peer, shard)?;
        Ok((peer, queue))
    }

    /// What waits for a node.
    pub fn pending(&self, node: NodeId) -> Pending {
        let mut pending = Pending::default();
        let Some(peer) = self.peer(node) else { return pending };
        for queue in peer.queues() {
            let (entries, oldest) = (queue.entry_count(), queue.oldest());
            if entries == 0 {
                continue;
            }
            let (head, tail) = queue.span();
            if pending.shards == 0 {
                pending.head = head;
            }
            pending.tail = tail;
            pending.shards += 1;
            pending.entries += entries;
            pending.oldest = [pending.oldest, oldest].into_iter().flatten().min();
        }
        pending.bytes = peer.stored_bytes.load(Ordering::Relaxed);
        pending
    }

    /// Nodes that entries wait for.
    pub fn nodes(&self) -> Vec<NodeId> {
        self.peers().iter().filter(|peer| peer.has_entries()).map(|peer| peer.node).collect()
    }

    /// Whether entries wait for a node. Unlike [`Queues::pending`] it never waits for the disk.
    pub fn has_entries(&self, node: NodeId) -> bool {
        self.peer(node).is_some_and(|peer| peer.has_entries())
    }

    /// An entry to send, `None` if there is none now. It must come back through [`Queues::advance`], [`Queues::skip`],
    /// [`Queues::retry_later`] or [`Queues::give_back`]; several may be out at once.
    pub fn next_block(&self, node: NodeId, shard: ShardId) -> Result<Option<Block>, HandoffError> {
        let queue = self.peer(node).and_then(|peer| peer.queues.lock().get(&shard).cloned());
        queue.map_or(Ok(None), |queue| queue.take())
    }

    /// [`Queues::next_block`] of the node's shards in turn.
    pub fn next_block_for(&self, node: NodeId) -> Result<Option<Block>, HandoffError> {
        let Some(peer) = self.peer(node) else { return Ok(None) };
        let last = *peer.turn.lock();
        let (before, after): (Vec<_>, Vec<_>) = peer.queues().into_iter().partition(|queue| queue.shard <= last);
        let mut problem = None;
        for queue in after.into_iter().chain(before) {
            match queue.take() {
                Ok(Some(block)) => {
                    *peer.turn.lock() = queue.shard;
                    return Ok(Some(block));
                }
                Ok(None) => {}
                // One that cannot be read does not hold up the others.
                Err(error) => problem = Some(error),
            }
        }
        problem.map_or(Ok(None), Err)
    }

    /// The node took the entry. That is on disk when the queue is empty, or four mebibytes later; until then a crash
    /// makes it be sent again.
    pub fn advance(&self, token: Token) -> Result<(), HandoffError> {
        self.finish(token, Outcome::Delivered)
    }

    /// The node will never take the entry. It is dropped, counted, and the shard marked.
    pub fn skip(&self, token: Token) -> Result<(), HandoffError> {
        self.finish(token, Outcome::Refused)
    }

    /// The node could not take the entry now. It is handed out again after a while, longer each time; when others of its
    /// queue keep arriving and it does not, it is dropped like one that was skipped.
    pub fn retry_later(&self, token: Token) -> Result<(), HandoffError> {
        self.finish(token, Outcome::Failed)
    }

    /// The entry was not sent. It is handed out again.
    pub fn give_back(&self, token: Token) {
        if let Some((_, queue)) = self.queue_of(token) {
            queue.give_back(token.position);
        }
    }

    fn finish(&self, token: Token, outcome: Outcome) -> Result<(), HandoffError> {
        let Some((peer, queue)) = self.queue_of(token) else { return Ok(()) };
        let result = queue.finish(token.position, outcome);
        peer.account(&queue);
        result
    }

    /// The queue a token is of; none if it was dropped meanwhile.
    fn queue_of(&self, token: Token) -> Option<(Arc<Peer>, Arc<Queue>)> {
        let peer = self.peer(token.node)?;
        let queue = peer.queues.lock().get(&token.shard).cloned()?;
        (queue.id == token.queue).then_some((peer, queue))
    }

    /// Does what is due from time to time: drops what waited longer than `Config::entry_age_max`, stores heads and marks
    /// that could not be stored, closes the files of idle queues and removes empty ones. Returns what went wrong; the
    /// next call tries again.
    pub fn tend(&self) -> Vec<HandoffError> {
        let mut problems = Vec::new();
        let now = self.env.now();
        for peer in self.peers() {
            let stored = peer.marks.lock().store_all(&self.env);
            problems.extend(stored.err().map(|source| handoff_io_error("mark", &peer.dir)(source)));
            for queue in peer.queues() {
                problems.extend(queue.purge(now).err());
                problems.extend(queue.rest(true).err());
                peer.account(&queue);
                problems.extend(self.remove_queue(&peer, &queue, true).err());
            }
        }
        problems
    }

    /// Stores how far each queue is delivered, so that a clean stop sends nothing twice, closes what is open and lets the
    /// directory go.
    pub fn close(&self) -> Vec<HandoffError> {
        let mut problems = Vec::new();
        for queue in self.peers().iter().flat_map(|peer| peer.queues()) {
            problems.extend(queue.store_head().err());
            problems.extend(queue.rest(false).err());
        }
        self.lock.lock().take();
        problems
    }

    /// Removes all that waits for a node, which was removed from the cluster, and its marks.
    pub fn drop_node(&self, node: NodeId) -> Result<(), HandoffError> {
        let _structure = self.structure.lock();
        let Some(peer) = self.peers.lock().remove(&node) else { return Ok(()) };
        for queue in peer.queues() {
            queue.remove(false);
        }
        peer.is_back.notify_one();
        self.remove_dir(&peer.dir)
    }

    /// Removes all that waits for a shard, which was dropped, and its marks.
    pub fn drop_shard(&self, shard: ShardId) -> Result<(), HandoffError> {
        let mut result = Ok(());
        for peer in self.peers() {
            let queue = peer.queues.lock().get(&shard).cloned();
            if let Some(queue) = queue {
                result = result.and(self.remove_queue(&peer, &queue, false).map(|_| ()));
            }
            let cleared = peer.marks.lock().remove(&self.env, shard);
            result = result.and(cleared.map_err(handoff_io_error("unmark", &peer.dir)));
            peer.counters.lock().remove(&shard);
        }
        result
    }

    /// Removes a queue and its files, if it is empty or regardless.
    fn remove_queue(&self, peer: &Peer, queue: &Queue, only_if_empty: bool) -> Result<bool, HandoffError> {
        if only_if_empty && queue.entry_count() > 0 {
            return Ok(false);
        }
        let _structure = self.structure.lock();
        if !queue.remove(only_if_empty) {
            return Ok(false);
        }
        {
            let mut queues = peer.queues.lock();
            if queues.get(&queue.shard).is_some_and(|it| it.id == queue.id) {
                queues.remove(&queue.shard);
                peer.stored_bytes.fetch_sub(queue.stored_bytes.swap(0, Ordering::Relaxed), Ordering::Relaxed);
            }
        }
        self.remove_dir(&queue.dir).map(|()| true)
    }

    /// Removes a directory at once: it gets another name first, which a restart cleans up. The caller holds `structure`.
    fn remove_dir(&self, dir: &Path) -> Result<(), HandoffError> {
        let mut name = dir.as_os_str().to_owned();
        name.push(format!("{REMOVED}{:016x}", self.env.random_u64()));
        let (fs, aside) = (self.env.fs(), PathBuf::from(name));
        let parent = dir.parent().unwrap_or(&self.dir);
        match fs.rename(dir, &aside) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.map_err(handoff_io_error("remove", dir))?,
        }
        let removed = fs.sync_dir(parent).and_then(|()| fs.remove_dir_all(&aside));
        removed.map_err(handoff_io_error("remove", &aside))
    }

    /// Shards of nodes that miss writes.
    pub fn needs_repair(&self) -> Vec<Mark> {
        self.peers().iter().flat_map(|peer| peer.marks.lock().list().collect::<Vec<_>>()).collect()
    }

    /// Takes a mark away after the shard was repaired, unless more was lost since the mark was read. Returns whether it
    /// is gone.
    pub fn clear_repair(&self, mark: &Mark) -> Result<bool, HandoffError> {
        let Some(peer) = self.peer(mark.node) else { return Ok(true) };
        let cleared = peer.marks.lock().clear(&self.env, mark);
        cleared.map_err(handoff_io_error("unmark", &peer.dir))
    }

    /// Counts and depths of all queues, those that are gone included.
    pub fn stats(&self) -> Vec<QueueStats> {
        let mut stats = Vec::new();
        for peer in self.peers() {
            let queues = peer.queues.lock().clone();
            let counters = peer.counters.lock().clone();
            let shards: BTreeSet<ShardId> = queues.keys().chain(counters.keys()).copied().collect();
            for shard in shards {
                let queue = queues.get(&shard);
                stats.push(QueueStats {
                    node: peer.node,
                    shard,
                    counts: counters.get(&shard).map(|counters| counters.get()).unwrap_or_default(),
                    entries: queue.map_or(0, |queue| queue.entry_count()),
                    bytes: queue.map_or(0, |queue| queue.stored_bytes.load(Ordering::Relaxed)),
                    oldest: queue.and_then(|queue| queue.oldest()),
                });
            }
        }
        stats
    }

    /// Tells that a node answers again: its drain does not wait any longer.
    pub fn node_is_back(&self, node: NodeId) {
        if let Some(peer) = self.peer(node) {
            peer.is_back.notify_one();
        }
    }

    /// Returns when [`Queues::node_is_back`] is called for the node, or it is dropped; never if it is not known.
    pub(crate) async fn until_back(&self, node: NodeId) {
        match self.peer(node) {
            Some(peer) => peer.is_back.notified().await,
            None => std::future::pending().await,
        }
    }
}

impl Peer {
    fn queues(&self) -> Vec<Arc<Queue>> {
        self.queues.lock().values().cloned().collect()
    }

    fn has_entries(&self) -> bool {
        self.queues.lock().values().any(|queue| queue.entry_count() > 0)
    }

    fn counters(&self, shard: ShardId) -> Arc<Counters> {
        Arc::clone(self.counters.lock().entry(shard).or_default())
    }

    /// Takes over how many bytes a queue has on disk now.
    fn account(&self, queue: &Queue) {
        let queues = self.queues.lock();
        if queues.get(&queue.shard).is_none_or(|it| it.id != queue.id) {
            return;
        }
        let now = queue.log().bytes();
        let before = queue.stored_bytes.swap(now, Ordering::Relaxed);
        self.stored_bytes.fetch_add(now.wrapping_sub(before), Ordering::Relaxed);
    }

    /// Counts a write that was not queued, and marks the shard.
    fn note_refusal(&self, env: &Env, shard: ShardId, error: &HandoffError) {
        let counters = self.counters(shard);
        let (counter, reason) = match error {
            HandoffError::Full | HandoffError::DiskFull => (&counters.full, MarkReason::Full),
            HandoffError::Blocked => (&counters.blocked, MarkReason::Blocked),
            // The caller comes again with smaller ones, or did not want a queue.
            HandoffError::TooLong { .. } | HandoffError::Disabled => return,
            HandoffError::Append { .. } | HandoffError::Open { .. } | HandoffError::Io { .. } => {
                (&counters.failed, MarkReason::Failed)
            }
        };
        Counters::count(counter, 1);
        // A mark that cannot be stored now is stored later.
        let _ = self.marks.lock().set(env, shard, reason);
    }
}

/// Counts something under way.
struct Countdown<'a> {
    counter: &'a std::sync::atomic::AtomicUsize,
    /// With this one.
    count: usize,
}

impl Countdown<'_> {
    fn up(counter: &std::sync::atomic::AtomicUsize) -> Countdown<'_> {
        Countdown { counter, count: counter.fetch_add(1, Ordering::Relaxed) + 1 }
    }
}

impl Drop for Countdown<'_> {
    fn drop(&mut self) {
        self.counter.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether [`Queues::open`] would take the directory. Reads only, so that a node can look at all that it has before it
/// changes any of it.
///
/// # Errors
/// When the directory holds what is not ours, or what a later release wrote. Damage is no error, and that of a single
/// queue is [`OpenReport`]'s.
pub fn check(env: &Env, dir: &Path) -> Result<(), OpenError> {
    CLAIM.check(&**env.fs(), dir, &|entry| stranger(env, dir, entry))?;
    if !env.fs().exists(dir).map_err(io_error("read", dir))? {
        return Ok(());
    }
    for node in numbered_dirs(env, dir).map_err(io_error("list", dir))? {
        for queue in numbered_dirs(env, &node).unwrap_or_default() {
            if let Ok(Some((path, version))) = seglog::later_format(env, &queue) {
                return Err(OpenError::OtherFormat { path, version, known: seglog::FORMAT_VERSION });
            }
        }
    }
    Ok(())
}

fn numbered_dirs(env: &Env, dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = env.fs().list(dir)?.into_iter().filter(|entry| entry.is_dir && parse_id(&entry.name).is_some());
    Ok(entries.map(|entry| dir.join(entry.name)).collect())
}

/// What under an entry of the directory is not ours. Other programs have directories with the same two numbers, and
/// numbered files in them.
fn stranger(env: &Env, dir: &Path, entry: &DirEntry) -> io::Result<Option<String>> {
    if entry.is_dir && entry.name.contains(REMOVED) {
        return Ok(None);
    }
    if !entry.is_dir || parse_id(&entry.name).is_none() {
        return Ok(Some(entry.name.clone()));
    }
    let node = dir.join(&entry.name);
    for shard in env.fs().list(&node)? {
        let name = format!("{}/{}", entry.name, shard.name);
        if !shard.is_dir {
            if mark::shard_of(&shard.name).is_none() && !mark::is_leftover(Path::new(&shard.name)) {
                return Ok(Some(name));
            }
        } else if parse_id(&shard.name).is_some() {
            let files = env.fs().list(&node.join(&shard.name))?;
            if let Some(file) = files.into_iter().find(|file| file.is_dir || !queue::is_file_name(&file.name)) {
                return Ok(Some(format!("{name}/{}", file.name)));
            }
        } else if !shard.name.contains(REMOVED) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// The number that a directory is named for: decimal, without leading zeros.
pub(crate) fn parse_id(name: &str) -> Option<u64> {
    let id: u64 = name.parse().ok()?;
    (id.to_string() == name).then_some(id)
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    move |source| OpenError::Io { action, path: path.to_owned(), source }
}

fn handoff_io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> HandoffError {
    move |source| HandoffError::Io { action, path: path.to_owned(), source }
}
