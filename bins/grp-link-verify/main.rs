//! `grp-link-verify`: steps 7 and 8, 11 and 12, 15: what a group link says, if it may be believed.

use std::process::ExitCode;

use agent::link_read::RetrievedLinkData;
use agent::short_link::ContactShortLink;
use cli::{Code, Context, Error, Shape, Step, Timeout, Tool};
use group::check::CheckResult;
use group::document::{LinkReportDocument, VerifiedLinkDocument};
use group::step::link_verify::{LinkVerification, Verification};
use grp::documents::{GroupSeen, LinkReport, VerifiedLink, VerifiedLinkSeen};
use grp::retrieve::READER;
use grp::{group_link, retrieve};
use smp::address::ServerAddress;

const TOOL: Tool = Tool {
    name: "grp-link-verify",
    about: "Retrieve a group link and check everything a reader must",
    description: "Retrieves what the link leads to from its SMP server, decrypts it and checks it: that it is what the \
        link promises, who signed it, that profile, link and group ID belong together, and that the owner takes no \
        requests. Then it does the same with every relay link that the group link lists.\n\n\
        If every check passes, stdout carries the verified link. If one fails, the status is 1 and stdout carries a \
        report that holds the checks and nothing of what the link says.\n\n\
        A relay that cannot be reached is a warning; one whose link says something wrong is a failure.",
    reads: &[Shape::of::<GroupSeen>(), Shape::of::<VerifiedLinkSeen>()],
    writes: &[Shape::of::<VerifiedLink>(), Shape::of::<LinkReport>()],
    examples: &[
        (
            "Check what was just created",
            "grp-link-create prepared.json --out group.json | grp-link-verify | jq .checks",
        ),
        ("Check a link", "grp-link-verify 'https://smp.example.org/c#…?c=…' | jq .profile"),
    ],
    exit: &[(1, "a check failed, or the server has nothing under this link; stdout carries the report")],
    see_also: &["grp-link-create"],
    protocols: &[("SMP", "15-18")],
    ..Tool::NEW
};

#[derive(clap::Args)]
struct Args {
    /// The link, or a FILE with the document that has it; `-` and nothing mean a document on stdin
    #[arg(value_name = "LINK or FILE")]
    target: Option<String>,

    /// Know this server, for shortened links: those that name only its host. May be given more than once
    #[arg(long, value_name = "ADDRESS", value_delimiter = ' ')]
    server: Vec<String>,

    #[command(flatten)]
    timeout: Timeout,
}

fn main() -> ExitCode {
    cli::main(&TOOL, run)
}

fn run(args: Args, ctx: &mut Context) -> Result<VerifiedLink, Error> {
    let presets: Vec<ServerAddress> =
        args.server.iter().map(|text| grp::server_address("--server", text)).collect::<Result<_, _>>()?;
    let link = group_link::read(args.target.as_deref(), &presets, "--server", ctx)?;
    let _progress = ctx.progress(format!("verifying {link}"));
    let Verification { checks, verified } = verify(link.clone(), &args, ctx)?;
    for check in checks.iter().filter(|check| check.result == CheckResult::Warning) {
        ctx.warn(Code::CheckWarning, group_link::sentence(check));
    }
    let failed = checks.iter().find(|check| check.result == CheckResult::Failed).map(group_link::failure);
    let outcome = failed.as_ref().map_or("ok", |error| error.code().name());
    ctx.trace().step(Step { who: READER, name: "link_verify", outcome, ..Step::default() });
    match (verified, failed) {
        (Some(verified), None) => Ok(VerifiedLink(VerifiedLinkDocument::new(&verified, checks, grp::now(ctx)))),
        (_, failed) => {
            ctx.emit(&LinkReport(LinkReportDocument { link, checks, checked_at: grp::now(ctx) }))?;
            Err(failed.unwrap_or_else(|| Error::bug("a link that failed no check is not verified")))
        }
    }
}

/// Without the group link there is nothing to report on; relay links may be missing.
fn verify(link: ContactShortLink, args: &Args, ctx: &mut Context) -> Result<Verification, Error> {
    let timeout = args.timeout;
    let mut verification = LinkVerification::start(link);
    let group = retrieve::all(verification.to_fetch(), timeout, ctx)?;
    let reachable = |outcome: Result<RetrievedLinkData, Error>| match outcome {
        Err(error) if error.code() != Code::NotFound => Err(error),
        outcome => Ok(outcome),
    };
    let group = group.into_iter().map(reachable).collect::<Result<Vec<_>, _>>()?;
    verification.fetched(group.into_iter().map(said));
    let relays = retrieve::all(verification.to_fetch(), timeout, ctx)?;
    verification.fetched(relays.into_iter().map(said));
    Ok(verification.finish())
}

fn said(outcome: Result<RetrievedLinkData, Error>) -> Result<RetrievedLinkData, String> {
    outcome.map_err(|error| error.to_string())
}
