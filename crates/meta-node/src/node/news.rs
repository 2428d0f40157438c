//! Telling data nodes of newer metadata.
//!
//! Who follows names the version that it has, by index and digest. The changes after it are a few hundred bytes however
//! large the cluster is; everything is sent to those who have a version that is not known here (too old, of another
//! history, or of a release that does not follow by changes) and when that is less.

use std::sync::Arc;

use bytes::Bytes;
use meta::{Changes, Data, Known};
use model::MetaIndex;
use telemetry::{Counter, Gauge, Metrics};

use super::MetaNode;

/// Metadata for somebody who has an older version.
#[derive(Clone, Debug)]
pub enum News {
    /// What leads from there to here.
    Changes(Changes),
    /// All of it, as bytes of `meta::codec`.
    Document {
        /// Its version.
        index: MetaIndex,
        /// The bytes.
        bytes: Bytes,
    },
}

/// Counts what others were told.
#[derive(Clone, Debug, Default)]
pub(super) struct Stats {
    changes: Counter,
    documents: Counter,
    bytes: Counter,
    kept_bytes: Gauge,
}

impl MetaNode {
    /// Newer metadata for somebody who has `known`, once there is some.
    pub async fn news_after(&self, known: Known) -> News {
        let data = self.data_after(known.index).await;
        self.news(known, data).await
    }

    /// As [`MetaNode::news_after`], at least up to the version `data`, which this node has and which is newer than what is
    /// known.
    pub async fn news(&self, known: Known, data: Arc<Data>) -> News {
        let stats = &self.0.stats;
        let (changes, kept) = {
            let history = self.0.history.lock();
            (history.since(known), history.bytes())
        };
        stats.kept_bytes.set(i64::try_from(kept).unwrap_or(i64::MAX));
        if let Some(changes) = changes
            && !self.is_more_than_all(changes.bytes())
        {
            stats.changes.inc();
            stats.bytes.inc_by(changes.bytes() as u64);
            return News::Changes(changes);
        }
        let (index, bytes) = self.encoded(data).await;
        stats.documents.inc();
        stats.bytes.inc_by(bytes.len() as u64);
        News::Document { index, bytes }
    }

    /// What leads from the version that is known to `data`, for the node that this process is.
    pub fn changes_to(&self, data: &Data, known: Known) -> Option<Changes> {
        let changes = self.0.history.lock().since(known);
        changes.filter(|changes| changes.changes.last().is_some_and(|last| last.index == data.index()))
    }

    /// Whether the whole was smaller when it was last written, as far as is known.
    fn is_more_than_all(&self, bytes: usize) -> bool {
        // Who holds it writes it now; then its size is not known.
        let encoded = self.0.encoded.try_lock();
        encoded.is_ok_and(|encoded| encoded.as_ref().is_some_and(|(_, all)| all.len() < bytes))
    }

    /// Has what others were told printed with other metrics.
    pub fn show_metrics(&self, metrics: &Metrics) {
        let Stats { changes, documents, bytes, kept_bytes } = &self.0.stats;
        metrics.register("meta_changes_sent", "Answers with changes alone to nodes that follow the metadata", changes);
        metrics.register("meta_documents_sent", "Answers with all of the metadata to nodes that follow it", documents);
        metrics.register("meta_news_sent_bytes", "Bytes of the metadata and its changes in these answers", bytes);
        metrics.register(
            "meta_changes_kept_bytes",
            "Changes of the metadata in memory, when last asked for",
            kept_bytes,
        );
    }
}
