//! The layers of proxied commands: `proxy_flow` of `transmissions.json`.

use codec::Encode as _;
use crypto::BoxKey;
use smp::block;
use smp::command::{Command, ForwardedTransmission};
use smp::id::{CorrId, EntityId};
use smp::proxy::{
    open_command, open_forward, open_response, open_return, seal_command, seal_forward, seal_response, seal_return,
};
use smp::response::Response;
use smp::transmission::{ClientTransmission, Session, encode_command, encode_response};

use crate::support::{assert_bytes, auth_private, dh_private};
use crate::vectors::{Vector, each};

/// The parties of a flow and what they know.
struct Flow {
    version: u16,
    session_id: Vec<u8>,
    pfwd_id: CorrId,
    rfwd_id: CorrId,
    entity_id: EntityId,
    /// Between client and relay.
    end_to_end: BoxKey,
    /// Between proxy and relay.
    session: BoxKey,
}

impl Flow {
    fn of(vector: &Vector) -> Flow {
        let relay = dh_private(vector, "/in/relay_session_private").public();
        Flow {
            version: vector.number("/in/version"),
            session_id: vector.hex("/in/relay_session_id"),
            pfwd_id: CorrId::new(vector.hex("/in/pfwd_corr_id")).unwrap(),
            rfwd_id: CorrId::new(vector.hex("/in/rfwd_corr_id")).unwrap(),
            entity_id: EntityId::new(vector.hex("/in/entity_id")).unwrap(),
            end_to_end: BoxKey::agreed(&dh_private(vector, "/in/command_private").agree(&relay)),
            session: BoxKey::agreed(&dh_private(vector, "/in/proxy_handshake_private").agree(&relay)),
        }
    }

    /// Client: the payload for the relay, authorised in the session between proxy and relay.
    fn inner_payload(&self, vector: &Vector) -> Vec<u8> {
        let server_key = dh_private(vector, "/in/relay_session_private").public();
        let session = Session { version: self.version, id: &self.session_id, server_key: &server_key };
        let command = Command::decode(self.version, &vector.hex("/in/command")).unwrap();
        let key = auth_private(vector.at("/in/auth_key"));
        let transmission = encode_command(session, &self.pfwd_id, &self.entity_id, &command, key.as_ref()).unwrap();
        block::payloads([transmission.as_slice()]).remove(0)
    }
}

#[test]
fn proxied_commands_have_the_bytes_of_the_reference() {
    each("transmissions.json", "proxy_flow", |vector| {
        let flow = Flow::of(vector);
        let payload = flow.inner_payload(vector);
        assert_bytes(&payload, vector.at("/out/inner_payload"));
        let sealed = seal_command(&flow.end_to_end, &flow.pfwd_id, &payload).unwrap();
        assert_bytes(&sealed, vector.at("/out/enc_t"));

        let command_key = dh_private(vector, "/in/command_private").public();
        let forwarded = ForwardedTransmission { version: flow.version, command_key, sealed };
        let pfwd = Command::Pfwd(forwarded.clone()).to_bytes(flow.version);
        assert_bytes(&pfwd, vector.at("/out/pfwd_command"));
        // The proxy wraps the client's corrId and what followed `PFWD `.
        assert_bytes(&[flow.pfwd_id.to_bytes(), pfwd[5..].to_vec()].concat(), vector.at("/out/fwd"));
        let rfwd = seal_forward(&flow.session, &flow.rfwd_id, &flow.pfwd_id, &forwarded);
        assert_bytes(&rfwd, vector.at("/out/enc_fwd"));

        let (pfwd_id, received) = open_forward(&flow.session, &flow.rfwd_id, &rfwd).unwrap();
        assert_eq!((&pfwd_id, &received), (&flow.pfwd_id, &forwarded));
        let opened = open_command(&flow.end_to_end, &pfwd_id, &received.sealed).unwrap();
        assert_eq!(opened, payload);
        let [transmission] = block::transmissions(&opened).unwrap()[..] else { panic!("one transmission expected") };
        let command = ClientTransmission::parse(received.version, &flow.session_id, transmission).unwrap();
        assert_bytes(&command.authorized, vector.at("/out/authorized"));
    });
}

#[test]
fn proxied_responses_have_the_bytes_of_the_reference() {
    each("transmissions.json", "proxy_flow", |vector| {
        let flow = Flow::of(vector);
        let response = Response::decode(flow.version, &vector.hex("/in/response")).unwrap();
        let transmission = encode_response(flow.version, &flow.pfwd_id, &flow.entity_id, &response);
        let payload = block::payloads([transmission.as_slice()]).remove(0);
        assert_bytes(&payload, vector.at("/out/response_payload"));
        let sealed = seal_response(&flow.end_to_end, &flow.pfwd_id, &payload).unwrap();
        assert_bytes(&sealed, vector.at("/out/enc_r"));
        let rres = seal_return(&flow.session, &flow.rfwd_id, &flow.pfwd_id, &sealed);
        assert_bytes(&rres, vector.at("/out/enc_res"));

        let (pfwd_id, returned) = open_return(&flow.session, &flow.rfwd_id, &rres).unwrap();
        assert_eq!(pfwd_id, flow.pfwd_id);
        assert_eq!(open_response(&flow.end_to_end, &pfwd_id, &returned), Ok(payload));
    });
}
