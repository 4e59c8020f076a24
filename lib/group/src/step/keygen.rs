//! Steps 1 and 2: the owner makes the keys that the group begins with.

use crypto::Random;
use crypto::sign::Ed25519PrivateKey;

use crate::identity::{MemberId, OwnerIdentity, OwnerKey, RootKey};

/// Makes the identity of a new group and its first owner. Nothing is sent.
pub fn keygen(random: &mut dyn Random) -> OwnerIdentity {
    OwnerIdentity {
        root_key: RootKey(Ed25519PrivateKey::generate(random)),
        owner_key: OwnerKey(Ed25519PrivateKey::generate(random)),
        owner_id: MemberId::random(random),
    }
}
