//! The last changes of the metadata, kept for copies that follow.
//!
//! A change is an entry of the log that had an effect, as bytes. Whoever has a version that the history knows, by index
//! and digest, gets the changes after it; applied in order they lead to exactly the state that the service has. Anybody
//! else needs the whole document.
//!
//! Invariants
//! - All changes after the oldest version that is known are here, without a gap.
//! - What is kept stays below a limit in bytes: the oldest changes make room.

use std::collections::VecDeque;

use bytes::Bytes;
use model::MetaIndex;

use crate::data::Data;
use crate::digest::Digest;

/// An entry of the log that changed the metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where in the log it stands.
    pub index: MetaIndex,
    /// As `codec` writes it.
    pub entry: Bytes,
}

/// What leads from one version to a later one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// By ascending index, without a gap.
    pub changes: Vec<Change>,
    /// The digest of the state after the last one.
    pub digest: Digest,
}

impl Changes {
    /// Bytes of the entries.
    pub fn bytes(&self) -> usize {
        self.changes.iter().map(|change| change.entry.len()).sum()
    }
}

/// What somebody who asks for newer metadata has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The version.
    pub index: MetaIndex,
    /// Its digest, from those who can do with changes; `None` asks for the whole document.
    pub digest: Option<Digest>,
}

impl Known {
    /// Asks for the whole document, when there is one newer than `index`.
    pub fn whole(index: MetaIndex) -> Known {
        Known { index, digest: None }
    }
}

/// The last changes.
#[derive(Debug)]
pub struct History {
    bytes_max: usize,
    bytes: usize,
    /// The version before the first change.
    base: (MetaIndex, Digest),
    /// Each with the digest of the state after it.
    changes: VecDeque<(Change, Digest)>,
}

impl History {
    /// What the rest of a change takes besides its entry, about.
    const OVERHEAD_BYTES: usize = 64;

    /// Begins with `data`; keeps about `bytes_max` bytes.
    pub fn new(data: &Data, bytes_max: usize) -> History {
        let base = (data.index(), Digest::of(data));
        History { bytes_max, bytes: 0, base, changes: VecDeque::new() }
    }

    /// Forgets everything and begins anew with `data`, which did not come by changes.
    pub fn restart(&mut self, data: &Data) {
        *self = History::new(data, self.bytes_max);
    }

    /// Adds the entry that made `after` of `before`, the latest version that is known. One without an effect is not kept.
    pub fn push(&mut self, before: &Data, after: &Data, entry: Bytes) {
        if after.index() == before.index() {
            return;
        }
        debug_assert_eq!(before.index(), self.last().0, "no change is left out");
        let digest = self.last().1.after(before, after);
        self.bytes += entry.len() + History::OVERHEAD_BYTES;
        self.changes.push_back((Change { index: after.index(), entry }, digest));
        while self.bytes > self.bytes_max
            && let Some((oldest, digest)) = self.changes.pop_front()
        {
            self.bytes -= oldest.entry.len() + History::OVERHEAD_BYTES;
            self.base = (oldest.index, digest);
        }
    }

    /// What leads on from the version that is `known`. `None` when it is not known here, by its digest, when it is too
    /// old, and when it is the latest.
    pub fn since(&self, known: Known) -> Option<Changes> {
        let first = match known.index == self.base.0 {
            true => 0,
            false => self.changes.binary_search_by_key(&known.index, |(change, _)| change.index).ok()? + 1,
        };
        let digest = if first == 0 { self.base.1 } else { self.changes[first - 1].1 };
        if known.digest != Some(digest) || first == self.changes.len() {
            return None;
        }
        let changes = self.changes.range(first..).map(|(change, _)| change.clone()).collect();
        Some(Changes { changes, digest: self.last().1 })
    }

    /// Bytes that are kept, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The latest version.
    fn last(&self) -> (MetaIndex, Digest) {
        self.changes.back().map_or(self.base, |(change, digest)| (change.index, *digest))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model::Timestamp;

    use super::*;
    use crate::codec::{encode_entry, encode_snapshot};
    use crate::command::{Command, LeaderFacts, PolicySpec};
    use crate::version::{NotApplied, Version};

    const FACTS: LeaderFacts = LeaderFacts { now: Timestamp(9), random: 4, shard_groups_max: 0 };

    fn create(name: &str) -> Command {
        Command::CreateDatabase { name: name.to_owned(), policy: Some(PolicySpec::automatic()), explicit: false }
    }

    fn entry(command: &Command) -> Bytes {
        Bytes::from(encode_entry(&FACTS, command))
    }

    /// A service.
    struct Service {
        data: Data,
        index: u64,
        history: History,
    }

    impl Service {
        fn new(bytes_max: usize) -> Service {
            let data = Data::default();
            Service { history: History::new(&data, bytes_max), data, index: 0 }
        }

        fn decide(&mut self, command: &Command) {
            let before = self.data.clone();
            self.index += 1;
            let _ = self.data.apply(MetaIndex(self.index), &FACTS, command);
            self.history.push(&before, &self.data, entry(command));
        }

        fn version(&self) -> Version {
            Version::of(Arc::new(self.data.clone()))
        }
    }

    #[test]
    fn what_has_no_effect_is_not_sent() {
        let mut service = Service::new(1 << 20);
        let copy = service.version();
        for name in ["a", "a", "b/c", "d"] {
            service.decide(&create(name));
        }
        let changes = service.history.since(copy.known()).expect("known");
        assert_eq!(changes.changes.iter().map(|change| change.index.0).collect::<Vec<_>>(), [1, 4]);
        let copy = copy.after(&changes).expect("they lead on");
        assert_eq!(encode_snapshot(copy.data()), encode_snapshot(&service.data));
        assert_eq!(service.history.since(copy.known()), None, "nothing newer");
    }

    #[test]
    fn old_changes_make_room() {
        let mut service = Service::new(1_000);
        let mut versions = Vec::new();
        for name in 0..40 {
            versions.push(service.version());
            service.decide(&create(&format!("db{name}")));
            assert!(service.history.bytes() <= 1_000);
        }
        let known: Vec<bool> =
            versions.iter().map(|version| service.history.since(version.known()).is_some()).collect();
        assert!(!known[0] && known[39]);
        assert!(known.is_sorted(), "all after the oldest that is known: {known:?}");
        // One that is larger than all that is kept leaves nothing behind, but the next is kept again.
        let before = service.version();
        service.decide(&create(&"x".repeat(255)));
        service.decide(&Command::CreateContinuousQuery {
            database: "db1".to_owned(),
            name: "cq".to_owned(),
            query: "x".repeat(2_000),
        });
        assert_eq!((service.history.since(before.known()), service.history.bytes()), (None, 0));
        let before = service.version();
        service.decide(&create("small"));
        assert!(service.history.since(before.known()).is_some());
    }

    #[test]
    fn a_version_of_another_history_is_not_known() {
        let (mut ours, mut theirs) = (Service::new(1 << 20), Service::new(1 << 20));
        ours.decide(&create("a"));
        theirs.decide(&create("b"));
        let known = theirs.version().known();
        assert_eq!(known.index, ours.version().known().index);
        theirs.decide(&create("c"));
        ours.decide(&create("c"));
        assert_eq!(ours.history.since(known), None);
        assert_eq!(ours.history.since(Known::whole(MetaIndex(1))), None, "whoever takes no changes gets none");
        assert_eq!(ours.history.since(Known { index: MetaIndex(77), ..known }), None);
    }

    #[test]
    fn changes_that_do_not_lead_on_are_refused() {
        let mut service = Service::new(1 << 20);
        let copy = service.version();
        service.decide(&create("a"));
        service.decide(&create("b"));
        let good = service.history.since(copy.known()).expect("known");
        let with = |change: &dyn Fn(&mut Changes)| {
            let mut changes = good.clone();
            change(&mut changes);
            copy.after(&changes)
        };
        assert!(with(&|_| {}).is_ok());
        assert!(matches!(with(&|changes| changes.digest.0 ^= 1), Err(NotApplied::Diverged(2))));
        assert!(matches!(with(&|changes| drop(changes.changes.remove(0))), Err(NotApplied::Diverged(2))));
        assert!(matches!(with(&|changes| changes.changes.swap(0, 1)), Err(NotApplied::Misfit { index: 1, at: 2 })));
        assert!(matches!(
            with(&|changes| changes.changes[1].entry = changes.changes[0].entry.clone()),
            Err(NotApplied::Misfit { index: 2, at: 1 })
        ));
        let refused = entry(&create("no/name"));
        assert!(matches!(
            with(&|changes| changes.changes[0].entry = refused.clone()),
            Err(NotApplied::Misfit { index: 1, at: 0 })
        ));
        assert!(matches!(with(&|changes| changes.changes[1].entry = Bytes::new()), Err(NotApplied::Codec(_))));
    }

    #[test]
    fn a_copy_that_is_ahead_takes_only_what_it_lacks() {
        let mut service = Service::new(1 << 20);
        let first = service.version();
        service.decide(&create("a"));
        let second = service.version();
        service.decide(&create("b"));
        let changes = service.history.since(first.known()).expect("known");
        let ahead = second.after(&changes).expect("they lead on");
        assert_eq!(ahead.known(), service.version().known());
        assert_eq!(ahead.after(&changes).expect("nothing to do").known(), ahead.known());
    }
}
