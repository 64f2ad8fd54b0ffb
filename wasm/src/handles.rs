//! A database in two files that JavaScript has opened: synchronous access handles of the origin private file system, or
//! objects that do the same over the files of Node, Deno or Bun.

use std::cell::{Cell, RefCell};

use js_sys::{Object, Reflect};
use lightning_db::env::{FileId, Storage, StorageError, StorageErrorKind, Sync};
use wasm_bindgen::prelude::*;

use crate::failure::storage_error;

#[wasm_bindgen]
extern "C" {
    /// What this needs of a `FileSystemSyncAccessHandle`.
    #[derive(Debug)]
    pub type FileHandle;
    #[wasm_bindgen(method, catch)]
    fn read(this: &FileHandle, buf: &mut [u8], at: &Object) -> Result<f64, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn write(this: &FileHandle, buf: &[u8], at: &Object) -> Result<f64, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn truncate(this: &FileHandle, len: f64) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch, js_name = getSize)]
    fn get_size(this: &FileHandle) -> Result<f64, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn flush(this: &FileHandle) -> Result<(), JsValue>;
    #[wasm_bindgen(method)]
    fn close(this: &FileHandle);
}

/// Appends to the log are handed over together up to so many bytes.
const GATHERED_BYTES_MAX: usize = 256 << 10;

/// Two files that nobody else has open. Dropping the storage closes them.
#[derive(Debug)]
pub struct HandleStorage {
    name: String,
    data: File,
    log: File,
}

impl HandleStorage {
    /// A database in these two files. `name` is for messages.
    pub fn new(name: &str, data: FileHandle, log: FileHandle) -> Result<Self, StorageError> {
        let (data, log) = (File::new(FileId::Data, data)?, File::new(FileId::Log, log)?);
        Ok(Self { name: name.to_owned(), data, log })
    }

    /// Hands over to the platform what was gathered. Before that it is not written: to be called before a write is
    /// acknowledged.
    pub fn settle(&self) -> Result<(), StorageError> {
        self.log.settle()?;
        self.data.settle()
    }

    fn file(&self, file: FileId) -> &File {
        match file {
            FileId::Data => &self.data,
            FileId::Log => &self.log,
        }
    }
}

impl Storage for HandleStorage {
    fn read_at(&self, file: FileId, offset: u64, buf: &mut [u8]) -> Result<(), StorageError> {
        self.file(file).read(offset, buf)
    }

    fn write_at(&self, file: FileId, offset: u64, buf: &[u8]) -> Result<(), StorageError> {
        self.file(file).write(offset, buf)
    }

    fn len(&self, file: FileId) -> Result<u64, StorageError> {
        Ok(self.file(file).len.get())
    }

    fn set_len(&self, file: FileId, len: u64) -> Result<(), StorageError> {
        self.file(file).set_len(len)
    }

    fn sync(&self, file: FileId) -> Result<Sync, StorageError> {
        self.file(file).flush()?;
        Ok(Sync::Done)
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

/// One handle. Nobody else changes the file while it is open, so its length need not be asked for again.
#[derive(Debug)]
struct File {
    id: FileId,
    handle: FileHandle,
    len: Cell<u64>,
    /// Made once: every access passes its offset in it.
    position: Object,
    at: JsValue,
    /// Writes that follow each other, one call to the platform for all of them: a call costs as much as some kilobytes.
    gathered: RefCell<Gathered>,
}

#[derive(Debug, Default)]
struct Gathered {
    offset: u64,
    bytes: Vec<u8>,
}

impl File {
    fn new(id: FileId, handle: FileHandle) -> Result<Self, StorageError> {
        let len = handle.get_size().map_err(|thrown| storage_error(&thrown, id, 0, 0))? as u64;
        let (position, at) = (Object::new(), JsValue::from_str("at"));
        Ok(Self { id, handle, len: Cell::new(len), position, at, gathered: RefCell::default() })
    }

    fn read(&self, offset: u64, buf: &mut [u8]) -> Result<(), StorageError> {
        self.settle()?;
        let (len, mut at, mut rest) = (buf.len() as u64, offset, buf);
        while !rest.is_empty() {
            let read = self.handle.read(rest, self.position(at)).map_err(|thrown| self.failed(&thrown, offset, len))?;
            rest = rest.get_mut(read as usize..).unwrap_or_default();
            at += read as u64;
            if read <= 0.0 {
                let message = "the file ends before this range";
                return Err(StorageError::new(StorageErrorKind::UnexpectedEnd, self.id, offset, len, message));
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, buf: &[u8]) -> Result<(), StorageError> {
        let end = offset + buf.len() as u64;
        // Only where the file is so long already: no quota can be in the way of these bytes when they are handed over.
        let can_wait = self.id == FileId::Log && end <= self.len.get() && buf.len() <= GATHERED_BYTES_MAX;
        let mut gathered = self.gathered.borrow_mut();
        let goes_on = gathered.offset + gathered.bytes.len() as u64 == offset;
        let fits = gathered.bytes.len() + buf.len() <= GATHERED_BYTES_MAX;
        if !(can_wait && goes_on && fits) {
            self.hand_over(&mut gathered)?;
        }
        if !can_wait {
            return self.write_now(offset, buf);
        }
        if gathered.bytes.is_empty() {
            gathered.offset = offset;
        }
        gathered.bytes.extend_from_slice(buf);
        Ok(())
    }

    fn settle(&self) -> Result<(), StorageError> {
        self.hand_over(&mut self.gathered.borrow_mut())
    }

    /// The engine was told that these bytes are written. If they cannot be, nothing else will be: they stay here, and every
    /// access fails as this one.
    fn hand_over(&self, gathered: &mut Gathered) -> Result<(), StorageError> {
        if !gathered.bytes.is_empty() {
            self.write_now(gathered.offset, &gathered.bytes)?;
            gathered.bytes.clear();
        }
        Ok(())
    }

    fn write_now(&self, offset: u64, buf: &[u8]) -> Result<(), StorageError> {
        let (len, mut at, mut rest) = (buf.len() as u64, offset, buf);
        while !rest.is_empty() {
            let written =
                self.handle.write(rest, self.position(at)).map_err(|thrown| self.failed(&thrown, offset, len))?;
            rest = rest.get(written as usize..).unwrap_or_default();
            at += written as u64;
            if written <= 0.0 {
                let message = "the platform took none of the bytes: its quota is reached";
                return Err(StorageError::new(StorageErrorKind::Full, self.id, offset, len, message));
            }
        }
        self.len.set(self.len.get().max(at));
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), StorageError> {
        self.settle()?;
        self.handle.truncate(len as f64).map_err(|thrown| self.failed(&thrown, len, 0))?;
        self.len.set(len);
        Ok(())
    }

    fn flush(&self) -> Result<(), StorageError> {
        self.settle()?;
        self.handle.flush().map_err(|thrown| self.failed(&thrown, 0, 0))
    }

    fn position(&self, offset: u64) -> &Object {
        // A property of an object of our own can be set.
        let _ = Reflect::set(&self.position, &self.at, &JsValue::from_f64(offset as f64));
        &self.position
    }

    fn failed(&self, thrown: &JsValue, offset: u64, len: u64) -> StorageError {
        storage_error(thrown, self.id, offset, len)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // What is left here was never acknowledged.
        let _ = self.settle();
        self.handle.close();
    }
}
