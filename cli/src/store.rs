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
    reader_of(config(store).await?, store).await
}

pub async fn writer(store: &StoreArguments) -> Result<S3StoreWriter, Failure> {
    writer_of(config(store).await?, store).await
}

/// A reader with these settings, as patient as the command line says.
pub async fn reader_of(config: S3StoreConfig, store: &StoreArguments) -> Result<S3StoreReader, Failure> {
    let mut policy = klstore_reader::RetryPolicy::default();
    if let Some(deadline) = store.deadline() {
        policy.deadline = deadline;
    }
    Ok(S3StoreReader::builder(config).retry_policy(policy).build().await?)
}

/// A writer with these settings, as patient as the command line says.
pub async fn writer_of(config: S3StoreConfig, store: &StoreArguments) -> Result<S3StoreWriter, Failure> {
    let mut policy = klstore_writer::RetryPolicy::default();
    if let Some(deadline) = store.deadline() {
        policy.deadline = deadline;
    }
    Ok(S3StoreWriter::builder(config).retry_policy(policy).build().await?)
}

/// Completes what goes on in the background, for as long as the command tries a step. It has done its work; what may
/// fail here is only tidying up, which a later append does as well.
pub async fn tidy_up(writer: &S3StoreWriter, store: &StoreArguments) {
    let longest = store.deadline().unwrap_or(klstore_writer::RetryPolicy::default().deadline);
    if tokio::time::timeout(longest, tidy_up_wholly(writer)).await.is_err() {
        tracing::warn!(?longest, "the lists were not tidied up in time; a later append does that");
    }
}

/// The same where tidying up is the command's work: until it is done, or given up.
pub async fn tidy_up_wholly(writer: &S3StoreWriter) {
    if let Err(error) = writer.close().await {
        tracing::warn!(%error, "the lists were not tidied up; a later append does that");
    }
}
