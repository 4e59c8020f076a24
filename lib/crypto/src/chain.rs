//! Block encryption of an SMP session: one key chain in each direction, one step for every block.

use crate::boxes::{BoxKey, Nonce};
use crate::dh::SharedSecret;
use crate::{Secret, hash};

/// One direction's chain. [`BlockChain::step`] hands out the key and nonce of the next block and forgets the past.
#[derive(Debug, Clone)]
pub struct BlockChain(Secret<32>);

/// Both chains of a session.
#[derive(Debug, Clone)]
pub struct SessionChains {
    /// Blocks sent by the server.
    pub server_to_client: BlockChain,
    /// Blocks sent by the client.
    pub client_to_server: BlockChain,
}

/// What encrypts one block.
#[derive(Debug, Clone)]
pub struct BlockKey {
    /// Used for one block.
    pub key: BoxKey,
    /// Used for one block.
    pub nonce: Nonce,
}

impl SessionChains {
    /// The chains of the session with this ID and secret.
    pub fn new(session_id: &[u8], session_secret: &SharedSecret) -> Self {
        let keys: [u8; 64] = hash::hkdf_sha512(session_id, session_secret.expose(), b"SimpleXSbChainInit");
        let (first, second) = split::<32, 32>(&keys);
        SessionChains {
            server_to_client: BlockChain(Secret::new(first)),
            client_to_server: BlockChain(Secret::new(second)),
        }
    }
}

impl BlockChain {
    /// Advances the chain and returns the key and nonce of the next block.
    pub fn step(&mut self) -> BlockKey {
        let (next, key, nonce) = self.derive();
        self.0 = Secret::new(next);
        BlockKey { key: BoxKey::symmetric(&key), nonce: Nonce(nonce) }
    }

    fn derive(&self) -> ([u8; 32], [u8; 32], [u8; 24]) {
        let derived: [u8; 88] = hash::hkdf_sha512(b"", self.0.expose(), b"SimpleXSbChain");
        let (next, rest) = split::<32, 56>(&derived);
        let (key, nonce) = split::<32, 24>(&rest);
        (next, key, nonce)
    }
}

/// The first `A` and the next `B` bytes of derived key material.
fn split<const A: usize, const B: usize>(bytes: &[u8]) -> ([u8; A], [u8; B]) {
    let (mut first, mut second) = ([0; A], [0; B]);
    first.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    second.iter_mut().zip(bytes.iter().skip(A)).for_each(|(to, from)| *to = *from);
    (first, second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_step_as_the_reference_does() {
        let text = include_str!("../../../testdata/vectors/boxes.json");
        let file: serde_json::Value = serde_json::from_str(text).unwrap();
        let mut steps = 0;
        for vector in file["vectors"].as_array().unwrap().iter().filter(|v| v["op"] == "block_chain") {
            let field = |group: &str, name: &str| hex::decode(vector[group][name].as_str().unwrap()).unwrap();
            let secret = SharedSecret::from_bytes(field("in", "session_secret").try_into().unwrap());
            let chains = SessionChains::new(&field("in", "session_id"), &secret);
            for (mut chain, first, expected) in [
                (chains.server_to_client, "chain_key_1_server_to_client", "server_to_client_steps"),
                (chains.client_to_server, "chain_key_2_client_to_server", "client_to_server_steps"),
            ] {
                assert_eq!(chain.0.expose().as_slice(), field("out", first));
                for step in vector["out"][expected].as_array().unwrap() {
                    let (_, key, nonce) = chain.derive();
                    assert_eq!(hex::encode(key), step["box_key"]);
                    assert_eq!(hex::encode(nonce), step["nonce"]);
                    chain.step();
                    assert_eq!(hex::encode(chain.0.expose()), step["next_chain_key"]);
                    steps += 1;
                }
            }
        }
        assert!(steps >= 40);
    }
}
