//! `smp-serve`: an SMP server.

mod args;
mod trace;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use args::Args;
use cli::{Code, Context, Document, Error, OrError as _, Shape, Shutdown, Tool};
use net::identity::ServerIdentity;
use net::identity::files::IdentityFiles;
use net::tls::Acceptor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smp::address::{Host, KeyHash, ServerAddress};
use smp_server::config::Config;
use smp_server::sqlite::SqliteStore;
use smp_server::state::State;
use smp_server::{control, http, server};
use tokio::net::{TcpListener, UnixListener};

const TOOL: Tool = Tool {
    name: "smp-serve",
    about: "Run an SMP server",
    description: "Serves queues and link data to SimpleX clients over SMP 15 to 18. A command is answered once its \
        effect is on disk: what was acknowledged survives a crash of the program and of the machine.\n\n\
        The first start makes the server's certificates. Their authority's key, ca.key, is needed only to issue new \
        ones: move it away from the server.\n\n\
        Proxying, notifications and services are refused as by a server that does not offer them.",
    writes: &[Shape::of::<Listening>()],
    examples: &[
        ("Start on any free port and read the address", "smp-serve --listen 127.0.0.1:0 | head -1 | jq -r .address"),
        ("For the public", "smp-serve --host smp.example.org --password-file password --http 127.0.0.1:8000"),
    ],
    see_also: &["grp-link-create", "smp-bench"],
    protocols: &[("SMP", "15-18")],
    server: true,
    ..Tool::NEW
};

/// Printed once the server can be reached
#[derive(Serialize, Deserialize, JsonSchema)]
struct Listening {
    /// What clients need to know; the password is not in it
    address: String,
    /// Where it listens
    listen: SocketAddr,
    /// Where it answers HTTP
    #[serde(skip_serializing_if = "Option::is_none")]
    http: Option<SocketAddr>,
    /// Queues that it serves so far
    queues: usize,
}

impl Document for Listening {
    const TYPE: &'static str = "listening";
    const V: u32 = 1;
}

fn main() -> ExitCode {
    cli::main(&TOOL, run)
}

fn run(args: Args, ctx: &mut Context) -> Result<(), Error> {
    // Each connection is a descriptor; the limit that users start with is meant for other programs.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let password = args.password_file.as_deref().map(|path| grp::password_from_file(path, ctx)).transpose()?;
    // First, because the store is locked: no other start can make the certificates at the same time.
    let store = SqliteStore::open_within(&args.store.0, args.space());
    let store = store.or_error_at(Code::StoreFailed, args.store.0.display())?;
    let acceptor = Acceptor::new(identity(&args, ctx)?).or_error(Code::Bug)?;
    cli::serve(|shutdown| async move {
        let sockets = Sockets::bind(&args).await?;
        let address = sockets.address(&args.host, &acceptor)?;
        let trace = ctx.trace();
        let observer = trace.is_recorded().then(|| trace::observer(trace, address.clone()));
        let config = Config { observer, ..args.config(password) };
        let state = State::load(Arc::new(store), config).or_error(Code::StoreFailed)?;
        ctx.emit(&sockets.ready_line(address, &state)?)?;
        sockets.serve(acceptor, state, shutdown).await
    })
}

/// Loads the server's certificates, or makes them at the first start.
fn identity(args: &Args, ctx: &mut Context) -> Result<ServerIdentity, Error> {
    let files = IdentityFiles::in_dir(&args.identity);
    let now = grp::now(ctx);
    let identity = if files.exist() {
        files.load(now)
    } else {
        let host = hosts(&args.host, args.listen).first().map(Host::to_plain).unwrap_or_default();
        let mut random = ctx.random("smp_serve_identity");
        IdentityFiles::create_in_dir(&args.identity, args.algorithm.into(), &host, now, random.as_mut())
    };
    let identity = identity.or_error_at(Code::FileFailed, args.identity.display())?;
    if files.ca_key.exists() {
        let key = files.ca_key.display();
        ctx.warn(Code::CaKeyOnline, format!("{key}: who has it can impersonate this server; move it to a safe place"));
    }
    Ok(identity)
}

/// The names given, or the address it listens on.
fn hosts(given: &[Host], listen: SocketAddr) -> Vec<Host> {
    let own = match listen {
        _ if listen.ip().is_unspecified() => Host::Ipv4(std::net::Ipv4Addr::LOCALHOST),
        SocketAddr::V4(v4) => Host::Ipv4(*v4.ip()),
        SocketAddr::V6(v6) => Host::Ipv6(*v6.ip()),
    };
    if given.is_empty() { vec![own] } else { given.to_vec() }
}

/// Everything that the server can be reached through.
struct Sockets {
    smp: TcpListener,
    http: Option<TcpListener>,
    control: Option<UnixListener>,
}

impl Sockets {
    async fn bind(args: &Args) -> Result<Self, Error> {
        let http = match args.http {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        let bind_control = |path: &PathBuf| control::bind(path).or_error_at(Code::FileFailed, path.display());
        let control = args.control.as_ref().map(bind_control).transpose()?;
        Ok(Sockets { smp: listen(args.listen).await?, http, control })
    }

    /// What clients need to know.
    fn address(&self, host: &[Host], acceptor: &Acceptor) -> Result<String, Error> {
        let listen = self.smp.local_addr().or_error(Code::PortTaken)?;
        let key_hash = KeyHash::from(*acceptor.identity().fingerprint());
        let address = ServerAddress::new(hosts(host, listen), Some(listen.port()), key_hash).or_error(Code::Usage)?;
        Ok(address.to_string())
    }

    fn ready_line(&self, address: String, state: &State) -> Result<Listening, Error> {
        let listen = self.smp.local_addr().or_error(Code::PortTaken)?;
        let http = self.http.as_ref().map(TcpListener::local_addr).transpose().or_error(Code::PortTaken)?;
        Ok(Listening { address, listen, http, queues: state.queues() })
    }

    async fn serve(self, acceptor: Acceptor, state: Arc<State>, shutdown: Shutdown) -> Result<(), Error> {
        let stop = |mut shutdown: Shutdown| async move { shutdown.requested().await };
        if let Some(listener) = self.http {
            tokio::spawn(http::serve(listener, state.clone(), stop(shutdown.clone())));
        }
        if let Some(listener) = self.control {
            tokio::spawn(control::serve(listener, state.clone(), stop(shutdown.clone())));
        }
        server::serve(self.smp, acceptor, state, stop(shutdown)).await;
        Ok(())
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.or_error_at(Code::PortTaken, address)
}
