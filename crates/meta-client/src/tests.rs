//! What the copy promises, against a metadata service that is a field in a struct.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use env::simulated::{Effect, Fuse, LossModel, SimClock, SimDisk};
use meta::codec::{encode_entry, encode_snapshot};
use meta::{Command, History, LeaderFacts, PolicySpec, Rejection, Reply};
use model::Timestamp;
use parking_lot::Mutex;

use super::*;
use crate::snapshot::{journal_of, load};

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

/// A disk in memory.
fn simulated() -> Env {
    let env = Env::simulated(1, &SimClock::new(Timestamp(0)), &SimDisk::new(1));
    env.fs().create_dir_all(Path::new("/meta")).expect("a directory");
    env
}

/// Versions of a cluster's metadata and what leads from each to the next.
fn story(changes: usize) -> (Vec<Arc<Data>>, Vec<meta::Change>) {
    let service = Service::new();
    let (mut versions, mut entries) = (vec![Arc::clone(&service.data.borrow())], Vec::new());
    for number in 0..changes {
        let known = Version::of(Arc::clone(&service.data.borrow())).known();
        service.decide(&create(&format!("db{number}")));
        entries.extend(service.history.lock().since(known).expect("known").changes);
        versions.push(Arc::clone(&service.data.borrow()));
    }
    (versions, entries)
}

#[test]
fn a_power_cut_at_any_write_leaves_what_was_kept_before_or_what_came_after() {
    let (versions, changes) = story(12);
    let file = Path::new("/meta/client.meta");
    let mut seen_journal = false;
    for model in LossModel::ALL {
        for stop in 0..40 {
            let disk = SimDisk::new(stop);
            let env = Env::simulated(stop, &SimClock::new(Timestamp(0)), &disk);
            env.fs().create_dir_all(Path::new("/meta")).expect("a directory");
            env.fs().sync_dir(Path::new("/")).expect("synced");
            disk.arm(Fuse { kinds: Fuse::CHANGES, after: stop, effect: Effect::PowerOff });
            let (mut place, mut kept) = (1, 0);
            // A start after every few changes, and one that is whole now and then.
            for steps in [3, 2, 4, 3] {
                let Ok((mut place_on_disk, _)) = Disk::open(&env, file.to_owned()) else { break };
                for step in 0..steps {
                    let data = &versions[place];
                    match (step, steps) {
                        (1, 4) => place_on_disk.save(data),
                        _ => place_on_disk.follow(versions[place - 1].index(), &changes[place - 1..place], data),
                    }
                    kept = kept.max(place_on_disk.index().0);
                    place += 1;
                }
            }
            disk.crash(model);
            let env = Env::simulated(stop, &SimClock::new(Timestamp(0)), &disk);
            seen_journal |= env.fs().exists(&journal_of(file)).expect("looked at");
            let (_, found) = Disk::open(&env, file.to_owned()).expect("a copy");
            assert!(found.index().0 >= kept, "{model:?} {stop}: {} after {kept} was kept", found.index().0);
            let wanted = &versions[usize::try_from(found.index().0).expect("few")];
            assert_eq!(encode_snapshot(&found), encode_snapshot(wanted), "{model:?} {stop}");
        }
    }
    assert!(seen_journal);
}

#[test]
fn a_change_is_appended_until_the_copy_is_less() {
    let (versions, changes) = story(30);
    let (env, file) = (simulated(), Path::new("/meta/client.meta").to_owned());
    let bytes = |file: &Path| env.fs().file_bytes(file).unwrap_or(0);
    let (mut disk, _) = Disk::open(&env, file.clone()).expect("nothing");
    for place in 1..=20 {
        disk.follow(versions[place - 1].index(), &changes[place - 1..place], &versions[place]);
    }
    let (whole, journal) = (bytes(&file), bytes(&journal_of(&file)));
    assert!(journal > whole, "the copy was written once, the others were appended: {whole} {journal}");
    // What does not fit behind it replaces it.
    let (database, name, query) = ("db1".to_owned(), "cq".to_owned(), "x".repeat(70_000));
    let command = Command::CreateContinuousQuery { database, name, query };
    let facts = LeaderFacts { now: Timestamp(0), random: 7, shard_groups_max: 0 };
    let mut data = Data::clone(&versions[20]);
    let change = meta::Change { index: MetaIndex(21), entry: Bytes::from(encode_entry(&facts, &command)) };
    data.apply(change.index, &facts, &command).expect("fits");
    disk.follow(versions[20].index(), &[change], &data);
    assert!(bytes(&file) > 70_000 && bytes(&journal_of(&file)) == journal);
    assert_eq!(load(&env, &file).expect("a copy").expect("a copy").index(), MetaIndex(21));
}

#[test]
fn a_journal_counts_behind_its_own_copy_alone_and_as_far_as_it_holds() {
    let (versions, changes) = story(6);
    let (env, file) = (simulated(), Path::new("/meta/client.meta").to_owned());
    let (mut disk, _) = Disk::open(&env, file.clone()).expect("nothing");
    for place in 1..=4 {
        disk.follow(versions[place - 1].index(), &changes[place - 1..place], &versions[place]);
    }
    let found = || load(&env, &file).map(|data| data.expect("a copy").index().0);
    assert_eq!(found().ok(), Some(4));
    let journal = env.fs().read(&journal_of(&file)).expect("a journal");
    let copy = env.fs().read(&file).expect("a copy");
    // Cut or damaged anywhere it is a journal that ends sooner, or none.
    for cut in 8..journal.len() {
        env.fs().replace(&journal_of(&file), &journal[..cut]).expect("written");
        assert!((1..4).contains(&found().expect("a copy")), "cut at {cut}");
    }
    for place in 8..journal.len() {
        let mut damaged = journal.clone();
        damaged[place] ^= 0x10;
        env.fs().replace(&journal_of(&file), &damaged).expect("written");
        assert!((1..4).contains(&found().expect("a copy")), "damaged at {place}");
    }
    // Behind another copy it does not count.
    env.fs().replace(&journal_of(&file), &journal).expect("written");
    let (mut other, _) = Disk::open(&env, file.clone()).expect("the copy");
    other.save(&versions[5]);
    assert_eq!(found().ok(), Some(5));
    env.fs().replace(&file, &copy).expect("written");
    assert_eq!(found().ok(), Some(4));
    // Of a later release, or of somebody else.
    let mut newer = journal.clone();
    newer[7] = 9;
    env.fs().replace(&journal_of(&file), &newer).expect("written");
    assert!(matches!(found(), Err(OpenError::Newer { found: 9, .. })));
    env.fs().replace(&journal_of(&file), b"somebody else's").expect("written");
    assert!(matches!(found(), Err(OpenError::Foreign(_))));
}
