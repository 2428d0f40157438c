//! Removing old segments.
//!
//! Oldest first, each durably before the next, so that after a crash the numbers of those that are left have no gap: a
//! gap means that a file was lost.

use std::io;

use crate::{AppendError, Log, Position};

impl Log {
    /// Removes the segments whose records all lie before `position`, and returns how many bytes they had. A position at
    /// or behind the end empties the log: a new segment is begun, unless the disk is too full for that, and then all
    /// others go. Appends go on beside it.
    ///
    /// When it returns the removal is durable. After an error or a crash some of the segments are still there and are
    /// replayed; purging again removes them.
    pub fn purge_before(&self, position: Position) -> Result<u64, AppendError> {
        let _order = self.inner.purging.lock();
        self.empty_active_segment(position)?;
        let last = {
            let mut shared = self.inner.shared.lock();
            let last = position.segment.min(shared.end.segment);
            shared.purged_before = shared.purged_before.max(last);
            last
        };
        let mut freed = 0;
        loop {
            let oldest = self.inner.shared.lock().segments.front().copied();
            let Some(segment) = oldest.filter(|segment| segment.number < last) else { return Ok(freed) };
            let path = self.inner.dir.join(self.inner.segment_id(segment.number).file_name());
            let removed = match self.inner.env.fs().remove_file(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                other => other,
            };
            removed.and_then(|()| self.inner.sync_dir()).map_err(|source| AppendError::Io {
                action: "remove",
                segment: segment.number,
                source,
            })?;
            self.inner.shared.lock().segments.pop_front();
            freed += segment.bytes;
        }
    }

    /// Begins a new segment if `position` lies behind all records and the active segment has some.
    fn empty_active_segment(&self, position: Position) -> Result<(), AppendError> {
        let mut writer = self.inner.writer.lock();
        let end = Position { segment: writer.number, offset: writer.end };
        if position < end || !writer.has_data {
            return Ok(());
        }
        match self.inner.begin_segment(&mut writer) {
            // Removing the older segments may be what makes room. A failed log keeps its last segment, too.
            Err(AppendError::Full | AppendError::Failed) => Ok(()),
            other => other,
        }
    }
}
