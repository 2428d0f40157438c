//! `[http] access-log-path`: the lines of the access log in a file of their own.
//!
//! Requests leave their lines in a buffer and go on; a task writes what is there, off the async threads. The file is only
//! added to, so it may be cut or renamed by others; after SIGHUP it is opened anew.
//!
//! Invariants
//! - No request waits for the disk, and no failure of it ends anything: what cannot be written, or finds no room in the
//!   buffer, is lost and counted.
//! - The buffer has at most [`WAITING_BYTES_MAX`].
//! - A file that cannot be opened leaves things as they are: at the start lines go to the log with everything else, later
//!   to the file that is open.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use env::{Env, File, OpenMode};
use http_api::AccessLines;
use parking_lot::Mutex;
use telemetry::{Counter, Metrics};
use tokio::sync::{Notify, watch};

/// Bytes of lines that wait to be written. More are lost.
pub const WAITING_BYTES_MAX: usize = 4 << 20;
/// How long the end of the process waits for the last lines.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The file, until the process ends.
#[derive(Debug)]
pub struct AccessFile {
    env: Env,
    path: PathBuf,
    /// `None` while it could not be opened. Held for a look.
    file: Mutex<Option<Arc<dyn File>>>,
    /// Held to add to it and to take it, never while the disk works.
    waiting: Mutex<Waiting>,
    more: Notify,
    /// Lines that were written or lost, of those that found room.
    done: watch::Sender<u64>,
    lost: Counter,
}

#[derive(Debug, Default)]
struct Waiting {
    text: Vec<u8>,
    /// Lines that ever found room.
    taken: u64,
}

impl AccessFile {
    /// Opens it, and tells the log whether that worked.
    pub async fn open(env: &Env, path: &Path) -> Arc<AccessFile> {
        let file = Arc::new(AccessFile {
            env: env.clone(),
            path: path.to_owned(),
            file: Mutex::default(),
            waiting: Mutex::default(),
            more: Notify::new(),
            done: watch::Sender::new(0),
            lost: Counter::default(),
        });
        let opened = Arc::clone(&file);
        if let Err(error) = env.blocking(move || opened.open_anew()).await {
            let path = path.display();
            tracing::error!(target: "httpd", %error, %path, "unable to open access log, falling back to stderr");
        }
        env.spawn(Arc::clone(&file).write_all());
        file
    }

    /// Opens it anew, as after it was renamed. Blocks: not for async threads.
    pub fn reopen(&self) {
        if let Err(error) = self.open_anew() {
            let path = self.path.display();
            tracing::error!(target: "httpd", %error, %path, "unable to open access log again, nothing is changed");
        }
    }

    fn open_anew(&self) -> std::io::Result<()> {
        let file = self.env.fs().open(&self.path, OpenMode::Append)?;
        *self.file.lock() = Some(file);
        tracing::info!(target: "httpd", path = %self.path.display(), "opened HTTP access log");
        Ok(())
    }

    /// Has lost lines counted with others.
    pub fn register(&self, metrics: &Metrics) {
        metrics.register("access_log_lost_lines", "Lines of the access log that could not be written", &self.lost);
    }

    /// Waits until all lines so far are written or lost, though not for ever.
    pub async fn close(&self) {
        let mut done = self.done.subscribe();
        let last = self.waiting.lock().taken;
        // The sender is this file's own.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, done.wait_for(|done| *done >= last)).await;
    }

    async fn write_all(self: Arc<AccessFile>) {
        let mut fails = false;
        loop {
            let (mut text, taken) = {
                let mut waiting = self.waiting.lock();
                (std::mem::take(&mut waiting.text), waiting.taken)
            };
            let file = self.file.lock().clone();
            let (Some(file), false) = (file, text.is_empty()) else {
                self.more.notified().await;
                continue;
            };
            if fails {
                // What failed may have left half a line.
                text.insert(0, b'\n');
            }
            match self.env.blocking(move || file.append(&text)).await {
                Ok(()) if fails => {
                    tracing::info!(target: "httpd", path = %self.path.display(), "the access log is written again");
                    fails = false;
                }
                Ok(()) => {}
                Err(error) => {
                    self.lost.inc_by(taken - *self.done.borrow());
                    if !fails {
                        let path = self.path.display();
                        tracing::error!(target: "httpd", %error, %path, "the access log cannot be written, lines are lost");
                    }
                    fails = true;
                }
            }
            self.done.send_replace(taken);
        }
    }
}

impl AccessLines for AccessFile {
    fn line(&self, line: &str) {
        if self.file.lock().is_none() {
            tracing::info!(target: "httpd", "{line}");
            return;
        }
        let mut waiting = self.waiting.lock();
        if waiting.text.len() + line.len() >= WAITING_BYTES_MAX {
            drop(waiting);
            self.lost.inc();
            return;
        }
        waiting.text.extend_from_slice(line.as_bytes());
        waiting.text.push(b'\n');
        waiting.taken += 1;
        drop(waiting);
        self.more.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use env::simulated::{OpKind, SimClock, SimDisk};

    use super::*;

    const PATH: &str = "/log/access.log";

    /// A disk with a folder for the file, or without, and the file.
    async fn opened(with_folder: bool) -> (SimDisk, Env, Arc<AccessFile>) {
        let disk = SimDisk::new(1);
        let env = Env::simulated(1, &SimClock::default(), &disk);
        if with_folder {
            env.fs().create_dir_all(Path::new("/log")).expect("a folder");
        }
        let file = AccessFile::open(&env, Path::new(PATH)).await;
        (disk, env, file)
    }

    fn text(env: &Env, path: &str) -> String {
        String::from_utf8(env.fs().read(Path::new(path)).expect("a file")).expect("text")
    }

    async fn write(file: &AccessFile, lines: &[&str]) {
        lines.iter().for_each(|line| file.line(line));
        file.close().await;
    }

    #[tokio::test]
    async fn lines_are_added_to_what_is_there_also_after_it_was_renamed_or_cut() {
        let (_disk, env, file) = opened(true).await;
        write(&file, &["one", "two"]).await;
        let again = AccessFile::open(&env, Path::new(PATH)).await;
        write(&again, &["three"]).await;
        assert_eq!(text(&env, PATH), "one\ntwo\nthree\n");
        env.fs().rename(Path::new(PATH), Path::new("/log/old")).expect("renamed");
        write(&again, &["four"]).await;
        assert_eq!(text(&env, "/log/old"), "one\ntwo\nthree\nfour\n", "nobody said so");
        again.reopen();
        write(&again, &["five"]).await;
        assert_eq!((text(&env, "/log/old").lines().count(), text(&env, PATH).as_str()), (4, "five\n"));
        env.fs().open(Path::new(PATH), OpenMode::ReadWrite).expect("opened").set_len(0).expect("cut");
        write(&again, &["six"]).await;
        assert_eq!(text(&env, PATH), "six\n");
        assert_eq!(again.lost.get(), 0);
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_opened_takes_lines_once_it_can_and_keeps_what_it_has() {
        let (_disk, env, file) = opened(false).await;
        write(&file, &["to the log"]).await;
        file.reopen();
        env.fs().create_dir_all(Path::new("/log")).expect("a folder");
        file.reopen();
        write(&file, &["one"]).await;
        env.fs().rename(Path::new("/log"), Path::new("/moved")).expect("renamed");
        file.reopen();
        write(&file, &["two"]).await;
        assert_eq!(text(&env, "/moved/access.log"), "one\ntwo\n");
    }

    #[tokio::test]
    async fn a_disk_that_is_full_or_fails_costs_lines_and_nothing_else() {
        let (disk, env, file) = opened(true).await;
        write(&file, &["one"]).await;
        for what in ["full", "failing"] {
            match what {
                "full" => disk.set_bytes_max(Some(disk.used_bytes())),
                _ => disk.set_error_rate(OpKind::Write, 1_000),
            }
            let before = file.lost.get();
            write(&file, &["lost", "lost"]).await;
            write(&file, &["lost"]).await;
            assert_eq!(file.lost.get() - before, 3, "{what}");
            disk.set_bytes_max(None);
            disk.set_error_rate(OpKind::Write, 0);
            write(&file, &[what]).await;
        }
        let text = text(&env, PATH);
        // A part of what failed may be there, though never before a line that was written.
        let whole: Vec<&str> = text.lines().filter(|line| !"lost".starts_with(line)).collect();
        assert_eq!(whole, ["one", "full", "failing"], "{text}");
    }

    #[tokio::test]
    async fn what_finds_no_room_is_lost_and_counted() {
        let (_disk, env, file) = opened(true).await;
        // Nothing is written before this task waits for something.
        let line = "x".repeat(WAITING_BYTES_MAX / 4 - 1);
        (0..6).for_each(|_| file.line(&line));
        assert_eq!(file.lost.get(), 2);
        assert!(file.waiting.lock().text.len() <= WAITING_BYTES_MAX);
        write(&file, &["y"]).await;
        assert_eq!(text(&env, PATH).lines().count(), 4, "the last one found none either");
        write(&file, &["y"]).await;
        assert_eq!((text(&env, PATH).lines().count(), file.lost.get()), (5, 3));
    }
}
