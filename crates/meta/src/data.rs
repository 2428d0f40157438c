//! The records of the metadata.
//!
//! [`Data`] is a tree of `Arc`s: a clone costs a few pointers and a change copies the path to what it changes, so
//! readers keep the version they have for as long as they like. The records have public fields because nobody outside
//! this crate can reach them mutably.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use model::{MetaIndex, NodeId, ShardGroupId, ShardId, TimeRange, Timestamp};

use crate::permission::Permissions;
use crate::rule::{AccessGrant, Restriction};
use crate::shard_index::ShardIndex;

/// The whole metadata of a cluster, at one index. Starts empty; grows by [`Data::apply`]. Its `Debug` output has secrets:
/// it is for tests.
#[derive(Clone, Debug, Default)]
pub struct Data {
    /// Chosen at random when the first member registers; 0 before.
    pub(crate) cluster_id: u64,
    /// Where in the log the last change stands.
    pub(crate) index: MetaIndex,
    /// By ascending id.
    pub(crate) nodes: Arc<Vec<Arc<Node>>>,
    /// In order of creation, which is by ascending id.
    pub(crate) databases: Arc<Vec<Arc<Database>>>,
    pub(crate) database_names: Arc<BTreeMap<Arc<str>, DatabaseId>>,
    /// In order of creation.
    pub(crate) users: Arc<Vec<Arc<User>>>,
    /// In order of creation.
    pub(crate) roles: Arc<Vec<Arc<Role>>>,
    /// By ascending id.
    pub(crate) restrictions: Arc<Vec<Arc<Restriction>>>,
    /// By ascending id.
    pub(crate) access_grants: Arc<Vec<Arc<AccessGrant>>>,
    /// How users are looked up in a directory, as it was given: TOML. Holds a password.
    pub(crate) directory: Option<Arc<str>>,
    /// Since when what nodes remember of the directory counts: they forget what is older.
    pub(crate) directory_index: MetaIndex,
    /// How many recoveries from the loss of a majority were noted.
    pub(crate) recoveries: u64,
    pub(crate) rule_id_max: u64,
    pub(crate) node_id_max: NodeId,
    pub(crate) database_id_max: DatabaseId,
    pub(crate) shard_group_id_max: ShardGroupId,
    pub(crate) shard_id_max: ShardId,
    pub(crate) shards: ShardIndex,
}

/// A database, for as long as it exists: one created again under the same name has another id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatabaseId(pub u64);

impl fmt::Display for DatabaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The identity of a data directory: 128 random bits made with it. A wiped or replaced disk has another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u128);

impl Incarnation {
    /// Reads what `Display` writes.
    pub fn parse(text: &str) -> Option<Incarnation> {
        let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !digits {
            return None;
        }
        u128::from_str_radix(text, 16).ok().map(Incarnation)
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A member of the cluster. It has at least one role.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    /// Also its number in Raft.
    pub id: NodeId,
    /// The directory that runs under this id.
    pub incarnation: Incarnation,
    /// Present when it takes part in the metadata service.
    pub meta: Option<MetaRole>,
    /// Present when it holds points.
    pub data: Option<DataRole>,
    /// What operators say of it, like a zone.
    pub labels: BTreeMap<String, String>,
}

/// Where a meta node is reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MetaRole {
    /// `host:port` of the admin HTTP API (8091).
    pub http_addr: String,
    /// `host:port` of Raft.
    pub tcp_addr: String,
}

/// Where a data node is reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DataRole {
    /// `host:port` of the client API (8086).
    pub http_addr: String,
    /// `host:port` of the calls between nodes (8088).
    pub tcp_addr: String,
    /// A passive node coordinates writes and queries but is never chosen as an owner.
    pub passive: bool,
}

/// A database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// Never used again.
    pub id: DatabaseId,
    /// 1 to 255 bytes.
    pub name: Arc<str>,
    /// The policy for requests that name none. After it was dropped there is no policy of this name, until one is
    /// created again.
    pub default_policy: Option<Arc<str>>,
    /// In order of creation.
    pub policies: Vec<Arc<RetentionPolicy>>,
    /// In order of creation.
    pub continuous_queries: Vec<Arc<ContinuousQuery>>,
}

impl Database {
    /// The policy of this name.
    pub fn policy(&self, name: &str) -> Option<&Arc<RetentionPolicy>> {
        self.policies.iter().find(|policy| *policy.name == *name)
    }

    /// The policy for requests that name none.
    pub fn default_policy(&self) -> Option<&Arc<RetentionPolicy>> {
        self.policy(self.default_policy.as_deref()?)
    }
}

/// How long points are kept, in how many copies, in groups of which span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// 1 to 255 bytes.
    pub name: Arc<str>,
    /// How long points are kept; zero means for ever, else at least an hour.
    pub duration: Duration,
    /// The span of new shard groups; at least an hour.
    pub shard_group_duration: Duration,
    /// How many copies a point should have; a group gets as many owners as there are nodes. At least 1.
    pub replica_n: u32,
    /// Points further back than this are refused; zero means no limit.
    pub past_write_limit: Duration,
    /// Points further ahead than this are refused; zero means no limit.
    pub future_write_limit: Duration,
    /// By (writable end, start, id). Deleted ones stay for two weeks.
    pub groups: Arc<Vec<Arc<ShardGroup>>>,
    /// In order of creation.
    pub subscriptions: Vec<Arc<Subscription>>,
}

impl RetentionPolicy {
    /// How long points are kept; `None` is for ever.
    pub fn retains(&self) -> Option<Duration> {
        (!self.duration.is_zero()).then_some(self.duration)
    }
}

/// A span of time of one policy, cut into shards by series.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ShardGroup {
    /// Never used again.
    pub id: ShardGroupId,
    /// The span it was made for. A truncated group may hold points of all of it.
    pub range: TimeRange,
    /// When it was deleted. Its points are gone; the record stays for a while.
    pub deleted_at: Option<Timestamp>,
    /// Points from here on go to other groups. Within the range.
    pub truncated_at: Option<Timestamp>,
    /// How many shards it was cut into; a series belongs to slot `hash mod slot_count` for good. From 1 on.
    pub slot_count: u32,
    /// By slot. A dropped shard leaves its slot empty until the group is asked for again.
    pub shards: Vec<Shard>,
}

impl ShardGroup {
    /// Whether it is deleted.
    pub fn is_deleted(&self) -> bool {
        self.deleted_at.is_some()
    }

    /// The first instant after those whose new points belong here.
    pub fn writable_end(&self) -> Timestamp {
        self.truncated_at.unwrap_or(self.range.end())
    }

    /// Whether new points of this instant belong here.
    pub fn takes(&self, instant: Timestamp) -> bool {
        !self.is_deleted() && self.range.start() <= instant && instant < self.writable_end()
    }

    /// The shard of a series, by its canonical key. `None` when that shard was dropped: asking for the group again
    /// (`CreateShardGroups`) puts a new one in its place.
    pub fn shard_for_key(&self, series_key: &[u8]) -> Option<&Shard> {
        self.shard_at(self.slot_for_key(series_key))
    }

    /// The slot of a series, by its canonical key.
    pub fn slot_for_key(&self, series_key: &[u8]) -> u32 {
        let slot = stdx::fnv::fnv1a64(series_key) % u64::from(self.slot_count.max(1));
        u32::try_from(slot).expect("a remainder of a 32-bit number has 32 bits")
    }

    /// The shard in a slot.
    pub fn shard_at(&self, slot: u32) -> Option<&Shard> {
        let index = self.shards.binary_search_by_key(&slot, |shard| shard.slot).ok()?;
        Some(&self.shards[index])
    }

    /// When all its points are older than `policy` keeps them: the first instant after. `None` is never.
    pub fn expires_at(&self, policy: &RetentionPolicy) -> Option<Timestamp> {
        let keep = i64::try_from(policy.retains()?.as_nanos()).unwrap_or(i64::MAX);
        Some(Timestamp(self.range.end().0.saturating_add(keep)))
    }

    pub(crate) fn order(&self) -> (Timestamp, Timestamp, ShardGroupId) {
        (self.writable_end(), self.range.start(), self.id)
    }
}

/// The series of one group that share owners.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shard {
    /// Never used again.
    pub id: ShardId,
    /// Which of the group's slots it fills.
    pub slot: u32,
    /// The nodes that hold it, in order of preference. Empty when all of them were removed from the cluster.
    pub owners: Vec<Owner>,
}

impl Shard {
    /// Whether `node` is an owner, blank or not.
    pub fn is_owned_by(&self, node: NodeId) -> bool {
        self.owners.iter().any(|owner| owner.node == node)
    }
}

/// A node that holds a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// The node.
    pub node: NodeId,
    /// The directory that has the shard's points. When the node runs on another one by now it is blank: it takes writes
    /// and answers no read until it has been rebuilt.
    pub incarnation: Incarnation,
}

/// Where copies of incoming points are sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Subscription {
    /// Unique in its policy.
    pub name: String,
    /// To all or to any.
    pub mode: SubscriptionMode,
    /// URLs.
    pub destinations: Vec<String>,
}

/// Which destinations of a subscription get a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SubscriptionMode {
    /// Each one.
    All,
    /// One of them, in turn.
    Any,
}

/// A query that runs by itself at intervals.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ContinuousQuery {
    /// Unique in its database.
    pub name: String,
    /// The statement that made it.
    pub query: String,
}

/// Someone who may log in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct User {
    /// Unique.
    pub name: String,
    /// The password, hashed; tells its scheme.
    pub hash: String,
    /// May do everything.
    pub admin: bool,
    /// By database.
    pub privileges: BTreeMap<String, Privilege>,
    /// Given besides privileges.
    pub permissions: PermissionMap,
}

/// Permissions by database; under the empty name those for the cluster and all its databases. No set is empty.
pub type PermissionMap = BTreeMap<String, Permissions>;

/// Permissions that several users have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Role {
    /// Unique.
    pub name: String,
    /// What it gives.
    pub permissions: PermissionMap,
    /// Who has it, sorted.
    pub users: BTreeSet<String>,
}

/// What a user may do in a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Privilege {
    /// Nothing any more, but the grant is still listed.
    None,
    /// Queries.
    Read,
    /// Writes.
    Write,
    /// Both.
    All,
}

impl Privilege {
    /// As a set: bit 0 queries, bit 1 writes.
    pub fn bits(self) -> u8 {
        match self {
            Privilege::None => 0,
            Privilege::Read => 1,
            Privilege::Write => 2,
            Privilege::All => 3,
        }
    }

    /// The privilege that has these bits; `None` when others are set, too.
    pub fn from_bits(bits: u8) -> Option<Privilege> {
        Some(match bits {
            0 => Privilege::None,
            1 => Privilege::Read,
            2 => Privilege::Write,
            3 => Privilege::All,
            _ => return None,
        })
    }

    /// What is left of it without `other`.
    pub fn without(self, other: Privilege) -> Privilege {
        Privilege::from_bits(self.bits() & !other.bits()).expect("some of its own bits")
    }
}
