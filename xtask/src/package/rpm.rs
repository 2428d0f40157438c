//! Packages for Red Hat and its kin, written by `rpmbuild`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use super::{Kind, Release, Stage, architecture, archive};

pub(super) fn make(kind: &Kind, stage: &Stage, out: &Path, release: &Release) -> anyhow::Result<PathBuf> {
    let (_, architecture) = architecture()?;
    let top = out.join("stage").join(format!("{}.rpmbuild", kind.name));
    if top.exists() {
        fs::remove_dir_all(&top).with_context(|| top.display().to_string())?;
    }
    fs::create_dir_all(&top).with_context(|| top.display().to_string())?;
    let spec = top.join("package.spec");
    fs::write(&spec, text(kind, stage, release)?).with_context(|| spec.display().to_string())?;
    let mut command = Command::new("rpmbuild");
    command.env("SOURCE_DATE_EPOCH", release.epoch.to_string());
    command.args(["-bb", "--target", &format!("{architecture}-linux")]);
    command.args(["--define", &format!("_topdir {}", top.display())]);
    command.args(["--define", &format!("_rpmdir {}", out.display())]);
    command.args(["--define", "_rpmfilename %{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm"]);
    archive(command.arg(&spec), "rpm")?;
    let name = format!("{}-{}-{}.{architecture}.rpm", kind.name, version(release), release.revision);
    let file = out.join(name);
    ensure!(file.exists(), "rpmbuild did not write {}", file.display());
    Ok(file)
}

/// A version of an rpm has no dash.
fn version(release: &Release) -> String {
    release.compatible.replace('-', "_")
}

fn text(kind: &Kind, stage: &Stage, release: &Release) -> anyhow::Result<String> {
    let mut spec = format!(
        "%define _buildhost localhost\n%define use_source_date_epoch_as_buildtime 1\n\
         %define clamp_mtime_to_source_date_epoch 1\n%define _build_id_links none\n\
         %define _binary_payload {}\n%define __os_install_post %{{nil}}\n%define debug_package %{{nil}}\n\
         Name: {}\nVersion: {}\nRelease: {}\nSummary: {}\nLicense: MIT or ASL 2.0\nGroup: Applications/Databases\n\
         Requires(pre): shadow-utils\n",
        if release.quick { "w1.gzdio" } else { "w6.xzdio" },
        kind.name,
        version(release),
        release.revision,
        kind.summary,
    );
    for name in kind.needs.iter().filter(|name| **name != "passwd") {
        spec.push_str(&format!("Requires: {name}\n"));
    }
    for name in kind.conflicts {
        spec.push_str(&format!("Conflicts: {name}\n"));
    }
    spec.push_str(&format!("\n%description\n{}\n\n%install\n", kind.about));
    spec.push_str(&format!("cp -a '{}/.' '%{{buildroot}}/'\n", stage.root.display()));
    for name in ["pre", "post", "preun", "postun"] {
        // A percent sign of a script is none of a macro.
        let script = stage.script(&format!("{name}.rpm"))?.replace('%', "%%");
        spec.push_str(&format!("\n%{name}\n{script}"));
    }
    spec.push_str("\n%files\n");
    for path in &stage.files {
        let how = match path {
            path if path.starts_with("/etc/influxdb/") => "%attr(0640, root, influxdb) %config(noreplace) ",
            path if path.starts_with("/etc/") => "%attr(0644, root, root) %config(noreplace) ",
            path if path.starts_with("/usr/bin/") || path.ends_with(".sh") => "%attr(0755, root, root) ",
            _ => "%attr(0644, root, root) ",
        };
        spec.push_str(&format!("{how}{path}\n"));
    }
    Ok(spec)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::kind::KINDS;

    #[test]
    fn a_spec_keeps_configuration_and_says_what_it_needs() {
        let release =
            Release { compatible: "1.12.4-c1.12.4".to_owned(), revision: 2, epoch: 0, quick: false, fips: false };
        let scripts = ["pre.rpm", "post.rpm", "preun.rpm", "postun.rpm"].map(|name| (name, "echo 5%\n".to_owned()));
        let stage = Stage {
            root: PathBuf::from("/stage"),
            files: vec!["/etc/influxdb/influxdb.conf".to_owned(), "/usr/bin/influxd".to_owned()],
            scripts: scripts.to_vec(),
            glibc: (2, 34),
            bytes: 1,
        };
        let text = text(&KINDS[1], &stage, &release).expect("a spec");
        for line in [
            "Version: 1.12.4_c1.12.4\nRelease: 2\n",
            "Requires: curl\nConflicts: influxdb\n",
            "\n%post\necho 5%%\n",
            "\n%attr(0640, root, influxdb) %config(noreplace) /etc/influxdb/influxdb.conf\n",
            "\n%attr(0755, root, root) /usr/bin/influxd\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
        assert!(!text.contains("Requires: passwd"));
    }
}
