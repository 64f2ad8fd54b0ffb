// What tabs ask each other is the same within a version: a tab of an older build may be served by one of a newer.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

/** The version, and what its messages and operations look like. */
const KNOWN = { version: 1, looks: '5efb3617a8e76d54' }

const source = name => readFileSync(new URL(`../src/${name}`, import.meta.url), 'utf8')
/** Declarations without what is said about them. */
const declared = text => text.replace(/\/\*\*.*?\*\//gs, '').replace(/\/\/.*$/gm, '').replace(/\s+/g, ' ')

test('what tabs ask each other changes with its version', () => {
  const messages = source('messages.ts')
  const version = Number(/export const VERSION = (\d+)/.exec(messages)[1])
  const shapes = declared(messages).match(/export (interface|type) \w+[^{=]*(\{[^}]*\}|= [^;]*?(?= export))/g)
  const operations = declared(source('protocol.ts')).match(/export enum Operation \{[^}]*\}/)
  assert.ok(shapes.length >= 8 && operations !== null, 'the declarations are found')
  const looks = createHash('sha256').update(JSON.stringify([shapes, operations[0]])).digest('hex').slice(0, 16)
  assert.deepEqual(
    { version, looks },
    KNOWN,
    'messages or operations are other ones: raise VERSION in src/messages.ts unless tabs of both builds understand each other, and write both into tests/version.mjs',
  )
})
