//! Counters and gauges, registered once by name and shared by handle.

use std::sync::Arc;

use parking_lot::Mutex;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

/// A number that only grows.
pub type Counter = prometheus_client::metrics::counter::Counter;

/// A number that goes up and down.
pub type Gauge = prometheus_client::metrics::gauge::Gauge;

/// Every metric of the process. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Guards registering and printing; the metrics themselves are atomic.
    registry: Arc<Mutex<Registry>>,
}

impl Metrics {
    /// No metrics.
    pub fn new() -> Metrics {
        Metrics::default()
    }

    /// Registers a counter. `_total` is added to the name when it is printed.
    pub fn counter(&self, name: &str, help: &str) -> Counter {
        let counter = Counter::default();
        self.registry.lock().register(name, help, counter.clone());
        counter
    }

    /// Registers a gauge.
    pub fn gauge(&self, name: &str, help: &str) -> Gauge {
        let gauge = Gauge::default();
        self.registry.lock().register(name, help, gauge.clone());
        gauge
    }

    /// Registers a counter or a gauge that was there before.
    pub fn register<M>(&self, name: &str, help: &str, metric: &M)
    where
        M: prometheus_client::registry::Metric + Clone,
    {
        self.registry.lock().register(name, help, metric.clone());
    }

    /// All metrics as text, in the format of Prometheus.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.registry.lock());
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_printed_with_their_help() {
        let metrics = Metrics::new();
        let writes = metrics.counter("writes", "Write requests");
        let queue = metrics.gauge("queue_bytes", "Bytes that wait");
        let earlier = Counter::default();
        earlier.inc();
        metrics.register("earlier", "Was there before", &earlier);
        writes.inc_by(3);
        queue.set(-2);
        let text = metrics.render();
        assert!(text.contains("# HELP writes Write requests.\n") && text.contains("writes_total 3\n"), "{text}");
        assert!(text.contains("queue_bytes -2\n"), "{text}");
    }
}
