//! Passwords taken out of URLs that are logged.

use influxql::sanitize::redact_passwords;

/// What stands for a password.
const REDACTED: &str = "[REDACTED]";

/// A path with its query string, without the password in `p` and those in `q`.
pub(crate) fn redact_uri(path: &str, query: Option<&str>) -> String {
    let Some(query) = query else { return path.to_owned() };
    let pairs: Vec<String> = query.split('&').map(redact_pair).collect();
    format!("{path}?{}", pairs.join("&"))
}

fn redact_pair(pair: &str) -> String {
    // The name could be encoded as well: `%70` is a `p`.
    let fields = crate::request::Fields::parse(pair.as_bytes());
    let raw_name = pair.split('=').next().unwrap_or_default();
    if !fields.get("p").is_empty() {
        return format!("{raw_name}={REDACTED}");
    }
    let text = fields.get("q");
    let redacted = redact_passwords(text);
    if redacted == text { pair.to_owned() } else { format!("{raw_name}={}", encode(&redacted)) }
}

/// The encoding of URLs.
fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            byte if byte.is_ascii_alphanumeric() || b"-_.~[]".contains(&byte) => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn no_secret_passes(before in "[a-z=&%+]{0,12}", after in "(&[a-z=%]{0,8})?") {
            let query = format!("{before}&p=s3cr3t{after}&q=create+user+x+with+password+'s3cr3t'");
            prop_assert!(!redact_uri("/query", Some(&query)).contains("s3cr3t"));
        }
    }

    #[test]
    fn passwords_of_urls_are_taken_out() {
        assert_eq!(redact_uri("/ping", None), "/ping");
        assert_eq!(redact_uri("/query", Some("u=a&p=secret&q=x")), "/query?u=a&p=[REDACTED]&q=x");
        assert_eq!(redact_uri("/query", Some("%70=secret")), "/query?%70=[REDACTED]");
        assert_eq!(
            redact_uri("/query", Some("q=create+user+x+with+password+%27secret%27&db=d")),
            "/query?q=create+user+x+with+password+[REDACTED]&db=d"
        );
    }
}
