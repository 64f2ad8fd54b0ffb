//! Gives functions fewer locals: such as are never needed at the same time share one. What was taken out of a function leaves
//! many behind that nothing needs. Those that are used most have the lowest numbers, so that these are alike everywhere.

use anyhow::Result;
use wasm_encoder::{Instruction, ValType};

use super::module::{Function, Module};
use super::shape::{Liveness, Shape};

/// In all functions.
pub fn share(module: &mut Module<'_>) -> Result<()> {
    for (index, shape) in Shape::of_all(module)?.iter().enumerate() {
        let function = &module.functions[index];
        let kinds: Vec<ValType> =
            module.types[function.kind as usize].params().iter().chain(&function.locals).copied().collect();
        let parameters = kinds.len() - function.locals.len();
        let shared = shared(function, shape, &kinds, parameters);
        module.functions[index] = shared;
    }
    Ok(())
}

fn shared<'a>(function: &Function<'a>, shape: &Shape, kinds: &[ValType], parameters: usize) -> Function<'a> {
    let live = Liveness::of(function, shape, kinds.len());
    let apart = apart(function, &live, kinds, parameters);
    // The first of those that share one, by local.
    let mut leader: Vec<Option<usize>> = (0..kinds.len()).map(|local| (local < parameters).then_some(local)).collect();
    let mut shares: Vec<Vec<usize>> = (0..parameters).map(|parameter| vec![parameter]).collect();
    for instruction in &function.code {
        let Some(local) = local_of(instruction).filter(|local| leader[*local].is_none()) else { continue };
        let fits = |share: &&mut Vec<usize>| {
            kinds[share[0]] == kinds[local] && share.iter().all(|other| !apart[local][*other])
        };
        match shares.iter_mut().find(fits) {
            Some(share) => {
                leader[local] = Some(share[0]);
                share.push(local);
            }
            None => {
                leader[local] = Some(local);
                shares.push(vec![local]);
            }
        }
    }
    let mut uses = vec![0_usize; kinds.len()];
    for instruction in &function.code {
        if let Some(first) = local_of(instruction).and_then(|local| leader[local]) {
            uses[first] += 1;
        }
    }
    let mut order: Vec<usize> = shares.iter().map(|share| share[0]).collect();
    order[parameters..].sort_by_key(|first| std::cmp::Reverse(uses[*first]));
    // Declarations are runs of one type.
    let mut met: Vec<ValType> = Vec::new();
    for &first in &order[parameters..] {
        if !met.contains(&kinds[first]) {
            met.push(kinds[first]);
        }
    }
    order[parameters..].sort_by_key(|first| met.iter().position(|kind| *kind == kinds[*first]));
    let mut numbers = vec![0; kinds.len()];
    for (number, first) in (0..).zip(&order) {
        numbers[*first] = number;
    }
    let number = |local: u32| leader[local as usize].map_or(0, |first| numbers[first]);
    let renamed = function.code.iter().map(|instruction| match instruction {
        Instruction::LocalGet(local) => Instruction::LocalGet(number(*local)),
        Instruction::LocalSet(local) => Instruction::LocalSet(number(*local)),
        Instruction::LocalTee(local) => Instruction::LocalTee(number(*local)),
        other => other.clone(),
    });
    let mut code: Vec<Instruction<'a>> = Vec::with_capacity(function.code.len());
    for instruction in renamed {
        match (code.last(), &instruction) {
            // It has that value already.
            (Some(Instruction::LocalGet(from)), Instruction::LocalSet(to)) if from == to => {
                code.pop();
            }
            (Some(Instruction::LocalGet(from)), Instruction::LocalTee(to)) if from == to => {}
            _ => code.push(instruction),
        }
    }
    let locals = order[parameters..].iter().map(|first| kinds[*first]).collect();
    Function { kind: function.kind, locals, code }
}

fn local_of(instruction: &Instruction<'_>) -> Option<usize> {
    match instruction {
        Instruction::LocalGet(local) | Instruction::LocalSet(local) | Instruction::LocalTee(local) => {
            Some(*local as usize)
        }
        _ => None,
    }
}

/// Which two locals cannot be one: where one is written the other is read later.
fn apart(function: &Function<'_>, live: &Liveness, kinds: &[ValType], parameters: usize) -> Vec<Vec<bool>> {
    let count = kinds.len();
    let mut apart = vec![vec![false; count]; count];
    let mut part = |one: usize, other: usize| {
        apart[one][other] = true;
        apart[other][one] = true;
    };
    for one in 0..parameters {
        (0..parameters).filter(|other| *other != one).for_each(|other| part(one, other));
        // What is read before it is written is 0, which no parameter is.
        (parameters..count).filter(|other| live.is_live(*other as u32, 0)).for_each(|other| part(one, other));
    }
    for (at, instruction) in function.code.iter().enumerate() {
        if let Instruction::LocalSet(local) | Instruction::LocalTee(local) = instruction {
            let others = (0..count).filter(|other| *other != *local as usize && live.is_live(*other as u32, at + 1));
            others.for_each(|other| part(*local as usize, other));
        }
    }
    apart
}
