//! What can be asked of the metadata, and the answers.
//!
//! A command says what is wanted. What depends on the moment or on configuration (the time, randomness, limits) is
//! added by the leader as [`LeaderFacts`] and goes into the log with it, so that every node computes the same state.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use model::{NodeId, ShardGroupId, ShardId, Timestamp};

use crate::data::{Database, Incarnation, PermissionMap, Privilege, SubscriptionMode};
use crate::permission::Permission;
use crate::rule::Rule;

/// What the leader adds to a command before it enters the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaderFacts {
    /// The leader's clock.
    pub now: Timestamp,
    /// Sixty-four random bits.
    pub random: u64,
    /// `max-shard-groups-per-policy`: more live groups than this are refused. 0 means no limit.
    pub shard_groups_max: u32,
}

/// How many ids one [`Command::Recover`] leaves out at most.
pub(crate) const SKIPPED_IDS_MAX: u64 = 1 << 20;

/// How far above the ids that were given those of [`Command::BringDataNode`] may be: so many groups, and so many shards,
/// can come at once. A recovery leaves out more than that.
pub(crate) const BROUGHT_IDS_MAX: u64 = 1 << 14;

/// A change to the metadata. Repeating one that was carried out changes nothing and gives the same answer, except where
/// it says otherwise. Its `Debug` output has secrets: it is for tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Registers a directory as a meta node, or updates the addresses of the one that it is. A member of another
    /// incarnation that has one of these addresses loses its meta role. Answer: [`Reply::Node`].
    CreateMetaNode {
        /// The directory.
        incarnation: Incarnation,
        /// `host:port` of its admin API.
        http_addr: String,
        /// `host:port` of Raft.
        tcp_addr: String,
    },
    /// Registers a directory as a data node, or updates the addresses of the one that it is. A member of another
    /// incarnation that has this `tcp_addr` loses its data role, and with it its shards. Answer: [`Reply::Node`].
    CreateDataNode {
        /// The directory.
        incarnation: Incarnation,
        /// `host:port` of its client API.
        http_addr: String,
        /// `host:port` of the calls between nodes.
        tcp_addr: String,
        /// Never an owner.
        passive: bool,
    },
    /// Registers a directory that was a cluster by itself as a data node, with the databases that it holds: all of it, or
    /// nothing. Asked again when it is a member with them, it updates its addresses. Answer: [`Reply::Node`].
    BringDataNode {
        /// The cluster whose ids were looked at when new ones were chosen.
        cluster_id: u64,
        /// The directory.
        incarnation: Incarnation,
        /// `host:port` of its client API.
        http_addr: String,
        /// `host:port` of the calls between nodes.
        tcp_addr: String,
        /// Never an owner; it must not hold shards then.
        passive: bool,
        /// What it holds. Groups and shards have ids that were never given here; the ids and owners that stand in the
        /// records otherwise say nothing: all shards become this node's.
        databases: Vec<Arc<Database>>,
    },
    /// Changes the addresses of a meta node.
    UpdateMetaNode {
        /// Which one.
        id: NodeId,
        /// New admin address.
        http_addr: String,
        /// New Raft address.
        tcp_addr: String,
    },
    /// Changes the addresses of a data node, or puts another directory in its place. Ownership follows the id; with a
    /// new incarnation the node is blank for every shard.
    UpdateDataNode {
        /// Which one.
        id: NodeId,
        /// New client address.
        http_addr: String,
        /// New address for calls between nodes.
        tcp_addr: String,
        /// The directory that takes over; `None` keeps the present one.
        incarnation: Option<Incarnation>,
    },
    /// Takes the meta role from a node. The last meta node stays.
    DeleteMetaNode {
        /// Which one.
        id: NodeId,
    },
    /// Takes the data role and all shards from a node.
    DeleteDataNode {
        /// Which one.
        id: NodeId,
    },
    /// Creates a database.
    CreateDatabase {
        /// Its name.
        name: String,
        /// Its first policy, which becomes the default; `None` leaves it without.
        policy: Option<PolicySpec>,
        /// Whether the statement asked for `policy`. If so and the database exists, its default policy must agree with
        /// what was said; if not, any database of that name will do.
        explicit: bool,
    },
    /// Drops a database with all it holds.
    DropDatabase {
        /// Which one.
        name: String,
    },
    /// Creates a retention policy.
    CreateRetentionPolicy {
        /// In which database.
        database: String,
        /// What it is like.
        policy: PolicySpec,
        /// Whether it becomes the default.
        make_default: bool,
    },
    /// Changes what is named in `update`.
    AlterRetentionPolicy {
        /// In which database.
        database: String,
        /// Which one.
        name: String,
        /// What changes.
        update: PolicyUpdate,
    },
    /// Drops a retention policy with all it holds.
    DropRetentionPolicy {
        /// In which database.
        database: String,
        /// Which one.
        name: String,
    },
    /// Makes sure that there is a group, with all of its shards, for each of the instants. Answer:
    /// [`Reply::ShardGroups`], in their order.
    CreateShardGroups {
        /// In which database.
        database: String,
        /// In which policy.
        policy: String,
        /// One instant of each span that is needed.
        instants: Vec<Timestamp>,
    },
    /// Marks a group as deleted.
    DeleteShardGroup {
        /// In which database.
        database: String,
        /// In which policy.
        policy: String,
        /// Which one.
        group: ShardGroupId,
    },
    /// Drops a shard. A group without shards is deleted.
    DropShard {
        /// Which one.
        shard: ShardId,
    },
    /// Adds an owner that has the shard's points, as its directory is now.
    CopyShardOwner {
        /// Which shard.
        shard: ShardId,
        /// The new owner, or one that was blank.
        node: NodeId,
    },
    /// Removes an owner. A shard without owners is dropped.
    RemoveShardOwner {
        /// Which shard.
        shard: ShardId,
        /// Which owner.
        node: NodeId,
    },
    /// Ends every live group `delay` from the leader's now, so that later points go to new groups.
    TruncateShardGroups {
        /// From now.
        delay: Duration,
    },
    /// Deletes every group that its policy does not keep any more, and forgets groups that were deleted two weeks ago or
    /// earlier.
    ExpireShardGroups {
        /// The time that counts. The leader puts in what the clocks of the members agree on, whatever was asked with.
        now: Timestamp,
    },
    /// Forgets groups that were deleted two weeks ago or earlier.
    PruneShardGroups,
    /// Creates a continuous query. One of the same text (but for upper and lower case) is fine.
    CreateContinuousQuery {
        /// In which database.
        database: String,
        /// Its name.
        name: String,
        /// The whole statement.
        query: String,
    },
    /// Drops a continuous query.
    DropContinuousQuery {
        /// In which database.
        database: String,
        /// Which one.
        name: String,
    },
    /// Creates a subscription. Not repeatable: one that exists is refused.
    CreateSubscription {
        /// In which database.
        database: String,
        /// In which policy.
        policy: String,
        /// Its name.
        name: String,
        /// To all or to any.
        mode: SubscriptionMode,
        /// URLs.
        destinations: Vec<String>,
    },
    /// Drops a subscription. Not repeatable: one that is gone is not found.
    DropSubscription {
        /// In which database.
        database: String,
        /// In which policy.
        policy: String,
        /// Which one.
        name: String,
    },
    /// Creates a user. One with the same hash and the same rights is fine; that the same password was given is for the
    /// proposer to find out, who knows it.
    CreateUser {
        /// The name.
        name: String,
        /// The password, hashed.
        hash: String,
        /// May do everything.
        admin: bool,
    },
    /// Creates the administrator who is made by nobody. Refused when there is any other user, so that of two who ask
    /// at once one is told no.
    CreateFirstAdmin {
        /// The name.
        name: String,
        /// The password, hashed.
        hash: String,
    },
    /// Drops a user. Not repeatable: one that is gone is not found.
    DropUser {
        /// Who.
        name: String,
    },
    /// Gives a user another password.
    SetPassword {
        /// Who.
        name: String,
        /// The password, hashed.
        hash: String,
    },
    /// Makes a user an administrator, or one no more.
    SetAdmin {
        /// Who.
        name: String,
        /// May do everything.
        admin: bool,
    },
    /// Sets what a user may do in a database, whatever it was before.
    Grant {
        /// Who.
        user: String,
        /// Where.
        database: String,
        /// What.
        privilege: Privilege,
    },
    /// Takes from what a user may do in a database. The grant stays listed when nothing is left.
    Revoke {
        /// Who.
        user: String,
        /// Where.
        database: String,
        /// What.
        privilege: Privilege,
    },
    /// Gives a user permissions besides those that they have.
    AddPermissions {
        /// Who.
        user: String,
        /// What, and where.
        permissions: PermissionMap,
    },
    /// Takes permissions from a user. What privileges come to stays.
    RemovePermissions {
        /// Who.
        user: String,
        /// What, and where.
        permissions: PermissionMap,
    },
    /// Creates a role that gives nothing to nobody. Not repeatable: one that exists is refused.
    CreateRole {
        /// The name.
        name: String,
    },
    /// Drops a role, also from the grants that name it. Not repeatable: one that is gone is not found.
    DropRole {
        /// Which one.
        name: String,
    },
    /// Gives a role another name, also in the grants that name it. Not repeatable: the old name is not found.
    RenameRole {
        /// Which one.
        name: String,
        /// What it is called from now on.
        new_name: String,
    },
    /// Gives a role to users.
    AddRoleUsers {
        /// Which one.
        role: String,
        /// Who.
        users: Vec<String>,
    },
    /// Takes a role from users.
    RemoveRoleUsers {
        /// Which one.
        role: String,
        /// Who.
        users: Vec<String>,
    },
    /// Adds to the permissions of a role.
    AddRolePermissions {
        /// Which one.
        role: String,
        /// What, and where.
        permissions: PermissionMap,
    },
    /// Takes from the permissions of a role.
    RemoveRolePermissions {
        /// Which one.
        role: String,
        /// What, and where.
        permissions: PermissionMap,
    },
    /// Hides series from everybody but administrators. Repeated it makes another of the kind. Answer: [`Reply::Rule`].
    CreateRestriction {
        /// What is hidden.
        rule: Rule,
    },
    /// Lifts a restriction for all. Not repeatable: one that is gone is not found.
    DropRestriction {
        /// Which one.
        id: u64,
    },
    /// Lifts restrictions for some. Repeated it makes another of the kind. Answer: [`Reply::Rule`].
    CreateAccessGrant {
        /// What is shown.
        rule: Rule,
        /// To whom.
        users: Vec<String>,
        /// To whoever has one of these roles.
        roles: Vec<String>,
    },
    /// Takes a grant back. Not repeatable: one that is gone is not found.
    DropAccessGrant {
        /// Which one.
        id: u64,
    },
    /// Sets how users are looked up in a directory.
    SetDirectory {
        /// TOML that has been checked by the proposer; `None` forgets what was set.
        config: Option<String>,
    },
    /// Has every node forget what it remembers of the directory.
    PurgeDirectory,
    /// After a majority of the meta nodes was lost: takes the meta role from all but those that are left, and leaves out
    /// ids that the lost ones may have given by commands which nobody has heard of any more. Nodes, files and metadata may
    /// name them yet. Changes nothing when this or a later recovery was noted.
    Recover {
        /// Which recovery of the cluster it is; the first is 1.
        recovery: u64,
        /// Who is left. If none of them is a meta node, all stay.
        members: Vec<NodeId>,
        /// Ids of nodes to leave out; at most 2^20 are.
        nodes: u64,
        /// Of databases, shard groups, shards and rules; the same.
        others: u64,
    },
    /// Changes the labels of a member.
    ChangeLabels {
        /// Which one.
        node: NodeId,
        /// New or changed ones.
        set: BTreeMap<String, String>,
        /// Those to remove.
        remove: Vec<String>,
    },
}

impl Command {
    /// Whether carrying it out twice is as good as once, whatever others do in between: it names what exists once only,
    /// and it is not the opposite of another command.
    pub fn may_be_repeated(&self) -> bool {
        matches!(
            self,
            Command::CreateMetaNode { .. }
                | Command::CreateDataNode { .. }
                | Command::BringDataNode { .. }
                | Command::CreateShardGroups { .. }
                | Command::DeleteShardGroup { .. }
                | Command::PruneShardGroups
        )
    }
}

/// A retention policy that is to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicySpec {
    /// 1 to 255 bytes.
    pub name: String,
    /// How long points are kept; zero, or `None` when nothing was said, means for ever.
    pub duration: Option<Duration>,
    /// The span of a group; zero means by the rule, less than an hour means an hour.
    pub shard_group_duration: Duration,
    /// How many copies. `None` when nothing was said: one, and for the automatic policy of a new database as many as the
    /// number of data nodes suggests.
    pub replica_n: Option<u32>,
    /// Zero means no limit.
    pub past_write_limit: Duration,
    /// Zero means no limit.
    pub future_write_limit: Duration,
}

impl PolicySpec {
    /// The policy that a database gets when none is asked for: for ever, everything else by the rules.
    pub fn automatic() -> PolicySpec {
        PolicySpec {
            name: "autogen".to_owned(),
            duration: None,
            shard_group_duration: Duration::ZERO,
            replica_n: None,
            past_write_limit: Duration::ZERO,
            future_write_limit: Duration::ZERO,
        }
    }
}

/// What changes in a retention policy; `None` leaves it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyUpdate {
    /// Another name.
    pub name: Option<String>,
    /// How long points are kept; zero means for ever.
    pub duration: Option<Duration>,
    /// The span of new groups; zero means by the rule.
    pub shard_group_duration: Option<Duration>,
    /// How many copies new groups get.
    pub replica_n: Option<u32>,
    /// Zero means no limit.
    pub past_write_limit: Option<Duration>,
    /// Zero means no limit.
    pub future_write_limit: Option<Duration>,
    /// Whether it becomes the default; `false` leaves the default as it is.
    pub make_default: bool,
}

/// The answer to a command that was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Done.
    Done,
    /// The member that the directory is.
    Node(NodeId),
    /// The groups that take points of the instants asked for.
    ShardGroups(Vec<ShardGroupId>),
    /// The restriction or grant that was made.
    Rule(u64),
}

/// Why a command was refused. The texts are part of what clients see.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The address belongs to a member that keeps it.
    #[error("node already exists")]
    NodeExists,
    /// There is no such member, or it lacks the role.
    #[error("node not found")]
    NodeNotFound,
    /// Who is to come holds databases of names that are taken.
    #[error(
        "the cluster has databases that this data node holds as well: {0}; drop them on one of the two, or copy them to \
         databases of other names first, and add it again"
    )]
    DatabasesTaken(String),
    /// Ids that were chosen have been given to others meanwhile.
    #[error("ids were given to others meanwhile")]
    IdsTaken,
    /// What a node would bring along does not fit.
    #[error("{0}")]
    NotBrought(String),
    /// Owners are needed and there is no active data node.
    #[error("at least one node required")]
    NodesRequired,
    /// The cluster would lose its last meta node.
    #[error("unable to drop the final node in a cluster")]
    FinalNode,
    /// No such database.
    #[error("database not found: {0}")]
    DatabaseNotFound(String),
    /// The name has no byte, a slash, a control character, or is `.` or `..`.
    #[error("invalid name")]
    InvalidName,
    /// The name has more than 255 bytes.
    #[error("name too long")]
    NameTooLong,
    /// There is one with this name and other attributes.
    #[error("retention policy already exists")]
    PolicyExists,
    /// The new name is taken.
    #[error("retention policy name already exists")]
    PolicyNameExists,
    /// No such policy.
    #[error("retention policy not found: {0}")]
    PolicyNotFound(String),
    /// The database exists with another default policy.
    #[error("retention policy conflicts with an existing policy")]
    PolicyConflict,
    /// Neither zero nor an hour.
    #[error("retention policy duration must be at least 1h0m0s")]
    DurationTooShort,
    /// A group would span more time than points are kept.
    #[error("retention policy duration must be greater than the shard duration")]
    DurationBelowShardDuration,
    /// No copies at all.
    #[error("replication factor must be greater than 0")]
    ReplicationTooLow,
    /// There is one of this name with another text.
    #[error("continuous query already exists")]
    ContinuousQueryExists,
    /// There is one of this name.
    #[error("subscription already exists")]
    SubscriptionExists,
    /// No such subscription.
    #[error("subscription not found")]
    SubscriptionNotFound,
    /// A destination must be `udp`, `http` or `https` and have a port.
    #[error("invalid subscription URL: {0}")]
    SubscriptionUrl(String),
    /// There is one of this name with another password or other rights.
    #[error("user already exists")]
    UserExists,
    /// No such user.
    #[error("user not found")]
    UserNotFound,
    /// A user without a name.
    #[error("username required")]
    UsernameRequired,
    /// A user without a password.
    #[error("password or hash required")]
    PasswordRequired,
    /// There are users already: one of them, who proves it, creates others.
    #[error("there is a user already")]
    NotFirst,
    /// There is one of this name.
    #[error("role already exists")]
    RoleExists,
    /// No such role.
    #[error("role not found")]
    RoleNotFound,
    /// A role without a name.
    #[error("role name required")]
    RoleNameRequired,
    /// It is about the cluster as a whole.
    #[error("permission {0} cannot be given for one database")]
    ClusterPermission(Permission),
    /// No such restriction.
    #[error("restriction not found")]
    RestrictionNotFound,
    /// No such grant.
    #[error("grant not found")]
    AccessGrantNotFound,
    /// A restriction or grant that means nothing, or is too long.
    #[error("{0}")]
    RuleInvalid(String),
    /// There are as many restrictions and grants as there may be.
    #[error("too many restrictions and grants: the limit is {0}")]
    TooManyRules(u32),
    /// There are as many roles as there may be.
    #[error("too many roles: the limit is {0}")]
    TooManyRoles(u32),
    /// No such group.
    #[error("shard group not found")]
    ShardGroupNotFound,
    /// No such shard.
    #[error("shard not found")]
    ShardNotFound,
    /// The policy has as many live groups as it may have; the times of the points are probably wrong.
    #[error("max-shard-groups-per-policy limit exceeded: {database}.{policy} has {limit} shard groups")]
    ShardGroupLimit {
        /// In which database.
        database: String,
        /// In which policy.
        policy: String,
        /// The limit.
        limit: u32,
    },
}
