//! `/ldap/v1/…`: how users are looked up in a directory.
//!
//! The configuration has a password, which is never shown again. It must name roles that exist: a group that is mapped to
//! nothing would look as if it gave something.

use std::sync::Arc;

use futures_util::future::join_all;
use http::{StatusCode, Uri};
use login::Directory;
use meta::{Command, Data};
use serde::Deserialize;
use serde_json::json;
use stdx::form::Fields;

use super::reply::Reply;
use super::users::bad;
use super::{Admin, operators};
use crate::operate::WarmOrder;

/// Somebody to look up, to see what happens. No `Debug`: it holds passwords.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Verify {
    user: String,
    password: String,
    #[serde(default)]
    config: Option<String>,
}

impl Admin {
    /// What is set, without its secrets.
    pub(super) fn show_directory(&self) -> Reply {
        let data = self.node.data();
        let Some(config) = data.directory() else { return Reply::json(&json!({ "structured": { "enabled": false } })) };
        match self.config.directory.as_ref().map(|directory| directory.check(config)) {
            Some(Ok(summary)) => {
                Reply::json(&json!({ "structured": { "enabled": summary.enabled }, "toml": summary.masked }))
            }
            Some(Err(why)) => Reply::error(StatusCode::INTERNAL_SERVER_ERROR, &why),
            None => Self::without_directory(),
        }
    }

    pub(super) async fn set_directory(&self, body: &[u8], uri: &Uri) -> Reply {
        let directory = match self.directory() {
            Ok(directory) => directory,
            Err(reply) => return *reply,
        };
        let Ok(config) = std::str::from_utf8(body) else { return bad("the configuration is no text") };
        let summary = match directory.check(config) {
            Ok(summary) => summary,
            Err(why) => return bad(&format!("the configuration cannot be used: {why}")),
        };
        let data = self.node.data();
        if let Some(role) = summary.roles.iter().find(|role| data.role(role).is_none()) {
            return bad(&format!("role not found: {role}"));
        }
        let command = Command::SetDirectory { config: Some(config.to_owned()) };
        self.carry_out(&command, uri, |_| Reply::empty()).await
    }

    /// Looks somebody up and tells what happened, step by step.
    pub(super) async fn verify_directory(&self, body: &[u8]) -> Reply {
        let directory = match self.directory() {
            Ok(directory) => directory,
            Err(reply) => return *reply,
        };
        // The text of the error could quote the body.
        let Ok(verify) = serde_json::from_slice::<Verify>(body) else { return bad("invalid JSON") };
        let data = self.node.data();
        let Some(config) = verify.config.as_deref().or(data.directory().map(|config| &**config)) else {
            return bad("no configuration is set and none was sent");
        };
        Reply::text(StatusCode::OK, &directory.explain(config, &verify.user, &verify.password).await)
    }

    /// Has every node forget what it remembers of users and their groups.
    pub(super) async fn purge_directory(&self, uri: &Uri) -> Reply {
        match self.directory() {
            Ok(_) => self.carry_out(&Command::PurgeDirectory, uri, |_| Reply::empty()).await,
            Err(reply) => *reply,
        }
    }

    /// Has every data node read the members of groups ahead of logins, or end that with `cancel=true`; answers how they
    /// stand with it then.
    pub(super) async fn warm_directory(&self, form: &Fields, uri: &Uri) -> Reply {
        let directory = match self.directory() {
            Ok(directory) => directory,
            Err(reply) => return *reply,
        };
        // The configuration that was set last, whichever member is asked.
        let data = match self.node.ensure_linearizable().await {
            Ok(data) => data,
            Err(error) => return operators::refused(&error.into(), uri),
        };
        let cancel = form.is_true("cancel");
        if !cancel {
            let Some(config) = data.directory() else {
                return bad("no LDAP configuration is set: influxd-ctl ldap set-config sets one");
            };
            match directory.check(config) {
                Ok(summary) if summary.enabled => {}
                Ok(_) => return bad("the LDAP configuration says enabled = false, so users are not looked up there"),
                Err(why) => return Reply::error(StatusCode::INTERNAL_SERVER_ERROR, &why),
            }
        }
        self.tell_to_warm(&data, Some(WarmOrder { cancel, meta_index: data.index().0 })).await
    }

    /// How the data nodes stand with it.
    pub(super) async fn show_warming(&self) -> Reply {
        match self.directory() {
            Ok(_) => self.tell_to_warm(&self.node.data(), None).await,
            Err(reply) => *reply,
        }
    }

    async fn tell_to_warm(&self, data: &Data, order: Option<WarmOrder>) -> Reply {
        let nodes = data.data_nodes().filter_map(|node| Some((node.id, node.data.as_ref()?.tcp_addr.clone())));
        let told = nodes.map(|(id, addr)| async move {
            let answer = self.node.warm(&addr, order).await;
            json!({
                "id": id.0,
                "tcpAddr": addr,
                "state": answer.state,
                "groups": answer.groups,
                "groupsRead": answer.groups_read,
                "members": answer.members,
                "message": answer.message,
            })
        });
        Reply::json(&json!({ "nodes": join_all(told).await }))
    }

    fn directory(&self) -> Result<&Arc<dyn Directory>, Box<Reply>> {
        if !self.config.ldap_allowed {
            let text = "LDAP is not allowed: ldap-allowed in the [meta] section is false";
            return Err(Box::new(Reply::error(StatusCode::FORBIDDEN, text)));
        }
        self.config.directory.as_ref().ok_or_else(|| Box::new(Self::without_directory()))
    }

    fn without_directory() -> Reply {
        Reply::error(StatusCode::NOT_IMPLEMENTED, "this build was made without LDAP")
    }
}
