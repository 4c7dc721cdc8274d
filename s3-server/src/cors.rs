//! Cross-origin requests of browsers.

use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use s3s::Body;

use crate::answer;

const METHODS: &str = "GET, HEAD, PUT, POST, DELETE";

/// Which pages may use the server from a browser, and which headers of an answer they may see.
///
/// ```
/// use klstore_s3_server::Cors;
/// let cors = Cors::origin("https://example.org");
/// assert!(cors.exposed_headers.iter().any(|name| name == "ETag"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    /// Origins such as `https://example.org`, or `*` for all. None: no page may.
    pub origins: Vec<String>,
    /// Headers of answers that a page may read.
    pub exposed_headers: Vec<String>,
    /// Seconds for which a browser may remember a preflight.
    pub max_age: u32,
}

impl Default for Cors {
    fn default() -> Self {
        let exposed = ["ETag", "Content-Range", "Content-Length", "Accept-Ranges", "Date", "Last-Modified"];
        let exposed = exposed.into_iter().chain(["x-amz-request-id", "x-amz-bucket-region"]);
        Self { origins: Vec::new(), exposed_headers: exposed.map(str::to_owned).collect(), max_age: 600 }
    }
}

impl Cors {
    /// Lets the pages of one origin (or of all: `*`) use the server, and exposes what a reader needs.
    pub fn origin(origin: impl Into<String>) -> Self {
        Self { origins: vec![origin.into()], ..Self::default() }
    }

    /// The value of `Access-Control-Allow-Origin` for a request, if its origin may use the server.
    fn allowed(&self, request: &HeaderMap) -> Option<HeaderValue> {
        let origin = request.get(header::ORIGIN)?;
        if self.origins.iter().any(|allowed| allowed == "*") {
            return Some(HeaderValue::from_static("*"));
        }
        self.origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()).then(|| origin.clone())
    }

    /// The answer to a preflight.
    pub(crate) fn preflight(&self, request: &HeaderMap) -> Response<Body> {
        if self.allowed(request).is_none() {
            let message = "CORSResponse: This CORS request is not allowed.";
            return answer::error(StatusCode::FORBIDDEN, "AccessForbidden", message, &[]);
        }
        let mut response = Response::new(Body::empty());
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
        if let Some(wanted) = request.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
        }
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, self.max_age.into());
        response
    }

    /// Lets the page see an answer, an error too. `hide_etag` leaves ETag out of what it sees.
    pub(crate) fn expose(&self, request: &HeaderMap, response: &mut HeaderMap, hide_etag: bool) {
        if !self.origins.is_empty() {
            response.append(header::VARY, HeaderValue::from_static("Origin"));
        }
        let Some(origin) = self.allowed(request) else { return };
        response.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let exposed = self.exposed_headers.iter().filter(|name| !(hide_etag && name.eq_ignore_ascii_case("etag")));
        let exposed: Vec<&str> = exposed.map(String::as_str).collect();
        if let Ok(exposed) = HeaderValue::from_str(&exposed.join(", ")) {
            response.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        }
    }
}
