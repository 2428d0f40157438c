//! Commands, entries of the log (a command with the facts of its leader) and outcomes as bytes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use model::{MetaIndex, NodeId, ShardGroupId, ShardId, Timestamp};
use serde::{Deserialize, Serialize};

use super::rights::{PermissionBytes, RuleBytes, permission_bytes, permission_of, permissions_of, rule_bytes, rule_of};
use super::snapshot::{DatabaseBytes, database_bytes, database_of};
use super::{CodecError, from_bytes, halves, to_bytes, whole};
use crate::command::{Command, LeaderFacts, PolicySpec, PolicyUpdate, Rejection, Reply};
use crate::data::{Data, Incarnation, Privilege, SubscriptionMode};

/// Writes a command, to be sent to the leader.
pub fn encode_command(command: &Command) -> Vec<u8> {
    to_bytes(&command_bytes(command))
}

/// Reads what [`encode_command`] wrote.
///
/// # Errors
/// When it was written by a later release, or is damaged.
pub fn decode_command(bytes: &[u8]) -> Result<Command, CodecError> {
    command_of(from_bytes(bytes)?)
}

/// Writes an entry of the log.
pub fn encode_entry(facts: &LeaderFacts, command: &Command) -> Vec<u8> {
    to_bytes(&EntryBytes {
        now: facts.now.0,
        random: facts.random,
        shard_groups_max: facts.shard_groups_max,
        command: command_bytes(command),
    })
}

/// Reads what [`encode_entry`] wrote.
///
/// # Errors
/// When it was written by a later release, or is damaged.
pub fn decode_entry(bytes: &[u8]) -> Result<(LeaderFacts, Command), CodecError> {
    let entry: EntryBytes = from_bytes(bytes)?;
    let facts =
        LeaderFacts { now: Timestamp(entry.now), random: entry.random, shard_groups_max: entry.shard_groups_max };
    Ok((facts, command_of(entry.command)?))
}

/// Writes what a command came to, and the index of the metadata afterwards.
pub fn encode_outcome(outcome: &Result<Reply, Rejection>, index: MetaIndex) -> Vec<u8> {
    let outcome = match outcome {
        Ok(reply) => ResultBytes::Reply(reply_bytes(reply)),
        Err(rejection) => ResultBytes::Rejection(rejection_bytes(rejection)),
    };
    to_bytes(&OutcomeBytes { index: index.0, outcome })
}

/// Reads what [`encode_outcome`] wrote.
///
/// # Errors
/// When it was written by a later release, or is damaged.
pub fn decode_outcome(bytes: &[u8]) -> Result<(Result<Reply, Rejection>, MetaIndex), CodecError> {
    let bytes: OutcomeBytes = from_bytes(bytes)?;
    let outcome = match bytes.outcome {
        ResultBytes::Reply(reply) => Ok(reply_of(reply)),
        ResultBytes::Rejection(rejection) => Err(rejection_of(rejection)?),
    };
    Ok((outcome, MetaIndex(bytes.index)))
}

#[derive(Serialize, Deserialize)]
struct EntryBytes {
    now: i64,
    random: u64,
    shard_groups_max: u32,
    command: CommandBytes,
}

#[derive(Serialize, Deserialize)]
struct OutcomeBytes {
    index: u64,
    outcome: ResultBytes,
}

#[derive(Serialize, Deserialize)]
enum ResultBytes {
    Reply(ReplyBytes),
    Rejection(RejectionBytes),
}

#[derive(Serialize, Deserialize)]
enum CommandBytes {
    CreateMetaNode { incarnation: (u64, u64), http_addr: String, tcp_addr: String },
    CreateDataNode { incarnation: (u64, u64), http_addr: String, tcp_addr: String, passive: bool },
    BringDataNode(BringBytes),
    UpdateMetaNode { id: u64, http_addr: String, tcp_addr: String },
    UpdateDataNode { id: u64, http_addr: String, tcp_addr: String, incarnation: Option<(u64, u64)> },
    DeleteMetaNode { id: u64 },
    DeleteDataNode { id: u64 },
    CreateDatabase { name: String, policy: Option<SpecBytes>, explicit: bool },
    DropDatabase { name: String },
    CreateRetentionPolicy { database: String, policy: SpecBytes, make_default: bool },
    AlterRetentionPolicy { database: String, name: String, update: UpdateBytes },
    DropRetentionPolicy { database: String, name: String },
    CreateShardGroups { database: String, policy: String, instants: Vec<i64> },
    DeleteShardGroup { database: String, policy: String, group: u64 },
    DropShard { shard: u64 },
    CopyShardOwner { shard: u64, node: u64 },
    RemoveShardOwner { shard: u64, node: u64 },
    TruncateShardGroups { delay: Duration },
    ExpireShardGroups { now: i64 },
    PruneShardGroups {},
    CreateContinuousQuery { database: String, name: String, query: String },
    DropContinuousQuery { database: String, name: String },
    CreateSubscription { database: String, policy: String, name: String, mode: ModeBytes, destinations: Vec<String> },
    DropSubscription { database: String, policy: String, name: String },
    CreateUser { name: String, hash: String, admin: bool },
    CreateFirstAdmin { name: String, hash: String },
    DropUser { name: String },
    SetPassword { name: String, hash: String },
    SetAdmin { name: String, admin: bool },
    Grant { user: String, database: String, privilege: PrivilegeBytes },
    Revoke { user: String, database: String, privilege: PrivilegeBytes },
    AddPermissions { user: String, permissions: PermissionBytes },
    RemovePermissions { user: String, permissions: PermissionBytes },
    CreateRole { name: String },
    DropRole { name: String },
    RenameRole { name: String, new_name: String },
    AddRoleUsers { role: String, users: Vec<String> },
    RemoveRoleUsers { role: String, users: Vec<String> },
    AddRolePermissions { role: String, permissions: PermissionBytes },
    RemoveRolePermissions { role: String, permissions: PermissionBytes },
    CreateRestriction { rule: RuleBytes },
    DropRestriction { id: u64 },
    CreateAccessGrant { rule: RuleBytes, users: Vec<String>, roles: Vec<String> },
    DropAccessGrant { id: u64 },
    SetDirectory { config: Option<String> },
    PurgeDirectory {},
    Recover { recovery: u64, members: Vec<u64>, nodes: u64, others: u64 },
    ChangeLabels { node: u64, set: BTreeMap<String, String>, remove: Vec<String> },
}

#[derive(Serialize, Deserialize)]
struct BringBytes {
    cluster_id: u64,
    incarnation: (u64, u64),
    http_addr: String,
    tcp_addr: String,
    passive: bool,
    databases: Vec<DatabaseBytes>,
}

#[derive(Serialize, Deserialize)]
enum ModeBytes {
    All,
    Any,
}

#[derive(Serialize, Deserialize)]
enum PrivilegeBytes {
    None,
    Read,
    Write,
    All,
}

#[derive(Serialize, Deserialize)]
struct SpecBytes {
    name: String,
    duration: Option<Duration>,
    shard_group_duration: Duration,
    replica_n: Option<u32>,
    #[serde(default)]
    past_write_limit: Duration,
    #[serde(default)]
    future_write_limit: Duration,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct UpdateBytes {
    name: Option<String>,
    duration: Option<Duration>,
    shard_group_duration: Option<Duration>,
    replica_n: Option<u32>,
    past_write_limit: Option<Duration>,
    future_write_limit: Option<Duration>,
    make_default: bool,
}

#[derive(Serialize, Deserialize)]
enum ReplyBytes {
    Done {},
    Node { id: u64 },
    ShardGroups { ids: Vec<u64> },
    Rule { id: u64 },
}

#[derive(Serialize, Deserialize)]
enum RejectionBytes {
    NodeExists {},
    NodeNotFound {},
    NodesRequired {},
    FinalNode {},
    DatabasesTaken { names: String },
    IdsTaken {},
    NotBrought { text: String },
    DatabaseNotFound { name: String },
    InvalidName {},
    NameTooLong {},
    PolicyExists {},
    PolicyNameExists {},
    PolicyNotFound { name: String },
    PolicyConflict {},
    DurationTooShort {},
    DurationBelowShardDuration {},
    ReplicationTooLow {},
    ContinuousQueryExists {},
    SubscriptionExists {},
    SubscriptionNotFound {},
    UserExists {},
    UserNotFound {},
    UsernameRequired {},
    PasswordRequired {},
    NotFirst {},
    RoleExists {},
    RoleNotFound {},
    RoleNameRequired {},
    ClusterPermission { number: u32 },
    RestrictionNotFound {},
    AccessGrantNotFound {},
    RuleInvalid { text: String },
    TooManyRules { limit: u32 },
    TooManyRoles { limit: u32 },
    SubscriptionUrl { url: String },
    ShardGroupNotFound {},
    ShardNotFound {},
    ShardGroupLimit { database: String, policy: String, limit: u32 },
}

fn command_bytes(command: &Command) -> CommandBytes {
    match command.clone() {
        Command::CreateMetaNode { incarnation, http_addr, tcp_addr } => {
            CommandBytes::CreateMetaNode { incarnation: halves(incarnation.0), http_addr, tcp_addr }
        }
        Command::CreateDataNode { incarnation, http_addr, tcp_addr, passive } => {
            CommandBytes::CreateDataNode { incarnation: halves(incarnation.0), http_addr, tcp_addr, passive }
        }
        Command::BringDataNode { cluster_id, incarnation, http_addr, tcp_addr, passive, databases } => {
            // Owners are written with their incarnations: of the nodes that they name nothing is known here.
            let (incarnation, nobody) = (halves(incarnation.0), Data::default());
            let databases = databases.iter().map(|database| database_bytes(&nobody, database)).collect();
            CommandBytes::BringDataNode(BringBytes { cluster_id, incarnation, http_addr, tcp_addr, passive, databases })
        }
        Command::UpdateMetaNode { id, http_addr, tcp_addr } => {
            CommandBytes::UpdateMetaNode { id: id.0, http_addr, tcp_addr }
        }
        Command::UpdateDataNode { id, http_addr, tcp_addr, incarnation } => {
            let incarnation = incarnation.map(|incarnation| halves(incarnation.0));
            CommandBytes::UpdateDataNode { id: id.0, http_addr, tcp_addr, incarnation }
        }
        Command::DeleteMetaNode { id } => CommandBytes::DeleteMetaNode { id: id.0 },
        Command::DeleteDataNode { id } => CommandBytes::DeleteDataNode { id: id.0 },
        Command::CreateDatabase { name, policy, explicit } => {
            CommandBytes::CreateDatabase { name, policy: policy.map(spec_bytes), explicit }
        }
        Command::DropDatabase { name } => CommandBytes::DropDatabase { name },
        Command::CreateRetentionPolicy { database, policy, make_default } => {
            CommandBytes::CreateRetentionPolicy { database, policy: spec_bytes(policy), make_default }
        }
        Command::AlterRetentionPolicy { database, name, update } => {
            CommandBytes::AlterRetentionPolicy { database, name, update: update_bytes(update) }
        }
        Command::DropRetentionPolicy { database, name } => CommandBytes::DropRetentionPolicy { database, name },
        Command::CreateShardGroups { database, policy, instants } => {
            let instants = instants.into_iter().map(|instant| instant.0).collect();
            CommandBytes::CreateShardGroups { database, policy, instants }
        }
        Command::DeleteShardGroup { database, policy, group } => {
            CommandBytes::DeleteShardGroup { database, policy, group: group.0 }
        }
        Command::DropShard { shard } => CommandBytes::DropShard { shard: shard.0 },
        Command::CopyShardOwner { shard, node } => CommandBytes::CopyShardOwner { shard: shard.0, node: node.0 },
        Command::RemoveShardOwner { shard, node } => CommandBytes::RemoveShardOwner { shard: shard.0, node: node.0 },
        Command::TruncateShardGroups { delay } => CommandBytes::TruncateShardGroups { delay },
        Command::ExpireShardGroups { now } => CommandBytes::ExpireShardGroups { now: now.0 },
        Command::PruneShardGroups => CommandBytes::PruneShardGroups {},
        Command::CreateContinuousQuery { database, name, query } => {
            CommandBytes::CreateContinuousQuery { database, name, query }
        }
        Command::DropContinuousQuery { database, name } => CommandBytes::DropContinuousQuery { database, name },
        Command::DropSubscription { database, policy, name } => {
            CommandBytes::DropSubscription { database, policy, name }
        }
        Command::CreateUser { name, hash, admin } => CommandBytes::CreateUser { name, hash, admin },
        Command::DropUser { name } => CommandBytes::DropUser { name },
        Command::SetPassword { name, hash } => CommandBytes::SetPassword { name, hash },
        Command::SetAdmin { name, admin } => CommandBytes::SetAdmin { name, admin },
        Command::CreateSubscription { database, policy, name, mode, destinations } => {
            let mode = match mode {
                SubscriptionMode::All => ModeBytes::All,
                SubscriptionMode::Any => ModeBytes::Any,
            };
            CommandBytes::CreateSubscription { database, policy, name, mode, destinations }
        }
        Command::Grant { user, database, privilege } => {
            CommandBytes::Grant { user, database, privilege: privilege_bytes(privilege) }
        }
        Command::Revoke { user, database, privilege } => {
            CommandBytes::Revoke { user, database, privilege: privilege_bytes(privilege) }
        }
        Command::CreateFirstAdmin { name, hash } => CommandBytes::CreateFirstAdmin { name, hash },
        Command::AddPermissions { user, permissions } => {
            CommandBytes::AddPermissions { user, permissions: permission_bytes(&permissions) }
        }
        Command::RemovePermissions { user, permissions } => {
            CommandBytes::RemovePermissions { user, permissions: permission_bytes(&permissions) }
        }
        Command::CreateRole { name } => CommandBytes::CreateRole { name },
        Command::DropRole { name } => CommandBytes::DropRole { name },
        Command::RenameRole { name, new_name } => CommandBytes::RenameRole { name, new_name },
        Command::AddRoleUsers { role, users } => CommandBytes::AddRoleUsers { role, users },
        Command::RemoveRoleUsers { role, users } => CommandBytes::RemoveRoleUsers { role, users },
        Command::AddRolePermissions { role, permissions } => {
            CommandBytes::AddRolePermissions { role, permissions: permission_bytes(&permissions) }
        }
        Command::RemoveRolePermissions { role, permissions } => {
            CommandBytes::RemoveRolePermissions { role, permissions: permission_bytes(&permissions) }
        }
        Command::CreateRestriction { rule } => CommandBytes::CreateRestriction { rule: rule_bytes(&rule) },
        Command::DropRestriction { id } => CommandBytes::DropRestriction { id },
        Command::CreateAccessGrant { rule, users, roles } => {
            CommandBytes::CreateAccessGrant { rule: rule_bytes(&rule), users, roles }
        }
        Command::DropAccessGrant { id } => CommandBytes::DropAccessGrant { id },
        Command::SetDirectory { config } => CommandBytes::SetDirectory { config },
        Command::PurgeDirectory => CommandBytes::PurgeDirectory {},
        Command::Recover { recovery, members, nodes, others } => {
            CommandBytes::Recover { recovery, members: members.into_iter().map(|id| id.0).collect(), nodes, others }
        }
        Command::ChangeLabels { node, set, remove } => CommandBytes::ChangeLabels { node: node.0, set, remove },
    }
}

fn command_of(bytes: CommandBytes) -> Result<Command, CodecError> {
    Ok(match bytes {
        CommandBytes::CreateMetaNode { incarnation, http_addr, tcp_addr } => {
            Command::CreateMetaNode { incarnation: Incarnation(whole(incarnation)), http_addr, tcp_addr }
        }
        CommandBytes::CreateDataNode { incarnation, http_addr, tcp_addr, passive } => {
            Command::CreateDataNode { incarnation: Incarnation(whole(incarnation)), http_addr, tcp_addr, passive }
        }
        CommandBytes::BringDataNode(BringBytes {
            cluster_id,
            incarnation,
            http_addr,
            tcp_addr,
            passive,
            databases,
        }) => {
            let databases = databases.into_iter().map(|database| database_of(&[], database).map(Arc::new));
            let (incarnation, databases) = (Incarnation(whole(incarnation)), databases.collect::<Result<_, _>>()?);
            Command::BringDataNode { cluster_id, incarnation, http_addr, tcp_addr, passive, databases }
        }
        CommandBytes::UpdateMetaNode { id, http_addr, tcp_addr } => {
            Command::UpdateMetaNode { id: NodeId(id), http_addr, tcp_addr }
        }
        CommandBytes::UpdateDataNode { id, http_addr, tcp_addr, incarnation } => {
            let incarnation = incarnation.map(|halves| Incarnation(whole(halves)));
            Command::UpdateDataNode { id: NodeId(id), http_addr, tcp_addr, incarnation }
        }
        CommandBytes::DeleteMetaNode { id } => Command::DeleteMetaNode { id: NodeId(id) },
        CommandBytes::DeleteDataNode { id } => Command::DeleteDataNode { id: NodeId(id) },
        CommandBytes::CreateDatabase { name, policy, explicit } => {
            Command::CreateDatabase { name, policy: policy.map(spec_of), explicit }
        }
        CommandBytes::DropDatabase { name } => Command::DropDatabase { name },
        CommandBytes::CreateRetentionPolicy { database, policy, make_default } => {
            Command::CreateRetentionPolicy { database, policy: spec_of(policy), make_default }
        }
        CommandBytes::AlterRetentionPolicy { database, name, update } => {
            Command::AlterRetentionPolicy { database, name, update: update_of(update) }
        }
        CommandBytes::DropRetentionPolicy { database, name } => Command::DropRetentionPolicy { database, name },
        CommandBytes::CreateShardGroups { database, policy, instants } => {
            let instants = instants.into_iter().map(Timestamp).collect();
            Command::CreateShardGroups { database, policy, instants }
        }
        CommandBytes::DeleteShardGroup { database, policy, group } => {
            Command::DeleteShardGroup { database, policy, group: ShardGroupId(group) }
        }
        CommandBytes::DropShard { shard } => Command::DropShard { shard: ShardId(shard) },
        CommandBytes::CopyShardOwner { shard, node } => {
            Command::CopyShardOwner { shard: ShardId(shard), node: NodeId(node) }
        }
        CommandBytes::RemoveShardOwner { shard, node } => {
            Command::RemoveShardOwner { shard: ShardId(shard), node: NodeId(node) }
        }
        CommandBytes::TruncateShardGroups { delay } => Command::TruncateShardGroups { delay },
        CommandBytes::ExpireShardGroups { now } => Command::ExpireShardGroups { now: Timestamp(now) },
        CommandBytes::PruneShardGroups {} => Command::PruneShardGroups,
        CommandBytes::CreateContinuousQuery { database, name, query } => {
            Command::CreateContinuousQuery { database, name, query }
        }
        CommandBytes::DropContinuousQuery { database, name } => Command::DropContinuousQuery { database, name },
        CommandBytes::DropSubscription { database, policy, name } => {
            Command::DropSubscription { database, policy, name }
        }
        CommandBytes::CreateUser { name, hash, admin } => Command::CreateUser { name, hash, admin },
        CommandBytes::DropUser { name } => Command::DropUser { name },
        CommandBytes::SetPassword { name, hash } => Command::SetPassword { name, hash },
        CommandBytes::SetAdmin { name, admin } => Command::SetAdmin { name, admin },
        CommandBytes::CreateSubscription { database, policy, name, mode, destinations } => {
            let mode = match mode {
                ModeBytes::All => SubscriptionMode::All,
                ModeBytes::Any => SubscriptionMode::Any,
            };
            Command::CreateSubscription { database, policy, name, mode, destinations }
        }
        CommandBytes::Grant { user, database, privilege } => {
            Command::Grant { user, database, privilege: privilege_of(privilege) }
        }
        CommandBytes::Revoke { user, database, privilege } => {
            Command::Revoke { user, database, privilege: privilege_of(privilege) }
        }
        CommandBytes::CreateFirstAdmin { name, hash } => Command::CreateFirstAdmin { name, hash },
        CommandBytes::AddPermissions { user, permissions } => {
            Command::AddPermissions { user, permissions: permissions_of(permissions)? }
        }
        CommandBytes::RemovePermissions { user, permissions } => {
            Command::RemovePermissions { user, permissions: permissions_of(permissions)? }
        }
        CommandBytes::CreateRole { name } => Command::CreateRole { name },
        CommandBytes::DropRole { name } => Command::DropRole { name },
        CommandBytes::RenameRole { name, new_name } => Command::RenameRole { name, new_name },
        CommandBytes::AddRoleUsers { role, users } => Command::AddRoleUsers { role, users },
        CommandBytes::RemoveRoleUsers { role, users } => Command::RemoveRoleUsers { role, users },
        CommandBytes::AddRolePermissions { role, permissions } => {
            Command::AddRolePermissions { role, permissions: permissions_of(permissions)? }
        }
        CommandBytes::RemoveRolePermissions { role, permissions } => {
            Command::RemoveRolePermissions { role, permissions: permissions_of(permissions)? }
        }
        CommandBytes::CreateRestriction { rule } => Command::CreateRestriction { rule: rule_of(rule) },
        CommandBytes::DropRestriction { id } => Command::DropRestriction { id },
        CommandBytes::CreateAccessGrant { rule, users, roles } => {
            Command::CreateAccessGrant { rule: rule_of(rule), users, roles }
        }
        CommandBytes::DropAccessGrant { id } => Command::DropAccessGrant { id },
        CommandBytes::SetDirectory { config } => Command::SetDirectory { config },
        CommandBytes::PurgeDirectory {} => Command::PurgeDirectory,
        CommandBytes::Recover { recovery, members, nodes, others } => {
            Command::Recover { recovery, members: members.into_iter().map(NodeId).collect(), nodes, others }
        }
        CommandBytes::ChangeLabels { node, set, remove } => Command::ChangeLabels { node: NodeId(node), set, remove },
    })
}

fn privilege_bytes(privilege: Privilege) -> PrivilegeBytes {
    match privilege {
        Privilege::None => PrivilegeBytes::None,
        Privilege::Read => PrivilegeBytes::Read,
        Privilege::Write => PrivilegeBytes::Write,
        Privilege::All => PrivilegeBytes::All,
    }
}

fn privilege_of(bytes: PrivilegeBytes) -> Privilege {
    match bytes {
        PrivilegeBytes::None => Privilege::None,
        PrivilegeBytes::Read => Privilege::Read,
        PrivilegeBytes::Write => Privilege::Write,
        PrivilegeBytes::All => Privilege::All,
    }
}

fn spec_bytes(spec: PolicySpec) -> SpecBytes {
    SpecBytes {
        name: spec.name,
        duration: spec.duration,
        shard_group_duration: spec.shard_group_duration,
        replica_n: spec.replica_n,
        past_write_limit: spec.past_write_limit,
        future_write_limit: spec.future_write_limit,
    }
}

fn spec_of(bytes: SpecBytes) -> PolicySpec {
    PolicySpec {
        name: bytes.name,
        duration: bytes.duration,
        shard_group_duration: bytes.shard_group_duration,
        replica_n: bytes.replica_n,
        past_write_limit: bytes.past_write_limit,
        future_write_limit: bytes.future_write_limit,
    }
}

fn update_bytes(update: PolicyUpdate) -> UpdateBytes {
    UpdateBytes {
        name: update.name,
        duration: update.duration,
        shard_group_duration: update.shard_group_duration,
        replica_n: update.replica_n,
        past_write_limit: update.past_write_limit,
        future_write_limit: update.future_write_limit,
        make_default: update.make_default,
    }
}

fn update_of(bytes: UpdateBytes) -> PolicyUpdate {
    PolicyUpdate {
        name: bytes.name,
        duration: bytes.duration,
        shard_group_duration: bytes.shard_group_duration,
        replica_n: bytes.replica_n,
        past_write_limit: bytes.past_write_limit,
        future_write_limit: bytes.future_write_limit,
        make_default: bytes.make_default,
    }
}

fn reply_bytes(reply: &Reply) -> ReplyBytes {
    match reply {
        Reply::Done => ReplyBytes::Done {},
        Reply::Node(id) => ReplyBytes::Node { id: id.0 },
        Reply::Rule(id) => ReplyBytes::Rule { id: *id },
        Reply::ShardGroups(ids) => ReplyBytes::ShardGroups { ids: ids.iter().map(|id| id.0).collect() },
    }
}

fn reply_of(bytes: ReplyBytes) -> Reply {
    match bytes {
        ReplyBytes::Done {} => Reply::Done,
        ReplyBytes::Node { id } => Reply::Node(NodeId(id)),
        ReplyBytes::Rule { id } => Reply::Rule(id),
        ReplyBytes::ShardGroups { ids } => Reply::ShardGroups(ids.into_iter().map(ShardGroupId).collect()),
    }
}

fn rejection_bytes(rejection: &Rejection) -> RejectionBytes {
    match rejection.clone() {
        Rejection::NodeExists => RejectionBytes::NodeExists {},
        Rejection::NodeNotFound => RejectionBytes::NodeNotFound {},
        Rejection::NodesRequired => RejectionBytes::NodesRequired {},
        Rejection::FinalNode => RejectionBytes::FinalNode {},
        Rejection::DatabasesTaken(names) => RejectionBytes::DatabasesTaken { names },
        Rejection::IdsTaken => RejectionBytes::IdsTaken {},
        Rejection::NotBrought(text) => RejectionBytes::NotBrought { text },
        Rejection::DatabaseNotFound(name) => RejectionBytes::DatabaseNotFound { name },
        Rejection::InvalidName => RejectionBytes::InvalidName {},
        Rejection::NameTooLong => RejectionBytes::NameTooLong {},
        Rejection::PolicyExists => RejectionBytes::PolicyExists {},
        Rejection::PolicyNameExists => RejectionBytes::PolicyNameExists {},
        Rejection::PolicyNotFound(name) => RejectionBytes::PolicyNotFound { name },
        Rejection::PolicyConflict => RejectionBytes::PolicyConflict {},
        Rejection::DurationTooShort => RejectionBytes::DurationTooShort {},
        Rejection::DurationBelowShardDuration => RejectionBytes::DurationBelowShardDuration {},
        Rejection::ReplicationTooLow => RejectionBytes::ReplicationTooLow {},
        Rejection::ContinuousQueryExists => RejectionBytes::ContinuousQueryExists {},
        Rejection::SubscriptionExists => RejectionBytes::SubscriptionExists {},
        Rejection::SubscriptionNotFound => RejectionBytes::SubscriptionNotFound {},
        Rejection::UserExists => RejectionBytes::UserExists {},
        Rejection::UserNotFound => RejectionBytes::UserNotFound {},
        Rejection::UsernameRequired => RejectionBytes::UsernameRequired {},
        Rejection::PasswordRequired => RejectionBytes::PasswordRequired {},
        Rejection::SubscriptionUrl(url) => RejectionBytes::SubscriptionUrl { url },
        Rejection::NotFirst => RejectionBytes::NotFirst {},
        Rejection::RoleExists => RejectionBytes::RoleExists {},
        Rejection::RoleNotFound => RejectionBytes::RoleNotFound {},
        Rejection::RoleNameRequired => RejectionBytes::RoleNameRequired {},
        Rejection::RestrictionNotFound => RejectionBytes::RestrictionNotFound {},
        Rejection::AccessGrantNotFound => RejectionBytes::AccessGrantNotFound {},
        Rejection::ClusterPermission(permission) => RejectionBytes::ClusterPermission { number: permission as u32 },
        Rejection::RuleInvalid(text) => RejectionBytes::RuleInvalid { text },
        Rejection::TooManyRules(limit) => RejectionBytes::TooManyRules { limit },
        Rejection::TooManyRoles(limit) => RejectionBytes::TooManyRoles { limit },
        Rejection::ShardGroupNotFound => RejectionBytes::ShardGroupNotFound {},
        Rejection::ShardNotFound => RejectionBytes::ShardNotFound {},
        Rejection::ShardGroupLimit { database, policy, limit } => {
            RejectionBytes::ShardGroupLimit { database, policy, limit }
        }
    }
}

fn rejection_of(bytes: RejectionBytes) -> Result<Rejection, CodecError> {
    Ok(match bytes {
        RejectionBytes::NodeExists {} => Rejection::NodeExists,
        RejectionBytes::NodeNotFound {} => Rejection::NodeNotFound,
        RejectionBytes::NodesRequired {} => Rejection::NodesRequired,
        RejectionBytes::FinalNode {} => Rejection::FinalNode,
        RejectionBytes::DatabasesTaken { names } => Rejection::DatabasesTaken(names),
        RejectionBytes::IdsTaken {} => Rejection::IdsTaken,
        RejectionBytes::NotBrought { text } => Rejection::NotBrought(text),
        RejectionBytes::DatabaseNotFound { name } => Rejection::DatabaseNotFound(name),
        RejectionBytes::InvalidName {} => Rejection::InvalidName,
        RejectionBytes::NameTooLong {} => Rejection::NameTooLong,
        RejectionBytes::PolicyExists {} => Rejection::PolicyExists,
        RejectionBytes::PolicyNameExists {} => Rejection::PolicyNameExists,
        RejectionBytes::PolicyNotFound { name } => Rejection::PolicyNotFound(name),
        RejectionBytes::PolicyConflict {} => Rejection::PolicyConflict,
        RejectionBytes::DurationTooShort {} => Rejection::DurationTooShort,
        RejectionBytes::DurationBelowShardDuration {} => Rejection::DurationBelowShardDuration,
        RejectionBytes::ReplicationTooLow {} => Rejection::ReplicationTooLow,
        RejectionBytes::ContinuousQueryExists {} => Rejection::ContinuousQueryExists,
        RejectionBytes::SubscriptionExists {} => Rejection::SubscriptionExists,
        RejectionBytes::SubscriptionNotFound {} => Rejection::SubscriptionNotFound,
        RejectionBytes::UserExists {} => Rejection::UserExists,
        RejectionBytes::UserNotFound {} => Rejection::UserNotFound,
        RejectionBytes::UsernameRequired {} => Rejection::UsernameRequired,
        RejectionBytes::PasswordRequired {} => Rejection::PasswordRequired,
        RejectionBytes::SubscriptionUrl { url } => Rejection::SubscriptionUrl(url),
        RejectionBytes::NotFirst {} => Rejection::NotFirst,
        RejectionBytes::RoleExists {} => Rejection::RoleExists,
        RejectionBytes::RoleNotFound {} => Rejection::RoleNotFound,
        RejectionBytes::RoleNameRequired {} => Rejection::RoleNameRequired,
        RejectionBytes::RestrictionNotFound {} => Rejection::RestrictionNotFound,
        RejectionBytes::AccessGrantNotFound {} => Rejection::AccessGrantNotFound,
        RejectionBytes::ClusterPermission { number } => Rejection::ClusterPermission(permission_of(number)?),
        RejectionBytes::RuleInvalid { text } => Rejection::RuleInvalid(text),
        RejectionBytes::TooManyRules { limit } => Rejection::TooManyRules(limit),
        RejectionBytes::TooManyRoles { limit } => Rejection::TooManyRoles(limit),
        RejectionBytes::ShardGroupNotFound {} => Rejection::ShardGroupNotFound,
        RejectionBytes::ShardNotFound {} => Rejection::ShardNotFound,
        RejectionBytes::ShardGroupLimit { database, policy, limit } => {
            Rejection::ShardGroupLimit { database, policy, limit }
        }
    })
}
