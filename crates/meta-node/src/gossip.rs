//! Telling others what this node runs, and what it has heard of others.

use std::time::Duration;

use bytes::Bytes;
use env::Env;

use crate::announcements::Announcement;
use crate::http_client::{self, Sent};
use crate::node::MetaNode;

/// How long one meta node may take to listen.
const DEADLINE: Duration = Duration::from_secs(2);

impl MetaNode {
    /// Takes note of what a node says.
    pub(crate) fn hear(&self, announcement: Announcement) {
        let now = self.0.env.monotonic();
        self.0.announcements.lock().hear(announcement, &self.data(), now);
    }

    /// What the member with this address for calls between nodes said lately, this node included.
    pub(crate) fn announcement_of(&self, tcp_addr: &str) -> Option<Announcement> {
        if tcp_addr == self.0.config.tcp_addr {
            return Some(self.own_announcement());
        }
        let (now, age_max) = (self.0.env.monotonic(), self.0.config.announcement_age_max);
        self.0.announcements.lock().of(tcp_addr, now, age_max).cloned()
    }

    fn own_announcement(&self) -> Announcement {
        Announcement {
            tcp_addr: self.0.config.tcp_addr.clone(),
            http_addr: self.0.config.http_addr.clone(),
            http_scheme: "http".to_owned(),
            time: self.0.env.now().0,
            node_type: "meta".to_owned(),
            status: "joined".to_owned(),
            context: None,
            version: self.0.config.version.clone(),
        }
    }

    /// Tells one other meta node after the other, for ever.
    pub async fn run_gossip(self) {
        loop {
            tokio::time::sleep(self.0.config.gossip_interval).await;
            let data = self.data();
            let others = data.meta_nodes().filter(|node| Some(node.id) != self.id());
            let others: Vec<_> = others.filter_map(|node| Some(node.meta.as_ref()?.http_addr.clone())).collect();
            let (now, age_max) = (self.0.env.monotonic(), self.0.config.announcement_age_max);
            let announcement = self.0.announcements.lock().pass_on(self.own_announcement(), now, age_max);
            tell_one(&self.0.env, &others, &announcement).await;
        }
    }
}

/// Tells one of `meta_servers` (admin addresses), drawn by lot.
pub async fn tell_one(env: &Env, meta_servers: &[String], announcement: &Announcement) {
    let Some(count) = u64::try_from(meta_servers.len()).ok().filter(|count| *count > 0) else { return };
    let drawn = usize::try_from(env.random_u64() % count).unwrap_or(0);
    let body = Sent::Json(Bytes::from(serde_json::to_vec(announcement).expect("plain values")));
    if let Err(error) = http_client::request(env, &meta_servers[drawn], "/announce", Some(body), DEADLINE).await {
        tracing::debug!(address = meta_servers[drawn], %error, "nobody listened");
    }
}
