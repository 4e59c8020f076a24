//! What `grp-link-create` does with the server.

use cli::{Code, Error, OrError as _};
use group::step::link_create::{GroupLink, PreparedGroupLink};
use grp::Dialler;
use net::client::{Client, ClientError};

/// Creates the link, or finds that an earlier run did.
pub(crate) async fn create(prepared: PreparedGroupLink, now: i64, dialler: Dialler) -> Result<GroupLink, Error> {
    let client = dialler.dial(&prepared.group().server().address).await?;
    let created = new_queue(&client, prepared, now).await;
    client.close().await;
    created
}

/// A server refuses to create a queue a second time, so a refusal may mean that the link is there.
async fn new_queue(client: &Client, prepared: PreparedGroupLink, now: i64) -> Result<GroupLink, Error> {
    let server = prepared.group().server().address.clone();
    let key = prepared.group().recipient_key();
    let (corr_id, queue) = prepared.new_queue();
    let refused = ClientError::Refused(smp::error::Error::Auth);
    match client.create_queue(queue, Some(corr_id), &key).await {
        Ok(ids) => prepared.confirm(&ids, now).or_error_at(Code::PeerProtocol, server.first_host()),
        Err(error) if error == refused => match client.get_link(&prepared.group().short_link().derive().0).await {
            Ok(found) => {
                prepared.confirm_found(&grp::retrieved(found), now).or_error_at(Code::PeerProtocol, server.first_host())
            }
            Err(error) if error == refused => Err(grp::client_error(&server, error)
                .hint("the server creates no queues, or wants another password: --password-file")),
            Err(error) => Err(grp::client_error(&server, error)),
        },
        Err(error) => Err(grp::client_error(&server, error).hint(
            "the link may have been created; a document from --offline or --state can be used again to find out",
        )),
    }
}
