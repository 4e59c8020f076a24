//! Keys and agreement: the operations of `encoding.json` that need keys.

use codec::text;
use crypto::authorize::AuthPublicKey;
use crypto::dh::{X448PrivateKey, X448PublicKey, X25519PrivateKey, X25519PublicKey};
use crypto::sign::{Ed448PrivateKey, Ed25519PrivateKey, Ed25519PublicKey};

use crate::vectors::{Vector, each};

const FILE: &str = "encoding.json";

/// Every form of a key pair, from its raw private key or from the DER form of it.
struct Forms {
    public_raw: Vec<u8>,
    public_der: Vec<u8>,
    private_der: Vec<u8>,
}

macro_rules! forms {
    ($key:expr, $public:expr) => {
        Forms {
            public_raw: $public.as_bytes().to_vec(),
            public_der: $public.to_der(),
            private_der: $key.to_der().to_vec(),
        }
    };
}

fn forms(vector: &Vector) -> [Forms; 2] {
    let der = vector.hex("/out/private_der");
    match vector.text("/in/alg") {
        "Ed25519" => {
            [Ed25519PrivateKey::from_seed(vector.array("/in/private_raw")), Ed25519PrivateKey::from_der(&der).unwrap()]
                .map(|key| forms!(key, key.public()))
        }
        "Ed448" => {
            [Ed448PrivateKey::from_seed(vector.array("/in/private_raw")), Ed448PrivateKey::from_der(&der).unwrap()]
                .map(|key| forms!(key, key.public().unwrap()))
        }
        "X25519" => {
            [X25519PrivateKey::from_bytes(vector.array("/in/private_raw")), X25519PrivateKey::from_der(&der).unwrap()]
                .map(|key| forms!(key, key.public()))
        }
        "X448" => {
            [X448PrivateKey::from_bytes(vector.array("/in/private_raw")), X448PrivateKey::from_der(&der).unwrap()]
                .map(|key| forms!(key, key.public().unwrap()))
        }
        other => panic!("unknown algorithm {other}"),
    }
}

#[test]
fn keys_have_the_forms_of_the_reference() {
    each(FILE, "key", |vector| {
        for forms in forms(vector) {
            assert_eq!(forms.public_raw, vector.hex("/out/public_raw"));
            assert_eq!(forms.public_der, vector.hex("/out/public_der"));
            assert_eq!(forms.private_der, vector.hex("/out/private_der"));
            assert_eq!(text::base64url(&forms.public_der), vector.text("/out/public_text"));
            assert_eq!(text::base64url(&forms.private_der), vector.text("/out/private_text"));
            let field = [&[u8::try_from(forms.public_der.len()).unwrap()], forms.public_der.as_slice()].concat();
            assert_eq!(field, vector.hex("/out/public_field"));
        }
    });
}

#[test]
fn fields_accept_their_own_keys_only() {
    each(FILE, "key_field_decode", |vector| {
        let der = vector.hex("/in/der");
        let again = match vector.text("/in/field") {
            "auth key" => AuthPublicKey::from_der(&der).map(|key| key.to_der()),
            "DH key" => X25519PublicKey::from_der(&der).map(|key| key.to_der()),
            "X448 key" => X448PublicKey::from_der(&der).map(|key| key.to_der()),
            "Ed25519 key" => Ed25519PublicKey::from_der(&der).map(|key| key.to_der()),
            other => panic!("unknown field {other}"),
        };
        if let Some(again) = vector.settle(again) {
            assert_eq!(again, der);
        }
    });
}

#[test]
fn agreement_gives_the_secret_of_the_reference() {
    each(FILE, "dh", |vector| {
        let secret = match vector.text("/in/alg") {
            "X25519" => {
                let own = X25519PrivateKey::from_bytes(vector.array("/in/private"));
                own.agree(&X25519PublicKey::from_bytes(vector.array("/in/public"))).expose().to_vec()
            }
            "X448" => {
                let own = X448PrivateKey::from_bytes(vector.array("/in/private"));
                own.agree(&X448PublicKey::from_bytes(vector.array("/in/public"))).unwrap().expose().to_vec()
            }
            other => panic!("unknown algorithm {other}"),
        };
        assert_eq!(secret, vector.hex("/out/secret"));
    });
}
