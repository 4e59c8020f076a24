//! Pieces that several records are made of.

use codec::{Decode, Encode, Malformed, Reader, VersionRange, Write};
use crypto::authorize::{AuthPrivateKey, AuthPublicKey};
use crypto::dh::{SharedSecret, X25519PrivateKey};
use crypto::sign::Ed25519PrivateKey;
use smp::command::{BasicAuth, LinkData};

use super::fault::LoadError;
use crate::ratchet::{Pq, StoredError};
use crate::time::Time;

/// The version of every record.
const VERSION: u8 = 1;

/// Begins a record.
pub(super) fn put_version(out: &mut Vec<u8>) {
    out.push(VERSION);
}

/// A record after its version.
pub(super) fn begin(bytes: &[u8]) -> Result<Reader<'_>, LoadError> {
    let mut reader = Reader::new(bytes);
    match reader.u8()? {
        VERSION => Ok(reader),
        other => Err(StoredError::Version(other).into()),
    }
}

/// Reads a whole record.
pub(super) fn open<T>(
    bytes: &[u8],
    take: impl FnOnce(&mut Reader<'_>) -> Result<T, LoadError>,
) -> Result<T, LoadError> {
    let mut reader = begin(bytes)?;
    let value = take(&mut reader)?;
    reader.finish()?;
    Ok(value)
}

pub(super) fn put_x25519(out: &mut Vec<u8>, key: &X25519PrivateKey) {
    out.put(key.to_bytes().expose());
}

pub(super) fn take_x25519(reader: &mut Reader<'_>) -> Result<X25519PrivateKey, Malformed> {
    reader.array().map(X25519PrivateKey::from_bytes)
}

pub(super) fn take_shared(reader: &mut Reader<'_>) -> Result<SharedSecret, Malformed> {
    reader.array().map(SharedSecret::from_bytes)
}

/// Keys that authorise are of one kind so far; the letter leaves room for others.
pub(super) fn put_auth_key(out: &mut Vec<u8>, key: &Ed25519PrivateKey) {
    out.put(b"E");
    out.put(key.seed().expose());
}

pub(super) fn take_auth_key(reader: &mut Reader<'_>) -> Result<Ed25519PrivateKey, Malformed> {
    match reader.u8()? {
        b'E' => reader.array().map(Ed25519PrivateKey::from_seed),
        _ => Err(Malformed::BadValue("kind of auth key")),
    }
}

pub(super) fn auth(key: &Ed25519PrivateKey) -> AuthPrivateKey {
    AuthPrivateKey::Ed25519(key.clone())
}

pub(super) fn put_public_auth(out: &mut Vec<u8>, key: &AuthPublicKey) {
    out.put_short(&key.to_der());
}

pub(super) fn take_public_auth(reader: &mut Reader<'_>) -> Result<AuthPublicKey, Malformed> {
    AuthPublicKey::from_der(reader.short()?).map_err(|_| Malformed::BadValue("auth key"))
}

pub(super) fn put_password(out: &mut Vec<u8>, password: Option<&BasicAuth>) {
    out.put_maybe(password, |out, password| out.put_short(password.expose().as_bytes()));
}

pub(super) fn take_password(reader: &mut Reader<'_>) -> Result<Option<BasicAuth>, Malformed> {
    reader.maybe(|reader| BasicAuth::new(reader.text()?).ok_or(Malformed::BadValue("password")))
}

pub(super) fn put_time(out: &mut Vec<u8>, time: Time) {
    out.put_i64(i64::try_from(time.millis()).unwrap_or(i64::MAX));
}

pub(super) fn take_time(reader: &mut Reader<'_>) -> Result<Time, Malformed> {
    Ok(Time::from_millis(u64::try_from(reader.i64()?).unwrap_or_default()))
}

/// Bytes of up to four gigabytes.
pub(super) fn put_long(out: &mut Vec<u8>, bytes: &[u8]) {
    out.put_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    out.put(bytes);
}

pub(super) fn take_long(reader: &mut Reader<'_>) -> Result<Vec<u8>, Malformed> {
    let length = usize::try_from(reader.u32()?).map_err(|_| Malformed::Truncated)?;
    reader.take(length).map(<[u8]>::to_vec)
}

/// A value whose own form does not say where it ends.
pub(super) fn put_value(out: &mut Vec<u8>, value: &impl Encode) {
    put_long(out, &value.to_bytes());
}

pub(super) fn take_value<T: Decode>(reader: &mut Reader<'_>) -> Result<T, Malformed> {
    T::decode_all(&take_long(reader)?)
}

pub(super) fn put_link_data(out: &mut Vec<u8>, data: &LinkData) {
    put_long(out, &data.fixed);
    put_long(out, &data.user);
}

pub(super) fn take_link_data(reader: &mut Reader<'_>) -> Result<LinkData, Malformed> {
    Ok(LinkData { fixed: take_long(reader)?, user: take_long(reader)? })
}

pub(super) fn put_pq(out: &mut Vec<u8>, pq: Pq) {
    out.put_bool(pq.is_on());
}

pub(super) fn take_pq(reader: &mut Reader<'_>) -> Result<Pq, Malformed> {
    Ok(if reader.bool()? { Pq::On } else { Pq::Off })
}

pub(super) fn take_range(reader: &mut Reader<'_>) -> Result<VersionRange, Malformed> {
    VersionRange::decode(reader)
}
