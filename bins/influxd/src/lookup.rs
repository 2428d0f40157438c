//! Which configuration file is used, and what comes of it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use config::{Program, Settings, Warning};

/// A configuration that was found.
#[derive(Debug)]
pub struct Found {
    /// What is set.
    pub settings: Settings,
    /// The file, or `None` when there is none and defaults apply.
    pub file: Option<PathBuf>,
    /// What in it is odd.
    pub warnings: Vec<Warning>,
}

/// Finds the file, reads it, and puts the environment over it. `flag` is the value of `-config`.
///
/// # Errors
/// A sentence that names the file, the line and the key, or the variable.
pub fn find(program: Program, flag: Option<&str>) -> anyhow::Result<Found> {
    check_variables(std::env::vars_os())?;
    let variable = |name: &str| std::env::var(name).ok();
    let (mut settings, file, mut warnings) = match file(program, flag, variable, Path::exists) {
        Some(path) => {
            let text = std::fs::read(&path).with_context(|| format!("parse config: open {}", path.display()))?;
            let (settings, warnings) = Settings::read_bytes(program, &path.display().to_string(), &text)?;
            (settings, Some(path), warnings)
        }
        None => (Settings::new(program), None, Vec::new()),
    };
    if file.is_none() {
        use_home(&mut settings)?;
    }
    config::env_vars::apply(&mut settings, &variable)?;
    let variables: Vec<(String, String)> = std::env::vars_os().filter_map(as_text).collect();
    warnings.extend(config::env_vars::unknown(variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))));
    warnings.extend(settings.without_effect());
    Ok(Found { settings, file, warnings })
}

impl Found {
    /// Tells the log which file it was, and what in it is odd.
    pub fn log(&self) {
        match &self.file {
            Some(file) => tracing::info!(path = %file.display(), "Using configuration file"),
            None => tracing::info!("No configuration provided, using default settings"),
        }
        for warning in &self.warnings {
            tracing::warn!("{}", warning.0);
        }
    }
}

/// Where a program looks for its file: a variable, and a name.
fn places(program: Program) -> (&'static str, &'static str) {
    match program {
        Program::Influxd => ("INFLUXDB_CONFIG_PATH", "influxdb.conf"),
        Program::InfluxdMeta => ("INFLUXDB_META_CONFIG_PATH", "influxdb-meta.conf"),
    }
}

/// The file that the flag names, else the environment, else the first that is there of those in the usual places.
fn file(
    program: Program,
    flag: Option<&str>,
    variable: impl Fn(&str) -> Option<String>,
    exists: impl Fn(&Path) -> bool,
) -> Option<PathBuf> {
    let (path_variable, name) = places(program);
    let mut named = [flag.map(str::to_owned), variable(path_variable)].into_iter().flatten();
    if let Some(named) = named.find(|named| !named.is_empty()) {
        return (named != "/dev/null").then(|| PathBuf::from(named));
    }
    let home = variable("HOME").map(|home| Path::new(&home).join(".influxdb").join(name));
    let usual = home.into_iter().chain([Path::new("/etc/influxdb").join(name)]);
    usual.into_iter().find(|path| exists(path))
}

/// Without a file the directories are below the home of the user.
fn use_home(settings: &mut Settings) -> anyhow::Result<()> {
    let home = std::env::var("HOME").map_err(|_| anyhow!("failed to determine current user for storage"))?;
    for (table, folder) in [("meta", "meta"), ("data", "data"), ("hinted-handoff", "hh")] {
        if let Some(key) = settings.program().find(table, "dir") {
            settings.put_default(key, &format!("{home}/.influxdb/{folder}"));
        }
    }
    Ok(())
}

fn as_text((name, value): (OsString, OsString)) -> Option<(String, String)> {
    Some((name.into_string().ok()?, value.into_string().ok()?))
}

/// A variable of ours that is no text cannot be what somebody meant.
fn check_variables(variables: impl Iterator<Item = (OsString, OsString)>) -> anyhow::Result<()> {
    for (name, value) in variables.filter(|(name, _)| name.to_string_lossy().starts_with("INFLUXDB_")) {
        if name.to_str().is_none() || value.to_str().is_none() {
            bail!("parse config: apply env config: {} is no text in UTF-8: {value:?}", name.display());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    #[test]
    fn the_flag_comes_before_the_environment_and_that_before_the_usual_places() {
        let set = |name: &str| (name == "INFLUXDB_CONFIG_PATH").then(|| "/named.conf".to_owned());
        let home = |name: &str| (name == "HOME").then(|| "/home/me".to_owned());
        let ask = |flag, variable: &dyn Fn(&str) -> Option<String>, there: &[&str]| {
            let found =
                file(Program::Influxd, flag, variable, |path| there.iter().any(|there| Path::new(there) == path));
            found.map(|path| path.display().to_string())
        };
        let usual = ["/etc/influxdb/influxdb.conf", "/home/me/.influxdb/influxdb.conf"];
        assert_eq!(ask(Some("/flag.conf"), &set, &usual).as_deref(), Some("/flag.conf"));
        assert_eq!(ask(None, &set, &usual).as_deref(), Some("/named.conf"));
        assert_eq!(ask(None, &home, &usual).as_deref(), Some("/home/me/.influxdb/influxdb.conf"));
        assert_eq!(ask(None, &home, &usual[..1]).as_deref(), Some("/etc/influxdb/influxdb.conf"));
        assert_eq!(ask(None, &home, &[]), None);
        assert_eq!(ask(Some("/dev/null"), &home, &usual), None);
        // An empty name is none.
        assert_eq!(ask(Some(""), &set, &usual).as_deref(), Some("/named.conf"));
        assert_eq!(ask(Some(""), &home, &usual[..1]).as_deref(), Some("/etc/influxdb/influxdb.conf"));
        let meta = file(Program::InfluxdMeta, None, home, |_| true);
        assert_eq!(meta, Some(PathBuf::from("/home/me/.influxdb/influxdb-meta.conf")));
    }

    #[test]
    fn variables_of_ours_are_text() {
        let pair = |name: &str, value: &[u8]| (OsString::from(name), OsString::from_vec(value.to_vec()));
        assert!(
            check_variables([pair("INFLUXDB_META_DIR", "ä".as_bytes()), pair("LESS", b"\xff")].into_iter()).is_ok()
        );
        let error = check_variables([pair("INFLUXDB_META_DIR", b"/a\xff")].into_iter()).expect_err("no text");
        assert_eq!(
            error.to_string(),
            "parse config: apply env config: INFLUXDB_META_DIR is no text in UTF-8: \"/a\\xFF\""
        );
    }
}
