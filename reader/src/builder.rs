//! How a reader is put together.

use std::sync::Arc;

use klstore_format::S3StoreConfig;

use crate::cache::ExtentCache;
use crate::client::Client;
use crate::credentials::CredentialsSource;
use crate::endpoint::Endpoint;
use crate::environment::Environment;
use crate::error::ReaderError;
use crate::http_transport::HttpTransport;
use crate::retry::RetryPolicy;
use crate::s3_store_reader::{Inner, S3StoreReader};
use crate::sign::Signing;
use crate::transport::Transport;

/// Bytes of objects that a reader keeps in memory where nothing else is said: 64 MiB.
pub const DEFAULT_CACHE_BYTES: u64 = 64 << 20;

/// Builds an [`S3StoreReader`]; what is not set has its default.
///
/// ```
/// use klstore_format::S3StoreConfig;
/// use klstore_reader::{RetryPolicy, S3StoreReader};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let mut config = S3StoreConfig::new("public-bucket");
/// config.anonymous = true;
/// let reader = S3StoreReader::builder(config)
///     .cache_bytes(256 << 20)
///     .retry_policy(RetryPolicy { attempts: 3, ..RetryPolicy::default() })
///     .build()
///     .await?;
/// assert!(format!("{reader:?}").contains("bucket `public-bucket`"));
/// # Ok::<(), klstore_reader::ReaderError>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct S3StoreReaderBuilder {
    config: S3StoreConfig,
    transport: Option<Arc<dyn Transport>>,
    credentials: Option<Arc<dyn CredentialsSource>>,
    environment: Option<Arc<dyn Environment>>,
    signing: Signing,
    retry: RetryPolicy,
    cache_bytes: u64,
}

impl S3StoreReaderBuilder {
    pub(crate) fn new(config: S3StoreConfig) -> Self {
        Self {
            config,
            transport: None,
            credentials: None,
            environment: None,
            signing: if cfg!(target_arch = "wasm32") { Signing::BROWSER } else { Signing::Headers },
            retry: RetryPolicy::default(),
            cache_bytes: DEFAULT_CACHE_BYTES,
        }
    }

    /// Sends requests by `transport` instead of an [`HttpTransport`] of its own.
    #[must_use]
    pub fn transport(mut self, transport: impl Transport + 'static) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    /// Takes credentials from `credentials` instead of what the configuration says.
    #[must_use]
    pub fn credentials(mut self, credentials: impl CredentialsSource + 'static) -> Self {
        self.credentials = Some(Arc::new(credentials));
        self
    }

    /// Takes time and random numbers from `environment`.
    #[must_use]
    pub fn environment(mut self, environment: impl Environment + 'static) -> Self {
        self.environment = Some(Arc::new(environment));
        self
    }

    /// Where requests carry their signature: natively in headers, on wasm32 as [`Signing::BROWSER`] where not set.
    #[must_use]
    pub fn signing(mut self, signing: Signing) -> Self {
        self.signing = signing;
        self
    }

    /// Bounds on the attempts of each request.
    #[must_use]
    pub fn retry_policy(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Keeps at most so many bytes of objects in memory; 0 keeps none. [`DEFAULT_CACHE_BYTES`] where not set.
    #[must_use]
    pub fn cache_bytes(mut self, bytes: u64) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// The reader. Sends no request to the bucket.
    ///
    /// # Errors
    ///
    /// [`ReaderError::Configuration`] where the configuration is not usable.
    pub async fn build(self) -> Result<S3StoreReader, ReaderError> {
        self.config.validate()?;
        let endpoint = Endpoint::new(&self.config)?;
        let credentials = match self.credentials {
            Some(credentials) => credentials,
            None => configured_credentials(&self.config).await?,
        };
        let transport = match self.transport {
            Some(transport) => transport,
            None => Arc::new(configured_transport(&self.config)?),
        };
        let client = Client {
            endpoint,
            transport,
            credentials,
            environment: self.environment.unwrap_or_else(default_environment),
            signing: self.signing,
            retry: self.retry,
            cache: ExtentCache::new(self.cache_bytes),
        };
        Ok(S3StoreReader::from_inner(Inner {
            client,
            prefix: self.config.prefix()?,
            default_max_results: self.config.default_max_results,
        }))
    }
}

impl std::fmt::Debug for S3StoreReaderBuilder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("S3StoreReaderBuilder")
            .field("config", &self.config)
            .field("signing", &self.signing)
            .field("retry", &self.retry)
            .field("cache_bytes", &self.cache_bytes)
            .finish_non_exhaustive()
    }
}

#[cfg(not(target_arch = "wasm32"))]
fn default_environment() -> Arc<dyn Environment> {
    Arc::new(crate::environment::NativeEnvironment)
}

#[cfg(target_arch = "wasm32")]
fn default_environment() -> Arc<dyn Environment> {
    Arc::new(crate::environment::BrowserEnvironment)
}

#[cfg(not(target_arch = "wasm32"))]
fn configured_transport(config: &S3StoreConfig) -> Result<HttpTransport, ReaderError> {
    let refused = |error: &dyn std::error::Error| ReaderError::Configuration { reason: error.to_string() };
    match klstore_credentials::network::ca_bundle(config).map_err(|error| refused(&error))? {
        Some(pem) => HttpTransport::trusting(&pem),
        None => HttpTransport::new(),
    }
    .map_err(|error| refused(&error))
}

#[cfg(target_arch = "wasm32")]
fn configured_transport(config: &S3StoreConfig) -> Result<HttpTransport, ReaderError> {
    if config.ca_bundle.is_some() {
        let reason = "ca_bundle cannot be set here: a browser trusts whom its own settings say".to_owned();
        return Err(ReaderError::Configuration { reason });
    }
    HttpTransport::new().map_err(|error| ReaderError::Configuration { reason: error.to_string() })
}

#[cfg(not(target_arch = "wasm32"))]
async fn configured_credentials(config: &S3StoreConfig) -> Result<Arc<dyn CredentialsSource>, ReaderError> {
    match klstore_credentials::provider(config).await {
        Ok(Some(provider)) => Ok(Arc::new(provider)),
        Ok(None) => Ok(Arc::new(None)),
        Err(error) => Err(ReaderError::Configuration { reason: error.to_string() }),
    }
}

/// There is no AWS chain in a browser: static keys, or none.
#[cfg(target_arch = "wasm32")]
async fn configured_credentials(config: &S3StoreConfig) -> Result<Arc<dyn CredentialsSource>, ReaderError> {
    use aws_credential_types::Credentials;
    let keys = match (&config.access_key, &config.secret_key) {
        _ if config.anonymous => None,
        (Some(id), Some(secret)) if !id.is_empty() => {
            Some(Credentials::new(id, secret, config.token().map(str::to_owned), None, "klstore configuration"))
        }
        _ => {
            let reason = "no credentials: set access_key and secret_key, or anonymous, or pass a credentials source \
                          to the builder (there is no AWS chain in a browser)";
            return Err(ReaderError::Configuration { reason: reason.to_owned() });
        }
    };
    Ok(Arc::new(keys))
}
