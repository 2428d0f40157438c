//! What one key does when operations come one after the other: it holds a number, or 0 for nothing.

use crate::history::Action;

/// The value after `action`, if what came of the action could come of it here.
pub fn step(value: u64, action: Action) -> Option<u64> {
    match action {
        Action::Read(seen) => (seen == value).then_some(value),
        Action::Write(new) => Some(new),
        Action::Create(new) => (value == 0 || value == new).then_some(new),
        Action::Conflict(new) => (value != 0 && value != new).then_some(value),
        Action::MaybeCreate(new) => Some(if value == 0 { new } else { value }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_says_what_it_says() {
        assert_eq!((step(5, Action::Read(5)), step(5, Action::Read(0))), (Some(5), None));
        assert_eq!((step(5, Action::Write(6)), step(5, Action::Write(0))), (Some(6), Some(0)));
        let created = [0, 6, 5].map(|value| step(value, Action::Create(6)));
        assert_eq!(created, [Some(6), Some(6), None]);
        let refused = [0, 6, 5].map(|value| step(value, Action::Conflict(6)));
        assert_eq!(refused, [None, None, Some(5)]);
        let unknown = [0, 5].map(|value| step(value, Action::MaybeCreate(6)));
        assert_eq!(unknown, [Some(6), Some(5)]);
    }
}
