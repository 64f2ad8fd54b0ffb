// The parts of the engine: which of them a page fetches for what, and what happens where one does not come or is another's.

import * as assert from 'node:assert/strict'
import * as fs from 'node:fs'
import * as path from 'node:path'
import { launch, newProfile, testPage } from './chromium.mjs'
import { serve } from './server.mjs'
import * as tally from '../tally.mjs'

/** A page that does not fetch what it is to fetch is not waited for any longer. */
const LIMIT_MS = 20_000

/** Parts in the order in which they were fetched. */
let fetched = []
/** Called with each. */
let onfetched = () => {}
/** Scripts of the package that were fetched. */
const scripts = new Set()
/** What is served instead, by part. */
let instead = {}
const { address, close } = await serve(undefined, file => {
  const script = /dist\/([\w-]+\.js)$/.exec(file)?.[1]
  if (script !== undefined) scripts.add(script)
  const part = /lightning-(\d)\.wasm$/.exec(file)?.[1]
  if (part === undefined) return
  fetched.push(Number(part))
  onfetched()
  return instead[part]
})
const profile = newProfile()
const context = await launch(profile)
const page = await testPage(context, address)

/** Waits until as many parts were fetched, those `without` not counted. */
async function requested(count, without) {
  const late = AbortSignal.timeout(LIMIT_MS)
  while (fetched.filter(part => part !== without).length < count && !late.aborted) {
    await new Promise(resolve => {
      onfetched = resolve
      late.onabort = resolve
    })
  }
}

/**
 * What happens in the page is to give this, and to fetch these parts; null where that does not matter. The one that merges is fetched
 * when a page has been idle, so it is passed over where it does not matter.
 */
async function test(what, parts, expected, run, merging = 3) {
  fetched = []
  await tally.test(what, async () => {
    assert.deepEqual(await page.evaluate(run), expected)
    if (!parts) return
    const without = parts.includes(merging) ? undefined : merging
    await requested(parts.length, without)
    assert.deepEqual(fetched.filter(part => part !== without).sort(), parts)
  })
}

try {
  await test('records need the first part', [1], [1, true, null, 8000, [1, 'a']], async () => {
    const database = (window.database = await window.lightning.open('parts'))
    const table = (window.table = database.table('notes'))
    await table.put('a', 1)
    await Promise.all([table.put('large', new Uint8Array(8000)), table.put([1, 'a'], [1, 'a'])])
    const found = [await table.get('a'), await table.delete('a'), (await table.get('a')) ?? null]
    const large = (await table.get('large')).length
    await table.delete('large')
    await database.sync()
    const list = await table.get([1, 'a'])
    await table.delete([1, 'a'])
    await table.put('a', 1)
    return [...found, large, list]
  })
  await tally.test('for that there are two scripts', () => assert.deepEqual([...scripts].sort(), ['index.js', 'worker-files.js']))
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
  await test('closing needs another', null, null, async () => {
    await window.database.close()
    return null
  })
  await test('it was fetched before, or is then', [1, 2, 3, 4], null, async () => {
    await (await window.lightning.open('closed at once')).close()
    return null
  })
  await test('and so is where nothing else is to be done', [1, 2, 3, 4], null, async () => {
    window.idle = await window.lightning.open('idle')
    return null
  })
  await page.evaluate(() => window.idle.close())
  await test('a database that is there is opened by the first part; meanwhile comes what collections need', [1, 2, 4], 2, async () => {
    window.database = await window.lightning.open('parts')
    window.table = window.database.table('notes')
    return window.table.get('b')
  })
  await test('what nobody foresaw waits for its part', [5], ['TableTypeMismatch', 2], async () => {
    const { code } = await window.database.table('notes', { key: 'string' }).get('b').catch(error => error)
    return [code, await window.table.get('b')]
  })
  await test('a large load is merged meanwhile', null, 5002, async () => {
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
  await test('a part that does not come is an error, and the rest goes on', [1, 2, 4, 4], ['PartMissing', true, true, 5], async () => {
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
  await test('a part of another build is refused', [1, 2, 4, 4], ['PartMissing', true], async () => {
    await window.database.close()
    window.database = await window.lightning.open('parts')
    const error = await window.database.collection('people', { key: 'id' }).get(2).catch(error => error)
    return [error.code, error.message.includes('lightning-4.wasm')]
  })
  instead = {}
  await page.evaluate(() => window.database.close())
  await test('what is first asked of a collection or a table goes along with opening it', null, [2, null, null], async () => {
    let sent = 0
    const start = () => {
      const worker = new Worker('/dist/worker-files.js', { type: 'module' })
      const post = worker.postMessage.bind(worker)
      worker.postMessage = message => {
        if (message instanceof Uint8Array) sent++
        post(message)
      }
      return worker
    }
    const database = await window.lightning.open('along', { worker: start })
    const found = [await database.collection('people', { key: 'id' }).get(1), await database.table('notes').get(1)]
    const requests = sent
    await database.close()
    return [requests, ...found.map(value => value ?? null)]
  })
  await test('without parts the whole engine is one file', [], 40, async () => {
    const database = await window.lightning.open('parts', { wasm: '/dist/lightning.wasm' })
    const { age } = await database.collection('people', { key: 'id' }).get(2)
    await database.close()
    return age
  })
  instead = { 3: null }
  await test('without what merges it is closed, and nothing is lost; in IndexedDB it is not even opened', null, [1, 'PartMissing'], async () => {
    const database = await window.lightning.open('not merged')
    await database.table('notes').put('a', 1)
    await database.close()
    const again = await window.lightning.open('not merged')
    const found = await again.table('notes').get('a')
    await again.close()
    return [found, await window.lightning.open('not opened', { storage: 'indexeddb' }).catch(error => error.code)]
  })
  instead = { 3: 'silent' }
  await test('nor is it waited for for long', null, 1, async () => {
    const database = await window.lightning.open('not waited for')
    await database.table('notes').put('a', 1)
    await database.close()
    const again = await window.lightning.open('not waited for')
    const found = await again.table('notes').get('a')
    await again.close()
    return found
  })
  instead = { 3: null }
  await tally.test('and another tab gets it', async () => {
    const other = await testPage(context, address)
    const open = async () => {
      window.database = await window.lightning.open('handed over')
      window.table = window.database.table('notes')
    }
    await page.evaluate(open)
    await page.evaluate(() => window.table.put('a', 1))
    await other.evaluate(open)
    await page.evaluate(() => window.database.close())
    assert.deepEqual(await other.evaluate(async () => (await window.table.put('b', 2), [await window.table.get('a'), await window.table.get('b')])), [1, 2])
    await other.evaluate(() => window.database.close())
    await other.close()
  })
  instead = { 2: 'lost', 3: 'lost', 4: 'lost', 5: 'lost' }
  await tally.test('offline what needs another part fails, the rest goes on, and later that does, too', async () => {
    await page.evaluate(async () => {
      window.database = await window.lightning.open('offline')
      window.table = window.database.table('notes')
      await window.table.put('a', 1)
    })
    const documents = () =>
      page.evaluate(async () => {
        const code = await window.database.collection('people', { key: 'id' }).put({ id: 1 }).then(() => 'done', error => error.code)
        return [code, await window.table.get('a')]
      })
    assert.deepEqual(await documents(), ['PartMissing', 1])
    instead = { 3: 'lost', 5: 'lost' }
    assert.deepEqual(await documents(), ['done', 1])
    const found = await page.evaluate(async () => {
      await window.database.close()
      window.database = await window.lightning.open('offline')
      const found = await window.database.collection('people').get(1)
      await window.database.close()
      return found
    })
    assert.deepEqual(found, { id: 1 })
  })
  instead = {}
  await tally.test('without promises a part that does not come fails one call, or gives the files back', async () => {
    await page.evaluate(() => {
      const worker = new Worker('/tests/browser/sync-parts-worker.mjs', { type: 'module' })
      window.asked = (...step) =>
        new Promise(resolve => {
          worker.onmessage = ({ data }) => resolve(data)
          worker.postMessage(step)
        })
    })
    const asked = (...step) => page.evaluate(step => window.asked(...step), step)
    instead = { 2: null, 3: null, 4: null, 5: null }
    assert.equal(await asked('open'), 'open')
    assert.equal(await asked('put', 1), 'put')
    assert.equal(await asked('document'), 'PartMissing')
    assert.equal(await asked('get'), 1)
    assert.equal(await asked('close'), 'closed')
    assert.equal(await asked('open'), 'open')
    assert.equal(await asked('get'), 1)
    assert.equal(await asked('unforeseen'), 'PartMissing')
    instead = { 3: null, 5: null }
    assert.equal(await asked('unforeseen'), 'Restarted')
    assert.equal(await asked('open'), 'open')
    instead = {}
    assert.equal(await asked('document'), 'document')
    assert.equal(await asked('get'), 1)
    assert.equal(await asked('close'), 'closed')
    assert.equal(await asked('open'), 'open')
    assert.equal(await asked('get'), 1)
    assert.equal(await asked('close'), 'closed')
  })
} finally {
  await context.close()
  close()
  fs.rmSync(profile, { recursive: true, force: true })
}
tally.conclude()
