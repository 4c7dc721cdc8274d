//! Section `[s3]`.

use klstore_format::S3StoreConfig;

use crate::settings::{Setting, settings};

/// All settings, in the order in which they are shown.
pub(crate) const S3: &[Setting<S3StoreConfig>] = settings! { S3StoreConfig:
    endpoint,
    bucket_name,
    object_prefix,
    region,
    path_style,
    ca_bundle,
    use_default_credentials,
    anonymous,
    access_key,
    secret_key,
    security_token,
    session_token,
    profile,
    default_max_results,
    max_cached_keys,
    max_future_skew_millis,
    retention_max_age_millis,
    retention_max_items,
    retention_max_bytes,
    compact_size_threshold,
    compact_items_threshold,
    compact_objects_threshold,
    carry_bytes,
    carry_budget_bytes,
    codec,
    checksums,
    server_side_encryption,
    kms_key_id,
    storage_class,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_setting() {
        // Serde names all fields where it finds an unknown one.
        let message = serde_json::from_str::<S3StoreConfig>(r#"{"?":1}"#).unwrap_err().to_string();
        let mut fields: Vec<&str> = message.split('`').skip(3).step_by(2).collect();
        let mut table: Vec<&str> = S3.iter().map(|setting| setting.name).collect();
        fields.sort_unstable();
        table.sort_unstable();
        assert_eq!(table, fields);
    }

    #[test]
    fn what_is_shown_can_be_read() {
        let config = S3StoreConfig::new("b");
        for setting in S3 {
            if let Some(shown) = (setting.show)(&config) {
                let mut read = config.clone();
                assert!((setting.read)(&mut read, &shown), "{} = {shown}", setting.name);
                assert_eq!(read, config);
            }
        }
    }
}
