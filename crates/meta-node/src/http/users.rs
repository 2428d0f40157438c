//! `/user`: users as the admin API shows and changes them.
//!
//! A user is shown with the permissions that the privileges of InfluxQL come to. Permissions themselves cannot be changed
//! here, nor are there roles: both are refused with 501.

use std::collections::BTreeMap;

use credentials::password::is_hash;
use http::{StatusCode, Uri};
use login::HashError;
use meta::{Command, Data, Privilege, Rejection, User};
use serde::Deserialize;
use serde_json::{Value, json};
use stdx::form::Fields;

use super::Admin;
use super::operators::refused;
use super::reply::Reply;
use crate::node::ProposeError;
use crate::operate::OperateError;

/// All permissions, which an administrator has.
const ADMIN: [&str; 18] = [
    "ViewAdmin",
    "ViewChronograf",
    "CreateDatabase",
    "CreateUserAndRole",
    "AddRemoveNode",
    "DropDatabase",
    "DropData",
    "ReadData",
    "WriteData",
    "Rebalance",
    "ManageShard",
    "ManageContinuousQuery",
    "ManageQuery",
    "ManageSubscription",
    "Monitor",
    "CopyShard",
    "KapacitorAPI",
    "KapacitorConfigAPI",
];

/// What somebody may do who reads and writes a database.
const ALL: [&str; 6] =
    ["CreateDatabase", "DropData", "ReadData", "WriteData", "ManageContinuousQuery", "ManageSubscription"];

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
    permissions: BTreeMap<String, Vec<String>>,
}

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

    /// Creates or deletes a user, or changes a password.
    pub(super) async fn change_user(&self, body: &[u8], uri: &Uri) -> Reply {
        match self.user_command(body).await {
            Ok(command) => match self.node.propose(&command).await {
                Ok(_) => Reply::text(StatusCode::OK, ""),
                Err(ProposeError::Rejected(rejection)) => bad(&rejection.to_string()),
                Err(error) => refused(&OperateError::from(error), uri),
            },
            Err(reply) => reply,
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
        if changes_permissions || !user.permissions.is_empty() {
            let text = "permissions are not available in this release; use GRANT and REVOKE";
            return Err(Reply::error(StatusCode::NOT_IMPLEMENTED, text));
        }
        match change.action.as_str() {
            "create" if self.node.data().user(&user.name).is_some() => Err(bad(&Rejection::UserExists.to_string())),
            "create" => Ok(Command::CreateUser { hash: self.hash_of(&user).await?, name: user.name, admin: false }),
            "delete" => Ok(Command::DropUser { name: user.name }),
            "change-password" => Ok(Command::SetPassword { hash: self.hash_of(&user).await?, name: user.name }),
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

fn bad(text: &str) -> Reply {
    Reply::error(StatusCode::BAD_REQUEST, text)
}

fn listed(data: &Data, wanted: impl Fn(&User) -> bool) -> Value {
    let users = data.users().iter().filter(|user| wanted(user)).map(|user| shown(user));
    json!({ "users": users.collect::<Vec<_>>() })
}

fn shown(user: &User) -> Value {
    let mut permissions: BTreeMap<&str, &[&str]> = BTreeMap::new();
    if user.admin {
        permissions.insert("", &ADMIN);
    }
    for (database, privilege) in &user.privileges {
        let tokens: &[&str] = match privilege {
            Privilege::None => continue,
            Privilege::Read => &["ReadData"],
            Privilege::Write => &["WriteData"],
            Privilege::All => &ALL,
        };
        permissions.insert(database, tokens);
    }
    let mut shown = json!({ "name": user.name, "hash": user.hash });
    if !permissions.is_empty() {
        shown["permissions"] = json!(permissions);
    }
    shown
}
