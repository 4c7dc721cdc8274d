//! Appends lines of `device<TAB>reading` from standard input: one list for each device.
use klstore_writer::{
    BatchingStoreWriter, BatchingStoreWriterConfig, Insertion, S3StoreConfig, S3StoreWriter, StoreWriter,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let endpoint = std::env::var("KLSTORE_ENDPOINT").ok(); // AWS where it is not set
    let s3 = S3StoreWriter::new(S3StoreConfig { endpoint, ..S3StoreConfig::new("my-bucket") }).await?;
    let writer = BatchingStoreWriter::new(s3, BatchingStoreWriterConfig::default())?;
    for (number, line) in (0..).zip(std::io::stdin().lines()) {
        let line = line?;
        let (device, reading) = line.split_once('\t').ok_or("a line without a tab")?;
        // The line's number as nonce: fed the same lines again, nothing is there twice.
        let insertion = Insertion::new(reading.to_owned()).with_nonce(number);
        drop(writer.append_list("telemetry", device, vec![insertion]).await?); // its receipt: close waits for all
    }
    writer.close().await?;
    Ok(writer.inner().close().await?)
}
