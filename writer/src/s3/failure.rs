//! What an error of the SDK means.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use klstore_credentials::network::certificate_problem;

use super::S3ObjectStore;
use crate::store::StoreError;

/// A failed request, told apart by what the caller looks at.
pub(super) enum Failure {
    /// 404: there is no such object.
    NotFound,
    /// 412: the condition does not hold.
    Exists,
    /// 416: the range begins beyond the end of the object.
    BeyondEnd,
    /// Everything else.
    Other(StoreError),
}

impl Failure {
    /// The error where none of the special answers is expected.
    pub(super) fn into_error(self, action: &'static str, object: &str) -> StoreError {
        let reason = match self {
            Self::Other(error) => return error,
            Self::NotFound => "the store says 404",
            Self::Exists => "the store says 412, although no condition was set",
            Self::BeyondEnd => "the store says 416",
        };
        StoreError::Rejected { action, object: object.to_owned(), reason: reason.to_owned() }
    }
}

impl S3ObjectStore {
    /// What `error` means for `action` on `object`.
    pub(super) fn failure<E>(&self, action: &'static str, object: &str, error: SdkError<E, HttpResponse>) -> Failure
    where
        E: Error + ProvideErrorMetadata + 'static,
    {
        let status = error.raw_response().map(|response| response.status().as_u16());
        match (status, error.code()) {
            (Some(404), Some("NoSuchBucket")) => Failure::Other(self.of_response(action, object, &error)),
            (Some(404), _) => Failure::NotFound,
            (Some(412), _) => Failure::Exists,
            (Some(416), _) => Failure::BeyondEnd,
            (Some(_), _) => Failure::Other(self.of_response(action, object, &error)),
            (None, _) => Failure::Other(self.of_silence(action, object, &error)),
        }
    }

    /// The same where no special answer is expected.
    pub(super) fn error<E>(&self, action: &'static str, object: &str, error: SdkError<E, HttpResponse>) -> StoreError
    where
        E: Error + ProvideErrorMetadata + 'static,
    {
        self.failure(action, object, error).into_error(action, object)
    }

    fn of_response<E>(&self, action: &'static str, object: &str, error: &SdkError<E, HttpResponse>) -> StoreError
    where
        E: Error + ProvideErrorMetadata + 'static,
    {
        let response = error.raw_response();
        let status = response.map_or(0, |response| response.status().as_u16());
        let header = |name| response.and_then(|response| response.headers().get(name));
        let code = error.code().unwrap_or_default();
        let message = error.message().unwrap_or_default();
        let bucket = self.bucket.clone();
        match (status, code) {
            (301 | 307, _) | (400, "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException") => {
                StoreError::WrongRegion {
                    bucket,
                    configured: self.region.clone(),
                    actual: header("x-amz-bucket-region").map(str::to_owned).or_else(|| expected_region(message)),
                }
            }
            (_, "RequestTimeTooSkewed") => {
                let server_time = header("date").unwrap_or("nothing").to_owned();
                StoreError::ClockSkew { bucket, server_time }
            }
            _ if !code.is_empty() && status != 200 => match self.of_code(action, object, code, message) {
                // A code of this store's own, such as SlowDownWrite: the status says that the outcome is open.
                StoreError::Rejected { action, object, reason } if leaves_open(status) => {
                    StoreError::Unavailable { action, object, reason }
                }
                error => error,
            },
            (200..=299, _) => {
                // A success that could not be understood: its effect is open.
                StoreError::Unavailable { action, object: object.to_owned(), reason: chain(error) }
            }
            _ => self.of_status(action, object, status),
        }
    }

    /// By the error code of the store's XML.
    pub(super) fn of_code(&self, action: &'static str, object: &str, code: &str, message: &str) -> StoreError {
        let bucket = self.bucket.clone();
        let object = object.to_owned();
        let reason = if message.is_empty() { code.to_owned() } else { format!("{code}: {message}") };
        match code {
            "NoSuchBucket" => StoreError::BucketNotFound { bucket, endpoint: self.endpoint.clone() },
            // The code alone: the message of a wrong signature repeats the key id.
            "InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "ExpiredToken"
            | "InvalidToken"
            | "TokenRefreshRequired"
            | "InvalidClientTokenId"
            | "UnrecognizedClientException" => StoreError::InvalidCredentials { bucket, reason: code.to_owned() },
            "AccessDenied" | "AllAccessDisabled" | "AccountProblem" | "Forbidden" => {
                let code = code.to_owned();
                StoreError::AccessDenied { action, object, bucket, code, permissions: permissions(action) }
            }
            "NotImplemented" | "MethodNotAllowed" => StoreError::NotSupported { action, object, bucket, reason },
            "InternalError"
            | "ServiceUnavailable"
            | "SlowDown"
            | "Throttling"
            | "ThrottlingException"
            | "TooManyRequests"
            | "RequestTimeout"
            | "RequestLimitExceeded"
            | "OperationAborted"
            | "ConditionalRequestConflict"
            | "BadDigest"
            | "IncompleteBody" => StoreError::Unavailable { action, object, reason },
            _ => StoreError::Rejected { action, object, reason },
        }
    }

    /// Without a code there is only the status.
    fn of_status(&self, action: &'static str, object: &str, status: u16) -> StoreError {
        let reason = format!("the store says {status}");
        let bucket = self.bucket.clone();
        let object = object.to_owned();
        match status {
            403 | 401 => {
                let code = status.to_string();
                StoreError::AccessDenied { action, object, bucket, code, permissions: permissions(action) }
            }
            405 | 501 => StoreError::NotSupported { action, object, bucket, reason },
            _ if leaves_open(status) => StoreError::Unavailable { action, object, reason },
            _ => StoreError::Rejected { action, object, reason },
        }
    }

    /// No response at all: the endpoint, the line, or what comes before a request is sent.
    fn of_silence<E>(&self, action: &'static str, object: &str, error: &SdkError<E, HttpResponse>) -> StoreError
    where
        E: Error + 'static,
    {
        if let Some(reason) = credentials_reason(error) {
            return StoreError::InvalidCredentials { bucket: self.bucket.clone(), reason };
        }
        // Where credentials were asked for, it is not the store that is not trusted.
        let asked_store = !causes(error).any(|cause| cause.is::<CredentialsError>());
        if let Some(reason) = certificate_problem(error).filter(|_| asked_store) {
            let (bucket, endpoint) = (self.bucket.clone(), self.endpoint.clone());
            return StoreError::UntrustedCertificate { bucket, endpoint, reason };
        }
        let reason = chain(error);
        let object = object.to_owned();
        match error {
            SdkError::ConstructionFailure(_) => StoreError::Rejected { action, object, reason },
            SdkError::DispatchFailure(failure) if failure.is_user() => StoreError::Rejected { action, object, reason },
            _ => StoreError::Unavailable {
                action,
                object,
                reason: format!("{} was not reached: {reason}", self.endpoint),
            },
        }
    }
}

/// Whether the request may have had its effect, or may have it when it is sent again, whatever the store calls that.
fn leaves_open(status: u16) -> bool {
    matches!(status, 408 | 409 | 425 | 429 | 500 | 502..)
}

/// Why no credentials could be had, where that is what failed and waiting will not help.
fn credentials_reason(error: &(dyn Error + 'static)) -> Option<String> {
    let found = causes(error).find_map(|cause| cause.downcast_ref::<CredentialsError>())?;
    match found {
        CredentialsError::CredentialsNotLoaded(_) => Some("none were found in any of the places configured".into()),
        CredentialsError::InvalidConfiguration(_) => Some(chain(found)),
        _ => None,
    }
}

/// The region in `... the region 'us-east-1' is wrong; expecting 'eu-west-1'`.
fn expected_region(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("expecting '")?;
    let (region, _) = rest.split_once('\'')?;
    Some(region.to_owned())
}

fn permissions(action: &str) -> &'static str {
    match action {
        "GetObject" => "s3:GetObject and s3:ListBucket",
        "PutObject" => "s3:PutObject",
        "ListObjectsV2" => "s3:ListBucket",
        _ => "s3:DeleteObject",
    }
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// An error and its causes in one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut words: Vec<String> = causes(error).map(ToString::to_string).collect();
    words.dedup();
    words.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_is_read_from_the_message() {
        let message = "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-west-1'";
        assert_eq!(expected_region(message).as_deref(), Some("eu-west-1"));
        assert_eq!(expected_region("something else"), None);
    }
}
