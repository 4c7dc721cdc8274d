//! An answer that is an XML document is believed only when it is there to its end.

use aws_sdk_s3::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;

/// Refuses an answer that was cut where its length was not announced: the SDK takes half a document for a whole one. Half
/// a LIST would end in half a name, half an answer to DeleteObjects leave out what was not deleted.
#[derive(Debug)]
pub(super) struct WholeDocument {
    /// The name of the document's root element.
    pub(super) root: &'static str,
}

impl Intercept for WholeDocument {
    fn name(&self) -> &'static str {
        "WholeDocument"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        match response.body().bytes() {
            // Of what the SDK has refused already it says itself what it is.
            Some(body) if context.output_or_error().is_ok() && !is_whole(body, self.root) => {
                Err("the answer ends within its document".into())
            }
            _ => Ok(()),
        }
    }
}

/// Whether the last tag closes the root element, or is all of it.
fn is_whole(body: &[u8], root: &str) -> bool {
    let body = body.trim_ascii_end();
    let last_tag = body.iter().rposition(|byte| *byte == b'<').map_or(&[][..], |begin| &body[begin + 1..]);
    match last_tag.strip_prefix(b"/") {
        Some(closing) => closing.strip_prefix(root.as_bytes()).is_some_and(|rest| rest.trim_ascii() == b">"),
        None => last_tag.starts_with(root.as_bytes()) && last_tag.ends_with(b"/>"),
    }
}

#[cfg(test)]
mod tests {
    use super::is_whole;

    fn check(body: &str, whole: bool) {
        assert_eq!(is_whole(body.as_bytes(), "DeleteResult"), whole, "{body}");
    }

    #[test]
    fn a_document_ends_with_its_root_element() {
        check("<?xml version=\"1.0\"?>\n<DeleteResult><Error><Key>a</Key></Error></DeleteResult>\n", true);
        check("<DeleteResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"/>", true);
        check("<DeleteResult></DeleteResult >", true);
    }

    #[test]
    fn a_cut_document_is_refused_wherever_it_was_cut() {
        let document = "<?xml version=\"1.0\"?><DeleteResult><Error><Key>a</Key><Message/></Error></DeleteResult>";
        for end in 0..document.len() {
            check(&document[..end], false);
        }
        check("<ListBucketResult></ListBucketResult>", false);
    }
}
