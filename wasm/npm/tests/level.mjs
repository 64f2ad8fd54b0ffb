// The test suite of abstract-level, run over a table of a database in a file.

import * as fs from 'node:fs'
import * as os from 'node:os'
import * as path from 'node:path'
import { createRequire } from 'node:module'
import { LightningLevel } from '../dist/level.js'
import { conclude, fail, pass } from './tally.mjs'

const require = createRequire(import.meta.url)
const tape = require('tape')
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'lightning-level-'))
let databases = 0

let name = ''
let problem
tape.createStream({ objectMode: true }).on('data', row => {
  if (row.type === 'test') ({ name } = row), (problem = undefined)
  else if (row.type === 'assert' && !row.ok) problem ??= row.error ?? row.name
  else if (row.type === 'end') problem ? fail(name, problem) : pass()
})
tape.onFinish(() => {
  fs.rmSync(folder, { recursive: true, force: true })
  conclude()
  process.exit()
})

require('abstract-level/test')({
  test: tape,
  factory: options => new LightningLevel(path.join(folder, `${databases++}`), { durability: 'relaxed', ...options }),
})
