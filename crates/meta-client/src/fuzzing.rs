//! What must hold for any bytes. The fuzzer calls this, and so does a test over its seeds.

use std::path::Path;

use meta::Data;
use meta::codec::encode_snapshot;
use model::MetaIndex;

use crate::journal::{self, Base};
use crate::snapshot::{OpenError, around, decode};

/// The copy that fuzzed changes are behind: an empty one.
const FUZZED: Base = Base { index: MetaIndex(0), checksum: 7 };

/// Reads `data` as the file of cached metadata, and as the metadata in a file whose checksum is right; as the file of changes
/// behind it, and as what follows a header that is right. What is read is consistent and comes back the same.
///
/// # Panics
/// When a promise of this crate is broken.
pub fn fuzz_cache(data: &[u8]) {
    let file = Path::new("client.meta");
    let _ = decode(file, data);
    for journal in [data.to_vec(), journal::behind(FUZZED, data)] {
        let mut read = Data::default();
        let _ = journal::version(&journal);
        journal::replay(&journal, FUZZED, &mut read);
        assert_eq!(read.validate(), Ok(()));
    }
    match decode(file, &around(data)) {
        Ok(read) => {
            assert_eq!(read.validate(), Ok(()));
            let written = around(&encode_snapshot(&read));
            let again = decode(file, &written).expect("what was written can be read");
            assert_eq!(around(&encode_snapshot(&again)), written, "metadata comes back the same");
        }
        Err(OpenError::Codec { .. }) => {}
        Err(error) => panic!("the header is whole: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use meta::codec::encode_entry;
    use meta::{Change, Command, LeaderFacts, PolicySpec};
    use model::Timestamp;
    use testkit::seeds;

    use super::*;

    #[test]
    fn seeds_keep_the_promises() {
        let mut data = Data::default();
        let facts = LeaderFacts { now: Timestamp(9), random: 4, shard_groups_max: 0 };
        let create =
            Command::CreateDatabase { name: "db".into(), policy: Some(PolicySpec::automatic()), explicit: false };
        data.apply(MetaIndex(1), &facts, &create).expect("a new name");
        let body = encode_snapshot(&data);
        let change = Change { index: MetaIndex(1), entry: Bytes::from(encode_entry(&facts, &create)) };
        let journal = journal::file(FUZZED, &[change]);
        let mut replayed = Data::default();
        journal::replay(&journal, FUZZED, &mut replayed);
        assert_eq!(encode_snapshot(&replayed), body);
        let made = [("file", around(&body)), ("journal", journal), ("metadata", body)];
        seeds::try_all("meta_cache", seeds::MANY, &made, fuzz_cache);
    }
}
