//! The contract all binaries share: documents in and out, exit statuses, errors, progress, trace, help and man pages.
//!
//! Floor 5, with no knowledge of any protocol. A binary is an argument struct, a constant about itself, and one
//! `run`; everything else that a user or a script can observe is decided here, once:
//!
//! | what | where |
//! |---|---|
//! | stdout carries documents only, stderr everything for people | [`Context::emit`], the value `run` returns |
//! | documents: one JSON object, strict on the way in | [`Document`], [`Context::read`] |
//! | the code of an error decides the exit status | [`Code`], [`Error`], [`Exit`] |
//! | a state file is locked, and replaced before it is depended on | [`State`]; [`SharedState`] for several runs at once |
//! | randomness and time come from the system, or from `--seed-file` and `--now` | [`Context::random`], [`Context::now`] |
//! | protocol steps are recorded, and records put together | [`Trace::step`], [`sequence`] |
//! | signals, time limits, the async runtime | [`block_on`], [`serve`], [`Timeout`] |
//! | help, man page, schemas, completions from one description | [`Tool`] |
//!
//! A whole tool, and what it then can do: `pair-make --name Ada`, `pair-make --name Ada -o pair.json`,
//! `pair-make --seed-file seed --now 1700000000 --name Ada`, `--help`, `--man`, `--schema`, `--trace FILE`,
//! `--json-errors` and the rest of the contract.
//!
//! ```no_run
//! use cli::{Bytes, Code, Context, Document, Error, Secret, Shape, Step, Tool};
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//!
//! /// Two keys and their owner. These comments become the schema and the JSON section of the man page.
//! #[derive(Serialize, Deserialize, JsonSchema)]
//! struct Pair {
//!     /// Whose keys they are.
//!     name: String,
//!     /// Anybody may know this one.
//!     public_key: Bytes<32>,
//!     /// Nobody else may.
//!     private_key: Secret<32>,
//! }
//!
//! impl Document for Pair {
//!     const TYPE: &'static str = "pair";
//!     const V: u32 = 1;
//!     const SECRETS: &'static [&'static str] = &["private_key"];
//! }
//!
//! const TOOL: Tool = Tool {
//!     name: "pair-make",
//!     about: "Make a pair of keys",
//!     writes: &[Shape::of::<Pair>()],
//!     examples: &[("Keep the private key in a file", "pair-make --name Ada --out pair.json | jq .public_key")],
//!     ..Tool::NEW
//! };
//!
//! #[derive(clap::Args)]
//! struct Args {
//!     /// Whose keys they are
//!     #[arg(long, value_name = "NAME")]
//!     name: String,
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     cli::main(&TOOL, run)
//! }
//!
//! fn run(args: Args, ctx: &mut Context) -> Result<Pair, Error> {
//!     if args.name.is_empty() {
//!         return Err(Error::new(Code::Usage, "--name: empty").hint("give a name that others will recognise"));
//!     }
//!     let mut random = ctx.random("pair_make");
//!     let private = crypto::random::array(random.as_mut());
//!     let public = private; // the step of the protocol stands in a lower crate
//!     ctx.trace().step(Step { who: "owner", name: "pair_make", outcome: "ok", ..Step::default() });
//!     Ok(Pair { name: args.name, public_key: Bytes(public), private_key: Secret::new(private) })
//! }
//! ```
//!
//! A tool that takes a document adds `#[command(flatten)] input: cli::Input` and reads it with
//! `ctx.read::<Pair>(&args.input)?`; with `cli::Source` instead, `ctx.open::<Pair>(&args.source)?` gives the document
//! and the [`State`] to save it to, whether it was piped or is kept in `--state FILE`. `cli::Timeout` gives
//! `--timeout SECS`. Two kinds of input are [`Either`]. All of them can be seen at work in `examples/`.

mod args;
mod bytes;
mod code;
mod command;
mod console;
mod context;
mod document;
mod error;
mod file;
mod json;
mod lines;
mod lock;
mod page;
mod random;
pub mod sequence;
mod shared;
mod shell;
mod signal;
mod state;
mod tool;
mod trace;

pub use args::{Input, Kept, Source, Timeout};
pub use bytes::{Blob, Bytes, Secret, SecretBlob};
pub use code::Code;
pub use console::Progress;
pub use context::Context;
pub use document::{Document, Either, Incoming, Object, Outcome, Shape};
pub use error::{Error, Exit, OrError};
pub use lines::Lines;
pub use random::Clock;
pub use shared::SharedState;
pub use shell::main;
pub use signal::{Shutdown, block_on, serve};
pub use state::State;
pub use tool::Tool;
pub use trace::{Step, Trace};

/// The version of all binaries.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
