//! The root package only carries the binaries in `bins/`; everything they share lives in the crates under `lib/`.
