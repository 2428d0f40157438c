//! Settings as a file that can be read again.

use stdx::human::print_duration;

use crate::file::{Setting, Settings};

/// The whole configuration as TOML, defaults included. Reading it gives the same settings.
pub fn print(settings: &Settings) -> String {
    let mut out = String::new();
    let mut table = "";
    for key in settings.program().keys() {
        let Some(value) = settings.get(key.table, key.name) else { continue };
        if key.table != table {
            if table == "http" {
                push_headers(&mut out, settings);
            }
            table = key.table;
            out.push_str(&format!("\n[{table}]\n"));
        }
        let indent = if table.is_empty() { "" } else { "  " };
        out.push_str(&format!("{indent}{} = {}\n", key.name, literal(&value)));
    }
    out
}

fn push_headers(out: &mut String, settings: &Settings) {
    if settings.headers().is_empty() {
        return;
    }
    out.push_str("\n  [http.headers]\n");
    for (name, value) in settings.headers() {
        out.push_str(&format!("    {} = {}\n", quoted(name), quoted(value)));
    }
}

fn literal(value: &Setting) -> String {
    match value {
        Setting::Bool(value) => value.to_string(),
        Setting::Int(value) => value.to_string(),
        Setting::Number(value) => format!("{value:?}"),
        Setting::Duration(value) => quoted(&print_duration(*value)),
        Setting::Text(value) => quoted(value),
        Setting::List(values) => {
            let items: Vec<String> = values.iter().map(|value| quoted(value)).collect();
            format!("[{}]", items.join(", "))
        }
    }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Program;

    #[test]
    fn what_is_printed_reads_the_same() {
        let text = "hostname = \"a\\\"b\"\n[meta]\nenabled = true\n[http]\naccess-log-status-filters = [\"4xx\"]\n\
                    [http.headers]\nX-Own = \"a\\\"b\"\n";
        let (settings, _) = Settings::read(Program::Influxd, "f", text).expect("a file");
        let printed = print(&settings);
        let (again, warnings) = Settings::read(Program::Influxd, "f", &printed).expect("a file");
        assert_eq!((warnings, again.without_effect()), (Vec::new(), Vec::new()));
        assert_eq!(again.headers(), settings.headers());
        assert_eq!(print(&again), printed);
        assert!(printed.contains("\n[meta]\n  enabled = true\n") && printed.contains("write-timeout = \"10s\""));
    }
}
