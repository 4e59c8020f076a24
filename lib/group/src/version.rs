//! Versions of the chat protocol: what each side speaks, and what both have in common.
//!
//! Every JSON message states the whole range of its sender. Relays have no version of their own: the events exist since
//! 17, and two habits came later, for which the highest version of the peer decides.

use codec::VersionRange;

/// What a peer speaks that states nothing.
pub const INITIAL: VersionRange = VersionRange::single(1);
/// From here on relays tell owners what they can do with `x.grp.relay.cap`.
pub const RELAY_CAPABILITIES: u16 = 18;
/// From here on owners send signed rosters, and relays acknowledge them.
pub const ROSTER: u16 = 19;
/// What we state.
pub const CHAT: VersionRange = match VersionRange::new(9, ROSTER) {
    Some(range) => range,
    None => INITIAL,
};

/// The version of a connection: the highest that both speak, or else what of the peer's comes nearest to ours.
pub fn agreed(ours: VersionRange, theirs: VersionRange) -> u16 {
    match ours.common(theirs) {
        Some(common) => common.max(),
        None if theirs.min() > ours.max() => theirs.min(),
        None => theirs.max(),
    }
}
