//! Making records durable: one sync for all who wait.
//!
//! Whoever finds no sync running leads: it notes the end of the log, syncs, and all records before that end are
//! durable. Who comes meanwhile waits; when the leader is done, one of those whose records were not covered leads next.
//! Syncs of one log never overlap, because the operating system tells an error to only one of two.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use env::File;

use crate::planted::{self, Bug};
use crate::{AppendError, Inner, Log, Position};

/// A segment that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) number: u64,
    /// Its length, reserved space not counted.
    pub(crate) bytes: u64,
}

/// What the log may still do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    Good,
    /// No more appends; what was written before may still be synced.
    WriteFailed,
    /// No more appends and no more syncs.
    SyncFailed,
}

/// The positions, and what a sync needs.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Oldest first; the last one is the active one. Never empty.
    pub(crate) segments: VecDeque<Segment>,
    /// The file of the active segment; `None` while idle, when all is durable.
    pub(crate) file: Option<Arc<dyn File>>,
    /// Behind the last record.
    pub(crate) end: Position,
    /// Everything before is durable.
    pub(crate) durable: Position,
    /// Segments with smaller numbers are being removed, or are gone.
    pub(crate) purged_before: u64,
    pub(crate) syncing: bool,
    pub(crate) health: Health,
    /// On the monotonic clock, when the oldest record that is not durable was written. Kept only with a sync delay.
    pub(crate) unsynced_since: Option<Duration>,
}

impl Shared {
    /// The first segment from `number` on that is not being removed; an empty one if there is none.
    pub(crate) fn segment_from(&self, number: u64) -> Segment {
        let number = number.max(self.purged_before);
        let index = self.segments.partition_point(|segment| segment.number < number);
        self.segments.get(index).copied().unwrap_or(Segment { number, bytes: 0 })
    }
}

impl Log {
    /// Makes the record at `upto`, and all before it, durable. Returns at once if they are, or if `Config::sync_delay`
    /// still allows; else it syncs for all who wait or waits for one who does.
    ///
    /// # Errors
    /// `Io` for who led the sync that failed, `Failed` for all others whose records were not durable by then. Whether
    /// those records survive a crash is not known until the log is opened again.
    pub fn sync(&self, upto: Position) -> Result<(), AppendError> {
        if let Some(delay) = self.inner.config.sync_delay {
            let now = self.inner.env.monotonic();
            let shared = self.inner.shared.lock();
            if shared.health == Health::SyncFailed {
                return Err(AppendError::Failed);
            }
            if shared.unsynced_since.is_none_or(|since| now.saturating_sub(since) < delay) {
                return Ok(());
            }
        }
        self.inner.make_durable(Position { offset: upto.offset.saturating_add(1), ..upto })
    }

    /// Makes everything durable that was appended before the call, whatever `Config::sync_delay` says.
    pub fn sync_all(&self) -> Result<(), AppendError> {
        let end = self.end();
        self.inner.make_durable(end)
    }

    /// [`Log::sync_all`] if the oldest record that is not durable is older than `Config::sync_delay`. With a delay, the
    /// owner calls this at least once a second, so that a log that falls silent becomes durable too.
    pub fn sync_overdue(&self) -> Result<(), AppendError> {
        // The last record that exists is covered exactly when all are.
        match self.inner.config.sync_delay {
            Some(_) => self.sync(self.end()),
            None => self.sync_all(),
        }
    }
}

impl Inner {
    /// Returns when `durable >= target`; a target behind the end means the end.
    pub(crate) fn make_durable(&self, target: Position) -> Result<(), AppendError> {
        let mut shared = self.shared.lock();
        loop {
            if shared.durable >= target.min(shared.end) {
                return Ok(());
            }
            if shared.health == Health::SyncFailed {
                return Err(AppendError::Failed);
            }
            if shared.syncing {
                self.sync_ended.wait(&mut shared);
                continue;
            }
            let end = shared.end;
            let file = Arc::clone(shared.file.as_ref().expect("a log that is not durable has its file open"));
            shared.syncing = true;
            shared.unsynced_since = None;
            drop(shared);

            let result = self.sync_file(&*file);

            shared = self.shared.lock();
            shared.syncing = false;
            self.sync_ended.notify_all();
            match result {
                Ok(()) => shared.durable = shared.durable.max(end),
                Err(source) => {
                    if !planted::is(Bug::SyncAgain) {
                        shared.health = Health::SyncFailed;
                    }
                    return Err(AppendError::Io { action: "sync", segment: end.segment, source });
                }
            }
        }
    }
}
