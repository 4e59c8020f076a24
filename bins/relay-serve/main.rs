//! `relay-serve`: a chat relay.

mod args;
mod identity;
mod trace;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use agent::time::Time;
use args::Args;
use cli::{Code, Context, Document, Error, OrError as _, Shape, Shutdown, Tool};
use grp::operator::LogLine;
use identity::RelayIdentityDocument;
use net::SharedRandom;
use net::agent::AgentOptions;
use net::tls::Connector;
use relay::config::Config;
use relay::service::{Handle, RelayService, ServiceError, StartError};
use relay::store::RelayStore;
use relay::{control, http};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::mpsc;

/// Lines of the log that may wait for stdout.
const LINES: usize = 1_024;

const TOOL: Tool = Tool {
    name: "relay-serve",
    about: "Run a chat relay",
    description: "Serves groups that owners invite it to. For each it reads the group link and checks everything in it, \
        makes a link for members, answers the owner, keeps the owner's roster, and looks at the group link every quarter \
        of an hour: whoever is no longer listed there serves the group no more.\n\n\
        The first start makes the relay's key and its address, which is what owners need. Whatever was answered is on \
        disk before; a relay that is killed goes on where it was.\n\n\
        Members are admitted through that link. Whoever joins is told who the owners and moderators are, and what was \
        said lately if the group wants that; from then on everything that is said reaches it once, also if its queue is \
        full for a while or the relay is killed.",
    keeps: &[Shape::of::<RelayIdentityDocument>()],
    writes: &[Shape::of::<Listening>(), Shape::of::<LogLine>()],
    examples: &[
        (
            "Start and read the address",
            "relay-serve --server \"$SERVER\" --control relay.sock | head -1 | jq -r .address",
        ),
        ("With a page for the operator", "relay-serve --server \"$SERVER\" --name Ada --http 127.0.0.1:8000"),
        ("Ask a program about every group", "relay-serve --server \"$SERVER\" --policy ./policy"),
    ],
    json: "The policy program reads objects with \"id\", \"type\":\"invitation\", \"service\", \"group_id\", \
        \"group_link\", \"group_type\", \"name\", \"full_name\", \"description\", \"member_count\", \"owners\", \"owner\" \
        and \"relay_member_id\", one per line, and answers each with {\"id\":…,\"action\":\"accept\"} or \
        {\"id\":…,\"action\":\"refuse\",\"reason\":\"…\"}. About members they have \"type\":\"member\", \"service\", \
        \"group_id\", \"member_id\" and \"name\".",
    see_also: &["smp-serve", "relay-leave", "relay-allow", "relay-suspend", "relay-status", "relay-log"],
    protocols: &[("SMP", "15-18"), ("agent", "2-7"), ("ratchet", "2-3"), ("chat", "9-19")],
    server: true,
    ..Tool::NEW
};

/// Printed once owners can send invitations
#[derive(Serialize, Deserialize, JsonSchema)]
struct Listening {
    /// The relay's address, for owners
    address: String,
    /// Where the operator gives orders
    control: String,
    /// Where it answers HTTP
    #[serde(skip_serializing_if = "Option::is_none")]
    http: Option<SocketAddr>,
}

impl Document for Listening {
    const TYPE: &'static str = "relay_listening";
    const V: u32 = 1;
}

fn main() -> ExitCode {
    cli::main(&TOOL, run)
}

fn run(args: Args, ctx: &mut Context) -> Result<(), Error> {
    // Each group may lie on another server, and each connection is a descriptor.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let settings = args.settings(ctx)?;
    let identity = identity::open(&args.identity, &args.name, ctx)?;
    let store = RelayStore::open(&args.store.0).or_error_at(Code::StoreFailed, args.store.0.display())?;
    let (lines, new_lines) = mpsc::channel(LINES);
    let config = Config {
        identity: identity.relay(),
        settings,
        agent: AgentOptions { observer: trace::agent_observer(&ctx.trace()), ..AgentOptions::default() },
        policy: args.policy(),
        events: args.events.then_some(lines),
        log_kept: args.times.log_kept(),
        drain_timeout: args.times.drain_timeout(),
        observer: trace::observer(&ctx.trace()),
    };
    let random = SharedRandom::new(ctx.random("relay_serve"));
    let connector = Connector::new().or_error_at(Code::Bug, "TLS")?;
    cli::serve(|shutdown| async move {
        let sockets = Sockets::bind(&args).await?;
        let service = RelayService::start(config, store, connector, random, Arc::new(system_time)).await;
        let service = service.map_err(|error| start_error(&args, error))?;
        sockets.serve(service, new_lines, ctx, shutdown).await
    })
}

fn system_time() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn start_error(args: &Args, error: StartError) -> Error {
    let store = args.store.0.display();
    match error {
        StartError::OtherIdentity => Error::new(Code::StoreFailed, error)
            .at(store)
            .hint(format!("give the identity that the store was made with instead of {}", args.identity.display())),
        StartError::Address(_) | StartError::Profile => {
            Error::new(Code::FieldInvalid, error).at(args.identity.display())
        }
        error => Error::new(Code::StoreFailed, error).at(store),
    }
}

/// Everything that the operator reaches the relay through.
struct Sockets {
    control: UnixListener,
    control_path: String,
    http: Option<TcpListener>,
}

impl Sockets {
    async fn bind(args: &Args) -> Result<Self, Error> {
        let http = match args.http {
            Some(address) => Some(TcpListener::bind(address).await.or_error_at(Code::PortTaken, address)?),
            None => None,
        };
        let control = control::bind(&args.control).or_error_at(Code::FileFailed, args.control.display())?;
        Ok(Sockets { control, control_path: args.control.display().to_string(), http })
    }

    fn ready_line(&self, handle: &Handle) -> Result<Listening, Error> {
        let http = self.http.as_ref().map(TcpListener::local_addr).transpose().or_error(Code::PortTaken)?;
        Ok(Listening { address: handle.address().to_owned(), control: self.control_path.clone(), http })
    }

    /// Works until a signal comes. The first line is printed when the address exists.
    async fn serve(
        self,
        mut service: RelayService,
        mut lines: mpsc::Receiver<String>,
        ctx: &mut Context,
        shutdown: Shutdown,
    ) -> Result<(), Error> {
        let stop = |mut shutdown: Shutdown| async move { shutdown.requested().await };
        let (handle, ready) = (service.handle(), service.ready());
        let listening = self.ready_line(&handle)?;
        if let Some(listener) = self.http {
            tokio::spawn(http::serve(listener, handle.clone(), stop(shutdown.clone())));
        }
        tokio::spawn(control::serve(self.control, handle, stop(shutdown.clone())));
        let work = service.run(stop(shutdown));
        tokio::pin!(work, ready);
        let ended = tokio::select! {
            ended = &mut work => Some(ended),
            () = &mut ready => None,
        };
        if ended.is_none() {
            ctx.emit(&listening)?;
        }
        let ended = match ended {
            Some(ended) => ended,
            None => loop {
                tokio::select! {
                    ended = &mut work => break ended,
                    Some(line) = lines.recv() => print(&line, ctx)?,
                }
            },
        };
        ended.map_err(|error| match error {
            ServiceError::Store(error) => Error::new(Code::StoreFailed, error),
            ServiceError::AgentEnded => Error::bug("the agent ended"),
            error @ ServiceError::Address(_) => Error::new(Code::PeerRefused, error)
                .hint("does the server let this relay create queues? its password goes into --password-file"),
        })
    }
}

fn print(line: &str, ctx: &mut Context) -> Result<(), Error> {
    let line: LogLine = serde_json::from_str(line).or_error(Code::Bug)?;
    ctx.emit(&line)
}
