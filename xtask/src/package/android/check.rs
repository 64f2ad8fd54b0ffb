//! What a library and an AAR for Android must be like, as far as their structure and their symbols say.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::Abi;
use super::library::BIONIC;
use crate::{process, workspace};

/// Pages of Android 15 on some devices.
const PAGE_BYTES: u64 = 16384;

/// Its processor, its pages, what it needs, what it exports, and that nothing is missing.
pub fn library(abi: &Abi, path: &Path) -> Result<()> {
    let name = abi.name;
    let read = |what: &[&str]| process::output(Command::new("readelf").arg("-W").args(what).arg(path));
    let header = read(&["-h"])?;
    ensure!(header.contains(abi.machine) && header.contains("DYN"), "{name}: it is for another processor:\n{header}");
    for segment in read(&["-l"])?.lines().filter(|line| line.trim_start().starts_with("LOAD")) {
        let align = segment.split_whitespace().last().and_then(|align| align.strip_prefix("0x"));
        let align = u64::from_str_radix(align.context("a segment without an alignment")?, 16)?;
        ensure!(align >= PAGE_BYTES, "{name}: a segment is aligned to {align} bytes: {segment}");
    }
    let dynamic = read(&["-d"])?;
    let names = |tag: &str| -> BTreeSet<String> {
        let lines = dynamic.lines().filter(|line| line.contains(tag));
        lines.filter_map(|line| Some(line.split_once('[')?.1.split_once(']')?.0.to_owned())).collect()
    };
    ensure!(names("(SONAME)").contains("liblightning_db_mobile.so"), "{name}: it has another name:\n{dynamic}");
    let known: BTreeSet<String> = stand_ins().map(|(library, _)| library.to_owned()).collect();
    let needed = names("(NEEDED)");
    ensure!(needed.is_subset(&known), "{name}: it needs more than Android has: {needed:?}");
    ensure!(!dynamic.contains("(TEXTREL)"), "{name}: its code would have to be written to");

    let symbols = Symbols::parse(&read(&["--dyn-syms"])?);
    let missing: Vec<_> = entries()?.into_iter().filter(|entry| !symbols.exported.contains(entry)).collect();
    ensure!(missing.is_empty(), "{name}: Kotlin asks for what it does not export: {missing:?}");
    let there: BTreeSet<&str> = stand_ins().flat_map(|(_, symbols)| symbols.split_whitespace()).collect();
    let unknown: Vec<_> = symbols.undefined.iter().filter(|symbol| !there.contains(symbol.as_str())).collect();
    ensure!(
        unknown.is_empty(),
        "{name}: it asks for symbols that bionic.txt does not have: {unknown:?}; where Android 7 has them, add them there"
    );
    Ok(())
}

/// What must be in an AAR.
pub fn archive(path: &Path, abis: &[&Abi]) -> Result<()> {
    let list = process::output(Command::new("jar").arg("tf").arg(path))?;
    let libraries = abis.iter().map(|abi| format!("jni/{}/liblightning_db_mobile.so", abi.name));
    for name in
        ["AndroidManifest.xml", "classes.jar", "proguard.txt", "R.txt"].map(str::to_owned).into_iter().chain(libraries)
    {
        ensure!(list.lines().any(|line| line == name), "{} has no {name}:\n{list}", path.display());
    }
    Ok(())
}

fn stand_ins() -> impl Iterator<Item = (&'static str, &'static str)> {
    BIONIC.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(':'))
}

/// What the package for Kotlin calls by JNI and by JNA.
fn entries() -> Result<Vec<String>> {
    let native = workspace::root().join("kotlin/lightning-db/src/main/kotlin/dev/lightningdb/internal/Native.kt");
    let native = fs::read_to_string(native)?;
    let functions = native.split("external fun ").skip(1).filter_map(|rest| rest.split('(').next());
    let mut all: Vec<String> = functions.map(|name| format!("Java_dev_lightningdb_internal_Native_{name}")).collect();
    ensure!(all.len() > 10, "Native.kt has no entries");
    let generated = workspace::target()?.join("kotlin/generated/dev/lightningdb/internal/lightning_db.kt");
    // Not there before the package was built once.
    let generated = fs::read_to_string(generated).unwrap_or_default();
    let functions = generated.split("external fun ").skip(1).filter_map(|rest| rest.split('(').next());
    all.extend(functions.filter(|name| name.contains("lightning_db")).map(str::to_owned));
    Ok(all)
}

/// What a library gives others, and what it asks of them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Symbols {
    exported: BTreeSet<String>,
    undefined: BTreeSet<String>,
}

impl Symbols {
    /// Reads what `readelf --dyn-syms` says.
    fn parse(table: &str) -> Self {
        let mut symbols = Self::default();
        for line in table.lines() {
            let parts: Vec<&str> = line.split_whitespace().collect();
            let [number, _, _, _, bind, _, section, name, ..] = parts.as_slice() else { continue };
            if number.strip_suffix(':').is_none_or(|number| number.parse::<u32>().is_err()) {
                continue;
            }
            let name = name.split('@').next().unwrap_or(name).to_owned();
            match (*section, *bind) {
                // What is weak may be missing.
                ("UND", "GLOBAL") => symbols.undefined.insert(name),
                ("UND", _) | (_, "LOCAL") => false,
                _ => symbols.exported.insert(name),
            };
        }
        symbols
    }
}

#[cfg(test)]
mod tests {
    use super::Symbols;

    #[test]
    fn symbols_are_told_apart() {
        let table = "
Symbol table '.dynsym' contains 5 entries:
   Num:    Value          Size Type    Bind   Vis      Ndx Name
     0: 0000000000000000     0 NOTYPE  LOCAL  DEFAULT  UND
     1: 0000000000000000     0 FUNC    GLOBAL DEFAULT  UND malloc@LIBC (2)
     2: 0000000000000000     0 FUNC    WEAK   DEFAULT  UND getrandom
     3: 00000000000a4d50    96 FUNC    GLOBAL DEFAULT   13 lightning_open
";
        let symbols = Symbols::parse(table);
        assert_eq!(symbols.exported.into_iter().collect::<Vec<_>>(), ["lightning_open"]);
        assert_eq!(symbols.undefined.into_iter().collect::<Vec<_>>(), ["malloc"]);
    }
}
