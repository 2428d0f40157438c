//! Telling others what this node runs, and what it has heard of others.

use std::time::Duration;

use bytes::Bytes;
use meta::Data;
use model::{NodeId, Timestamp};
use rpc::ClusterAuth;
use tls::Dialer;

use crate::announcements::{Announcement, agreed_clock};
use crate::http_client::{self, Sent};
use crate::node::{MetaNode, Port};

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

    /// What time it is by a majority of the members, this one included; `None` while too few were heard of.
    pub(crate) fn agreed_now(&self) -> Option<Timestamp> {
        let (now, age_max) = (self.0.env.monotonic(), self.0.config.announcement_age_max);
        let data = self.data();
        let others = self.0.announcements.lock().clocks(&data, &self.0.config.tcp_addr, now, age_max);
        let clocks = std::iter::once(self.0.env.now().0).chain(others).collect();
        agreed_clock(clocks, data.nodes().len()).map(Timestamp)
    }

    fn own_announcement(&self) -> Announcement {
        Announcement {
            tcp_addr: self.0.config.tcp_addr.clone(),
            http_addr: self.0.config.http_addr.clone(),
            http_scheme: self.dialer(Port::Admin).scheme().to_owned(),
            client_scheme: self.0.config.client_scheme.map(str::to_owned),
            time: self.0.env.now().0,
            node_type: "meta".to_owned(),
            status: "joined".to_owned(),
            context: None,
            age: None,
            version: self.0.config.version.clone(),
        }
    }

    /// Tells one other meta node after the other, and all of them when they have become others, for ever.
    pub async fn run_gossip(self) {
        let mut versions = self.subscribe();
        let mut told = Vec::new();
        loop {
            let others = other_meta_servers(&self.data(), self.id());
            let (now, age_max) = (self.0.env.monotonic(), self.0.config.announcement_age_max);
            let announcement = self.0.announcements.lock().pass_on(self.own_announcement(), &self.data(), now, age_max);
            if others == told {
                tell_one(self.dialer(Port::Admin), &self.0.config.auth, &others, &announcement).await;
            } else {
                tell_all(self.dialer(Port::Admin), &self.0.config.auth, &others, &announcement).await;
                told = others;
            }
            let own = self.id();
            let changed = versions.wait_for(|data| other_meta_servers(data, own) != told);
            // Neither loses anything: the members are looked at again.
            let _ = tokio::time::timeout(self.0.config.gossip_interval, changed).await;
        }
    }
}

fn other_meta_servers(data: &Data, own: Option<NodeId>) -> Vec<String> {
    let others = data.meta_nodes().filter(|node| Some(node.id) != own);
    others.filter_map(|node| Some(node.meta.as_ref()?.http_addr.clone())).collect()
}

/// Tells one of `meta_servers` (admin addresses), drawn by lot.
pub async fn tell_one(dialer: &Dialer, auth: &ClusterAuth, meta_servers: &[String], announcement: &Announcement) {
    let Some(count) = u64::try_from(meta_servers.len()).ok().filter(|count| *count > 0) else { return };
    let drawn = usize::try_from(dialer.env().random_u64() % count).unwrap_or(0);
    tell(dialer, auth, &meta_servers[drawn], announcement).await;
}

/// Tells each of `meta_servers` (admin addresses).
pub async fn tell_all(dialer: &Dialer, auth: &ClusterAuth, meta_servers: &[String], announcement: &Announcement) {
    let tellings = meta_servers.iter().map(|server| tell(dialer, auth, server, announcement));
    futures_util::future::join_all(tellings).await;
}

async fn tell(dialer: &Dialer, auth: &ClusterAuth, meta_server: &str, announcement: &Announcement) {
    let body = Sent::Json(Bytes::from(serde_json::to_vec(announcement).expect("plain values")));
    if let Err(error) = http_client::request(dialer, auth, meta_server, "/announce", Some(body), DEADLINE).await {
        tracing::debug!(address = meta_server, %error, "nobody listened");
    }
}
