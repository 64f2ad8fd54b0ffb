//! Libraries for several processors in one file, as `lipo -create` joins them: a list of where each begins, and then they.

use anyhow::{Context, Result};
use object::macho::{FAT_MAGIC, MH_MAGIC_64};
use object::read::archive::ArchiveFile;

/// They begin where 8 bytes do; of archives nothing more is asked.
const ALIGN_BITS: u32 = 3;
const HEADER_BYTES: usize = 8;
const ENTRY_BYTES: usize = 20;

/// One stays as it is.
pub fn join(archives: &[Vec<u8>]) -> Result<Vec<u8>> {
    if let [one] = archives {
        return Ok(one.clone());
    }
    let (mut list, mut contents) = (Vec::new(), Vec::new());
    let first = (HEADER_BYTES + archives.len() * ENTRY_BYTES).next_multiple_of(1 << ALIGN_BITS);
    for archive in archives {
        contents.resize(contents.len().next_multiple_of(1 << ALIGN_BITS), 0);
        let (processor, kind) = processor(archive)?;
        for number in
            [processor, kind, u32::try_from(first + contents.len())?, u32::try_from(archive.len())?, ALIGN_BITS]
        {
            list.extend(number.to_be_bytes());
        }
        contents.extend(archive);
    }
    let mut fat = Vec::with_capacity(first + contents.len());
    fat.extend(FAT_MAGIC.to_be_bytes());
    fat.extend(u32::try_from(archives.len())?.to_be_bytes());
    fat.extend(list);
    fat.resize(first, 0);
    fat.extend(contents);
    Ok(fat)
}

/// The processor that an archive is for, and its kind, as the first object in it says.
fn processor(archive: &[u8]) -> Result<(u32, u32)> {
    let members = ArchiveFile::parse(archive).context("a library is no archive")?;
    for member in members.members() {
        let data = member?.data(archive)?;
        let number = |at: usize| Some(u32::from_le_bytes(data.get(at..at + 4)?.try_into().ok()?));
        if let (Some(MH_MAGIC_64), Some(processor), Some(kind)) = (number(0), number(4), number(8)) {
            return Ok((processor, kind));
        }
    }
    anyhow::bail!("a library has no object for Apple's systems");
}

#[cfg(test)]
mod tests {
    use object::macho::{CPU_TYPE_ARM64, CPU_TYPE_X86_64};
    use object::read::macho::{FatArch, MachOFatFile32};

    /// An archive of one object, of which there is only the beginning.
    fn archive(processor: u32, len: usize) -> Vec<u8> {
        let mut data = vec![0; len];
        data[..4].copy_from_slice(&super::MH_MAGIC_64.to_le_bytes());
        data[4..8].copy_from_slice(&processor.to_le_bytes());
        let mut archive = b"!<arch>\n".to_vec();
        archive.extend(format!("{:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", "one.o", 0, 0, 0, "644", len).bytes());
        archive.extend(data);
        archive
    }

    #[test]
    fn those_that_were_joined_are_found_again() {
        let thin = [archive(CPU_TYPE_ARM64, 50), archive(CPU_TYPE_X86_64, 32)];
        let fat = super::join(&thin).unwrap();
        let found = MachOFatFile32::parse(fat.as_slice()).unwrap();
        for (arch, (archive, processor)) in
            found.arches().iter().zip(thin.iter().zip([CPU_TYPE_ARM64, CPU_TYPE_X86_64]))
        {
            assert_eq!(arch.cputype(), processor);
            assert_eq!(arch.data(fat.as_slice()).unwrap(), archive);
            assert_eq!(arch.offset() % 8, 0);
        }
        assert_eq!(found.arches().len(), 2);
        assert_eq!(super::join(&thin[..1]).unwrap(), thin[0]);
    }
}
