//! What is refused, what is shown, what is read.

use super::*;

fn refused(change: impl FnOnce(&mut S3StoreConfig)) -> ConfigError {
    let mut config = S3StoreConfig::new("bucket");
    change(&mut config);
    config.validate().expect_err("settings that make no sense are refused")
}

fn some(value: &str) -> Option<String> {
    Some(value.to_owned())
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    assert_eq!(S3StoreConfig::new("bucket").validate(), Ok(()));
    assert_eq!(refused(|config| config.bucket_name.clear()), ConfigError::MissingBucket);
    let directory = refused(|config| config.bucket_name = "b--use1-az4--x-s3".to_owned());
    assert!(matches!(directory, ConfigError::DirectoryBucket { .. }));
    assert!(matches!(refused(|config| config.bucket_name = "b/p".to_owned()), ConfigError::BucketName { .. }));
    assert!(matches!(refused(|config| config.object_prefix = "/".to_owned()), ConfigError::Prefix(_)));
    assert_eq!(refused(|config| config.region.clear()), ConfigError::MissingRegion);
    for endpoint in ["localhost:9000", "ftp://host", "https://", "https://user:secret@host", "http://host?a"] {
        assert_eq!(refused(|config| config.endpoint = some(endpoint)), ConfigError::Endpoint);
    }
    let missing_secret = refused(|config| config.access_key = some("AKIA"));
    assert_eq!(missing_secret, ConfigError::IncompleteKeys { missing: "secret_key" });
    let missing_keys = refused(|config| config.session_token = some("token"));
    assert!(matches!(missing_keys, ConfigError::IncompleteKeys { .. }));
    let different = refused(|config| {
        (config.session_token, config.security_token) = (some("one"), some("other"));
    });
    assert_eq!(different, ConfigError::DifferentTokens);
    assert_eq!(refused(|config| config.use_default_credentials = false), ConfigError::NoCredentials);
    let both = refused(|config| (config.anonymous, config.profile) = (true, some("dev")));
    assert_eq!(both, ConfigError::AnonymousWithCredentials);
    assert_eq!(refused(|config| config.kms_key_id = some("k")), ConfigError::KmsKeyWithoutKms);
    let with_key = |key: &str| S3StoreConfig {
        server_side_encryption: ServerSideEncryption::AwsKms,
        kms_key_id: some(key),
        ..S3StoreConfig::new("bucket")
    };
    for key in ["a key", "a\r\nx-amz-acl: public-read", "clé", &"k".repeat(2_049)] {
        assert_eq!(with_key(key).validate(), Err(ConfigError::KmsKeyId));
    }
    for key in ["alias/lists", &"k".repeat(2_048)] {
        assert_eq!(with_key(key).validate(), Ok(()));
    }
    let changes: [fn(&mut S3StoreConfig); 10] = [
        |config| config.default_max_results = 0,
        |config| config.max_cached_keys = 0,
        |config| config.compact_items_threshold = 0,
        |config| config.compact_size_threshold = 0,
        |config| config.compact_objects_threshold = 0,
        |config| config.compact_objects_threshold = 251,
        |config| config.carry_bytes = usize::MAX,
        |config| config.retention_max_age_millis = Some(0),
        |config| config.retention_max_items = Some(0),
        |config| config.retention_max_bytes = Some(0),
    ];
    for change in changes {
        assert!(matches!(refused(change), ConfigError::OutOfRange { .. }));
    }
}

#[test]
fn an_error_names_the_setting_to_change() {
    let bucket = || "b".to_owned();
    let name = NameError::Empty { what: "key" };
    let settings = [
        (ConfigError::MissingBucket, "bucket_name"),
        (ConfigError::DirectoryBucket { bucket: bucket() }, "bucket_name"),
        (ConfigError::BucketName { bucket: bucket() }, "bucket_name"),
        (ConfigError::MissingRegion, "region"),
        (ConfigError::Endpoint, "endpoint"),
        (ConfigError::DifferentTokens, "session_token"),
        (ConfigError::IncompleteKeys { missing: "secret_key" }, "access_key"),
        (ConfigError::IncompleteKeys { missing: "access_key" }, "secret_key"),
        (ConfigError::IncompleteKeys { missing: "access_key and secret_key" }, "session_token"),
        (ConfigError::AnonymousWithCredentials, "anonymous"),
        (ConfigError::NoCredentials, "use_default_credentials"),
        (ConfigError::KmsKeyWithoutKms, "kms_key_id"),
        (ConfigError::KmsKeyId, "kms_key_id"),
        (ConfigError::OutOfRange { setting: "carry_bytes", value: 9, least: 1, most: 2 }, "carry_bytes"),
        (ConfigError::Prefix(name), "object_prefix"),
    ];
    for (error, setting) in settings {
        assert_eq!(error.setting(), setting, "{error}");
    }
}

#[test]
fn one_token_under_either_name() {
    let keys = S3StoreConfig { access_key: some("a"), secret_key: some("b"), ..S3StoreConfig::new("bucket") };
    let security = S3StoreConfig { security_token: some("t"), session_token: some(""), ..keys.clone() };
    assert_eq!((security.validate(), security.token()), (Ok(()), Some("t")));
    let same = S3StoreConfig { session_token: some("t"), ..security };
    assert_eq!((same.validate(), same.token()), (Ok(()), Some("t")));
}

#[test]
fn secrets_are_never_shown() {
    let config = S3StoreConfig {
        access_key: some("AKIAHUSH"),
        secret_key: some("hush"),
        security_token: some("hush"),
        session_token: some("hush"),
        endpoint: some("https://user:hush@host"),
        ..S3StoreConfig::new("bucket")
    };
    let shown = format!("{config:?}");
    assert!(!shown.to_lowercase().contains("hush"), "{shown}");
    for field in ["bucket_name: \"bucket\"", "endpoint: Some(\"***\")", "secret_key: Some(\"***\")", "profile: None"] {
        assert!(shown.contains(field), "{shown}");
    }
    assert!(!format!("{}", config.validate().unwrap_err()).contains("hush"));
    let written = serde_json::to_value(&S3StoreConfig { endpoint: None, ..config }).unwrap();
    assert!(!written.to_string().contains("\"hush\""), "{written}");
}

#[test]
fn settings_are_read_with_defaults_and_without_typing_errors() {
    let read: S3StoreConfig =
        serde_json::from_str(r#"{"bucket_name":"b","checksums":"always","codec":"lz4"}"#).unwrap();
    let expected = S3StoreConfig { checksums: Checksums::Always, codec: Codec::Lz4, ..S3StoreConfig::new("b") };
    assert_eq!(read, expected);
    assert!(serde_json::from_str::<S3StoreConfig>(r#"{"bucket":"b"}"#).is_err());
    let stored = r#"{"server_side_encryption":"aws:kms","kms_key_id":"alias/lists","storage_class":"STANDARD_IA"}"#;
    let read: S3StoreConfig = serde_json::from_str(stored).unwrap();
    assert_eq!((read.server_side_encryption, read.kms_key()), (ServerSideEncryption::AwsKms, Some("alias/lists")));
    assert_eq!(read.storage_class, StorageClass::StandardIa);
    assert!(serde_json::from_str::<S3StoreConfig>(r#"{"storage_class":"DEEP_ARCHIVE"}"#).is_err());
}
