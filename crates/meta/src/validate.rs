//! What always holds. Run after every change in debug builds and tests, and on every snapshot that comes from outside.

use std::collections::BTreeSet;

use crate::data::{Data, Database, RetentionPolicy, ShardGroup};
use crate::permission::Permissions;

/// Something that should be so is not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("metadata is inconsistent: {0}")]
pub struct Violation(String);

macro_rules! hold {
    ($fact:expr, $($why:tt)*) => {
        if !$fact {
            return Err(Violation(format!($($why)*)));
        }
    };
}

impl Data {
    /// Checks every invariant. Walks everything.
    ///
    /// # Errors
    /// The first fact that does not hold.
    pub fn validate(&self) -> Result<(), Violation> {
        self.validate_nodes()?;
        let mut seen = Seen::default();
        hold!(self.databases.is_sorted_by(|a, b| a.id < b.id), "databases are not by ascending id");
        hold!(self.database_names.len() == self.databases.len(), "names and databases differ in number");
        for database in self.databases.iter() {
            hold!(database.id <= self.database_id_max, "database {} is above the largest id", database.id);
            let named = self.database_names.get(&database.name);
            hold!(named == Some(&database.id), "database {:?} is not found by name", database.name);
            self.validate_database(database, &mut seen)?;
        }
        hold!(self.shards.len() == seen.shards.len(), "the index of shards holds others");
        let users: BTreeSet<_> = self.users.iter().map(|user| &user.name).collect();
        hold!(users.len() == self.users.len(), "two users have one name");
        self.validate_rights()
    }

    fn validate_rights(&self) -> Result<(), Violation> {
        let roles: BTreeSet<_> = self.roles.iter().map(|role| &role.name).collect();
        hold!(roles.len() == self.roles.len(), "two roles have one name");
        for role in self.roles.iter() {
            let known = role.users.iter().all(|user| self.user(user).is_some());
            hold!(known, "role {:?} has a user who does not exist", role.name);
        }
        let maps = self.users.iter().map(|user| &user.permissions);
        for map in maps.chain(self.roles.iter().map(|role| &role.permissions)) {
            for (database, set) in map {
                hold!(!set.is_empty(), "no permission at all for {database:?}");
                let fits = database.is_empty() || set.without(Permissions::OF_DATABASES).is_empty();
                hold!(fits, "a permission of the cluster for {database:?}");
            }
        }
        hold!(self.restrictions.is_sorted_by(|a, b| a.id < b.id), "restrictions are not by ascending id");
        hold!(self.access_grants.is_sorted_by(|a, b| a.id < b.id), "grants are not by ascending id");
        let mut ids = BTreeSet::new();
        let restrictions = self.restrictions.iter().map(|found| (found.id, &found.rule));
        for (id, rule) in restrictions.chain(self.access_grants.iter().map(|grant| (grant.id, &grant.rule))) {
            hold!(id <= self.rule_id_max, "rule {id} is above the largest id");
            hold!(ids.insert(id), "rule {id} is there twice");
            let texts = rule.tags.iter().map(|tag| tag.value.text());
            let texts = texts.chain(rule.measurement.iter().map(|name| name.text()));
            let said = texts.chain([rule.database.text()]).all(|text| !text.is_empty() && text.len() <= 255);
            hold!(said, "rule {id} leaves a name empty, or too long");
        }
        for grant in self.access_grants.iter() {
            hold!(!grant.users.is_empty() || !grant.roles.is_empty(), "grant {} is for nobody", grant.id);
        }
        Ok(())
    }

    fn validate_nodes(&self) -> Result<(), Violation> {
        hold!(self.nodes.is_sorted_by(|a, b| a.id < b.id), "nodes are not by ascending id");
        let mut incarnations = BTreeSet::new();
        let mut addresses = BTreeSet::new();
        for node in self.nodes.iter() {
            hold!(node.id <= self.node_id_max, "node {} is above the largest id", node.id);
            hold!(node.meta.is_some() || node.data.is_some(), "node {} has no role", node.id);
            hold!(incarnations.insert(node.incarnation), "node {} shares its incarnation", node.id);
            let meta = node.meta.iter().flat_map(|meta| [(0, &meta.http_addr), (1, &meta.tcp_addr)]);
            for address in meta.chain(node.data.iter().map(|data| (2, &data.tcp_addr))) {
                hold!(addresses.insert(address), "node {} shares its address {}", node.id, address.1);
            }
        }
        Ok(())
    }

    fn validate_database(&self, database: &Database, seen: &mut Seen) -> Result<(), Violation> {
        let name = &database.name;
        let queries: BTreeSet<_> = database.continuous_queries.iter().map(|query| &query.name).collect();
        hold!(queries.len() == database.continuous_queries.len(), "two continuous queries of {name:?} have one name");
        for (index, policy) in database.policies.iter().enumerate() {
            let same = database.policies[..index].iter().find(|other| other.name == policy.name);
            hold!(same.is_none(), "two policies {name:?}.{:?}", policy.name);
            self.validate_policy(database, policy, seen)?;
        }
        Ok(())
    }

    fn validate_policy(&self, database: &Database, policy: &RetentionPolicy, seen: &mut Seen) -> Result<(), Violation> {
        let name = format!("{}.{}", database.name, policy.name);
        hold!(policy.replica_n > 0, "{name} asks for no copy");
        hold!(!policy.shard_group_duration.is_zero(), "{name} has groups of no span");
        hold!(policy.groups.is_sorted_by(|a, b| a.order() < b.order()), "the groups of {name} are out of order");
        let subscriptions: BTreeSet<_> = policy.subscriptions.iter().map(|subscription| &subscription.name).collect();
        hold!(subscriptions.len() == policy.subscriptions.len(), "two subscriptions of {name} have one name");
        let mut busy_until = None;
        for group in policy.groups.iter() {
            self.validate_group(group, seen)?;
            if !group.is_deleted() && group.range.start() < group.writable_end() {
                let free = busy_until.is_none_or(|until| until <= group.range.start());
                hold!(free, "group {} of {name} overlaps the one before", group.id);
                busy_until = Some(group.writable_end());
            }
            for shard in &group.shards {
                let place = self.shards.get(shard.id);
                let found = place.is_some_and(|place| {
                    place.database == database.id
                        && place.policy == policy.name
                        && place.group == group.id
                        && place.group_start == group.range.start()
                });
                hold!(found, "shard {} of {name} is not found by its id", shard.id);
            }
        }
        Ok(())
    }

    fn validate_group(&self, group: &ShardGroup, seen: &mut Seen) -> Result<(), Violation> {
        let id = group.id;
        hold!(id <= self.shard_group_id_max, "group {id} is above the largest id");
        hold!(seen.groups.insert(id), "group {id} is there twice");
        hold!(group.slot_count > 0, "group {id} has no slots");
        hold!(group.is_deleted() || !group.shards.is_empty(), "group {id} lives without shards");
        if let Some(at) = group.truncated_at {
            hold!(group.range.start() <= at && at < group.range.end(), "group {id} is truncated outside its range");
        }
        hold!(group.shards.is_sorted_by(|a, b| a.slot < b.slot), "shards of group {id} are out of order");
        for shard in &group.shards {
            hold!(shard.id <= self.shard_id_max, "shard {} is above the largest id", shard.id);
            hold!(seen.shards.insert(shard.id), "shard {} is there twice", shard.id);
            hold!(shard.slot < group.slot_count, "shard {} is in slot {} of too few", shard.id, shard.slot);
            let mut owners = BTreeSet::new();
            for owner in &shard.owners {
                hold!(owners.insert(owner.node), "shard {} has an owner twice", shard.id);
                let is_data = self.node(owner.node).is_some_and(|node| node.data.is_some());
                hold!(is_data, "owner {} of shard {} is no data node", owner.node, shard.id);
            }
        }
        Ok(())
    }
}

#[derive(Default)]
struct Seen {
    groups: BTreeSet<model::ShardGroupId>,
    shards: BTreeSet<model::ShardId>,
}
