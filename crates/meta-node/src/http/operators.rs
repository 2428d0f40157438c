//! What is posted: forms of operators' programs, JSON of other nodes.

use std::collections::BTreeMap;

use http::{HeaderMap, StatusCode, Uri, header};
use model::NodeId;
use serde::Deserialize;
use stdx::form::Fields;

use super::Admin;
use super::reply::{self, Reply};
use crate::announcements::{ANNOUNCEMENT_BYTES_MAX, Announcement};
use crate::operate::{Enter, OperateError, Removal};

/// How far ahead groups are ended when nothing is said.
const TRUNCATE_DELAY: &str = "1m0s";

/// Which labels of a node change.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct LabelChange {
    #[serde(rename = "nodeID")]
    node_id: u64,
    set: BTreeMap<String, String>,
    delete: Vec<String>,
}

impl Admin {
    /// Answers a POST; `None` when there is no such path.
    pub(super) async fn post(&self, headers: &HeaderMap, body: &[u8], uri: &Uri) -> Option<Reply> {
        let form = || Fields::parse(body);
        let done = match uri.path() {
            "/join" if is_form(headers) => return Some(self.added(self.add_meta(&form()).await, uri)),
            "/join" => return Some(self.join(body, uri).await),
            "/bring" => return Some(self.bring(body, uri).await),
            "/execute" => return Some(self.execute(body, uri).await),
            "/user" => return Some(self.change_user(body, uri).await),
            "/ldap/v1/config" => return Some(self.set_directory(body, uri).await),
            "/ldap/v1/verify" => return Some(self.verify_directory(body).await),
            "/ldap/v1/purge-cache" => return Some(self.purge_directory(uri).await),
            "/ldap/v1/warm-cache" => return Some(self.warm_directory(&form(), uri).await),
            "/role" => return Some(self.change_role(body, uri).await),
            "/influxdb/v2/acl/restrictions" => return Some(self.create_restriction(body, uri).await),
            "/influxdb/v2/acl/grants" => return Some(self.create_access_grant(body, uri).await),
            "/add-data" => return Some(self.added(self.add_data(&form()).await, uri)),
            "/update-data" => return Some(self.added(self.update_data(&form()).await, uri)),
            "/enter" => self.enter(body).await,
            "/announce" if body.len() > ANNOUNCEMENT_BYTES_MAX => return Some(Reply::too_large()),
            "/announce" => self.announce(body),
            "/leave" => self.node.leave().await,
            "/remove" => self.remove_meta(&form()).await,
            "/remove-data" => self.remove_data(&form()).await,
            "/truncate-shards" => self.truncate_shards(&form()).await,
            "/remove-shard" => self.remove_shard(&form()).await,
            "/node-labels" => self.change_labels(body).await,
            _ => return None,
        };
        Some(match done {
            Ok(()) => Reply::empty(),
            Err(error) => refused(&error, uri),
        })
    }

    async fn add_meta(&self, form: &Fields) -> Result<NodeId, OperateError> {
        self.node.add_meta(required(form, "addr")?).await
    }

    async fn add_data(&self, form: &Fields) -> Result<NodeId, OperateError> {
        self.node.add_data(required(form, "addr")?, form.is_true("passive")).await
    }

    async fn update_data(&self, form: &Fields) -> Result<NodeId, OperateError> {
        self.node.update_data(required(form, "oldAddr")?, required(form, "newAddr")?).await
    }

    /// The member that was added or found, as `/show-cluster` lists it.
    fn added(&self, added: Result<NodeId, OperateError>, uri: &Uri) -> Reply {
        let id = match added {
            Ok(id) => id,
            Err(error) => return refused(&error, uri),
        };
        let data = self.node.data();
        match data.node(id) {
            Some(node) if uri.path() == "/join" => Reply::json(&self.meta_node(node)),
            Some(node) => Reply::json(&self.data_node(node)),
            None => Reply::error(StatusCode::INTERNAL_SERVER_ERROR, "node not found"),
        }
    }

    async fn enter(&self, body: &[u8]) -> Result<(), OperateError> {
        let enter: Enter = parsed(body)?;
        self.node.enter_on_request(&enter.meta_servers).await
    }

    fn announce(&self, body: &[u8]) -> Result<(), OperateError> {
        let announcement: Announcement = parsed(body)?;
        if !announcement.fits() {
            return Err(OperateError::Invalid("the announcement has texts that are too long".to_owned()));
        }
        self.node.hear(announcement);
        Ok(())
    }

    async fn remove_meta(&self, form: &Fields) -> Result<(), OperateError> {
        let tcp_addr = Some(form.get("tcpAddr")).filter(|addr| !addr.is_empty());
        let removal = match (form.is_true("force"), form.is_true("leaves")) {
            (true, _) => Removal::Forced { tcp_addr },
            (false, true) => Removal::Left,
            (false, false) => Removal::Usual,
        };
        self.node.remove_meta(required(form, "httpAddr")?, removal).await
    }

    async fn remove_data(&self, form: &Fields) -> Result<(), OperateError> {
        self.node.remove_data(required(form, "addr")?, form.is_true("force")).await
    }

    async fn truncate_shards(&self, form: &Fields) -> Result<(), OperateError> {
        let text = Some(form.get("delay")).filter(|delay| !delay.is_empty()).unwrap_or(TRUNCATE_DELAY);
        let delay = stdx::human::parse_duration(text).map_err(OperateError::Invalid)?;
        self.node.truncate_shards(delay).await
    }

    async fn remove_shard(&self, form: &Fields) -> Result<(), OperateError> {
        let given = |name: &str| match form.get(name) {
            "" => Err(OperateError::Invalid(format!("'{name}' is a required parameter"))),
            value => Ok(value),
        };
        self.node.remove_shard(given("src")?, given("shard")?).await
    }

    async fn change_labels(&self, body: &[u8]) -> Result<(), OperateError> {
        let change: LabelChange = parsed(body)?;
        self.node.change_labels(NodeId(change.node_id), change.set, change.delete).await
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    content_type.starts_with("application/x-www-form-urlencoded")
}

fn required<'a>(form: &'a Fields, name: &str) -> Result<&'a str, OperateError> {
    match form.get(name) {
        "" => Err(OperateError::Invalid(format!("{name} is required"))),
        value => Ok(value),
    }
}

fn parsed<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, OperateError> {
    serde_json::from_slice(body).map_err(|error| OperateError::Invalid(error.to_string()))
}

pub(super) fn refused(error: &OperateError, uri: &Uri) -> Reply {
    let status = match error {
        OperateError::NotLeader(leader) if !leader.http_addr.is_empty() => {
            return reply::redirect(&leader.http_addr, uri);
        }
        OperateError::NotLeader(_) | OperateError::NoLeader => {
            return Reply::error(StatusCode::SERVICE_UNAVAILABLE, "no leader");
        }
        OperateError::Closed => StatusCode::SERVICE_UNAVAILABLE,
        OperateError::Invalid(_) => StatusCode::BAD_REQUEST,
        OperateError::Conflict(_) => StatusCode::CONFLICT,
        OperateError::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    Reply::error(status, &error.to_string())
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;
    use crate::node::ProposeError;

    #[tokio::test]
    async fn a_node_that_stops_says_so() {
        let uri = "/user".parse().expect("a path");
        let reply = refused(&ProposeError::Stopped("the disk is gone".to_owned()).into(), &uri);
        let answer = reply.into_response();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        assert_eq!(body, r#"{"error":"server closed"}"#);
    }
}
