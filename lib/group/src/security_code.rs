//! The number that two members compare to know that no relay stands between them.

use crypto::hash;

use crate::identity::MemberPublicKey;

const GROUP: usize = 5;

/// The code of two keys: the same for both members, whichever of them computes it.
pub fn security_code(one: &MemberPublicKey, other: &MemberPublicKey) -> String {
    let (one, other) = (one.0.as_bytes(), other.0.as_bytes());
    let digits = decimal(hash::sha256(&[one.min(other).as_slice(), one.max(other)].concat()));
    let groups: Vec<String> = digits.chunks(GROUP).map(|group| group.iter().collect()).collect();
    groups.join(" ")
}

/// A number in decimal digits, by dividing it again and again.
fn decimal(mut number: [u8; 32]) -> Vec<char> {
    let mut digits = Vec::new();
    while number.iter().any(|byte| *byte != 0) {
        let mut rest = 0;
        for byte in &mut number {
            let part = rest << 8 | u16::from(*byte);
            *byte = (part / 10).to_le_bytes()[0];
            rest = part % 10;
        }
        digits.extend(char::from_digit(rest.into(), 10));
    }
    digits.reverse();
    digits
}
