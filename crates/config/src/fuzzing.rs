//! What must hold for any bytes. The fuzzer calls these, and so do tests over its seeds.

use stdx::human::{parse_duration, print_duration};

use crate::data_node::DataNodeConfig;
use crate::file::Settings;
use crate::keys::{KEYS, Program};
use crate::meta_node::MetaNodeConfig;
use crate::print::print;
use crate::text::parse_size;

/// Reads `data` as a configuration file. What is read can be turned into structs or is refused; printed, it reads the same.
///
/// # Panics
/// When a promise of this crate is broken.
pub fn fuzz_file(data: &[u8]) {
    if let Ok((settings, _)) = Settings::read_bytes(Program::Influxd, "influxdb.conf", data) {
        let _ = DataNodeConfig::new(&settings, None, None);
        let _ = DataNodeConfig::new(&settings, Some("a:8091,b:8091"), Some("c"));
        check_print(&settings);
    }
    if let Ok((settings, _)) = Settings::read_bytes(Program::InfluxdMeta, "influxdb-meta.conf", data) {
        let _ = MetaNodeConfig::new(&settings, None);
        check_print(&settings);
    }
}

/// Reads `data` as a duration, as a size, and as the value of every key.
///
/// # Panics
/// When a duration does not come back from its text, or a promise of [`fuzz_file`] is broken.
pub fn fuzz_text(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(duration) = parse_duration(text) {
        assert_eq!(parse_duration(&print_duration(duration)), Ok(duration));
    }
    let _ = parse_size(text);
    let mut settings = Settings::default();
    for key in KEYS {
        let _ = settings.put_text(key, text, "a variable");
    }
    check_print(&settings);
}

fn check_print(settings: &Settings) {
    let printed = print(settings);
    match Settings::read(settings.program(), "printed", &printed) {
        Ok((again, _)) => assert_eq!(print(&again), printed, "what is printed reads the same"),
        Err(error) => panic!("what is printed can be read: {error}\n{printed}"),
    }
}

#[cfg(test)]
mod tests {
    use testkit::seeds;

    use super::*;

    #[test]
    fn files_keep_the_promises() {
        let classic = "# A comment.\nhostname = \"n1\"\n[meta]\n  enabled = true\n  dir = '/var/lib/meta'\n  \
                       election-timeout = \"1s\"\n[data]\n  dir = \"/var/lib/data\"\n  cache-snapshot-memory-size = \"25m\"\n\
                       [cluster]\n  write-timeout = \"10s\"\n  shard-writer-timeout = 5_000_000_000\n";
        let odd = "\u{feff}bind-address = \"\"\n[coordinator]\nmax-select-buckets = 0x10\n[[udp]]\nenabled = true\n\
                   [http]\naccess-log-status-filters = [\"4xx\", \"5xx\"]\nheaders = {a = 1}\n[colours]\nx = 1e3\n";
        let made = [
            ("classic", classic.as_bytes().to_vec()),
            ("odd", odd.as_bytes().to_vec()),
            ("sample", print(&Settings::default()).into_bytes()),
        ];
        seeds::try_all("config_file", seeds::FEW, &made, fuzz_file);
    }

    #[test]
    fn texts_keep_the_promises() {
        let texts = ["1h30m", "1.5s", "0", "7d", "10\u{b5}s", "25m", "1G", "true", "a, b,,c", "1e9", "0.25", "-1"];
        let named: Vec<String> = (0..texts.len()).map(|index| format!("text_{index:02}")).collect();
        let made: Vec<(&str, Vec<u8>)> =
            named.iter().map(String::as_str).zip(texts.map(|text| text.as_bytes().to_vec())).collect();
        seeds::try_all("config_text", seeds::FEW, &made, fuzz_text);
    }
}
