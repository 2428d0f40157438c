//! The secrets of the cluster, and where they are asked for.

use credentials::Secret;

use crate::check::{InvalidConfig, refusal};
use crate::file::Settings;
use crate::keys::Program;

/// Shortest secret of the cluster, bytes: a shorter one can be guessed.
pub const SECRET_BYTES_MIN: usize = 16;
/// A secret of the cluster below this many bytes is worth a warning.
pub const SECRET_BYTES_GOOD: usize = 32;

/// How nodes prove to each other that they belong together.
#[derive(Clone, Debug, Default)]
pub struct ClusterAuthConfig {
    /// Signs calls between nodes; empty for none.
    pub secret: Secret,
    /// Whether the admin API is for those who prove who they are.
    pub admin_auth_enabled: bool,
    /// Signs tokens of users of the admin API; empty for none.
    pub shared_secret: Secret,
    /// Whether operators may have users looked up in a directory.
    pub ldap_allowed: bool,
}

impl ClusterAuthConfig {
    /// Reads the keys of either program.
    pub(crate) fn new(settings: &Settings) -> Result<ClusterAuthConfig, InvalidConfig> {
        let is_server = settings.program() == Program::Influxd;
        let own = if is_server { "meta-internal-shared-secret" } else { "internal-shared-secret" };
        // A server that is a meta node may have either.
        let name = match is_server && settings.text("meta", "meta-internal-shared-secret").is_empty() {
            true if !settings.text("meta", "internal-shared-secret").is_empty() => "internal-shared-secret",
            _ => own,
        };
        let secret = Secret::new(settings.text("meta", name));
        let other = Secret::new(settings.text("meta", "internal-shared-secret"));
        if !other.is_empty() && other != secret {
            let reason = format!("internal-shared-secret and {own} are one secret and must be the same");
            return Err(refusal(settings, "meta", "internal-shared-secret", &reason));
        }
        let admin_auth_enabled = settings.bool("meta", "auth-enabled") == Some(true);
        let demands = [
            ("auth-enabled", admin_auth_enabled),
            ("require-cluster-auth", settings.bool("meta", "require-cluster-auth") == Some(true)),
            ("meta-auth-enabled", is_server && settings.bool("meta", "meta-auth-enabled") == Some(true)),
            // With a secret Raft never goes without proof, neither way.
            (
                "raft-portal-auth-required",
                !is_server && settings.bool("meta", "raft-portal-auth-required") == Some(true),
            ),
            (
                "raft-dialer-auth-required",
                !is_server && settings.bool("meta", "raft-dialer-auth-required") == Some(true),
            ),
        ];
        if let Some((demand, _)) = demands.into_iter().find(|(_, demands)| *demands && secret.is_empty()) {
            let reason = match demand {
                "require-cluster-auth" | "raft-portal-auth-required" | "raft-dialer-auth-required" => {
                    format!("{own} is blank and must be set in config when it is required")
                }
                _ => format!("{own} is blank and must be set in config when auth is enabled"),
            };
            return Err(refusal(settings, "meta", demand, &reason));
        }
        if !secret.is_empty() && secret.as_str().len() < SECRET_BYTES_MIN {
            let reason = format!("a secret of fewer than {SECRET_BYTES_MIN} bytes can be guessed; take a longer one");
            return Err(refusal(settings, "meta", name, &reason));
        }
        Ok(ClusterAuthConfig {
            secret,
            admin_auth_enabled,
            shared_secret: Secret::new(settings.text("meta", "shared-secret")),
            ldap_allowed: settings.bool("meta", "ldap-allowed") == Some(true),
        })
    }

    /// What an operator should know, one line each.
    pub fn warnings(&self) -> Vec<String> {
        let length = self.secret.as_str().len();
        if length == 0 {
            return vec![
                "the cluster ports are open: whoever reaches them can read, change and remove everything; set the same \
                 internal-shared-secret ([meta], of data nodes meta-internal-shared-secret) on all nodes, or keep \
                 strangers off ports 8088, 8089 and 8091"
                    .to_owned(),
            ];
        }
        if length < SECRET_BYTES_GOOD {
            return vec![format!(
                "the secret of the cluster has {length} bytes; {SECRET_BYTES_GOOD} or more are hard to guess"
            )];
        }
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(program: Program, text: &str) -> Result<ClusterAuthConfig, String> {
        let (settings, _) = Settings::read(program, "f", &format!("[meta]\n{text}")).expect("a file");
        ClusterAuthConfig::new(&settings).map_err(|error| error.reason)
    }

    #[test]
    fn a_secret_is_asked_for_where_it_is_needed_and_is_long_enough() {
        use Program::{Influxd, InfluxdMeta};
        for (program, text, want) in [
            (
                InfluxdMeta,
                "auth-enabled = true",
                "f:2: [meta] auth-enabled: internal-shared-secret is blank and must be set in config when auth is enabled",
            ),
            (
                Influxd,
                "meta-auth-enabled = true",
                "f:2: [meta] meta-auth-enabled: meta-internal-shared-secret is blank and must be set in config when auth \
                 is enabled",
            ),
            (
                Influxd,
                "require-cluster-auth = true",
                "f:2: [meta] require-cluster-auth: meta-internal-shared-secret is blank and must be set in config when it \
                 is required",
            ),
            (
                InfluxdMeta,
                "raft-portal-auth-required = true",
                "f:2: [meta] raft-portal-auth-required: internal-shared-secret is blank and must be set in config when it \
                 is required",
            ),
            (
                InfluxdMeta,
                "raft-dialer-auth-required = true",
                "f:2: [meta] raft-dialer-auth-required: internal-shared-secret is blank and must be set in config when it \
                 is required",
            ),
            (
                InfluxdMeta,
                "internal-shared-secret = \"fifteen letters\"",
                "f:2: [meta] internal-shared-secret: a secret of fewer than 16 bytes can be guessed; take a longer one",
            ),
            (
                Influxd,
                "internal-shared-secret = \"sixteen letters!\"\nmeta-internal-shared-secret = \"another sixteen!\"",
                "f:2: [meta] internal-shared-secret: internal-shared-secret and meta-internal-shared-secret are one secret \
                 and must be the same",
            ),
        ] {
            assert_eq!(read(program, text).expect_err("refused"), want);
        }
        let both = "auth-enabled = true\nshared-secret = \"u\"\ninternal-shared-secret = \"sixteen letters!\"";
        for program in [Influxd, InfluxdMeta] {
            let auth = read(program, both).expect("settings");
            assert!(auth.admin_auth_enabled);
            assert_eq!((auth.secret.as_str(), auth.shared_secret.as_str()), ("sixteen letters!", "u"));
            assert!(auth.warnings()[0].contains("has 16 bytes"));
        }
        assert!(read(Influxd, "").expect("settings").warnings()[0].contains("are open"));
        let raft = "raft-portal-auth-required = true\nraft-dialer-auth-required = true\n";
        assert!(read(InfluxdMeta, &format!("{raft}internal-shared-secret = \"sixteen letters!\"")).is_ok());
        let long = format!("internal-shared-secret = \"{}\"", "x".repeat(32));
        assert_eq!(read(InfluxdMeta, &long).expect("settings").warnings(), Vec::<String>::new());
    }
}
