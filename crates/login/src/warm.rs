//! Group members that are read ahead, so that logins need not ask for the groups of each user.
//!
//! Operators begin it, as many users are about to log in: after a purge, say. It takes a connection of its own and at most
//! [`WARM_TIMEOUT`]; there is one at a time. Nobody is let in by it: who somebody is, and whether the password is theirs,
//! is the directory's to say at each login. What was read counts as long as an answer of the directory does, from when it
//! was begun to be read, and no longer than that for those whom it helped to log in.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use env::TaskHandle;
use meta::Data;
use model::MetaIndex;
use parking_lot::Mutex;

use super::Logins;
use super::directory::{Directory, DirectoryError, Known, REMEMBERED_FOR};

/// Time to read all members.
pub const WARM_TIMEOUT: Duration = Duration::from_secs(120);

/// Members of the groups that matter, by server of the configuration and by their name in the directory.
///
/// Whoever is not in it has to be asked for: the directory may know groups that were not read, or spell names in another
/// way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memberships {
    /// In the order of the configuration, empty for a server that could not be read.
    pub servers: Vec<HashMap<String, Membership>>,
}

/// What the groups of somebody give them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    /// Whether they administer the cluster.
    pub admin: bool,
    /// Roles of the cluster.
    pub roles: Vec<Arc<str>>,
}

impl Memberships {
    /// What the groups of `entry` at a server give the user who goes by `name`; `None` when that has to be asked for.
    pub fn known(&self, server: usize, entry: &str, name: &str) -> Option<Known> {
        let membership = self.servers.get(server)?.get(entry)?;
        let roles = membership.roles.iter().map(|role| role.to_string()).collect();
        Some(Known { name: name.to_owned(), admin: membership.admin, roles })
    }
}

/// How far the reading has come.
#[derive(Debug, Default)]
pub struct Progress {
    groups: AtomicU64,
    groups_read: AtomicU64,
    members: AtomicU64,
}

impl Progress {
    /// So many groups are going to be read.
    pub fn expect(&self, groups: usize) {
        self.groups.store(groups as u64, Ordering::Relaxed);
    }

    /// One of them was, with so many members.
    pub fn read(&self, members: usize) {
        self.groups_read.fetch_add(1, Ordering::Relaxed);
        self.members.fetch_add(members as u64, Ordering::Relaxed);
    }
}

/// Why members cannot be read ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WarmError {
    /// The metadata names no directory, or one that is off.
    #[error("users are not looked up in a directory")]
    Off,
    /// This build knows no directory.
    #[error("this build was made without LDAP")]
    NoDirectory,
}

/// Whether members are being read ahead, or were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WarmState {
    /// Never since this process began.
    Idle,
    /// They are being read.
    Running,
    /// They were read and are used.
    Warm,
    /// They were read and do not count any more, by age or because the directory is to be asked again.
    Expired,
    /// Somebody ended it; nothing of it is used.
    Cancelled,
    /// Nothing of it is used.
    Failed,
}

impl WarmState {
    /// As operators are told it.
    pub fn word(self) -> &'static str {
        match self {
            WarmState::Idle => "idle",
            WarmState::Running => "running",
            WarmState::Warm => "warm",
            WarmState::Expired => "expired",
            WarmState::Cancelled => "cancelled",
            WarmState::Failed => "failed",
        }
    }
}

/// How it stands with reading ahead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WarmStatus {
    /// Whether it runs, or has ended how.
    pub state: WarmState,
    /// Groups to read.
    pub groups: u64,
    /// Groups that were read.
    pub groups_read: u64,
    /// Members of those; somebody counts once for each group.
    pub members: u64,
    /// What went wrong; empty for nothing.
    pub why: String,
}

/// What is read ahead, or was.
#[derive(Debug, Default)]
pub(crate) struct Warming {
    /// Held for a look, never while the directory is asked.
    run: Mutex<Option<Run>>,
    /// What was read last. Held for a look.
    read: Mutex<Option<Read>>,
}

#[derive(Debug)]
struct Run {
    state: WarmState,
    why: String,
    progress: Arc<Progress>,
    /// Of the metadata by which the directory is asked.
    index: MetaIndex,
    began: Duration,
    task: Option<TaskHandle<()>>,
}

#[derive(Clone, Debug)]
struct Read {
    memberships: Arc<Memberships>,
    index: MetaIndex,
    began: Duration,
}

fn counts(index: MetaIndex, began: Duration, data: &Data, now: Duration) -> bool {
    index == data.directory_index() && now.saturating_sub(began) < REMEMBERED_FOR
}

impl Warming {
    /// What was read ahead and still counts, with when that was.
    pub(crate) fn ahead(&self, data: &Data, now: Duration) -> Option<(Arc<Memberships>, Duration)> {
        let mut read = self.read.lock();
        let known = read.as_ref()?;
        if !counts(known.index, known.began, data, now) {
            *read = None;
            return None;
        }
        Some((Arc::clone(&known.memberships), known.began))
    }

    /// The run that `progress` belongs to has ended, unless it was cancelled meanwhile.
    fn end(&self, progress: &Arc<Progress>, outcome: Result<(Memberships, Vec<String>), DirectoryError>) {
        let mut run = self.run.lock();
        let Some(run) = run.as_mut().filter(|run| Arc::ptr_eq(&run.progress, progress)) else { return };
        if run.state != WarmState::Running {
            return;
        }
        match outcome {
            Ok((memberships, left_out)) => {
                (run.state, run.why) = (WarmState::Warm, left_out.join("; "));
                let (index, began) = (run.index, run.began);
                *self.read.lock() = Some(Read { memberships: Arc::new(memberships), index, began });
            }
            Err(error) => (run.state, run.why) = (WarmState::Failed, error.to_string()),
        }
        tracing::info!(state = run.state.word(), why = run.why, "members of groups were read ahead");
    }
}

impl Logins {
    /// Begins to read the members of the groups that the configuration of the directory names. Where that is being done
    /// already it goes on.
    ///
    /// # Errors
    /// See [`WarmError`].
    pub fn warm(self: &Arc<Self>, data: &Arc<Data>) -> Result<(), WarmError> {
        let Some(config) = data.directory().filter(|_| self.uses_directory(data)) else { return Err(WarmError::Off) };
        let directory = self.directory.directory().ok_or(WarmError::NoDirectory)?;
        let mut run = self.warming.run.lock();
        if run.as_ref().is_some_and(|run| run.state == WarmState::Running) {
            return Ok(());
        }
        let progress = Arc::new(Progress::default());
        let (index, began) = (data.directory_index(), self.env.monotonic());
        let (logins, config, shared) = (Arc::clone(self), Arc::clone(config), Arc::clone(&progress));
        let task = self.env.spawn(async move {
            let outcome = read_all(&*directory, &config, &shared).await;
            logins.warming.end(&shared, outcome);
        });
        let state = WarmState::Running;
        *run = Some(Run { state, why: String::new(), progress, index, began, task: Some(task) });
        Ok(())
    }

    /// Ends the reading, if it is being done. What was read by an earlier one stays.
    pub fn cancel_warming(&self) {
        let mut run = self.warming.run.lock();
        if let Some(run) = run.as_mut().filter(|run| run.state == WarmState::Running) {
            run.state = WarmState::Cancelled;
            if let Some(task) = run.task.take() {
                task.abort();
            }
        }
    }

    /// How it stands with it.
    pub fn warm_status(&self, data: &Data) -> WarmStatus {
        let run = self.warming.run.lock();
        let Some(run) = &*run else {
            return WarmStatus { state: WarmState::Idle, groups: 0, groups_read: 0, members: 0, why: String::new() };
        };
        let state = match run.state {
            WarmState::Warm if !counts(run.index, run.began, data, self.env.monotonic()) => WarmState::Expired,
            state => state,
        };
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Progress { groups, groups_read, members } = &*run.progress;
        let (groups, groups_read, members) = (count(groups), count(groups_read), count(members));
        WarmStatus { state, groups, groups_read, members, why: run.why.clone() }
    }
}

async fn read_all(
    directory: &dyn Directory,
    config: &str,
    progress: &Progress,
) -> Result<(Memberships, Vec<String>), DirectoryError> {
    let reading = directory.memberships(config, progress);
    let late = || DirectoryError::Unavailable(format!("not all was read within {WARM_TIMEOUT:?}"));
    tokio::time::timeout(WARM_TIMEOUT, reading).await.unwrap_or_else(|_| Err(late()))
}
