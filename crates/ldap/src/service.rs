//! The directory as the rest of the server knows it.

use env::Env;
use login::{Directory, DirectoryError, DirectorySummary, Known, Memberships, Pending, Progress};

use crate::config::{Config, MASK};
use crate::lookup::{self, Log, Wanted};
use crate::members;

/// Asks LDAP servers.
#[derive(Debug)]
pub struct LdapDirectory(Env);

impl LdapDirectory {
    /// Connects to nobody yet.
    pub fn new(env: Env) -> LdapDirectory {
        LdapDirectory(env)
    }
}

impl Directory for LdapDirectory {
    fn check(&self, config: &str) -> Result<DirectorySummary, String> {
        let masked = masked(config);
        let config = Config::parse(config).map_err(|error| error.to_string())?;
        let roles = config.roles().map(str::to_owned).collect();
        Ok(DirectorySummary { enabled: config.enabled, roles, masked })
    }

    fn find<'a>(
        &'a self,
        config: &'a str,
        name: &'a str,
        password: Option<&'a str>,
        ahead: Option<&'a Memberships>,
    ) -> Pending<'a, Result<Known, DirectoryError>> {
        Box::pin(async move {
            let config = Config::parse(config).map_err(|error| DirectoryError::Unavailable(error.to_string()))?;
            lookup::find(&self.0, &config, Wanted { name, password, ahead }, &mut Log::default()).await
        })
    }

    fn memberships<'a>(
        &'a self,
        config: &'a str,
        progress: &'a Progress,
    ) -> Pending<'a, Result<(Memberships, Vec<String>), DirectoryError>> {
        Box::pin(async move {
            let config = Config::parse(config).map_err(|error| DirectoryError::Unavailable(error.to_string()))?;
            members::read(&self.0, &config, progress).await.map_err(DirectoryError::Unavailable)
        })
    }

    fn explain<'a>(&'a self, config: &'a str, name: &'a str, password: &'a str) -> Pending<'a, String> {
        Box::pin(async move {
            let config = match Config::parse(config) {
                Ok(config) => config,
                Err(error) => return format!("the configuration cannot be used: {error}\n"),
            };
            let mut log = Log::default();
            // All of it is asked, whatever was read ahead.
            let wanted = Wanted { name, password: Some(password), ahead: None };
            let verdict = match lookup::find(&self.0, &config, wanted, &mut log).await {
                Ok(_) => "let in\n".to_owned(),
                Err(error) => format!("not let in: {error}\n"),
            };
            log.text() + &verdict
        })
    }
}

/// The configuration without its passwords. Comments go, too: they may have one.
fn masked(config: &str) -> String {
    let Ok(mut table) = config.parse::<toml::Table>() else { return String::new() };
    let servers = table.get_mut("servers").and_then(toml::Value::as_array_mut);
    for server in servers.into_iter().flatten().filter_map(toml::Value::as_table_mut) {
        if let Some(password) = server.get_mut("bind-password") {
            *password = toml::Value::String(MASK.to_owned());
        }
    }
    toml::to_string(&table).unwrap_or_default()
}
