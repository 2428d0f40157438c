//! Users in a directory.

use super::*;

const HOST: &str = "127.53.0.20:8091";

async fn ldap(words: &[&str], input: &str) -> (u8, String, String) {
    let words: Vec<&str> = ["-bind", HOST, "ldap"].iter().chain(words).copied().collect();
    let said = ctl_on("nowhere.invalid", input, &words).await;
    (said.code, said.out, said.err)
}

#[tokio::test]
async fn configurations_are_sent_and_shown() {
    let mut fake = Fake::start(
        HOST,
        &[
            ("GET /ldap/v1/config", r#"200 {"structured":{"enabled":false}}"#),
            ("GET /ldap/v1/config", r#"200 {"structured":{"enabled":true},"toml":"enabled = true\n"}"#),
            ("POST /ldap/v1/config", "204"),
            ("POST /ldap/v1/config", r#"403 {"error":"LDAP is not allowed"}"#),
            ("POST /ldap/v1/verify", "200 connected\nlet in\n"),
            ("POST /ldap/v1/verify", "200 connected\nnot let in: authorization failed\n"),
            ("POST /ldap/v1/purge-cache", "204"),
        ],
    )
    .await;
    let (code, out, _) = ldap(&["sample-config"], "").await;
    assert!(code == 0 && out == ::ldap::SAMPLE);
    assert_eq!(ldap(&["get-config"], "").await, (0, "no LDAP configuration is set\n".to_owned(), String::new()));
    assert_eq!(ldap(&["get-config"], "").await, (0, "enabled = true\n".to_owned(), String::new()));
    assert_eq!(ldap(&["set-config", "-"], "enabled = false").await, (0, String::new(), String::new()));
    let (code, _, told) = ldap(&["set-config", "-"], "enabled = true").await;
    assert!(code == 1 && told.contains("LDAP is not allowed"), "{told}");
    let let_in = ldap(&["verify", "ann", "s3cret"], "").await;
    assert_eq!(let_in, (0, "connected\nlet in\n".to_owned(), String::new()));
    let (code, out, _) = ldap(&["verify", "-ldap-config", "-", "ann", "wrong"], "enabled = true").await;
    assert!(code == 1 && out.ends_with("not let in: authorization failed\n"), "{code} {out}");
    assert_eq!(ldap(&["purge-cache"], "").await.0, 0);
    let heard = fake.heard();
    for part in ["enabled = false", r#""user":"ann""#, r#""config":"enabled = true""#, "POST /ldap/v1/purge-cache"] {
        assert!(heard.contains(part), "{part}: {heard}");
    }
}

#[tokio::test]
async fn what_is_no_command_for_the_directory_is_told() {
    for (words, want) in [
        (&[][..], "a sub-command is required"),
        (&["paint"], "unknown command \"paint\""),
        (&["set-config"], "one file is required, or - for standard input"),
        (&["verify", "ann"], "a user and a password are required"),
        (&["get-config", "x"], "unexpected extra arguments: [x]"),
        (&["get-config", "-ldap-config", "x"], "-ldap-config is for verify"),
        (&["set-config", "/nowhere/at/all"], "/nowhere/at/all: "),
        (&["warm-cache"], "warm-cache is not available in this release"),
    ] {
        let (code, _, told) = ldap(words, "").await;
        assert!(code == 1 && told.contains(want), "{words:?}: {told}");
    }
}
