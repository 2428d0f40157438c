//! `/user`: users as the admin API shows and changes them.
//!
//! A user is shown with the permissions that were given to them and that the privileges of InfluxQL come to; those of
//! roles are shown with the roles.

use std::collections::BTreeMap;

use credentials::password::is_hash;
use http::{StatusCode, Uri};
use login::HashError;
use meta::{Command, Data, Permission, PermissionMap, Permissions, Rejection, Reply as Done, User};
use serde::Deserialize;
use serde_json::{Value, json};
use stdx::form::Fields;

use super::Admin;
use super::operators::refused;
use super::reply::Reply;
use crate::node::ProposeError;
use crate::operate::OperateError;

/// A posted change. No `Debug`: it holds a password.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Change {
    action: String,
    user: Option<Posted>,
}

/// The user in a change.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Posted {
    name: String,
    password: String,
    hash: String,
    permissions: PostedPermissions,
}

/// Names of permissions by database.
pub(super) type PostedPermissions = BTreeMap<String, Vec<String>>;

impl Admin {
    /// All users, or the one that is named.
    pub(super) fn users(&self, query: Option<&str>) -> Reply {
        let (data, fields) = (self.node.data(), Fields::parse(query.unwrap_or_default().as_bytes()));
        match fields.get("name") {
            "" => Reply::json(&listed(&data, |_| true)),
            name if data.user(name).is_none() => Reply::error(StatusCode::NOT_FOUND, "user not found"),
            name => Reply::json(&listed(&data, |user| user.name == name)),
        }
    }

    /// Creates, changes or deletes a user.
    pub(super) async fn change_user(&self, body: &[u8], uri: &Uri) -> Reply {
        match self.user_command(body).await {
            Ok(command) => self.carry_out(&command, uri, |_| Reply::text(StatusCode::OK, "")).await,
            Err(reply) => reply,
        }
    }

    /// Proposes a command and answers what came of it.
    pub(super) async fn carry_out(&self, command: &Command, uri: &Uri, done: impl Fn(Done) -> Reply) -> Reply {
        match self.node.propose(command).await {
            Ok((reply, _)) => done(reply),
            Err(ProposeError::Rejected(rejection)) => bad(&rejection.to_string()),
            Err(error) => refused(&OperateError::from(error), uri),
        }
    }

    async fn user_command(&self, body: &[u8]) -> Result<Command, Reply> {
        // The text of the error could quote the body.
        let change: Change = serde_json::from_slice(body).map_err(|_| bad("invalid JSON"))?;
        let Some(user) = change.user else { return Err(bad("invalid user")) };
        if user.name.is_empty() {
            return Err(bad(&Rejection::UsernameRequired.to_string()));
        }
        let changes_permissions = matches!(change.action.as_str(), "add-permissions" | "remove-permissions");
        if !changes_permissions && !user.permissions.is_empty() {
            return Err(bad("permissions are given by add-permissions"));
        }
        match change.action.as_str() {
            "create" if self.node.data().user(&user.name).is_some() => Err(bad(&Rejection::UserExists.to_string())),
            "create" => Ok(Command::CreateUser { hash: self.hash_of(&user).await?, name: user.name, admin: false }),
            "delete" => Ok(Command::DropUser { name: user.name }),
            "change-password" => Ok(Command::SetPassword { hash: self.hash_of(&user).await?, name: user.name }),
            "add-permissions" => {
                let permissions = named(&user.permissions).map_err(|why| bad(&why))?;
                Ok(Command::AddPermissions { permissions, user: user.name })
            }
            "remove-permissions" => {
                let permissions = named(&user.permissions).map_err(|why| bad(&why))?;
                Ok(Command::RemovePermissions { permissions, user: user.name })
            }
            action => Err(bad(&format!("invalid action: {action}"))),
        }
    }

    /// The hash that was posted, or that of the password that was.
    async fn hash_of(&self, user: &Posted) -> Result<String, Reply> {
        if user.password.is_empty() {
            return match user.hash.as_str() {
                "" => Err(bad(&Rejection::PasswordRequired.to_string())),
                hash if is_hash(hash) => Ok(hash.to_owned()),
                _ => Err(bad("invalid hash")),
            };
        }
        self.logins.hash(&user.password).await.map_err(|error| match error {
            HashError::Password(error) => bad(&error.to_string()),
            HashError::Busy => Reply::error(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
        })
    }
}

pub(super) fn bad(text: &str) -> Reply {
    Reply::error(StatusCode::BAD_REQUEST, text)
}

/// Permissions by their names; or which name is none.
pub(super) fn named(posted: &PostedPermissions) -> Result<PermissionMap, String> {
    let mut named = PermissionMap::new();
    for (database, names) in posted {
        let mut set = Permissions::NONE;
        for name in names {
            let permission = Permission::parse(name).ok_or_else(|| format!("unknown permission: {name}"))?;
            set = set.with(Permissions::of(&[permission]));
        }
        named.insert(database.clone(), set);
    }
    Ok(named)
}

/// Permissions as they are listed.
pub(super) fn listed_permissions(permissions: &PermissionMap) -> Value {
    let names = |set: Permissions| set.iter().map(Permission::name).collect::<Vec<_>>();
    json!(permissions.iter().map(|(database, set)| (database.as_str(), names(*set))).collect::<BTreeMap<_, _>>())
}

fn listed(data: &Data, wanted: impl Fn(&User) -> bool) -> Value {
    let users = data.users().iter().filter(|user| wanted(user)).map(|user| shown(user));
    json!({ "users": users.collect::<Vec<_>>() })
}

fn shown(user: &User) -> Value {
    let permissions = user.listed_permissions();
    let mut shown = json!({ "name": user.name, "hash": user.hash });
    if !permissions.is_empty() {
        shown["permissions"] = listed_permissions(&permissions);
    }
    shown
}
