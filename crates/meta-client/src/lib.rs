//! A node's cached copy of the metadata, and the way to propose a change.
//!
//! Readers take an `Arc<Data>` without a lock; it is replaced whole when a newer version arrives. `snapshot` keeps it on
//! the disk, so that a node starts with what it knew; `link` is how the metadata service is reached, in this process or
//! over the network; `propose` has a command decided and waits until this copy has its effect.
//!
//! Invariants
//! - The copy never goes backwards, also across restarts.
//! - Who had a command decided sees its effect in `data()` afterwards.
//! - Reading never waits for the metadata service.

mod link;
mod propose;
mod snapshot;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use env::Env;
use meta::Data;
use model::MetaIndex;
use tokio::sync::{Mutex, watch};

pub use link::{BoxFuture, LinkError, MetaLink, Proposed};
pub use propose::ProposeError;
pub use snapshot::OpenError;

/// How long one question for newer metadata waits at the service.
const WATCH_WAIT: Duration = Duration::from_secs(5);
/// Pause after the service could not be asked.
const WATCH_RETRY: Duration = Duration::from_millis(200);
/// `refresh` asks the service at most this often.
const REFRESH_INTERVAL_MIN: Duration = Duration::from_millis(50);
/// How long `refresh` waits for an answer.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(2);

/// The cached copy.
#[derive(Debug)]
pub struct MetaClient {
    env: Env,
    file: PathBuf,
    data: ArcSwap<Data>,
    /// The index of `data`, for those who wait for a newer one.
    index: watch::Sender<MetaIndex>,
    link: Arc<dyn MetaLink>,
    /// Held while a version is written to the disk; the index that is there.
    persisted: Mutex<MetaIndex>,
    /// Held while the service is asked by `refresh`; when it last answered.
    refreshed: Mutex<Option<Duration>>,
}

impl MetaClient {
    /// Starts with the copy in `file`, or with nothing when there is none.
    ///
    /// # Errors
    /// When the file is there and cannot be read, or is damaged or newer than this release.
    pub fn open(env: Env, file: PathBuf, link: Arc<dyn MetaLink>) -> Result<Arc<MetaClient>, OpenError> {
        let data = snapshot::load(&env, &file)?.unwrap_or_default();
        let index = data.index();
        Ok(Arc::new(MetaClient {
            env,
            file,
            data: ArcSwap::from_pointee(data),
            index: watch::channel(index).0,
            link,
            persisted: Mutex::new(index),
            refreshed: Mutex::new(None),
        }))
    }

    /// The metadata as far as this node knows it.
    pub fn data(&self) -> Arc<Data> {
        self.data.load_full()
    }

    /// Tells of newer versions.
    pub fn subscribe(&self) -> watch::Receiver<MetaIndex> {
        self.index.subscribe()
    }

    /// Puts a version in place if it is newer than the present one, on the disk first.
    pub async fn install(&self, data: Arc<Data>) {
        let mut persisted = self.persisted.lock().await;
        if data.index() <= *persisted {
            return;
        }
        let (env, file, copy) = (self.env.clone(), self.file.clone(), Arc::clone(&data));
        let saved = self.env.blocking(move || snapshot::save(&env, &file, &copy)).await;
        match saved {
            Ok(()) => *persisted = data.index(),
            // The node goes on with what it knows; after a restart it starts with the older copy and asks.
            Err(error) => tracing::warn!(%error, file = %self.file.display(), "metadata was not saved"),
        }
        if data.index() > self.data.load().index() {
            let index = data.index();
            self.data.store(data);
            self.index.send_replace(index);
        }
    }

    /// Waits until the copy is at least at `index`; tells whether it is.
    pub async fn wait_for(&self, index: MetaIndex, within: Duration) -> bool {
        let mut changes = self.subscribe();
        tokio::time::timeout(within, changes.wait_for(|known| *known >= index)).await.is_ok_and(|found| found.is_ok())
    }

    /// Asks the service once for anything newer: before "not found" is answered. Those who ask at the same time share
    /// one question, and nothing is asked when the last answer is younger than 50 ms.
    pub async fn refresh(&self) {
        let began = self.env.monotonic();
        let mut refreshed = self.refreshed.lock().await;
        if refreshed.is_some_and(|at| at + REFRESH_INTERVAL_MIN > began) {
            return;
        }
        let from = self.data().index();
        let asked = self.env.monotonic();
        match tokio::time::timeout(REFRESH_TIMEOUT, self.link.newer(from, Duration::ZERO)).await {
            Ok(Ok(newer)) => {
                *refreshed = Some(asked);
                if let Some(data) = newer {
                    self.install(data).await;
                }
            }
            Ok(Err(error)) => tracing::debug!(%error, "the metadata service was not asked"),
            Err(_) => tracing::debug!("the metadata service did not answer in time"),
        }
    }

    /// Follows the metadata service, for ever.
    pub async fn run(self: Arc<Self>) {
        loop {
            match self.link.newer(self.data().index(), WATCH_WAIT).await {
                Ok(Some(data)) => self.install(data).await,
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!(%error, "the metadata service cannot be followed");
                    tokio::time::sleep(WATCH_RETRY).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
