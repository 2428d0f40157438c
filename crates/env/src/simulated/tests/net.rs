//! Hosts that talk through the door, a clock that jumps, bits that repeat.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use model::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::Env;
use crate::simulated::{OpKind, SimClock, SimDisk};

const SECOND: i64 = 1_000_000_000;

fn world(seed: u64) -> Env {
    Env::simulated(seed, &SimClock::new(Timestamp(0)), &SimDisk::new(seed))
}

#[test]
fn two_hosts_talk_in_virtual_time() {
    let run = || {
        let mut sim = turmoil::Builder::new().rng_seed(9).simulation_duration(Duration::from_secs(60)).build();
        sim.host("server", || async {
            let env = world(1);
            let listener = env.listen(":8088").await?;
            assert!(format!("{listener:?}").contains("8088"));
            loop {
                let (mut stream, _peer) = listener.accept().await?;
                env.spawn(async move {
                    let mut word = [0; 4];
                    stream.read_exact(&mut word).await.expect("a word");
                    stream.write_all(&word.map(|byte| byte.to_ascii_uppercase())).await.expect("sent");
                });
            }
        });
        let log = Arc::new(parking_lot::Mutex::new(Vec::new()));
        let seen = Arc::clone(&log);
        sim.client("client", async move {
            let env = world(2);
            for word in [b"ping", b"pong"] {
                let mut stream = env.connect("server:8088").await?;
                stream.write_all(word).await?;
                let mut answer = Vec::new();
                stream.read_to_end(&mut answer).await?;
                seen.lock().push((env.now(), String::from_utf8(answer).expect("text")));
                tokio::time::sleep(Duration::from_secs(10)).await;
            }
            assert_eq!(env.blocking(|| 5).await, 5);
            assert!(env.is_simulated());
            Ok(())
        });
        sim.run().expect("all is said");
        Arc::try_unwrap(log).expect("the simulation is over").into_inner()
    };
    let seen = run();
    assert_eq!(seen.iter().map(|(_, answer)| answer.as_str()).collect::<Vec<_>>(), ["PING", "PONG"]);
    assert!(seen[1].0.0 - seen[0].0.0 >= 10 * SECOND);
    assert_eq!(run(), seen, "the same seed gives the same run");
}

#[tokio::test(start_paused = true)]
async fn the_wall_clock_jumps_and_drifts_and_time_itself_does_not() {
    let clock = SimClock::new(Timestamp(1000 * SECOND));
    let env = Env::simulated(1, &clock, &SimDisk::new(1));
    let pass = |seconds| tokio::time::advance(Duration::from_secs(seconds));
    assert_eq!(env.now(), Timestamp(1000 * SECOND));
    pass(5).await;
    assert_eq!(env.now(), Timestamp(1005 * SECOND));
    clock.jump(-100 * SECOND);
    pass(1).await;
    assert_eq!(env.now(), Timestamp(906 * SECOND));
    clock.set_drift_ppm(500_000);
    pass(10).await;
    assert_eq!(env.now(), Timestamp(921 * SECOND));
    clock.set_drift_ppm(0);
    clock.set(Timestamp(-SECOND));
    pass(1).await;
    assert_eq!(env.now(), Timestamp(0));
    assert_eq!(env.monotonic(), Duration::from_secs(17));
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_slow_disk_waits_alone() {
    let disk = SimDisk::new(1);
    disk.set_latency(OpKind::Sync, Duration::from_millis(300));
    let env = Env::simulated(1, &SimClock::default(), &disk);
    let started = Instant::now();
    let slow = env.spawn({
        let env = env.clone();
        async move {
            let fs = Arc::clone(env.fs());
            env.blocking(move || (0..3).try_for_each(|_| fs.sync_dir(Path::new("/")))).await.expect("synced");
            started.elapsed()
        }
    });
    tokio::time::sleep(Duration::from_millis(1)).await;
    let fs = Arc::clone(env.fs());
    env.blocking(move || fs.list(Path::new("/"))).await.expect("listed");
    assert_eq!(started.elapsed(), Duration::from_millis(1));
    assert_eq!(slow.await, Some(Duration::from_millis(900)));
}

#[test]
fn bits_repeat_with_the_seed() {
    let bits = |seed| {
        let env = world(seed);
        let mut bytes = [0; 13];
        env.random_fill(&mut bytes);
        (bytes, env.random_u64())
    };
    assert_eq!(bits(1), bits(1));
    assert_ne!(bits(1), bits(2));
}
