//! What nodes say of themselves: which version they run, and what time it is for them. Operators are shown the version; by
//! the time the cluster agrees on what has expired ([`agreed_clock`]).
//!
//! Every node tells one meta node at a time, and meta nodes pass on what they know and how long ago it was said. Of two
//! announcements of a node the newer one is that which was said clearly later; of two that were said at about the same
//! time that with the later clock, for what is passed on comes late. So a node whose clock was ahead is believed again
//! soon after it was set right. One that has been heard before does not count as a new sign of life, whoever repeats it.
//!
//! Anybody who reaches the port can say something: what is kept is bounded in number and in size.

use std::collections::BTreeMap;
use std::time::Duration;

use meta::{Data, Node};
use serde::{Deserialize, Serialize};

/// How long what a stranger says is kept: the metadata that makes a member of it may be on its way here.
const STRANGER_AGE_MAX: Duration = Duration::from_secs(60);
/// Strangers that are listened to at a time.
const STRANGERS_MAX: usize = 256;

/// What was said at most so long before or after something else was said at about the same time: longer than it takes to
/// pass something on.
const SAME_TIME: Duration = Duration::from_secs(10);
/// Longest address in an announcement, in bytes; a name may have 253.
const ADDRESS_BYTES_MAX: usize = 300;
/// Longest of its other texts, in bytes.
const TEXT_BYTES_MAX: usize = 64;
/// Largest announcement with all that it passes on, as JSON, in bytes.
pub(crate) const ANNOUNCEMENT_BYTES_MAX: usize = 256 << 10;
/// Most that is passed on, as JSON, in bytes; members come first.
const PASSED_ON_BYTES_MAX: usize = ANNOUNCEMENT_BYTES_MAX - (8 << 10);

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
    /// How long ago it was said, in milliseconds, when it is passed on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age: Option<u64>,
}

impl Announcement {
    /// Whether its texts are no longer than a node's are.
    pub(crate) fn fits(&self) -> bool {
        let addresses = [&self.tcp_addr, &self.http_addr];
        let client_scheme = self.client_scheme.as_ref();
        let mut texts =
            [&self.http_scheme, &self.node_type, &self.status, &self.version].into_iter().chain(client_scheme);
        addresses.iter().all(|text| text.len() <= ADDRESS_BYTES_MAX) && texts.all(|text| text.len() <= TEXT_BYTES_MAX)
    }
}

/// What a meta node has heard.
#[derive(Debug, Default)]
pub(crate) struct Announcements(BTreeMap<String, Heard>);

#[derive(Debug)]
struct Heard {
    announcement: Announcement,
    /// When it was said, by this node's monotonic clock, in milliseconds; may be before that began.
    at: i64,
}

impl Heard {
    fn age(&self, now: Duration) -> Duration {
        Duration::from_millis(u64::try_from(milliseconds(now).saturating_sub(self.at)).unwrap_or(0))
    }

    /// Whether an announcement of the same node that was said `at` is a newer one.
    fn is_older_than(&self, announcement: &Announcement, at: i64) -> bool {
        let (own, time) = (self.announcement.time, announcement.time);
        let is_same_time = self.at.abs_diff(at) <= SAME_TIME.as_millis() as u64;
        own != time && if is_same_time { own < time } else { self.at < at }
    }
}

impl Announcements {
    /// Takes note of an announcement and of what it passes on. `now` is this node's monotonic clock.
    pub(crate) fn hear(&mut self, mut announcement: Announcement, data: &Data, now: Duration) {
        let passed_on = announcement.context.take().and_then(|mut context| context.remove(GOSSIP)).unwrap_or_default();
        for mut other in passed_on {
            // One level is all there is.
            other.context = None;
            let age = i64::try_from(other.age.take().unwrap_or(0)).unwrap_or(i64::MAX);
            self.note(other, data, milliseconds(now).saturating_sub(age));
        }
        announcement.age = None;
        self.note(announcement, data, milliseconds(now));
        self.0.retain(|address, heard| is_member(data, address) || heard.age(now) <= STRANGER_AGE_MAX);
    }

    fn note(&mut self, announcement: Announcement, data: &Data, at: i64) {
        if !announcement.fits() {
            return;
        }
        let known = self.0.get(&announcement.tcp_addr);
        if known.is_none() && !is_member(data, &announcement.tcp_addr) {
            let strangers = self.0.keys().filter(|address| !is_member(data, address));
            if strangers.count() >= STRANGERS_MAX {
                return;
            }
        }
        if known.is_none_or(|known| known.is_older_than(&announcement, at)) {
            self.0.insert(announcement.tcp_addr.clone(), Heard { announcement, at });
        }
    }

    /// What was heard of the node with this address for calls between nodes, at most `age_max` ago.
    pub(crate) fn of(&self, tcp_addr: &str, now: Duration, age_max: Duration) -> Option<&Announcement> {
        let heard = self.0.get(tcp_addr)?;
        (heard.age(now) <= age_max).then_some(&heard.announcement)
    }

    /// The clocks of members other than the one at `own`, in nanoseconds since the epoch, as they are now: what they said
    /// at most `age_max` ago, and the time since then. Each counts once, whatever its roles.
    pub(crate) fn clocks(&self, data: &Data, own: &str, now: Duration, age_max: Duration) -> Vec<i64> {
        let others = data.nodes().iter().filter(|node| !addresses(node).any(|address| address == own));
        let heard = others.filter_map(|node| {
            let heard = addresses(node).filter_map(|address| self.0.get(address));
            heard.min_by_key(|heard| heard.age(now))
        });
        let aged = heard.map(|heard| (heard, heard.age(now)));
        let fresh = aged.filter(|(_, age)| *age <= age_max);
        fresh.map(|(heard, age)| heard.announcement.time.saturating_add(nanoseconds(age))).collect()
    }

    /// An announcement of this node's own that passes on what it has heard within `age_max`, of members before others, and
    /// no more than others take.
    pub(crate) fn pass_on(&self, own: Announcement, data: &Data, now: Duration, age_max: Duration) -> Announcement {
        let fresh = self.0.values().map(|heard| (heard, heard.age(now))).filter(|(_, age)| *age <= age_max);
        let aged = fresh.map(|(heard, age)| {
            let age = u64::try_from(age.as_millis()).ok();
            Announcement { age, ..heard.announcement.clone() }
        });
        let others = aged.filter(|other| other.tcp_addr != own.tcp_addr);
        let (mut others, strangers): (Vec<_>, Vec<_>) = others.partition(|other| is_member(data, &other.tcp_addr));
        others.extend(strangers);
        let mut bytes = 0;
        let fits = |other: &Announcement| {
            bytes += serde_json::to_vec(other).expect("plain values").len() + 1;
            bytes <= PASSED_ON_BYTES_MAX
        };
        let others = others.into_iter().take_while(fits).collect();
        Announcement { context: Some(BTreeMap::from([(GOSSIP.to_owned(), others)])), ..own }
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

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
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
        at_c.hear(at_b.pass_on(of("b", 9), &data, seconds(20), AGE_MAX), &data, seconds(20));
        assert!(at_c.of("a", seconds(21), AGE_MAX).is_some() && at_c.of("b", seconds(21), AGE_MAX).is_some());
        at_b.hear(at_c.pass_on(of("c", 9), &data, seconds(29), AGE_MAX), &data, seconds(29));
        assert_eq!(at_b.of("a", seconds(31), AGE_MAX), None);
        assert!(at_c.of("a", seconds(31), AGE_MAX).is_none(), "it is as old for whoever heard it from others");
        // A newer one counts, an older one that comes late does not.
        at_b.hear(of("a", 3), &data, seconds(40));
        at_b.hear(of("a", 2), &data, seconds(41));
        assert_eq!(at_b.of("a", seconds(41), AGE_MAX).map(|heard| heard.version.as_str()), Some("v3"));
    }

    #[test]
    fn who_was_ahead_is_believed_again_when_it_is_set_right() {
        let data = members(&["a", "b", "c"]);
        let (mut at_b, mut at_c) = (Announcements::default(), Announcements::default());
        let said = |heard: &Announcements, now| heard.of("a", seconds(now), AGE_MAX).map(|heard| heard.time);
        at_b.hear(of("a", i64::MAX), &data, seconds(0));
        at_c.hear(at_b.pass_on(of("b", 1), &data, seconds(2), AGE_MAX), &data, seconds(2));
        assert_eq!((said(&at_b, 2), said(&at_c, 2)), (Some(i64::MAX), Some(i64::MAX)));
        at_b.hear(of("a", 105), &data, seconds(5));
        at_b.hear(of("a", 111), &data, seconds(11));
        assert_eq!(said(&at_b, 11), Some(111), "it goes on saying so");
        // What is still passed on by those who have not heard of it does not come back.
        for now in 12..60 {
            at_b.hear(at_c.pass_on(of("c", now), &data, seconds(12), AGE_MAX), &data, seconds(12));
        }
        assert_eq!(said(&at_b, 12), Some(111));
        at_c.hear(at_b.pass_on(of("b", 2), &data, seconds(13), AGE_MAX), &data, seconds(13));
        assert_eq!(said(&at_c, 13), Some(111), "and it gets around");
        // As before: one that was said earlier and comes late is the older one.
        at_b.hear(of("a", 116), &data, seconds(16));
        at_b.hear(at_c.pass_on(of("c", 99), &data, seconds(17), AGE_MAX), &data, seconds(17));
        assert_eq!(said(&at_b, 17), Some(116));
        assert_eq!((said(&at_b, 46), said(&at_b, 47)), (Some(116), None));
    }

    #[test]
    fn what_is_too_long_is_not_kept_and_members_are_passed_on_first() {
        let (data, mut announcements) = (members(&["a", "z"]), Announcements::default());
        let long = |bytes: usize| "x".repeat(bytes);
        announcements.hear(of(&long(ADDRESS_BYTES_MAX), 1), &data, seconds(0));
        announcements.hear(of(&long(ADDRESS_BYTES_MAX + 1), 1), &data, seconds(0));
        announcements.hear(Announcement { version: long(TEXT_BYTES_MAX + 1), ..of("a", 1) }, &data, seconds(0));
        announcements.hear(
            Announcement { client_scheme: Some(long(TEXT_BYTES_MAX + 1)), ..of("a", 1) },
            &data,
            seconds(0),
        );
        assert_eq!(announcements.0.keys().map(String::len).collect::<Vec<_>>(), [ADDRESS_BYTES_MAX]);
        // Characters that are long as JSON.
        for stranger in 0..STRANGERS_MAX {
            let tcp_addr = format!("{stranger:0>ADDRESS_BYTES_MAX$}").replace('0', "\0");
            let http_addr = "\0".repeat(ADDRESS_BYTES_MAX);
            announcements.hear(
                Announcement { tcp_addr, http_addr, time: 1, ..Announcement::default() },
                &data,
                seconds(0),
            );
        }
        announcements.hear(of("z", 1), &data, seconds(0));
        let passed_on = announcements.pass_on(of("a", 1), &data, seconds(1), AGE_MAX);
        assert!(serde_json::to_vec(&passed_on).expect("JSON").len() <= ANNOUNCEMENT_BYTES_MAX);
        let others = &passed_on.context.expect("what it has heard")[GOSSIP];
        assert!(others.len() > 10 && others[0].tcp_addr == "z", "{}", others.len());
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
