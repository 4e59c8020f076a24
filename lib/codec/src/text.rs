//! Text forms: base64url and decimal numbers, as links, addresses and documents write them.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::Malformed;

const STRICT_BITS: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_allow_trailing_bits(false)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent);
const PADDED: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, STRICT_BITS);
const UNPADDED: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, STRICT_BITS.with_encode_padding(false));
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, STRICT_BITS);

/// base64url with `=` padding: addresses, keys and queue IDs in URIs.
pub fn base64url(bytes: &[u8]) -> String {
    PADDED.encode(bytes)
}

/// base64url without padding: short links and JSON documents of our own.
pub fn base64url_unpadded(bytes: &[u8]) -> String {
    UNPADDED.encode(bytes)
}

/// Standard base64 with padding: message IDs in `INFO`.
pub fn base64_standard(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Reads base64url with the right padding or none; wrong padding, non-zero unused bits and empty text are errors.
pub fn from_base64url(text: &str) -> Result<Vec<u8>, Malformed> {
    if text.is_empty() {
        return Err(Malformed::BadValue("empty base64url"));
    }
    let padded = text.ends_with('=');
    if padded && !text.len().is_multiple_of(4) {
        return Err(Malformed::BadValue("base64url padding"));
    }
    PADDED.decode(text).map_err(|_| Malformed::BadValue("base64url"))
}

/// Reads base64url that must hold exactly `N` bytes.
pub fn array_from_base64url<const N: usize>(text: &str) -> Result<[u8; N], Malformed> {
    from_base64url(text)?.try_into().map_err(|_| Malformed::BadValue("length of base64url"))
}

/// Reads a decimal Word16 without sign or leading zeros.
pub fn decimal_u16(digits: &str) -> Option<u16> {
    let canonical = digits == "0" || (digits.starts_with(|c: char| c.is_ascii_digit()) && !digits.starts_with('0'));
    if canonical { digits.parse().ok() } else { None }
}
