//! Which features are on in a group, read from the preferences in its profile.
//!
//! The preferences themselves stay as they came, with keys that we do not know, because owners edit them with several
//! programs. Absent preferences have a default each.

use serde_json::{Map, Value};

use crate::member::Role;

/// How long messages live when they disappear and nobody said how long.
const DEFAULT_LIFE: u64 = 86_400;

/// A feature that matters in groups with relays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    /// Messages disappear.
    TimedMessages,
    /// Deleted messages leave nothing behind.
    FullDelete,
    /// Reactions to messages.
    Reactions,
    /// Relays send joiners what was said before.
    History,
    /// Chats between a member and the moderators.
    Support,
    /// Members write to each other.
    DirectMessages,
    /// Links to contacts and groups in messages.
    SimplexLinks,
    /// Programs sign what they write.
    SignMessages,
}

impl Feature {
    const fn key(self) -> &'static str {
        match self {
            Feature::TimedMessages => "timedMessages",
            Feature::FullDelete => "fullDelete",
            Feature::Reactions => "reactions",
            Feature::History => "history",
            Feature::Support => "support",
            Feature::DirectMessages => "directMessages",
            Feature::SimplexLinks => "simplexLinks",
            Feature::SignMessages => "signMessages",
        }
    }

    const fn on_by_default(self) -> bool {
        matches!(self, Feature::Reactions | Feature::Support | Feature::SimplexLinks)
    }
}

/// The preferences of a group.
#[derive(Debug, Clone, Copy)]
pub struct Preferences<'a>(Option<&'a Map<String, Value>>);

impl<'a> Preferences<'a> {
    /// The preferences in a profile.
    pub fn of(preferences: Option<&'a Map<String, Value>>) -> Self {
        Preferences(preferences)
    }

    /// Whether members with `role` have the feature. What cannot be read counts as off.
    pub fn allow(self, feature: Feature, role: &Role) -> bool {
        let Some(preference) = self.get(feature) else { return feature.on_by_default() };
        let lowest = preference.get("role").and_then(Value::as_str).map(Role::from);
        is_on(preference) && lowest.is_none_or(|lowest| *role >= lowest)
    }

    /// After how many seconds messages disappear, if they do.
    pub fn life_of_messages(self) -> Option<u64> {
        let preference = self.get(Feature::TimedMessages).filter(|preference| is_on(preference))?;
        Some(preference.get("ttl").and_then(Value::as_u64).unwrap_or(DEFAULT_LIFE))
    }

    fn get(self, feature: Feature) -> Option<&'a Value> {
        self.0.and_then(|preferences| preferences.get(feature.key())).filter(|preference| !preference.is_null())
    }
}

fn is_on(preference: &Value) -> bool {
    preference.get("enable").and_then(Value::as_str) == Some("on")
}
