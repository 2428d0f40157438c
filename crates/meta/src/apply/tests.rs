//! Every rule of every command, and every reason to refuse one.

use std::time::Duration;

use model::{NodeId, ShardId, TimeRange, Timestamp};

use super::*;
use crate::command::{PolicySpec, PolicyUpdate};
use crate::data::Incarnation;

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);
const S: i64 = 1_000_000_000;

/// Metadata and the index of its next entry.
#[derive(Default)]
struct World {
    data: Data,
    next: u64,
    now: i64,
    groups_max: u32,
}

impl World {
    /// A cluster of `count` nodes with both roles, a database `db` with the automatic policy.
    fn with_nodes(count: u64) -> World {
        let mut world = World::default();
        for id in 1..=count {
            world.join(id, id);
        }
        world.done(&create_database("db"));
        world
    }

    /// Registers host `host` with directory `incarnation`, both roles.
    fn join(&mut self, host: u64, incarnation: u64) -> NodeId {
        let meta = Command::CreateMetaNode {
            incarnation: Incarnation(incarnation.into()),
            http_addr: format!("host{host}:8091"),
            tcp_addr: format!("host{host}:8088"),
        };
        let first = self.node(&meta);
        let second = self.node(&create_data_node(host, incarnation));
        assert_eq!(first, second, "one id for both roles");
        first
    }

    fn apply(&mut self, command: &Command) -> Result<Reply, Rejection> {
        self.next += 1;
        let facts = LeaderFacts { now: Timestamp(self.now), random: 77, shard_groups_max: self.groups_max };
        let before = self.data.clone();
        let outcome = self.data.apply(MetaIndex(self.next), &facts, command);
        self.data.validate().expect("always consistent");
        if outcome.is_err() {
            assert_eq!(format!("{before:?}"), format!("{:?}", self.data), "a refused command changes nothing");
        }
        outcome
    }

    /// Applies a command that makes a new version.
    #[track_caller]
    fn done(&mut self, command: &Command) -> Reply {
        let reply = self.apply(command).expect("carried out");
        assert_eq!(self.data.index(), MetaIndex(self.next), "a new version");
        reply
    }

    /// Applies a command that has nothing to do.
    #[track_caller]
    fn nothing(&mut self, command: &Command) -> Reply {
        let reply = self.apply(command).expect("carried out");
        assert!(self.data.index() < MetaIndex(self.next), "no new version");
        reply
    }

    #[track_caller]
    fn refused(&mut self, command: &Command, text: &str) {
        assert_eq!(self.apply(command).expect_err("refused").to_string(), text);
    }

    fn node(&mut self, command: &Command) -> NodeId {
        match self.apply(command).expect("carried out") {
            Reply::Node(id) => id,
            other => panic!("{other:?}"),
        }
    }

    fn policy(&self) -> &RetentionPolicy {
        self.data.policy("db", "").expect("default policy")
    }

    /// Makes sure of a group and answers it.
    #[track_caller]
    fn group(&mut self, seconds: i64) -> ShardGroup {
        self.apply(&create_groups(&[seconds])).expect("carried out");
        ShardGroup::clone(self.policy().group_for(Timestamp(seconds * S)).expect("there is one now"))
    }
}

fn create_data_node(host: u64, incarnation: u64) -> Command {
    Command::CreateDataNode {
        incarnation: Incarnation(incarnation.into()),
        http_addr: format!("host{host}:8086"),
        tcp_addr: format!("host{host}:8088"),
        passive: false,
    }
}

fn create_database(name: &str) -> Command {
    Command::CreateDatabase { name: name.to_owned(), policy: Some(PolicySpec::automatic()), explicit: false }
}

fn create_database_with(name: &str, policy: PolicySpec) -> Command {
    Command::CreateDatabase { name: name.to_owned(), policy: Some(policy), explicit: true }
}

fn create_groups(seconds: &[i64]) -> Command {
    Command::CreateShardGroups {
        database: "db".to_owned(),
        policy: "autogen".to_owned(),
        instants: seconds.iter().map(|seconds| Timestamp(seconds * S)).collect(),
    }
}

fn create_policy(policy: PolicySpec, make_default: bool) -> Command {
    Command::CreateRetentionPolicy { database: "db".to_owned(), policy, make_default }
}

fn alter(update: PolicyUpdate) -> Command {
    Command::AlterRetentionPolicy { database: "db".to_owned(), name: "autogen".to_owned(), update }
}

fn spec(name: &str, duration: Duration) -> PolicySpec {
    PolicySpec { name: name.to_owned(), duration: Some(duration), ..PolicySpec::automatic() }
}

fn owners(group: &ShardGroup) -> Vec<Vec<u64>> {
    group.shards.iter().map(|shard| shard.owners.iter().map(|owner| owner.node.0).collect()).collect()
}

mod bring;
mod databases;
mod definitions;
mod groups;
mod nodes;
mod policies;
mod random;
mod rights;
mod users;
