//! Text for people.

use agent::time::Time;
use codec::time::UtcTime;

/// A moment in UTC, to the second.
pub(crate) fn moment(time: Time) -> String {
    UtcTime::from_seconds(i64::try_from(time.millis() / 1_000).unwrap_or(i64::MAX)).to_string()
}

/// Text inside HTML.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other if other.is_control() => out.push(' '),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_cell() {
        assert_eq!(escaped("<b a=\"x\">'&\n"), "&lt;b a=&quot;x&quot;&gt;&#39;&amp; ");
    }

    #[test]
    fn moments_are_readable() {
        assert_eq!(moment(Time::from_millis(1_700_000_000_123)), "2023-11-14T22:13:20Z");
    }
}
