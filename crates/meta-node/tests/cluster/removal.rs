//! Members that were removed, and what they are told on the way.

use meta_node::JoinRequest;
use meta_node::join::Stage;

use super::*;
use crate::http::post;

fn update(process: &Process) -> Vec<u8> {
    let addresses = meta_node::MetaAddresses { http_addr: process.peer(), tcp_addr: process.host.tcp_addr.clone() };
    let request = JoinRequest {
        stage: Stage::Update,
        incarnation: process.node.incarnation(),
        id: process.node.id(),
        meta: Some(addresses),
        data: None,
    };
    request.to_json()
}

#[tokio::test]
async fn nobody_is_told_to_go_before_raft_can_do_without_it() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let processes = three(temp.path(), &switch).await;
    let all: Vec<_> = processes.iter().collect();
    let leads = leader(&all).await;
    let gone = *all.iter().find(|process| process.node.id() != leads.node.id()).expect("another");
    // Somebody who never comes keeps the leader busy for a moment with who votes.
    let nobody = JoinRequest {
        stage: Stage::Register,
        incarnation: meta::Incarnation(99),
        id: None,
        meta: Some(meta_node::MetaAddresses { http_addr: "x:8091".to_owned(), tcp_addr: "x:8089".to_owned() }),
        data: None,
    };
    let (status, body) = post(&leads.peer(), "/join", "application/json", &nobody.to_json()).await;
    assert_eq!(status, 200, "{body}");
    let id = serde_json::from_str::<serde_json::Value>(&body).expect("an answer")["id"].as_u64().expect("a number");
    let promote = JoinRequest { stage: Stage::Promote, id: Some(NodeId(id)), ..nobody }.to_json();
    let (asked, address) = (Env::real(), leads.peer());
    let waiting = asked.spawn(async move {
        post(&address, "/join", "application/json", &promote).await;
    });
    // Raft has heard of it when an entry of Raft's own stands between two of ours.
    let (mut number, mut last) = (0, leads.node.data().index());
    eventually("it is waited for", async || {
        number += 1;
        let (_, index) = leads.node.propose(&create_database(&format!("db{number}"))).await.ok()?;
        let between = number > 1 && index.0 > last.0 + 1;
        last = index;
        between.then_some(())
    })
    .await;
    let command = Command::DeleteMetaNode { id: gone.node.id().expect("a member") };
    within("decided", leads.node.propose(&command)).await.expect("decided");
    let told = post(&leads.peer(), "/join", "application/json", &update(gone)).await;
    let number = gone.node.id().expect("a member");
    assert_eq!(told, (503, format!(r#"{{"error":"node {number} is being taken out of raft"}}"#)));
    assert!(!gone.node.is_dropped(), "its vote may be needed");
    waiting.abort();
    // In the end it hears of it.
    within("it goes", gone.node.dropped()).await;
    assert!(!voters(leads).contains(&gone.host.tcp_addr));
}

#[tokio::test]
async fn a_leader_that_was_removed_without_hearing_of_it_asks() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let processes = three(temp.path(), &switch).await;
    let all: Vec<_> = processes.iter().collect();
    let old = leader(&all).await;
    let rest: Vec<_> = all.iter().copied().filter(|process| process.node.id() != old.node.id()).collect();
    switch.cut(&old.host.tcp_addr);
    let next = leader(&rest).await;
    within("removed", next.node.remove_member(old.node.id().expect("a member"))).await.expect("removed");
    within("it goes", old.node.dropped()).await;
}
