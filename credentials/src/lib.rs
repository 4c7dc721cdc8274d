//! From an S3 store configuration to AWS credentials, for klstore's reader and writer.
//!
//! [`provider`] follows the order that the configuration promises: anonymous, static keys, a named profile, the
//! whole default chain of AWS. What it returns is refreshed before it expires and asks its source at most once at
//! a time, so every request may ask it. [`network`] is how both reach the world: certificate authorities and proxies.

pub mod network;
mod refresh;

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::meta::region::ProvideRegion;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::provider_config::ProviderConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use klstore_format::config::{ConfigError, S3StoreConfig};
use thiserror::Error;

use network::{CaBundleError, http_client};
use refresh::RefreshingProvider;

/// What AWS credentials report as their source where the configuration holds them.
const STATIC_PROVIDER: &str = "klstore configuration";

/// Why a configuration gives no credentials.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// The configuration contradicts itself, or names no source of credentials at all.
    #[error(transparent)]
    Configuration(#[from] ConfigError),
    /// The file of certificate authorities cannot be used.
    #[error(transparent)]
    CaBundle(#[from] CaBundleError),
}

/// The credentials that `config` asks for; `None` where requests are to be anonymous.
///
/// Static keys win over a profile, and a profile over the default chain (environment, profile, SSO, web identity,
/// container and instance metadata). Nothing is fetched here: a source that has no credentials says so when it is
/// first asked.
///
/// # Errors
///
/// [`CredentialsError::Configuration`] where the configuration is contradictory or names no source at all,
/// [`CredentialsError::CaBundle`] where its `ca_bundle` cannot be used.
///
/// ```
/// use aws_credential_types::provider::ProvideCredentials;
/// use klstore_format::S3StoreConfig;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let mut config = S3StoreConfig::new("flights");
/// config.access_key = Some("AKIDEXAMPLE".into());
/// config.secret_key = Some("secret".into());
/// let provider = klstore_credentials::provider(&config).await?.expect("not anonymous");
/// assert_eq!(provider.provide_credentials().await?.access_key_id(), "AKIDEXAMPLE");
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub async fn provider(config: &S3StoreConfig) -> Result<Option<SharedCredentialsProvider>, CredentialsError> {
    config.validate()?;
    if config.anonymous {
        return Ok(None);
    }
    if let (Some(access_key), Some(secret_key)) = (set(&config.access_key), set(&config.secret_key)) {
        let token = config.token().map(str::to_owned);
        let keys = Credentials::new(access_key, secret_key, token, None, STATIC_PROVIDER);
        return Ok(Some(SharedCredentialsProvider::new(keys)));
    }
    // SSO and STS want a region of their own; the bucket's is the best guess where a profile names none.
    let region = Region::new(config.region.clone());
    let sources = ProviderConfig::default().with_region(Some(region.clone())).with_http_client(http_client(config)?);
    if let Some(profile) = set(&config.profile) {
        let source = ProfileFileCredentialsProvider::builder().profile_name(profile).configure(&sources).build();
        return Ok(Some(SharedCredentialsProvider::new(RefreshingProvider::new(source))));
    }
    if !config.use_default_credentials {
        return Err(ConfigError::NoCredentials.into());
    }
    let source = DefaultCredentialsChain::builder().configure(sources).region(region).build().await;
    Ok(Some(SharedCredentialsProvider::new(RefreshingProvider::new(source))))
}

/// A setting that is there and not empty, as an unset variable in a file or shell often is.
fn set(setting: &Option<String>) -> Option<&str> {
    setting.as_deref().filter(|text| !text.is_empty())
}

/// The region that a profile of the AWS configuration files names: this profile, else that of `AWS_PROFILE`, else the
/// default one. `None` where none does, or the files cannot be read.
///
/// For callers that were told a region nowhere else; [`S3StoreConfig`] itself always has one.
pub async fn profile_region(profile: Option<&str>) -> Option<String> {
    let mut builder = ProfileFileRegionProvider::builder();
    if let Some(profile) = profile.filter(|profile| !profile.is_empty()) {
        builder = builder.profile_name(profile);
    }
    builder.build().region().await.map(|region| region.to_string()).filter(|region| !region.is_empty())
}

/// The same as a configuration for AWS's SDK clients: region, endpoint, credentials and trust of `config`, and nothing
/// from the environment beside them but its proxies.
///
/// # Errors
///
/// As [`provider`].
pub async fn sdk_config(config: &S3StoreConfig) -> Result<SdkConfig, CredentialsError> {
    let mut builder = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(config.region.clone()))
        .http_client(http_client(config)?);
    builder.set_endpoint_url(config.endpoint.clone());
    builder.set_credentials_provider(provider(config).await?);
    Ok(builder.build())
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_credential_types::provider::ProvideCredentials;

    fn config() -> S3StoreConfig {
        S3StoreConfig::new("bucket")
    }

    #[tokio::test]
    async fn static_keys_win_over_a_profile_and_carry_either_token() -> Result<(), Box<dyn std::error::Error>> {
        for session in [true, false] {
            let mut config = config();
            config.access_key = Some("AKID".into());
            config.secret_key = Some("SECRET".into());
            config.profile = Some("no-such-profile".into());
            let token = Some("TOKEN".into());
            if session {
                config.session_token = token
            } else {
                config.security_token = token
            }
            let keys = provider(&config).await?.expect("a provider").provide_credentials().await?;
            assert_eq!(
                (keys.access_key_id(), keys.secret_access_key(), keys.session_token()),
                ("AKID", "SECRET", Some("TOKEN"))
            );
        }
        Ok(())
    }

    #[tokio::test]
    async fn tokens_that_differ_are_refused() {
        let mut config = config();
        config.access_key = Some("AKID".into());
        config.secret_key = Some("SECRET".into());
        config.session_token = Some("one".into());
        config.security_token = Some("two".into());
        assert!(matches!(provider(&config).await, Err(CredentialsError::Configuration(_))));
    }

    #[tokio::test]
    async fn anonymous_has_no_credentials() -> Result<(), CredentialsError> {
        let mut config = config();
        config.anonymous = true;
        assert!(provider(&config).await?.is_none());
        Ok(())
    }

    #[tokio::test]
    async fn without_any_source_there_is_an_error() {
        let mut config = config();
        config.use_default_credentials = false;
        let error = provider(&config).await.expect_err("no source");
        assert!(matches!(error, CredentialsError::Configuration(ConfigError::NoCredentials)), "{error}");
    }

    #[tokio::test]
    async fn the_sdk_gets_region_endpoint_and_keys() -> Result<(), CredentialsError> {
        let mut config = config();
        config.access_key = Some("AKID".into());
        config.secret_key = Some("SECRET".into());
        config.region = "eu-central-1".into();
        config.endpoint = Some("http://127.0.0.1:9000".into());
        let sdk = sdk_config(&config).await?;
        assert_eq!(sdk.region().map(|region| region.as_ref()), Some("eu-central-1"));
        assert_eq!(sdk.endpoint_url(), Some("http://127.0.0.1:9000"));
        assert!(sdk.credentials_provider().is_some());
        assert!(!format!("{sdk:?}").contains("SECRET"));
        Ok(())
    }
}
