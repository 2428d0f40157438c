//! The settings of `influxd-meta` as a plain struct.

use std::path::PathBuf;
use std::time::Duration;

use credentials::Scheme;

use crate::check::{
    InvalidConfig, address, advertised, check_supported, count, directory, hostname, one_of, positive, refusal, scheme,
};
use crate::cluster_auth::ClusterAuthConfig;
use crate::file::Settings;
use crate::tls::TlsConfig;

/// Shortest `gossip-frequency`.
const GOSSIP_INTERVAL_MIN: Duration = Duration::from_millis(250);

/// Everything that `influxd-meta` needs to start.
#[derive(Clone, Debug)]
pub struct MetaNodeConfig {
    /// The name that other nodes reach this one by.
    pub hostname: String,
    /// How nodes prove to each other that they belong together.
    pub cluster_auth: ClusterAuthConfig,
    /// Metadata directory: identity, Raft log, snapshots.
    pub dir: PathBuf,
    /// Where Raft listens (8089).
    pub raft_bind: String,
    /// Where the admin API listens (8091).
    pub http_bind: String,
    /// How often what is known of other nodes is passed on.
    pub gossip_interval: Duration,
    /// What a node said of itself is forgotten after this.
    pub announcement_age_max: Duration,
    /// How long a lease is good.
    pub lease_duration: Duration,
    /// A follower that hears nothing for this long stands for election.
    pub election_timeout: Duration,
    /// How often a leader shows that it lives follows from this.
    pub heartbeat_timeout: Duration,
    /// A command that is not decided by then counts as undecided.
    pub consensus_timeout: Duration,
    /// Shard groups that one policy may have.
    pub shard_groups_max: usize,
    /// How new passwords are hashed.
    pub password_hash: Scheme,
    /// The same as it was given, for an answer that quotes it.
    pub password_hash_text: String,
    /// Whether a way of hashing that FIPS 140 does not allow stops the start.
    pub ensure_fips: bool,
    /// TLS of all ports and calls.
    pub tls: TlsConfig,
    /// Whether every request to the admin API is logged.
    pub tracing: bool,
    /// `error`, `warn`, `info` or `debug`.
    pub log_level: String,
    /// `auto`, `logfmt` or `json`.
    pub log_format: String,
}

impl MetaNodeConfig {
    /// Turns settings into a struct. `hostname_flag` is the value of `-hostname`.
    ///
    /// # Errors
    /// What cannot be, and where it was given: file, line and key, or a variable.
    pub fn new(settings: &Settings, hostname_flag: Option<&str>) -> Result<MetaNodeConfig, InvalidConfig> {
        check_supported(settings)?;
        let gossip_interval = settings.duration("meta", "gossip-frequency");
        if gossip_interval < GOSSIP_INTERVAL_MIN {
            let given = stdx::human::print_duration(gossip_interval);
            let reason = format!("gossiping frequency {given} is too low (minimum 250ms)");
            return Err(refusal(settings, "meta", "gossip-frequency", &reason));
        }
        let config = MetaNodeConfig {
            hostname: hostname(settings, hostname_flag)?,
            cluster_auth: ClusterAuthConfig::new(settings)?,
            dir: directory(settings, "meta", "dir")?,
            raft_bind: address(settings, "meta", "bind-address")?,
            http_bind: address(settings, "meta", "http-bind-address")?,
            gossip_interval,
            announcement_age_max: positive(settings, "meta", "announcement-expiration")?,
            lease_duration: positive(settings, "meta", "lease-duration")?,
            election_timeout: settings.duration("meta", "election-timeout"),
            heartbeat_timeout: settings.duration("meta", "heartbeat-timeout"),
            consensus_timeout: positive(settings, "meta", "consensus-timeout")?,
            shard_groups_max: count(settings, "meta", "max-shard-groups-per-policy")?,
            password_hash: scheme(settings)?,
            password_hash_text: settings.text("meta", "password-hash"),
            ensure_fips: settings.bool("meta", "ensure-fips").unwrap_or(false),
            tls: TlsConfig::new(settings)?,
            tracing: settings.bool("meta", "cluster-tracing").unwrap_or(false),
            log_level: one_of(settings, "logging", "level", &["error", "warn", "info", "debug"])?,
            log_format: one_of(settings, "logging", "format", &["auto", "logfmt", "json"])?,
        };
        if config.dir.as_os_str().is_empty() {
            return Err(refusal(settings, "meta", "dir", "Meta.Dir must be specified"));
        }
        Ok(config)
    }

    /// Where others reach the address `bind` of this node: a bind address without a host gets the host name.
    pub fn advertised(&self, bind: &str) -> String {
        advertised(&self.hostname, bind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{Effect, META_KEYS, Program};

    fn config(text: &str) -> Result<MetaNodeConfig, String> {
        let (settings, _) = Settings::read(Program::InfluxdMeta, "f", text).expect("a file");
        MetaNodeConfig::new(&settings, None).map_err(|error| error.to_string())
    }

    #[test]
    fn a_meta_node_has_ports_and_a_command_of_its_own() {
        let meta = config("hostname = \"meta-01\"").expect("settings");
        assert_eq!((meta.raft_bind.as_str(), meta.http_bind.as_str()), (":8089", ":8091"));
        assert_eq!(meta.advertised(&meta.http_bind), "meta-01:8091");
        let generate =
            "To generate a valid configuration file run `influxd-meta config > influxdb-meta.generated.conf`";
        for (text, want) in [
            ("[meta]\ndir = \"\"", "f:2: [meta] dir: Meta.Dir must be specified"),
            (
                "[meta]\ngossip-frequency = \"100ms\"",
                "f:2: [meta] gossip-frequency: gossiping frequency 100ms is too low (minimum 250ms)",
            ),
            (
                "[meta]\npassword-hash = \"pbkdf2-sha256;rounds=0\"",
                "f:2: [meta] password-hash: \"pbkdf2-sha256;rounds=0\": rounds must be a number from 1 to 4294967295",
            ),
            ("[meta]\nbind-address = \"here\"", "f:2: [meta] bind-address: \"here\" is not of the form host:port"),
            (
                "[enterprise]\nlicense-key = \"a\"\nlicense-path = \"b\"",
                "f:3: [enterprise] license-path: license-key and license-path must not both be set (the other is at \
                 f:2: [enterprise] license-key)",
            ),
        ] {
            assert_eq!(config(text).expect_err("refused"), format!("{want}. {generate}"));
        }
    }

    #[test]
    fn every_key_that_works_is_looked_at() {
        let (meta_node, check) = (include_str!("meta_node.rs"), include_str!("check.rs"));
        let source = [meta_node, check, include_str!("cluster_auth.rs"), include_str!("tls.rs")].concat();
        for key in META_KEYS.iter().filter(|key| key.effect == Effect::Works) {
            let lookup = format!("\"{}\", \"{}\"", key.table, key.name);
            assert!(source.contains(&lookup), "nobody asks for {lookup}");
        }
    }

    #[test]
    fn keys_of_the_other_program_are_told_apart_from_slips() {
        let text = "[data]\ndir = \"/d\"\n[meta]\nmeta-auth-enabled = true\nhttps-enabeld = false\n[surprise]\n";
        let (_, warnings) = Settings::read(Program::InfluxdMeta, "f", text).expect("a file");
        let mut texts: Vec<String> = warnings.into_iter().map(|warning| warning.0).collect();
        texts.sort();
        assert_eq!(
            texts,
            [
                "f:1: table [data] is one of influxd and is ignored",
                "f:4: key [meta] meta-auth-enabled is one of influxd and is ignored",
                "f:5: key [meta] https-enabeld is not known and is ignored; is it https-enabled?",
                "f:6: table [surprise] is not known and is ignored",
            ]
        );
    }
}
