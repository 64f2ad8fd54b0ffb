// The scripts of `tests/conformance` in Node, over files and in memory, with promises and without.

import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import * as os from 'node:os'
import * as path from 'node:path'
import { test } from 'node:test'
import * as lightning from '../dist/node.js'
import * as sync from '../dist/sync-node.js'
import { removeExpired } from './inside.mjs'
import { Matrix } from './matrix.mjs'
import { run } from './script.mjs'

const folder = new URL('../../../tests/conformance/', import.meta.url)
const scripts = fs.readdirSync(folder).filter(name => name.endsWith('.jsonl')).sort()
const table = JSON.parse(fs.readFileSync(new URL('matrix.json', import.meta.url), 'utf8'))
const matrix = new Matrix(table, 'node')
const { now } = Date

for (const [how, open] of [
  ['with promises', lightning.open],
  ['without promises', sync.open],
]) {
  for (const storage of ['file', 'memory']) {
    for (const name of scripts) {
      test(`${name}, ${storage}, ${how}`, async () => {
        const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'lightning-'))
        let ms = 0
        let databases = 0
        Date.now = () => ms
        try {
          const ran = await run(fs.readFileSync(new URL(name, folder), 'utf8'), {
            lightning,
            keeps: storage === 'file',
            open: options => open(path.join(directory, `${databases}.ldb`), { ...options, storage, durability: 'relaxed' }),
            forget: () => void databases++,
            clock: at => void (ms = at),
            removeExpired,
          })
          matrix.ran(`${storage} ${how}`, name, ran)
        } finally {
          Date.now = now
          fs.rmSync(directory, { recursive: true })
        }
      })
    }
  }
}

test('every script ran whole in every place', () => {
  console.log(matrix.lines().join('\n'))
  assert.deepEqual(matrix.scripts, scripts)
  assert.deepEqual(matrix.differences(), [])
})
