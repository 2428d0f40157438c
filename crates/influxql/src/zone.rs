//! Which names `tz()` knows.

use jiff::tz::TimeZoneDatabase;

/// The canonical spelling of a time zone name: itself, when the compiled-in IANA database has it in this very case;
/// `UTC` for the empty name. `Local` is the zone of the server.
pub(crate) fn canonical(name: &str) -> Option<String> {
    match name {
        "" => Some("UTC".to_owned()),
        "UTC" | "Local" => Some(name.to_owned()),
        _ => {
            let zone = TimeZoneDatabase::bundled().get(name).ok()?;
            (zone.iana_name() == Some(name)).then(|| name.to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_matched_with_their_case() {
        for name in ["UTC", "Local", "America/New_York", "US/Pacific", "EST5EDT", "Etc/GMT-3", "Europe/Berlin"] {
            assert_eq!(canonical(name).as_deref(), Some(name));
        }
        for name in ["utc", "local", "america/new_york", "Nowhere/X", "GMT+5", "../../etc/passwd", "/etc/localtime"] {
            assert_eq!(canonical(name), None, "{name}");
        }
        assert_eq!(canonical("").as_deref(), Some("UTC"));
    }
}
