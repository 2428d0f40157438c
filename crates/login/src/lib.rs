//! Checks the passwords of users: few at a time, off the async threads, remembered.
//!
//! A password is verified against the hash in the metadata, which takes a while on purpose. So only
//! [`CONCURRENT_MAX`] verifications run at a time and [`WAITING_MAX`] wait; whoever comes then is told to come back.
//! What proved to be right is remembered as a salted SHA-256, so that the next request of the user costs nothing.
//!
//! Invariants
//! - What is remembered counts for the stored hash that it was verified against, and for no other: a change of the
//!   password, or a user dropped and created again, acts as soon as the metadata says so.
//! - A user that does not exist costs the same as a wrong password.
//! - A flood of wrong passwords holds up others that must be verified, never requests of users that are remembered.
//!
//! Where the metadata names a directory of users, `directory` asks that instead, and no user of the cluster counts; `warm`
//! reads the members of its groups ahead. `sources` turns addresses away that fail too often.
//!
//! Not here: what a user may do, signed tokens, and how a directory is asked.

mod directory;
mod sources;
mod warm;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;
use credentials::password::{PasswordError, Scheme, verify};
use env::Env;
use meta::{Data, User};
use parking_lot::Mutex;
use telemetry::{Counter, Metrics};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use directory::{Directory, DirectoryError, DirectorySummary, Known, Pending, REMEMBERED_FOR};
pub use sources::{FAILURES_AT_ONCE_MAX, FAILURES_PER_SECOND_MAX, SOURCES_MAX};
pub use warm::{Membership, Memberships, Progress, WARM_TIMEOUT, WarmError, WarmState, WarmStatus};

/// Hashes that are computed at a time, on threads of their own.
pub const CONCURRENT_MAX: usize = 2;
/// Passwords that wait to be hashed.
pub const WAITING_MAX: usize = 64;
/// Users whose password is remembered. One more makes all be forgotten, which costs them a verification each.
const REMEMBERED_MAX: usize = 10_000;

/// A name and a password were not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// No such user, or another password; which of the two is not told.
    #[error("authorization failed")]
    Wrong,
    /// Too many passwords wait already: the client comes back.
    #[error("too many logins at a time")]
    Busy,
    /// Too many logins failed that came from the same address: the client comes back much later.
    #[error("too many failed logins from this address")]
    TooMany,
    /// The directory of users does not answer: the client comes back.
    #[error("the directory of users does not answer")]
    NoDirectory,
}

/// Somebody who proved who they are.
#[derive(Clone, Debug)]
pub enum Identity {
    /// A user of the cluster.
    User(Arc<User>),
    /// Somebody whom the directory knows.
    Directory(Known),
}

/// A password cannot become that of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// It cannot be hashed; the text is for the client.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// Too many passwords wait already: the client comes back.
    #[error("too many logins at a time")]
    Busy,
}

/// Checks and hashes passwords of one process.
#[derive(Debug)]
pub struct Logins {
    env: Env,
    scheme: Scheme,
    /// Of what is remembered; known to this process alone.
    salt: [u8; 32],
    /// Verified where there is no user.
    decoy: String,
    running: Arc<Semaphore>,
    /// Permits for those that run and those that wait.
    admitted: Arc<Semaphore>,
    /// By name. Held for lookups only.
    remembered: Mutex<HashMap<String, Remembered>>,
    directory: directory::Asked,
    warming: warm::Warming,
    sources: sources::Sources,
    failures: Counter,
    turned_away: Counter,
}

/// A password that was right.
struct Remembered {
    /// The stored hash that it was verified against.
    stored: String,
    digest: digest::Digest,
}

// By hand: neither hashes nor digests belong into a log.
impl std::fmt::Debug for Remembered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remembered").finish_non_exhaustive()
    }
}

impl Logins {
    /// Nobody is remembered; new passwords are hashed by `scheme`. No directory is asked and nothing counted.
    pub fn new(env: Env, scheme: Scheme) -> Arc<Logins> {
        Logins::with(env, scheme, None, &Metrics::new())
    }

    /// As [`Logins::new`], with a directory for when the metadata names one.
    pub fn with(env: Env, scheme: Scheme, directory: Option<Arc<dyn Directory>>, metrics: &Metrics) -> Arc<Logins> {
        let mut salt = [0; 32];
        env.random_fill(&mut salt);
        let decoy = scheme.decoy(&random_salt(&env, &scheme));
        let (running, admitted) = (Semaphore::new(CONCURRENT_MAX), Semaphore::new(CONCURRENT_MAX + WAITING_MAX));
        Arc::new(Logins {
            env,
            scheme,
            salt,
            decoy,
            running: Arc::new(running),
            admitted: Arc::new(admitted),
            remembered: Mutex::default(),
            directory: directory::Asked::new(directory),
            warming: warm::Warming::default(),
            sources: sources::Sources::default(),
            failures: metrics.counter("login_failures", "Logins with a wrong name or password"),
            turned_away: metrics.counter("logins_turned_away", "Logins refused because their address failed too often"),
        })
    }

    /// Who this is, if the password is theirs. `source` is where the request comes from, as far as that is known.
    ///
    /// # Errors
    /// See [`LoginError`].
    pub async fn identify(
        &self,
        data: &Data,
        name: &str,
        password: &str,
        source: Option<IpAddr>,
    ) -> Result<Identity, LoginError> {
        let digest = self.digest(password);
        if let Some(known) = self.recall(data, name, &digest) {
            return Ok(known);
        }
        if !self.sources.admit(source, self.env.monotonic()) {
            self.turned_away.inc();
            return Err(LoginError::TooMany);
        }
        let known = match self.uses_directory(data) {
            true => self.ask_directory(data, name, Some((password, digest))).await.map(Identity::Directory),
            false => self.check(data, name, password).await.map(Identity::User),
        };
        match &known {
            Err(LoginError::Wrong) => drop(self.failures.inc()),
            _ => self.sources.give_back(source),
        }
        known
    }

    /// Somebody who proved it before with this password.
    fn recall(&self, data: &Data, name: &str, digest: &digest::Digest) -> Option<Identity> {
        if self.uses_directory(data) {
            return self.directory.recall(data, name, Some(digest), self.env.monotonic()).map(Identity::Directory);
        }
        let user = data.user(name)?;
        self.remembers(name, &user.hash, digest).then(|| Identity::User(Arc::clone(user)))
    }

    /// The user of this name, if the password is theirs.
    ///
    /// # Errors
    /// See [`LoginError`].
    pub async fn check(&self, data: &Data, name: &str, password: &str) -> Result<Arc<User>, LoginError> {
        let user = data.user(name);
        let stored = user.map_or(&self.decoy, |user| &user.hash);
        let right = self.is_password(name, stored, password).await?;
        user.filter(|_| right).cloned().ok_or(LoginError::Wrong)
    }

    /// Whether `password` is the one behind `stored`, the hash of the user `name`.
    ///
    /// # Errors
    /// [`LoginError::Busy`].
    pub async fn is_password(&self, name: &str, stored: &str, password: &str) -> Result<bool, LoginError> {
        let digest = self.digest(password);
        if self.remembers(name, stored, &digest) {
            return Ok(true);
        }
        let turn = self.turn().await.ok_or(LoginError::Busy)?;
        let (password, copy, scheme) = (password.to_owned(), stored.to_owned(), self.scheme);
        let right = self.env.blocking(move || turn.spend(|| verify(&password, &copy, &scheme))).await;
        if right {
            let mut remembered = self.remembered.lock();
            if remembered.len() >= REMEMBERED_MAX {
                remembered.clear();
            }
            remembered.insert(name.to_owned(), Remembered { stored: stored.to_owned(), digest });
        }
        Ok(right)
    }

    /// The hash of a new password.
    ///
    /// # Errors
    /// See [`HashError`].
    pub async fn hash(&self, password: &str) -> Result<String, HashError> {
        let turn = self.turn().await.ok_or(HashError::Busy)?;
        let (password, salt, scheme) = (password.to_owned(), random_salt(&self.env, &self.scheme), self.scheme);
        Ok(self.env.blocking(move || turn.spend(|| scheme.hash(&password, &salt))).await?)
    }

    fn remembers(&self, name: &str, stored: &str, digest: &digest::Digest) -> bool {
        let mut remembered = self.remembered.lock();
        let Some(known) = remembered.get(name) else { return false };
        if known.stored != stored {
            remembered.remove(name);
            return false;
        }
        verify_slices_are_equal(known.digest.as_ref(), digest.as_ref()).is_ok()
    }

    fn digest(&self, password: &str) -> digest::Digest {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(&self.salt);
        context.update(password.as_bytes());
        context.finish()
    }

    /// Waits for the right to compute a hash; `None` when too many wait already. A request that goes away while it waits
    /// gives its place back.
    async fn turn(&self) -> Option<Turn> {
        let admitted = Arc::clone(&self.admitted).try_acquire_owned().ok()?;
        let running = Arc::clone(&self.running).acquire_owned().await.ok()?;
        Some(Turn { _admitted: admitted, _running: running })
    }
}

/// The right to compute one hash.
#[derive(Debug)]
struct Turn {
    _admitted: OwnedSemaphorePermit,
    _running: OwnedSemaphorePermit,
}

impl Turn {
    /// Computes a hash. The turn ends with the work, not with the request, which may be gone by then.
    fn spend<T>(self, work: impl FnOnce() -> T) -> T {
        work()
    }
}

fn random_salt(env: &Env, scheme: &Scheme) -> Vec<u8> {
    let mut salt = vec![0; scheme.salt_bytes()];
    env.random_fill(&mut salt);
    salt
}

#[cfg(test)]
mod tests;
