//! A database in two files of the origin private file system, through synchronous access handles.

use std::cell::Cell;

use js_sys::Reflect;
use lightning_db::env::{FileId, Storage, StorageError, StorageErrorKind, Sync};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    DedicatedWorkerGlobalScope, FileSystemDirectoryHandle, FileSystemFileHandle, FileSystemGetFileOptions,
    FileSystemReadWriteOptions, FileSystemSyncAccessHandle,
};

use crate::failure::{failed, storage_error};

/// Two files that this worker alone has open. Dropping the storage closes them.
#[derive(Debug)]
pub struct OpfsStorage {
    name: String,
    data: File,
    log: File,
}

impl OpfsStorage {
    /// Opens `NAME.ldb` and `NAME.ldb-log`, making them where missing. Fails outside a dedicated worker, and with
    /// [`StorageErrorKind::PermissionDenied`] while another worker or tab has them open.
    pub async fn open(name: &str) -> Result<Self, StorageError> {
        let directory = directory().await?;
        let data = File::open(&directory, &data_name(name)).await?;
        let log = File::open(&directory, &log_name(name)).await?;
        Ok(Self { name: name.to_owned(), data, log })
    }

    /// Deletes both files, which nobody may have open. Missing files are no error.
    pub async fn delete(name: &str) -> Result<(), StorageError> {
        let directory = directory().await?;
        for file in [data_name(name), log_name(name)] {
            match JsFuture::from(directory.remove_entry(&file)).await {
                Err(thrown) if !is_not_found(&thrown) => return Err(failed(&thrown)),
                _ => {}
            }
        }
        Ok(())
    }

    fn file(&self, file: FileId) -> &File {
        match file {
            FileId::Data => &self.data,
            FileId::Log => &self.log,
        }
    }
}

impl Storage for OpfsStorage {
    fn read_at(&self, file: FileId, offset: u64, buf: &mut [u8]) -> Result<(), StorageError> {
        let (handle, len) = (self.file(file), buf.len() as u64);
        let (mut at, mut rest) = (offset, buf);
        while !rest.is_empty() {
            let read = handle.read(at, rest).map_err(|thrown| storage_error(&thrown, file, offset, len))?;
            rest = rest.get_mut(read..).unwrap_or_default();
            at += read as u64;
            if read == 0 {
                let message = "the file ends before this range";
                return Err(StorageError::new(StorageErrorKind::UnexpectedEnd, file, offset, len, message));
            }
        }
        Ok(())
    }

    fn write_at(&self, file: FileId, offset: u64, buf: &[u8]) -> Result<(), StorageError> {
        let (handle, len) = (self.file(file), buf.len() as u64);
        let (mut at, mut rest) = (offset, buf);
        while !rest.is_empty() {
            let written = handle.write(at, rest).map_err(|thrown| storage_error(&thrown, file, offset, len))?;
            rest = rest.get(written..).unwrap_or_default();
            at += written as u64;
            if written == 0 {
                let message = "the browser took none of the bytes: its quota is reached";
                return Err(StorageError::new(StorageErrorKind::Full, file, offset, len, message));
            }
        }
        Ok(())
    }

    fn len(&self, file: FileId) -> Result<u64, StorageError> {
        Ok(self.file(file).len.get())
    }

    fn set_len(&self, file: FileId, len: u64) -> Result<(), StorageError> {
        let handle = self.file(file);
        handle.handle.truncate_with_f64(len as f64).map_err(|thrown| storage_error(&thrown, file, len, 0))?;
        handle.len.set(len);
        Ok(())
    }

    fn sync(&self, file: FileId) -> Result<Sync, StorageError> {
        self.file(file).handle.flush().map_err(|thrown| storage_error(&thrown, file, 0, 0))?;
        Ok(Sync::Done)
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

/// One handle. Nobody else changes the file while it is open, so its length need not be asked for again.
#[derive(Debug)]
struct File {
    handle: FileSystemSyncAccessHandle,
    len: Cell<u64>,
    /// Made once: every access passes its offset in it.
    position: FileSystemReadWriteOptions,
}

impl File {
    async fn open(directory: &FileSystemDirectoryHandle, name: &str) -> Result<Self, StorageError> {
        let create = FileSystemGetFileOptions::new();
        create.set_create(true);
        let opened = async {
            let file = JsFuture::from(directory.get_file_handle_with_options(name, &create)).await?;
            let file: FileSystemFileHandle = file.unchecked_into();
            let handle = JsFuture::from(file.create_sync_access_handle()).await?;
            let handle: FileSystemSyncAccessHandle = handle.unchecked_into();
            let len = Cell::new(handle.get_size()? as u64);
            Ok(Self { handle, len, position: FileSystemReadWriteOptions::new() })
        };
        opened.await.map_err(|thrown: JsValue| failed(&thrown))
    }

    fn read(&self, offset: u64, buf: &mut [u8]) -> Result<usize, JsValue> {
        self.position.set_at(offset as f64);
        Ok(self.handle.read_with_u8_array_and_options(buf, &self.position)? as usize)
    }

    fn write(&self, offset: u64, buf: &[u8]) -> Result<usize, JsValue> {
        self.position.set_at(offset as f64);
        let written = self.handle.write_with_u8_array_and_options(buf, &self.position)? as usize;
        self.len.set(self.len.get().max(offset + written as u64));
        Ok(written)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        self.handle.close();
    }
}

async fn directory() -> Result<FileSystemDirectoryHandle, StorageError> {
    let worker: DedicatedWorkerGlobalScope =
        js_sys::global().dyn_into().map_err(|_| unavailable("outside a dedicated worker"))?;
    let storage = worker.navigator().storage();
    // Outside secure contexts there is no such property.
    if storage.is_undefined() || !Reflect::has(&storage, &JsValue::from_str("getDirectory")).unwrap_or(false) {
        return Err(unavailable("in this context; a page from https or localhost has it"));
    }
    let directory = JsFuture::from(storage.get_directory()).await.map_err(|thrown| failed(&thrown))?;
    Ok(directory.unchecked_into())
}

fn unavailable(where_it_is: &str) -> StorageError {
    let message = format!("the origin private file system is not to be had {where_it_is}");
    StorageError::new(StorageErrorKind::Other, FileId::Data, 0, 0, message)
}

fn is_not_found(thrown: &JsValue) -> bool {
    thrown.dyn_ref::<web_sys::DomException>().is_some_and(|exception| exception.name() == "NotFoundError")
}

fn data_name(name: &str) -> String {
    format!("{name}.ldb")
}

fn log_name(name: &str) -> String {
    format!("{name}.ldb-log")
}
