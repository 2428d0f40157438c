//! Continuous queries, subscriptions and labels.

use super::*;
use crate::data::SubscriptionMode;

fn create_query(database: &str, name: &str, query: &str) -> Command {
    let (database, name, query) = (database.to_owned(), name.to_owned(), query.to_owned());
    Command::CreateContinuousQuery { database, name, query }
}

fn subscribe(database: &str, policy: &str, name: &str, url: &str) -> Command {
    Command::CreateSubscription {
        database: database.to_owned(),
        policy: policy.to_owned(),
        name: name.to_owned(),
        mode: SubscriptionMode::Any,
        destinations: vec!["udp://h:9090".to_owned(), url.to_owned()],
    }
}

#[test]
fn continuous_queries_of_the_same_text_are_fine() {
    let mut world = World::with_nodes(1);
    world.done(&create_query("db", "c", "SELECT mean(v) INTO x FROM m"));
    world.nothing(&create_query("db", "c", "select MEAN(v) into x from m"));
    world.refused(&create_query("db", "c", "SELECT mean(v) INTO y FROM m"), "continuous query already exists");
    world.done(&create_query("db", "C", "SELECT mean(v) INTO y FROM m"));
    world.refused(&create_query("nope", "c", ""), "database not found: nope");
    let drop = |database: &str, name: &str| Command::DropContinuousQuery {
        database: database.to_owned(),
        name: name.to_owned(),
    };
    world.done(&drop("db", "c"));
    world.nothing(&drop("db", "c"));
    world.nothing(&drop("nope", "c"));
    let left: Vec<_> =
        world.data.database("db").expect("there").continuous_queries.iter().map(|query| &query.name).collect();
    assert_eq!(left, ["C"]);
}

#[test]
fn subscriptions_belong_to_a_policy() {
    let mut world = World::with_nodes(1);
    world.done(&subscribe("db", "autogen", "s", "http://h:80/path"));
    world.refused(&subscribe("db", "autogen", "s", "http://h:80"), "subscription already exists");
    world.refused(&subscribe("db", "nope", "s", "http://h:80"), "retention policy not found: nope");
    world.refused(&subscribe("nope", "autogen", "s", "http://h:80"), "database not found: nope");
    let drop = |database: &str, policy: &str, name: &str| Command::DropSubscription {
        database: database.to_owned(),
        policy: policy.to_owned(),
        name: name.to_owned(),
    };
    world.refused(&drop("db", "autogen", "nope"), "subscription not found");
    world.refused(&drop("db", "nope", "s"), "retention policy not found: nope");
    world.refused(&drop("nope", "autogen", "s"), "database not found: nope");
    let group = world.group(0);
    world.done(&drop("db", "autogen", "s"));
    assert_eq!(world.group(0), group, "nothing else changes");
    assert!(world.policy().subscriptions.is_empty());
}

#[test]
fn destinations_need_a_known_scheme_and_a_port() {
    let mut world = World::with_nodes(1);
    for (number, url) in
        ["https://x:1", "http://:80", "HTTP://h:80", "udp://u:p@h:80", "udp://[::1]:80", "http://h:99999"]
            .iter()
            .enumerate()
    {
        world.done(&subscribe("db", "autogen", &format!("s{number}"), url));
    }
    for url in ["h:9090", "ftp://h:9090", "http://h", "http://h:abc", "http://h:", "", "udp://[::1]", "http://a:b:1"] {
        world.refused(&subscribe("db", "autogen", "bad", url), &format!("invalid subscription URL: {url}"));
    }
}

#[test]
fn labels_are_merged_and_removed() {
    let mut world = World::with_nodes(1);
    let change = |set: &[(&str, &str)], remove: &[&str]| Command::ChangeLabels {
        node: NodeId(1),
        set: set.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        remove: remove.iter().map(|key| (*key).to_owned()).collect(),
    };
    world.done(&change(&[("az", "west"), ("rack", "1")], &[]));
    world.done(&change(&[("rack", "2")], &["az"]));
    world.nothing(&change(&[], &["az"]));
    let labels = &world.data.node(NodeId(1)).expect("there").labels;
    assert_eq!(labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>(), ["rack=2"]);
    let unknown = Command::ChangeLabels { node: NodeId(9), set: [].into(), remove: vec![] };
    world.refused(&unknown, "node not found");
}
