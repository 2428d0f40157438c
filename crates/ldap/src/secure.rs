//! TLS over a connection to a server, from the start or once both agreed to it.

use env::Env;
use tls::{CertificateFiles, ClientSettings, Dialer, NamedBy, Policy, Stream};

use crate::config::{Security, Server};
use crate::connection::Unreachable;

/// Encrypts `stream`, as the configuration of the server says. Its certificate is checked against the authorities of the
/// system.
pub(crate) async fn encrypted(env: &Env, server: &Server, stream: env::Stream) -> Result<Stream, Unreachable> {
    let certificate = server.client_tls_certificate.as_ref().map(|certificate| CertificateFiles {
        named_by: NamedBy::Table("[[servers]]"),
        certificate: certificate.clone(),
        private_key: server.client_tls_private_key.clone(),
        any_mode: false,
    });
    let insecure = matches!(server.security, Security::LdapsInsecure | Security::StartTlsInsecure);
    let settings = ClientSettings { insecure, authorities: None, certificate };
    let dialer = Dialer::tls(env.clone(), Policy::usual(), settings);
    let dialer = dialer.map_err(|error| Unreachable(error.to_string()))?;
    dialer.secure(stream, &server.address()).await.map_err(|error| Unreachable(error.to_string()))
}
