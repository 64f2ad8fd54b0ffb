// The parts of the engine: which of them a page fetches for what, and what happens where one does not come or is another's.

import * as assert from 'node:assert/strict'
import * as fs from 'node:fs'
import * as path from 'node:path'
import { launch, newProfile, testPage } from './chromium.mjs'
import { serve } from './server.mjs'
import * as tally from '../tally.mjs'

/** Parts in the order in which they were fetched. */
let fetched = []
/** What is served instead, by part. */
let instead = {}
const { address, close } = await serve(undefined, file => {
  const part = /lightning-(\d)\.wasm$/.exec(file)?.[1]
  if (part === undefined) return
  fetched.push(Number(part))
  return instead[part]
})
const profile = newProfile()
const context = await launch(profile)
const page = await testPage(context, address)

/** What happens in the page is to give this, and to fetch these parts; null where that does not matter. */
async function test(what, parts, expected, run) {
  fetched = []
  await tally.test(what, async () => {
    assert.deepEqual(await page.evaluate(run), expected)
    if (parts) assert.deepEqual(fetched, parts)
  })
}

try {
  await test('records need the first part', [1], [1, true, null, 30_000, [1, 'a']], async () => {
    const database = (window.database = await window.lightning.open('parts'))
    const table = (window.table = database.table('notes'))
    await table.put('a', 1)
    await Promise.all([table.put('large', new Uint8Array(30_000)), table.put([1, 'a'], [1, 'a'])])
    const found = [await table.get('a'), await table.delete('a'), (await table.get('a')) ?? null]
    const large = (await table.get('large')).length
    await table.delete('large')
    await database.sync()
    const list = await table.get([1, 'a'])
    await table.delete([1, 'a'])
    await table.put('a', 1)
    return [...found, large, list]
  })
  await test('ranges and transactions need one more', [2], [1, [1, null], 3, 2, true], async () => {
    const { database, table } = window
    await table.putMany([['b', 2], ['c', 3]])
    const found = [await table.get('a'), (await table.getMany(['a', 'none'])).map(value => value ?? null), await table.count()]
    await database.transaction(async tx => {
      await tx.table(table).put('d', 4)
      await tx.table(table).delete('a')
    })
    return [...found, (await table.scan({ limit: 2 }).toArray()).length, await table.delete('d')]
  })
  await test('collections need another', [4], [[2], 1], async () => {
    const people = window.database.collection('people', { key: 'id', indexes: { age: 'age' } })
    await people.put({ id: 1, age: 30 })
    await people.put({ id: 2, age: 40 })
    const found = await people.where('age').above(35).toArray()
    await people.delete(1)
    return [found.map(({ id }) => id), await people.count()]
  })
  await test('and so does closing', [3], null, async () => {
    await window.database.close()
    return null
  })
  await test('a database that was closed is opened by the first part', [1], 2, async () => {
    window.database = await window.lightning.open('parts')
    window.table = window.database.table('notes')
    return window.table.get('b')
  })
  await test('what nobody foresaw waits for its part', [2, 5, 4], ['TableTypeMismatch', 2], async () => {
    const { code } = await window.database.table('notes', { key: 'string' }).get('b').catch(error => error)
    return [code, await window.table.get('b')]
  })
  await test('a large load is merged meanwhile', [3], 5002, async () => {
    const value = 'x'.repeat(100)
    for (let round = 0; round < 5; round++) {
      await window.table.putMany(Array.from({ length: 1000 }, (_, index) => [round * 1000 + index, value]))
      await new Promise(resolve => setTimeout(resolve, 20))
    }
    const count = await window.table.count()
    await window.database.close()
    return count
  })
  instead = { 4: null }
  await test('a part that does not come is an error, and the rest goes on', [1, 2, 4], ['PartMissing', true, true, 5], async () => {
    window.database = await window.lightning.open('parts')
    window.table = window.database.table('notes')
    const error = await window.database.collection('people', { key: 'id' }).get(2).catch(error => error)
    await window.table.put('e', 5)
    return [error.code, error.message.includes('/dist/lightning-4.wasm: 404'), error.retryable, await window.table.get('e')]
  })
  instead = {}
  await test('it is fetched again when it is asked for again', [4], 40, async () => {
    return (await window.database.collection('people', { key: 'id' }).get(2)).age
  })
  instead = { 5: null }
  await test('where a call waits for it, the engine stops and says why', null, ['Restarted', true, 5], async () => {
    const error = await window.database.table('notes', { key: 'string' }).get('e').catch(error => error)
    await window.database.close().catch(() => {})
    window.database = await window.lightning.open('parts')
    return [error.code, error.message.includes('/dist/lightning-5.wasm: 404'), await window.database.table('notes').get('e')]
  })
  const other = fs.readFileSync(path.join(import.meta.dirname, '../../dist/lightning-4.wasm'))
  const name = /b[0-9a-f]{8}/.exec(other.toString('latin1'))
  other[name.index + 1] ^= 1
  instead = { 4: new Uint8Array(other) }
  await test('a part of another build is refused', [2, 4], ['PartMissing', true], async () => {
    const error = await window.database.collection('people', { key: 'id' }).get(2).catch(error => error)
    return [error.code, error.message.includes('lightning-4.wasm')]
  })
  instead = {}
  await test('without parts the whole engine is one file', [3], 40, async () => {
    await window.database.close()
    const database = await window.lightning.open('parts', { wasm: '/dist/lightning.wasm' })
    const { age } = await database.collection('people', { key: 'id' }).get(2)
    await database.close()
    return age
  })
} finally {
  await context.close()
  close()
  fs.rmSync(profile, { recursive: true, force: true })
}
tally.conclude()
