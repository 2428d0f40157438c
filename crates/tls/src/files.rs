//! Certificates, keys and authorities, read from files that others must not read or change.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use env::Env;
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::der;
use crate::expiry::Expiry;

/// The keys of a table.
pub(crate) const CERTIFICATE: &str = "https-certificate";
const PRIVATE_KEY: &str = "https-private-key";
/// Longest file that is read, bytes. Certificates of all authorities of a system have a quarter of it.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// What nobody but the owner may do with a key.
const KEY_MODES: u32 = 0o077;
/// What nobody but the owner may do with a certificate.
const CERTIFICATE_MODES: u32 = 0o022;
/// Where systems keep the certificates of authorities.
const SYSTEM_AUTHORITIES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// Names another file instead of those, as for other programs.
const AUTHORITIES_VARIABLE: &str = "SSL_CERT_FILE";

/// Why files cannot be used. Told to the operator, who has to change the file or the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {path}: {why}")]
pub struct TlsError {
    /// The key that names the file.
    pub place: String,
    /// The file.
    pub path: String,
    /// What is wrong.
    pub why: String,
}

/// Who names a certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamedBy {
    /// A table of a configuration file, like `[http]`.
    Table(&'static str),
    /// The flags `-cert` and `-key`.
    Flags,
}

/// A certificate with its key, as they were named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// Where.
    pub named_by: NamedBy,
    /// The certificate in PEM, and behind it those that lead to an authority.
    pub certificate: PathBuf,
    /// Its key in PEM; in the file of the certificate where there is none.
    pub private_key: Option<PathBuf>,
    /// Whether it does not matter who else can read and write the files.
    pub any_mode: bool,
}

/// Certificates of authorities, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorities {
    /// The key that names the file, like `[cluster] https-ca`.
    pub place: String,
    /// The file.
    pub path: PathBuf,
}

/// What was read.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    pub(crate) key: Arc<CertifiedKey>,
    pub(crate) expiry: Option<Expiry>,
}

impl CertificateFiles {
    /// Reads certificate and key and sees to it that they belong together.
    pub(crate) fn load(&self, env: &Env, provider: &CryptoProvider) -> Result<Loaded, TlsError> {
        let in_certificate = |why| self.error(CERTIFICATE, &self.certificate, why);
        let chain_text = read(env, &self.certificate).map_err(in_certificate)?;
        let chain = certificates(&chain_text).map_err(in_certificate)?;
        let (key_path, key_name, key_text) = match &self.private_key {
            None => (&self.certificate, CERTIFICATE, chain_text),
            Some(path) => {
                let text = read(env, path).map_err(|why| self.error(PRIVATE_KEY, path, why))?;
                self.check_mode(env, CERTIFICATE, &self.certificate, CERTIFICATE_MODES)?;
                (path, PRIVATE_KEY, text)
            }
        };
        let in_key = |why| self.error(key_name, key_path, why);
        self.check_mode(env, key_name, key_path, KEY_MODES)?;
        let key = PrivateKeyDer::from_pem_slice(&key_text)
            .map_err(|error| in_key(format!("holds no private key in PEM without a password ({error})")))?;
        let expiry = der::not_after(&chain[0]).map(|not_after| Expiry { path: self.certificate.clone(), not_after });
        let rsa_bits = der::rsa_bits(&chain[0]);
        let key = CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                in_key(format!("is not the key of the certificate {}", self.certificate.display()))
            }
            error => in_key(format!("cannot be used as a key: {error}")),
        })?;
        if crate::IS_FIPS {
            check_fips(&key, rsa_bits).map_err(in_key)?;
        }
        Ok(Loaded { key: Arc::new(key), expiry })
    }

    fn check_mode(&self, env: &Env, name: &str, path: &Path, refused: u32) -> Result<(), TlsError> {
        if self.any_mode {
            return Ok(());
        }
        let mode = env.fs().mode(path).map_err(|error| self.error(name, path, error.to_string()))?;
        if mode & refused == 0 {
            return Ok(());
        }
        let (what, wanted) = if refused == KEY_MODES { ("read", "0600") } else { ("changed", "0644") };
        let why = format!(
            "can be {what} by others (mode {mode:04o}); run chmod {wanted} {}{}",
            path.display(),
            match self.named_by {
                NamedBy::Table(table) => format!(", or set {table} https-insecure-certificate = true"),
                NamedBy::Flags => String::new(),
            }
        );
        Err(self.error(name, path, why))
    }

    pub(crate) fn error(&self, name: &str, path: &Path, why: String) -> TlsError {
        let place = match self.named_by {
            NamedBy::Table(table) => format!("{table} {name}"),
            NamedBy::Flags if name == CERTIFICATE => "-cert".to_owned(),
            NamedBy::Flags => "-key".to_owned(),
        };
        TlsError { place, path: path.display().to_string(), why }
    }
}

impl Authorities {
    pub(crate) fn load(&self, env: &Env) -> Result<RootCertStore, TlsError> {
        let error = |why| TlsError { place: self.place.clone(), path: self.path.display().to_string(), why };
        let text = read(env, &self.path).map_err(error)?;
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&text).map_err(error)? {
            roots.add(certificate).map_err(|bad| error(format!("has a certificate that cannot be used: {bad}")))?;
        }
        Ok(roots)
    }
}

/// The authorities that this system trusts.
pub(crate) fn system_authorities(env: &Env) -> Result<RootCertStore, TlsError> {
    let named = std::env::var(AUTHORITIES_VARIABLE).ok().filter(|path| !path.is_empty());
    let there = |path: &&&str| env.fs().exists(Path::new(path)).unwrap_or(false);
    let path = named.or_else(|| SYSTEM_AUTHORITIES.iter().find(there).map(|path| (*path).to_owned()));
    let error =
        |path: &str, why| TlsError { place: "authorities of this system".to_owned(), path: path.to_owned(), why };
    let Some(path) = path else {
        return Err(error(SYSTEM_AUTHORITIES[0], "there are none; install ca-certificates, or name a file".to_owned()));
    };
    let text = read(env, Path::new(&path)).map_err(|why| error(&path, why))?;
    let mut roots = RootCertStore::empty();
    // Systems have some that are damaged or of another time.
    roots.add_parsable_certificates(certificates(&text).map_err(|why| error(&path, why))?);
    Ok(roots)
}

fn read(env: &Env, path: &Path) -> Result<Vec<u8>, String> {
    if path.as_os_str().is_empty() {
        return Err("no file is named".to_owned());
    }
    let bytes = env.fs().file_bytes(path).map_err(|error| format!("cannot be read: {error}"))?;
    if bytes > FILE_BYTES_MAX {
        return Err(format!("has {bytes} bytes; {FILE_BYTES_MAX} is the most"));
    }
    env.fs().read(path).map_err(|error| format!("cannot be read: {error}"))
}

/// At least one.
fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let certificates = certificates.map_err(|error| format!("is no PEM: {error}"))?;
    if certificates.is_empty() { Err("holds no certificate in PEM".to_owned()) } else { Ok(certificates) }
}

/// RSA of 2048 or 3072 bits, and the curves of NIST.
fn check_fips(key: &CertifiedKey, rsa_bits: Option<usize>) -> Result<(), String> {
    use rustls::SignatureAlgorithm::{ECDSA, RSA};
    match (key.key.algorithm(), rsa_bits) {
        (ECDSA, _) | (RSA, Some(2_048 | 3_072)) => Ok(()),
        (RSA, Some(bits)) => Err(format!("is an RSA key of {bits} bits; with FIPS they have 2048 or 3072")),
        (algorithm, _) => Err(format!("is a key for {algorithm:?}, which FIPS does not allow here")),
    }
}
