//! What the log promises, on a real disk.

mod crash;
mod damage;
mod errors;
mod model;
mod threads;

use std::ops::ControlFlow;
use std::path::Path;

use env::Env;

use crate::{Config, Entry, Log, Position, Recovery};

fn config() -> Config {
    Config {
        segment_bytes_max: 4096,
        record_bytes_max: 1 << 20,
        reserve_bytes_max: 16 << 10,
        sync_delay: None,
        replay_from: Position::START,
    }
}

fn open(env: &Env, dir: &Path) -> (Log, Recovery, Vec<(Position, Vec<u8>)>) {
    let mut records = Vec::new();
    let (log, recovery) = Log::open(env, dir, config(), &mut |position, record| {
        records.push((position, record.to_vec()));
        ControlFlow::Continue(())
    })
    .expect("opens");
    (log, recovery, records)
}

#[test]
fn records_come_back_in_order_over_segments() {
    let dir = tempfile::tempdir().expect("tempdir");
    let env = Env::real();
    let mut want = Vec::new();
    {
        let (log, recovery, records) = open(&env, dir.path());
        assert!(recovery.is_new && records.is_empty());
        for index in 0..100u32 {
            let record = vec![index as u8; 300];
            let position = log.append_parts(&[&record[..100], &[], &record[100..]]).expect("appended");
            log.sync(position).expect("durable");
            assert!(log.durable() > position);
            want.push((position, record));
        }
        assert!(log.segment_count() > 5);
        let mut reader = log.reader(Position::START);
        for (at, bytes) in &want {
            match reader.read_next().expect("reads").expect("there") {
                Entry::Record { position, payload, .. } => assert_eq!((position, payload), (*at, &bytes[..])),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(reader.read_next().expect("reads"), None);
    }
    let (log, recovery, records) = open(&env, dir.path());
    assert!(!recovery.is_clean && recovery.fenced.is_empty() && recovery.torn_bytes == 0);
    assert_eq!(records, want);
    let later = log.append(b"later").expect("appended");
    assert!(later > want[99].0);
    assert!(log.close_idle().expect("closed"));
    assert!(!log.close_idle().expect("closed"));
    drop(log);
    let (log, recovery, records) = open(&env, dir.path());
    assert!(recovery.is_clean);
    assert_eq!(records.len(), 101);
    log.append(b"last").expect("appended");
    log.purge_before(Position::END).expect("purged");
    assert_eq!((log.segment_count(), log.bytes()), (1, 44));
    drop(log);
    let (log, _, records) = open(&env, dir.path());
    assert!(records.is_empty());
    assert!(log.append(b"x").expect("appended") > later);
}
