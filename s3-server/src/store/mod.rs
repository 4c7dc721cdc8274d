//! The store behind the server: buckets of objects, in memory or in a folder.
//!
//! An ordered index of all keys is always in memory, so a LIST is a look-up in a `BTreeMap`. The bodies and headers
//! are beside it in memory, or in one file each ([`folder`]).

#[cfg(unix)]
mod folder;
mod list;
mod object;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::SystemTime;

use bytes::Bytes;

pub use list::{ListPage, ListRequest, ListStart, MAX_KEYS};
pub use object::{ByteRange, ETag, Object, ObjectChecksum, ObjectMetadata, ObjectSummary, Precondition};

/// The longest key in bytes, as S3 has it.
pub const MAX_KEY_LENGTH: usize = 1_024;

/// Buckets of objects, for the server and, without HTTP, for tests.
///
/// In a folder every method but the LIST blocks on files: call it outside of an async runtime, or in `spawn_blocking`.
///
/// ```
/// use klstore_s3_server::{ByteRange, ListRequest, ObjectMetadata, Precondition, Store};
///
/// let store = Store::in_memory();
/// store.create_bucket("photos")?;
/// store.put("photos", "2013/a.jpg", "body".into(), ObjectMetadata::default(), &Precondition::Absent)?;
/// assert_eq!(store.get("photos", "2013/a.jpg", ByteRange::From(2))?.body, "dy");
/// assert_eq!(store.list("photos", &ListRequest::prefix("2013/"))?.objects.len(), 1);
/// # Ok::<(), klstore_s3_server::StoreError>(())
/// ```
pub struct Store {
    buckets: RwLock<BTreeMap<String, Arc<Bucket>>>,
    #[cfg(unix)]
    folder: Option<folder::Folder>,
    clock: fn() -> SystemTime,
}

struct Bucket {
    created: SystemTime,
    index: RwLock<BTreeMap<Box<str>, Entry>>,
    #[cfg(unix)]
    files: Option<folder::BucketFolder>,
}

/// What the index holds of an object.
struct Entry {
    etag: ETag,
    size: u64,
    last_modified: SystemTime,
    /// Absent where the object is a file.
    content: Option<Arc<Content>>,
}

struct Content {
    metadata: ObjectMetadata,
    body: Bytes,
}

/// A bucket's name and when it was created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketSummary {
    /// The bucket's name.
    pub name: String,
    /// When it was created.
    pub created: SystemTime,
}

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no such bucket.
    #[error("bucket {bucket:?} does not exist; create it first")]
    NoSuchBucket {
        /// The bucket that was named.
        bucket: String,
    },
    /// A bucket of this name exists already.
    #[error("bucket {bucket:?} exists already")]
    BucketExists {
        /// The bucket that was named.
        bucket: String,
    },
    /// Only an empty bucket can be deleted.
    #[error("bucket {bucket:?} still holds objects; delete them first")]
    BucketNotEmpty {
        /// The bucket that was named.
        bucket: String,
    },
    /// S3's rules for bucket names: 3 to 63 of `a-z 0-9 . -`, beginning and ending with a letter or digit.
    #[error("{bucket:?} is no bucket name: use 3 to 63 of a-z, 0-9, '-' and '.', with a letter or digit at both ends")]
    InvalidBucketName {
        /// The name that was refused.
        bucket: String,
    },
    /// A key has 1 to 1,024 bytes.
    #[error("an object key has 1 to {MAX_KEY_LENGTH} bytes, not {length}")]
    InvalidKey {
        /// Bytes of the key that was refused.
        length: usize,
    },
    /// There is no such object.
    #[error("object {key:?} does not exist in bucket {bucket:?}")]
    NoSuchKey {
        /// The bucket that was named.
        bucket: String,
        /// The key that was named.
        key: String,
    },
    /// The precondition of a PUT does not hold; nothing was written.
    #[error("the precondition of the PUT of {key:?} does not hold; nothing was written")]
    PreconditionFailed {
        /// The key that was to be written.
        key: String,
    },
    /// The part of the body that was asked for does not exist.
    #[error("object {key:?} has {size} bytes; the range lies outside of them")]
    RangeNotSatisfiable {
        /// The object's key.
        key: String,
        /// Bytes of its body.
        size: u64,
    },
    /// The operating system refused something.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// A file of the store is not what the store writes.
    #[error("{} is damaged ({what}); move it out of the folder to go on without it", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The folder holds something else than a store.
    #[error("{} is not empty and holds no store; choose an empty or a new folder", path.display())]
    NotAStore {
        /// The folder.
        path: PathBuf,
    },
    /// Another process serves this folder.
    #[error("{} is in use by another server; stop it or choose another folder", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// This system cannot keep a store in a folder.
    #[error("a store in a folder needs a Unix system; use one in memory")]
    Unsupported,
}

/// Result of the store's methods.
pub type StoreResult<T> = Result<T, StoreError>;

impl Store {
    /// An empty store in memory. It is gone when the last reference to it is.
    pub fn in_memory() -> Self {
        Self {
            buckets: RwLock::default(),
            #[cfg(unix)]
            folder: None,
            clock: system_time,
        }
    }

    /// The store in a folder, created where it is missing. What was put is on disk before `put` returns.
    ///
    /// Reads the header of every object once.
    ///
    /// # Errors
    /// [`StoreError::NotAStore`] where the folder holds other things, [`StoreError::InUse`] where another process has
    /// it open, [`StoreError::Damaged`] and [`StoreError::Io`] with the file that cannot be read.
    #[cfg(unix)]
    pub fn in_folder(path: impl Into<PathBuf>) -> StoreResult<Self> {
        let folder = folder::Folder::open(path.into())?;
        let mut buckets = BTreeMap::new();
        for name in folder.bucket_names()? {
            let (files, created) = folder.open_bucket(&name)?;
            let mut index = BTreeMap::new();
            files.scan(|key, etag, size, last_modified| {
                index.insert(key.into_boxed_str(), Entry { etag, size, last_modified, content: None });
            })?;
            let bucket = Bucket { created, index: RwLock::new(index), files: Some(files) };
            buckets.insert(name, Arc::new(bucket));
        }
        Ok(Self { buckets: RwLock::new(buckets), folder: Some(folder), clock: system_time })
    }

    /// A store in a folder: not on this system.
    ///
    /// # Errors
    /// Always [`StoreError::Unsupported`].
    #[cfg(not(unix))]
    pub fn in_folder(_path: impl Into<PathBuf>) -> StoreResult<Self> {
        Err(StoreError::Unsupported)
    }

    /// Whether its methods may block on files.
    pub fn is_folder(&self) -> bool {
        #[cfg(unix)]
        return self.folder.is_some();
        #[cfg(not(unix))]
        false
    }

    /// Creates an empty bucket.
    ///
    /// # Errors
    /// [`StoreError::BucketExists`], [`StoreError::InvalidBucketName`], [`StoreError::Io`].
    pub fn create_bucket(&self, name: &str) -> StoreResult<()> {
        if !s3s::path::check_bucket_name(name) {
            return Err(StoreError::InvalidBucketName { bucket: name.to_owned() });
        }
        match write(&self.buckets).entry(name.to_owned()) {
            Slot::Occupied(_) => Err(StoreError::BucketExists { bucket: name.to_owned() }),
            Slot::Vacant(slot) => {
                let bucket = Bucket {
                    created: (self.clock)(),
                    index: RwLock::default(),
                    #[cfg(unix)]
                    files: self.folder.as_ref().map(|folder| folder.create_bucket(name)).transpose()?,
                };
                slot.insert(Arc::new(bucket));
                Ok(())
            }
        }
    }

    /// Deletes an empty bucket.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::BucketNotEmpty`], [`StoreError::Io`].
    pub fn delete_bucket(&self, name: &str) -> StoreResult<()> {
        let mut buckets = write(&self.buckets);
        let bucket = buckets.get(name).ok_or_else(|| StoreError::NoSuchBucket { bucket: name.to_owned() })?;
        // A PUT under way holds the bucket too, and might write into it after it was looked at.
        if Arc::strong_count(bucket) > 1 || !read(&bucket.index).is_empty() {
            return Err(StoreError::BucketNotEmpty { bucket: name.to_owned() });
        }
        #[cfg(unix)]
        if let Some(folder) = &self.folder {
            folder.delete_bucket(name)?;
        }
        buckets.remove(name);
        Ok(())
    }

    /// All buckets by name.
    pub fn buckets(&self) -> Vec<BucketSummary> {
        read(&self.buckets)
            .iter()
            .map(|(name, bucket)| BucketSummary { name: name.clone(), created: bucket.created })
            .collect()
    }

    /// Whether the bucket exists.
    pub fn has_bucket(&self, name: &str) -> bool {
        read(&self.buckets).contains_key(name)
    }

    /// Writes an object where `precondition` holds: of several racing PUTs with [`Precondition::Absent`] exactly one
    /// succeeds. In a folder the object is on disk when this returns, and no reader has seen it before.
    ///
    /// # Errors
    /// [`StoreError::PreconditionFailed`], [`StoreError::NoSuchBucket`], [`StoreError::InvalidKey`],
    /// [`StoreError::Io`].
    pub fn put(
        &self,
        bucket: &str,
        key: &str,
        body: Bytes,
        metadata: ObjectMetadata,
        precondition: &Precondition,
    ) -> StoreResult<ObjectSummary> {
        if key.is_empty() || key.len() > MAX_KEY_LENGTH {
            return Err(StoreError::InvalidKey { length: key.len() });
        }
        let held = self.bucket(bucket)?;
        let summary = ObjectSummary {
            key: key.to_owned(),
            etag: ETag::of(&body),
            size: body.len() as u64,
            last_modified: (self.clock)(),
        };
        let check = |current: Option<&Entry>| match precondition.holds(current.map(|entry| entry.etag)) {
            true => Ok(()),
            false => Err(StoreError::PreconditionFailed { key: key.to_owned() }),
        };
        let entry =
            |content| Entry { etag: summary.etag, size: summary.size, last_modified: summary.last_modified, content };
        #[cfg(unix)]
        if let Some(files) = &held.files {
            // Once before the work, and once more where it counts: under the key's lock.
            check(read(&held.index).get(key))?;
            let staged = files.stage(&summary, &metadata, &body)?;
            let _writer = files.lock(key);
            check(read(&held.index).get(key))?;
            staged.publish()?;
            write(&held.index).insert(key.into(), entry(None));
            return Ok(summary);
        }
        let content = Arc::new(Content { metadata, body });
        let mut index = write(&held.index);
        check(index.get(key))?;
        index.insert(key.into(), entry(Some(content)));
        Ok(summary)
    }

    /// Reads an object, or the part of its body that `range` names.
    ///
    /// # Errors
    /// [`StoreError::NoSuchKey`], [`StoreError::RangeNotSatisfiable`], [`StoreError::NoSuchBucket`],
    /// [`StoreError::Io`], [`StoreError::Damaged`].
    pub fn get(&self, bucket: &str, key: &str, range: ByteRange) -> StoreResult<Object> {
        let held = self.bucket(bucket)?;
        let missing = || StoreError::NoSuchKey { bucket: bucket.to_owned(), key: key.to_owned() };
        let index = read(&held.index);
        let entry = index.get(key).ok_or_else(missing)?;
        let Some(content) = entry.content.clone() else {
            drop(index);
            #[cfg(unix)]
            if let Some(files) = &held.files {
                return files.read(key, range)?.ok_or_else(missing);
            }
            return Err(missing());
        };
        let (etag, size, last_modified) = (entry.etag, entry.size, entry.last_modified);
        drop(index);
        let range = range.within(size).ok_or_else(|| StoreError::RangeNotSatisfiable { key: key.to_owned(), size })?;
        // Within the body, whose length is a usize.
        let body = content.body.slice(range.start as usize..range.end as usize);
        Ok(Object { etag, size, last_modified, metadata: content.metadata.clone(), body, range })
    }

    /// Deletes objects; whether each of them existed. In a folder they are gone from the disk when this returns.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::Io`].
    pub fn delete(&self, bucket: &str, keys: &[&str]) -> StoreResult<Vec<bool>> {
        let held = self.bucket(bucket)?;
        #[cfg(unix)]
        let _writers = match &held.files {
            Some(files) => {
                let writers = files.lock_all(keys);
                let present = |key: &&str| read(&held.index).contains_key(*key);
                files.delete(keys.iter().copied().filter(present))?;
                writers
            }
            None => Vec::new(),
        };
        let mut index = write(&held.index);
        Ok(keys.iter().map(|&key| index.remove(key).is_some()).collect())
    }

    /// One page of a bucket's keys.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`].
    pub fn list(&self, bucket: &str, request: &ListRequest) -> StoreResult<ListPage> {
        let held = self.bucket(bucket)?;
        let index = read(&held.index);
        Ok(list::page(&index, request, |key, entry| ObjectSummary {
            key: key.to_owned(),
            etag: entry.etag,
            size: entry.size,
            last_modified: entry.last_modified,
        }))
    }

    /// All keys of a bucket that begin with `prefix`, in the order of their bytes.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`].
    pub fn keys(&self, bucket: &str, prefix: &str) -> StoreResult<Vec<String>> {
        let mut request = ListRequest::prefix(prefix);
        let mut keys = Vec::new();
        loop {
            let page = self.list(bucket, &request)?;
            keys.extend(page.objects.into_iter().map(|object| object.key));
            let Some(next) = page.next else { return Ok(keys) };
            request.start = next;
        }
    }

    fn bucket(&self, name: &str) -> StoreResult<Arc<Bucket>> {
        let missing = || StoreError::NoSuchBucket { bucket: name.to_owned() };
        read(&self.buckets).get(name).cloned().ok_or_else(missing)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("buckets", &self.buckets()).field("folder", &self.is_folder()).finish()
    }
}

#[allow(clippy::disallowed_methods, reason = "Last-Modified is the time of the server that was asked to store")]
fn system_time() -> SystemTime {
    SystemTime::now()
}

// A panic elsewhere leaves no half-made change under these locks: each is one insert or remove.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
