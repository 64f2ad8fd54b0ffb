// The errors of the package are those of `docs/errors.md`, with its answer to whether the same call may succeed again.

import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { test } from 'node:test'
import { LightningError } from '../dist/node.js'

/** Answered inside of the package. */
const INNER = new Set(['NotResident', 'Pending'])

const page = fs
  .readFileSync(new URL('../../../docs/errors.md', import.meta.url), 'utf8')
  .split(/(?=^## )/m)
  .filter(section => !section.startsWith('## Not in JavaScript'))
  .join('')
const documented = [...page.matchAll(/^\| `(\w+)` \| (.+) \| (yes|no|–) \| (.+) \|$/gm)].map(([, name, , again, remedy]) => ({ name, again, remedy }))
const read = name => fs.readFileSync(new URL(`../src/${name}.ts`, import.meta.url), 'utf8')
const source = read('errors')
const messages = source.slice(source.indexOf('const MESSAGES'), source.indexOf('/** What went wrong'))
// What only transactions, restoring and keys meet stands with them.
const later = ['transaction', 'restoring', 'secret'].map(name => read(name).match(/addWords\(\{$(.*?)^ *\}\)$/ms)[1])
const known = [messages, ...later].flatMap(words => [...words.matchAll(/^ +(\w+): \(/gm)].map(([, name]) => name))

test('there are errors to look at', () => {
  assert.ok(documented.length >= 30)
  assert.ok(known.length >= 30)
})

test('every error of the page is known, says what it is, and whether it may succeed again', () => {
  for (const { name, again } of documented) {
    if (INNER.has(name)) continue
    const error = new LightningError(name, ['one', 'two', 'three', 'four'])
    assert.ok(known.includes(name), `${name} has no message`)
    assert.equal(error.code, name)
    assert.ok(error instanceof Error && error.name === 'LightningError')
    assert.ok(error.message.length > 0 && !error.message.startsWith(`${name}:`) && !error.message.includes('undefined'), `${name}: ${error.message}`)
    assert.equal(error.retryable, again === 'yes', `${name} is retryable or not`)
  }
})

test('every error of the package is on the page, with what to do', () => {
  for (const name of known) {
    const found = documented.filter(error => error.name === name)
    assert.equal(found.length, 1, `${name} stands once on the page`)
    assert.ok(found[0].remedy.length > 3)
  }
  const type = source.slice(source.indexOf('export type ErrorCode'), source.indexOf('type Field'))
  assert.deepEqual([...type.matchAll(/'(\w+)'/g)].map(([, name]) => name).sort(), [...known].sort())
})
