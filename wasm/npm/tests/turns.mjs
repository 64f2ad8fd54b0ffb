// Whoever awaits one answer after the other leaves turns to timers, sockets and the engine's merges.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { open } from '../dist/node.js'

const LONG_MS = 3000

for (const [what, run] of [
  ['gets', documents => documents.get(1)],
  ['puts that are not synced', documents => documents.put({ id: 1, text: 'one' })],
]) {
  test(`a loop that awaits ${what} lets timers run`, async () => {
    const database = await open('turns', { storage: 'memory', durability: 'relaxed' })
    const documents = database.collection('documents', { key: 'id' })
    await documents.put({ id: 1 })
    let times = 0
    const timer = setInterval(() => times++, 1)
    const until = performance.now() + LONG_MS
    while (times < 5 && performance.now() < until) await run(documents)
    clearInterval(timer)
    assert.equal(times, 5)
    await database.close()
  })
}

test('answers come in the order in which they were asked for, and before the database is closed', async () => {
  const database = await open('turns', { storage: 'memory', durability: 'relaxed' })
  const documents = database.collection('documents', { key: 'id' })
  await documents.opened()
  const order = []
  const until = performance.now() + 50
  // Beyond what one turn of promises may take.
  for (let id = 0; performance.now() < until; id++) await documents.put({ id, text: 'x'.repeat(100) })
  const asked = Array.from({ length: 100 }, (_, id) => documents.get(id).then(found => order.push(found.id)))
  await database.close()
  await Promise.all(asked)
  assert.deepEqual(order, Array.from({ length: 100 }, (_, id) => id))
})
