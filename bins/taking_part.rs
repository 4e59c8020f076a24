//! What the `grp-` binaries of members share: a membership in a state file, and its connections with relays at work.
//!
//! | module | holds |
//! |---|---|
//! | [`work`] | a run: the member's tasks are done, and what relays deliver reaches the member |
//! | [`joining`] | how long a run waits for relays |
//! | [`messages`] | single messages and members, in a file beside the state file |
//! | [`lines`] | what is printed of them |
//! | [`audit`] | what is printed of a comparison with what owners counted |
//! | `report` | what people and traces are told |

pub mod audit;
pub mod joining;
pub mod lines;
pub mod messages;
mod report;
pub mod work;
