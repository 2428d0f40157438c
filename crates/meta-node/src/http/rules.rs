//! `/influxdb/v2/acl/restrictions` and `/influxdb/v2/acl/grants`: which series are hidden, and from whom not.
//!
//! A body that says something unknown is refused whole: a rule that left a word out would mean other series.

use http::{StatusCode, Uri};
use meta::{AccessGrant, Command, Matcher, Rejection, Reply as Done, Restriction, Rule, TagRule};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Admin;
use super::reply::Reply;
use super::users::bad;

const RESTRICTIONS: &str = "/influxdb/v2/acl/restrictions/";
const GRANTS: &str = "/influxdb/v2/acl/grants/";

/// A restriction or a grant as it is posted and listed.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Posted {
    #[serde(default, skip_deserializing)]
    id: String,
    database: PostedMatcher,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    measurement: Option<PostedMatcher>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<PostedTag>,
    permissions: Vec<PostedAccess>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    users: Vec<Named>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    roles: Vec<Named>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct PostedMatcher {
    r#match: PostedMatch,
    value: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct PostedTag {
    r#match: PostedMatch,
    key: String,
    value: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum PostedMatch {
    Exact,
    Prefix,
}

#[derive(Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum PostedAccess {
    Read,
    Write,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
}

impl Admin {
    pub(super) fn restrictions(&self) -> Reply {
        let data = self.node.data();
        Reply::json(
            &json!({ "restrictions": data.restrictions().iter().map(|one| restriction(one)).collect::<Vec<_>>() }),
        )
    }

    pub(super) fn access_grants(&self) -> Reply {
        let data = self.node.data();
        Reply::json(&json!({ "grants": data.access_grants().iter().map(|one| grant(one)).collect::<Vec<_>>() }))
    }

    pub(super) async fn create_restriction(&self, body: &[u8], uri: &Uri) -> Reply {
        let posted: Posted = match serde_json::from_slice(body) {
            Ok(posted) => posted,
            Err(error) => return bad(&format!("bad restriction: {error}")),
        };
        if !posted.users.is_empty() || !posted.roles.is_empty() {
            return bad("a restriction is for everybody; grants name users and roles");
        }
        let rule = posted.rule();
        self.carry_out(&Command::CreateRestriction { rule: rule.clone() }, uri, |done| {
            Reply::json(&restriction(&Restriction { id: number(&done), rule: rule.clone() }))
        })
        .await
    }

    pub(super) async fn create_access_grant(&self, body: &[u8], uri: &Uri) -> Reply {
        let posted: Posted = match serde_json::from_slice(body) {
            Ok(posted) => posted,
            Err(error) => return bad(&format!("bad grant: {error}")),
        };
        let rule = posted.rule();
        let names = |list: Vec<Named>| list.into_iter().map(|named| named.name).collect::<Vec<_>>();
        let (users, roles) = (names(posted.users), names(posted.roles));
        let command = Command::CreateAccessGrant { rule: rule.clone(), users: users.clone(), roles: roles.clone() };
        self.carry_out(&command, uri, |done| {
            let (rule, users, roles) = (rule.clone(), users.clone(), roles.clone());
            Reply::json(&grant(&AccessGrant { id: number(&done), rule, users, roles }))
        })
        .await
    }

    /// Takes back the restriction or grant that the path names.
    pub(super) async fn drop_rule(&self, uri: &Uri) -> Reply {
        let missing = |rejection: Rejection| Reply::error(StatusCode::NOT_FOUND, &rejection.to_string());
        let path = uri.path();
        let digits = |text: &str| text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let id = |text: &str| u64::from_str_radix(text, 16).ok().filter(|_| digits(text));
        let (command, rejection) = if let Some(text) = path.strip_prefix(RESTRICTIONS) {
            (id(text).map(|id| Command::DropRestriction { id }), Rejection::RestrictionNotFound)
        } else if let Some(text) = path.strip_prefix(GRANTS) {
            (id(text).map(|id| Command::DropAccessGrant { id }), Rejection::AccessGrantNotFound)
        } else {
            return Reply::error(StatusCode::NOT_FOUND, "404 page not found");
        };
        let Some(command) = command else { return missing(rejection) };
        match self.node.propose(&command).await {
            Err(crate::node::ProposeError::Rejected(rejection)) => missing(rejection),
            Ok(_) => Reply::empty(),
            Err(error) => super::operators::refused(&error.into(), uri),
        }
    }
}

impl Posted {
    fn rule(&self) -> Rule {
        let tag = |tag: &PostedTag| TagRule { key: tag.key.clone(), value: matcher(&tag.r#match, &tag.value) };
        let whole = |name: &PostedMatcher| matcher(&name.r#match, &name.value);
        Rule {
            database: whole(&self.database),
            measurement: self.measurement.as_ref().map(whole),
            tags: self.tags.iter().map(tag).collect(),
            read: self.permissions.contains(&PostedAccess::Read),
            write: self.permissions.contains(&PostedAccess::Write),
        }
    }

    fn of(id: u64, rule: &Rule) -> Posted {
        let parts = |matcher: &Matcher| match matcher {
            Matcher::Exact(text) => (PostedMatch::Exact, text.clone()),
            Matcher::Prefix(text) => (PostedMatch::Prefix, text.clone()),
        };
        let whole = |matcher: &Matcher| {
            let (r#match, value) = parts(matcher);
            PostedMatcher { r#match, value }
        };
        let tag = |tag: &TagRule| {
            let (r#match, value) = parts(&tag.value);
            PostedTag { r#match, key: tag.key.clone(), value }
        };
        let read = rule.read.then_some(PostedAccess::Read);
        Posted {
            id: format!("{id:016x}"),
            database: whole(&rule.database),
            measurement: rule.measurement.as_ref().map(whole),
            tags: rule.tags.iter().map(tag).collect(),
            permissions: read.into_iter().chain(rule.write.then_some(PostedAccess::Write)).collect(),
            users: Vec::new(),
            roles: Vec::new(),
        }
    }
}

fn matcher(kind: &PostedMatch, value: &str) -> Matcher {
    match kind {
        PostedMatch::Exact => Matcher::Exact(value.to_owned()),
        PostedMatch::Prefix => Matcher::Prefix(value.to_owned()),
    }
}

fn number(done: &Done) -> u64 {
    match done {
        Done::Rule(id) => *id,
        other => unreachable!("a rule was made and the answer is {other:?}"),
    }
}

fn restriction(restriction: &Restriction) -> Value {
    json!(Posted::of(restriction.id, &restriction.rule))
}

fn grant(grant: &AccessGrant) -> Value {
    let names = |list: &[String]| list.iter().map(|name| Named { name: name.clone() }).collect();
    let (users, roles) = (names(&grant.users), names(&grant.roles));
    json!(Posted { users, roles, ..Posted::of(grant.id, &grant.rule) })
}
