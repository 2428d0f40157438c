//! A few bytes beside a shard, for the layer that knows who owns it.

use std::io;
use std::path::Path;

use env::Env;

const MARK_FILE: &str = "mark";
const MAGIC: &[u8; 8] = b"MSTMMARK";
const VERSION: u32 = 1;

/// Most bytes of a mark.
pub const MARK_BYTES_MAX: usize = 64 << 10;

pub(super) fn store(env: &Env, dir: &Path, bytes: &[u8]) -> io::Result<()> {
    if bytes.len() > MARK_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the mark of a shard is too long"));
    }
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(bytes);
    let sum = crc32fast::hash(&out);
    out.extend_from_slice(&sum.to_le_bytes());
    env.fs().replace(&dir.join(MARK_FILE), &out)
}

pub(super) fn load(env: &Env, dir: &Path) -> io::Result<Option<Vec<u8>>> {
    let bytes = match env.fs().read(&dir.join(MARK_FILE)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let whole = bytes.split_last_chunk().filter(|(body, sum)| crc32fast::hash(body) == u32::from_le_bytes(**sum));
    let body = whole.and_then(|(body, _)| body.strip_prefix(MAGIC)).and_then(|body| body.split_first_chunk());
    match body {
        Some((version, mark)) if u32::from_le_bytes(*version) == VERSION => Ok(Some(mark.to_vec())),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "the mark of a shard is damaged")),
    }
}
