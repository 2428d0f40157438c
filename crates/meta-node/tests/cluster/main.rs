//! Whole clusters of meta nodes: forming, joining, losing, restarting, removing.

mod errors;
mod hand_over;
mod harness;
mod http;
mod operate;
mod recover;
mod removal;

use std::sync::Arc;

use env::Env;
use meta::codec::encode_snapshot;
use meta::{Command, Digest, Known, Reply, Version};
use meta_node::http::redirect_router;
use meta_node::identity::{Files, load_member};
use meta_node::join::{DataAddresses, fetch_data, join_data};
use meta_node::{News, ProposeError, StartError};
use model::{MetaIndex, NodeId, Timestamp};
use rpc::ClusterAuth;

use self::harness::*;

/// Three members: the first forms the cluster, the others join it.
async fn three(root: &std::path::Path, switch: &Switch) -> [Process; 3] {
    let first = Host::new(root, "a", switch).await.start().await;
    assert_eq!(first.node.bootstrap().await.expect("forms"), NodeId(1));
    let second = Host::new(root, "b", switch).await.start().await;
    second.join(&[&first]).await;
    let third = Host::new(root, "c", switch).await.start().await;
    third.join(&[&first]).await;
    [first, second, third]
}

#[tokio::test]
async fn one_node_is_a_cluster_and_stays_one_after_a_restart() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let process = Host::new(temp.path(), "a", &switch).await.start().await;
    assert!(matches!(process.node.propose(&create_database("db")).await, Err(ProposeError::NoLeader)));
    assert_eq!(process.node.bootstrap().await.expect("forms"), NodeId(1));
    assert_eq!(process.node.bootstrap().await.expect("nothing to do"), NodeId(1));
    propose(&[&process], &create_database("db")).await;
    let before = process.node.data();
    let process = process.stop().await.restart().await;
    assert_eq!(process.node.id(), Some(NodeId(1)));
    sees(&process, "what was committed", |data| data.database("db").is_some()).await;
    assert_eq!(process.node.data().cluster_id(), before.cluster_id());
    propose(&[&process], &create_database("db2")).await;
}

#[tokio::test]
async fn two_nodes_that_join_at_once_both_get_in() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let first = Host::new(temp.path(), "a", &switch).await.start().await;
    first.node.bootstrap().await.expect("forms");
    let second = Host::new(temp.path(), "b", &switch).await.start().await;
    let third = Host::new(temp.path(), "c", &switch).await.start().await;
    let peers = [&first];
    let (one, other) = tokio::join!(second.join(&peers), third.join(&peers));
    let mut ids = [one.0, other.0];
    ids.sort_unstable();
    assert_eq!(ids, [2, 3]);
    let all = [&first, &second, &third];
    leader(&all).await;
    for process in all {
        eventually("all vote", async || (voters(process) == ["a:8088", "b:8088", "c:8088"]).then_some(())).await;
    }
    propose(&all, &create_database("db")).await;
    for process in all {
        sees(process, "the database everywhere", |data| data.database("db").is_some()).await;
    }
}

#[tokio::test]
async fn a_lost_leader_is_replaced_and_nothing_acknowledged_is_lost() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let processes = three(temp.path(), &switch).await;
    let all: Vec<_> = processes.iter().collect();
    propose(&all, &create_database("before")).await;
    let old = leader(&all).await;
    switch.cut(&old.host.tcp_addr);
    let rest: Vec<_> = all.iter().copied().filter(|process| !std::ptr::eq(*process, old)).collect();
    eventually("a new leader", async || {
        let found = rest[0].node.leader()?;
        (Some(found.id) != old.node.id()).then_some(())
    })
    .await;
    propose(&rest, &create_database("after")).await;
    // The old one cannot speak for the cluster any more.
    let refused = within("an answer", old.node.propose(&create_database("lost"))).await;
    assert!(matches!(refused, Err(ProposeError::NoLeader | ProposeError::Timeout(_))), "{refused:?}");
    eventually("it knows", async || old.node.leader().is_none().then_some(())).await;
    assert!(old.node.ensure_linearizable().await.is_err());
    switch.heal(&old.host.tcp_addr);
    sees(old, "it catches up", |data| data.database("after").is_some() && data.database("before").is_some()).await;
    for process in &all {
        assert!(process.node.data().database("lost").is_none());
    }
}

#[tokio::test]
async fn a_member_with_a_shorter_log_does_not_spoil_an_election() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let processes = three(temp.path(), &switch).await;
    let all: Vec<_> = processes.iter().collect();
    let old = leader(&all).await;
    let rest: Vec<_> = all.iter().copied().filter(|process| !std::ptr::eq(*process, old)).collect();
    let (behind, whole) = (rest[0], rest[1]);
    switch.cut(&behind.host.tcp_addr);
    propose(&[old], &create_database("db")).await;
    sees(whole, "the database", |data| data.database("db").is_some()).await;
    let term = old.node.status().term;
    // Longer than anybody's patience: it would like to lead, and asks in vain.
    let mut looks = 0;
    eventually("time passes", async || {
        looks += 1;
        (looks > 75).then_some(())
    })
    .await;
    assert_eq!(behind.node.status().term, term, "who reaches nobody raises no term");
    switch.cut(&old.host.tcp_addr);
    switch.heal(&behind.host.tcp_addr);
    let next = eventually("a new leader", async || {
        let found = behind.node.leader().filter(|leader| Some(leader.id) != old.node.id())?;
        (whole.node.leader().as_ref() == Some(&found)).then_some(found)
    })
    .await;
    assert_eq!(Some(next.id), whole.node.id());
    assert_eq!(whole.node.status().term, term + 1, "one election was enough");
}

#[tokio::test]
async fn who_forms_a_cluster_is_its_first_member_however_early_others_come() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let first = Host::new(temp.path(), "a", &switch).await.start().await;
    let stranger = Command::CreateMetaNode {
        incarnation: meta::Incarnation(7),
        http_addr: "z:8091".to_owned(),
        tcp_addr: "z:8089".to_owned(),
    };
    let coming = async {
        while first.node.propose(&stranger).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    let (formed, ()) = within("both", async { tokio::join!(first.node.bootstrap(), coming) }).await;
    assert_eq!(formed.expect("forms"), NodeId(1));
    let data = first.node.data();
    assert_eq!(data.node(NodeId(1)).map(|node| node.incarnation), Some(first.node.incarnation()));
    assert_eq!(data.node_by_incarnation(meta::Incarnation(7)).map(|node| node.id), Some(NodeId(2)));
}

#[tokio::test]
async fn a_directory_put_back_from_an_older_copy_does_not_start() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let [first, second, third] = three(temp.path(), &switch).await;
    let host = third.stop().await;
    let copy = temp.path().join("copy");
    copy_dir(&host.dir, &copy);
    let third = host.restart().await;
    let all = [&first, &second, &third];
    propose(&all, &create_database("db")).await;
    sees(&third, "the database", |data| data.database("db").is_some()).await;
    let host = third.stop().await;
    // From its own disk it starts.
    let host = host.restart().await.stop().await;
    eventually("the directory is free", async || Env::real().fs().remove_dir_all(&host.dir).ok()).await;
    copy_dir(&copy, &host.dir);
    let error = host.try_start().await.err().expect("refused");
    assert!(matches!(error, StartError::OlderCopy { id: NodeId(3), .. }), "{error}");
}

#[tokio::test]
async fn a_copy_from_when_it_was_alone_is_found_out_by_those_who_came_later() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let first = Host::new(temp.path(), "a", &switch).await.start().await;
    first.node.bootstrap().await.expect("forms");
    propose(&[&first], &create_database("db")).await;
    let host = first.stop().await;
    let copy = temp.path().join("copy");
    copy_dir(&host.dir, &copy);
    let first = host.restart().await;
    let second = Host::new(temp.path(), "b", &switch).await.start().await;
    second.join(&[&first]).await;
    let third = Host::new(temp.path(), "c", &switch).await.start().await;
    third.join(&[&first]).await;
    let host = first.stop().await;
    eventually("the directory is free", async || Env::real().fs().remove_dir_all(&host.dir).ok()).await;
    copy_dir(&copy, &host.dir);
    let first = host.restart().await;
    let why = within("it fails", first.node.failed()).await;
    assert!(why.contains("is an older copy of what node 1 had"), "{why}");
    propose(&[&second, &third], &create_database("goes on")).await;
}

#[tokio::test]
async fn a_copy_is_found_out_by_members_that_it_does_not_know() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let first = Host::new(temp.path(), "a", &switch).await.start().await;
    first.node.bootstrap().await.expect("forms");
    let second = Host::new(temp.path(), "b", &switch).await.start().await;
    second.join(&[&first]).await;
    let host = second.stop().await;
    let copy = temp.path().join("copy");
    copy_dir(&host.dir, &copy);
    let second = host.restart().await;
    let third = Host::new(temp.path(), "c", &switch).await.start().await;
    third.join(&[&first, &second]).await;
    // A new leader, and whom the copy knows has seen nothing since it was started.
    let host = first.stop().await;
    propose(&[&second, &third], &create_database("db")).await;
    let first = host.restart().await;
    sees(&first, "the database", |data| data.database("db").is_some()).await;
    let host = second.stop().await;
    propose(&[&first, &third], &create_database("another")).await;
    let first = first.stop().await.restart().await;
    sees(&first, "the database", |data| data.database("another").is_some()).await;
    eventually("the directory is free", async || Env::real().fs().remove_dir_all(&host.dir).ok()).await;
    copy_dir(&copy, &host.dir);
    let error = host.try_start().await.err().expect("refused");
    assert!(matches!(error, StartError::OlderCopy { id: NodeId(2), .. }), "{error}");
}

fn copy_dir(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("listed") {
        let entry = entry.expect("listed");
        let to = to.join(entry.file_name());
        if entry.file_type().expect("known").is_dir() {
            copy_dir(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).expect("copied");
        }
    }
}

#[tokio::test]
async fn a_leader_that_comes_back_alone_does_not_count_itself() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let processes = three(temp.path(), &switch).await;
    let at = {
        let all: Vec<_> = processes.iter().collect();
        let led = leader(&all).await.node.id();
        processes.iter().position(|process| process.node.id() == led).expect("one of them")
    };
    let mut rest: Vec<_> = processes.into_iter().collect();
    let host = rest.remove(at).stop().await;
    switch.cut(&host.tcp_addr);
    let back = host.restart().await;
    // Raft takes its leadership up again; nobody has acknowledged it since.
    eventually("it knows", async || back.node.leader().is_none().then_some(())).await;
    let refused = within("an answer", back.node.propose(&create_database("lost"))).await;
    assert!(matches!(refused, Err(ProposeError::NoLeader)), "{refused:?}");
}

#[tokio::test]
async fn members_come_back_from_their_disks_without_joining() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let [first, second, third] = three(temp.path(), &switch).await;
    propose(&[&first, &second, &third], &create_database("one")).await;
    let host = third.stop().await;
    propose(&[&first, &second], &create_database("two")).await;
    let third = host.restart().await;
    assert_eq!(third.node.id(), Some(NodeId(3)));
    sees(&third, "what it missed", |data| data.database("two").is_some()).await;
    // All at once.
    let hosts = [first.stop().await, second.stop().await, third.stop().await];
    let mut processes = Vec::new();
    for host in &hosts {
        processes.push(host.restart().await);
    }
    let all: Vec<_> = processes.iter().collect();
    propose(&all, &create_database("three")).await;
    for process in all {
        sees(process, "everything", |data| data.databases().len() == 3).await;
    }
}

#[tokio::test]
async fn the_log_is_cut_and_a_newcomer_gets_a_snapshot() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let first = Host::with_snapshots(temp.path(), "a", &switch, 10).await.start().await;
    first.node.bootstrap().await.expect("forms");
    for number in 0..60 {
        propose(&[&first], &create_database(&format!("db{number}"))).await;
    }
    let snapshots = first.host.dir.join("snapshots");
    let env = Env::real();
    eventually("two snapshots", async || {
        let files = env.fs().list(&snapshots).expect("listed");
        (files.iter().filter(|file| file.name.ends_with(".snapshot")).count() == 2).then_some(())
    })
    .await;
    let second = Host::with_snapshots(temp.path(), "b", &switch, 10).await.start().await;
    second.join(&[&first]).await;
    sees(&second, "all databases", |data| data.databases().len() == 60).await;
    // Both restart from their snapshots.
    let hosts = [first.stop().await, second.stop().await];
    let (first, second) = (hosts[0].restart().await, hosts[1].restart().await);
    propose(&[&first, &second], &create_database("last")).await;
    for process in [&first, &second] {
        sees(process, "everything", |data| data.databases().len() == 61).await;
        process.node.data().validate().expect("consistent");
    }
}

#[tokio::test]
async fn who_follows_is_told_changes_until_the_log_behind_them_is_cut() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let first = Host::with_snapshots(temp.path(), "a", &switch, 10).await.start().await;
    first.node.bootstrap().await.expect("forms");
    let start = Version::of(first.node.data());
    for number in 0..5 {
        propose(&[&first], &create_database(&format!("db{number}"))).await;
    }
    let changes = match first.node.news_after(start.known()).await {
        News::Changes(changes) => changes,
        News::Document { .. } => panic!("the changes are there"),
    };
    assert_eq!(changes.changes.len(), 5);
    let copy = start.after(&changes).expect("they lead on");
    assert_eq!(encode_snapshot(copy.data()), encode_snapshot(&first.node.data()));
    // Who cannot do with changes, or has the same index of something else, gets everything.
    let (_, document) = first.node.encoded(first.node.data()).await;
    let whole = Known::whole(start.known().index);
    for known in [whole, Known { digest: Some(Digest(7)), ..whole }] {
        let News::Document { bytes, .. } = first.node.news_after(known).await else { panic!("changes for {known:?}") };
        assert_eq!(bytes, document);
    }

    // Changes are known again after a start, as far back as the newest snapshot.
    for number in 5..40 {
        propose(&[&first], &create_database(&format!("db{number}"))).await;
    }
    let near = Version::of(first.node.data());
    let first = first.stop().await.restart().await;
    propose(&[&first], &create_database("last")).await;
    assert!(matches!(first.node.news_after(start.known()).await, News::Document { .. }), "before the snapshot");
    assert!(matches!(first.node.news_after(near.known()).await, News::Changes(_)), "behind it");
    // A member that joined later has the same ones.
    let second = Host::with_snapshots(temp.path(), "b", &switch, 10).await.start().await;
    second.join(&[&first]).await;
    let near = Version::of(first.node.data());
    sees(&second, "the members", |data| data.index() >= near.known().index).await;
    propose(&[&first, &second], &create_database("more")).await;
    for process in [&first, &second] {
        sees(process, "the last database", |data| data.database("more").is_some()).await;
        let News::Changes(changes) = process.node.news_after(near.known()).await else { panic!("they are there") };
        let copy = near.after(&changes).expect("they lead on");
        assert_eq!(encode_snapshot(copy.data()), encode_snapshot(&process.node.data()));
    }
}

#[tokio::test]
async fn a_removed_member_loses_its_vote_and_the_last_one_stays() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let [first, second, third] = three(temp.path(), &switch).await;
    let all = [&first, &second, &third];
    let leads = leader(&all).await;
    let follower = all.iter().copied().find(|process| !std::ptr::eq(*process, leads)).expect("there are two");
    let gone = follower.node.id().expect("a member");
    within("removal", leads.node.remove_member(gone)).await.expect("removed");
    assert!(leads.node.data().node(gone).is_none());
    eventually("two voters", async || (voters(leads).len() == 2).then_some(())).await;
    let refused = leads.node.remove_member(gone).await.expect_err("gone already");
    assert_eq!(refused.to_string(), "node not found");
    let rest: Vec<_> = all.iter().copied().filter(|process| process.node.id() != Some(gone)).collect();
    // It learns of it, and does not call for votes for ever.
    eventually("it knows", async || follower.node.is_dropped().then_some(())).await;
    assert!(rest.iter().all(|process| !process.node.is_dropped()));
    propose(&rest, &create_database("db")).await;
    // The next newcomer gets a new number.
    let newcomer = Host::new(temp.path(), "d", &switch).await.start().await;
    assert_eq!(newcomer.join(&rest).await, NodeId(4));
}

#[tokio::test]
async fn the_last_member_cannot_be_removed() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let process = Host::new(temp.path(), "a", &switch).await.start().await;
    process.node.bootstrap().await.expect("forms");
    let refused = process.node.remove_member(NodeId(1)).await.expect_err("the last");
    assert_eq!(refused.to_string(), "unable to drop the final node in a cluster");
}

#[tokio::test]
async fn a_wiped_node_comes_back_as_somebody_else() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let [first, second, third] = three(temp.path(), &switch).await;
    let host = third.stop().await;
    eventually("the directory is empty", async || Env::real().fs().remove_dir_all(&host.dir).ok()).await;
    let third = host.restart().await;
    assert_eq!(third.node.id(), None, "nothing tells who it was");
    assert_eq!(third.join(&[&first, &second]).await, NodeId(4));
    let all = [&first, &second, &third];
    let leads = leader(&all).await;
    assert!(leads.node.data().node(NodeId(3)).is_none());
    eventually("the old one votes no more", async || (voters(leads) == ["a:8088", "b:8088", "c:8088"]).then_some(()))
        .await;
    propose(&all, &create_database("db")).await;
    sees(&third, "the database", |data| data.database("db").is_some()).await;
}

#[tokio::test]
async fn a_node_that_merely_claims_an_address_does_not_throw_its_owner_out() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let [first, second, _third] = three(temp.path(), &switch).await;
    // As when two hosts have no name of their own.
    let request = meta_node::JoinRequest {
        stage: meta_node::join::Stage::Register,
        incarnation: meta::Incarnation(99),
        id: None,
        meta: Some(meta_node::MetaAddresses {
            http_addr: second.host.http_addr.clone(),
            tcp_addr: second.host.tcp_addr.clone(),
        }),
        data: None,
    };
    let (status, body) = http::post(&first.host.http_addr, "/join", "application/json", &request.to_json()).await;
    assert_eq!(status, 409, "{body}");
    assert!(body.contains("which is alive"), "{body}");
    assert!(first.node.data().node(second.node.id().expect("a member")).is_some());
}

#[tokio::test]
async fn joiners_wait_for_a_cluster_and_pass_over_dead_addresses() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let first = Host::new(temp.path(), "a", &switch).await.start().await;
    let second = Host::new(temp.path(), "b", &switch).await.start().await;
    let dead = Host::new(temp.path(), "dead", &switch).await.http_addr.clone();
    let (second_node, peers) = (second.node.clone(), vec![format!("http://{dead}"), first.peer(), second.peer()]);
    let waiting = Env::real().spawn(async move { second_node.join(&peers, None).await });
    // Nobody has a cluster yet, and each of them says so.
    let (status, body) = http::post(&first.peer(), "/join", "application/json", &[]).await;
    assert_eq!(status, 400, "{body}");
    assert!(!waiting.is_finished());
    first.node.bootstrap().await.expect("forms");
    let joined = within("join", waiting).await.expect("ran").expect("joins");
    assert_eq!((joined.id, joined.cluster_id), (NodeId(2), first.node.data().cluster_id()));
    assert_eq!(joined.meta_servers, [first.peer(), second.peer()]);
    assert!(joined.data.node(NodeId(2)).is_some());
}

#[tokio::test]
async fn a_join_that_was_cut_short_goes_on_after_a_restart() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let first = Host::new(temp.path(), "a", &switch).await.start().await;
    first.node.bootstrap().await.expect("forms");
    let second = Host::new(temp.path(), "b", &switch).await.start().await;
    // It can register, but Raft does not reach it: it never gets its vote.
    switch.cut("b:8088");
    let (node, peers) = (second.node.clone(), vec![first.peer()]);
    let joining = Env::real().spawn(async move { node.join(&peers, None).await.map(|joined| joined.id) });
    eventually("registered", async || second.node.id()).await;
    joining.abort();
    assert!(joining.await.is_none(), "given up");
    let host = second.stop().await;
    switch.heal("b:8088");
    let second = host.restart().await;
    assert_eq!(second.node.id(), Some(NodeId(2)));
    eventually("it votes", async || (voters(&second) == ["a:8088", "b:8088"]).then_some(())).await;
    assert_eq!(second.join(&[&first]).await, NodeId(2), "nothing left to do");
    propose(&[&first, &second], &create_database("db")).await;
    sees(&second, "the database", |data| data.database("db").is_some()).await;
    let member = load_member(&Env::real(), &host.dir, Files::NODE).await.expect("read").expect("a member");
    assert!(member.raft_started && member.id == NodeId(2));
    eventually("the servers are remembered", async || {
        (second.node.member()?.meta_servers == [first.peer(), second.peer()]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_member_that_moved_is_found_under_its_new_addresses() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let [first, second, third] = three(temp.path(), &switch).await;
    let moved = third.stop().await.moved("elsewhere").await;
    let third = moved.restart().await;
    sees(&first, "the new address", |data| {
        let node = data.node(NodeId(3)).and_then(|node| node.meta.as_ref());
        node.is_some_and(|meta| meta.tcp_addr == "elsewhere:8088" && meta.http_addr == moved.http_addr)
    })
    .await;
    propose(&[&first, &second, &third], &create_database("db")).await;
    sees(&third, "the database", |data| data.database("db").is_some()).await;
}

#[tokio::test]
async fn directories_that_were_tampered_with_do_not_start() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let process = Host::new(temp.path(), "a", &switch).await.start().await;
    assert!(matches!(process.host.try_start().await, Err(StartError::InUse(_))));
    process.node.bootstrap().await.expect("forms");
    let host = process.stop().await;
    drop(host.restart().await.stop().await);
    let fs = Arc::clone(Env::real().fs());
    let (node_json, log) = (host.dir.join("node.json"), host.dir.join("raft.db"));
    let aside = host.dir.join("aside");
    let start = async || loop {
        match host.try_start().await {
            Err(StartError::InUse(_)) => tokio::task::yield_now().await,
            started => return started.err().map(|error| error.to_string()).unwrap_or_default(),
        }
    };
    fs.rename(&node_json, &aside).expect("renamed");
    let error = within("refusal", start()).await;
    assert!(error.contains("raft.db is there but node.json is not"), "{error}");
    fs.rename(&aside, &node_json).expect("renamed");
    fs.rename(&log, &aside).expect("renamed");
    let error = within("refusal", start()).await;
    assert!(error.contains("this is node 1, but raft.db is missing"), "{error}");
    // As a file system may leave it that went down.
    fs.replace(&log, b"").expect("written");
    let error = within("refusal", start()).await;
    assert!(error.contains("this is node 1, but raft.db is missing or empty"), "{error}");
    assert_eq!(fs.read(&log).expect("there"), b"", "and nothing is made of it");
    fs.rename(&aside, &log).expect("renamed");
    fs.replace(&host.dir.join("incarnation"), format!("{}\n", meta::Incarnation(5)).as_bytes()).expect("written");
    let error = within("refusal", start()).await;
    assert!(error.contains("raft.db belongs to node 1"), "{error}");
}

#[tokio::test]
async fn many_ask_for_one_shard_group_and_get_the_same() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let process = Host::new(temp.path(), "a", &switch).await.start().await;
    process.node.bootstrap().await.expect("forms");
    let data_node = Command::CreateDataNode {
        incarnation: process.node.incarnation(),
        http_addr: "a:8086".to_owned(),
        tcp_addr: "a:8088".to_owned(),
        passive: false,
    };
    assert_eq!(propose(&[&process], &data_node).await, Reply::Node(NodeId(1)), "one number for both roles");
    propose(&[&process], &create_database("db")).await;
    let ask =
        Command::CreateShardGroups { database: "db".to_owned(), policy: String::new(), instants: vec![Timestamp(0)] };
    let asking: Vec<_> = (0..40)
        .map(|_| {
            let (node, ask) = (process.node.clone(), ask.clone());
            Env::real().spawn(async move { node.propose(&ask).await.expect("carried out").0 })
        })
        .collect();
    let mut replies = Vec::new();
    for task in asking {
        replies.push(task.await.expect("ran"));
    }
    assert!(replies.iter().all(|reply| *reply == replies[0]));
    assert_eq!(process.node.data().policy("db", "").expect("there").groups.len(), 1);
    let limit = Command::CreateShardGroups {
        database: "db".to_owned(),
        policy: String::new(),
        instants: (0..200).map(|week| Timestamp(week * 7 * 86_400 * 1_000_000_000)).collect(),
    };
    let refused = process.node.propose(&limit).await.expect_err("too many");
    assert!(refused.to_string().contains("max-shard-groups-per-policy"), "{refused}");
}

#[tokio::test]
async fn a_data_node_joins_through_a_follower_and_is_sent_on() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let [first, second, third] = three(temp.path(), &switch).await;
    let all = [&first, &second, &third];
    let leads = leader(&all).await;
    let follower = all.iter().copied().find(|process| !std::ptr::eq(*process, leads)).expect("there are two");
    let env = Env::real();
    let dir = temp.path().join("data");
    let addresses = DataAddresses { http_addr: "d:8086".to_owned(), tcp_addr: "d:8088".to_owned(), passive: false };
    let peers = vec![follower.peer()];
    let member =
        within("join", join_data(&env.clone().into(), &ClusterAuth::default(), &dir, &peers, addresses.clone()))
            .await
            .expect("joins");
    assert_eq!((member.id, member.meta), (NodeId(4), false));
    assert_eq!(
        join_data(&env.clone().into(), &ClusterAuth::default(), &dir, &[], addresses)
            .await
            .expect("nothing is asked")
            .id,
        NodeId(4)
    );
    let data = within(
        "metadata",
        fetch_data(&env.clone().into(), &ClusterAuth::default(), &member.meta_servers, MetaIndex(1)),
    )
    .await;
    assert!(data.node(NodeId(4)).is_some_and(|node| node.data.is_some() && node.meta.is_none()));
    // Its own 8091 sends everyone on.
    let address = follower.peer();
    let host = Host::new(temp.path(), "redirect", &switch).await;
    let server = serve(&env, &host.http_addr, redirect_router("http", Arc::new(move || Some(address.clone())))).await;
    let fifth = Host::new(temp.path(), "e", &switch).await.start().await;
    let peers = vec![host.http_addr.clone()];
    assert_eq!(within("join", fifth.node.join(&peers, None)).await.expect("joins").id, NodeId(5));
    server.abort();
    propose(&all, &create_database("db")).await;
}
