//! Reading records: the walk over one segment, and the reader over all.
//!
//! A walk goes from record to record. Where none stands, it looks for the next place where one does: it searches for
//! the marker byte and takes the first hit whose header and payload checksums are right. The header's checksum covers
//! log, segment and offset, so records inside payloads and leftovers of other files are no hits.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use env::{File, OpenMode};

use crate::group_sync::Segment;
use crate::planted::{self, Bug};
use crate::segment::{FILE_HEADER_BYTES, Kind, RECORD_HEADER_BYTES, RECORD_MARKER, RecordHeader, SegmentId};
use crate::{Inner, Position};

/// How much is read at once.
const WINDOW_BYTES: usize = 256 << 10;

/// What a walk finds next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// A whole record; [`Walk::payload`] has its bytes.
    Record { offset: u64, end: u64, header: RecordHeader },
    /// No record stands here, but one stands at `end`.
    Gap { offset: u64, end: u64 },
    /// From here to the end of the segment no record stands. `blank` if there are only zeros.
    Rest { offset: u64, end: u64, blank: bool },
}

/// A walk over one segment.
#[derive(Debug)]
pub(crate) struct Walk {
    file: Arc<dyn File>,
    id: SegmentId,
    offset: u64,
    /// Where the segment ends for this walk.
    limit: u64,
    window: Vec<u8>,
    window_at: u64,
    /// Where in the window the payload of the last record is.
    payload: Range<usize>,
}

impl Walk {
    /// Starts at `offset`, which is the place of a record, or before the first.
    pub(crate) fn new(file: Arc<dyn File>, id: SegmentId, offset: u64, limit: u64) -> Walk {
        let offset = offset.max(FILE_HEADER_BYTES as u64);
        Walk { file, id, offset, limit, window: Vec::new(), window_at: 0, payload: 0..0 }
    }

    /// Lets the walk go on as the segment grows.
    fn extend(&mut self, limit: u64) {
        if limit > self.limit {
            self.limit = limit;
        }
    }

    /// The next item, or `None` at the end. After an error it can be asked again.
    pub(crate) fn next(&mut self) -> io::Result<Option<Item>> {
        let offset = self.offset;
        if offset >= self.limit {
            return Ok(None);
        }
        if let Some(header) = self.record_at(offset)? {
            let end = offset + header.record_bytes();
            self.offset = end;
            return Ok(Some(Item::Record { offset, end, header }));
        }
        let (found, blank) = self.search(offset)?;
        let end = found.unwrap_or(self.limit);
        self.offset = end;
        Ok(Some(match found {
            Some(_) => Item::Gap { offset, end },
            None => Item::Rest { offset, end, blank },
        }))
    }

    /// The bytes of the record that [`Walk::next`] returned last.
    pub(crate) fn payload(&self) -> &[u8] {
        &self.window[self.payload.clone()]
    }

    /// The header of the whole and undamaged record at `offset`, if one stands there.
    fn record_at(&mut self, offset: u64) -> io::Result<Option<RecordHeader>> {
        if self.limit - offset < RECORD_HEADER_BYTES as u64 {
            return Ok(None);
        }
        let header = self.load(offset, RECORD_HEADER_BYTES)?;
        let Some(header) = RecordHeader::decode(self.id, offset, &self.window[header]) else {
            return Ok(None);
        };
        if header.record_bytes() > self.limit - offset {
            return Ok(None);
        }
        let payload = self.load(offset + RECORD_HEADER_BYTES as u64, header.length as usize)?;
        if crc32fast::hash(&self.window[payload.clone()]) != header.payload_crc {
            return Ok(None);
        }
        self.payload = payload;
        Ok(Some(header))
    }

    /// The first record behind `from`, and whether there are only zeros from `from` up to it or the end.
    fn search(&mut self, from: u64) -> io::Result<(Option<u64>, bool)> {
        let mut at = from;
        let mut blank = true;
        if planted::is(Bug::StopAtDamage) {
            return Ok((None, true));
        }
        while at < self.limit {
            let length = usize::try_from(self.limit - at).unwrap_or(usize::MAX).min(WINDOW_BYTES);
            let loaded = self.load(at, length)?;
            let bytes = &self.window[loaded];
            // At `from` itself none stands, which is why the search began.
            let skip = usize::from(at == from);
            let hit = memchr::memchr(RECORD_MARKER, &bytes[skip..]).map(|index| index + skip);
            blank &= is_blank(&bytes[..hit.unwrap_or(length)]);
            let Some(hit) = hit else {
                at += length as u64;
                continue;
            };
            let candidate = at + hit as u64;
            if self.record_at(candidate)?.is_some() {
                return Ok((Some(candidate), blank));
            }
            blank = false;
            at = candidate + 1;
        }
        Ok((None, blank))
    }

    /// Brings `length` bytes at `at`, all of them before the limit, into the window and tells where they are in it.
    fn load(&mut self, at: u64, length: usize) -> io::Result<Range<usize>> {
        debug_assert!(at + length as u64 <= self.limit);
        let window_end = self.window_at + self.window.len() as u64;
        if at < self.window_at || at + length as u64 > window_end {
            let rest = usize::try_from(self.limit - at).unwrap_or(usize::MAX);
            let window_bytes = length.max(WINDOW_BYTES.min(rest));
            if self.window.len() < window_bytes {
                self.window = vec![0; window_bytes];
            }
            self.window.truncate(window_bytes);
            self.window_at = at;
            if let Err(error) = self.file.read_exact_at(at, &mut self.window) {
                self.window.clear();
                return Err(error);
            }
        }
        let start = (at - self.window_at) as usize;
        Ok(start..start + length)
    }
}

/// Whether there are only zeros.
fn is_blank(bytes: &[u8]) -> bool {
    const ZEROS: [u8; 4096] = [0; 4096];
    bytes.chunks(ZEROS.len()).all(|chunk| *chunk == ZEROS[..chunk.len()])
}

/// What a reader finds next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// A record.
    Record {
        /// Where it stands.
        position: Position,
        /// Where to go on behind it.
        next: Position,
        /// Its bytes.
        payload: &'a [u8],
    },
    /// Bytes that were durable and are damaged. Reading goes on behind them.
    Damaged {
        /// Where the damage begins.
        start: Position,
        /// Where it ends.
        end: Position,
    },
}

/// Why reading failed. The reader can be used again: it tries the same place.
#[derive(Debug, thiserror::Error)]
#[error("read log segment {segment}")]
pub struct ReadError {
    /// In which segment.
    pub segment: u64,
    /// What the disk said.
    #[source]
    pub source: io::Error,
}

/// Reads a log from a position to its end, and on as it grows. Every checksum is verified.
pub struct Reader {
    log: Arc<Inner>,
    at: Position,
    walk: Option<Walk>,
}

impl Reader {
    pub(crate) fn new(log: Arc<Inner>, from: Position) -> Reader {
        Reader { log, at: from, walk: None }
    }

    /// Where the next entry will be looked for.
    pub fn position(&self) -> Position {
        self.at
    }

    /// The next entry, or `None` at the end of the log for now. Segments that were purged are passed over.
    ///
    /// # Errors
    /// When the disk does not give the bytes, or a segment that was not purged is gone.
    pub fn read_next(&mut self) -> Result<Option<Entry<'_>>, ReadError> {
        loop {
            let Some((segment, item)) = self.next_item()? else { return Ok(None) };
            let place = |offset| Position { segment, offset };
            let (offset, end) = match item {
                Item::Record { offset, end, header } if header.kind == Kind::Data => {
                    let payload = self.walk.as_ref().map_or(&[][..], Walk::payload);
                    return Ok(Some(Entry::Record { position: place(offset), next: place(end), payload }));
                }
                Item::Record { .. } | Item::Rest { blank: true, .. } => continue,
                Item::Gap { offset, end } | Item::Rest { offset, end, blank: false } => (offset, end),
            };
            return Ok(Some(Entry::Damaged { start: place(offset), end: place(end) }));
        }
    }

    /// The next item of any segment and the number of the segment.
    fn next_item(&mut self) -> Result<Option<(u64, Item)>, ReadError> {
        while let Some(walk) = self.walk_with_more()? {
            let segment = walk.id.number;
            let item = walk.next().map_err(|source| ReadError { segment, source })?;
            self.at.offset = walk.offset;
            if let Some(item) = item {
                return Ok(Some((segment, item)));
            }
        }
        Ok(None)
    }

    /// The walk over the segment that `at` is in, with something left to read; `None` at the end of the log.
    fn walk_with_more(&mut self) -> Result<Option<&mut Walk>, ReadError> {
        loop {
            let (Segment { number: segment, bytes }, end) = {
                let shared = self.log.shared.lock();
                (shared.segment_from(self.at.segment), shared.end)
            };
            if segment != self.at.segment {
                self.go_to(segment);
            }
            if self.at >= end {
                return Ok(None);
            }
            let is_last = segment == end.segment;
            if self.walk.is_none() {
                match self.open(segment) {
                    Ok(walk) => self.walk = Some(walk),
                    Err(error) if error.kind() == io::ErrorKind::NotFound && self.is_purged(segment) => continue,
                    Err(source) => return Err(ReadError { segment, source }),
                }
            }
            let walk = self.walk.as_mut().expect("opened above");
            // What is behind the end of a segment is reserved space, or still being written. What should be there and is
            // not was reported when the log was opened.
            let length = walk.file.len().map_err(|source| ReadError { segment, source })?;
            walk.extend(bytes.min(length));
            if walk.offset < walk.limit {
                return Ok(self.walk.as_mut());
            }
            if is_last {
                return Ok(None);
            }
            self.go_to(segment + 1);
        }
    }

    fn open(&self, segment: u64) -> io::Result<Walk> {
        let id = SegmentId { identity: self.log.identity, number: segment };
        let file = self.log.env.fs().open(&self.log.dir.join(id.file_name()), OpenMode::Read)?;
        Ok(Walk::new(file, id, self.at.offset, 0))
    }

    fn is_purged(&self, segment: u64) -> bool {
        segment < self.log.shared.lock().purged_before
    }

    fn go_to(&mut self, segment: u64) {
        self.at = Position { segment, offset: FILE_HEADER_BYTES as u64 };
        self.walk = None;
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("dir", &self.log.dir).field("at", &self.at).finish_non_exhaustive()
    }
}
