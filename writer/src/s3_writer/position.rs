//! Where a list stands, and appending the records of one source.

use std::sync::Arc;

use klstore_format::plan::InvalidInsertion;
use klstore_format::wire::sources::Sources;
use klstore_format::{Insertion, Source, SourceOffset};

use super::S3StoreWriter;
use crate::error::WriterError;
use crate::in_doubt::Place;
use crate::receipt::Appended;

/// Where a list stands: what the next append to it goes by.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListPosition {
    /// Offset of the next item to be appended.
    pub next_offset: u64,
    /// The lowest nonce that the list still takes.
    pub next_nonce: u128,
    /// How far each source has been appended.
    pub sources: Arc<Sources>,
}

impl S3StoreWriter {
    /// Where the list stands; all zero where it does not exist.
    ///
    /// It is told as this writer knows it from its last append, so that a list in memory costs no request; otherwise the
    /// newest commit is read. So it counts all of this writer's acknowledged appends and whatever let the latest drop
    /// duplicates, but not what another writer has appended since.
    ///
    /// ```
    /// # use klstore_writer::{Insertion, S3StoreConfig, S3StoreWriter, StoreWriter};
    /// use klstore_writer::Source;
    /// # use klstore_s3_server::{Credential, Server};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = Server::builder().bucket("my-bucket").credential(Credential::new("AKEXAMPLE", "secret")).start().await?;
    /// # let mut config = S3StoreConfig::new("my-bucket");
    /// # (config.endpoint, config.path_style) = (Some(server.endpoint()), true);
    /// # (config.access_key, config.secret_key) = (Some("AKEXAMPLE".into()), Some("secret".into()));
    /// # let writer = S3StoreWriter::new(config).await?;
    /// # writer.create_keyspace("flights").await?;
    /// let partition = Source::new("inbound", 3)?;
    /// writer.append_from("flights", "N14228", &partition, 41, vec![Insertion::new("departed")]).await?;
    /// let position = writer.position("flights", "N14228").await?;
    /// assert_eq!((position.next_offset, position.sources.next_offset(&partition)), (1, 42));
    /// # writer.close().await?;
    /// # server.shutdown().await;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`WriterError::KeyspaceNotFound`]; [`WriterError::InvalidName`]; [`WriterError::Unavailable`] where the store did
    /// not answer in time.
    pub async fn position(&self, keyspace: &str, key: &str) -> Result<ListPosition, WriterError> {
        let mut lease = self.lease(keyspace, key).await?;
        let session = self.session(&mut lease).await?;
        let position = ListPosition {
            next_offset: session.next_offset(),
            next_nonce: session.next_nonce(),
            sources: session.sources(),
        };
        lease.state.session = Some(session);
        Ok(position)
    }

    /// Appends records of `source` that follow each other there: the first has the offset `next_offset` in it, the others
    /// those after it.
    ///
    /// Those below the list's next offset of the source are dropped as duplicates, so that records may be read and
    /// appended again, after a failure or by another instance, and are in the list once. Each source is judged by itself:
    /// a list may be fed from many. For records with gaps between them, say the offset of each
    /// ([`Insertion::with_source_offset`]) and use [`append_list`](crate::StoreWriter::append_list). An insertion's nonce
    /// alone decides whether it is a duplicate, where it has one; the source is then only noted.
    ///
    /// ```
    /// # use klstore_writer::{S3StoreConfig, S3StoreWriter, StoreWriter};
    /// use klstore_writer::{Insertion, Source};
    /// # use klstore_s3_server::{Credential, Server};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = Server::builder().bucket("my-bucket").credential(Credential::new("AKEXAMPLE", "secret")).start().await?;
    /// # let mut config = S3StoreConfig::new("my-bucket");
    /// # (config.endpoint, config.path_style) = (Some(server.endpoint()), true);
    /// # (config.access_key, config.secret_key) = (Some("AKEXAMPLE".into()), Some("secret".into()));
    /// # let writer = S3StoreWriter::new(config).await?;
    /// # writer.create_keyspace("flights").await?;
    /// let partition = Source::new("inbound", 3)?;
    /// let records = || vec![Insertion::new("departed"), Insertion::new("arrived")];
    /// writer.append_from("flights", "N14228", &partition, 41, records()).await?;
    /// // Read again from the second on: it is in the list, and the next one is not.
    /// let again = writer.append_from("flights", "N14228", &partition, 42, records()).await?;
    /// assert_eq!((again.appended_count, again.duplicate_count), (1, 1));
    /// # writer.close().await?;
    /// # server.shutdown().await;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`WriterError::TooManySources`] where the list is fed from as many as a commit has room for;
    /// [`WriterError::InvalidInsertion`] for offsets beyond 2^64-2 and for an insertion that says itself that it is
    /// another record; otherwise those of `append_list`.
    pub async fn append_from(
        &self,
        keyspace: &str,
        key: &str,
        source: &Source,
        next_offset: u64,
        insertions: Vec<Insertion>,
    ) -> Result<Appended, WriterError> {
        let insertions = records(source, next_offset, insertions)?;
        self.append(keyspace, key, insertions, Place::End { idempotency_key: None }).await
    }
}

/// The insertions with their places in the source.
fn records(source: &Source, first: u64, insertions: Vec<Insertion>) -> Result<Vec<Insertion>, InvalidInsertion> {
    let number = |(index, mut insertion): (usize, Insertion)| {
        // What would lie beyond the last number is refused with the one at it.
        let record = SourceOffset { source: source.clone(), offset: first.saturating_add(index as u64) };
        if record.offset == u64::MAX {
            return Err(InvalidInsertion::LastSourceOffset { index });
        }
        if insertion.source_offset.as_ref().is_some_and(|own| *own != record) {
            return Err(InvalidInsertion::OtherRecord { index });
        }
        insertion.source_offset = Some(record);
        Ok(insertion)
    };
    insertions.into_iter().enumerate().map(number).collect()
}
