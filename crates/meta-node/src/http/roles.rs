//! `/role`: roles as the admin API shows and changes them.

use http::{StatusCode, Uri};
use meta::{Command, Data, Rejection, Role};
use serde::Deserialize;
use serde_json::{Value, json};
use stdx::form::Fields;

use super::Admin;
use super::reply::Reply;
use super::users::{PostedPermissions, bad, listed_permissions, named};

/// A posted change.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Change {
    action: String,
    role: Option<Posted>,
}

/// The role in a change.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Posted {
    name: String,
    permissions: PostedPermissions,
    users: Vec<String>,
    #[serde(rename = "newName")]
    new_name: String,
}

impl Admin {
    /// All roles, or the one that is named.
    pub(super) fn roles(&self, query: Option<&str>) -> Reply {
        let (data, fields) = (self.node.data(), Fields::parse(query.unwrap_or_default().as_bytes()));
        match fields.get("name") {
            "" if data.roles().is_empty() => Reply::json(&json!({})),
            "" => Reply::json(&listed(&data, |_| true)),
            name if data.role(name).is_none() => Reply::error(StatusCode::NOT_FOUND, "role not found"),
            name => Reply::json(&listed(&data, |role| role.name == name)),
        }
    }

    /// Creates, changes or deletes a role.
    pub(super) async fn change_role(&self, body: &[u8], uri: &Uri) -> Reply {
        match role_command(body) {
            Ok(command) => self.carry_out(&command, uri, |_| Reply::text(StatusCode::OK, "")).await,
            Err(why) => bad(&why),
        }
    }
}

/// The command that a body asks for, or what is wrong with it.
fn role_command(body: &[u8]) -> Result<Command, String> {
    let change: Change = serde_json::from_slice(body).map_err(|_| "invalid JSON")?;
    let Some(role) = change.role else { return Err("invalid role".to_owned()) };
    if role.name.is_empty() {
        return Err(Rejection::RoleNameRequired.to_string());
    }
    let permissions = || named(&role.permissions);
    match change.action.as_str() {
        "create" if !role.permissions.is_empty() || !role.users.is_empty() => {
            Err("a role is created without permissions and users, which are added to it".to_owned())
        }
        "create" => Ok(Command::CreateRole { name: role.name }),
        "delete" => Ok(Command::DropRole { name: role.name }),
        "add-users" => Ok(Command::AddRoleUsers { role: role.name, users: role.users }),
        "remove-users" => Ok(Command::RemoveRoleUsers { role: role.name, users: role.users }),
        "add-permissions" => Ok(Command::AddRolePermissions { permissions: permissions()?, role: role.name }),
        "remove-permissions" => Ok(Command::RemoveRolePermissions { permissions: permissions()?, role: role.name }),
        "change-name" => Ok(Command::RenameRole { name: role.name, new_name: role.new_name }),
        action => Err(format!("invalid action: {action}")),
    }
}

fn listed(data: &Data, wanted: impl Fn(&Role) -> bool) -> Value {
    let roles = data.roles().iter().filter(|role| wanted(role)).map(|role| shown(role));
    json!({ "roles": roles.collect::<Vec<_>>() })
}

fn shown(role: &Role) -> Value {
    let mut shown = json!({ "name": role.name });
    if !role.permissions.is_empty() {
        shown["permissions"] = listed_permissions(&role.permissions);
    }
    if !role.users.is_empty() {
        shown["users"] = json!(role.users);
    }
    shown
}
