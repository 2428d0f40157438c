//! The write-ahead log of a shard: one record for each batch.
//!
//! A record is a kind byte, the stamp (clock and coordinator, eight bytes each, little endian) and the batch as
//! `block_codec::batch` writes it. Segments, checksums, group commit and recovery are `seglog`'s.

use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use env::Env;
use model::Stamp;
use seglog::{AppendError, Log, OpenError, Recovery};

use crate::config::StoreConfig;
use crate::error::WriteError;

pub(crate) use seglog::Position;

/// The directory of the log within that of the shard.
pub(crate) const LOG_DIR: &str = "log";

const KIND_BATCH: u8 = 1;

/// Bytes before the batch.
pub(crate) const HEADER_BYTES: usize = 17;

/// Longest record, bytes. A batch from one request is far below.
const RECORD_BYTES_MAX: usize = 1 << 29;

/// Opens the log of a shard and hands over its records from `from` on.
pub(crate) fn open(
    env: &Env,
    shard_dir: &Path,
    config: &StoreConfig,
    from: Position,
    replay: &mut dyn FnMut(Position, &[u8]) -> ControlFlow<()>,
) -> Result<(Log, Recovery), OpenError> {
    let config = seglog::Config {
        segment_bytes_max: config.wal_segment_bytes,
        record_bytes_max: RECORD_BYTES_MAX,
        reserve_bytes_max: config.wal_segment_bytes / 8,
        sync_delay: (!config.wal_sync_delay.is_zero()).then_some(config.wal_sync_delay),
        replay_from: from,
    };
    Log::open(env, &shard_dir.join(LOG_DIR), config, replay)
}

/// What stands before the batch in its record.
pub(crate) fn header(stamp: Stamp) -> [u8; HEADER_BYTES] {
    let mut out = [0; HEADER_BYTES];
    out[0] = KIND_BATCH;
    out[1..9].copy_from_slice(&stamp.clock.to_le_bytes());
    out[9..].copy_from_slice(&stamp.coordinator.to_le_bytes());
    out
}

/// Takes a record apart. `None` when it is none of ours.
pub(crate) fn split(record: &[u8]) -> Option<(Stamp, &[u8])> {
    let (header, batch) = record.split_first_chunk::<HEADER_BYTES>()?;
    let (kind, stamp) = header.split_first()?;
    let (clock, coordinator) = stamp.split_first_chunk()?;
    let coordinator = coordinator.first_chunk()?;
    let stamp = Stamp { clock: u64::from_le_bytes(*clock), coordinator: u64::from_le_bytes(*coordinator) };
    (*kind == KIND_BATCH).then_some((stamp, batch))
}

/// What the caller of a write is told.
pub(crate) fn write_error(error: AppendError) -> WriteError {
    match error {
        AppendError::Full => WriteError::DiskFull,
        AppendError::TooLong { bytes, bytes_max } => WriteError::TooLong { bytes, bytes_max },
        AppendError::Io { source, .. } => WriteError::Wal(source),
        AppendError::Failed => WriteError::Wal(io::Error::other("the log failed before and is being opened again")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_apart() {
        let stamp = Stamp { clock: 0x0102_0304, coordinator: 9 };
        let mut record = header(stamp).to_vec();
        record.extend_from_slice(b"batch");
        assert_eq!(split(&record), Some((stamp, b"batch".as_slice())));
        assert_eq!(split(&record[..16]), None);
        record[0] = 7;
        assert_eq!(split(&record), None);
    }
}
