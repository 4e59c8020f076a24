//! Link data from servers, for whoever verifies links.

use agent::link_read::RetrievedLinkData;
use cli::{Code, Context, Error, Step, Timeout};
use group::step::link_verify::Fetch;
use net::client::ClientError;

use crate::Dialler;

/// Who acts, in the trace.
pub const READER: &str = "reader";

/// Retrieves links at the same time, so that many dead relays take no longer than one.
pub fn all(
    wanted: Vec<Fetch>,
    timeout: Timeout,
    ctx: &mut Context,
) -> Result<Vec<Result<RetrievedLinkData, Error>>, Error> {
    let wanted: Vec<_> =
        wanted.into_iter().map(|wanted| (wanted, Dialler::new(ctx, READER, "fetch", timeout))).collect();
    let servers: Vec<String> = wanted.iter().map(|(wanted, _)| wanted.link.server.to_string()).collect();
    let outcomes = cli::block_on(async {
        let tasks: Vec<_> = wanted.into_iter().map(|(wanted, dialler)| tokio::spawn(one(wanted, dialler))).collect();
        let mut outcomes = Vec::new();
        for task in tasks {
            outcomes.push(task.await.unwrap_or_else(|_| Err(Error::bug("a retrieval failed"))));
        }
        Ok(outcomes)
    })?;
    for (server, outcome) in servers.iter().zip(&outcomes) {
        let outcome = outcome.as_ref().map_or_else(|error| error.code().name(), |_| "ok");
        ctx.trace().step(Step { who: READER, to: server, name: "link_retrieve", outcome, ..Step::default() });
    }
    Ok(outcomes)
}

async fn one(wanted: Fetch, dialler: Dialler) -> Result<RetrievedLinkData, Error> {
    let server = &wanted.link.server;
    let client = dialler.dial(server).await?;
    let content = client.get_link(&wanted.link_id).await;
    client.close().await;
    match content {
        Ok(content) => Ok(crate::retrieved(content)),
        Err(ClientError::Refused(smp::error::Error::Auth)) => {
            Err(Error::new(Code::NotFound, "the server has nothing under this link").at(server.first_host()))
        }
        Err(error) => Err(crate::client_error(server, error)),
    }
}
