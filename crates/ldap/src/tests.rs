//! Configurations, and looking users up at servers that answer by script.

use env::Env;
use login::{Directory, DirectoryError, Known, Memberships, Progress};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::message::tests::{done, entry_of, entry_with};
use crate::{Config, GROUPS_MAX, LdapDirectory, MEMBERS_MAX, SAMPLE};

const SECRET: &str = "planted-bind-password";

fn config(port: u16, more: &str) -> String {
    format!(
        r#"
        enabled = true
        [[servers]]
        host = "127.53.0.9"
        port = {port}
        security = "none"
        bind-dn = "cn=search"
        bind-password = "{SECRET}"
        search-base-dns = ["ou=people"]
        search-filter = "(uid=%s)"
        group-search-base-dns = ["ou=groups"]
        admin-groups = ["Admins"]
        {more}
        [[servers.group-mappings]]
        group = "readers"
        role = "readers"
        "#
    )
}

#[test]
fn configurations_are_read_and_what_is_wrong_is_told_without_secrets() {
    let good = Config::parse(&config(389, "")).expect("good");
    assert_eq!((good.enabled, good.servers[0].address().as_str()), (true, "127.53.0.9:389"));
    assert_eq!(good.roles().collect::<Vec<_>>(), ["readers"]);
    assert_eq!(good.servers[0].group_attribute, "ou");
    assert!(Config::parse(SAMPLE).expect("the sample").enabled);
    assert!(!Config::parse("").expect("nothing").enabled);
    let ldaps = config(389, "").replace("port = 389\n", "").replace("\"none\"", "\"ldaps\"");
    assert_eq!(Config::parse(&ldaps).expect("good").servers[0].address(), "127.53.0.9:636");
    let told = |from: &str, to: &str| {
        let text = config(389, "").replace(from, to);
        assert!(text != config(389, "") || from.is_empty(), "{from}");
        Config::parse(&text).expect_err(to).to_string()
    };
    for (from, to, want) in [
        ("[[servers]]", "[[server]]", "line 3: unknown field `server`"),
        ("bind-dn", "bind_dn", "line 7: unknown field `bind_dn`"),
        ("\"none\"", "\"plain\"", "line 6: not as it should be"),
        ("= \"planted-bind-password\"", "= [1]", "line 8: not as it should be"),
        ("\"(uid=%s)\"", "\"(uid=x)\"", "search-filter does not say where the name belongs: %s is missing"),
        ("\"(uid=%s)\"", "\"uid=%s\"", "search-filter is no search filter: no opening parenthesis at byte 0"),
        ("[\"ou=people\"]", "[]", "search-base-dns is empty"),
        ("\"planted-bind-password\"", "\"\"", "bind-dn without bind-password"),
        ("\"planted-bind-password\"", "\"[REDACTED]\"", "bind-password is masked; put the password in"),
        ("\"127.53.0.9\"", "\"ldap://x\"", "host is no name and no address"),
        ("role = \"readers\"", "role = \"\"", "a group mapping without group or role"),
    ] {
        let error = told(from, to);
        assert!(error.contains(want), "{error}\n{want}");
        assert!(!error.contains("planted"), "{error}");
    }
    assert!(Config::parse("enabled = true").expect_err("no server").to_string().contains("no [[servers]]"));
}

#[test]
fn what_is_shown_has_no_password() {
    let directory = LdapDirectory::new(Env::real());
    let text = config(389, &format!("# {SECRET}"));
    let summary = directory.check(&text).expect("good");
    assert!(summary.enabled && summary.roles == ["readers"]);
    assert!(!summary.masked.contains("planted") && summary.masked.contains("(uid=%s)"), "{}", summary.masked);
    assert!(!format!("{:?}", Config::parse(&text)).contains("planted"));
}

/// A server that sends these answers, one for each request, and then says nothing more.
async fn scripted(answers: Vec<Vec<u8>>) -> u16 {
    let listener = Env::real().listen("127.53.0.9:0").await.expect("an address of our own");
    let port = listener.local_addr().expect("listens").port();
    Env::real().spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("somebody");
        for answer in answers {
            let mut head = [0; 2];
            stream.read_exact(&mut head).await.expect("a request");
            let mut length = usize::from(head[1]);
            if head[1] > 0x80 {
                let mut more = vec![0; usize::from(head[1] & 0x7f)];
                stream.read_exact(&mut more).await.expect("a length");
                length = more.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
            }
            stream.read_exact(&mut vec![0; length]).await.expect("a request");
            stream.write_all(&answer).await.expect("somebody reads");
        }
        std::future::pending::<()>().await;
    });
    port
}

async fn find(answers: Vec<Vec<u8>>, name: &str, password: &str) -> Result<Known, DirectoryError> {
    let config = config(scripted(answers).await, "");
    LdapDirectory::new(Env::real()).find(&config, name, Some(password), None).await
}

fn join(parts: &[Vec<u8>]) -> Vec<u8> {
    parts.concat()
}

#[tokio::test]
async fn users_are_found_bound_and_mapped() {
    let user = join(&[entry_of(2, "uid=ann", "x", &[]), done(2, 0x65, 0)]);
    let groups =
        join(&[entry_of(5, "cn=a", "OU", &["Readers"]), entry_of(5, "cn=b", "ou", &["admins"]), done(5, 0x65, 0)]);
    let answers = vec![done(1, 0x61, 0), user.clone(), done(3, 0x61, 0), done(4, 0x61, 0), groups];
    let known = find(answers, "ann", "s3cret").await.expect("let in");
    assert_eq!(known, Known { name: "ann".to_owned(), admin: true, roles: vec!["readers".to_owned()] });
    let answers = vec![done(1, 0x61, 0), user, done(3, 0x61, 49)];
    assert_eq!(find(answers, "ann", "wrong").await, Err(DirectoryError::Wrong));
    let answers = vec![done(1, 0x61, 0), done(2, 0x65, 0), done(3, 0x61, 49)];
    assert_eq!(find(answers, "nobody", "s3cret").await, Err(DirectoryError::Wrong));
    for (name, password) in [("ann", ""), ("", "s3cret"), ("a\0", "s3cret")] {
        assert_eq!(find(vec![], name, password).await, Err(DirectoryError::Wrong), "{name:?} {password:?}");
    }
}

#[tokio::test]
async fn servers_that_answer_nonsense_let_nobody_in() {
    let two = join(&[entry_of(2, "uid=a", "x", &[]), entry_of(2, "uid=b", "x", &[]), done(2, 0x65, 0)]);
    for (answers, want) in [
        (vec![b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()], "an answer that is none of LDAP"),
        (vec![vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff]], "an answer that is too long"),
        (vec![done(7, 0x61, 0)], "the server ends the connection"),
        (vec![done(1, 0x61, 49)], "bind-dn is not let in (result code 49)"),
        (vec![done(1, 0x61, 0), done(2, 0x65, 32)], "there is nothing at \"ou=people\", or bind-dn may not see it"),
        (vec![done(1, 0x61, 0), two], "search-filter finds several entries below \"ou=people\""),
    ] {
        let Err(DirectoryError::Unavailable(why)) = find(answers, "ann", "s3cret").await else { panic!("{want}") };
        assert_eq!(why, want);
    }
}

#[tokio::test]
async fn a_server_that_is_down_is_told_and_the_next_is_asked() {
    let directory = LdapDirectory::new(Env::real());
    let down = config(1, "");
    let Err(DirectoryError::Unavailable(why)) = directory.find(&down, "ann", Some("s3cret"), None).await else {
        panic!("nobody listens")
    };
    assert!(why.starts_with("127.53.0.9:1: "), "{why}");
    let told = directory.explain(&down, "ann", "planted-password").await;
    assert!(told.contains("server 127.53.0.9:1") && told.contains("not let in") && !told.contains("planted"), "{told}");
    let user = join(&[entry_of(2, "uid=ann", "x", &[]), done(2, 0x65, 0)]);
    let answers = vec![done(1, 0x61, 0), user, done(3, 0x61, 0), done(4, 0x61, 0), done(5, 0x65, 0)];
    let second = config(scripted(answers).await, "").replace("enabled = true", "");
    let known =
        directory.find(&format!("{down}{second}"), "ann", Some("s3cret"), None).await.expect("the second knows");
    assert_eq!((known.admin, known.roles.len()), (false, 0));
}

/// A group as a server sends it.
fn group(id: u32, name: &str, members: &[&str]) -> Vec<u8> {
    entry_with(id, &format!("ou={name}"), &[("ou", &[name]), ("uniqueMember", members)])
}

async fn ahead(config: &str) -> Result<(Memberships, Vec<String>), DirectoryError> {
    LdapDirectory::new(Env::real()).memberships(config, &Progress::default()).await
}

/// Reads ahead from a server whose groups "Admins" and "readers" are these.
async fn ahead_of(admins: Vec<u8>, readers: Vec<u8>) -> Result<(Memberships, Vec<String>), DirectoryError> {
    ahead(&config(scripted(vec![done(1, 0x61, 0), admins, readers]).await, "")).await
}

#[tokio::test]
async fn groups_are_read_ahead_and_save_the_search_of_a_login() {
    // Ann in both, bob in one, carl under two spellings, two names that are no plain one, and a group of another name.
    let names = ["uid=ann", "uid=Carl", "cn=a+uid=d"];
    let admins = join(&[group(2, "ADMINS", &names), done(2, 0x65, 0)]);
    let names = ["uid=ann", "uid=bob", "uid=carl", &format!("uid={}", "x".repeat(600))];
    let readers = join(&[group(3, "readers", &names), group(3, "others", &["uid=eve"]), done(3, 0x65, 0)]);
    let (memberships, left_out) = ahead_of(admins, readers).await.expect("read");
    assert!(left_out.is_empty() && memberships.servers[0].len() == 2, "{memberships:?} {left_out:?}");
    let known = |name: &str, admin| Known { name: name.to_owned(), admin, roles: vec!["readers".to_owned()] };
    for (entry, want) in [
        ("uid=ann", Some(known("x", true))),
        ("uid=bob", Some(known("x", false))),
        ("uid=Ann", None),
        ("uid=carl", None),
        ("uid=eve", None),
        ("cn=a+uid=d", None),
        ("", None),
    ] {
        assert_eq!(memberships.known(0, entry, "x"), want, "{entry}");
        assert_eq!(memberships.known(1, entry, "x"), None, "another server");
    }
    // The server is asked for the user and for the password, and no more.
    let user = join(&[entry_of(2, "uid=ann", "x", &[]), done(2, 0x65, 0)]);
    let find = async |answers: Vec<Vec<u8>>, password: Option<&'static str>| {
        let config = config(scripted(answers).await, "");
        LdapDirectory::new(Env::real()).find(&config, "ann", password, Some(&memberships)).await
    };
    let begun = vec![done(1, 0x61, 0), user.clone()];
    let with = |code| [&begun[..], &[done(3, 0x61, code)]].concat();
    assert_eq!(find(with(0), Some("s3cret")).await, Ok(known("ann", true)));
    assert_eq!(find(begun.clone(), None).await, Ok(known("ann", true)), "by a token");
    assert_eq!(find(with(49), Some("wrong")).await, Err(DirectoryError::Wrong));
    assert_eq!(find(vec![], Some("")).await, Err(DirectoryError::Wrong));
    // Whom it does not tell of is asked for.
    let user = join(&[entry_of(2, "uid=carl", "x", &[]), done(2, 0x65, 0)]);
    let groups = join(&[entry_of(5, "ou=a", "ou", &["admins"]), done(5, 0x65, 0)]);
    let answers = vec![done(1, 0x61, 0), user, done(3, 0x61, 0), done(4, 0x61, 0), groups];
    let carl = find(answers, Some("s3cret")).await.expect("let in");
    assert_eq!((carl.admin, carl.roles.len()), (true, 0));
}

#[tokio::test]
async fn lists_that_are_cut_or_too_long_are_not_taken() {
    let good = || join(&[group(2, "admins", &["uid=ann"]), done(2, 0x65, 0)]);
    let ranged = entry_with(3, "ou=r", &[("ou", &["readers"]), ("uniqueMember;range=0-1499", &["uid=ann"])]);
    let names: Vec<String> = (0..MEMBERS_MAX).map(|number| format!("uid={number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let many = entry_with(3, "ou=r", &[("ou", &["readers"]), ("uniqueMember", &names)]);
    for (readers, want) in [
        (join(&[ranged, done(3, 0x65, 0)]), "the members of \"readers\" are not all told at once"),
        (join(&[group(3, "readers", &[]), done(3, 0x65, 4)]), "finds too many entries of the name \"readers\""),
        (join(&[many, done(3, 0x65, 0)]), "groups have more than 50000 members"),
        (done(3, 0x65, 32), "there is nothing at \"ou=groups\""),
        (vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff], "an answer that is too long"),
    ] {
        let Err(DirectoryError::Unavailable(why)) = ahead_of(good(), readers).await else { panic!("{want}") };
        assert!(why.starts_with("127.53.0.9:") && why.contains(want), "{why}");
    }
    let rule = "group-membership-search-filter = \"(member:1.2.840.113556.1.4.1941:=%s)\"";
    let Err(DirectoryError::Unavailable(why)) = ahead(&config(1, rule)).await else { panic!("a matching rule") };
    assert!(why.contains("has a matching rule (:=)") && !why.contains("planted"), "{why}");
    let groups: Vec<String> = (0..GROUPS_MAX).map(|number| format!("\"group {number}\"")).collect();
    let many = config(1, "").replace("[\"Admins\"]", &format!("[{}]", groups.join(", ")));
    let Err(DirectoryError::Unavailable(why)) = ahead(&many).await else { panic!("many groups") };
    assert_eq!(why, "the configuration names 1001 groups; at most 1000 are read ahead");
}

#[tokio::test]
async fn a_server_that_cannot_be_read_ahead_is_left_out_and_told() {
    let down = config(1, "");
    let Err(DirectoryError::Unavailable(why)) = ahead(&down).await else { panic!("nobody listens") };
    assert!(why.starts_with("127.53.0.9:1: "), "{why}");
    let admins = join(&[group(2, "admins", &["uid=ann"]), done(2, 0x65, 0)]);
    let port = scripted(vec![done(1, 0x61, 0), admins, done(3, 0x65, 0)]).await;
    let second = config(port, "").replace("enabled = true", "");
    let (memberships, left_out) = ahead(&format!("{down}{second}")).await.expect("the second tells");
    assert!(memberships.known(0, "uid=ann", "ann").is_none() && memberships.known(1, "uid=ann", "ann").is_some());
    assert!(left_out.len() == 1 && left_out[0].starts_with("127.53.0.9:1: "), "{left_out:?}");
}

#[test]
fn any_bytes_keep_the_promises() {
    let made = [
        ("entry", entry_of(4, "uid=a", "ou", &["x", "y"])),
        ("done", done(3, 0x61, 49)),
        ("filter", b"(&(objectClass=groupOfUniqueNames)(|(a=b*c)(!(d>=e))(f:1.2:=\\2a)))".to_vec()),
        ("config", config(389, "").into_bytes()),
    ];
    testkit::seeds::try_all("ldap", testkit::seeds::MANY, &made, crate::fuzzing::fuzz_ldap);
}
