//! Two states of a group link that were made at once become one.
//!
//! The state that both were made from says what each of them changed:
//!
//! | what | both changed it |
//! |---|---|
//! | profile | field by field; of two values for one field the one stays whose signer is nearer to the root key |
//! | relays, owners | what either added is there, what either removed is not |
//! | member count | the one with the higher revision |
//! | transcript | of each owner the newer mark |
//!
//! If it is not known what both were made from, nothing counts as removed: rather a relay too many in the link, which its
//! owner removes again, than one that silently lost its members.
//!
//! Who may remove whom is checked where somebody is removed. A list cannot lose those that let its signer in: it would
//! not be valid any more.

use agent::short_link::ContactShortLink;
use serde_json::{Map, Value};

use crate::identity::{MemberId, RootPublicKey};
use crate::json;
use crate::owner_list::{ListedOwner, OwnerList};
use crate::profile::GroupProfile;
use crate::step::link_create::GroupContents;

/// What a link says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LinkContents {
    pub(crate) contents: GroupContents,
    pub(crate) owners: OwnerList,
}

/// One of two states to merge.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Side<'a> {
    pub(crate) said: &'a LinkContents,
    pub(crate) by: &'a MemberId,
    /// Of the signer: 0 is the root key.
    pub(crate) rank: usize,
    pub(crate) number: u64,
}

/// What one owner said and another one's word took the place of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overridden {
    /// The field of the profile.
    pub field: String,
    /// Whose value stands in the link.
    pub kept: MemberId,
    /// Whose value does not.
    pub lost: MemberId,
}

/// Merges; also says what was overridden.
pub(crate) fn merge(
    root: RootPublicKey,
    base: Option<&LinkContents>,
    mine: Side<'_>,
    theirs: Side<'_>,
) -> (LinkContents, Vec<Overridden>) {
    let (profile, overridden) = merge_profiles(base, mine, theirs);
    let member_count = {
        let (ours, other) = (mine.said.contents.member_count, theirs.said.contents.member_count);
        let before = base.map(|base| base.contents.member_count);
        let theirs_is_newer = theirs.number >= mine.number;
        choose(before.as_ref(), &ours, &other, !theirs_is_newer).0.to_owned()
    };
    let relays_of = |said: &LinkContents| said.contents.relays.clone();
    let relays = merge_lists(
        base.map(relays_of).unwrap_or_default(),
        relays_of(mine.said),
        relays_of(theirs.said),
        ContactShortLink::same_link,
    );
    let owners_of = |said: &LinkContents| said.owners.iter().cloned().collect::<Vec<_>>();
    let same_owner = |one: &ListedOwner, other: &ListedOwner| one.id() == other.id() && one.key() == other.key();
    let owners =
        merge_lists(base.map(owners_of).unwrap_or_default(), owners_of(mine.said), owners_of(theirs.said), same_owner);
    let transcript = mine.said.contents.transcript.merge(&theirs.said.contents.transcript);
    let contents = GroupContents { profile, member_count, relays, transcript };
    (LinkContents { contents, owners: OwnerList::sound(root, owners) }, overridden)
}

/// The value that stays, and whether the other one was a change too.
fn choose<'a, T: PartialEq>(base: Option<&T>, mine: &'a T, theirs: &'a T, mine_wins: bool) -> (&'a T, bool) {
    match base {
        _ if mine == theirs => (mine, false),
        Some(base) if base == mine => (theirs, false),
        Some(base) if base == theirs => (mine, false),
        _ if mine_wins => (mine, true),
        _ => (theirs, true),
    }
}

/// First what the others have, in their order, then what is new with us.
fn merge_lists<T>(base: Vec<T>, mine: Vec<T>, theirs: Vec<T>, same: impl Fn(&T, &T) -> bool) -> Vec<T> {
    let has = |list: &[T], item: &T| list.iter().any(|other| same(other, item));
    let added = mine.iter().enumerate().filter(|(_, item)| !has(&theirs, item) && !has(&base, item));
    let added: Vec<usize> = added.map(|(position, _)| position).collect();
    let removed = |item: &T| has(&base, item) && !has(&mine, item);
    let stay: Vec<bool> = theirs.iter().map(|item| !removed(item)).collect();
    let stay = theirs.into_iter().zip(stay).filter(|(_, stays)| *stays).map(|(item, _)| item);
    let new = mine.into_iter().enumerate().filter(|(position, _)| added.contains(position)).map(|(_, item)| item);
    stay.chain(new).collect()
}

fn merge_profiles(base: Option<&LinkContents>, mine: Side<'_>, theirs: Side<'_>) -> (GroupProfile, Vec<Overridden>) {
    let (ours, other) = (fields(&mine.said.contents.profile), fields(&theirs.said.contents.profile));
    let before = base.map(|base| fields(&base.contents.profile));
    let mine_wins = mine.rank < theirs.rank;
    let mut merged = Map::new();
    let mut overridden = Vec::new();
    for field in ours.keys().chain(other.keys().filter(|field| !ours.contains_key(*field))) {
        // What is not there is a value like any other.
        let value = |fields: &Map<String, Value>| fields.get(field).cloned();
        let (one, two) = (value(&ours), value(&other));
        let (stays, conflict) = choose(before.as_ref().map(value).as_ref(), &one, &two, mine_wins);
        if conflict {
            let (kept, lost) = if mine_wins { (mine.by, theirs.by) } else { (theirs.by, mine.by) };
            overridden.push(Overridden { field: field.clone(), kept: kept.clone(), lost: lost.clone() });
        }
        merged.extend(stays.clone().map(|value| (field.clone(), value)));
    }
    // Each field was one of a profile, so all of them are.
    let winner = if mine_wins { mine } else { theirs };
    let profile = serde_json::from_value(Value::Object(merged));
    (profile.unwrap_or_else(|_| winner.said.contents.profile.clone()), overridden)
}

fn fields(profile: &GroupProfile) -> Map<String, Value> {
    json::object(profile)
}
