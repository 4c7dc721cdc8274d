//! The folder behind a store: one file for an object, and no name in it that a client chose but a bucket's.
//!
//! ```text
//! DIR/klstore-s3             marks the folder and is locked by the one process that serves it
//! DIR/BUCKET/objects/HASH    an object; HASH is SHA-256 of its key in hex, so any key is a safe name of its own,
//!                            and on file systems that fold case too
//! DIR/BUCKET/tmp/N           an upload on its way; removed at the next start
//! ```
//! A file holds `magic | header length | crc32c of the header | header (JSON) | body`. It is written and synced under
//! `tmp`, renamed into place, and the directory synced: after that the PUT is answered, so what was answered survives
//! a crash, and a file under `objects` is whole. Everything is opened relative to directories opened at the start,
//! and never through a symbolic link.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use rustix::fs::{AtFlags, Dir, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::object::{ByteRange, ETag, Object, ObjectMetadata, ObjectSummary};
use super::{StoreError, StoreResult};

const MARKER: &str = "klstore-s3";
const MARKER_TEXT: &[u8] = b"A klstore S3 store, version 1. Do not change the files in this folder.\n";
const MAGIC: &[u8; 8] = b"KLS3OBJ1";
const PREAMBLE: u64 = 16;
/// Far above what the headers of one request can hold, far below what would hurt.
const MAX_HEADER: u32 = 1 << 20;
const LOCKS: usize = 64;

pub(super) struct Folder {
    path: PathBuf,
    directory: File,
    _marker: LockedMarker,
}

/// Locked as long as this lives.
struct LockedMarker(File);

impl Drop for LockedMarker {
    fn drop(&mut self) {
        // Closing would do, but for a process that another thread is starting at this moment: until it runs its program it
        // has what we have open, and the lock with it.
        let _ = rustix::fs::flock(&self.0, FlockOperation::Unlock);
    }
}

pub(super) struct BucketFolder {
    path: PathBuf,
    objects: File,
    temporary: File,
    next_temporary: AtomicU64,
    /// A key's writers take turns by the lock of its hash.
    locks: [Mutex<()>; LOCKS],
}

/// An object's file before its body.
#[derive(Serialize, Deserialize)]
struct Header {
    key: String,
    etag: String,
    size: u64,
    /// Milliseconds since 1970.
    last_modified: u64,
    #[serde(flatten)]
    metadata: ObjectMetadata,
}

impl Folder {
    pub(super) fn open(path: PathBuf) -> StoreResult<Self> {
        let failed = |action, path: &PathBuf| {
            let path = path.clone();
            move |source: io::Error| StoreError::Io { action, path, source }
        };
        std::fs::create_dir_all(&path).map_err(failed("create", &path))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(&path, flags, Mode::empty())
            .map(File::from)
            .map_err(|errno| failed("open", &path)(errno.into()))?;
        let marker_path = path.join(MARKER);
        let names = names(&directory).map_err(failed("read", &path))?;
        if !names.is_empty() && !names.iter().any(|name| name == MARKER) {
            return Err(StoreError::NotAStore { path });
        }
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let marker = rustix::fs::openat(&directory, MARKER, flags, Mode::RUSR | Mode::WUSR)
            .map(File::from)
            .map_err(|errno| failed("open", &marker_path)(errno.into()))?;
        match rustix::fs::flock(&marker, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(StoreError::InUse { path }),
            Err(errno) => return Err(failed("lock", &marker_path)(errno.into())),
        }
        let marker = LockedMarker(marker);
        let mut text = Vec::new();
        (&marker.0).take(MARKER_TEXT.len() as u64 + 1).read_to_end(&mut text).map_err(failed("read", &marker_path))?;
        if text.is_empty() {
            (&marker.0)
                .write_all(MARKER_TEXT)
                .and_then(|()| marker.0.sync_all())
                .and_then(|()| directory.sync_all())
                .map_err(failed("write", &marker_path))?;
        } else if text != MARKER_TEXT {
            return Err(StoreError::NotAStore { path });
        }
        Ok(Self { path, directory, _marker: marker })
    }

    pub(super) fn bucket_names(&self) -> StoreResult<Vec<String>> {
        let mut names = names(&self.directory).map_err(|error| self.failed("read", "", error))?;
        names.retain(|name| name != MARKER && s3s::path::check_bucket_name(name));
        Ok(names)
    }

    pub(super) fn create_bucket(&self, name: &str) -> StoreResult<BucketFolder> {
        make_directory(&self.directory, name).map_err(|error| self.failed("create", name, error))?;
        let (bucket, _) = self.open_bucket(name)?;
        self.directory.sync_all().map_err(|error| self.failed("sync", "", error))?;
        Ok(bucket)
    }

    /// The bucket, emptied of what a crash left half-written, and when it was created.
    pub(super) fn open_bucket(&self, name: &str) -> StoreResult<(BucketFolder, SystemTime)> {
        let failed = |action| move |error| self.failed(action, name, error);
        let directory = open_directory(&self.directory, name).map_err(failed("open"))?;
        for part in ["objects", "tmp"] {
            make_directory(&directory, part).map_err(failed("create a directory in"))?;
        }
        directory.sync_all().map_err(failed("sync"))?;
        // Nothing is added to or removed from the bucket's own directory later, so its time stays.
        let created = directory.metadata().and_then(|metadata| metadata.modified()).map_err(failed("examine"))?;
        let bucket = BucketFolder {
            path: self.path.join(name),
            objects: open_directory(&directory, "objects").map_err(failed("open the objects of"))?,
            temporary: open_directory(&directory, "tmp").map_err(failed("open the uploads of"))?,
            next_temporary: AtomicU64::new(0),
            locks: std::array::from_fn(|_| Mutex::new(())),
        };
        for name in names(&bucket.temporary).map_err(failed("read the uploads of"))? {
            rustix::fs::unlinkat(&bucket.temporary, &*name, AtFlags::empty())
                .map_err(|errno| failed("remove a left-over upload of")(errno.into()))?;
        }
        Ok((bucket, created))
    }

    pub(super) fn delete_bucket(&self, name: &str) -> StoreResult<()> {
        let failed = |error| self.failed("remove", name, error);
        let directory = open_directory(&self.directory, name).map_err(failed)?;
        for (parent, part) in [(&directory, "objects"), (&directory, "tmp"), (&self.directory, name)] {
            rustix::fs::unlinkat(parent, part, AtFlags::REMOVEDIR).map_err(|errno| failed(errno.into()))?;
        }
        self.directory.sync_all().map_err(failed)
    }

    fn failed(&self, action: &'static str, name: &str, source: io::Error) -> StoreError {
        StoreError::Io { action, path: self.path.join(name), source }
    }
}

impl BucketFolder {
    /// Tells of every object, in no order.
    pub(super) fn scan(&self, mut found: impl FnMut(String, ETag, u64, SystemTime)) -> StoreResult<()> {
        for name in names(&self.objects).map_err(|error| self.failed("read", "", error))? {
            if name.len() != 64 {
                continue;
            }
            let Some((_, header, etag)) = self.open(&name)? else { continue };
            if file_name(&header.key) != name {
                return Err(self.damaged(&name, "it holds another key than its name says"));
            }
            found(header.key, etag, header.size, time(header.last_modified));
        }
        Ok(())
    }

    /// Writes an object where no reader sees it yet.
    pub(super) fn stage(
        &self,
        summary: &ObjectSummary,
        metadata: &ObjectMetadata,
        body: &Bytes,
    ) -> StoreResult<StagedObject<'_>> {
        let milliseconds = summary.last_modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
        let header = Header {
            key: summary.key.clone(),
            etag: summary.etag.to_string(),
            size: summary.size,
            last_modified: u64::try_from(milliseconds).unwrap_or(u64::MAX),
            metadata: metadata.clone(),
        };
        let temporary = self.next_temporary.fetch_add(1, Ordering::Relaxed).to_string();
        let failed =
            |error| StoreError::Io { action: "write", path: self.path.join("tmp").join(&temporary), source: error };
        let header = serde_json::to_vec(&header).map_err(|error| failed(error.into()))?;
        let length = u32::try_from(header.len()).ok().filter(|&length| length <= MAX_HEADER);
        let length = length.ok_or_else(|| failed(io::ErrorKind::FileTooLarge.into()))?;

        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = rustix::fs::openat(&self.temporary, &*temporary, flags, Mode::RUSR | Mode::WUSR)
            .map(File::from)
            .map_err(|errno| failed(errno.into()))?;
        let staged = StagedObject { bucket: self, temporary: temporary.clone(), name: file_name(&summary.key) };
        let mut front = Vec::with_capacity(PREAMBLE as usize + header.len());
        front.extend_from_slice(MAGIC);
        front.extend_from_slice(&length.to_le_bytes());
        front.extend_from_slice(&crc32c::crc32c(&header).to_le_bytes());
        front.extend_from_slice(&header);
        file.write_all(&front).and_then(|()| file.write_all(body)).and_then(|()| file.sync_all()).map_err(failed)?;
        Ok(staged)
    }

    /// Reads an object from its file alone, so that headers and body belong together whatever is put meanwhile.
    pub(super) fn read(&self, key: &str, range: ByteRange) -> StoreResult<Option<Object>> {
        let name = file_name(key);
        let Some((mut file, header, etag)) = self.open(&name)? else { return Ok(None) };
        let size = header.size;
        let range = range.within(size).ok_or_else(|| StoreError::RangeNotSatisfiable { key: key.to_owned(), size })?;
        let mut body = Vec::new();
        // The reader stands behind the header.
        file.seek(SeekFrom::Current(i64::try_from(range.start).unwrap_or(i64::MAX)))
            .and_then(|_| file.take(range.end - range.start).read_to_end(&mut body))
            .map_err(|error| self.failed("read", &name, error))?;
        if body.len() as u64 != range.end - range.start {
            return Err(self.damaged(&name, "it is shorter than its header says"));
        }
        let last_modified = time(header.last_modified);
        Ok(Some(Object { etag, size, last_modified, metadata: header.metadata, body: body.into(), range }))
    }

    /// Removes objects that exist. The caller holds their locks.
    pub(super) fn delete<'k>(&self, keys: impl Iterator<Item = &'k str>) -> StoreResult<()> {
        let mut removed = false;
        for key in keys {
            let name = file_name(key);
            match rustix::fs::unlinkat(&self.objects, &*name, AtFlags::empty()) {
                Ok(()) => removed = true,
                // Named twice in one request.
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(self.failed("remove", &name, errno.into())),
            }
        }
        if removed {
            self.objects.sync_all().map_err(|error| self.failed("sync", "", error))?;
        }
        Ok(())
    }

    /// Waits until no other writer of this key is at work, and keeps others waiting.
    pub(super) fn lock(&self, key: &str) -> MutexGuard<'_, ()> {
        self.locks[lock_of(key)].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same for many keys, always in one order, so that two such calls cannot block each other.
    pub(super) fn lock_all(&self, keys: &[&str]) -> Vec<MutexGuard<'_, ()>> {
        let mut wanted: Vec<usize> = keys.iter().map(|key| lock_of(key)).collect();
        wanted.sort_unstable();
        wanted.dedup();
        wanted.into_iter().map(|lock| self.locks[lock].lock().unwrap_or_else(PoisonError::into_inner)).collect()
    }

    /// Opens an object's file and reads its header; `None` where there is none.
    fn open(&self, name: &str) -> StoreResult<Option<(File, Header, ETag)>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = match rustix::fs::openat(&self.objects, name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(self.failed("open", name, errno.into())),
        };
        let damaged = |what| self.damaged(name, what);
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => damaged("it is shorter than its header says"),
            _ => self.failed("read", name, error),
        };
        let length = file.metadata().map_err(failed)?.len();
        let mut preamble = [0; PREAMBLE as usize];
        file.read_exact(&mut preamble).map_err(failed)?;
        let [m0, m1, m2, m3, m4, m5, m6, m7, l0, l1, l2, l3, c0, c1, c2, c3] = preamble;
        let header_length = u32::from_le_bytes([l0, l1, l2, l3]);
        if [m0, m1, m2, m3, m4, m5, m6, m7] != *MAGIC || header_length > MAX_HEADER {
            return Err(damaged("it does not begin as an object's file does"));
        }
        let mut header = vec![0; header_length as usize];
        file.read_exact(&mut header).map_err(failed)?;
        if crc32c::crc32c(&header) != u32::from_le_bytes([c0, c1, c2, c3]) {
            return Err(damaged("the checksum of its header is wrong"));
        }
        let header: Header = serde_json::from_slice(&header).map_err(|_| damaged("its header cannot be read"))?;
        if PREAMBLE.checked_add(header_length.into()).and_then(|front| front.checked_add(header.size)) != Some(length) {
            return Err(damaged("its length is not what its header says"));
        }
        let etag = ETag::from_hex(&header.etag).ok_or_else(|| damaged("its ETag is none"))?;
        Ok(Some((file, header, etag)))
    }

    fn failed(&self, action: &'static str, name: &str, source: io::Error) -> StoreError {
        StoreError::Io { action, path: self.path.join("objects").join(name), source }
    }

    fn damaged(&self, name: &str, what: &'static str) -> StoreError {
        StoreError::Damaged { path: self.path.join("objects").join(name), what }
    }
}

/// An object on disk that is not yet under its name.
pub(super) struct StagedObject<'b> {
    bucket: &'b BucketFolder,
    temporary: String,
    name: String,
}

impl StagedObject<'_> {
    /// Gives the object its name, durably. The caller holds the key's lock.
    pub(super) fn publish(self) -> StoreResult<()> {
        let bucket = self.bucket;
        rustix::fs::renameat(&bucket.temporary, &*self.temporary, &bucket.objects, &*self.name)
            .map_err(io::Error::from)
            .and_then(|()| bucket.objects.sync_all())
            .map_err(|error| bucket.failed("publish", &self.name, error))
    }
}

impl Drop for StagedObject<'_> {
    fn drop(&mut self) {
        // Gone already where it was published; else a left-over that the next start would remove as well.
        let _ = rustix::fs::unlinkat(&self.bucket.temporary, &*self.temporary, AtFlags::empty());
    }
}

fn file_name(key: &str) -> String {
    Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn lock_of(key: &str) -> usize {
    Sha256::digest(key).first().map_or(0, |&byte| usize::from(byte) % LOCKS)
}

fn time(milliseconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(milliseconds)).unwrap_or(SystemTime::UNIX_EPOCH)
}

fn make_directory(parent: &File, name: &str) -> io::Result<()> {
    match rustix::fs::mkdirat(parent, name, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

fn open_directory(parent: &File, name: &str) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(parent, name, flags, Mode::empty())?.into())
}

/// The names in a directory that are UTF-8; the store writes no others.
fn names(directory: &File) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        if let Ok(name) = entry?.file_name().to_str()
            && name != "."
            && name != ".."
        {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_goes_with_the_folder_even_where_a_process_being_started_still_has_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let opened = Folder::open(path.clone()).unwrap();
        let inherited = opened._marker.0.try_clone().unwrap();
        assert!(matches!(Folder::open(path.clone()), Err(StoreError::InUse { .. })));
        drop(opened);
        assert!(Folder::open(path).is_ok());
        drop(inherited);
    }
}
