//! The command line of `grp-relay-invite`.

use std::path::{Path, PathBuf};

use agent::short_link::ContactShortLink;
use cli::{Code, Context, Error, Input, Kept, OrError as _, Timeout};
use group::document::GroupState;
use group::member::MemberProfile;
use group::owner::{GroupOwner, Persona, choose_server};
use grp::documents::Group;
use grp::owning::relays;
use smp::address::{ServerAddress, ServerWithPassword};

/// Arguments of `grp-relay-invite`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Invite the relay at this address; may be repeated, and name several separated by commas
    #[arg(long = "relay", value_name = "ADDRESS", value_delimiter = ',')]
    relays: Vec<String>,

    #[command(flatten)]
    pub(crate) kept: Kept,

    /// Let each relay prove first that it holds the key of its address
    #[arg(long, requires = "relays")]
    pub(crate) test: bool,

    /// Return as soon as the relays were asked
    #[arg(long)]
    pub(crate) no_wait: bool,

    /// Give each new relay the last N posts of the owner, for those who join through it
    #[arg(long, value_name = "N", requires = "relays", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) history: Option<u32>,

    /// Give up a relay that is not active yet, named by its ID or a link; may be repeated
    #[arg(long, value_name = "RELAY")]
    pub(crate) cancel: Vec<String>,

    /// Ask a relay again that does not react, named by its ID or a link; may be repeated
    #[arg(long, value_name = "RELAY")]
    pub(crate) again: Vec<String>,

    /// Receive from relays through queues on this server; of several, this group gets one at random [default: the server
    /// of the link]
    #[arg(long = "server", value_name = "ADDRESS", value_delimiter = ',')]
    servers: Vec<String>,

    /// Another group of yours: of several servers, this group gets one that it does not use, if there is one; may be
    /// repeated
    #[arg(long, value_name = "FILE", requires = "servers")]
    apart_from: Vec<PathBuf>,

    /// Create these queues with the password in FILE
    #[arg(long, value_name = "FILE", requires = "servers")]
    password_file: Option<PathBuf>,

    /// Tell relays this name [default: a random one]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    #[command(flatten)]
    pub(crate) timeout: Timeout,
}

impl Args {
    /// The addresses of relays, each once.
    pub(crate) fn addresses(&self) -> Result<Vec<ContactShortLink>, Error> {
        let mut addresses: Vec<ContactShortLink> = Vec::new();
        for text in &self.relays {
            let address = relays::address("--relay", text)?;
            if !addresses.iter().any(|known| known.same_link(&address)) {
                addresses.push(address);
            }
        }
        Ok(addresses)
    }

    /// How the relays of this group are to see the owner, if that is not decided yet.
    pub(crate) fn persona(&self, owner: &GroupOwner, run: &str, ctx: &mut Context) -> Result<Option<Persona>, Error> {
        if owner.persona().is_some() {
            if self.name.is_some() || !self.servers.is_empty() {
                return Err(Error::new(
                    Code::Usage,
                    "--server and --name cannot be given: relays know the owner already",
                ));
            }
            return Ok(None);
        }
        let server = self.server(owner, run, ctx)?;
        let mut random = ctx.random(&format!("persona_{run}"));
        match &self.name {
            None => Ok(Some(Persona::random(server, random.as_mut()))),
            Some(name) => {
                Persona::known(MemberProfile::named(name), server).or_error_at(Code::Usage, "--name").map(Some)
            }
        }
    }

    fn server(&self, owner: &GroupOwner, run: &str, ctx: &mut Context) -> Result<ServerWithPassword, Error> {
        let password = self.password_file.as_deref().map(|path| grp::password_from_file(path, ctx)).transpose()?;
        let mut configured = Vec::new();
        for text in &self.servers {
            let address = grp::server_address("--server", text)?;
            configured.push(ServerWithPassword { address, password: password.clone() });
        }
        let mut used = Vec::new();
        for path in &self.apart_from {
            used.extend(servers_of(path, ctx)?);
        }
        let mut random = ctx.random(&format!("server_{run}"));
        let chosen = choose_server(&configured, &used, random.as_mut()).cloned();
        Ok(chosen.unwrap_or_else(|| owner.link().group().server().clone()))
    }
}

/// The servers that another group can be known by.
fn servers_of(path: &Path, ctx: &mut Context) -> Result<Vec<ServerAddress>, Error> {
    let Group(document) = ctx.read(&Input { file: Some(path.to_owned()) })?;
    Ok(match GroupState::try_from(document).or_error_at(Code::FieldInvalid, path.display())? {
        GroupState::Prepared(prepared) => vec![prepared.group().server().address.clone()],
        GroupState::Created(owner) => {
            let persona = owner.persona().map(|persona| persona.server().address.clone());
            persona.into_iter().chain([owner.link().group().server().address.clone()]).collect()
        }
    })
}
