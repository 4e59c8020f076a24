//! SMP versions: the range we speak and what each version added.

use codec::VersionRange;

/// The versions we speak; others are refused with the protocol's own errors.
pub const SUPPORTED: VersionRange = match VersionRange::new(QUEUE_LINKS, CLIENT_NOTICES) {
    Some(range) => range,
    None => VersionRange::single(QUEUE_LINKS),
};

/// Queue modes and link data in `NEW` and `IDS`, and the link commands.
pub const QUEUE_LINKS: u16 = 15;
/// Service certificates, `SOK`, the service field of authorised transmissions, service IDs in `IDS`.
pub const SERVICES: u16 = 16;
/// Notifier credentials in `NEW` and `IDS`.
pub const NEW_NOTIFIERS: u16 = 17;
/// Client notices inside `BLOCKED`.
pub const CLIENT_NOTICES: u16 = 18;
