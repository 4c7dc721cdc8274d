//! LIST: a page of keys in the order of their bytes, with common prefixes rolled up.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::object::ObjectSummary;

/// The most keys and common prefixes in one page, as S3 has it.
pub const MAX_KEYS: usize = 1_000;

/// What to list.
#[derive(Clone, Debug)]
pub struct ListRequest {
    /// Only keys that begin with this.
    pub prefix: String,
    /// Keys that have this after the prefix are rolled up into one common prefix. Empty: none.
    pub delimiter: String,
    /// Where to begin.
    pub start: ListStart,
    /// At most so many keys and common prefixes; more than [`MAX_KEYS`] is read as that.
    pub max_keys: usize,
}

impl Default for ListRequest {
    fn default() -> Self {
        Self { prefix: String::new(), delimiter: String::new(), start: ListStart::First, max_keys: MAX_KEYS }
    }
}

impl ListRequest {
    /// All keys that begin with `prefix`, from the first one.
    pub fn prefix(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), ..Self::default() }
    }
}

/// Where a LIST begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ListStart {
    /// At the first key.
    #[default]
    First,
    /// After this key, whether it exists or not.
    After(String),
    /// After every key that begins with this common prefix.
    AfterPrefix(String),
}

impl ListStart {
    /// The opaque continuation token that names this position.
    pub fn to_token(&self) -> String {
        let (kind, text) = match self {
            Self::First => ('f', ""),
            Self::After(key) => ('k', key.as_str()),
            Self::AfterPrefix(prefix) => ('p', prefix.as_str()),
        };
        let mut token = String::with_capacity(1 + 2 * text.len());
        token.push(kind);
        for byte in text.bytes() {
            token.extend([byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16).unwrap_or('0')));
        }
        token
    }

    /// The position that a token names, or `None` where it is none of ours.
    pub fn from_token(token: &str) -> Option<Self> {
        let hex = token.get(1..)?.as_bytes();
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let (pairs, []) = hex.as_chunks::<2>() else { return None };
        let bytes: Option<Vec<u8>> = pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect();
        let text = String::from_utf8(bytes?).ok()?;
        match token.as_bytes().first()? {
            b'f' if text.is_empty() => Some(Self::First),
            b'k' => Some(Self::After(text)),
            b'p' => Some(Self::AfterPrefix(text)),
            _ => None,
        }
    }
}

/// One page of a LIST.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListPage {
    /// The objects, in the order of their keys' bytes.
    pub objects: Vec<ObjectSummary>,
    /// The common prefixes, in the same order.
    pub common_prefixes: Vec<String>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<ListStart>,
}

/// Takes one page from an ordered index. A rolled-up prefix costs one seek, however many keys it stands for.
pub(super) fn page<T>(
    index: &BTreeMap<Box<str>, T>,
    request: &ListRequest,
    summary: impl Fn(&str, &T) -> ObjectSummary,
) -> ListPage {
    let mut page = ListPage::default();
    let limit = request.max_keys.min(MAX_KEYS);
    if limit == 0 {
        return page;
    }
    let Some(first) = first_bound(request) else { return page };
    let mut entries = index.range::<str, _>((first.as_ref().map(String::as_str), Bound::Unbounded));
    let mut last = ListStart::First;
    while let Some((key, value)) = entries.next() {
        if !key.starts_with(&request.prefix) {
            break;
        }
        let group = common_prefix(key, request);
        // A start that names the group itself has had it already.
        let skipped = group.is_some_and(|group| request.start == ListStart::After(group.to_owned()));
        if !skipped && page.objects.len() + page.common_prefixes.len() == limit {
            page.next = Some(last);
            break;
        }
        let Some(group) = group else {
            last = ListStart::After(key.to_string());
            page.objects.push(summary(key, value));
            continue;
        };
        if !skipped {
            last = ListStart::AfterPrefix(group.to_owned());
            page.common_prefixes.push(group.to_owned());
        }
        let Some(beyond) = after_prefix(group) else { break };
        entries = index.range::<str, _>((Bound::Included(beyond.as_str()), Bound::Unbounded));
    }
    page
}

/// The lower bound of a request's keys; `None` where no key can follow.
fn first_bound(request: &ListRequest) -> Option<Bound<String>> {
    let start = match &request.start {
        ListStart::First => return Some(Bound::Included(request.prefix.clone())),
        ListStart::After(key) => Bound::Excluded(key.clone()),
        ListStart::AfterPrefix(prefix) => Bound::Included(after_prefix(prefix)?),
    };
    Some(match start {
        Bound::Excluded(key) if key < request.prefix => Bound::Included(request.prefix.clone()),
        Bound::Included(key) if key < request.prefix => Bound::Included(request.prefix.clone()),
        start => start,
    })
}

fn common_prefix<'k>(key: &'k str, request: &ListRequest) -> Option<&'k str> {
    if request.delimiter.is_empty() {
        return None;
    }
    let rest = key.get(request.prefix.len()..)?;
    let end = request.prefix.len() + rest.find(&request.delimiter)? + request.delimiter.len();
    key.get(..end)
}

/// The least string above all that begin with `prefix`. UTF-8 bytes and code points sort alike.
fn after_prefix(prefix: &str) -> Option<String> {
    let mut text = prefix.to_owned();
    while let Some(last) = text.pop() {
        let above = match last {
            '\u{D7FF}' => Some('\u{E000}'),
            other => char::from_u32(u32::from(other) + 1),
        };
        if let Some(above) = above {
            text.push(above);
            return Some(text);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::super::object::ETag;
    use super::*;

    fn index(keys: &[&str]) -> BTreeMap<Box<str>, ()> {
        keys.iter().map(|key| (Box::from(*key), ())).collect()
    }

    fn all(index: &BTreeMap<Box<str>, ()>, mut request: ListRequest) -> (Vec<String>, Vec<String>, usize) {
        let (mut keys, mut prefixes, mut pages) = (Vec::new(), Vec::new(), 0);
        loop {
            let page = page(index, &request, |key, ()| ObjectSummary {
                key: key.to_owned(),
                etag: ETag::of(b""),
                size: 0,
                last_modified: SystemTime::UNIX_EPOCH,
            });
            pages += 1;
            keys.extend(page.objects.into_iter().map(|object| object.key));
            prefixes.extend(page.common_prefixes);
            let Some(next) = page.next else { return (keys, prefixes, pages) };
            request.start = ListStart::from_token(&next.to_token()).unwrap();
        }
    }

    #[test]
    fn keys_come_in_byte_order_page_by_page() {
        let keys = ["A", "a", "a/", "a/b", "ab", "\u{D7FF}", "\u{E000}", "\u{10FFFF}", "\0"];
        let index = index(&keys);
        let mut sorted: Vec<String> = keys.iter().map(ToString::to_string).collect();
        sorted.sort_by(|left, right| left.as_bytes().cmp(right.as_bytes()));
        for max_keys in 1..=keys.len() + 1 {
            let (found, prefixes, pages) = all(&index, ListRequest { max_keys, ..ListRequest::default() });
            assert_eq!(found, sorted);
            assert!(prefixes.is_empty());
            assert_eq!(pages, keys.len().div_ceil(max_keys));
        }
    }

    #[test]
    fn common_prefixes_count_as_one_key_each() {
        let index = index(&["p/a/1", "p/a/2", "p/b", "p/c\u{10FFFF}/1", "p/d/1", "q/a/1"]);
        for max_keys in 1..5 {
            let request = ListRequest { delimiter: "/".into(), max_keys, ..ListRequest::prefix("p/") };
            let (keys, prefixes, _) = all(&index, request);
            assert_eq!(keys, ["p/b"]);
            assert_eq!(prefixes, ["p/a/", "p/c\u{10FFFF}/", "p/d/"]);
        }
    }

    #[test]
    fn a_start_may_lie_before_within_or_behind_the_prefix() {
        let index = index(&["p/a", "p/b", "q"]);
        let from = |start: &str| {
            let start = ListStart::After(start.into());
            all(&index, ListRequest { start, ..ListRequest::prefix("p/") }).0
        };
        assert_eq!(from("a"), ["p/a", "p/b"]);
        assert_eq!(from("p/a"), ["p/b"]);
        assert_eq!(from("z"), [""; 0]);
        let start = ListStart::After("p/".into());
        let request = ListRequest { delimiter: "/".into(), start, ..ListRequest::default() };
        assert_eq!(all(&index, request), (vec!["q".into()], vec![], 1));
    }

    #[test]
    fn a_foreign_token_is_refused() {
        for token in ["", "k0", "kzz", "kff", "x61", "f61", "é"] {
            assert_eq!(ListStart::from_token(token), None, "{token}");
        }
    }
}
