//! Clusters whose ports all have TLS, as processes: what goes through, what does not, and certificates that change.
//!
//! Addresses are 127.51.<test>.<node>. Requests are made as `influxd-ctl` and `influx` make them.

use std::fs;
use std::io::{Read, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use api_client::{Address, AdminClient, AdminConfig, Authorization, Client, ClientConfig, ClientError, Write};
use env::Env;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::Value;
use testkit::until;
use tls::{Authorities, CertificateFiles, ClientSettings, NamedBy};
use tokio::runtime::Runtime;

/// How long anything may take that should be quick.
const SOON: Duration = Duration::from_secs(30);

type Issuer = CertifiedIssuer<'static, KeyPair>;

/// Certificates in files of one directory, and a client that believes some of them.
struct Certificates {
    dir: PathBuf,
}

impl Certificates {
    fn new(root: &Path) -> Certificates {
        let dir = root.join("certificates");
        fs::create_dir_all(&dir).expect("a directory");
        Certificates { dir }
    }

    fn put(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.dir.join(name);
        fs::write(&path, text).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
        path
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// An authority, whose certificate is in `<name>.pem`.
    fn authority(&self, name: &str) -> Issuer {
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = Issuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
        self.put(&format!("{name}.pem"), &issuer.pem(), 0o644);
        issuer
    }

    /// A certificate for `host` in `<host>.crt`, its key in `<host>.key`.
    fn issue(&self, host: &str, issuer: &Issuer) {
        let params = CertificateParams::new(vec![host.to_owned()]).expect("a name");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, issuer).expect("a certificate");
        self.put(&format!("{host}.key"), &key.serialize_pem(), 0o600);
        self.put(&format!("{host}.crt"), &certificate.pem(), 0o644);
    }

    fn keys(&self, host: &str) -> String {
        let dir = self.dir.display();
        format!(
            "https-enabled = true\n  https-certificate = \"{dir}/{host}.crt\"\n  https-private-key = \
             \"{dir}/{host}.key\"\n"
        )
    }

    /// Believes those whom `authority` has signed; shows the certificate of `host`, if any.
    fn client(&self, authority: &str, host: Option<&str>) -> ClientSettings {
        ClientSettings {
            insecure: false,
            authorities: Some(Authorities { place: "-ca".to_owned(), path: self.path(&format!("{authority}.pem")) }),
            certificate: host.map(|host| CertificateFiles {
                named_by: NamedBy::Flags,
                certificate: self.path(&format!("{host}.crt")),
                private_key: Some(self.path(&format!("{host}.key"))),
                any_mode: false,
            }),
        }
    }
}

/// The build with FIPS does not start with what is usual elsewhere.
fn build_needs() -> Option<(&'static str, &'static str)> {
    tls::IS_FIPS.then_some(("INFLUXDB_META_PASSWORD_HASH", "pbkdf2-sha256"))
}

/// A node: an address, a file, and a process while it runs.
struct Node {
    host: String,
    program: &'static str,
    dir: PathBuf,
    child: Option<Child>,
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Node {
    fn new(root: &Path, host: &str, program: &'static str, text: &str) -> Node {
        let dir = root.join(host);
        fs::create_dir_all(&dir).expect("a directory");
        let text = text.replace("HOST", host).replace("DIR", &dir.display().to_string());
        fs::write(dir.join("node.conf"), text).expect("a configuration");
        Node { host: host.to_owned(), program, dir, child: None }
    }

    fn at(&self, port: u16) -> String {
        format!("{}:{port}", self.host)
    }

    fn start(&mut self, more: &[&str]) -> anyhow::Result<()> {
        let log = fs::File::create(self.dir.join("node.log"))?;
        let mut command = Command::new(self.program);
        command.arg("-config").arg(self.dir.join("node.conf")).args(more);
        command.envs(build_needs());
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?;
        self.child = Some(child);
        Ok(())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.join("node.log")).unwrap_or_default()
    }

    fn hang_up(&self) -> anyhow::Result<()> {
        let child = self.child.as_ref().context("it runs")?;
        let done = Command::new("sh").arg("-c").arg(format!("kill -HUP {}", child.id())).status()?;
        ensure!(done.success(), "no signal was sent");
        Ok(())
    }

    fn wait_for_log(&self, text: &str) -> anyhow::Result<()> {
        until(text, SOON, || Ok(self.log().contains(text).then_some(()))).with_context(|| self.log())
    }
}

/// Asks over HTTPS, and believes whom `settings` name.
struct Asker {
    runtime: Runtime,
    settings: ClientSettings,
}

impl Asker {
    fn new(settings: ClientSettings) -> Asker {
        Asker {
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().expect("threads"),
            settings,
        }
    }

    fn admin(&self, address: &str) -> Result<AdminClient, ClientError> {
        let (authorization, tls) = (Authorization::None, self.settings.clone());
        let config = AdminConfig { authorization, tls, timeout: Duration::from_secs(30) };
        AdminClient::new(Env::real(), &format!("https://{address}"), config)
    }

    fn get(&self, address: &str, path: &str) -> anyhow::Result<Value> {
        let answer = self.runtime.block_on(self.admin(address)?.get(path))?;
        Ok(serde_json::from_slice(&answer.body).unwrap_or(Value::Null))
    }

    fn post(&self, address: &str, path: &str, addr: &str) -> anyhow::Result<Value> {
        let answer = self.runtime.block_on(self.admin(address)?.post_form(path, &[("addr", addr)]))?;
        Ok(serde_json::from_slice(&answer.body)?)
    }

    fn query(&self, node: &Node, text: &str) -> anyhow::Result<Value> {
        let path = format!("/query?db=d&epoch=ns&q={}", testkit::http::encode(text));
        // A form, for statements that change something.
        let answer = self.runtime.block_on(self.admin(&node.at(8086))?.post_form(&path, &[]))?;
        let document: Value = serde_json::from_slice(&answer.body)?;
        match document["results"][0]["error"].as_str() {
            Some(error) => bail!("{}: {text}: {error}", node.host),
            None => Ok(document["results"][0].clone()),
        }
    }

    fn count(&self, node: &Node) -> anyhow::Result<i64> {
        Ok(self.query(node, "SELECT count(v) FROM m")?["series"][0]["values"][0][1].as_i64().unwrap_or(0))
    }

    fn write(&self, node: &Node, from: i64, count: i64) -> anyhow::Result<()> {
        let config = ClientConfig {
            address: Address::parse(&format!("https://{}", node.at(8086)), None)?,
            tls: self.settings.clone(),
            credentials: None,
            user_agent: "test".to_owned(),
            connect_timeout: SOON,
            answer_timeout: Some(SOON),
        };
        let lines: Vec<String> = (from..from + count).map(|n| format!("m,host=h{} v={n} {n}", n % 7)).collect();
        let target = Write { db: "d".to_owned(), consistency: "all".to_owned(), ..Write::default() };
        let client = Client::new(Env::real(), config)?;
        Ok(self.runtime.block_on(client.write(&target, lines.join("\n").into()))?)
    }
}

/// What a port answers to HTTP without TLS.
fn plain_answer(address: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(SOON))?;
    stream.write_all(b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn meta_text(keys: &str) -> String {
    format!(
        "hostname = \"HOST\"\n[meta]\n  dir = \"DIR/meta\"\n  bind-address = \"HOST:8089\"\n  http-bind-address = \
         \"HOST:8091\"\n  {keys}\n"
    )
}

fn data_text(meta_keys: &str, cluster_keys: &str, http_keys: &str) -> String {
    format!(
        "hostname = \"HOST\"\nbind-address = \"HOST:8088\"\n[meta]\n  enabled = false\n  dir = \"DIR/meta\"\n  \
         {meta_keys}\n[data]\n  dir = \"DIR/data\"\n[hinted-handoff]\n  dir = \"DIR/hh\"\n[cluster]\n  \
         {cluster_keys}\n[http]\n  bind-address = \"HOST:8086\"\n  {http_keys}\n"
    )
}

#[test]
fn a_cluster_with_certificates_on_every_port_works_and_takes_new_ones() -> anyhow::Result<()> {
    let root = tempfile::tempdir()?;
    let certificates = Certificates::new(root.path());
    let authority = certificates.authority("ca");
    let dir = certificates.dir.display();
    let whom = format!("  https-ca = \"{dir}/ca.pem\"\n  https-client-ca = \"{dir}/ca.pem\"\n");
    let mut metas = Vec::new();
    let mut data = Vec::new();
    for host in ["127.51.1.1", "127.51.1.2", "127.51.1.3"] {
        certificates.issue(host, &authority);
        let keys = format!("{}{whom}  data-use-tls = true\n", certificates.keys(host));
        metas.push(Node::new(root.path(), host, env!("CARGO_BIN_EXE_influxd-meta"), &meta_text(&keys)));
    }
    for host in ["127.51.1.11", "127.51.1.12"] {
        certificates.issue(host, &authority);
        let meta_keys = format!("meta-tls-enabled = true\n  https-ca = \"{dir}/ca.pem\"");
        let own = certificates.keys(host);
        let text = data_text(&meta_keys, &format!("{own}{whom}"), &own);
        data.push(Node::new(root.path(), host, env!("CARGO_BIN_EXE_influxd"), &text));
    }
    let operator = Asker::new(certificates.client("ca", Some("127.51.1.1")));
    for node in metas.iter_mut().chain(&mut data) {
        node.start(&[])?;
    }
    for (node, port) in metas.iter().map(|meta| (meta, 8091)).chain(data.iter().map(|data| (data, 8088))) {
        until("it tells its status", SOON, || Ok(operator.get(&node.at(port), "/status").ok()))
            .with_context(|| node.log())?;
    }
    for meta in &metas {
        operator.post("127.51.1.1:8091", "/join", &meta.at(8091)).with_context(|| meta.log())?;
    }
    for node in &data {
        // A follower leads to the leader, with the right scheme.
        operator.post("127.51.1.2:8091", "/add-data", &node.at(8088)).with_context(|| node.log())?;
    }
    let shown = until("everybody has said how it is reached", SOON, || {
        let shown = operator.get("127.51.1.3:8091", "/show-cluster")?;
        let of = |kind: &str| shown[kind].as_array().cloned().unwrap_or_default();
        let all = [of("meta"), of("data")].concat();
        Ok((all.len() == 5 && all.iter().all(|node| node["httpScheme"] == "https")).then_some(shown))
    })?;
    ensure!(shown["data"][0]["tcpAddr"] == "127.51.1.11:8088", "{shown}");

    let client = Asker::new(certificates.client("ca", None));
    client.query(&data[0], "CREATE DATABASE d WITH REPLICATION 2")?;
    client.write(&data[1], 0, 100)?;
    ensure!((client.count(&data[0])?, client.count(&data[1])?) == (100, 100));

    // Plain text is told where it is, and nothing else.
    for address in ["127.51.1.11:8086", "127.51.1.11:8088", "127.51.1.1:8089", "127.51.1.1:8091"] {
        let answer = plain_answer(address)?;
        ensure!(answer.starts_with("HTTP/1.0 400 Bad Request"), "{address}: {answer}");
    }
    metas[0].wait_for_log("plain text on a port with TLS")?;
    // Without a certificate, or with one of strangers, nobody gets to the ports of the cluster.
    let stranger = certificates.authority("stranger");
    certificates.issue("127.51.1.99", &stranger);
    for settings in [certificates.client("ca", None), certificates.client("ca", Some("127.51.1.99"))] {
        let stranger = Asker::new(settings);
        for address in ["127.51.1.11:8088", "127.51.1.1:8089", "127.51.1.1:8091"] {
            stranger.get(address, "/status").expect_err("let in");
        }
    }
    ensure!(client.get("127.51.1.11:8086", "/ping")?.is_null());

    // A file that cannot be used changes nothing; another certificate is shown to those who come next.
    let metrics = |node: &Node| operator.runtime.block_on(operator.admin(&node.at(8086))?.get("/metrics"));
    let before = String::from_utf8(metrics(&data[0])?.body.to_vec())?;
    ensure!(before.contains("tls_plain_text_refused_total 2"), "{before}");
    let key = fs::read_to_string(certificates.path("127.51.1.11.key"))?;
    certificates.put("127.51.1.11.key", "nothing", 0o600);
    data[0].hang_up()?;
    data[0].wait_for_log("a certificate was not read again; the one of before stays in use")?;
    ensure!(data[0].log().contains("holds no private key in PEM"), "{}", data[0].log());
    ensure!(client.count(&data[0])? == 100);
    certificates.put("127.51.1.11.key", &key, 0o600);

    let both = certificates.authority("next");
    let trusted = fs::read_to_string(certificates.path("ca.pem"))? + &both.pem();
    certificates.put("ca.pem", &trusted, 0o644);
    let hosts = ["127.51.1.1", "127.51.1.2", "127.51.1.3", "127.51.1.11", "127.51.1.12"];
    for node in metas.iter().chain(&data) {
        // Everybody believes both before anybody shows the new one.
        node.hang_up()?;
        node.wait_for_log("certificates were read again")?;
    }
    for (host, node) in hosts.iter().zip(metas.iter().chain(&data)) {
        certificates.issue(host, &both);
        let times = node.log().matches("certificates were read again").count();
        node.hang_up()?;
        until("it reads again", SOON, || {
            Ok((node.log().matches("certificates were read again").count() > times).then_some(()))
        })?;
    }
    let next = Asker::new(certificates.client("next", Some("127.51.1.1")));
    for address in ["127.51.1.11:8086", "127.51.1.11:8088", "127.51.1.3:8089", "127.51.1.3:8091"] {
        // Who answers 404 has shown a certificate.
        let answer = next.runtime.block_on(next.admin(address)?.get("/status"));
        ensure!(answer.as_ref().err().is_none_or(|error| error.status().is_some()), "{address}: {answer:?}");
    }
    next.write(&data[0], 100, 100)?;
    ensure!((next.count(&data[0])?, next.count(&data[1])?) == (200, 200));
    next.query(&data[1], "CREATE DATABASE later")?;
    Ok(())
}

#[test]
fn nodes_that_sign_for_themselves_make_a_classic_cluster_with_tls() -> anyhow::Result<()> {
    let root = tempfile::tempdir()?;
    let certificates = Certificates::new(root.path());
    let mut nodes = Vec::new();
    for host in ["127.51.2.1", "127.51.2.2"] {
        // Certificate and key in one file, for a name that is not this host's.
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(vec!["influxdb.example".to_owned()])?.self_signed(&key)?;
        let bundle = certificates.put(&format!("{host}.pem"), &(certificate.pem() + &key.serialize_pem()), 0o600);
        let keys = format!("https-enabled = true\n  https-certificate = \"{}\"\n", bundle.display());
        let text = format!(
            "hostname = \"HOST\"\n[meta]\n  enabled = true\n  dir = \"DIR/meta\"\n  bind-address = \"HOST:8088\"\n  http-bind-address = \
             \"HOST:8091\"\n  {keys}  https-insecure-tls = true\n[data]\n  dir = \"DIR/data\"\n[hinted-handoff]\n  dir = \
             \"DIR/hh\"\n[cluster]\n  {keys}  https-insecure-tls = true\n[http]\n  bind-address = \"HOST:8086\"\n  {keys}"
        );
        nodes.push(Node::new(root.path(), host, env!("CARGO_BIN_EXE_influxd"), &text));
    }
    let asker = Asker::new(ClientSettings { insecure: true, ..ClientSettings::default() });
    nodes[0].start(&[])?;
    nodes[1].start(&["-join", "127.51.2.1:8091"])?;
    for node in &nodes {
        until("it serves", SOON, || Ok(asker.query(node, "SHOW DATABASES").ok())).with_context(|| node.log())?;
    }
    until("both are registered", SOON, || {
        let servers = asker.query(&nodes[0], "SHOW SERVERS")?;
        Ok((servers["series"][0]["values"].as_array().map(Vec::len) == Some(2)).then_some(()))
    })?;
    asker.query(&nodes[1], "CREATE DATABASE d WITH REPLICATION 2")?;
    asker.write(&nodes[0], 0, 50)?;
    ensure!((asker.count(&nodes[0])?, asker.count(&nodes[1])?) == (50, 50));
    let shown = asker.get("127.51.2.1:8091", "/show-cluster")?;
    ensure!(shown["data"][0]["httpScheme"] == "https" && shown["meta"][0]["httpScheme"] == "https", "{shown}");
    // Who checks certificates does not believe them.
    certificates.authority("ca");
    let careful = Asker::new(certificates.client("ca", None));
    let error = careful.query(&nodes[0], "SHOW DATABASES").expect_err("not believed");
    ensure!(format!("{error:#}").contains("signed by nobody who is trusted here"), "{error:#}");
    Ok(())
}

#[test]
fn what_tls_cannot_be_served_with_stops_the_start_and_is_named() -> anyhow::Result<()> {
    let root = tempfile::tempdir()?;
    let certificates = Certificates::new(root.path());
    let authority = certificates.authority("ca");
    certificates.issue("127.51.3.1", &authority);
    let keys = certificates.keys("127.51.3.1");
    let stopped = |program: &'static str, text: &str| -> anyhow::Result<String> {
        let node = Node::new(root.path(), "127.51.3.1", program, text);
        let mut command = Command::new(program);
        let run = command.arg("-config").arg(node.dir.join("node.conf")).envs(build_needs()).output()?;
        ensure!(run.status.code() == Some(1), "{run:?}");
        Ok(String::from_utf8(run.stderr)?)
    };
    let influxd = env!("CARGO_BIN_EXE_influxd");
    let unknown = stopped(influxd, &(data_text("", "", "") + "[tls]\nciphers = [\"X\"]\n"))?;
    ensure!(unknown.contains("[tls] ciphers: unknown cipher suite: \"X\". available ciphers: TLS_"), "{unknown}");
    let version = stopped(influxd, &(data_text("", "", "") + "[tls]\nmin-version = \"tls9\"\n"))?;
    ensure!(version.contains("unknown tls version: \"tls9\". available versions: "), "{version}");

    let key = certificates.path("127.51.3.1.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644))?;
    for (program, text, table) in [
        (influxd, data_text("", "", &keys), "[http]"),
        (influxd, data_text("", &keys, ""), "[cluster]"),
        (env!("CARGO_BIN_EXE_influxd-meta"), meta_text(&keys), "[meta]"),
    ] {
        let open = stopped(program, &text)?;
        let want = format!(
            "run: {table} https-private-key: {}: can be read by others (mode 0644); run chmod 0600",
            key.display()
        );
        ensure!(open.contains(&want), "{open}");
    }
    fs::remove_file(&key)?;
    let missing = stopped(influxd, &data_text("", "", &keys))?;
    ensure!(missing.contains("127.51.3.1.key: cannot be read: No such file"), "{missing}");
    Ok(())
}

#[test]
fn sighup_changes_the_level_of_the_log_and_ends_nothing() -> anyhow::Result<()> {
    let root = tempfile::tempdir()?;
    for (host, program, text) in [
        ("127.51.4.1", env!("CARGO_BIN_EXE_influxd"), data_text("", "", "")),
        ("127.51.4.2", env!("CARGO_BIN_EXE_influxd-meta"), meta_text("")),
    ] {
        let mut node = Node::new(root.path(), host, program, &text);
        node.start(&[])?;
        node.wait_for_log("waits")?;
        let file = node.dir.join("node.conf");
        let before = fs::read_to_string(&file)?;
        fs::write(&file, format!("{before}[logging]\nlevel = \"error\"\n"))?;
        let read_again = "certificates were read again";
        node.hang_up()?;
        node.wait_for_log(read_again)?;
        // Nothing of it is an error, so that the next time is not told.
        fs::write(&file, "nonsense")?;
        let length = || node.log().len();
        node.hang_up()?;
        node.wait_for_log("the configuration cannot be read again")?;
        ensure!(node.log().matches(read_again).count() == 1, "{}", node.log());
        fs::write(&file, format!("{before}[logging]\nlevel = \"info\"\n"))?;
        let quiet = length();
        node.hang_up()?;
        until("it talks again", SOON, || {
            node.hang_up()?;
            Ok((length() > quiet).then_some(()))
        })?;
    }
    Ok(())
}

/// The build with `--features fips` alone.
#[test]
fn a_build_with_fips_says_so_and_refuses_bcrypt_and_license_keys() -> anyhow::Result<()> {
    let root = tempfile::tempdir()?;
    for (host, program, text) in [
        ("127.51.5.1", env!("CARGO_BIN_EXE_influxd"), data_text("KEYS", "", "")),
        ("127.51.5.2", env!("CARGO_BIN_EXE_influxd-meta"), meta_text("KEYS")),
    ] {
        let version = Command::new(program).arg("version").output()?;
        ensure!(String::from_utf8(version.stdout)?.contains(", FIPS)") == tls::IS_FIPS);
        if !tls::IS_FIPS {
            continue;
        }
        let stopped = |text: String| -> anyhow::Result<String> {
            let node = Node::new(root.path(), host, program, &text);
            let run = Command::new(program).arg("-config").arg(node.dir.join("node.conf")).output()?;
            ensure!(run.status.code() == Some(1), "{run:?}");
            Ok(String::from_utf8(run.stderr)?)
        };
        let bcrypt = stopped(text.replace("KEYS", ""))?;
        ensure!(bcrypt.contains("run: create server: passwordhash: not FIPS-ready: config: 'bcrypt'"), "{bcrypt}");
        let pbkdf2 = text.replace("KEYS", "password-hash = \"pbkdf2-sha256\"");
        let licence = stopped(format!("{pbkdf2}[enterprise]\nlicense-key = \"x\"\n"))?;
        ensure!(licence.contains("license-key: a build with FIPS takes license-path alone"), "{licence}");
        let mut node = Node::new(root.path(), host, program, &pbkdf2);
        node.start(&[])?;
        node.wait_for_log("waits")?;
        ensure!(node.log().contains("FIPS 140: the module of AWS-LC is at work"), "{}", node.log());
    }
    Ok(())
}
