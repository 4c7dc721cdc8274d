//! ListObjectsV2: the query that asks and the XML that answers.

use klstore_format::plan::{Listed, Listing};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::xml;

/// Bytes of the largest answer that is taken: 1,000 names of 1,024 bytes, each three times as long once encoded,
/// with all that stands around them.
pub(crate) const MAX_LISTING_BYTES: u64 = 8 << 20;
/// Names that S3 puts into one answer at most.
pub(crate) const MAX_KEYS: u32 = 1_000;

/// What stays as it is in URLs and signatures.
pub(crate) const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// How many empty but unfinished answers are followed before the store is given up on.
pub(crate) const MAX_EMPTY_LISTINGS: u32 = 100;

/// An answer to a LIST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) listing: Listing,
    /// Asks for what follows.
    pub(crate) next: Option<String>,
}

impl Page {
    /// Whether the answer holds no name and yet says that more follow: it does not mean that there is nothing.
    pub(crate) fn goes_on(&self) -> bool {
        let empty = self.listing.objects.is_empty() && self.listing.common_prefixes.is_empty();
        empty && self.listing.truncated && self.next.is_some()
    }
}

/// The query string of a LIST, without `?`.
pub(crate) fn query(prefix: &str, start_after: Option<&str>, max_keys: u32, delimiter: bool) -> String {
    let encode = |value| utf8_percent_encode(value, UNRESERVED);
    let max_keys = max_keys.clamp(1, MAX_KEYS);
    let mut query = format!("list-type=2&encoding-type=url&max-keys={max_keys}&prefix={}", encode(prefix));
    if delimiter {
        query.push_str("&delimiter=%2F");
    }
    if let Some(start_after) = start_after {
        query.push_str(&format!("&start-after={}", encode(start_after)));
    }
    query
}

/// Reads the answer to a LIST of at most `max_keys` names.
///
/// # Errors
///
/// A short reason where it is no ListObjectsV2 answer or lists names out of order, which every plan relies on.
pub(crate) fn parse(document: &[u8], max_keys: u32) -> Result<Page, &'static str> {
    let mut answer = Answer::default();
    xml::walk(document, &mut |path, text| answer.element(path, text))?;
    if !answer.is_listing {
        return Err("it is no ListBucketResult");
    }
    if let Some(problem) = answer.problem {
        return Err(problem);
    }
    let decode = |name: String| {
        if answer.url_encoded { url_decode(name) } else { name }
    };
    let listing = Listing {
        objects: answer.objects.into_iter().map(|object| Listed { name: decode(object.name), ..object }).collect(),
        common_prefixes: answer.common_prefixes.into_iter().map(decode).collect(),
        truncated: answer.truncated,
    };
    Ok(Page { listing: checked(listing, max_keys)?, next: answer.next })
}

/// A query that goes on where an answer ended.
pub(crate) fn continued(query: &str, token: &str) -> String {
    // The token says where to go on, not the name that the first query may have begun after.
    let kept: Vec<&str> = query.split('&').filter(|part| !part.starts_with("start-after=")).collect();
    format!("{}&continuation-token={}", kept.join("&"), utf8_percent_encode(token, UNRESERVED))
}

/// A listing of at most `max_keys` names.
///
/// # Errors
///
/// A short reason where its names are out of order, which every plan relies on.
pub(crate) fn checked(mut listing: Listing, max_keys: u32) -> Result<Listing, &'static str> {
    if !listing.objects.is_sorted_by(|one, next| one.name < next.name)
        || !listing.common_prefixes.is_sorted_by(|one, next| one < next)
    {
        return Err("it lists names out of order");
    }
    cut(&mut listing, max_keys as usize);
    Ok(listing)
}

/// An ETag without quotes and without the mark of a weak one.
pub(crate) fn bare_etag(etag: &str) -> &str {
    let etag = etag.trim();
    etag.strip_prefix("W/").unwrap_or(etag).trim_matches('"')
}

#[derive(Default)]
struct Answer {
    is_listing: bool,
    url_encoded: bool,
    truncated: bool,
    next: Option<String>,
    object: Option<Listed>,
    objects: Vec<Listed>,
    common_prefixes: Vec<String>,
    problem: Option<&'static str>,
}

impl Answer {
    fn element(&mut self, path: &[String], text: &str) {
        let mut names = [""; 3];
        if path.len() > names.len() {
            return;
        }
        for (name, part) in names.iter_mut().zip(path) {
            *name = part;
        }
        if names[0] != "ListBucketResult" {
            return;
        }
        let object = self.object.get_or_insert_with(|| Listed { name: String::new(), etag: String::new(), size: 0 });
        match names {
            [_, "", ""] => self.is_listing = true,
            [_, "EncodingType", ""] => self.url_encoded = text.eq_ignore_ascii_case("url"),
            [_, "IsTruncated", ""] => self.truncated = text.trim() == "true",
            [_, "NextContinuationToken", ""] => self.next = Some(text.to_owned()).filter(|token| !token.is_empty()),
            [_, "Contents", "Key"] => object.name = text.to_owned(),
            [_, "Contents", "ETag"] => object.etag = bare_etag(text).to_owned(),
            [_, "Contents", "Size"] => match text.trim().parse() {
                Ok(size) => object.size = size,
                Err(_) => self.problem = Some("a size in it is no number"),
            },
            [_, "Contents", ""] => self.objects.extend(self.object.take()),
            [_, "CommonPrefixes", "Prefix"] => self.common_prefixes.push(text.to_owned()),
            _ => {}
        }
    }
}

/// klstore's own names hold nothing that is ever encoded (no space, `+` or `%`), so how a server writes a space does
/// not matter. A foreign name that is not UTF-8 keeps its `%` and so is never taken for one of ours.
fn url_decode(name: String) -> String {
    match percent_decode_str(&name).decode_utf8() {
        Ok(decoded) => decoded.into_owned(),
        Err(_) => name,
    }
}

/// Leaves the first `max_keys` names and prefixes together, in the order in which S3 counts them.
fn cut(listing: &mut Listing, max_keys: usize) {
    while listing.objects.len() + listing.common_prefixes.len() > max_keys {
        listing.truncated = true;
        let object = listing.objects.last().map(|object| object.name.as_str());
        let prefix = listing.common_prefixes.last().map(String::as_str);
        if object > prefix {
            listing.objects.pop();
        } else {
            listing.common_prefixes.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bucket</Name><Prefix>p/</Prefix>
  <KeyCount>3</KeyCount><MaxKeys>3</MaxKeys><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>
  <Contents><Key>p/a%2Bb</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>
    <ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag><Size>0</Size><StorageClass>STANDARD</StorageClass></Contents>
  <Contents><Key>p/c~20d</Key><ETag>W/"x-2"</ETag><Size>18446744073709551615</Size><Owner><ID>o</ID></Owner></Contents>
  <CommonPrefixes><Prefix>p/e/</Prefix></CommonPrefixes>
</ListBucketResult>"#;

    #[test]
    fn the_query_is_encoded_once() {
        assert_eq!(
            query("a b/~20", Some("a/é+"), 5, true),
            "list-type=2&encoding-type=url&max-keys=5&prefix=a%20b%2F~20&delimiter=%2F&start-after=a%2F%C3%A9%2B"
        );
        assert!(query("", None, 0, false).contains("max-keys=1&"));
    }

    #[test]
    fn an_answer_of_s3() -> Result<(), &'static str> {
        let listed = |name: &str, etag: &str, size| Listed { name: name.into(), etag: etag.into(), size };
        let expected = Listing {
            objects: vec![listed("p/a+b", "d41d8cd98f00b204e9800998ecf8427e", 0), listed("p/c~20d", "x-2", u64::MAX)],
            common_prefixes: vec!["p/e/".into()],
            truncated: true,
        };
        assert_eq!(parse(SAMPLE.as_bytes(), 1_000)?, Page { listing: expected, next: None });
        Ok(())
    }

    #[test]
    fn a_server_that_sends_more_than_was_asked_for_is_cut_in_order() -> Result<(), &'static str> {
        let answer = SAMPLE.replace("<IsTruncated>true", "<IsTruncated>false");
        let listing = parse(answer.as_bytes(), 2)?.listing;
        assert_eq!((listing.objects.len(), listing.common_prefixes.len(), listing.truncated), (2, 0, true));
        Ok(())
    }

    #[test]
    fn an_empty_answer_may_say_that_more_follow() -> Result<(), &'static str> {
        let answer = "<ListBucketResult><IsTruncated>true</IsTruncated>\
            <NextContinuationToken>1/a+b=</NextContinuationToken></ListBucketResult>";
        let page = parse(answer.as_bytes(), 1)?;
        assert!(page.goes_on());
        let asked = query("p/", Some("p/a"), 1, false);
        assert_eq!(
            continued(&asked, page.next.as_deref().unwrap_or_default()),
            "list-type=2&encoding-type=url&max-keys=1&prefix=p%2F&continuation-token=1%2Fa%2Bb%3D"
        );
        // Nothing follows, or there is no way to ask for it, or it holds a name.
        let ended = answer.replace("true", "false");
        let mute = answer.replace("1/a+b=", "");
        for other in [&ended, &mute, SAMPLE] {
            assert!(!parse(other.as_bytes(), 9)?.goes_on(), "{other}");
        }
        Ok(())
    }

    #[test]
    fn without_the_encoding_a_percent_sign_is_itself() -> Result<(), &'static str> {
        let answer = SAMPLE.replace("<EncodingType>url</EncodingType>", "");
        assert_eq!(parse(answer.as_bytes(), 9)?.listing.objects[0].name, "p/a%2Bb");
        Ok(())
    }

    #[test]
    fn names_out_of_order_are_refused() {
        let answer = SAMPLE.replace("p/a%2Bb", "p/z");
        assert_eq!(parse(answer.as_bytes(), 9), Err("it lists names out of order"));
    }

    #[test]
    fn other_documents_are_refused() {
        for document in ["<html><body/></html>", "<Error><Code>InternalError</Code></Error>", "", "{}"] {
            assert!(parse(document.as_bytes(), 9).is_err(), "{document}");
        }
        let answer = SAMPLE.replace("<Size>0<", "<Size>-1<");
        assert!(parse(answer.as_bytes(), 9).is_err());
    }

    #[test]
    fn etags_lose_quotes_and_weakness() {
        for etag in ["abc", "\"abc\"", "W/\"abc\""] {
            assert_eq!(bare_etag(etag), "abc");
        }
    }
}
