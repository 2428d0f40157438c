//! What operators upload: where the directory is, how it is searched, and which groups mean what.

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;

use crate::filter::{compile, filled};

/// What is shown in place of a password.
pub(crate) const MASK: &str = "[REDACTED]";
/// Servers of one configuration.
const SERVERS_MAX: usize = 16;
/// Names in one list.
const NAMES_MAX: usize = 1_000;

/// A configuration that cannot be used; says where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

/// How users are looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Whether they are at all.
    pub enabled: bool,
    /// Asked in this order until one answers.
    pub servers: Vec<Server>,
}

/// One server.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Server {
    /// Name or address.
    pub host: String,
    /// 389, with `ldaps` 636.
    pub port: Option<u16>,
    /// Whether and how connections are encrypted.
    #[serde(default)]
    pub security: Security,
    /// Shown to the server; alone it has the key, too.
    pub client_tls_certificate: Option<PathBuf>,
    /// The key of the certificate.
    pub client_tls_private_key: Option<PathBuf>,
    /// The account that searches; empty for nobody.
    #[serde(default)]
    pub bind_dn: String,
    /// Its password.
    #[serde(default)]
    pub bind_password: String,
    /// Where users are.
    pub search_base_dns: Vec<String>,
    /// Finds the user `%s`.
    pub search_filter: String,
    /// Where groups are.
    #[serde(default)]
    pub group_search_base_dns: Vec<String>,
    /// Finds the groups of which the entry `%s` is a member.
    #[serde(default = "default_membership_filter")]
    pub group_membership_search_filter: String,
    /// The name of a group.
    #[serde(default = "default_group_attribute")]
    pub group_attribute: String,
    /// Finds the group `%s`.
    #[serde(default = "default_group_filter")]
    pub group_search_filter: String,
    /// The members of a group.
    #[serde(default = "default_member_attribute")]
    pub group_member_attribute: String,
    /// Groups whose members administer the cluster.
    #[serde(default)]
    pub admin_groups: Vec<String>,
    /// Groups whose members have a role.
    #[serde(default)]
    pub group_mappings: Vec<GroupMapping>,
}

/// A group, and the role that its members have.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupMapping {
    /// The group.
    pub group: String,
    /// The role.
    pub role: String,
}

/// Whether and how connections are encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Security {
    /// Encrypted once both agreed to.
    #[default]
    #[serde(rename = "starttls")]
    StartTls,
    /// The same, whatever the certificate of the server.
    #[serde(rename = "starttls+insecure")]
    StartTlsInsecure,
    /// Encrypted from the start.
    #[serde(rename = "ldaps")]
    Ldaps,
    /// The same, whatever the certificate of the server.
    #[serde(rename = "ldaps+insecure")]
    LdapsInsecure,
    /// In plain text, passwords included.
    #[serde(rename = "none")]
    None,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    enabled: bool,
    #[serde(default)]
    servers: Vec<Server>,
}

fn default_membership_filter() -> String {
    "(&(objectClass=groupOfUniqueNames)(uniqueMember=%s))".to_owned()
}

fn default_group_attribute() -> String {
    "ou".to_owned()
}

fn default_group_filter() -> String {
    "(&(objectClass=groupOfUniqueNames)(ou=%s))".to_owned()
}

fn default_member_attribute() -> String {
    "uniqueMember".to_owned()
}

// By hand: the password of the account that searches does not belong into a log.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

impl Config {
    /// Reads a configuration.
    ///
    /// # Errors
    /// What is wrong, without quoting the text: it holds a password.
    pub fn parse(text: &str) -> Result<Config, ConfigError> {
        let wrong = |error: toml::de::Error| {
            let line = error.span().map_or(0, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            // The message of the parser can quote a value of the wrong type.
            let message = error.message();
            let harmless = ["unknown field", "missing field", "unknown variant", "duplicate key"];
            match harmless.iter().any(|known| message.starts_with(known)) && !message.contains("unknown variant") {
                true => ConfigError(format!("line {line}: {message}")),
                false => ConfigError(format!("line {line}: not as it should be")),
            }
        };
        let File { enabled, servers } = toml::from_str(text).map_err(wrong)?;
        let config = Config { enabled, servers };
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let wrong = |text: String| Err(ConfigError(text));
        if self.enabled && self.servers.is_empty() {
            return wrong("there are no [[servers]]".to_owned());
        }
        if self.servers.len() > SERVERS_MAX {
            return wrong(format!("too many [[servers]]: the limit is {SERVERS_MAX}"));
        }
        self.servers.iter().try_for_each(Server::check)
    }

    /// The roles that groups are mapped to.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.servers.iter().flat_map(|server| &server.group_mappings).map(|mapping| mapping.role.as_str())
    }
}

impl Server {
    /// `host:port`.
    pub fn address(&self) -> String {
        let tls = matches!(self.security, Security::Ldaps | Security::LdapsInsecure);
        let port = self.port.unwrap_or(if tls { 636 } else { 389 });
        if self.host.contains(':') { format!("[{}]:{port}", self.host) } else { format!("{}:{port}", self.host) }
    }

    fn check(&self) -> Result<(), ConfigError> {
        let host = &self.host;
        let wrong = |text: String| Err(ConfigError(format!("server {host:?}: {text}")));
        if host.is_empty() || host.contains(['/', ' ', '@']) {
            return wrong("host is no name and no address".to_owned());
        }
        if self.search_base_dns.is_empty() {
            return wrong("search-base-dns is empty".to_owned());
        }
        if !self.bind_dn.is_empty() && self.bind_password.is_empty() {
            return wrong("bind-dn without bind-password".to_owned());
        }
        if self.bind_password == MASK {
            return wrong("bind-password is masked; put the password in".to_owned());
        }
        if self.client_tls_private_key.is_some() && self.client_tls_certificate.is_none() {
            return wrong("client-tls-private-key without client-tls-certificate".to_owned());
        }
        for (key, filter) in [
            ("search-filter", &self.search_filter),
            ("group-membership-search-filter", &self.group_membership_search_filter),
            ("group-search-filter", &self.group_search_filter),
        ] {
            if !filter.contains("%s") {
                return wrong(format!("{key} does not say where the name belongs: %s is missing"));
            }
            if let Err(error) = compile(&filled(filter, "x")) {
                return wrong(format!("{key} is no search filter: {error}"));
            }
        }
        let lists = [&self.search_base_dns, &self.group_search_base_dns, &self.admin_groups];
        if lists.iter().any(|list| list.len() > NAMES_MAX) || self.group_mappings.len() > NAMES_MAX {
            return wrong(format!("too many names in one list: the limit is {NAMES_MAX}"));
        }
        if self.group_mappings.iter().any(|mapping| mapping.group.is_empty() || mapping.role.is_empty()) {
            return wrong("a group mapping without group or role".to_owned());
        }
        Ok(())
    }
}
