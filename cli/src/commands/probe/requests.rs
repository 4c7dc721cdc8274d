//! Requests as they are, with what the store answered to each: status, headers, body.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    Builder, ConfigBag, Intercept, RequestChecksumCalculation, ResponseChecksumValidation, RuntimeComponents,
};
use aws_sdk_s3::error::{BoxError, DisplayErrorContext};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Delete, EncodingType, ObjectIdentifier};
use klstore_format::S3StoreConfig;
use klstore_format::config::Checksums;

use crate::failure::{Failure, Kind};

/// A store that takes longer for a few bytes is not probed any further.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);
/// No object of the probe is larger.
const MAX_BODY_BYTES: usize = 64 << 10;
const NO_ERROR: Option<std::convert::Infallible> = None;

/// One answer.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// HTTP's status; 0 where no answer came.
    pub status: u16,
    /// By their names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
    /// What went wrong on the way, beside the status.
    pub trouble: Option<String>,
}

impl Seen {
    /// Whether the request was answered with success, all of it.
    pub fn succeeded(&self) -> bool {
        (200..300).contains(&self.status) && self.trouble.is_none()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// For people.
    pub fn said(&self) -> String {
        match (self.status, &self.trouble) {
            (0, trouble) => format!("no answer ({})", trouble.as_deref().unwrap_or("unknown reason")),
            (status @ 200..300, Some(trouble)) => format!("{status}, but {trouble}"),
            (status, _) => status.to_string(),
        }
    }
}

/// The answer to a LIST.
#[derive(Debug, Clone, Default)]
pub struct SeenList {
    pub seen: Seen,
    /// Names without the probe's prefix, as klstore understands them.
    pub names: Vec<String>,
    /// Names as the store wrote them.
    pub raw_names: Vec<String>,
    /// One for each name.
    pub etags: Vec<String>,
    pub sizes: Vec<i64>,
    pub common_prefixes: Vec<String>,
    /// Where more follow.
    pub continuation: Option<String>,
}

/// What to list.
#[derive(Debug, Clone, Default)]
pub struct List<'a> {
    pub prefix: &'a str,
    pub start_after: Option<&'a str>,
    pub max_keys: Option<i32>,
    pub delimiter: bool,
    pub continuation: Option<String>,
}

/// Sends requests for objects below one prefix, each once.
pub struct Requests {
    client: Client,
    bucket: String,
    prefix: String,
}

impl Requests {
    /// # Errors
    /// Settings that name no usable credentials.
    pub async fn new(config: &S3StoreConfig, prefix: &str) -> Result<Self, Failure> {
        let shared = klstore_credentials::sdk_config(config).await;
        let shared = shared.map_err(|error| Failure::new(Kind::Access, error.to_string()))?;
        let checksums = match config.checksums {
            Checksums::WhenRequired => RequestChecksumCalculation::WhenRequired,
            Checksums::Always => RequestChecksumCalculation::WhenSupported,
        };
        let mut builder = Builder::from(&shared)
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIMEOUT).build())
            .force_path_style(config.path_style)
            .request_checksum_calculation(checksums)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .disable_clock_skew_correction(true);
        if config.anonymous {
            builder = builder.allow_no_auth();
        }
        let client = Client::from_conf(builder.build());
        Ok(Self { client, bucket: config.bucket_name.clone(), prefix: prefix.to_owned() })
    }

    fn full(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// PUTs an object, with `If-None-Match: *` where it is to be `create`d only.
    pub async fn put(&self, name: &str, body: &[u8], create: bool) -> Seen {
        let recorder = Recorder::default();
        let request = self.client.put_object().bucket(&self.bucket).key(self.full(name));
        let request = request.body(ByteStream::from(body.to_vec()));
        let request = request.set_if_none_match(create.then(|| "*".to_owned()));
        let sent = request.customize().interceptor(recorder.clone()).send().await;
        recorder.seen(sent.err())
    }

    pub async fn get(&self, name: &str, range: Option<&str>) -> Seen {
        self.get_from(name, range, None).await
    }

    /// A GET as a page of this origin would send it.
    pub async fn get_from(&self, name: &str, range: Option<&str>, origin: Option<&'static str>) -> Seen {
        let recorder = Recorder::default();
        let request = self.client.get_object().bucket(&self.bucket).key(self.full(name));
        let request = request.set_range(range.map(str::to_owned)).customize().interceptor(recorder.clone());
        let request = request.mutate_request(move |request| {
            if let Some(origin) = origin {
                request.headers_mut().insert("origin", origin);
            }
        });
        match request.send().await {
            Ok(mut output) => {
                let mut seen = recorder.seen(NO_ERROR);
                seen.trouble = receive(&mut output.body, &mut seen.body).await.err();
                seen
            }
            Err(error) => recorder.seen(Some(error)),
        }
    }

    pub async fn list(&self, list: List<'_>) -> SeenList {
        let recorder = Recorder::default();
        let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(self.full(list.prefix));
        let request = request
            .set_start_after(list.start_after.map(|name| self.full(name)))
            .set_continuation_token(list.continuation)
            .set_max_keys(list.max_keys)
            .set_delimiter(list.delimiter.then(|| "/".to_owned()))
            .encoding_type(EncodingType::Url);
        let output = match request.customize().interceptor(recorder.clone()).send().await {
            Ok(output) => output,
            Err(error) => return SeenList { seen: recorder.seen(Some(error)), ..SeenList::default() },
        };
        let encoded = output.encoding_type() == Some(&EncodingType::Url);
        let name = |raw: &str| {
            let name = match encoded {
                true => percent_encoding::percent_decode_str(raw).decode_utf8_lossy().into_owned(),
                false => raw.to_owned(),
            };
            name.strip_prefix(&self.prefix).map_or(name.clone(), str::to_owned)
        };
        let objects = output.contents();
        SeenList {
            seen: recorder.seen(NO_ERROR),
            names: objects.iter().map(|object| name(object.key().unwrap_or_default())).collect(),
            raw_names: objects.iter().map(|object| object.key().unwrap_or_default().to_owned()).collect(),
            etags: objects.iter().map(|object| object.e_tag().unwrap_or_default().to_owned()).collect(),
            sizes: objects.iter().map(|object| object.size().unwrap_or(-1)).collect(),
            common_prefixes: output.common_prefixes().iter().map(|c| name(c.prefix().unwrap_or_default())).collect(),
            continuation: output.next_continuation_token().map(str::to_owned),
        }
    }

    pub async fn delete(&self, name: &str) -> Seen {
        let recorder = Recorder::default();
        let request = self.client.delete_object().bucket(&self.bucket).key(self.full(name));
        recorder.seen(request.customize().interceptor(recorder.clone()).send().await.err())
    }

    /// Deletes by one request; the names that the store says it did not delete are the trouble.
    pub async fn delete_many(&self, names: &[&str]) -> Seen {
        let recorder = Recorder::default();
        let identifiers: Result<Vec<_>, _> =
            names.iter().map(|name| ObjectIdentifier::builder().key(self.full(name)).build()).collect();
        let delete = identifiers.and_then(|objects| Delete::builder().set_objects(Some(objects)).quiet(true).build());
        let delete = match delete {
            Ok(delete) => delete,
            Err(error) => return recorder.seen(Some(error)),
        };
        let request = self.client.delete_objects().bucket(&self.bucket).delete(delete);
        match request.customize().interceptor(recorder.clone()).send().await {
            Ok(output) => {
                let mut seen = recorder.seen(NO_ERROR);
                let codes: Vec<&str> = output.errors().iter().map(|error| error.code().unwrap_or("?")).collect();
                seen.trouble = (!codes.is_empty()).then(|| format!("errors for {} names: {codes:?}", codes.len()));
                seen
            }
            Err(error) => recorder.seen(Some(error)),
        }
    }
}

/// Reads a body up to its end or the bound.
async fn receive(stream: &mut ByteStream, body: &mut Vec<u8>) -> Result<(), String> {
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|error| format!("the body broke off after {} bytes: {error}", body.len()))?;
        if body.len() + chunk.len() > MAX_BODY_BYTES {
            return Err(format!("the body is longer than {MAX_BODY_BYTES} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(())
}

/// Notes the head of the one answer to one request.
#[derive(Debug, Clone, Default)]
struct Recorder(Arc<Mutex<Seen>>);

impl Intercept for Recorder {
    fn name(&self) -> &'static str {
        "Recorder"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        let headers = response.headers().iter().map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = Seen { status: response.status().as_u16(), headers: headers.collect(), ..Seen::default() };
        Ok(())
    }
}

impl Recorder {
    fn seen<E: Error>(&self, error: Option<E>) -> Seen {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        seen.trouble = error.map(|error| DisplayErrorContext(error).to_string());
        seen
    }
}
