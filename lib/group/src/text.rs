//! What others wrote, for people to read: short, and without anything that a terminal obeys.

const MAX: usize = 200;

/// At most 200 characters, none of them a control character.
pub(crate) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().filter(|c| !c.is_control()).take(MAX).collect();
    if text.chars().nth(MAX).is_some() {
        shown.push('…');
    }
    shown
}
