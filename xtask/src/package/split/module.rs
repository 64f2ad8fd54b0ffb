//! A WebAssembly module as it is taken apart and put together: what the engine's has, and an error for the rest.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{
    CodeSection, ConstExpr, DataCountSection, DataSection, ElementSection, Elements, EntityType, ExportKind,
    ExportSection, FuncType, FunctionSection, GlobalSection, GlobalType, ImportSection, Instruction, MemorySection,
    MemoryType, NameMap, NameSection, TableSection, TableType, TypeSection, ValType,
};
use wasmparser::{Payload, TypeRef};

/// All of a module. Functions are counted from the imported ones on, as everywhere in WebAssembly.
#[derive(Clone, Default)]
pub struct Module<'a> {
    pub types: Vec<FuncType>,
    pub imports: Vec<Import>,
    pub functions: Vec<Function<'a>>,
    pub tables: Vec<TableType>,
    pub memories: Vec<MemoryType>,
    pub globals: Vec<(GlobalType, ConstExpr)>,
    pub exports: Vec<Export>,
    pub elements: Vec<Element>,
    pub data: Vec<Data<'a>>,
    /// Names of functions, where the module says them.
    pub names: BTreeMap<u32, String>,
}

#[derive(Clone)]
pub struct Import {
    pub module: String,
    pub name: String,
    pub kind: EntityType,
}

#[derive(Clone)]
pub struct Function<'a> {
    /// Its type's index.
    pub kind: u32,
    /// Behind the parameters.
    pub locals: Vec<ValType>,
    /// With the `end` of the body.
    pub code: Vec<Instruction<'a>>,
}

#[derive(Clone)]
pub struct Export {
    pub name: String,
    pub kind: ExportKind,
    pub index: u32,
}

/// Functions that stand in the first table from `offset` on.
#[derive(Clone)]
pub struct Element {
    pub offset: u32,
    pub functions: Vec<u32>,
}

/// Bytes that stand in memory from `offset` on.
#[derive(Clone)]
pub struct Data<'a> {
    pub offset: u32,
    pub bytes: &'a [u8],
}

impl<'a> Module<'a> {
    pub fn read(bytes: &'a [u8]) -> Result<Self> {
        let mut module = Self::default();
        let mut kinds = Vec::new();
        let same = &mut RoundtripReencoder;
        for payload in wasmparser::Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::TypeSection(section) => {
                    for kind in section.into_iter_err_on_gc_types() {
                        module.types.push(same.func_type(kind?)?);
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import?;
                        let kind = match import.ty {
                            TypeRef::Func(index) => EntityType::Function(index),
                            _ => bail!("imports that are no functions"),
                        };
                        module.imports.push(Import {
                            module: import.module.to_owned(),
                            name: import.name.to_owned(),
                            kind,
                        });
                    }
                }
                Payload::FunctionSection(section) => kinds = section.into_iter().collect::<Result<_, _>>()?,
                Payload::TableSection(section) => {
                    for table in section {
                        module.tables.push(same.table_type(table?.ty)?);
                    }
                }
                Payload::MemorySection(section) => {
                    for memory in section {
                        module.memories.push(same.memory_type(memory?)?);
                    }
                }
                Payload::GlobalSection(section) => {
                    for global in section {
                        let global = global?;
                        module.globals.push((same.global_type(global.ty)?, same.const_expr(global.init_expr)?));
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export?;
                        let kind = same.export_kind(export.kind)?;
                        module.exports.push(Export { name: export.name.to_owned(), kind, index: export.index });
                    }
                }
                Payload::ElementSection(section) => {
                    for element in section {
                        module.elements.push(read_element(element?)?);
                    }
                }
                Payload::CodeSectionEntry(body) => {
                    let Some(kind) = kinds.get(module.functions.len()) else { bail!("a body of no function") };
                    module.functions.push(read_function(*kind, &body)?);
                }
                Payload::DataSection(section) => {
                    for data in section {
                        let data = data?;
                        let wasmparser::DataKind::Active { memory_index: 0, offset_expr } = data.kind else {
                            bail!("data of another kind")
                        };
                        module.data.push(Data { offset: constant(&offset_expr)?, bytes: data.data });
                    }
                }
                Payload::StartSection { .. } => bail!("a function to start with"),
                Payload::CustomSection(section) => {
                    if let wasmparser::KnownCustom::Name(names) = section.as_known() {
                        for name in names {
                            if let wasmparser::Name::Function(names) = name? {
                                for name in names {
                                    let name = name?;
                                    module.names.insert(name.index, name.name.to_owned());
                                }
                            }
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(module)
    }

    /// How many functions are imported: those that are defined are counted behind them.
    pub fn imported(&self) -> u32 {
        self.imports.iter().filter(|import| matches!(import.kind, EntityType::Function(_))).count() as u32
    }

    /// The type of a function, by its index.
    pub fn kind_of(&self, function: u32) -> u32 {
        let imported = self.imported();
        if function >= imported {
            return self.functions[(function - imported) as usize].kind;
        }
        let mut kinds = self.imports.iter().filter_map(|import| match import.kind {
            EntityType::Function(kind) => Some(kind),
            _ => None,
        });
        kinds.nth(function as usize).unwrap_or_default()
    }

    /// The index of a type; it is added where it is missing.
    pub fn type_index(&mut self, kind: &FuncType) -> u32 {
        let at = self.types.iter().position(|known| known == kind).unwrap_or_else(|| {
            self.types.push(kind.clone());
            self.types.len() - 1
        });
        at as u32
    }

    pub fn write(&self) -> Vec<u8> {
        let mut module = wasm_encoder::Module::new();
        let mut types = TypeSection::new();
        for kind in &self.types {
            types.ty().func_type(kind);
        }
        module.section(&types);
        let mut imports = ImportSection::new();
        for import in &self.imports {
            imports.import(&import.module, &import.name, import.kind);
        }
        section(&mut module, &imports, self.imports.len());
        let mut functions = FunctionSection::new();
        for function in &self.functions {
            functions.function(function.kind);
        }
        section(&mut module, &functions, self.functions.len());
        let mut tables = TableSection::new();
        for table in &self.tables {
            tables.table(*table);
        }
        section(&mut module, &tables, self.tables.len());
        let mut memories = MemorySection::new();
        for memory in &self.memories {
            memories.memory(*memory);
        }
        section(&mut module, &memories, self.memories.len());
        let mut globals = GlobalSection::new();
        for (kind, value) in &self.globals {
            globals.global(*kind, value);
        }
        section(&mut module, &globals, self.globals.len());
        let mut exports = ExportSection::new();
        for export in &self.exports {
            exports.export(&export.name, export.kind, export.index);
        }
        section(&mut module, &exports, self.exports.len());
        let mut elements = ElementSection::new();
        for element in &self.elements {
            let offset = ConstExpr::i32_const(element.offset as i32);
            elements.active(None, &offset, Elements::Functions(element.functions.as_slice().into()));
        }
        section(&mut module, &elements, self.elements.len());
        section(&mut module, &DataCountSection { count: self.data.len() as u32 }, self.data.len());
        let mut code = CodeSection::new();
        for function in &self.functions {
            code.function(&function.encode());
        }
        section(&mut module, &code, self.functions.len());
        let mut data = DataSection::new();
        for each in &self.data {
            data.active(0, &ConstExpr::i32_const(each.offset as i32), each.bytes.iter().copied());
        }
        section(&mut module, &data, self.data.len());
        if !self.names.is_empty() {
            let mut functions = NameMap::new();
            for (function, name) in &self.names {
                functions.append(*function, name);
            }
            let mut names = NameSection::new();
            names.functions(&functions);
            module.section(&names);
        }
        module.finish()
    }
}

impl Function<'_> {
    fn encode(&self) -> wasm_encoder::Function {
        let mut function = wasm_encoder::Function::new_with_locals_types(self.locals.iter().copied());
        for instruction in &self.code {
            function.instruction(instruction);
        }
        function
    }

    /// How many bytes an instruction is.
    pub fn size(instruction: &Instruction<'_>) -> usize {
        let mut bytes = Vec::new();
        wasm_encoder::Encode::encode(instruction, &mut bytes);
        bytes.len()
    }
}

/// Sections that hold nothing are left out.
fn section(module: &mut wasm_encoder::Module, section: &impl wasm_encoder::Section, entries: usize) {
    if entries > 0 {
        module.section(section);
    }
}

fn read_function<'a>(kind: u32, body: &wasmparser::FunctionBody<'a>) -> Result<Function<'a>> {
    let same = &mut RoundtripReencoder;
    let mut locals = Vec::new();
    for each in body.get_locals_reader()? {
        let (count, kind) = each?;
        locals.extend(std::iter::repeat_n(same.val_type(kind)?, count as usize));
    }
    let mut code = Vec::new();
    for operator in body.get_operators_reader()? {
        let mut instruction = instruction(operator?)?;
        forget_alignment(&mut instruction);
        code.push(instruction);
    }
    Ok(Function { kind, locals, code })
}

/// How an address is aligned is a hint that browsers do not use. Where nothing is said, more is alike.
fn forget_alignment(instruction: &mut Instruction<'_>) {
    use Instruction as I;
    match instruction {
        I::I32Load(at) | I::I32Load8S(at) | I::I32Load8U(at) | I::I32Load16S(at) | I::I32Load16U(at) => at.align = 0,
        I::I64Load(at) | I::I64Load8S(at) | I::I64Load8U(at) | I::I64Load16S(at) | I::I64Load16U(at) => at.align = 0,
        I::I64Load32S(at) | I::I64Load32U(at) | I::F32Load(at) | I::F64Load(at) => at.align = 0,
        I::I32Store(at) | I::I32Store8(at) | I::I32Store16(at) | I::F32Store(at) | I::F64Store(at) => at.align = 0,
        I::I64Store(at) | I::I64Store8(at) | I::I64Store16(at) | I::I64Store32(at) => at.align = 0,
        _ => {}
    }
}

fn read_element(element: wasmparser::Element<'_>) -> Result<Element> {
    let wasmparser::ElementKind::Active { table_index: None | Some(0), offset_expr } = element.kind else {
        bail!("elements of another kind")
    };
    let functions = match element.items {
        wasmparser::ElementItems::Functions(functions) => functions.into_iter().collect::<Result<_, _>>()?,
        wasmparser::ElementItems::Expressions(..) => bail!("elements that are expressions"),
    };
    Ok(Element { offset: constant(&offset_expr)?, functions })
}

pub fn instruction(operator: wasmparser::Operator<'_>) -> Result<Instruction<'_>> {
    Ok(RoundtripReencoder.instruction(operator)?)
}

pub fn constant(expression: &wasmparser::ConstExpr<'_>) -> Result<u32> {
    match expression.get_operators_reader().read()? {
        wasmparser::Operator::I32Const { value } => Ok(value.cast_unsigned()),
        _ => bail!("an offset that is no number"),
    }
}
