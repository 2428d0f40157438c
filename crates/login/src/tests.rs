use meta::{Command, LeaderFacts};
use model::{MetaIndex, Timestamp};

use super::*;

const SCHEME: &str = "bcrypt;cost=4";

fn logins() -> Arc<Logins> {
    Logins::new(Env::real(), Scheme::parse(SCHEME).expect("a scheme"))
}

/// Metadata that grows by one command after the other.
#[derive(Default)]
struct Users {
    data: Data,
    index: u64,
}

impl Users {
    fn apply(&mut self, command: &Command) {
        self.index += 1;
        let facts = LeaderFacts { now: Timestamp(0), random: 7, shard_groups_max: 0 };
        self.data.apply(MetaIndex(self.index), &facts, command).expect("accepted");
    }

    async fn create(&mut self, logins: &Logins, name: &str, password: &str) {
        let hash = logins.hash(password).await.expect("hashed");
        self.apply(&Command::CreateUser { name: name.to_owned(), hash, admin: false });
    }
}

#[tokio::test]
async fn users_are_known_by_their_password() {
    let (logins, mut users) = (logins(), Users::default());
    users.create(&logins, "u", "s3cret").await;
    // Again and again: the second time it is remembered.
    for _ in 0..2 {
        let user = logins.check(&users.data, "u", "s3cret").await.expect("right");
        assert_eq!(user.name, "u");
        for (name, password) in [("u", "S3cret"), ("u", ""), ("v", "s3cret"), ("", "s3cret")] {
            assert_eq!(logins.check(&users.data, name, password).await, Err(LoginError::Wrong), "{name} {password}");
        }
    }
}

#[tokio::test]
async fn what_is_remembered_ends_with_the_stored_hash() {
    let (logins, mut users) = (logins(), Users::default());
    users.create(&logins, "u", "old").await;
    logins.check(&users.data, "u", "old").await.expect("right");
    let hash = logins.hash("new").await.expect("hashed");
    users.apply(&Command::SetPassword { name: "u".to_owned(), hash });
    assert_eq!(logins.check(&users.data, "u", "old").await, Err(LoginError::Wrong));
    assert!(logins.remembered.lock().is_empty());
    logins.check(&users.data, "u", "new").await.expect("right");
    users.apply(&Command::DropUser { name: "u".to_owned() });
    assert_eq!(logins.check(&users.data, "u", "new").await, Err(LoginError::Wrong));
}

#[tokio::test]
async fn a_flood_is_turned_away_and_those_who_are_remembered_pass() {
    let (logins, mut users) = (logins(), Users::default());
    users.create(&logins, "u", "s3cret").await;
    logins.check(&users.data, "u", "s3cret").await.expect("right");
    // Nothing gets its turn.
    let busy = Arc::clone(&logins.running).acquire_many_owned(CONCURRENT_MAX as u32).await.expect("open");
    let data = Arc::new(users.data.clone());
    let flood: Vec<_> = (0..CONCURRENT_MAX + WAITING_MAX)
        .map(|_| {
            let (logins, data) = (Arc::clone(&logins), Arc::clone(&data));
            tokio::spawn(async move { logins.check(&data, "u", "wrong").await })
        })
        .collect();
    while logins.admitted.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(logins.check(&data, "u", "wrong").await, Err(LoginError::Busy));
    assert_eq!(logins.check(&data, "nobody", "wrong").await, Err(LoginError::Busy));
    assert_eq!(logins.hash("x").await, Err(HashError::Busy));
    assert!(logins.check(&data, "u", "s3cret").await.is_ok());
    drop(busy);
    for login in flood {
        assert_eq!(login.await.expect("no panic"), Err(LoginError::Wrong));
    }
    assert_eq!(logins.admitted.available_permits(), CONCURRENT_MAX + WAITING_MAX);
}

#[tokio::test]
async fn what_bcrypt_would_cut_is_refused() {
    assert_eq!(logins().hash(&"x".repeat(73)).await, Err(HashError::Password(PasswordError::TooLong)));
}

#[tokio::test]
async fn secrets_do_not_show_in_debug_output() {
    let (logins, mut users) = (logins(), Users::default());
    users.create(&logins, "u", "s3cret").await;
    let user = logins.check(&users.data, "u", "s3cret").await.expect("right");
    let shown = format!("{:?}", logins.remembered.lock());
    assert!(shown.contains("\"u\"") && !shown.contains(&user.hash) && !shown.contains("s3cret"), "{shown}");
}
