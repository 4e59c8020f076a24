//! The steps of the protocol by which a group comes to be, one file for each.
//!
//! | file | step |
//! |---|---|
//! | [`keygen`] | 1–2: root key, owner key, group ID |
//! | [`link_create`] | 2–4: the link is prepared, the profile signed, the link created and updated |
//! | [`link_verify`] | 7–8, 11–12, 15: whoever retrieves the link checks it |
//! | [`owner_request`] | somebody asks to be an owner too |
//! | [`owner_add`] | an owner hands over the queue behind the link |
//! | [`owner_accept`] | the new owner finds itself in the link |

pub mod keygen;
pub mod link_create;
pub mod link_verify;
pub mod owner_accept;
pub mod owner_add;
pub mod owner_request;
