//! What nodes say of themselves: which version they run, and what time it is for them. Operators are shown the version; by
//! the time the cluster agrees on what has expired ([`agreed_clock`]).
//!
//! Every node tells one meta node at a time, and meta nodes pass on what they know. The time in an announcement is the
//! clock of the node that it is of: the later one of the same node is the newer one, and one that has been heard before
//! does not count as a new sign of life, whoever repeats it.

use std::collections::BTreeMap;
use std::time::Duration;

use meta::{Data, Node};
use serde::{Deserialize, Serialize};

/// How long what a stranger says is kept: the metadata that makes a member of it may be on its way here.
const STRANGER_AGE_MAX: Duration = Duration::from_secs(60);
/// Strangers that are listened to at a time.
const STRANGERS_MAX: usize = 256;

/// Key of `context` under which a meta node passes on what it knows.
const GOSSIP: &str = "gossip";

/// What one node says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Announcement {
    /// `host:port` of calls between nodes, or of Raft.
    pub tcp_addr: String,
    /// `host:port` of the client API, or of the admin API.
    pub http_addr: String,
    /// `http` or `https`.
    pub http_scheme: String,
    /// The node's clock, nanoseconds since the epoch.
    pub time: i64,
    /// `data` or `meta`.
    pub node_type: String,
    /// `joined`.
    pub status: String,
    /// What it knows of others; only meta nodes know anything.
    pub context: Option<BTreeMap<String, Vec<Announcement>>>,
    /// What it runs, like `1.12.4-c1.12.4`.
    pub version: String,
    /// `http` or `https`: the client API of a meta node that is a data node, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_scheme: Option<String>,
}

/// What a meta node has heard.
#[derive(Debug, Default)]
pub(crate) struct Announcements(BTreeMap<String, Heard>);

#[derive(Debug)]
struct Heard {
    announcement: Announcement,
    /// When it was heard first.
    at: Duration,
}

impl Announcements {
    /// Takes note of an announcement and of what it passes on. `now` is this node's monotonic clock.
    pub(crate) fn hear(&mut self, mut announcement: Announcement, data: &Data, now: Duration) {
        let passed_on = announcement.context.take().and_then(|mut context| context.remove(GOSSIP)).unwrap_or_default();
        for mut other in passed_on {
            // One level is all there is.
            other.context = None;
            self.note(other, data, now);
        }
        self.note(announcement, data, now);
        self.0.retain(|address, heard| is_member(data, address) || now.saturating_sub(heard.at) <= STRANGER_AGE_MAX);
    }

    fn note(&mut self, announcement: Announcement, data: &Data, now: Duration) {
        let known = self.0.get(&announcement.tcp_addr);
        if known.is_none() && !is_member(data, &announcement.tcp_addr) {
            let strangers = self.0.keys().filter(|address| !is_member(data, address));
            if strangers.count() >= STRANGERS_MAX {
                return;
            }
        }
        if known.is_none_or(|known| known.announcement.time < announcement.time) {
            self.0.insert(announcement.tcp_addr.clone(), Heard { announcement, at: now });
        }
    }

    /// What was heard of the node with this address for calls between nodes, at most `age_max` ago.
    pub(crate) fn of(&self, tcp_addr: &str, now: Duration, age_max: Duration) -> Option<&Announcement> {
        let heard = self.0.get(tcp_addr)?;
        (now.saturating_sub(heard.at) <= age_max).then_some(&heard.announcement)
    }

    /// The clocks of members other than the one at `own`, in nanoseconds since the epoch, as they are now: what they said
    /// at most `age_max` ago, and the time since then. Each counts once, whatever its roles.
    pub(crate) fn clocks(&self, data: &Data, own: &str, now: Duration, age_max: Duration) -> Vec<i64> {
        let others = data.nodes().iter().filter(|node| !addresses(node).any(|address| address == own));
        let heard = others.filter_map(|node| {
            let heard = addresses(node).filter_map(|address| self.0.get(address));
            heard.min_by_key(|heard| now.saturating_sub(heard.at))
        });
        let aged = heard.map(|heard| (heard, now.saturating_sub(heard.at)));
        let fresh = aged.filter(|(_, age)| *age <= age_max);
        fresh.map(|(heard, age)| heard.announcement.time.saturating_add(nanoseconds(age))).collect()
    }

    /// An announcement of this node's own that passes on what it has heard within `age_max`.
    pub(crate) fn pass_on(&self, own: Announcement, now: Duration, age_max: Duration) -> Announcement {
        let fresh = self.0.values().filter(|heard| now.saturating_sub(heard.at) <= age_max);
        let others = fresh.map(|heard| heard.announcement.clone()).filter(|other| other.tcp_addr != own.tcp_addr);
        Announcement { context: Some(BTreeMap::from([(GOSSIP.to_owned(), others.collect())])), ..own }
    }
}

/// What time it is by the clocks that are known of `members` nodes: the earliest of those that make a majority and are
/// ahead. `None` when fewer than a majority are known. As long as most clocks are right neither one that is ahead nor one
/// that is behind changes much.
pub(crate) fn agreed_clock(mut clocks: Vec<i64>, members: usize) -> Option<i64> {
    clocks.sort_unstable_by(|a, b| b.cmp(a));
    clocks.get(members / 2).copied()
}

fn is_member(data: &Data, tcp_addr: &str) -> bool {
    data.nodes().iter().any(|node| addresses(node).any(|address| address == tcp_addr))
}

/// The addresses for calls between nodes and of Raft.
fn addresses(node: &Node) -> impl Iterator<Item = &str> {
    let meta = node.meta.as_ref().map(|role| role.tcp_addr.as_str());
    meta.into_iter().chain(node.data.as_ref().map(|role| role.tcp_addr.as_str()))
}

fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use meta::{Command, Incarnation, LeaderFacts};
    use model::{MetaIndex, Timestamp};

    use super::*;

    const AGE_MAX: Duration = Duration::from_secs(30);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn members(addresses: &[&str]) -> Data {
        let mut data = Data::default();
        for (index, address) in (1..).zip(addresses) {
            let command = Command::CreateMetaNode {
                incarnation: Incarnation(u128::from(index)),
                http_addr: format!("{address}91"),
                tcp_addr: (*address).to_owned(),
            };
            let facts = LeaderFacts { now: Timestamp(0), random: 1, shard_groups_max: 0 };
            data.apply(MetaIndex(index), &facts, &command).expect("a member");
        }
        data
    }

    fn of(address: &str, time: i64) -> Announcement {
        let version = format!("v{time}");
        Announcement { tcp_addr: address.to_owned(), time, version, ..Announcement::default() }
    }

    #[test]
    fn what_is_repeated_does_not_stay_young() {
        let data = members(&["a", "b", "c"]);
        let mut at_b = Announcements::default();
        at_b.hear(of("a", 1), &data, seconds(0));
        assert_eq!(at_b.of("a", seconds(30), AGE_MAX).map(|heard| heard.version.as_str()), Some("v1"));
        // c has heard it too and goes on telling it.
        let mut at_c = Announcements::default();
        at_c.hear(at_b.pass_on(of("b", 9), seconds(20), AGE_MAX), &data, seconds(20));
        assert!(at_c.of("a", seconds(21), AGE_MAX).is_some() && at_c.of("b", seconds(21), AGE_MAX).is_some());
        at_b.hear(at_c.pass_on(of("c", 9), seconds(29), AGE_MAX), &data, seconds(29));
        assert_eq!(at_b.of("a", seconds(31), AGE_MAX), None);
        // A newer one counts, an older one that comes late does not.
        at_b.hear(of("a", 3), &data, seconds(40));
        at_b.hear(of("a", 2), &data, seconds(41));
        assert_eq!(at_b.of("a", seconds(41), AGE_MAX).map(|heard| heard.version.as_str()), Some("v3"));
    }

    #[test]
    fn strangers_are_listened_to_for_a_while_and_not_too_many_of_them() {
        let mut announcements = Announcements::default();
        announcements.hear(of("soon", 1), &members(&["a"]), seconds(0));
        announcements.hear(of("a", 1), &members(&["a"]), seconds(0));
        let data = members(&["a", "soon"]);
        assert!(announcements.of("soon", seconds(1), AGE_MAX).is_some(), "it was a member already, elsewhere");
        announcements.hear(of("a", 2), &members(&["a"]), seconds(61));
        assert_eq!(announcements.0.keys().collect::<Vec<_>>(), ["a"], "it never became one");
        for stranger in 0..STRANGERS_MAX + 10 {
            announcements.hear(of(&format!("s{stranger}"), 1), &data, seconds(62));
        }
        assert_eq!(announcements.0.len(), STRANGERS_MAX + 1);
        announcements.hear(of("soon", 5), &data, seconds(62));
        assert!(announcements.of("soon", seconds(62), AGE_MAX).is_some(), "members always are");
    }

    #[test]
    fn one_wrong_clock_neither_hurries_nor_stops_the_time() {
        let day = 86_400;
        assert_eq!(agreed_clock(vec![10], 1), Some(10), "alone");
        assert_eq!(agreed_clock(vec![10, 11], 2), Some(10), "two agree on the earlier");
        assert_eq!(agreed_clock(vec![10, 10 + day, 11], 3), Some(11));
        assert_eq!(agreed_clock(vec![10, 11, 12 - day], 3), Some(10));
        assert_eq!(agreed_clock(vec![10 + day, 10, 11, 12], 4), Some(11));
        assert_eq!(agreed_clock(vec![10, 11 + day, 12, 13, 14 - day], 5), Some(12));
        assert_eq!(agreed_clock(vec![10, 11], 4), None, "half is no majority");
        assert_eq!(agreed_clock(vec![10, 11, 9], 4), Some(9));
        assert_eq!(agreed_clock(Vec::new(), 0), None);
    }

    #[test]
    fn clocks_go_on_after_they_were_heard_and_count_once_for_a_member() {
        let mut data = members(&["a", "b", "c"]);
        let also_data = Command::CreateDataNode {
            incarnation: Incarnation(2),
            http_addr: "b86".to_owned(),
            tcp_addr: "b88".to_owned(),
            passive: false,
        };
        let facts = LeaderFacts { now: Timestamp(0), random: 1, shard_groups_max: 0 };
        data.apply(MetaIndex(9), &facts, &also_data).expect("fits");
        let mut announcements = Announcements::default();
        announcements.hear(of("b", 1_000), &data, seconds(1));
        announcements.hear(of("b88", 2_000), &data, seconds(2));
        announcements.hear(of("a", 5), &data, seconds(2));
        announcements.hear(of("stranger", 7), &data, seconds(2));
        let at = |now| announcements.clocks(&data, "a", seconds(now), AGE_MAX);
        assert_eq!(at(12), [2_000 + 10_000_000_000]);
        assert!(at(40).is_empty(), "too long ago");
    }

    #[test]
    fn announcements_of_data_nodes_have_the_documented_form() {
        let text = r#"{"tcpAddr":"d:8088","httpAddr":"d:8086","httpScheme":"http","time":5,"nodeType":"data","status":"joined","context":null,"version":"1"}"#;
        let read: Announcement = serde_json::from_str(text).expect("an announcement");
        assert_eq!((read.tcp_addr.as_str(), read.context.as_ref()), ("d:8088", None));
        assert_eq!(serde_json::to_string(&read).expect("json"), text);
    }
}
