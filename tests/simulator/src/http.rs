//! S3 as it is spoken over HTTP: from a request's line, headers and body to what is asked of the store, and back.

use bytes::Bytes;
use klstore_format::plan::{Answer, ByteRange, Cache, Listing, PutKind, Request};

use crate::network::{Harm, Reply, harmed};

/// The bucket of every run.
pub const BUCKET: &str = "bucket";

/// What an HTTP request asks for.
pub struct Asked {
    /// The same in the words of plans.
    pub request: Request,
    form: Form,
}

enum Form {
    /// An empty page of a LIST goes on where it was.
    List {
        start_after: Option<String>,
    },
    Get {
        range: Option<(u64, u64)>,
    },
    Put,
    Delete,
    DeleteMany,
}

/// An HTTP answer.
pub struct Rendered {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: Vec<(&'static str, String)>,
    /// Its body, as far as it came.
    pub body: Bytes,
}

/// What of a request's head counts.
pub struct Head<'a> {
    /// GET, PUT, POST, DELETE.
    pub method: &'a str,
    /// Path and query.
    pub target: &'a str,
    /// `Range`, from the first byte to after the last one.
    pub range: Option<(u64, u64)>,
    /// Whether `If-None-Match: *` is set.
    pub if_none_match: bool,
}

impl Asked {
    /// Understands a request; what is wrong where it is none of S3's.
    pub fn parse(head: &Head<'_>, body: Bytes) -> Result<Self, String> {
        let (path, query) = head.target.split_once('?').unwrap_or((head.target, ""));
        let path = path.trim_start_matches('/');
        let (bucket, name) = path.split_once('/').unwrap_or((path, ""));
        if bucket != BUCKET {
            return Err(format!("`{path}` is in no bucket that there is"));
        }
        let value = |key: &str| {
            let pair = query.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='));
            pair.map(unescape)
        };
        let name = unescape(name);
        let (request, form) = match (head.method, name.as_str()) {
            ("GET", "") => {
                // A continuation token of this store is the name after which it goes on.
                let token = value("continuation-token").map(|token| token.trim_start_matches("after:").to_owned());
                let start_after = token.or(value("start-after")).filter(|after| !after.is_empty());
                let request = Request::List {
                    prefix: value("prefix").unwrap_or_default(),
                    start_after: start_after.clone(),
                    max_keys: value("max-keys").and_then(|keys| keys.parse().ok()).unwrap_or(1_000),
                    delimiter: value("delimiter").is_some(),
                };
                (request, Form::List { start_after })
            }
            ("GET", _) => {
                let range = head.range.map(|(start, end)| ByteRange::new(start, end));
                (Request::Get { name, range, cache: Cache::Reload }, Form::Get { range: head.range })
            }
            ("PUT", _) => {
                let kind = match (head.if_none_match, body.is_empty()) {
                    (true, _) => PutKind::Create,
                    (false, true) => PutKind::Stub,
                    (false, false) => PutKind::Immutable,
                };
                (Request::Put { name, body, kind }, Form::Put)
            }
            ("DELETE", _) => (Request::Delete { names: vec![name] }, Form::Delete),
            ("POST", "") if query.starts_with("delete") => {
                (Request::Delete { names: keys_of(&String::from_utf8_lossy(&body)) }, Form::DeleteMany)
            }
            (method, _) => return Err(format!("{method} {path}?{query} is not understood")),
        };
        Ok(Self { request, form })
    }

    /// The answer as it arrives; `None` where the connection broke.
    pub fn render(&self, reply: Reply) -> Option<Rendered> {
        let (answer, harm) = match reply {
            Reply::Answer(answer, harm) => (answer, harm),
            Reply::Refused(status, code) => return Some(error(status, code)),
            Reply::ErrorInSuccess(code) => return Some(self.error_in_success(code)),
            Reply::Broken => return None,
        };
        let whole = match answer {
            Answer::Listed(listing) => {
                let Form::List { start_after } = &self.form else { return None };
                Rendered {
                    status: 200,
                    headers: Vec::new(),
                    body: list_document(listing, harm, start_after.as_deref()),
                }
            }
            Answer::Got(object) => {
                let Form::Get { range } = self.form else { return None };
                if range.is_some() && object.size == Some(0) {
                    return Some(error(416, "InvalidRange"));
                }
                let mut headers = vec![("etag", format!("\"{}\"", object.etag.unwrap_or_default()))];
                let status = match range {
                    Some((start, _)) if !object.body.is_empty() => {
                        let last = start + object.body.len() as u64 - 1;
                        headers.push((
                            "content-range",
                            format!("bytes {start}-{last}/{}", object.size.unwrap_or(last + 1)),
                        ));
                        206
                    }
                    _ => 200,
                };
                Rendered { status, headers, body: object.body }
            }
            Answer::Missing => error(404, "NoSuchKey"),
            Answer::Exists => error(412, "PreconditionFailed"),
            Answer::Done { etag } => {
                let headers = etag.map(|etag| ("etag", format!("\"{etag}\""))).into_iter().collect();
                let body = match self.form {
                    Form::DeleteMany => Bytes::from_static(b"<DeleteResult></DeleteResult>"),
                    _ => Bytes::new(),
                };
                Rendered { status: if matches!(self.form, Form::Delete) { 204 } else { 200 }, headers, body }
            }
            Answer::Unknown => return None,
        };
        let Rendered { status, mut headers, body } = whole;
        if !matches!(harm, Harm::Cut { shows: false, .. }) {
            headers.push(("content-length", body.len().to_string()));
        }
        Some(Rendered { status, headers, body: harmed(&body, harm) })
    }

    fn error_in_success(&self, code: &str) -> Rendered {
        let body = match (&self.form, &self.request) {
            (Form::DeleteMany, Request::Delete { names }) => {
                let name = names.first().map_or("", String::as_str);
                format!(
                    "<DeleteResult><Error><Key>{name}</Key><Code>{code}</Code><Message>m</Message></Error></DeleteResult>"
                )
            }
            _ => error_document(code),
        };
        let headers = vec![("content-length", body.len().to_string())];
        Rendered { status: 200, headers, body: body.into() }
    }
}

fn error(status: u16, code: &str) -> Rendered {
    let body = if code.is_empty() { String::new() } else { error_document(code) };
    Rendered { status, headers: vec![("content-length", body.len().to_string())], body: body.into() }
}

fn error_document(code: &str) -> String {
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>m</Message></Error>")
}

fn list_document(mut listing: Listing, harm: Harm, start_after: Option<&str>) -> Bytes {
    if let Harm::Short(thousandths) = harm {
        let keep = listing.objects.len() * thousandths as usize / 1_000;
        if keep < listing.objects.len() {
            listing.objects.truncate(keep);
            listing.truncated = true;
        }
    }
    let mut document = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
         <EncodingType>url</EncodingType>",
    );
    document.push_str(&format!("<IsTruncated>{}</IsTruncated>", listing.truncated));
    if listing.truncated {
        let after = listing.objects.last().map(|object| object.name.as_str()).or(start_after).unwrap_or_default();
        document.push_str(&format!("<NextContinuationToken>after:{after}</NextContinuationToken>"));
    }
    for object in &listing.objects {
        let (name, etag, size) = (&object.name, &object.etag, object.size);
        document.push_str(&format!(
            "<Contents><Key>{name}</Key><ETag>&quot;{etag}&quot;</ETag><Size>{size}</Size></Contents>"
        ));
    }
    document.push_str("</ListBucketResult>");
    document.into()
}

/// The keys of a DeleteObjects document. The tests' names hold nothing that XML escapes.
fn keys_of(document: &str) -> Vec<String> {
    let parts = document.split("<Key>").skip(1);
    parts.filter_map(|part| part.split_once("</Key>")).map(|(key, _)| key.to_owned()).collect()
}

fn unescape(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}
