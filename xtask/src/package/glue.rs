//! What wasm-bindgen's JavaScript lacks: parts of the engine that come later.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

const IMPORTS: &str = "function __wbg_get_imports() {";

const ADDED: &str = "
const parts = new Set();
let bring = () => { throw new Error('this engine has no more parts'); };
function __wbg_get_imports() {
    return { ...__wbg_own_imports(), p: { l: part => { if (!parts.has(part)) bring(part); } } };
}
export function onMissingPart(listener) {
    bring = listener;
}
export function hasPart(part) {
    return parts.has(part);
}
export function addPart(part, module) {
    if (parts.has(part)) return;
    new WebAssembly.Instance(module, { ...__wbg_own_imports(), p: wasm });
    parts.add(part);
}
";

const TYPES: &str = "
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
