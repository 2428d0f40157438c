//! The cluster's metadata as a deterministic state machine.
//!
//! What members there are, which databases and retention policies exist, which shard group holds which span of time and
//! which nodes own its shards. Raft (crate `meta-node`) agrees on an order of [`Command`]s; [`Data::apply`] turns each
//! into a new state and an answer. Everything that reads metadata holds an `Arc<Data>`.
//!
//! In reading order: `data` (the records), `command` (what can be asked for), `apply` (what it does), `placement` (who
//! owns a new shard), `span` (which time a new group covers), `lookup` (reading), `permission`, `rule` and `rights` (who
//! may do what), `holdings` (what a node by itself can bring into a cluster), `validate` (what always holds), `codec` (bytes), `published` (the bytes of the reference), `digest` (one
//! number for a state), `history` (the last changes, for copies that follow), `version` (such a copy).
//!
//! Invariants
//! - The same log gives the same state on every node: no clock, no randomness, no unordered map. What depends on the
//!   moment comes with the entry, as [`LeaderFacts`].
//! - A command that is refused changes nothing.
//! - Ids grow and are never used again.

pub mod codec;
pub mod command;
pub mod data;
pub mod fuzzing;
pub mod permission;
pub mod placement;
pub mod published;
pub mod rule;

mod apply;
mod digest;
mod history;
mod holdings;
mod lookup;
mod rights;
mod shard_index;
mod span;
mod validate;
mod version;

pub use command::{Command, LeaderFacts, PolicySpec, PolicyUpdate, Rejection, Reply};
pub use data::{
    ContinuousQuery, Data, DataRole, Database, DatabaseId, Incarnation, MetaRole, Node, Owner, PermissionMap,
    Privilege, RetentionPolicy, Role, Shard, ShardGroup, Subscription, SubscriptionMode, User,
};
pub use digest::Digest;
pub use history::{Change, Changes, History, Known};
pub use holdings::{Holdings, Numbered};
pub use lookup::ShardPlace;
pub use permission::{Permission, Permissions};
pub use rights::{Rights, Who};
pub use rule::{Access, AccessGrant, Matcher, Restriction, Rule, RuleSet, TagRule};
pub use span::auto_shard_group_duration;
pub use validate::Violation;
pub use version::{NotApplied, Version};
