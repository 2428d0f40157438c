//! Doors for the fuzzer: every function here takes any bytes and must neither panic nor take much memory.

use crate::file::fuzz_parts;
use crate::manifest::Manifest;
use crate::wal;

/// A manifest; what decodes must come back.
///
/// # Panics
/// When a promise is broken: that is what the fuzzer looks for.
pub fn manifest(bytes: &[u8]) {
    if let Ok(manifest) = Manifest::decode(bytes) {
        assert_eq!(manifest.encode(), bytes, "a manifest has one form");
    }
}

/// Header, footer, trailer and chunk index of a data file, as if their checksums were right.
pub fn data_file(bytes: &[u8]) {
    fuzz_parts(bytes);
}

/// A record of the log.
pub fn log_record(bytes: &[u8]) {
    if let Some((_, batch)) = wal::split(bytes) {
        let _ = block_codec::batch::decode(batch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_bytes_are_survived() {
        let mut state = 7u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u8
        };
        for _ in 0..20_000 {
            let bytes: Vec<u8> = (0..next() % 80).map(|_| if next() % 2 == 0 { next() % 8 } else { next() }).collect();
            manifest(&bytes);
            data_file(&bytes);
            log_record(&bytes);
        }
    }
}
