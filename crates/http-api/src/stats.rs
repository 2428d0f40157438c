//! Counters of the API: the statistic `httpd`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::service::Statistic;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What the API counts. Every counter starts at 0 with the process.
        #[derive(Debug, Default)]
        pub struct HttpStats {
            $($(#[$doc])* pub(crate) $name: Counter,)*
        }

        impl HttpStats {
            /// All counters by the names that clients know.
            pub fn values(&self) -> Vec<(&'static str, i64)> {
                vec![$(($text, self.$name.get()),)*]
            }
        }
    };
}

counters! {
    /// Requests whose credentials were refused.
    auth_fail = "authFail",
    /// Answers 4xx.
    client_error = "clientError",
    /// Connections that are open.
    connections_active = "connectionsActive",
    /// Connections that were closed at once because there were too many.
    connections_refused = "connectionsRefused",
    /// Connections that were closed because a client was silent or slow.
    connections_timed_out = "connectionsTimedOut",
    /// Requests for Flux.
    flux_query_requests = "fluxQueryReq",
    /// Requests of `/ping`.
    ping_requests = "pingReq",
    /// Points that can never be stored.
    points_dropped = "pointsWrittenDropped",
    /// Points whose write failed.
    points_failed = "pointsWrittenFail",
    /// Points that were stored.
    points_ok = "pointsWrittenOK",
    /// Requests to read for Prometheus.
    prom_read_requests = "promReadReq",
    /// Requests to write for Prometheus.
    prom_write_requests = "promWriteReq",
    /// Requests of `/query`.
    query_requests = "queryReq",
    /// Nanoseconds spent in requests of `/query`.
    query_ns = "queryReqDurationNs",
    /// Bytes of answers of `/query`, as sent.
    query_bytes = "queryRespBytes",
    /// Requests that ended in a panic.
    recovered_panics = "recoveredPanics",
    /// Requests.
    requests = "req",
    /// Requests under way.
    requests_active = "reqActive",
    /// Nanoseconds spent in requests.
    request_ns = "reqDurationNs",
    /// Answers 5xx.
    server_error = "serverError",
    /// Requests of `/status`.
    status_requests = "statusReq",
    /// Field values that were stored.
    values_ok = "valuesWrittenOK",
    /// Requests of `/write`.
    write_requests = "writeReq",
    /// Requests of `/write` under way.
    writes_active = "writeReqActive",
    /// Bytes of bodies of writes, unpacked.
    write_bytes = "writeReqBytes",
    /// Nanoseconds spent in requests of `/write`.
    write_ns = "writeReqDurationNs",
    /// Writes that were refused because the server was busy.
    writes_refused = "writeReqRefused",
}

impl HttpStats {
    /// The counters as a statistic of the server that listens on `bind`.
    pub fn statistic(&self, bind: &str) -> Statistic {
        Statistic {
            name: "httpd".to_owned(),
            tags: BTreeMap::from([("bind".to_owned(), bind.to_owned())]),
            values: self.values().into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        }
    }
}

/// A number that many tasks change.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicI64);

impl Counter {
    pub(crate) fn add(&self, count: usize) {
        self.0.fetch_add(i64::try_from(count).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn increment(&self) {
        self.add(1);
    }

    pub(crate) fn decrement(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_have_the_names_that_clients_know() {
        let stats = HttpStats::default();
        stats.requests.add(3);
        stats.requests_active.increment();
        stats.requests_active.decrement();
        let statistic = stats.statistic(":8086");
        assert_eq!(statistic.name, "httpd");
        assert_eq!(statistic.tags["bind"], ":8086");
        assert_eq!((statistic.values["req"], statistic.values["reqActive"]), (3, 0));
        let names: Vec<&str> = stats.values().into_iter().map(|(name, _)| name).collect();
        for known in ["queryReq", "writeReq", "pointsWrittenOK", "pointsWrittenDropped", "clientError", "pingReq"] {
            assert!(names.contains(&known), "{known}");
        }
    }
}
