//! The object that says that a keyspace exists.

use bytes::Bytes;

use super::preamble::FORMAT_VERSION;
use crate::error::{CorruptObject, FormatError};
use crate::item::KeyspaceMetadata;
pub use crate::limits::MAX_KEYSPACE_OBJECT_BYTES;
use crate::names::KeyspaceName;

/// The only layout there is.
const LAYOUT: &str = "list";
/// Why an object that was read is none.
const NO_KEYSPACE: &str = "it is not a keyspace's JSON";
/// Opening brackets of an object at most, in texts and around them: bounds how deep it nests.
const MAX_BRACKETS: usize = 512;
/// Digits of an id: 128 bits in lower-case hex.
const ID_DIGITS: usize = 32;

/// `keyspace.json`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KeyspaceObject {
    /// Version of the object layout.
    pub format_version: u32,
    /// How the keyspace is laid out: `list`.
    pub layout: String,
    /// The keyspace's name.
    pub keyspace: String,
    /// When it was created, in milliseconds since 1970.
    pub created_timestamp: i64,
    /// 128 random bits in lower-case hex: makes the object its creator's own, who may have to find out after a lost
    /// answer whose it is.
    pub id: String,
}

impl KeyspaceObject {
    /// The object for a new keyspace, created at this many milliseconds since 1970. `id` is a number that no other
    /// creator draws.
    pub fn encode(keyspace: &KeyspaceName, created_timestamp: i64, id: u128) -> Bytes {
        // A `Value` cannot fail to serialise, a struct could as far as the types say.
        let object = serde_json::json!({
            "format_version": FORMAT_VERSION,
            "layout": LAYOUT,
            "keyspace": keyspace.as_str(),
            "created_timestamp": created_timestamp,
            "id": format!("{id:032x}"),
        });
        format!("{object}\n").into()
    }

    /// Reads `object`, which is that of `keyspace`.
    ///
    /// # Errors
    /// [`FormatError::Corrupt`] where it is not such an object or another keyspace's, [`FormatError::UnsupportedVersion`] and
    /// [`FormatError::UnsupportedLayout`] where it was made by something newer.
    pub fn decode(bytes: &[u8], keyspace: &KeyspaceName, object: &str) -> Result<KeyspaceMetadata, FormatError> {
        let corrupt = |reason| FormatError::from(CorruptObject { object: object.to_owned(), reason });
        if bytes.len() > MAX_KEYSPACE_OBJECT_BYTES {
            return Err(corrupt("it is longer than the format allows"));
        }
        // The version first: a newer one may have other fields.
        let version: Version = parse(bytes).ok_or_else(|| corrupt(NO_KEYSPACE))?;
        if version.format_version == 0 {
            return Err(corrupt("its format version is 0"));
        }
        if version.format_version > FORMAT_VERSION {
            return Err(FormatError::UnsupportedVersion {
                object: object.to_owned(),
                found: version.format_version,
                supported: FORMAT_VERSION,
            });
        }
        let read: Self = parse(bytes).ok_or_else(|| corrupt(NO_KEYSPACE))?;
        if read.layout != LAYOUT {
            return Err(FormatError::UnsupportedLayout {
                object: object.to_owned(),
                layout: read.layout.chars().take(64).collect(),
            });
        }
        if read.keyspace != keyspace.as_str() {
            return Err(corrupt("it is that of another keyspace"));
        }
        if read.id.len() != ID_DIGITS || !read.id.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(corrupt("its id is not 32 lower-case hexadecimal digits"));
        }
        Ok(KeyspaceMetadata {
            keyspace: read.keyspace,
            created_timestamp: read.created_timestamp,
            format_version: read.format_version,
        })
    }
}

#[derive(serde::Deserialize)]
struct Version {
    format_version: u32,
}

/// Exactly one JSON object of these fields, among others.
fn parse<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    // What a field holds that is not known is skipped by recursion; names have no more brackets than that.
    let brackets = bytes.iter().filter(|byte| matches!(byte, b'[' | b'{')).count();
    if brackets > MAX_BRACKETS {
        return None;
    }
    let mut unescaped = vec![0; bytes.len()];
    serde_json_core::from_slice_escaped(bytes, &mut unescaped).ok().map(|(read, _)| read)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "flights/keyspace.json";

    #[test]
    fn a_keyspace_comes_back() {
        let name = KeyspaceName::new("flüge \"2013\"").unwrap();
        let bytes = KeyspaceObject::encode(&name, -5, 0xab);
        let read = KeyspaceObject::decode(&bytes, &name, NAME).unwrap();
        assert_eq!(read.keyspace, name.as_str());
        assert_eq!((read.created_timestamp, read.format_version), (-5, 1));
        assert_ne!(bytes, KeyspaceObject::encode(&name, -5, 0xac), "another creator's is another");
    }

    #[test]
    fn what_is_newer_or_not_a_keyspace_is_refused() {
        let name = KeyspaceName::new("flights").unwrap();
        let decode = |bytes: &[u8]| KeyspaceObject::decode(bytes, &name, NAME);
        let newer = br#"{"format_version":2,"shape":"unheard of"}"#;
        let error = decode(newer).unwrap_err();
        assert!(matches!(error, FormatError::UnsupportedVersion { found: 2, supported: 1, .. }), "{error}");
        let map = br#"{"format_version":1,"layout":"map","keyspace":"a","created_timestamp":0,"id":""}"#;
        let error = decode(map).unwrap_err();
        assert!(matches!(&error, FormatError::UnsupportedLayout { layout, .. } if layout == "map"), "{error}");
        let long = vec![b' '; MAX_KEYSPACE_OBJECT_BYTES + 1];
        for corrupt in [&b""[..], b"{}", b"[]", b"\xff", br#"{"format_version":0}"#, br#"{"format_version":1}"#, &long]
        {
            assert!(matches!(decode(corrupt), Err(FormatError::Corrupt(_))));
        }
    }

    #[test]
    fn what_else_an_object_holds_is_skipped() {
        let name = KeyspaceName::new("a\n\u{1}\"\\[{").unwrap();
        let whole = String::from_utf8(KeyspaceObject::encode(&name, -5, 0xab).to_vec()).unwrap();
        let more = r#"{"later":{"a":[1,-2.5e9,true,null,{"b":"\u00e4]"}]},"format_version""#;
        let extended =
            whole.replacen(r#"{"created"#, r#"{"x":[],"created"#, 1).replacen(r#"{"format_version""#, more, 1);
        for text in [whole.clone(), extended, whole.replace(',', " ,\n ")] {
            let read = KeyspaceObject::decode(text.as_bytes(), &name, NAME).unwrap();
            assert_eq!(read.keyspace, name.as_str());
        }
        for wrong in [format!("{whole}{whole}"), format!("{whole}x"), whole.replace('}', ""), format!("[{whole}]")] {
            assert!(KeyspaceObject::decode(wrong.as_bytes(), &name, NAME).is_err(), "{wrong}");
        }
        for deep in ["[", r#"{"a":"#] {
            let deep = whole.replacen('{', &format!(r#"{{"deep":{},"#, deep.repeat(8_000)), 1);
            assert!(KeyspaceObject::decode(deep.as_bytes(), &name, NAME).is_err());
        }
    }

    #[test]
    fn a_name_and_an_id_that_are_not_its_own_are_refused() {
        let name = KeyspaceName::new("flights").unwrap();
        let whole = String::from_utf8(KeyspaceObject::encode(&name, 7, u128::MAX - 1).to_vec()).unwrap();
        let id = "fffffffffffffffffffffffffffffffe";
        let without = whole.replace(&format!(r#""id":"{id}","#), "");
        let longer = "f".repeat(33);
        let changed =
            ["", &id[1..], &longer, &id.to_uppercase(), &id.replace('e', "g")].map(|bad| whole.replace(id, bad));
        for corrupt in changed.into_iter().chain([without, whole.replace("flights", "trains")]) {
            assert_ne!(corrupt, whole);
            let decoded = KeyspaceObject::decode(corrupt.as_bytes(), &name, NAME);
            assert!(matches!(decoded, Err(FormatError::Corrupt(_))), "{corrupt}");
        }
    }

    #[test]
    fn an_object_has_64_kib_and_512_brackets_at_most() {
        let name = KeyspaceName::new("flights").unwrap();
        let whole = String::from_utf8(KeyspaceObject::encode(&name, 7, 1).to_vec()).unwrap();
        let check = |text: &str, expected: Result<(), &'static str>| {
            let decoded = KeyspaceObject::decode(text.as_bytes(), &name, NAME);
            let corrupt = |reason| FormatError::from(CorruptObject { object: NAME.to_owned(), reason });
            assert_eq!(decoded.map(|_| ()), expected.map_err(corrupt));
        };
        let spaces = " ".repeat(MAX_KEYSPACE_OBJECT_BYTES - whole.len());
        check(&format!("{whole}{spaces}"), Ok(()));
        check(&format!("{whole}{spaces} "), Err("it is longer than the format allows"));
        let with_brackets = |count| whole.replacen('{', &format!(r#"{{"later":"{}","#, "[".repeat(count)), 1);
        check(&with_brackets(511), Ok(()));
        check(&with_brackets(512), Err(NO_KEYSPACE));
    }
}
