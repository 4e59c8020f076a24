//! What must hold for every decoder on every input: it returns, and what it accepted it writes and reads again.
//!
//! One function for each family of decoders, listed in [`TARGETS`]. The targets of cargo-fuzz call them, and so does
//! the `smoke` binary, which needs nothing but stable Rust. A function says whether a decoder accepted the input, and
//! panics where one is wrong:
//!
//! * [`exact`] – the format has one encoding for each value, so accepted bytes are written again as they were;
//! * [`settled`] – bytes may say the same in several ways, but a value that was written is read as the same value;
//! * [`settling`] – writing loses something that peers may send and we do not; once lost, the value stays the same.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::str::FromStr;
use std::sync::LazyLock;

use agent::agreement::{AgreementKeys, join};
use agent::compressed::{compress, decompress};
use agent::connection::{Connection, Event, InviteLink, Outcome, QueuePlan, RecordKey, Settings, TaskId};
use agent::envelope::{AgentEnvelope, EnvelopeContent};
use agent::full_link::{ConnectionRequest, FullLink};
use agent::link_data::{ContactData, FixedData, InvitationData, Payload};
use agent::message::DecryptedMessage;
use agent::owner::OwnerAuth;
use agent::ratchet::{MessageKey, Pq, Ratchet, RatchetError, StoredRatchet};
use agent::ratchet_keys::{ReceiverKeys, SenderKeys};
use agent::ratchet_offer::RatchetOffer;
use agent::short_link::{ContactShortLink, ShortLink};
use agent::signed_item::SignedItem;
use agent::time::{Env, Time};
use codec::query::{self, Query};
use codec::time::UtcTime;
use codec::{Decode, Encode, Reader, VersionRange, Write as _, text};
use crypto::authorize::AuthPublicKey;
use crypto::certificate::{CertificateChain, ChainError, verify_signed_key};
use crypto::dh::{SharedSecret, X448PrivateKey, X448PublicKey, X25519PrivateKey, X25519PublicKey};
use crypto::sign::{Ed448PrivateKey, Ed25519PrivateKey, SigningPublicKey};
use crypto::{BoxKey, Nonce, SeededRandom, aead};
use group::body::{Batch, ConnectionInfo};
use group::content_digest::ContentDigest;
use group::document::{
    GroupDocument, GroupState, GroupStatusDocument, HandoverDocument, MemberDocument, MemberStatusDocument,
    OwnerCandidateDocument, OwnerDocument,
};
use group::element::{AuthoredMessage, Element, Forward, ForwardContent, ForwardSender, ShortName};
use group::identity::{GroupId, MemberId, OwnerIdentity};
use group::keys::{Asserted, LinkKeys};
use group::member::Role;
use group::membership::{Change, Event as MemberEvent, Membership, RecordError, RecordKey as ChatRecordKey, Records};
use group::message::Message;
use group::owner::{ConnectionName, Event as OwnerEvent, GroupOwner};
use group::roster::Roster;
use group::roster_blob::RosterBlob;
use group::step::owner_add::Handover;
use group::step::owner_request::OwnerCandidate;
use group::user_data::{Contents, GroupLinkContents, RelayLinkContents};
use group::verification::Recipient;
use smp::address::{Host, ServerAddress, ServerWithPassword};
use smp::block::{self, BLOCK, BlockOpener, MAX_SEALED_PAYLOAD};
use smp::command::{Command, MessageFlags};
use smp::delivery::{Delivered, NotificationMetadata};
use smp::envelope::{ClientMessage, Envelope, PrivateHeader, PublicHeader};
use smp::error::{Error, TransportError};
use smp::handshake::{ClientHello, Expected, ServerHello, Side, block_ciphers, from_block};
use smp::id::{CorrId, MessageId, RecipientId, SenderId};
use smp::proxy;
use smp::queue_address::{QueueInfo, QueueMode, QueueUri};
use smp::response::{QueueIds, Response};
use smp::service::ServiceResponse;
use smp::transmission::{ClientTransmission, Received, ServerTransmission};
use smp::version;

/// Says whether a decoder accepts the input; panics if one is wrong about it.
pub type Target = fn(&[u8]) -> bool;

/// Every target by its name.
pub const TARGETS: &[(&str, Target)] = &[
    ("command", command),
    ("response", response),
    ("error", error),
    ("transmission", transmission),
    ("payload", payload),
    ("block", block),
    ("client_hello", client_hello),
    ("server_hello", server_hello),
    ("certificate_chain", certificate_chain),
    ("key", key),
    ("envelope", envelope),
    ("delivered", delivered),
    ("proxied", proxied),
    ("query", query),
    ("base64url", base64url),
    ("address", address),
    ("queue", queue),
    ("link", link),
    ("link_data", link_data),
    ("group_payload", group_payload),
    ("document", document),
    ("ratchet_keys", ratchet_keys),
    ("ratchet_message", ratchet_message),
    ("ratchet_header", ratchet_header),
    ("ratchet_state", ratchet_state),
    ("agent_envelope", agent_envelope),
    ("agent_message", agent_message),
    ("connection_records", connection_records),
    ("connection_delivery", connection_delivery),
    ("compressed", compressed),
    ("chat_body", chat_body),
    ("chat_message", chat_message),
    ("roster_blob", roster_blob),
    ("membership_received", membership_received),
    ("owner_received", owner_received),
];

/// Accepted bytes are the only encoding of their value.
fn exact(bytes: &[u8], written: &[u8]) {
    assert_eq!(written, bytes, "accepted bytes are written differently");
}

/// A written value is read as the same value.
fn settled<T: PartialEq + Debug>(value: &T, rewritten: Option<T>) {
    assert_eq!(rewritten.as_ref(), Some(value), "a written value is read as another");
}

/// A value that was written once is written the same way from then on.
fn settling<T: PartialEq + Debug>(value: &T, rewrite: impl Fn(&T) -> Option<T>) {
    let Some(once) = rewrite(value) else { panic!("{value:?} was accepted but is refused once written") };
    settled(&once, rewrite(&once));
}

fn exact_value<T: Decode + Encode>(bytes: &[u8]) -> bool {
    let value = T::decode_all(bytes);
    value.is_ok_and(|value| {
        exact(bytes, &value.to_bytes());
        true
    })
}

fn settling_value<T: Decode + Encode + PartialEq + Debug>(bytes: &[u8]) -> bool {
    let value = T::decode_all(bytes);
    value.is_ok_and(|value| {
        settling(&value, |value| T::decode_all(&value.to_bytes()).ok());
        true
    })
}

/// What was read as text is understood in binary too. The reverse is not so: binary fields may be empty.
fn settling_both<T: Decode + Encode + FromStr + ToString + PartialEq + Debug>(bytes: &[u8]) -> bool {
    let value = std::str::from_utf8(bytes).ok().and_then(|text| text.parse::<T>().ok());
    let read_as_text = value.is_some_and(|value| {
        settling(&value, |value| value.to_string().parse().ok());
        settling(&value, |value| T::decode_all(&value.to_bytes()).ok());
        true
    });
    settling_value::<T>(bytes) | read_as_text
}

/// Runs a check at every version; whether it accepts at one of them.
fn at_every_version(check: impl Fn(u16) -> Option<()>) -> bool {
    let versions = version::SUPPORTED.min()..=version::SUPPORTED.max();
    versions.filter_map(check).count() > 0
}

/// Commands of every version.
pub fn command(data: &[u8]) -> bool {
    at_every_version(|version| {
        let command = Command::decode(version, data).ok()?;
        let written = command.to_bytes(version);
        match command {
            // Reserved flags are dropped, and hosts have several texts.
            Command::Send(..) | Command::Prxy(..) => settled(&command, Command::decode(version, &written).ok()),
            _ => exact(data, &written),
        }
        Some(())
    })
}

/// Responses of every version.
pub fn response(data: &[u8]) -> bool {
    at_every_version(|version| {
        let response = Response::decode(version, data).ok()?;
        let rewrite = |response: &Response| Response::decode(version, &response.to_bytes(version)).ok();
        match response {
            // JSON has several texts for one value.
            Response::Info(_) => settled(&response, rewrite(&response)),
            // Details and notices are dropped, and `SOK` has another name at the lowest version.
            Response::Err(_) | Response::Sok(_) => settling(&response, rewrite),
            _ => exact(data, &response.to_bytes(version)),
        }
        Some(())
    })
}

/// Errors without a response around them.
pub fn error(data: &[u8]) -> bool {
    let error = Error::decode(data);
    let transport_error = TransportError::decode(data);
    if let Some(error) = &transport_error {
        exact(data, error.to_string().as_bytes());
    }
    let to_service = ServiceResponse::parse(data);
    if let Ok(response) = &to_service {
        settled(response, ServiceResponse::parse(&response.to_bytes()).ok());
    }
    at_every_version(|version| {
        settling(error.as_ref()?, |error| {
            let mut written = Vec::new();
            error.encode(version, &mut written);
            Error::decode(&written)
        });
        Some(())
    }) || transport_error.is_some()
        || to_service.is_ok()
}

/// Transmissions in both directions.
pub fn transmission(data: &[u8]) -> bool {
    at_every_version(|version| {
        let _ = ServerTransmission::parse(version, data);
        let received = Received::parse(version, data).ok()?;
        let mut written = Vec::new();
        written.put_short(received.authorization);
        if version >= version::SERVICES && !received.authorization.is_empty() {
            written.put_maybe(received.service, |out, signature| out.put_short(signature));
        }
        exact(data, &[written.as_slice(), received.rest].concat());
        let accepted = ClientTransmission::parse(version, b"session", data).ok()?;
        assert_eq!(accepted.authorization().is_some(), !received.authorization.is_empty());
        let entity = !received.entity_id.is_empty();
        assert_eq!(accepted.command.check_credentials(accepted.authorization().is_some(), entity), Ok(()));
        Some(())
    })
}

/// Payloads of blocks.
pub fn payload(data: &[u8]) -> bool {
    let transmissions = block::transmissions(data);
    // What unencrypted blocks could carry beyond this, we never send.
    transmissions.is_ok_and(|transmissions| {
        if data.len() <= MAX_SEALED_PAYLOAD {
            exact(data, &block::payloads(transmissions).concat());
        }
        true
    })
}

/// Blocks, encrypted and not.
pub fn block(data: &[u8]) -> bool {
    let mut block = [0; BLOCK];
    block.iter_mut().zip(data).for_each(|(to, from)| *to = *from);
    let mut encrypted = block;
    let secret = SharedSecret::from_bytes([1; 32]);
    let (_, mut opener) = block_ciphers(Side::Client, b"session", Some(&secret), false);
    assert!(opener.open(&mut encrypted).is_err(), "made up bytes decrypt");
    let of_handshake = from_block(&block).map(<[u8]>::to_vec);
    let opened = BlockOpener::new(None).open(&mut block);
    assert_eq!(of_handshake.ok().as_deref(), opened.ok());
    opened.is_ok()
}

/// Hellos of clients, those of services included.
pub fn client_hello(data: &[u8]) -> bool {
    let Ok(hello) = ClientHello::parse(data) else { return false };
    assert!(data.starts_with(&hello.to_bytes()), "accepted bytes are written differently");
    let _ = hello.check(&[0; 32], version::SUPPORTED);
    if let Some(service) = &hello.service {
        let _ = service.verify(&service.certificates, NOW);
    }
    true
}

/// Hellos of servers.
pub fn server_hello(data: &[u8]) -> bool {
    let Ok(hello) = ServerHello::parse(data) else { return false };
    assert!(data.starts_with(&hello.to_bytes()), "accepted bytes are written differently");
    let _ = hello.verify(Expected {
        fingerprint: &hello.certificates.identity().unwrap_or_default(),
        session_id: &hello.session_id,
        tls_chain: &hello.certificates,
        versions: version::SUPPORTED,
        now: NOW,
    });
    true
}

/// 2027-01-01, when the certificates of the test vectors are valid.
const NOW: i64 = 1_798_761_600;

/// Certificates: a list of them as in hellos, or one as its own issuer.
pub fn certificate_chain(data: &[u8]) -> bool {
    let listed = Reader::new(data).list(|reader| reader.large().map(<[u8]>::to_vec)).unwrap_or_default();
    let parses = |chain| {
        let chain = CertificateChain::new(chain);
        let verified = chain.verify(&chain.identity().unwrap_or_default(), NOW);
        let _ = chain.verify_service(NOW);
        !matches!(verified, Err(ChainError::Malformed(_) | ChainError::Length(_)))
    };
    parses(listed) | parses(vec![data.to_vec(); 2])
}

/// Keys in their DER forms, and keys signed by certificates.
pub fn key(data: &[u8]) -> bool {
    let certified = SigningPublicKey::Ed25519(Ed25519PrivateKey::from_seed([1; 32]).public());
    assert!(verify_signed_key(&certified, data).is_err(), "a made up signature verifies");
    let again = [
        AuthPublicKey::from_der(data).map(|key| key.to_der()),
        X25519PublicKey::from_der(data).map(|key| key.to_der()),
        X448PublicKey::from_der(data).map(|key| key.to_der()),
        X25519PrivateKey::from_der(data).map(|key| key.to_der().to_vec()),
        X448PrivateKey::from_der(data).map(|key| key.to_der().to_vec()),
        Ed25519PrivateKey::from_der(data).map(|key| key.to_der().to_vec()),
        Ed448PrivateKey::from_der(data).map(|key| key.to_der().to_vec()),
    ];
    let written = again.iter().flatten().inspect(|again| exact(data, again));
    written.count() > 0
}

fn box_key() -> BoxKey {
    BoxKey::symmetric(&[1; 32])
}

/// Bodies of `SEND`.
pub fn envelope(data: &[u8]) -> bool {
    if let Ok(envelope) = Envelope::decode_all(data) {
        assert!(envelope.open(&box_key()).is_err(), "made up bytes decrypt");
    }
    exact_value::<PublicHeader>(data) | exact_value::<ClientMessage>(data) | exact_value::<Envelope>(data)
}

/// Bodies of `MSG` and metadata of `NMSG`.
pub fn delivered(data: &[u8]) -> bool {
    let (key, id) = (box_key(), MessageId::default());
    assert!(Delivered::open(&key, &id, data).is_err(), "made up bytes decrypt");
    assert!(NotificationMetadata::open(&key, Nonce([0; 24]), data).is_err(), "made up bytes decrypt");
    if let Ok(metadata) = NotificationMetadata::parse(data) {
        assert!(data.starts_with(&metadata.to_bytes()), "accepted bytes are written differently");
    }
    let Ok(delivered) = Delivered::parse(data) else { return false };
    settled(&delivered, Delivered::parse(&delivered.to_bytes()).ok());
    true
}

/// The layers around proxied commands, as if the peer that we share a key with had sent the input.
pub fn proxied(data: &[u8]) -> bool {
    let (id, key) = (CorrId::default(), box_key());
    assert!(proxy::open_command(&key, &id, data).is_err(), "made up bytes decrypt");
    assert!(proxy::open_response(&key, &id, data).is_err(), "made up bytes decrypt");
    let returned = key.seal(Nonce::from_id(id.as_bytes()).reversed(), data);
    if let Ok((client_id, response)) = proxy::open_return(&key, &id, &returned) {
        exact(&returned, &proxy::seal_return(&key, &id, &client_id, &response));
    }
    let forward = key.seal(Nonce::from_id(id.as_bytes()), data);
    let Ok((client_id, forwarded)) = proxy::open_forward(&key, &id, &forward) else { return false };
    exact(&forward, &proxy::seal_forward(&key, &id, &client_id, &forwarded));
    true
}

/// Query strings: every text is one.
pub fn query(data: &[u8]) -> bool {
    let Ok(input) = std::str::from_utf8(data) else { return false };
    let query = Query::parse(input);
    let params = query.params().iter().map(|(name, value)| [name, value].map(|part| query::escape(part)));
    let written = params.map(|[name, value]| format!("{name}={value}")).collect::<Vec<_>>().join("&");
    settled(&query, Some(Query::parse(&written)));
    !query.params().is_empty()
}

/// Texts of bytes, numbers, times and versions.
pub fn base64url(data: &[u8]) -> bool {
    if !data.is_empty() {
        assert_eq!(text::from_base64url(&text::base64url(data)).as_deref(), Ok(data));
    }
    let Ok(input) = std::str::from_utf8(data) else { return false };
    if let Some(number) = text::decimal_u16(input) {
        exact(data, number.to_string().as_bytes());
    }
    if let Ok(range) = input.parse::<VersionRange>() {
        settled(&range, range.to_string().parse().ok());
    }
    if let Ok(time) = input.parse::<UtcTime>() {
        settled(&time, time.to_string().parse().ok());
    }
    let Ok(bytes) = text::from_base64url(input) else { return false };
    assert!(input == text::base64url(&bytes) || input == text::base64url_unpadded(&bytes));
    true
}

/// Hosts and server addresses.
pub fn address(data: &[u8]) -> bool {
    let input = std::str::from_utf8(data).unwrap_or_default();
    if let Ok(server) = input.parse::<ServerWithPassword>() {
        settled(&server, server.expose().parse().ok());
    }
    settling_both::<Host>(data) | settling_both::<ServerAddress>(data)
}

/// Queue addresses.
pub fn queue(data: &[u8]) -> bool {
    settling_both::<QueueUri>(data) | settling_value::<QueueInfo>(data)
}

/// Links, full and short.
pub fn link(data: &[u8]) -> bool {
    let full = settling_both::<FullLink>(data) | settling_value::<ConnectionRequest>(data);
    let short = settling_both::<ShortLink>(data) | settling_value::<ContactShortLink>(data);
    full | short | settling_both::<RatchetOffer>(data)
}

/// The data behind links.
pub fn link_data(data: &[u8]) -> bool {
    assert!(SignedItem::decrypt(data, &box_key()).is_err(), "made up bytes decrypt");
    if let Ok(item) = SignedItem::from_bytes(data) {
        exact(data, &item.to_bytes());
    }
    let user = settling_value::<InvitationData>(data) | settling_value::<ContactData>(data);
    user | settling_value::<FixedData>(data) | settling_value::<OwnerAuth>(data)
}

/// What a group or a relay says about itself in a link.
pub fn group_payload(data: &[u8]) -> bool {
    let Some(payload) = Payload::new(data.to_vec()) else { return false };
    let group = GroupLinkContents::from_payload(&payload).ok();
    let relay = RelayLinkContents::from_payload(&payload).ok();
    group.iter().for_each(|contents| settled(contents, rewritten(contents)));
    relay.iter().for_each(|contents| settled(contents, rewritten(contents)));
    group.is_some() || relay.is_some()
}

fn rewritten<T: Contents>(contents: &T) -> Option<T> {
    T::from_payload(&contents.to_payload().ok()?).ok()
}

/// Documents whose parts must agree before anything is done with them.
pub fn document(data: &[u8]) -> bool {
    let owner = serde_json::from_slice::<OwnerDocument>(data).is_ok_and(|owner| OwnerIdentity::try_from(owner).is_ok());
    let group = serde_json::from_slice::<GroupDocument>(data).is_ok_and(|group| match GroupState::try_from(group) {
        Ok(GroupState::Created(owner)) => {
            let _ = owner_again(&owner);
            let _ = GroupStatusDocument::from(&GroupState::Created(owner)).table();
            true
        }
        other => other.is_ok(),
    });
    let member =
        serde_json::from_slice::<MemberDocument>(data).is_ok_and(|member| match Membership::try_from(member) {
            Ok(member) => {
                let member = member_again(&member);
                let _ = (member.due(AT), member.next_due(), MemberStatusDocument::from(&member).table());
                true
            }
            Err(_) => false,
        });
    let candidate = serde_json::from_slice::<OwnerCandidateDocument>(data);
    let candidate = candidate.is_ok_and(|candidate| OwnerCandidate::try_from(candidate).is_ok());
    let handover = serde_json::from_slice::<HandoverDocument>(data);
    let handover = handover.is_ok_and(|handover| Handover::try_from(handover).is_ok());
    owner | group | member | candidate | handover
}

/// Keys that start a ratchet.
pub fn ratchet_keys(data: &[u8]) -> bool {
    exact_value::<SenderKeys>(data) | exact_value::<ReceiverKeys>(data)
}

fn random() -> SeededRandom {
    SeededRandom::new(&[1; 32], "fuzz")
}

/// A ratchet without and one with encapsulation, as who joined stores them after the first answer.
static STORED: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
    [Pq::Off, Pq::On].map(|pq| {
        let (keys, versions) = (AgreementKeys::generate(pq, &mut random()).unwrap(), agent::version::RATCHET);
        let (public, mut joined) = join(&keys.public(3), versions, pq, &mut random()).unwrap();
        let awaiting = keys.accept(&public, versions, pq).unwrap();
        let message = joined.encrypt(None, b"", 100).unwrap();
        let (mut owner, _) = awaiting.decrypt(&message, &mut random()).unwrap();
        drop(owner.next_key(None).unwrap());
        let message = owner.encrypt(None, b"", 100).unwrap();
        joined.decrypt(&message, &mut random()).unwrap();
        joined.to_stored().to_vec()
    })
});

fn established(stored: &[u8]) -> Option<Box<Ratchet>> {
    match StoredRatchet::from_stored(stored) {
        Ok(StoredRatchet::Established(ratchet)) => Some(ratchet),
        _ => None,
    }
}

/// A refused message leaves no trace.
fn refused(stored: &[u8], message: &[u8]) -> RatchetError {
    let mut ratchet = established(stored).unwrap();
    let error = ratchet.decrypt(message, &mut random()).expect_err("made up bytes decrypt");
    exact(stored, &ratchet.to_stored());
    error
}

/// Messages of nobody we know.
pub fn ratchet_message(data: &[u8]) -> bool {
    let errors = STORED.each_ref().map(|stored| refused(stored, data));
    errors.contains(&RatchetError::UnknownHeader)
}

/// Where the stored ratchet without encapsulation has what a peer also has: the bound keys, the key of headers.
const ASSOCIATED: std::ops::Range<usize> = 2..114;
const HEADER_KEY: std::ops::Range<usize> = 361..393;

/// Headers, as if the peer of the ratchet had sent the input.
pub fn ratchet_header(data: &[u8]) -> bool {
    let stored = &STORED[0];
    let key = stored[HEADER_KEY].try_into().unwrap();
    let Ok(sealed) = aead::seal_padded(key, &[0; 16], &stored[ASSOCIATED], data, 2310) else { return false };
    let accepted = [2, 3].map(|version| {
        let mut header = Vec::new();
        header.put_u16(version);
        header.put(&[0; 16]);
        header.put(&sealed.tag);
        header.put_large(&sealed.ciphertext);
        let mut message = Vec::new();
        message.put_large(&header);
        message.put(&[0; 116]);
        let error = refused(stored, &message);
        assert_ne!(error, RatchetError::UnknownHeader, "the key of headers is another");
        !matches!(error, RatchetError::Malformed(_))
    });
    accepted.contains(&true)
}

/// Stored ratchets and keys, whole and with the input written over them or put between.
pub fn ratchet_state(data: &[u8]) -> bool {
    let altered = STORED.each_ref().map(|stored| {
        let mut altered = stored.clone();
        let (at, bytes) = data.split_at_checked(2).unwrap_or_default();
        let at = at.iter().fold(0, |at, byte| at << 8 | usize::from(*byte)) % stored.len();
        let end = if data.len().is_multiple_of(2) { (at + bytes.len()).min(stored.len()) } else { at };
        altered.splice(at..end, bytes.iter().copied());
        state(&altered)
    });
    altered.contains(&true) | state(data)
}

fn state(bytes: &[u8]) -> bool {
    if let Ok(key) = MessageKey::from_stored(bytes) {
        exact(bytes, &key.to_stored());
        let _ = key.seal(b"", 100);
    }
    if let Ok(keys) = AgreementKeys::from_stored(bytes) {
        exact(bytes, &keys.to_stored());
    }
    match StoredRatchet::from_stored(bytes) {
        Ok(StoredRatchet::Awaiting(ratchet)) => exact(bytes, &ratchet.to_stored()),
        Ok(StoredRatchet::Established(mut ratchet)) => {
            exact(bytes, &ratchet.to_stored());
            let _ = ratchet.encrypt(Some(Pq::On), b"", 100);
        }
        Err(_) => return false,
    }
    true
}

/// What goes through queues after a handshake, and in it.
pub fn agent_envelope(data: &[u8]) -> bool {
    let envelope = AgentEnvelope::decode_all(data).ok();
    // A link has several texts.
    let others = envelope.filter(|envelope| !matches!(envelope.content, EnvelopeContent::Invitation(_)));
    others.iter().for_each(|envelope| exact(data, &envelope.to_bytes()));
    settling_value::<AgentEnvelope>(data)
}

/// What is said inside the ratchet.
pub fn agent_message(data: &[u8]) -> bool {
    settling_value::<DecryptedMessage>(data)
}

/// An invitation whose queue exists, with the secrets that its server and its first sender have.
struct Invited {
    connection: Connection,
    server: BoxKey,
    sender: X25519PrivateKey,
    envelopes: BoxKey,
}

fn invited() -> Invited {
    let mut random = random();
    let env = &mut Env { now: Time::default(), random: &mut random };
    let plan = QueuePlan::at(ServerAddress::of_host("relay.example".parse().unwrap()));
    let link = InviteLink { short: None, propose: false };
    let mut connection = Connection::invite(plan, link, &Settings::default(), env).unwrap();
    let task = connection.task(&TaskId::CreateQueue, env).unwrap();
    let Command::New(new) = task.command else { panic!("a queue is created with NEW") };
    let server = X25519PrivateKey::generate(env.random);
    let ids = QueueIds {
        recipient_id: RecipientId::random(env.random),
        sender_id: SenderId::random(env.random),
        dh_key: server.public(),
        mode: Some(QueueMode::Messaging),
        link_id: None,
        service_id: None,
        notifier: None,
    };
    connection.finish(&TaskId::CreateQueue, Outcome::Answered(Response::Ids(Box::new(ids))), env);
    let full = connection.invitation().unwrap().full;
    let sender = X25519PrivateKey::generate(env.random);
    let envelopes = BoxKey::agreed(&sender.agree(&full.request().first_queue().address.dh_key));
    Invited { connection, server: BoxKey::agreed(&server.agree(&new.dh_key)), sender, envelopes }
}

/// Records of a connection, altered or put together anew.
pub fn connection_records(data: &[u8]) -> bool {
    let mut reader = Reader::new(data);
    let mut records = invited().connection.records();
    while let (Ok(key), Ok(value)) = (RecordKey::decode(&mut reader), reader.large()) {
        records.retain(|(known, _)| *known != key);
        records.push((key, value.to_vec().into()));
    }
    if let (Some((_, core)), Ok(at)) = (records.first_mut(), reader.u16()) {
        let at = usize::from(at) % core.len();
        let end = (at + reader.rest().len()).min(core.len());
        core.splice(at..end, reader.rest().iter().copied());
    }
    let Ok(connection) = Connection::load(records) else { return false };
    let again = Connection::load(connection.records()).unwrap();
    assert_eq!(connection.records(), again.records());
    let _ = (connection.due(Time::default()), connection.pending(), connection.status(), connection.subscription());
    true
}

/// What a server, a sender and an agent may put into a queue: the input at each layer. A refusal changes nothing.
pub fn connection_delivery(data: &[u8]) -> bool {
    let Invited { mut connection, server, sender, envelopes } = invited();
    let id = MessageId::new([7; 24]).unwrap();
    let header = PublicHeader { version: 4, sender_key: Some(sender.public()) };
    let content = ClientMessage { header: PrivateHeader::Empty, content: data.to_vec() };
    let envelope = Envelope::seal(header, &envelopes, Nonce([9; 24]), &content).map(|envelope| envelope.to_bytes());
    let delivered = |body: Vec<u8>| {
        let delivered = Delivered::Message { sent_at: 1, flags: MessageFlags::default(), body };
        delivered.seal(&server, &id).ok()
    };
    let layers = [Some(data.to_vec()), delivered(data.to_vec()), envelope.ok().and_then(delivered)];
    let before = connection.records();
    for body in layers.into_iter().flatten() {
        let mut random = random();
        let env = &mut Env { now: Time::default(), random: &mut random };
        let events = connection.receive(id.clone(), &body, env);
        assert!(matches!(events[..], [Event::Refused(_)]), "{events:?}");
        let mut after = connection.records();
        after.retain(|(key, _)| *key != RecordKey::Incoming);
        assert_eq!(before, after);
        connection = Connection::load(after).unwrap();
    }
    AgentEnvelope::decode_all(data).is_ok()
}

/// Containers of compressed data.
pub fn compressed(data: &[u8]) -> bool {
    let expanded = decompress(data, 10_000);
    expanded.is_ok_and(|expanded| {
        settled(&expanded, compress(&expanded).and_then(|again| decompress(&again, 10_000)).ok());
        true
    })
}

/// Bodies of the chat protocol, and what stands in them.
pub fn chat_body(data: &[u8]) -> bool {
    let _ = ConnectionInfo::parse(data);
    let batch = Batch::parse(data);
    batch.is_ok_and(|batch| {
        batch.elements().for_each(element);
        batch.elements().count() > 0
    })
}

/// JSON that was understood stays as it is; only the old form of a forward and arrays become something else.
fn element(element: &Element) {
    settled(element, Element::parse(&element.to_bytes()).ok());
    if let Element::Message(message) | Element::Forward(Forward { content: ForwardContent::Message(message), .. }) =
        element
    {
        let author = LinkKeys::default().author(&made_up_member(), &Roster::default(), Asserted::default());
        let recipient = Recipient { group: GroupId::from_bytes(&[1; 32]).unwrap(), role: Role::Observer };
        if let Ok(accepted) = message.clone().verify(&author, &recipient) {
            assert!(!accepted.trust().is_verified(), "verified without a key");
            let _ = ContentDigest::of(&accepted);
            let _ = accepted.to_forward("somebody", 1).map(|forward| forward.to_bytes());
        }
    }
}

fn made_up_member() -> MemberId {
    MemberId::from_bytes(b"somebody").unwrap()
}

/// Messages of the chat protocol.
pub fn chat_message(data: &[u8]) -> bool {
    let message = Message::parse(data);
    message.is_ok_and(|message| {
        settling(&message, |message| Message::parse(&message.to_json()).ok());
        true
    })
}

/// Rosters.
pub fn roster_blob(data: &[u8]) -> bool {
    settling_value::<RosterBlob>(data)
}

/// A moment at which the members and owners below are at work.
const AT: Time = Time::from_millis(1_700_000_600_000);

/// A member with two relays, and an owner with two: documents of the golden cases.
const MEMBER: &str = include_str!("../../testdata/cases/grp-status/shows-how-well-relays-deliver/files/mia.json");
const GROUP: &str = include_str!("../../testdata/cases/grp-status/shows-relays-in-a-table/files/group.json");

/// Records in memory.
#[derive(Default)]
struct Memory(BTreeMap<ChatRecordKey, Vec<u8>>);

impl Records for Memory {
    fn read(&self, key: &ChatRecordKey) -> Result<Option<Vec<u8>>, RecordError> {
        Ok(self.0.get(key).cloned())
    }
}

impl Memory {
    fn write(&mut self, changes: Vec<Change>) {
        for Change { key, value } in changes {
            let name = key.to_bytes();
            assert_eq!(ChatRecordKey::decode_all(&name).as_ref(), Ok(&key), "the name of a record is another one");
            self.0.insert(key, value);
        }
    }
}

fn member() -> Membership {
    static JOINED: LazyLock<Membership> =
        LazyLock::new(|| Membership::try_from(serde_json::from_str::<MemberDocument>(MEMBER).unwrap()).unwrap());
    JOINED.clone()
}

fn owner() -> GroupOwner {
    static CREATED: LazyLock<GroupOwner> =
        LazyLock::new(|| match GroupState::try_from(serde_json::from_str::<GroupDocument>(GROUP).unwrap()) {
            Ok(GroupState::Created(owner)) => *owner,
            _ => panic!("the group was created"),
        });
    CREATED.clone()
}

/// Whatever happened, the state is kept and read again.
fn member_again(member: &Membership) -> Membership {
    let kept = serde_json::to_value(MemberDocument::from(member)).unwrap();
    let again = Membership::try_from(serde_json::from_value::<MemberDocument>(kept.clone()).unwrap()).unwrap();
    assert_eq!(serde_json::to_value(MemberDocument::from(&again)).unwrap(), kept);
    again
}

fn owner_again(owner: &GroupOwner) -> GroupOwner {
    let kept = serde_json::to_value(GroupDocument::from(owner)).unwrap();
    match GroupState::try_from(serde_json::from_value::<GroupDocument>(kept.clone()).unwrap()) {
        Ok(GroupState::Created(again)) => {
            assert_eq!(serde_json::to_value(GroupDocument::from(&*again)).unwrap(), kept);
            *again
        }
        _ => panic!("a group that was kept cannot be read"),
    }
}

/// The input as a body, and what it says as if a relay had forwarded it: of somebody, and of the group.
fn bodies(data: &[u8]) -> Vec<Vec<u8>> {
    // Nothing that is longer fits into a message.
    if data.len() > 16_384 {
        return Vec::new();
    }
    let forward = |sender| {
        let content = ForwardContent::Message(AuthoredMessage::parse(data).ok()?);
        group::body::single(Element::Forward(Forward { sender, sent_at: 1_700_000_590, content })).ok()
    };
    let somebody = ForwardSender::Member(made_up_member(), ShortName::new("somebody"));
    [Some(data.to_vec()), forward(somebody), forward(ForwardSender::Channel)].into_iter().flatten().collect()
}

/// What hostile relays may deliver to a member. Nothing that they make up is ever said to be verified, nothing is heard
/// twice under one name, and the state can be kept.
pub fn membership_received(data: &[u8]) -> bool {
    let (mut member, mut memory, mut random) = (member(), Memory::default(), random());
    let relays = ["relay-1", "content-1", "relay-2"].map(|name| ConnectionName::new(name).unwrap());
    let mut heard = 0;
    let mut names = Vec::new();
    for body in bodies(data) {
        for relay in relays.iter().chain(&relays[2..]) {
            let env = &mut Env { now: AT, random: &mut random };
            let received = member.received(relay, &body, &memory, env).unwrap();
            memory.write(received.changes);
            for event in received.events {
                let MemberEvent::Heard(event) = event else { continue };
                assert!(!event.trust().is_verified(), "made up bytes are verified");
                heard += 1;
                // A copy by a relay that delivers something else for the first time takes no place.
                names.extend(event.id().cloned());
            }
        }
    }
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count, "heard twice");
    member.elapsed(&memory, AT.after(std::time::Duration::from_secs(3600))).unwrap();
    let _ = (member.due(AT), member.next_due());
    if heard > 0 {
        member_again(&member);
    }
    heard > 0
}

/// The same for an owner.
pub fn owner_received(data: &[u8]) -> bool {
    let (mut owner, mut memory, mut random) = (owner(), Memory::default(), random());
    let connections: Vec<ConnectionName> =
        owner.relays().iter().filter(|relay| relay.is_connected()).map(|relay| relay.connection()).collect();
    assert!(!connections.is_empty(), "no relay is connected");
    let mut heard = 0;
    for body in bodies(data) {
        for relay in &connections {
            let env = &mut Env { now: AT, random: &mut random };
            // The relay may have ended before.
            let Ok(received) = owner.received(relay, &body, &memory, env) else { continue };
            memory.write(received.changes);
            for event in received.events {
                let OwnerEvent::Group(event) = event else { continue };
                let MemberEvent::Heard(event) = *event else { continue };
                assert!(!event.trust().is_verified(), "made up bytes are verified");
                heard += 1;
            }
        }
    }
    let _ = (owner.due(AT), owner.next_due());
    if heard > 0 {
        owner_again(&owner);
    }
    heard > 0
}
