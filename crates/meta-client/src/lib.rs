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

pub mod fuzzing;

mod link;
mod propose;
mod snapshot;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use env::Env;
use meta::Data;
use model::MetaIndex;
use tokio::sync::{Mutex, watch};

pub use link::{BoxFuture, LinkError, MetaLink, Proposed};
pub use propose::ProposeError;
pub use snapshot::{OpenError, check};

/// How long one question for newer metadata waits at the service. When nothing came, the leader is asked: the member that
/// we wait at may be cut off from it, and a copy must not be older than 2 s while a leader can be reached.
const WATCH_WAIT: Duration = Duration::from_millis(1_500);
/// Pause after the service could not be asked.
const WATCH_RETRY: Duration = Duration::from_millis(200);
/// How long a version may take to come by itself before it is asked for.
const CATCH_UP_PATIENCE: Duration = Duration::from_millis(50);
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
    /// How many questions `refresh` has begun to ask.
    questions: AtomicU64,
    /// Held while `refresh` asks: the number of the last question and when it was asked.
    asked: Mutex<Option<Question>>,
}

/// A question for newer metadata that is over.
#[derive(Clone, Copy, Debug)]
struct Question {
    number: u64,
    /// When it was asked.
    at: Duration,
    /// Whether the service answered.
    answered: bool,
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
            questions: AtomicU64::new(0),
            asked: Mutex::new(None),
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

    /// Puts a version in place if it is newer than the present one, on the disk first. Metadata of another cluster is
    /// refused.
    pub async fn install(&self, data: Arc<Data>) {
        let mut persisted = self.persisted.lock().await;
        let present = self.data();
        if data.index() <= present.index() {
            return;
        }
        if present.cluster_id() != 0 && data.cluster_id() != present.cluster_id() {
            tracing::error!(ours = present.cluster_id(), theirs = data.cluster_id(), "metadata of another cluster");
            return;
        }
        let (env, file, copy) = (self.env.clone(), self.file.clone(), Arc::clone(&data));
        let saved = self.env.blocking(move || snapshot::save(&env, &file, &copy)).await;
        match saved {
            Ok(()) => *persisted = data.index(),
            // The node goes on with what it knows; after a restart it starts with the older copy and asks.
            Err(error) => tracing::warn!(%error, file = %self.file.display(), "metadata was not saved"),
        }
        let index = data.index();
        self.data.store(data);
        self.index.send_replace(index);
    }

    /// Waits until the copy is at least at `index`, and asks the service when it does not come by itself; tells whether it
    /// is.
    pub async fn wait_for(&self, index: MetaIndex, within: Duration) -> bool {
        let mut changes = self.subscribe();
        let arrives = async {
            loop {
                let arrival = changes.wait_for(|known| *known >= index);
                // What it borrows must not be held over the next await.
                let arrived = tokio::time::timeout(CATCH_UP_PATIENCE, arrival).await.map(|known| known.is_ok());
                match arrived {
                    Ok(arrived) => return arrived,
                    Err(_) => {
                        self.refresh().await;
                    }
                }
            }
        };
        tokio::time::timeout(within, arrives).await.unwrap_or(false)
    }

    /// Asks the leader once for anything newer: before "not found" is answered, somebody who created it elsewhere a
    /// moment ago must be heard. `true`: the copy has all that was decided before the call; `false`: no leader answered.
    ///
    /// Questions are 50 ms apart, however many ask: who comes while one is under way waits for the next, which begins
    /// after they came and serves all who wait.
    pub async fn refresh(&self) -> bool {
        let wanted = self.questions.load(Ordering::Acquire) + 1;
        let mut asked = self.asked.lock().await;
        if let Some(last) = *asked {
            if last.number >= wanted {
                return last.answered;
            }
            let since = self.env.monotonic().saturating_sub(last.at);
            tokio::time::sleep(REFRESH_INTERVAL_MIN.saturating_sub(since)).await;
        }
        let number = self.questions.fetch_add(1, Ordering::AcqRel) + 1;
        let at = self.env.monotonic();
        let from = self.data().index();
        let answered = match tokio::time::timeout(REFRESH_TIMEOUT, self.link.newer(from, Duration::ZERO)).await {
            Ok(Ok(newer)) => {
                if let Some(data) = newer {
                    self.install(data).await;
                }
                true
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, "the metadata service was not asked");
                false
            }
            Err(_) => {
                tracing::debug!("the metadata service did not answer in time");
                false
            }
        };
        *asked = Some(Question { number, at, answered });
        answered
    }

    /// Follows the metadata service, for ever.
    pub async fn run(self: Arc<Self>) {
        loop {
            match self.link.newer(self.data().index(), WATCH_WAIT).await {
                Ok(Some(data)) => self.install(data).await,
                Ok(None) => {
                    self.refresh().await;
                }
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
