//! Relays as they are named on a command line.

use agent::short_link::ContactShortLink;
use cli::{Code, Error, OrError as _};
use group::identity::MemberId;
use group::owner::{ConnectionName, GroupOwner, RelayRecord};

/// Reads a relay address.
pub fn address(flag: &str, text: &str) -> Result<ContactShortLink, Error> {
    let hint = "expected the address of a relay: https://HOST/r#KEY?c=FINGERPRINT";
    text.trim().parse().or_error_at(Code::LinkMalformed, flag).map_err(|error| error.hint(hint))
}

/// Finds a relay by its ID in the group, its address or its relay link. Of several invitations the last one is meant.
pub fn find<'a>(owner: &'a GroupOwner, named: &str) -> Result<&'a RelayRecord, Error> {
    let link: Option<ContactShortLink> = named.parse().ok();
    let matches = |record: &&RelayRecord| {
        let by_link = link.as_ref().is_some_and(|link| {
            let relay_link = record.relay_link().and_then(|text| text.parse::<ContactShortLink>().ok());
            record.address().same_link(link) || relay_link.is_some_and(|relay_link| relay_link.same_link(link))
        });
        by_link || record.id().to_string() == named
    };
    owner.relays().iter().rev().find(matches).ok_or_else(|| {
        Error::new(Code::Usage, "no such relay in this group")
            .at(named)
            .hint("name it by its relay_id, its address or its relay link; grp-status lists them")
    })
}

/// How a relay is called in messages to people.
pub fn called(record: &RelayRecord) -> String {
    match record.profile() {
        Some(profile) => profile.display_name.clone(),
        None => record.address().server.first_host().to_string(),
    }
}

/// The same for whoever is at the other end of a connection.
pub(super) fn called_by_connection(owner: &GroupOwner, name: &ConnectionName) -> String {
    let record = owner.relays().iter().find(|record| record.connection() == *name);
    record.map_or_else(|| name.to_string(), called)
}

/// The same for a relay that may be gone.
pub(super) fn called_by_id(owner: &GroupOwner, id: &MemberId) -> String {
    owner.relay(id).map_or_else(|| id.to_string(), called)
}
