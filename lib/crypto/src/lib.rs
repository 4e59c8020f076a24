//! Keys typed by purpose, boxes, signatures, key derivation and certificates.
