//! The live end of a list.

use std::time::Duration;

use futures::stream::{self, Stream};
use klstore_format::plan::follow::{FollowStart, Follower};
use klstore_format::{Item, ListStats};

use crate::error::ReaderError;
use crate::maybe_send::MaybeSend;
use crate::s3_store_reader::S3StoreReader;

/// A wait that took so much longer than it should (a laptop slept, say) makes the next poll load anew.
const LONG_PAUSE: Duration = Duration::from_secs(60);

/// How often [`S3StoreReader::follow`] asks for new items: at once while there are some, then with growing pauses.
///
/// ```
/// use std::time::Duration;
/// use klstore_reader::Polling;
/// // For a chat room: quick, and never slower than every two seconds.
/// let polling = Polling { interval: Duration::from_millis(250), max_interval: Duration::from_secs(2) };
/// assert!(polling.max_interval < Polling::default().max_interval);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Polling {
    /// The pause after the first poll that brings nothing; each further one lasts twice as long.
    pub interval: Duration,
    /// No pause is longer.
    pub max_interval: Duration,
}

impl Default for Polling {
    /// From 1 s to 10 s.
    fn default() -> Self {
        Self { interval: Duration::from_secs(1), max_interval: Duration::from_secs(10) }
    }
}

impl S3StoreReader {
    /// The live end of a list, to be polled by the caller.
    ///
    /// # Errors
    ///
    /// [`ReaderError::InvalidArgument`] for a bad name.
    pub fn tail(&self, keyspace: &str, key: &str, start: FollowStart) -> Result<Tail, ReaderError> {
        Ok(Tail { reader: self.clone(), follower: Follower::new(self.list_name(keyspace, key)?, start) })
    }

    /// Follows a list: the items from `start` on, and then each as it is appended. The stream never ends.
    ///
    /// A poll that finds nothing new is one GET, every 16th a LIST. After an error the stream goes on where it stood,
    /// after a pause, as long as it is polled.
    ///
    /// ```no_run
    /// use futures::TryStreamExt;
    /// use klstore_format::S3StoreConfig;
    /// use klstore_reader::{FollowStart, Polling, S3StoreReader};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// let reader = S3StoreReader::new(S3StoreConfig::new("my-bucket")).await?;
    /// let mut live = std::pin::pin!(reader.follow("rooms", "7", FollowStart::End, Polling::default()));
    /// while let Some(message) = live.try_next().await? {
    ///     println!("{}", String::from_utf8_lossy(&message.value));
    /// }
    /// # Ok::<(), klstore_reader::ReaderError>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn follow(
        &self,
        keyspace: &str,
        key: &str,
        start: FollowStart,
        polling: Polling,
    ) -> impl Stream<Item = Result<Item, ReaderError>> + MaybeSend + use<> {
        let following = match self.tail(keyspace, key, start) {
            Ok(tail) => Ok(Following { tail, polling, pause: Duration::ZERO, items: Vec::new().into_iter() }),
            Err(error) => Err(Some(error)),
        };
        stream::unfold(following, |following| async {
            match following {
                Ok(mut following) => Some((following.next().await, Ok(following))),
                // A name that is refused will be refused for ever.
                Err(error) => error.map(|error| (Err(error), Err(None))),
            }
        })
    }
}

/// The live end of a list for callers with a pace of their own; [`S3StoreReader::follow`] is easier.
///
/// Poll again at once while polls return items, then with growing pauses.
#[derive(Debug, Clone)]
pub struct Tail {
    reader: S3StoreReader,
    follower: Follower,
}

impl Tail {
    /// The items that were added since the poll before: one GET where there are none, every 16th time a LIST. After an
    /// error, and where the future is dropped, it stands where it stood.
    ///
    /// # Errors
    ///
    /// Those of [`StoreReader::read_page`](crate::StoreReader::read_page).
    pub async fn poll(&mut self) -> Result<Vec<Item>, ReaderError> {
        let plan = self.follower.clone().poll();
        let (follower, items) = self.reader.run(plan, &mut ListStats::default()).await?;
        self.follower = follower;
        Ok(items?)
    }

    /// Makes the next poll load the list anew: call it after a pause of a minute or more.
    pub fn reload(&mut self) {
        self.follower = self.follower.clone().reload();
    }
}

struct Following {
    tail: Tail,
    polling: Polling,
    /// Before the next poll.
    pause: Duration,
    /// Of the last poll, those not yet delivered.
    items: std::vec::IntoIter<Item>,
}

impl Following {
    async fn next(&mut self) -> Result<Item, ReaderError> {
        loop {
            if let Some(item) = self.items.next() {
                return Ok(item);
            }
            self.wait().await;
            let items = self.tail.poll().await;
            let idle = items.as_ref().map_or(true, Vec::is_empty);
            let longer = self
                .pause
                .saturating_mul(2)
                .clamp(self.polling.interval, self.polling.max_interval.max(self.polling.interval));
            self.pause = if idle { longer } else { Duration::ZERO };
            self.items = items?.into_iter();
        }
    }

    async fn wait(&mut self) {
        if self.pause.is_zero() {
            return;
        }
        let environment = self.tail.reader.environment();
        let before = environment.now();
        environment.sleep(self.pause).await;
        let waited = environment.now().duration_since(before).unwrap_or_default();
        if waited > self.pause + LONG_PAUSE {
            self.tail.reload();
        }
    }
}
