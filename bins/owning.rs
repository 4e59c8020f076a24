//! What the `grp-` binaries of owners share: a group in a state file, and its connections with relays at work.
//!
//! | module | holds |
//! |---|---|
//! | [`work`] | a run: the owner's tasks are done, and what relays say reaches the owner |
//! | [`link`] | a change of the group link alone |
//! | `link_data` | reading and writing link data |
//! | `open` | the beginning and the end of a run |
//! | `report` | what people and traces are told |
//! | `trial` | the test of a relay address |
//! | [`relays`] | naming relays on the command line |

pub mod link;
pub(crate) mod link_data;
mod open;
pub mod relays;
mod report;
mod trial;
pub mod work;

pub use open::{load, open, restored, until_told};
