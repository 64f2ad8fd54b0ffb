// The key vectors of `tests/conformance`: what is stored under a value as a key, and in which order.

import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { test } from 'node:test'
import * as lightning from '../dist/node.js'
import { read, readBytes, same, shown } from './values.mjs'

const vectors = JSON.parse(fs.readFileSync(new URL('../../../tests/conformance/keys.json', import.meta.url), 'utf8')).map(
  ({ value, key }) => ({ value: read(value, lightning), key: readBytes(key) }),
)

test('the key of each value is these bytes, which are read as an equal value', async () => {
  const database = await lightning.open('keys', { storage: 'memory' })
  const table = database.table('keys', { value: 'u64' })
  await table.opened()
  const feed = database.changes()
  for (const { value, key } of vectors) {
    await table.put(value, 1)
    const [{ changes }] = await feed.next()
    assert.equal(changes.length, 1)
    assert.deepEqual(changes[0].key, key, shown(value))
    assert.ok(same(changes[0].id, value) || changes[0].id == value, `${shown(value)} is read as ${shown(changes[0].id)}`)
  }
  await database.close()
})

test('keys are read in this order, equal ones once', async () => {
  const database = await lightning.open('keys', { storage: 'memory' })
  const table = database.table('keys')
  for (const [place, { value }] of vectors.entries()) await table.put(value, place)
  const stored = (await table.scan().toArray()).map(([, place]) => place)
  // Of equal keys the last that was written is there.
  const expected = vectors.flatMap(({ key }, place) => {
    const next = vectors[place + 1]
    return next && Buffer.compare(Buffer.from(key), Buffer.from(next.key)) === 0 ? [] : [place]
  })
  assert.deepEqual(stored, expected)
  await database.close()
})
