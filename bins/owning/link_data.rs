//! Reading, writing and deleting link data, each with a session of its own: a relay's server does not see what else the owner reads.

use agent::short_link::ContactShortLink;
use cli::Error;
use group::owner::{DeleteLink, Outcome, SetQueueKeys, WriteLink};
use net::client::ClientError;
use smp::address::ServerAddress;

use crate::{Dialler, code, retrieved};

/// Reads what is behind a link.
pub(crate) async fn read(link: ContactShortLink, dialler: Dialler) -> Outcome {
    let client = match dialler.dial(&link.server).await {
        Ok(client) => client,
        Err(error) => return not_connected(&error),
    };
    let content = client.get_link(&link.derive().0).await;
    client.close().await;
    match content {
        Ok(content) => Outcome::Retrieved(Box::new(retrieved(content))),
        Err(ClientError::Refused(smp::error::Error::Auth)) => {
            Outcome::Refused("the server has nothing under this link".to_owned())
        }
        Err(error) => failed(&link.server, error),
    }
}

/// Writes what the group link says.
pub(super) async fn write(write: WriteLink, dialler: Dialler) -> Outcome {
    let WriteLink { version, server, recipient_id, key, link_id, data } = write;
    let client = match dialler.dial(&server).await {
        Ok(client) => client,
        Err(error) => return not_connected(&error),
    };
    let written = client.set_link(&recipient_id, &link_id, data, &key).await;
    client.close().await;
    written.map_or_else(|error| failed(&server, error), |()| Outcome::Written(version))
}

/// Sets the keys of all owners.
pub(super) async fn set_keys(set: SetQueueKeys, dialler: Dialler) -> Outcome {
    let SetQueueKeys { server, recipient_id, key, keys } = set;
    let client = match dialler.dial(&server).await {
        Ok(client) => client,
        Err(error) => return not_connected(&error),
    };
    let set = client.set_recipient_keys(&recipient_id, keys, &key).await;
    client.close().await;
    set.map_or_else(|error| failed(&server, error), |()| Outcome::Done)
}

/// Deletes the group link with the queue behind it. A server that knows no such queue has deleted it before.
pub(super) async fn delete(deletion: DeleteLink, dialler: Dialler) -> Outcome {
    let DeleteLink { server, recipient_id, key } = deletion;
    let client = match dialler.dial(&server).await {
        Ok(client) => client,
        Err(error) => return not_connected(&error),
    };
    let deleted = client.delete_queue(&recipient_id, &key).await;
    client.close().await;
    match deleted {
        Ok(()) | Err(ClientError::Refused(smp::error::Error::Auth)) => Outcome::Done,
        Err(error) => failed(&server, error),
    }
}

/// A server that cannot be reached, or is another one, today may be reached tomorrow.
fn not_connected(error: &Error) -> Outcome {
    Outcome::Unreachable(error.to_string())
}

fn failed(server: &ServerAddress, error: ClientError) -> Outcome {
    use cli::Exit;
    let exit = code(error.blame()).exit();
    let reason = format!("{}: {error}", server.first_host());
    if exit == Exit::Unreachable { Outcome::Unreachable(reason) } else { Outcome::Refused(reason) }
}
