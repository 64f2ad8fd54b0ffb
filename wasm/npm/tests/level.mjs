// The test suite of abstract-level, run over a table of a database in a file.

import * as fs from 'node:fs'
import * as os from 'node:os'
import * as path from 'node:path'
import { createRequire } from 'node:module'
import { LightningLevel } from '../dist/level.js'

const require = createRequire(import.meta.url)
const tape = require('tape')
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'lightning-level-'))
let databases = 0

let passed = 0
let failed = 0
let name = ''
let isGood = true
tape.createStream({ objectMode: true }).on('data', row => {
  if (row.type === 'test') ({ name } = row), (isGood = true)
  else if (row.type === 'assert' && !row.ok) {
    isGood = false
    console.log(`FAILED ${name}: ${row.name}\n${row.error?.stack ?? ''}`)
  } else if (row.type === 'end') isGood ? passed++ : failed++
})
tape.onFinish(() => {
  fs.rmSync(folder, { recursive: true, force: true })
  console.log(`test result: ${failed === 0 ? 'ok' : 'FAILED'}. ${passed} passed; ${failed} failed`)
  process.exit(failed === 0 ? 0 : 1)
})

require('abstract-level/test')({
  test: tape,
  factory: options => new LightningLevel(path.join(folder, `${databases++}`), { durability: 'relaxed', ...options }),
})
