//! GetObject: what a success must hold together for before it is believed.

use std::ops::Range;

use klstore_format::rules::{self, Rule};

use crate::list_objects::bare_etag;
use crate::source::SourceObject;
use crate::transport::HttpResponse;

/// Checks a success against what its headers promise, as far as they are shown. `None` where the range lies beyond
/// the end of the object.
///
/// # Errors
///
/// What does not fit: bytes were lost on the way, or the server answered another question.
pub(crate) fn read_object(response: &HttpResponse, range: Option<Range<u64>>) -> Result<Option<SourceObject>, String> {
    let body = response.body.clone();
    let came = body.len();
    let content_length: Option<u64> = response.header("content-length").and_then(|value| value.parse().ok());
    let size = match (response.status, range) {
        (206, Some(range)) => {
            expect(came, content_length.unwrap_or(came))?;
            match response.header("content-range") {
                Some(value) => check_range(value, &range, came)?,
                // Hidden by CORS; the blocks in the body are checked by their own checksums.
                None => None,
            }
        }
        (206, None) => return Err("a part came where the whole was asked for".to_owned()),
        // The server ignored the range: the body is cut to it already.
        (_, Some(_)) if came == 0 => return Ok(None),
        (_, Some(range)) => {
            let size = content_length;
            expect(came, size.map_or(came, |size| range.end.min(size).saturating_sub(range.start)))?;
            size
        }
        (_, None) => {
            expect(came, content_length.unwrap_or(came))?;
            Some(came)
        }
    };
    let etag = response.header("etag").map(|etag| bare_etag(etag).to_owned());
    Ok(Some(SourceObject { body, etag, size, received: response.received }))
}

fn expect(came: u64, expected: u64) -> Result<(), String> {
    if came == expected || !rules::kept(Rule::ReaderBodyLength) {
        Ok(())
    } else {
        Err(format!("{came} bytes came of {expected}"))
    }
}

/// The size of the whole object, where `Content-Range` tells it.
fn check_range(value: &str, asked: &Range<u64>, came: u64) -> Result<Option<u64>, String> {
    let (first, last, size) = content_range(value).ok_or("its Content-Range makes no sense")?;
    let end = size.map_or(asked.end, |size| asked.end.min(size));
    if first != asked.start || last.checked_add(1) != Some(end) {
        return Err("it is of another range than asked for".to_owned());
    }
    expect(came, end - first)?;
    Ok(size)
}

/// First and last byte and the whole size, from `bytes FIRST-LAST/SIZE`.
fn content_range(value: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, size) = value.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    let size = if size == "*" { None } else { Some(size.parse().ok()?) };
    (first <= last && size.is_none_or(|size| last < size)).then_some((first, last, size))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn read(
        status: u16,
        headers: &[(&'static str, &'static str)],
        body: &'static str,
        range: Option<Range<u64>>,
    ) -> Result<Option<SourceObject>, String> {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let response = HttpResponse { status, headers, body: Bytes::from(body).into(), received: body.len() as u64 };
        read_object(&response, range)
    }

    fn object(body: &'static str, size: Option<u64>) -> Result<Option<SourceObject>, String> {
        let received = body.len() as u64;
        Ok(Some(SourceObject { body: Bytes::from(body).into(), etag: None, size, received }))
    }

    #[test]
    fn a_part_tells_the_size_of_the_whole() {
        assert_eq!(read(206, &[("content-range", "bytes 2-4/9")], "cde", Some(2..5)), object("cde", Some(9)));
        assert_eq!(read(206, &[("content-range", "bytes 2-4/5")], "cde", Some(2..100)), object("cde", Some(5)));
        assert_eq!(read(206, &[("content-range", "bytes 2-4/*")], "cde", Some(2..5)), object("cde", None));
        assert_eq!(read(206, &[], "cd", Some(2..5)), object("cd", None));
    }

    #[test]
    fn what_was_cut_or_is_of_another_range_is_noticed() {
        for (value, body) in [
            ("bytes 2-4/9", "cd"),
            ("bytes 2-4/9", "cdef"),
            ("bytes 1-4/9", "bcde"),
            ("bytes 2-3/9", "cd"),
            ("bytes 2-5/9", "cdef"),
            ("bytes 4-2/9", "cde"),
            ("bytes 2-4/4", "cde"),
            ("bytes 2-18446744073709551615/*", "cde"),
            ("items 2-4/9", "cde"),
        ] {
            assert!(read(206, &[("content-range", value)], body, Some(2..5)).is_err(), "{value} {body}");
        }
        assert!(read(206, &[("content-length", "4")], "cde", Some(2..5)).is_err());
        assert!(read(206, &[], "cde", None).is_err());
        assert!(read(200, &[("content-length", "4")], "cde", None).is_err());
        assert!(read(200, &[("content-length", "9")], "cd", Some(2..5)).is_err());
    }

    #[test]
    fn the_whole_where_a_part_was_asked_for() {
        assert_eq!(read(200, &[("content-length", "9")], "cde", Some(2..5)), object("cde", Some(9)));
        assert_eq!(read(200, &[("content-length", "4")], "cd", Some(2..5)), object("cd", Some(4)));
        assert_eq!(read(200, &[("content-length", "2")], "", Some(2..5)), Ok(None));
        assert_eq!(read(200, &[], "abc", None), object("abc", Some(3)));
    }

    #[test]
    fn etags_are_bare() {
        let read = read(200, &[("etag", "W/\"a-1\"")], "abc", None).map(|object| object.and_then(|object| object.etag));
        assert_eq!(read, Ok(Some("a-1".to_owned())));
    }
}
