//! `/debug/vars`: all statistics as one JSON object. Only what this server really has: no memory statistics of a runtime
//! that it does not run on.

use std::collections::BTreeSet;

use http::StatusCode;

use crate::api::Api;
use crate::encode::number::push_i64;
use crate::encode::push_json_string;
use crate::encode::time::push_rfc3339;
use crate::respond::{self, Answer};
use crate::service::Statistic;

/// `/debug/vars`.
pub(crate) async fn vars(api: &Api) -> Answer {
    let status = std::sync::Arc::clone(&api.services.status);
    // Collecting statistics walks over all shards.
    let mut statistics = api.env.blocking(move || status.statistics()).await;
    statistics.push(api.stats.statistic(&api.config.bind));
    let mut body = b"{\n\"system\": ".to_vec();
    push_system(&mut body, api);
    body.extend_from_slice(b",\n\"cmdline\": ");
    push_list(&mut body, &api.services.status.command_line());
    let mut keys = BTreeSet::new();
    for statistic in &statistics {
        body.extend_from_slice(b",\n");
        push_json_string(&mut body, &distinct_key(&mut keys, statistic));
        body.extend_from_slice(b": ");
        push_statistic(&mut body, statistic);
    }
    body.extend_from_slice(b"\n}\n");
    respond::full(StatusCode::OK, "application/json; charset=utf-8", body)
}

fn push_system(out: &mut Vec<u8>, api: &Api) {
    let (now, started) = (api.env.now().0, api.services.status.started().0);
    for (name, instant) in [("{\"currentTime\":\"", now), ("\",\"started\":\"", started)] {
        out.extend_from_slice(name.as_bytes());
        push_rfc3339(out, instant, 0);
    }
    out.extend_from_slice(b"\",\"uptime\":");
    push_i64(out, now.saturating_sub(started) / 1_000_000_000);
    out.push(b'}');
}

fn push_list(out: &mut Vec<u8>, list: &[String]) {
    out.push(b'[');
    for (index, text) in list.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push_json_string(out, text);
    }
    out.push(b']');
}

/// The name with the tags that tell it from its like, and a number where even that is not enough.
fn distinct_key(keys: &mut BTreeSet<String>, statistic: &Statistic) -> String {
    const DISTINGUISHING: [&str; 5] = ["path", "proto", "bind", "database", "id"];
    let mut key = statistic.name.clone();
    for name in DISTINGUISHING {
        // The path of a shard has its database in it.
        if name == "database" && statistic.tags.contains_key("path") {
            continue;
        }
        if let Some(value) = statistic.tags.get(name) {
            key.push(':');
            key.push_str(value);
        }
    }
    let plain = key.clone();
    let mut number = 1;
    while !keys.insert(key.clone()) {
        key = format!("{plain}:{number}");
        number += 1;
    }
    key
}

fn push_statistic(out: &mut Vec<u8>, statistic: &Statistic) {
    out.extend_from_slice(b"{\"name\":");
    push_json_string(out, &statistic.name);
    out.extend_from_slice(b",\"tags\":");
    if statistic.tags.is_empty() {
        out.extend_from_slice(b"null");
    } else {
        push_map(out, statistic.tags.iter(), |out, value| push_json_string(out, value));
    }
    out.extend_from_slice(b",\"values\":");
    push_map(out, statistic.values.iter(), |out, value| push_i64(out, *value));
    out.push(b'}');
}

fn push_map<'a, V: 'a>(
    out: &mut Vec<u8>,
    entries: impl Iterator<Item = (&'a String, &'a V)>,
    push_value: impl Fn(&mut Vec<u8>, &V),
) {
    out.push(b'{');
    for (index, (name, value)) in entries.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push_json_string(out, name);
        out.push(b':');
        push_value(out, value);
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn statistic(name: &str, tags: &[(&str, &str)]) -> Statistic {
        Statistic {
            name: name.to_owned(),
            tags: tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            values: BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), -2)]),
        }
    }

    #[test]
    fn keys_tell_statistics_apart() {
        let mut keys = BTreeSet::new();
        let mut key = |name: &str, tags: &[(&str, &str)]| distinct_key(&mut keys, &statistic(name, tags));
        assert_eq!(key("write", &[]), "write");
        assert_eq!(key("database", &[("database", "d")]), "database:d");
        assert_eq!(key("httpd", &[("bind", ":8086")]), "httpd::8086");
        assert_eq!(
            key("shard", &[("database", "d"), ("id", "1"), ("path", "/data/d/autogen/1")]),
            "shard:/data/d/autogen/1:1"
        );
        assert_eq!(key("graphite", &[("proto", "tcp"), ("bind", ":2003")]), "graphite:tcp::2003");
        assert_eq!(key("write", &[]), "write:1");
        assert_eq!(key("write", &[]), "write:2");
    }

    #[test]
    fn statistics_are_objects() {
        let mut out = Vec::new();
        push_statistic(&mut out, &statistic("write", &[]));
        push_statistic(&mut out, &statistic("database", &[("database", "d")]));
        let want = "{\"name\":\"write\",\"tags\":null,\"values\":{\"a\":1,\"b\":-2}}\
                    {\"name\":\"database\",\"tags\":{\"database\":\"d\"},\"values\":{\"a\":1,\"b\":-2}}";
        assert_eq!(String::from_utf8(out).expect("text"), want);
    }
}
