//! Splits the engine into what every page needs and what is fetched when it is asked for.
//!
//! What is needed is found by a profile: a copy of the engine marks the stretches of code that it runs ([`points`]), and
//! `wasm/npm/profile.mjs` does with it what applications usually do. Functions go to the part of the stage that first ran
//! them, and so do stretches of functions ([`outline`]), which then need fewer locals ([`locals`]); data goes where it is read
//! ([`data`]); the parts are tied together by [`parts`].

mod data;
mod frame;
mod locals;
mod module;
mod order;
mod outline;
mod parts;
mod points;
mod shape;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};

use crate::process;
use crate::setup::node;
use data::Symbols;
pub use module::Module;
use outline::Ranks;
use points::Points;

/// The stages of the profile that make up each part; the last part is what no stage ran. What an idle database does is with
/// what merges: a page does no background work before that is there.
const PARTS: [&[&str]; 4] = [&["open"], &["tables"], &["close", "growth", "idle"], &["documents", "live"]];
/// The part of what several of the later ones ran: each of them needs it.
const SHARED: usize = 1;

/// A part as a page fetches it, and with the names of its functions.
pub struct Part {
    pub shipped: Vec<u8>,
    pub named: Vec<u8>,
}

/// Splits the engine `whole`, which has its names and was `linked` before, of the package in the folder `npm`; `scratch` is a
/// folder for the profile, which holds `profiled.js`. Gives the parts.
pub fn split(whole: &[u8], linked: &[u8], npm: &Path, scratch: &Path) -> Result<Vec<Part>> {
    let mut module = Module::read(whole)?;
    let points = Points::find(&module);
    let stages = profile(&module, &points, npm, scratch)?;
    let mut ranks = rank(&points, &stages);
    for part in 0..PARTS.len() as u8 {
        outline::outline(&mut module, &mut ranks, part)?;
    }
    let of: Vec<usize> =
        ranks.iter().map(|ranks| ranks.first().map_or(PARTS.len(), |rank| usize::from(*rank))).collect();
    locals::share(&mut module)?;
    let parts = parts::take_apart(&module, &of, &Symbols::read(linked)?, &build_name(whole))?;
    parts
        .into_iter()
        .map(|mut part| {
            let named = part.write();
            part.names.clear();
            let shipped = part.write();
            wasmparser::Validator::new().validate_all(&shipped)?;
            Ok(Part { shipped, named })
        })
        .collect()
}

/// The module as it is shipped.
pub fn without_names(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut module = Module::read(bytes)?;
    module.names.clear();
    Ok(module.write())
}

/// The marks of each part's stages, together.
fn profile(module: &Module<'_>, points: &Points, npm: &Path, scratch: &Path) -> Result<Vec<Vec<u8>>> {
    let marks = scratch.join("marks");
    fs::create_dir_all(&marks)?;
    fs::write(scratch.join("package.json"), r#"{ "type": "module" }"#)?;
    let (marked, begin) = points.mark(module);
    fs::write(scratch.join("lightning.wasm"), marked.write())?;
    let numbers = [begin, points.count].map(|number| number.to_string());
    process::run(node::program().arg(npm.join("profile.mjs")).arg(scratch).args(numbers).arg(&marks))?;
    PARTS
        .iter()
        .map(|stages| {
            let mut all = vec![0; points.count as usize];
            for stage in *stages {
                let ran = fs::read(marks.join(stage))?;
                ensure!(ran.len() == all.len(), "the profile's stage '{stage}' marked something else");
                all.iter_mut().zip(ran).for_each(|(all, ran)| *all |= ran);
            }
            Ok(all)
        })
        .collect()
}

/// The part in which each instruction ran: the first, or [`SHARED`] where it ran in several others.
fn rank(points: &Points, parts: &[Vec<u8>]) -> Ranks {
    let part_of = |point: u32| {
        let ran = |marks: &Vec<u8>| marks.get(point as usize).is_some_and(|mark| *mark != 0);
        let mut of = (0..parts.len()).filter(|part| ran(&parts[*part]));
        of.next().map(|part| if part > SHARED && of.next().is_some() { SHARED } else { part })
    };
    let rank = |point: &Option<u32>| point.and_then(part_of).unwrap_or(parts.len()) as u8;
    points.of.iter().map(|function| function.iter().map(rank).collect()).collect()
}

/// Tells builds apart: FNV-1a.
fn build_name(whole: &[u8]) -> String {
    let hash = whole
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
    format!("b{:08x}", hash as u32)
}
