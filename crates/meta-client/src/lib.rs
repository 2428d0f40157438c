//! A node's cached copy of the metadata, and the way to propose a change.
//!
//! Readers take an `Arc<Data>` without a lock; it is replaced when a newer version arrives, which shares what is the same
//! with the one before. What arrives is usually the changes alone. When they do not lead from the copy to the state of the
//! service, by its digest, the whole is asked for. `snapshot` and `journal` keep the copy on the disk, so that a node starts
//! with what it knew; `link` is how the metadata service is reached, in this process or over the network; `propose` has a
//! command decided and waits until this copy has its effect.
//!
//! Invariants
//! - The copy never goes backwards, also across restarts.
//! - A copy that followed by changes is what the service has, byte for byte.
//! - Who had a command decided sees its effect in `data()` afterwards.
//! - Reading never waits for the metadata service.

pub mod fuzzing;

mod journal;
mod link;
mod propose;
mod snapshot;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use env::Env;
use meta::{Changes, Data, Known, Version};
use model::MetaIndex;
use telemetry::{Counter, Metrics};
use tokio::sync::{Mutex, watch};

use crate::snapshot::Disk;

pub use link::{BoxFuture, LinkError, MetaLink, News, Proposed};
pub use propose::ProposeError;
pub use snapshot::{OpenError, check, load};

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
    current: ArcSwap<Version>,
    /// The index of `current`, for those who wait for a newer one.
    index: watch::Sender<MetaIndex>,
    link: Arc<dyn MetaLink>,
    /// Held from looking at the present version until a newer one is on the disk and in its place.
    installing: Mutex<()>,
    /// Held while a version is written, also when nobody waits for that any more.
    disk: Arc<Mutex<Disk>>,
    stats: Stats,
    /// How many questions `refresh` has begun to ask.
    questions: AtomicU64,
    /// Held while `refresh` asks: the number of the last question and when it was asked.
    asked: Mutex<Option<Question>>,
}

/// Counts what arrived.
#[derive(Clone, Debug, Default)]
struct Stats {
    changes: Counter,
    documents: Counter,
    bytes: Counter,
    refused: Counter,
}

/// What came of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// There is nothing newer.
    Nothing,
    /// Something newer was taken, or refused.
    Something,
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
        let (disk, data) = Disk::open(&env, file)?;
        let index = data.index();
        Ok(Arc::new(MetaClient {
            env,
            current: ArcSwap::from_pointee(Version::of(Arc::new(data))),
            index: watch::channel(index).0,
            link,
            installing: Mutex::new(()),
            disk: Arc::new(Mutex::new(disk)),
            stats: Stats::default(),
            questions: AtomicU64::new(0),
            asked: Mutex::new(None),
        }))
    }

    /// The metadata as far as this node knows it.
    pub fn data(&self) -> Arc<Data> {
        Arc::clone(self.current.load().data())
    }

    /// Has what arrived printed with other metrics.
    pub fn show_metrics(&self, metrics: &Metrics) {
        let Stats { changes, documents, bytes, refused } = &self.stats;
        metrics.register("meta_changes_received", "Changes of the metadata that arrived alone", changes);
        metrics.register("meta_documents_received", "Times that all of the metadata arrived", documents);
        metrics.register("meta_news_received_bytes", "Bytes of both", bytes);
        metrics.register("meta_changes_refused", "Answers whose changes did not lead to what the service has", refused);
    }

    /// Tells of newer versions.
    pub fn subscribe(&self) -> watch::Receiver<MetaIndex> {
        self.index.subscribe()
    }

    /// Puts a version in place if it is newer than the present one, on the disk first. Metadata of another cluster is
    /// refused.
    pub async fn install(&self, data: Arc<Data>) {
        self.install_by(data, None).await;
    }

    /// The same; `changes` lead to it from a version that was the present one.
    async fn install_by(&self, data: Arc<Data>, changes: Option<(MetaIndex, Changes)>) {
        let _once = self.installing.lock().await;
        let present = self.current.load_full();
        let (ours, theirs) = (present.data().cluster_id(), data.cluster_id());
        if data.index() <= present.data().index() {
            return;
        }
        if ours != 0 && theirs != ours {
            tracing::error!(ours, theirs, "metadata of another cluster");
            return;
        }
        let mut disk = Arc::clone(&self.disk).lock_owned().await;
        let version = self.env.blocking(move || match changes {
            Some((from, changes)) => {
                disk.follow(from, &changes.changes, &data);
                present.replaced_by(data)
            }
            None => {
                disk.save(&data);
                Version::of(data)
            }
        });
        self.replace(version.await);
    }

    /// Puts what comes of `changes` in place, on the disk first. `false`: they do not lead on from the present version.
    async fn follow(&self, changes: Changes) -> bool {
        let _once = self.installing.lock().await;
        let present = self.current.load_full();
        let mut disk = Arc::clone(&self.disk).lock_owned().await;
        let version = self.env.blocking(move || {
            let version = present.after(&changes)?;
            disk.follow(present.data().index(), &changes.changes, version.data());
            Ok::<_, meta::NotApplied>(version)
        });
        match version.await {
            Ok(version) => {
                self.replace(version);
                true
            }
            Err(error) => {
                self.stats.refused.inc();
                tracing::warn!(%error, "changes of the metadata do not lead on, all of it is asked for");
                false
            }
        }
    }

    fn replace(&self, version: Version) {
        let index = version.data().index();
        self.current.store(Arc::new(version));
        self.index.send_if_modified(|known| std::mem::replace(known, index) < index);
    }

    /// Asks the service once and takes what it has.
    async fn ask(&self, wait: Duration, within: Duration) -> Result<Asked, LinkError> {
        let mut known = self.current.load().known();
        loop {
            let Ok(newer) = tokio::time::timeout(within, self.link.newer(known, wait)).await else {
                return Err(LinkError::Unavailable("no answer in time".to_owned()));
            };
            let Some(news) = newer? else { return Ok(Asked::Nothing) };
            match news {
                News::Document { data, bytes } => {
                    self.stats.documents.inc();
                    self.stats.bytes.inc_by(bytes as u64);
                    self.install(data).await;
                    return Ok(Asked::Something);
                }
                News::Shared { data, changes } => {
                    self.install_by(data, changes.map(|changes| (known.index, changes))).await;
                    return Ok(Asked::Something);
                }
                News::Changes(_) if known.digest.is_none() => {
                    return Err(LinkError::Unavailable("changes that were not asked for".to_owned()));
                }
                News::Changes(changes) => {
                    self.stats.changes.inc_by(changes.changes.len() as u64);
                    self.stats.bytes.inc_by(changes.bytes() as u64);
                    if self.follow(changes).await {
                        return Ok(Asked::Something);
                    }
                    known = Known::whole(self.data().index());
                }
            }
        }
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
        let answered = match self.ask(Duration::ZERO, REFRESH_TIMEOUT).await {
            Ok(_) => true,
            Err(error) => {
                tracing::debug!(%error, "the metadata service was not asked");
                false
            }
        };
        *asked = Some(Question { number, at, answered });
        answered
    }

    /// Follows the metadata service, for ever.
    pub async fn run(self: Arc<Self>) {
        loop {
            let before = self.data().index();
            match self.ask(WATCH_WAIT, Duration::MAX).await {
                Ok(Asked::Something) if self.data().index() > before => {}
                // What is refused would come again at once.
                Ok(Asked::Something) => tokio::time::sleep(WATCH_RETRY).await,
                Ok(Asked::Nothing) => {
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
