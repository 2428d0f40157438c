//! Shards and who owns them.

use jiff::Timestamp;

use super::{LINE, table};
use crate::document::{Owner, Shard};

/// Shards of one disk or of the metadata only are told with this text by their owners.
const NOT_FOUND: &str = "not found";

/// What a server writes where there is no time.
const NO_TIME: &str = "0001-01-01T00:00:00Z";

/// Which shards are shown, and how.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct View {
    /// What the owners say of their copies.
    pub(crate) verbose: bool,
    /// Only those that metadata and disks do not agree about.
    pub(crate) missing: bool,
    /// Those too whose retention policy has let go of them.
    pub(crate) expired: bool,
    /// Owners as they were printed up to release 1.8.4.
    pub(crate) legacy_owners: bool,
}

/// The shards that `view` wants, by id. `now` tells which have expired.
pub(crate) fn list(shards: &[Shard], view: View, now: Timestamp) -> String {
    let mut shards: Vec<&Shard> = shards.iter().filter(|shard| is_wanted(shard, view, now)).collect();
    shards.sort_by_key(|shard| shard.id);
    let head =
        ["ID", "Database", "Retention Policy", "Desired Replicas", "Shard Group", "Start", "End", "Expires", "Owners"];
    let head = head.map(str::to_owned).to_vec();
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(shards.iter().map(|shard| row(shard, view))).collect();
    format!("Shards\n{LINE}\n{}", table(&rows, 0))
}

fn is_wanted(shard: &Shard, view: View, now: Timestamp) -> bool {
    let has_expired = time(&shard.expire_time).is_some_and(|end| end <= now);
    let is_missing = shard.shard_group_id == 0 || shard.owners.iter().any(|owner| owner.err == NOT_FOUND);
    (view.expired || !has_expired) && (!view.missing || is_missing)
}

fn row(shard: &Shard, view: View) -> Vec<String> {
    let end = match time(&shard.truncated_at) {
        // When somebody cut the group is told exactly, and marked.
        Some(cut) => format!("{cut}*"),
        None => seconds(&shard.end_time),
    };
    let owners: Vec<String> = shard.owners.iter().map(|owner| self::owner(owner, view)).collect();
    vec![
        shard.id.to_string(),
        shard.database.clone(),
        shard.retention_policy.clone(),
        shard.replica_n.to_string(),
        shard.shard_group_id.to_string(),
        seconds(&shard.start_time),
        end,
        seconds(&shard.expire_time),
        format!("[{}]", owners.join(" ")),
    ]
}

fn owner(owner: &Owner, view: View) -> String {
    let Owner { id, tcp_addr, state, last_modified, size, err } = owner;
    let name = if view.legacy_owners { format!("{id} {tcp_addr}") } else { format!("ID:{id} TCPAddr:{tcp_addr}") };
    if !view.verbose {
        return format!("{{{name}}}");
    }
    let err = if err.is_empty() { "nil" } else { err };
    let last_modified = time(last_modified).map_or(NO_TIME.to_owned(), |time| time.to_string());
    format!("{{{name} State:{state} LastModified:{last_modified} Size:{size} Err:{err}}}")
}

/// An instant that a server wrote; none where it wrote the zero time, nothing, or something else.
fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok().filter(|_| text != NO_TIME)
}

/// To the second, in UTC. Text that is no time stays as it is.
fn seconds(text: &str) -> String {
    match time(text) {
        Some(time) => Timestamp::from_second(time.as_second()).unwrap_or(time).to_string(),
        None if text == NO_TIME => String::new(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    const SHARDS: &str = r#"[
        {"id": 22, "database": "telegraf", "retention-policy": "oneday", "replica-n": 2, "shard-group-id": 38,
         "start-time": "2017-01-26T18:00:00Z", "end-time": "2017-01-26T19:00:00Z",
         "expire-time": "2017-01-27T19:00:00Z", "truncated-at": "2017-01-26T18:05:36.418734949Z",
         "owners": [{"id": 4, "tcpAddr": "data1:8088", "state": "", "last-modified": "0001-01-01T00:00:00Z",
                     "size": 0, "err": "not found"}]},
        {"id": 21, "database": "telegraf", "retention-policy": "autogen", "replica-n": 2, "shard-group-id": 37,
         "start-time": "2017-01-26T19:00:00.5+02:00", "end-time": "2017-01-26T18:00:00Z",
         "expire-time": "0001-01-01T00:00:00Z", "truncated-at": "0001-01-01T00:00:00Z",
         "owners": [{"id": 4, "tcpAddr": "data1:8088", "state": "cold",
                     "last-modified": "2017-01-26T18:00:01.250Z", "size": 8054, "err": ""},
                    {"id": 5, "tcpAddr": "data2:8088", "state": "hot"}]},
        {"id": 7, "database": "", "shard-group-id": 0, "owners": null}
    ]"#;

    fn check(view: View, now: &str, want: Expect) {
        let shards: Vec<Shard> = serde_json::from_str(SHARDS).expect("a document");
        want.assert_eq(&list(&shards, view, now.parse().expect("a time")));
    }

    const DAY: &str = "2017-01-27T00:00:00Z";

    #[test]
    fn shards_are_listed_by_id() {
        check(
            View::default(),
            DAY,
            expect![[r#"
                Shards
                ==========
                ID  Database  Retention Policy  Desired Replicas  Shard Group  Start                 End                              Expires               Owners
                7                               0                 0                                                                                         []
                21  telegraf  autogen           2                 37           2017-01-26T17:00:00Z  2017-01-26T18:00:00Z                                   [{ID:4 TCPAddr:data1:8088} {ID:5 TCPAddr:data2:8088}]
                22  telegraf  oneday            2                 38           2017-01-26T18:00:00Z  2017-01-26T18:05:36.418734949Z*  2017-01-27T19:00:00Z  [{ID:4 TCPAddr:data1:8088}]
            "#]],
        );
    }

    #[test]
    fn old_scripts_get_owners_without_names() {
        let view = View { legacy_owners: true, ..View::default() };
        check(
            view,
            "2018-01-01T00:00:00Z",
            expect![[r#"
            Shards
            ==========
            ID  Database  Retention Policy  Desired Replicas  Shard Group  Start                 End                   Expires  Owners
            7                               0                 0                                                                 []
            21  telegraf  autogen           2                 37           2017-01-26T17:00:00Z  2017-01-26T18:00:00Z           [{4 data1:8088} {5 data2:8088}]
        "#]],
        );
    }

    #[test]
    fn owners_tell_of_their_copies() {
        let view = View { verbose: true, ..View::default() };
        check(
            view,
            DAY,
            expect![[r#"
            Shards
            ==========
            ID  Database  Retention Policy  Desired Replicas  Shard Group  Start                 End                              Expires               Owners
            7                               0                 0                                                                                         []
            21  telegraf  autogen           2                 37           2017-01-26T17:00:00Z  2017-01-26T18:00:00Z                                   [{ID:4 TCPAddr:data1:8088 State:cold LastModified:2017-01-26T18:00:01.25Z Size:8054 Err:nil} {ID:5 TCPAddr:data2:8088 State:hot LastModified:0001-01-01T00:00:00Z Size:0 Err:nil}]
            22  telegraf  oneday            2                 38           2017-01-26T18:00:00Z  2017-01-26T18:05:36.418734949Z*  2017-01-27T19:00:00Z  [{ID:4 TCPAddr:data1:8088 State: LastModified:0001-01-01T00:00:00Z Size:0 Err:not found}]
        "#]],
        );
    }

    #[test]
    fn shards_that_disks_and_metadata_do_not_agree_about() {
        let view = View { missing: true, ..View::default() };
        check(
            view,
            DAY,
            expect![[r#"
            Shards
            ==========
            ID  Database  Retention Policy  Desired Replicas  Shard Group  Start                 End                              Expires               Owners
            7                               0                 0                                                                                         []
            22  telegraf  oneday            2                 38           2017-01-26T18:00:00Z  2017-01-26T18:05:36.418734949Z*  2017-01-27T19:00:00Z  [{ID:4 TCPAddr:data1:8088}]
        "#]],
        );
    }

    #[test]
    fn expired_shards_are_shown_when_asked_for() {
        let ids = |expired: bool, now: &str| {
            let shards: Vec<Shard> = serde_json::from_str(SHARDS).expect("a document");
            let text = list(&shards, View { expired, ..View::default() }, now.parse().expect("a time"));
            text.lines().skip(3).filter_map(|line| line.split(' ').next().map(str::to_owned)).collect::<Vec<_>>()
        };
        assert_eq!(ids(false, "2017-01-27T18:59:59Z"), ["7", "21", "22"]);
        assert_eq!(ids(false, "2017-01-27T19:00:00Z"), ["7", "21"]);
        assert_eq!(ids(true, "2017-01-27T19:00:00Z"), ["7", "21", "22"]);
    }

    #[test]
    fn without_shards_the_head_stays() {
        let text = list(&[], View::default(), DAY.parse().expect("a time"));
        assert_eq!(
            text,
            "Shards\n==========\nID  Database  Retention Policy  Desired Replicas  Shard Group  Start  End  Expires  Owners\n"
        );
    }

    #[test]
    fn what_is_no_time_is_shown_as_it_is() {
        assert_eq!(seconds("soon"), "soon");
        assert_eq!(seconds("0001-01-01T00:00:00Z"), "");
        assert_eq!(seconds(""), "");
    }
}
