//! Takes stretches of functions that seldom run out of them, into functions of their own that can lie elsewhere.
//!
//! Such a function gets the locals that it reads, except where its frame is, which the stack pointer says; it gives those that it has written and somebody reads later, which of
//! its ways out it took, and what lay on the stack then. Where it stood, that way is taken. What it gives goes through
//! globals but for one value: V8 loses results that its registers do not hold.

use std::ops::Range;

use anyhow::Result;
use wasm_encoder::{BlockType, ConstExpr, FuncType, GlobalType, Ieee32, Ieee64, Instruction, ValType};

use super::frame::{Frame, STACK_POINTER};
use super::module::{Function, Module};
use super::shape::{Liveness, Shape};

/// By function and instruction: the first part of the profile in which it ran.
pub type Ranks = Vec<Vec<u8>>;

/// What is moved is longer than what stands in its place by at least so many bytes.
const GAIN_MIN: usize = 6;
/// A call beyond the module's own functions: loading, a number, a type.
const CALL_BYTES: usize = 8;
/// Locals that it gives.
const WRITTEN_MAX: usize = 24;
const PARAMETERS_MAX: usize = 40;

/// Takes out of each function that runs in `rank` or before what of it runs later only.
pub fn outline(module: &mut Module<'_>, ranks: &mut Ranks, rank: u8) -> Result<()> {
    let shapes = Shape::of_all(module)?;
    let mut spare = Spare::default();
    for index in 0..module.functions.len() {
        if ranks[index].first().is_none_or(|first| *first > rank) || ranks[index].iter().all(|own| *own <= rank) {
            continue;
        }
        let shape = &shapes[index];
        let function = module.functions[index].clone();
        let kind = module.types[function.kind as usize].clone();
        let kinds: Vec<_> = kind.params().iter().chain(&function.locals).copied().collect();
        let live = Liveness::of(&function, shape, kinds.len());
        let frame = Frame::of(&function, shape);
        let own = ranks[index].clone();
        let source = Source {
            function: &function,
            results: kind.results(),
            kinds: &kinds,
            shape,
            live,
            frame,
            ranks: &own,
            rank,
        };
        let mut regions = Vec::new();
        source.find(0..function.code.len() - 1, module, &mut regions);
        if regions.is_empty() {
            continue;
        }
        let (mut code, mut new) = (Vec::new(), Vec::new());
        let mut locals = function.locals.clone();
        let mut at = 0;
        for region in regions {
            code.extend_from_slice(&function.code[at..region.span.start]);
            new.extend_from_slice(&own[at..region.span.start]);
            at = region.span.end;
            let moved = source.moved(&region, module, &mut spare);
            let begin = code.len();
            let to = module.imported() + module.functions.len() as u32;
            let global = |kind, nth| spare.global(kind, nth, module);
            source.stand_in(&region, to, &mut code, &mut locals, kind.params().len(), global);
            let first = own[region.span.clone()].iter().copied().min().unwrap_or(u8::MAX);
            new.extend(std::iter::repeat_n(first, code.len() - begin));
            ranks.push(ranks_of(&moved, &region, &own));
            if let Some(name) = module.names.get(&(module.imported() + index as u32)) {
                let name = format!("{name} (taken out)");
                module.names.insert(to, name);
            }
            module.functions.push(moved.function);
        }
        code.extend_from_slice(&function.code[at..]);
        new.extend_from_slice(&own[at..]);
        module.functions[index].code = code;
        module.functions[index].locals = locals;
        ranks[index] = new;
    }
    Ok(())
}

struct Source<'s, 'a> {
    function: &'s Function<'a>,
    results: &'s [ValType],
    /// Of its parameters and locals.
    kinds: &'s [ValType],
    shape: &'s Shape,
    live: Liveness,
    frame: Option<Frame>,
    ranks: &'s [u8],
    rank: u8,
}

/// What can be taken out.
struct Region {
    span: Range<usize>,
    parameters: Vec<u32>,
    /// What it reads of the function's that is no parameter: the stack pointer says it.
    frame: Option<u32>,
    /// Locals that are read later.
    written: Vec<u32>,
    /// Whether control may come to its end, the first way out; the others are labels.
    falls: bool,
    labels: Vec<u32>,
    /// What lies on the stack at its end, and behind each label.
    carried: Vec<Vec<ValType>>,
    /// What is given of that: the same for all that give any.
    values: Vec<ValType>,
}

struct Moved<'a> {
    function: Function<'a>,
    /// Where the region's instructions begin in it.
    begin: usize,
}

fn ranks_of(moved: &Moved<'_>, region: &Region, own: &[u8]) -> Vec<u8> {
    let first = own[region.span.clone()].first().copied().unwrap_or(u8::MAX);
    let mut ranks = vec![first; moved.begin];
    ranks.extend_from_slice(&own[region.span.clone()]);
    ranks.resize(moved.function.code.len(), first);
    ranks
}

impl<'a> Source<'_, 'a> {
    /// The regions of a body, in their order.
    fn find(&self, body: Range<usize>, module: &mut Module<'_>, regions: &mut Vec<Region>) {
        let mut at = body.start;
        while at < body.end {
            let next = self.behind(at);
            if !self.is_cold(at..next) {
                self.find_within(at, module, regions);
                at = next;
                continue;
            }
            // All that is cold from here on; the longest of it that stands alone.
            let mut ends = vec![next];
            while let Some(&last) = ends.last()
                && last < body.end
                && self.is_cold(last..self.behind(last))
            {
                ends.push(self.behind(last));
            }
            let found = ends.iter().rev().find_map(|end| self.region(at..*end, module).map(|region| (region, *end)));
            if let Some((region, end)) = found {
                regions.push(region);
                at = end;
            } else {
                self.find_within(at, module, regions);
                at = next;
            }
        }
    }

    fn find_within(&self, at: usize, module: &mut Module<'_>, regions: &mut Vec<Region>) {
        if !self.begins_block(at) {
            return;
        }
        let end = self.shape.end[at];
        let middle = self.shape.other[at].unwrap_or(end);
        self.find(at + 1..middle, module, regions);
        if middle < end {
            self.find(middle + 1..end, module, regions);
        }
    }

    fn begins_block(&self, at: usize) -> bool {
        matches!(self.function.code[at], Instruction::Block(_) | Instruction::Loop(_) | Instruction::If(_))
    }

    /// Where the next instruction of the same body is.
    fn behind(&self, at: usize) -> usize {
        if self.begins_block(at) { self.shape.end[at] + 1 } else { at + 1 }
    }

    fn is_cold(&self, span: Range<usize>) -> bool {
        self.ranks[span].iter().all(|rank| *rank > self.rank)
    }

    /// What a span needs and gives, if it is worth it and can be done.
    fn region(&self, span: Range<usize>, module: &mut Module<'_>) -> Option<Region> {
        let places = &self.shape.places;
        let bytes: usize = self.function.code[span.clone()].iter().map(Function::size).sum();
        if bytes < CALL_BYTES + GAIN_MIN {
            return None;
        }
        let height = places[span.start].height;
        if places[span.clone()].iter().any(|place| place.low < height) {
            return None;
        }
        let code = &self.function.code;
        let is_end = |at: usize| matches!(code[at], Instruction::End | Instruction::Else);
        if span.clone().any(|at| places[at].is_dead && !is_end(at)) {
            return None;
        }
        let mut exits = Vec::new();
        let falls = !places[span.end].is_dead;
        let around = self.shape.around(span.start);
        self.branches(span.clone(), |_, label| {
            if !exits.contains(&label) {
                exits.push(label);
            }
        });
        exits.sort_unstable();
        let mut carried = Vec::new();
        let mut targets = Vec::new();
        if falls {
            let place = &places[span.end];
            let count = place.height.checked_sub(height)? as usize;
            carried.push(place.types.get(place.types.len().checked_sub(count)?..)?.to_vec());
            targets.push(span.end);
        }
        for label in &exits {
            carried.push(self.label_types(&around, *label, module));
            targets.push(self.shape.target(self.function, &around, *label));
        }
        let values = carried.iter().find(|types| !types.is_empty()).cloned().unwrap_or_default();
        if carried.iter().any(|types| !types.is_empty() && *types != values)
            || values.len() > 1
            || values.iter().any(is_reference)
        {
            return None;
        }
        let mut used = vec![false; self.kinds.len()];
        let mut set = vec![false; self.kinds.len()];
        for instruction in &code[span.clone()] {
            match instruction {
                Instruction::LocalGet(local) => used[*local as usize] = true,
                Instruction::LocalSet(local) | Instruction::LocalTee(local) => set[*local as usize] = true,
                _ => {}
            }
        }
        let all = 0..self.kinds.len() as u32;
        let is_read = |local: &u32| targets.iter().any(|target| self.live.is_live(*local, *target));
        let written: Vec<u32> = all.clone().filter(|local| set[*local as usize] && is_read(local)).collect();
        let mut parameters: Vec<u32> = all
            .filter(|local| self.live.is_live(*local, span.start) && (used[*local as usize] || written.contains(local)))
            .collect();
        let frame = self.frame.as_ref().and_then(|frame| frame.at(span.start));
        let frame = frame.filter(|local| parameters.contains(local) && !written.contains(local));
        parameters.retain(|local| Some(*local) != frame);
        let given = |local: &u32| is_reference(&self.kinds[*local as usize]);
        if written.len() > WRITTEN_MAX || parameters.len() > PARAMETERS_MAX || written.iter().any(given) {
            return None;
        }
        let ways = carried.len();
        let cost =
            CALL_BYTES + 2 * (parameters.len() + 2 * written.len()) + if ways > 1 || !falls { 2 * ways } else { 0 };
        if bytes < cost + GAIN_MIN {
            return None;
        }
        Some(Region { span, parameters, frame, written, falls, labels: exits, carried, values })
    }

    /// Calls `visit(index, label)` for each branch out of a span, labels counted where it begins.
    fn branches(&self, span: Range<usize>, mut visit: impl FnMut(usize, u32)) {
        let outermost = self.shape.around(span.start).len() as u32;
        let mut depth = 0;
        for at in span {
            let mut outward = |label: &u32| {
                if *label >= depth {
                    visit(at, label - depth);
                }
            };
            match &self.function.code[at] {
                Instruction::Block(_) | Instruction::Loop(_) | Instruction::If(_) => depth += 1,
                Instruction::End => depth -= 1,
                Instruction::Br(label) | Instruction::BrIf(label) => outward(label),
                Instruction::BrTable(labels, rest) => labels.iter().chain([rest]).for_each(outward),
                Instruction::Return => visit(at, outermost),
                _ => {}
            }
        }
    }

    fn label_types(&self, around: &[usize], label: u32, module: &Module<'_>) -> Vec<ValType> {
        let Some(begin) = around.get(label as usize) else { return self.results.to_vec() };
        let function_type = |kind: &u32| &module.types[*kind as usize];
        match &self.function.code[*begin] {
            Instruction::Loop(BlockType::FunctionType(kind)) => function_type(kind).params().to_vec(),
            Instruction::Loop(_) => Vec::new(),
            Instruction::Block(kind) | Instruction::If(kind) => match kind {
                BlockType::Empty => Vec::new(),
                BlockType::Result(kind) => vec![*kind],
                BlockType::FunctionType(kind) => function_type(kind).results().to_vec(),
            },
            _ => Vec::new(),
        }
    }

    /// The function that does what a region does.
    fn moved(&self, region: &Region, module: &mut Module<'_>, spare: &mut Spare) -> Moved<'a> {
        let ways = region.carried.len();
        let kind_of = |local: &u32| self.kinds[*local as usize];
        let given = region.given(self.kinds);
        let kind =
            module.type_index(&FuncType::new(region.parameters.iter().map(kind_of), given.result(region, self.kinds)));
        let mut own = region.parameters.clone();
        let mut locals = Vec::new();
        let mut number = |local: u32| {
            own.iter().position(|known| *known == local).unwrap_or_else(|| {
                own.push(local);
                locals.push(self.kinds[local as usize]);
                own.len() - 1
            }) as u32
        };
        let mut code = Vec::new();
        if let Some(frame) = region.frame {
            code.extend([Instruction::GlobalGet(STACK_POINTER), Instruction::LocalSet(number(frame))]);
        }
        let labels = region.labels.len();
        let first_label = usize::from(region.falls);
        for types in region.carried[first_label..].iter().rev() {
            code.push(Instruction::Block(match types.as_slice() {
                [] => BlockType::Empty,
                [kind] => BlockType::Result(*kind),
                types => BlockType::FunctionType(module.type_index(&FuncType::new([], types.iter().copied()))),
            }));
        }
        let begin = code.len();
        let outermost = self.shape.around(region.span.start).len() as u32;
        let mut depth = 0;
        for instruction in &self.function.code[region.span.clone()] {
            let position =
                |label: u32| region.labels.iter().position(|known| *known == label).unwrap_or_default() as u32;
            let relabel = |label: u32| if label >= depth { depth + position(label - depth) } else { label };
            code.push(match instruction {
                Instruction::LocalGet(local) => Instruction::LocalGet(number(*local)),
                Instruction::LocalSet(local) => Instruction::LocalSet(number(*local)),
                Instruction::LocalTee(local) => Instruction::LocalTee(number(*local)),
                Instruction::Br(label) => Instruction::Br(relabel(*label)),
                Instruction::BrIf(label) => Instruction::BrIf(relabel(*label)),
                Instruction::BrTable(labels, rest) => {
                    Instruction::BrTable(labels.iter().map(|label| relabel(*label)).collect(), relabel(*rest))
                }
                Instruction::Return => Instruction::Br(depth + position(outermost)),
                other => other.clone(),
            });
            match instruction {
                Instruction::Block(_) | Instruction::Loop(_) | Instruction::If(_) => depth += 1,
                Instruction::End => depth -= 1,
                _ => {}
            }
        }
        for (way, types) in region.carried.iter().enumerate() {
            if way >= first_label {
                code.push(Instruction::End);
            }
            for (nth, kind, local) in &given.spared {
                let global = spare.global(*kind, *nth, module);
                match local {
                    Some(local) => code.extend([Instruction::LocalGet(number(*local)), Instruction::GlobalSet(global)]),
                    None if types.is_empty() => {}
                    None => code.push(Instruction::GlobalSet(global)),
                }
            }
            match given.first {
                First::Way => code.push(Instruction::I32Const(way as i32)),
                First::Local(local) => code.push(Instruction::LocalGet(number(local))),
                First::Value | First::Nothing => {}
            }
            if way + 1 < ways {
                code.push(Instruction::Return);
            }
        }
        debug_assert_eq!(labels + first_label, ways);
        code.push(Instruction::End);
        Moved { function: Function { kind, locals, code }, begin }
    }

    /// What stands in the place of a region that has become the function `to`.
    fn stand_in(
        &self,
        region: &Region,
        to: u32,
        code: &mut Vec<Instruction<'a>>,
        locals: &mut Vec<ValType>,
        parameters: usize,
        mut spare: impl FnMut(ValType, usize) -> u32,
    ) {
        code.extend(region.parameters.iter().map(|local| Instruction::LocalGet(*local)));
        code.push(Instruction::Call(to));
        let given = region.given(self.kinds);
        if let First::Local(local) = given.first {
            code.push(Instruction::LocalSet(local));
        }
        let mut value = None;
        for (nth, kind, local) in &given.spared {
            let global = spare(*kind, *nth);
            match local {
                Some(local) => code.extend([Instruction::GlobalGet(global), Instruction::LocalSet(*local)]),
                None => value = Some(Instruction::GlobalGet(global)),
            }
        }
        let first_label = usize::from(region.falls);
        let Some(&last) = region.labels.last() else {
            if !region.falls {
                code.push(Instruction::Unreachable);
            }
            return;
        };
        // The ways that are chosen by number; without a fall the last is what is left.
        let chosen = if region.falls { region.labels.as_slice() } else { &region.labels[..region.labels.len() - 1] };
        if let ([label], true, None) = (chosen, region.falls, &value) {
            code.push(Instruction::BrIf(*label));
        } else if !chosen.is_empty() {
            locals.push(ValType::I32);
            let choice = (parameters + locals.len() - 1) as u32;
            code.push(Instruction::LocalSet(choice));
            code.extend(value);
            for (index, label) in chosen.iter().enumerate() {
                code.push(Instruction::LocalGet(choice));
                match index + first_label {
                    0 => code.push(Instruction::I32Eqz),
                    way => code.extend([Instruction::I32Const(way as i32), Instruction::I32Eq]),
                }
                code.push(Instruction::BrIf(*label));
            }
        }
        if region.falls {
            if region.carried[0].is_empty() {
                code.extend(region.values.iter().map(|_| Instruction::Drop));
            }
        } else {
            code.push(Instruction::Br(last));
        }
    }
}

impl Region {
    /// What its function gives, and how.
    fn given(&self, kinds: &[ValType]) -> Given {
        let first = if self.carried.len() > 1 {
            First::Way
        } else if !self.values.is_empty() {
            First::Value
        } else {
            self.written.first().map_or(First::Nothing, |local| First::Local(*local))
        };
        let value = self.values.iter().filter(|_| first == First::Way).map(|kind| (*kind, None));
        let locals = self.written.iter().filter(|local| first != First::Local(**local));
        let mut spared: Vec<(usize, ValType, Option<u32>)> = Vec::new();
        for (kind, local) in value.chain(locals.map(|local| (kinds[*local as usize], Some(*local)))) {
            spared.push((spared.iter().filter(|known| known.1 == kind).count(), kind, local));
        }
        Given { first, spared }
    }
}

struct Given {
    first: First,
    /// The rest: the how manieth of its type it is, and the local; none for what lies on the stack.
    spared: Vec<(usize, ValType, Option<u32>)>,
}

/// What is given as a function gives it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum First {
    Way,
    Value,
    Local(u32),
    Nothing,
}

impl Given {
    fn result(&self, region: &Region, kinds: &[ValType]) -> Option<ValType> {
        match self.first {
            First::Way => Some(ValType::I32),
            First::Value => region.values.first().copied(),
            First::Local(local) => kinds.get(local as usize).copied(),
            First::Nothing => None,
        }
    }
}

/// Globals for what functions give beside their result.
#[derive(Default)]
struct Spare(Vec<(ValType, u32)>);

impl Spare {
    fn global(&mut self, kind: ValType, nth: usize, module: &mut Module<'_>) -> u32 {
        if let Some((_, global)) = self.0.iter().filter(|known| known.0 == kind).nth(nth) {
            return *global;
        }
        let zero = match kind {
            ValType::I64 => ConstExpr::i64_const(0),
            ValType::F32 => ConstExpr::f32_const(Ieee32::new(0)),
            ValType::F64 => ConstExpr::f64_const(Ieee64::new(0)),
            _ => ConstExpr::i32_const(0),
        };
        module.globals.push((GlobalType { val_type: kind, mutable: true, shared: false }, zero));
        self.0.push((kind, module.globals.len() as u32 - 1));
        module.globals.len() as u32 - 1
    }
}

fn is_reference(kind: &ValType) -> bool {
    matches!(kind, ValType::Ref(_))
}
