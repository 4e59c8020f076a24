//! How `grp-link-verify` gets link data from servers.

use std::time::Duration;

use agent::link_read::RetrievedLinkData;
use cli::{Code, Context, Error, Step};
use crypto::Random;
use group::step::link_verify::Fetch;
use net::client::ClientError;

/// Retrieves links at the same time, so that many dead relays take no longer than one.
pub(crate) fn all(
    wanted: Vec<Fetch>,
    timeout: Duration,
    ctx: &mut Context,
) -> Result<Vec<Result<RetrievedLinkData, Error>>, Error> {
    let wanted: Vec<_> = wanted.into_iter().map(|wanted| (wanted, ctx.random("fetch"))).collect();
    let servers: Vec<String> = wanted.iter().map(|(wanted, _)| wanted.link.server.to_string()).collect();
    let outcomes = cli::block_on(async {
        let tasks: Vec<_> =
            wanted.into_iter().map(|(wanted, random)| tokio::spawn(one(wanted, timeout, random))).collect();
        let mut outcomes = Vec::new();
        for task in tasks {
            outcomes.push(task.await.unwrap_or_else(|_| Err(Error::bug("a retrieval failed"))));
        }
        Ok(outcomes)
    })?;
    for (server, outcome) in servers.iter().zip(&outcomes) {
        let outcome = outcome.as_ref().map_or_else(|error| error.code().name(), |_| "ok");
        ctx.trace().step(Step { who: "reader", to: server, name: "link_retrieve", outcome, ..Step::default() });
    }
    Ok(outcomes)
}

async fn one(wanted: Fetch, timeout: Duration, random: Box<dyn Random + Send>) -> Result<RetrievedLinkData, Error> {
    let server = &wanted.link.server;
    let client = grp::dial(server, timeout, random).await?;
    let content = client.get_link(&wanted.link_id).await;
    client.close().await;
    match content {
        Ok(content) => Ok(grp::retrieved(content)),
        Err(ClientError::Refused(smp::error::Error::Auth)) => {
            Err(Error::new(Code::NotFound, "the server has nothing under this link").at(server.first_host()))
        }
        Err(error) => Err(grp::client_error(server, error)),
    }
}
