//! Log setup and the metric registry.
//!
//! `log` writes events as logfmt or JSON lines; `metric` holds the counters and gauges of the process and prints them
//! for Prometheus. Neither knows what it is told about.

pub mod log;
pub mod metric;

pub use metric::{Counter, Gauge, Metrics};
