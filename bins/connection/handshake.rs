//! What a run does to bring a connection to stand.

use agent::connection::{QueuePlan, ReadData};
use cli::{Code, Error};

use super::documents::{Connection, Status};
use super::fault::step_error;
use super::running::Running;

impl Running<'_> {
    /// Joins through the link that was read, and notes what it says.
    pub async fn join(&mut self, plan: QueuePlan, info: Vec<u8>) -> Result<(), Error> {
        let kept = info.clone();
        self.keep().note(|notes| notes.info = kept);
        let keep = self.keep().clone();
        self.step("join", move |connection, env| {
            if let Some(data) = connection.link_read().and_then(|read| read.data.clone()) {
                let said = said(&data)?;
                keep.note(|notes| notes.link_data = Some(said.into()));
            }
            connection.join(plan, info, env).map_err(step_error)
        })
        .await
    }

    /// Lets the peer in, who has confirmed.
    pub async fn allow(&mut self, info: Vec<u8>) -> Result<(), Error> {
        self.step("allow", move |connection, env| connection.allow(info, env).map_err(step_error)).await
    }

    /// Waits until both sides can send, and lets in a peer that we have asked ourselves.
    pub async fn connected(&mut self) -> Result<(), Error> {
        self.until(|document| document.is_connected() || document.status == Status::Confirmed).await?;
        if self.document()?.status == Status::Confirmed {
            self.allow_asked().await?;
        }
        self.until(Connection::is_connected).await?;
        self.heard().await
    }

    /// Lets in the owner of the address that we asked for a connection, with what we told it then.
    pub async fn allow_asked(&mut self) -> Result<(), Error> {
        let info = self.keep().notes().info;
        self.allow(info).await
    }

    /// The user knows that the connection stands.
    pub async fn heard(&mut self) -> Result<(), Error> {
        self.change(|connection, _| {
            connection.heard();
            Ok(())
        })
        .await
    }
}

/// What a link says. Those of groups lead to relays, which take requests instead of the owner.
fn said(data: &ReadData) -> Result<Vec<u8>, Error> {
    match data {
        ReadData::Invitation(data) => Ok(data.1.payload.as_bytes().to_vec()),
        ReadData::Contact(data) if data.1.direct() => Ok(data.1.payload().as_bytes().to_vec()),
        ReadData::Contact(_) => Err(Error::new(Code::Refused, "the owner of this link takes no requests")
            .hint("the link is of a group: members join through its relays; grp-link-verify shows it")),
    }
}
