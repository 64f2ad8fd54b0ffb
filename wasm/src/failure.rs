//! What JavaScript throws, as the engine's storage errors.

use lightning_db::env::{FileId, StorageError, StorageErrorKind};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::DomException;

/// `thrown`, as the failure of an access to `len` bytes at `offset` of `file`.
pub(crate) fn storage_error(thrown: &JsValue, file: FileId, offset: u64, len: u64) -> StorageError {
    StorageError::new(kind(thrown), file, offset, len, message(thrown))
}

/// As [`storage_error`], where no bytes are concerned.
pub(crate) fn failed(thrown: &JsValue) -> StorageError {
    storage_error(thrown, FileId::Data, 0, 0)
}

fn kind(thrown: &JsValue) -> StorageErrorKind {
    match thrown.dyn_ref::<DomException>().map(DomException::name).as_deref() {
        Some("QuotaExceededError") => StorageErrorKind::Full,
        Some("NotAllowedError" | "SecurityError" | "NoModificationAllowedError") => StorageErrorKind::PermissionDenied,
        _ => StorageErrorKind::Other,
    }
}

fn message(thrown: &JsValue) -> String {
    if let Some(exception) = thrown.dyn_ref::<DomException>() {
        return format!("{}: {}", exception.name(), exception.message());
    }
    match thrown.dyn_ref::<js_sys::Error>() {
        Some(error) => String::from(error.to_string()),
        None => thrown.as_string().unwrap_or_else(|| format!("{thrown:?}")),
    }
}
