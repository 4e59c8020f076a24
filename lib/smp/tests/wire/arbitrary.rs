//! Every value that goes over the wire, as proptest makes it up.

use codec::VersionRange;
use crypto::authorize::{AuthPrivateKey, AuthPublicKey};
use crypto::certificate::CertificateChain;
use crypto::dh::{SharedSecret, X25519PrivateKey, X25519PublicKey};
use crypto::sign::{Ed448PrivateKey, Ed448PublicKey, Ed25519PrivateKey, Ed25519PublicKey};
use crypto::{BoxKey, Nonce};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use smp::address::{Host, ServerAddress};
use smp::command::{
    BasicAuth, Command, ForwardedTransmission, LinkData, MessageFlags, NewQueue, NotifierKeys, QueueRequest,
};
use smp::delivery::{Delivered, NotificationMetadata};
use smp::envelope::{ClientMessage, Envelope, PrivateHeader, PublicHeader};
use smp::error::{
    BlockingInfo, BlockingReason, BrokerError, ClientNotice, CommandError, Error, HandshakeError, ProxyError,
    TransportError,
};
use smp::handshake::{ClientHello, ServerHello};
use smp::id::{CorrId, EntityId, MessageId};
use smp::queue_address::QueueMode;
use smp::response::{
    HeadDescription, MessageKind, NotifierCredentials, QueueDescription, QueueIds, RelaySession, Response,
    SubscriptionDescription, SubscriptionState,
};
use smp::service::{ServiceHello, ServiceResponse, ServiceRole};

pub(crate) fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..40)
}

pub(crate) fn version() -> impl Strategy<Value = u16> {
    15..=18_u16
}

/// An ID of any role: most have 24 bytes, all lengths up to 255 are allowed.
fn id<Id: From<EntityId> + std::fmt::Debug>() -> impl Strategy<Value = Id> {
    entity_id().prop_map(Id::from)
}

pub(crate) fn entity_id() -> impl Strategy<Value = EntityId> {
    prop_oneof![Just(24), 0..=255_usize]
        .prop_flat_map(|length| vec(any::<u8>(), length))
        .prop_map(|bytes| EntityId::new(bytes).unwrap())
}

pub(crate) fn corr_id() -> impl Strategy<Value = CorrId> {
    vec(any::<u8>(), 0..=30).prop_map(|bytes| CorrId::new(bytes).unwrap())
}

fn dh_key() -> impl Strategy<Value = X25519PublicKey> {
    any::<[u8; 32]>().prop_map(X25519PublicKey::from_bytes)
}

fn ed448_bytes() -> impl Strategy<Value = [u8; 57]> {
    vec(any::<u8>(), 57).prop_map(|bytes| bytes.try_into().unwrap())
}

fn auth_key() -> impl Strategy<Value = AuthPublicKey> {
    prop_oneof![
        any::<[u8; 32]>().prop_map(|raw| AuthPublicKey::Ed25519(Ed25519PublicKey::from_bytes(raw))),
        dh_key().prop_map(AuthPublicKey::X25519),
        ed448_bytes().prop_map(|raw| AuthPublicKey::Ed448(Ed448PublicKey::from_bytes(raw))),
    ]
}

pub(crate) fn auth_private() -> impl Strategy<Value = AuthPrivateKey> {
    prop_oneof![
        any::<[u8; 32]>().prop_map(|seed| AuthPrivateKey::Ed25519(Ed25519PrivateKey::from_seed(seed))),
        any::<[u8; 32]>().prop_map(|raw| AuthPrivateKey::X25519(X25519PrivateKey::from_bytes(raw))),
        ed448_bytes().prop_map(|seed| AuthPrivateKey::Ed448(Ed448PrivateKey::from_seed(seed))),
    ]
}

pub(crate) fn secret() -> impl Strategy<Value = SharedSecret> {
    any::<[u8; 32]>().prop_map(SharedSecret::from_bytes)
}

pub(crate) fn box_key() -> impl Strategy<Value = BoxKey> {
    any::<[u8; 32]>().prop_map(|key| BoxKey::symmetric(&key))
}

pub(crate) fn nonce() -> impl Strategy<Value = Nonce> {
    any::<[u8; 24]>().prop_map(Nonce)
}

fn versions() -> impl Strategy<Value = VersionRange> {
    (any::<u16>(), any::<u16>()).prop_map(|(a, b)| VersionRange::new(a.min(b), a.max(b)).unwrap())
}

fn certificates() -> impl Strategy<Value = Vec<Vec<u8>>> {
    vec(bytes(), 1..5)
}

fn basic_auth() -> impl Strategy<Value = BasicAuth> {
    "[!-.0-9;-?A-~]{0,20}".prop_map(|password| BasicAuth::new(&password).unwrap())
}

fn link_data() -> impl Strategy<Value = LinkData> {
    (bytes(), bytes()).prop_map(|(fixed, user)| LinkData { fixed, user })
}

fn notifier_keys() -> impl Strategy<Value = NotifierKeys> {
    (auth_key(), dh_key()).prop_map(|(auth_key, dh_key)| NotifierKeys { auth_key, dh_key })
}

fn queue_request() -> impl Strategy<Value = QueueRequest> {
    prop_oneof![
        option::of((id(), link_data())).prop_map(QueueRequest::Messaging),
        option::of((id(), id(), link_data())).prop_map(QueueRequest::Contact),
    ]
}

fn new_queue(version: u16) -> impl Strategy<Value = NewQueue> {
    let notifier = option::of(notifier_keys()).prop_map(move |keys| keys.filter(|_| version >= 17));
    (auth_key(), dh_key(), option::of(basic_auth()), any::<bool>(), option::of(queue_request()), notifier).prop_map(
        |(recipient_key, dh_key, basic_auth, subscribe, request, notifier)| NewQueue {
            recipient_key,
            dh_key,
            basic_auth,
            subscribe,
            request,
            notifier,
        },
    )
}

/// Names are enough here; the tests of addresses have hosts of every kind.
fn host() -> impl Strategy<Value = Host> {
    "[a-z]{1,10}(\\.[a-z]{2,10}){0,3}".prop_map(|name| name.parse().unwrap())
}

fn server_address() -> impl Strategy<Value = ServerAddress> {
    (vec(host(), 1..4), option::of(1..=u16::MAX), any::<[u8; 32]>())
        .prop_map(|(hosts, port, fingerprint)| ServerAddress::new(hosts, port, fingerprint.into()).unwrap())
}

pub(crate) fn forwarded() -> impl Strategy<Value = ForwardedTransmission> {
    (any::<u16>(), dh_key(), bytes()).prop_map(|(version, command_key, sealed)| ForwardedTransmission {
        version,
        command_key,
        sealed,
    })
}

fn flags() -> impl Strategy<Value = MessageFlags> {
    any::<bool>().prop_map(|notify| MessageFlags { notify })
}

/// A command that can be said at `version`.
pub(crate) fn command(version: u16) -> impl Strategy<Value = Command> {
    use Command::*;
    prop_oneof![
        4 => new_queue(version).prop_map(|new| New(Box::new(new))),
        12 => prop::sample::select(vec![Sub, Subs, Ldel, Ndel, Get, Off, Del, Que, Ping, Lget, Nsub, Nsubs]),
        1 => auth_key().prop_map(Key),
        1 => vec(auth_key(), 1..4).prop_map(Rkey),
        1 => (id(), link_data()).prop_map(|(id, data)| Lset(id, data)),
        1 => notifier_keys().prop_map(Nkey),
        1 => message_id().prop_map(Ack),
        1 => auth_key().prop_map(Skey),
        2 => (flags(), bytes()).prop_map(|(flags, body)| Send(flags, body)),
        1 => auth_key().prop_map(Lkey),
        1 => (server_address(), option::of(basic_auth())).prop_map(|(relay, password)| Prxy(relay, password)),
        1 => forwarded().prop_map(Pfwd),
        1 => bytes().prop_map(Rfwd),
    ]
}

pub(crate) fn message_id() -> impl Strategy<Value = MessageId> {
    entity_id().prop_map(|id| MessageId::new(id.as_bytes()).unwrap())
}

fn notifier() -> impl Strategy<Value = NotifierCredentials> {
    (id(), dh_key()).prop_map(|(notifier_id, dh_key)| NotifierCredentials { notifier_id, dh_key })
}

fn queue_ids(version: u16) -> impl Strategy<Value = QueueIds> {
    let mode = prop::sample::select(vec![None, Some(QueueMode::Messaging), Some(QueueMode::Contact)]);
    let later = (option::of(id()), option::of(notifier()));
    (id(), id(), dh_key(), mode, option::of(id()), later).prop_map(
        move |(recipient_id, sender_id, dh_key, mode, link_id, (service_id, notifier))| QueueIds {
            recipient_id,
            sender_id,
            dh_key,
            mode,
            link_id,
            service_id: service_id.filter(|_| version >= 16),
            notifier: notifier.filter(|_| version >= 17),
        },
    )
}

fn relay_session() -> impl Strategy<Value = RelaySession> {
    (bytes(), versions(), certificates(), bytes()).prop_map(|(session_id, versions, certificates, signed_key)| {
        RelaySession { session_id, versions, certificates, signed_key }
    })
}

fn queue_description() -> impl Strategy<Value = QueueDescription> {
    use SubscriptionState::*;
    let state = prop::sample::select(vec![NoSub, SubPending, SubThread, ProhibitSub]);
    let subscription = (state, option::of(any::<String>()))
        .prop_map(|(state, delivered)| SubscriptionDescription { state, delivered });
    let kind = prop::sample::select(vec![MessageKind::Message, MessageKind::Quota]);
    let head = (any::<String>(), any::<String>(), kind).prop_map(|(id, time, kind)| HeadDescription { id, time, kind });
    (any::<bool>(), any::<bool>(), option::of(subscription), any::<u64>(), option::of(head)).prop_map(
        |(secured, notifier, subscription, size, head)| QueueDescription {
            secured,
            notifier,
            subscription,
            size,
            head,
        },
    )
}

/// A response that can be said at `version`.
pub(crate) fn response(version: u16) -> impl Strategy<Value = Response> {
    use Response::*;
    prop_oneof![
        3 => queue_ids(version).prop_map(|ids| Ids(Box::new(ids))),
        1 => (id(), link_data()).prop_map(|(id, data)| Lnk(id, data)),
        1 => option::of(id()).prop_map(move |id| if version < 16 { Ok } else { Sok(id) }),
        1 => any::<i64>().prop_map(Soks),
        1 => (message_id(), bytes()).prop_map(|(id, body)| Msg(id, body)),
        1 => notifier().prop_map(Nid),
        1 => (nonce(), bytes()).prop_map(|(nonce, metadata)| Nmsg(nonce, metadata)),
        1 => relay_session().prop_map(|session| Pkey(Box::new(session))),
        1 => bytes().prop_map(Rres),
        1 => bytes().prop_map(Pres),
        4 => prop::sample::select(vec![End, Deld, Ok, Pong]),
        1 => any::<i64>().prop_map(Ends),
        2 => queue_description().prop_map(Info),
        6 => error(version).prop_map(Err),
    ]
}

fn command_error() -> impl Strategy<Value = CommandError> {
    use CommandError::*;
    prop::sample::select(vec![Unknown, Syntax, Prohibited, NoAuth, HasAuth, NoEntity])
}

pub(crate) fn transport_error() -> impl Strategy<Value = TransportError> {
    use HandshakeError::*;
    let plain = [
        TransportError::Block,
        TransportError::Version,
        TransportError::LargeMessage,
        TransportError::Session,
        TransportError::NoAuth,
    ];
    let handshake = [Parse, Identity, BadAuth, BadService].map(TransportError::Handshake);
    prop::sample::select([plain.as_slice(), &handshake].concat())
}

/// Without the details of a network failure, which are read but never sent.
fn broker_error() -> impl Strategy<Value = BrokerError> {
    use BrokerError::*;
    prop_oneof![
        "\\PC{0,60}".prop_map(Response),
        "\\PC{0,60}".prop_map(Unexpected),
        prop::sample::select(vec![Network(None), Timeout, Host, NoService]),
        transport_error().prop_map(Transport),
    ]
}

fn blocking_info(version: u16) -> impl Strategy<Value = BlockingInfo> {
    let reason = prop::sample::select(vec![BlockingReason::Spam, BlockingReason::Content]);
    let notice = option::of(option::of(any::<i64>()).prop_map(|ttl| ClientNotice { ttl }));
    (reason, notice).prop_map(move |(reason, notice)| BlockingInfo { reason, notice: notice.filter(|_| version >= 18) })
}

/// An error that can be said at `version`, through up to four proxies.
pub(crate) fn error(version: u16) -> impl Strategy<Value = Error> {
    use Error::*;
    let plain =
        vec![Block, Session, Auth, Service, Crypto, Quota, NoMessage, LargeMessage, Expired, Internal, Duplicate];
    let own = prop_oneof![
        4 => prop::sample::select(plain),
        2 => command_error().prop_map(Command),
        1 => blocking_info(version).prop_map(Blocked),
        1 => any::<String>().prop_map(Store),
    ];
    own.prop_recursive(4, 4, 1, |inner| {
        prop_oneof![
            inner.prop_map(ProxyError::Protocol),
            broker_error().prop_map(ProxyError::Broker),
            prop::sample::select(vec![ProxyError::BasicAuth, ProxyError::NoSession]),
        ]
        .prop_map(|error| Proxy(Box::new(error)))
    })
}

pub(crate) fn server_hello() -> impl Strategy<Value = ServerHello> {
    (versions(), bytes(), certificates(), bytes()).prop_map(|(versions, session_id, certificates, signed_key)| {
        ServerHello { versions, session_id, certificates: CertificateChain::new(certificates), signed_key }
    })
}

fn service_hello() -> impl Strategy<Value = ServiceHello> {
    let role = prop::sample::select(vec![ServiceRole::Messaging, ServiceRole::Notifier, ServiceRole::Proxy]);
    (role, certificates(), bytes()).prop_map(|(role, certificates, signed_key)| ServiceHello {
        role,
        certificates: CertificateChain::new(certificates),
        signed_key,
    })
}

/// Also of versions that we refuse later.
pub(crate) fn client_hello() -> impl Strategy<Value = ClientHello> {
    (10..25_u16, bytes(), option::of(dh_key()), any::<bool>(), option::of(service_hello())).prop_map(
        |(version, key_hash, client_key, proxy, service)| ClientHello {
            version,
            key_hash,
            client_key,
            proxy,
            service: service.filter(|_| version >= 16),
        },
    )
}

pub(crate) fn service_response() -> impl Strategy<Value = ServiceResponse> {
    prop_oneof![id().prop_map(ServiceResponse::Accepted), transport_error().prop_map(ServiceResponse::Refused)]
}

pub(crate) fn public_header() -> impl Strategy<Value = PublicHeader> {
    (any::<u16>(), option::of(dh_key())).prop_map(|(version, sender_key)| PublicHeader { version, sender_key })
}

pub(crate) fn client_message() -> impl Strategy<Value = ClientMessage> {
    let header = option::of(auth_key()).prop_map(|key| key.map_or(PrivateHeader::Empty, PrivateHeader::SenderKey));
    (header, bytes()).prop_map(|(header, content)| ClientMessage { header, content })
}

pub(crate) fn envelope() -> impl Strategy<Value = Envelope> {
    (public_header(), nonce(), bytes()).prop_map(|(header, nonce, sealed)| Envelope { header, nonce, sealed })
}

/// Times until the year 36812, before they begin to look like text.
fn time() -> impl Strategy<Value = i64> {
    0..1_i64 << 40
}

pub(crate) fn delivered() -> impl Strategy<Value = Delivered> {
    prop_oneof![
        3 => (time(), flags(), bytes())
            .prop_map(|(sent_at, flags, body)| Delivered::Message { sent_at, flags, body }),
        1 => any::<i64>().prop_map(|met_at| Delivered::Quota { met_at }),
    ]
}

pub(crate) fn metadata() -> impl Strategy<Value = NotificationMetadata> {
    (message_id(), any::<i64>()).prop_map(|(message_id, sent_at)| NotificationMetadata { message_id, sent_at })
}
