//! What holds for every value and for every input of the encodings.
#![allow(clippy::unwrap_used, reason = "tests")]

use codec::query::{self, Query};
use codec::time::UtcTime;
use codec::{Decode as _, Encode as _, Malformed, Reader, VersionRange, Write, text};
use proptest::collection::vec;
use proptest::prelude::*;

fn range() -> impl Strategy<Value = VersionRange> {
    (any::<u16>(), any::<u16>()).prop_map(|(a, b)| VersionRange::new(a.min(b), a.max(b)).unwrap())
}

/// Whole seconds of the years 0 to 9999, which have four digits.
fn time() -> impl Strategy<Value = UtcTime> {
    (-62_167_219_200..253_402_300_800_i64, 0..1_000_000_000_u32)
        .prop_map(|(seconds, nanoseconds)| UtcTime { seconds, nanoseconds })
}

proptest! {
    #[test]
    fn lists_of_strings_round_trip_and_have_no_readable_prefix(items in vec(vec(any::<u8>(), 0..40), 1..9)) {
        let read = |bytes: &[u8]| {
            let mut reader = Reader::new(bytes);
            let items = reader.non_empty(|r| r.short().map(<[u8]>::to_vec))?;
            reader.finish()?;
            Ok::<_, Malformed>(items)
        };
        let mut bytes = Vec::new();
        bytes.put_list(&items, |out, item| out.put_short(item));
        prop_assert_eq!(read(&bytes).unwrap(), items);
        for end in 0..bytes.len() {
            prop_assert_eq!(read(&bytes[..end]), Err(Malformed::Truncated));
        }
        bytes.push(0);
        prop_assert_eq!(read(&bytes), Err(Malformed::Leftover(1)));
    }

    #[test]
    fn version_ranges_round_trip(range in range()) {
        prop_assert_eq!(VersionRange::decode_all(&range.to_bytes()), Ok(range));
        prop_assert_eq!(range.to_string().parse::<VersionRange>(), Ok(range));
    }

    #[test]
    fn a_common_range_lies_in_both(a in range(), b in range()) {
        let shared = |version| a.contains(version) && b.contains(version);
        match a.common(b) {
            Some(common) => prop_assert!(shared(common.min()) && shared(common.max())),
            None => prop_assert!(a.max() < b.min() || b.max() < a.min()),
        }
    }

    #[test]
    fn base64url_has_one_padded_and_one_unpadded_text(bytes in vec(any::<u8>(), 1..80)) {
        prop_assert_eq!(text::from_base64url(&text::base64url(&bytes)), Ok(bytes.clone()));
        prop_assert_eq!(text::from_base64url(&text::base64url_unpadded(&bytes)), Ok(bytes));
    }

    #[test]
    fn accepted_base64url_is_one_of_these_texts(input in "[A-Za-z0-9_=-]{0,12}") {
        if let Ok(bytes) = text::from_base64url(&input) {
            prop_assert!(input == text::base64url(&bytes) || input == text::base64url_unpadded(&bytes));
        }
    }

    #[test]
    fn query_values_survive_escaping(params in vec(("[a-z]{1,4}", vec(any::<u8>(), 0..30)), 0..6)) {
        let written = query::encode(params.iter().map(|(name, value)| (name.as_str(), value.as_slice())));
        let expected: Vec<_> = params.into_iter().map(|(name, value)| (name.into_bytes(), value)).collect();
        let query = Query::parse(&written);
        prop_assert_eq!(query.params(), expected);
    }

    #[test]
    fn any_text_is_some_query(input in any::<String>()) {
        let end = input.find([' ', '\n']).unwrap_or(input.len());
        prop_assert_eq!(Query::parse(&input), Query::parse(&input[..end]));
    }

    #[test]
    fn times_round_trip(time in time()) {
        prop_assert_eq!(time.to_string().parse::<UtcTime>(), Ok(time));
    }

    #[test]
    fn only_days_of_the_calendar_are_times(year in 0..10_000, month in 0..20, day in 0..40) {
        let date = format!("{year:04}-{month:02}-{day:02}");
        if let Ok(time) = format!("{date}T12:00:00Z").parse::<UtcTime>() {
            prop_assert!(time.to_string().starts_with(&date));
        }
    }

    #[test]
    fn no_text_makes_a_parser_panic(input in any::<String>(), digits in "[-+0-9TZ:.]{0,40}") {
        for text in [&input, &digits] {
            let _ = (text::from_base64url(text), text::decimal_u16(text));
            let _ = (text.parse::<UtcTime>(), text.parse::<VersionRange>());
        }
    }

    #[test]
    fn decimal_numbers_have_one_text(number in any::<u16>(), other in "0?[0-9]{0,5}") {
        prop_assert_eq!(text::decimal_u16(&number.to_string()), Some(number));
        if let Some(number) = text::decimal_u16(&other) {
            prop_assert_eq!(number.to_string(), other);
        }
    }
}
