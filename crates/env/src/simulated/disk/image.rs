//! One file: what is seen, what is durable, and what happened in between.
//!
//! Between two syncs the operating system writes sectors back whenever it likes. So after a crash each sector, and the
//! length, stands at some moment of its own in the history since the last sync.

use std::sync::Arc;

use super::SECTOR_BYTES;
use crate::simulated::rng::Dice;

/// What happened to a file and may not have reached the disk.
#[derive(Clone, Debug)]
struct Op {
    seq: u64,
    change: Change,
    /// A sync failed after it: it is seen, but no later sync writes it.
    is_dropped: bool,
}

#[derive(Clone, Debug)]
enum Change {
    Write { offset: u64, bytes: Vec<u8> },
    SetLen(u64),
}

impl Change {
    fn apply(&self, image: &mut Vec<u8>) {
        match self {
            Change::SetLen(len) => set_len(image, *len as usize),
            Change::Write { offset, bytes } => {
                let start = *offset as usize;
                let end = start + bytes.len();
                if image.len() < end {
                    set_len(image, end);
                }
                image[start..end].copy_from_slice(bytes);
            }
        }
    }
}

/// Cuts or fills with zeros. `Vec::resize` goes byte by byte in debug builds.
fn set_len(image: &mut Vec<u8>, len: usize) {
    image.truncate(len);
    image.extend_from_slice(&vec![0; len - image.len()]);
}

/// A file.
#[derive(Debug, Default)]
pub(super) struct Image {
    view: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Op>,
    /// Held by open handles.
    pub(super) handles: Arc<()>,
    pub(super) is_linked: bool,
    pub(super) is_linked_durably: bool,
}

impl Clone for Image {
    fn clone(&self) -> Image {
        Image {
            view: self.view.clone(),
            durable: self.durable.clone(),
            pending: self.pending.clone(),
            handles: Arc::new(()),
            is_linked: self.is_linked,
            is_linked_durably: self.is_linked_durably,
        }
    }
}

impl Image {
    pub(super) fn len(&self) -> u64 {
        self.view.len() as u64
    }

    pub(super) fn view(&self) -> &[u8] {
        &self.view
    }

    pub(super) fn write(&mut self, seq: u64, offset: u64, bytes: &[u8]) {
        self.change(seq, Change::Write { offset, bytes: bytes.to_vec() });
    }

    pub(super) fn set_len(&mut self, seq: u64, len: u64) {
        self.change(seq, Change::SetLen(len));
    }

    fn change(&mut self, seq: u64, change: Change) {
        change.apply(&mut self.view);
        self.pending.push(Op { seq, change, is_dropped: false });
    }

    /// Makes it durable, except what an earlier failed sync dropped.
    pub(super) fn sync(&mut self) {
        for op in self.pending.drain(..).filter(|op| !op.is_dropped) {
            op.change.apply(&mut self.durable);
        }
    }

    /// What a failed sync does on many systems: what was to be written counts as written and never will be.
    pub(super) fn drop_pending(&mut self) {
        self.pending.iter_mut().for_each(|op| op.is_dropped = true);
    }

    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Damages what is seen and what is durable alike.
    pub(super) fn poke(&mut self, offset: u64, change: impl Fn(&mut u8)) {
        for image in [&mut self.view, &mut self.durable] {
            if let Some(byte) = image.get_mut(offset as usize) {
                change(byte);
            }
        }
    }

    /// The sequence number of the last change that is not durable.
    pub(super) fn last_pending(&self) -> Option<u64> {
        self.pending.last().map(|op| op.seq)
    }

    /// Crash: all reached the disk.
    pub(super) fn keep_all(&mut self) {
        self.sync();
        self.restart();
    }

    /// Crash: nothing did.
    pub(super) fn lose_all(&mut self) {
        self.pending.clear();
        self.restart();
    }

    /// Crash: what happened before `seq` did, and if `seq` was a write, some of its first sectors.
    pub(super) fn tear_at(&mut self, seq: u64, dice: &mut Dice) {
        for op in self.pending.drain(..).filter(|op| !op.is_dropped && op.seq <= seq) {
            match op.change {
                change if op.seq < seq => change.apply(&mut self.durable),
                Change::SetLen(_) => {}
                Change::Write { offset, mut bytes } => {
                    let sector = SECTOR_BYTES as u64;
                    let sectors = (offset + bytes.len() as u64).div_ceil(sector) - offset / sector;
                    let kept = dice.below(sectors) * sector;
                    bytes.truncate(kept.saturating_sub(offset % sector) as usize);
                    if !bytes.is_empty() {
                        Change::Write { offset, bytes }.apply(&mut self.durable);
                    }
                }
            }
        }
        self.restart();
    }

    /// Crash: each sector, and the length, shows some moment since the last sync.
    pub(super) fn scatter(&mut self, dice: &mut Dice) {
        let ops: Vec<Change> = self.pending.drain(..).filter(|op| !op.is_dropped).map(|op| op.change).collect();
        if ops.is_empty() {
            return self.restart();
        }
        // Moments 0 (the last sync) to `ops.len()` (now).
        let mut image = std::mem::take(&mut self.durable);
        let mut lengths = vec![image.len()];
        let mut length_max = image.len();
        {
            let mut length = image.len();
            for op in &ops {
                length = match op {
                    Change::SetLen(len) => *len as usize,
                    Change::Write { offset, bytes } => length.max(*offset as usize + bytes.len()),
                };
                lengths.push(length);
                length_max = length_max.max(length);
            }
        }
        let style = dice.below(4);
        let moment = |dice: &mut Dice| match (style, dice.below(3)) {
            (0, _) | (1 | 2, 0) => ops.len(),
            (1 | 2, 1) => 0,
            _ => dice.below(ops.len() as u64 + 1) as usize,
        };
        let mut sectors_at: Vec<Vec<usize>> = vec![Vec::new(); ops.len() + 1];
        for sector in 0..length_max.div_ceil(SECTOR_BYTES) {
            sectors_at[moment(dice)].push(sector);
        }
        let mut result = vec![0; length_max];
        for (at, sectors) in sectors_at.iter().enumerate() {
            if at > 0 {
                ops[at - 1].apply(&mut image);
            }
            for sector in sectors {
                let start = sector * SECTOR_BYTES;
                let end = (start + SECTOR_BYTES).min(image.len());
                if start < end {
                    result[start..end].copy_from_slice(&image[start..end]);
                }
            }
        }
        result.truncate(lengths[moment(dice)]);
        self.durable = result;
        self.restart();
    }

    fn restart(&mut self) {
        self.view = self.durable.clone();
        self.handles = Arc::new(());
    }
}
