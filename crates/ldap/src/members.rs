//! Who is in the groups that the configuration names, read ahead of logins.
//!
//! Each group is looked up by its name, and its members are taken as they are listed: who is in a group by being in one
//! inside of it is not. So a server whose filter for groups follows a matching rule is left out.
//!
//! Invariants
//! - Somebody gets here what the search at their login would give them, or is not in the result and asked for then. A name
//!   that is spelled in several ways is not in the result: one group may have one spelling and the next the other.
//! - A list that may be cut makes its server be left out.
//! - Groups, members and bytes are bounded, by [`GROUPS_MAX`], [`MEMBERS_MAX`], [`DN_BYTES_MAX`] and [`GROUP_BYTES_MAX`].

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use env::Env;
use login::{Membership, Memberships, Progress};

use crate::config::{Config, Server};
use crate::connection::{Connection, Found, Unreachable};
use crate::filter::{compile, filled};
use crate::lookup::{Log, bind_to_search, search};
use crate::message::Entry;

/// Groups that are read ahead, of all servers together.
pub const GROUPS_MAX: usize = 1_000;
/// Members that are read ahead, of all servers together; somebody counts once for each group.
pub const MEMBERS_MAX: usize = 50_000;
/// Longest name of a member in the directory, in bytes. Those with longer ones are asked for as they log in.
const DN_BYTES_MAX: usize = 512;
/// Bytes of one group with its members.
const GROUP_BYTES_MAX: usize = 8 << 20;
/// Entries that have the name of one group, below one base.
const ENTRIES_MAX: u32 = 100;

/// Reads all groups at all servers. The second part of the answer says which servers were left out, and why.
///
/// # Errors
/// When all were.
pub(crate) async fn read(
    env: &Env,
    config: &Config,
    progress: &Progress,
) -> Result<(Memberships, Vec<String>), String> {
    let count = config.servers.iter().map(|server| groups_of(server).len()).sum();
    if count > GROUPS_MAX {
        return Err(format!("the configuration names {count} groups; at most {GROUPS_MAX} are read ahead"));
    }
    progress.expect(count);
    let (mut memberships, mut left_out, mut room) = (Memberships::default(), Vec::new(), MEMBERS_MAX);
    for server in &config.servers {
        let members = match read_at(env, server, progress, &mut room).await {
            Ok(members) => members,
            Err(Unreachable(why)) => {
                left_out.push(why);
                HashMap::new()
            }
        };
        memberships.servers.push(members);
    }
    if left_out.len() == config.servers.len() { Err(left_out.join("; ")) } else { Ok((memberships, left_out)) }
}

async fn read_at(
    env: &Env,
    server: &Server,
    progress: &Progress,
    room: &mut usize,
) -> Result<HashMap<String, Membership>, Unreachable> {
    let at = |Unreachable(why): Unreachable| Unreachable(format!("{}: {why}", server.address()));
    if server.group_membership_search_filter.contains(":=") {
        let why = "group-membership-search-filter has a matching rule (:=), which finds groups that lists of members do \
                   not tell; users are asked for as they log in";
        return Err(at(Unreachable(why.to_owned())));
    }
    let mut connection = Connection::open(env, server).await?;
    connection.take_answers(GROUP_BYTES_MAX);
    let members = read_groups(&mut connection, server, progress, room).await.map_err(at);
    connection.close().await;
    members
}

async fn read_groups(
    connection: &mut Connection,
    server: &Server,
    progress: &Progress,
    room: &mut usize,
) -> Result<HashMap<String, Membership>, Unreachable> {
    bind_to_search(connection, server, &mut Log::default()).await?;
    let mut gathered = Gathered::default();
    for (number, group) in groups_of(server).into_iter().enumerate() {
        let members = read_group(connection, server, group).await?;
        *room = room.checked_sub(members.len()).ok_or_else(|| {
            let why = format!("groups have more than {MEMBERS_MAX} members, which is as many as are read ahead; users");
            Unreachable(format!("{why} are asked for as they log in"))
        })?;
        progress.read(members.len());
        members.iter().for_each(|member| gathered.add(member, number));
    }
    Ok(gathered.memberships(server))
}

/// The members of one group.
async fn read_group(connection: &mut Connection, server: &Server, group: &str) -> Result<HashSet<String>, Unreachable> {
    let text = filled(&server.group_search_filter, group);
    let filter = compile(&text).map_err(|error| Unreachable(error.to_string()))?;
    let attributes: [&str; 2] = [&server.group_attribute, &server.group_member_attribute];
    let mut members = HashSet::new();
    for base in &server.group_search_base_dns {
        let Found { entries, is_cut } = search(connection, base, &filter, &attributes, ENTRIES_MAX).await?;
        if is_cut {
            return Err(Unreachable(format!("group-search-filter finds too many entries of the name {group:?}")));
        }
        // What is found by another name would not be this group at a login.
        let is_named =
            |entry: &&Entry| entry.values(&server.group_attribute).any(|name| name.eq_ignore_ascii_case(group));
        for entry in entries.iter().filter(is_named) {
            if has_parts(entry, &server.group_member_attribute) {
                return Err(Unreachable(format!("the members of {group:?} are not all told at once")));
            }
            let told = entry.values(&server.group_member_attribute).filter(|member| member.len() <= DN_BYTES_MAX);
            members.extend(told.map(str::to_owned));
        }
    }
    Ok(members)
}

/// Whether an attribute came in parts: some directories tell long ones as `member;range=0-1499`.
fn has_parts(entry: &Entry, attribute: &str) -> bool {
    let mut names = entry.attributes.iter().filter_map(|(name, _)| name.split_once(';'));
    names.any(|(name, _)| name.eq_ignore_ascii_case(attribute))
}

/// The groups that mean something, each once.
fn groups_of(server: &Server) -> Vec<&str> {
    let mapped = server.group_mappings.iter().map(|mapping| mapping.group.as_str());
    let named = server.admin_groups.iter().map(String::as_str).chain(mapped);
    let mut seen = HashSet::new();
    named.filter(|name| seen.insert(name.to_ascii_lowercase())).collect()
}

/// Members of all groups of one server.
#[derive(Debug, Default)]
struct Gathered(HashMap<String, Member>);

#[derive(Debug)]
struct Member {
    /// As it was spelled; `None` once that was so in several ways.
    spelling: Option<String>,
    /// By their place in [`groups_of`].
    groups: BTreeSet<usize>,
}

impl Gathered {
    fn add(&mut self, name: &str, group: usize) {
        let new = || Member { spelling: Some(name.to_owned()), groups: BTreeSet::new() };
        let member = self.0.entry(folded(name)).or_insert_with(new);
        if member.spelling.as_deref().is_some_and(|spelling| spelling != name) {
            member.spelling = None;
        }
        member.groups.insert(group);
    }

    fn memberships(self, server: &Server) -> HashMap<String, Membership> {
        let groups = groups_of(server);
        let place = |wanted: &str| groups.iter().position(|group| group.eq_ignore_ascii_case(wanted));
        let admins: Vec<usize> = server.admin_groups.iter().filter_map(|group| place(group)).collect();
        let mapped = server.group_mappings.iter();
        let mapped: Vec<(usize, Arc<str>)> =
            mapped.filter_map(|mapping| Some((place(&mapping.group)?, Arc::from(mapping.role.as_str())))).collect();
        let membership = |groups: &BTreeSet<usize>| {
            let mut roles: Vec<Arc<str>> = Vec::new();
            for (_, role) in mapped.iter().filter(|(group, _)| groups.contains(group)) {
                if !roles.contains(role) {
                    roles.push(Arc::clone(role));
                }
            }
            Membership { admin: admins.iter().any(|group| groups.contains(group)), roles }
        };
        let told = self.0.into_values().filter_map(|member| Some((member.spelling?, membership(&member.groups))));
        // A name of several parts at one level has them in any order.
        told.filter(|(name, _)| !name.contains('+')).collect()
    }
}

/// A name as all of its spellings have it, and perhaps other names: without case, spaces, quotes and escapes.
pub(crate) fn folded(name: &str) -> String {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        match (byte, behind) {
            (b'\\', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                bytes.push(digit(*high).unwrap_or(0) << 4 | digit(*low).unwrap_or(0));
                rest = after;
            }
            (b'\\' | b'"', _) => {}
            _ => bytes.push(*byte),
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    text.chars().filter(|char| !char.is_whitespace()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_name_are_known_as_such() {
        let want = folded("uid=ann,ou=people,dc=x");
        for name in ["UID=Ann, OU=people, DC=x", "uid=\\61nn,ou=people,dc=x", "uid=\"ann\",ou=people,dc=x"] {
            assert_eq!(folded(name), want, "{name}");
        }
        for name in ["uid=anna,ou=people,dc=x", "uid=ann,ou=people", "uid=ann\\", "uid=\\6"] {
            assert_ne!(folded(name), want, "{name}");
        }
        assert_eq!(folded("cn=M\\C3\\BCller\\, A"), folded("cn=m\u{fc}ller\\2c a"));
    }
}
