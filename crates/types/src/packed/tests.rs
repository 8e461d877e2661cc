use std::collections::BTreeMap;

use bincode::config;
use proptest::{collection, prelude::*, test_runner::TestCaseError};
use serde::{Serialize, de::DeserializeOwned};

use super::{Headers, Packing, TaggedAddresses, TextMap, Texts};
use crate::TaggedAddress;

/// Texts of every length class, with characters of every width.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "\\PC{0,12}",
        1 => "[a-z]{60,70}",
        1 => "x{4090,4100}",
    ]
}

/// Whether `packed` has the encoding of `plain` and is read from it.
fn encodes_as<P, Q>(packed: &P, plain: &Q) -> Result<(), TestCaseError>
where
    P: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
    Q: Serialize,
{
    let bytes = |value: Result<Vec<u8>, bincode::error::EncodeError>| value.unwrap();
    let expected = bytes(bincode::serde::encode_to_vec(plain, config::standard()));
    let encoded = bytes(bincode::serde::encode_to_vec(packed, config::standard()));
    prop_assert_eq!(&encoded, &expected);
    let (read, _): (P, _) =
        bincode::serde::decode_from_slice(&encoded, config::standard()).unwrap();
    prop_assert_eq!(&read, packed);
    Ok(())
}

proptest! {
    #[test]
    fn numbers_and_texts_are_read_as_they_were_packed(numbers: Vec<usize>, text in text()) {
        let mut packing = Packing::default();
        for &number in &numbers {
            packing.number(number);
            packing.text(&text);
        }
        let packed = packing.pack();
        let mut unpacking = packed.unpack();
        for number in numbers {
            prop_assert_eq!(unpacking.number(), Some(number));
            prop_assert_eq!(unpacking.text(), Some(text.as_str()));
        }
        prop_assert_eq!(unpacking.number(), None);
        prop_assert_eq!(unpacking.text(), None);
    }

    #[test]
    fn texts_are_a_list(plain in collection::vec(text(), 0..8)) {
        let packed = Texts::from(plain.clone());
        prop_assert!(packed.iter().eq(plain.iter().map(String::as_str)));
        prop_assert_eq!(packed.is_empty(), plain.is_empty());
        encodes_as(&packed, &plain)?;
    }

    #[test]
    fn a_text_map_is_a_map(plain in collection::btree_map(text(), text(), 0..8)) {
        let packed = TextMap::from(plain.clone());
        let read = packed.iter().map(|(key, text)| (key.to_owned(), text.to_owned()));
        prop_assert_eq!(read.collect::<BTreeMap<_, _>>(), plain.clone());
        for (key, text) in &plain {
            prop_assert_eq!(packed.get(key), Some(text.as_str()));
        }
        prop_assert_eq!(packed.get("not a key: \u{0}"), None);
        encodes_as(&packed, &plain)?;
    }

    /// A map's encoding is that of the list of its pairs, so whoever wrote it may not have sorted them.
    #[test]
    fn a_map_that_was_not_sorted_is_read_as_one_that_was(
        pairs in collection::vec(("[ab]{0,2}", "[a-c]?"), 0..8),
    ) {
        let encoded = bincode::serde::encode_to_vec(&pairs, config::standard()).unwrap();
        let (read, _): (TextMap, _) =
            bincode::serde::decode_from_slice(&encoded, config::standard()).unwrap();
        let (sorted, _): (BTreeMap<String, String>, _) =
            bincode::serde::decode_from_slice(&encoded, config::standard()).unwrap();
        prop_assert_eq!(read, TextMap::from(sorted));
    }

    #[test]
    fn headers_are_a_map_of_lists(
        plain in collection::btree_map(text(), collection::vec(text(), 0..4), 0..4),
    ) {
        encodes_as(&Headers::from(plain.clone()), &plain)?;
    }

    #[test]
    fn tagged_addresses_are_a_map(
        plain in collection::btree_map(text(), (text(), any::<u16>()), 0..4),
    ) {
        let plain: BTreeMap<_, _> = plain
            .into_iter()
            .map(|(tag, (address, port))| (tag, TaggedAddress { address, port }))
            .collect();
        encodes_as(&TaggedAddresses::from(plain.clone()), &plain)?;
    }
}

#[test]
fn of_pairs_with_one_key_the_last_one_stands() {
    let map: TextMap = [("b", "1"), ("a", "2"), ("b", "3")].into_iter().collect();
    assert!(map.iter().eq([("a", "2"), ("b", "3")]));
}
