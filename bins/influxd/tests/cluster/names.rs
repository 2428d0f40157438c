//! Names that nobody expects: each is refused with a reason, or stored and given back as it was sent; none becomes a path,
//! breaks an answer or touches what is called otherwise.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use testkit::Cluster;
use testkit::http::{Answer, encode, post_form, request};

use super::{check, cluster};

/// What databases and policies are not called.
const ODD: [&str; 64] = [
    "",
    ".",
    "..",
    "/",
    "\\",
    "a/b",
    "a\\b",
    "../x",
    "..\\x",
    "/etc/passwd",
    "C:\\x",
    "a/../b",
    "\t",
    "a\nb",
    "a\rb",
    "a\u{b}b",
    "a\u{c}b",
    "\u{1}",
    "a\u{8}b",
    "\u{7f}",
    "a\u{7f}",
    "a\u{9b}2J",
    "\u{a0}",
    "\u{85}",
    "a\u{2028}b",
    "a\u{2029}b",
    "\u{2003}",
    "\u{3000}",
    "\u{feff}",
    "\u{feff}a",
    "\u{fffd}",
    "\u{fffe}",
    "\u{10ffff}",
    "\u{fdd0}",
    "\u{fff9}a\u{fffb}",
    "a\u{1b}[31m",
    "a\u{0}b",
    "\u{0}",
    // Invisible, or turning around what is beside it.
    "a\u{200b}b",
    "a\u{200c}b",
    "a\u{200d}b",
    "a\u{200e}b",
    "\u{202e}abc",
    "abc\u{202d}",
    "\u{2066}a\u{2069}",
    "\u{61c}a",
    "a\u{ad}b",
    "a\u{2060}b",
    "\u{180e}",
    "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
    "\u{1f3f4}\u{e0067}\u{e0062}\u{e007f}",
    "\u{e000}",
    "\u{f8ff}",
    "\u{f0000}",
    "x/",
    "./x",
    "....//x",
    "..;/x",
    "%2e%2e/",
    "file:///x",
    "//x",
    "\\\\host\\share",
    "a /* x */ b",
    "a\\0b",
];

/// What they may be called.
const PLAIN: [&str; 66] = [
    "a",
    "A",
    "a b",
    " ",
    " a",
    "a ",
    "a.b",
    "...",
    ".a",
    "a.",
    "..a",
    "a..",
    "-",
    "--x",
    "-rf",
    "-- x",
    "a--b",
    "a#b",
    "~",
    "~root",
    "$HOME",
    "${x}",
    "$name",
    "`id`",
    "$(id)",
    "a;b",
    "a; DROP DATABASE ok",
    "a|b",
    "a&b",
    "a>b",
    "<x>",
    "<script>alert(1)<",
    "a'b",
    "a' OR 'a'='a",
    "a\"b",
    "a\",\"b",
    "{\"a\":[1]}",
    "a,b",
    "a=b",
    "a\u{ff0f}b",
    "%2e%2e%2f",
    "%2f",
    "%00",
    "%s%n",
    "*",
    "?",
    "CON",
    "NUL",
    "aux",
    "null",
    "true",
    "false",
    "NaN",
    "undefined",
    "0",
    "-1",
    "1e9",
    "0x10",
    "select",
    "_internal2",
    "\u{430}dmin",
    "\u{e4}",
    "\u{65e5}\u{672c}",
    "\u{1f600}",
    "e\u{301}",
    "Z\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}\u{307}",
];

/// Bytes that are no text.
const NO_TEXT: [&[u8]; 10] = [
    b"\xff",
    b"a\xffb",
    b"\xc0\xae\xc0\xae",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xed\xb0\x80",
    b"\xed\xa0\xbd\xed\xb8\x80",
    b"\xf4\x90\x80\x80",
    b"\xe2\x82",
    b"\x80",
];

/// What a name may be for, and whether databases and policies take it.
fn names() -> Vec<(String, bool)> {
    let long = [
        ("x".repeat(255), true),
        ("x".repeat(256), false),
        ("\u{e4}".repeat(127), true),
        ("\u{e4}".repeat(128), false),
        ("y".repeat(65_535), false),
        ("y".repeat(65_536), false),
        ("../".repeat(30_000), false),
    ];
    let odd = ODD.into_iter().map(|name| (name.to_owned(), false));
    odd.chain(PLAIN.into_iter().map(|name| (name.to_owned(), true))).chain(long).collect()
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

/// A statement, in a form, as no address takes 64 KiB.
fn run(cluster: &Cluster, text: &str) -> anyhow::Result<(Answer, Value)> {
    let answer = post_form(&cluster.nodes[0].at(8086), "/query?db=ok", &format!("q={}", encode(text)))?;
    let document = serde_json::from_str(&answer.body);
    let document = document.map_err(|error| anyhow::anyhow!("{text:?} breaks the answer: {error}: {answer:?}"))?;
    anyhow::ensure!(answer.status < 500, "{text:?}: {answer:?}");
    Ok((answer, document))
}

/// Whether it was carried out; if not, there is a reason.
fn is_done(cluster: &Cluster, text: &str) -> anyhow::Result<bool> {
    let (answer, document) = run(cluster, text)?;
    let told = document["error"].as_str().or(document["results"][0]["error"].as_str());
    anyhow::ensure!(answer.status == 200 || told.is_some(), "{text:?}: {answer:?}");
    anyhow::ensure!(told.is_none_or(|reason| !reason.is_empty()), "{text:?}: {answer:?}");
    Ok(told.is_none())
}

/// The values of a column of an answer.
fn listed(cluster: &Cluster, text: &str, column: usize) -> anyhow::Result<BTreeSet<String>> {
    let (answer, document) = run(cluster, text)?;
    anyhow::ensure!(answer.status == 200, "{text:?}: {answer:?}");
    let series = document["results"][0]["series"].as_array().cloned().unwrap_or_default();
    let rows = series.iter().filter_map(|series| series["values"].as_array()).flatten();
    Ok(rows.filter_map(|row| Some(row[column].as_str()?.to_owned())).collect())
}

/// The entries of all folders of a node.
fn paths(dir: &Path, found: &mut BTreeSet<String>) -> anyhow::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        found.insert(path.display().to_string());
        if path.is_dir() {
            paths(&path, found)?;
        }
    }
    Ok(())
}

#[test]
fn odd_names_are_refused_or_names_and_never_paths() {
    let (mut cluster, dir) = cluster(48, 1);
    let done = (|| {
        let file = cluster.nodes[0].dir().join("influxdb.conf");
        // As quick as a hash of a password can be.
        let keys = "[meta]\n  password-hash = \"bcrypt;cost=4\"\n";
        fs::write(&file, fs::read_to_string(&file)?.replacen("[meta]\n", keys, 1))?;
        cluster.start(0, &[])?;
        anyhow::ensure!(is_done(&cluster, "CREATE DATABASE ok")?);
        cluster.nodes[0].write_ok("ok", "", b"untouched v=7 7")?;
        let names = names();
        let distinct: BTreeSet<_> = names.iter().map(|(name, _)| name).collect();
        anyhow::ensure!(distinct.len() == names.len() && names.len() >= 130, "{}", names.len());
        let mut before = BTreeSet::new();
        paths(dir.path(), &mut before)?;
        for (name, fine) in &names {
            definitions(&cluster, name, *fine)?;
            users(&cluster, name)?;
            points(&cluster, name)?;
            operators(&cluster, name)?;
        }
        for bytes in NO_TEXT {
            no_text(&cluster, bytes)?;
        }
        // Whatever was made lies where such things lie, and is called by numbers.
        let mut after = BTreeSet::new();
        paths(dir.path(), &mut after)?;
        let nodes = cluster.nodes[0].dir().display().to_string();
        for path in after.difference(&before) {
            let inside = path.strip_prefix(&nodes).ok_or_else(|| anyhow::anyhow!("{path} is outside"))?;
            let known = |char: char| char.is_ascii_alphanumeric() || "/.-_".contains(char);
            anyhow::ensure!(inside.chars().all(known) && !inside.contains(".."), "{path}");
        }
        // Others were not hurt.
        anyhow::ensure!(listed(&cluster, "SHOW DATABASES", 0)? == BTreeSet::from(["ok".to_owned()]));
        let (answer, _) = run(&cluster, "SELECT v FROM untouched")?;
        anyhow::ensure!(answer.body.contains("\"1970-01-01T00:00:00.000000007Z\",7"), "{answer:?}");
        Ok(())
    })();
    check(&cluster, done);
}

/// Databases and policies: taken or not, listed as they are, and dropped.
fn definitions(cluster: &Cluster, name: &str, fine: bool) -> anyhow::Result<()> {
    let quoted = quoted(name);
    let made = [
        (format!("CREATE DATABASE {quoted}"), "SHOW DATABASES", format!("DROP DATABASE {quoted}")),
        (
            format!("CREATE RETENTION POLICY {quoted} ON ok DURATION 1d REPLICATION 1"),
            "SHOW RETENTION POLICIES ON ok",
            format!("DROP RETENTION POLICY {quoted} ON ok"),
        ),
        (format!("CREATE DATABASE x WITH NAME {quoted}"), "SHOW RETENTION POLICIES ON x", "DROP DATABASE x".to_owned()),
    ];
    for (create, show, drop) in made {
        let done = is_done(cluster, &create)?;
        // Without a name the policy has the usual one.
        let unnamed = name.is_empty() && create.contains(" x WITH");
        anyhow::ensure!(done == fine || unnamed, "{create:?}: {done}");
        if fine {
            anyhow::ensure!(listed(cluster, show, 0)?.contains(name), "{show} after {create:?}");
        }
        anyhow::ensure!(is_done(cluster, &drop)? || !done, "{drop:?}");
        anyhow::ensure!(name == "ok" || !done || show.ends_with("ON x") || !listed(cluster, show, 0)?.contains(name));
    }
    // In the target of a write it finds nothing, as nothing is called so any more.
    if name.len() < 10_000 {
        let target = format!("/write?db={}&rp={}", encode(name), encode(name));
        let answer = request("POST", &cluster.nodes[0].at(8086), &target, b"m v=1 1")?;
        anyhow::ensure!([400, 404].contains(&answer.status), "{target} {answer:?}");
    }
    Ok(())
}

/// Users are called as they like, for their names are nothing but values.
fn users(cluster: &Cluster, name: &str) -> anyhow::Result<()> {
    let quoted = quoted(name);
    if is_done(cluster, &format!("CREATE USER {quoted} WITH PASSWORD 'x'"))? {
        anyhow::ensure!(listed(cluster, "SHOW USERS", 0)? == BTreeSet::from([name.to_owned()]), "{name:?}");
        anyhow::ensure!(is_done(cluster, &format!("GRANT READ ON ok TO {quoted}"))?, "{name:?}");
        anyhow::ensure!(listed(cluster, &format!("SHOW GRANTS FOR {quoted}"), 0)?.contains("ok"), "{name:?}");
        anyhow::ensure!(is_done(cluster, &format!("DROP USER {quoted}"))?, "{name:?}");
    } else {
        anyhow::ensure!(!PLAIN.contains(&name), "{name:?} is refused for a user");
    }
    anyhow::ensure!(listed(cluster, "SHOW USERS", 0)?.is_empty(), "{name:?}");
    is_done(cluster, &format!("SHOW GRANTS FOR {quoted}"))?;
    Ok(())
}

/// Measurements, tags and fields: what line protocol can say is given back.
fn points(cluster: &Cluster, name: &str) -> anyhow::Result<()> {
    let escaped = |also: &str| {
        let mut text = String::new();
        for char in name.chars() {
            if char == ',' || char == ' ' || also.contains(char) {
                text.push('\\');
            }
            text.push(char);
        }
        text
    };
    // Backslashes are themselves but before what they escape, lines end at their end, and what begins a line with these
    // is a comment or left out.
    let plain = !name.is_empty() && !name.contains(['\\', '\n']);
    let begins = plain && !name.starts_with(['#', '\t', '\0', '\r']);
    let (measurement, key) = (escaped(""), escaped("="));
    let kept = |line: String, text: &str, column: usize, sure: bool| {
        let answer = request("POST", &cluster.nodes[0].at(8086), "/write?db=ok", line.as_bytes())?;
        anyhow::ensure!([204, 400].contains(&answer.status), "{name:?}: {answer:?}");
        if sure && answer.status == 204 {
            anyhow::ensure!(listed(cluster, text, column)?.contains(name), "{text} after {line:?}");
        }
        anyhow::ensure!(!sure || answer.status == 204 || name.len() > 10_000 || text.contains("KEYS"), "{line:?}");
        Ok(())
    };
    kept(format!("{measurement} v=1 1"), "SHOW MEASUREMENTS", 0, begins)?;
    kept(format!("values,t={key} v=1 1"), "SHOW TAG VALUES FROM \"values\" WITH KEY = t", 1, plain)?;
    kept(format!("tags,{key}=t v=1 1"), "SHOW TAG KEYS FROM tags", 0, plain)?;
    kept(format!("fields {key}=1 1"), "SHOW FIELD KEYS FROM fields", 0, plain)?;
    let quoted = quoted(name);
    for text in [format!("SELECT v FROM {quoted}"), format!("SHOW SERIES FROM {quoted}")] {
        run(cluster, &text)?;
    }
    Ok(())
}

/// Roles, labels and addresses on the admin API.
fn operators(cluster: &Cluster, name: &str) -> anyhow::Result<()> {
    let admin = cluster.nodes[0].at(8091);
    let post = |path: &str, body: &Value| request("POST", &admin, path, body.to_string().as_bytes());
    let show = |path: &str| Ok::<Value, anyhow::Error>(serde_json::from_str(&request("GET", &admin, path, b"")?.body)?);
    let role = |action: &str| json!({ "action": action, "role": { "name": name } });
    let made = post("/role", &role("create"))?;
    anyhow::ensure!([200, 400].contains(&made.status), "{name:?}: {made:?}");
    if made.status == 200 {
        anyhow::ensure!(show("/role")? == json!({ "roles": [{ "name": name }] }), "{name:?}");
        anyhow::ensure!(post("/role", &role("delete"))?.status == 200, "{name:?}");
    }
    let labels = json!({ "nodeID": 1, "set": { name: name } });
    let labelled = post("/node-labels", &labels)?;
    anyhow::ensure!([204, 400, 500].contains(&labelled.status), "{name:?}: {labelled:?}");
    if labelled.status == 204 {
        anyhow::ensure!(show("/show-cluster")?["meta"][0]["labels"] == json!({ name: name }), "{name:?}");
        anyhow::ensure!(post("/node-labels", &json!({ "nodeID": 1, "delete": [name] }))?.status == 204);
    }
    let rule = json!({ "database": { "match": "exact", "value": name }, "permissions": ["read"] });
    let made = post("/influxdb/v2/acl/restrictions", &rule)?;
    anyhow::ensure!([200, 400].contains(&made.status), "{name:?}: {made:?}");
    if made.status == 200 {
        let id = serde_json::from_str::<Value>(&made.body)?["id"].as_str().unwrap_or_default().to_owned();
        anyhow::ensure!(show("/influxdb/v2/acl/restrictions")?["restrictions"][0]["database"]["value"] == name);
        let path = format!("/influxdb/v2/acl/restrictions/{id}");
        anyhow::ensure!(request("DELETE", &admin, &path, b"")?.status == 204, "{name:?}");
    }
    for (path, key) in [("/add-data", "addr"), ("/remove-data", "addr"), ("/join", "addr"), ("/remove", "httpAddr")] {
        let answer = post_form(&admin, path, &format!("{key}={}", encode(name)))?;
        let reason: Value = serde_json::from_str(&answer.body)?;
        let told = reason["error"].as_str().is_some_and(|reason| !reason.is_empty());
        anyhow::ensure!((400..600).contains(&answer.status) && told, "{path} {name:?}: {answer:?}");
    }
    Ok(())
}

/// What is no UTF-8 has no place in a name, and no answer repeats it.
fn no_text(cluster: &Cluster, bytes: &[u8]) -> anyhow::Result<()> {
    let raw: String = bytes.iter().map(|byte| format!("%{byte:02x}")).collect();
    let (client, admin) = (cluster.nodes[0].at(8086), cluster.nodes[0].at(8091));
    for target in [
        format!("/query?q=CREATE+DATABASE+%22{raw}%22"),
        format!("/query?q=CREATE+USER+%22{raw}%22+WITH+PASSWORD+%27x%27"),
        format!("/query?db={raw}&q=SHOW+MEASUREMENTS"),
        format!("/write?db={raw}"),
    ] {
        let answer = request("POST", &client, &target, b"m v=1 1")?;
        anyhow::ensure!((200..500).contains(&answer.status), "{target}: {answer:?}");
        anyhow::ensure!(answer.body.is_empty() || serde_json::from_str::<Value>(&answer.body).is_ok(), "{answer:?}");
    }
    for name in listed(cluster, "SHOW USERS", 0)? {
        anyhow::ensure!(name.contains('\u{fffd}'), "{bytes:?} has become {name:?}");
        anyhow::ensure!(is_done(cluster, &format!("DROP USER {}", quoted(&name)))?);
    }
    for line in [[b"m,t=", bytes, b" v=1 1"].concat(), [bytes, b" v=1 1"].concat()] {
        let answer = request("POST", &client, "/write?db=ok", &line)?;
        anyhow::ensure!([204, 400].contains(&answer.status), "{line:?}: {answer:?}");
    }
    for text in ["SHOW SERIES", "SHOW MEASUREMENTS", "SHOW TAG VALUES WITH KEY = t"] {
        run(cluster, text)?;
    }
    for path in ["/add-data", "/join", "/remove-data"] {
        let answer = post_form(&admin, path, &format!("addr={raw}"))?;
        anyhow::ensure!((400..600).contains(&answer.status), "{path}: {answer:?}");
        serde_json::from_str::<Value>(&answer.body)?;
    }
    Ok(())
}
