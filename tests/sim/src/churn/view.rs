//! A data node's copy of the metadata, which follows the meta nodes.
//!
//! It lives for a few seconds at a time and loses its power in between. What it shows never goes backwards, not over a
//! crash either; a version is the same as everywhere else, although it is made of changes; and when everything works it
//! has a change within [`LATE_MAX`].

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use env::Env;
use env::simulated::{LossModel, SimClock, SimDisk};
use influxd::link::RemoteMeta;
use meta_client::MetaClient;
use meta_node::MetaNode;
use model::MetaIndex;
use rpc::{Channels, ClusterAuth};
use tokio::time::Instant;

use super::clients;
use super::servers::{NAMES, Servers};
use super::watch::Watch;
use crate::dice::Dice;

/// How late a data node that reaches everybody may hear of a change.
const LATE_MAX: Duration = Duration::from_secs(2);
const FOR_EVER: Duration = Duration::from_secs(3_600);
/// As data nodes wait for a connection.
const DIAL_TIMEOUT: Duration = Duration::from_secs(1);

/// The copy.
#[derive(Debug, Default)]
pub struct View {
    /// The newest version that was shown.
    shown: Cell<MetaIndex>,
    /// Versions that were shown.
    versions: Cell<usize>,
    /// Set when it shall keep its power.
    pub stays_up: Cell<bool>,
}

impl View {
    /// Versions that were shown.
    pub fn versions(&self) -> usize {
        self.versions.get()
    }

    /// Lives and dies for ever.
    pub async fn run(self: Rc<Self>, seed: u64, servers: Rc<Servers>, watch: Arc<Watch>) {
        let mut dice = Dice::new(seed, 70);
        let disk = SimDisk::new(dice.bits());
        loop {
            let env = Env::simulated(dice.bits(), &SimClock::default(), &disk);
            let lasts = if self.stays_up.get() { FOR_EVER } else { dice.millis(500, 8_000) };
            let life = tokio::time::timeout(lasts, self.live(&env, &servers, &watch));
            // It ends only with an error.
            if let Ok(Err(error)) = life.await {
                return servers.problem(format!("the data node: {error:#}"));
            }
            if self.stays_up.get() {
                continue;
            }
            disk.crash(dice.pick(&LossModel::ALL));
            tokio::time::sleep(dice.millis(1, 2_000)).await;
        }
    }

    async fn live(&self, env: &Env, servers: &Servers, watch: &Watch) -> anyhow::Result<()> {
        let channels = Arc::new(Channels::new(env.clone(), ClusterAuth::default(), DIAL_TIMEOUT));
        let link = RemoteMeta::new(channels, NAMES.iter().map(|name| format!("{name}:8091")).collect());
        let client = MetaClient::open(env.clone(), PathBuf::from("/client.meta"), Arc::clone(&link) as _)?;
        link.follow(&client);
        let mut versions = client.subscribe();
        let following = Arc::clone(&client).run();
        let looking = async {
            loop {
                let data = client.data();
                if data.index() < self.shown.get() {
                    servers.problem(format!("a data node goes back from {} to {}", self.shown.get(), data.index()));
                }
                self.shown.set(data.index());
                self.versions.set(self.versions.get() + 1);
                watch.seen("the data node", &data);
                if versions.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            () = following => {}
            () = looking => {}
        }
        Ok(())
    }

    /// Whether it is up, and has what the members have.
    pub fn has_newest(&self, servers: &Servers) -> bool {
        let newest = servers.all.iter().filter_map(|server| Some(server.node()?.data().index())).max();
        self.stays_up.get() && Some(self.shown.get()) >= newest
    }

    /// Whether it hears of a change in time when nothing is broken.
    ///
    /// # Errors
    /// When it does not.
    pub async fn hears(&self, leader: &MetaNode) -> anyhow::Result<()> {
        let (_, index) = leader.propose(&clients::create("last")).await?;
        let committed = Instant::now();
        while self.shown.get() < index && committed.elapsed() < LATE_MAX {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let shown = self.shown.get();
        ensure!(shown >= index, "a data node that reaches everybody has {shown} and not {index} after {LATE_MAX:?}");
        Ok(())
    }
}
