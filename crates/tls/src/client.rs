//! Connecting, with TLS or without.

use std::fmt;
use std::io;
use std::sync::Arc;

use arc_swap::ArcSwap;
use env::Env;
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, Error};
use tokio_rustls::TlsConnector;

use crate::files::{self, Authorities, CertificateFiles, TlsError};
use crate::policy::Policy;
use crate::stream::{Socket, Stream};
use crate::verify::Anybody;

/// Whom to believe, and what to show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientSettings {
    /// Whether every certificate is taken, whoever signed it and whatever name it is for.
    pub insecure: bool,
    /// Who signs the certificates of servers; the authorities of this system where none are named.
    pub authorities: Option<Authorities>,
    /// What servers are shown that ask for a certificate.
    pub certificate: Option<CertificateFiles>,
}

/// Connects to others. Cheap to clone; the clones read their files together.
#[derive(Clone)]
pub struct Dialer {
    env: Env,
    tls: Option<Arc<Inner>>,
}

struct Inner {
    policy: Policy,
    settings: ClientSettings,
    current: ArcSwap<ClientConfig>,
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Dialer").field(&self.tls.as_ref().map(|inner| &inner.settings)).finish()
    }
}

impl From<Env> for Dialer {
    fn from(env: Env) -> Dialer {
        Dialer::plain(env)
    }
}

impl Dialer {
    /// Connects without TLS.
    pub fn plain(env: Env) -> Dialer {
        Dialer { env, tls: None }
    }

    /// Connects with TLS; reads the files.
    ///
    /// # Errors
    /// Names the file that cannot be used, and the key that names it.
    pub fn tls(env: Env, policy: Policy, settings: ClientSettings) -> Result<Dialer, TlsError> {
        let current = ArcSwap::from_pointee(read(&env, &policy, &settings)?);
        Ok(Dialer { env, tls: Some(Arc::new(Inner { policy, settings, current })) })
    }

    /// Reads the files again, for connections that are made from now on.
    ///
    /// # Errors
    /// As [`Dialer::tls`]; what was read before stays in use.
    pub fn reload(&self) -> Result<(), TlsError> {
        let Some(inner) = &self.tls else { return Ok(()) };
        inner.current.store(Arc::new(read(&self.env, &inner.policy, &inner.settings)?));
        Ok(())
    }

    /// The world that it connects in.
    pub fn env(&self) -> &Env {
        &self.env
    }

    /// `https` or `http`.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// Connects to `host:port`. Callers bound it in time.
    ///
    /// # Errors
    /// Those of the network; where there is TLS, what is wrong with it.
    pub async fn connect(&self, address: &str) -> io::Result<Stream> {
        let stream = self.env.connect(address).await?;
        self.secure(stream, address).await
    }

    /// Goes on with TLS, where there is TLS, on a stream to `host:port` on which both agreed to.
    ///
    /// # Errors
    /// What is wrong with it.
    pub async fn secure(&self, stream: env::Stream, address: &str) -> io::Result<Stream> {
        let Some(inner) = &self.tls else { return Ok(stream.into()) };
        let config = inner.current.load_full();
        match TlsConnector::from(config).connect(server_name(address)?, Socket::new(stream)).await {
            Ok(stream) => Ok(Stream::tls(stream)),
            Err(error) => Err(told(&error)),
        }
    }
}

fn read(env: &Env, policy: &Policy, settings: &ClientSettings) -> Result<ClientConfig, TlsError> {
    let wrong = |why: &dyn fmt::Display| TlsError {
        place: "[tls]".to_owned(),
        path: "connections to others".to_owned(),
        why: why.to_string(),
    };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&policy.provider))
        .with_protocol_versions(&policy.versions)
        .map_err(|error| wrong(&error))?;
    let builder = if settings.insecure {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(Arc::clone(&policy.provider))))
    } else {
        let roots = match &settings.authorities {
            Some(authorities) => authorities.load(env)?,
            None => files::system_authorities(env)?,
        };
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&policy.provider));
        builder.with_webpki_verifier(verifier.build().map_err(|error| wrong(&error))?)
    };
    let config = match &settings.certificate {
        None => builder.with_no_client_auth(),
        Some(certificate) => {
            let key = certificate.load(env, &policy.provider)?.key;
            builder.with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(key)))
        }
    };
    assert!(!crate::IS_FIPS || config.fips(), "everything of the configuration is of the FIPS module");
    Ok(config)
}

/// The host of `host:port`.
fn server_name(address: &str) -> io::Result<ServerName<'static>> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let bad = |_| io::Error::new(io::ErrorKind::InvalidInput, format!("no certificate can be for the name {host:?}"));
    ServerName::try_from(host.to_owned()).map_err(bad)
}

/// What failed, in words that tell what to do.
fn told(error: &io::Error) -> io::Error {
    let Some(reason) = error.get_ref().and_then(|error| error.downcast_ref::<Error>()) else {
        let text = match error.kind() {
            io::ErrorKind::UnexpectedEof => "TLS: the other side closed the connection during the handshake".to_owned(),
            _ => format!("TLS: {error}"),
        };
        return io::Error::new(error.kind(), text);
    };
    let text = match reason {
        Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType) => {
            "TLS: the other side answers in plain text; its port has no TLS".to_owned()
        }
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "TLS: the certificate of the other side has expired".to_owned()
        }
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "TLS: the certificate of the other side is signed by nobody who is trusted here".to_owned()
        }
        Error::InvalidCertificate(CertificateError::NotValidForName) => {
            "TLS: the certificate of the other side is for another name".to_owned()
        }
        Error::InvalidCertificate(CertificateError::NotValidForNameContext { expected, presented }) => {
            let presented = presented.join(", ");
            format!("TLS: the certificate of the other side is for {presented}, not for {}", expected.to_str())
        }
        Error::InvalidCertificate(CertificateError::Other(reason))
            if matches!(reason.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity)) =>
        {
            "TLS: the certificate of the other side signs itself as an authority does (CA:TRUE), and is checked"
                .to_owned()
        }
        reason => format!("TLS: {reason}"),
    };
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_servers_have_no_ports() {
        let name = |address| server_name(address).map(|name| name.to_str().into_owned());
        assert_eq!(name("a.example:8088").expect("a name"), "a.example");
        assert_eq!(name("127.0.0.1:1").expect("an address"), "127.0.0.1");
        assert_eq!(name("[::1]:8088").expect("an address"), "::1");
        let error = name("a b:1").expect_err("no name");
        assert_eq!(error.to_string(), "no certificate can be for the name \"a b\"");
    }
}
