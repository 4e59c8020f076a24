//! The command line of `grp-join`.

use std::path::PathBuf;

use cli::{Code, Context, Error, Kept, OrError as _, Timeout};
use group::member::MemberProfile;
use group::owner::{Persona, choose_server};
use smp::address::{ServerAddress, ServerWithPassword};

/// Arguments of `grp-join`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The link, or a FILE with the document that has it; `-` and nothing mean a document on stdin. Not needed by a run
    /// that goes on
    #[arg(value_name = "LINK or FILE")]
    pub(crate) target: Option<String>,

    #[command(flatten)]
    pub(crate) kept: Kept,

    /// Receive from relays through queues on this server; of several, this group gets one at random (required for a new
    /// membership)
    #[arg(long = "server", value_name = "ADDRESS", value_delimiter = ',')]
    servers: Vec<String>,

    /// Create these queues with the password in FILE
    #[arg(long, value_name = "FILE", requires = "servers")]
    password_file: Option<PathBuf>,

    /// Tell relays and members this name [default: a random one]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// Wait for all relays, not only for the first
    #[arg(long)]
    pub(crate) all: bool,

    /// Return as soon as the relays were asked
    #[arg(long, conflicts_with = "all")]
    pub(crate) no_wait: bool,

    /// Know this server, for shortened links: those that name only its host. May be given more than once
    #[arg(long, value_name = "ADDRESS", value_delimiter = ' ')]
    link_server: Vec<String>,

    /// Join a group whose keys come from a seed
    #[arg(long)]
    pub(crate) allow_test: bool,

    #[command(flatten)]
    pub(crate) timeout: Timeout,
}

impl Args {
    /// Servers of shortened links.
    pub(crate) fn presets(&self) -> Result<Vec<ServerAddress>, Error> {
        self.link_server.iter().map(|text| grp::server_address("--link-server", text)).collect()
    }

    /// How relays and members are to see the member.
    pub(crate) fn persona(&self, ctx: &mut Context) -> Result<Persona, Error> {
        let password = self.password_file.as_deref().map(|path| grp::password_from_file(path, ctx)).transpose()?;
        let mut configured = Vec::new();
        for text in &self.servers {
            let address = grp::server_address("--server", text)?;
            configured.push(ServerWithPassword { address, password: password.clone() });
        }
        let mut random = ctx.random("server");
        let server = choose_server(&configured, &[], random.as_mut()).cloned().ok_or_else(|| {
            Error::new(Code::Usage, "--server: needed for a new membership").hint("no server is built in")
        })?;
        match &self.name {
            None => Ok(Persona::random(server, ctx.random("persona").as_mut())),
            Some(name) => Persona::known(MemberProfile::named(name), server).or_error_at(Code::Usage, "--name"),
        }
    }

    /// Refuses what was decided when the membership began.
    pub(crate) fn check_repeated(&self) -> Result<(), Error> {
        if self.name.is_some() || !self.servers.is_empty() {
            let message = "--server and --name cannot be given: relays know the member already";
            return Err(Error::new(Code::Usage, message));
        }
        Ok(())
    }
}
