//! From an S3 store configuration to AWS credentials, for klstore's reader and writer.
