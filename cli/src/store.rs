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

/// The settings of both.
pub async fn config(store: &StoreArguments) -> Result<S3StoreConfig, Failure> {
    store.config(variable)
}

pub async fn reader(store: &StoreArguments) -> Result<S3StoreReader, Failure> {
    Ok(S3StoreReader::new(store.config(variable)?).await?)
}

pub async fn writer(store: &StoreArguments) -> Result<S3StoreWriter, Failure> {
    Ok(S3StoreWriter::new(store.config(variable)?).await?)
}
