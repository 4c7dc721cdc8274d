//! What is said and returned when something goes wrong: one line what happened, to which object; one what to do.

use std::io;

use klstore_format::FormatError;
use klstore_reader::ReaderError;
use klstore_s3_server::StartError;
use klstore_writer::{StoreError, WriterError};
use serde_json::json;

/// Why a command failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{what}")]
pub struct Failure {
    /// What kind of failure, for the exit code.
    pub kind: Kind,
    /// What happened, to which object.
    pub what: String,
    /// What to do about it.
    pub advice: Option<String>,
    /// What the command did before it failed, as it would have answered.
    pub done: Option<serde_json::Value>,
}

/// The kinds of failure that callers may want to tell apart. Their exit codes are listed in `klstore --help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Whoever read stdout has gone: no failure at all.
    OutputClosed,
    Failed,
    Usage,
    NotFound,
    AlreadyExists,
    Access,
    Unavailable,
    Corrupt,
}

impl Kind {
    pub fn exit_code(self) -> u8 {
        match self {
            Self::OutputClosed => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::AlreadyExists => 4,
            Self::Access => 5,
            Self::Unavailable => 6,
            Self::Corrupt => 7,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::OutputClosed => "output_closed",
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::NotFound => "not_found",
            Self::AlreadyExists => "already_exists",
            Self::Access => "access",
            Self::Unavailable => "unavailable",
            Self::Corrupt => "corrupt",
        }
    }
}

impl Failure {
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), advice: None, done: None }
    }

    #[must_use]
    pub fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// The same with what was done before.
    #[must_use]
    pub fn after(mut self, done: serde_json::Value) -> Self {
        self.done = Some(done);
        self
    }

    /// As one JSON object.
    pub fn json(&self) -> serde_json::Value {
        let mut error = json!({
            "kind": self.kind.name(),
            "exit_code": self.kind.exit_code(),
            "message": self.what,
        });
        if let Some(advice) = &self.advice {
            error["advice"] = advice.as_str().into();
        }
        let mut object = json!({ "error": error });
        if let Some(done) = &self.done {
            object["done"] = done.clone();
        }
        object
    }

    /// An error of reading or writing something other than stdout.
    pub fn io(doing: &str, error: io::Error) -> Self {
        Self::new(Kind::Failed, format!("{doing}: {error}"))
    }

    /// An error of writing to stdout.
    pub fn output(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::new(Kind::OutputClosed, "the reader of the output is gone"),
            _ => Self::io("cannot write the output", error),
        }
    }
}

const CREDENTIALS_ADVICE: &str = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE or --profile, or use \
                                  --anonymous for a public bucket; `klstore --help` says more";
const REGION_ADVICE: &str = "set the bucket's region with --region, KLSTORE_REGION or AWS_REGION";
const CERTIFICATE_ADVICE: &str = "name that PEM file with --ca-bundle, KLSTORE_CA_BUNDLE or AWS_CA_BUNDLE";
const UNAVAILABLE_ADVICE: &str = "try again; if it goes on, check --endpoint and the network";
const FULL_ADVICE: &str =
    "make room where the store keeps its objects, and run it again; what it has can be read meanwhile";
const CORRUPT_ADVICE: &str = "keep the object as it is and report it; other lists are not affected";

impl From<ReaderError> for Failure {
    fn from(error: ReaderError) -> Self {
        use ReaderError as E;
        let failure = |kind| Self::new(kind, error.to_string());
        match &error {
            E::KeyspaceNotFound { keyspace } => Self::no_keyspace(keyspace),
            E::BucketNotFound { bucket, endpoint } => Self::no_bucket(bucket, endpoint),
            E::InvalidContinuation(_) | E::InvalidArgument { .. } => failure(Kind::Usage),
            E::Credentials { .. } => failure(Kind::Access).advice(CREDENTIALS_ADVICE),
            E::WrongRegion { .. } => failure(Kind::Access).advice(REGION_ADVICE),
            E::UntrustedCertificate { .. } => failure(Kind::Access).advice(CERTIFICATE_ADVICE),
            E::Configuration { .. } | E::AccessDenied { .. } | E::ClockSkew { .. } | E::HiddenEtag { .. } => {
                failure(Kind::Access)
            }
            E::Unavailable { .. } => failure(Kind::Unavailable).advice(UNAVAILABLE_ADVICE),
            E::Contended { .. } => failure(Kind::Unavailable),
            E::Corrupt(_) => failure(Kind::Corrupt).advice(CORRUPT_ADVICE),
            E::UnsupportedVersion { .. } | E::UnsupportedLayout { .. } => failure(Kind::Corrupt),
            _ => failure(Kind::Failed),
        }
    }
}

impl From<WriterError> for Failure {
    fn from(error: WriterError) -> Self {
        use WriterError as E;
        let failure = |kind| Self::new(kind, error.to_string());
        match error.cause() {
            E::KeyspaceNotFound { keyspace } => Self::no_keyspace(keyspace),
            E::KeyspaceAlreadyExists { .. } => failure(Kind::AlreadyExists),
            E::InvalidName(_) | E::InvalidInsertion(_) => failure(Kind::Usage),
            E::Configuration(_) | E::Credentials(_) | E::UnsafeStore { .. } => failure(Kind::Access),
            E::Store(cause) => Self::of_store(cause, error.to_string()),
            E::Unavailable { .. } | E::MayHaveTrimmed { .. } => Self::unavailable(error.to_string()),
            E::Contended { .. } => failure(Kind::Unavailable),
            E::Corrupt(_) => failure(Kind::Corrupt).advice(CORRUPT_ADVICE),
            E::Format(
                FormatError::UnsupportedVersion { .. }
                | FormatError::UnsupportedLayout { .. }
                | FormatError::UnknownPart { .. },
            ) => failure(Kind::Corrupt),
            E::Format(FormatError::HiddenEtag { .. }) => failure(Kind::Access),
            _ => failure(Kind::Failed),
        }
    }
}

impl Failure {
    fn of_store(cause: &StoreError, message: String) -> Self {
        match cause {
            StoreError::Unavailable { .. } => Self::unavailable(message),
            StoreError::BucketNotFound { bucket, endpoint } => Self::no_bucket(bucket, endpoint),
            StoreError::InvalidCredentials { .. } => Self::new(Kind::Access, message).advice(CREDENTIALS_ADVICE),
            StoreError::WrongRegion { .. } => Self::new(Kind::Access, message).advice(REGION_ADVICE),
            StoreError::UntrustedCertificate { .. } => Self::new(Kind::Access, message).advice(CERTIFICATE_ADVICE),
            StoreError::AccessDenied { .. } | StoreError::ClockSkew { .. } | StoreError::NotSupported { .. } => {
                Self::new(Kind::Access, message)
            }
            _ => Self::new(Kind::Failed, message),
        }
    }

    /// Of a store that is full the network is not to blame. `klstore s3` and MinIO say so by these codes.
    fn unavailable(message: String) -> Self {
        let full = ["InsufficientStorage", "XMinioStorageFull"].iter().any(|code| message.contains(code));
        Self::new(Kind::Unavailable, message).advice(if full { FULL_ADVICE } else { UNAVAILABLE_ADVICE })
    }

    fn no_keyspace(keyspace: &str) -> Self {
        Self::new(Kind::NotFound, format!("keyspace `{keyspace}` does not exist")).advice(
            "create it with `klstore keyspace create`, or check --bucket, --prefix and --endpoint; \
             `klstore keyspace ls` shows what is there",
        )
    }

    fn no_bucket(bucket: &str, endpoint: &str) -> Self {
        Self::new(Kind::NotFound, format!("bucket `{bucket}` does not exist at {endpoint}"))
            .advice("create it, or check --bucket (KLSTORE_BUCKET), --endpoint and --path-style")
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        Self::new(Kind::Failed, error.to_string())
    }
}
