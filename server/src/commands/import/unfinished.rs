//! The note of an import that is not finished: how far it is, in the same transaction as the batch that came so far. It is a
//! row of the table `lightning imports`, which is there only while an import is unfinished.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use lightning_db::{Database, Error, Result, Table, WriteTransaction};
use serde::{Deserialize, Serialize};

use crate::records::{Format, Place};

/// How far the import into each table or collection is.
const IMPORTS: Table<'_, &str, &str> = Table::new("lightning imports");

/// Bytes at the beginning of a file, and before the place where an import stopped, by which the file is known again.
const COMPARED_BYTES: u64 = 4096;

/// An import that has stored something and is not finished.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfinished {
    /// The file, as it was named; `-` for standard input.
    pub file: String,
    pub format: Format,
    #[serde(flatten)]
    pub place: Place,
    pub batches: u64,
    /// Records stored, and those left out because something is wrong with them.
    pub stored: u64,
    pub refused: u64,
    /// What the file says at its beginning and before the place; `None` for what cannot be read again.
    pub fingerprint: Option<u64>,
}

impl Unfinished {
    /// The import into `name` that is not finished.
    pub fn find(database: &Database, name: &str) -> Result<Option<Self>> {
        let snapshot = database.snapshot();
        let table = match snapshot.table(IMPORTS) {
            Ok(table) => table,
            Err(Error::NoSuchTable { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(note) = table.get(name)? else { return Ok(None) };
        let note = note.into_owned()?;
        serde_json::from_str(&note).map(Some).map_err(|error| Error::Invalid {
            what: format!("the note of an unfinished import cannot be read ({error}); begin again with --restart"),
        })
    }

    /// Says in this transaction how far the import into `name` is.
    pub fn note(&self, tx: &mut WriteTransaction, name: &str) -> Result<()> {
        let note = serde_json::to_string(self).map_err(|error| Error::Invalid { what: error.to_string() })?;
        tx.table(IMPORTS)?.put(name, note.as_str())
    }

    /// The import into `name` is finished.
    pub fn forget(tx: &mut WriteTransaction, name: &str) -> Result<()> {
        let mut table = tx.table(IMPORTS)?;
        table.delete(name)?;
        if table.is_empty()? {
            tx.drop_table(IMPORTS.name())?;
        }
        Ok(())
    }
}

/// What `file` says at its beginning and before `offset`; `None` where it is no file that can be read again.
pub fn fingerprint(file: &str, offset: u64) -> io::Result<Option<u64>> {
    if file == "-" || !std::fs::metadata(file)?.is_file() {
        return Ok(None);
    }
    let mut file = File::open(file)?;
    let len = COMPARED_BYTES.min(offset);
    let mut bytes = Vec::new();
    file.by_ref().take(len).read_to_end(&mut bytes)?;
    file.seek(SeekFrom::Start(offset - len))?;
    file.take(len).read_to_end(&mut bytes)?;
    Ok(Some(fnv(&bytes)))
}

/// FNV-1a. It tells files apart that were mixed up, not files that were forged.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
