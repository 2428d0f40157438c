//! Against OpenLDAP's server, where it is installed (`apt-get install slapd`); without it the test says so and ends.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use env::Env;
use ldap::LdapDirectory;
use login::{Directory, DirectoryError, Known};
use testkit::until;

const HOST: &str = "127.53.0.1";
const LDAP: u16 = 3_890;
const LDAPS: u16 = 6_360;

const ENTRIES: &str = "\
dn: dc=example,dc=com
objectClass: organization
objectClass: dcObject
o: example
dc: example

dn: cn=search,dc=example,dc=com
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: search
userPassword: search-secret

dn: ou=people,dc=example,dc=com
objectClass: organizationalUnit
ou: people

dn: ou=groups,dc=example,dc=com
objectClass: organizationalUnit
ou: groups

dn: uid=ann,ou=people,dc=example,dc=com
objectClass: inetOrgPerson
uid: ann
cn: Ann
sn: A
userPassword: ann-secret

dn: uid=root,ou=people,dc=example,dc=com
objectClass: inetOrgPerson
uid: root
cn: Root
sn: R
userPassword: root-secret

dn: uid=odd*(name),ou=people,dc=example,dc=com
objectClass: inetOrgPerson
uid: odd*(name)
cn: Odd
sn: O
userPassword: odd-secret

dn: cn=readers,ou=groups,dc=example,dc=com
objectClass: groupOfUniqueNames
cn: readers
ou: readers
uniqueMember: uid=ann,ou=people,dc=example,dc=com
uniqueMember: uid=odd*(name),ou=people,dc=example,dc=com

dn: cn=admins,ou=groups,dc=example,dc=com
objectClass: groupOfUniqueNames
cn: admins
ou: admins
uniqueMember: uid=root,ou=people,dc=example,dc=com
";

/// A server in a directory of its own; it ends with the test.
struct Slapd(Child);

impl Drop for Slapd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(program: &str, arguments: &[&str]) -> bool {
    let status = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn start(dir: &Path) -> Option<Slapd> {
    let slapd = ["/usr/sbin/slapd", "/usr/local/libexec/slapd"].into_iter().find(|path| Path::new(path).exists())?;
    let (certificate, key) = (dir.join("cert.pem"), dir.join("key.pem"));
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let subject = format!("subjectAltName=IP:{HOST}");
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
    fs::write(dir.join("entries.ldif"), ENTRIES).expect("a file");
    let add = ["-T", "add", "-f", &text(&file), "-l", &text(&dir.join("entries.ldif"))];
    assert!(run(slapd, &add), "the entries are loaded");
    let urls = format!("ldap://{HOST}:{LDAP} ldaps://{HOST}:{LDAPS}");
    let mut command = Command::new(slapd);
    let child = command.args(["-f", &text(&file), "-h", &urls, "-d", "0"]).stderr(Stdio::null()).spawn();
    let server = Slapd(child.expect("slapd starts"));
    until("slapd listens", Duration::from_secs(20), || {
        let up = |port| std::net::TcpStream::connect((HOST, port)).is_ok();
        Ok((up(LDAP) && up(LDAPS)).then_some(()))
    })
    .expect("slapd listens");
    Some(server)
}

fn config(security: &str) -> String {
    let port = if security.starts_with("ldaps") { LDAPS } else { LDAP };
    format!(
        r#"
        enabled = true
        [[servers]]
        host = "{HOST}"
        port = {port}
        security = "{security}"
        bind-dn = "cn=search,dc=example,dc=com"
        bind-password = "search-secret"
        search-base-dns = ["ou=people,dc=example,dc=com"]
        search-filter = "(uid=%s)"
        group-search-base-dns = ["ou=groups,dc=example,dc=com"]
        admin-groups = ["admins"]
        [[servers.group-mappings]]
        group = "readers"
        role = "reading"
        "#
    )
}

#[tokio::test]
async fn openldap_lets_the_right_ones_in() {
    let dir = tempfile::tempdir().expect("a folder");
    let Some(server) = start(dir.path()) else {
        eprintln!("skipped: there is no slapd, or no openssl, on this machine");
        return;
    };
    let directory = LdapDirectory::new(Env::real());
    let known = |name: &str, admin: bool, roles: &[&str]| {
        Ok(Known { name: name.to_owned(), admin, roles: roles.iter().map(|role| (*role).to_owned()).collect() })
    };
    for security in ["none", "starttls+insecure", "ldaps+insecure"] {
        let config = config(security);
        let find = async |name: &str, password: &str| directory.find(&config, name, Some(password)).await;
        assert_eq!(find("ann", "ann-secret").await, known("ann", false, &["reading"]), "{security}");
        assert_eq!(find("root", "root-secret").await, known("root", true, &[]), "{security}");
        assert_eq!(find("odd*(name)", "odd-secret").await, known("odd*(name)", false, &["reading"]), "{security}");
        for (name, password) in
            [("ann", "root-secret"), ("ann", ""), ("nobody", "x"), ("*", "ann-secret"), ("a*", "ann-secret"), ("", "")]
        {
            assert_eq!(find(name, password).await, Err(DirectoryError::Wrong), "{security} {name} {password}");
        }
        assert_eq!(directory.find(&config, "ann", None).await, known("ann", false, &["reading"]));
        let told = directory.explain(&config, "ann", "ann-secret").await;
        assert!(told.ends_with("let in\n") && !told.contains("secret"), "{told}");
    }
    // Whom nobody vouches for is not believed.
    for security in ["starttls", "ldaps"] {
        let told = directory.find(&config(security), "ann", Some("ann-secret")).await;
        let Err(DirectoryError::Unavailable(why)) = told else { panic!("{told:?}") };
        assert!(why.contains("certificate"), "{security}: {why}");
    }
    let wrong = config("none").replace("search-secret", "another");
    let told = directory.find(&wrong, "ann", Some("ann-secret")).await;
    assert!(matches!(told, Err(DirectoryError::Unavailable(why)) if why.contains("bind-dn is not let in")));
    drop(server);
    let told = directory.find(&config("none"), "ann", Some("ann-secret")).await;
    assert!(matches!(told, Err(DirectoryError::Unavailable(_))), "{told:?}");
}
