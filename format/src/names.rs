//! Names: what users call things, and what the objects are called for it.
//!
//! In object names every byte but `A-Z a-z 0-9 - _ .` is written `~XX` (upper-case hex), and the names `.` and `..` are
//! escaped whole. Such names mean the same in a URL, in a signature and in a LIST answer, with no further encoding.

use std::fmt;
use std::sync::Arc;

use crate::error::NameError;
use crate::limits::{MAX_NAME_BYTES, MAX_PREFIX_BYTES};
use crate::wire::identity::{ListHash, ObjectId};

/// What every object name in a bucket begins with: empty, or ending with `/`.
///
/// ```
/// use klstore_format::names::Prefix;
/// assert_eq!(Prefix::new("prod/eu")?.as_str(), "prod/eu/");
/// assert!(Prefix::new("a//b").is_err());
/// # Ok::<(), klstore_format::NameError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Prefix(String);

impl Prefix {
    /// Checks a prefix and puts a `/` at its end where it has none.
    ///
    /// # Errors
    /// [`NameError::Prefix`] for other characters than `A-Z a-z 0-9 - _ . /`, an empty, `.` or `..` part, or more than
    /// [`MAX_PREFIX_BYTES`] bytes.
    pub fn new(prefix: &str) -> Result<Self, NameError> {
        let refuse = |reason| Err(NameError::Prefix { prefix: shorten(prefix), reason, limit: MAX_PREFIX_BYTES });
        if prefix.is_empty() {
            return Ok(Self::default());
        }
        let parts = prefix.strip_suffix('/').unwrap_or(prefix);
        if parts.len() + 1 > MAX_PREFIX_BYTES {
            return refuse("it is too long");
        }
        for part in parts.split('/') {
            match part {
                "" => return refuse("a part between slashes is empty"),
                "." | ".." => return refuse("a part is `.` or `..`, which tools resolve away"),
                part if !part.bytes().all(is_plain) => return refuse("it has other characters"),
                _ => {}
            }
        }
        Ok(Self(format!("{parts}/")))
    }

    /// The prefix as it stands in object names.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! user_name {
    ($(#[$doc:meta])* $type:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type {
            name: String,
            escaped: String,
        }

        impl $type {
            /// Checks a name: any text but the empty one, of at most [`MAX_NAME_BYTES`] bytes once escaped.
            ///
            /// # Errors
            /// [`NameError::Empty`] and [`NameError::TooLong`].
            pub fn new(name: &str) -> Result<Self, NameError> {
                let escaped = check($what, name)?;
                Ok(Self { name: name.to_owned(), escaped })
            }

            /// As the user wrote it.
            pub fn as_str(&self) -> &str {
                &self.name
            }

            /// As it stands in object names.
            pub fn escaped(&self) -> &str {
                &self.escaped
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.name)
            }
        }
    };
}

user_name!(
    /// The name of a keyspace: a set of lists.
    ///
    /// ```
    /// use klstore_format::names::KeyspaceName;
    /// assert_eq!(KeyspaceName::new("flüge")?.escaped(), "fl~C3~BCge");
    /// # Ok::<(), klstore_format::NameError>(())
    /// ```
    KeyspaceName,
    "keyspace"
);
user_name!(
    /// The key of a list in its keyspace.
    ///
    /// ```
    /// use klstore_format::names::KeyName;
    /// assert_eq!(KeyName::new("room/7")?.escaped(), "room~2F7");
    /// # Ok::<(), klstore_format::NameError>(())
    /// ```
    KeyName,
    "key"
);

/// A list and the names of its objects. Cloning it is cheap.
///
/// ```
/// use klstore_format::names::{ListName, Prefix};
/// let list = ListName::new(&Prefix::new("prod")?, "flights", "N14228")?;
/// assert_eq!(list.commit(0), "prod/flights/lists/N14228/log/ffffffffffffffff");
/// assert_eq!(list.parse_commit(&list.commit(7)), Some(7));
/// # Ok::<(), klstore_format::NameError>(())
/// ```
#[derive(Clone)]
pub struct ListName(Arc<ListNameParts>);

struct ListNameParts {
    keyspace: String,
    key: String,
    hash: ListHash,
    /// `{prefix}{keyspace}/`
    keyspace_base: String,
    /// `{prefix}{keyspace}/lists/{key}/`
    base: String,
}

impl ListName {
    /// The list `key` of `keyspace` under `prefix`.
    ///
    /// # Errors
    /// [`NameError`] where keyspace or key is empty or too long.
    pub fn new(prefix: &Prefix, keyspace: &str, key: &str) -> Result<Self, NameError> {
        let keyspace_base = format!("{}{}/", prefix.as_str(), check("keyspace", keyspace)?);
        let base = format!("{keyspace_base}lists/{}/", check("key", key)?);
        Ok(Self(Arc::new(ListNameParts {
            keyspace: keyspace.to_owned(),
            key: key.to_owned(),
            hash: ListHash::of(keyspace, key),
            keyspace_base,
            base,
        })))
    }

    /// Whether there can be such a list under any prefix: cheaper than its name.
    ///
    /// # Errors
    /// Those of [`Self::new`].
    pub fn check(keyspace: &str, key: &str) -> Result<(), NameError> {
        check("keyspace", keyspace)?;
        check("key", key).map(drop)
    }

    /// The keyspace as the user wrote it.
    pub fn keyspace(&self) -> &str {
        &self.0.keyspace
    }

    /// The key as the user wrote it.
    pub fn key(&self) -> &str {
        &self.0.key
    }

    /// What its objects recognise each other by.
    pub fn hash(&self) -> ListHash {
        self.0.hash
    }

    /// The name of a commit: a higher `seq` sorts first.
    pub fn commit(&self, seq: u64) -> String {
        format!("{}log/{:016x}", self.0.base, u64::MAX - seq)
    }

    /// What the names of all commits begin with.
    pub fn commits(&self) -> String {
        format!("{}log/", self.0.base)
    }

    /// Behind the names of a store's own temporary files, which begin with a dot and a letter, and before every commit.
    pub fn before_commits(&self) -> String {
        format!("{}log/.~", self.0.base)
    }

    /// The `seq` of the commit of this list that is called so.
    pub fn parse_commit(&self, name: &str) -> Option<u64> {
        let digits = name.strip_prefix(&self.0.base)?.strip_prefix("log/")?;
        Some(u64::MAX - u64::try_from(parse_hex(digits, 16)?).ok()?)
    }

    /// The name of a segment.
    pub fn segment(&self, id: ObjectId) -> String {
        self.object("seg", id)
    }

    /// What the names of all segments begin with.
    pub fn segments(&self) -> String {
        format!("{}seg/", self.0.base)
    }

    /// The id of the segment of this list that is called so.
    pub fn parse_segment(&self, name: &str) -> Option<ObjectId> {
        self.parse_object("seg/", name)
    }

    /// The name of an index page: head, leaf or ledger.
    pub fn index_page(&self, id: ObjectId) -> String {
        self.object("idx", id)
    }

    /// What the names of all index pages begin with.
    pub fn index_pages(&self) -> String {
        format!("{}idx/", self.0.base)
    }

    /// The id of the index page of this list that is called so.
    pub fn parse_index_page(&self, name: &str) -> Option<ObjectId> {
        self.parse_object("idx/", name)
    }

    /// The name of the object that says that the keyspace exists.
    pub fn keyspace_object(&self) -> String {
        format!("{}{KEYSPACE_OBJECT}", self.0.keyspace_base)
    }

    fn object(&self, folder: &str, id: ObjectId) -> String {
        format!("{}{folder}/{:016x}{:032x}", self.0.base, id.x, id.id)
    }

    fn parse_object(&self, folder: &str, name: &str) -> Option<ObjectId> {
        let digits = name.strip_prefix(&self.0.base)?.strip_prefix(folder)?;
        let (x, id) = digits.split_at_checked(16)?;
        Some(ObjectId { x: u64::try_from(parse_hex(x, 16)?).ok()?, id: parse_hex(id, 32)? })
    }
}

impl fmt::Display for ListName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.0.keyspace, self.0.key)
    }
}

impl fmt::Debug for ListName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("ListName").field(&self.0.base).finish()
    }
}

impl PartialEq for ListName {
    fn eq(&self, other: &Self) -> bool {
        self.0.base == other.0.base
    }
}

impl Eq for ListName {}

impl std::hash::Hash for ListName {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.base.hash(state);
    }
}

const KEYSPACE_OBJECT: &str = "keyspace.json";

/// The name of the object that says that a keyspace exists.
pub fn keyspace_object(prefix: &Prefix, keyspace: &KeyspaceName) -> String {
    format!("{}{}/{KEYSPACE_OBJECT}", prefix.as_str(), keyspace.escaped())
}

/// Whether an object of any list is a segment, by its name alone.
pub fn is_segment_name(name: &str) -> bool {
    // Keyspaces and keys are escaped: the slashes are those of the layout.
    let mut parts = name.rsplit('/').skip(1);
    (parts.next(), parts.nth(1)) == (Some("seg"), Some("lists"))
}

/// What the names of all objects of all lists of a keyspace begin with; a LIST with delimiter `/` gives the keys.
pub fn lists_prefix(prefix: &Prefix, keyspace: &KeyspaceName) -> String {
    format!("{}{}/lists/", prefix.as_str(), keyspace.escaped())
}

/// The name as it stands in object names.
///
/// ```
/// use klstore_format::names::{escape, unescape};
/// assert_eq!(escape("a b~"), "a~20b~7E");
/// assert_eq!(escape(".."), "~2E~2E");
/// assert_eq!(unescape("a~20b~7E").as_deref(), Some("a b~"));
/// ```
pub fn escape(name: &str) -> String {
    const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    let whole = name == "." || name == "..";
    let mut escaped = String::with_capacity(name.len());
    for byte in name.bytes() {
        if is_plain(byte) && !whole {
            escaped.push(char::from(byte));
        } else {
            escaped.push('~');
            escaped.extend(HEX.get(usize::from(byte >> 4)));
            escaped.extend(HEX.get(usize::from(byte & 15)));
        }
    }
    escaped
}

/// The name that [`escape`] turned into this; `None` for anything that it never returns.
pub fn unescape(escaped: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'~' {
            let (digits, after) = rest.split_first_chunk::<2>()?;
            let digits = std::str::from_utf8(digits).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = after;
        } else {
            bytes.push(byte);
        }
    }
    let name = String::from_utf8(bytes).ok()?;
    (escape(&name) == escaped).then_some(name)
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

fn check(what: &'static str, name: &str) -> Result<String, NameError> {
    if name.is_empty() {
        return Err(NameError::Empty { what });
    }
    // Counted first: a megabyte is not escaped to be refused.
    let bytes = name.bytes().map(|byte| if is_plain(byte) { 1 } else { 3 }).sum();
    if bytes > MAX_NAME_BYTES {
        return Err(NameError::TooLong { what, name: shorten(name), bytes, limit: MAX_NAME_BYTES });
    }
    Ok(escape(name))
}

fn shorten(name: &str) -> String {
    name.chars().take(64).collect()
}

/// Exactly `length` lower-case hex digits.
fn parse_hex(digits: &str, length: usize) -> Option<u128> {
    let strict = digits.len() == length && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if strict { u128::from_str_radix(digits, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

    proptest! {
        #[test]
        fn any_name_comes_back(name in ".{1,80}") {
            let escaped = escape(&name);
            prop_assert!(escaped.bytes().all(|byte| is_plain(byte) || byte == b'~'));
            prop_assert_eq!(unescape(&escaped), Some(name));
        }

        #[test]
        fn only_what_escape_writes_is_unescaped(text in "[~A-Fa-f0-9.é/]{0,12}") {
            if let Some(name) = unescape(&text) {
                prop_assert_eq!(escape(&name), text);
            }
        }

        #[test]
        fn object_names_come_back_and_sort(one: u64, other: u64, id: u128) {
            let list = ListName::new(&Prefix::new("p")?, "a b", "c/d")?;
            prop_assert_eq!(list.parse_commit(&list.commit(one)), Some(one));
            // The newest commit is listed first.
            prop_assert_eq!(one.cmp(&other), list.commit(other).cmp(&list.commit(one)));
            let id = ObjectId { x: one, id };
            prop_assert_eq!(list.parse_segment(&list.segment(id)), Some(id));
            prop_assert_eq!(list.parse_index_page(&list.index_page(id)), Some(id));
            prop_assert_eq!(list.parse_index_page(&list.segment(id)), None);
            prop_assert!(is_segment_name(&list.segment(id)));
            prop_assert!(!is_segment_name(&list.index_page(id)) && !is_segment_name(&list.commit(one)));
            prop_assert!(list.segment(id).starts_with(&list.segments()));
            prop_assert!(list.index_page(id).starts_with(&list.index_pages()));
            prop_assert!(list.commit(one).starts_with(&list.commits()));
            prop_assert!(list.before_commits() < list.commit(one));
        }
    }

    #[test]
    fn names_on_the_edge() {
        assert_eq!(escape("."), "~2E");
        assert_eq!(escape("..."), "...");
        assert_eq!(unescape("~2e"), None);
        assert_eq!(unescape("~41"), None);
        assert_eq!(unescape("~FF"), None);
        assert_eq!(unescape("a~2"), None);
        assert_eq!(unescape("~+A"), None);
        assert_eq!(KeyName::new(""), Err(NameError::Empty { what: "key" }));
        assert!(KeyspaceName::new(&"a".repeat(255)).is_ok());
        assert!(KeyName::new(&"ü".repeat(42)).is_ok());
        for (name, shown, bytes) in [
            ("ü".repeat(43), "ü".repeat(43), 258),
            ("ü".repeat(200), "ü".repeat(64), 1_200),
            (" ".repeat(255), " ".repeat(64), 765),
        ] {
            let too_long = NameError::TooLong { what: "key", name: shown, bytes, limit: 255 };
            assert_eq!(KeyName::new(&name).unwrap_err(), too_long);
            assert_eq!(ListName::check("keyspace", &name), Err(too_long));
        }
        assert_eq!(ListName::check("", "key"), Err(NameError::Empty { what: "keyspace" }));
        assert_eq!(ListName::check("keyspace", &"ü".repeat(42)), Ok(()));
        let list = ListName::new(&Prefix::default(), "k", "l").unwrap();
        for foreign in ["k/lists/l/log/", "k/lists/l/log/FFFFFFFFFFFFFFFF", "k/lists/l2/log/ffffffffffffffff", "é"] {
            assert_eq!(list.parse_commit(foreign), None, "{foreign}");
        }
        assert_eq!(list.keyspace_object(), keyspace_object(&Prefix::default(), &KeyspaceName::new("k").unwrap()));
    }

    #[test]
    fn a_list_is_known_by_its_name_alone() {
        let list = |prefix, keyspace, key| ListName::new(&Prefix::new(prefix).unwrap(), keyspace, key).unwrap();
        let hash = |list: &ListName| BuildHasherDefault::<DefaultHasher>::default().hash_one(list);
        let one = list("p", "flights", "a/b");
        assert_eq!((one.keyspace(), one.key(), one.to_string()), ("flights", "a/b", "flights/a/b".to_owned()));
        assert_eq!(format!("{one:?}"), r#"ListName("p/flights/lists/a~2Fb/")"#);
        assert_eq!((&one, hash(&one)), (&list("p", "flights", "a/b"), hash(&list("p", "flights", "a/b"))));
        for other in [list("q", "flights", "a/b"), list("p", "trains", "a/b"), list("p", "flights", "a-b")] {
            assert_ne!(one, other);
            assert_ne!(hash(&one), hash(&other));
        }
    }

    #[test]
    fn commits_begin_behind_the_stores_own_files() {
        let list = ListName::new(&Prefix::default(), "k", "l").unwrap();
        assert_eq!(list.before_commits(), "k/lists/l/log/.~");
        for temporary in [".minio.sys", ".z", ".tmp-0000"] {
            assert!(format!("{}{temporary}", list.commits()) < list.before_commits());
        }
        assert!(list.before_commits() < list.commit(u64::MAX));
    }

    #[test]
    fn prefixes() {
        assert_eq!(Prefix::new("").unwrap().as_str(), "");
        assert_eq!(Prefix::new("a/b.c/").unwrap().as_str(), "a/b.c/");
        for refused in ["/", "/a", "a//", "a/../b", "./a", "ü", "a b", "a~b", &"a".repeat(MAX_PREFIX_BYTES)] {
            assert!(matches!(Prefix::new(refused), Err(NameError::Prefix { .. })), "{refused}");
        }
        // The longest object name stays within what S3 takes.
        let prefix = Prefix::new(&"p".repeat(MAX_PREFIX_BYTES - 1)).unwrap();
        let list = ListName::new(&prefix, &"k".repeat(255), &"l".repeat(255)).unwrap();
        assert!(list.segment(ObjectId { x: 0, id: 0 }).len() <= 1_024);
    }
}
