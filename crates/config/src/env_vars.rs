//! The environment over the file: `INFLUXDB_<TABLE>_<KEY>`, upper case, dashes as underscores.

use crate::file::{ConfigError, Settings};
use crate::keys::{Key, Kind, LISTENER_TABLES, Program};

/// Names under which a key can be set, the regular one first.
pub fn names(key: &Key) -> Vec<String> {
    let spell = |table: &str| {
        let mut name = String::from("INFLUXDB");
        for part in [table, key.name] {
            if !part.is_empty() {
                name.push('_');
                name.push_str(&part.to_ascii_uppercase().replace('-', "_"));
            }
        }
        name
    };
    let mut names = vec![spell(key.table)];
    match (key.table, key.name) {
        ("cluster", "allow-out-of-order-writes") => names.push("INFLUXDB_CLUSTER_ALLOW_OUT_OF_ORDER".to_owned()),
        ("data", "max-concurrent-compactions") => {
            names.push("INFLUXDB_DATA_CACHE_MAX_CONCURRENT_COMPACTIONS".to_owned());
        }
        _ => {}
    }
    if key.table == "cluster" {
        names.push(spell("coordinator"));
    }
    names
}

/// Puts the environment, as `lookup` tells it, over the settings. An empty variable counts as not set.
///
/// # Errors
/// A sentence that names the variable and its text.
pub fn apply(settings: &mut Settings, lookup: &dyn Fn(&str) -> Option<String>) -> Result<(), ConfigError> {
    let given = |name: &str| lookup(name).filter(|value| !value.is_empty());
    for key in settings.program().keys() {
        let set = names(key).into_iter().find_map(|name| {
            let value = given(&name).or_else(|| if key.kind == Kind::List { items(&name, &given) } else { None })?;
            Some((name, value))
        });
        if let Some((name, value)) = set {
            settings.put_text(key, &value, &name).map_err(|reason| {
                ConfigError(format!(
                    "apply env config: failed to apply {name} to {} using type {:?} and value '{value}': {reason}",
                    crate::file::path(key.table, key.name),
                    key.kind
                ))
            })?;
        }
    }
    if settings.program() != Program::Influxd {
        return Ok(());
    }
    for table in LISTENER_TABLES {
        let spelled = table.to_ascii_uppercase();
        for name in [format!("INFLUXDB_{spelled}_ENABLED"), format!("INFLUXDB_{spelled}_0_ENABLED")] {
            if given(&name).is_some_and(|value| ["1", "t", "T", "TRUE", "true", "True"].contains(&value.as_str())) {
                settings.enable_listener(table, &name);
            }
        }
    }
    Ok(())
}

/// A list that has a variable for each of its items: `…_0`, `…_1`.
fn items(name: &str, given: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let items: Vec<String> = (0..).map_while(|index: usize| given(&format!("{name}_{index}"))).collect();
    (!items.is_empty()).then(|| items.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn with(pairs: &[(&str, &str)]) -> Result<Settings, ConfigError> {
        let mut settings = Settings::default();
        let lookup = |name: &str| pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1.to_owned());
        apply(&mut settings, &lookup).map(|()| settings)
    }

    #[test]
    fn the_environment_reaches_every_table() {
        let settings = with(&[
            ("INFLUXDB_HOSTNAME", "web-01"),
            ("INFLUXDB_META_DIR", "/m"),
            ("INFLUXDB_HINTED_HANDOFF_ENABLED", "F"),
            ("INFLUXDB_COORDINATOR_WRITE_TIMEOUT", "2s"),
            ("INFLUXDB_META_HTTP_BIND_ADDRESS", ""),
            ("INFLUXDB_HTTP_ACCESS_LOG_STATUS_FILTERS_0", "4xx"),
            ("INFLUXDB_HTTP_ACCESS_LOG_STATUS_FILTERS_1", "500"),
        ])
        .expect("an environment");
        assert_eq!(settings.text("", "hostname"), "web-01");
        assert_eq!(settings.text("meta", "dir"), "/m");
        assert_eq!(settings.bool("hinted-handoff", "enabled"), Some(false));
        assert_eq!(settings.duration("cluster", "write-timeout"), Duration::from_secs(2));
        assert_eq!(settings.text("meta", "http-bind-address"), ":8091");
        assert_eq!(settings.list("http", "access-log-status-filters"), ["4xx", "500"]);
    }

    #[test]
    fn a_listener_that_does_not_exist_is_noticed_here_too() {
        let settings = with(&[("INFLUXDB_UDP_ENABLED", "true"), ("INFLUXDB_COLLECTD_ENABLED", "0")]).expect("settings");
        let places: Vec<&str> = settings.listeners_enabled().iter().map(|listener| listener.place.as_str()).collect();
        assert_eq!(places, ["INFLUXDB_UDP_ENABLED: [udp] enabled"]);
    }

    #[test]
    fn a_bad_variable_is_named() {
        let error = with(&[("INFLUXDB_HTTP_ENABLED", "maybe")]).expect_err("no boolean");
        assert_eq!(
            error.to_string(),
            "parse config: apply env config: failed to apply INFLUXDB_HTTP_ENABLED to [http] enabled using type \
             Bool and value 'maybe': invalid boolean \"maybe\""
        );
    }
}
