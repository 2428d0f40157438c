//! Versions of TLS and suites, as `[tls]` names them.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::{CipherSuite, SupportedCipherSuite, SupportedProtocolVersion, version};

/// Suites by the names that Go has for them. Those of TLS 1.3 are named, too: a list without any of them leaves all on.
const SUITES: &[(&str, CipherSuite)] = &[
    ("TLS_AES_128_GCM_SHA256", CipherSuite::TLS13_AES_128_GCM_SHA256),
    ("TLS_AES_256_GCM_SHA384", CipherSuite::TLS13_AES_256_GCM_SHA384),
    ("TLS_CHACHA20_POLY1305_SHA256", CipherSuite::TLS13_CHACHA20_POLY1305_SHA256),
    ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
    ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
    ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305", CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
    ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
    ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
    ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305", CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256),
];

/// Names that files of the reference may have, of suites that are too weak or without forward secrecy. They are left out.
const WEAK: &[&str] = &[
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_RSA_WITH_RC4_128_SHA",
];

/// What is spoken.
#[derive(Clone, Debug)]
pub struct Policy {
    pub(crate) provider: Arc<CryptoProvider>,
    pub(crate) versions: Vec<&'static SupportedProtocolVersion>,
    notes: Vec<String>,
}

/// Why a policy cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The key `ciphers` has to be changed.
    #[error("{0}")]
    Ciphers(String),
    /// The key `min-version`.
    #[error("{0}")]
    MinVersion(String),
    /// The key `max-version`.
    #[error("{0}")]
    MaxVersion(String),
}

/// Versions that have names, old ones included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Version {
    Old,
    Tls12,
    Tls13,
}

impl Policy {
    /// Reads the keys of `[tls]`; empty ones leave it to us: TLS 1.2 and 1.3 with all their suites.
    ///
    /// # Errors
    /// For names that are unknown, and where nothing is left to be spoken.
    pub fn new(ciphers: &[String], min_version: &str, max_version: &str) -> Result<Policy, PolicyError> {
        let mut notes = Vec::new();
        let (min, max) = range(min_version, max_version, &mut notes)?;
        let mut provider = rustls::crypto::aws_lc_rs::default_provider();
        provider.cipher_suites.retain(|suite| !crate::IS_FIPS || suite.fips());
        if !ciphers.is_empty() {
            let chosen = chosen(ciphers, &provider, &mut notes)?;
            provider.cipher_suites.retain(|suite| chosen.contains(&suite.suite()));
        }
        let versions: Vec<_> = [(Version::Tls13, &version::TLS13), (Version::Tls12, &version::TLS12)]
            .into_iter()
            .filter(|(version, _)| (min..=max).contains(version))
            .map(|(_, version)| version)
            .filter(|version| provider.cipher_suites.iter().any(|suite| suite.version() == *version))
            .collect();
        if versions.is_empty() {
            let why = "no cipher suite is left for the versions from min-version to max-version";
            return Err(PolicyError::Ciphers(why.to_owned()));
        }
        Ok(Policy { provider: Arc::new(provider), versions, notes })
    }

    /// What holds where nothing is said.
    pub fn usual() -> Policy {
        Policy::new(&[], "", "").expect("there are suites for what is usual")
    }

    /// What an operator should know about the keys: what of them is not done, and why.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Whether all of it is of the FIPS module.
    pub fn is_fips(&self) -> bool {
        self.provider.fips()
    }

    /// The suites, by the names that `ciphers` takes.
    pub fn suite_names(&self) -> Vec<&'static str> {
        let is_on = |suite: &SupportedCipherSuite| self.versions.contains(&suite.version());
        self.provider.cipher_suites.iter().filter(|suite| is_on(suite)).filter_map(name).collect()
    }
}

fn name(suite: &SupportedCipherSuite) -> Option<&'static str> {
    SUITES.iter().find(|(_, known)| *known == suite.suite()).map(|(name, _)| *name)
}

/// The suites that a list names. One without suites of TLS 1.3 has them all, as in the reference.
fn chosen(
    ciphers: &[String],
    provider: &CryptoProvider,
    notes: &mut Vec<String>,
) -> Result<Vec<CipherSuite>, PolicyError> {
    let available = |suite: CipherSuite| provider.cipher_suites.iter().any(|known| known.suite() == suite);
    let mut chosen = Vec::new();
    for cipher in ciphers {
        let upper = cipher.to_ascii_uppercase();
        let upper = upper.strip_suffix("_POLY1305_SHA256").map_or(upper.clone(), |begin| match begin {
            // IANA's name has the hash at its end.
            "TLS_CHACHA20" => upper.clone(),
            begin => format!("{begin}_POLY1305"),
        });
        match SUITES.iter().find(|(name, _)| *name == upper) {
            Some((_, suite)) if available(*suite) => chosen.push(*suite),
            Some(_) => notes.push(format!("[tls] ciphers: {upper} is not one of FIPS 140 and is left out")),
            None if WEAK.contains(&upper.as_str()) => {
                notes.push(format!("[tls] ciphers: {upper} is too weak or has no forward secrecy, and is left out"));
            }
            None => {
                let mut names: Vec<_> = provider.cipher_suites.iter().filter_map(name).collect();
                names.sort_unstable();
                let why = format!("unknown cipher suite: {cipher:?}. available ciphers: {}", names.join(", "));
                return Err(PolicyError::Ciphers(why));
            }
        }
    }
    let of_tls13: Vec<_> = provider.cipher_suites.iter().filter(|suite| suite.version() == &version::TLS13).collect();
    if !of_tls13.iter().any(|suite| chosen.contains(&suite.suite())) {
        chosen.extend(of_tls13.iter().map(|suite| suite.suite()));
    }
    Ok(chosen)
}

/// The versions from and to, both included.
fn range(min: &str, max: &str, notes: &mut Vec<String>) -> Result<(Version, Version), PolicyError> {
    let newest = if crate::IS_FIPS { Version::Tls12 } else { Version::Tls13 };
    let min_version = match read(min).map_err(PolicyError::MinVersion)? {
        None => Version::Tls12,
        Some(Version::Old) => {
            notes.push(format!("[tls] min-version: {min:?} is not spoken any more; TLS 1.2 is the least"));
            Version::Tls12
        }
        Some(version) => version,
    };
    let max_version = match read(max).map_err(PolicyError::MaxVersion)? {
        None => newest,
        Some(Version::Old) => {
            return Err(PolicyError::MaxVersion(format!("{max:?} is not spoken any more; TLS 1.2 is the least")));
        }
        Some(Version::Tls13) if crate::IS_FIPS => {
            notes.push("[tls] max-version: this build speaks TLS 1.2 alone".to_owned());
            Version::Tls12
        }
        Some(version) => version,
    };
    if min_version > newest {
        return Err(PolicyError::MinVersion(format!("{min:?}: this build speaks TLS 1.2 alone")));
    }
    if min_version > max_version {
        return Err(PolicyError::MinVersion(format!("min-version {min:?} is above max-version {max:?}")));
    }
    Ok((min_version, max_version))
}

fn read(text: &str) -> Result<Option<Version>, String> {
    let lower = text.to_ascii_lowercase();
    match lower.strip_prefix("tls").unwrap_or(&lower) {
        "" if text.is_empty() => Ok(None),
        "1.0" | "1.1" => Ok(Some(Version::Old)),
        "1.2" => Ok(Some(Version::Tls12)),
        "1.3" => Ok(Some(Version::Tls13)),
        _ => Err(format!("unknown tls version: {text:?}. available versions: TLS1.0, TLS1.1, TLS1.2, TLS1.3")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(ciphers: &[&str], min: &str, max: &str) -> Result<Policy, String> {
        let ciphers: Vec<String> = ciphers.iter().map(|name| (*name).to_owned()).collect();
        Policy::new(&ciphers, min, max).map_err(|error| error.to_string())
    }

    fn versions(policy: &Policy) -> Vec<&'static str> {
        let name = |version: &&SupportedProtocolVersion| if **version == version::TLS13 { "1.3" } else { "1.2" };
        policy.versions.iter().map(name).collect()
    }

    #[cfg(not(feature = "fips"))]
    #[test]
    fn versions_go_from_least_to_most_and_never_below_two() {
        let of = |min, max| versions(&policy(&[], min, max).expect("a policy"));
        assert_eq!(of("", ""), ["1.3", "1.2"]);
        assert_eq!(of("tls1.3", ""), ["1.3"]);
        assert_eq!(of("1.2", "TLS1.2"), ["1.2"]);
        let clamped = policy(&[], "tls1.0", "").expect("a policy");
        assert_eq!(versions(&clamped), ["1.3", "1.2"]);
        assert_eq!(clamped.notes(), ["[tls] min-version: \"tls1.0\" is not spoken any more; TLS 1.2 is the least"]);
        for (min, max, why) in [
            ("", "tls1.1", "\"tls1.1\" is not spoken any more; TLS 1.2 is the least"),
            ("tls1.3", "tls1.2", "min-version \"tls1.3\" is above max-version \"tls1.2\""),
            ("tls9", "", "unknown tls version: \"tls9\". available versions: TLS1.0, TLS1.1, TLS1.2, TLS1.3"),
            ("", "ssl3.0", "unknown tls version: \"ssl3.0\". available versions: TLS1.0, TLS1.1, TLS1.2, TLS1.3"),
        ] {
            assert_eq!(policy(&[], min, max).expect_err("refused"), why);
        }
    }

    #[cfg(not(feature = "fips"))]
    #[test]
    fn suites_are_chosen_by_name_and_weak_ones_left_out() {
        let modern = [
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305",
            "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
            "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        ];
        assert_eq!(policy(&modern, "", "").expect("a policy").suite_names().len(), 9);
        assert_eq!(policy(&modern, "", "tls1.2").expect("a policy").suite_names().len(), 6);
        let one =
            policy(&["tls_ecdhe_rsa_with_chacha20_poly1305_sha256", "TLS_RSA_WITH_AES_128_GCM_SHA256"], "", "tls1.2")
                .expect("a policy");
        assert_eq!(one.suite_names(), ["TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305"]);
        assert!(one.notes()[0].contains("TLS_RSA_WITH_AES_128_GCM_SHA256 is too weak"), "{:?}", one.notes());
        // Suites of TLS 1.3 alone leave nothing for TLS 1.2.
        let newest = policy(&["TLS_AES_256_GCM_SHA384"], "", "").expect("a policy");
        assert_eq!((newest.suite_names(), versions(&newest)), (vec!["TLS_AES_256_GCM_SHA384"], vec!["1.3"]));
        let nothing = policy(&["TLS_RSA_WITH_RC4_128_SHA"], "", "tls1.2").expect_err("refused");
        assert_eq!(nothing, "no cipher suite is left for the versions from min-version to max-version");
        assert_eq!(
            policy(&["X"], "", "").expect_err("refused"),
            "unknown cipher suite: \"X\". available ciphers: TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384, \
             TLS_CHACHA20_POLY1305_SHA256, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, \
             TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305, \
             TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, \
             TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305"
        );
    }

    #[cfg(feature = "fips")]
    #[test]
    fn fips_has_one_version_and_four_suites() {
        let all = policy(&[], "", "").expect("a policy");
        assert_eq!(versions(&all), ["1.2"]);
        let mut names = all.suite_names();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
                "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
                "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
                "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
            ]
        );
        assert!(all.is_fips());
        assert_eq!(policy(&[], "tls1.3", "").expect_err("refused"), "\"tls1.3\": this build speaks TLS 1.2 alone");
        let left_out =
            policy(&["TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"], "", "tls1.3")
                .expect("a policy");
        assert_eq!(left_out.suite_names(), ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"]);
        assert_eq!(left_out.notes().len(), 2);
    }
}
