//! What each command does to the state.
//!
//! A command works on a copy, which costs a few pointers. The copy takes the place of the state when the command was
//! carried out and changed something; else it is dropped. So a refused command leaves no trace, and one that had nothing
//! to do does not make a new version that everyone would have to fetch.

mod bring;
mod databases;
mod definitions;
mod groups;
mod nodes;
mod policies;
mod roles;
mod rules;
mod users;

pub(crate) use groups::is_forgettable;

use std::sync::Arc;

use model::MetaIndex;

use crate::command::{Command, LeaderFacts, Rejection, Reply};
use crate::data::{Data, Database, RetentionPolicy, ShardGroup};
use crate::shard_index::ShardRef;

/// What a command came to.
type Outcome = Result<(Reply, Effect), Rejection>;

/// Whether a command made a new version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Changed,
    Unchanged,
}

impl Effect {
    fn of(changed: bool) -> Effect {
        if changed { Effect::Changed } else { Effect::Unchanged }
    }
}

const DONE: Outcome = Ok((Reply::Done, Effect::Changed));
const NOTHING_TO_DO: Outcome = Ok((Reply::Done, Effect::Unchanged));

impl Data {
    /// Applies one committed command. The index of the metadata becomes `index` if the command changed anything; a
    /// reader who has reached [`Data::index`] after this call sees all that the answer promises.
    ///
    /// # Errors
    /// The reason why the command was refused. The state is then unchanged.
    ///
    /// # Panics
    /// When `index` is not above that of an earlier entry: entries are applied once, in order.
    pub fn apply(&mut self, index: MetaIndex, facts: &LeaderFacts, command: &Command) -> Result<Reply, Rejection> {
        assert!(self.index < index, "entries are applied once, in order");
        let mut next = self.clone();
        let (reply, effect) = next.execute(index, facts, command)?;
        if effect == Effect::Changed {
            next.index = index;
            *self = next;
            debug_assert_eq!(self.validate(), Ok(()));
        }
        Ok(reply)
    }

    fn execute(&mut self, index: MetaIndex, facts: &LeaderFacts, command: &Command) -> Outcome {
        match command {
            Command::CreateMetaNode { incarnation, http_addr, tcp_addr } => {
                self.create_meta_node(facts, *incarnation, http_addr, tcp_addr)
            }
            Command::CreateDataNode { incarnation, http_addr, tcp_addr, passive } => {
                self.create_data_node(facts, *incarnation, http_addr, tcp_addr, *passive)
            }
            Command::BringDataNode { cluster_id, incarnation, http_addr, tcp_addr, passive, databases } => {
                let node = bring::Arrival { incarnation: *incarnation, http_addr, tcp_addr, passive: *passive };
                self.bring_data_node(facts, *cluster_id, &node, databases)
            }
            Command::UpdateMetaNode { id, http_addr, tcp_addr } => self.update_meta_node(*id, http_addr, tcp_addr),
            Command::UpdateDataNode { id, http_addr, tcp_addr, incarnation } => {
                self.update_data_node(*id, http_addr, tcp_addr, *incarnation)
            }
            Command::DeleteMetaNode { id } => self.delete_meta_node(*id),
            Command::DeleteDataNode { id } => self.delete_data_node(*id),
            Command::CreateDatabase { name, policy, explicit } => {
                self.create_database(name, policy.as_ref(), *explicit)
            }
            Command::DropDatabase { name } => self.drop_database(name),
            Command::CreateRetentionPolicy { database, policy, make_default } => {
                self.create_policy(database, policy, *make_default)
            }
            Command::AlterRetentionPolicy { database, name, update } => self.alter_policy(database, name, update),
            Command::DropRetentionPolicy { database, name } => self.drop_policy(database, name),
            Command::CreateShardGroups { database, policy, instants } => {
                self.create_shard_groups(index, facts, database, policy, instants)
            }
            Command::DeleteShardGroup { database, policy, group } => {
                self.delete_shard_group(facts, database, policy, *group)
            }
            Command::DropShard { shard } => self.drop_shard(facts, *shard),
            Command::CopyShardOwner { shard, node } => self.copy_shard_owner(*shard, *node),
            Command::RemoveShardOwner { shard, node } => self.remove_shard_owner(facts, *shard, *node),
            Command::TruncateShardGroups { delay } => self.truncate_shard_groups(facts, *delay),
            Command::ExpireShardGroups { now } => self.expire_shard_groups(facts, *now),
            Command::PruneShardGroups => self.prune_shard_groups(facts),
            Command::CreateContinuousQuery { database, name, query } => {
                self.create_continuous_query(database, name, query)
            }
            Command::DropContinuousQuery { database, name } => self.drop_continuous_query(database, name),
            Command::CreateSubscription { database, policy, name, mode, destinations } => {
                self.create_subscription(database, policy, name, *mode, destinations)
            }
            Command::DropSubscription { database, policy, name } => self.drop_subscription(database, policy, name),
            Command::CreateUser { name, hash, admin } => self.create_user(name, hash, *admin),
            Command::CreateFirstAdmin { name, hash } => self.create_first_admin(name, hash),
            Command::DropUser { name } => self.drop_user(name),
            Command::SetPassword { name, hash } => self.set_password(name, hash),
            Command::SetAdmin { name, admin } => self.change_user(name, |user| user.admin = *admin),
            Command::Grant { user, database, privilege } => self.set_privilege(user, database, |_| *privilege),
            Command::Revoke { user, database, privilege } => {
                self.set_privilege(user, database, |before| before.without(*privilege))
            }
            Command::AddPermissions { user, permissions } => self.add_permissions(user, permissions),
            Command::RemovePermissions { user, permissions } => self.remove_permissions(user, permissions),
            Command::CreateRole { name } => self.create_role(name),
            Command::DropRole { name } => self.drop_role(name),
            Command::RenameRole { name, new_name } => self.rename_role(name, new_name),
            Command::AddRoleUsers { role, users } => self.add_role_users(role, users),
            Command::RemoveRoleUsers { role, users } => self.remove_role_users(role, users),
            Command::AddRolePermissions { role, permissions } => self.add_role_permissions(role, permissions),
            Command::RemoveRolePermissions { role, permissions } => self.remove_role_permissions(role, permissions),
            Command::CreateRestriction { rule } => self.create_restriction(rule),
            Command::DropRestriction { id } => self.drop_restriction(*id),
            Command::CreateAccessGrant { rule, users, roles } => self.create_access_grant(rule, users, roles),
            Command::DropAccessGrant { id } => self.drop_access_grant(*id),
            Command::SetDirectory { config } => self.set_directory(index, config.as_deref()),
            Command::PurgeDirectory => {
                self.directory_index = index;
                DONE
            }
            Command::Recover { recovery, members, nodes, others } => self.recover(*recovery, members, *nodes, *others),
            Command::ChangeLabels { node, set, remove } => self.change_labels(*node, set, remove),
        }
    }

    /// The database, to change it.
    fn database_mut(&mut self, name: &str) -> Result<&mut Database, Rejection> {
        let not_found = || Rejection::DatabaseNotFound(name.to_owned());
        let id = *self.database_names.get(name).ok_or_else(not_found)?;
        let databases = Arc::make_mut(&mut self.databases);
        let position = databases.binary_search_by_key(&id, |database| database.id).map_err(|_| not_found())?;
        Ok(Arc::make_mut(&mut databases[position]))
    }

    /// Changes every group that `wanted` picks and copies nothing else. Answers whether there was one.
    fn change_groups(
        &mut self,
        wanted: impl Fn(&ShardGroup) -> bool,
        mut change: impl FnMut(&mut ShardGroup),
    ) -> Effect {
        let policy_wanted = |policy: &RetentionPolicy| policy.groups.iter().any(|group| wanted(group));
        let database_wanted = |database: &Database| database.policies.iter().any(|policy| policy_wanted(policy));
        if !self.databases.iter().any(|database| database_wanted(database)) {
            return Effect::Unchanged;
        }
        for database in Arc::make_mut(&mut self.databases).iter_mut().filter(|database| database_wanted(database)) {
            let policies = Arc::make_mut(database).policies.iter_mut();
            for policy in policies.filter(|policy| policy_wanted(policy)) {
                let groups = Arc::make_mut(&mut Arc::make_mut(policy).groups);
                for group in groups.iter_mut().filter(|group| wanted(group)) {
                    change(Arc::make_mut(group));
                }
                groups.sort_by_key(|group| group.order());
            }
        }
        Effect::Changed
    }

    /// Makes the shards of a policy findable by their ids, under its present name.
    pub(crate) fn index_policy(&mut self, database: &Database, policy: &RetentionPolicy) {
        for group in policy.groups.iter() {
            for shard in &group.shards {
                let place = ShardRef {
                    database: database.id,
                    policy: Arc::clone(&policy.name),
                    group: group.id,
                    group_start: group.range.start(),
                };
                self.shards.put(shard.id, place);
            }
        }
    }

    /// Takes the shards of a policy out of the index.
    fn unindex_policy(&mut self, policy: &RetentionPolicy) {
        for shard in policy.groups.iter().flat_map(|group| &group.shards) {
            self.shards.remove(shard.id);
        }
    }
}

#[cfg(test)]
mod tests;
