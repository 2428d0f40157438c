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
async fn groups_are_read_ahead_shown_and_ended() {
    let node =
        |id: u64, state: &str, rest: &str| format!(r#"{{"id":{id},"tcpAddr":"d{id}:8088","state":"{state}"{rest}}}"#);
    let first = node(1, "running", r#","groups":12,"groupsRead":3,"members":1234,"message":"""#);
    let lost = node(10, "unknown", r#","message":"connect: Connection refused""#);
    let second = node(10, "running", "");
    let answer = |nodes: &[&String]| {
        let nodes: Vec<&str> = nodes.iter().map(|node| node.as_str()).collect();
        format!(r#"200 {{"nodes":[{}]}}"#, nodes.join(","))
    };
    let (both, torn) = (answer(&[&second, &first]), answer(&[&lost, &first]));
    let host = "127.53.0.21:8091";
    let mut fake = Fake::start(
        host,
        &[
            ("POST /ldap/v1/warm-cache", &both),
            ("POST /ldap/v1/warm-cache", &torn),
            ("GET /ldap/v1/warm-cache", &torn),
            ("POST /ldap/v1/warm-cache", &both),
            ("POST /ldap/v1/warm-cache", r#"400 {"error":"no LDAP configuration is set"}"#),
        ],
    )
    .await;
    let ldap = async |words: &[&str]| {
        let words: Vec<&str> = ["-bind", host, "ldap", "warm-cache"].iter().chain(words).copied().collect();
        let said = ctl_on("nowhere.invalid", "", &words).await;
        (said.code, said.out, said.err)
    };
    let head = "ID  Address   State    Groups  Members  Message\n1   d1:8088   running  3/12    1234\n";
    let shown = format!("{head}10  d10:8088  running  0/0     0\n");
    let torn = format!("{head}10  d10:8088  unknown  0/0     0        connect: Connection refused\n");
    assert_eq!(ldap(&[]).await, (0, shown.clone(), String::new()));
    assert_eq!(ldap(&[]).await, (1, torn.clone(), String::new()), "not all were told");
    assert_eq!(ldap(&["-status"]).await, (0, torn, String::new()));
    assert_eq!(ldap(&["-cancel"]).await, (0, shown, String::new()));
    let (code, out, told) = ldap(&[]).await;
    assert!(code == 1 && out.is_empty() && told.contains("no LDAP configuration is set"), "{told}");
    assert_eq!(fake.heard().matches("cancel=true").count(), 1);
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
        (&["warm-cache", "x"], "unexpected extra arguments: [x]"),
        (&["warm-cache", "-status", "-cancel"], "-status and -cancel do not go together"),
        (&["purge-cache", "-status"], "-status and -cancel are for warm-cache"),
    ] {
        let (code, _, told) = ldap(words, "").await;
        assert!(code == 1 && told.contains(want), "{words:?}: {told}");
    }
}
