//! What the keys say about TLS: versions and suites, the certificate of each port, and how other nodes are called.

use std::path::PathBuf;
use std::time::Duration;

use crate::check::{InvalidConfig, refusal};
use crate::file::Settings;
use crate::keys::Program;

/// TLS of all ports and calls of a node.
#[derive(Clone, Debug)]
pub struct TlsConfig {
    /// Suites by name; all when empty.
    pub ciphers: Vec<String>,
    /// The least version; empty for the least there is.
    pub min_version: String,
    /// The most; empty for the most there is.
    pub max_version: String,
    /// How long before its end a certificate is warned about.
    pub expiry_warning: Duration,
    /// The client API (8086).
    pub clients: Option<PortTls>,
    /// The port for calls between nodes (8088), of `influxd-meta` that of Raft (8089).
    pub cluster: Option<PortTls>,
    /// The admin API (8091).
    pub admin: Option<PortTls>,
    /// How data nodes are called (8088).
    pub to_data: Option<CallTls>,
    /// How meta nodes are called (8091, of `influxd-meta` also 8089).
    pub to_meta: Option<CallTls>,
    places: [String; 3],
    command: &'static str,
}

/// The certificate of a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortTls {
    /// Whose keys these are, like `[http]`.
    pub table: &'static str,
    /// The certificate, in PEM.
    pub certificate: PathBuf,
    /// Its key; in the same file where there is none.
    pub private_key: Option<PathBuf>,
    /// Whether it does not matter who else can read the files.
    pub any_mode: bool,
    /// Whose certificates clients must show.
    pub client_authorities: Option<PathBuf>,
}

/// How others are called with TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallTls {
    /// Whether certificates are taken unseen.
    pub insecure: bool,
    /// Whose keys these are, like `[cluster]`.
    pub table: &'static str,
    /// Who signs certificates; those whom the system trusts where there is none.
    pub authorities: Option<PathBuf>,
}

impl TlsConfig {
    /// Reads the keys of either program.
    pub(crate) fn new(settings: &Settings) -> Result<TlsConfig, InvalidConfig> {
        let on = |table, name| settings.bool(table, name) == Some(true);
        let file =
            |table, name| Some(PathBuf::from(settings.text(table, name))).filter(|it| !it.as_os_str().is_empty());
        let admin = match on("meta", "https-enabled") {
            false => None,
            true => Some(PortTls {
                table: "[meta]",
                certificate: named(settings, "meta", file("meta", "https-certificate"))?,
                private_key: file("meta", "https-private-key"),
                any_mode: on("meta", "https-insecure-certificate"),
                client_authorities: file("meta", "https-client-ca"),
            }),
        };
        // A meta node alone has one key for what its port does and for how it calls others.
        let is_server = settings.program() == Program::Influxd;
        let calls_meta = admin.is_some() || (is_server && on("meta", "meta-tls-enabled"));
        let to_meta = CallTls {
            insecure: on("meta", "https-insecure-tls") || (is_server && on("meta", "meta-insecure-tls")),
            table: "[meta]",
            authorities: file("meta", "https-ca"),
        };
        let shared = TlsConfig {
            ciphers: settings.list("tls", "ciphers"),
            min_version: settings.text("tls", "min-version"),
            max_version: settings.text("tls", "max-version"),
            expiry_warning: settings.duration("tls", "advanced-expiration"),
            places: ["ciphers", "min-version", "max-version"].map(|name| settings.place("tls", name)),
            command: settings.program().config_command(),
            clients: None,
            cluster: None,
            to_data: None,
            to_meta: calls_meta.then(|| to_meta.clone()),
            admin,
        };
        if !is_server {
            let to_data = CallTls { insecure: on("meta", "data-insecure-tls"), ..to_meta };
            return Ok(TlsConfig {
                cluster: shared.admin.clone(),
                to_data: on("meta", "data-use-tls").then_some(to_data),
                ..shared
            });
        }
        let cluster = match on("cluster", "https-enabled") {
            false => None,
            true => Some(PortTls {
                table: "[cluster]",
                certificate: named(settings, "cluster", file("cluster", "https-certificate"))?,
                private_key: file("cluster", "https-private-key"),
                any_mode: on("cluster", "https-insecure-certificate"),
                client_authorities: file("cluster", "https-client-ca"),
            }),
        };
        let to_data = CallTls {
            insecure: on("cluster", "https-insecure-tls"),
            table: "[cluster]",
            authorities: file("cluster", "https-ca"),
        };
        let clients = match on("http", "https-enabled") {
            false => None,
            true => Some(PortTls {
                table: "[http]",
                certificate: named(settings, "http", file("http", "https-certificate"))?,
                private_key: file("http", "https-private-key"),
                any_mode: on("http", "https-insecure-certificate"),
                client_authorities: None,
            }),
        };
        Ok(TlsConfig { to_data: cluster.is_some().then_some(to_data), clients, cluster, ..shared })
    }

    /// The certificate that this node shows to other nodes which ask for one: that of its port for calls between nodes.
    pub fn identity(&self) -> Option<&PortTls> {
        self.cluster.as_ref().or(self.admin.as_ref())
    }

    /// Why `ciphers` cannot be.
    pub fn refuse_ciphers(&self, reason: &str) -> InvalidConfig {
        self.refuse(0, reason)
    }

    /// Why `min-version` cannot be.
    pub fn refuse_min_version(&self, reason: &str) -> InvalidConfig {
        self.refuse(1, reason)
    }

    /// Why `max-version` cannot be.
    pub fn refuse_max_version(&self, reason: &str) -> InvalidConfig {
        self.refuse(2, reason)
    }

    fn refuse(&self, place: usize, reason: &str) -> InvalidConfig {
        InvalidConfig { reason: format!("{}: {reason}", self.places[place]), command: self.command }
    }
}

fn named(settings: &Settings, table: &str, certificate: Option<PathBuf>) -> Result<PathBuf, InvalidConfig> {
    let missing = || refusal(settings, table, "https-enabled", "https-certificate must name a file when it is true");
    certificate.ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(program: Program, text: &str) -> Result<TlsConfig, String> {
        let (settings, _) = Settings::read(program, "f", text).expect("a file");
        TlsConfig::new(&settings).map_err(|error| error.reason)
    }

    #[test]
    fn nothing_is_encrypted_by_default() {
        for program in [Program::Influxd, Program::InfluxdMeta] {
            let tls = read(program, "").expect("settings");
            assert!(tls.clients.is_none() && tls.cluster.is_none() && tls.admin.is_none());
            assert!(tls.to_data.is_none() && tls.to_meta.is_none() && tls.identity().is_none());
            assert_eq!(tls.expiry_warning, Duration::from_secs(5 * 86_400));
        }
    }

    #[test]
    fn data_nodes_have_a_certificate_for_each_port() {
        let text = "[http]\nhttps-enabled = true\n[cluster]\nhttps-enabled = true\nhttps-certificate = \"/c\"\n\
                    https-private-key = \"/k\"\nhttps-insecure-certificate = true\nhttps-insecure-tls = true\n\
                    https-client-ca = \"/a\"\n[meta]\nmeta-tls-enabled = true\nmeta-insecure-tls = true\nhttps-ca = \"/m\"";
        let tls = read(Program::Influxd, text).expect("settings");
        let clients = tls.clients.expect("TLS");
        assert_eq!((clients.certificate, clients.private_key), ("/etc/ssl/influxdb.pem".into(), None));
        assert_eq!(
            tls.cluster,
            Some(PortTls {
                table: "[cluster]",
                certificate: "/c".into(),
                private_key: Some("/k".into()),
                any_mode: true,
                client_authorities: Some("/a".into()),
            })
        );
        assert_eq!(tls.to_data, Some(CallTls { insecure: true, table: "[cluster]", authorities: None }));
        assert_eq!(tls.to_meta, Some(CallTls { insecure: true, table: "[meta]", authorities: Some("/m".into()) }));
        assert!(tls.admin.is_none());
    }

    #[test]
    fn meta_nodes_have_one_certificate_for_both_ports() {
        let text = "[meta]\nhttps-enabled = true\nhttps-certificate = \"/c\"\nhttps-insecure-tls = true\n\
                    data-use-tls = true\ndata-insecure-tls = false\nhttps-ca = \"/a\"";
        let tls = read(Program::InfluxdMeta, text).expect("settings");
        assert_eq!(tls.cluster, tls.admin);
        assert_eq!(tls.identity().map(|port| port.table), Some("[meta]"));
        assert_eq!(tls.to_meta, Some(CallTls { insecure: true, table: "[meta]", authorities: Some("/a".into()) }));
        assert_eq!(tls.to_data, Some(CallTls { insecure: false, table: "[meta]", authorities: Some("/a".into()) }));
    }

    #[test]
    fn a_port_with_tls_needs_a_certificate() {
        for (program, table) in
            [(Program::Influxd, "cluster"), (Program::Influxd, "meta"), (Program::InfluxdMeta, "meta")]
        {
            let error = read(program, &format!("[{table}]\nhttps-enabled = true")).expect_err("refused");
            let want = format!("f:2: [{table}] https-enabled: https-certificate must name a file when it is true");
            assert_eq!(error, want);
        }
        let tls = read(Program::Influxd, "[tls]\nmin-version = \"x\"").expect("settings");
        let error = tls.refuse_min_version("no").to_string();
        assert!(error.starts_with("f:2: [tls] min-version: no. To generate a valid"), "{error}");
        assert!(tls.refuse_ciphers("no").reason.starts_with("[tls] ciphers"));
        assert!(tls.refuse_max_version("no").reason.starts_with("[tls] max-version"));
    }
}
