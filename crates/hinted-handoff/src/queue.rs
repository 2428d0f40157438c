//! One queue: the log of entries for one node and shard, and how far they are delivered.
//!
//! Entries are handed out from the head on, some at a time, and come back as done or to be tried again. The head is
//! before the first that is not done; it is stored when it has moved far enough and when the queue is empty. Entries
//! behind a stored head are sent again after a crash.
//!
//! Entries are numbered. A number that is missing when they are read is an entry that was lost on disk.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use env::Env;
use model::{NodeId, ShardId, Timestamp};
use parking_lot::Mutex;
use seglog::{Entry, Log, Position, Reader};

use crate::entry::{ENTRY_HEADER_BYTES, EntryHeader, body};
use crate::head::{HEAD_FILE, Head, HeadFile};
use crate::limits::{is_expired, is_hopeless, retry_delay, segment_bytes};
use crate::mark::{MarkReason, Marks};
use crate::metrics::Counters;
use crate::planted::{self, Bug};
use crate::{Config, HandoffError, OpenError};

/// How much may be delivered before the head is stored: what is sent again after a crash.
const HEAD_LAG_BYTES_MAX: u64 = 4 << 20;
/// How many entries may be known behind the head, done or not.
const TAKEN_MAX: usize = 4096;
/// A log that is shorter is not cut when it is drained.
const SHORT_BYTES: u64 = 16 << 10;
/// How much disk space a queue reserves ahead.
const RESERVE_BYTES_MAX: u64 = 32 << 10;

/// An entry on its way to its node.
#[derive(Clone, Debug)]
pub struct Block {
    /// What was appended.
    pub bytes: Bytes,
    /// When it was.
    pub queued_at: Timestamp,
    /// How often it was handed out before.
    pub attempts: u32,
    /// To tell what became of it.
    pub token: Token,
}

/// Names an entry that was handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// For whom.
    pub node: NodeId,
    /// Of which shard.
    pub shard: ShardId,
    /// Which queue of that name.
    pub(crate) queue: u64,
    pub(crate) position: Position,
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Delivered,
    Refused,
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    OnTheWay,
    Waiting,
    Done,
}

/// An entry behind the head.
#[derive(Debug)]
struct Taken {
    /// Where the one behind it begins.
    next: Position,
    header: EntryHeader,
    bytes: u64,
    state: State,
    attempts: u32,
    /// Not tried again before, on the monotonic clock.
    not_before: Duration,
    /// How many of the queue had arrived when it failed first.
    delivered_at_failure: u64,
}

/// How far the queue is read and delivered.
#[derive(Debug)]
struct Cursor {
    /// All before is done.
    head: Head,
    head_file: HeadFile,
    /// What is done and not stored as such, bytes.
    unstored_bytes: u64,
    /// Where the next entry is looked for, and the number it should have if that is known.
    next: Position,
    next_sequence: Option<u64>,
    reader: Option<Reader>,
    /// Those between the head and `next`.
    taken: BTreeMap<Position, Taken>,
    delivered: u64,
    is_removed: bool,
}

#[derive(Debug)]
struct Appending {
    is_removed: bool,
    /// Something was appended since the last look.
    is_busy: bool,
}

/// A queue.
#[derive(Debug)]
pub(crate) struct Queue {
    env: Env,
    pub(crate) id: u64,
    pub(crate) node: NodeId,
    pub(crate) shard: ShardId,
    pub(crate) dir: PathBuf,
    log_config: seglog::Config,
    retry: (Duration, Duration),
    age_max: Duration,
    pub(crate) counters: Arc<Counters>,
    marks: Arc<Mutex<Marks>>,
    pub(crate) writes_pending: AtomicUsize,
    /// Bytes on disk when last looked.
    pub(crate) stored_bytes: AtomicU64,
    /// The number of the next entry, and of the first that is not done: what is between them waits.
    sequence: AtomicU64,
    head_sequence: AtomicU64,
    /// When the first of those was queued, or one before it.
    oldest: AtomicI64,
    /// Guards the order of numbers in the log. Held across the write of an entry; `cursor` and `log` may be taken.
    appending: Mutex<Appending>,
    /// Guards reading and the head. Held across reads of the log and writes of the head, which it puts in order; `log`
    /// and `marks` may be taken.
    cursor: Mutex<Cursor>,
    /// The log; another one after it failed.
    log: Mutex<Log>,
}

/// What a queue is made of, beside its files.
pub(crate) struct Parts {
    pub(crate) id: u64,
    pub(crate) node: NodeId,
    pub(crate) shard: ShardId,
    pub(crate) dir: PathBuf,
    pub(crate) counters: Arc<Counters>,
    pub(crate) marks: Arc<Mutex<Marks>>,
}

impl Queue {
    /// Opens a queue, making it if there is none.
    pub(crate) fn open(env: &Env, config: &Config, parts: Parts) -> Result<Queue, OpenError> {
        let Parts { id, node, shard, dir, counters, marks } = parts;
        let log_config = seglog::Config {
            segment_bytes_max: segment_bytes(config.bytes_max),
            record_bytes_max: config.entry_bytes_max.saturating_add(ENTRY_HEADER_BYTES),
            reserve_bytes_max: RESERVE_BYTES_MAX,
            sync_delay: None,
            // What is not delivered is read when it is sent.
            replay_from: Position::END,
        };
        let log = open_log(env, &dir, &log_config)?;
        let (head_file, head) = HeadFile::open(env, &dir, log.identity())?;
        let (first, last) = (first_header(&log)?, last_header(&log)?);
        let sequence = last.map_or(0, |last| last.sequence + 1).max(head.map_or(0, |head| head.sequence));
        let mut head = head
            .unwrap_or(Head { position: Position::START, sequence: first.map_or(sequence, |first| first.sequence) });
        if planted::is(Bug::ForgetOnRestart) {
            head = Head { position: log.end(), sequence };
        }
        let cursor = Cursor {
            head,
            head_file,
            unstored_bytes: 0,
            next: head.position,
            next_sequence: Some(head.sequence),
            reader: None,
            taken: BTreeMap::new(),
            delivered: 0,
            is_removed: false,
        };
        Ok(Queue {
            env: env.clone(),
            id,
            node,
            shard,
            dir,
            log_config,
            retry: (config.retry_interval, config.retry_interval_max),
            age_max: config.entry_age_max,
            counters,
            marks,
            writes_pending: AtomicUsize::new(0),
            stored_bytes: AtomicU64::new(log.bytes()),
            sequence: AtomicU64::new(sequence),
            head_sequence: AtomicU64::new(head.sequence),
            oldest: AtomicI64::new(first.map_or(i64::MIN, |first| first.queued_at.0)),
            appending: Mutex::new(Appending { is_removed: false, is_busy: true }),
            cursor: Mutex::new(cursor),
            log: Mutex::new(log),
        })
    }

    /// Appends an entry; it is durable on return. `false` if the queue was removed meanwhile and nothing was done.
    pub(crate) fn append(&self, bytes: &[u8]) -> Result<bool, HandoffError> {
        let mut appending = self.appending.lock();
        if appending.is_removed {
            return Ok(false);
        }
        appending.is_busy = true;
        let log = self.working_log()?;
        let sequence = self.sequence.load(Ordering::Relaxed);
        let queued_at = self.env.now();
        let header = EntryHeader { sequence, queued_at }.encode();
        let position = log.append_parts(&[&header, bytes]).map_err(|source| self.append_error(source))?;
        if self.entry_count() == 0 {
            self.oldest.store(queued_at.0, Ordering::Relaxed);
        }
        self.sequence.store(sequence + 1, Ordering::Relaxed);
        drop(appending);
        if !planted::is(Bug::AckBeforeSync) {
            log.sync(position).map_err(|source| self.append_error(source))?;
        }
        Counters::count(&self.counters.appended, 1);
        Counters::count(&self.counters.appended_bytes, bytes.len() as u64);
        Ok(true)
    }

    fn append_error(&self, source: seglog::AppendError) -> HandoffError {
        match source {
            seglog::AppendError::TooLong { bytes, bytes_max } => HandoffError::TooLong {
                bytes: bytes.saturating_sub(ENTRY_HEADER_BYTES),
                bytes_max: bytes_max.saturating_sub(ENTRY_HEADER_BYTES),
            },
            seglog::AppendError::Full => HandoffError::DiskFull,
            source => HandoffError::Append { node: self.node, shard: self.shard, source },
        }
    }

    /// The log, opened again if it failed. The caller holds `appending`.
    fn working_log(&self) -> Result<Log, HandoffError> {
        let log = self.log();
        if !log.is_failed() {
            return Ok(log);
        }
        let open_error = |source| HandoffError::Open { node: self.node, shard: self.shard, source };
        let log = open_log(&self.env, &self.dir, &self.log_config).map_err(open_error)?;
        // An entry whose append failed may be there all the same.
        let last = last_header(&log).map_err(|error| open_error(error.into()))?;
        let sequence = self.sequence.load(Ordering::Relaxed);
        self.sequence.store(sequence.max(last.map_or(0, |last| last.sequence + 1)), Ordering::Relaxed);
        let mut cursor = self.cursor.lock();
        cursor.reader = None;
        *self.log.lock() = log.clone();
        Ok(log)
    }

    pub(crate) fn log(&self) -> Log {
        self.log.lock().clone()
    }

    /// Hands out an entry: one that waits for another try, if its time has come, or the next.
    pub(crate) fn take(&self) -> Result<Option<Block>, HandoffError> {
        let mut cursor = self.cursor.lock();
        if cursor.is_removed {
            // Its files may be gone by now.
            return Ok(None);
        }
        let now = self.env.monotonic();
        let waiting = cursor.taken.iter().find(|(_, it)| it.state == State::Waiting && it.not_before <= now);
        if let Some(position) = waiting.map(|(position, _)| *position)
            && let Some(bytes) = self.read_again(&mut cursor, position)?
        {
            return Ok(Some(self.hand_out(&mut cursor, position, bytes)));
        }
        let is_blocked = planted::is(Bug::PoisonBlocks) && cursor.taken.values().any(|it| it.attempts > 0);
        if cursor.taken.len() >= TAKEN_MAX || is_blocked {
            return Ok(None);
        }
        match self.read_next(&mut cursor)? {
            Some((position, bytes)) => Ok(Some(self.hand_out(&mut cursor, position, bytes))),
            None => {
                drop(cursor);
                self.settle().map(|()| None)
            }
        }
    }

    fn hand_out(&self, cursor: &mut Cursor, position: Position, bytes: Bytes) -> Block {
        let taken = cursor.taken.get_mut(&position).expect("it was just read or found");
        taken.state = if planted::is(Bug::DoneWhenTaken) { State::Done } else { State::OnTheWay };
        Block {
            bytes,
            queued_at: taken.header.queued_at,
            attempts: taken.attempts,
            token: Token { node: self.node, shard: self.shard, queue: self.id, position },
        }
    }

    /// The bytes of an entry that was read before. `None` if they are damaged by now; it is then dropped.
    fn read_again(&self, cursor: &mut Cursor, position: Position) -> Result<Option<Bytes>, HandoffError> {
        let mut reader = self.log().reader(position);
        match reader.read_next().map_err(|source| self.read_error(source))? {
            Some(Entry::Record { position: at, payload, .. }) if at == position => return Ok(Some(body(payload))),
            _ => {}
        }
        self.mark(MarkReason::Damaged)?;
        Counters::count(&self.counters.damaged, 1);
        self.done(cursor, position)?;
        Ok(None)
    }

    /// Reads the next entry that was not read yet and notes it as waiting.
    fn read_next(&self, cursor: &mut Cursor) -> Result<Option<(Position, Bytes)>, HandoffError> {
        loop {
            let mut reader = match cursor.reader.take() {
                Some(reader) => reader,
                None => self.log().reader(cursor.next),
            };
            match reader.read_next().map_err(|source| self.read_error(source))? {
                None => {
                    cursor.next = reader.position();
                    cursor.reader = Some(reader);
                    self.move_head(cursor, false)?;
                    return Ok(None);
                }
                Some(Entry::Damaged { end, .. }) => {
                    // How many entries were in there tells the number of the next one.
                    self.mark(MarkReason::Damaged)?;
                    cursor.next = end;
                    cursor.reader = Some(reader);
                }
                Some(Entry::Record { position, next, payload }) => {
                    let header = EntryHeader::decode(payload);
                    let lost = match (header, cursor.next_sequence) {
                        (None, _) => 1,
                        (Some(header), Some(expected)) => header.sequence.saturating_sub(expected),
                        (Some(_), None) => 0,
                    };
                    if lost > 0 {
                        self.mark(MarkReason::Damaged)?;
                        Counters::count(&self.counters.damaged, lost);
                    }
                    cursor.next = next;
                    let Some(header) = header else {
                        cursor.next_sequence = None;
                        cursor.reader = Some(reader);
                        continue;
                    };
                    let bytes = body(payload);
                    cursor.next_sequence = Some(header.sequence + 1);
                    cursor.reader = Some(reader);
                    cursor.taken.insert(
                        position,
                        Taken {
                            next,
                            header,
                            bytes: bytes.len() as u64,
                            state: State::Waiting,
                            attempts: 0,
                            not_before: Duration::ZERO,
                            delivered_at_failure: 0,
                        },
                    );
                    self.set_head(cursor);
                    return Ok(Some((position, bytes)));
                }
            }
        }
    }

    /// At the end of the log with nothing known of, all numbers that were given out are accounted for: those that no
    /// entry had are lost.
    fn settle(&self) -> Result<(), HandoffError> {
        let appending = self.appending.lock();
        let mut cursor = self.cursor.lock();
        let sequence = self.sequence.load(Ordering::Relaxed);
        let is_at_end = cursor.taken.is_empty() && cursor.next >= self.log().end();
        if appending.is_removed || !is_at_end || cursor.head.sequence >= sequence {
            return Ok(());
        }
        let lost = sequence - cursor.next_sequence.unwrap_or(cursor.head.sequence).min(sequence);
        if lost > 0 {
            self.mark(MarkReason::Damaged)?;
            Counters::count(&self.counters.damaged, lost);
        }
        cursor.next_sequence = Some(sequence);
        self.set_head(&mut cursor);
        Ok(())
    }

    /// Notes what became of an entry. Nothing happens if it is not on its way.
    pub(crate) fn finish(&self, position: Position, outcome: Outcome) -> Result<(), HandoffError> {
        let mut cursor = self.cursor.lock();
        let cursor = &mut *cursor;
        if cursor.is_removed {
            return Ok(());
        }
        let delivered = cursor.delivered;
        let Some(taken) = cursor.taken.get_mut(&position).filter(|taken| taken.state == State::OnTheWay) else {
            return Ok(());
        };
        // Whatever goes wrong below, it is tried again.
        taken.state = State::Waiting;
        match outcome {
            Outcome::Delivered => {
                Counters::count(&self.counters.delivered, 1);
                Counters::count(&self.counters.delivered_bytes, taken.bytes);
                cursor.delivered += 1;
            }
            Outcome::Refused => {
                self.mark(MarkReason::Refused)?;
                Counters::count(&self.counters.refused, 1);
            }
            Outcome::Failed => {
                if taken.attempts == 0 {
                    taken.delivered_at_failure = delivered;
                }
                taken.attempts = taken.attempts.saturating_add(1);
                let delay = retry_delay(taken.attempts, self.retry.0, self.retry.1);
                taken.not_before = self.env.monotonic().saturating_add(delay);
                if !is_hopeless(taken.attempts, delivered - taken.delivered_at_failure) {
                    Counters::count(&self.counters.retried, 1);
                    return Ok(());
                }
                self.mark(MarkReason::Hopeless)?;
                Counters::count(&self.counters.hopeless, 1);
            }
        }
        self.done(cursor, position)
    }

    /// Gives an entry back that was not sent after all.
    pub(crate) fn give_back(&self, position: Position) {
        let mut cursor = self.cursor.lock();
        if let Some(taken) = cursor.taken.get_mut(&position).filter(|taken| taken.state == State::OnTheWay) {
            taken.state = State::Waiting;
        }
    }

    fn done(&self, cursor: &mut Cursor, position: Position) -> Result<(), HandoffError> {
        if let Some(taken) = cursor.taken.get_mut(&position) {
            taken.state = State::Done;
            cursor.unstored_bytes += taken.bytes + ENTRY_HEADER_BYTES as u64;
            if planted::is(Bug::HeadPastGap) {
                let next = taken.next;
                cursor.taken.retain(|position, _| *position >= next);
            }
        }
        self.move_head(cursor, false)
    }

    /// Moves the head over what is done, and stores it if it is time or `now`.
    fn move_head(&self, cursor: &mut Cursor, now: bool) -> Result<(), HandoffError> {
        while let Some(first) = cursor.taken.first_entry() {
            if first.get().state != State::Done {
                break;
            }
            first.remove();
        }
        self.set_head(cursor);
        let log = self.log();
        let is_drained = cursor.taken.is_empty() && cursor.next >= log.end();
        let is_time = now || is_drained || cursor.unstored_bytes >= HEAD_LAG_BYTES_MAX;
        if cursor.unstored_bytes == 0 || !is_time {
            return Ok(());
        }
        let head = cursor.head;
        let stored = cursor.head_file.store(&self.env, head).map_err(|source| HandoffError::Io {
            action: "store the head of",
            path: self.dir.clone(),
            source,
        });
        if stored.is_ok() {
            cursor.unstored_bytes = 0;
        }
        // Also when the head was not stored: what is before it is done, and on a full disk room must come from somewhere.
        // A short log stays as it is when it is drained: a new segment for every few entries would cost more than it
        // gives back.
        let is_short = log.segment_count() == 1 && log.bytes() < SHORT_BYTES;
        let before = if is_short { Position { offset: 0, ..head.position } } else { head.position };
        let purged = log.purge_before(before).map(|_| ()).map_err(|source| self.append_error(source));
        stored.and(purged)
    }

    /// Puts the head before the first entry that is not done, or where the next one will be read.
    fn set_head(&self, cursor: &mut Cursor) {
        match cursor.taken.first_key_value() {
            Some((position, first)) => {
                cursor.head = Head { position: *position, sequence: first.header.sequence };
                self.oldest.store(first.header.queued_at.0, Ordering::Relaxed);
            }
            None => {
                let sequence = cursor.next_sequence.unwrap_or(cursor.head.sequence);
                cursor.head = Head { position: cursor.next, sequence };
            }
        }
        self.head_sequence.store(cursor.head.sequence, Ordering::Relaxed);
    }

    /// Drops entries that have waited too long, and stores the head.
    pub(crate) fn purge(&self, now: Timestamp) -> Result<(), HandoffError> {
        let mut cursor = self.cursor.lock();
        if cursor.is_removed {
            return Ok(());
        }
        loop {
            let first = cursor.taken.first_key_value().map(|(position, first)| (*position, first.state, first.header));
            match first {
                None => {
                    if self.read_next(&mut cursor)?.is_none() {
                        break;
                    }
                }
                Some((position, State::Waiting, header)) if is_expired(header.queued_at, now, self.age_max) => {
                    if !planted::is(Bug::DropWithoutMark) {
                        self.mark(MarkReason::Expired)?;
                    }
                    Counters::count(&self.counters.expired, 1);
                    self.done(&mut cursor, position)?;
                }
                Some(_) => break,
            }
        }
        self.move_head(&mut cursor, true)
    }

    /// Stores the head, so that nothing that was delivered is sent again.
    pub(crate) fn store_head(&self) -> Result<(), HandoffError> {
        self.move_head(&mut self.cursor.lock(), true)
    }

    /// Closes the files of a queue that was not appended to since the last call, or regardless.
    pub(crate) fn rest(&self, only_if_idle: bool) -> Result<(), HandoffError> {
        let is_busy = std::mem::replace(&mut self.appending.lock().is_busy, false);
        if !is_busy || !only_if_idle {
            self.cursor.lock().head_file.close();
            let log = self.log();
            if !log.is_failed() {
                log.close_idle().map_err(|source| self.append_error(source))?;
            }
        }
        Ok(())
    }

    /// How many entries wait or are on their way.
    pub(crate) fn entry_count(&self) -> u64 {
        let head = self.head_sequence.load(Ordering::Relaxed);
        self.sequence.load(Ordering::Relaxed).saturating_sub(head)
    }

    /// When the oldest of them was queued, or earlier.
    pub(crate) fn oldest(&self) -> Option<Timestamp> {
        (self.entry_count() > 0).then(|| Timestamp(self.oldest.load(Ordering::Relaxed)))
    }

    /// Makes the queue take and hand out nothing any more. With `only_if_empty` it refuses, and returns `false`, if it
    /// is not.
    pub(crate) fn remove(&self, only_if_empty: bool) -> bool {
        let mut appending = self.appending.lock();
        if only_if_empty && (appending.is_busy || self.entry_count() > 0) {
            return false;
        }
        appending.is_removed = true;
        self.cursor.lock().is_removed = true;
        true
    }

    /// Before all of which is done, and the end of the log.
    pub(crate) fn span(&self) -> (Position, Position) {
        (self.cursor.lock().head.position, self.log().end())
    }

    fn mark(&self, reason: MarkReason) -> Result<(), HandoffError> {
        self.marks.lock().set(&self.env, self.shard, reason).map_err(|source| {
            Counters::count(&self.counters.failed, 1);
            HandoffError::Io { action: "mark", path: self.dir.clone(), source }
        })
    }

    fn read_error(&self, source: seglog::ReadError) -> HandoffError {
        HandoffError::Open { node: self.node, shard: self.shard, source: OpenError::Read(source) }
    }
}

/// Whether a file of this name belongs to a queue.
pub(crate) fn is_file_name(name: &str) -> bool {
    name == HEAD_FILE || seglog::is_segment_name(name)
}

fn open_log(env: &Env, dir: &std::path::Path, config: &seglog::Config) -> Result<Log, OpenError> {
    let (log, _recovery) = Log::open(env, dir, config.clone(), &mut |_, _| ControlFlow::Continue(()))?;
    Ok(log)
}

/// The header of the first entry that can be read.
fn first_header(log: &Log) -> Result<Option<EntryHeader>, seglog::ReadError> {
    let mut reader = log.reader(Position::START);
    while let Some(entry) = reader.read_next()? {
        if let Entry::Record { payload, .. } = entry
            && let Some(header) = EntryHeader::decode(payload)
        {
            return Ok(Some(header));
        }
    }
    Ok(None)
}

/// The header of the last entry: of the last segment that has one.
fn last_header(log: &Log) -> Result<Option<EntryHeader>, seglog::ReadError> {
    for segment in (1..=log.end().segment).rev().take(log.segment_count()) {
        let mut last = None;
        let mut reader = log.reader(Position { segment, offset: 0 });
        while let Some(entry) = reader.read_next()? {
            if let Entry::Record { payload, .. } = entry {
                last = EntryHeader::decode(payload).or(last);
            }
        }
        if last.is_some() {
            return Ok(last);
        }
    }
    Ok(None)
}
