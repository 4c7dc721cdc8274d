//! S3 over HTTP: signed requests, and what their answers mean.

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use klstore_format::plan::Listing;
use klstore_format::rules::{self, Rule};

use crate::credentials::CredentialsSource;
use crate::endpoint::Endpoint;
use crate::environment::Environment;
use crate::error::ReaderError;
use crate::get_object::read_object;
use crate::list_objects::{self, MAX_EMPTY_LISTINGS, MAX_LISTING_BYTES, Page};
use crate::service_error::{Asked, Verdict, is_error_document, judge};
use crate::sign::{Signed, Signing, sign_get};
use crate::source::{GetObject, ListObjects, ObjectSource, SourceError, SourceObject};
use crate::transport::{HttpRequest, HttpResponse, Transport, TransportError};

/// One bucket, and all it takes to read from it.
pub(crate) struct S3Source {
    pub(crate) endpoint: Endpoint,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) credentials: Arc<dyn CredentialsSource>,
    pub(crate) environment: Arc<dyn Environment>,
    pub(crate) signing: Signing,
}

#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
impl ObjectSource for S3Source {
    async fn list(&self, request: &ListObjects) -> Result<Listing, SourceError> {
        let ListObjects { prefix, start_after, max_keys, delimiter } = request;
        let query = list_objects::query(prefix, start_after.as_deref(), *max_keys, *delimiter);
        let mut page = self.list_page(prefix, *max_keys, &query).await?;
        // An answer may be shorter than asked for, even empty; empty must mean that there is nothing.
        for _ in 0..MAX_EMPTY_LISTINGS {
            let Some(token) = page.next.as_deref().filter(|_| page.goes_on() && rules::kept(Rule::ListGoesOn)) else {
                return Ok(page.listing);
            };
            page = self.list_page(prefix, *max_keys, &list_objects::continued(&query, token)).await?;
        }
        let reason = format!(
            "{MAX_EMPTY_LISTINGS} answers of {} in a row held no name and said that more follow",
            self.endpoint
        );
        Err(SourceError::Final(ReaderError::Configuration { reason }))
    }

    async fn get(&self, request: &GetObject) -> Result<Option<SourceObject>, SourceError> {
        let http = HttpRequest {
            url: self.endpoint.object_url(&request.name),
            headers: Vec::new(),
            range: request.range.clone(),
            limit: request.limit,
            reload: request.reload,
        };
        let (response, at) = self.send(http).await?;
        let asked = Asked { endpoint: &self.endpoint, object: &request.name, is_list: false, at };
        match response.status {
            200 | 206 => read_object(&response, request.range.clone()).map_err(SourceError::Passing),
            _ => match judge(&asked, &response) {
                Verdict::Missing => Ok(None),
                _ => Err(refusal(&asked, &response)),
            },
        }
    }

    fn describe(&self) -> String {
        self.endpoint.to_string()
    }
}

impl S3Source {
    /// One answer to a LIST.
    async fn list_page(&self, prefix: &str, max_keys: u32, query: &str) -> Result<Page, SourceError> {
        let http = HttpRequest {
            url: self.endpoint.list_url(query),
            headers: Vec::new(),
            range: None,
            limit: MAX_LISTING_BYTES,
            reload: true,
        };
        let (response, at) = self.send(http).await?;
        let asked = Asked { endpoint: &self.endpoint, object: prefix, is_list: true, at };
        let body = response.body.joined();
        if response.status != 200 || (is_error_document(&body) && rules::kept(Rule::ErrorInSuccess)) {
            return Err(refusal(&asked, &response));
        }
        list_objects::parse(&body, max_keys).map_err(|problem| {
            let reason = format!(
                "the answer of {} to a LIST is not S3's ({problem}): check endpoint and path_style",
                self.endpoint
            );
            // A body that was cut on its way looks the same, and is worth another attempt.
            match problem {
                "it ends too early" | "it is not well-formed XML" => SourceError::Passing(reason),
                _ => SourceError::Final(ReaderError::Configuration { reason }),
            }
        })
    }

    /// Sends a request once it is signed, and says when that was.
    async fn send(&self, mut request: HttpRequest) -> Result<(HttpResponse, SystemTime), SourceError> {
        let credentials = self.credentials.credentials().await.map_err(|unavailable| {
            SourceError::Final(ReaderError::Credentials {
                store: self.endpoint.to_string(),
                reason: format!(
                    "{unavailable}; set access_key and secret_key, a profile, or AWS's environment variables, or \
                     anonymous for a public bucket"
                ),
            })
        })?;
        let now = self.environment.now();
        if let Some(credentials) = credentials {
            let Signed { url, headers } = sign_get(request.url, &credentials, &self.endpoint.region, self.signing, now);
            (request.url, request.headers) = (url, headers);
        }
        let response = self.transport.execute(request).await.map_err(|error| match error {
            TransportError::Invalid { reason } => SourceError::Final(ReaderError::Configuration { reason }),
            TransportError::UntrustedCertificate { reason } => {
                SourceError::Final(ReaderError::UntrustedCertificate { store: self.endpoint.to_string(), reason })
            }
            TransportError::CrossOrigin { origin } => {
                SourceError::Final(ReaderError::CrossOrigin { origin, store: self.endpoint.to_string() })
            }
            error => SourceError::Passing(error.to_string()),
        })?;
        Ok((response, now))
    }
}

fn refusal(asked: &Asked<'_>, response: &HttpResponse) -> SourceError {
    match judge(asked, response) {
        Verdict::Final(error) => SourceError::Final(error),
        Verdict::Passing(reason) => SourceError::Passing(reason),
        Verdict::Missing => SourceError::Passing(format!("status {}", response.status)),
    }
}
