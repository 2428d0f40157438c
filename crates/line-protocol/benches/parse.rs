//! How fast bodies are read: `cargo bench -p line-protocol`. Thread CPU time, medians of several passes.

// A benchmark talks to whoever started it.
#![allow(clippy::print_stdout)]

use std::time::Instant;

use line_protocol::{Parser, write};
use model::{Batch, Precision};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const LINES_PER_REQUEST: usize = 5_000;
/// Each sample runs for about 200 ms, since the system counts the time of a thread in steps of milliseconds.
const SAMPLES: usize = 7;
const SAMPLE_BYTES: usize = 300 << 20;

fn main() {
    let telemetry = requests(&host_telemetry());
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let run = |name: &str, requests: &dyn Fn() -> Vec<Vec<u8>>, keep: bool| {
        if words.is_empty() || words.iter().any(|word| name.contains(word.as_str())) {
            report(name, &requests(), keep);
        }
    };
    run("host telemetry", &|| telemetry.clone(), true);
    run("host telemetry, new parser for each request", &|| telemetry.clone(), false);
    run("devops 100 series", &|| devops(100, 50_000, false), true);
    run("devops 1k series", &|| devops(1_000, 50_000, false), true);
    run("devops 1k series, random order", &|| devops(1_000, 50_000, true), true);
    run("devops 100k series", &|| devops(100_000, 100_000, false), true);
    run("devops 100k series, random order", &|| devops(100_000, 100_000, true), true);
    // More than the cache holds: every series is new.
    run("devops 400k series", &|| devops(400_000, 400_000, false), true);
    if words.is_empty() || words.iter().any(|word| "write".contains(word.as_str())) {
        report_write(&telemetry);
    }
}

/// Nanoseconds that this thread has run, or wall time where the system does not say.
fn thread_time(start: Instant) -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let ran = text.split(' ').next().and_then(|number| number.parse().ok());
    ran.unwrap_or_else(|| u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX))
}

fn report(name: &str, requests: &[Vec<u8>], keep_parser: bool) {
    let bytes: usize = requests.iter().map(Vec::len).sum();
    let mut parser = Parser::new(1);
    let mut rows = 0;
    let time = sample(bytes, || {
        rows = 0;
        for body in requests {
            if !keep_parser {
                parser = Parser::new(1);
            }
            let mut batch = Batch::default();
            let outcome = parser.parse(body, Precision::Nanosecond, 0, &mut batch);
            assert!(outcome.errors.is_empty(), "{}", outcome.errors);
            rows += batch.row_count();
            parser.recycle(batch);
        }
    });
    println!("{name:50} {:7.0} MB/s {:7.1} ns a row", bytes as f64 * 1e3 / time, time / rows as f64);
}

fn report_write(requests: &[Vec<u8>]) {
    let mut parser = Parser::new(1);
    let mut batches = Vec::new();
    for body in requests {
        let mut batch = Batch::default();
        parser.parse(body, Precision::Nanosecond, 0, &mut batch);
        batches.push(batch);
    }
    let mut out = Vec::new();
    let bytes: usize = requests.iter().map(Vec::len).sum();
    let time = sample(bytes, || {
        for batch in &batches {
            out.clear();
            write::batch(batch, &mut out);
        }
    });
    println!("{:50} {:7.0} MB/s", "write host telemetry", bytes as f64 * 1e3 / time);
}

/// The median time of `pass` in nanoseconds; a pass takes about as long as reading `bytes`.
fn sample(bytes: usize, mut pass: impl FnMut()) -> f64 {
    let start = Instant::now();
    let passes = SAMPLE_BYTES.div_ceil(bytes);
    pass();
    let times = (0..SAMPLES).map(|_| {
        let before = thread_time(start);
        (0..passes).for_each(|_| pass());
        thread_time(start) - before
    });
    let mut times: Vec<u64> = times.collect();
    times.sort_unstable();
    times[SAMPLES / 2] as f64 / passes as f64
}

fn host_telemetry() -> Vec<u8> {
    testkit::recording::text("host-telemetry.lp.gz").expect("the recorded telemetry is in the repository").into_bytes()
}

fn requests(text: &[u8]) -> Vec<Vec<u8>> {
    let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    lines.chunks(LINES_PER_REQUEST).map(<[&[u8]]>::concat).collect()
}

/// Hosts with ten tags report ten integers every ten seconds.
fn devops(hosts: usize, rows: usize, shuffled: bool) -> Vec<Vec<u8>> {
    let names = ["user", "system", "idle", "nice", "iowait", "irq", "softirq", "steal", "guest", "guest_nice"];
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = move |bound: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % bound
    };
    let keys: Vec<String> = (0..hosts)
        .map(|host| {
            format!(
                "cpu,arch=x{},datacenter=eu-central-1{},hostname=host_{host},os=Ubuntu{}.10,rack={},region=eu-central-1,\
                 service={},service_environment=production,service_version={},team=CHI",
                if next(2) == 0 { "64" } else { "86" },
                next(3),
                next(3) + 15,
                next(100),
                next(20),
                next(2),
            )
        })
        .collect();
    let mut text = String::new();
    for row in 0..rows {
        let host = if shuffled { next(hosts as u64) as usize } else { row % hosts };
        text += &keys[host];
        for (index, name) in names.iter().enumerate() {
            let value = next(101);
            text += &format!("{}usage_{name}={value}i", if index == 0 { ' ' } else { ',' });
        }
        text += &format!(" {}\n", 1_700_000_000_000_000_000 + (row / hosts) as u64 * 10_000_000_000);
    }
    requests(text.as_bytes())
}
