//! redb over the files of `env`, so that it runs on the simulated disk as well.

use std::io;
use std::sync::Arc;

use env::File;
use redb::StorageBackend;

/// One file. The directory's lock keeps other processes out, so redb's own locks stay unused.
#[derive(Debug)]
pub(super) struct Backend(pub(super) Arc<dyn File>);

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        // What the disk has after a sync that failed cannot be known, so it is never one to wait for.
        self.0.sync().map_err(|error| io::Error::other(format!("sync: {error}")))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, data)
    }
}
