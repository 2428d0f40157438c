//! The three packages: what they are called, what is in them, and what their scripts are told.

/// One package.
#[derive(Debug)]
pub(super) struct Kind {
    /// What it is called.
    pub(super) name: &'static str,
    /// What it is, in a line.
    pub(super) summary: &'static str,
    /// What it is, in more.
    pub(super) about: &'static str,
    /// Its service.
    pub(super) service: &'static str,
    /// The program that the service runs.
    pub(super) program: &'static str,
    /// Programs in `/usr/bin`.
    pub(super) binaries: &'static [&'static str],
    /// The configuration in `packaging/etc`, and its name in `/etc/influxdb`.
    pub(super) config: (&'static str, &'static str),
    /// The unit in `packaging/scripts`.
    pub(super) unit: &'static str,
    /// The name of the init script in `/usr/lib/influxdb/scripts`. Not the same in packages that may be on one host.
    pub(super) init: &'static str,
    /// The script that starts the program for the unit, if it does not do so itself.
    pub(super) start_script: Option<&'static str>,
    /// The log in `/var/log/influxdb` where no journal is.
    pub(super) log: &'static str,
    /// Flags that the file of the environment shows.
    pub(super) options_example: &'static str,
    /// Directories of state, and their modes.
    pub(super) directories: &'static [(&'static str, u32)],
    /// Packages that have files of the same names.
    pub(super) conflicts: &'static [&'static str],
    /// Packages that the scripts need, as Debian calls them.
    pub(super) needs: &'static [&'static str],
}

const DATA_DIRECTORIES: &[(&str, u32)] = &[
    ("/var/lib/influxdb/data", 0o755),
    ("/var/lib/influxdb/meta", 0o755),
    ("/var/lib/influxdb/wal", 0o700),
    ("/var/lib/influxdb/hh", 0o700),
];

pub(super) const KINDS: &[Kind] = &[
    Kind {
        name: "influxdb-meta",
        summary: "Meta node of a cluster of time series databases",
        about: "influxd-meta keeps the metadata of a cluster that speaks InfluxDB 1.x: members, databases, users and \
                owners of shards. influxd-ctl adds, shows and removes members.",
        service: "influxdb-meta",
        program: "influxd-meta",
        binaries: &["influxd-meta", "influxd-ctl"],
        config: ("influxdb-meta.conf", "influxdb-meta.conf"),
        unit: "influxdb-meta.service",
        init: "init-meta.sh",
        start_script: None,
        log: "influxdb-meta.log",
        options_example: "-single-server",
        directories: &[("/var/lib/influxdb/meta", 0o755)],
        conflicts: &[],
        needs: &["passwd"],
    },
    Kind {
        name: "influxdb-data",
        summary: "Data node of a cluster of time series databases",
        about: "influxd keeps points and answers queries as InfluxDB 1.x does. Started from this package it waits until \
                influxd-ctl adds it to a cluster. influx is its shell.",
        service: "influxdb",
        program: "influxd",
        binaries: &["influxd", "influx"],
        config: ("influxdb-data.conf", "influxdb.conf"),
        unit: "influxdb-data.service",
        init: "init.sh",
        start_script: Some("influxd-systemd-start.sh"),
        log: "influxdb.log",
        options_example: "-hostname <name>",
        directories: DATA_DIRECTORIES,
        conflicts: &["influxdb", "influxdb-client", "influxdb2", "influxdb2-cli"],
        needs: &["passwd", "curl"],
    },
    Kind {
        name: "influxdb",
        summary: "Time series database that stands alone or joins others",
        about: "influxd keeps points and answers queries as InfluxDB 1.x does. Started from this package it stands alone, \
                or joins a cluster with -join. influx is its shell.",
        service: "influxdb",
        program: "influxd",
        binaries: &["influxd", "influx"],
        config: ("influxdb.conf", "influxdb.conf"),
        unit: "influxdb.service",
        init: "init.sh",
        start_script: None,
        log: "influxd.log",
        options_example: "-join <host>:8091",
        directories: DATA_DIRECTORIES,
        conflicts: &["influxdb-data", "influxdb-client", "influxdb2", "influxdb2-cli"],
        needs: &["passwd"],
    },
];

impl Kind {
    /// A script or unit with its words put in. `functions` is what the maintainer scripts share, with its words put in.
    pub(super) fn render(&self, template: &str, functions: &str) -> String {
        let directories: Vec<String> =
            self.directories.iter().map(|(path, mode)| format!("make_directory {mode:o} {path}")).collect();
        let words = [
            ("@FUNCTIONS@", functions),
            ("@PACKAGE@", self.name),
            ("@SUMMARY@", self.summary),
            ("@SERVICE@", self.service),
            ("@PROGRAM@", self.program),
            ("@CONFIG@", self.config.1),
            ("@INIT@", self.init),
            ("@LOG@", self.log),
            // The name that the shipped files tell for the log of requests; there is one if it is asked for.
            ("@REQUESTS@", if self.program == "influxd" { " /var/log/influxdb/access.log" } else { "" }),
            ("@OPTIONS_EXAMPLE@", self.options_example),
            ("@DIRECTORIES@", &directories.join("\n    ")),
        ];
        words.iter().fold(template.to_owned(), |text, (word, with)| text.replace(word, with))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::process::Command;

    use super::*;
    use crate::package::stage::files;

    #[test]
    fn the_log_of_requests_is_rotated_where_there_may_be_one() {
        for kind in KINDS {
            let files = files(kind, &crate::root(), false).expect("files");
            let path = format!("/etc/logrotate.d/{}", kind.service);
            let (_, text) = files.iter().find(|(name, _)| *name == path).expect("it is there");
            let logs = text.lines().next().unwrap_or_default();
            assert!(logs.starts_with(&format!("/var/log/influxdb/{}", kind.log)), "{logs}");
            assert_eq!(logs.contains(" /var/log/influxdb/access.log {"), kind.program == "influxd", "{logs}");
        }
    }

    #[test]
    fn every_script_is_rendered_whole_and_is_a_script() {
        for kind in KINDS {
            for (path, text) in files(kind, &crate::root(), false).expect("files") {
                assert!(!text.contains(" @") && !text.contains("/@"), "{path} of {}: {text}", kind.name);
                let is_script = text.starts_with("#!/bin/sh");
                assert!(is_script || !path.ends_with(".sh"), "{path}");
                if is_script {
                    let done = Command::new("sh").args(["-n", "-c", &text]).output().expect("sh");
                    assert!(done.status.success(), "{path}: {}", String::from_utf8_lossy(&done.stderr));
                }
            }
        }
    }

    #[test]
    fn packages_that_may_be_on_one_host_share_no_file() {
        let of = |index: usize| -> BTreeSet<String> {
            let kind: &Kind = &KINDS[index];
            let texts = files(kind, &crate::root(), false).expect("files").into_iter().map(|(path, _)| path);
            texts.chain(kind.binaries.iter().map(|name| format!("/usr/bin/{name}"))).collect()
        };
        let (meta, data, classic) = (of(0), of(1), of(2));
        assert_eq!(meta.intersection(&data).count() + meta.intersection(&classic).count(), 0);
        assert!(KINDS[1].conflicts.contains(&KINDS[2].name) && KINDS[2].conflicts.contains(&KINDS[1].name));
    }

    #[test]
    fn the_line_of_a_service_is_that_of_the_guides() {
        let files = |kind: &Kind| files(kind, &crate::root(), false).expect("files");
        let meta: String = files(&KINDS[0]).into_iter().map(|(_, text)| text).collect();
        assert!(
            meta.contains("\nExecStart=/usr/bin/influxd-meta -config /etc/influxdb/influxdb-meta.conf $INFLUXD_OPTS\n")
        );
        let classic: String = files(&KINDS[2]).into_iter().map(|(_, text)| text).collect();
        assert!(
            classic.contains("exec /usr/bin/influxd -config /etc/influxdb/influxdb.conf ${INFLUXD_OPTS} >>${STDOUT}")
        );
    }
}
