//! Commands, and the answer to one.

use std::time::Duration;

use model::{NodeId, ShardGroupId, ShardId, Timestamp};
use prost::Message;

use crate::command::{Command, PolicySpec, PolicyUpdate, Rejection};
use crate::data::{Privilege, SubscriptionMode};

/// What the body of a command is called in errors.
const BODY: &str = "command";

/// Why a message is no command for us.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotACommand {
    /// It cannot be read.
    #[error("unable to unmarshal command: {0}")]
    Malformed(String),
    /// It can be read, and is refused: this is the answer.
    #[error("{0}")]
    Refused(String),
}

impl From<Rejection> for NotACommand {
    fn from(rejection: Rejection) -> NotACommand {
        NotACommand::Refused(rejection.to_string())
    }
}

/// A command: its type, and its body in the field with that number and a hundred. Fields are optional here so that a missing one is told
/// from a zero.
#[derive(Clone, PartialEq, Message)]
struct Envelope {
    #[prost(int32, optional, tag = "1")]
    kind: Option<i32>,
    #[prost(message, optional, tag = "103")]
    create_database: Option<NameAndPolicy>,
    #[prost(message, optional, tag = "104")]
    drop_database: Option<Name>,
    #[prost(message, optional, tag = "105")]
    create_policy: Option<NameAndPolicy>,
    #[prost(message, optional, tag = "106")]
    drop_policy: Option<NameInDatabase>,
    #[prost(message, optional, tag = "107")]
    set_default_policy: Option<NameInDatabase>,
    #[prost(message, optional, tag = "108")]
    update_policy: Option<UpdatePolicy>,
    #[prost(message, optional, tag = "109")]
    create_group: Option<GroupAt>,
    #[prost(message, optional, tag = "110")]
    delete_group: Option<Group>,
    #[prost(message, optional, tag = "111")]
    create_query: Option<CreateQuery>,
    #[prost(message, optional, tag = "112")]
    drop_query: Option<NameInDatabase>,
    #[prost(message, optional, tag = "113")]
    create_user: Option<UserChange>,
    #[prost(message, optional, tag = "114")]
    drop_user: Option<Name>,
    #[prost(message, optional, tag = "115")]
    update_user: Option<UserChange>,
    #[prost(message, optional, tag = "116")]
    set_privilege: Option<SetPrivilege>,
    #[prost(message, optional, tag = "118")]
    set_admin: Option<SetAdmin>,
    #[prost(message, optional, tag = "121")]
    create_subscription: Option<SubscriptionChange>,
    #[prost(message, optional, tag = "122")]
    drop_subscription: Option<SubscriptionChange>,
    #[prost(message, optional, tag = "126")]
    update_data_node: Option<UpdateNode>,
    #[prost(message, optional, tag = "127")]
    delete_meta_node: Option<Id>,
    #[prost(message, optional, tag = "128")]
    delete_data_node: Option<Id>,
    #[prost(message, optional, tag = "130")]
    drop_shard: Option<Id>,
}

#[derive(Clone, PartialEq, Message)]
struct Id {
    #[prost(uint64, optional, tag = "1")]
    id: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
struct Name {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct NameInDatabase {
    #[prost(string, optional, tag = "1")]
    database: Option<String>,
    #[prost(string, optional, tag = "2")]
    name: Option<String>,
}

/// The name of a database, and a policy.
#[derive(Clone, PartialEq, Message)]
struct NameAndPolicy {
    #[prost(string, optional, tag = "1")]
    database: Option<String>,
    #[prost(message, optional, tag = "2")]
    policy: Option<Policy>,
}

#[derive(Clone, PartialEq, Message)]
struct Policy {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(int64, optional, tag = "2")]
    duration: Option<i64>,
    #[prost(int64, optional, tag = "3")]
    shard_group_duration: Option<i64>,
    #[prost(uint32, optional, tag = "4")]
    replica_n: Option<u32>,
    #[prost(int64, optional, tag = "7")]
    future_write_limit: Option<i64>,
    #[prost(int64, optional, tag = "8")]
    past_write_limit: Option<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct UpdatePolicy {
    #[prost(string, optional, tag = "1")]
    database: Option<String>,
    #[prost(string, optional, tag = "2")]
    name: Option<String>,
    #[prost(string, optional, tag = "3")]
    new_name: Option<String>,
    #[prost(int64, optional, tag = "4")]
    duration: Option<i64>,
    #[prost(uint32, optional, tag = "5")]
    replica_n: Option<u32>,
}

#[derive(Clone, PartialEq, Message)]
struct GroupAt {
    #[prost(string, optional, tag = "1")]
    database: Option<String>,
    #[prost(string, optional, tag = "2")]
    policy: Option<String>,
    #[prost(int64, optional, tag = "3")]
    instant: Option<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct Group {
    #[prost(string, optional, tag = "1")]
    database: Option<String>,
    #[prost(string, optional, tag = "2")]
    policy: Option<String>,
    #[prost(uint64, optional, tag = "3")]
    group: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
struct CreateQuery {
    #[prost(string, optional, tag = "1")]
    database: Option<String>,
    #[prost(string, optional, tag = "2")]
    name: Option<String>,
    #[prost(string, optional, tag = "3")]
    query: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct UserChange {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(string, optional, tag = "2")]
    hash: Option<String>,
    #[prost(bool, optional, tag = "3")]
    admin: Option<bool>,
}

#[derive(Clone, PartialEq, Message)]
struct SetPrivilege {
    #[prost(string, optional, tag = "1")]
    user: Option<String>,
    #[prost(string, optional, tag = "2")]
    database: Option<String>,
    #[prost(int32, optional, tag = "3")]
    privilege: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
struct SetAdmin {
    #[prost(string, optional, tag = "1")]
    user: Option<String>,
    #[prost(bool, optional, tag = "2")]
    admin: Option<bool>,
}

#[derive(Clone, PartialEq, Message)]
struct SubscriptionChange {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(string, optional, tag = "2")]
    database: Option<String>,
    #[prost(string, optional, tag = "3")]
    policy: Option<String>,
    #[prost(string, optional, tag = "4")]
    mode: Option<String>,
    #[prost(string, repeated, tag = "5")]
    destinations: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct UpdateNode {
    #[prost(uint64, optional, tag = "1")]
    id: Option<u64>,
    #[prost(string, optional, tag = "2")]
    host: Option<String>,
    #[prost(string, optional, tag = "3")]
    tcp_host: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Response {
    /// Never true, not even on success; clients look at the error.
    #[prost(bool, required, tag = "1")]
    ok: bool,
    #[prost(string, optional, tag = "2")]
    error: Option<String>,
    #[prost(uint64, optional, tag = "3")]
    index: Option<u64>,
}

/// The answer: where in the log the command stands, or why it was refused.
pub fn encode_response(outcome: Result<u64, &str>) -> Vec<u8> {
    let (index, error) = match outcome {
        Ok(index) => (Some(index), None),
        Err(why) => (None, Some(why.to_owned())),
    };
    Response { ok: false, error, index }.encode_to_vec()
}

/// Reads a command.
///
/// # Errors
/// [`NotACommand::Malformed`] when it cannot be read, [`NotACommand::Refused`] when it is none that this cluster carries
/// out: those that register nodes do not say which directory a node is, and those that replace the whole metadata would
/// take back what was acknowledged.
pub fn decode_command(bytes: &[u8]) -> Result<Command, NotACommand> {
    let envelope = Envelope::decode(bytes).map_err(|error| NotACommand::Malformed(error.to_string()))?;
    let kind = required(envelope.kind, "type")?;
    Ok(match kind {
        3 => {
            let body = required(envelope.create_database, BODY)?;
            let explicit = body.policy.is_some();
            let policy = body.policy.map_or(Ok(PolicySpec::automatic()), policy_spec)?;
            Command::CreateDatabase { name: required(body.database, "Name")?, policy: Some(policy), explicit }
        }
        4 => Command::DropDatabase { name: required(required(envelope.drop_database, BODY)?.name, "Name")? },
        5 => {
            let body = required(envelope.create_policy, BODY)?;
            Command::CreateRetentionPolicy {
                database: required(body.database, "Database")?,
                policy: policy_spec(required(body.policy, "RetentionPolicy")?)?,
                make_default: false,
            }
        }
        6 => {
            let (database, name) = in_database(envelope.drop_policy)?;
            Command::DropRetentionPolicy { database, name }
        }
        7 => {
            let (database, name) = in_database(envelope.set_default_policy)?;
            let update = PolicyUpdate { make_default: true, ..PolicyUpdate::default() };
            Command::AlterRetentionPolicy { database, name, update }
        }
        8 => update_policy(required(envelope.update_policy, BODY)?)?,
        9 => {
            let body = required(envelope.create_group, BODY)?;
            Command::CreateShardGroups {
                database: required(body.database, "Database")?,
                policy: required(body.policy, "Policy")?,
                instants: vec![Timestamp(required(body.instant, "Timestamp")?)],
            }
        }
        10 => {
            let body = required(envelope.delete_group, BODY)?;
            Command::DeleteShardGroup {
                database: required(body.database, "Database")?,
                policy: required(body.policy, "Policy")?,
                group: ShardGroupId(required(body.group, "ShardGroupID")?),
            }
        }
        11 => {
            let body = required(envelope.create_query, BODY)?;
            Command::CreateContinuousQuery {
                database: required(body.database, "Database")?,
                name: required(body.name, "Name")?,
                query: required(body.query, "Query")?,
            }
        }
        12 => {
            let (database, name) = in_database(envelope.drop_query)?;
            Command::DropContinuousQuery { database, name }
        }
        13 => {
            let body = required(envelope.create_user, BODY)?;
            Command::CreateUser {
                name: required(body.name, "Name")?,
                hash: required(body.hash, "Hash")?,
                admin: required(body.admin, "Admin")?,
            }
        }
        14 => Command::DropUser { name: required(required(envelope.drop_user, BODY)?.name, "Name")? },
        15 => {
            let body = required(envelope.update_user, BODY)?;
            Command::SetPassword { name: required(body.name, "Name")?, hash: required(body.hash, "Hash")? }
        }
        16 => set_privilege(required(envelope.set_privilege, BODY)?)?,
        18 => {
            let body = required(envelope.set_admin, BODY)?;
            Command::SetAdmin { name: required(body.user, "Username")?, admin: required(body.admin, "Admin")? }
        }
        21 => create_subscription(required(envelope.create_subscription, BODY)?)?,
        22 => {
            let body = required(envelope.drop_subscription, BODY)?;
            Command::DropSubscription {
                database: required(body.database, "Database")?,
                policy: required(body.policy, "RetentionPolicy")?,
                name: required(body.name, "Name")?,
            }
        }
        26 => {
            let body = required(envelope.update_data_node, BODY)?;
            Command::UpdateDataNode {
                id: NodeId(required(body.id, "ID")?),
                http_addr: required(body.host, "Host")?,
                tcp_addr: required(body.tcp_host, "TCPHost")?,
                incarnation: None,
            }
        }
        27 => Command::DeleteMetaNode { id: NodeId(required(required(envelope.delete_meta_node, BODY)?.id, "ID")?) },
        28 => Command::DeleteDataNode { id: NodeId(required(required(envelope.delete_data_node, BODY)?.id, "ID")?) },
        30 => Command::DropShard { shard: ShardId(required(required(envelope.drop_shard, BODY)?.id, "ID")?) },
        1 | 2 | 19 => return Err(refused(kind, "belongs to releases before 0.10")),
        24 | 25 | 29 => return Err(refused(kind, "cannot register a node; use influxd-ctl add-meta or add-data")),
        17 => return Err(refused(kind, "would replace the whole metadata")),
        23 => return Err(refused(kind, "cannot remove a peer; use influxd-ctl remove-meta")),
        31..=34 => return Err(refused(kind, "has no published shape; use influxd-ctl")),
        _ => return Err(NotACommand::Malformed(format!("unknown command type {kind}"))),
    })
}

fn refused(kind: i32, why: &str) -> NotACommand {
    NotACommand::Refused(format!("command of type {kind} {why}"))
}

fn required<T>(field: Option<T>, name: &str) -> Result<T, NotACommand> {
    field.ok_or_else(|| NotACommand::Malformed(format!("required field \"{name}\" not set")))
}

fn in_database(body: Option<NameInDatabase>) -> Result<(String, String), NotACommand> {
    let body = required(body, BODY)?;
    Ok((required(body.database, "Database")?, required(body.name, "Name")?))
}

fn policy_spec(policy: Policy) -> Result<PolicySpec, NotACommand> {
    let optional = |nanoseconds: Option<i64>| duration(nanoseconds.unwrap_or(0));
    Ok(PolicySpec {
        name: required(policy.name, "Name")?,
        duration: Some(duration(required(policy.duration, "Duration")?)?),
        shard_group_duration: duration(required(policy.shard_group_duration, "ShardGroupDuration")?)?,
        replica_n: Some(required(policy.replica_n, "ReplicaN")?),
        past_write_limit: optional(policy.past_write_limit)?,
        future_write_limit: optional(policy.future_write_limit)?,
    })
}

fn update_policy(body: UpdatePolicy) -> Result<Command, NotACommand> {
    let update = PolicyUpdate {
        name: body.new_name,
        duration: body.duration.map(duration).transpose()?,
        replica_n: body.replica_n,
        ..PolicyUpdate::default()
    };
    Ok(Command::AlterRetentionPolicy {
        database: required(body.database, "Database")?,
        name: required(body.name, "Name")?,
        update,
    })
}

fn set_privilege(body: SetPrivilege) -> Result<Command, NotACommand> {
    let number = required(body.privilege, "Privilege")?;
    let privilege = u8::try_from(number).ok().and_then(Privilege::from_bits);
    Ok(Command::Grant {
        user: required(body.user, "Username")?,
        database: required(body.database, "Database")?,
        privilege: privilege.ok_or_else(|| NotACommand::Malformed(format!("unknown privilege {number}")))?,
    })
}

fn create_subscription(body: SubscriptionChange) -> Result<Command, NotACommand> {
    let mode = match required(body.mode, "Mode")?.as_str() {
        "ALL" => SubscriptionMode::All,
        "ANY" => SubscriptionMode::Any,
        other => return Err(NotACommand::Malformed(format!("unknown subscription mode {other:?}"))),
    };
    Ok(Command::CreateSubscription {
        database: required(body.database, "Database")?,
        policy: required(body.policy, "RetentionPolicy")?,
        name: required(body.name, "Name")?,
        mode,
        destinations: body.destinations,
    })
}

/// A span of time. One that is negative is shorter than any policy may be.
fn duration(nanoseconds: i64) -> Result<Duration, NotACommand> {
    let nanoseconds = u64::try_from(nanoseconds).map_err(|_| Rejection::DurationTooShort)?;
    Ok(Duration::from_nanos(nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> Option<String> {
        Some(name.to_owned())
    }

    fn read(kind: i32, envelope: Envelope) -> Result<Command, NotACommand> {
        decode_command(&Envelope { kind: Some(kind), ..envelope }.encode_to_vec())
    }

    fn published_policy() -> Policy {
        Policy {
            name: name("week"),
            duration: Some(604_800_000_000_000),
            shard_group_duration: Some(86_400_000_000_000),
            replica_n: Some(2),
            future_write_limit: Some(3_600_000_000_000),
            past_write_limit: None,
        }
    }

    fn spec() -> PolicySpec {
        PolicySpec {
            name: "week".to_owned(),
            duration: Some(Duration::from_secs(604_800)),
            shard_group_duration: Duration::from_secs(86_400),
            replica_n: Some(2),
            past_write_limit: Duration::ZERO,
            future_write_limit: Duration::from_secs(3_600),
        }
    }

    #[test]
    fn commands_are_read_under_the_published_numbers() {
        let in_db = || Some(NameInDatabase { database: name("db"), name: name("x") });
        let (database, x) = (|| "db".to_owned(), || "x".to_owned());
        let none = Envelope::default;
        let make_default = PolicyUpdate { make_default: true, ..PolicyUpdate::default() };
        let update = PolicyUpdate {
            name: name("y"),
            duration: Some(Duration::from_secs(3_600)),
            replica_n: Some(3),
            ..PolicyUpdate::default()
        };
        let user = || UserChange { name: name("u"), hash: name("$2a$"), admin: Some(true) };
        let subscription = || SubscriptionChange {
            name: name("x"),
            database: name("db"),
            policy: name("week"),
            mode: name("ANY"),
            destinations: vec!["udp://h:9000".to_owned()],
        };
        let id = || Some(Id { id: Some(7) });
        let with_policy = |policy| Some(NameAndPolicy { database: name("db"), policy });
        let cases = [
            (
                3,
                Envelope { create_database: with_policy(None), ..none() },
                Command::CreateDatabase { name: database(), policy: Some(PolicySpec::automatic()), explicit: false },
            ),
            (
                3,
                Envelope { create_database: with_policy(Some(published_policy())), ..none() },
                Command::CreateDatabase { name: database(), policy: Some(spec()), explicit: true },
            ),
            (
                4,
                Envelope { drop_database: Some(Name { name: name("db") }), ..none() },
                Command::DropDatabase { name: database() },
            ),
            (
                5,
                Envelope { create_policy: with_policy(Some(published_policy())), ..none() },
                Command::CreateRetentionPolicy { database: database(), policy: spec(), make_default: false },
            ),
            (
                6,
                Envelope { drop_policy: in_db(), ..none() },
                Command::DropRetentionPolicy { database: database(), name: x() },
            ),
            (
                7,
                Envelope { set_default_policy: in_db(), ..none() },
                Command::AlterRetentionPolicy { database: database(), name: x(), update: make_default },
            ),
            (
                8,
                Envelope {
                    update_policy: Some(UpdatePolicy {
                        database: name("db"),
                        name: name("x"),
                        new_name: name("y"),
                        duration: Some(3_600_000_000_000),
                        replica_n: Some(3),
                    }),
                    ..none()
                },
                Command::AlterRetentionPolicy { database: database(), name: x(), update },
            ),
            (
                9,
                Envelope {
                    create_group: Some(GroupAt { database: name("db"), policy: name("x"), instant: Some(-5) }),
                    ..none()
                },
                Command::CreateShardGroups { database: database(), policy: x(), instants: vec![Timestamp(-5)] },
            ),
            (
                10,
                Envelope {
                    delete_group: Some(Group { database: name("db"), policy: name("x"), group: Some(9) }),
                    ..none()
                },
                Command::DeleteShardGroup { database: database(), policy: x(), group: ShardGroupId(9) },
            ),
            (
                11,
                Envelope {
                    create_query: Some(CreateQuery { database: name("db"), name: name("x"), query: name("q") }),
                    ..none()
                },
                Command::CreateContinuousQuery { database: database(), name: x(), query: "q".to_owned() },
            ),
            (
                12,
                Envelope { drop_query: in_db(), ..none() },
                Command::DropContinuousQuery { database: database(), name: x() },
            ),
            (
                13,
                Envelope { create_user: Some(user()), ..none() },
                Command::CreateUser { name: "u".to_owned(), hash: "$2a$".to_owned(), admin: true },
            ),
            (
                14,
                Envelope { drop_user: Some(Name { name: name("u") }), ..none() },
                Command::DropUser { name: "u".to_owned() },
            ),
            (
                15,
                Envelope { update_user: Some(UserChange { admin: None, ..user() }), ..none() },
                Command::SetPassword { name: "u".to_owned(), hash: "$2a$".to_owned() },
            ),
            (
                16,
                Envelope {
                    set_privilege: Some(SetPrivilege { user: name("u"), database: name("db"), privilege: Some(2) }),
                    ..none()
                },
                Command::Grant { user: "u".to_owned(), database: database(), privilege: Privilege::Write },
            ),
            (
                18,
                Envelope { set_admin: Some(SetAdmin { user: name("u"), admin: Some(false) }), ..none() },
                Command::SetAdmin { name: "u".to_owned(), admin: false },
            ),
            (
                21,
                Envelope { create_subscription: Some(subscription()), ..none() },
                Command::CreateSubscription {
                    database: database(),
                    policy: "week".to_owned(),
                    name: x(),
                    mode: SubscriptionMode::Any,
                    destinations: vec!["udp://h:9000".to_owned()],
                },
            ),
            (
                22,
                Envelope { drop_subscription: Some(subscription()), ..none() },
                Command::DropSubscription { database: database(), policy: "week".to_owned(), name: x() },
            ),
            (
                26,
                Envelope {
                    update_data_node: Some(UpdateNode { id: Some(7), host: name("h:1"), tcp_host: name("h:2") }),
                    ..none()
                },
                Command::UpdateDataNode {
                    id: NodeId(7),
                    http_addr: "h:1".to_owned(),
                    tcp_addr: "h:2".to_owned(),
                    incarnation: None,
                },
            ),
            (27, Envelope { delete_meta_node: id(), ..none() }, Command::DeleteMetaNode { id: NodeId(7) }),
            (28, Envelope { delete_data_node: id(), ..none() }, Command::DeleteDataNode { id: NodeId(7) }),
            (30, Envelope { drop_shard: id(), ..none() }, Command::DropShard { shard: ShardId(7) }),
        ];
        for (kind, envelope, command) in cases {
            assert_eq!(read(kind, envelope.clone()), Ok(command), "type {kind}");
            let without_body = NotACommand::Malformed("required field \"command\" not set".to_owned());
            assert_eq!(read(kind, Envelope::default()), Err(without_body), "type {kind} without its body");
        }
    }

    /// As another encoder writes them: `CREATE DATABASE "db"`, and its field 103.
    #[test]
    fn bytes_of_other_encoders_are_read() {
        let create = [0x08, 3, 0xba, 0x06, 4, 0x0a, 2, b'd', b'b'];
        let policy = Some(PolicySpec::automatic());
        assert_eq!(
            decode_command(&create),
            Ok(Command::CreateDatabase { name: "db".to_owned(), policy, explicit: false })
        );
    }

    #[test]
    fn what_is_not_carried_out_says_why() {
        for (kind, part) in
            [(1, "before 0.10"), (17, "whole metadata"), (23, "remove-meta"), (25, "add-data"), (34, "shape")]
        {
            let Err(NotACommand::Refused(text)) = read(kind, Envelope::default()) else { panic!("type {kind}") };
            assert!(text.starts_with(&format!("command of type {kind} ")) && text.contains(part), "{text}");
        }
        let malformed = |bytes: &[u8], text: &str| {
            let error = decode_command(bytes).expect_err("no command");
            assert_eq!(error.to_string(), format!("unable to unmarshal command: {text}"));
        };
        malformed(&[], "required field \"type\" not set");
        malformed(&[0x08, 99], "unknown command type 99");
        malformed(&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], "unknown command type -1");
        assert!(matches!(decode_command(b"\xff"), Err(NotACommand::Malformed(_))));
        let negative = Policy { duration: Some(-1), ..published_policy() };
        let negative = Some(NameAndPolicy { database: name("db"), policy: Some(negative) });
        let short = NotACommand::Refused("retention policy duration must be at least 1h0m0s".to_owned());
        assert_eq!(read(5, Envelope { create_policy: negative, ..Envelope::default() }), Err(short));
        let odd = SetPrivilege { user: name("u"), database: name("db"), privilege: Some(4) };
        let odd = read(16, Envelope { set_privilege: Some(odd), ..Envelope::default() });
        assert_eq!(odd, Err(NotACommand::Malformed("unknown privilege 4".to_owned())));
    }

    #[test]
    fn answers_never_say_ok() {
        assert_eq!(encode_response(Ok(5)), [0x08, 0, 0x18, 5]);
        assert_eq!(encode_response(Err("no")), [0x08, 0, 0x12, 2, b'n', b'o']);
    }
}
