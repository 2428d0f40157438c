//! `peers.json`: the Raft addresses of the members that vote, and the way back after a majority of them was lost for good.
//!
//! The node keeps the file current. An operator who has lost a majority stops those that are left, takes the lost ones out
//! of the file of each and starts them again: see `node::recover` for what follows. Here is decided what a file means.
//!
//! A file that merely lags must not change who votes. So the log remembers what this node wrote last and was about to
//! write ([`Written`]); a file that names the members it wrote says nothing, however it is laid out, and nor does one that is
//! still as it was before a write that was cut short.

use std::collections::BTreeSet;

use crate::raft::{Roster, Written};

/// Why a file cannot be followed. What to do about it is part of the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeersError {
    /// It is no list of addresses.
    #[error(
        "not a JSON array of Raft addresses ({0}); list the members that are left, or remove the file to leave the members \
         as they are"
    )]
    Malformed(String),
    /// This node would not be a member.
    #[error(
        "peers out of sync: {own} not in [{peers}]; list this node among the members that are left, or remove the file to \
         leave the members as they are"
    )]
    OutOfSync {
        /// The Raft address of this node.
        own: String,
        /// Those in the file.
        peers: String,
    },
    /// It names somebody who is no member.
    #[error(
        "{address} is none of the members [{known}]; list those of them that are left, or remove the file to leave the \
         members as they are"
    )]
    Unknown {
        /// The address.
        address: String,
        /// Those this node knows.
        known: String,
    },
    /// Somebody who is not listed is there.
    #[error(
        "{0} is not listed but runs; stop it for good before the others go on without it, or remove the file to leave the \
         members as they are"
    )]
    Running(String),
    /// A majority is there.
    #[error(
        "a majority of the members is there ({0}), so nothing is to be recovered; remove the file, and take members away \
         with influxd-ctl remove-meta"
    )]
    Majority(String),
}

/// The text of a file.
pub(crate) fn print(members: &Roster) -> Vec<u8> {
    let mut text = serde_json::to_vec(&members.values().collect::<Vec<_>>()).expect("plain values");
    text.push(b'\n');
    text
}

/// Tells one text of a file from another.
pub(crate) fn hash(text: &[u8]) -> u64 {
    stdx::fnv::fnv1a64(text)
}

/// Whom a file leaves in the cluster; `None` when it says what it said before. `id` and `address` are this node's own.
pub(crate) fn judge(text: &[u8], written: &Written, id: u64, address: &str) -> Result<Option<Roster>, PeersError> {
    let listed: Vec<String> = serde_json::from_slice(text).map_err(|error| PeersError::Malformed(error.to_string()))?;
    let names: BTreeSet<&str> = listed.iter().map(String::as_str).collect();
    let is_ours = |roster: &Roster| roster.values().map(String::as_str).collect::<BTreeSet<_>>() == names;
    let says_nothing = match &written.next {
        None => is_ours(&written.last),
        // What stood there before the write that was cut short, or what was written.
        Some(next) => hash(text) == written.before || is_ours(next),
    };
    if says_nothing {
        return Ok(None);
    }
    let known = written.next.as_ref().unwrap_or(&written.last);
    let own = known.get(&id).map_or(address, String::as_str);
    if !names.contains(own) && !names.contains(address) {
        return Err(PeersError::OutOfSync { own: address.to_owned(), peers: listed.join(" ") });
    }
    let mut members = Roster::new();
    for name in names {
        let number = if name == address { Some(id) } else { number_of(known, name) };
        let Some(number) = number else {
            let known = known.values().map(String::as_str).collect::<Vec<_>>().join(" ");
            return Err(PeersError::Unknown { address: name.to_owned(), known });
        };
        members.insert(number, name.to_owned());
    }
    Ok(Some(members))
}

fn number_of(known: &Roster, address: &str) -> Option<u64> {
    known.iter().find(|(_, known)| *known == address).map(|(id, _)| *id)
}

/// What members name as the cluster after they were left alone: the same for all that were given the same list.
pub(crate) fn group_of(before: u64, count: u64, members: &Roster) -> u64 {
    let mut bytes = [before.to_le_bytes(), count.to_le_bytes()].concat();
    for (id, address) in members {
        bytes.extend_from_slice(&id.to_le_bytes());
        bytes.extend_from_slice(address.as_bytes());
    }
    stdx::fnv::fnv1a64(&bytes).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roster(members: &[(u64, &str)]) -> Roster {
        members.iter().map(|(id, address)| (*id, (*address).to_owned())).collect()
    }

    /// A write that was cut short: of two members one more was made.
    fn written() -> Written {
        let last = roster(&[(1, "a:1"), (2, "b:1")]);
        let before = hash(&print(&last));
        Written { last, next: Some(roster(&[(1, "a:1"), (2, "b:1"), (3, "c:1")])), before }
    }

    #[test]
    fn what_this_node_wrote_says_nothing_however_it_is_laid_out() {
        for text in [r#"["a:1","b:1","c:1"]"#, "[ \"c:1\",\n \"b:1\", \"a:1\"]\n\n"] {
            assert_eq!(judge(text.as_bytes(), &written(), 1, "a:1"), Ok(None), "{text}");
        }
        let done = Written { last: written().last, ..Written::default() };
        assert_eq!(judge(b"[\"b:1\", \"a:1\"]", &done, 1, "a:1"), Ok(None));
        // What was there before a write that was cut short is told from the same members listed by somebody else.
        assert_eq!(judge(&print(&written().last), &written(), 1, "a:1"), Ok(None));
    }

    #[test]
    fn a_file_with_fewer_members_leaves_these() {
        let left = |text: &str, id, address: &str| judge(text.as_bytes(), &written(), id, address);
        assert_eq!(left(r#"["a:1"]"#, 1, "a:1"), Ok(Some(roster(&[(1, "a:1")]))));
        assert_eq!(left(r#"["b:1", "a:1"]"#, 1, "a:1"), Ok(Some(written().last)));
        assert_eq!(left(r#"["c:1","a:1"]"#, 3, "c:1"), Ok(Some(roster(&[(1, "a:1"), (3, "c:1")]))));
        // A node whose host was renamed at the same time may be listed under either name.
        assert_eq!(left(r#"["new:1"]"#, 1, "new:1"), Ok(Some(roster(&[(1, "new:1")]))));
        assert_eq!(left(r#"["a:1"]"#, 1, "new:1"), Ok(Some(roster(&[(1, "a:1")]))));
    }

    #[test]
    fn a_file_that_cannot_be_followed_is_told_with_what_to_do() {
        let refused = |text: &str| judge(text.as_bytes(), &written(), 1, "a:1").expect_err("refused").to_string();
        assert!(refused("[\"a:1\",").starts_with("not a JSON array of Raft addresses (EOF"));
        assert!(refused("{}").starts_with("not a JSON array of Raft addresses (invalid type: map"));
        assert!(refused("[]").starts_with("peers out of sync: a:1 not in []; "));
        assert!(refused(r#"["b:1","c:1"]"#).starts_with("peers out of sync: a:1 not in [b:1 c:1]; "));
        assert!(refused(r#"["a:1","x:1"]"#).starts_with("x:1 is none of the members [a:1 b:1 c:1]; "));
        for text in ["", "[]", r#"["b:1"]"#, r#"["a:1","x:1"]"#] {
            assert!(refused(text).ends_with("or remove the file to leave the members as they are"));
        }
    }

    #[test]
    fn members_that_were_given_the_same_list_name_the_same_group() {
        let group = |before, count, members: &[(u64, &str)]| group_of(before, count, &roster(members));
        let one = group(9, 1, &[(1, "a:1"), (2, "b:1")]);
        assert_eq!(one, group(9, 1, &[(2, "b:1"), (1, "a:1")]));
        for other in [group(9, 1, &[(1, "a:1")]), group(9, 2, &[(1, "a:1"), (2, "b:1")]), group(8, 1, &[(1, "a:1")])] {
            assert_ne!(one, other);
        }
    }
}
