//! Where a program passes: each stretch of code that is run whole or not at all has a number, and a copy of the module
//! marks in memory which of them it ran.

use wasm_encoder::{Instruction, MemArg, MemArgTarget};

use super::module::{Function, Module};

const PAGE_BYTES: u64 = 64 << 10;

/// The stretches of all functions.
pub struct Points {
    /// By function and instruction: the number of the stretch that it belongs to; none where nothing ever passes.
    pub of: Vec<Vec<Option<u32>>>,
    pub count: u32,
}

impl Points {
    pub fn find(module: &Module<'_>) -> Self {
        let mut count = 0;
        let of = module.functions.iter().map(|function| find(function, &mut count)).collect();
        Self { of, count }
    }

    /// The module with the marks; they begin where its memory ended.
    pub fn mark<'a>(&self, module: &Module<'a>) -> (Module<'a>, u32) {
        let mut marked = module.clone();
        let memory = &mut marked.memories[0];
        let begin = (memory.minimum * PAGE_BYTES) as u32;
        memory.minimum += u64::from(self.count).div_ceil(PAGE_BYTES);
        if let Some(maximum) = &mut memory.maximum {
            *maximum = (*maximum).max(memory.minimum);
        }
        for (function, points) in marked.functions.iter_mut().zip(&self.of) {
            let code = std::mem::take(&mut function.code);
            let mut last = None;
            for (instruction, point) in code.into_iter().zip(points) {
                if let Some(point) = point
                    && last != Some(*point)
                {
                    function.code.extend([
                        Instruction::I32Const((begin + point).cast_signed()),
                        Instruction::I32Const(1),
                        Instruction::I32Store8(MemArg {
                            offset: 0,
                            align: 0,
                            target: MemArgTarget::Memory(0),
                            ordering: None,
                        }),
                    ]);
                    last = Some(*point);
                }
                function.code.push(instruction);
            }
        }
        (marked, begin)
    }
}

/// A stretch begins where control may come from elsewhere, and behind what may lead it elsewhere.
fn find(function: &Function<'_>, count: &mut u32) -> Vec<Option<u32>> {
    let mut point = next(count);
    function
        .code
        .iter()
        .map(|instruction| {
            match instruction {
                // It belongs to what it ends; what follows is another's.
                Instruction::Else | Instruction::End => {
                    let own = point;
                    point = next(count);
                    own
                }
                Instruction::If(_) | Instruction::BrIf(_) | Instruction::Loop(_) => {
                    let own = point;
                    point = next(count);
                    own
                }
                Instruction::Br(_) | Instruction::BrTable(..) | Instruction::Return | Instruction::Unreachable => {
                    point.take()
                }
                _ => point,
            }
        })
        .collect()
}

fn next(count: &mut u32) -> Option<u32> {
    *count += 1;
    Some(*count - 1)
}
