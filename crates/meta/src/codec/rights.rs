//! Permissions and rules as bytes; snapshots and commands share them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::CodecError;
use crate::data::PermissionMap;
use crate::permission::{Permission, Permissions};
use crate::rule::{Matcher, Rule, TagRule};

/// By database: bit n is the n-th permission of the list in the format document.
pub(super) type PermissionBytes = BTreeMap<String, u32>;

#[derive(Serialize, Deserialize)]
pub(super) struct RuleBytes {
    database: MatcherBytes,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    measurement: Option<MatcherBytes>,
    tags: Vec<TagRuleBytes>,
    read: bool,
    write: bool,
}

#[derive(Serialize, Deserialize)]
enum MatcherBytes {
    Exact(String),
    Prefix(String),
}

#[derive(Serialize, Deserialize)]
struct TagRuleBytes {
    key: String,
    value: MatcherBytes,
}

pub(super) fn permission_bytes(permissions: &PermissionMap) -> PermissionBytes {
    permissions.iter().map(|(database, set)| (database.clone(), set.bits())).collect()
}

pub(super) fn permissions_of(bytes: PermissionBytes) -> Result<PermissionMap, CodecError> {
    let permission =
        |(database, bits)| Ok((database, Permissions::from_bits(bits).ok_or(CodecError::Impossible("permission"))?));
    bytes.into_iter().map(permission).collect()
}

/// One permission by its number.
pub(super) fn permission_of(number: u32) -> Result<Permission, CodecError> {
    let found = usize::try_from(number).ok().and_then(|index| Permission::ALL.get(index).copied());
    found.ok_or(CodecError::Impossible("permission"))
}

pub(super) fn rule_bytes(rule: &Rule) -> RuleBytes {
    let tag = |tag: &TagRule| TagRuleBytes { key: tag.key.clone(), value: matcher_bytes(&tag.value) };
    RuleBytes {
        database: matcher_bytes(&rule.database),
        measurement: rule.measurement.as_ref().map(matcher_bytes),
        tags: rule.tags.iter().map(tag).collect(),
        read: rule.read,
        write: rule.write,
    }
}

pub(super) fn rule_of(bytes: RuleBytes) -> Rule {
    let tag = |tag: TagRuleBytes| TagRule { key: tag.key, value: matcher_of(tag.value) };
    Rule {
        database: matcher_of(bytes.database),
        measurement: bytes.measurement.map(matcher_of),
        tags: bytes.tags.into_iter().map(tag).collect(),
        read: bytes.read,
        write: bytes.write,
    }
}

fn matcher_bytes(matcher: &Matcher) -> MatcherBytes {
    match matcher.clone() {
        Matcher::Exact(text) => MatcherBytes::Exact(text),
        Matcher::Prefix(text) => MatcherBytes::Prefix(text),
    }
}

fn matcher_of(bytes: MatcherBytes) -> Matcher {
    match bytes {
        MatcherBytes::Exact(text) => Matcher::Exact(text),
        MatcherBytes::Prefix(text) => Matcher::Prefix(text),
    }
}
