//! How the host answers an operation's errands.

use aws_credential_types::Credentials;
use bytes::Bytes;
use klstore_format::plan::Listed;
use klstore_reader::transport::TransportError;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::bindings::Operation;

/// Headers that the reader looks at; a browser hides all but those that CORS exposes.
const HEADERS: [&str; 5] = ["content-length", "content-range", "date", "etag", "x-amz-bucket-region"];

#[wasm_bindgen]
impl Operation {
    /// The names of the headers to pass to [`respond`](Self::respond), in their order, joined by commas.
    #[wasm_bindgen(js_name = headerNames)]
    pub fn header_names() -> String {
        HEADERS.join(",")
    }

    /// A fetch has an answer with this status and these headers; its body follows in chunks, and then `complete`.
    pub fn respond(&self, id: u32, status: u16, values: Vec<String>) {
        let named = HEADERS.into_iter().zip(values).filter(|(_, value)| !value.is_empty());
        let headers = named.map(|(name, value)| (name.to_owned(), value)).collect();
        self.task.mailbox.respond(id, status, headers);
    }

    /// A get has found its object; its body follows in chunks, and then `complete`.
    pub fn found(&self, id: u32, etag: Option<String>, size: Option<f64>) {
        self.task.mailbox.found(id, etag, size.map(|size| size as u64));
    }

    /// A part of a body. `true` where no more is wanted.
    pub fn chunk(&self, id: u32, chunk: Vec<u8>) -> bool {
        self.task.mailbox.chunk(id, Bytes::from(chunk))
    }

    /// An object of a listing.
    pub fn listed(&self, id: u32, name: String, etag: String, size: f64) {
        self.task.mailbox.listed(id, Listed { name, etag, size: size as u64 });
    }

    /// A common prefix of a listing.
    #[wasm_bindgen(js_name = listedPrefix)]
    pub fn listed_prefix(&self, id: u32, prefix: String) {
        self.task.mailbox.listed_prefix(id, prefix);
    }

    /// A body has ended, a pause is over, there are no keys, a listing is whole (`flag`: more names follow), or a get's
    /// object does not exist (`flag`).
    pub fn complete(&self, id: u32, flag: bool) {
        self.task.mailbox.complete(id, flag);
    }

    /// The keys to sign with.
    #[wasm_bindgen(js_name = giveCredentials)]
    pub fn give_credentials(&self, id: u32, access_key: String, secret_key: String, token: Option<String>) {
        let credentials = Credentials::new(access_key, secret_key, token, None, "klstore");
        self.task.mailbox.give_credentials(id, credentials);
    }

    /// There will be no answer: no connection, or one that broke (`interrupted`).
    pub fn fail(&self, id: u32, interrupted: bool, reason: String) {
        let error = match interrupted {
            true => TransportError::Interrupted { reason },
            false => TransportError::Connect { reason },
        };
        self.task.mailbox.fail(id, error);
    }

    /// The browser keeps answers from this page's origin.
    #[wasm_bindgen(js_name = failCrossOrigin)]
    pub fn fail_cross_origin(&self, id: u32, origin: String) {
        self.task.mailbox.fail(id, TransportError::CrossOrigin { origin });
    }
}
