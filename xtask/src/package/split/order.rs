//! The order of functions in a part: each is followed by the one that is most like it, so that what is alike lies close together
//! and compresses better.

use std::collections::BTreeMap;

use wasm_encoder::{Encode, Instruction};

use super::module::Module;

/// Functions are alike by the pairs of instructions that both have.
type Pairs = Vec<(u32, u32)>;
/// How much it counts that functions have one type.
const SAME_TYPE: f64 = 0.02;

/// Orders functions, given by their numbers in `module`; begins with the longest.
pub fn by_likeness(module: &Module<'_>, functions: &mut [u32]) {
    let imported = module.imported();
    let mut names: BTreeMap<[u64; 2], u32> = BTreeMap::new();
    let pairs: Vec<Pairs> = functions
        .iter()
        .map(|function| pairs(&module.functions[(function - imported) as usize].code, &mut names))
        .collect();
    let mut having: Vec<Vec<(usize, u32)>> = vec![Vec::new(); names.len()];
    for (at, pairs) in pairs.iter().enumerate() {
        for (pair, times) in pairs {
            having[*pair as usize].push((at, *times));
        }
    }
    let lengths: Vec<f64> = pairs.iter().map(|pairs| pairs.iter().map(|(_, times)| f64::from(*times)).sum()).collect();
    let mut rest: Vec<usize> = (0..functions.len()).collect();
    let mut order = Vec::with_capacity(functions.len());
    let mut next = rest.iter().copied().rev().max_by(|one, other| lengths[*one].total_cmp(&lengths[*other]));
    while let Some(last) = next {
        order.push(functions[last]);
        rest.retain(|at| *at != last);
        let mut common = vec![0.0; functions.len()];
        for (pair, times) in &pairs[last] {
            having[*pair as usize].iter().for_each(|(at, other)| common[*at] += f64::from(*times.min(other)));
        }
        let likeness = |at: usize| {
            let is_same = module.kind_of(functions[at]) == module.kind_of(functions[last]);
            let all = (lengths[at] + lengths[last] - common[at]).max(1.0);
            common[at] / all + if is_same { SAME_TYPE } else { 0.0 }
        };
        let scores: Vec<f64> = rest.iter().map(|at| likeness(*at)).collect();
        next = (0..rest.len()).rev().max_by(|one, other| scores[*one].total_cmp(&scores[*other])).map(|at| rest[at]);
    }
    functions.copy_from_slice(&order);
}

/// The pairs of instructions of a function and how often it has them, numbers of functions apart, in the order of their names.
fn pairs(code: &[Instruction<'_>], names: &mut BTreeMap<[u64; 2], u32>) -> Pairs {
    let hashes: Vec<u64> = code.iter().map(hash).collect();
    let mut pairs = BTreeMap::new();
    for pair in hashes.windows(2) {
        let pair = [pair[0], pair[1]];
        let next = names.len() as u32;
        *pairs.entry(*names.entry(pair).or_insert(next)).or_insert(0) += 1;
    }
    pairs.into_iter().collect()
}

/// FNV-1a of its bytes.
fn hash(instruction: &Instruction<'_>) -> u64 {
    let mut bytes = Vec::new();
    match instruction {
        Instruction::Call(_) => Instruction::Call(0).encode(&mut bytes),
        other => other.encode(&mut bytes),
    }
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}
