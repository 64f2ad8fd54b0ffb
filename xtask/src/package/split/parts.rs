//! Takes a module apart by its functions: a first part, which has the memory, and others that are brought when they are
//! called.
//!
//! All share memory, table and globals. A function of another part is called through its place in the table, once a call
//! of the first part has seen to it that the part is there. Where a function of a later part is exported, stands in the
//! table itself or is called often, the first part has a small function in its place.
//!
//! The parts of one build name the stack pointer by the build's own name, so that others do not fit.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use wasm_encoder::{
    BlockType, ConstExpr, EntityType, ExportKind, FuncType, GlobalType, Instruction, TableType, ValType,
};

use super::data::Symbols;
use super::module::{Data, Element, Export, Function, Import, Module};
use super::order;

/// From where the later parts import what the first has, and the first what brings them.
pub const SHARED: &str = "p";
/// What brings a part: `(number) -> ()`.
pub const LOAD: &str = "l";
/// A function of another part that is called more often is called by way of a small one.
const DIRECT_CALLS_MAX: usize = 2;

/// The parts of `module`, by the part of each of its functions, counted from 0. `build` tells it from other builds.
pub fn take_apart<'a>(module: &Module<'a>, of: &[usize], symbols: &Symbols, build: &str) -> Result<Vec<Module<'a>>> {
    let count = of.iter().copied().max().unwrap_or_default() + 1;
    let plan = Plan::new(module, of, count)?;
    let data = symbols.divide(module, of, count);
    data.into_iter().enumerate().map(|(part, data)| plan.part(part, data, build)).collect()
}

struct Plan<'m, 'a> {
    module: &'m Module<'a>,
    of: &'m [usize],
    imported: u32,
    /// Functions of the later parts that others call, and their places in the table.
    slots: BTreeMap<u32, u32>,
    /// Functions of the first part that others call, and their places in the table, from where they are imported: a list of
    /// numbers is shorter than exports with names.
    shared: BTreeMap<u32, u32>,
    /// Functions of later parts that the first has a small one for.
    proxied: BTreeSet<u32>,
    /// Of the table, with the new places.
    table: u32,
    /// Parts but the first that are called by each.
    loads: Vec<BTreeSet<usize>>,
    /// Functions of each part.
    own: Vec<Vec<u32>>,
}

impl<'m, 'a> Plan<'m, 'a> {
    fn new(module: &'m Module<'a>, of: &'m [usize], count: usize) -> Result<Self> {
        let imported = module.imported();
        let part_of = |function: u32| function.checked_sub(imported).map_or(0, |index| of[index as usize]);
        let mut calls: BTreeMap<u32, usize> = BTreeMap::new();
        let mut shared = BTreeSet::new();
        let mut called = BTreeSet::new();
        let mut loads = vec![BTreeSet::new(); count];
        for (function, part) in module.functions.iter().zip(of) {
            for instruction in &function.code {
                let Instruction::Call(to) = instruction else {
                    ensure!(
                        !matches!(instruction, Instruction::RefFunc(_) | Instruction::ReturnCall(_)),
                        "a function as a value"
                    );
                    continue;
                };
                let target = part_of(*to);
                if target == *part || *to < imported {
                    continue;
                }
                if target == 0 {
                    shared.insert(*to);
                } else {
                    called.insert(*to);
                    loads[*part].insert(target);
                    if *part == 0 {
                        *calls.entry(*to).or_default() += 1;
                    }
                }
            }
        }
        let mut proxied: BTreeSet<u32> =
            calls.iter().filter(|(_, calls)| **calls > DIRECT_CALLS_MAX).map(|(function, _)| *function).collect();
        let mut slots = BTreeMap::new();
        for element in &module.elements {
            for (at, function) in (element.offset..).zip(&element.functions) {
                if part_of(*function) > 0 {
                    proxied.insert(*function);
                    slots.entry(*function).or_insert(at);
                }
            }
        }
        for export in &module.exports {
            if matches!(export.kind, ExportKind::Func) && part_of(export.index) > 0 {
                proxied.insert(export.index);
            }
        }
        loads[0].extend(proxied.iter().map(|function| part_of(*function)));
        called.extend(&proxied);
        let mut own = vec![Vec::new(); count];
        for (function, part) in (imported..).zip(of) {
            own[*part].push(function);
        }
        for functions in &mut own {
            order::by_likeness(module, functions);
        }
        // By parts, so that the places of each are one row, and as the first part calls them: numbers beside each other begin alike.
        let mut order = BTreeMap::new();
        for function in &own[0] {
            for instruction in &module.functions[(*function - imported) as usize].code {
                if let Instruction::Call(to) = instruction {
                    let next = order.len();
                    order.entry(*to).or_insert(next);
                }
            }
        }
        let mut missing: Vec<u32> = called.into_iter().filter(|function| !slots.contains_key(function)).collect();
        missing.sort_by_key(|function| {
            (part_of(*function), !order.contains_key(function), order.get(function), *function)
        });
        let mut table = module.tables.first().context("a module without a table")?.minimum as u32;
        for function in missing {
            slots.insert(function, table);
            table += 1;
        }
        let mut known = BTreeMap::new();
        for element in &module.elements {
            known.extend(element.functions.iter().copied().zip(element.offset..));
        }
        // In their order in the first part.
        let mut shared: Vec<u32> = shared.into_iter().collect();
        shared.sort_by_key(|function| (module.kind_of(*function), *function));
        let shared = shared
            .into_iter()
            .map(|function| {
                let slot = known.get(&function).copied().unwrap_or_else(|| {
                    table += 1;
                    table - 1
                });
                (function, slot)
            })
            .collect();
        Ok(Self { module, of, imported, slots, shared, proxied, table, loads, own })
    }

    fn part_of(&self, function: u32) -> usize {
        function.checked_sub(self.imported).map_or(0, |index| self.of[index as usize])
    }

    fn part(&self, part: usize, data: Vec<Data<'a>>, build: &str) -> Result<Module<'a>> {
        let mut building =
            Building { plan: self, part, out: Module::default(), numbers: BTreeMap::new(), loaders: BTreeMap::new() };
        let first = part == 0;
        building.import_functions();
        let loads: BTreeSet<usize> =
            if first { self.loads.iter().flatten().copied().collect() } else { self.loads[part].clone() };
        let load_kind = building.out.type_index(&FuncType::new([ValType::I32], []));
        let nothing = building.out.type_index(&FuncType::new([], []));
        let mut load_import = 0;
        if first && !loads.is_empty() {
            load_import = building.import(SHARED, LOAD, EntityType::Function(load_kind));
        }
        if !first {
            for (function, slot) in self.shared.iter().filter(|(function, _)| self.calls(part, **function)) {
                let kind = building.kind(self.module.kind_of(*function));
                let number = building.import(SHARED, &slot.to_string(), EntityType::Function(kind));
                building.numbers.insert(*function, number);
            }
            for target in loads.iter().filter(|target| **target != part) {
                let number = building.import(SHARED, &loader_name(*target), EntityType::Function(nothing));
                building.loaders.insert(*target, number);
            }
        }
        building.share(build, first);
        let mut defined = building.out.imported();
        if first {
            for target in &loads {
                building.loaders.insert(*target, defined);
                defined += 1;
            }
        }
        for index in self.own(part) {
            building.numbers.insert(index, defined);
            defined += 1;
        }
        if first {
            for function in &self.proxied {
                building.numbers.insert(*function, defined);
                defined += 1;
            }
            for target in &loads {
                let flag = building.out.globals.len() as u32;
                let kind = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
                building.out.globals.push((kind, ConstExpr::i32_const(0)));
                building.out.functions.push(Function {
                    kind: nothing,
                    locals: Vec::new(),
                    code: loader(*target, flag, load_import),
                });
            }
        }
        for index in self.own(part) {
            let function = building.function(&self.module.functions[(index - self.imported) as usize]);
            building.out.functions.push(function);
        }
        if first {
            for function in &self.proxied {
                let function = building.proxy(*function);
                building.out.functions.push(function);
            }
            building.export();
        }
        building.out.data = data;
        building.elements();
        building.names();
        Ok(building.out)
    }

    /// Functions of a part, by their numbers in the whole: such as are alike beside each other.
    fn own(&self, part: usize) -> impl Iterator<Item = u32> + '_ {
        self.own[part].iter().copied()
    }

    fn calls(&self, part: usize, function: u32) -> bool {
        self.own(part).any(|own| {
            let code = &self.module.functions[(own - self.imported) as usize].code;
            code.iter().any(|instruction| matches!(instruction, Instruction::Call(to) if *to == function))
        })
    }
}

struct Building<'p, 'm, 'a> {
    plan: &'p Plan<'m, 'a>,
    part: usize,
    out: Module<'a>,
    /// Numbers of functions in this part, by those in the whole.
    numbers: BTreeMap<u32, u32>,
    /// What sees to it that a part is there.
    loaders: BTreeMap<usize, u32>,
}

impl<'a> Building<'_, '_, 'a> {
    fn kind(&mut self, kind: u32) -> u32 {
        self.out.type_index(&self.plan.module.types[kind as usize])
    }

    fn import(&mut self, module: &str, name: &str, kind: EntityType) -> u32 {
        let number = self.out.imported();
        self.out.imports.push(Import { module: module.to_owned(), name: name.to_owned(), kind });
        number
    }

    /// What the whole imports, as far as this part calls it.
    fn import_functions(&mut self) {
        let exported = |index: u32| {
            self.part == 0
                && self
                    .plan
                    .module
                    .exports
                    .iter()
                    .any(|export| export.kind == ExportKind::Func && export.index == index)
        };
        let in_table = |index: u32| {
            self.part == 0 && self.plan.module.elements.iter().any(|element| element.functions.contains(&index))
        };
        let called: BTreeSet<u32> = (0..self.plan.imported)
            .filter(|index| exported(*index) || in_table(*index) || self.plan.calls(self.part, *index))
            .collect();
        for (index, import) in (0..).zip(&self.plan.module.imports) {
            if let (true, EntityType::Function(kind)) = (called.contains(&index), import.kind) {
                let kind = self.kind(kind);
                let number = self.import(&import.module, &import.name, EntityType::Function(kind));
                self.numbers.insert(index, number);
            }
        }
    }

    /// Memory, tables and globals: the first part's, imported by the others.
    fn share(&mut self, build: &str, first: bool) {
        let module = self.plan.module;
        let tables = module.tables.iter().enumerate().map(|(index, table)| {
            let minimum = if index == 0 { u64::from(self.plan.table) } else { table.minimum };
            TableType { minimum, maximum: table.maximum.map(|maximum| maximum.max(minimum)), ..*table }
        });
        let tables: Vec<_> = tables.collect();
        if first {
            self.out.tables = tables;
            self.out.memories.clone_from(&module.memories);
            self.out.globals.clone_from(&module.globals);
            let mut export = |name: String, kind, index| self.out.exports.push(Export { name, kind, index });
            for index in 0..module.tables.len() as u32 {
                export(format!("t{index}"), ExportKind::Table, index);
            }
            for index in 0..module.memories.len() as u32 {
                export(format!("m{index}"), ExportKind::Memory, index);
            }
            for index in 0..module.globals.len() as u32 {
                export(global_name(index, build), ExportKind::Global, index);
            }
            return;
        }
        let mut import = |name: String, kind| self.out.imports.push(Import { module: SHARED.to_owned(), name, kind });
        for (index, table) in tables.into_iter().enumerate() {
            import(format!("t{index}"), EntityType::Table(table));
        }
        for (index, memory) in module.memories.iter().enumerate() {
            import(format!("m{index}"), EntityType::Memory(*memory));
        }
        for (index, (kind, _)) in (0..).zip(&module.globals) {
            import(global_name(index, build), EntityType::Global(*kind));
        }
    }

    fn function(&mut self, function: &Function<'a>) -> Function<'a> {
        let mut code = Vec::with_capacity(function.code.len());
        for instruction in &function.code {
            match instruction {
                Instruction::Call(to) => self.call(*to, &mut code),
                Instruction::CallIndirect { type_index, table_index } => {
                    let type_index = self.kind(*type_index);
                    code.push(Instruction::CallIndirect { type_index, table_index: *table_index });
                }
                Instruction::Block(kind) => code.push(Instruction::Block(self.block_type(*kind))),
                Instruction::Loop(kind) => code.push(Instruction::Loop(self.block_type(*kind))),
                Instruction::If(kind) => code.push(Instruction::If(self.block_type(*kind))),
                other => code.push(other.clone()),
            }
        }
        Function { kind: self.kind(function.kind), locals: function.locals.clone(), code }
    }

    fn block_type(&mut self, kind: BlockType) -> BlockType {
        match kind {
            BlockType::FunctionType(kind) => BlockType::FunctionType(self.kind(kind)),
            other => other,
        }
    }

    fn call(&mut self, to: u32, code: &mut Vec<Instruction<'a>>) {
        match self.numbers.get(&to) {
            Some(number) => code.push(Instruction::Call(*number)),
            None => self.call_elsewhere(to, code),
        }
    }

    /// A call of a function of another part, whose arguments lie on the stack.
    fn call_elsewhere(&mut self, to: u32, code: &mut Vec<Instruction<'a>>) {
        let type_index = self.kind(self.plan.module.kind_of(to));
        code.push(Instruction::Call(self.loaders[&self.plan.part_of(to)]));
        code.push(Instruction::I32Const(self.plan.slots[&to].cast_signed()));
        code.push(Instruction::CallIndirect { type_index, table_index: 0 });
    }

    /// What stands in the first part for a function of another.
    fn proxy(&mut self, function: u32) -> Function<'a> {
        let kind = self.plan.module.kind_of(function);
        let parameters = self.plan.module.types[kind as usize].params().len() as u32;
        let mut code: Vec<_> = (0..parameters).map(Instruction::LocalGet).collect();
        self.call_elsewhere(function, &mut code);
        code.push(Instruction::End);
        Function { kind: self.kind(kind), locals: Vec::new(), code }
    }

    /// What the whole exports, and what the later parts import.
    fn export(&mut self) {
        for export in &self.plan.module.exports {
            let index = if export.kind == ExportKind::Func { self.numbers[&export.index] } else { export.index };
            self.out.exports.push(Export { name: export.name.clone(), kind: export.kind, index });
        }
        for (target, number) in &self.loaders {
            if self.plan.loads.iter().skip(1).any(|loads| loads.contains(target)) {
                self.out.exports.push(Export { name: loader_name(*target), kind: ExportKind::Func, index: *number });
            }
        }
    }

    fn names(&mut self) {
        for (function, number) in &self.numbers {
            let Some(name) = self.plan.module.names.get(function) else { continue };
            let is_own = *function >= self.plan.imported && self.plan.part_of(*function) == self.part;
            let proxied = self.part == 0 && self.plan.proxied.contains(function);
            if is_own || proxied {
                self.out.names.insert(*number, if is_own { name.clone() } else { format!("{name} (elsewhere)") });
            }
        }
    }

    /// The places in the table that are this part's.
    fn elements(&mut self) {
        let plan = self.plan;
        if self.part == 0 {
            for element in &plan.module.elements {
                let functions = element.functions.iter().map(|function| self.numbers[function]).collect();
                self.out.elements.push(Element { offset: element.offset, functions });
            }
            let added = plan.module.tables.first().map_or(0, |table| table.minimum as u32);
            let mut shared: Vec<_> = plan.shared.iter().filter(|(_, slot)| **slot >= added).collect();
            shared.sort_by_key(|(_, slot)| **slot);
            if let Some((_, offset)) = shared.first() {
                let functions = shared.iter().map(|(function, _)| self.numbers[*function]).collect();
                self.out.elements.push(Element { offset: **offset, functions });
            }
            return;
        }
        let mut places: BTreeMap<u32, u32> = BTreeMap::new();
        for (function, slot) in plan.slots.iter().filter(|(function, _)| plan.part_of(**function) == self.part) {
            places.insert(*slot, self.numbers[function]);
        }
        // One function may stand in several.
        for element in &plan.module.elements {
            for (at, function) in (element.offset..).zip(&element.functions) {
                if plan.part_of(*function) == self.part {
                    places.insert(at, self.numbers[function]);
                }
            }
        }
        for (slot, function) in places {
            match self.out.elements.last_mut() {
                Some(element) if element.offset + element.functions.len() as u32 == slot => {
                    element.functions.push(function)
                }
                _ => self.out.elements.push(Element { offset: slot, functions: vec![function] }),
            }
        }
    }
}

/// Brings a part unless it is there.
fn loader<'a>(part: usize, flag: u32, load: u32) -> Vec<Instruction<'a>> {
    vec![
        Instruction::GlobalGet(flag),
        Instruction::I32Eqz,
        Instruction::If(BlockType::Empty),
        Instruction::I32Const(part as i32),
        Instruction::Call(load),
        Instruction::I32Const(1),
        Instruction::GlobalSet(flag),
        Instruction::End,
        Instruction::End,
    ]
}

fn loader_name(part: usize) -> String {
    format!("l{part}")
}

/// The first global is the stack pointer.
fn global_name(index: u32, build: &str) -> String {
    if index == 0 { build.to_owned() } else { format!("g{index}") }
}
