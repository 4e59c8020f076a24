//! Transcript marks: what owners publish so that members detect withheld posts even when all relays collude.
//!
//! Members compare what different relays deliver, and that says nothing if all of them withhold the same. But every
//! member reads the group link, which lives on a server that the owner chose, and whose data no relay can change. There,
//! and now and then in a signed `x.grp.info` that relays pass on untouched, each owner puts a [`Mark`]: how many posts it
//! counted of each author, and the names of the last ones. Other programs ignore the key.
//!
//! ```text
//! owner:   said, or heard from all relays ── Ledger ── Mark ─▶ group link ─▶ x.grp.info
//! member:  Mark ── posts that are not here ── patience ── withheld, altered     (membership)
//! ```
//!
//! # What counts as a post
//!
//! An `x.msg.new` to the whole group, with an ID of at most 64 bytes. Edits, reactions and the chats with the moderators
//! are none. Posts that were deleted, moderated, or have expired still count.
//!
//! A mark must never make an honest relay look guilty, so an owner counts only what every honest relay can deliver:
//!
//! | post | counts |
//! |---|---|
//! | the owner's own | once the first relay is to get it |
//! | somebody else's | once *every* relay from which the owner expected it has delivered it, and all copies say the same |
//!
//! So one relay that forges a post, or forges it together with its author, or delivers a post to owners alone, brings
//! nothing into a mark that the others lack. The price is that one relay can keep a post out of the mark by not delivering
//! it to the owner. The owner is told of that as of any missing message, and the author notices: its own post stands in no
//! mark that covers the time when it was said.
//!
//! # What a mark says
//!
//! | field | means |
//! |---|---|
//! | `number`, `at` | counts the marks of this owner, and when it was made by the owner's clock |
//! | `total`, `chain` | how many posts it ever counted, and a hash chain over all of them in that order |
//! | `authors`, `others` | how many posts by each of those who posted last, and by all others together |
//! | `posts` | the last posts: ID, author, when it was said, and with strength `digest` what it said |
//! | `hears` | whether it counts what others say, or only what the owner says itself |
//!
//! IDs of messages are random and say nothing about content. So with strength `count` what was said without a signature
//! can still be denied: the mark says that there was a post, not which. With `digest` it says a digest of the content as
//! well, altered posts are found, and what was said can be proved by whoever has it.
//!
//! Naming posts, and not only counting them, is what makes the comparison exact: relays cannot put something else in
//! place of a post, members can say which one is missing and recognise it when it comes after all, and it does not matter
//! in which order posts arrive. A chain over posts in the order in which a member hears them would accuse relays that
//! deliver honestly in another order. The chain is over the owner's order, and shows that each mark continues the one
//! before: marks only grow. Where there were more posts between two marks than one names, numbers are compared: a member
//! that heard fewer of an author than were counted lacks some, and can only say how many.
//!
//! # Several owners
//!
//! Each owner's mark stands for itself, and is written on by the others as it is. Members compare all of them.
//! [`Transcript::merge`] takes of each owner the mark with the higher number. Whoever watches the link can guess which
//! owner said something as the group: the one whose mark counts it first.
//!
//! # Who reads it
//!
//! Whoever has the group link, as everything else there: how much is said, when, and under which member IDs. That is whoever
//! may join. Owners who do not want it turn marks [off](Setting::Off).
//!
//! # Whom it protects since when
//!
//! A member expects what was said since a relay that it is still connected to admitted it, ten minutes later to be safe
//! from clocks that differ. Whoever joins misses nothing that came before.

mod ledger;
mod mark;
mod published;

pub use self::ledger::{Ledger, Setting};
pub use self::mark::{Chain, Mark, Others, Post, Strength, Tally, Writer};
pub use self::published::Transcript;

pub(crate) use self::mark::is_post;
