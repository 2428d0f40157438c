//! What the configuration file of a meta node says where the command line says nothing: where its admin API listens,
//! whether with TLS, whether it asks for proof, and the secret that proves something.

use std::path::{Path, PathBuf};

use config::{Program, Settings};
use env::Env;

use crate::failure::Failure;
use crate::flags::Global;

/// The meta node that is asked when nothing names one.
const BIND: &str = "localhost:8091";

impl Global {
    /// Gives a value to all that flags left open.
    ///
    /// # Errors
    /// When there is a file to read and it cannot be.
    pub(crate) fn settle(&mut self, env: &Env) -> Result<(), Failure> {
        if !self.config.is_empty() {
            let path = PathBuf::from(&self.config);
            let bytes = env.fs().read(&path);
            let bytes = bytes.map_err(|error| Failure::local(format!("-config: {}: {error}", self.config)))?;
            self.take(&path, &bytes)?;
        }
        if self.bind.is_empty() {
            self.bind = BIND.to_owned();
        }
        if self.auth_type.is_empty() {
            self.auth_type = "none".to_owned();
        }
        Ok(())
    }

    fn take(&mut self, path: &Path, bytes: &[u8]) -> Result<(), Failure> {
        let name = path.display().to_string();
        // What it warns of is for the node.
        let read = |program| {
            let (settings, _) = Settings::read_bytes(program, &name, bytes)
                .map_err(|error| Failure::local(format!("-config: {error}")))?;
            Ok::<_, Failure>(settings)
        };
        let (meta, server) = (read(Program::InfluxdMeta)?, read(Program::Influxd)?);
        if self.bind.is_empty() {
            self.bind = reachable(&meta.text("meta", "http-bind-address"), &meta.text("", "hostname"));
            self.bind_tls |= meta.bool("meta", "https-enabled") == Some(true);
            self.k |= meta.bool("meta", "https-insecure-tls") == Some(true);
        }
        if self.ca.is_empty() {
            self.ca = meta.text("meta", "https-ca");
        }
        if self.auth_type.is_empty() && meta.bool("meta", "auth-enabled") == Some(true) {
            self.auth_type = "jwt".to_owned();
        }
        if self.secret.is_empty() {
            // Tokens of no user are those of nodes.
            self.secret = match self.user.as_str() {
                "" => Some(meta.text("meta", "internal-shared-secret"))
                    .filter(|secret| !secret.is_empty())
                    .unwrap_or_else(|| server.text("meta", "meta-internal-shared-secret")),
                _ => meta.text("meta", "shared-secret"),
            };
        }
        Ok(())
    }
}

/// Where an address that a node listens at is reached from its own host.
fn reachable(bind: &str, hostname: &str) -> String {
    let Some((host, port)) = bind.rsplit_once(':') else { return BIND.to_owned() };
    let host = match host {
        "" | "0.0.0.0" | "[::]" if hostname.is_empty() => "localhost",
        "" | "0.0.0.0" | "[::]" => hostname,
        host => host,
    };
    format!("{host}:{port}")
}
