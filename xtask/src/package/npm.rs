//! The npm package: the engine by wasm-pack and wasm-opt, the TypeScript around it by tsc and esbuild.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{glue, split};
use crate::setup::rust::Toolchain;
use crate::setup::{Consent, browser, node, rust, wasm_bindgen, wasm_pack};
use crate::{process, workspace};

/// What WebAssembly has in the oldest browsers that are supported, and not more: `wasm-opt` writes what it may.
const FEATURES: [&str; 6] = [
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
];

/// How `wasm-opt` optimises. The compiler was asked for size; what this finds for speed costs nothing. A function that is called in
/// one place alone stays one, unless it is tiny: browsers compile a function when it is first called, so what is put into another
/// is compiled with it, needed or not; and what is left where it was compresses better, by a twentieth of all.
const OPTIMISATION: [&str; 3] = ["-O3", "--one-caller-inline-max-function-size", "25"];

/// Its folder in the repository.
pub fn folder() -> PathBuf {
    workspace::root().join("wasm/npm")
}

/// Builds `dist`; a release is as small as it can be, which takes longer.
pub fn build(consent: Consent) -> Result<()> {
    engines(consent)?;
    let npm = folder();
    let tools = node::package(&node::TYPESCRIPT)?;
    let modules = tools.join("node_modules");
    link(&modules, &npm.join("node_modules"))?;
    process::run(tool(&modules, "tsc").args(["-p", "tsconfig.json"]).current_dir(&npm))?;
    let bundle = |arguments: &[&str]| {
        process::run(
            tool(&modules, "esbuild")
                .args(["--bundle", "--format=esm", "--minify", "--target=es2022", "--log-level=warning"])
                .args(["--define:IN_WORKER=false", "--define:FILES_ALONE=false", "--define:WAITS_ALONE=false"])
                .arg("--define:ENCRYPTED=false")
                .args(arguments)
                .current_dir(&npm),
        )
    };
    bundle(&[
        "index=src/page.ts",
        "--platform=neutral",
        "--define:WAITS_ALONE=true",
        "--external:./inline.js",
        "--external:./later.js",
        "--external:./encryption.js",
        "--outdir=dist",
    ])?;
    bundle(&[
        "src/sync.ts",
        "src/serve.ts",
        "src/encrypted-engine.ts",
        "--platform=neutral",
        "--external:./inline.js",
        "--external:./later.js",
        "--external:./encrypted-engine.js",
        "--outdir=dist",
    ])?;
    later("later", &npm, bundle)?;
    later("encryption", &npm, bundle)?;
    bundle(&["src/worker.ts", "--platform=neutral", "--define:IN_WORKER=true", "--outfile=dist/worker.js"])?;
    bundle(&[
        "src/worker-files.ts",
        "--platform=neutral",
        "--define:IN_WORKER=true",
        "--define:FILES_ALONE=true",
        "--outfile=dist/worker-files.js",
    ])?;
    // The same script around the other engine.
    bundle(&[
        "src/worker-encrypted.ts",
        "--platform=neutral",
        "--define:IN_WORKER=true",
        "--define:ENCRYPTED=true",
        "--alias:engine=./src/generated/encrypted/engine.js",
        "--outfile=dist/worker-encrypted.js",
    ])?;
    bundle(&[
        "src/service-worker.ts",
        "--platform=neutral",
        "--external:./inline.js",
        "--outfile=dist/service-worker.js",
    ])?;
    fs::copy(npm.join("dist/worker.js"), npm.join("src/generated/worker.txt"))?;
    bundle(&["src/inline.ts", "--platform=neutral", "--loader:.wasm=binary", "--outfile=dist/inline.js"])?;
    // These find the package by its name, whichever of its entries that is.
    bundle(&[
        "src/level.ts",
        "src/react.ts",
        "--platform=neutral",
        "--external:lightning-db",
        "--external:abstract-level",
        "--external:react",
        "--outdir=dist",
    ])?;
    // Both share their classes.
    bundle(&[
        "src/node.ts",
        "src/sync-node.ts",
        "src/encryption-node.ts",
        "--platform=node",
        "--splitting",
        "--outdir=dist",
    ])?;
    let scratch = workspace::target()?.join("lightning-profile");
    if scratch.is_dir() {
        fs::remove_dir_all(&scratch)?;
    }
    let profiled = format!("--outfile={}", scratch.join("profiled.js").display());
    bundle(&["profiled.ts", "--platform=node", &profiled])?;
    parts(&npm, &scratch)
}

/// A script that a page fetches later, and which has from `index.js` what that has: the modules that `page.ts` exports from.
fn later(name: &str, npm: &Path, bundle: impl Fn(&[&str]) -> Result<()>) -> Result<()> {
    let page = fs::read_to_string(npm.join("src/page.ts"))?;
    let shared: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("export {"))
        .filter_map(|line| line.split_once(" from '")?.1.strip_suffix('\''))
        .collect();
    let external: Vec<String> = shared.iter().map(|module| format!("--external:{module}")).collect();
    let (source, made) = (format!("src/{name}.ts"), format!("--outfile=dist/{name}.js"));
    let mut arguments = vec![source.as_str(), made.as_str(), "--platform=neutral"];
    arguments.extend(["--external:./index.js", "--external:./encryption.js"]);
    arguments.extend(external.iter().map(String::as_str));
    bundle(&arguments)?;
    let script = npm.join(format!("dist/{name}.js"));
    let mut text = fs::read_to_string(&script)?;
    for module in shared {
        text = text.replace(&format!("from\"{module}\""), "from\"./index.js\"");
    }
    fs::write(script, text)?;
    Ok(())
}

/// `lightning-1.wasm` and those behind it.
fn parts(npm: &Path, scratch: &Path) -> Result<()> {
    let dist = npm.join("dist");
    let parts = split::split(&fs::read(named()?)?, &fs::read(linked()?)?, npm, scratch)?;
    for (number, part) in (1..).zip(parts) {
        let name = format!("lightning-{number}.wasm");
        fs::write(dist.join(&name), part.shipped)?;
        fs::write(scratch.join(&name), part.named)?;
    }
    Ok(())
}

/// Builds `dist` and packs it as npm publishes it; gives the package. `in_detail` prints what of it is how large.
pub fn pack(in_detail: bool, consent: Consent) -> Result<PathBuf> {
    build(consent)?;
    let into = workspace::cache("npm")?;
    let name = process::output(
        Command::new("npm").args(["pack", "--silent", "--pack-destination"]).arg(&into).current_dir(folder()),
    )?;
    let package = into.join(name.trim());
    println!("packed into {}", package.display());
    if in_detail {
        let first = workspace::target()?.join("lightning-profile/lightning-1.wasm");
        process::run(node::program().arg(folder().join("functions.mjs")).arg(first))?;
    }
    process::run(&mut sizes())?;
    Ok(package)
}

/// Packs it; gives what installs it in projects of bundlers, and looks whether their pages work.
pub fn bundlers(consent: Consent) -> Result<Command> {
    let package = pack(false, consent)?;
    let mut check = browser::pages(consent)?;
    check.arg(folder().join("tests/bundlers.mjs")).arg(package).arg(workspace::cache("bundlers")?);
    Ok(check)
}

/// Prints what a page fetches, compressed as servers do, and fails if that is more than `sizes.mjs` allows.
pub fn sizes() -> Command {
    let mut sizes = node::program();
    sizes
        .arg(folder().join("sizes.mjs"))
        .args(["index.js", "worker-files.js", "lightning-1.wasm"])
        // When a page asks for what is in them; where a bundler left files behind, and in Node.
        .args([
            "--",
            "later.js",
            "worker.js",
            "lightning-2.wasm",
            "lightning-3.wasm",
            "lightning-4.wasm",
            "lightning-5.wasm",
        ])
        .args(["encryption.js", "worker-encrypted.js", "encrypted.wasm"])
        .args(["inline.js", "lightning.wasm"])
        .current_dir(folder().join("dist"));
    sizes
}

/// Looks whether the WebAssembly that is shipped needs nothing newer than [`FEATURES`].
pub fn validate() -> Result<Vec<Command>> {
    let modules = node::package(&node::BINARYEN)?.join("node_modules");
    let dist = folder().join("dist");
    let files = fs::read_dir(&dist)?.flatten().map(|entry| entry.path());
    let shipped = files.filter(|file| file.extension().is_some_and(|extension| extension == "wasm"));
    Ok(shipped
        .map(|file| {
            let mut validate = tool(&modules, "wasm-opt");
            validate.args(["--mvp-features", "--quiet"]).args(FEATURES).arg(file);
            validate.args(["-o", if cfg!(windows) { "NUL" } else { "/dev/null" }]);
            validate
        })
        .collect())
}

/// The engine as the linker made it.
fn linked() -> Result<PathBuf> {
    Ok(workspace::target()?.join("wasm32-unknown-unknown/web/lightning_db_wasm.wasm"))
}

/// The engine with ciphers, with the names of its functions.
fn encrypted() -> Result<PathBuf> {
    Ok(workspace::target()?.join("encrypted-named.wasm"))
}

/// The engine as it is shipped, but with the names of its functions.
fn named() -> Result<PathBuf> {
    Ok(workspace::target()?.join("lightning-named.wasm"))
}

/// `lightning.wasm` and `encrypted.wasm`, and the glue that the TypeScript calls.
fn engines(consent: Consent) -> Result<()> {
    let npm = folder();
    let dist = npm.join("dist");
    // Nothing of an earlier build is packed.
    if dist.is_dir() {
        fs::remove_dir_all(&dist)?;
    }
    fs::create_dir_all(&dist)?;
    let generated = npm.join("src/generated");
    // The plain one comes last: what the linker made of it is divided.
    engine(&["--features", "encryption"], &generated.join("encrypted"), &encrypted()?, consent)?;
    engine(&[], &generated, &named()?, consent)?;
    for (named, shipped) in [(encrypted()?, "encrypted.wasm"), (named()?, "lightning.wasm")] {
        fs::write(dist.join(shipped), split::without_names(&fs::read(named)?)?)?;
    }
    Ok(())
}

/// One engine, with the names of its functions, and its glue.
fn engine(features: &[&str], generated: &Path, named: &Path, consent: Consent) -> Result<()> {
    let toolchain = rust::web(consent)?;
    let bindgen = wasm_bindgen::tools()?;
    let wasm_pack = wasm_pack::program()?;
    let binaryen = node::package(&node::BINARYEN)?;
    let search = format!(
        "{}:{}",
        bindgen.generator.parent().context("a program in no folder")?.display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let mut pack = Command::new(wasm_pack);
    pack.args(["build", "--target", "web", "--profile", "web", "--mode", "no-install", "--no-pack", "--no-opt"])
        .args(["--out-name", "engine", "--out-dir"])
        .arg(generated)
        .arg(workspace::root().join("wasm"))
        .env("PATH", search)
        .env("CARGO_TARGET_DIR", workspace::target()?);
    if toolchain == Toolchain::Debian {
        rust::use_debian(&mut pack)?;
    }
    // What follows is cargo's.
    pack.arg("--").args(features);
    rust::build_small_std(toolchain, &mut pack)?;
    process::run(&mut pack)?;
    glue::add_parts(generated)?;
    glue::shorten(generated)?;
    let made = generated.join("engine_bg.wasm");
    // Once more finds a little more.
    for from in [made.as_path(), named] {
        let mut optimise = tool(&binaryen.join("node_modules"), "wasm-opt");
        process::run(optimise.args(OPTIMISATION).args(FEATURES).arg("-g").arg(from).arg("-o").arg(named))?;
    }
    Ok(())
}

fn tool(modules: &Path, name: &str) -> Command {
    let suffix = if cfg!(windows) { ".cmd" } else { "" };
    Command::new(modules.join(".bin").join(format!("{name}{suffix}")))
}

/// The package's own tools are kept outside of the checkout.
fn link(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        return Ok(());
    }
    #[cfg(unix)]
    std::os::unix::fs::symlink(from, to).with_context(|| format!("cannot link {}", to.display()))?;
    #[cfg(windows)]
    std::os::windows::fs::symlink_dir(from, to).with_context(|| format!("cannot link {}", to.display()))?;
    Ok(())
}
