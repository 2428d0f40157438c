//! Entry points for fuzzers: foreign bytes in, no panic out.

use crate::entry::{EntryHeader, body};
use crate::{head, mark};

/// Reads `bytes` as an entry, as a head file and as a mark.
pub fn files(bytes: &[u8]) {
    if let Some(header) = EntryHeader::decode(bytes) {
        assert_eq!([&header.encode()[..], &body(bytes)].concat(), bytes);
    }
    head::fuzz(bytes);
    mark::fuzz(bytes);
}

#[cfg(test)]
mod tests {
    #[test]
    fn nothing_is_found_in_bytes_of_any_kind() {
        let mut state = 1u64;
        for length in 0..600 {
            let bytes: Vec<u8> = (0..length)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (state >> 56) as u8 % 4
                })
                .collect();
            super::files(&bytes);
        }
    }
}
