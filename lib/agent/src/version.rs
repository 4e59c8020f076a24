//! The versions that our links announce.

use codec::VersionRange;

/// Agent protocol.
pub const AGENT: VersionRange = range(2, 7);
/// Envelopes between sender and recipient of a queue; also decides the form of queue addresses.
pub const SMP_CLIENT: VersionRange = range(1, 4);
/// Double ratchet.
pub const RATCHET: VersionRange = range(2, 3);
/// The ratchet version from which offers may hold a key for post-quantum encapsulation.
pub(crate) const RATCHET_KEM: u16 = 3;
/// The agent version from which receipts are sent.
pub const RECEIPTS_AGENT: u16 = 4;
/// The agent version from which connections may encapsulate.
pub const PQ_AGENT: u16 = 5;
/// The agent version from which whoever joins may send at once.
pub const EARLY_AGENT: u16 = 7;
/// Contact addresses that announce less are read as if they announced this.
pub(crate) const LOWEST_CONTACT_AGENT: u16 = 2;

/// The agent version of a connection after an envelope that states `theirs`: it may rise and never falls.
pub fn raised_agent(agreed: u16, theirs: u16, ours: VersionRange) -> u16 {
    let highest_common = ours.max().min(theirs);
    if theirs >= ours.min() { agreed.max(highest_common) } else { agreed }
}

const fn range(min: u16, max: u16) -> VersionRange {
    match VersionRange::new(min, max) {
        Some(range) => range,
        None => VersionRange::single(max),
    }
}
