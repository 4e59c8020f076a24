//! Identifiers and passwords.

use codec::{Decode as _, Encode as _};
use smp::command::BasicAuth;
use smp::id::{CorrId, SenderId};

use crate::vectors::each;

#[test]
fn sender_ids_are_derived_from_correlation_ids_as_the_reference_does() {
    each("boxes.json", "sender_id_from_corr_id", |vector| {
        let corr_id = CorrId::new(vector.hex("/in/corr_id")).unwrap();
        assert_eq!(SenderId::from_corr_id(&corr_id).as_bytes(), vector.hex("/out/sender_id"));
    });
}

#[test]
fn passwords_have_the_characters_that_the_reference_allows() {
    let mut checked = 0;
    for op in ["encode", "decode"] {
        each("encoding.json", op, |vector| {
            if vector.text("/in/type") == "BasicAuth" {
                let bytes = vector.hex(if op == "encode" { "/in/value" } else { "/in/bytes" });
                // A field starts with its length.
                let password = if op == "encode" { bytes.as_slice() } else { &bytes[1..] };
                let accepted = BasicAuth::new(std::str::from_utf8(password).unwrap()).ok_or("refused");
                vector.settle(accepted);
                checked += 1;
            }
        });
    }
    assert!(checked >= 5);
}

#[test]
fn an_id_is_at_most_255_bytes_long() {
    let longest = CorrId::new([7; 255]).unwrap();
    assert_eq!(CorrId::decode_all(&longest.to_bytes()), Ok(longest));
    assert_eq!(CorrId::new([7; 256]), None);
}
