// The scripts of `tests/conformance` in Node, over files and in memory, with promises and without.

import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import * as os from 'node:os'
import * as path from 'node:path'
import { test } from 'node:test'
import * as lightning from '../dist/node.js'
import * as sync from '../dist/sync-node.js'
import { removeExpired } from './inside.mjs'
import { run } from './script.mjs'

const folder = new URL('../../../tests/conformance/', import.meta.url)
const scripts = fs.readdirSync(folder).filter(name => name.endsWith('.jsonl')).sort()
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
          const { operations } = await run(fs.readFileSync(new URL(name, folder), 'utf8'), {
            lightning,
            keeps: storage === 'file',
            open: options => open(path.join(directory, `${databases}.ldb`), { ...options, storage, durability: 'relaxed' }),
            forget: () => void databases++,
            clock: at => void (ms = at),
            removeExpired,
          })
          assert.ok(operations > 0)
        } finally {
          Date.now = now
          fs.rmSync(directory, { recursive: true })
        }
      })
    }
  }
}
