//! klstore's Kafka bridge: from a consumer group into lists on S3.
