//! The way back after a majority was lost for good: the file `peers.json`.

use std::path::PathBuf;

use futures_util::future::join_all;
use meta_node::{PeersError, StartError};

use super::*;

fn file(host: &Host) -> PathBuf {
    host.dir.join("peers.json")
}

/// What an operator does with an editor.
fn edit(host: &Host, members: &[&Arc<Host>]) {
    let listed: Vec<&str> = members.iter().map(|member| member.tcp_addr.as_str()).collect();
    std::fs::write(file(host), serde_json::to_vec_pretty(&listed).expect("plain values")).expect("written");
}

async fn lists(host: &Host, want: &[&str]) {
    let want = serde_json::json!(want);
    eventually(&format!("{} lists {want}", host.tcp_addr), async || {
        let text = std::fs::read(file(host)).unwrap_or_default();
        (serde_json::from_slice::<serde_json::Value>(&text).ok()? == want).then_some(())
    })
    .await;
}

/// Members `a`, `b` and so on; the first formed the cluster.
async fn members(root: &std::path::Path, switch: &Switch, count: u8) -> Vec<Process> {
    let mut members: Vec<Process> = Vec::new();
    for number in 0..count {
        let name = char::from(b'a' + number).to_string();
        // Few entries between snapshots: memberships stand in them as well.
        let process = Host::with_snapshots(root, &name, switch, 6).await.start().await;
        match members.first() {
            Some(first) => drop(process.join(&[first]).await),
            None => drop(process.node.bootstrap().await.expect("forms")),
        }
        members.push(process);
    }
    members
}

async fn stop_all(processes: Vec<Process>) -> Vec<Arc<Host>> {
    join_all(processes.into_iter().map(Process::stop)).await
}

/// The error of a start, once the former process has let go of the directory.
async fn refused(host: &Arc<Host>) -> StartError {
    eventually("a start that is refused", async || match host.try_start().await {
        Ok(process) => panic!("{} must not start: {:?}", host.tcp_addr, process.node.member()),
        Err(StartError::InUse(_)) => None,
        Err(error) => Some(error),
    })
    .await
}

fn metas(process: &Process) -> Vec<u64> {
    process.node.data().meta_nodes().map(|node| node.id.0).collect()
}

#[tokio::test]
async fn the_list_of_members_follows_them() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let mut processes = members(temp.path(), &switch, 3).await;
    for process in &processes {
        lists(&process.host, &["a:8088", "b:8088", "c:8088"]).await;
    }
    let gone = processes.remove(2);
    processes[0].node.remove_member(gone.node.id().expect("a member")).await.expect("removed");
    for process in &processes {
        lists(&process.host, &["a:8088", "b:8088"]).await;
    }
    // It lags behind, or is gone: nobody else votes because of that.
    let hosts = stop_all(processes).await;
    std::fs::write(file(&hosts[0]), "[\"b:8088\",\n \"a:8088\"]").expect("written");
    std::fs::remove_file(file(&hosts[1])).expect("removed");
    let first = hosts[0].restart().await;
    let second = hosts[1].restart().await;
    propose(&[&first, &second], &create_database("db")).await;
    lists(&hosts[1], &["a:8088", "b:8088"]).await;
    assert_eq!(first.node.member().expect("a member").recoveries, 0);
}

#[tokio::test]
async fn the_last_of_three_goes_on_alone_and_is_joined_by_new_ones() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let processes = members(temp.path(), &switch, 3).await;
    let all: Vec<_> = processes.iter().collect();
    let names: Vec<String> = (0..9).map(|number| format!("db{number}")).collect();
    for name in &names {
        propose(&all, &create_database(name)).await;
    }
    let has_all = |data: &meta::Data| names.iter().all(|name| data.database(name).is_some());
    sees(&processes[2], "all of it", has_all).await;
    lists(&processes[2].host, &["a:8088", "b:8088", "c:8088"]).await;
    let cluster = processes[2].node.data().cluster_id();
    let hosts = stop_all(processes).await;
    edit(&hosts[2], &[&hosts[2]]);
    let left = hosts[2].restart().await;
    eventually("it leads", async || left.node.leader()).await;
    sees(&left, "all of it", has_all).await;
    propose(&[&left], &create_database("after")).await;
    eventually("the lost ones are members no more", async || (metas(&left) == [3]).then_some(())).await;
    assert_eq!(left.node.data().cluster_id(), cluster, "it is still the same cluster to data nodes");
    assert_eq!(left.node.member().expect("a member").recoveries, 1);
    // Others join; one that was lost comes back from the dead and is told.
    let fresh = Host::new(temp.path(), "d", &switch).await.start().await;
    let id = fresh.join(&[&left]).await;
    assert!(id.0 > 100, "{id}: the lost ones may have let in others");
    sees(&fresh, "all of it", |data| has_all(data) && data.database("after").is_some()).await;
    lists(&hosts[2], &["c:8088", "d:8088"]).await;
    let error = refused(&hosts[0]).await;
    assert!(matches!(&error, StartError::LeftOut { id: NodeId(1), .. }), "{error}");
    assert!(error.to_string().ends_with("empty the directory and add the node again"), "{error}");
    // A restart is one like any other.
    let host = left.stop().await;
    let left = host.restart().await;
    propose(&[&left, &fresh], &create_database("later")).await;
    assert_eq!(left.node.member().expect("a member").recoveries, 1);
}

/// Of those left, one has a long end of a log that was never decided, from before the lost ones decided something else with
/// the other. What was decided stays.
#[tokio::test]
async fn of_those_left_the_one_whose_log_says_more_is_followed() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let mut processes = members(temp.path(), &switch, 5).await;
    let all: Vec<_> = processes.iter().collect();
    let old = leader(&all).await.node.id().expect("a member");
    let at = processes.iter().position(|process| process.node.id() == Some(old)).expect("one of them");
    let old = processes.remove(at);
    switch.cut(&old.host.tcp_addr);
    let undecided: Vec<_> = (0..4).map(|number| create_database(&format!("undecided{number}"))).collect();
    let outcomes = join_all(undecided.iter().map(|command| old.node.propose(command))).await;
    assert!(outcomes.iter().all(Result::is_err), "{outcomes:?}");
    let rest: Vec<_> = processes.iter().collect();
    propose(&rest, &create_database("decided")).await;
    for process in &rest {
        sees(process, "what was decided", |data| data.database("decided").is_some()).await;
    }
    let other = processes.remove(0);
    lists(&other.host, &["a:8088", "b:8088", "c:8088", "d:8088", "e:8088"]).await;
    stop_all(processes).await;
    let (old, other) = (old.stop().await, other.stop().await);
    switch.heal(&old.tcp_addr);
    for host in [&old, &other] {
        edit(host, &[&old, &other]);
    }
    let old = old.restart().await;
    let other = other.restart().await;
    for process in [&old, &other] {
        sees(process, "what was decided", |data| data.database("decided").is_some()).await;
    }
    propose(&[&old, &other], &create_database("after")).await;
    for process in [&old, &other] {
        sees(process, "what came after", |data| data.database("after").is_some()).await;
        let data = process.node.data();
        assert!((0..4).all(|number| data.database(&format!("undecided{number}")).is_none()));
        assert_eq!(voters(process).len(), 2);
    }
    eventually("the lost ones are members no more", async || (metas(&old).len() == 2).then_some(())).await;
}

#[tokio::test]
async fn those_left_go_on_together_or_are_told_why_not() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let processes = members(temp.path(), &switch, 4).await;
    for process in &processes {
        lists(&process.host, &["a:8088", "b:8088", "c:8088", "d:8088"]).await;
    }
    let hosts = stop_all(processes).await;
    // What a majority decides needs no recovery.
    edit(&hosts[0], &[&hosts[0], &hosts[1], &hosts[2]]);
    let error = refused(&hosts[0]).await;
    assert!(matches!(&error, StartError::Peers { why: PeersError::Majority(_), .. }), "{error}");
    edit(&hosts[0], &[&hosts[0], &hosts[1]]);
    let first = hosts[0].restart().await;
    // Without the list it would vote among three.
    let error = refused(&hosts[1]).await;
    let StartError::NotRecovered { members, .. } = &error else { panic!("{error}") };
    assert_eq!(members, "a:8088 b:8088");
    assert!(error.to_string().contains("list the same in "), "{error}");
    edit(&hosts[1], &[&hosts[0], &hosts[1]]);
    let second = hosts[1].restart().await;
    propose(&[&first, &second], &create_database("db")).await;
    for process in [&first, &second] {
        sees(process, "the database", |data| data.database("db").is_some()).await;
    }
    // And with another list it is left out.
    edit(&hosts[2], &[&hosts[2]]);
    let error = refused(&hosts[2]).await;
    assert!(matches!(&error, StartError::Peers { why: PeersError::Running(_), .. }), "{error}");
    // Who goes this way twice takes the others along.
    let (first, second) = (first.stop().await, second.stop().await);
    edit(&second, &[&second]);
    let second = second.restart().await;
    propose(&[&second], &create_database("alone")).await;
    assert_eq!(second.node.member().expect("a member").recoveries, 2);
    let error = refused(&first).await;
    assert!(matches!(&error, StartError::LeftOut { id: NodeId(1), .. }), "{error}");
}

#[tokio::test]
async fn a_list_that_cannot_be_followed_changes_nothing() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let mut processes = members(temp.path(), &switch, 5).await;
    for process in &processes {
        lists(&process.host, &["a:8088", "b:8088", "c:8088", "d:8088", "e:8088"]).await;
    }
    let lost = processes.pop().expect("one").stop().await;
    let host = processes.remove(0).stop().await;
    let rest: Vec<_> = processes.iter().collect();
    leader(&rest).await;
    let [b, c, d] = [0, 1, 2].map(|at| &processes[at].host);
    let told = async || refused(&host).await.to_string();
    std::fs::write(file(&host), "[\"a:8088\"").expect("written");
    let text = told().await;
    assert!(text.contains("peers.json: not a JSON array of Raft addresses"), "{text}");
    edit(&host, &[b]);
    let text = told().await;
    assert!(text.contains("peers.json: peers out of sync: a:8088 not in [b:8088]; "), "{text}");
    std::fs::write(file(&host), "[\"a:8088\",\"x:8088\"]").expect("written");
    let text = told().await;
    assert!(text.contains("x:8088 is none of the members [a:8088 b:8088 c:8088 d:8088 e:8088]"), "{text}");
    edit(&host, &[&host, b]);
    let text = told().await;
    assert!(text.contains("c:8088 is not listed but runs"), "{text}");
    edit(&host, &[&host, b, c, d]);
    let text = told().await;
    assert!(text.contains("a majority of the members is there (a:8088 b:8088 c:8088 d:8088)"), "{text}");
    // Without the file it is a member as before.
    std::fs::remove_file(file(&host)).expect("removed");
    let first = host.restart().await;
    propose(&rest, &create_database("db")).await;
    sees(&first, "the database", |data| data.database("db").is_some()).await;
    assert_eq!(voters(&first).len(), 5);
    drop(lost);
}
