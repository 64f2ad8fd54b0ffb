// Compiles `types.ts` against the built package: wrong names of fields, and the like, must be errors.

import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import * as os from 'node:os'
import * as path from 'node:path'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const npm = fileURLToPath(new URL('..', import.meta.url))

// Neither the types of Node nor newer ones of the language are needed.
const COMMON = { target: 'ES2022', strict: true, noEmit: true, types: [], lib: ['ES2022', 'DOM'] }

/** Compiles this in a project that has the package. */
function compile(source, compilerOptions) {
  const app = fs.mkdtempSync(path.join(os.tmpdir(), 'lightning-types-'))
  try {
    fs.mkdirSync(path.join(app, 'node_modules'))
    fs.symlinkSync(npm, path.join(app, 'node_modules/lightning-db'), 'junction')
    fs.writeFileSync(path.join(app, 'package.json'), '{ "type": "module" }')
    fs.writeFileSync(path.join(app, 'types.ts'), source)
    fs.writeFileSync(path.join(app, 'tsconfig.json'), JSON.stringify({ compilerOptions: { ...COMMON, ...compilerOptions }, files: ['types.ts'] }))
    const { status, stdout, stderr } = spawnSync(path.join(npm, 'node_modules/.bin/tsc'), ['-p', app], { encoding: 'utf8', shell: process.platform === 'win32' })
    assert.equal(status, 0, stdout + stderr)
  } finally {
    fs.rmSync(app, { recursive: true, force: true })
  }
}

test('types refuse what is wrong, and nothing else', () => {
  compile(fs.readFileSync(new URL('types.ts', import.meta.url), 'utf8'), { module: 'ESNext', moduleResolution: 'bundler' })
})

test('in Node the types are those of what runs there', () => {
  const source = fs.readFileSync(new URL('types-node.ts', import.meta.url), 'utf8')
  compile(source, { module: 'NodeNext' })
  compile(source, { module: 'ESNext', moduleResolution: 'bundler', customConditions: ['node'] })
})
