//! `Send` where there are threads.

/// `Send + Sync` natively, nothing on wasm32, where a page has one thread and JavaScript's values stay on it.
#[cfg(not(target_arch = "wasm32"))]
pub trait MaybeSend: Send + Sync {}
#[cfg(not(target_arch = "wasm32"))]
impl<T: Send + Sync + ?Sized> MaybeSend for T {}

/// `Send + Sync` natively, nothing on wasm32, where a page has one thread and JavaScript's values stay on it.
#[cfg(target_arch = "wasm32")]
pub trait MaybeSend {}
#[cfg(target_arch = "wasm32")]
impl<T: ?Sized> MaybeSend for T {}
