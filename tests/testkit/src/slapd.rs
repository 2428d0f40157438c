//! OpenLDAP's server, where it is installed (`apt-get install slapd`).

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::until;

/// The port without TLS.
pub const LDAP: u16 = 3_890;
/// The port with TLS, with a certificate that nobody vouches for.
pub const LDAPS: u16 = 6_360;

/// A server of `dc=example,dc=com`, whose entries only users may see; it ends when dropped.
#[derive(Debug)]
pub struct Slapd(Child);

impl Drop for Slapd {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(program: &str, arguments: &[&str]) -> bool {
    let status = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

impl Slapd {
    /// Starts it at `host` with `entries` as LDIF; `dir` is an empty folder of its own. `None` where there is no slapd or no
    /// openssl.
    ///
    /// # Panics
    /// When it is there and does not start.
    pub fn start(dir: &Path, host: &str, entries: &str) -> Option<Slapd> {
        let known = ["/usr/sbin/slapd", "/usr/local/libexec/slapd"];
        let slapd = known.into_iter().find(|path| Path::new(path).exists())?;
        let (certificate, key) = (dir.join("cert.pem"), dir.join("key.pem"));
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let subject = format!("subjectAltName=IP:{host}");
        let made =
            ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=ldap", "-addext", &subject];
        let files = ["-keyout", &text(&key), "-out", &text(&certificate)];
        if !run("openssl", &[&made[..], &files[..]].concat()) {
            return None;
        }
        fs::create_dir(dir.join("db")).expect("a folder");
        let config = format!(
            "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\n\
             include /etc/ldap/schema/inetorgperson.schema\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\n\
             pidfile {0}/slapd.pid\nTLSCertificateFile {0}/cert.pem\nTLSCertificateKeyFile {0}/key.pem\n\
             database mdb\nsuffix \"dc=example,dc=com\"\nrootdn \"cn=manager,dc=example,dc=com\"\ndirectory {0}/db\n\
             access to attrs=userPassword by anonymous auth by * none\naccess to * by users read by * none\n",
            dir.display()
        );
        let file = dir.join("slapd.conf");
        fs::write(&file, config).expect("a file");
        fs::write(dir.join("entries.ldif"), entries).expect("a file");
        let add = ["-T", "add", "-f", &text(&file), "-l", &text(&dir.join("entries.ldif"))];
        assert!(run(slapd, &add), "the entries are loaded");
        let urls = format!("ldap://{host}:{LDAP} ldaps://{host}:{LDAPS}");
        let mut command = Command::new(slapd);
        let child = command.args(["-f", &text(&file), "-h", &urls, "-d", "0"]).stderr(Stdio::null()).spawn();
        let server = Slapd(child.expect("slapd starts"));
        until("slapd listens", Duration::from_secs(20), || {
            let up = |port| std::net::TcpStream::connect((host, port)).is_ok();
            Ok((up(LDAP) && up(LDAPS)).then_some(()))
        })
        .expect("slapd listens");
        Some(server)
    }
}
