//! The files of a package as they will lie on a host, below a folder of their own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use super::{Kind, Release, archive};

/// What the C library of these programs is called in the table of what they need.
const GLIBC: &[u8] = b"GLIBC_";

/// A staged package.
#[derive(Debug)]
pub(super) struct Stage {
    /// The folder that stands for `/`.
    pub(super) root: PathBuf,
    /// Paths of all files, from `/` on, in order.
    pub(super) files: Vec<String>,
    /// The maintainer scripts, by their name in `packaging/maintainer`.
    pub(super) scripts: Vec<(&'static str, String)>,
    /// The oldest version of the C library that the programs run with.
    pub(super) glibc: (u32, u32),
    /// All bytes of all files.
    pub(super) bytes: u64,
}

/// Scripts that run when a package comes or goes.
const SCRIPTS: &[&str] = &["postinst.deb", "prerm.deb", "postrm.deb", "pre.rpm", "post.rpm", "preun.rpm", "postun.rpm"];

impl Stage {
    pub(super) fn make(kind: &Kind, root: &Path, bin: &Path, to: &Path, release: &Release) -> anyhow::Result<Stage> {
        if to.exists() {
            fs::remove_dir_all(to).with_context(|| to.display().to_string())?;
        }
        let mut stage = Stage { root: to.to_owned(), files: Vec::new(), scripts: Vec::new(), glibc: (0, 0), bytes: 0 };
        for name in kind.binaries {
            let bytes = stripped(&bin.join(name), &to.join(name))?;
            stage.glibc = stage.glibc.max(glibc_of(&bytes));
            stage.put(&format!("/usr/bin/{name}"), &bytes, 0o755)?;
        }
        for (path, text) in files(kind, root, release.fips)? {
            let mode = if text.starts_with("#!") { 0o755 } else { mode(&path) };
            stage.put(&path, text.as_bytes(), mode)?;
        }
        let functions = kind.render(&read(root, "maintainer/functions.sh")?, "");
        for name in SCRIPTS {
            let text = kind.render(&read(root, &format!("maintainer/{name}"))?, functions.trim_end());
            stage.scripts.push((name, text));
        }
        stage.files.sort();
        set_times(to, release.time())?;
        Ok(stage)
    }

    fn put(&mut self, path: &str, bytes: &[u8], mode: u32) -> anyhow::Result<()> {
        let to = self.root.join(path.trim_start_matches('/'));
        let folder = to.parent().context("a file lies in a folder")?;
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        fs::write(&to, bytes).with_context(|| to.display().to_string())?;
        fs::set_permissions(&to, fs::Permissions::from_mode(mode)).with_context(|| to.display().to_string())?;
        self.files.push(path.to_owned());
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// A maintainer script.
    pub(super) fn script(&self, name: &str) -> anyhow::Result<&str> {
        let found = self.scripts.iter().find(|(known, _)| *known == name);
        found.map(|(_, text)| text.as_str()).with_context(|| format!("there is no script {name}"))
    }
}

/// A program without what debuggers alone read. Names of functions stay, for what is logged when it ends badly.
fn stripped(program: &Path, scratch: &Path) -> anyhow::Result<Vec<u8>> {
    let folder = scratch.parent().context("a file lies in a folder")?;
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let mut command = Command::new("strip");
    archive(command.arg("--strip-debug").arg("-o").arg(scratch).arg(program), "binutils")?;
    let bytes = fs::read(scratch).with_context(|| scratch.display().to_string())?;
    fs::remove_file(scratch).with_context(|| scratch.display().to_string())?;
    Ok(bytes)
}

fn mode(path: &str) -> u32 {
    // It may hold secrets; the scripts give it to the group of the service.
    if path.starts_with("/etc/influxdb/") { 0o640 } else { 0o644 }
}

fn read(root: &Path, name: &str) -> anyhow::Result<String> {
    let path = root.join("packaging").join(name);
    fs::read_to_string(&path).with_context(|| path.display().to_string())
}

/// Every file but the programs, with its text.
pub(super) fn files(kind: &Kind, root: &Path, fips: bool) -> anyhow::Result<Vec<(String, String)>> {
    let scripts = "/usr/lib/influxdb/scripts";
    let script = |name: &str| Ok::<_, anyhow::Error>(kind.render(&read(root, &format!("scripts/{name}"))?, ""));
    let mut files = vec![
        (format!("/etc/influxdb/{}", kind.config.1), config(kind, root, fips)?),
        (format!("/etc/logrotate.d/{}", kind.service), script("logrotate")?),
        (format!("/usr/share/{}/defaults", kind.name), script("defaults")?),
        (format!("{scripts}/{}", kind.init), script("init.sh")?),
        (format!("{scripts}/{}.service", kind.service), script(kind.unit)?),
        (format!("/usr/share/doc/{}/copyright", kind.name), copyright(root)?),
    ];
    if let Some(name) = kind.start_script {
        files.push((format!("{scripts}/{name}"), script(name)?));
    }
    Ok(files)
}

/// The configuration. Programs such as FIPS 140 allows do not start with the usual hash of passwords.
fn config(kind: &Kind, root: &Path, fips: bool) -> anyhow::Result<String> {
    let usual = read(root, &format!("etc/{}", kind.config.0))?;
    if !fips {
        return Ok(usual);
    }
    let line = "  # password-hash = \"bcrypt\"\n";
    ensure!(usual.matches(line).count() == 1, "{} has no line for the hash of passwords", kind.config.0);
    Ok(usual.replace(line, "  password-hash = \"pbkdf2-sha512\"\n"))
}

fn copyright(root: &Path) -> anyhow::Result<String> {
    let licence = |name: &str| fs::read_to_string(root.join(name)).with_context(|| name.to_owned());
    let (mit, apache) = (licence("LICENSE-MIT")?, licence("LICENSE-APACHE")?);
    Ok(format!("Mainstem, by the Mainstem authors, under either of two licences.\n\n{mit}\n\n{apache}"))
}

/// The newest version of the C library that a program names.
fn glibc_of(program: &[u8]) -> (u32, u32) {
    let mut newest = (0, 0);
    for (at, _) in program.windows(GLIBC.len()).enumerate().filter(|(_, window)| *window == GLIBC) {
        let rest = &program[at + GLIBC.len()..];
        let length = rest.iter().take(8).take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
        let text = String::from_utf8_lossy(&rest[..length]);
        let mut numbers = text.split('.').map_while(|number| number.parse().ok());
        if let (Some(major), Some(minor)) = (numbers.next(), numbers.next()) {
            newest = newest.max((major, minor));
        }
    }
    newest
}

/// Gives a folder and all in it one time.
pub(super) fn set_times(path: &Path, time: std::time::SystemTime) -> anyhow::Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path).with_context(|| path.display().to_string())? {
            set_times(&entry?.path(), time)?;
        }
    }
    let file = fs::File::open(path).with_context(|| path.display().to_string())?;
    file.set_modified(time).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_c_library_that_a_program_needs_is_read_from_it() {
        assert_eq!(glibc_of(b"\0GLIBC_2.4\0GLIBC_2.34\0GLIBC_2.2.5\0GLIBC_PRIVATE\0GLIBC_"), (2, 34));
        assert_eq!(glibc_of(b"static"), (0, 0));
    }

    #[test]
    fn packages_for_fips_have_a_hash_of_passwords_that_starts() {
        for kind in crate::package::kind::KINDS {
            let of = |fips| config(kind, &crate::root(), fips).expect("a configuration");
            let changed = of(false).lines().zip(of(true).lines()).filter(|(usual, fips)| usual != fips).count();
            assert_eq!(changed, 1, "{}", kind.name);
            assert!(of(true).contains("\n  password-hash = \"pbkdf2-sha512\"\n"));
        }
    }

    #[test]
    fn secrets_are_for_the_service_alone() {
        assert_eq!((mode("/etc/influxdb/influxdb.conf"), mode("/etc/logrotate.d/influxdb")), (0o640, 0o644));
    }
}
