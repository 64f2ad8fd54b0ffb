//! What wasm-bindgen's JavaScript lacks: parts of the engine that come later, short names, and leaving out what only IndexedDB needs.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::split::Module;

const IMPORTS: &str = "function __wbg_get_imports() {";

const ADDED: &str = "
const parts = new Set();
let bring = () => { throw new Error('this engine has no more parts'); };
function __wbg_get_imports() {
    return { ...__wbg_own_imports(), p: { l: part => { if (!parts.has(part)) bring(part); } } };
}
export function start(module) {
    __wbg_finalize_init(new WebAssembly.Instance(module, __wbg_get_imports()), module);
}
export function onMissingPart(listener) {
    bring = listener;
}
export function hasPart(part) {
    return parts.has(part);
}
// Functions that parts have from the first are called by their places in its table.
const shared = new Proxy({}, { get: (_, name) => wasm[name] ?? wasm.t0.get(+name) });
export function addPart(part, module) {
    if (parts.has(part)) return;
    new WebAssembly.Instance(module, { ...__wbg_own_imports(), p: shared });
    parts.add(part);
}
";

const TYPES: &str = "
/** Begins with the first part, or the whole engine; once. */
export function start(module: WebAssembly.Module): void;
/** Called when a part of the engine is missing; adds it, or throws. */
export function onMissingPart(listener: (part: number) => void): void;
/** Whether a part is there; the first has the number 0. */
export function hasPart(part: number): boolean;
/** Adds a part, which must be of the same build. */
export function addPart(part: number, module: WebAssembly.Module): void;
";

/// Adds it to what wasm-bindgen has made.
pub fn add_parts(generated: &Path) -> Result<()> {
    let script = generated.join("engine.js");
    let own = fs::read_to_string(&script)?;
    let (before, behind) = own.split_once(IMPORTS).context("wasm-bindgen writes its imports in another way")?;
    fs::write(&script, format!("{before}function __wbg_own_imports() {{{behind}{ADDED}"))?;
    let types = generated.join("engine.d.ts");
    let own = fs::read_to_string(&types)?;
    fs::write(&types, format!("{own}{TYPES}"))?;
    Ok(())
}

/// From where the engine imports what wasm-bindgen's JavaScript gives it.
const GIVEN: &str = "./engine_bg.js";

/// How a value is shown where a program stops, which nobody sees here; what makes such a text is longer than all else.
const DEBUG_TEXT: &str = "debugString(arg1)";
const TEXT: &str = "String(arg1)";

/// Gives short names to what engine and JavaScript have of each other: their own hold a hash each, and whole types.
pub fn shorten(generated: &Path) -> Result<()> {
    let (script, engine) = (generated.join("engine.js"), generated.join("engine_bg.wasm"));
    let bytes = fs::read(&engine)?;
    let mut module = Module::read(&bytes)?;
    let mut short = BTreeMap::new();
    let mut later = Vec::new();
    for (import, of) in module.imports.iter_mut().zip(0..).filter(|(import, _)| import.module == GIVEN) {
        let name = format!("i{}", short.len());
        let whose = module.names.get(&of).unwrap_or(&import.name);
        if LATER.iter().any(|part| whose.contains(part)) {
            later.push(name.clone());
        }
        short.insert(std::mem::replace(&mut import.name, name.clone()), name);
        import.module = "e".to_owned();
    }
    for export in &mut module.exports {
        let name = format!("w{}", short.len());
        short.insert(std::mem::replace(&mut export.name, name.clone()), name);
    }
    let text = fs::read_to_string(&script)?.replace(&format!("{GIVEN:?}: "), "e: ").replace(DEBUG_TEXT, TEXT);
    let mut rest = text.as_str();
    let mut renamed = String::with_capacity(text.len());
    while !rest.is_empty() {
        let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let (word, behind) = rest.split_at(rest.find(|letter| !is_part(letter)).unwrap_or(rest.len()));
        let (between, next) = behind.split_at(behind.find(is_part).unwrap_or(behind.len()));
        // What is the engine's, or given to it.
        let is_member = renamed.ends_with("wasm.") || behind.starts_with(": function");
        renamed += short.get(word).filter(|_| is_member).map_or(word, String::as_str);
        renamed += between;
        rest = next;
    }
    fs::write(&script, apart(&renamed, &later)?)?;
    fs::write(&engine, module.write())?;
    Ok(())
}

/// What is called only where storage answers later, by what its name has of the function in Rust.
const LATER: [&str; 8] = [
    "::gen_Idb",
    "::indexed_db::",
    "::Promise",
    "::futures::",
    "Closure(",
    "JsClosure",
    "::Array",
    "::get_global_object",
];
/// The methods for such storage.
const LATER_METHODS: [&str; 5] = ["callLater", "closeLater", "eventsLater", "static openIndexedDb", "stepLater"];

/// Puts what is called only where storage answers later behind `FILES_ALONE`: the script of a worker that has files alone does not
/// have it.
fn apart(script: &str, imports: &[String]) -> Result<String> {
    let mut script = script.to_owned();
    let mut cut = |begin: &str, end: &str| -> Result<String> {
        let from = script.find(begin).with_context(|| format!("wasm-bindgen writes no '{}'", begin.trim()))?;
        let last = from + script[from..].find(end).context("what wasm-bindgen writes has no end")? + end.len();
        let behind = last + script[last..].find('\n').context("what wasm-bindgen writes has no end")? + 1;
        let text = script[from..behind].to_owned();
        script.replace_range(from..behind, "");
        Ok(text)
    };
    let mut entries = String::new();
    for import in imports {
        entries += &cut(&format!("        {import}: function("), "\n        }")?;
    }
    let mut methods = String::new();
    for method in LATER_METHODS {
        methods += cut(&format!("    {method}("), "\n    }")?.trim_end();
        methods += ",\n";
    }
    let (own, open) = (methods.replace("static ", ""), "const import0 = {\n        __proto__: null,\n");
    let given = format!("{open}        ...(FILES_ALONE ? {{}} : laterImports()),\n");
    script = script.replacen(open, &given, 1).replacen(
        "        e: import0,",
        "        e: FILES_ALONE ? present(import0) : import0,",
        1,
    );
    // What ends without them is not called.
    script = script.replace(": new FinalizationRegistry", ": /* @__PURE__ */ new FinalizationRegistry");
    Ok(format!(
        "{script}\nfunction laterImports() {{\n    return {{\n{entries}    }};\n}}\n{ABSENT}\nif (!FILES_ALONE) {{\n    const later = {{\n{own}    }};\n    Object.assign(Engine.prototype, later);\n    Engine.openIndexedDb = later.openIndexedDb;\n}}\n"
    ))
}

const ABSENT: &str = "
// The last part of the engine asks for them.
const absent = () => { throw new Error('this worker has files alone'); };
function present(own) {
    return new Proxy(own, { get: (own, name) => own[name] ?? absent });
}";
