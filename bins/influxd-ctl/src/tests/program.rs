//! Help, flags, credentials, and what goes wrong with servers.

use expect_test::expect;

use super::*;

#[tokio::test]
async fn help_is_printed() {
    let text = crate::usage::PROGRAM;
    for line in ["", "help", "help show", "-h", "--help", "-bind x help"] {
        assert_eq!(ctl(line).await, text, "{line}");
    }
    assert!(text.starts_with("Usage: influxd-ctl [options] <command> [options] [<args>]\n\nAvailable commands are:\n"));
    assert!(text.contains("\nOptions:\n"));
}

#[tokio::test]
async fn usage_of_a_command_is_printed() {
    expect![[r#"
        ! Usage: influxd-ctl [options] show-shards [-v] [-m] [-e]
        !
        ! Shows the shards of the cluster and who owns them. An end with a star is where the shard group was truncated.
        !
        ! Options:
        !   -e   Expired shards too.
        !   -m   Only shards that the metadata have and a disk lacks, or a disk has and the metadata lack.
        !   -v   State, time of the last change and size of each copy.
    "#]]
    .assert_eq(&ctl("show-shards -h").await);
    assert_eq!(ctl("add-meta --help").await, ctl("add-meta -h").await);
}

#[tokio::test]
async fn unknown_commands_are_told() {
    expect![[r#"
        ! unknown command "shw"
        ! Run 'influxd-ctl help' for usage
        exit 1
    "#]]
    .assert_eq(&ctl("shw -v").await);
}

#[tokio::test]
async fn what_is_not_there_says_so() {
    for command in ["copy-shard", "copy-shard-status", "kill-copy-shard", "entropy", "backup", "restore"] {
        for arguments in ["", " a b 3", " show", " -h", " -x"] {
            let want = format!("! {command}: not available in this release\nexit 1\n");
            assert_eq!(ctl(&format!("{command}{arguments}")).await, want);
        }
    }
}

#[tokio::test]
async fn wrong_flags_are_told_with_the_usage() {
    expect![[r#"
        ! remove-data: flag provided but not defined: -x
        !
        ! Usage: influxd-ctl [options] remove-data [-force] <tcp-addr>
        !
        ! Removes the data node at this TCP address from the cluster, with the data on its disk. Its shards get no new owners.
        !
        ! Options:
        !   -force
        !        The node runs no more and never will.
        exit 1
    "#]].assert_eq(&ctl("remove-data -x a").await);
    expect![[r#"
        ! truncate-shards: invalid value "soon" for flag -delay: time: unknown unit "soon" in duration "soon"
        !
        ! Usage: influxd-ctl [options] truncate-shards [-delay <duration>]
        !
        ! Ends the shard groups that are written to, so that new ones are placed on all data nodes.
        !
        ! Options:
        !   -delay duration
        !        How long from now they end; all nodes must have heard of it by then. (default 1m0s)
        exit 1
    "#]]
    .assert_eq(&ctl("truncate-shards -delay soon").await);
    let said = ctl("-foo show").await;
    let want = format!("flag provided but not defined: -foo\n\n{}", crate::usage::PROGRAM);
    let want: String = want.lines().map(|line| format!("! {line}").trim_end().to_owned() + "\n").collect();
    assert_eq!(said, want + "exit 1\n");
}

#[tokio::test]
async fn credentials_are_sent() {
    let answers = [("GET /show-cluster", "200 {}"), ("POST /node-labels", "204")];
    let mut meta = Fake::start("127.40.20.1:8091", &answers).await;
    let bind = "-bind 127.40.20.1";
    for line in [
        format!("{bind} show"),
        format!("{bind} -auth-type NONE -user u -pwd p show"),
        format!("{bind} -auth-type basic -user u -pwd p show"),
        format!("{bind} -auth-type BASIC -user u -pwd p node-labels set -nodeid 4 -labels {{}}"),
    ] {
        assert!(!ctl(&line).await.contains('!'), "{line}");
    }
    let jwt = ["-bind", "127.40.20.1", "-auth-type", "Jwt", "-secret", SECRET];
    ctl_on("h", "", &[&jwt[..], &["-user", "admin", "show"]].concat()).await;
    ctl_on("h", "", &[&jwt[..], &["show"]].concat()).await;
    expect![[r#"
        GET /show-cluster
        GET /show-cluster
        GET /show-cluster [Basic dTpw]
        POST /node-labels application/json: {"delete":[],"nodeID":4,"set":{}} [Basic dTpw]
        GET /show-cluster [Bearer of "admin" for 300 s]
        GET /show-cluster [Bearer of "" for 300 s]
    "#]]
    .assert_eq(&meta.heard());
}

#[tokio::test]
async fn wrong_credentials_are_told_without_them() {
    let answers = [("GET /show-cluster", r#"401 {"error":"authorization failed"}"#)];
    let _meta = Fake::start("127.40.21.1:8091", &answers).await;
    let said = ctl("-bind 127.40.21.1 -auth-type basic -user u -pwd hidden show").await;
    expect![[r#"
        ! show: operation exited with error: authorization failed
        ! Say who you are with -auth-type basic -user <name> -pwd <password>, or with -auth-type jwt -user <name> -secret <secret>.
        exit 1
    "#]].assert_eq(&said);
    expect![[r#"
        ! show: invalid -auth-type: digest
        ! It is one of none, basic, jwt.
        exit 1
    "#]]
    .assert_eq(&ctl("-auth-type digest -pwd hidden show").await);
    expect![[r#"
        ! show: -secret is required with -auth-type jwt
        ! It is the shared-secret of the [meta] section of the meta nodes.
        exit 1
    "#]]
    .assert_eq(&ctl("-auth-type jwt -user u show").await);
}

#[tokio::test]
async fn refusals_are_told() {
    let answers = [
        ("POST /join", r#"503 {"error":"no leader"}"#),
        ("POST /join", r#"409 {"error":"meta node at \"a:8091\" is a member of another cluster"}"#),
        ("POST /join", "404 404 page not found"),
        ("POST /join", "500"),
        ("POST /join", "400 {\"error\":\"a\\u001b[2Jb\\nc\"}"),
        ("POST /join", "200 hello"),
        ("POST /join", "307 leader"),
    ];
    let _meta = Fake::start("127.40.22.1:8091", &answers).await;
    let mut said = String::new();
    for _ in 0..answers.len() {
        said.push_str(&ctl("-bind 127.40.22.1 add-meta a:8091").await);
    }
    expect![[r#"
        ! add-meta: operation exited with error: no leader
        exit 1
        ! add-meta: operation exited with error: meta node at "a:8091" is a member of another cluster
        exit 1
        ! add-meta: operation exited with error: 404 page not found
        exit 1
        ! add-meta: operation exited with error: status 500
        exit 1
        ! add-meta: operation exited with error: a�[2Jb�c
        exit 1
        ! add-meta: operation exited with error: unexpected answer: expected value at line 1 column 1
        exit 1
        ! add-meta: operation exited with error: unexpected answer: redirected to "leader", which is no address
        exit 1
    "#]]
    .assert_eq(&said);
}

#[tokio::test]
async fn silence_is_told() {
    let _meta = Fake::start("127.40.23.1:8091", &[("GET /show-cluster", "silence")]).await;
    expect![[r#"
        ! show: operation timed out with error: no answer within 50ms
        ! Give it longer with -timeout. A change may still be carried out: look with 'influxd-ctl show' before you repeat it.
        exit 1
    "#]].assert_eq(&ctl("-bind 127.40.23.1 -timeout 50ms show").await);
    expect![[r#"
        ! show: operation timed out with error: dial tcp 127.40.23.2:8091: Connection refused (os error 111)
        ! Check that the node runs and that its port can be reached; -bind names the meta node to ask.
        exit 1
    "#]]
    .assert_eq(&ctl("-bind 127.40.23.2 show").await);
}

#[tokio::test]
async fn nobody_falls_back_to_plain_text() {
    let mut plain = Fake::start("127.40.24.1:8091", &[]).await;
    for words in ["-bind-tls -k -bind 127.40.24.1:8091 show", "-k -bind https://127.40.24.1:8091 show"] {
        expect![[r#"
            ! show: operation timed out with error: dial tcp 127.40.24.1:8091: TLS: the other side answers in plain text; its port has no TLS
            ! -bind-tls is for nodes with TLS; -ca names a file with certificates to trust, and -k trusts any.
            exit 1
        "#]]
        .assert_eq(&ctl(words).await);
    }
    assert_eq!(plain.heard(), "", "no request in plain text");
    let missing = ctl("-bind-tls -bind 127.40.24.1:8091 -k -cert /nowhere.crt show").await;
    assert_eq!(
        missing,
        "! show: -cert: /nowhere.crt: cannot be read: No such file or directory (os error 2)\nexit 1\n"
    );
    assert_eq!(ctl("-bind a:b show").await, "! show: could not parse host \"a:b\": invalid port number\nexit 1\n");
}

#[tokio::test]
async fn tokens_are_good_for_a_while() {
    let flags = ["-auth-type", "jwt", "-secret", SECRET, "-user", "admin", "token"];
    for (more, seconds) in [(&[][..], 60), (&["-exp", "1h"][..], 3_600), (&["-exp", "1500ms"][..], 2)] {
        let before = now_unix_seconds();
        let said = ctl_on("h", "", &[&flags[..], more].concat()).await;
        assert_eq!((said.err.as_str(), said.code), ("", 0));
        let token = said.out.strip_suffix('\n').expect("one line");
        let claims = credentials::verify(token, SECRET, before).expect("a good token");
        assert_eq!(claims.username, "admin");
        let after = now_unix_seconds();
        assert!((before + seconds..=after + seconds).contains(&claims.expires_unix_seconds), "{claims:?}");
    }
}

#[tokio::test]
async fn tokens_need_a_secret() {
    expect![[r#"
        ! token: tokens can only be created when using bearer authentication
        ! Give -auth-type jwt -user <name> -secret <secret> in front of the command.
        exit 1
    "#]]
    .assert_eq(&ctl("token").await);
    expect![[r#"
        ! token: tokens can only be created when using bearer authentication
        ! Give -auth-type jwt -user <name> -secret <secret> in front of the command.
        exit 1
    "#]]
    .assert_eq(&ctl("-auth-type basic -user u -pwd hidden token").await);
    expect![[r#"
        ! token: -secret is required with -auth-type jwt
        ! It is the shared-secret of the [meta] section of the meta nodes.
        exit 1
    "#]]
    .assert_eq(&ctl("-auth-type jwt token").await);
    expect![[r#"
        ! token: invalid value "0s" for flag -exp: must be greater than 0
        !
        ! Usage: influxd-ctl -auth-type jwt -user <name> -secret <secret> token [-exp <duration>]
        !
        ! Prints a token that proves to be this user, for other programs.
        !
        ! Options:
        !   -exp duration
        !        How long the token is good. (default 1m0s)
        exit 1
    "#]]
    .assert_eq(&ctl("-auth-type jwt -secret hidden token -exp 0s").await);
    expect![[r#"
        ! token: unexpected extra arguments: [x]
        ! Run 'influxd-ctl token -h' for usage
        exit 1
    "#]]
    .assert_eq(&ctl("-auth-type jwt -secret hidden token x").await);
}

#[tokio::test]
async fn the_file_of_a_meta_node_says_what_flags_do_not() {
    let answers = [("GET /show-cluster", "200 {}")];
    let mut meta = Fake::start("127.40.25.1:8091", &answers).await;
    let mut other = Fake::start("127.40.25.2:8091", &answers).await;
    let dir = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let secrets = format!("internal-shared-secret = \"{SECRET}\"\n  shared-secret = \"of users\"");
    let guarded = write(
        "guarded.conf",
        &format!(
            "hostname = \"127.40.25.1\"\n[meta]\n  http-bind-address = \":8091\"\n  auth-enabled = true\n  {secrets}\n"
        ),
    );
    let open = write("open.conf", "[meta]\n  http-bind-address = \"127.40.25.1:8091\"\n");
    let server = format!("[meta]\n  auth-enabled = true\n  meta-internal-shared-secret = \"{SECRET}\"\n");
    let server = write("influxdb.conf", &(server + "  http-bind-address = \"127.40.25.1:8091\"\n"));
    for words in [
        &["-config", &guarded, "show"][..],
        &["-config", &guarded, "-user", "ann", "-secret", SECRET, "show"],
        &["-config", &guarded, "-auth-type", "basic", "-user", "u", "-pwd", "p", "show"],
        &["-config", &guarded, "-user", "ann", "show"],
        &["-config", &open, "show"],
        &["-config", &server, "show"],
        &["-config", &guarded, "-bind", "127.40.25.2:8091", "-auth-type", "none", "show"],
    ] {
        let said = ctl_on("h", "", words).await;
        assert_eq!((said.err.as_str(), said.code), ("", 0), "{words:?}");
    }
    expect![[r#"
        GET /show-cluster [Bearer of "" for 300 s]
        GET /show-cluster [Bearer of "ann" for 300 s]
        GET /show-cluster [Basic dTpw]
        GET /show-cluster [signature is invalid]
        GET /show-cluster
        GET /show-cluster [Bearer of "" for 300 s]
    "#]]
    .assert_eq(&meta.heard());
    assert_eq!(other.heard(), "GET /show-cluster\n");
    let tls = write("tls.conf", "[meta]\n  http-bind-address = \"127.40.25.1:8091\"\n  https-enabled = true\n");
    let said = ctl_on("h", "", &["-config", &tls, "show"]).await;
    assert!(said.err.contains("its port has no TLS"), "{}", said.err);
    assert_eq!(meta.heard(), "", "no request in plain text");
    let broken = write("broken.conf", "[meta\n");
    for (file, want) in
        [(&*broken, "! show: -config: "), ("/nowhere.conf", "! show: -config: /nowhere.conf: No such file")]
    {
        let said = ctl_on("h", "", &["-config", file, "show"]).await.story();
        assert!(said.starts_with(want) && said.ends_with("exit 1\n"), "{said}");
    }
}
