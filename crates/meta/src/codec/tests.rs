//! What is written can be read, what is damaged is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{MetaIndex, NodeId, ShardGroupId, Timestamp};

use super::*;
use crate::command::{Command, LeaderFacts, PolicySpec, Rejection, Reply};
use crate::data::{
    ContinuousQuery, Data, Incarnation, Privilege, RetentionPolicy, Role, Subscription, SubscriptionMode, User,
};
use crate::permission::{Permission, Permissions};
use crate::rule::{AccessGrant, Matcher, Restriction, Rule, TagRule};

fn rule() -> Rule {
    Rule {
        database: Matcher::Prefix("d".into()),
        measurement: Some(Matcher::Exact("m".into())),
        tags: vec![TagRule { key: "k".into(), value: Matcher::Prefix("v".into()) }],
        read: true,
        write: false,
    }
}

/// A bit of everything.
pub(crate) fn sample() -> Data {
    let mut data = Data::default();
    let facts = LeaderFacts { now: Timestamp(9), random: 4, shard_groups_max: 0 };
    let commands = [
        Command::CreateMetaNode { incarnation: Incarnation(7), http_addr: "a:8091".into(), tcp_addr: "a:8088".into() },
        Command::CreateDataNode {
            incarnation: Incarnation(u128::MAX - 1),
            http_addr: "b:8086".into(),
            tcp_addr: "b:8088".into(),
            passive: false,
        },
        Command::CreateDatabase { name: "db".into(), policy: Some(PolicySpec::automatic()), explicit: false },
        Command::CreateShardGroups { database: "db".into(), policy: String::new(), instants: vec![Timestamp(0)] },
        Command::TruncateShardGroups { delay: std::time::Duration::ZERO },
        // Makes the owner blank, so that its own incarnation is written.
        Command::UpdateDataNode {
            id: NodeId(2),
            http_addr: "b:8086".into(),
            tcp_addr: "b:8088".into(),
            incarnation: Some(Incarnation(3)),
        },
    ];
    for (index, command) in commands.iter().enumerate() {
        data.apply(MetaIndex(index as u64 + 1), &facts, command).expect("fits");
    }
    // The rest by hand.
    let privileges = [("db", Privilege::All), ("x", Privilege::None), ("y", Privilege::Read), ("z", Privilege::Write)];
    let user = User {
        name: "paul".into(),
        hash: "$2a$".into(),
        admin: true,
        privileges: privileges.map(|(name, privilege)| (name.to_owned(), privilege)).into(),
        permissions: BTreeMap::from([(String::new(), Permissions::ALL)]),
    };
    data.users = Arc::new(vec![Arc::new(user)]);
    data.roles = Arc::new(vec![Arc::new(Role {
        name: "ops".into(),
        permissions: BTreeMap::from([("db".to_owned(), Permissions::OF_DATABASES)]),
        users: BTreeSet::from(["paul".to_owned()]),
    })]);
    data.rule_id_max = 7;
    data.restrictions = Arc::new(vec![Arc::new(Restriction { id: 3, rule: rule() })]);
    let (users, roles) = (vec!["paul".to_owned()], vec!["ops".to_owned()]);
    data.access_grants = Arc::new(vec![Arc::new(AccessGrant { id: 7, rule: rule(), users, roles })]);
    data.directory = Some("enabled = true".into());
    data.directory_index = MetaIndex(4);
    data.recoveries = 2;
    let database = Arc::make_mut(&mut Arc::make_mut(&mut data.databases)[0]);
    database.continuous_queries = vec![Arc::new(ContinuousQuery { name: "cq".into(), query: "SELECT".into() })];
    let policy: &mut RetentionPolicy = Arc::make_mut(&mut database.policies[0]);
    policy.subscriptions = [("all", SubscriptionMode::All), ("any", SubscriptionMode::Any)]
        .map(|(name, mode)| Arc::new(Subscription { name: name.into(), mode, destinations: vec!["udp://h:1".into()] }))
        .into();
    let node = Arc::make_mut(&mut Arc::make_mut(&mut data.nodes)[0]);
    node.labels = BTreeMap::from([("zone".to_owned(), "north".to_owned())]);
    data
}

#[test]
fn snapshots_come_back() {
    let data = sample();
    let bytes = encode_snapshot(&data);
    let read = decode_snapshot(&bytes).expect("written so");
    assert_eq!(format!("{read:?}"), format!("{data:?}"));
    assert_eq!(encode_snapshot(&read), bytes);
}

#[test]
fn damaged_bytes_are_refused_and_do_not_panic() {
    let bytes = encode_snapshot(&sample());
    assert!(matches!(decode_snapshot(&[]), Err(CodecError::Empty)));
    for cut in 1..bytes.len() {
        assert!(decode_snapshot(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    for index in 0..bytes.len() {
        for bit in [0x01, 0x40, 0x80] {
            let mut damaged = bytes.clone();
            damaged[index] ^= bit;
            // Whatever is read holds together.
            if let Ok(data) = decode_snapshot(&damaged) {
                data.validate().expect("checked");
            }
        }
    }
}

#[test]
fn later_versions_are_told_apart_from_damage() {
    let mut bytes = encode_snapshot(&sample());
    bytes[0] = 2;
    let error = decode_snapshot(&bytes).expect_err("not ours");
    assert_eq!(error.to_string(), "version 2 of the metadata format is not known to this release");
}

#[test]
fn fields_that_a_later_release_adds_are_skipped() {
    #[derive(serde::Serialize)]
    struct Later {
        index: u64,
        outcome: LaterResult,
        servers: Vec<String>,
    }
    #[derive(serde::Serialize)]
    enum LaterResult {
        Reply(LaterReply),
    }
    #[derive(serde::Serialize)]
    enum LaterReply {
        Node { id: u64, zone: &'static str },
    }
    let outcome = LaterResult::Reply(LaterReply::Node { id: 3, zone: "north" });
    let bytes = to_bytes(&Later { index: 9, outcome, servers: vec!["a".to_owned()] });
    assert_eq!(decode_outcome(&bytes).expect("readable"), (Ok(Reply::Node(NodeId(3))), MetaIndex(9)));
}

#[test]
fn a_command_that_a_later_release_adds_is_an_error() {
    #[derive(serde::Serialize)]
    enum Later {
        Renumber { id: u64 },
    }
    assert!(matches!(decode_command(&to_bytes(&Later::Renumber { id: 1 })), Err(CodecError::Malformed(_))));
}

#[test]
fn outcomes_come_back() {
    let rejections = [
        Rejection::NodeExists,
        Rejection::NodeNotFound,
        Rejection::NodesRequired,
        Rejection::FinalNode,
        Rejection::DatabasesTaken("a, b".into()),
        Rejection::IdsTaken,
        Rejection::NotBrought("x".into()),
        Rejection::DatabaseNotFound("x".into()),
        Rejection::InvalidName,
        Rejection::NameTooLong,
        Rejection::PolicyExists,
        Rejection::PolicyNameExists,
        Rejection::PolicyNotFound("x".into()),
        Rejection::PolicyConflict,
        Rejection::DurationTooShort,
        Rejection::DurationBelowShardDuration,
        Rejection::ReplicationTooLow,
        Rejection::ContinuousQueryExists,
        Rejection::SubscriptionExists,
        Rejection::SubscriptionNotFound,
        Rejection::SubscriptionUrl("x".into()),
        Rejection::UserExists,
        Rejection::UserNotFound,
        Rejection::UsernameRequired,
        Rejection::PasswordRequired,
        Rejection::NotFirst,
        Rejection::RoleExists,
        Rejection::RoleNotFound,
        Rejection::RoleNameRequired,
        Rejection::ClusterPermission(Permission::KapacitorConfigAPI),
        Rejection::RestrictionNotFound,
        Rejection::AccessGrantNotFound,
        Rejection::RuleInvalid("x".into()),
        Rejection::TooManyRules(1),
        Rejection::TooManyRoles(2),
        Rejection::ShardGroupNotFound,
        Rejection::ShardNotFound,
        Rejection::ShardGroupLimit { database: "a".into(), policy: "b".into(), limit: 3 },
    ];
    let replies = [
        Reply::Done,
        Reply::Rule(5),
        Reply::Node(NodeId(4)),
        Reply::ShardGroups(vec![ShardGroupId(1), ShardGroupId(9)]),
    ];
    for outcome in rejections.into_iter().map(Err).chain(replies.into_iter().map(Ok)) {
        let bytes = encode_outcome(&outcome, MetaIndex(12));
        assert_eq!(decode_outcome(&bytes).expect("written so"), (outcome, MetaIndex(12)));
    }
}

#[test]
fn commands_come_back() {
    let command = Command::CreateDatabase { name: "db".into(), policy: Some(PolicySpec::automatic()), explicit: true };
    assert_eq!(decode_command(&encode_command(&command)).expect("written so"), command);
}

#[test]
fn snapshots_of_releases_without_roles_and_rules_open() {
    // As such a release wrote it: without the fields that came later.
    #[derive(serde::Serialize)]
    struct Earlier {
        cluster_id: u64,
        index: u64,
        node_id_max: u64,
        database_id_max: u64,
        shard_group_id_max: u64,
        shard_id_max: u64,
        nodes: Vec<()>,
        databases: Vec<()>,
        users: Vec<EarlierUser>,
    }
    #[derive(serde::Serialize)]
    struct EarlierUser {
        name: &'static str,
        hash: &'static str,
        admin: bool,
        privileges: BTreeMap<String, u8>,
    }
    let privileges = BTreeMap::from([("db".to_owned(), 3)]);
    let bytes = to_bytes(&Earlier {
        cluster_id: 5,
        index: 9,
        node_id_max: 0,
        database_id_max: 0,
        shard_group_id_max: 0,
        shard_id_max: 0,
        nodes: vec![],
        databases: vec![],
        users: vec![EarlierUser { name: "paul", hash: "h", admin: false, privileges }],
    });
    let data = decode_snapshot(&bytes).expect("readable");
    assert_eq!(data.user("paul").expect("there").privileges["db"], Privilege::All);
    assert!(data.roles().is_empty() && data.restrictions().is_empty() && data.directory().is_none());
}
