//! Values that are looked at before they are used: what both programs need.

use std::time::Duration;

use credentials::Scheme;

use crate::file::Settings;
use crate::keys::Effect;

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
pub(crate) fn hostname(settings: &Settings, flag: Option<&str>) -> String {
    let hostname = flag.map_or_else(|| settings.text("", "hostname"), str::to_owned);
    if hostname.is_empty() { "localhost".to_owned() } else { hostname }
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
    port.parse::<u16>().ok().map(|_| host)
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
        return Err(refusal(settings, table, name, &format!("{name} must be positive")));
    }
    Ok(value)
}

pub(crate) fn count(settings: &Settings, table: &str, name: &str) -> Result<usize, InvalidConfig> {
    let value = settings.int(table, name);
    usize::try_from(value).map_err(|_| refusal(settings, table, name, &format!("{name} must be non-negative")))
}

/// How passwords are hashed. Both programs have the key, and all nodes of a cluster the same value.
pub(crate) fn scheme(settings: &Settings) -> Result<Scheme, InvalidConfig> {
    let (table, name) = ("meta", "password-hash");
    Scheme::parse(&settings.text(table, name)).map_err(|error| refusal(settings, table, name, &error.to_string()))
}

/// Why the value of a key cannot be, and where it stands.
pub(crate) fn refusal(settings: &Settings, table: &str, name: &str, reason: &str) -> InvalidConfig {
    invalid(settings, format!("{}: {reason}", settings.place(table, name)))
}

pub(crate) fn invalid(settings: &Settings, reason: String) -> InvalidConfig {
    InvalidConfig { reason, command: settings.program().config_command() }
}
