//! Where a function's frame is: the local that holds what the stack pointer is, and as long as it does.

use wasm_encoder::Instruction;

use super::module::Function;
use super::shape::{Shape, successors};

/// The global that is the stack pointer. Functions that are called leave it as it was.
pub const STACK_POINTER: u32 = 0;

pub struct Frame {
    local: u32,
    /// Before each instruction: whether they are equal, whichever way control came there.
    holds: Vec<bool>,
}

impl Frame {
    /// None where nothing of the function is equal to the stack pointer.
    pub fn of(function: &Function<'_>, shape: &Shape) -> Option<Self> {
        let code = &function.code;
        let local = code.windows(2).find_map(|pair| same([&pair[0], &pair[1]]))?;
        let mut holds = vec![true; code.len()];
        *holds.first_mut()? = false;
        loop {
            let mut changed = false;
            for at in 0..code.len() {
                let before = at.checked_sub(1).map(|before| &code[before]);
                let is_same = before.and_then(|before| same([before, &code[at]]));
                let after = match &code[at] {
                    Instruction::GlobalSet(STACK_POINTER) => is_same == Some(local),
                    Instruction::LocalSet(to) | Instruction::LocalTee(to) if *to == local => is_same.is_some(),
                    _ => holds[at],
                };
                if !after {
                    for next in successors(function, shape, at) {
                        changed |= std::mem::replace(&mut holds[next], false);
                    }
                }
            }
            if !changed {
                return Some(Self { local, holds });
            }
        }
    }

    /// The local, where it holds before an instruction.
    pub fn at(&self, at: usize) -> Option<u32> {
        self.holds[at].then_some(self.local)
    }
}

/// The local that is equal to the stack pointer behind two instructions.
fn same(pair: [&Instruction<'_>; 2]) -> Option<u32> {
    match pair {
        [Instruction::LocalTee(local) | Instruction::LocalGet(local), Instruction::GlobalSet(STACK_POINTER)]
        | [Instruction::GlobalGet(STACK_POINTER), Instruction::LocalSet(local) | Instruction::LocalTee(local)] => {
            Some(*local)
        }
        _ => None,
    }
}
