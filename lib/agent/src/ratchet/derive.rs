//! What every key of the double ratchet is derived with: HKDF over SHA-512, three keys at a time.

use crypto::Secret;
use crypto::dh::{X448PrivateKey, X448PublicKey};
use crypto::hash::hkdf_sha512_into;
use crypto::kem::KemSharedSecret;
use zeroize::Zeroizing;

use crate::key_source::KeyPair;

/// A symmetric key.
pub(crate) type Key = Secret<32>;

const AGREEMENT: &[u8] = b"SimpleXX3DH";
const ROOT: &[u8] = b"SimpleXRootRatchet";
const CHAIN: &[u8] = b"SimpleXChainRatchet";
const AGREED: usize = 56;

/// What the three agreements of the handshake give to both sides.
pub(crate) struct Agreed {
    pub(crate) header: Key,
    pub(crate) next_header: Key,
    pub(crate) root: Key,
}

impl Agreed {
    pub(crate) fn derive(secrets: &[Secret<AGREED>; 3], encapsulated: Option<&KemSharedSecret>) -> Self {
        let (header, next_header, root) = three_keys(&[0; 64], &input(secrets, encapsulated), AGREEMENT);
        Agreed { header, next_header, root }
    }
}

/// A turn of the root: one new chain, and the key of the headers after its own.
pub(crate) struct RootTurn {
    pub(crate) root: Key,
    pub(crate) chain: Key,
    pub(crate) next_header: Key,
}

impl RootTurn {
    pub(crate) fn derive(
        root: &Key,
        theirs: &X448PublicKey,
        ours: &X448PrivateKey,
        encapsulated: Option<&KemSharedSecret>,
    ) -> Result<Self, crypto::Error> {
        let input = input(&[ours.agree(theirs)?], encapsulated);
        let (root, chain, next_header) = three_keys(root.expose(), &input, ROOT);
        Ok(RootTurn { root, chain, next_header })
    }
}

/// The next key of a chain; the key of one message; the two IVs of that message.
pub(crate) fn chain_turn(chain: &Key) -> (Key, Key, Secret<32>) {
    three_keys(&[], chain.expose(), CHAIN)
}

/// The agreement of two of our keys with two of theirs: first with second, second with first, second with second.
///
/// The order is that of the link's owner. For who joined the first two change places.
pub(crate) fn owner_agreements(
    ours: [&KeyPair; 2],
    theirs: [&X448PublicKey; 2],
) -> Result<[Secret<AGREED>; 3], crypto::Error> {
    let ([r_1, r_2], [s_1, s_2]) = (ours, theirs);
    Ok([r_1.private.agree(s_2)?, r_2.private.agree(s_1)?, r_2.private.agree(s_2)?])
}

fn input(secrets: &[Secret<AGREED>], encapsulated: Option<&KemSharedSecret>) -> Zeroizing<Vec<u8>> {
    // Sized before it is filled: growing would leave copies behind.
    let mut input = Zeroizing::new(Vec::with_capacity(3 * AGREED + 32));
    secrets.iter().for_each(|secret| input.extend_from_slice(secret.expose()));
    input.extend_from_slice(encapsulated.map_or(&[], |secret| secret.expose()));
    input
}

fn three_keys(salt: &[u8], input: &[u8], info: &[u8]) -> (Key, Key, Key) {
    let mut derived = Zeroizing::new([0; 96]);
    hkdf_sha512_into(salt, input, info, &mut *derived);
    let mut bytes = derived.iter().copied();
    let mut key = || Secret::new(std::array::from_fn(|_| bytes.next().unwrap_or_default()));
    (key(), key(), key())
}
