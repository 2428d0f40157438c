//! A copy of the metadata that follows by changes.
//!
//! It ends where the service is, byte for byte, or says that it did not: then the whole document is needed. Bytes of
//! changes come from the network; none of them makes it panic.

use std::sync::Arc;

use crate::codec::{CodecError, decode_entry};
use crate::data::Data;
use crate::digest::Digest;
use crate::history::{Changes, Known};

/// A state with its digest.
#[derive(Clone, Debug)]
pub struct Version {
    data: Arc<Data>,
    digest: Digest,
}

/// Why changes do not lead on. Whoever gets this asks for the whole document.
#[derive(Debug, thiserror::Error)]
pub enum NotApplied {
    /// Written by a later release, or damaged.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// They are none of this state, or out of order.
    #[error("a change at {index} does not fit to metadata at {at}")]
    Misfit {
        /// Where it stands.
        index: u64,
        /// The state before.
        at: u64,
    },
    /// The state that came of them is not that of the service.
    #[error("metadata at {0} became another state than that of the service")]
    Diverged(u64),
}

impl Version {
    /// Of a state that came as a whole. Hashes all of it.
    pub fn of(data: Arc<Data>) -> Version {
        let digest = Digest::of(&data);
        Version { data, digest }
    }

    /// The same of a later state that shares with this one what is the same. Hashes the rest.
    #[must_use]
    pub fn replaced_by(&self, data: Arc<Data>) -> Version {
        let digest = self.digest.after(&self.data, &data);
        Version { data, digest }
    }

    /// The state.
    pub fn data(&self) -> &Arc<Data> {
        &self.data
    }

    /// What to ask with for newer ones.
    pub fn known(&self) -> Known {
        Known { index: self.data.index(), digest: Some(self.digest) }
    }

    /// The version after `changes`, which lead on from this one or an earlier one. Unchanged when they end at or before it.
    ///
    /// # Errors
    /// See [`NotApplied`].
    pub fn after(&self, changes: &Changes) -> Result<Version, NotApplied> {
        let mut data = Data::clone(&self.data);
        let mut last = None;
        for change in &changes.changes {
            let misfit = NotApplied::Misfit { index: change.index.0, at: data.index().0 };
            if last.is_some_and(|last| change.index <= last) {
                return Err(misfit);
            }
            last = Some(change.index);
            if change.index <= self.data.index() {
                continue;
            }
            let (facts, command) = decode_entry(&change.entry)?;
            // What was refused there is not sent.
            if data.apply(change.index, &facts, &command).is_err() || data.index() != change.index {
                return Err(misfit);
            }
        }
        if data.index() == self.data.index() {
            return Ok(self.clone());
        }
        let digest = self.digest.after(&self.data, &data);
        if digest != changes.digest {
            return Err(NotApplied::Diverged(data.index().0));
        }
        Ok(Version { data: Arc::new(data), digest })
    }
}
