//! Appends to klstore lists on S3: the native writer, compaction and collection.
