//! What must hold for any bytes. The fuzzer calls this, and so does a test over its seeds.

use crate::entry::{EntryHeader, body};
use crate::{head, mark};

/// Reads `data` as an entry, as a head file and as a mark, the latter two also as if their checksums were right.
///
/// # Panics
/// When a promise of this crate is broken.
pub fn fuzz_files(data: &[u8]) {
    if let Some(header) = EntryHeader::decode(data) {
        assert_eq!([&header.encode()[..], &body(data)].concat(), data);
    }
    head::fuzz(data);
    mark::fuzz(data);
}

#[cfg(test)]
mod tests {
    use model::Timestamp;
    use testkit::seeds;

    use super::*;

    #[test]
    fn seeds_keep_the_promises() {
        let header = EntryHeader { sequence: 70_000, queued_at: Timestamp(-5) };
        let entry = [&header.encode()[..], b"body"].concat();
        let made = [("entry", entry), ("head", head::fuzz_seed()), ("mark", mark::fuzz_seed())];
        seeds::try_all("handoff_files", seeds::MANY, &made, fuzz_files);
    }
}
