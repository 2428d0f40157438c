//! Random commands in a small world, so that they often meet.

use model::ShardGroupId;
use proptest::prelude::*;

use super::*;
use crate::codec::{decode_entry, decode_snapshot, encode_entry, encode_snapshot};
use crate::data::{PermissionMap, Privilege, SubscriptionMode};
use crate::digest::Digest;
use crate::history::History;
use crate::permission::Permissions;
use crate::rule::{Matcher, Rule, TagRule};
use crate::version::Version;

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c", "", "x/y"]).prop_map(str::to_owned)
}

fn span() -> impl Strategy<Value = Duration> {
    prop::sample::select(vec![0, 60, 3_600, 86_400, 7 * 86_400]).prop_map(Duration::from_secs)
}

fn policy_spec() -> impl Strategy<Value = PolicySpec> {
    (name(), prop::option::of(span()), span(), prop::option::of(0u32..4)).prop_map(
        |(name, duration, shard_group_duration, replica_n)| PolicySpec {
            name,
            duration,
            shard_group_duration,
            replica_n,
            ..PolicySpec::automatic()
        },
    )
}

fn update() -> impl Strategy<Value = PolicyUpdate> {
    let option = prop::option::of::<BoxedStrategy<Duration>>;
    (prop::option::of(name()), option(span().boxed()), option(span().boxed()), any::<bool>()).prop_map(
        |(name, duration, shard_group_duration, make_default)| PolicyUpdate {
            name,
            duration,
            shard_group_duration,
            make_default,
            ..PolicyUpdate::default()
        },
    )
}

fn command() -> impl Strategy<Value = Command> {
    let id = || (1u64..9).prop_map(NodeId);
    let shard = || (1u64..40).prop_map(ShardId);
    let addresses = || (1u64..5, 1u64..6);
    prop_oneof![
        1 => addresses().prop_map(|(host, incarnation)| Command::CreateMetaNode {
            incarnation: Incarnation(incarnation.into()),
            http_addr: format!("host{host}:8091"),
            tcp_addr: format!("host{host}:8088"),
        }),
        3 => addresses().prop_map(|(host, incarnation)| create_data_node(host, incarnation)),
        1 => (id(), 1u64..5).prop_map(|(id, host)| Command::UpdateMetaNode {
            id,
            http_addr: format!("host{host}:8091"),
            tcp_addr: format!("host{host}:8088"),
        }),
        1 => (id(), 1u64..5, prop::option::of(1u64..9)).prop_map(|(id, host, incarnation)| Command::UpdateDataNode {
            id,
            http_addr: format!("host{host}:8086"),
            tcp_addr: format!("host{host}:8088"),
            incarnation: incarnation.map(|number| Incarnation(number.into())),
        }),
        1 => id().prop_map(|id| Command::DeleteMetaNode { id }),
        1 => id().prop_map(|id| Command::DeleteDataNode { id }),
        4 => (name(), prop::option::of(policy_spec()), any::<bool>())
            .prop_map(|(name, policy, explicit)| Command::CreateDatabase { name, policy, explicit }),
        1 => name().prop_map(|name| Command::DropDatabase { name }),
        2 => (name(), policy_spec(), any::<bool>()).prop_map(|(database, policy, make_default)| {
            Command::CreateRetentionPolicy { database, policy, make_default }
        }),
        2 => (name(), name(), update())
            .prop_map(|(database, name, update)| Command::AlterRetentionPolicy { database, name, update }),
        1 => (name(), name()).prop_map(|(database, name)| Command::DropRetentionPolicy { database, name }),
        8 => (name(), name(), prop::collection::vec(-9_000i64..9_000, 1..4)).prop_map(
            |(database, policy, minutes)| Command::CreateShardGroups {
                database,
                policy,
                instants: minutes.into_iter().map(|minutes| Timestamp(minutes * 60 * S)).collect(),
            }
        ),
        1 => (name(), name(), 1u64..20).prop_map(|(database, policy, group)| Command::DeleteShardGroup {
            database,
            policy,
            group: model::ShardGroupId(group),
        }),
        1 => shard().prop_map(|shard| Command::DropShard { shard }),
        1 => (shard(), id()).prop_map(|(shard, node)| Command::CopyShardOwner { shard, node }),
        1 => (shard(), id()).prop_map(|(shard, node)| Command::RemoveShardOwner { shard, node }),
        1 => (0u64..9_000).prop_map(|minutes| Command::TruncateShardGroups { delay: Duration::from_secs(minutes * 60) }),
        1 => Just(Command::PruneShardGroups),
        1 => (-9_000i64..90_000).prop_map(|minutes| Command::ExpireShardGroups { now: Timestamp(minutes * 60 * S) }),
        1 => (name(), name(), name())
            .prop_map(|(database, name, query)| Command::CreateContinuousQuery { database, name, query }),
        1 => (name(), name()).prop_map(|(database, name)| Command::DropContinuousQuery { database, name }),
        1 => (name(), name(), name()).prop_map(|(database, policy, name)| Command::CreateSubscription {
            database,
            policy,
            name,
            mode: SubscriptionMode::All,
            destinations: vec!["http://h:80".to_owned()],
        }),
        1 => (name(), name(), name())
            .prop_map(|(database, policy, name)| Command::DropSubscription { database, policy, name }),
        1 => (name(), name(), any::<bool>())
            .prop_map(|(name, hash, admin)| Command::CreateUser { name, hash, admin }),
        1 => name().prop_map(|name| Command::DropUser { name }),
        1 => (name(), name()).prop_map(|(name, hash)| Command::SetPassword { name, hash }),
        1 => (name(), any::<bool>()).prop_map(|(name, admin)| Command::SetAdmin { name, admin }),
        1 => (name(), name(), 0u8..4).prop_map(|(user, database, bits)| Command::Grant {
            user,
            database,
            privilege: Privilege::from_bits(bits).expect("two bits"),
        }),
        1 => (name(), name(), 0u8..4).prop_map(|(user, database, bits)| Command::Revoke {
            user,
            database,
            privilege: Privilege::from_bits(bits).expect("two bits"),
        }),
        2 => bring(),
        4 => right(),
        1 => (id(), name(), name()).prop_map(|(node, key, other)| Command::ChangeLabels {
            node,
            set: [(key, "x".to_owned())].into(),
            remove: vec![other],
        }),
    ]
}

/// A node that was alone, with a few groups under ids that may fit.
fn bring() -> impl Strategy<Value = Command> {
    (0u64..12, 0u64..40, name(), any::<bool>(), 5u128..8).prop_map(
        |(groups, shards, database, passive, incarnation)| {
            let mut alone = Data::default();
            let facts = LeaderFacts { now: Timestamp(0), random: 9, shard_groups_max: 0 };
            let instants = vec![Timestamp(0), Timestamp(90 * 24 * 3_600 * S)];
            let commands = [
                create_data_node(9, 5),
                create_database(&database),
                Command::CreateShardGroups { database, policy: "autogen".to_owned(), instants },
            ];
            for (index, command) in (1..).zip(&commands) {
                // Some names are none.
                let _ = alone.apply(MetaIndex(index), &facts, command);
            }
            Command::BringDataNode {
                cluster_id: 5,
                incarnation: Incarnation(incarnation),
                http_addr: "host9:8086".to_owned(),
                tcp_addr: "host9:8088".to_owned(),
                passive,
                databases: alone.holdings(NodeId(1)).numbered(ShardGroupId(groups), ShardId(shards)).databases,
            }
        },
    )
}

fn permissions() -> impl Strategy<Value = PermissionMap> {
    (name(), 0u32..1 << 18).prop_map(|(database, bits)| {
        PermissionMap::from([(database, Permissions::from_bits(bits).expect("eighteen bits"))])
    })
}

fn rule() -> impl Strategy<Value = Rule> {
    (name(), prop::option::of(name()), name(), any::<bool>()).prop_map(|(database, measurement, key, read)| Rule {
        database: Matcher::Prefix(database),
        measurement: measurement.map(Matcher::Exact),
        tags: vec![TagRule { value: Matcher::Prefix(key.clone()), key }],
        read,
        write: !read,
    })
}

/// Commands about roles, permissions and rules.
fn right() -> impl Strategy<Value = Command> {
    let names = || prop::collection::vec(name(), 0..3);
    prop_oneof![
        (name(), name()).prop_map(|(name, hash)| Command::CreateFirstAdmin { name, hash }),
        (name(), permissions()).prop_map(|(user, permissions)| Command::AddPermissions { user, permissions }),
        (name(), permissions()).prop_map(|(user, permissions)| Command::RemovePermissions { user, permissions }),
        name().prop_map(|name| Command::CreateRole { name }),
        name().prop_map(|name| Command::DropRole { name }),
        (name(), name()).prop_map(|(name, new_name)| Command::RenameRole { name, new_name }),
        (name(), names()).prop_map(|(role, users)| Command::AddRoleUsers { role, users }),
        (name(), names()).prop_map(|(role, users)| Command::RemoveRoleUsers { role, users }),
        (name(), permissions()).prop_map(|(role, permissions)| Command::AddRolePermissions { role, permissions }),
        (name(), permissions()).prop_map(|(role, permissions)| Command::RemoveRolePermissions { role, permissions }),
        rule().prop_map(|rule| Command::CreateRestriction { rule }),
        (1u64..9).prop_map(|id| Command::DropRestriction { id }),
        (rule(), names(), names()).prop_map(|(rule, users, roles)| Command::CreateAccessGrant { rule, users, roles }),
        (1u64..9).prop_map(|id| Command::DropAccessGrant { id }),
        prop::option::of(name()).prop_map(|config| Command::SetDirectory { config }),
        Just(Command::PurgeDirectory),
        (0u64..4, (1u64..5).prop_map(NodeId)).prop_map(|(recovery, left)| Command::Recover {
            recovery,
            members: vec![left],
            nodes: 2,
            others: 3
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The state holds together after each command; the same log gives the same state, also through bytes and when a
    /// snapshot is taken on the way.
    #[test]
    fn equal_logs_give_equal_states(
        commands in prop::collection::vec((command(), 0i64..200_000), 1..60),
        cut in 0usize..60,
    ) {
        let (mut one, mut other) = (Data::default(), Data::default());
        let mut now = 0;
        for (place, (command, minutes)) in commands.iter().enumerate() {
            now += minutes * 60 * S / 10;
            let facts = LeaderFacts { now: Timestamp(now), random: 5, shard_groups_max: 8 };
            let index = MetaIndex(place as u64 + 1);
            let (facts_read, command_read) = decode_entry(&encode_entry(&facts, command)).expect("written so");
            prop_assert_eq!(&command_read, command);
            let first = one.apply(index, &facts, command);
            prop_assert_eq!(one.validate(), Ok(()));
            let second = other.apply(index, &facts_read, &command_read);
            prop_assert_eq!(first, second);
            if place == cut {
                other = decode_snapshot(&encode_snapshot(&other)).expect("written so");
            }
        }
        prop_assert_eq!(encode_snapshot(&one), encode_snapshot(&other));
    }

    /// Copies that ask now and then, and a service that forgets, starts again from a snapshot or receives one: whoever is
    /// told changes has the state of the service, byte for byte, and everybody else is told everything.
    #[test]
    fn copies_that_follow_by_changes_are_equal(
        commands in prop::collection::vec((command(), 0i64..200_000, 0u8..16), 1..60),
        bytes_max in prop::sample::select(vec![0usize, 500, 3_000, 1 << 20]),
    ) {
        let mut service = Data::default();
        let mut history = History::new(&service, bytes_max);
        let mut saved = (service.clone(), Vec::new());
        let mut copies = [0u8, 1, 2].map(|_| Version::of(Arc::default()));
        let mut now = 0;
        for (place, (command, minutes, event)) in commands.iter().enumerate() {
            now += minutes * 60 * S / 10;
            let facts = LeaderFacts { now: Timestamp(now), random: 5, shard_groups_max: 8 };
            // Not every entry of a log is a command.
            let index = MetaIndex(place as u64 * 2 + 1);
            let entry = bytes::Bytes::from(encode_entry(&facts, command));
            let before = service.clone();
            let _ = service.apply(index, &facts, command);
            history.push(&before, &service, entry.clone());
            saved.1.push((index, entry));
            prop_assert!(history.bytes() <= bytes_max);
            match event {
                // Takes a snapshot.
                0 => saved = (decode_snapshot(&encode_snapshot(&service)).expect("written so"), Vec::new()),
                // Starts with the last one, and with the log behind it.
                1 => {
                    service = saved.0.clone();
                    history = History::new(&service, bytes_max);
                    for (index, entry) in &saved.1 {
                        let before = service.clone();
                        let (facts, command) = decode_entry(entry).expect("written so");
                        let _ = service.apply(*index, &facts, &command);
                        history.push(&before, &service, entry.clone());
                    }
                }
                // Receives one.
                2 => history.restart(&service),
                _ => {}
            }
            for (number, copy) in copies.iter_mut().enumerate() {
                let asks = number == 0 || place % (5 * number) == 0;
                if !asks || copy.data().index() == service.index() {
                    continue;
                }
                *copy = match history.since(copy.known()) {
                    Some(changes) => copy.after(&changes).expect("they lead on"),
                    None => Version::of(Arc::new(decode_snapshot(&encode_snapshot(&service)).expect("written so"))),
                };
                prop_assert_eq!(encode_snapshot(copy.data()), encode_snapshot(&service));
                prop_assert_eq!(copy.known().digest, Some(Digest::of(&service)));
                prop_assert_eq!(copy.data().validate(), Ok(()));
            }
        }
    }
}
