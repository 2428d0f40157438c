//! Leaders that go have another member lead first.

use super::*;

/// Whoever of `all` leads now, and the rest.
async fn parted<'a>(all: &[&'a Process]) -> (&'a Process, Vec<&'a Process>) {
    let leads = leader(all).await;
    (leads, all.iter().copied().filter(|process| !std::ptr::eq(*process, leads)).collect())
}

#[tokio::test]
async fn a_leader_hands_over_and_goes_on_as_a_member() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let processes = three(temp.path(), &switch).await;
    let all: Vec<_> = processes.iter().collect();
    for round in 0..6 {
        let (old, rest) = parted(&all).await;
        assert!(!rest[0].node.hand_over().await, "it does not lead");
        let term = old.node.status().term;
        let name = format!("db{round}");
        // A command that comes meanwhile is carried out, or sent to the successor; it is never lost on the way.
        let command = create_database(&name);
        let (handed, outcome) = tokio::join!(old.node.hand_over(), old.node.propose(&command));
        assert!(handed, "round {round}");
        assert!(matches!(outcome, Ok(_) | Err(ProposeError::NotLeader(_))), "{outcome:?}");
        let next = old.node.leader().expect("the successor");
        assert!(rest.iter().any(|process| process.node.id() == Some(next.id)));
        assert_eq!(old.node.status().term, term + 1, "one election, and nobody else stood");
        propose(&all, &create_database(&format!("after{round}"))).await;
    }
}

#[tokio::test]
async fn who_lacks_a_part_of_the_log_does_not_succeed() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let processes = three(temp.path(), &switch).await;
    let all: Vec<_> = processes.iter().collect();
    let (old, rest) = parted(&all).await;
    switch.cut(&rest[0].host.tcp_addr);
    propose(&[old, rest[1]], &create_database("db")).await;
    assert!(old.node.hand_over().await);
    assert_eq!(old.node.leader().expect("the successor").id, rest[1].node.id().expect("a member"));
    // Alone it has nobody to hand over to, and nothing happens to those that are left.
    let (old, rest) = (rest[1], [old]);
    switch.cut(&rest[0].host.tcp_addr);
    assert!(!within("an answer", old.node.hand_over()).await);
    switch.heal(&rest[0].host.tcp_addr);
    propose(&[old, rest[0]], &create_database("after")).await;
}

#[tokio::test]
async fn who_is_alone_hands_over_to_nobody() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let first = Host::new(temp.path(), "a", &switch).await.start().await;
    first.node.bootstrap().await.expect("forms");
    propose(&[&first], &create_database("db")).await;
    assert!(!first.node.hand_over().await);
    propose(&[&first], &create_database("after")).await;
}

#[tokio::test]
async fn of_two_the_other_takes_over() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let first = Host::new(temp.path(), "a", &switch).await.start().await;
    first.node.bootstrap().await.expect("forms");
    let second = Host::new(temp.path(), "b", &switch).await.start().await;
    second.join(&[&first]).await;
    for _ in 0..4 {
        let (old, rest) = parted(&[&first, &second]).await;
        propose(&[&first, &second], &create_database("db")).await;
        assert!(old.node.hand_over().await);
        assert_eq!(old.node.leader().expect("the successor").id, rest[0].node.id().expect("a member"));
    }
}

#[tokio::test]
async fn a_leader_that_leaves_hands_over_first() {
    let (temp, switch) = (tempfile::tempdir().expect("a directory"), Switch::default());
    let processes = three(temp.path(), &switch).await;
    let all: Vec<_> = processes.iter().collect();
    let (old, rest) = parted(&all).await;
    let term = old.node.status().term;
    let (status, text) = http::post(&old.peer(), "/leave", "application/x-www-form-urlencoded", b"").await;
    assert_eq!((status, text.as_str()), (204, ""));
    within("has left", old.node.left()).await;
    let next = leader(&rest).await;
    assert_eq!(next.node.status().term, term + 1, "one election, at once");
    eventually("it votes no more", async || (voters(next).len() == 2).then_some(())).await;
}
