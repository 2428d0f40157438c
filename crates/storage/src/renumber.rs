//! New numbers for the shards of a store that nobody has open: those of a node that was a cluster by itself mean something
//! else in the cluster that it comes into.
//!
//! Old and new numbers may be the same ones, so there are two steps, and the caller writes down in between that the first
//! one is over: [`set_aside`] leaves no shard under a number, [`put_in_place`] gives each one its new number. Each may be
//! cut short at any point and is repeated from its beginning.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use env::Env;
use model::ShardId;

use crate::manifest::{Manifest, ManifestError};
use crate::store::{list_shards, policy_dirs};

/// What the directory of a shard is called in between, with its new number. No number starts so.
const PREFIX: &str = "~brought-";

/// Takes every shard from its number: those in `numbers` stand aside under their new ones, all others are removed.
///
/// # Errors
/// The disk's. Nothing is in a state that the next call does not take up.
pub fn set_aside(env: &Env, dir: &Path, numbers: &BTreeMap<ShardId, ShardId>) -> io::Result<()> {
    let fs = env.fs();
    if !fs.exists(dir)? {
        return Ok(());
    }
    for (shard_dir, old) in list_shards(env, dir)? {
        let Some(policy_dir) = shard_dir.parent().map(Path::to_owned) else { continue };
        match numbers.get(&old) {
            Some(new) => fs.rename(&shard_dir, &policy_dir.join(format!("{PREFIX}{new}")))?,
            None => fs.remove_dir_all(&shard_dir)?,
        }
    }
    // All of them: what an earlier call removed cannot be seen any more, and may come back until this is done.
    policy_dirs(env, dir)?.iter().try_for_each(|dir| fs.sync_dir(dir))
}

/// Gives each shard that stands aside its new number.
///
/// # Errors
/// The disk's. Nothing is in a state that the next call does not take up.
pub fn put_in_place(env: &Env, dir: &Path) -> io::Result<()> {
    let fs = env.fs();
    if !fs.exists(dir)? {
        return Ok(());
    }
    for (shard_dir, new) in aside(env, dir)? {
        match Manifest::load(env, &shard_dir) {
            Ok(manifest) if manifest.shard == new => {}
            Ok(manifest) => Manifest { shard: new, ..manifest }.store(env, &shard_dir)?,
            Err(ManifestError::Io(error)) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            // It is as damaged under the new number.
            Err(_) => {}
        }
        let Some(policy_dir) = shard_dir.parent() else { continue };
        fs.rename(&shard_dir, &policy_dir.join(new.to_string()))?;
    }
    policy_dirs(env, dir)?.iter().try_for_each(|dir| fs.sync_dir(dir))
}

/// The directories that stand aside, with their new numbers.
fn aside(env: &Env, dir: &Path) -> io::Result<Vec<(PathBuf, ShardId)>> {
    let mut found = Vec::new();
    for policy_dir in policy_dirs(env, dir)? {
        for shard in env.fs().list(&policy_dir)?.into_iter().filter(|entry| entry.is_dir) {
            let number = shard.name.strip_prefix(PREFIX).and_then(|number| number.parse().ok());
            found.extend(number.map(|number| (policy_dir.join(&shard.name), ShardId(number))));
        }
    }
    Ok(found)
}
