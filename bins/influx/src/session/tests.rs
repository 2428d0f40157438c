//! Commands and what they say, against a server of canned answers.

use expect_test::{Expect, expect};

use super::*;
use crate::testing::{Answers, heard, server};

const SHOPS: Answers = &[
    (
        "q=SHOW+DATABASES",
        200,
        r#"{"results":[{"series":[{"name":"databases","columns":["name"],"values":[["shop"],["a b"]]}]}]}"#,
    ),
    (
        "q=SHOW+RETENTION",
        200,
        r#"{"results":[{"series":[{"columns":["name","duration"],"values":[["autogen","0s"]]}]}]}"#,
    ),
    ("select+1", 200, r#"{"results":[{"series":[{"name":"m","columns":["time","v"],"values":[[1,2]]}]}]}"#),
    ("fail", 200, "{\"results\":[{}]}\n{\"results\":[{\"statement_id\":1,\"error\":\"no such thing\"}]}\n"),
    ("selec", 400, "{\"error\":\"error parsing query: found selec\"}\n"),
    ("bad=", 400, "{\"error\":\"unable to parse 'bad': missing fields\"}\n"),
    ("db=&", 400, "{\"error\":\"database is required\"}\n"),
];

fn settings() -> Settings {
    Settings {
        database: String::new(),
        retention_policy: String::new(),
        format: Format::Column,
        precision: "ns".to_owned(),
        consistency: "all".to_owned(),
        pretty: false,
        chunked: true,
        chunk_size: 0,
        node_id: 0,
    }
}

/// What the shell shows for these lines, each with its prompt.
async fn transcript(address: Address, lines: &[&str]) -> String {
    let place = address.to_string();
    let mut session =
        Session::new(Env::real(), address, ClientSettings::default(), None, settings()).expect("a session");
    let mut out = Vec::new();
    for line in lines {
        out.extend_from_slice(format!("> {line}\n").as_bytes());
        session.run_line(line, &mut out).await.expect("memory");
    }
    String::from_utf8(out).expect("text").replace(&place, "http://server:8086")
}

async fn check(lines: &[&str], want: Expect) {
    let (address, _heard) = server(SHOPS).await;
    want.assert_eq(&transcript(address, lines).await);
}

#[tokio::test]
async fn databases_are_chosen_and_forgotten() {
    check(
        &["use shop", "use \"a b\".autogen", "use shop.nope", "use nope", "use", "clear db", "clear rp", "clear x"],
        expect![[r#"
            > use shop
            Using database shop
            > use "a b".autogen
            Using database a b
            Using retention policy autogen
            > use shop.nope
            Using database shop
            ERR: RETENTION POLICY nope doesn't exist. Run SHOW RETENTION POLICIES ON "shop" for a list of existing retention polices.
            > use nope
            ERR: Database nope doesn't exist. Run SHOW DATABASES for a list of existing databases.
            DB does not exist!
            > use
            Could not parse database name from "use".
            > clear db
            database context cleared
            > clear rp
            retention policy context cleared
            > clear x
            invalid command "x".
            Possible commands for 'clear' are:
                # Clear the database context
                clear database
                clear db

                # Clear the retention policy context
                clear retention policy
                clear rp
        "#]],
    )
    .await;
}

#[tokio::test]
async fn what_is_set_is_shown() {
    let lines = [
        "format csv",
        "format xml",
        "precision ms",
        "precision x",
        "consistency one",
        "consistency",
        "pretty",
        "pretty",
        "chunked",
        "chunked",
        "chunk size 5",
        "chunk size x",
        "chunk size -1",
        "chunk 7",
        "node x",
        "node 3",
        "node clear",
        "use shop.autogen",
        "settings",
    ];
    check(
        &lines,
        expect![[r#"
            > format csv
            > format xml
            Unknown format "xml". Please use json, csv, or column.
            > precision ms
            > precision x
            Unknown precision "x". Please use rfc3339, h, m, s, ms, u or ns.
            > consistency one
            > consistency
            Unknown consistency level "". Please use any, one, quorum, or all.
            > pretty
            Pretty print enabled
            > pretty
            Pretty print disabled
            > chunked
            chunked reponses disabled
            > chunked
            chunked responses enabled
            > chunk size 5
            chunk size set to 5
            > chunk size x
            unable to parse chunk size from "x"
            > chunk size -1
            chunk size set to 0
            > chunk 7
            chunk size set to 7
            > node x
            Unable to parse node id from x. Must be an integer or 'clear'.
            > node 3
            > node clear
            > use shop.autogen
            Using database shop
            Using retention policy autogen
            > settings
            Setting           Value
            --------          --------
            URL               http://server:8086
            Username          
            Database          shop
            RetentionPolicy   autogen
            Pretty            false
            Format            csv
            Write Consistency one
            Chunked           true
            Chunk Size        7

        "#]],
    )
    .await;
}

#[tokio::test]
async fn queries_show_answers_and_errors() {
    let lines = ["select 1", "selec", "fail", "format json", "selec", "fail", "use shop", "selec", "", "  "];
    check(
        &lines,
        expect![[r#"
            > select 1
            name: m
            time v
            ---- -
            1    2
            > selec
            ERR: error parsing query: found selec
            Warning: It is possible this error is due to not setting a database.
            Please set a database with the command "use <database>".
            > fail

            ERR: no such thing
            Warning: It is possible this error is due to not setting a database.
            Please set a database with the command "use <database>".
            > format json
            > selec
            {"error":"error parsing query: found selec"}
            ERR: error parsing query: found selec
            Warning: It is possible this error is due to not setting a database.
            Please set a database with the command "use <database>".
            > fail
            {"results":[{},{"error":"no such thing"}]}
            ERR: no such thing
            Warning: It is possible this error is due to not setting a database.
            Please set a database with the command "use <database>".
            > use shop
            Using database shop
            > selec
            {"error":"error parsing query: found selec"}
            ERR: error parsing query: found selec
            > 
            >   
        "#]],
    )
    .await;
}

#[tokio::test]
async fn points_are_inserted() {
    let lines = ["insert cpu v=1", "use shop", "insert cpu v=1 1", "insert bad=", "insert into r cpu v=1"];
    check(
        &lines,
        expect![[r#"
            > insert cpu v=1
            ERR: {"error":"database is required"}

            Note: error may be due to not setting a database or retention policy.
            Please set a database with the command "use <database>" or
            INSERT INTO <database>.<retention-policy> <point>
            > use shop
            Using database shop
            > insert cpu v=1 1
            > insert bad=
            ERR: {"error":"unable to parse 'bad': missing fields"}

            > insert into r cpu v=1
        "#]],
    )
    .await;
}

#[tokio::test]
async fn requests_carry_what_is_set() {
    let (address, mut requests) = server(SHOPS).await;
    let lines = [
        "select 1",
        "use shop.autogen",
        "precision ms",
        "chunk size 5",
        "node 2",
        "select 1",
        "insert m v=1 1",
        "insert into d.r m v=2",
        "precision rfc3339",
        "consistency any",
        "chunked",
        "select 1",
        "insert m v=1",
    ];
    transcript(address, &lines).await;
    let want = [
        "post /query http/1.1 q=select+1&epoch=ns&chunked=true",
        "post /query http/1.1 q=SHOW+DATABASES",
        "post /query http/1.1 q=SHOW+RETENTION+POLICIES+ON+%22shop%22",
        "post /query http/1.1 q=select+1&db=shop&rp=autogen&epoch=ms&chunked=true&chunk_size=5&node_id=2",
        "post /write?db=shop&rp=autogen&precision=ms&consistency=all http/1.1 m v=1 1",
        "post /write?db=d&rp=r&precision=ms&consistency=all http/1.1 m v=2",
        "post /query http/1.1 q=select+1&db=shop&rp=autogen&node_id=2",
        "post /write?db=shop&rp=autogen&consistency=any http/1.1 m v=1",
    ];
    assert_eq!(heard(&mut requests), want);
}

#[tokio::test]
async fn whoever_may_not_ask_may_still_use() {
    let (address, _heard) = server(&[("q=SHOW", 403, "{\"error\":\"not authorized\"}")]).await;
    let shown = transcript(address, &["use any.thing"]).await;
    assert_eq!(shown, "> use any.thing\nUsing database any\nUsing retention policy thing\n");
    let (address, _heard) = server(&[("q=SHOW", 200, "{\"results\":[{\"error\":\"not authorized\"}]}")]).await;
    assert!(transcript(address, &["use any"]).await.ends_with("Using database any\n"));
}

#[tokio::test]
async fn another_server_can_be_talked_to() {
    let (address, _heard) = server(SHOPS).await;
    let (other, mut requests) = server(SHOPS).await;
    let shown = transcript(address, &[&format!("connect {}", other.authority()), "select 1", "connect a:b"]).await;
    assert!(shown.contains(&format!("Connected to {other} version 1.12.4\n")), "{shown}");
    assert!(shown.ends_with("ERR: could not parse host \"a:b\": invalid port number\n"), "{shown}");
    assert_eq!(heard(&mut requests).len(), 2);
}

#[tokio::test]
async fn a_retention_policy_stays_with_its_database() {
    let (address, mut requests) = server(SHOPS).await;
    transcript(address, &["use shop.autogen", "use shop", "select 1", "use \"a b\"", "select 1"]).await;
    let asked: Vec<String> = heard(&mut requests).into_iter().filter(|line| line.contains("select")).collect();
    let want = [
        "post /query http/1.1 q=select+1&db=shop&rp=autogen&epoch=ns&chunked=true",
        "post /query http/1.1 q=select+1&db=a+b&epoch=ns&chunked=true",
    ];
    assert_eq!(asked, want);
}

#[tokio::test]
async fn some_lines_end_or_need_a_person() {
    let (address, _heard) = server(SHOPS).await;
    let mut session =
        Session::new(Env::real(), address, ClientSettings::default(), None, settings()).expect("a session");
    let mut out = Vec::new();
    assert_eq!(session.run_line("quit", &mut out).await.expect("memory"), Outcome::Exit);
    let person = session.run_line("history", &mut out).await.expect("memory");
    assert_eq!(person, Outcome::NeedsPerson(Command::History));
    assert!(out.is_empty());
    session.set_credentials(Credentials { username: "u".to_owned(), password: "p".to_owned() }).expect("fine");
    for word in ["settings", "help", "gopher"] {
        session.run_line(word, &mut out).await.expect("memory");
    }
    let shown = String::from_utf8(out).expect("text");
    assert!(shown.contains("Username          u\n") && shown.contains("chunk size <rows>"));
    assert!(!shown.contains("p\n") || !shown.contains("password p"));
    assert!(shown.contains("( oo )"), "the gopher looks at us");
}
