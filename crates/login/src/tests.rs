use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::time::Duration;

use env::simulated::{SimClock, SimDisk};
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

#[tokio::test]
async fn an_address_that_fails_too_often_is_turned_away() {
    let metrics = Metrics::new();
    let logins = Logins::with(Env::real(), Scheme::parse(SCHEME).expect("a scheme"), None, &metrics);
    let mut users = Users::default();
    users.create(&logins, "u", "s3cret").await;
    users.create(&logins, "v", "0ther").await;
    let (here, there) = (Some([192, 0, 2, 1].into()), Some([192, 0, 2, 2].into()));
    let told = async |name: &str, password: &str, source| {
        logins.identify(&users.data, name, password, source).await.map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(told("u", "s3cret", here).await, Ok(()));
    for _ in 0..FAILURES_AT_ONCE_MAX {
        assert_eq!(told("u", "wrong", here).await, Err("authorization failed".to_owned()));
    }
    let away = Err("too many failed logins from this address".to_owned());
    // A moment may have given one or two back.
    let mut turned = 0;
    while told("u", "wrong", here).await != away {
        turned += 1;
        assert!(turned < FAILURES_AT_ONCE_MAX, "it is never turned away");
    }
    assert_eq!(told("u", "s3cret", here).await, Ok(()), "who is remembered passes");
    assert_eq!(told("v", "wrong", there).await, Err("authorization failed".to_owned()), "another address");
    assert_eq!(told("v", "0ther", there).await, Ok(()));
    assert!(metrics.render().contains("logins_turned_away_total"), "{}", metrics.render());
}

/// A directory that knows `ann`, counts how often it is asked, and can be away.
#[derive(Debug, Default)]
struct Fake {
    asked: AtomicU32,
    away: AtomicBool,
    /// Whether groups are read for ever.
    held: AtomicBool,
}

impl Directory for Fake {
    fn check(&self, config: &str) -> Result<DirectorySummary, String> {
        match config {
            "on" | "off" => Ok(DirectorySummary { enabled: config == "on", roles: vec![], masked: config.to_owned() }),
            _ => Err("damaged".to_owned()),
        }
    }

    fn find<'a>(
        &'a self,
        _config: &'a str,
        name: &'a str,
        password: Option<&'a str>,
        ahead: Option<&'a Memberships>,
    ) -> Pending<'a, Result<Known, DirectoryError>> {
        self.asked.fetch_add(1, Relaxed);
        let answer = match (self.away.load(Relaxed), name, password) {
            (true, ..) => Err(DirectoryError::Unavailable("away".to_owned())),
            (_, "ann", None | Some("s3cret")) => {
                let asked = || Known { name: name.to_owned(), admin: false, roles: vec!["ops".to_owned()] };
                Ok(ahead.and_then(|ahead| ahead.known(0, "uid=ann", name)).unwrap_or_else(asked))
            }
            _ => Err(DirectoryError::Wrong),
        };
        Box::pin(std::future::ready(answer))
    }

    fn memberships<'a>(
        &'a self,
        _config: &'a str,
        progress: &'a Progress,
    ) -> Pending<'a, Result<(Memberships, Vec<String>), DirectoryError>> {
        progress.expect(2);
        progress.read(1);
        let ann = Membership { admin: true, roles: vec!["ahead".into()] };
        let memberships = Memberships { servers: vec![std::iter::once(("uid=ann".to_owned(), ann)).collect()] };
        let away = self.away.load(Relaxed);
        Box::pin(async move {
            if self.held.load(Relaxed) {
                std::future::pending::<()>().await;
            }
            progress.read(2);
            match away {
                true => Err(DirectoryError::Unavailable("away".to_owned())),
                false => Ok((memberships, vec!["the second is down".to_owned()])),
            }
        })
    }

    fn explain<'a>(&'a self, _: &'a str, _: &'a str, _: &'a str) -> Pending<'a, String> {
        Box::pin(std::future::ready(String::new()))
    }
}

#[tokio::test]
async fn a_directory_is_asked_once_and_again_when_it_shall() {
    let fake = Arc::new(Fake::default());
    let directory = Arc::clone(&fake) as Arc<dyn Directory>;
    let scheme = Scheme::parse(SCHEME).expect("a scheme");
    let logins = Logins::with(Env::real(), scheme, Some(directory), &Metrics::new());
    let mut users = Users::default();
    users.create(&logins, "u", "s3cret").await;
    let told = async |users: &Users, name: &str, password: &str| match logins
        .identify(&users.data, name, password, None)
        .await
    {
        Ok(Identity::User(user)) => format!("user {}", user.name),
        Ok(Identity::Directory(known)) => format!("known {} {:?}", known.name, known.roles),
        Err(error) => error.to_string(),
    };
    assert_eq!(told(&users, "u", "s3cret").await, "user u");
    users.apply(&Command::SetDirectory { config: Some("off".to_owned()) });
    assert_eq!(told(&users, "u", "s3cret").await, "user u");
    assert_eq!(fake.asked.load(Relaxed), 0);
    users.apply(&Command::SetDirectory { config: Some("on".to_owned()) });
    assert_eq!(told(&users, "u", "s3cret").await, "authorization failed", "users of the cluster do not count");
    for _ in 0..3 {
        assert_eq!(told(&users, "ann", "s3cret").await, "known ann [\"ops\"]");
    }
    assert_eq!(fake.asked.load(Relaxed), 2, "once for each of the two");
    assert_eq!(told(&users, "ann", "wrong").await, "authorization failed");
    fake.away.store(true, Relaxed);
    assert_eq!(told(&users, "ann", "s3cret").await, "known ann [\"ops\"]", "remembered while the directory is away");
    users.apply(&Command::PurgeDirectory);
    assert_eq!(told(&users, "ann", "s3cret").await, "the directory of users does not answer");
    fake.away.store(false, Relaxed);
    // By a token, without a password: this does not let anybody in with one.
    assert!(matches!(logins.find(&users.data, "ann").await, Ok(Identity::Directory(_))));
    let before = fake.asked.load(Relaxed);
    assert_eq!(told(&users, "ann", "wrong").await, "authorization failed");
    assert_eq!(fake.asked.load(Relaxed), before + 1);
    assert!(logins.find(&users.data, "u").await.is_err());
    users.apply(&Command::SetDirectory { config: Some("what".to_owned()) });
    assert_eq!(told(&users, "u", "s3cret").await, "user u", "a configuration that says nothing is off");
    // A build that knows no directory lets nobody in.
    let without = Logins::new(Env::real(), scheme);
    assert_eq!(without.identify(&users.data, "u", "s3cret", None).await.err(), Some(LoginError::NoDirectory));
}

/// A directory, whoever asks it in a world whose time is the test's, and the configuration that is on.
fn with_directory() -> (Arc<Fake>, Arc<Logins>, Users) {
    let fake = Arc::new(Fake::default());
    let env = Env::simulated(1, &SimClock::default(), &SimDisk::new(1));
    let directory = Arc::clone(&fake) as Arc<dyn Directory>;
    let logins = Logins::with(env, Scheme::parse(SCHEME).expect("a scheme"), Some(directory), &Metrics::new());
    let mut users = Users::default();
    users.apply(&Command::SetDirectory { config: Some("on".to_owned()) });
    (fake, logins, users)
}

fn stands(logins: &Logins, users: &Users) -> (&'static str, [u64; 3], String) {
    let WarmStatus { state, groups, groups_read, members, why } = logins.warm_status(&users.data);
    (state.word(), [groups, groups_read, members], why)
}

/// Reads ahead, to the end.
async fn warmed(logins: &Arc<Logins>, users: &Users) {
    logins.warm(&Arc::new(users.data.clone())).expect("begins");
    while logins.warm_status(&users.data).state == WarmState::Running {
        tokio::task::yield_now().await;
    }
}

/// The roles that somebody has who logs in.
async fn roles(logins: &Logins, users: &Users, password: &str) -> Result<Vec<String>, LoginError> {
    match logins.identify(&users.data, "ann", password, None).await? {
        Identity::Directory(known) => Ok(known.roles),
        Identity::User(user) => panic!("{user:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn groups_that_are_read_ahead_let_nobody_in() {
    let (_, logins, users) = with_directory();
    assert_eq!(stands(&logins, &users), ("idle", [0; 3], String::new()));
    warmed(&logins, &users).await;
    assert_eq!(stands(&logins, &users), ("warm", [2, 2, 3], "the second is down".to_owned()));
    for _ in 0..2 {
        assert_eq!(roles(&logins, &users, "wrong").await, Err(LoginError::Wrong));
        assert_eq!(roles(&logins, &users, "s3cret").await, Ok(vec!["ahead".to_owned()]));
    }
    assert_eq!(logins.identify(&users.data, "bob", "s3cret", None).await.err(), Some(LoginError::Wrong));
    assert!(logins.find(&users.data, "bob").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn what_was_read_ahead_counts_for_five_minutes_or_until_a_purge() {
    let (_, logins, mut users) = with_directory();
    let (ahead, asked) = (Ok(vec!["ahead".to_owned()]), Ok(vec!["ops".to_owned()]));
    warmed(&logins, &users).await;
    tokio::time::advance(REMEMBERED_FOR - Duration::from_secs(1)).await;
    assert_eq!(roles(&logins, &users, "s3cret").await, ahead);
    // Who logged in by it is remembered no longer than it counts.
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(stands(&logins, &users).0, "expired");
    assert_eq!(roles(&logins, &users, "s3cret").await, asked);
    let set = |config: &str| Command::SetDirectory { config: Some(config.to_owned()) };
    for commands in [&[Command::PurgeDirectory][..], &[set("off"), set("on")]] {
        users.apply(&Command::PurgeDirectory);
        warmed(&logins, &users).await;
        assert_eq!((stands(&logins, &users).0, roles(&logins, &users, "s3cret").await), ("warm", ahead.clone()));
        commands.iter().for_each(|command| users.apply(command));
        assert_eq!((stands(&logins, &users).0, roles(&logins, &users, "s3cret").await), ("expired", asked.clone()));
    }
}

#[tokio::test(start_paused = true)]
async fn reading_ahead_is_ended_by_operators_by_time_and_by_failure() {
    let (fake, logins, mut users) = with_directory();
    let data = |users: &Users| Arc::new(users.data.clone());
    fake.held.store(true, Relaxed);
    logins.cancel_warming();
    assert_eq!(stands(&logins, &users).0, "idle");
    logins.warm(&data(&users)).expect("begins");
    logins.warm(&data(&users)).expect("goes on");
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(stands(&logins, &users), ("running", [2, 1, 1], String::new()));
    logins.cancel_warming();
    assert_eq!(stands(&logins, &users).0, "cancelled");
    assert_eq!(roles(&logins, &users, "s3cret").await, Ok(vec!["ops".to_owned()]), "nothing of it is used");
    logins.warm(&data(&users)).expect("begins again");
    tokio::time::sleep(WARM_TIMEOUT + Duration::from_secs(1)).await;
    let late = "the directory of users does not answer: not all was read within 120s";
    assert_eq!(stands(&logins, &users), ("failed", [2, 1, 1], late.to_owned()));
    fake.held.store(false, Relaxed);
    fake.away.store(true, Relaxed);
    warmed(&logins, &users).await;
    assert_eq!(stands(&logins, &users).2, "the directory of users does not answer: away");
    users.apply(&Command::SetDirectory { config: Some("off".to_owned()) });
    assert_eq!(logins.warm(&data(&users)), Err(WarmError::Off));
    users.apply(&Command::SetDirectory { config: Some("on".to_owned()) });
    let without = Logins::new(Env::real(), Scheme::parse(SCHEME).expect("a scheme"));
    assert_eq!(without.warm(&data(&users)), Err(WarmError::NoDirectory));
}

/// A user who is not there costs as much as a wrong password. The medians of so few differ more than those of the
/// thousands that `docs/testing.md` tells of.
#[tokio::test]
async fn nobody_costs_as_much_as_somebody() {
    let (logins, mut users) = (logins(), Users::default());
    users.create(&logins, "u", "s3cret").await;
    let tries = std::env::var("LOGIN_TRIES").ok().and_then(|tries| tries.parse().ok()).unwrap_or(60);
    // One clock: each world counts from its own beginning.
    let (clock, mut times) = (Env::real(), [Vec::new(), Vec::new()]);
    for _ in 0..tries {
        for (name, times) in ["u", "nobody"].into_iter().zip(&mut times) {
            let start = clock.monotonic();
            assert_eq!(logins.check(&users.data, name, "wrong").await, Err(LoginError::Wrong));
            times.push(clock.monotonic() - start);
        }
    }
    let [wrong, unknown] = times.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64()
    });
    let apart = (wrong - unknown).abs() / wrong;
    eprintln!("medians of {tries}: wrong {wrong:.6} s, unknown {unknown:.6} s, {:.2} % apart", apart * 100.0);
    assert!(apart < if tries >= 1_000 { 0.05 } else { 0.5 }, "{wrong} and {unknown}");
}
