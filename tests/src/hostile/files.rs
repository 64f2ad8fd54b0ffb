//! The two files of a database as one string of bytes, for a corpus: short where the files hold zeros.

use std::sync::Arc;

use lightning_db::env::{FileId, MemoryStorage};

const SECTOR_BYTES: usize = 4096;
/// Files beyond this are cut: bytes of the corpus cannot ask for more memory than this.
const FILE_BYTES_MAX: usize = 1 << 20;

/// The two files of a database.
///
/// Packed, they are the length of each in sectors (2 bytes) and the bytes beyond its last whole sector (2 bytes), and then for
/// every sector how many bytes stand before the zeros at its end (2 bytes), and those. Any bytes unpack to some files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// `app.ldb`
    pub data: Vec<u8>,
    /// `app.ldb-log`
    pub log: Vec<u8>,
}

impl Files {
    /// Copies of the files of a storage.
    pub fn of(storage: &MemoryStorage) -> Self {
        Self { data: storage.contents(FileId::Data), log: storage.contents(FileId::Log) }
    }

    /// A storage that holds them.
    pub fn storage(&self) -> Arc<MemoryStorage> {
        Arc::new(MemoryStorage::with_contents(self.data.clone(), self.log.clone()))
    }

    /// Both as one string of bytes.
    pub fn pack(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for file in [&self.data, &self.log] {
            put(&mut out, file.len() / SECTOR_BYTES);
            put(&mut out, file.len() % SECTOR_BYTES);
        }
        for sector in self.data.chunks(SECTOR_BYTES).chain(self.log.chunks(SECTOR_BYTES)) {
            let len = sector.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            put(&mut out, len);
            out.extend_from_slice(&sector[..len]);
        }
        out
    }

    /// What [`pack`](Self::pack) packed, or whatever these bytes come to.
    pub fn unpack(mut bytes: &[u8]) -> Self {
        let mut lengths = [0; 2];
        for len in &mut lengths {
            *len = (take(&mut bytes) * SECTOR_BYTES + take(&mut bytes)).min(FILE_BYTES_MAX);
        }
        let [data, log] = lengths.map(|len| {
            let mut file = vec![0; len];
            for sector in file.chunks_mut(SECTOR_BYTES) {
                let len = take(&mut bytes).min(sector.len()).min(bytes.len());
                let (now, later) = bytes.split_at(len);
                sector[..len].copy_from_slice(now);
                bytes = later;
            }
            file
        });
        Self { data, log }
    }
}

fn put(out: &mut Vec<u8>, number: usize) {
    out.extend_from_slice(&(number as u16).to_le_bytes());
}

fn take(bytes: &mut &[u8]) -> usize {
    let Some((number, rest)) = bytes.split_first_chunk::<2>() else { return 0 };
    *bytes = rest;
    usize::from(u16::from_le_bytes(*number))
}

#[cfg(test)]
mod tests {
    use super::Files;

    #[test]
    fn files_come_back_and_any_bytes_are_files() {
        let data: Vec<u8> = (0..20_000u32).map(|at| if at % 4096 < 700 { at as u8 } else { 0 }).collect();
        for files in [Files { data, log: vec![7; 4096] }, Files::default(), Files { data: vec![0; 9000], log: vec![1] }]
        {
            assert_eq!(Files::unpack(&files.pack()), files);
        }
        assert!(Files::unpack(&[0xff; 100]).data.len() <= 1 << 20);
    }
}
