//! TLS of a node: what its ports show, and how it calls others; all of it read again on request.

use std::time::Duration;

use config::{CallTls, PortTls, TlsConfig};
use env::Env;
use meta_node::Dialers;
use tls::{
    Acceptor, Authorities, CertificateFiles, ClientSettings, Dialer, Expiry, NamedBy, Policy, PolicyError,
    ServerSettings, Stats, TlsError,
};

/// How often the end of certificates is looked at.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(3_600);
/// What is spoken behind TLS: clients are served with HTTP/1 alone, other nodes with both.
const CLIENT_PROTOCOLS: &[&str] = &["http/1.1"];
const NODE_PROTOCOLS: &[&str] = &["h2", "http/1.1"];

/// Everything of a node that has to do with certificates. Cheap to clone; the clones read their files together.
#[derive(Clone, Debug)]
pub struct NodeTls {
    env: Env,
    /// 8086.
    pub(crate) clients: Acceptor,
    /// 8088, of `influxd-meta` 8089.
    pub(crate) cluster: Acceptor,
    /// 8091.
    pub(crate) admin: Acceptor,
    pub(crate) to_data: Dialer,
    pub(crate) to_meta: Dialer,
    pub(crate) stats: Stats,
    expiry_warning: Duration,
}

impl NodeTls {
    /// Reads all files. Without TLS in the configuration there are none.
    ///
    /// # Errors
    /// Names the key and the file.
    pub fn open(env: &Env, config: &TlsConfig) -> anyhow::Result<NodeTls> {
        let policy = policy(config)?;
        for note in policy.notes() {
            tracing::warn!("{note}");
        }
        let stats = Stats::default();
        let port = |tls: &Option<PortTls>, protocols| match tls {
            None => Ok(Acceptor::plain()),
            Some(tls) => {
                let settings = ServerSettings {
                    certificate: files(tls),
                    client_authorities: tls
                        .client_authorities
                        .clone()
                        .map(|path| Authorities { place: format!("{} https-client-ca", tls.table), path }),
                    protocols,
                };
                Acceptor::new(env.clone(), policy.clone(), settings, stats.clone())
            }
        };
        let call = |tls: &Option<CallTls>| match tls {
            None => Ok(Dialer::plain(env.clone())),
            Some(tls) => {
                let authorities = tls.authorities.clone();
                let settings = ClientSettings {
                    insecure: tls.insecure,
                    authorities: authorities.map(|path| Authorities { place: format!("{} https-ca", tls.table), path }),
                    certificate: config.identity().map(files),
                };
                Dialer::tls(env.clone(), policy.clone(), settings)
            }
        };
        let tls = NodeTls {
            env: env.clone(),
            clients: port(&config.clients, CLIENT_PROTOCOLS)?,
            cluster: port(&config.cluster, NODE_PROTOCOLS)?,
            admin: port(&config.admin, NODE_PROTOCOLS)?,
            to_data: call(&config.to_data)?,
            to_meta: call(&config.to_meta)?,
            stats,
            expiry_warning: config.expiry_warning,
        };
        tls.tell_expiry();
        Ok(tls)
    }

    /// Reads all files again, for connections that are made from now on. What cannot be used is logged, and what was read
    /// before it stays in use. Blocks.
    pub fn reload(&self) {
        let done: [Result<(), TlsError>; 5] = [
            self.clients.reload(),
            self.cluster.reload(),
            self.admin.reload(),
            self.to_data.reload(),
            self.to_meta.reload(),
        ];
        let mut failed: Vec<String> = done.into_iter().filter_map(Result::err).map(|error| error.to_string()).collect();
        failed.sort();
        failed.dedup();
        for error in &failed {
            tracing::error!(error, "a certificate was not read again; the one of before stays in use");
        }
        if failed.is_empty() {
            tracing::info!(tls = !self.expiries().is_empty(), "certificates were read again");
        }
        self.tell_expiry();
    }

    /// Warns about certificates that end soon, for ever.
    pub async fn watch_expiry(self) {
        loop {
            tokio::time::sleep(EXPIRY_INTERVAL).await;
            self.tell_expiry();
        }
    }

    pub(crate) fn dialers(&self) -> Dialers {
        Dialers { to_meta: self.to_meta.clone(), to_data: self.to_data.clone() }
    }

    fn expiries(&self) -> Vec<Expiry> {
        let mut expiries = Vec::new();
        for expiry in [&self.clients, &self.cluster, &self.admin].into_iter().filter_map(|port| port.expiry()) {
            if !expiries.contains(&expiry) {
                expiries.push(expiry);
            }
        }
        expiries
    }

    fn tell_expiry(&self) {
        let expiries = self.expiries();
        let Some(first) = expiries.iter().map(|expiry| expiry.not_after).min() else { return };
        self.stats.tell_expiry(first);
        let now = self.env.now().0 / 1_000_000_000;
        for warning in expiries.iter().filter_map(|expiry| expiry.warning(now, self.expiry_warning)) {
            tracing::warn!("{warning}");
        }
    }
}

/// Versions and suites.
///
/// # Errors
/// Names the key and where it stands.
pub fn policy(config: &TlsConfig) -> anyhow::Result<Policy> {
    let refused = |error: PolicyError| match error {
        PolicyError::Ciphers(why) => config.refuse_ciphers(&why),
        PolicyError::MinVersion(why) => config.refuse_min_version(&why),
        PolicyError::MaxVersion(why) => config.refuse_max_version(&why),
    };
    Ok(Policy::new(&config.ciphers, &config.min_version, &config.max_version).map_err(refused)?)
}

fn files(tls: &PortTls) -> CertificateFiles {
    CertificateFiles {
        named_by: NamedBy::Table(tls.table),
        certificate: tls.certificate.clone(),
        private_key: tls.private_key.clone(),
        any_mode: tls.any_mode,
    }
}
