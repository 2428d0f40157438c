//! Entries of `Accept` and `Accept-Encoding`: `name;q=0.5`.

/// A name in small letters and its quality in thousandths; 0 is a refusal. A quality that is no number is one, too.
pub fn entry(text: &str) -> (String, u32) {
    let mut parts = text.split(';');
    let name = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
    let quality = parts.find_map(|param| {
        let (key, value) = param.split_once('=')?;
        key.trim().eq_ignore_ascii_case("q").then(|| value.trim().parse::<f64>().ok())
    });
    match quality {
        None => (name, 1_000),
        Some(None) => (name, 0),
        Some(Some(quality)) => (name, (quality.clamp(0.0, 1.0) * 1_000.0) as u32),
    }
}

/// Whether the values of `Accept-Encoding` let an answer be compressed with gzip.
pub fn takes_gzip<'a>(values: impl IntoIterator<Item = &'a str>) -> bool {
    values
        .into_iter()
        .flat_map(|value| value.split(','))
        .map(entry)
        .any(|(name, quality)| name == "gzip" && quality > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_taken_unless_refused() {
        let takes = |value| takes_gzip([value]);
        assert!(takes("gzip") && takes("deflate, gzip") && takes("GZIP;q=0.5"));
        assert!(!takes("deflate") && !takes("gzip;q=0") && !takes("gzip;q=x") && !takes(""));
        assert!(takes_gzip(["deflate", "gzip"]) && !takes_gzip([]));
    }
}
