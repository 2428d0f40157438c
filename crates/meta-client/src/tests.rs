//! What the copy promises, against a metadata service that is a field in a struct.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use meta::codec::{encode_entry, encode_snapshot};
use meta::{Command, History, LeaderFacts, PolicySpec, Rejection, Reply};
use model::Timestamp;
use parking_lot::Mutex;

use super::*;

/// A metadata service in memory.
#[derive(Debug)]
struct Service {
    data: watch::Sender<Arc<Data>>,
    history: Mutex<History>,
    /// Whether the next answer with changes lacks one.
    is_damaged: AtomicBool,
    /// How many calls fail before one is answered.
    failures: Mutex<usize>,
    failure: Mutex<LinkError>,
    asked: Mutex<usize>,
}

impl Service {
    fn new() -> Arc<Service> {
        let data = watch::channel(Arc::new(Data::default())).0;
        let failure = Mutex::new(LinkError::Unavailable("no leader".to_owned()));
        let history = Mutex::new(History::new(&Data::default(), 10_000));
        let is_damaged = AtomicBool::new(false);
        Arc::new(Service { data, history, is_damaged, failures: Mutex::new(0), failure, asked: Mutex::new(0) })
    }

    fn decide(&self, command: &Command) -> Proposed {
        let before = Data::clone(&self.data.borrow());
        let mut data = before.clone();
        let index = MetaIndex(data.index().0 + 1);
        let facts = LeaderFacts { now: Timestamp(0), random: 7, shard_groups_max: 0 };
        let outcome = data.apply(index, &facts, command);
        self.history.lock().push(&before, &data, Bytes::from(encode_entry(&facts, command)));
        self.data.send_replace(Arc::new(data));
        Proposed { outcome, index }
    }

    fn fails(&self) -> Result<(), LinkError> {
        *self.asked.lock() += 1;
        let mut failures = self.failures.lock();
        if *failures > 0 {
            *failures -= 1;
            return Err(self.failure.lock().clone());
        }
        Ok(())
    }
}

impl MetaLink for Service {
    fn newer<'a>(&'a self, known: Known, wait: Duration) -> BoxFuture<'a, Result<Option<News>, LinkError>> {
        Box::pin(async move {
            self.fails()?;
            let mut versions = self.data.subscribe();
            // Whether it came in time is seen below.
            let _ = tokio::time::timeout(wait, versions.wait_for(|data| data.index() > known.index)).await;
            let now = Arc::clone(&self.data.borrow());
            if now.index() <= known.index {
                return Ok(None);
            }
            Ok(Some(match self.history.lock().since(known) {
                Some(mut changes) => {
                    if self.is_damaged.swap(false, Ordering::SeqCst) {
                        changes.changes.remove(0);
                    }
                    News::Changes(changes)
                }
                None => News::Document { bytes: encode_snapshot(&now).len(), data: now },
            }))
        })
    }

    fn propose<'a>(&'a self, command: &'a Command) -> BoxFuture<'a, Result<Proposed, LinkError>> {
        Box::pin(async move {
            self.fails()?;
            Ok(self.decide(command))
        })
    }
}

fn create(name: &str) -> Command {
    Command::CreateDatabase { name: name.to_owned(), policy: Some(PolicySpec::automatic()), explicit: false }
}

fn open(dir: &Path, service: &Arc<Service>) -> Arc<MetaClient> {
    let link: Arc<dyn MetaLink> = Arc::clone(service) as Arc<dyn MetaLink>;
    MetaClient::open(Env::real(), dir.join("client.meta"), link).expect("a copy")
}

#[tokio::test]
async fn who_proposes_sees_the_effect() {
    let (dir, service) = (tempfile::tempdir().expect("a directory"), Service::new());
    let client = open(dir.path(), &service);
    Env::real().spawn(Arc::clone(&client).run());
    assert_eq!(client.propose(create("telemetry")).await, Ok(Reply::Done));
    assert!(client.data().database("telemetry").is_some());
    let refused = client.propose(create("a/b")).await;
    assert_eq!(refused, Err(ProposeError::Rejected(Rejection::InvalidName)));
}

#[tokio::test(start_paused = true)]
async fn elections_are_waited_out_but_not_for_ever() {
    let (dir, service) = (tempfile::tempdir().expect("a directory"), Service::new());
    let client = open(dir.path(), &service);
    service.decide(&create("first"));
    client.install(Arc::clone(&service.data.borrow())).await;
    *service.failures.lock() = 3;
    let proposal = client.propose(create("second"));
    let installing = async {
        let mut versions = service.data.subscribe();
        let data =
            versions.wait_for(|data| data.database("second").is_some()).await.expect("the service lives").clone();
        client.install(data).await;
    };
    let (reply, ()) = tokio::join!(proposal, installing);
    assert_eq!(reply, Ok(Reply::Done));
    *service.failures.lock() = usize::MAX;
    let refused = client.propose(create("third")).await;
    assert_eq!(refused, Err(ProposeError::Unavailable("no leader".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn what_may_have_been_decided_is_not_decided_again() {
    let (dir, service) = (tempfile::tempdir().expect("a directory"), Service::new());
    let client = open(dir.path(), &service);
    *service.failure.lock() = LinkError::Unknown("lost".to_owned());
    *service.failures.lock() = 1;
    let unknown = client.propose(create("telemetry")).await;
    assert_eq!(unknown, Err(ProposeError::Unknown("lost".to_owned())));
    assert_eq!(*service.asked.lock(), 1);
    // Groups are made once however often they are asked for.
    service.decide(&create("telemetry"));
    *service.failures.lock() = 1;
    let (database, policy) = ("telemetry".to_owned(), "autogen".to_owned());
    let groups = client.propose(Command::CreateShardGroups { database, policy, instants: Vec::new() }).await;
    assert!(!matches!(groups, Err(ProposeError::Unknown(_))), "{groups:?}");
    assert!(*service.asked.lock() > 2);
}

#[tokio::test]
async fn the_copy_survives_a_restart_and_never_goes_back() {
    let (dir, service) = (tempfile::tempdir().expect("a directory"), Service::new());
    service.decide(&create("old"));
    let old = Arc::clone(&service.data.borrow());
    service.decide(&create("new"));
    let client = open(dir.path(), &service);
    client.install(Arc::clone(&service.data.borrow())).await;
    client.install(old).await;
    assert!(client.data().database("new").is_some());
    let again = open(dir.path(), &Service::new());
    assert_eq!(again.data().index(), MetaIndex(2));
    assert!(again.data().database("new").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_question_for_newer_metadata_is_shared() {
    let (dir, service) = (tempfile::tempdir().expect("a directory"), Service::new());
    let client = open(dir.path(), &service);
    service.decide(&create("telemetry"));
    let questions: Vec<_> = (0..20)
        .map(|_| {
            let client = Arc::clone(&client);
            Env::real().spawn(async move { client.refresh().await })
        })
        .collect();
    for question in questions {
        question.await.expect("asked");
    }
    assert!(client.data().database("telemetry").is_some());
    assert!(*service.asked.lock() <= 2, "asked {} times", service.asked.lock());
}

#[tokio::test(start_paused = true)]
async fn who_asks_sees_what_was_decided_a_moment_ago() {
    let (dir, service) = (tempfile::tempdir().expect("a directory"), Service::new());
    let client = open(dir.path(), &service);
    for name in ["a", "b", "c"] {
        // Right behind the last question: the answer to that one is too old.
        service.decide(&create(name));
        client.refresh().await;
        assert!(client.data().database(name).is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_version_that_does_not_come_by_itself_is_asked_for() {
    let (dir, service) = (tempfile::tempdir().expect("a directory"), Service::new());
    let client = open(dir.path(), &service);
    service.decide(&create("telemetry"));
    assert!(client.wait_for(MetaIndex(1), Duration::from_secs(5)).await, "nobody follows, but the leader has it");
    assert!(!client.wait_for(MetaIndex(9), Duration::from_secs(5)).await);
}

/// Changes, documents and refused answers that a copy has seen.
fn seen(client: &MetaClient) -> (u64, u64, u64) {
    let Stats { changes, documents, bytes: _, refused } = &client.stats;
    (changes.get(), documents.get(), refused.get())
}

#[tokio::test]
async fn a_copy_follows_by_changes_and_falls_back_to_the_whole() {
    let (dir, service) = (tempfile::tempdir().expect("a directory"), Service::new());
    let client = open(dir.path(), &service);
    let is_equal = |client: &MetaClient| {
        assert_eq!(encode_snapshot(&client.data()), encode_snapshot(&service.data.borrow()));
    };
    for name in ["a", "b", "c"] {
        service.decide(&create(name));
        assert!(client.refresh().await);
        is_equal(&client);
    }
    assert_eq!(seen(&client), (3, 0, 0));

    // Several at once; and again after a restart, from what is on the disk.
    drop(client);
    let client = open(dir.path(), &service);
    ["d", "e"].iter().for_each(|name| drop(service.decide(&create(name))));
    assert!(client.refresh().await);
    is_equal(&client);
    assert_eq!(seen(&client), (2, 0, 0));

    // An answer that does not lead to what the service has is not believed.
    ["f", "g"].iter().for_each(|name| drop(service.decide(&create(name))));
    service.is_damaged.store(true, Ordering::SeqCst);
    assert!(client.refresh().await);
    is_equal(&client);
    assert_eq!(seen(&client), (3, 1, 1));

    // Too far behind.
    let query = |number| Command::CreateContinuousQuery {
        database: "a".to_owned(),
        name: format!("cq{number}"),
        query: "x".repeat(3_000),
    };
    (0..5).for_each(|number| drop(service.decide(&query(number))));
    assert!(client.refresh().await);
    is_equal(&client);
    assert_eq!(seen(&client), (3, 2, 1));
    service.decide(&create("h"));
    assert!(client.refresh().await);
    is_equal(&client);
    assert_eq!(seen(&client), (4, 2, 1), "and by changes again");
}

#[tokio::test]
async fn changes_that_were_not_asked_for_are_refused() {
    /// Always answers with changes.
    #[derive(Debug)]
    struct Stubborn;
    impl MetaLink for Stubborn {
        fn newer<'a>(&'a self, _: Known, _: Duration) -> BoxFuture<'a, Result<Option<News>, LinkError>> {
            let change = meta::Change { index: MetaIndex(9), entry: Bytes::from_static(b"what?") };
            let changes = Changes { changes: vec![change], digest: meta::Digest(1) };
            Box::pin(async move { Ok(Some(News::Changes(changes))) })
        }

        fn propose<'a>(&'a self, _: &'a Command) -> BoxFuture<'a, Result<Proposed, LinkError>> {
            Box::pin(async { Err(LinkError::Unavailable("no leader".to_owned())) })
        }
    }
    let dir = tempfile::tempdir().expect("a directory");
    let link: Arc<dyn MetaLink> = Arc::new(Stubborn);
    let client = MetaClient::open(Env::real(), dir.path().join("client.meta"), link).expect("a copy");
    assert!(!client.refresh().await, "nobody has answered that");
    assert_eq!(client.data().index(), MetaIndex(0));
    assert_eq!(seen(&client), (1, 0, 1));
}

#[tokio::test]
async fn metadata_of_another_cluster_is_refused() {
    let (dir, service) = (tempfile::tempdir().expect("a directory"), Service::new());
    let client = open(dir.path(), &service);
    let register = |id| Command::CreateMetaNode {
        incarnation: meta::Incarnation(id),
        http_addr: "a:8091".to_owned(),
        tcp_addr: "a:8088".to_owned(),
    };
    let facts = |random| LeaderFacts { now: Timestamp(0), random, shard_groups_max: 0 };
    let (mut ours, mut theirs) = (Data::default(), Data::default());
    ours.apply(MetaIndex(1), &facts(7), &register(1)).expect("fits");
    theirs.apply(MetaIndex(5), &facts(8), &register(2)).expect("fits");
    client.install(Arc::new(ours)).await;
    client.install(Arc::new(theirs)).await;
    assert_eq!((client.data().cluster_id(), client.data().index()), (7, MetaIndex(1)));
}

#[tokio::test]
async fn a_file_that_is_damaged_or_foreign_is_refused_and_left_untouched() {
    let (dir, service) = (tempfile::tempdir().expect("a directory"), Service::new());
    let client = open(dir.path(), &service);
    service.decide(&create("telemetry"));
    client.install(Arc::clone(&service.data.borrow())).await;
    let file = dir.path().join("client.meta");
    let good = Env::real().fs().read(&file).expect("the copy");
    let refused = |bytes: &[u8]| {
        Env::real().fs().replace(&file, bytes).expect("written");
        let link: Arc<dyn MetaLink> = Service::new();
        let error = MetaClient::open(Env::real(), file.clone(), link).expect_err("a bad file");
        assert_eq!(Env::real().fs().read(&file).expect("the copy"), bytes);
        error
    };
    let mut damaged = good.clone();
    *damaged.last_mut().expect("bytes") ^= 1;
    assert!(matches!(refused(&damaged), OpenError::Damaged(_)));
    assert!(matches!(refused(&good[..5]), OpenError::Damaged(_)));
    let mut newer = good.clone();
    newer[7] = 9;
    assert!(matches!(refused(&newer), OpenError::Newer { found: 9, .. }));
    assert!(matches!(refused(b"what is this, that is here"), OpenError::Foreign(_)));
}

#[test]
fn a_crash_while_saving_leaves_the_old_copy_or_the_new_one() {
    use env::simulated::{Effect, Fuse, LossModel, SimClock, SimDisk};

    use crate::snapshot::{load, save};

    let version = |names: &[&str]| {
        let service = Service::new();
        names.iter().for_each(|name| {
            service.decide(&create(name));
        });
        let data = service.data.borrow();
        Data::clone(&data)
    };
    let (old, new) = (version(&["a"]), version(&["a", "b"]));
    let file = Path::new("/meta/client.meta");
    for model in LossModel::ALL {
        for stop in 0..8 {
            let disk = SimDisk::new(stop);
            let env = Env::simulated(stop, &SimClock::new(Timestamp(0)), &disk);
            env.fs().create_dir_all(Path::new("/meta")).expect("a directory");
            env.fs().sync_dir(Path::new("/")).expect("synced");
            save(&env, file, &old).expect("saved");
            disk.arm(Fuse { kinds: Fuse::CHANGES, after: stop, effect: Effect::PowerOff });
            let finished = save(&env, file, &new).is_ok();
            disk.crash(model);
            let env = Env::simulated(stop, &SimClock::new(Timestamp(0)), &disk);
            let found = load(&env, file).expect("a copy").expect("a copy");
            assert!(found.index() == new.index() || (!finished && found.index() == old.index()));
        }
    }
}
