//! An answer to a LIST is believed only when its document is there to the end.

use aws_sdk_s3::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;

const END: &[u8] = b"</ListBucketResult>";

/// Refuses an answer that was cut where its length was not announced: the SDK takes half a document, down to half a name,
/// for a whole one.
#[derive(Debug)]
pub(super) struct WholeListing;

impl Intercept for WholeListing {
    fn name(&self) -> &'static str {
        "WholeListing"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        match response.body().bytes() {
            Some(body) if response.status().is_success() && !body.trim_ascii_end().ends_with(END) => {
                Err("the answer ends within its document".into())
            }
            _ => Ok(()),
        }
    }
}
