//! Users whom a directory knows.
//!
//! Which directory that is, and how it is asked, stands in the metadata as text; a [`Directory`] can read it and ask. What
//! it said is remembered for [`REMEMBERED_FOR`], unless the metadata says that it is to be forgotten. Who is in which
//! groups may have been read ahead, see `warm`.

use std::collections::HashMap;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::Digest;
use meta::Data;
use model::MetaIndex;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::warm::{Memberships, Progress};
use super::{Identity, LoginError, Logins};

/// How long nobody asks again who somebody is, and which groups they are in.
pub const REMEMBERED_FOR: Duration = Duration::from_secs(300);
/// Users that are remembered. One more makes all be forgotten, which costs them a question each.
const REMEMBERED_MAX: usize = 10_000;
/// Questions to the directory at a time.
const QUESTIONS_MAX: usize = 16;
/// Time for one question, with all servers that are tried.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(20);

/// A call under way.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Somebody whom a directory knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The name.
    pub name: String,
    /// Whether they administer the cluster.
    pub admin: bool,
    /// Roles of the cluster that they have.
    pub roles: Vec<String>,
}

/// What a configuration says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectorySummary {
    /// Whether users are looked up in the directory.
    pub enabled: bool,
    /// Roles that it gives.
    pub roles: Vec<String>,
    /// The configuration without its secrets.
    pub masked: String,
}

/// Why a directory did not let somebody in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    /// No such user, or another password.
    #[error("authorization failed")]
    Wrong,
    /// It cannot be asked; the text is for operators.
    #[error("the directory of users does not answer: {0}")]
    Unavailable(String),
}

/// Asks a directory.
pub trait Directory: Send + Sync + Debug {
    /// Reads a configuration.
    ///
    /// # Errors
    /// What is wrong with it, without its secrets.
    fn check(&self, config: &str) -> Result<DirectorySummary, String>;

    /// Who somebody is; without a password only what the directory knows of them. Their groups are not asked for where
    /// they were read `ahead`; the password always is.
    fn find<'a>(
        &'a self,
        config: &'a str,
        name: &'a str,
        password: Option<&'a str>,
        ahead: Option<&'a Memberships>,
    ) -> Pending<'a, Result<Known, DirectoryError>>;

    /// Who is in the groups that the configuration names, and which servers were left out and why.
    fn memberships<'a>(
        &'a self,
        config: &'a str,
        progress: &'a Progress,
    ) -> Pending<'a, Result<(Memberships, Vec<String>), DirectoryError>>;

    /// As [`Directory::find`], told step by step.
    fn explain<'a>(&'a self, config: &'a str, name: &'a str, password: &'a str) -> Pending<'a, String>;
}

/// A directory and what it said.
#[derive(Debug)]
pub(crate) struct Asked {
    directory: Option<Arc<dyn Directory>>,
    /// The configuration that was read last, and whether it is on. Held for a look.
    read: Mutex<Option<(Arc<str>, bool)>>,
    /// By name. Held for lookups only.
    remembered: Mutex<HashMap<String, Remembered>>,
    asking: Semaphore,
}

/// What a directory said of somebody.
struct Remembered {
    known: Known,
    /// Of the password that was right; `None` when none was shown.
    digest: Option<Digest>,
    /// Of the metadata by which it was asked.
    index: MetaIndex,
    at: Duration,
}

// By hand: digests do not belong into a log.
impl Debug for Remembered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remembered").field("known", &self.known).finish_non_exhaustive()
    }
}

impl Asked {
    pub(crate) fn new(directory: Option<Arc<dyn Directory>>) -> Asked {
        let asking = Semaphore::new(QUESTIONS_MAX);
        Asked { directory, read: Mutex::default(), remembered: Mutex::default(), asking }
    }

    /// How the directory is asked, if this build can.
    pub(crate) fn directory(&self) -> Option<Arc<dyn Directory>> {
        self.directory.clone()
    }

    /// Whether users are looked up in a directory. A configuration that cannot be read lets nobody in.
    fn is_on(&self, data: &Data) -> bool {
        let Some(config) = data.directory() else { return false };
        let mut read = self.read.lock();
        if let Some((known, on)) = &*read
            && Arc::ptr_eq(known, config)
        {
            return *on;
        }
        let summary = self.directory.as_ref().map(|directory| directory.check(config));
        let on = summary.is_none_or(|summary| summary.is_ok_and(|summary| summary.enabled));
        *read = Some((Arc::clone(config), on));
        on
    }

    /// What was said of somebody; with `digest` only if that password was right.
    pub(crate) fn recall(&self, data: &Data, name: &str, digest: Option<&Digest>, now: Duration) -> Option<Known> {
        let mut remembered = self.remembered.lock();
        let known = remembered.get(name)?;
        if known.index != data.directory_index() || now.saturating_sub(known.at) >= REMEMBERED_FOR {
            remembered.remove(name);
            return None;
        }
        let right = match (digest, &known.digest) {
            (None, _) => true,
            (Some(shown), Some(right)) => verify_slices_are_equal(shown.as_ref(), right.as_ref()).is_ok(),
            (Some(_), None) => false,
        };
        right.then(|| known.known.clone())
    }

    fn remember(&self, remembered: Remembered) {
        let mut all = self.remembered.lock();
        if all.len() >= REMEMBERED_MAX {
            all.clear();
        }
        all.insert(remembered.known.name.clone(), remembered);
    }
}

impl Logins {
    /// Whether users are looked up in a directory, and those of the cluster do not count.
    pub fn uses_directory(&self, data: &Data) -> bool {
        self.directory.is_on(data)
    }

    /// Somebody who proved by a token who they are.
    ///
    /// # Errors
    /// See [`LoginError`].
    pub async fn find(&self, data: &Data, name: &str) -> Result<Identity, LoginError> {
        if !self.uses_directory(data) {
            return data.user(name).cloned().map(Identity::User).ok_or(LoginError::Wrong);
        }
        if let Some(known) = self.directory.recall(data, name, None, self.env.monotonic()) {
            return Ok(Identity::Directory(known));
        }
        self.ask_directory(data, name, None).await.map(Identity::Directory)
    }

    pub(crate) async fn ask_directory(
        &self,
        data: &Data,
        name: &str,
        shown: Option<(&str, Digest)>,
    ) -> Result<Known, LoginError> {
        let (Some(directory), Some(config)) = (&self.directory.directory, data.directory()) else {
            tracing::warn!("users are looked up in a directory, which this build cannot do");
            return Err(LoginError::NoDirectory);
        };
        let Ok(_turn) = self.directory.asking.try_acquire() else { return Err(LoginError::Busy) };
        let (password, digest) = shown.unzip();
        let ahead = self.warming.ahead(data, self.env.monotonic());
        let (ahead, read_at) = ahead.unzip();
        let asking = directory.find(config, name, password, ahead.as_deref());
        let found = tokio::time::timeout(QUESTION_TIMEOUT, asking).await;
        let found = found.unwrap_or_else(|_| Err(DirectoryError::Unavailable("no answer in time".to_owned())));
        let known = found.map_err(|error| match error {
            DirectoryError::Wrong => LoginError::Wrong,
            DirectoryError::Unavailable(why) => {
                tracing::warn!(%why, "the directory of users does not answer");
                LoginError::NoDirectory
            }
        })?;
        // What was read ahead is no younger for having been used.
        let (index, at) = (data.directory_index(), read_at.unwrap_or_else(|| self.env.monotonic()));
        self.directory.remember(Remembered { known: known.clone(), digest, index, at });
        Ok(known)
    }
}
