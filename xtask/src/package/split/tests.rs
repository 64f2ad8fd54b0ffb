//! A small module, split by hand, gives the same results as the whole, and has its parts brought when they are needed.

use std::fs;
use std::process::Command;

use anyhow::Result;
use wasm_encoder::{
    BlockType, ConstExpr, ExportKind, FuncType, GlobalType, Instruction, MemArg, MemArgTarget, MemoryType, RefType,
    TableType, ValType,
};

use super::data::Symbols;
use super::frame::{Frame, STACK_POINTER};
use super::module::{Data, Export, Function, Module};
use super::shape::Shape;
use super::{order, outline, parts};
use crate::process;
use crate::setup::node;

const RUN: u32 = 0;
const DOUBLE: u32 = 1;
const RARE: u32 = 2;

/// `run(0)` is 0; of others `y` is 1000 times it and 7; up to 5000 that doubled is the result, beyond it `rare` of it.
fn whole() -> (Module<'static>, outline::Ranks) {
    use Instruction as I;
    let load = MemArg { offset: 0, align: 0, target: MemArgTarget::Memory(0), ordering: None };
    let run = [
        (0, I::Block(BlockType::Empty)),
        (0, I::LocalGet(0)),
        (0, I::I32Eqz),
        (0, I::BrIf(0)),
        (1, I::LocalGet(0)),
        (1, I::I32Const(1000)),
        (1, I::I32Mul),
        (1, I::LocalSet(1)),
        (1, I::LocalGet(1)),
        (1, I::I32Const(16)),
        (1, I::I32Load(load)),
        (1, I::I32Add),
        (1, I::LocalSet(1)),
        (1, I::LocalGet(1)),
        (1, I::I32Const(5000)),
        (1, I::I32GtS),
        (1, I::If(BlockType::Empty)),
        (2, I::LocalGet(1)),
        (2, I::Call(RARE)),
        (2, I::Return),
        (1, I::End),
        (0, I::End),
        (0, I::LocalGet(1)),
        (0, I::Call(DOUBLE)),
        (0, I::End),
    ];
    let double = [(0, I::LocalGet(0)), (0, I::I32Const(2)), (0, I::I32Mul), (0, I::End)];
    let rare = [(2, I::LocalGet(0)), (2, I::Call(DOUBLE)), (2, I::I32Const(1)), (2, I::I32Add), (2, I::End)];
    let (mut functions, mut ranks) = (Vec::new(), Vec::new());
    for code in [run.to_vec(), double.to_vec(), rare.to_vec()] {
        let (own, code): (Vec<u8>, Vec<_>) = code.into_iter().unzip();
        functions.push(Function { kind: 0, locals: vec![ValType::I32], code });
        ranks.push(own);
    }
    let module = Module {
        types: vec![FuncType::new([ValType::I32], [ValType::I32])],
        functions,
        tables: vec![TableType {
            element_type: RefType::FUNCREF,
            table64: false,
            minimum: 1,
            maximum: None,
            shared: false,
        }],
        memories: vec![MemoryType { minimum: 1, maximum: None, memory64: false, shared: false, page_size_log2: None }],
        globals: vec![(
            GlobalType { val_type: ValType::I32, mutable: true, shared: false },
            ConstExpr::i32_const(1024),
        )],
        exports: vec![Export { name: "run".to_owned(), kind: ExportKind::Func, index: RUN }],
        data: vec![Data { offset: 16, bytes: &[7] }],
        ..Module::default()
    };
    (module, ranks)
}

/// Its parts, as they are written.
fn split(build: &str) -> Result<Vec<Vec<u8>>> {
    let (mut module, mut ranks) = whole();
    for part in 0..2 {
        outline::outline(&mut module, &mut ranks, part)?;
    }
    let of: Vec<usize> = ranks.iter().map(|ranks| usize::from(ranks[0])).collect();
    let parts = parts::take_apart(&module, &of, &Symbols::default(), build)?;
    Ok(parts.iter().map(Module::write).collect())
}

/// Calls `run` of the first with each number, and says what it gave and which parts were brought for it.
fn run(name: &str, modules: &[Vec<u8>], numbers: &[i32]) -> Result<String> {
    let folder = std::env::temp_dir().join(format!("lightning-split-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    for (part, bytes) in modules.iter().enumerate() {
        wasmparser::Validator::new().validate_all(bytes)?;
        fs::write(folder.join(format!("{part}.wasm")), bytes)?;
    }
    let script = format!(
        "const module = part => new WebAssembly.Module(require('fs').readFileSync(part + '.wasm'))
        let own, brought = []
        const shared = new Proxy({{}}, {{ get: (_, name) => own[name] ?? own.t0.get(+name) }})
        const l = part => {{ brought.push(part); new WebAssembly.Instance(module(part), {{ p: shared }}) }}
        own = new WebAssembly.Instance(module(0), {{ p: {{ l }} }}).exports
        for (const number of {numbers:?}) {{
          brought = []
          try {{ console.log(number, own.run(number), ...brought) }} catch (error) {{ console.log(number, error.name) }}
        }}"
    );
    let output =
        process::output(Command::new(node::program().get_program()).args(["-e", &script]).current_dir(&folder));
    fs::remove_dir_all(&folder)?;
    output
}

#[test]
fn parts_do_what_the_whole_does_and_come_when_they_are_needed() -> Result<()> {
    let parts = split("b0")?;
    assert_eq!(parts.len(), 3);
    let given = run("parts", &parts, &[0, 2, 3, 9, 0, 9])?;
    assert_eq!(given.trim(), "0 0\n2 4014 1\n3 6014\n9 18015 2\n0 0\n9 18015");
    let (module, _) = whole();
    let same = run("whole", &[module.write()], &[0, 2, 3, 9])?;
    assert_eq!(same.trim(), "0 0\n2 4014\n3 6014\n9 18015");
    Ok(())
}

#[test]
fn a_part_of_another_build_does_not_fit() -> Result<()> {
    let mut parts = split("b0")?;
    parts[1] = split("b1")?.swap_remove(1);
    assert_eq!(run("builds", &parts, &[0, 2])?.trim(), "0 0\n2 TypeError");
    Ok(())
}

#[test]
fn what_is_read_is_written_the_same() -> Result<()> {
    let (module, _) = whole();
    let bytes = module.write();
    assert_eq!(Module::read(&bytes)?.write(), bytes);
    Ok(())
}

#[test]
fn functions_that_are_alike_stand_together() {
    use Instruction as I;
    let sum = |times: usize| vec![vec![I::LocalGet(0), I::I32Const(7), I::I32Add]; times].concat();
    let shift = |times: usize| vec![vec![I::LocalGet(1), I::I32Const(9), I::I32Shl]; times].concat();
    let codes = [sum(2), shift(3), sum(5), shift(2), sum(3)];
    let functions = codes.map(|code| Function { kind: 0, locals: Vec::new(), code });
    let kind = FuncType::new([ValType::I32, ValType::I32], [ValType::I32]);
    let module = Module { types: vec![kind], functions: functions.to_vec(), ..Module::default() };
    let mut order = [0, 1, 2, 3, 4];
    order::by_likeness(&module, &mut order);
    assert_eq!(order, [2, 4, 0, 1, 3]);
}

#[test]
fn the_stack_pointer_says_where_a_frame_is_until_it_is_given_back() -> Result<()> {
    use Instruction as I;
    let code = vec![
        I::GlobalGet(STACK_POINTER),
        I::I32Const(16),
        I::I32Sub,
        I::LocalTee(1),
        I::GlobalSet(STACK_POINTER),
        I::Block(BlockType::Empty),
        I::LocalGet(0),
        I::BrIf(0),
        I::LocalGet(1),
        I::I32Const(16),
        I::I32Add,
        I::GlobalSet(STACK_POINTER),
        I::End,
        I::LocalGet(1),
        I::End,
    ];
    let (mut module, _) = whole();
    module.functions = vec![Function { kind: 0, locals: vec![ValType::I32], code }];
    let shapes = Shape::of_all(&module)?;
    let frame = Frame::of(&module.functions[0], &shapes[0]);
    let known: Vec<bool> = (0..15).map(|at| frame.as_ref().is_some_and(|frame| frame.at(at) == Some(1))).collect();
    let expected: Vec<bool> = (0..15).map(|at| (5..12).contains(&at)).collect();
    assert_eq!(known, expected);
    Ok(())
}
