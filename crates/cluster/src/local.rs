//! The shards that this node holds, and how far they can be trusted.
//!
//! A copy may lack rows: the node was away while others took writes. So after a start, and after most of the other
//! owners were out of reach, every copy that has others is *behind* until it was compared with one of them and what it
//! lacked was fetched; a copy that should have been there at the start and has no directory on the disk is *blank*. A
//! copy that is behind answers only when nobody better is left, a blank one never.
//!
//! A shard that was made after the start is whole from its beginning: whatever this node does not take is kept for it as
//! a hint, and the one who keeps it says so.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use env::Env;
use meta_client::MetaClient;
use model::{NodeId, ShardId, Stamp};
use parking_lot::Mutex;
use storage::{Origin, Shard, ShardReader, Store, WriteError, Written};

/// Pause before the metadata service is asked again.
const LEARN_PAUSE: Duration = Duration::from_millis(100);

/// How far a copy can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// It has what it should.
    Whole,
    /// It may lack rows.
    Behind,
    /// It has nothing.
    Blank,
}

/// Why this node cannot do something with a shard.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// The metadata does not name this node as an owner.
    #[error("this node does not own shard {0}")]
    NotOwner(ShardId),
    /// The copy has nothing yet.
    #[error("shard {0} has not been rebuilt on this node yet")]
    Blank(ShardId),
    /// The copy may lack rows.
    #[error("shard {0} has not been compared with its other copies yet")]
    Behind(ShardId),
    /// The shard cannot be made.
    #[error(transparent)]
    Shard(#[from] storage::ShardError),
    /// The shard cannot be read.
    #[error(transparent)]
    Read(#[from] storage::ReadError),
    /// The shard cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl LocalError {
    /// Whether there is no space left now, on the disk or in memory; later there may be.
    pub fn is_full(&self) -> bool {
        matches!(
            self,
            LocalError::Write(WriteError::DiskFull | WriteError::MemoryFull { .. })
                | LocalError::Shard(storage::ShardError::DiskFull)
        )
    }
}

/// The shards of this node.
#[derive(Debug)]
pub struct LocalShards {
    pub(crate) me: NodeId,
    meta: Arc<MetaClient>,
    store: Arc<Store>,
    /// The largest shard number when the node started; those above are whole from their beginning. As long as the
    /// metadata service was not asked nobody knows what was made while the node was away, and this is the maximum.
    started_at: AtomicU64,
    /// What is known better than by `started_at`.
    known: Mutex<HashMap<ShardId, Trust>>,
    /// Held by whoever makes a copy: one after the other, so that a thousand new shards do not take a thousand threads.
    making: tokio::sync::Mutex<()>,
}

impl LocalShards {
    /// Nothing is trusted yet.
    pub fn new(me: NodeId, meta: Arc<MetaClient>, store: Arc<Store>) -> LocalShards {
        LocalShards {
            me,
            meta,
            store,
            started_at: AtomicU64::new(u64::MAX),
            known: Mutex::default(),
            making: tokio::sync::Mutex::default(),
        }
    }

    /// Learns from the metadata service which shards there were when the node started. Returns once it knows.
    pub async fn learn_start(&self) {
        while !self.meta.refresh().await {
            tokio::time::sleep(LEARN_PAUSE).await;
        }
        self.started_at.store(self.meta.data().shard_id_max().0, Ordering::Release);
    }

    /// The store below.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// How far the copy of `shard` can be trusted.
    ///
    /// # Errors
    /// `NotOwner` when there should be none.
    pub fn trust(&self, shard: ShardId) -> Result<Trust, LocalError> {
        let data = self.meta.data();
        let place = data.shard(shard).filter(|place| place.shard.is_owned_by(self.me));
        let place = place.ok_or(LocalError::NotOwner(shard))?;
        if place.shard.owners.len() == 1 {
            return Ok(Trust::Whole);
        }
        if let Some(trust) = self.known.lock().get(&shard) {
            return Ok(*trust);
        }
        if shard.0 > self.started_at.load(Ordering::Acquire) {
            return Ok(Trust::Whole);
        }
        Ok(if self.store.shard(shard).is_some() { Trust::Behind } else { Trust::Blank })
    }

    /// The copy was compared with another and lacks nothing that one has, or it is the first there is.
    pub fn mark_whole(&self, shard: ShardId) {
        self.known.lock().insert(shard, Trust::Whole);
    }

    /// The copy may lack rows from now on. A blank one stays blank.
    pub fn mark_behind(&self, shard: ShardId) {
        if self.trust(shard).is_ok_and(|trust| trust == Trust::Whole) {
            self.known.lock().insert(shard, Trust::Behind);
        }
    }

    /// The shards that this node should hold in company of others, with how far each can be trusted.
    pub fn shared(&self) -> Vec<(ShardId, Trust)> {
        let data = self.meta.data();
        let mine = data.live_shards().filter(|place| place.shard.is_owned_by(self.me) && place.shard.owners.len() > 1);
        let ids: Vec<ShardId> = mine.map(|place| place.shard.id).collect();
        ids.into_iter().filter_map(|shard| Some((shard, self.trust(shard).ok()?))).collect()
    }

    /// Forgets a copy.
    pub fn forget(&self, shard: ShardId) {
        self.known.lock().remove(&shard);
    }

    /// A snapshot to answer from. `None` when the copy is whole and has never been written to.
    ///
    /// # Errors
    /// `Behind` unless that is accepted, `Blank`, `NotOwner`, and what the store says.
    pub fn read(&self, shard: ShardId, accept_behind: bool) -> Result<Option<ShardReader>, LocalError> {
        match self.trust(shard)? {
            Trust::Whole => {}
            Trust::Behind if accept_behind => {}
            Trust::Behind => return Err(LocalError::Behind(shard)),
            Trust::Blank => return Err(LocalError::Blank(shard)),
        }
        let Some(open) = self.store.shard(shard) else { return Ok(None) };
        Ok(Some(open.read()?))
    }

    /// Makes the copy of a shard if there is none yet, before it is written to. Others wait for it without a thread.
    ///
    /// # Errors
    /// As for [`LocalShards::open`].
    pub async fn prepare(self: &Arc<Self>, env: &Env, shard: ShardId) -> Result<(), LocalError> {
        if self.store.shard(shard).is_some() {
            return Ok(());
        }
        let _one = self.making.lock().await;
        let local = Arc::clone(self);
        env.blocking(move || local.open(shard).map(drop)).await
    }

    /// Writes to a copy, which is made when there is none yet. Blocks until it is durable.
    ///
    /// # Errors
    /// `NotOwner`, and what the store says.
    pub fn write(
        &self,
        shard: ShardId,
        stamp: Stamp,
        batch: &model::Batch,
        record: Option<&[u8]>,
        origin: Origin,
    ) -> Result<Written, LocalError> {
        Ok(self.open(shard)?.write(stamp, batch, record, origin)?)
    }

    /// The copy of a shard, made when there is none yet.
    ///
    /// # Errors
    /// `NotOwner`, and what the store says.
    pub fn open(&self, shard: ShardId) -> Result<Arc<Shard>, LocalError> {
        if let Some(open) = self.store.shard(shard) {
            return Ok(open);
        }
        let data = self.meta.data();
        let place = data.shard(shard).filter(|place| place.shard.is_owned_by(self.me));
        let place = place.ok_or(LocalError::NotOwner(shard))?;
        // A blank copy stays blank when a write makes its directory.
        if let Ok(Trust::Blank) = self.trust(shard) {
            self.known.lock().insert(shard, Trust::Blank);
        }
        self.store.create_shard(shard, &place.database.name, &place.policy.name)?;
        self.store.shard(shard).ok_or(LocalError::NotOwner(shard))
    }
}
