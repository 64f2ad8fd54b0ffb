//! How a function is nested, what lies on its stack at each instruction, and which of its locals are still read.

use anyhow::{Context, Result};
use wasm_encoder::Instruction;
use wasm_encoder::ValType;
use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasmparser::{FuncValidatorAllocations, ValidPayload, Validator};

use super::module::{Function, Module};

/// At one instruction, before it.
pub struct Place {
    /// Values that lie on the stack.
    pub height: u32,
    /// How many of them the instruction leaves as they are.
    pub low: u32,
    /// The types of those that the innermost block has put there.
    pub types: Vec<ValType>,
    /// Control never comes here.
    pub is_dead: bool,
    /// The instruction that begins the innermost block around it; none at the level of the function.
    pub block: Option<usize>,
}

pub struct Shape {
    pub places: Vec<Place>,
    /// Where a block ends, and where its `else` is, by the instruction that begins it.
    pub end: Vec<usize>,
    pub other: Vec<Option<usize>>,
}

impl Shape {
    /// The shapes of all functions; the module is validated on the way.
    pub fn of_all(module: &Module<'_>) -> Result<Vec<Self>> {
        let bytes = module.write();
        let mut validator = Validator::new();
        let mut shapes = Vec::new();
        for payload in wasmparser::Parser::new(0).parse_all(&bytes) {
            if let ValidPayload::Func(function, body) = validator.payload(&payload?)? {
                let mut function = function.into_validator(FuncValidatorAllocations::default());
                shapes.push(Self::read(&mut function, &body)?);
            }
        }
        Ok(shapes)
    }

    fn read(
        validator: &mut wasmparser::FuncValidator<wasmparser::ValidatorResources>,
        body: &wasmparser::FunctionBody<'_>,
    ) -> Result<Self> {
        let mut locals = body.get_binary_reader();
        validator.read_locals(&mut locals)?;
        let mut operators = body.get_operators_reader()?;
        let (mut places, mut end, mut other, mut open) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        while !operators.eof() {
            let (operator, offset) = operators.read_with_offset()?;
            let index = places.len();
            let frame = validator.get_control_frame(0).context("an instruction in no function")?;
            let (is_dead, base) = (frame.unreachable, frame.height as u32);
            let height = validator.operand_stack_height();
            let (pops, _) = operator.operator_arity(&validator.visitor(offset)).context("an unknown instruction")?;
            let mut types = Vec::new();
            for depth in (0..height.saturating_sub(base)).rev() {
                if let Some(Some(kind)) = validator.get_operand_type(depth as usize) {
                    types.push(RoundtripReencoder.val_type(kind)?);
                }
            }
            end.push(usize::MAX);
            other.push(None);
            let block = open.last().copied();
            match operator {
                wasmparser::Operator::Else => {
                    if let Some(begin) = block {
                        other[begin] = Some(index);
                    }
                }
                wasmparser::Operator::End => {
                    if let Some(begin) = open.pop() {
                        end[begin] = index;
                    }
                }
                wasmparser::Operator::Block { .. }
                | wasmparser::Operator::Loop { .. }
                | wasmparser::Operator::If { .. } => {
                    open.push(index);
                }
                _ => {}
            }
            let pops = if is_dead { 0 } else { pops };
            places.push(Place { height, low: height.saturating_sub(pops), types, is_dead, block });
            validator.op(offset, &operator)?;
        }
        Ok(Self { places, end, other })
    }

    /// The blocks around an instruction, the innermost first; the function itself is not among them.
    pub fn around(&self, at: usize) -> Vec<usize> {
        std::iter::successors(self.places[at].block, |block| self.places[*block].block).collect()
    }

    /// Where a branch to the `label`th of the blocks `around` goes.
    pub fn target(&self, function: &Function<'_>, around: &[usize], label: u32) -> usize {
        match around.get(label as usize) {
            Some(begin) if matches!(function.code[*begin], Instruction::Loop(_)) => begin + 1,
            Some(begin) => self.end[*begin],
            None => function.code.len() - 1,
        }
    }
}

/// Which locals are read later, before each instruction.
pub struct Liveness {
    words: usize,
    rows: Vec<u64>,
}

impl Liveness {
    pub fn of(function: &Function<'_>, shape: &Shape, locals: usize) -> Self {
        let words = locals.div_ceil(64).max(1);
        let code = &function.code;
        let mut live = Self { words, rows: vec![0; (code.len() + 1) * words] };
        let next: Vec<Vec<usize>> = (0..code.len()).map(|at| successors(function, shape, at)).collect();
        let mut row = vec![0_u64; words];
        loop {
            let mut changed = false;
            for at in (0..code.len()).rev() {
                row.fill(0);
                for &successor in &next[at] {
                    for (word, other) in row.iter_mut().zip(live.row(successor)) {
                        *word |= other;
                    }
                }
                match code[at] {
                    Instruction::LocalGet(local) => row[local as usize / 64] |= 1 << (local % 64),
                    Instruction::LocalSet(local) | Instruction::LocalTee(local) => {
                        row[local as usize / 64] &= !(1 << (local % 64));
                    }
                    _ => {}
                }
                let own = &mut live.rows[at * words..(at + 1) * words];
                if own != row {
                    own.copy_from_slice(&row);
                    changed = true;
                }
            }
            if !changed {
                return live;
            }
        }
    }

    fn row(&self, at: usize) -> &[u64] {
        &self.rows[at * self.words..(at + 1) * self.words]
    }

    pub fn is_live(&self, local: u32, at: usize) -> bool {
        self.row(at)[local as usize / 64] >> (local % 64) & 1 == 1
    }
}

pub fn successors(function: &Function<'_>, shape: &Shape, at: usize) -> Vec<usize> {
    let target = |label: u32| shape.target(function, &shape.around(at), label);
    match &function.code[at] {
        Instruction::Br(label) => vec![target(*label)],
        Instruction::BrIf(label) => vec![at + 1, target(*label)],
        Instruction::BrTable(labels, rest) => labels.iter().chain([rest]).map(|label| target(*label)).collect(),
        Instruction::Return | Instruction::Unreachable => Vec::new(),
        Instruction::If(_) => vec![at + 1, shape.other[at].map_or(shape.end[at], |other| other + 1)],
        Instruction::Else => shape.places[at].block.map(|begin| shape.end[begin]).into_iter().collect(),
        _ if at + 1 == function.code.len() => Vec::new(),
        _ => vec![at + 1],
    }
}
