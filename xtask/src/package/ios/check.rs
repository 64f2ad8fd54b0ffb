//! Whether a slice is what Xcode needs: the right processors and system, all functions that the headers name, and nothing missing
//! but what the system has.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use object::macho::{CPU_TYPE_ARM64, CPU_TYPE_X86_64, PLATFORM_IOS, PLATFORM_IOSSIMULATOR, PLATFORM_MACOS};
use object::read::archive::ArchiveFile;
use object::read::macho::{FatArch, LoadCommandVariant, MachHeader, MachOFatFile32};
use object::{Endianness, FileKind, Object, ObjectSymbol};

use super::{LIBRARY, NAME, Slice};

/// Reads a slice of a framework and says what of it is wrong.
pub fn slice(framework: &Path, slice: &Slice) -> Result<()> {
    let folder = framework.join(slice.identifier);
    let plist = fs::read_to_string(framework.join("Info.plist"))?;
    ensure!(plist.contains(&format!("<string>{}</string>", slice.identifier)), "Info.plist lacks {}", slice.identifier);
    let headers = folder.join("Headers").join(NAME);
    let map = fs::read_to_string(headers.join("module.modulemap"))?;
    ensure!(map.contains(&format!("module {NAME} ")), "the module map of {} names another module", slice.identifier);
    ensure!(
        !folder.join("Headers/module.modulemap").exists(),
        "{} has a module map that others overwrite",
        slice.identifier
    );

    let mut functions = functions(&fs::read_to_string(headers.join("lightning.h"))?, "lightning_");
    functions.extend(self::functions(&fs::read_to_string(headers.join("LightningDBFFI.h"))?, "uniffi_"));
    functions.extend(self::functions(&fs::read_to_string(headers.join("LightningDBFFI.h"))?, "ffi_"));
    ensure!(functions.len() > 100, "the headers of {} name {} functions", slice.identifier, functions.len());

    let file = folder.join(format!("lib{LIBRARY}.a"));
    let data = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let archives: Vec<&[u8]> = match FileKind::parse(data.as_slice())? {
        FileKind::MachOFat32 => {
            let fat = MachOFatFile32::parse(data.as_slice())?;
            fat.arches().iter().map(|arch| arch.data(data.as_slice())).collect::<Result<_, _>>()?
        }
        _ => vec![&data],
    };
    ensure!(archives.len() == slice.targets.len(), "{} has {} processors", file.display(), archives.len());
    for (data, (target, name)) in archives.iter().zip(slice.targets) {
        archive(data, name, slice, &functions).with_context(|| format!("{}, {target}", file.display()))?;
    }
    println!(
        "{}: {} processors, {} functions, {:.1} MB",
        slice.identifier,
        archives.len(),
        functions.len(),
        data.len() as f64 / 1e6
    );
    Ok(())
}

fn archive(data: &[u8], processor: &str, slice: &Slice, functions: &BTreeSet<String>) -> Result<()> {
    let (mut defined, mut wanted) = (BTreeSet::new(), BTreeSet::new());
    for member in ArchiveFile::parse(data)?.members() {
        let data = member?.data(data)?;
        // The list of symbols is no object.
        if FileKind::parse(data).ok() != Some(FileKind::MachO64) {
            continue;
        }
        system(data, processor, slice)?;
        let object = object::File::parse(data)?;
        for symbol in object.symbols().filter(|symbol| symbol.is_global()) {
            let name = symbol.name()?.trim_start_matches('_').to_owned();
            if symbol.is_undefined() {
                wanted.insert(name)
            } else {
                defined.insert(name)
            };
        }
    }
    let missing: Vec<_> = functions.difference(&defined).collect();
    ensure!(missing.is_empty(), "without {missing:?}");
    // What is Rust's own must be there; the rest is the system's.
    let of_rust = |name: &&String| name.starts_with("ZN") || name.starts_with('R') || name.starts_with("rust_");
    let missing: Vec<_> = wanted.difference(&defined).filter(of_rust).collect();
    ensure!(missing.is_empty(), "it needs {missing:?}");
    Ok(())
}

/// Whether an object is for the slice's system and processor.
fn system(data: &[u8], processor: &str, slice: &Slice) -> Result<()> {
    let header = object::macho::MachHeader64::<Endianness>::parse(data, 0)?;
    let endian = header.endian()?;
    let expected = if processor == "arm64" { CPU_TYPE_ARM64 } else { CPU_TYPE_X86_64 };
    ensure!(header.cputype(endian) == expected, "an object is not for {processor}");
    let platform = match (slice.platform, slice.is_simulator) {
        ("macos", _) => PLATFORM_MACOS,
        (_, true) => PLATFORM_IOSSIMULATOR,
        _ => PLATFORM_IOS,
    };
    let mut commands = header.load_commands(endian, data, 0)?;
    while let Some(command) = commands.next()? {
        if let LoadCommandVariant::BuildVersion(version) = command.variant()? {
            let found = version.platform.get(endian);
            if found != platform {
                bail!("an object is for system {found}, not {platform}");
            }
        }
    }
    Ok(())
}

/// The functions that a header declares, by how their names begin.
fn functions(header: &str, prefix: &str) -> BTreeSet<String> {
    let word = |text: &str| text.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').count();
    let mut found = BTreeSet::new();
    for line in header.lines().filter(|line| !line.trim_start().starts_with("//")) {
        for (at, _) in line.match_indices(prefix) {
            let begins = !line[..at].ends_with(|letter: char| letter.is_alphanumeric() || letter == '_');
            let name = &line[at..at + word(&line[at..])];
            if begins && line[at + name.len()..].starts_with('(') {
                found.insert(name.to_owned());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #[test]
    fn functions_of_a_header_are_found() {
        let header = "// lightning_no(1)\nint32_t lightning_open(const char *path,\n  lightning_bytes key);\nvoid x_lightning_y(void);";
        assert_eq!(super::functions(header, "lightning_").into_iter().collect::<Vec<_>>(), ["lightning_open"]);
    }
}
