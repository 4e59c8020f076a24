//! `grp-link-verify`: steps 7 and 8, 11 and 12, 15: what a group link says, if it may be believed.

mod retrieve;

use std::path::PathBuf;
use std::process::ExitCode;

use agent::link_read::RetrievedLinkData;
use agent::short_link::ContactShortLink;
use cli::{Code, Context, Either, Error, Input, OrError as _, Shape, Step, Timeout, Tool};
use group::check::{Check, CheckName, CheckResult};
use group::document::{LinkReportDocument, VerifiedLinkDocument};
use group::step::link_verify::{LinkVerification, Verification};
use grp::documents::{GroupSeen, LinkReport, VerifiedLink, VerifiedLinkSeen};
use retrieve::READER;
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
    let link = link(&args, ctx)?;
    let _progress = ctx.progress(format!("verifying {link}"));
    let Verification { checks, verified } = verify(link.clone(), &args, ctx)?;
    for check in checks.iter().filter(|check| check.result == CheckResult::Warning) {
        ctx.warn(Code::CheckWarning, sentence(check));
    }
    let failed = checks.iter().find(|check| check.result == CheckResult::Failed).map(failure);
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

/// The link to verify, with all that its server needs.
fn link(args: &Args, ctx: &mut Context) -> Result<ContactShortLink, Error> {
    let presets: Vec<ServerAddress> =
        args.server.iter().map(|text| grp::server_address("--server", text)).collect::<Result<_, _>>()?;
    let given = args.target.as_deref().filter(|text| text.starts_with("simplex:") || text.starts_with("https://"));
    let link = match given {
        Some(text) => text.parse().or_error_at(Code::LinkMalformed, "link")?,
        None => {
            let input = Input { file: args.target.as_ref().map(PathBuf::from) };
            match ctx.read::<Either<GroupSeen, VerifiedLinkSeen>>(&input)? {
                Either::First(group) => group.0.link,
                Either::Second(verified) => verified.0.link,
            }
        }
    };
    let link: ContactShortLink = link.restored(&presets);
    match link.server.key_hash().certificate() {
        Some(_) => Ok(link),
        None => Err(Error::new(Code::LinkMalformed, "link: it does not say how to recognise its server")
            .hint("it was shortened for applications that know the server; give its address with --server")),
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

/// The code tells scripts what kind of lie it was.
fn failure(check: &Check) -> Error {
    let code = match check.name {
        CheckName::Retrieved => Code::NotFound,
        CheckName::LinkKeyHash => Code::HashMismatch,
        CheckName::FixedSignature | CheckName::OwnerChain | CheckName::UserSignature => Code::SignatureInvalid,
        CheckName::GroupIdInProfile | CheckName::GroupBinding => Code::GroupIdMismatch,
        _ => Code::CheckFailed,
    };
    Error::new(code, sentence(check))
}

fn sentence(check: &Check) -> String {
    let detail = check.detail.as_deref().unwrap_or_default();
    match &check.relay {
        Some(relay) => format!("{}: {detail} ({relay})", check.name),
        None => format!("{}: {detail}", check.name),
    }
}
