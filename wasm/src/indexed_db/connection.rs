//! The database in IndexedDB: a store of blocks for each file, and one for their lengths.

use std::ops::RangeInclusive;

use js_sys::{Array, Object, Promise, Reflect, Uint8Array};
use lightning_db::env::FileId;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    IdbDatabase, IdbFactory, IdbKeyRange, IdbObjectStore, IdbOpenDbRequest, IdbRequest, IdbTransaction,
    IdbTransactionMode,
};

use super::blocks::Changes;

/// Of the layout: which stores there are, and the sizes of blocks.
const LAYOUT_VERSION: u32 = 1;
/// Holds each file's length in bytes under the name of its store of blocks.
const LENGTHS: &str = "lengths";

/// The store of a file's blocks, each under its index.
fn store_name(file: FileId) -> &'static str {
    match file {
        FileId::Data => "data",
        FileId::Log => "log",
    }
}

#[wasm_bindgen]
extern "C" {
    /// `IDBDatabase.transaction` with its third parameter, which web-sys counts as unstable.
    #[wasm_bindgen(extends = IdbDatabase)]
    type Transactional;
    #[wasm_bindgen(method, catch)]
    fn transaction(
        this: &Transactional,
        stores: &Array,
        mode: IdbTransactionMode,
        options: &Object,
    ) -> Result<IdbTransaction, JsValue>;
}

/// What a transaction promises once it is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Promised {
    /// What it wrote survives the end of the tab.
    Relaxed,
    /// What it wrote, and all before it, survives a power loss.
    Strict,
}

/// An open connection. Dropping it closes it.
#[derive(Debug)]
pub(super) struct Connection(IdbDatabase);

/// Blocks to fetch, of one file.
pub(super) type Span = (FileId, RangeInclusive<u64>);

impl Connection {
    pub(super) async fn open(name: &str) -> Result<Self, JsValue> {
        let request = factory()?.open_with_u32(name, LAYOUT_VERSION)?;
        let make_stores = Closure::<dyn FnMut() -> Result<(), JsValue>>::new({
            let request = request.clone();
            move || {
                let database: IdbDatabase = request.result()?.unchecked_into();
                for store in [store_name(FileId::Data), store_name(FileId::Log), LENGTHS] {
                    database.create_object_store(store)?;
                }
                Ok(())
            }
        });
        request.set_onupgradeneeded(Some(make_stores.as_ref().unchecked_ref()));
        Ok(Self(answer(&request).await?.unchecked_into()))
    }

    /// Deletes the database, waiting until nobody has it open.
    pub(super) async fn delete(name: &str) -> Result<(), JsValue> {
        let request: IdbOpenDbRequest = factory()?.delete_database(name)?;
        answer(&request).await.map(drop)
    }

    pub(super) async fn len(&self, file: FileId) -> Result<u64, JsValue> {
        let transaction = self.begin(&[LENGTHS], IdbTransactionMode::Readonly, Promised::Relaxed)?;
        let request = transaction.object_store(LENGTHS)?.get(&store_name(file).into())?;
        Ok(answer(&request).await?.as_f64().unwrap_or(0.0) as u64)
    }

    /// The blocks of `spans` that there are, in one transaction.
    pub(super) async fn fetch(&self, spans: &[Span]) -> Result<Vec<(FileId, u64, Vec<u8>)>, JsValue> {
        let stores = FileId::ALL.map(store_name);
        let transaction = self.begin(&stores, IdbTransactionMode::Readonly, Promised::Relaxed)?;
        let mut requests = Vec::new();
        for (file, span) in spans {
            let (first, last) = (JsValue::from_f64(*span.start() as f64), JsValue::from_f64(*span.end() as f64));
            let range = IdbKeyRange::bound(&first, &last)?;
            let store = transaction.object_store(store_name(*file))?;
            requests.push((*file, store.get_all_keys_with_key(&range)?, store.get_all_with_key(&range)?));
        }
        let mut blocks = Vec::new();
        // Each answer is awaited before the next although they come in this order: an event that has fired is lost, so
        // all promises are made first.
        let answers: Vec<_> = requests.iter().map(|(_, keys, values)| (answer(keys), answer(values))).collect();
        for ((file, ..), (keys, values)) in requests.iter().zip(answers) {
            let (keys, values): (Array, Array) = (keys.await?.unchecked_into(), values.await?.unchecked_into());
            for (key, value) in keys.iter().zip(values.iter()) {
                let index = key.as_f64().unwrap_or_default() as u64;
                blocks.push((*file, index, Uint8Array::new(&value).to_vec()));
            }
        }
        Ok(blocks)
    }

    /// Begins to write `changes` of each file in one transaction. `blocks` calls its last argument with each block that
    /// is put.
    pub(super) fn write(
        &self,
        changes: &[(FileId, Changes)],
        promised: Promised,
        blocks: impl Fn(FileId, &Changes, &mut dyn FnMut(u64, &[u8])),
    ) -> Result<Written, JsValue> {
        let stores = [store_name(FileId::Data), store_name(FileId::Log), LENGTHS];
        let transaction = self.begin(&stores, IdbTransactionMode::Readwrite, promised)?;
        let lengths = transaction.object_store(LENGTHS)?;
        for (file, changes) in changes {
            let store = transaction.object_store(store_name(*file))?;
            if let Some(first) = changes.delete_from {
                store.delete(IdbKeyRange::lower_bound(&JsValue::from_f64(first as f64))?.as_ref())?;
            }
            let mut outcome = Ok(());
            blocks(*file, changes, &mut |index, bytes| {
                if outcome.is_ok() {
                    outcome = put(&store, &JsValue::from_f64(index as f64), &Uint8Array::from(bytes));
                }
            });
            outcome?;
            if let Some(len) = changes.len {
                put(&lengths, &store_name(*file).into(), &JsValue::from_f64(len as f64))?;
            }
        }
        Ok(Written(transaction))
    }

    /// Waits until every transaction has ended. WebKit keeps a connection that is closed within one when its worker ends,
    /// and then nobody can delete the database.
    pub(super) async fn rest(&self) -> Result<(), JsValue> {
        let stores = [store_name(FileId::Data), store_name(FileId::Log), LENGTHS];
        Written(self.begin(&stores, IdbTransactionMode::Readwrite, Promised::Relaxed)?).complete().await
    }

    fn begin(&self, stores: &[&str], mode: IdbTransactionMode, promised: Promised) -> Result<IdbTransaction, JsValue> {
        let options = Object::new();
        let durability = if promised == Promised::Strict { "strict" } else { "relaxed" };
        Reflect::set(&options, &"durability".into(), &durability.into())?;
        let names: Array = stores.iter().map(|name| JsValue::from_str(name)).collect();
        self.0.unchecked_ref::<Transactional>().transaction(&names, mode, &options)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// A transaction whose requests have all been made.
pub(super) struct Written(IdbTransaction);

impl Written {
    /// Waits for its end, committed or not.
    pub(super) async fn complete(self) -> Result<(), JsValue> {
        let transaction = &self.0;
        let ended = Promise::new(&mut |resolve, reject| {
            transaction.set_oncomplete(Some(&resolve));
            transaction.set_onabort(Some(&reject));
        });
        let outcome = JsFuture::from(ended).await;
        // An aborted transaction without an error was aborted by the browser: the tab is closing, or the disk is full.
        outcome.map(drop).map_err(|event| transaction.error().map_or(event, JsValue::from))
    }
}

fn put(store: &IdbObjectStore, key: &JsValue, value: &JsValue) -> Result<(), JsValue> {
    store.put_with_key(value, key).map(drop)
}

/// The result of a request that has not been answered yet.
fn answer(request: &IdbRequest) -> impl Future<Output = Result<JsValue, JsValue>> + use<> {
    let answered = JsFuture::from(Promise::new(&mut |resolve, reject| {
        request.set_onsuccess(Some(&resolve));
        request.set_onerror(Some(&reject));
    }));
    let request = request.clone();
    async move {
        match answered.await {
            Ok(_) => request.result(),
            Err(event) => Err(request.error()?.map_or(event, JsValue::from)),
        }
    }
}

/// `indexedDB` of a page or worker.
fn factory() -> Result<IdbFactory, JsValue> {
    let factory = Reflect::get(&js_sys::global(), &"indexedDB".into())?;
    if factory.is_undefined() || factory.is_null() {
        return Err(js_sys::Error::new("there is no IndexedDB here").into());
    }
    Ok(factory.unchecked_into())
}
