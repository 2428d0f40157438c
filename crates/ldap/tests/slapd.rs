//! Against OpenLDAP's server, where it is installed (`apt-get install slapd`); without it the test says so and ends.

use env::Env;
use ldap::LdapDirectory;
use login::{Directory, DirectoryError, Known, Progress};
use testkit::slapd::{LDAP, LDAPS, Slapd};

const HOST: &str = "127.53.0.1";

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
    let Some(server) = Slapd::start(dir.path(), HOST, ENTRIES) else {
        eprintln!("skipped: there is no slapd, or no openssl, on this machine");
        return;
    };
    let directory = LdapDirectory::new(Env::real());
    let known = |name: &str, admin: bool, roles: &[&str]| {
        Ok(Known { name: name.to_owned(), admin, roles: roles.iter().map(|role| (*role).to_owned()).collect() })
    };
    for security in ["none", "starttls+insecure", "ldaps+insecure"] {
        let config = config(security);
        let find = async |name: &str, password: &str| directory.find(&config, name, Some(password), None).await;
        assert_eq!(find("ann", "ann-secret").await, known("ann", false, &["reading"]), "{security}");
        assert_eq!(find("root", "root-secret").await, known("root", true, &[]), "{security}");
        assert_eq!(find("odd*(name)", "odd-secret").await, known("odd*(name)", false, &["reading"]), "{security}");
        for (name, password) in
            [("ann", "root-secret"), ("ann", ""), ("nobody", "x"), ("*", "ann-secret"), ("a*", "ann-secret"), ("", "")]
        {
            assert_eq!(find(name, password).await, Err(DirectoryError::Wrong), "{security} {name} {password}");
        }
        assert_eq!(directory.find(&config, "ann", None, None).await, known("ann", false, &["reading"]));
        let told = directory.explain(&config, "ann", "ann-secret").await;
        assert!(told.ends_with("let in\n") && !told.contains("secret"), "{told}");
    }
    // What is read ahead is what each would be told, and takes the password no less.
    let plain = config("none");
    let (ahead, left_out) = directory.memberships(&plain, &Progress::default()).await.expect("read");
    assert_eq!((ahead.servers[0].len(), left_out.len()), (3, 0), "{ahead:?}");
    let find = async |name: &str, password: &str| directory.find(&plain, name, Some(password), Some(&ahead)).await;
    assert_eq!(ahead.known(0, "uid=ann,ou=people,dc=example,dc=com", "ann"), known("ann", false, &["reading"]).ok());
    assert_eq!(find("ann", "ann-secret").await, known("ann", false, &["reading"]));
    assert_eq!(find("root", "root-secret").await, known("root", true, &[]));
    assert_eq!(find("odd*(name)", "odd-secret").await, known("odd*(name)", false, &["reading"]));
    for (name, password) in [("ann", "root-secret"), ("ann", ""), ("nobody", "x")] {
        assert_eq!(find(name, password).await, Err(DirectoryError::Wrong), "{name} {password}");
    }
    // Whom nobody vouches for is not believed.
    for security in ["starttls", "ldaps"] {
        let told = directory.find(&config(security), "ann", Some("ann-secret"), None).await;
        let Err(DirectoryError::Unavailable(why)) = told else { panic!("{told:?}") };
        assert!(why.contains("certificate"), "{security}: {why}");
    }
    let wrong = config("none").replace("search-secret", "another");
    let told = directory.find(&wrong, "ann", Some("ann-secret"), None).await;
    assert!(matches!(told, Err(DirectoryError::Unavailable(why)) if why.contains("bind-dn is not let in")));
    drop(server);
    let told = directory.find(&config("none"), "ann", Some("ann-secret"), None).await;
    assert!(matches!(told, Err(DirectoryError::Unavailable(_))), "{told:?}");
}
