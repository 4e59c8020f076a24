//! What the cryptography of one message costs on this machine, measured in the same run as everything else.
//!
//! In processor time, as the programs are: how much of a core others take away shows in neither.

use std::hint::black_box;
use std::time::Duration;

use cpu_time::ThreadTime;
use crypto::boxes::{BoxKey, Nonce};
use crypto::dh::{X448PrivateKey, X25519PrivateKey};
use crypto::sign::Ed25519PrivateKey;
use crypto::{aead, hash};
use openssl::cipher::Cipher;
use openssl::cipher_ctx::CipherCtx;
use store::rusqlite::{Connection, params};

use crate::Failure;

/// One pass over a block.
const PASS: usize = smp::block::BLOCK;
/// Long enough to outlast a scheduler's time slice, short enough to repeat.
const SAMPLE: Duration = Duration::from_millis(40);
const SAMPLES: usize = 9;

/// Seconds that each primitive takes.
pub(crate) struct Primitives {
    /// XSalsa20-Poly1305 over a block: block encryption and delivery encryption.
    pub(crate) box_pass: f64,
    /// ChaCha20-Poly1305 over a block: TLS.
    pub(crate) tls_pass: f64,
    /// Checking the Ed25519 signature of a `SEND`, most of which is hashing its body.
    pub(crate) verify_send: f64,
    /// Checking the Ed25519 signature of a short command: `ACK`.
    pub(crate) verify_short: f64,
    /// AES-256-GCM over a message: the double ratchet.
    pub(crate) ratchet_pass: f64,
    /// Taking the next keys of a chain with HKDF, and AES-256-GCM over a header that has room for encapsulation.
    pub(crate) ratchet_step: f64,
    /// Making the Ed25519 signature of a `SEND`, which hashes its body twice.
    pub(crate) sign_send: f64,
}

impl Primitives {
    /// Measures all of them.
    pub(crate) fn measure() -> Self {
        Primitives {
            box_pass: box_pass(),
            tls_pass: tls_pass(),
            verify_send: verify(PASS),
            verify_short: verify(90),
            ratchet_pass: ratchet_pass(),
            ratchet_step: ratchet_step(),
            sign_send: sign(PASS),
        }
    }

    /// Seconds that the cryptography of one delivered message takes at least, whatever the server around it does:
    /// the `SEND` block is opened (TLS, block), the body is encrypted for delivery, the `MSG` block is sealed
    /// (block, TLS), and two commands, `SEND` and `ACK`, are verified. The blocks of `OK` and `ACK` are not counted,
    /// because several messages may share them.
    pub(crate) fn delivered_message(&self) -> f64 {
        3.0 * self.box_pass + 2.0 * self.tls_pass + self.verify_send + self.verify_short
    }

    /// Seconds that the cryptography of one sent message takes at least: the ratchet (keys, header, message), the
    /// envelope, the signature, and the block (block, TLS). The block of `OK` is not counted, because many messages may
    /// share it.
    pub(crate) fn sent_message(&self) -> f64 {
        self.ratchet_step + self.ratchet_pass + 2.0 * self.box_pass + self.tls_pass + self.sign_send
    }

    /// Seconds that the cryptography of one look at a group link takes at least: the block (TLS, block), the data behind
    /// the link, and its signatures: fixed data, owner, user data. `LGET` is not signed.
    pub(crate) fn watched_link(&self) -> f64 {
        2.0 * self.box_pass + self.tls_pass + self.verify_send + 2.0 * self.verify_short
    }
}

/// Seconds that a sent message takes the embedded store at least, as rows of the sizes that a connection keeps: where its
/// chain is, the message until it is sent, and its end; many messages in each transaction, every one durable.
pub(crate) fn stored_message(position: usize, message: usize) -> Result<f64, Failure> {
    const TOGETHER: u32 = 500;
    const TIMES: u32 = 20;
    let folder = tempfile::tempdir()?;
    let mut db = Connection::open(folder.path().join("rows.sqlite"))?;
    db.pragma_update(None, "page_size", 16_384)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.execute_batch("CREATE TABLE row (id INTEGER PRIMARY KEY, number INTEGER NOT NULL, value BLOB NOT NULL) STRICT")?;
    let (position, message) = (vec![1_u8; position], vec![2_u8; message]);
    let mut spent = 0.0;
    // The first time writes pages that are new; later ones change them, as a relay does.
    for time in 0..=TIMES {
        let start = ThreadTime::now();
        let tx = db.transaction()?;
        for id in 0..TOGETHER {
            let mut put = tx.prepare_cached("INSERT OR REPLACE INTO row VALUES (?1, ?2, ?3)")?;
            put.execute(params![id, 0, position])?;
            put.execute(params![1 << 30 | id, time, message])?;
        }
        tx.commit()?;
        let tx = db.transaction()?;
        for id in 0..TOGETHER {
            tx.prepare_cached("DELETE FROM row WHERE id = ?1")?.execute([1 << 30 | id])?;
        }
        tx.commit()?;
        spent += if time == 0 { 0.0 } else { start.elapsed().as_secs_f64() };
    }
    Ok(spent / f64::from(TOGETHER * TIMES))
}

/// Seconds that public-key operations take which a connection needs once.
pub(crate) struct Handshakes {
    /// One X25519 agreement.
    agree: f64,
    /// An X25519 key with its public part.
    key: f64,
    /// One X448 agreement.
    agree_448: f64,
    /// An X448 key with its public part.
    key_448: f64,
    /// An Ed25519 key with its public part.
    signing_key: f64,
    /// Making the Ed25519 signature of a short command.
    sign_short: f64,
}

impl Handshakes {
    /// Measures all of them.
    pub(crate) fn measure() -> Self {
        let (x25519, x448) = (X25519PrivateKey::from_bytes([7; 32]), X448PrivateKey::from_bytes([7; 56]));
        let (peer, peer_448) = (X25519PrivateKey::from_bytes([9; 32]).public(), X448PrivateKey::from_bytes([9; 56]));
        let peer_448 = peer_448.public();
        Handshakes {
            agree: median(|| drop(black_box(x25519.agree(black_box(&peer))))),
            key: median(|| {
                black_box(X25519PrivateKey::from_bytes(black_box([5; 32])).public());
            }),
            agree_448: median(|| {
                black_box(peer_448.as_ref().map(|peer| x448.agree(black_box(peer)).is_ok()).is_ok());
            }),
            key_448: median(|| {
                black_box(X448PrivateKey::from_bytes(black_box([5; 56])).public().is_ok());
            }),
            signing_key: median(|| {
                black_box(Ed25519PrivateKey::from_seed(black_box([5; 32])).public());
            }),
            sign_short: sign(90),
        }
    }

    /// Seconds that the cryptography of one accepted invitation takes a relay at least.
    ///
    /// | counted | |
    /// |---|---|
    /// | blocks (block, TLS) | the request, the group link, `NEW` with the relay link's data, the answer; all others are shared |
    /// | boxes of 16 KiB | delivery and envelope of the request, group link, relay link, envelope of the answer |
    /// | the ratchet | its keys and one message |
    /// | X25519 agreements | envelope of the request, deliveries of two new queues, envelope of the answer |
    /// | X25519 keys | two for each new queue, one for the envelope |
    /// | X448 agreements and keys | three and two to agree, one and one for the first turn; no encapsulation in groups |
    /// | Ed25519 keys | member key, two recipients', one sender's |
    /// | signatures checked | group link: fixed data, owner, user data (long) |
    /// | signatures made | user data of the relay link, `NEW` around it, `SEND` (long); fixed data, `NEW`, `SKEY`, `ACK` |
    pub(crate) fn accepted_invitation(&self, primitives: &Primitives) -> f64 {
        4.0 * (primitives.box_pass + primitives.tls_pass)
            + 5.0 * primitives.box_pass
            + primitives.ratchet_step
            + primitives.ratchet_pass
            + 4.0 * self.agree
            + 5.0 * self.key
            + 4.0 * self.agree_448
            + 3.0 * self.key_448
            + 4.0 * self.signing_key
            + primitives.verify_send
            + 2.0 * primitives.verify_short
            + 3.0 * primitives.sign_send
            + 4.0 * self.sign_short
    }

    /// For the report.
    pub(crate) fn agree_448(&self) -> f64 {
        self.agree_448
    }
}

fn ratchet_pass() -> f64 {
    let message = vec![0; 13_000];
    median(|| {
        black_box(aead::seal_padded(&[7; 32], &[1; 16], b"", black_box(&message), 15_840)).ok();
    })
}

fn ratchet_step() -> f64 {
    let header = vec![0; 2_300];
    median(|| {
        let keys: [u8; 96] = hash::hkdf_sha512(b"", black_box(&[7; 32]), b"chain");
        black_box(keys);
        black_box(aead::seal_padded(&[7; 32], &[1; 16], b"", black_box(&header), 2_310)).ok();
    })
}

fn sign(length: usize) -> f64 {
    let key = Ed25519PrivateKey::from_seed([7; 32]);
    let message = vec![1; length];
    median(|| {
        black_box(key.sign(black_box(&message)));
    })
}

fn box_pass() -> f64 {
    let key = BoxKey::symmetric(&[7; 32]);
    let message = vec![0; PASS];
    median(|| {
        black_box(key.seal(Nonce([1; 24]), black_box(&message)));
    })
}

fn tls_pass() -> f64 {
    let message = vec![0; PASS];
    let mut out = vec![0; PASS];
    let Ok(mut context) = CipherCtx::new() else { return f64::NAN };
    median(|| {
        let sealed = context
            .encrypt_init(Some(Cipher::chacha20_poly1305()), Some(&[7; 32]), Some(&[1; 12]))
            .and_then(|()| context.cipher_update(black_box(&message), Some(&mut out)));
        let mut tag = [0; 16];
        black_box((sealed.is_ok(), context.cipher_final(&mut []).is_ok(), context.tag(&mut tag).is_ok()));
    })
}

fn verify(length: usize) -> f64 {
    let key = Ed25519PrivateKey::from_seed([7; 32]);
    let message = vec![1; length];
    let signature = key.sign(&message);
    let public = key.public();
    median(|| {
        black_box(public.verify(black_box(&message), &signature)).ok();
    })
}

/// The median over several samples of the mean time of one call.
fn median(mut call: impl FnMut()) -> f64 {
    let mut samples: Vec<f64> = (0..SAMPLES).map(|_| sample(&mut call)).collect();
    samples.sort_by(f64::total_cmp);
    samples.get(SAMPLES / 2).copied().unwrap_or(f64::NAN)
}

fn sample(call: &mut impl FnMut()) -> f64 {
    let start = ThreadTime::now();
    let mut calls = 0_u32;
    while start.elapsed() < SAMPLE {
        for _ in 0..16 {
            call();
        }
        calls = calls.saturating_add(16);
    }
    start.elapsed().as_secs_f64() / f64::from(calls)
}
