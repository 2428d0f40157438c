//! Until when certificates are good.

use std::path::PathBuf;
use std::time::Duration;

/// When a certificate ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// Its file.
    pub path: PathBuf,
    /// The last second at which it is good, since 1970.
    pub not_after: i64,
}

impl Expiry {
    /// What an operator should know at `now` (seconds since 1970): that it has ended, or will within `ahead`.
    pub fn warning(&self, now: i64, ahead: Duration) -> Option<String> {
        let path = self.path.display();
        let left = self.not_after.saturating_sub(now);
        let ahead = i64::try_from(ahead.as_secs()).unwrap_or(i64::MAX);
        match left {
            ..0 => Some(format!("the certificate {path} has expired; nobody who checks it connects any more")),
            0.. if left <= ahead => Some(format!(
                "the certificate {path} expires in {} days and {} hours",
                left / 86_400,
                left / 3_600 % 24
            )),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_announced_in_time() {
        let expiry = Expiry { path: "/c.pem".into(), not_after: 1_000_000 };
        let ahead = Duration::from_secs(5 * 86_400);
        assert_eq!(expiry.warning(1_000_000 - 5 * 86_400 - 1, ahead), None);
        let soon = expiry.warning(1_000_000 - 5 * 86_400, ahead).expect("soon");
        assert_eq!(soon, "the certificate /c.pem expires in 5 days and 0 hours");
        assert!(expiry.warning(1_000_000, Duration::ZERO).expect("now").contains("0 days and 0 hours"));
        assert!(expiry.warning(1_000_001, Duration::ZERO).expect("over").contains("has expired"));
    }
}
