//! Handshakes over the loopback interface: who is let in, who is not, and what either side is told.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use env::Env;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

type Issuer = CertifiedIssuer<'static, KeyPair>;

/// Certificates and keys in files of a directory of their own.
struct Files {
    dir: tempfile::TempDir,
    env: Env,
}

impl Files {
    fn new() -> Files {
        Files { dir: tempfile::tempdir().expect("a directory"), env: Env::real() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn put(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("a mode");
        path
    }

    /// An authority, whose certificate is in `<name>.pem`.
    fn authority(&self, name: &str) -> Issuer {
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let issuer = Issuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
        self.put(&format!("{name}.pem"), &issuer.pem(), 0o644);
        issuer
    }

    /// A certificate for `host` in `<name>.crt`, its key in `<name>.key`.
    fn certificate(&self, name: &str, host: &str, issuer: &Issuer) -> CertificateFiles {
        self.certificate_until(name, host, issuer, 2090)
    }

    fn certificate_until(&self, name: &str, host: &str, issuer: &Issuer, year: i32) -> CertificateFiles {
        let mut params = CertificateParams::new(vec![host.to_owned()]).expect("a name");
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, issuer).expect("a certificate");
        self.put(&format!("{name}.key"), &key.serialize_pem(), 0o600);
        self.put(&format!("{name}.crt"), &certificate.pem(), 0o644);
        self.named(name)
    }

    fn named(&self, name: &str) -> CertificateFiles {
        CertificateFiles {
            named_by: NamedBy::Table("[http]"),
            certificate: self.path(&format!("{name}.crt")),
            private_key: Some(self.path(&format!("{name}.key"))),
            any_mode: false,
        }
    }

    fn authorities(&self, name: &str) -> Authorities {
        Authorities { place: "[cluster] https-ca".to_owned(), path: self.path(&format!("{name}.pem")) }
    }

    fn acceptor(&self, certificate: CertificateFiles, client_authorities: Option<&str>) -> Result<Acceptor, TlsError> {
        let client_authorities = client_authorities.map(|name| self.authorities(name));
        let settings = ServerSettings { certificate, client_authorities, protocols: &["h2", "http/1.1"] };
        Acceptor::new(self.env.clone(), policy("", ""), settings, Stats::default())
    }

    fn dialer(&self, settings: ClientSettings) -> Dialer {
        Dialer::tls(self.env.clone(), policy("", ""), settings).expect("a dialer")
    }

    fn trusting(&self, authority: &str) -> Dialer {
        let authorities = Some(self.authorities(authority));
        self.dialer(ClientSettings { authorities, ..ClientSettings::default() })
    }
}

fn policy(min: &str, max: &str) -> Policy {
    Policy::new(&[], min, max).expect("a policy")
}

/// Listens, and sends back the first word that comes of each stream.
async fn echo(acceptor: Acceptor) -> String {
    let env = Env::real();
    let listener = Listener::new(env.listen("127.0.0.1:0").await.expect("a port"), acceptor);
    let address = listener.local_addr().expect("known").to_string();
    let copy = env.clone();
    env.spawn(async move {
        loop {
            let (accepted, _) = listener.accept().await.expect("a stream");
            copy.spawn(async move {
                let Some(mut stream) = accepted.handshake().await else { return };
                let mut word = [0; 4];
                if stream.read_exact(&mut word).await.is_ok() {
                    let _ = stream.write_all(&word).await;
                    let _ = stream.shutdown().await;
                }
            });
        }
    });
    address
}

/// A word there and back.
async fn talk(dialer: &Dialer, address: &str) -> io::Result<()> {
    let mut stream = dialer.connect(address).await?;
    stream.write_all(b"word").await?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await?;
    assert_eq!(&answer, b"word");
    Ok(())
}

async fn refused(dialer: &Dialer, address: &str) -> String {
    talk(dialer, address).await.expect_err("refused").to_string()
}

#[tokio::test]
async fn whose_certificate_is_good_is_talked_to() {
    let files = Files::new();
    let authority = files.authority("ca");
    let acceptor = files.acceptor(files.certificate("node", "127.0.0.1", &authority), None).expect("an acceptor");
    assert_eq!((acceptor.scheme(), files.trusting("ca").scheme()), ("https", "https"));
    let address = echo(acceptor).await;
    talk(&files.trusting("ca"), &address).await.expect("an answer");
    files.authority("stranger");
    let why = refused(&files.trusting("stranger"), &address).await;
    assert_eq!(why, "TLS: the certificate of the other side is signed by nobody who is trusted here");
    // One that signs itself is no certificate of a node, also not where it is trusted to sign others.
    let own = files.put("own.crt", &authority.pem(), 0o644);
    files.put("own.key", &authority.key().serialize_pem(), 0o600);
    let itself = CertificateFiles { certificate: own, ..files.named("own") };
    let why = refused(&files.trusting("ca"), &echo(files.acceptor(itself, None).expect("an acceptor")).await).await;
    assert!(why.contains("signs itself as an authority does (CA:TRUE)"), "{why}");
    // Who asks not to check takes it.
    let careless = files.dialer(ClientSettings { insecure: true, ..ClientSettings::default() });
    talk(&careless, &address).await.expect("an answer");
}

#[tokio::test]
async fn certificates_that_ended_or_are_for_others_are_refused() {
    let files = Files::new();
    let authority = files.authority("ca");
    let ended = files.certificate_until("ended", "127.0.0.1", &authority, 2001);
    let acceptor = files.acceptor(ended, None).expect("an acceptor");
    let expiry = acceptor.expiry().expect("a certificate");
    assert_eq!((expiry.path, expiry.not_after), (files.path("ended.crt"), 978_307_200));
    let why = refused(&files.trusting("ca"), &echo(acceptor).await).await;
    assert_eq!(why, "TLS: the certificate of the other side has expired");
    let other = files.acceptor(files.certificate("other", "db.example", &authority), None).expect("an acceptor");
    let why = refused(&files.trusting("ca"), &echo(other).await).await;
    assert!(why.starts_with("TLS: the certificate of the other side is for ") && why.contains("db.example"), "{why}");
}

#[tokio::test]
async fn clients_show_a_certificate_where_one_is_asked_for() {
    let files = Files::new();
    let (authority, stranger) = (files.authority("ca"), files.authority("stranger"));
    let node = files.certificate("node", "127.0.0.1", &authority);
    let address = echo(files.acceptor(node.clone(), Some("ca")).expect("an acceptor")).await;
    let showing = |certificate| {
        let authorities = Some(files.authorities("ca"));
        files.dialer(ClientSettings { authorities, certificate, insecure: false })
    };
    talk(&showing(Some(node)), &address).await.expect("an answer");
    let why = refused(&showing(None), &address).await;
    assert!(why.contains("CertificateRequired") || why.contains("closed"), "{why}");
    let theirs = files.certificate("theirs", "127.0.0.1", &stranger);
    refused(&showing(Some(theirs)), &address).await;
}

#[tokio::test]
async fn plain_text_and_tls_do_not_mix() {
    let files = Files::new();
    let authority = files.authority("ca");
    let stats = Stats::default();
    let settings = ServerSettings {
        certificate: files.certificate("node", "127.0.0.1", &authority),
        client_authorities: None,
        protocols: &["http/1.1"],
    };
    let acceptor = Acceptor::new(files.env.clone(), policy("", ""), settings, stats.clone()).expect("an acceptor");
    let address = echo(acceptor).await;
    let mut plain = Dialer::plain(files.env.clone()).connect(&address).await.expect("a connection");
    plain.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("sent");
    let mut answer = String::new();
    plain.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.0 400 Bad Request\r\n"), "{answer}");
    assert!(answer.ends_with("Client sent an HTTP request to an HTTPS server.\n"), "{answer}");
    let metrics = telemetry::Metrics::new();
    stats.register(&metrics);
    let text = metrics.render();
    assert!(text.contains("tls_plain_text_refused_total 1\n"), "{text}");
    assert!(text.contains("tls_handshakes_failed_total 1\n"), "{text}");

    let listener = files.env.listen("127.0.0.1:0").await.expect("a port");
    let plain_port = listener.local_addr().expect("known").to_string();
    files.env.spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a stream");
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
    });
    let why = refused(&files.trusting("ca"), &plain_port).await;
    assert_eq!(why, "TLS: the other side answers in plain text; its port has no TLS");
}

#[cfg(not(feature = "fips"))]
#[tokio::test]
async fn versions_that_do_not_meet_do_not_talk() {
    let files = Files::new();
    let authority = files.authority("ca");
    let settings = ServerSettings {
        certificate: files.certificate("node", "127.0.0.1", &authority),
        client_authorities: None,
        protocols: &["http/1.1"],
    };
    let acceptor = Acceptor::new(files.env.clone(), policy("tls1.3", ""), settings, Stats::default());
    let address = echo(acceptor.expect("an acceptor")).await;
    let with = |policy| {
        let authorities = Some(files.authorities("ca"));
        Dialer::tls(files.env.clone(), policy, ClientSettings { authorities, ..ClientSettings::default() })
            .expect("a dialer")
    };
    let why = refused(&with(policy("", "tls1.2")), &address).await;
    assert!(why.contains("ProtocolVersion"), "{why}");
    talk(&with(policy("", "tls1.3")), &address).await.expect("an answer");
}

#[tokio::test]
async fn files_are_read_again_and_bad_ones_change_nothing() {
    let files = Files::new();
    let (old, new) = (files.authority("old"), files.authority("new"));
    let node = files.certificate("node", "127.0.0.1", &old);
    let acceptor = files.acceptor(node.clone(), None).expect("an acceptor");
    let address = echo(acceptor.clone()).await;
    talk(&files.trusting("old"), &address).await.expect("an answer");
    let mut open = files.trusting("old").connect(&address).await.expect("a connection");

    files.put("node.key", "no key", 0o600);
    let why = acceptor.reload().expect_err("no key").to_string();
    assert!(why.starts_with("[http] https-private-key: ") && why.contains("holds no private key in PEM"), "{why}");
    talk(&files.trusting("old"), &address).await.expect("as before");

    files.certificate("node", "127.0.0.1", &new);
    acceptor.reload().expect("good files");
    refused(&files.trusting("old"), &address).await;
    talk(&files.trusting("new"), &address).await.expect("the new one");
    // A connection of before goes on.
    open.write_all(b"word").await.expect("sent");
    let mut answer = [0; 4];
    open.read_exact(&mut answer).await.expect("an answer");

    // Whom to trust is read again, too.
    let dialer = files.trusting("old");
    files.put("old.pem", &new.pem(), 0o644);
    refused(&dialer, &address).await;
    dialer.reload().expect("good files");
    talk(&dialer, &address).await.expect("the new one");
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let files = Files::new();
    let authority = files.authority("ca");
    let node = files.certificate("node", "a", &authority);
    let key = files.path("node.key");
    let why = |certificate: &CertificateFiles| {
        let why = files.acceptor(certificate.clone(), None).expect_err("refused").to_string();
        why.replace(&files.dir.path().display().to_string(), "DIR")
    };
    let set_mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
    };
    set_mode(&key, 0o640);
    assert_eq!(
        why(&node),
        "[http] https-private-key: DIR/node.key: can be read by others (mode 0640); run chmod 0600 DIR/node.key, or set \
         [http] https-insecure-certificate = true"
    );
    files.acceptor(CertificateFiles { any_mode: true, ..node.clone() }, None).expect("it does not matter");
    set_mode(&key, 0o600);
    set_mode(&files.path("node.crt"), 0o664);
    assert_eq!(
        why(&node),
        "[http] https-certificate: DIR/node.crt: can be changed by others (mode 0664); run chmod 0644 DIR/node.crt, or \
         set [http] https-insecure-certificate = true"
    );
    set_mode(&files.path("node.crt"), 0o644);
    // Both in one file, which then is a key.
    let both =
        std::fs::read_to_string(&node.certificate).expect("read") + &std::fs::read_to_string(&key).expect("read");
    let bundle =
        CertificateFiles { certificate: files.put("both.pem", &both, 0o644), private_key: None, ..node.clone() };
    assert!(why(&bundle).starts_with("[http] https-certificate: DIR/both.pem: can be read by others (mode 0644)"));
    set_mode(&bundle.certificate, 0o600);
    files.acceptor(bundle, None).expect("a bundle");
    assert!(
        why(&CertificateFiles { private_key: None, ..node.clone() }).contains("DIR/node.crt: can be read by others")
    );

    files.certificate("other", "a", &authority);
    let mixed = CertificateFiles { private_key: Some(files.path("other.key")), ..node.clone() };
    assert_eq!(why(&mixed), "[http] https-private-key: DIR/other.key: is not the key of the certificate DIR/node.crt");
    let missing = CertificateFiles { certificate: files.path("none.crt"), ..node.clone() };
    assert_eq!(
        why(&missing),
        "[http] https-certificate: DIR/none.crt: cannot be read: No such file or directory (os error 2)"
    );
    let unnamed = CertificateFiles { certificate: PathBuf::new(), ..node.clone() };
    assert_eq!(why(&unnamed), "[http] https-certificate: : no file is named");
    files.put("empty.crt", "", 0o644);
    let empty = CertificateFiles { certificate: files.path("empty.crt"), ..node.clone() };
    assert_eq!(why(&empty), "[http] https-certificate: DIR/empty.crt: holds no certificate in PEM");
    files.put("large.crt", &"x".repeat((1 << 20) + 1), 0o644);
    let large = CertificateFiles { certificate: files.path("large.crt"), ..node.clone() };
    assert_eq!(why(&large), "[http] https-certificate: DIR/large.crt: has 1048577 bytes; 1048576 is the most");
    let error = files.acceptor(node, Some("nobody")).expect_err("refused").to_string();
    assert!(error.starts_with("[cluster] https-ca: ") && error.contains("nobody.pem: cannot be read"), "{error}");
}

#[cfg(feature = "fips")]
#[test]
fn fips_takes_the_keys_that_it_should() {
    let files = Files::new();
    let authority = files.authority("ca");
    let with = |name: &str, key: KeyPair| {
        let params = CertificateParams::new(vec!["a".to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &authority).expect("a certificate");
        files.put(&format!("{name}.key"), &key.serialize_pem(), 0o600);
        files.put(&format!("{name}.crt"), &certificate.pem(), 0o644);
        files.acceptor(files.named(name), None).map(|_| ()).map_err(|error| error.why)
    };
    let curve = |algorithm| KeyPair::generate_for(algorithm).expect("a key");
    for (name, algorithm) in [
        ("p256", &rcgen::PKCS_ECDSA_P256_SHA256),
        ("p384", &rcgen::PKCS_ECDSA_P384_SHA384),
        ("p521", &rcgen::PKCS_ECDSA_P521_SHA512),
    ] {
        assert_eq!(with(name, curve(algorithm)), Ok(()), "{name}");
    }
    let rsa = |size| KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size).expect("a key");
    assert_eq!(with("rsa2048", rsa(rcgen::RsaKeySize::_2048)), Ok(()));
    assert_eq!(with("rsa3072", rsa(rcgen::RsaKeySize::_3072)), Ok(()));
    assert_eq!(
        with("rsa4096", rsa(rcgen::RsaKeySize::_4096)),
        Err("is an RSA key of 4096 bits; with FIPS they have 2048 or 3072".to_owned())
    );
    let why = with("ed25519", curve(&rcgen::PKCS_ED25519)).expect_err("not one of FIPS");
    assert!(why.contains("key"), "{why}");
}

#[tokio::test]
async fn a_chain_is_shown_with_its_links() {
    let files = Files::new();
    let root = files.authority("ca");
    let mut params = CertificateParams::new(Vec::<String>::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, "between");
    let between = Issuer::signed_by(params, KeyPair::generate().expect("a key"), &root).expect("an authority");
    let node = files.certificate("node", "127.0.0.1", &between);
    let alone = echo(files.acceptor(node.clone(), None).expect("an acceptor")).await;
    refused(&files.trusting("ca"), &alone).await;
    let chain = std::fs::read_to_string(&node.certificate).expect("read") + &between.pem();
    files.put("node.crt", &chain, 0o644);
    let linked = echo(files.acceptor(node, None).expect("an acceptor")).await;
    talk(&files.trusting("ca"), &linked).await.expect("an answer");
}
