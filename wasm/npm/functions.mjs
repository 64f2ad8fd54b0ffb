// Prints what a WebAssembly file that has its names holds: sections, modules of Rust by the bytes of their functions, and
// the largest functions. `node functions.mjs FILE [DEPTH]`; DEPTH is how far a module's path is followed.

import * as fs from 'node:fs'

const [path, depth = '3'] = process.argv.slice(2)
const bytes = fs.readFileSync(path)
let at = 8

function number() {
  let value = 0
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++]
    value += (byte & 127) * 2 ** shift
    if (byte < 128) return value
  }
}

function text() {
  const length = number()
  at += length
  return bytes.toString('utf8', at - length, at)
}

const SECTIONS = ['custom', 'types', 'imports', 'functions', 'tables', 'memory', 'globals', 'exports', 'start', 'elements', 'code', 'data', 'data count', 'tags']
const names = new Map()
const bodies = []
let imported = 0
console.log('sections')
while (at < bytes.length) {
  const kind = bytes[at++]
  const length = number()
  const end = at + length
  let name = SECTIONS[kind] ?? String(kind)
  if (kind === 0) name += ` '${text()}'`
  console.log(String(length).padStart(9), name)
  if (kind === 2) readImports()
  if (kind === 10) for (let rest = number(); rest > 0; rest--) bodies.push(body())
  if (kind === 0 && name.includes("'name'")) readNames(end)
  at = end
}

function readImports() {
  for (let rest = number(); rest > 0; rest--) {
    text()
    text()
    if (bytes[at++] !== 0) throw new Error('only functions are expected to be imported')
    number()
    imported++
  }
}

function body() {
  const length = number()
  at += length
  return length
}

function readNames(end) {
  while (at < end) {
    const kind = bytes[at++]
    const next = number() + at
    if (kind === 1) for (let rest = number(); rest > 0; rest--) names.set(number(), text())
    at = next
  }
}

const functions = bodies.map((length, index) => ({ length, name: (names.get(index + imported) ?? '?').replace(/\[[0-9a-f]+\]/g, '').replace(/::h[0-9a-f]{16}/g, '') }))

// A function of another crate belongs to who made it necessary, where its types say so.
function module(name) {
  const paths = name.match(/[a-z_]\w*(?:::[A-Za-z_]\w*)+/gi) ?? []
  const outer = paths[0] ?? name
  const pick = path => path.split('::').slice(0, Number(depth)).join('::')
  if (outer.startsWith('core::ptr::drop')) return 'drop'
  const own = paths.find(path => path.startsWith('lightning_db'))
  if (outer.startsWith('lightning_db')) return pick(outer)
  return `${outer.split('::').slice(0, 3).join('::')}${own === undefined ? '' : ' (ours)'}`
}

const modules = new Map()
for (const { length, name } of functions) {
  const key = module(name)
  const [sum, count] = modules.get(key) ?? [0, 0]
  modules.set(key, [sum + length, count + 1])
}
console.log(`\n${functions.length} functions, by module: bytes, functions`)
for (const [key, [sum, count]] of [...modules].sort((a, b) => b[1][0] - a[1][0]).slice(0, 120)) console.log(String(sum).padStart(9), String(count).padStart(6), key)
console.log('\nthe largest functions')
for (const { length, name } of functions.sort((a, b) => b.length - a.length).slice(0, 150)) console.log(String(length).padStart(9), name.slice(0, 180))
