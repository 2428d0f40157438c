//! The whole metadata as one document.

use std::time::Duration;

use model::Timestamp;
use prost::Message;

use crate::data::{Data, Database, Node, RetentionPolicy, Shard, ShardGroup, Subscription, SubscriptionMode, User};

#[derive(Clone, PartialEq, Message)]
struct Document {
    #[prost(uint64, required, tag = "1")]
    term: u64,
    #[prost(uint64, required, tag = "2")]
    index: u64,
    #[prost(uint64, required, tag = "3")]
    cluster_id: u64,
    // 4 held the nodes of both kinds before 0.10.
    #[prost(message, repeated, tag = "5")]
    databases: Vec<DatabaseRecord>,
    #[prost(message, repeated, tag = "6")]
    users: Vec<UserRecord>,
    #[prost(uint64, required, tag = "7")]
    node_id_max: u64,
    #[prost(uint64, required, tag = "8")]
    shard_group_id_max: u64,
    #[prost(uint64, required, tag = "9")]
    shard_id_max: u64,
    #[prost(message, repeated, tag = "10")]
    data_nodes: Vec<NodeRecord>,
    #[prost(message, repeated, tag = "11")]
    meta_nodes: Vec<NodeRecord>,
}

#[derive(Clone, PartialEq, Message)]
struct NodeRecord {
    #[prost(uint64, required, tag = "1")]
    id: u64,
    /// Where its HTTP API is: 8086 of a data node, 8091 of a meta node.
    #[prost(string, required, tag = "2")]
    host: String,
    /// 8088 of a data node, Raft of a meta node.
    #[prost(string, optional, tag = "3")]
    tcp_host: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct DatabaseRecord {
    #[prost(string, required, tag = "1")]
    name: String,
    /// Empty when there is none.
    #[prost(string, required, tag = "2")]
    default_policy: String,
    #[prost(message, repeated, tag = "3")]
    policies: Vec<PolicyRecord>,
    #[prost(message, repeated, tag = "4")]
    continuous_queries: Vec<QueryRecord>,
}

/// A retention policy; spans of time in nanoseconds.
#[derive(Clone, PartialEq, Message)]
struct PolicyRecord {
    #[prost(string, required, tag = "1")]
    name: String,
    #[prost(int64, required, tag = "2")]
    duration: i64,
    #[prost(int64, required, tag = "3")]
    shard_group_duration: i64,
    #[prost(uint32, required, tag = "4")]
    replica_n: u32,
    #[prost(message, repeated, tag = "5")]
    groups: Vec<GroupRecord>,
    #[prost(message, repeated, tag = "6")]
    subscriptions: Vec<SubscriptionRecord>,
    #[prost(int64, optional, tag = "7")]
    future_write_limit: Option<i64>,
    #[prost(int64, optional, tag = "8")]
    past_write_limit: Option<i64>,
}

/// A shard group; instants in nanoseconds since 1970, 0 where there is none.
#[derive(Clone, PartialEq, Message)]
struct GroupRecord {
    #[prost(uint64, required, tag = "1")]
    id: u64,
    #[prost(int64, required, tag = "2")]
    start: i64,
    #[prost(int64, required, tag = "3")]
    end: i64,
    #[prost(int64, required, tag = "4")]
    deleted_at: i64,
    #[prost(message, repeated, tag = "5")]
    shards: Vec<ShardRecord>,
    #[prost(int64, optional, tag = "6")]
    truncated_at: Option<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct ShardRecord {
    #[prost(uint64, required, tag = "1")]
    id: u64,
    // 2 held the owners before 0.9.
    #[prost(message, repeated, tag = "3")]
    owners: Vec<OwnerRecord>,
}

#[derive(Clone, PartialEq, Message)]
struct OwnerRecord {
    #[prost(uint64, required, tag = "1")]
    node: u64,
}

#[derive(Clone, PartialEq, Message)]
struct SubscriptionRecord {
    #[prost(string, required, tag = "1")]
    name: String,
    #[prost(string, required, tag = "2")]
    mode: String,
    #[prost(string, repeated, tag = "3")]
    destinations: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct QueryRecord {
    #[prost(string, required, tag = "1")]
    name: String,
    #[prost(string, required, tag = "2")]
    query: String,
}

#[derive(Clone, PartialEq, Message)]
struct UserRecord {
    #[prost(string, required, tag = "1")]
    name: String,
    #[prost(string, required, tag = "2")]
    hash: String,
    #[prost(bool, required, tag = "3")]
    admin: bool,
    #[prost(message, repeated, tag = "4")]
    privileges: Vec<PrivilegeRecord>,
}

#[derive(Clone, PartialEq, Message)]
struct PrivilegeRecord {
    #[prost(string, required, tag = "1")]
    database: String,
    /// As [`crate::Privilege::bits`].
    #[prost(int32, required, tag = "2")]
    privilege: i32,
}

/// The metadata as a document; `term` is that of Raft.
pub fn encode_document(data: &Data, term: u64) -> Vec<u8> {
    let document = Document {
        term,
        index: data.index().0,
        cluster_id: data.cluster_id(),
        databases: data.databases().iter().map(|database| database_record(database)).collect(),
        users: data.users().iter().map(|user| user_record(user)).collect(),
        node_id_max: data.node_id_max().0,
        shard_group_id_max: data.shard_group_id_max.0,
        shard_id_max: data.shard_id_max().0,
        data_nodes: data.data_nodes().filter_map(|node| data_node_record(node)).collect(),
        meta_nodes: data.meta_nodes().filter_map(|node| meta_node_record(node)).collect(),
    };
    document.encode_to_vec()
}

fn data_node_record(node: &Node) -> Option<NodeRecord> {
    let role = node.data.as_ref()?;
    Some(NodeRecord { id: node.id.0, host: role.http_addr.clone(), tcp_host: Some(role.tcp_addr.clone()) })
}

fn meta_node_record(node: &Node) -> Option<NodeRecord> {
    let role = node.meta.as_ref()?;
    Some(NodeRecord { id: node.id.0, host: role.http_addr.clone(), tcp_host: Some(role.tcp_addr.clone()) })
}

fn database_record(database: &Database) -> DatabaseRecord {
    let queries = database.continuous_queries.iter();
    DatabaseRecord {
        name: database.name.as_ref().to_owned(),
        default_policy: database.default_policy.as_deref().unwrap_or_default().to_owned(),
        policies: database.policies.iter().map(|policy| policy_record(policy)).collect(),
        continuous_queries: queries
            .map(|query| QueryRecord { name: query.name.clone(), query: query.query.clone() })
            .collect(),
    }
}

fn policy_record(policy: &RetentionPolicy) -> PolicyRecord {
    let limit = |limit: Duration| (!limit.is_zero()).then(|| nanoseconds(limit));
    PolicyRecord {
        name: policy.name.as_ref().to_owned(),
        duration: nanoseconds(policy.duration),
        shard_group_duration: nanoseconds(policy.shard_group_duration),
        replica_n: policy.replica_n,
        groups: policy.groups.iter().map(|group| group_record(group)).collect(),
        subscriptions: policy.subscriptions.iter().map(|subscription| subscription_record(subscription)).collect(),
        future_write_limit: limit(policy.future_write_limit),
        past_write_limit: limit(policy.past_write_limit),
    }
}

fn group_record(group: &ShardGroup) -> GroupRecord {
    GroupRecord {
        id: group.id.0,
        start: group.range.start().0,
        end: group.range.end().0,
        deleted_at: group.deleted_at.map_or(0, |at: Timestamp| at.0),
        shards: group.shards.iter().map(shard_record).collect(),
        truncated_at: group.truncated_at.map(|at| at.0),
    }
}

fn shard_record(shard: &Shard) -> ShardRecord {
    let owners = shard.owners.iter().map(|owner| OwnerRecord { node: owner.node.0 });
    ShardRecord { id: shard.id.0, owners: owners.collect() }
}

fn subscription_record(subscription: &Subscription) -> SubscriptionRecord {
    let mode = match subscription.mode {
        SubscriptionMode::All => "ALL",
        SubscriptionMode::Any => "ANY",
    };
    SubscriptionRecord {
        name: subscription.name.clone(),
        mode: mode.to_owned(),
        destinations: subscription.destinations.clone(),
    }
}

fn user_record(user: &User) -> UserRecord {
    let privileges = user.privileges.iter().map(|(database, privilege)| PrivilegeRecord {
        database: database.clone(),
        privilege: i32::from(privilege.bits()),
    });
    UserRecord { name: user.name.clone(), hash: user.hash.clone(), admin: user.admin, privileges: privileges.collect() }
}

fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::sample;

    #[test]
    fn a_document_holds_the_metadata_under_the_published_numbers() {
        let data = sample();
        let document = Document::decode(&*encode_document(&data, 3)).expect("a document");
        assert_eq!((document.term, document.index), (3, data.index().0));
        assert_eq!(document.cluster_id, data.cluster_id());
        assert_eq!((document.node_id_max, document.shard_group_id_max, document.shard_id_max), (2, 1, 1));
        let (meta, held) = (&document.meta_nodes[0], &document.data_nodes[0]);
        assert_eq!((meta.id, &*meta.host, meta.tcp_host.as_deref()), (1, "a:8091", Some("a:8088")));
        assert_eq!((held.id, &*held.host, held.tcp_host.as_deref()), (2, "b:8086", Some("b:8088")));
        let database = &document.databases[0];
        assert_eq!((&*database.name, &*database.default_policy), ("db", "autogen"));
        assert_eq!((&*database.continuous_queries[0].name, &*database.continuous_queries[0].query), ("cq", "SELECT"));
        let policy = &database.policies[0];
        assert_eq!((&*policy.name, policy.duration, policy.replica_n), ("autogen", 0, 1));
        assert_eq!(policy.shard_group_duration, 7 * 86_400_000_000_000);
        let modes: Vec<_> = policy.subscriptions.iter().map(|subscription| &*subscription.mode).collect();
        assert_eq!(modes, ["ALL", "ANY"]);
        let group = &policy.groups[0];
        assert_eq!((group.id, group.deleted_at, group.truncated_at), (1, 0, Some(9)));
        assert_eq!(group.end - group.start, policy.shard_group_duration);
        assert_eq!(group.shards[0].owners, [OwnerRecord { node: 2 }]);
        let user = &document.users[0];
        assert_eq!((&*user.name, &*user.hash, user.admin), ("paul", "$2a$", true));
        let privileges: Vec<_> = user.privileges.iter().map(|held| (&*held.database, held.privilege)).collect();
        assert_eq!(privileges, [("db", 3), ("x", 0), ("y", 1), ("z", 2)]);
    }

    /// Decoders of version 2 refuse a message that lacks a required field, so zeros are written, too.
    #[test]
    fn required_fields_are_written_when_they_are_zero() {
        let bytes = encode_document(&Data::default(), 0);
        assert_eq!(bytes, [0x08, 0, 0x10, 0, 0x18, 0, 0x38, 0, 0x40, 0, 0x48, 0]);
    }
}
