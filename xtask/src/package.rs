//! `cargo xtask package`: deb and rpm packages of the programs, with checksums and signatures.
//!
//! Three packages: `influxdb-meta` and `influxdb-data` for clusters whose nodes are added, `influxdb` for the server that
//! stands alone or joins. What is in them stands in `packaging/`; scripts there have words as `@SERVICE@` that are put
//! in here. `dpkg-deb` and `rpmbuild` write the archives. The same input gives the same bytes: every time in them is
//! `SOURCE_DATE_EPOCH`, by default that of the last commit.

mod deb;
mod kind;
mod rpm;
mod stage;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use crate::process::{self, cargo, run};
use kind::{KINDS, Kind};
use stage::Stage;

/// What makes the programs such as FIPS 140 allows.
const FIPS_FEATURES: &str = "influxd/fips,influxd-ctl/fips,influx/fips";

/// What `cargo xtask package` was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    profile: Option<String>,
    bin: Option<PathBuf>,
    out: Option<PathBuf>,
    revision: Option<u32>,
    sign_key: Option<String>,
    quick: bool,
    fips: bool,
    test: bool,
}

/// What all packages of one run share.
#[derive(Debug)]
struct Release {
    /// What clients and members are told, as `1.12.4-c1.12.4`.
    compatible: String,
    /// Counts our releases of it.
    revision: u32,
    /// Seconds since 1970 that every file has.
    epoch: u64,
    /// Whether time matters more than size.
    quick: bool,
    /// Whether the programs are those that FIPS 140 allows.
    fips: bool,
}

pub(crate) fn command(words: &[&str]) -> anyhow::Result<()> {
    let options = Options::parse(words)?;
    let root = crate::root();
    let release = Release { fips: options.fips, ..Release::find(&root, options.revision, options.quick)? };
    let out = options.out.clone().unwrap_or_else(|| target().join("package"));
    // Their packages have the same names.
    let out = if options.fips { out.join("fips") } else { out };
    fs::create_dir_all(&out).with_context(|| out.display().to_string())?;
    let bin = programs(&options)?;
    let files = build(&root, &bin, &out, &release, KINDS)?;
    copy_containers(&root, &out)?;
    for file in &files {
        checksum(file)?;
        if let Some(key) = &options.sign_key {
            sign(file, key, None)?;
        }
    }
    if options.test { test(&root, &bin, &out, &release, &files) } else { Ok(()) }
}

/// Puts what images are built from beside the packages that go into them.
fn copy_containers(root: &Path, out: &Path) -> anyhow::Result<()> {
    let (from, to) = (root.join("packaging/containers"), out.join("containers"));
    fs::create_dir_all(&to).with_context(|| to.display().to_string())?;
    for entry in fs::read_dir(&from).with_context(|| from.display().to_string())? {
        let entry = entry.context("packaging/containers")?;
        fs::copy(entry.path(), to.join(entry.file_name())).with_context(|| entry.path().display().to_string())?;
    }
    Ok(())
}

/// Tries what was made: the same bytes a second time, signatures that others can verify, and a life in systems of their own.
fn test(root: &Path, bin: &Path, out: &Path, release: &Release, files: &[PathBuf]) -> anyhow::Result<()> {
    let again = build(root, bin, &out.join("again"), release, &KINDS[..1])?;
    for (file, again) in files.iter().zip(&again) {
        let same = fs::read(file).context("a package")? == fs::read(again).context("a package")?;
        ensure!(same, "{} has other bytes the second time", file.display());
    }
    say("the same bytes a second time");
    fs::remove_dir_all(out.join("again")).context("remove what was made again")?;
    signatures_hold(out, files)?;
    let next =
        Release { compatible: release.compatible.clone(), revision: release.revision + 1, quick: true, ..*release };
    let to = out.join("next");
    build(root, bin, &to, &next, KINDS)?;
    let words = [root.join("packaging/test/run.sh"), out.to_owned(), to].map(|path| path.display().to_string());
    // What FIPS changes, and that it changes nothing else of how packages come and go.
    let parts: &[&str] = if release.fips { &["fips", "sysv", "rpm"] } else { &[] };
    run("bash", &[&words.each_ref().map(String::as_str), parts].concat())
}

/// Signs with a key made for this, and verifies with nothing but its public half.
fn signatures_hold(out: &Path, files: &[PathBuf]) -> anyhow::Result<()> {
    let keys = out.join("test-keys");
    let (mine, theirs) = (keys.join("mine"), keys.join("theirs"));
    for home in [&keys, &mine, &theirs] {
        fs::create_dir_all(home).with_context(|| home.display().to_string())?;
        fs::set_permissions(home, fs::Permissions::from_mode(0o700)).with_context(|| home.display().to_string())?;
    }
    let gpg = |home: &Path, words: &[&str]| {
        let mut command = Command::new("gpg");
        let done = command.arg("--homedir").arg(home).args(["--batch", "--yes"]).args(words).output();
        let done = done.context("start gpg (apt-get install gnupg)")?;
        let told = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
        ensure!(done.status.success(), "gpg {words:?}: {told}");
        Ok(told)
    };
    let name = "Package test <test@localhost>";
    let public = keys.join("public.asc").display().to_string();
    gpg(&mine, &["--passphrase", "", "--quick-generate-key", name, "ed25519", "sign", "never"])?;
    gpg(&mine, &["--armor", "--output", &public, "--export", name])?;
    gpg(&theirs, &["--import", &public])?;
    for file in files {
        let signature = sign(file, name, Some(&mine))?;
        let told = gpg(&theirs, &["--verify", &signature, &file.display().to_string()])?;
        ensure!(told.contains(&format!("Good signature from \"{name}\"")), "{told}");
    }
    for home in [&mine, &theirs] {
        // Nobody waits for its agent.
        let _ = Command::new("gpgconf").arg("--homedir").arg(home).args(["--kill", "all"]).status();
    }
    say(&format!("{} signatures are good", files.len()));
    fs::remove_dir_all(&keys).context("remove the keys")
}

impl Options {
    fn parse(words: &[&str]) -> anyhow::Result<Options> {
        let mut options = Options::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().map(|value| (*value).to_owned()).with_context(|| format!("{word} what?"));
            match *word {
                "--profile" => options.profile = Some(value()?),
                "--bin" => options.bin = Some(value()?.into()),
                "--out" => options.out = Some(value()?.into()),
                "--revision" => options.revision = Some(value()?.parse().context("--revision is a number")?),
                "--sign-key" => options.sign_key = Some(value()?),
                "--quick" => options.quick = true,
                "--fips" => options.fips = true,
                "--test" => options.test = true,
                other => bail!("cargo xtask package has no option {other}"),
            }
        }
        ensure!(options.bin.is_none() || options.profile.is_none(), "--bin brings programs, --profile builds them");
        Ok(options)
    }
}

impl Release {
    fn find(root: &Path, revision: Option<u32>, quick: bool) -> anyhow::Result<Release> {
        let source = fs::read_to_string(root.join("bins/influxd/src/lib.rs")).context("bins/influxd/src/lib.rs")?;
        let compatible = compatible_version(&source).context("CLUSTER_VERSION stands in bins/influxd/src/lib.rs")?;
        let revision = match revision {
            Some(revision) => revision,
            None => {
                let text = fs::read_to_string(root.join("packaging/revision")).context("packaging/revision")?;
                text.trim().parse().context("packaging/revision is a number")?
            }
        };
        let epoch = match std::env::var("SOURCE_DATE_EPOCH") {
            Ok(text) => text.parse().context("SOURCE_DATE_EPOCH is a number of seconds")?,
            Err(_) => {
                let text = process::output("git", &["log", "-1", "--format=%ct"])?;
                text.trim().parse().context("the time of the last commit")?
            }
        };
        Ok(Release { compatible, revision, epoch, quick, fips: false })
    }

    /// When it was made, for files.
    fn time(&self) -> std::time::SystemTime {
        std::time::UNIX_EPOCH + Duration::from_secs(self.epoch)
    }
}

/// The one constant that says what the programs are compatible with.
fn compatible_version(source: &str) -> Option<String> {
    let after = source.split("CLUSTER_VERSION: &str = \"").nth(1)?;
    after.split('"').next().map(str::to_owned)
}

fn target() -> PathBuf {
    let release = process::target_dir("release");
    release.parent().map(Path::to_owned).unwrap_or(release)
}

/// The folder with the programs, built if none was given.
fn programs(options: &Options) -> anyhow::Result<PathBuf> {
    if let Some(bin) = &options.bin {
        return Ok(bin.clone());
    }
    let profile = options.profile.as_deref().unwrap_or("release");
    say(&format!("building the programs (profile {profile})"));
    let packages = ["-p", "influxd", "-p", "influxd-ctl", "-p", "influx"];
    let features: &[&str] = if options.fips { &["--features", FIPS_FEATURES] } else { &[] };
    run(&cargo(), &[&["build", "--profile", profile], &packages[..], features].concat())?;
    Ok(process::target_dir(if profile == "dev" { "debug" } else { profile }))
}

fn build(root: &Path, bin: &Path, out: &Path, release: &Release, kinds: &[Kind]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let count = kinds.len() * 2;
    for kind in kinds {
        let stage = Stage::make(kind, root, bin, &out.join("stage").join(kind.name), release)?;
        for make in [deb::make, rpm::make] {
            let file = make(kind, &stage, out, release)?;
            files.push(file);
            let file = files.last().context("it was just put there")?;
            let bytes = fs::metadata(file).with_context(|| file.display().to_string())?.len();
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            say(&format!("[{}/{count}] {name}  {:.1} MB", files.len(), bytes as f64 / 1e6));
        }
    }
    fs::remove_dir_all(out.join("stage")).context("remove what was staged")?;
    Ok(files)
}

/// Puts a checksum beside a package, as `sha256sum -c` reads it.
fn checksum(file: &Path) -> anyhow::Result<()> {
    let folder = file.parent().context("a package lies in a folder")?;
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let done = Command::new("sha256sum").arg(&name).current_dir(folder).output().context("start sha256sum")?;
    ensure!(done.status.success(), "sha256sum {name}: {}", String::from_utf8_lossy(&done.stderr));
    fs::write(folder.join(format!("{name}.sha256")), &done.stdout).with_context(|| format!("{name}.sha256"))
}

/// Puts a signature beside a package; its path.
fn sign(file: &Path, key: &str, home: Option<&Path>) -> anyhow::Result<String> {
    let file = file.display().to_string();
    let signature = format!("{file}.asc");
    let home = home.map(|home| home.display().to_string());
    let mut flags = home.as_deref().map(|home| vec!["--homedir", home]).unwrap_or_default();
    flags.extend(["--batch", "--yes", "--armor", "--local-user", key, "--output", &signature, "--detach-sign", &file]);
    run("gpg", &flags).with_context(|| format!("sign {file} with {key}"))?;
    Ok(signature)
}

/// Runs a program that writes an archive; says how to get it where it is missing.
fn archive(command: &mut Command, debian_package: &str) -> anyhow::Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let done = match command.output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            bail!("{name} is missing: apt-get install {debian_package}, or the package of your system that has it")
        }
        other => other.with_context(|| format!("start {name}"))?,
    };
    let told = [done.stdout, done.stderr].concat();
    ensure!(done.status.success(), "{name}: {}\n{}", done.status, String::from_utf8_lossy(&told));
    Ok(())
}

fn say(text: &str) {
    crate::say(&format!("{text}\n"));
}

/// The architecture as each of the two kinds of packages calls it.
fn architecture() -> anyhow::Result<(&'static str, &'static str)> {
    match std::env::consts::ARCH {
        "x86_64" => Ok(("amd64", "x86_64")),
        "aarch64" => Ok(("arm64", "aarch64")),
        other => bail!("packages for {other} have no name yet"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_slips_are_told() {
        let words =
            ["--profile", "dev", "--out", "/o", "--revision", "3", "--sign-key", "k", "--quick", "--fips", "--test"];
        let want = Options {
            profile: Some("dev".to_owned()),
            bin: None,
            out: Some("/o".into()),
            revision: Some(3),
            sign_key: Some("k".to_owned()),
            quick: true,
            fips: true,
            test: true,
        };
        assert_eq!(Options::parse(&words).expect("options"), want);
        let refused = |words: &[&str]| Options::parse(words).expect_err("refused").to_string();
        assert_eq!(refused(&["--bin"]), "--bin what?");
        assert_eq!(refused(&["--revision", "one"]), "--revision is a number");
        assert_eq!(refused(&["--slow"]), "cargo xtask package has no option --slow");
        assert_eq!(refused(&["--bin", "b", "--profile", "dev"]), "--bin brings programs, --profile builds them");
    }

    #[test]
    fn the_version_is_that_of_the_programs_and_the_revision_that_of_the_file() {
        let release = Release::find(&crate::root(), None, false).expect("a release");
        let (level, cluster) = release.compatible.split_once("-c").expect("two levels");
        assert!(level == cluster && level.split('.').count() == 3, "{}", release.compatible);
        assert!(release.revision > 0 && release.epoch > 1_700_000_000);
        assert_eq!(Release::find(&crate::root(), Some(7), false).expect("a release").revision, 7);
        assert_eq!(compatible_version("pub const CLUSTER_VERSION: &str = \"1-c1\";"), Some("1-c1".to_owned()));
        assert_eq!(compatible_version("nothing"), None);
    }

    #[test]
    fn a_missing_program_is_told_with_its_package() {
        let error = archive(&mut Command::new("no-such-archiver"), "archiver").expect_err("it is not there");
        assert!(error.to_string().starts_with("no-such-archiver is missing: apt-get install archiver"), "{error}");
    }
}
