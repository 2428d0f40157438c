//! Addresses that fail too often.
//!
//! Each address has a number of failures that it may have at once, which come back with time. A login takes one and gets it
//! back unless the password was wrong, so those who know theirs are not counted. Addresses of version 6 count by their
//! network of 64 bits, which one host has all of.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use parking_lot::Mutex;

/// Failed logins of one address at once.
pub const FAILURES_AT_ONCE_MAX: u32 = 100;
/// Failed logins of one address that are forgotten each second.
pub const FAILURES_PER_SECOND_MAX: u32 = 2;
/// Addresses that are remembered.
pub const SOURCES_MAX: usize = 10_000;

/// What each address has used up.
#[derive(Debug, Default)]
pub(crate) struct Sources(Mutex<HashMap<IpAddr, Source>>);

#[derive(Debug)]
struct Source {
    used: f64,
    at: Duration,
    told: bool,
}

impl Source {
    fn forget(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.used = (self.used - passed * f64::from(FAILURES_PER_SECOND_MAX)).max(0.0);
        self.at = now;
        self.told &= self.used > 0.0;
    }
}

impl Sources {
    /// Takes one from an address; whether it had one. Who has no address is not counted.
    pub(crate) fn admit(&self, address: Option<IpAddr>, now: Duration) -> bool {
        let Some(address) = address.map(network) else { return true };
        let mut sources = self.0.lock();
        if sources.len() >= SOURCES_MAX && !sources.contains_key(&address) {
            sources.retain(|_, source| {
                source.forget(now);
                source.used > 0.0
            });
            // So many at once are no longer told apart; the limit of logins at a time holds for them together.
            if sources.len() >= SOURCES_MAX {
                sources.clear();
            }
        }
        let source = sources.entry(address).or_insert(Source { used: 0.0, at: now, told: false });
        source.forget(now);
        if source.used + 1.0 > f64::from(FAILURES_AT_ONCE_MAX) {
            // Once, not for every request of a flood.
            if !std::mem::replace(&mut source.told, true) {
                tracing::warn!(%address, "too many failed logins: this address is turned away for a while");
            }
            return false;
        }
        source.used += 1.0;
        true
    }

    /// The login did not fail.
    pub(crate) fn give_back(&self, address: Option<IpAddr>) {
        let Some(address) = address.map(network) else { return };
        if let Some(source) = self.0.lock().get_mut(&address) {
            source.used = (source.used - 1.0).max(0.0);
        }
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into()),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().expect("an address"))
    }

    #[test]
    fn failures_of_an_address_are_limited_and_come_back_with_time() {
        let (sources, one) = (Sources::default(), address("192.0.2.1"));
        let mut now = Duration::from_secs(5);
        for _ in 0..FAILURES_AT_ONCE_MAX {
            assert!(sources.admit(one, now));
        }
        assert!(!sources.admit(one, now) && !sources.admit(address("::ffff:192.0.2.1"), now), "the same address");
        assert!(sources.admit(address("192.0.2.2"), now), "another");
        assert!(sources.admit(None, now));
        sources.give_back(one);
        assert!(sources.admit(one, now) && !sources.admit(one, now));
        now += Duration::from_secs(1);
        for _ in 0..FAILURES_PER_SECOND_MAX {
            assert!(sources.admit(one, now));
        }
        assert!(!sources.admit(one, now));
    }

    #[test]
    fn a_network_of_version_6_is_one_source() {
        let (sources, now) = (Sources::default(), Duration::ZERO);
        for host in 0..FAILURES_AT_ONCE_MAX {
            assert!(sources.admit(address(&format!("2001:db8::{host:x}")), now));
        }
        assert!(!sources.admit(address("2001:db8::ffff"), now));
        assert!(sources.admit(address("2001:db8:0:1::"), now));
    }

    #[test]
    fn sources_are_limited_in_number() {
        let (sources, now) = (Sources::default(), Duration::ZERO);
        for host in 0..SOURCES_MAX as u32 + 10 {
            assert!(sources.admit(Some(IpAddr::V4(host.into())), now));
        }
        assert!(sources.0.lock().len() <= SOURCES_MAX);
    }
}
