//! Restoring from increments that no honest program wrote.

use std::sync::{Arc, LazyLock};

use lightning_db::env::{FileId, FixedClock, MemoryStorage, SeededEntropy, Storage};
use lightning_db::testing::decoders::reseal_increment;
use lightning_db::{Database, Environment, Options, ReplayUntil, Table};

const T: Table<&[u8], &[u8]> = Table::new("t");

fn open(storage: Arc<MemoryStorage>) -> Database {
    let env = Environment { clock: Arc::new(FixedClock(1000)), entropy: Arc::new(SeededEntropy::new(1)) };
    let mut options = Options::default();
    options.background_thread = false;
    options.inline_bytes_max = 64;
    options.file_bytes_max = 1 << 20;
    Database::open_storage(storage, env, options).expect("an honest database opens")
}

/// A backup, the id of its database, and the commit that it is of, by incarnation and sequence.
type Backup = (Vec<u8>, [u8; 16], (u64, u64));

static BACKUP: LazyLock<Backup> = LazyLock::new(|| {
    let source = open(Arc::new(MemoryStorage::new()));
    source.transaction(|tx| tx.table(T)?.put(b"key", b"value")).expect("there is room");
    let (mut backup, mut file) = (source.backup(), Vec::new());
    while let Some(piece) = backup.next().expect("it can be read") {
        file.extend(piece);
    }
    let position = backup.position().to_bytes();
    let number = |at: usize| u64::from_le_bytes(position[at..at + 8].try_into().expect("8 bytes"));
    let id = file[16..32].try_into().expect("16 bytes");
    (file, id, (number(0), number(8)))
});

/// Takes in an increment whose checksums are right, and looks at everything afterwards.
pub fn replay(bytes: &[u8]) {
    let (file, id, position) = &*BACKUP;
    let mut bytes = bytes.to_vec();
    reseal_increment(&mut bytes, Some((*id, *position)));

    let copy = Arc::new(MemoryStorage::new());
    copy.write_at(FileId::Data, 0, file).expect("there is memory");
    let restored = open(copy);
    let mut replay = restored.replay(ReplayUntil::End).expect("nothing was written to it");
    let taken = replay.push(&bytes).and_then(|()| replay.end_increment()).and_then(|()| replay.finish());
    // What was taken in may name tables that make no sense; whoever asks is told.
    if let Ok(tables) = restored.tables() {
        for table in tables {
            let snapshot = restored.snapshot();
            let Ok(table) = snapshot.untyped_table(&table.name) else { continue };
            if let Ok(rows) = table.range(..) {
                rows.take(1000).for_each(drop);
            }
        }
    }
    _ = restored.check();
    if taken.is_ok() {
        restored.close().expect("what was taken in can be written");
    }
}
