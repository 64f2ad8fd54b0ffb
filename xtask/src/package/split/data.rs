//! Divides the data of a module among the parts that read it.
//!
//! Where what lies, and what refers to it, is as the linker wrote it down ([`Symbols`]): behind the linker addresses are mere
//! numbers. A part has what its functions refer to, and what that refers to in turn, unless the first part has it; what
//! several of the later parts need stands in each of them, for it is constant. The first part has what is written to, and
//! what is referred to from outside of it, as a table is whose first entry is not number 0.

use std::collections::BTreeSet;
use std::ops::Range;

use anyhow::Result;
use wasm_encoder::Instruction;
use wasmparser::{KnownCustom, Linking, Name, Payload, RelocationEntry, RelocationType, SymbolInfo};

use super::module::{Data, Module};

/// Two stretches with so little between them are shorter as one.
const JOINED_BYTES: u32 = 6;
/// What the linker calls constant data.
const CONSTANT: &str = ".rodata";

/// The data that the linker placed.
#[derive(Default)]
pub struct Symbols {
    /// By their addresses.
    all: Vec<Symbol>,
    /// The numbers in the code that was linked, of which some are addresses.
    numbers: BTreeSet<u32>,
}

struct Symbol {
    span: Range<u32>,
    /// Symbols whose addresses stand in it.
    refers: Vec<usize>,
    /// The first part has it, whoever reads it.
    is_first: bool,
}

impl Symbols {
    /// Those of a module as the linker made it, if it was told to keep its relocations; else none.
    pub fn read(linked: &[u8]) -> Result<Self> {
        let written = Written::read(linked)?;
        let mut all = Vec::new();
        let mut number_of = vec![None; written.symbols.len()];
        for (number, symbol) in written.symbols.iter().enumerate() {
            let Some(symbol) = symbol else { continue };
            let Some(segment) = written.segments.get(symbol.index as usize) else { continue };
            number_of[number] = Some(all.len());
            let begin = segment.address + symbol.offset;
            let is_first = !segment.is_constant;
            all.push((number, Symbol { span: begin..begin + symbol.size, refers: Vec::new(), is_first }));
        }
        all.sort_by_key(|(_, symbol)| (symbol.span.start, symbol.span.end));
        for (place, (number, _)) in all.iter().enumerate() {
            number_of[*number] = Some(place);
        }
        let mut all: Vec<Symbol> = all.into_iter().map(|(_, symbol)| symbol).collect();
        let symbol_of = |entry: &RelocationEntry| number_of.get(entry.index as usize).copied().flatten();
        for entry in written.in_code.iter().chain(&written.in_data).filter(|entry| is_address(entry.ty)) {
            let Some(symbol) = symbol_of(entry).map(|symbol| &mut all[symbol]) else { continue };
            let inside = 0..i64::from(symbol.span.end - symbol.span.start);
            symbol.is_first |= !inside.contains(&entry.addend);
        }
        for entry in written.in_data.iter().filter(|entry| is_address(entry.ty)) {
            let segment = written.segments.iter().rev().find(|segment| segment.begin <= entry.offset);
            let address = segment.map(|segment| segment.address + (entry.offset - segment.begin));
            if let (Some(from), Some(to)) = (address.and_then(|address| holding(&all, address)), symbol_of(entry)) {
                all[from].refers.push(to);
            }
        }
        Ok(Self { all, numbers: written.numbers })
    }

    /// The data of each part of a module, by the parts of its functions.
    pub fn divide<'a>(&self, module: &Module<'a>, of: &[usize], count: usize) -> Vec<Vec<Data<'a>>> {
        let mut parts = vec![vec![false; self.all.len()]; count];
        let mark = |part: &mut Vec<bool>, symbol: usize| {
            let mut open = vec![symbol];
            while let Some(symbol) = open.pop() {
                if !std::mem::replace(&mut part[symbol], true) {
                    open.extend(&self.all[symbol].refers);
                }
            }
        };
        for (symbol, _) in self.all.iter().enumerate().filter(|(_, symbol)| symbol.is_first) {
            mark(&mut parts[0], symbol);
        }
        for (function, part) in module.functions.iter().zip(of) {
            for number in function.code.iter().filter_map(number_in) {
                let found = holding(&self.all, number);
                if !self.numbers.contains(&number) && self.is_near(number) {
                    // An optimiser made it of others, and may have meant one beside it.
                    let beside = self.all.partition_point(|symbol| symbol.span.start <= number);
                    for symbol in beside.saturating_sub(2)..(beside + 1).min(self.all.len()) {
                        mark(&mut parts[0], symbol);
                    }
                }
                if let Some(symbol) = found {
                    mark(&mut parts[*part], symbol);
                }
            }
        }
        (0..count).map(|part| self.data(module, &parts, part)).collect()
    }

    /// What of the data is a part's.
    fn data<'a>(&self, module: &Module<'a>, parts: &[Vec<bool>], part: usize) -> Vec<Data<'a>> {
        let is_own = |symbol: usize| match part {
            // What nobody refers to may be some alignment, or be found in a way that was not seen.
            0 => parts[0][symbol] || !parts.iter().any(|part| part[symbol]),
            part => parts[part][symbol] && !parts[0][symbol],
        };
        let mut data = Vec::new();
        for each in &module.data {
            let end = each.offset + each.bytes.len() as u32;
            let mut stretches: Vec<Range<u32>> = Vec::new();
            let mut add = |stretch: Range<u32>| {
                let stretch = stretch.start.max(each.offset)..stretch.end.min(end);
                match stretches.last_mut() {
                    _ if stretch.is_empty() => {}
                    Some(last)
                        if stretch.start <= last.end + JOINED_BYTES && !self.is_written(last.end..stretch.start) =>
                    {
                        last.end = last.end.max(stretch.end);
                    }
                    _ => stretches.push(stretch),
                }
            };
            let mut known = each.offset;
            for (symbol, Symbol { span, .. }) in self.all.iter().enumerate() {
                if span.start > known && part == 0 && span.end > each.offset {
                    add(known..span.start.min(end));
                }
                known = known.max(span.end);
                if is_own(symbol) {
                    add(span.clone());
                }
            }
            if part == 0 {
                add(known..end);
            }
            data.extend(stretches.into_iter().filter_map(|stretch| {
                let bytes = &each.bytes[(stretch.start - each.offset) as usize..(stretch.end - each.offset) as usize];
                // Alignment; memory is zero.
                let begin = bytes.iter().position(|byte| *byte != 0)?;
                let end = bytes.iter().rposition(|byte| *byte != 0)? + 1;
                Some(Data { offset: stretch.start + begin as u32, bytes: &bytes[begin..end] })
            }));
        }
        data
    }

    /// Whether what lies there may have been written to when a later part comes.
    fn is_written(&self, span: Range<u32>) -> bool {
        let begin = self.all.partition_point(|symbol| symbol.span.end <= span.start);
        let symbols = self.all[begin..].iter().take_while(|symbol| symbol.span.start < span.end);
        !span.is_empty() && symbols.into_iter().any(|symbol| symbol.is_first)
    }

    fn is_near(&self, number: u32) -> bool {
        const NEAR_BYTES: u32 = 4096;
        let (Some(first), Some(last)) = (self.all.first(), self.all.last()) else { return false };
        (first.span.start.saturating_sub(NEAR_BYTES)..last.span.end + NEAR_BYTES).contains(&number)
    }
}

/// The symbol that has a byte at `address`.
fn holding(all: &[Symbol], address: u32) -> Option<usize> {
    let behind = all.partition_point(|symbol| symbol.span.start <= address);
    (0..behind).rev().take(2).find(|symbol| all[*symbol].span.contains(&address))
}

fn is_address(kind: RelocationType) -> bool {
    matches!(kind, RelocationType::MemoryAddrLeb | RelocationType::MemoryAddrSleb | RelocationType::MemoryAddrI32)
}

/// What the linker wrote down.
#[derive(Default)]
struct Written {
    segments: Vec<Segment>,
    /// Symbols of data; none for others.
    symbols: Vec<Option<wasmparser::DefinedDataSymbol>>,
    in_code: Vec<RelocationEntry>,
    in_data: Vec<RelocationEntry>,
    numbers: BTreeSet<u32>,
}

struct Segment {
    address: u32,
    /// Where its bytes begin in the section.
    begin: u32,
    is_constant: bool,
}

impl Written {
    fn read(linked: &[u8]) -> Result<Self> {
        let mut written = Self::default();
        for payload in wasmparser::Parser::new(0).parse_all(linked) {
            match payload? {
                Payload::DataSection(section) => {
                    let begin = section.range().start;
                    for data in section {
                        let data = data?;
                        let begin = (data.range.end - data.data.len() as u64 - begin) as u32;
                        let address = match data.kind {
                            wasmparser::DataKind::Active { offset_expr, .. } => super::module::constant(&offset_expr)?,
                            wasmparser::DataKind::Passive => 0,
                        };
                        written.segments.push(Segment { address, begin, is_constant: false });
                    }
                }
                Payload::CodeSectionEntry(body) => {
                    for operator in body.get_operators_reader()? {
                        let instruction = super::module::instruction(operator?)?;
                        written.numbers.extend(number_in(&instruction));
                    }
                }
                Payload::CustomSection(section) => match section.as_known() {
                    KnownCustom::Linking(linking) => {
                        for part in linking.subsections() {
                            let Linking::SymbolTable(table) = part? else { continue };
                            for symbol in table {
                                let SymbolInfo::Data { symbol, .. } = symbol? else {
                                    written.symbols.push(None);
                                    continue;
                                };
                                written.symbols.push(symbol);
                            }
                        }
                    }
                    KnownCustom::Reloc(relocations) => {
                        let entries = relocations.entries().into_iter().collect::<Result<Vec<_>, _>>()?;
                        match section.name() {
                            "reloc.CODE" => written.in_code = entries,
                            "reloc.DATA" => written.in_data = entries,
                            _ => {}
                        }
                    }
                    KnownCustom::Name(names) => {
                        for names in names {
                            let Name::Data(names) = names? else { continue };
                            for name in names {
                                let name = name?;
                                if let Some(segment) = written.segments.get_mut(name.index as usize) {
                                    segment.is_constant = name.name == CONSTANT;
                                }
                            }
                        }
                    }
                    _ => {}
                },
                _ => {}
            }
        }
        Ok(written)
    }
}

/// What may be an address in an instruction.
fn number_in(instruction: &Instruction<'_>) -> Option<u32> {
    use Instruction as I;
    match instruction {
        I::I32Const(number) => Some(number.cast_unsigned()),
        I::I32Load(at)
        | I::I64Load(at)
        | I::F32Load(at)
        | I::F64Load(at)
        | I::I32Load8S(at)
        | I::I32Load8U(at)
        | I::I32Load16S(at)
        | I::I32Load16U(at)
        | I::I64Load8S(at)
        | I::I64Load8U(at)
        | I::I64Load16S(at)
        | I::I64Load16U(at)
        | I::I64Load32S(at)
        | I::I64Load32U(at)
        | I::I32Store(at)
        | I::I64Store(at)
        | I::F32Store(at)
        | I::F64Store(at)
        | I::I32Store8(at)
        | I::I32Store16(at)
        | I::I64Store8(at)
        | I::I64Store16(at)
        | I::I64Store32(at) => u32::try_from(at.offset).ok(),
        _ => None,
    }
}
