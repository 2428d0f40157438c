//! Values that are looked at before they are used: what both programs need.

use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::time::Duration;

use credentials::Scheme;

use crate::file::Settings;
use crate::keys::Effect;

/// Longest name of a host, in bytes, as DNS has it.
const HOST_BYTES_MAX: usize = 253;

/// Settings that cannot be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}. To generate a valid configuration file run `{command}`")]
pub struct InvalidConfig {
    /// What cannot be, and where it was given: file, line and key, or a variable or a flag.
    pub reason: String,
    /// Prints a file that can be.
    pub command: &'static str,
}

/// What the file asks for and this program cannot do must stop it, not be ignored.
pub(crate) fn check_supported(settings: &Settings) -> Result<(), InvalidConfig> {
    let not_yet = |place: &str| {
        let reason = format!("{place}: true is not supported yet; remove it or switch it off");
        Err(invalid(settings, reason))
    };
    if let Some(listener) = settings.listeners_enabled().first() {
        return not_yet(&listener.place);
    }
    for key in settings.program().keys().iter().filter(|key| key.effect == Effect::Stops) {
        if settings.bool(key.table, key.name) == Some(true) {
            return not_yet(&settings.place(key.table, key.name));
        }
    }
    let licence = |name| !settings.text("enterprise", name).is_empty();
    if licence("license-key") && licence("license-path") {
        let other = settings.place("enterprise", "license-key");
        let reason = format!("license-key and license-path must not both be set (the other is at {other})");
        return Err(refusal(settings, "enterprise", "license-path", &reason));
    }
    Ok(())
}

/// The name that others reach the node by: what the flag says, else the key, else this machine's own name for itself.
pub(crate) fn hostname(settings: &Settings, flag: Option<&str>) -> Result<String, InvalidConfig> {
    let hostname = flag.map_or_else(|| settings.text("", "hostname"), str::to_owned);
    let place = if flag.is_some() { "-hostname".to_owned() } else { settings.place("", "hostname") };
    match hostname.as_str() {
        "" => Ok("localhost".to_owned()),
        name if is_host(name) => Ok(hostname),
        name => Err(invalid(settings, format!("{place}: {name:?} is no name or address of a host"))),
    }
}

/// Whether this can be the host in `host:port`. A name that nobody can look up is found out later.
fn is_host(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => {
            address.is_empty() || address.split('%').next().is_some_and(|ip| ip.parse::<Ipv6Addr>().is_ok())
        }
        None => {
            host.len() <= HOST_BYTES_MAX
                && host.bytes().all(|byte| byte.is_ascii_graphic() && !b"/:[]@\"?#".contains(&byte))
        }
    }
}

/// Where others reach the address `bind` of a node: a bind address without a host gets the host name.
pub(crate) fn advertised(hostname: &str, bind: &str) -> String {
    let (host, port) = bind.rsplit_once(':').unwrap_or((bind, ""));
    match host {
        "" | "0.0.0.0" | "[::]" => format!("{hostname}:{port}"),
        _ => bind.to_owned(),
    }
}

/// The host of `host:port`, which may be empty.
pub(crate) fn host_of(address: &str) -> Option<&str> {
    let (host, port) = address.rsplit_once(':')?;
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    (is_port && is_host(host)).then_some(host)
}

/// The path of a directory.
pub(crate) fn directory(settings: &Settings, table: &str, name: &str) -> Result<PathBuf, InvalidConfig> {
    let path = settings.text(table, name);
    match path.chars().any(char::is_control) {
        true => Err(refusal(settings, table, name, &format!("{path:?} has control characters"))),
        false => Ok(path.into()),
    }
}

pub(crate) fn address(settings: &Settings, table: &str, name: &str) -> Result<String, InvalidConfig> {
    let bind = settings.text(table, name);
    match host_of(&bind) {
        Some(_) => Ok(bind),
        None => Err(refusal(settings, table, name, &format!("{bind:?} is not of the form host:port"))),
    }
}

pub(crate) fn one_of(settings: &Settings, table: &str, name: &str, known: &[&str]) -> Result<String, InvalidConfig> {
    let word = settings.text(table, name);
    if known.iter().any(|known| known.eq_ignore_ascii_case(&word)) {
        return Ok(word);
    }
    Err(refusal(settings, table, name, &format!("{word:?} is none of {}", known.join(", "))))
}

pub(crate) fn positive(settings: &Settings, table: &str, name: &str) -> Result<Duration, InvalidConfig> {
    let value = settings.duration(table, name);
    if value.is_zero() {
        return Err(refusal(settings, table, name, &format!("{name} must be positive, not 0s")));
    }
    Ok(value)
}

pub(crate) fn count(settings: &Settings, table: &str, name: &str) -> Result<usize, InvalidConfig> {
    let value = settings.int(table, name);
    let reason = || format!("{name} must be non-negative, not {value}");
    usize::try_from(value).map_err(|_| refusal(settings, table, name, &reason()))
}

/// How passwords are hashed. Both programs have the key, and all nodes of a cluster the same value.
pub(crate) fn scheme(settings: &Settings) -> Result<Scheme, InvalidConfig> {
    let (table, name) = ("meta", "password-hash");
    let text = settings.text(table, name);
    Scheme::parse(&text).map_err(|error| {
        let reason = error.to_string();
        let is_told = reason.contains(&text);
        refusal(settings, table, name, &if is_told { reason } else { format!("{text:?}: {reason}") })
    })
}

/// Why the value of a key cannot be, and where it stands.
pub(crate) fn refusal(settings: &Settings, table: &str, name: &str, reason: &str) -> InvalidConfig {
    invalid(settings, format!("{}: {reason}", settings.place(table, name)))
}

pub(crate) fn invalid(settings: &Settings, reason: String) -> InvalidConfig {
    InvalidConfig { reason, command: settings.program().config_command() }
}
