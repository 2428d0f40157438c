//! The environment over the file: `INFLUXDB_<TABLE>_<KEY>`, upper case, dashes as underscores.

use crate::file::{ConfigError, Settings, Warning};
use crate::keys::{IGNORED_TABLES, Key, Kind, LISTENER_TABLES, Program};

/// Listeners of one kind that variables can number.
const LISTENERS_MAX: usize = 16;
/// How variables begin that are meant for these programs.
const PREFIX: &str = "INFLUXDB_";
/// Variables behind the prefix that name no key and have a meaning, here or to what starts the programs.
const OTHER_VARIABLES: &[&str] = &[
    "CONFIG_PATH",
    "META_CONFIG_PATH",
    "PANIC_CRASH",
    "ENTERPRISE_REGISTRATION_ENABLED",
    "INIT_SCRIPTS",
    "DB",
    "ADMIN_USER",
    "ADMIN_PASSWORD",
    "USER",
    "USER_PASSWORD",
    "READ_USER",
    "READ_USER_PASSWORD",
    "WRITE_USER",
    "WRITE_USER_PASSWORD",
];

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
            let whole = given(&name).map(|value| (name.clone(), value));
            whole.or_else(|| if key.kind == Kind::List { items(&name, &given) } else { None })
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
        let numbered = (0..LISTENERS_MAX).map(|index| format!("INFLUXDB_{spelled}_{index}_ENABLED"));
        for name in std::iter::once(format!("INFLUXDB_{spelled}_ENABLED")).chain(numbered) {
            let Some(value) = given(&name) else { continue };
            settings.enable_listener(table, &name, &value).map_err(|reason| {
                ConfigError(format!(
                    "apply env config: failed to apply {name} to [{table}] enabled using type Bool and value '{value}': \
                     {reason}"
                ))
            })?;
        }
    }
    Ok(())
}

/// The variables that look like ours and name no key of either program, one warning for each. Two programs may be given the
/// same environment.
pub fn unknown<'a>(variables: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<Warning> {
    let programs = [Program::Influxd, Program::InfluxdMeta];
    let keys = || programs.into_iter().flat_map(Program::keys);
    let is_key = |name: &str| {
        keys().any(|key| {
            names(key).iter().any(|known| match name.strip_prefix(known.as_str()) {
                Some("") => true,
                Some(item) => key.kind == Kind::List && item.strip_prefix('_').is_some_and(is_number),
                None => false,
            })
        })
    };
    let mut warnings = Vec::new();
    for (name, _) in variables.filter(|(_, value)| !value.is_empty()) {
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        let is_of = |table: &str| {
            let behind = rest.strip_prefix(&table.to_ascii_uppercase().replace('-', "_"));
            behind.is_some_and(|behind| behind.starts_with('_'))
        };
        let is_listener = LISTENER_TABLES.iter().any(|table| is_of(table));
        if OTHER_VARIABLES.contains(&rest) || is_listener || is_service_link(name) || is_key(name) {
            continue;
        }
        warnings.push(Warning(match IGNORED_TABLES.iter().find(|(table, _)| is_of(table)) {
            Some((_, why)) => format!("variable {name} has no effect: {why}"),
            None => format!("variable {name} is not known and is ignored"),
        }));
    }
    warnings.sort_by(|one, other| one.0.cmp(&other.0));
    warnings
}

/// Whether an orchestrator may have set it for a service that is called `influxdb` or alike: `INFLUXDB_SERVICE_HOST`,
/// `INFLUXDB_META_PORT_8091_TCP_ADDR`.
fn is_service_link(name: &str) -> bool {
    let numbered = |text: &str| text.split('_').next().is_some_and(is_number);
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.ends_with("_PORT")
        || name.split("_PORT_").skip(1).any(numbered)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A list that has a variable for each of its items, `…_0`, `…_1`: their names, and the items.
fn items(name: &str, given: &dyn Fn(&str) -> Option<String>) -> Option<(String, String)> {
    let items: Vec<String> = (0..).map_while(|index: usize| given(&format!("{name}_{index}"))).collect();
    let names = match items.len() {
        0 => return None,
        1 => format!("{name}_0"),
        count => format!("{name}_0 to {name}_{}", count - 1),
    };
    Some((names, items.join(",")))
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
    fn every_published_name_of_a_key_is_taken() {
        let settings = with(&[
            ("INFLUXDB_DATA_CACHE_MAX_CONCURRENT_COMPACTIONS", "0x10"),
            ("INFLUXDB_CLUSTER_ALLOW_OUT_OF_ORDER", "T"),
            ("INFLUXDB_COORDINATOR_MAX_SELECT_BUCKETS", "010"),
            ("INFLUXDB_COORDINATOR_QUERY_TIMEOUT", "1s"),
            ("INFLUXDB_CLUSTER_QUERY_TIMEOUT", "2s"),
            ("INFLUXDB_META_META_INTERNAL_SHARED_SECRET", "sixteen letters!"),
            ("INFLUXDB_CONTINUOUS_QUERIES_RUN_INTERVAL", "3s"),
            ("INFLUXDB_SHARD_PRECREATION_ADVANCE_PERIOD", "4s"),
            ("INFLUXDB_BIND_ADDRESS", ":1"),
        ])
        .expect("an environment");
        assert_eq!(settings.int("data", "max-concurrent-compactions"), 16);
        assert_eq!(settings.bool("cluster", "allow-out-of-order-writes"), Some(true));
        assert_eq!(settings.int("cluster", "max-select-buckets"), 8);
        assert_eq!(settings.duration("cluster", "query-timeout"), Duration::from_secs(2), "the regular name wins");
        assert_eq!(settings.text("meta", "meta-internal-shared-secret"), "sixteen letters!");
        assert_eq!(settings.duration("continuous_queries", "run-interval"), Duration::from_secs(3));
        assert_eq!(settings.duration("shard-precreation", "advance-period"), Duration::from_secs(4));
        assert_eq!(settings.text("", "bind-address"), ":1");
        let regular = with(&[("INFLUXDB_DATA_MAX_CONCURRENT_COMPACTIONS", "3")]).expect("an environment");
        assert_eq!(regular.int("data", "max-concurrent-compactions"), 3);
    }

    #[test]
    fn a_variable_that_names_no_key_is_warned_of_once() {
        let given = [
            ("INFLUXDB_NOSUCH_KEY", "1"),
            ("INFLUXDB_META_DIRECTORY", "/m"),
            ("INFLUXDB_ADMIN_ENABLED", "true"),
            ("INFLUXDB_HTTP_ENABLED_0", "true"),
        ];
        let warned: Vec<String> = unknown(given.into_iter()).into_iter().map(|warning| warning.0).collect();
        assert_eq!(
            warned,
            [
                "variable INFLUXDB_ADMIN_ENABLED has no effect: there is no admin interface",
                "variable INFLUXDB_HTTP_ENABLED_0 is not known and is ignored",
                "variable INFLUXDB_META_DIRECTORY is not known and is ignored",
                "variable INFLUXDB_NOSUCH_KEY is not known and is ignored",
            ]
        );
        let fine = [
            ("INFLUXDB_NOSUCH_EMPTY", ""),
            ("HOME", "/root"),
            ("INFLUXDB_HOSTNAME", "a"),
            // Keys of either program.
            ("INFLUXDB_META_META_TLS_ENABLED", "true"),
            ("INFLUXDB_META_LEASE_DURATION", "1m"),
            ("INFLUXDB_COORDINATOR_QUERY_TIMEOUT", "1s"),
            ("INFLUXDB_DATA_CACHE_MAX_CONCURRENT_COMPACTIONS", "1"),
            ("INFLUXDB_HTTP_ACCESS_LOG_STATUS_FILTERS_12", "4xx"),
            ("INFLUXDB_UDP_0_BIND_ADDRESS", ":1"),
            // Of others.
            ("INFLUXDB_CONFIG_PATH", "/c"),
            ("INFLUXDB_READ_USER_PASSWORD", "p"),
            ("INFLUXDB_PORT", "tcp://10.0.0.1:8086"),
            ("INFLUXDB_SERVICE_PORT_HTTP", "8086"),
            ("INFLUXDB_META_PORT_8091_TCP_ADDR", "10.0.0.1"),
        ];
        assert_eq!(unknown(fine.into_iter()), []);
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
