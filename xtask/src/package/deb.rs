//! Packages for Debian and its kin, written by `dpkg-deb`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use super::{Kind, Release, Stage, architecture, archive, stage};

pub(super) fn make(kind: &Kind, stage: &Stage, out: &Path, release: &Release) -> anyhow::Result<PathBuf> {
    let (name, _) = architecture()?;
    let about = stage.root.join("DEBIAN");
    fs::create_dir(&about).context("DEBIAN")?;
    let conffiles: String = conffiles(stage).map(|path| format!("{path}\n")).collect();
    fs::write(about.join("control"), control(kind, stage, release, name)).context("DEBIAN/control")?;
    fs::write(about.join("conffiles"), conffiles).context("DEBIAN/conffiles")?;
    for script in ["postinst", "prerm", "postrm"] {
        let path = about.join(script);
        fs::write(&path, stage.script(&format!("{script}.deb"))?).with_context(|| script.to_owned())?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).with_context(|| script.to_owned())?;
    }
    stage::set_times(&stage.root, release.time())?;
    let file = out.join(format!("{}_{}_{name}.deb", kind.name, version(release)));
    let mut command = Command::new("dpkg-deb");
    // More threads would cut the compressed data elsewhere.
    command.env("SOURCE_DATE_EPOCH", release.epoch.to_string()).env("DPKG_DEB_THREADS_MAX", "1");
    let compression: &[&str] = if release.quick { &["-Zgzip", "-z1"] } else { &["-Zxz"] };
    command.args(["--build", "--root-owner-group"]).args(compression).arg(&stage.root).arg(&file);
    archive(&mut command, "dpkg")?;
    // The same files go into another kind of package.
    fs::remove_dir_all(&about).context("DEBIAN")?;
    Ok(file)
}

/// Files that an upgrade leaves as they are.
fn conffiles(stage: &Stage) -> impl Iterator<Item = &String> {
    stage.files.iter().filter(|path| path.starts_with("/etc/"))
}

fn version(release: &Release) -> String {
    format!("{}-{}", release.compatible, release.revision)
}

fn control(kind: &Kind, stage: &Stage, release: &Release, architecture: &str) -> String {
    let (major, minor) = stage.glibc;
    let libc = (major > 0).then(|| format!("libc6 (>= {major}.{minor})"));
    let depends: Vec<String> = libc.into_iter().chain(kind.needs.iter().map(|name| (*name).to_owned())).collect();
    let mut text = format!(
        "Package: {}\nVersion: {}\nArchitecture: {architecture}\nMaintainer: The Mainstem authors \
         <mainstem@localhost>\nSection: database\nPriority: optional\nInstalled-Size: {}\nDepends: {}\nRecommends: \
         logrotate\n",
        kind.name,
        version(release),
        stage.bytes.div_ceil(1024),
        depends.join(", "),
    );
    if !kind.conflicts.is_empty() {
        let others = kind.conflicts.join(", ");
        text.push_str(&format!("Conflicts: {others}\nReplaces: {others}\n"));
    }
    text.push_str(&format!("Description: {}\n {}\n", kind.summary, kind.about));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::kind::KINDS;

    #[test]
    fn control_says_what_is_in_it_and_what_it_needs() {
        let release =
            Release { compatible: "1.12.4-c1.12.4".to_owned(), revision: 2, epoch: 0, quick: false, fips: false };
        let stage = Stage {
            root: PathBuf::new(),
            files: vec!["/etc/influxdb/influxdb.conf".to_owned(), "/usr/bin/influxd".to_owned()],
            scripts: Vec::new(),
            glibc: (2, 34),
            bytes: 1025,
        };
        let text = control(&KINDS[1], &stage, &release, "amd64");
        for line in [
            "Package: influxdb-data\n",
            "Version: 1.12.4-c1.12.4-2\n",
            "Installed-Size: 2\n",
            "Depends: libc6 (>= 2.34), passwd, curl\n",
            "Conflicts: influxdb, influxdb-client, influxdb2, influxdb2-cli\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
        assert!(!control(&KINDS[0], &stage, &release, "amd64").contains("Conflicts"));
        assert_eq!(conffiles(&stage).collect::<Vec<_>>(), ["/etc/influxdb/influxdb.conf"]);
    }
}
