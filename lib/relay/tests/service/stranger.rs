//! Somebody who sends requests to addresses without end. Its queues exist by name only, so that a request costs it nothing
//! but the sealing.

use agent::agreement::AgreementKeys;
use agent::connection::Settings;
use agent::envelope::{AgentEnvelope, EnvelopeContent, Invitation};
use agent::full_link::ConnectionRequest;
use agent::ratchet::Pq;
use agent::short_link::ContactShortLink;
use codec::Encode as _;
use crypto::dh::X25519PrivateKey;
use crypto::{BoxKey, Nonce};
use net::client::{Client, ClientError};
use smp::address::ServerAddress;
use smp::command::MessageFlags;
use smp::envelope::{ClientMessage, Envelope, PrivateHeader, PublicHeader};
use smp::error::Error;
use smp::id::SenderId;
use smp::queue_address::{QueueAddress, QueueInfo, QueueMode};
use smp_server::random::SystemRandom;
use std::time::Duration;

use crate::owner::{client, read};

pub(crate) struct Stranger {
    client: Client,
    address: QueueInfo,
    /// Where its queues would be.
    server: ServerAddress,
    keys: AgreementKeys,
}

impl Stranger {
    /// Reads what is behind an address, as everybody can.
    pub(crate) async fn at(address: &ContactShortLink) -> Self {
        let group::owner::Outcome::Retrieved(data) = read(address).await else { panic!("an address") };
        let link = data.read(address).unwrap().fixed().link.clone();
        let versions = Settings::default().versions;
        let address_of = link.request().first_queue().agree(versions.client).unwrap();
        let keys = AgreementKeys::generate(Pq::Off, &mut &mut SystemRandom).unwrap();
        let server = address.server.clone();
        Stranger { client: client(&server).await, address: address_of, server, keys }
    }

    /// Asks, in the name of a queue that nobody has heard of before.
    pub(crate) async fn ask(&self, info: &[u8]) {
        let body = self.seal(info);
        let (queue, flags) = (&self.address.address.sender_id, MessageFlags { notify: true });
        loop {
            match self.client.send_message(queue, None, flags, body.clone()).await {
                Ok(()) => return,
                Err(ClientError::Refused(Error::Quota)) => tokio::time::sleep(Duration::from_millis(5)).await,
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn seal(&self, info: &[u8]) -> Vec<u8> {
        let versions = Settings::default().versions;
        let queue = QueueAddress {
            server: self.server.clone(),
            sender_id: SenderId::random(&mut SystemRandom),
            dh_key: self.address.address.dh_key,
            mode: Some(QueueMode::Messaging),
        };
        let queue = QueueInfo { version: versions.client.max(), address: queue }.to_uri(versions.client);
        let request = ConnectionRequest::new(versions.agent, vec![queue], None).unwrap();
        let invitation = Invitation::new(request, self.keys.offer(versions.ratchet), info.to_vec()).unwrap();
        let content = EnvelopeContent::Invitation(Box::new(invitation));
        let content = AgentEnvelope { version: versions.agent.max(), content }.to_bytes();
        let once = X25519PrivateKey::generate(&mut SystemRandom);
        let key = BoxKey::agreed(&once.agree(&self.address.address.dh_key));
        let header = PublicHeader { version: self.address.version, sender_key: Some(once.public()) };
        let message = ClientMessage { header: PrivateHeader::Empty, content };
        Envelope::seal(header, &key, Nonce::random(&mut SystemRandom), &message).unwrap().to_bytes()
    }
}
