//! Opening a log: replay, and repair of what a crash left.
//!
//! All headers are judged before anything is changed, so that what is not ours stays as it is. Then the records are
//! replayed in order. Where no record stands, the search in `read` finds the next one, so damage costs the records it
//! hits and no others; each such range is reported as [`Fenced`].
//!
//! Only the last segment can hold bytes that were never durable, and each record says up to where the segment was
//! durable when it was written. A broken range that a later record vouches for is damage. One that nobody vouches for is
//! what a crash left of records that nobody was promised; it is covered by a filler record, so that it is not taken for
//! damage later, and behind the last record it is cut off.
//!
//! Unless the log was closed cleanly, the part of the last segment that nobody vouches for is then written once more
//! and synced: if an earlier sync failed, the operating system may show bytes that are not on the disk and report no
//! error for them again. Then the segment is marked like one that was closed cleanly.
//!
//! The last segment takes no more records after an open, not even after a clean close: records may have been appended
//! behind it, have had their positions told to someone, and be gone without a trace.

use std::collections::VecDeque;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use env::{Env, File, OpenMode};
use parking_lot::{Condvar, Mutex};

use crate::append::{Writer, create_segment};
use crate::group_sync::{Health, Segment, Shared};
use crate::planted::{self, Bug};
use crate::read::{Item, Walk};
use crate::segment::{
    FILE_HEADER_BYTES, FORMAT_VERSION, FileHeader, Kind, RECORD_HEADER_BYTES, RecordHeader, SegmentId, VERSION_BYTES,
    checked_version, judge_file_header,
};
use crate::{Config, Inner, Log, Position, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};

/// How much is written at once when the tail is written again.
const REWRITE_BYTES: usize = 1 << 20;

/// Why a log was not opened. Unless it says `Io`, nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The disk refused. Opening again may succeed.
    #[error("{action} {path}", path = path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the disk said.
        #[source]
        source: io::Error,
    },

    /// Written by another version of the program.
    #[error("{path} has log format {version}, this program knows {FORMAT_VERSION}", path = path.display())]
    OtherFormat {
        /// The segment.
        path: PathBuf,
        /// Its version.
        version: u32,
    },

    /// A file has the name of a segment but is none.
    #[error("{path} is not a log segment", path = path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },

    /// The directory has segments of more than one log.
    #[error("{dir} has segments of different logs", dir = dir.display())]
    Mixed {
        /// The directory.
        dir: PathBuf,
    },

    /// The one who was handed the records wanted no more.
    #[error("replay was stopped")]
    Stopped,
}

/// Why a range is fenced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It was durable and its checksums are wrong now. Records are lost.
    Damaged,
    /// The file of a segment, or of several, is gone. Records are lost.
    Missing,
    /// A crash left it; it was never durable, so nothing is lost that anybody was promised. Reported by the open that
    /// finds it and not again. Damage to the very last records before a crash looks the same.
    NeverDurable,
}

/// A range of the log that holds no readable record and has readable records behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fenced {
    /// Its first byte.
    pub start: Position,
    /// Behind its last byte.
    pub end: Position,
    /// What happened to it.
    pub cause: Cause,
}

/// What opening a log found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Records that were replayed.
    pub records: u64,
    /// Bytes in those records.
    pub bytes: u64,
    /// The log was made by this open.
    pub is_new: bool,
    /// The log was closed cleanly, so nothing had to be repaired.
    pub is_clean: bool,
    /// Bytes cut off at the end: a torn record that was never durable.
    pub torn_bytes: u64,
    /// Ranges without readable records, in order. Damage is reported again by each open until it is purged.
    pub fenced: Vec<Fenced>,
}

impl Recovery {
    /// Whether records were lost that had been durable, so that they must be fetched from elsewhere.
    pub fn has_losses(&self) -> bool {
        self.fenced.iter().any(|fenced| fenced.cause != Cause::NeverDurable)
    }
}

impl Log {
    /// Opens the log in `dir`, making it if there is none, and hands every record from `config.replay_from` on to
    /// `replay`, in order. When `replay` breaks off, so does the opening. Nobody else may have the log open for
    /// appending; one that failed may still be there to be dropped. The directory above `dir` is the caller's, who sees
    /// to it that it survives a crash; `dir` itself the log sees to.
    pub fn open(
        env: &Env,
        dir: &Path,
        mut config: Config,
        replay: &mut dyn FnMut(Position, &[u8]) -> ControlFlow<()>,
    ) -> Result<(Log, Recovery), OpenError> {
        config.segment_bytes_max = config.segment_bytes_max.clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX);
        config.record_bytes_max = config.record_bytes_max.min(SEGMENT_BYTES_MAX as usize);
        env.fs().create_dir_durable(dir).map_err(io_error("create", dir))?;
        let found = find_segments(env, dir, config.replay_from)?;
        let log = match found.last().map(|last| last.id) {
            None => {
                let id = SegmentId { identity: env.random_u64(), number: 1 };
                create_log(env, dir, config, id)?
            }
            // A crash came while the very first segment was made.
            Some(id) if found.iter().all(|segment| segment.is_unfinished) => create_log(env, dir, config, id)?,
            Some(_) => open_log(env, dir, config, found, replay)?,
        };
        Ok(log)
    }
}

/// A segment in `dir` that a later release wrote, and its version, if there is one. Reads only; a directory that is not
/// there has none. For whoever wants to know before anything else is opened.
///
/// Cost: opens each segment and reads 16 bytes.
pub fn later_format(env: &Env, dir: &Path) -> io::Result<Option<(PathBuf, u32)>> {
    if !env.fs().exists(dir)? {
        return Ok(None);
    }
    for entry in env.fs().list(dir)? {
        if entry.is_dir || SegmentId::from_file_name(&entry.name).is_none() {
            continue;
        }
        let path = dir.join(&entry.name);
        let mut front = [0; VERSION_BYTES];
        match env.fs().open(&path, OpenMode::Read)?.read_exact_at(0, &mut front) {
            // One that a crash left while it was made.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => continue,
            other => other?,
        }
        if let Some(version) = checked_version(&front).filter(|version| *version > FORMAT_VERSION) {
            return Ok(Some((path, version)));
        }
    }
    Ok(None)
}

/// A segment's file.
#[derive(Debug)]
struct Found {
    id: SegmentId,
    bytes: u64,
    /// Where the segment before it ended, if that is known.
    previous_end: Option<u64>,
    is_header_damaged: bool,
    /// Left by a crash, or a full disk, while it was made. Has no records.
    is_unfinished: bool,
}

impl Found {
    fn new(id: SegmentId, bytes: u64) -> Found {
        Found { id, bytes, previous_end: None, is_header_damaged: false, is_unfinished: false }
    }

    fn position(&self, offset: u64) -> Position {
        Position { segment: self.id.number, offset }
    }
}

/// The segments in order, all of one log and none of another format. Those before `replay_from` are not looked into.
fn find_segments(env: &Env, dir: &Path, replay_from: Position) -> Result<Vec<Found>, OpenError> {
    let entries = env.fs().list(dir).map_err(io_error("list", dir))?;
    let mut ids: Vec<SegmentId> = entries
        .iter()
        .filter(|entry| !entry.is_dir)
        .filter_map(|entry| SegmentId::from_file_name(&entry.name))
        .collect();
    ids.sort_by_key(|id| id.number);
    if ids.iter().any(|id| id.identity != ids[0].identity) {
        return Err(OpenError::Mixed { dir: dir.to_owned() });
    }
    let mut segments = Vec::with_capacity(ids.len());
    for (index, id) in ids.iter().enumerate() {
        let path = dir.join(id.file_name());
        if id.number < replay_from.segment && index + 1 < ids.len() {
            let bytes = env.fs().file_bytes(&path).map_err(io_error("read", &path))?;
            segments.push(Found::new(*id, bytes));
        } else {
            segments.push(judge_segment(env, &path, *id)?);
        }
    }
    Ok(segments)
}

fn judge_segment(env: &Env, path: &Path, id: SegmentId) -> Result<Found, OpenError> {
    let file = env.fs().open(path, OpenMode::Read).map_err(io_error("open", path))?;
    let bytes = file.len().map_err(io_error("read", path))?;
    let mut header = vec![0; bytes.min(FILE_HEADER_BYTES as u64) as usize];
    file.read_exact_at(0, &mut header).map_err(io_error("read", path))?;
    let mut found = Found::new(id, bytes);
    match judge_file_header(id, &header) {
        FileHeader::Good { previous_end } => found.previous_end = (previous_end > 0).then_some(previous_end),
        FileHeader::OtherVersion(version) => return Err(OpenError::OtherFormat { path: path.to_owned(), version }),
        FileHeader::Damaged => found.is_header_damaged = true,
        // What stands behind the header decides: records that belong to this very file are proof enough.
        judged => match Walk::new(file, id, 0, bytes).next().map_err(io_error("read", path))? {
            Some(Item::Record { .. } | Item::Gap { .. }) => found.is_header_damaged = true,
            None | Some(Item::Rest { blank: true, .. }) if judged == FileHeader::Unfinished => {
                found.is_unfinished = true;
            }
            None | Some(Item::Rest { .. }) => return Err(OpenError::Foreign { path: path.to_owned() }),
        },
    }
    Ok(found)
}

/// Makes a log whose first segment is `id`.
fn create_log(env: &Env, dir: &Path, config: Config, id: SegmentId) -> Result<(Log, Recovery), OpenError> {
    let end = FILE_HEADER_BYTES as u64;
    let segments = VecDeque::from([Segment { number: id.number, bytes: end }]);
    let writer = Writer { number: id.number, end, reserved: end, is_ended: false, is_closed: false, has_data: false };
    let inner = new_inner(env, dir, config, id.identity, segments, writer);
    let file = create_segment(&inner, id, 0).map_err(io_error("create log in", dir))?;
    inner.sync_file(&*file).and_then(|()| sync_names(&inner)).map_err(io_error("sync", dir))?;
    let recovery = Recovery { is_new: true, is_clean: true, ..Recovery::default() };
    Ok((Log { inner: Arc::new(inner) }, recovery))
}

fn open_log(
    env: &Env,
    dir: &Path,
    config: Config,
    mut found: Vec<Found>,
    replay: &mut dyn FnMut(Position, &[u8]) -> ControlFlow<()>,
) -> Result<(Log, Recovery), OpenError> {
    let mut unfinished = Vec::new();
    while let Some(segment) = found.pop_if(|segment| segment.is_unfinished) {
        unfinished.push(segment.id);
    }
    let mut segments = VecDeque::with_capacity(found.len());
    let mut tail = Tail::default();
    let mut replay = Replay { env, dir, from: config.replay_from, to: replay, recovery: Recovery::default() };
    for (index, segment) in found.iter().enumerate() {
        let number = segment.id.number;
        let expected = if index == 0 { number } else { found[index - 1].id.number + 1 };
        if expected < number && number > config.replay_from.segment {
            let start = Position { segment: expected, offset: 0 };
            replay.recovery.fenced.push(Fenced { start, end: segment.position(0), cause: Cause::Missing });
        }
        let next = found.get(index + 1);
        let ended_at = next.filter(|next| next.id.number == number + 1).and_then(|next| next.previous_end);
        if next.is_none() || number >= config.replay_from.segment {
            tail = replay.segment(segment, next.is_none(), ended_at)?;
        }
        let bytes = if next.is_none() { tail.end } else { ended_at.unwrap_or(segment.bytes) };
        segments.push_back(Segment { number, bytes });
    }
    let mut recovery = replay.recovery;

    let last = found.last().expect("a log without finished segments is made anew");
    let last_id = last.id;
    let writer = Writer {
        number: last_id.number,
        end: tail.end,
        reserved: tail.end,
        is_ended: !planted::is(Bug::UsePositionsTwice),
        is_closed: tail.is_closed,
        has_data: tail.has_data,
    };
    let inner = new_inner(env, dir, config, last_id.identity, segments, writer);
    for id in unfinished {
        let path = dir.join(id.file_name());
        env.fs().remove_file(&path).and_then(|()| inner.sync_dir()).map_err(io_error("remove", &path))?;
    }
    recovery.is_clean = tail.is_closed;
    if !tail.is_closed {
        let path = dir.join(last_id.file_name());
        repair_tail(env, &path, last_id, last.bytes, &tail).map_err(io_error("repair", &path))?;
        sync_names(&inner).map_err(io_error("sync", dir))?;
    }
    Ok((Log { inner: Arc::new(inner) }, recovery))
}

/// How a segment ends.
#[derive(Debug, Default)]
struct Tail {
    /// Behind the last record.
    end: u64,
    /// The last record is that of a clean close.
    is_closed: bool,
    has_data: bool,
    /// Records vouch that everything before this was durable.
    durable: u64,
    /// Ranges that nobody vouches for, with records behind them.
    gaps: Vec<(u64, u64)>,
}

/// Hands records out and notes what is wrong.
struct Replay<'a> {
    env: &'a Env,
    dir: &'a Path,
    from: Position,
    to: &'a mut dyn FnMut(Position, &[u8]) -> ControlFlow<()>,
    recovery: Recovery,
}

impl Replay<'_> {
    /// The records of one segment. `ended_at` is where it ends, if the next one says so; `None` for the last.
    fn segment(&mut self, segment: &Found, is_last: bool, ended_at: Option<u64>) -> Result<Tail, OpenError> {
        let path = self.dir.join(segment.id.file_name());
        let file = self.env.fs().open(&path, OpenMode::Read).map_err(io_error("open", &path))?;
        // What is behind the end is reserved space that was not given back.
        let limit = ended_at.map_or(segment.bytes, |end| end.min(segment.bytes));
        let mut walk = Walk::new(file, segment.id, 0, limit);
        let mut tail = Tail { end: FILE_HEADER_BYTES as u64, ..Tail::default() };
        let mut gaps = Vec::new();
        while let Some(item) = walk.next().map_err(io_error("read", &path))? {
            match item {
                Item::Record { offset, end, header } => {
                    tail.durable = tail.durable.max(u64::from(header.durable));
                    tail.is_closed = header.kind == Kind::Closed && u64::from(header.durable) == offset;
                    // The mark of a clean close vouches for what is before it, not for itself.
                    tail.end = if tail.is_closed { offset } else { end };
                    if header.kind == Kind::Data {
                        tail.has_data = true;
                        self.record(segment.position(offset), walk.payload())?;
                    }
                }
                Item::Gap { offset, end } => gaps.push((offset, end)),
                Item::Rest { offset, end, blank: false } if is_last => {
                    tail.is_closed = false;
                    self.recovery.torn_bytes = end - offset;
                }
                Item::Rest { offset, end, blank } => {
                    if !blank || ended_at.is_some() {
                        gaps.push((offset, end));
                    }
                }
            }
        }
        if let Some(end) = ended_at.filter(|end| *end > limit) {
            gaps.push((limit, end));
        }
        self.fence(segment, is_last, &gaps, &mut tail);
        Ok(tail)
    }

    fn record(&mut self, position: Position, payload: &[u8]) -> Result<(), OpenError> {
        if position < self.from {
            return Ok(());
        }
        self.recovery.records += 1;
        self.recovery.bytes += payload.len() as u64;
        if (self.to)(position, payload).is_break() { Err(OpenError::Stopped) } else { Ok(()) }
    }

    /// Reports the gaps, and gives those that were never durable to the tail.
    fn fence(&mut self, segment: &Found, is_last: bool, gaps: &[(u64, u64)], tail: &mut Tail) {
        let mut report = |(start, end), cause| {
            let (start, end) = (segment.position(start), segment.position(end));
            self.recovery.fenced.push(Fenced { start, end, cause });
        };
        if segment.is_header_damaged {
            report((0, FILE_HEADER_BYTES as u64), Cause::Damaged);
        }
        for gap in gaps {
            if is_last && gap.0 >= tail.durable && !planted::is(Bug::CallLossDamage) {
                report(*gap, Cause::NeverDurable);
                tail.gaps.push(*gap);
            } else {
                report(*gap, Cause::Damaged);
            }
        }
    }
}

/// Cuts off what is behind the last record, covers the gaps, and makes the rest durable without trusting the cache.
fn repair_tail(env: &Env, path: &Path, id: SegmentId, bytes: u64, tail: &Tail) -> io::Result<()> {
    let file = env.fs().open(path, OpenMode::ReadWrite)?;
    if bytes > tail.end {
        file.set_len(tail.end)?;
    }
    for (start, end) in &tail.gaps {
        cover_gap(&*file, id, *start, *end, tail.durable)?;
    }
    let mut at = if planted::is(Bug::TrustCache) { tail.end } else { tail.durable };
    let mut buf = Vec::new();
    while at < tail.end {
        buf.resize(usize::try_from(tail.end - at).unwrap_or(usize::MAX).min(REWRITE_BYTES), 0);
        file.read_exact_at(at, &mut buf)?;
        file.write_at(at, &buf)?;
        at += buf.len() as u64;
    }
    file.sync()?;
    // As after a clean close: the next open has nothing to do, and what goes wrong from here on is damage. If this gets
    // lost, nothing else does.
    let closed = RecordHeader { kind: Kind::Closed, length: 0, payload_crc: 0, durable: tail.end as u32 };
    let _ = file.write_at(tail.end, &closed.encode(id, tail.end));
    Ok(())
}

/// Makes a filler record of the bytes from `start` to `end`, whatever they are.
fn cover_gap(file: &dyn File, id: SegmentId, start: u64, end: u64, durable: u64) -> io::Result<()> {
    // Shorter than a header it cannot have been a record; it stays what it is.
    let Some(length) = (end - start).checked_sub(RECORD_HEADER_BYTES as u64) else { return Ok(()) };
    let mut payload = vec![0; length as usize];
    file.read_exact_at(start + RECORD_HEADER_BYTES as u64, &mut payload)?;
    let header = RecordHeader {
        kind: Kind::Filler,
        length: length as u32,
        payload_crc: crc32fast::hash(&payload),
        durable: durable as u32,
    };
    file.write_at(start, &header.encode(id, start))
}

fn new_inner(
    env: &Env,
    dir: &Path,
    config: Config,
    identity: u64,
    segments: VecDeque<Segment>,
    writer: Writer,
) -> Inner {
    let end = Position { segment: writer.number, offset: writer.end };
    let shared = Shared {
        segments,
        file: None,
        end,
        durable: end,
        purged_before: 0,
        syncing: false,
        health: Health::Good,
        unsynced_since: None,
    };
    Inner {
        env: env.clone(),
        dir: dir.to_owned(),
        identity,
        config,
        writer: Mutex::new(writer),
        shared: Mutex::new(shared),
        sync_ended: Condvar::new(),
        purging: Mutex::new(()),
    }
}

/// Makes the names of the segments and of the log itself durable. The latter may have been made by a process that was
/// killed before it could.
fn sync_names(inner: &Inner) -> io::Result<()> {
    inner.sync_dir()?;
    match inner.dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => inner.env.fs().sync_dir(parent),
        _ => Ok(()),
    }
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    move |source| OpenError::Io { action, path: path.to_owned(), source }
}
