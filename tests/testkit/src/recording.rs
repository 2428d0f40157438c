//! The recordings in `tests/data`.

use std::fs;
use std::io::Read;
use std::path::PathBuf;

use anyhow::Context;

/// A recording unpacked, by file name.
///
/// # Errors
/// When there is no such file, or it cannot be unpacked.
pub fn text(name: &str) -> anyhow::Result<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../data").join(name);
    let packed = fs::File::open(&path).with_context(|| format!("open {}", path.display()))?;
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed).read_to_string(&mut text).context("unpack the recording")?;
    Ok(text)
}

/// The lines of a recording, by file name.
///
/// # Errors
/// As [`text`].
pub fn lines(name: &str) -> anyhow::Result<Vec<String>> {
    Ok(text(name)?.lines().map(str::to_owned).collect())
}
