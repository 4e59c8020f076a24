//! What the cryptography of one message costs on this machine, measured in the same run as everything else.
//!
//! In processor time, as the programs are: how much of a core others take away shows in neither.

use std::hint::black_box;
use std::time::Duration;

use cpu_time::ThreadTime;
use crypto::boxes::{BoxKey, Nonce};
use crypto::sign::Ed25519PrivateKey;
use crypto::{aead, hash};
use openssl::cipher::Cipher;
use openssl::cipher_ctx::CipherCtx;

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
