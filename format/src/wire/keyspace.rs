//! The object that says that a keyspace exists.

use bytes::Bytes;

use super::preamble::FORMAT_VERSION;
use crate::error::{CorruptObject, FormatError};
use crate::item::KeyspaceMetadata;
use crate::names::KeyspaceName;

/// The only layout there is.
const LAYOUT: &str = "list";
/// Bytes of the longest keyspace object.
pub const MAX_KEYSPACE_OBJECT_BYTES: usize = 64 << 10;

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
}

impl KeyspaceObject {
    /// The object for a new keyspace, created at this many milliseconds since 1970.
    pub fn encode(keyspace: &KeyspaceName, created_timestamp: i64) -> Bytes {
        // A `Value` cannot fail to serialise, a struct could as far as the types say.
        let object = serde_json::json!({
            "format_version": FORMAT_VERSION,
            "layout": LAYOUT,
            "keyspace": keyspace.as_str(),
            "created_timestamp": created_timestamp,
        });
        format!("{object}\n").into()
    }

    /// Reads the object of this name.
    ///
    /// # Errors
    /// [`FormatError::Corrupt`] where it is not such an object, [`FormatError::UnsupportedVersion`] and
    /// [`FormatError::UnsupportedLayout`] where it was made by something newer.
    pub fn decode(bytes: &[u8], object: &str) -> Result<KeyspaceMetadata, FormatError> {
        let corrupt = |reason| FormatError::from(CorruptObject { object: object.to_owned(), reason });
        if bytes.len() > MAX_KEYSPACE_OBJECT_BYTES {
            return Err(corrupt("it is longer than the format allows"));
        }
        // The version first: a newer one may have other fields.
        let version: Version = serde_json::from_slice(bytes).map_err(|_| corrupt("it is not a keyspace's JSON"))?;
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
        let read: Self = serde_json::from_slice(bytes).map_err(|_| corrupt("it is not a keyspace's JSON"))?;
        if read.layout != LAYOUT {
            return Err(FormatError::UnsupportedLayout {
                object: object.to_owned(),
                layout: read.layout.chars().take(64).collect(),
            });
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

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "flights/keyspace.json";

    #[test]
    fn a_keyspace_comes_back() {
        let name = KeyspaceName::new("flüge \"2013\"").unwrap();
        let bytes = KeyspaceObject::encode(&name, -5);
        let read = KeyspaceObject::decode(&bytes, NAME).unwrap();
        assert_eq!(read.keyspace, name.as_str());
        assert_eq!((read.created_timestamp, read.format_version), (-5, 1));
    }

    #[test]
    fn what_is_newer_or_not_a_keyspace_is_refused() {
        let newer = br#"{"format_version":2,"shape":"unheard of"}"#;
        let error = KeyspaceObject::decode(newer, NAME).unwrap_err();
        assert!(matches!(error, FormatError::UnsupportedVersion { found: 2, supported: 1, .. }), "{error}");
        let map = br#"{"format_version":1,"layout":"map","keyspace":"a","created_timestamp":0}"#;
        let error = KeyspaceObject::decode(map, NAME).unwrap_err();
        assert!(matches!(&error, FormatError::UnsupportedLayout { layout, .. } if layout == "map"), "{error}");
        let long = vec![b' '; MAX_KEYSPACE_OBJECT_BYTES + 1];
        for corrupt in [&b""[..], b"{}", b"[]", b"\xff", br#"{"format_version":0}"#, br#"{"format_version":1}"#, &long]
        {
            assert!(matches!(KeyspaceObject::decode(corrupt, NAME), Err(FormatError::Corrupt(_))));
        }
    }
}
