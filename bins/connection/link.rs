//! The link that `conn-join` takes: as an argument, or in the document of whoever made it.

use agent::connection::JoinLink;
use agent::full_link::FullLink;
use agent::short_link::ShortLink;
use cli::{Code, Context, Error, Input, OrError as _};
use smp::address::ServerAddress;

use super::documents;

/// A link to join through.
#[derive(clap::Args)]
pub struct LinkArgument {
    /// The link, or a FILE with the document that has it; `-` and nothing mean a document on stdin
    #[arg(value_name = "LINK or FILE")]
    target: Option<String>,
}

impl LinkArgument {
    /// The link as it was given, if it was.
    pub fn given(&self) -> Option<&str> {
        self.target.as_deref().filter(|text| text.starts_with("simplex:") || text.starts_with("https://"))
    }

    /// The link's text, wherever it is.
    pub fn text(&self, ctx: &mut Context) -> Result<String, Error> {
        if let Some(text) = self.given() {
            return Ok(text.to_owned());
        }
        let input = Input { file: self.target.as_ref().map(Into::into) };
        let document: documents::ConnectionSeen = ctx.read(&input)?;
        document.link.ok_or_else(|| {
            Error::new(Code::FieldInvalid, "link: missing, so there is nothing to join")
                .hint("conn-invite makes one; a link that was used has none any more")
        })
    }
}

/// Reads a link. Those that name only the host of their server are taken to mean one of `presets`.
pub fn parse(text: &str, presets: &[ServerAddress]) -> Result<JoinLink, Error> {
    if let Ok(short) = text.parse::<ShortLink>() {
        let (link, server) = match short {
            ShortLink::Invitation(link) => {
                let link = link.restored(presets);
                (JoinLink::Invitation(link.clone()), link.server)
            }
            ShortLink::Contact(link) => {
                let link = link.restored(presets);
                (JoinLink::Contact(link.clone()), link.server)
            }
        };
        return match server.key_hash().certificate() {
            Some(_) => Ok(link),
            None => Err(Error::new(Code::LinkMalformed, "link: it does not say how to recognise its server")
                .hint("it was shortened for applications that know the server")),
        };
    }
    let link: FullLink = text.parse().or_error_at(Code::LinkMalformed, "link")?;
    Ok(JoinLink::Full(Box::new(link)))
}
