//! What documents show of transcript marks, without what only programs need.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bytes::{Base64Url, unpadded, unpadded_option};
use crate::identity::MemberId;
use crate::transcript::{Ledger, Mark, Setting, Strength, Tally};

/// How much was said, by the count of one owner
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MarkDocument {
    /// Which owner
    #[serde(with = "unpadded")]
    #[schemars(with = "Base64Url")]
    pub owner_id: MemberId,
    /// How much it says of a post: only that there is one, or a digest of its content
    pub strength: Strength,
    /// Whether it counts what others say
    pub hears: bool,
    /// Counts the marks of this owner
    pub number: u64,
    /// When it was made, in Unix seconds
    pub made_at: i64,
    /// How many posts the owner counted
    pub total: u64,
    /// How many of them it names
    pub named: usize,
    /// Those who posted last
    pub authors: Vec<TallyDocument>,
}

/// How many posts somebody wrote
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct TallyDocument {
    /// Who; absent for the group
    #[serde(default, with = "unpadded_option", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Base64Url>")]
    pub author_id: Option<MemberId>,
    /// How many
    pub count: u64,
}

/// What an owner counts of what is said
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct LedgerDocument {
    /// `count`, `digest` or `off`
    pub strength: String,
    /// How many posts were counted
    pub counted: u64,
    /// How many of them stand in the last mark
    pub marked: u64,
}

impl From<&Mark> for MarkDocument {
    fn from(mark: &Mark) -> Self {
        let tally = |tally: &Tally| TallyDocument { author_id: tally.writer.member().cloned(), count: tally.count };
        MarkDocument {
            owner_id: mark.by.clone(),
            strength: mark.strength,
            hears: mark.hears,
            number: mark.number,
            made_at: mark.made_at,
            total: mark.total,
            named: mark.posts.len(),
            authors: mark.authors.iter().map(tally).collect(),
        }
    }
}

impl LedgerDocument {
    /// What a ledger holds; nothing if nothing was ever counted or decided.
    pub(super) fn of(ledger: &Ledger) -> Option<Self> {
        let strength = match ledger.setting() {
            Setting::Off => "off",
            Setting::On(Strength::Count) => "count",
            Setting::On(Strength::Digest) => "digest",
        };
        let shown = LedgerDocument { strength: strength.to_owned(), counted: ledger.total(), marked: ledger.marked() };
        (ledger.setting() != Setting::default() || ledger.total() > 0).then_some(shown)
    }
}
