//! Where the keys come from that sign requests.

use async_trait::async_trait;
use aws_credential_types::Credentials;
use thiserror::Error;

use crate::maybe_send::{MaybeSend, MaybeSync};

/// A source of credentials, asked before every request: it should remember them and refresh them before they expire.
#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
pub trait CredentialsSource: MaybeSend + MaybeSync {
    /// The credentials to sign with now; `None` for an anonymous request.
    ///
    /// # Errors
    ///
    /// [`CredentialsUnavailable`] where there should be some and are none.
    async fn credentials(&self) -> Result<Option<Credentials>, CredentialsUnavailable>;
}

/// A source has no credentials to give.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{reason}")]
pub struct CredentialsUnavailable {
    /// Why, without secrets.
    pub reason: String,
}

/// No credentials: requests are anonymous.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Anonymous;

#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
impl CredentialsSource for Anonymous {
    async fn credentials(&self) -> Result<Option<Credentials>, CredentialsUnavailable> {
        Ok(None)
    }
}

/// Keys that never change, or none at all.
#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
impl CredentialsSource for Option<Credentials> {
    async fn credentials(&self) -> Result<Option<Credentials>, CredentialsUnavailable> {
        Ok(self.clone())
    }
}

/// AWS's own providers.
#[cfg(not(target_arch = "wasm32"))]
#[async_trait]
impl CredentialsSource for aws_credential_types::provider::SharedCredentialsProvider {
    async fn credentials(&self) -> Result<Option<Credentials>, CredentialsUnavailable> {
        use aws_credential_types::provider::ProvideCredentials;
        match self.provide_credentials().await {
            Ok(credentials) => Ok(Some(credentials)),
            Err(error) => {
                let mut reason = error.to_string();
                let mut cause = std::error::Error::source(&error);
                while let Some(error) = cause {
                    reason = format!("{reason}: {error}");
                    cause = error.source();
                }
                Err(CredentialsUnavailable { reason })
            }
        }
    }
}
