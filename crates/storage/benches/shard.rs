//! What a shard costs: `cargo bench -p storage`. Thread CPU time unless said; words choose the data.

// A benchmark talks to whoever started it.
#![allow(clippy::print_stdout)]

use std::time::Instant;

use env::Env;
use line_protocol::Parser;
use model::{Batch, ColumnData, FieldType, Precision, ShardId, Stamp, TagFilter, TimeRange};
use storage::{CellShape, Origin, ShardReader, Store, StoreConfig};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const LINES_PER_REQUEST: usize = 5_000;
/// The median of this many is printed.
const PASSES: usize = 9;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    if wanted("telemetry") {
        report("host telemetry", &parsed(&requests(&host_telemetry())));
    }
    if wanted("devops") {
        report("devops, 1,000 hosts", &parsed(&devops(1_000, 1_500)));
    }
    if wanted("many") {
        report("devops, 100,000 hosts", &parsed(&devops(100_000, 6)));
    }
}

/// Nanoseconds that this thread has run.
fn thread_time() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|number| number.parse().ok()).expect("the system counts the time of a thread")
}

/// CPU and wall time, nanoseconds.
fn timed<T>(work: impl FnOnce() -> T) -> (T, f64, f64) {
    let (cpu, wall) = (thread_time(), Instant::now());
    let result = work();
    (result, thread_time() - cpu, wall.elapsed().as_nanos() as f64)
}

fn report(name: &str, batches: &[Batch]) {
    println!("{name}");
    let dir = tempfile::TempDir::new().expect("a directory");
    let config = StoreConfig { memory_bytes_max: 8 << 30, ..StoreConfig::new(dir.path().join("data")) };
    let store = Store::open(Env::real(), config.clone()).expect("a store");
    store.create_shard(ShardId(1), "db", "rp").expect("made");
    let shard = store.shard(ShardId(1)).expect("made above");
    let rows: usize = batches.iter().map(Batch::row_count).sum();
    let values: usize = batches.iter().map(Batch::value_count).sum();
    let per_row = |time: f64| time / rows as f64;

    let (records, encode, _) = timed(|| {
        let encode = |batch: &Batch| {
            let mut out = Vec::new();
            block_codec::batch::encode(batch, &mut out).expect("small");
            out
        };
        batches.iter().map(encode).collect::<Vec<_>>()
    });
    let log_bytes: usize = records.iter().map(Vec::len).sum();
    let (_, write, write_wall) = timed(|| {
        for (number, (batch, record)) in batches.iter().zip(&records).enumerate() {
            let stamp = Stamp { clock: 1_700_000_000_000_000_000 + number as u64 * 1_000_003, coordinator: 1 };
            shard.write(stamp, batch, Some(record), Origin::Client).expect("written");
        }
    });
    println!("  {rows} rows, {values} values in {} requests", batches.len());
    println!("  record          {:8.0} ns a row, {:.1} B a row", per_row(encode), log_bytes as f64 / rows as f64);
    println!("  write           {:8.0} ns a row, {:.0} ns wall", per_row(write), per_row(write_wall));
    println!("  memory          {:8.1} B a value", store.memory_bytes() as f64 / values as f64);
    let (_, seal, _) = timed(|| shard.read().expect("usable"));
    println!("  first read      {:8.0} ns a row", per_row(seal));
    scan("memory", &shard.read().expect("usable"));
    let (_, flush, flush_wall) = timed(|| shard.flush().expect("flushed"));
    println!("  flush           {:8.0} ns a row, {:.0} ns wall", per_row(flush), per_row(flush_wall));
    let bytes = shard.info().bytes;
    println!("  disk            {:8.3} B a value, {bytes} bytes", bytes as f64 / values as f64);
    scan("file", &shard.read().expect("usable"));
    let (cells, digest, _) =
        timed(|| shard.digest(CellShape { bucket_count: 64, window_ns: 3_600_000_000_000 }).expect("digest"));
    println!("  digest          {:8.0} ns a row, {} cells", per_row(digest), cells.len());
    store.close();
    drop((store, shard));
    let (store, open, open_wall) = timed(|| {
        let store = Store::open(Env::real(), config).expect("a store");
        store.shard(ShardId(1)).expect("found").read().expect("usable");
        store
    });
    println!("  open            {:8.1} ms, {:.1} ms wall", open / 1e6, open_wall / 1e6);
    drop(store);
}

/// Reads and sums all numbers, field by field, then all fields of a series at once, then from statistics.
fn scan(place: &str, reader: &ShardReader) {
    let print = |what: &str, sum: &dyn Fn() -> u64| {
        let passes = (0..PASSES).map(|_| {
            let (values, cpu, _) = timed(sum);
            values as f64 * 1e3 / cpu
        });
        let mut passes: Vec<f64> = passes.collect();
        passes.sort_unstable_by(f64::total_cmp);
        println!("  {place:6} {what:8} {:8.0} M values/s", passes[PASSES / 2]);
    };
    print("scan 1", &|| sum_fields(reader, 1));
    print("scan all", &|| sum_fields(reader, usize::MAX));
    if place == "file" {
        print("summary", &|| sum_pages(reader));
    }
}

fn numeric_fields(reader: &ShardReader, measurement: &[u8]) -> Vec<(Vec<u8>, FieldType)> {
    let fields = reader.fields(measurement).into_iter().map(|(name, types)| (name, types[0]));
    fields.filter(|(_, kind)| kind.is_numeric()).collect()
}

/// Numbers that were read with at most `together` fields in one cursor.
fn sum_fields(reader: &ShardReader, together: usize) -> u64 {
    let mut count = 0;
    for measurement in reader.measurements() {
        let fields = numeric_fields(reader, &measurement);
        for series in reader.series(&measurement, &TagFilter::All) {
            for fields in fields.chunks(together.min(fields.len())) {
                let mut cursor = reader.rows(series.handle, fields, TimeRange::ALL, false);
                while let Some(batch) = cursor.next().expect("readable") {
                    for column in &batch.columns {
                        count += column.valid_count() as u64;
                        match column.data() {
                            ColumnData::Float(values) => drop(std::hint::black_box(values.iter().sum::<f64>())),
                            ColumnData::Integer(values) => {
                                std::hint::black_box(values.iter().fold(0i64, |sum, value| sum.wrapping_add(*value)));
                            }
                            _ => {}
                        }
                    }
                }
            }
        }
    }
    count
}

/// Numbers whose sums came from statistics, or were read where there are none.
fn sum_pages(reader: &ShardReader) -> u64 {
    let mut count = 0;
    for measurement in reader.measurements() {
        let fields = numeric_fields(reader, &measurement);
        for series in reader.series(&measurement, &TagFilter::All) {
            let mut cursor = reader.rows(series.handle, &fields, TimeRange::ALL, false);
            loop {
                if let Some(summary) = cursor.peek().expect("readable") {
                    count += summary.fields.iter().map(|field| u64::from(field.count)).sum::<u64>();
                    cursor.skip().expect("readable");
                    continue;
                }
                let Some(batch) = cursor.next().expect("readable") else { break };
                count += batch.columns.iter().map(|column| column.valid_count() as u64).sum::<u64>();
            }
        }
    }
    count
}

fn parsed(requests: &[Vec<u8>]) -> Vec<Batch> {
    let mut parser = Parser::new(1);
    let parse = |body: &Vec<u8>| {
        let mut batch = Batch::default();
        let outcome = parser.parse(body, Precision::Nanosecond, 0, &mut batch);
        assert!(outcome.errors.is_empty(), "{}", outcome.errors);
        batch
    };
    requests.iter().map(parse).collect()
}

fn host_telemetry() -> Vec<u8> {
    testkit::recording::text("host-telemetry.lp.gz").expect("the recorded telemetry is in the repository").into_bytes()
}

fn requests(text: &[u8]) -> Vec<Vec<u8>> {
    let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    lines.chunks(LINES_PER_REQUEST).map(<[&[u8]]>::concat).collect()
}

/// Hosts with ten tags report ten integers, random walks from 0 to 100, every ten seconds.
fn devops(hosts: usize, rounds: usize) -> Vec<Vec<u8>> {
    let names = ["user", "system", "idle", "nice", "iowait", "irq", "softirq", "steal", "guest", "guest_nice"];
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = move |bound: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % bound
    };
    let keys: Vec<String> = (0..hosts)
        .map(|host| {
            let [arch, center, os, rack, service, version] = [next(2), next(3), next(3), next(100), next(20), next(2)];
            format!(
                "cpu,arch=x{arch},datacenter=eu-central-1{center},hostname=host_{host},os=Ubuntu{os}.10,rack={rack},\
                 region=eu-central-1,service={service},service_environment=production,service_version={version},team=CHI"
            )
        })
        .collect();
    let mut walks = vec![[50.0f64; 10]; hosts];
    let mut bodies = vec![String::new()];
    let mut lines = 0;
    for round in 0..rounds {
        for (key, walk) in keys.iter().zip(&mut walks) {
            if lines == LINES_PER_REQUEST {
                bodies.push(String::new());
                lines = 0;
            }
            lines += 1;
            let text = bodies.last_mut().expect("there is one");
            *text += key;
            for (index, (name, value)) in names.iter().zip(walk).enumerate() {
                // About normal, with a deviation of one.
                let step = (0..12).map(|_| next(1 << 20) as f64).sum::<f64>() / f64::from(1 << 20) - 6.0;
                *value = (*value + step).clamp(0.0, 100.0);
                *text += &format!("{}usage_{name}={}i", if index == 0 { ' ' } else { ',' }, *value as i64);
            }
            *text += &format!(" {}\n", 1_700_000_000_000_000_000 + round as u64 * 10_000_000_000);
        }
    }
    bodies.into_iter().map(String::into_bytes).collect()
}
