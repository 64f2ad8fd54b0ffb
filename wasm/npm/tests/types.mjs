// Compiles `types.ts` against the built package: wrong names of fields, and the like, must be errors.

import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import * as os from 'node:os'
import * as path from 'node:path'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const npm = fileURLToPath(new URL('..', import.meta.url))

test('types refuse what is wrong, and nothing else', () => {
  const app = fs.mkdtempSync(path.join(os.tmpdir(), 'lightning-types-'))
  try {
    fs.mkdirSync(path.join(app, 'node_modules'))
    fs.symlinkSync(npm, path.join(app, 'node_modules/lightning-db'), 'junction')
    fs.copyFileSync(new URL('types.ts', import.meta.url), path.join(app, 'types.ts'))
    // Neither those of Node nor newer ones are needed.
    const compilerOptions = { target: 'ES2022', module: 'ESNext', moduleResolution: 'bundler', strict: true, noEmit: true, types: [], lib: ['ES2022', 'DOM'] }
    fs.writeFileSync(path.join(app, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['types.ts'] }))
    const { status, stdout, stderr } = spawnSync(path.join(npm, 'node_modules/.bin/tsc'), ['-p', app], { encoding: 'utf8', shell: process.platform === 'win32' })
    assert.equal(status, 0, stdout + stderr)
  } finally {
    fs.rmSync(app, { recursive: true, force: true })
  }
})
