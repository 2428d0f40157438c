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
    match decode(&bytes) {
        Some(mark) => Ok(Some(mark)),
        None => Err(io::Error::new(io::ErrorKind::InvalidData, "the mark of a shard is damaged")),
    }
}

fn decode(bytes: &[u8]) -> Option<Vec<u8>> {
    let whole = bytes.split_last_chunk().filter(|(body, sum)| crc32fast::hash(body) == u32::from_le_bytes(**sum));
    let body = whole.and_then(|(body, _)| body.strip_prefix(MAGIC))?;
    let (version, mark) = body.split_first_chunk()?;
    (u32::from_le_bytes(*version) == VERSION).then(|| mark.to_vec())
}

/// Reads `bytes` as a mark, and as one without its checksum.
pub(crate) fn fuzz(bytes: &[u8]) {
    decode(bytes);
    let whole = [bytes, &crc32fast::hash(bytes).to_le_bytes()].concat();
    let is_mark = bytes.strip_prefix(MAGIC).is_some_and(|rest| rest.starts_with(&VERSION.to_le_bytes()));
    assert_eq!(decode(&whole).as_deref(), is_mark.then(|| &bytes[MAGIC.len() + 4..]));
}
