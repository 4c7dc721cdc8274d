//! How a reader is put together.

use std::sync::Arc;

use klstore_format::S3StoreConfig;

use crate::cache::ExtentCache;
use crate::client::Client;
use crate::credentials::{Anonymous, CredentialsSource};
use crate::endpoint::Endpoint;
use crate::environment::Environment;
use crate::error::ReaderError;
use crate::retry::RetryPolicy;
use crate::s3_source::S3Source;
use crate::s3_store_reader::{Inner, S3StoreReader};
use crate::sign::Signing;
use crate::source::ObjectSource;
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
    source: Option<Arc<dyn ObjectSource>>,
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
            source: None,
            transport: None,
            credentials: None,
            environment: None,
            signing: if cfg!(target_arch = "wasm32") { Signing::BROWSER } else { Signing::Headers },
            retry: RetryPolicy::default(),
            cache_bytes: DEFAULT_CACHE_BYTES,
        }
    }

    /// Lists and gets objects by `source` instead of S3's HTTP: of the configuration only what is about pages and names
    /// counts then, and transport, credentials and signing have no effect.
    #[must_use]
    pub fn source(mut self, source: impl ObjectSource + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// Sends requests by `transport` instead of a client of its own; on wasm32 it must be given.
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

    /// Takes time and random numbers from `environment`; on wasm32 it must be given.
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
        let environment = match self.environment {
            Some(environment) => environment,
            None => default_environment()?,
        };
        let source = match self.source {
            Some(source) => source,
            None => {
                self.config.validate()?;
                let endpoint = Endpoint::new(&self.config)?;
                let credentials = match self.credentials {
                    Some(credentials) => credentials,
                    None => configured_credentials(&self.config).await?,
                };
                let transport = match self.transport {
                    Some(transport) => transport,
                    None => configured_transport(&self.config)?,
                };
                let environment = environment.clone();
                Arc::new(S3Source { endpoint, transport, credentials, environment, signing: self.signing })
            }
        };
        let cache = ExtentCache::new(self.cache_bytes);
        let client = Client { source, environment, retry: self.retry, cache };
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
fn default_environment() -> Result<Arc<dyn Environment>, ReaderError> {
    Ok(Arc::new(crate::environment::NativeEnvironment))
}

#[cfg(target_arch = "wasm32")]
fn default_environment() -> Result<Arc<dyn Environment>, ReaderError> {
    Err(ReaderError::Configuration { reason: "there is no clock here: give the builder an environment".to_owned() })
}

#[cfg(not(target_arch = "wasm32"))]
fn configured_transport(config: &S3StoreConfig) -> Result<Arc<dyn Transport>, ReaderError> {
    use crate::http_transport::HttpTransport;
    let refused = |error: &dyn std::error::Error| ReaderError::Configuration { reason: error.to_string() };
    let transport = match klstore_credentials::network::ca_bundle(config).map_err(|error| refused(&error))? {
        Some(pem) => HttpTransport::trusting(&pem),
        None => HttpTransport::new(),
    };
    Ok(Arc::new(transport.map_err(|error| refused(&error))?))
}

#[cfg(target_arch = "wasm32")]
fn configured_transport(_: &S3StoreConfig) -> Result<Arc<dyn Transport>, ReaderError> {
    Err(ReaderError::Configuration { reason: "there is no network here: give the builder a transport".to_owned() })
}

#[cfg(not(target_arch = "wasm32"))]
async fn configured_credentials(config: &S3StoreConfig) -> Result<Arc<dyn CredentialsSource>, ReaderError> {
    match klstore_credentials::provider(config).await {
        Ok(Some(provider)) => Ok(Arc::new(provider)),
        Ok(None) => Ok(Arc::new(Anonymous)),
        Err(error) => Err(ReaderError::Configuration { reason: error.to_string() }),
    }
}

#[cfg(target_arch = "wasm32")]
async fn configured_credentials(config: &S3StoreConfig) -> Result<Arc<dyn CredentialsSource>, ReaderError> {
    if config.anonymous {
        return Ok(Arc::new(Anonymous));
    }
    let reason = "there is no AWS chain here: give the builder credentials, or set anonymous".to_owned();
    Err(ReaderError::Configuration { reason })
}
