//! Appending: one write per record, a new segment when one is full.
//!
//! Before a record is written its space is reserved, so that a full disk is found out while the log is still whole.

use std::io;
use std::sync::Arc;

use crc32fast::Hasher;
use env::{File, OpenMode};

use crate::group_sync::{Health, Segment, Shared};
use crate::planted::{self, Bug};
use crate::segment::{FILE_HEADER_BYTES, Kind, RECORD_HEADER_BYTES, RecordHeader, SegmentId};
use crate::{AppendError, Inner, Log, Position};

/// The least that is reserved at once.
const RESERVE_BYTES_MIN: u64 = 64 << 10;

/// The end of the active segment, for whoever holds the right to write.
#[derive(Debug)]
pub(crate) struct Writer {
    /// Number of the active segment.
    pub(crate) number: u64,
    /// Where the next record goes.
    pub(crate) end: u64,
    /// How long the file is: `end` and what is reserved.
    pub(crate) reserved: u64,
    /// The segment takes no more records: it is from before the log was opened.
    pub(crate) is_ended: bool,
    /// The last record says that all is durable.
    pub(crate) is_closed: bool,
    /// The segment has callers' records.
    pub(crate) has_data: bool,
}

impl Log {
    /// Appends a record and returns its position. It is written, not durable: it survives the end of the process, and
    /// a crash of the machine only after [`Log::sync`].
    ///
    /// Cost: a checksum, one write; two syncs more when a segment begins.
    pub fn append(&self, record: &[u8]) -> Result<Position, AppendError> {
        self.append_parts(&[record])
    }

    /// Appends one record that is the parts put together, as one write and without copying them together.
    pub fn append_parts(&self, parts: &[&[u8]]) -> Result<Position, AppendError> {
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        let bytes_max = self.inner.config.record_bytes_max;
        if bytes > bytes_max {
            return Err(AppendError::TooLong { bytes, bytes_max });
        }
        let mut hasher = Hasher::new();
        parts.iter().for_each(|part| hasher.update(part));
        let mut writer = self.inner.writer.lock();
        self.inner.append_record(&mut writer, Kind::Data, bytes as u32, hasher.finalize(), parts)
    }

    /// Closes the file of a log that nobody appends to, so that it costs no descriptor and no reserved space; makes it
    /// durable and notes that it is. The next append opens it again. Returns whether there was a file to close.
    pub fn close_idle(&self) -> Result<bool, AppendError> {
        let inner = &*self.inner;
        let mut writer = inner.writer.lock();
        let writer = &mut *writer;
        if inner.shared.lock().file.is_none() {
            return Ok(false);
        }
        inner.make_durable(Position::END)?;
        if !writer.is_closed && !writer.is_ended && inner.shared.lock().health == Health::Good {
            match inner.append_record(writer, Kind::Closed, 0, 0, &[]) {
                Ok(_) => writer.is_closed = true,
                // It only tells the next open that there is nothing to do.
                Err(AppendError::Full) => {}
                Err(error) => return Err(error),
            }
            inner.make_durable(Position::END)?;
        }
        inner.give_back(writer);
        inner.shared.lock().file = None;
        Ok(true)
    }
}

impl Inner {
    /// Appends a record whose payload is `parts` put together.
    pub(crate) fn append_record(
        &self,
        writer: &mut Writer,
        kind: Kind,
        length: u32,
        payload_crc: u32,
        parts: &[&[u8]],
    ) -> Result<Position, AppendError> {
        self.check_health()?;
        let bytes = RECORD_HEADER_BYTES as u64 + u64::from(length);
        let is_full = writer.end + bytes > self.config.segment_bytes_max;
        if writer.is_ended || (is_full && writer.has_data && kind == Kind::Data) {
            self.begin_segment(writer)?;
        }
        let file = self.active_file(writer)?;
        self.reserve(writer, &*file, bytes)?;
        let id = self.segment_id(writer.number);
        let durable = self.shared.lock().durable;
        debug_assert!(durable.segment == id.number, "earlier segments are durable");
        let header = RecordHeader { kind, length, payload_crc, durable: durable.offset as u32 };
        let header = header.encode(id, writer.end);
        let mut slices = Vec::with_capacity(parts.len() + 1);
        slices.push(&header[..]);
        slices.extend_from_slice(parts);
        if let Err(error) = file.write_parts_at(writer.end, &slices) {
            return Err(self.write_failed(writer, &*file, error));
        }
        let position = Position { segment: writer.number, offset: writer.end };
        writer.end += bytes;
        writer.reserved = writer.reserved.max(writer.end);
        writer.is_closed = false;
        writer.has_data |= kind == Kind::Data;
        self.publish(writer.end);
        Ok(position)
    }

    /// Lets everyone see what was written up to `end` of the active segment.
    fn publish(&self, end: u64) {
        let now = self.config.sync_delay.map(|_| self.env.monotonic());
        let mut shared = self.shared.lock();
        shared.end.offset = end;
        shared.segments.back_mut().expect("there is an active segment").bytes = end;
        shared.unsynced_since = shared.unsynced_since.or(now);
    }

    fn check_health(&self) -> Result<(), AppendError> {
        match self.shared.lock().health {
            Health::Good => Ok(()),
            Health::WriteFailed | Health::SyncFailed => Err(AppendError::Failed),
        }
    }

    /// The active segment's file, opened if the log was idle.
    fn active_file(&self, writer: &mut Writer) -> Result<Arc<dyn File>, AppendError> {
        let open = self.shared.lock().file.clone();
        if let Some(file) = open {
            return Ok(file);
        }
        let path = self.dir.join(self.segment_id(writer.number).file_name());
        let opened = self.env.fs().open(&path, OpenMode::ReadWrite).and_then(|file| Ok((file.len()?, file)));
        let (length, file) = opened.map_err(|error| self.fail(Health::WriteFailed, "open", writer.number, error))?;
        writer.reserved = length;
        self.shared.lock().file = Some(Arc::clone(&file));
        Ok(file)
    }

    /// Sees to it that `bytes` more have their place on the disk, and some more behind them.
    fn reserve(&self, writer: &mut Writer, file: &dyn File, bytes: u64) -> Result<(), AppendError> {
        let need = writer.end + bytes;
        if need <= writer.reserved || self.config.reserve_bytes_max == 0 {
            return Ok(());
        }
        let ahead = writer.end.max(RESERVE_BYTES_MIN).min(self.config.reserve_bytes_max);
        let want = (need + ahead).min(self.config.segment_bytes_max).max(need);
        // Less than wanted will do; only then is the disk full.
        match file.allocate(want).map(|()| want).or_else(|_| file.allocate(need).map(|()| need)) {
            Ok(length) => {
                writer.reserved = length;
                Ok(())
            }
            Err(error) if is_disk_full(&error) => Err(AppendError::Full),
            Err(error) => Err(self.fail(Health::WriteFailed, "reserve space in", writer.number, error)),
        }
    }

    /// Returns what is reserved and not used. Only a courtesy, so errors do not matter.
    fn give_back(&self, writer: &mut Writer) {
        let file = self.shared.lock().file.clone();
        if writer.reserved > writer.end
            && let Some(file) = file
            && file.set_len(writer.end).is_ok()
        {
            writer.reserved = writer.end;
        }
    }

    /// After a failed write: when only the disk is full and the half-written record can be cut off, the log is whole.
    fn write_failed(&self, writer: &mut Writer, file: &dyn File, error: io::Error) -> AppendError {
        if is_disk_full(&error) && file.set_len(writer.end).is_ok() {
            writer.reserved = writer.end;
            return AppendError::Full;
        }
        self.fail(Health::WriteFailed, "write", writer.number, error)
    }

    /// Ends the active segment and begins the next. The old one is durable before the new one exists, so a crash tears
    /// nothing but the last segment.
    pub(crate) fn begin_segment(&self, writer: &mut Writer) -> Result<(), AppendError> {
        self.check_health()?;
        if !planted::is(Bug::BeginWithoutSync) {
            self.make_durable(Position::END)?;
        }
        self.give_back(writer);
        let number = writer.number + 1;
        let id = self.segment_id(number);
        let file = match create_segment(self, id, writer.end) {
            Ok(file) => file,
            Err(error) if is_disk_full(&error) => return Err(AppendError::Full),
            Err(error) => return Err(self.fail(Health::WriteFailed, "create", number, error)),
        };
        let synced = self.sync_file(&*file).and_then(|()| self.sync_dir());
        synced.map_err(|error| self.fail(Health::SyncFailed, "sync", number, error))?;

        let end = FILE_HEADER_BYTES as u64;
        *writer = Writer { number, end, reserved: end, is_ended: false, is_closed: false, has_data: false };
        let mut shared = self.shared.lock();
        let Shared { segments, file: active, end: shared_end, durable, .. } = &mut *shared;
        segments.push_back(Segment { number, bytes: end });
        *active = Some(file);
        *shared_end = Position { segment: number, offset: end };
        *durable = *shared_end;
        Ok(())
    }

    pub(crate) fn segment_id(&self, number: u64) -> SegmentId {
        SegmentId { identity: self.identity, number }
    }

    pub(crate) fn sync_file(&self, file: &dyn File) -> io::Result<()> {
        if planted::is(Bug::SyncNothing) { Ok(()) } else { file.sync() }
    }

    pub(crate) fn sync_dir(&self) -> io::Result<()> {
        if planted::is(Bug::SyncNoNames) { Ok(()) } else { self.env.fs().sync_dir(&self.dir) }
    }

    /// Notes that the log must be opened again, and says why.
    fn fail(&self, health: Health, action: &'static str, segment: u64, source: io::Error) -> AppendError {
        let mut shared = self.shared.lock();
        if shared.health != Health::SyncFailed {
            shared.health = health;
        }
        AppendError::Io { action, segment, source }
    }
}

/// Makes the file of a segment and writes its header; neither is durable yet. A file that an earlier attempt left is
/// overwritten.
pub(crate) fn create_segment(inner: &Inner, id: SegmentId, previous_end: u64) -> io::Result<Arc<dyn File>> {
    let file = inner.env.fs().open(&inner.dir.join(id.file_name()), OpenMode::Create)?;
    file.set_len(0)?;
    file.write_at(0, &id.file_header(previous_end))?;
    Ok(file)
}

pub(crate) fn is_disk_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
