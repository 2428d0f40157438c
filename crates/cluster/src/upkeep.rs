//! Flushes and merges the shards of this node, and says which of them are damaged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use env::Env;
use model::ShardId;
use storage::{ShardInfo, Store};
use telemetry::{Gauge, Metrics};

/// Between two rounds.
const INTERVAL: Duration = Duration::from_secs(1);

/// Does so for ever.
pub async fn run(env: Env, store: Arc<Store>, metrics: Metrics) {
    let mut damages = Damages::new(&metrics);
    loop {
        tokio::time::sleep(INTERVAL).await;
        let store = Arc::clone(&store);
        let (done, shards) = env.blocking(move || (store.maintain(), store.shards())).await;
        for (shard, error) in done.errors {
            tracing::warn!(shard = shard.0, %error, "a shard was not flushed or merged");
        }
        for (shard, damage) in damages.look(&shards) {
            tracing::error!(shard = shard.0, %damage, "a shard is damaged; rows that no other node holds are lost");
        }
    }
}

/// The damaged shards that were reported.
struct Damages {
    known: BTreeMap<ShardId, String>,
    gauge: Gauge,
}

impl Damages {
    fn new(metrics: &Metrics) -> Damages {
        let gauge = metrics.gauge("shards_damaged", "Shards that answer nothing or have lost rows of their own copy");
        Damages { known: BTreeMap::new(), gauge }
    }

    /// What is damaged and was not, or otherwise.
    fn look(&mut self, shards: &[ShardInfo]) -> Vec<(ShardId, String)> {
        let damaged = shards.iter().filter_map(|shard| Some((shard.id, shard.damage.clone()?)));
        let now: BTreeMap<ShardId, String> = damaged.collect();
        let is_news = |(shard, damage): &(&ShardId, &String)| self.known.get(shard) != Some(damage);
        let news = now.iter().filter(is_news).map(|(shard, damage)| (*shard, damage.clone())).collect();
        self.gauge.set(i64::try_from(now.len()).unwrap_or(i64::MAX));
        self.known = now;
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(id: u64, damage: Option<&str>) -> ShardInfo {
        ShardInfo {
            id: ShardId(id),
            db: String::new(),
            rp: String::new(),
            bytes: 0,
            clock_max: 0,
            memory_bytes: 0,
            is_open: true,
            damage: damage.map(str::to_owned),
        }
    }

    #[test]
    fn each_damage_is_said_once() {
        let mut damages = Damages::new(&Metrics::new());
        assert_eq!(damages.look(&[shard(1, None), shard(2, Some("bent"))]), [(ShardId(2), "bent".to_owned())]);
        assert_eq!(damages.look(&[shard(1, None), shard(2, Some("bent"))]), []);
        assert_eq!(damages.gauge.get(), 1);
        let news = damages.look(&[shard(1, Some("cut")), shard(2, Some("bent"))]);
        assert_eq!(news, [(ShardId(1), "cut".to_owned())]);
        assert_eq!(damages.look(&[shard(1, None)]), []);
        assert_eq!(damages.gauge.get(), 0);
    }
}
