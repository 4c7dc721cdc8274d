//! Reader and writer on the store that the settings name.

use klstore_format::S3StoreConfig;
use klstore_reader::S3StoreReader;
use klstore_writer::S3StoreWriter;

use crate::failure::Failure;
use crate::settings::StoreArguments;

/// Looks into the environment of this process.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The settings of both; says on stderr what should be changed about them.
pub async fn config(store: &StoreArguments) -> Result<S3StoreConfig, Failure> {
    let mut settings = store.settings(variable)?;
    for warning in settings.file.iter().flat_map(|file| file.warnings()) {
        tracing::warn!("{warning}");
    }
    if !settings.region_is_known
        && let Some(region) = klstore_credentials::profile_region(settings.config.profile.as_deref()).await
    {
        settings.config.region = region;
    }
    Ok(settings.config)
}

pub async fn reader(store: &StoreArguments) -> Result<S3StoreReader, Failure> {
    Ok(S3StoreReader::new(config(store).await?).await?)
}

pub async fn writer(store: &StoreArguments) -> Result<S3StoreWriter, Failure> {
    Ok(S3StoreWriter::new(config(store).await?).await?)
}
