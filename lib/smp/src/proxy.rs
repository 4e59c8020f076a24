//! The layers of a proxied command: the proxy sees neither queue nor command, the relay does not see the client.
//!
//! Client → proxy: `PFWD` with [`seal_command`]. Proxy → relay: `RFWD` with [`seal_forward`].
//! Relay → proxy: `RRES` with [`seal_response`] inside [`seal_return`]. Proxy → client: `PRES`.

use codec::{Encode as _, Malformed, Reader, Write};
use crypto::boxes::{BoxKey, Nonce};

use crate::command::ForwardedTransmission;
use crate::delivery::OpenError;
use crate::id::CorrId;

/// Padded size of a proxied payload.
pub const PADDED_PAYLOAD: usize = 16_226;

/// Client: seals the payload of one transmission for the relay. The nonce is the correlation ID of `PFWD`.
pub fn seal_command(key: &BoxKey, corr_id: &CorrId, payload: &[u8]) -> Result<Vec<u8>, crypto::Error> {
    key.seal_padded(Nonce::from_id(corr_id.as_bytes()), payload, PADDED_PAYLOAD)
}

/// Relay: opens what [`seal_command`] made.
pub fn open_command(key: &BoxKey, corr_id: &CorrId, sealed: &[u8]) -> Result<Vec<u8>, crypto::Error> {
    key.open_padded(Nonce::from_id(corr_id.as_bytes()), sealed)
}

/// Relay: seals the response payload for the client.
pub fn seal_response(key: &BoxKey, corr_id: &CorrId, payload: &[u8]) -> Result<Vec<u8>, crypto::Error> {
    key.seal_padded(Nonce::from_id(corr_id.as_bytes()).reversed(), payload, PADDED_PAYLOAD)
}

/// Client: opens what [`seal_response`] made.
pub fn open_response(key: &BoxKey, corr_id: &CorrId, sealed: &[u8]) -> Result<Vec<u8>, crypto::Error> {
    key.open_padded(Nonce::from_id(corr_id.as_bytes()).reversed(), sealed)
}

/// Proxy: wraps a client's transmission for the relay. `rfwd_id` is the correlation ID of `RFWD`.
pub fn seal_forward(
    session: &BoxKey,
    rfwd_id: &CorrId,
    pfwd_id: &CorrId,
    forwarded: &ForwardedTransmission,
) -> Vec<u8> {
    let mut plain = Vec::new();
    pfwd_id.encode(&mut plain);
    forwarded.encode(&mut plain);
    session.seal(Nonce::from_id(rfwd_id.as_bytes()), &plain)
}

/// Relay: the client's correlation ID and transmission in what [`seal_forward`] made.
pub fn open_forward(
    session: &BoxKey,
    rfwd_id: &CorrId,
    sealed: &[u8],
) -> Result<(CorrId, ForwardedTransmission), OpenError> {
    let plain = session.open(Nonce::from_id(rfwd_id.as_bytes()), sealed)?;
    let mut reader = Reader::new(&plain);
    Ok((corr_id(&mut reader)?, ForwardedTransmission::decode(&mut reader)?))
}

/// Relay: wraps a sealed response for the proxy.
pub fn seal_return(session: &BoxKey, rfwd_id: &CorrId, pfwd_id: &CorrId, sealed_response: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    pfwd_id.encode(&mut plain);
    plain.put(sealed_response);
    session.seal(Nonce::from_id(rfwd_id.as_bytes()).reversed(), &plain)
}

/// Proxy: the client's correlation ID and sealed response in what [`seal_return`] made.
pub fn open_return(session: &BoxKey, rfwd_id: &CorrId, sealed: &[u8]) -> Result<(CorrId, Vec<u8>), OpenError> {
    let plain = session.open(Nonce::from_id(rfwd_id.as_bytes()).reversed(), sealed)?;
    let mut reader = Reader::new(&plain);
    Ok((corr_id(&mut reader)?, reader.tail().to_vec()))
}

fn corr_id(reader: &mut Reader<'_>) -> Result<CorrId, Malformed> {
    codec::Decode::decode(reader)
}
