//! Group links on the command line, and what is said about those that are not believed.

use std::path::PathBuf;

use agent::short_link::ContactShortLink;
use cli::{Code, Context, Either, Error, Input, OrError as _};
use group::check::{Check, CheckName};
use smp::address::ServerAddress;

use crate::documents::{GroupSeen, VerifiedLinkSeen};

/// The link that is meant by `target`: itself, or the one in the document of that file or on stdin. With all that its
/// server needs; `flag` is that with which `presets` are given.
pub fn read(
    target: Option<&str>,
    presets: &[ServerAddress],
    flag: &str,
    ctx: &mut Context,
) -> Result<ContactShortLink, Error> {
    let given = target.filter(|text| text.starts_with("simplex:") || text.starts_with("https://"));
    let link = match given {
        Some(text) => text.parse().or_error_at(Code::LinkMalformed, "link")?,
        None => {
            let input = Input { file: target.map(PathBuf::from) };
            match ctx.read::<Either<GroupSeen, VerifiedLinkSeen>>(&input)? {
                Either::First(group) => group.0.link,
                Either::Second(verified) => verified.0.link,
            }
        }
    };
    let link: ContactShortLink = link.restored(presets);
    match link.server.key_hash().certificate() {
        Some(_) => Ok(link),
        None => Err(Error::new(Code::LinkMalformed, "link: it does not say how to recognise its server")
            .hint(format!("it was shortened for applications that know the server; give its address with {flag}"))),
    }
}

/// The code tells scripts what kind of lie it was.
pub fn failure(check: &Check) -> Error {
    let code = match check.name {
        CheckName::Retrieved => Code::NotFound,
        CheckName::LinkKeyHash => Code::HashMismatch,
        CheckName::FixedSignature | CheckName::OwnerChain | CheckName::UserSignature => Code::SignatureInvalid,
        CheckName::GroupIdInProfile | CheckName::GroupBinding => Code::GroupIdMismatch,
        _ => Code::CheckFailed,
    };
    Error::new(code, sentence(check))
}

/// A check in words.
pub fn sentence(check: &Check) -> String {
    let detail = check.detail.as_deref().unwrap_or_default();
    match &check.relay {
        Some(relay) => format!("{}: {detail} ({relay})", check.name),
        None => format!("{}: {detail}", check.name),
    }
}
