//! Who may do what: keys, permissions, and what is open to anybody.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

/// What a request needs to be allowed to do, in the words of AWS's policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Permission {
    /// `s3:ListAllMyBuckets`
    ListAllMyBuckets,
    /// `s3:CreateBucket` and `s3:DeleteBucket`
    ManageBucket,
    /// `s3:ListBucket`. Without it a missing key is 403 and not 404, as on AWS.
    ListBucket,
    /// `s3:GetObject`
    GetObject,
    /// `s3:PutObject`
    PutObject,
    /// `s3:DeleteObject`
    DeleteObject,
}

/// What a policy is asked about: the permission, the bucket, and the key where there is one.
pub type PolicyQuestion<'a> = (Permission, &'a str, Option<&'a str>);

type Policy = dyn Fn(PolicyQuestion<'_>) -> bool + Send + Sync;

/// A key pair that the server knows, and what it may do: everything, until it is denied something.
///
/// ```
/// use klstore_s3_server::{Credential, Permission};
/// let blind = Credential::new("AKEXAMPLE", "secret").deny(Permission::ListBucket);
/// assert!(!format!("{blind:?}").contains("secret"));
/// ```
#[derive(Clone)]
pub struct Credential {
    access_key: String,
    secret_key: SecretKey,
    session_token: Option<String>,
    policies: Vec<Arc<Policy>>,
}

impl Credential {
    /// A key pair that may do everything.
    pub fn new(access_key: impl Into<String>, secret_key: impl Into<String>) -> Self {
        let secret_key = SecretKey::from(secret_key.into());
        Self { access_key: access_key.into(), secret_key, session_token: None, policies: Vec::new() }
    }

    /// Temporary credentials: a request without this token is refused.
    #[must_use]
    pub fn session_token(mut self, token: impl Into<String>) -> Self {
        self.session_token = Some(token.into());
        self
    }

    /// Takes a permission away, for all buckets and keys.
    #[must_use]
    pub fn deny(self, denied: Permission) -> Self {
        self.policy(move |(permission, ..)| permission != denied)
    }

    /// Allows only what `policy` says yes to. Several policies must all say yes.
    #[must_use]
    pub fn policy(mut self, policy: impl Fn(PolicyQuestion<'_>) -> bool + Send + Sync + 'static) -> Self {
        self.policies.push(Arc::new(policy));
        self
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

/// What anybody may do without a signature. Never a write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnonymousAccess {
    /// GET and HEAD of objects.
    pub get: bool,
    /// LIST of objects.
    pub list: bool,
}

/// The keys of a server and what it opens to anybody.
#[derive(Clone, Debug, Default)]
pub(crate) struct Access {
    state: Arc<RwLock<AccessState>>,
}

#[derive(Debug, Default)]
struct AccessState {
    credentials: HashMap<String, Credential>,
    /// By bucket; that of the empty name is for all buckets.
    anonymous: HashMap<String, AnonymousAccess>,
}

impl Access {
    pub(crate) fn new(credentials: Vec<Credential>, anonymous: HashMap<String, AnonymousAccess>) -> Self {
        let access = Self { state: Arc::new(RwLock::new(AccessState { anonymous, ..AccessState::default() })) };
        access.replace_credentials(credentials);
        access
    }

    pub(crate) fn replace_credentials(&self, credentials: Vec<Credential>) {
        let credentials = credentials.into_iter().map(|found| (found.access_key.clone(), found)).collect();
        self.state.write().unwrap_or_else(PoisonError::into_inner).credentials = credentials;
    }

    /// Whether the signer (`None`: anybody) has a permission.
    pub(crate) fn allows(&self, signer: Option<&str>, question: PolicyQuestion<'_>) -> bool {
        let state = self.read();
        let Some(signer) = signer else {
            let (permission, bucket, _) = question;
            return [bucket, ""].into_iter().filter_map(|name| state.anonymous.get(name)).any(
                |open| match permission {
                    Permission::GetObject => open.get,
                    Permission::ListBucket => open.list,
                    _ => false,
                },
            );
        };
        let Some(credential) = state.credentials.get(signer) else { return false };
        credential.policies.iter().all(|policy| policy(question))
    }

    fn check_session_token(&self, signer: &str, cx: &S3AccessContext<'_>) -> S3Result<()> {
        let sent = match cx.headers().get("x-amz-security-token") {
            Some(token) => Some(String::from_utf8_lossy(token.as_bytes()).into_owned()),
            None => query_token(cx.uri().query()),
        };
        let state = self.read();
        let expected = state.credentials.get(signer).and_then(|credential| credential.session_token.as_deref());
        match expected == sent.as_deref() {
            true => Ok(()),
            false => Err(s3_error!(InvalidToken, "The provided token is malformed or otherwise invalid.")),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, AccessState> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn query_token(query: Option<&str>) -> Option<String> {
    let value = query?.split('&').find_map(|pair| pair.strip_prefix("X-Amz-Security-Token="))?;
    Some(percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned())
}

#[async_trait::async_trait]
impl S3Auth for Access {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        let state = self.read();
        let unknown =
            || s3_error!(InvalidAccessKeyId, "The AWS Access Key Id you provided does not exist in our records.");
        state.credentials.get(access_key).map(|found| found.secret_key.clone()).ok_or_else(unknown)
    }
}

#[async_trait::async_trait]
impl S3Access for Access {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let signer = cx.credentials().map(|credentials| credentials.access_key.clone());
        if let Some(signer) = &signer {
            self.check_session_token(signer, cx)?;
        }
        let permission = match cx.s3_op().name() {
            "ListBuckets" => Permission::ListAllMyBuckets,
            "CreateBucket" | "DeleteBucket" => Permission::ManageBucket,
            "HeadBucket" | "GetBucketLocation" | "ListObjectsV2" => Permission::ListBucket,
            "GetObject" | "HeadObject" => Permission::GetObject,
            "PutObject" | "CopyObject" => Permission::PutObject,
            "DeleteObject" => Permission::DeleteObject,
            // Each key of a DeleteObjects is judged on its own; no other operation does anything here.
            _ if signer.is_some() => return Ok(()),
            _ => return Err(access_denied()),
        };
        let bucket = cx.s3_path().get_bucket_name().unwrap_or_default();
        match self.allows(signer.as_deref(), (permission, bucket, cx.s3_path().get_object_key())) {
            true => Ok(()),
            false => Err(access_denied()),
        }
    }
}

pub(crate) fn access_denied() -> S3Error {
    S3Error::with_message(S3ErrorCode::AccessDenied, "Access Denied")
}
