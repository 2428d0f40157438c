//! What must hold for any bytes. The fuzzer calls these, and so do tests over its seeds.

use std::sync::Arc;

use bytes::Bytes;
use model::{MetaIndex, Timestamp};
use stdx::varint;

use crate::codec::{
    decode_command, decode_entry, decode_outcome, decode_snapshot, encode_command, encode_entry, encode_outcome,
    encode_snapshot,
};
use crate::command::LeaderFacts;
use crate::data::Data;
use crate::digest::Digest;
use crate::history::{Change, Changes, History};
use crate::version::Version;

/// Reads `data` as a snapshot. What is read is consistent and comes back the same.
///
/// # Panics
/// When a promise of this crate is broken.
pub fn fuzz_snapshot(data: &[u8]) {
    let Ok(read) = decode_snapshot(data) else { return };
    check_snapshot(&read);
}

/// Reads `data` as entries of the log, each behind its length, and applies those that are some to an empty cluster. Each
/// is carried out or refused; what comes of them is consistent and survives as a snapshot.
///
/// # Panics
/// When a promise of this crate is broken: on every member at once, if it were real.
pub fn fuzz_entries(data: &[u8]) {
    let mut rest = data;
    let mut state = Data::default();
    let mut index = 0;
    while let Some(entry) = varint::take_bytes(&mut rest) {
        let Ok((facts, command)) = decode_entry(entry) else { continue };
        let written = encode_entry(&facts, &command);
        assert_eq!(decode_entry(&written).ok(), Some((facts, command.clone())), "an entry comes back the same");
        let sent = decode_command(&encode_command(&command));
        assert_eq!(sent.ok().as_ref(), Some(&command), "a command comes back the same");
        index += 1;
        let outcome = state.apply(MetaIndex(index), &facts, &command);
        let told = decode_outcome(&encode_outcome(&outcome, state.index()));
        assert_eq!(told.ok(), Some((outcome, state.index())), "an outcome comes back the same");
        assert_eq!(state.validate(), Ok(()));
    }
    check_snapshot(&state);
}

/// Reads `data` as entries of the log, each behind its length, as a copy that follows gets them: as they are, and by way of
/// a history that forgets soon. The copy becomes what the service has, or stays what it was.
///
/// # Panics
/// When a promise of this crate is broken.
pub fn fuzz_changes(data: &[u8]) {
    const KEPT_BYTES: usize = 1_000;
    let mut rest = data;
    let mut service = Data::default();
    let mut history = History::new(&service, KEPT_BYTES);
    let mut copy = Version::of(Arc::default());
    let mut index = 0;
    let follow = |copy: &mut Version, service: &Data, history: &History| {
        *copy = match history.since(copy.known()) {
            Some(changes) => copy.after(&changes).expect("they lead on"),
            None => Version::of(Arc::new(service.clone())),
        };
        assert_eq!(encode_snapshot(copy.data()), encode_snapshot(service), "a copy is what it is a copy of");
        assert_eq!(copy.known().digest, Some(Digest::of(service)));
    };
    while let Some(entry) = varint::take_bytes(&mut rest) {
        index += 1;
        let entry = Bytes::copy_from_slice(entry);
        let change = Change { index: MetaIndex(index), entry: entry.clone() };
        let unchecked = Changes { changes: vec![change], digest: Digest::default() };
        assert!(copy.after(&unchecked).is_err(), "the digest is that of nothing");
        let Ok((facts, command)) = decode_entry(&entry) else { continue };
        let before = service.clone();
        let _ = service.apply(MetaIndex(index), &facts, &command);
        history.push(&before, &service, entry);
        assert!(history.bytes() <= KEPT_BYTES);
        if index % 3 == 0 {
            follow(&mut copy, &service, &history);
        }
    }
    follow(&mut copy, &service, &history);
}

/// Reads `data` as the outcome of a command, and what was read again.
///
/// # Panics
/// When it is another outcome then.
pub fn fuzz_outcome(data: &[u8]) {
    let Ok((outcome, index)) = decode_outcome(data) else { return };
    let again = decode_outcome(&encode_outcome(&outcome, index));
    assert_eq!(again.ok(), Some((outcome, index)), "an outcome comes back the same");
}

/// Reads `data` as a published command, and applies one that is one to an empty cluster.
///
/// # Panics
/// When a promise of this crate is broken.
pub fn fuzz_published(data: &[u8]) {
    let Ok(command) = crate::published::decode_command(data) else { return };
    let facts = LeaderFacts { now: Timestamp(0), random: 1, shard_groups_max: 0 };
    let mut state = Data::default();
    let _ = state.apply(MetaIndex(1), &facts, &command);
    check_snapshot(&state);
    assert!(!crate::published::encode_document(&state, 1).is_empty());
}

fn check_snapshot(state: &Data) {
    assert_eq!(state.validate(), Ok(()));
    let written = encode_snapshot(state);
    let again = decode_snapshot(&written).expect("what was written can be read");
    assert_eq!(encode_snapshot(&again), written, "metadata comes back the same");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use model::{NodeId, ShardGroupId, ShardId};
    use testkit::seeds;

    use super::*;
    use crate::command::{Command, PolicySpec, PolicyUpdate, Rejection, Reply};
    use crate::data::{Incarnation, PermissionMap, Privilege, SubscriptionMode};
    use crate::permission::Permissions;
    use crate::rule::{Matcher, Rule, TagRule};

    fn data_node(number: u128) -> Command {
        Command::CreateDataNode {
            incarnation: Incarnation(number),
            http_addr: format!("n{number}:8086"),
            tcp_addr: format!("n{number}:8088"),
            passive: false,
        }
    }

    fn policy(name: &str, days: u64) -> PolicySpec {
        PolicySpec {
            name: name.into(),
            duration: Some(Duration::from_secs(days * 86_400)),
            replica_n: Some(2),
            ..PolicySpec::automatic()
        }
    }

    fn groups(instants: &[i64]) -> Command {
        let instants = instants.iter().map(|day| Timestamp(day * 86_400_000_000_000)).collect();
        Command::CreateShardGroups { database: "db".into(), policy: String::new(), instants }
    }

    /// Members come and go, shards get owners and lose them.
    fn members() -> Vec<Command> {
        vec![
            Command::CreateMetaNode {
                incarnation: Incarnation(1),
                http_addr: "n1:8091".into(),
                tcp_addr: "n1:8088".into(),
            },
            data_node(1),
            data_node(2),
            data_node(3),
            Command::CreateDatabase { name: "db".into(), policy: Some(policy("week", 7)), explicit: true },
            groups(&[0, 20_000]),
            Command::CopyShardOwner { shard: ShardId(1), node: NodeId(3) },
            Command::RemoveShardOwner { shard: ShardId(1), node: NodeId(1) },
            Command::UpdateDataNode {
                id: NodeId(2),
                http_addr: "n9:8086".into(),
                tcp_addr: "n9:8088".into(),
                incarnation: Some(Incarnation(9)),
            },
            Command::ChangeLabels {
                node: NodeId(1),
                set: BTreeMap::from([("zone".into(), "north".into())]),
                remove: vec!["rack".into()],
            },
            Command::DeleteDataNode { id: NodeId(3) },
            Command::DropShard { shard: ShardId(2) },
            Command::UpdateMetaNode { id: NodeId(1), http_addr: "m:8091".into(), tcp_addr: "m:8088".into() },
            Command::DeleteMetaNode { id: NodeId(1) },
        ]
    }

    /// Policies and groups of them.
    fn policies() -> Vec<Command> {
        let (database, name) = (|| "db".to_owned(), || "week".to_owned());
        vec![
            data_node(1),
            Command::CreateDatabase { name: database(), policy: Some(PolicySpec::automatic()), explicit: false },
            Command::CreateRetentionPolicy { database: database(), policy: policy("week", 7), make_default: true },
            groups(&[0, 1, 20_000, -4_000]),
            Command::AlterRetentionPolicy {
                database: database(),
                name: name(),
                update: PolicyUpdate {
                    name: Some("month".into()),
                    duration: Some(Duration::from_secs(30 * 86_400)),
                    shard_group_duration: Some(Duration::from_secs(86_400)),
                    replica_n: Some(1),
                    past_write_limit: Some(Duration::from_secs(60)),
                    future_write_limit: Some(Duration::ZERO),
                    make_default: true,
                },
            },
            Command::TruncateShardGroups { delay: Duration::from_secs(3_600) },
            groups(&[20_000]),
            Command::DeleteShardGroup { database: database(), policy: "month".into(), group: ShardGroupId(1) },
            Command::PruneShardGroups,
            Command::ExpireShardGroups { now: Timestamp(1_900_000_000_000_000_000) },
            Command::DropRetentionPolicy { database: database(), name: "month".into() },
            Command::DropDatabase { name: database() },
        ]
    }

    fn permissions() -> PermissionMap {
        PermissionMap::from([("db".to_owned(), Permissions::OF_DATABASES), (String::new(), Permissions::ALL)])
    }

    fn rule() -> Rule {
        Rule {
            database: Matcher::Prefix("d".into()),
            measurement: Some(Matcher::Exact("m".into())),
            tags: vec![TagRule { key: "k".into(), value: Matcher::Prefix("v".into()) }],
            read: true,
            write: true,
        }
    }

    /// A node that was a cluster by itself comes with a database, and once more.
    fn arrivals() -> Vec<Command> {
        let facts = LeaderFacts { now: Timestamp(0), random: 9, shard_groups_max: 100 };
        let create =
            |name: &str| Command::CreateDatabase { name: name.into(), policy: Some(policy("week", 7)), explicit: true };
        let mut alone = Data::default();
        for (index, command) in (1..).zip([data_node(5), create("db"), groups(&[0, 20_000])]) {
            alone.apply(MetaIndex(index), &facts, &command).expect("carried out");
        }
        let come = Command::BringDataNode {
            cluster_id: 0x5eed,
            incarnation: Incarnation(5),
            http_addr: "n5:8086".into(),
            tcp_addr: "n5:8088".into(),
            passive: false,
            databases: alone.holdings(NodeId(1)).numbered(ShardGroupId(0), ShardId(0)).databases,
        };
        let commands = vec![data_node(1), create("own"), come.clone(), come, groups(&[0, 40_000])];
        let mut host = Data::default();
        for (index, command) in (1..).zip(&commands) {
            let facts = LeaderFacts { random: 0x5eed, ..facts };
            host.apply(MetaIndex(index), &facts, command).expect("carried out");
        }
        commands
    }

    /// Rights change in every way, and somebody comes first.
    fn rights() -> Vec<Command> {
        let (user, role) = (|| "ann".to_owned(), || "ops".to_owned());
        vec![
            Command::CreateFirstAdmin { name: user(), hash: "h".into() },
            Command::CreateDatabase { name: "db".into(), policy: None, explicit: false },
            Command::CreateRole { name: role() },
            Command::AddPermissions { user: user(), permissions: permissions() },
            Command::RemovePermissions { user: user(), permissions: permissions() },
            Command::AddRolePermissions { role: role(), permissions: permissions() },
            Command::RemoveRolePermissions { role: role(), permissions: permissions() },
            Command::AddRoleUsers { role: role(), users: vec![user()] },
            Command::RemoveRoleUsers { role: role(), users: vec![user()] },
            Command::CreateRestriction { rule: rule() },
            Command::CreateAccessGrant { rule: rule(), users: vec![], roles: vec![role()] },
            Command::DropRestriction { id: 1 },
            Command::DropAccessGrant { id: 2 },
            Command::SetDirectory { config: None },
            Command::PurgeDirectory,
            Command::Recover { recovery: 1, members: vec![NodeId(1)], nodes: 100, others: 10_000 },
            Command::DropRole { name: role() },
        ]
    }

    /// Users, continuous queries, subscriptions.
    fn definitions() -> Vec<Command> {
        let (database, user) = (|| "db".to_owned(), || "paul".to_owned());
        vec![
            Command::CreateDatabase { name: database(), policy: Some(PolicySpec::automatic()), explicit: false },
            Command::CreateUser { name: user(), hash: "$2a$10$".into(), admin: true },
            Command::SetPassword { name: user(), hash: "$2a$11$".into() },
            Command::SetAdmin { name: user(), admin: false },
            Command::Grant { user: user(), database: database(), privilege: Privilege::All },
            Command::Revoke { user: user(), database: database(), privilege: Privilege::Write },
            Command::CreateContinuousQuery { database: database(), name: "cq".into(), query: "CREATE".into() },
            Command::CreateSubscription {
                database: database(),
                policy: "autogen".into(),
                name: "sub".into(),
                mode: SubscriptionMode::Any,
                destinations: vec!["udp://h:9000".into(), "http://h:80".into()],
            },
            Command::CreateRole { name: "ops".into() },
            Command::AddRoleUsers { role: "ops".into(), users: vec![user()] },
            Command::AddRolePermissions { role: "ops".into(), permissions: permissions() },
            Command::AddPermissions { user: user(), permissions: permissions() },
            Command::CreateRestriction { rule: rule() },
            Command::CreateAccessGrant { rule: rule(), users: vec![user()], roles: vec!["ops".into()] },
            Command::RenameRole { name: "ops".into(), new_name: "operators".into() },
            Command::SetDirectory { config: Some("enabled = false".into()) },
            Command::DropSubscription { database: database(), policy: "autogen".into(), name: "sub".into() },
            Command::DropContinuousQuery { database: database(), name: "cq".into() },
            Command::DropUser { name: user() },
        ]
    }

    fn entries(commands: &[Command]) -> Vec<u8> {
        let facts = LeaderFacts { now: Timestamp(1_700_000_000_000_000_000), random: 0x5eed, shard_groups_max: 100 };
        let mut out = Vec::new();
        commands.iter().for_each(|command| varint::put_bytes(&mut out, &encode_entry(&facts, command)));
        out
    }

    /// The metadata after `commands` and before the last `but` of them.
    fn snapshot(commands: &[Command], but: usize) -> Vec<u8> {
        let facts = LeaderFacts { now: Timestamp(1_700_000_000_000_000_000), random: 0x5eed, shard_groups_max: 100 };
        let mut state = Data::default();
        for (index, command) in commands[..commands.len() - but].iter().enumerate() {
            state.apply(MetaIndex(index as u64 + 1), &facts, command).expect("one fits to the other");
        }
        encode_snapshot(&state)
    }

    #[test]
    fn snapshots_keep_the_promises() {
        let made = [
            ("definitions", snapshot(&definitions(), 3)),
            ("empty", encode_snapshot(&Data::default())),
            ("members", snapshot(&members(), 4)),
            ("policies", snapshot(&policies(), 3)),
        ];
        seeds::try_all("meta_snapshot", seeds::MANY, &made, fuzz_snapshot);
    }

    #[test]
    fn entries_keep_the_promises() {
        let made = [
            ("arrivals", entries(&arrivals())),
            ("definitions", entries(&definitions())),
            ("members", entries(&members())),
            ("policies", entries(&policies())),
            ("rights", entries(&rights())),
        ];
        seeds::try_all("meta_entries", seeds::MANY, &made, fuzz_entries);
    }

    #[test]
    fn changes_keep_the_promises() {
        let made = [
            ("arrivals", entries(&arrivals())),
            ("definitions", entries(&definitions())),
            ("members", entries(&members())),
            ("policies", entries(&policies())),
            ("rights", entries(&rights())),
        ];
        seeds::try_all("meta_changes", seeds::FEW, &made, fuzz_changes);
    }

    #[test]
    fn outcomes_keep_the_promises() {
        let limit = Rejection::ShardGroupLimit { database: "db".into(), policy: "week".into(), limit: 7 };
        let outcomes = [
            ("done", Ok(Reply::Done)),
            ("groups", Ok(Reply::ShardGroups(vec![ShardGroupId(3), ShardGroupId(u64::MAX)]))),
            ("limit", Err(limit)),
            ("node", Ok(Reply::Node(NodeId(4)))),
            ("not_found", Err(Rejection::DatabaseNotFound("db".into()))),
        ];
        let made = outcomes.map(|(name, outcome)| (name, encode_outcome(&outcome, MetaIndex(9))));
        seeds::try_all("meta_outcome", seeds::MANY, &made, fuzz_outcome);
    }

    #[test]
    fn published_commands_keep_the_promises() {
        let create_database = [0x08, 3, 0xba, 0x06, 4, 0x0a, 2, b'd', b'b'].to_vec();
        let create_user = [&[0x08, 13, 0x8a, 0x07, 8, 0x0a, 1, b'u', 0x12, 1][..], b"h\x18\x01"].concat();
        let drop_shard = vec![0x08, 30, 0x92, 0x08, 2, 0x08, 7];
        let made = [("create_database", create_database), ("create_user", create_user), ("drop_shard", drop_shard)];
        for (name, command) in &made {
            assert!(crate::published::decode_command(command).is_ok(), "{name} is a command");
        }
        seeds::try_all("meta_published", seeds::MANY, &made, fuzz_published);
    }
}
