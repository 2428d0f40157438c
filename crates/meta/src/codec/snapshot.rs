//! The whole metadata as bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use model::{MetaIndex, NodeId, ShardGroupId, ShardId, TimeRange, Timestamp};
use serde::{Deserialize, Serialize};

use super::rights::{PermissionBytes, RuleBytes, permission_bytes, permissions_of, rule_bytes, rule_of};
use super::{CodecError, from_bytes, halves, to_bytes, whole};
use crate::data::{
    ContinuousQuery, Data, DataRole, Database, DatabaseId, Incarnation, MetaRole, Node, Owner, Privilege,
    RetentionPolicy, Role, Shard, ShardGroup, Subscription, SubscriptionMode, User,
};
use crate::rule::{AccessGrant, Restriction};

/// Writes the whole metadata. About 60 bytes a shard.
pub fn encode_snapshot(data: &Data) -> Vec<u8> {
    to_bytes(&SnapshotBytes {
        cluster_id: data.cluster_id,
        index: data.index.0,
        node_id_max: data.node_id_max.0,
        database_id_max: data.database_id_max.0,
        shard_group_id_max: data.shard_group_id_max.0,
        shard_id_max: data.shard_id_max.0,
        nodes: data.nodes.iter().map(|node| node_bytes(node)).collect(),
        databases: data.databases.iter().map(|database| database_bytes(data, database)).collect(),
        users: data.users.iter().map(|user| user_bytes(user)).collect(),
        roles: data.roles.iter().map(|role| role_bytes(role)).collect(),
        rule_id_max: data.rule_id_max,
        restrictions: data.restrictions.iter().map(|found| restriction_bytes(found)).collect(),
        access_grants: data.access_grants.iter().map(|grant| access_grant_bytes(grant)).collect(),
        directory: data.directory.as_deref().map(str::to_owned),
        directory_index: data.directory_index.0,
        recoveries: data.recoveries,
    })
}

/// Reads what [`encode_snapshot`] wrote, and checks that it holds together.
///
/// # Errors
/// When it was written by a later release, or is damaged.
pub fn decode_snapshot(bytes: &[u8]) -> Result<Data, CodecError> {
    let bytes: SnapshotBytes = from_bytes(bytes)?;
    let nodes: Vec<_> = bytes.nodes.into_iter().map(|node| Arc::new(node_of(node))).collect();
    let databases = bytes.databases.into_iter().map(|database| database_of(&nodes, database).map(Arc::new));
    let databases = databases.collect::<Result<Vec<_>, _>>()?;
    let names = databases.iter().map(|database| (Arc::clone(&database.name), database.id));
    let mut data = Data {
        cluster_id: bytes.cluster_id,
        index: MetaIndex(bytes.index),
        database_names: Arc::new(names.collect()),
        users: Arc::new(bytes.users.into_iter().map(|user| user_of(user).map(Arc::new)).collect::<Result<_, _>>()?),
        roles: Arc::new(bytes.roles.into_iter().map(|role| role_of(role).map(Arc::new)).collect::<Result<_, _>>()?),
        rule_id_max: bytes.rule_id_max,
        restrictions: Arc::new(bytes.restrictions.into_iter().map(restriction_of).collect()),
        access_grants: Arc::new(bytes.access_grants.into_iter().map(access_grant_of).collect()),
        directory: bytes.directory.map(Into::into),
        directory_index: MetaIndex(bytes.directory_index),
        recoveries: bytes.recoveries,
        node_id_max: NodeId(bytes.node_id_max),
        database_id_max: DatabaseId(bytes.database_id_max),
        shard_group_id_max: ShardGroupId(bytes.shard_group_id_max),
        shard_id_max: ShardId(bytes.shard_id_max),
        nodes: Arc::new(nodes),
        ..Data::default()
    };
    // Bounds the ids before the index allocates by them.
    let shards = databases.iter().flat_map(|database| &database.policies).flat_map(|policy| policy.groups.iter());
    if shards.flat_map(|group| &group.shards).any(|shard| shard.id > data.shard_id_max || shard.id.0 > SHARD_ID_MAX) {
        return Err(CodecError::Impossible("shard id"));
    }
    for database in &databases {
        for policy in &database.policies {
            data.index_policy(database, policy);
        }
    }
    data.databases = Arc::new(databases);
    data.validate()?;
    Ok(data)
}

/// Larger ids are taken for damage: a new shard every second would take a century to get there.
const SHARD_ID_MAX: u64 = 1 << 32;

#[derive(Serialize, Deserialize)]
struct SnapshotBytes {
    cluster_id: u64,
    index: u64,
    node_id_max: u64,
    database_id_max: u64,
    shard_group_id_max: u64,
    shard_id_max: u64,
    nodes: Vec<NodeBytes>,
    databases: Vec<DatabaseBytes>,
    #[serde(default)]
    users: Vec<UserBytes>,
    #[serde(default)]
    roles: Vec<RoleBytes>,
    #[serde(default)]
    rule_id_max: u64,
    #[serde(default)]
    restrictions: Vec<RestrictionBytes>,
    #[serde(default)]
    access_grants: Vec<AccessGrantBytes>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    directory: Option<String>,
    #[serde(default)]
    directory_index: u64,
    #[serde(default)]
    recoveries: u64,
}

#[derive(Serialize, Deserialize)]
struct NodeBytes {
    id: u64,
    incarnation: (u64, u64),
    #[serde(default, skip_serializing_if = "Option::is_none")]
    meta: Option<MetaRoleBytes>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<DataRoleBytes>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct MetaRoleBytes {
    http_addr: String,
    tcp_addr: String,
}

#[derive(Serialize, Deserialize)]
struct DataRoleBytes {
    http_addr: String,
    tcp_addr: String,
    #[serde(default)]
    passive: bool,
}

#[derive(Serialize, Deserialize)]
pub(super) struct DatabaseBytes {
    id: u64,
    name: String,
    #[serde(default)]
    default_policy: Option<String>,
    policies: Vec<PolicyBytes>,
    #[serde(default)]
    continuous_queries: Vec<ContinuousQueryBytes>,
}

#[derive(Serialize, Deserialize)]
struct PolicyBytes {
    name: String,
    duration_ns: u64,
    shard_group_duration_ns: u64,
    replica_n: u32,
    #[serde(default)]
    past_write_limit_ns: u64,
    #[serde(default)]
    future_write_limit_ns: u64,
    groups: Vec<GroupBytes>,
    #[serde(default)]
    subscriptions: Vec<SubscriptionBytes>,
}

#[derive(Serialize, Deserialize)]
struct GroupBytes {
    id: u64,
    start: i64,
    end: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deleted_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    truncated_at: Option<i64>,
    slots: u32,
    shards: Vec<ShardBytes>,
}

#[derive(Serialize, Deserialize)]
struct ShardBytes {
    id: u64,
    slot: u32,
    owners: Vec<OwnerBytes>,
}

#[derive(Serialize, Deserialize)]
struct OwnerBytes {
    node: u64,
    /// Left out when it is the node's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    incarnation: Option<(u64, u64)>,
}

#[derive(Serialize, Deserialize)]
struct SubscriptionBytes {
    name: String,
    /// `ALL` or `ANY`.
    mode: String,
    destinations: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct ContinuousQueryBytes {
    name: String,
    query: String,
}

#[derive(Serialize, Deserialize)]
struct UserBytes {
    name: String,
    hash: String,
    admin: bool,
    /// Bit 0 read, bit 1 write.
    privileges: BTreeMap<String, u8>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    permissions: PermissionBytes,
}

#[derive(Serialize, Deserialize)]
struct RoleBytes {
    name: String,
    permissions: PermissionBytes,
    users: BTreeSet<String>,
}

#[derive(Serialize, Deserialize)]
struct RestrictionBytes {
    id: u64,
    rule: RuleBytes,
}

#[derive(Serialize, Deserialize)]
struct AccessGrantBytes {
    id: u64,
    rule: RuleBytes,
    users: Vec<String>,
    roles: Vec<String>,
}

fn node_bytes(node: &Node) -> NodeBytes {
    let meta = |meta: &MetaRole| MetaRoleBytes { http_addr: meta.http_addr.clone(), tcp_addr: meta.tcp_addr.clone() };
    let data = |data: &DataRole| DataRoleBytes {
        http_addr: data.http_addr.clone(),
        tcp_addr: data.tcp_addr.clone(),
        passive: data.passive,
    };
    NodeBytes {
        id: node.id.0,
        incarnation: halves(node.incarnation.0),
        meta: node.meta.as_ref().map(meta),
        data: node.data.as_ref().map(data),
        labels: node.labels.clone(),
    }
}

fn node_of(bytes: NodeBytes) -> Node {
    Node {
        id: NodeId(bytes.id),
        incarnation: Incarnation(whole(bytes.incarnation)),
        meta: bytes.meta.map(|meta| MetaRole { http_addr: meta.http_addr, tcp_addr: meta.tcp_addr }),
        data: bytes.data.map(|data| DataRole {
            http_addr: data.http_addr,
            tcp_addr: data.tcp_addr,
            passive: data.passive,
        }),
        labels: bytes.labels,
    }
}

pub(super) fn database_bytes(data: &Data, database: &Database) -> DatabaseBytes {
    let query =
        |query: &Arc<ContinuousQuery>| ContinuousQueryBytes { name: query.name.clone(), query: query.query.clone() };
    DatabaseBytes {
        id: database.id.0,
        name: database.name.to_string(),
        default_policy: database.default_policy.as_deref().map(str::to_owned),
        policies: database.policies.iter().map(|policy| policy_bytes(data, policy)).collect(),
        continuous_queries: database.continuous_queries.iter().map(query).collect(),
    }
}

pub(super) fn database_of(nodes: &[Arc<Node>], bytes: DatabaseBytes) -> Result<Database, CodecError> {
    let policies = bytes.policies.into_iter().map(|policy| policy_of(nodes, policy).map(Arc::new));
    let query = |bytes: ContinuousQueryBytes| Arc::new(ContinuousQuery { name: bytes.name, query: bytes.query });
    Ok(Database {
        id: DatabaseId(bytes.id),
        name: bytes.name.into(),
        default_policy: bytes.default_policy.map(Into::into),
        policies: policies.collect::<Result<_, _>>()?,
        continuous_queries: bytes.continuous_queries.into_iter().map(query).collect(),
    })
}

fn policy_bytes(data: &Data, policy: &RetentionPolicy) -> PolicyBytes {
    PolicyBytes {
        name: policy.name.to_string(),
        duration_ns: nanoseconds(policy.duration),
        shard_group_duration_ns: nanoseconds(policy.shard_group_duration),
        replica_n: policy.replica_n,
        past_write_limit_ns: nanoseconds(policy.past_write_limit),
        future_write_limit_ns: nanoseconds(policy.future_write_limit),
        groups: policy.groups.iter().map(|group| group_bytes(data, group)).collect(),
        subscriptions: policy.subscriptions.iter().map(|subscription| subscription_bytes(subscription)).collect(),
    }
}

fn policy_of(nodes: &[Arc<Node>], bytes: PolicyBytes) -> Result<RetentionPolicy, CodecError> {
    let groups = bytes.groups.into_iter().map(|group| group_of(nodes, group).map(Arc::new));
    let subscriptions = bytes.subscriptions.into_iter().map(|bytes| subscription_of(bytes).map(Arc::new));
    Ok(RetentionPolicy {
        name: bytes.name.into(),
        duration: Duration::from_nanos(bytes.duration_ns),
        shard_group_duration: Duration::from_nanos(bytes.shard_group_duration_ns),
        replica_n: bytes.replica_n,
        past_write_limit: Duration::from_nanos(bytes.past_write_limit_ns),
        future_write_limit: Duration::from_nanos(bytes.future_write_limit_ns),
        groups: Arc::new(groups.collect::<Result<_, _>>()?),
        subscriptions: subscriptions.collect::<Result<_, _>>()?,
    })
}

fn group_bytes(data: &Data, group: &ShardGroup) -> GroupBytes {
    GroupBytes {
        id: group.id.0,
        start: group.range.start().0,
        end: group.range.end().0,
        deleted_at: group.deleted_at.map(|at| at.0),
        truncated_at: group.truncated_at.map(|at| at.0),
        slots: group.slot_count,
        shards: group.shards.iter().map(|shard| shard_bytes(data, shard)).collect(),
    }
}

fn group_of(nodes: &[Arc<Node>], bytes: GroupBytes) -> Result<ShardGroup, CodecError> {
    let range = TimeRange::new(Timestamp(bytes.start), Timestamp(bytes.end));
    Ok(ShardGroup {
        id: ShardGroupId(bytes.id),
        range: range.ok_or(CodecError::Impossible("range of a shard group"))?,
        deleted_at: bytes.deleted_at.map(Timestamp),
        truncated_at: bytes.truncated_at.map(Timestamp),
        slot_count: bytes.slots,
        shards: bytes.shards.into_iter().map(|shard| shard_of(nodes, shard)).collect::<Result<_, _>>()?,
    })
}

fn shard_bytes(data: &Data, shard: &Shard) -> ShardBytes {
    let owner = |owner: &Owner| {
        let own = data.node(owner.node).is_some_and(|node| node.incarnation == owner.incarnation);
        OwnerBytes { node: owner.node.0, incarnation: (!own).then(|| halves(owner.incarnation.0)) }
    };
    ShardBytes { id: shard.id.0, slot: shard.slot, owners: shard.owners.iter().map(owner).collect() }
}

fn shard_of(nodes: &[Arc<Node>], bytes: ShardBytes) -> Result<Shard, CodecError> {
    let owner = |bytes: OwnerBytes| {
        let own = || nodes.iter().find(|node| node.id.0 == bytes.node).map(|node| node.incarnation);
        let incarnation = bytes.incarnation.map(|halves| Incarnation(whole(halves))).or_else(own);
        let incarnation = incarnation.ok_or(CodecError::Impossible("owner of a shard"))?;
        Ok(Owner { node: NodeId(bytes.node), incarnation })
    };
    Ok(Shard {
        id: ShardId(bytes.id),
        slot: bytes.slot,
        owners: bytes.owners.into_iter().map(owner).collect::<Result<_, CodecError>>()?,
    })
}

fn subscription_bytes(subscription: &Subscription) -> SubscriptionBytes {
    let mode = match subscription.mode {
        SubscriptionMode::All => "ALL",
        SubscriptionMode::Any => "ANY",
    };
    SubscriptionBytes {
        name: subscription.name.clone(),
        mode: mode.to_owned(),
        destinations: subscription.destinations.clone(),
    }
}

fn subscription_of(bytes: SubscriptionBytes) -> Result<Subscription, CodecError> {
    let mode = match bytes.mode.as_str() {
        "ALL" => SubscriptionMode::All,
        "ANY" => SubscriptionMode::Any,
        _ => return Err(CodecError::Impossible("mode of a subscription")),
    };
    Ok(Subscription { name: bytes.name, mode, destinations: bytes.destinations })
}

fn user_bytes(user: &User) -> UserBytes {
    let privileges = user.privileges.iter().map(|(database, privilege)| (database.clone(), privilege.bits()));
    UserBytes {
        name: user.name.clone(),
        hash: user.hash.clone(),
        admin: user.admin,
        privileges: privileges.collect(),
        permissions: permission_bytes(&user.permissions),
    }
}

fn user_of(bytes: UserBytes) -> Result<User, CodecError> {
    let privilege = |(database, bits): (String, u8)| {
        let privilege = Privilege::from_bits(bits).ok_or(CodecError::Impossible("privilege"))?;
        Ok::<_, CodecError>((database, privilege))
    };
    let privileges = bytes.privileges.into_iter().map(privilege).collect::<Result<_, _>>()?;
    let permissions = permissions_of(bytes.permissions)?;
    Ok(User { name: bytes.name, hash: bytes.hash, admin: bytes.admin, privileges, permissions })
}

fn role_bytes(role: &Role) -> RoleBytes {
    let permissions = permission_bytes(&role.permissions);
    RoleBytes { name: role.name.clone(), permissions, users: role.users.clone() }
}

fn role_of(bytes: RoleBytes) -> Result<Role, CodecError> {
    Ok(Role { name: bytes.name, permissions: permissions_of(bytes.permissions)?, users: bytes.users })
}

fn restriction_bytes(restriction: &Restriction) -> RestrictionBytes {
    RestrictionBytes { id: restriction.id, rule: rule_bytes(&restriction.rule) }
}

fn restriction_of(bytes: RestrictionBytes) -> Arc<Restriction> {
    Arc::new(Restriction { id: bytes.id, rule: rule_of(bytes.rule) })
}

fn access_grant_bytes(grant: &AccessGrant) -> AccessGrantBytes {
    let (users, roles) = (grant.users.clone(), grant.roles.clone());
    AccessGrantBytes { id: grant.id, rule: rule_bytes(&grant.rule), users, roles }
}

fn access_grant_of(bytes: AccessGrantBytes) -> Arc<AccessGrant> {
    Arc::new(AccessGrant { id: bytes.id, rule: rule_of(bytes.rule), users: bytes.users, roles: bytes.roles })
}

/// Durations are capped at 584 years.
fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
