// Where a page's databases are: the choice of storage and that it stays, lists and deletion, live results and the change feed on each
// storage, and a file that another language made or reads.

import { execFileSync } from 'node:child_process'
import * as assert from 'node:assert/strict'
import * as fs from 'node:fs'
import * as path from 'node:path'
import { launch, newProfile, storages, testPage } from './driver.mjs'
import { serve } from './server.mjs'
import * as tally from '../tally.mjs'

const { address, close } = await serve()
const profile = newProfile()
const context = await launch(profile)
const page = await testPage(context, address)
const command = process.env.LIGHTNING_COMMAND

/** What happens in the page is to give this. */
function test(what, expected, run, argument) {
  return tally.test(what, async () => {
    const given = typeof argument === 'function' ? await argument() : await page.evaluate(run, argument)
    assert.deepEqual(given, expected)
  })
}

const hasOpfs = storages.includes('opfs')

try {
  if (hasOpfs) {
    await test('a new database is in the origin private file system, and stays there', ['opfs', 'opfs', 'StorageUnavailable', true, false], async () => {
      const { open, destroy } = window.lightning
      const first = await open('chosen')
      await first.collection('people', { key: 'id' }).put({ id: 1 })
      await first.close()
      const again = await open('chosen', { storage: 'opfs' })
      await again.close()
      const other = await open('chosen', { storage: 'indexeddb' }).catch(error => error.code)
      return [first.storage, again.storage, other, await destroy('chosen'), await destroy('chosen')]
    })
  } else {
    await test('a new database is in IndexedDB, where the browser has nothing else', ['indexeddb', 'StorageUnavailable', 'StorageUnavailable', true, []], async () => {
      const { open, destroy, list } = window.lightning
      const first = await open('chosen')
      await first.close()
      const other = await open('chosen', { storage: 'opfs' }).catch(error => error.code)
      await destroy('chosen')
      const { code, message } = await open('chosen', { storage: 'opfs' }).catch(error => error)
      return [first.storage, other, code, message.includes('the browser has none'), await list()]
    })
  }
  await test('one that is in IndexedDB is opened there', ['indexeddb', { id: 1 }, 'StorageUnavailable'], async () => {
    const { open, destroy } = window.lightning
    const first = await open('in idb', { storage: 'indexeddb' })
    await first.collection('people', { key: 'id' }).put({ id: 1 })
    await first.close()
    const again = await open('in idb')
    const found = await again.collection('people').get(1)
    await again.close()
    const other = await open('in idb', { storage: 'opfs' }).catch(error => error.code)
    await destroy('in idb')
    return [again.storage, found, other]
  })
  await test('none is made where none is to be made', ['NotADatabase', []], async () => {
    const { open, list } = window.lightning
    return [await open('none', { create: false }).catch(error => error.code), await list()]
  })
  await test('a database in memory is not listed, and gone when it is closed', [1, 0, []], async () => {
    const { open, list } = window.lightning
    const counts = []
    for (const isFirst of [true, false]) {
      const database = await open('memory', { storage: 'memory' })
      const people = database.collection('people', { key: 'id' })
      if (isFirst) await people.put({ id: 1 })
      counts.push(await people.count())
      await database.close()
    }
    return [...counts, await list()]
  })
  await test('names may be of any letters, and are listed', ['a/b ü', 'plain'], async () => {
    const { open, destroy, list } = window.lightning
    await (await open('plain')).close()
    await (await open('a/b ü', { storage: 'indexeddb' })).close()
    const names = await list()
    for (const name of names) await destroy(name)
    return names
  })
  await test('without the origin private file system it is IndexedDB, and what is in the one is not made in the other', ['indexeddb'], async () => {
    const { open, destroy } = window.lightning
    const worker = () => new Worker(new URL('./no-opfs-worker.mjs', location.href), { type: 'module' })
    const database = await open('fallback', { worker })
    await database.close()
    await destroy('fallback')
    return [database.storage]
  })
  if (hasOpfs) await test('where its handles are refused, too, and nothing is left there', ['indexeddb', 1, 'StorageUnavailable', ['refused'], []], async () => {
    const { open, restore, destroy, list } = window.lightning
    const worker = () => new Worker(new URL('./refused-worker.mjs', location.href), { type: 'module' })
    const database = await open('refused', { worker })
    await database.collection('people', { key: 'id' }).put({ id: 1 })
    const backup = await new Response(database.backup()).blob()
    await database.close()
    await destroy('refused')
    await restore('refused', backup, { worker })
    const again = await open('refused')
    const count = await again.collection('people').count()
    await again.close()
    const asked = await open('other', { worker, storage: 'opfs' }).catch(error => error.code)
    const names = await list()
    await destroy('refused')
    return [again.storage, count, asked, names, await list()]
  })
  if (hasOpfs) await test('without promises, too, none is made a second time, or where none is to be', ['StorageUnavailable', 'NotADatabase', 'opfs', 'StorageUnavailable'], async () => {
    const { open, destroy } = window.lightning
    const inWorker = (name, options) =>
      new Promise((resolve, reject) => {
        const worker = new Worker(new URL('./sync-open-worker.mjs', location.href), { type: 'module' })
        worker.onmessage = ({ data }) => resolve(data)
        worker.onerror = reject
        worker.postMessage({ name, options })
      })
    await (await open('without', { storage: 'indexeddb' })).close()
    const codes = [await inWorker('without', {}), await inWorker('none', { create: false })]
    await destroy('without')
    codes.push(await inWorker('without', {}), await inWorker('without', { storage: 'indexeddb' }))
    await destroy('without')
    return codes
  })
  await test('without locks nothing is kept, for nobody would keep tabs apart', ['StorageUnavailable', true, 'StorageUnavailable', 'StorageUnavailable', 'memory', ['there']], async () => {
    const { open, destroy, list } = window.lightning
    await (await open('there', { storage: 'indexeddb' })).close()
    const worker = () => new Worker(new URL('./lockless-worker.mjs', location.href), { type: 'module' })
    Object.defineProperty(navigator, 'locks', { value: undefined, configurable: true })
    const { code, message } = await open('new', { worker }).catch(error => error)
    const codes = []
    for (const name of ['new', 'there']) codes.push(await open(name, { worker, storage: 'indexeddb' }).catch(error => error.code))
    const memory = await open('memory', { worker, storage: 'memory' })
    await memory.close()
    delete navigator.locks
    const names = await list()
    await destroy('there')
    return [code, message.includes('https') && message.includes('Web Locks'), ...codes, memory.storage, names]
  })
  await test('a worker that is none says which, and what to do', ['WorkerFailed', true], async () => {
    const worker = () => new Worker('/no/such/worker.js', { type: 'module' })
    const error = await window.lightning.open('broken', { worker }).catch(error => error)
    return [error.code, error.message.includes("'worker'")]
  })
  await test('an engine that is none says where it was looked for', ['WorkerFailed', true], async () => {
    const error = await window.lightning.open('broken', { wasm: '/no/such.wasm' }).catch(error => error)
    return [error.code, error.message.includes('/no/such.wasm')]
  })
  await test('wrong options are refused', ['Invalid', 'Invalid', 'StorageUnavailable'], async () => {
    const refused = options => window.lightning.open('broken', options).catch(error => error.code)
    return [await refused({ durability: 'fast' }), await refused({ memoryBudgetBytes: -1 }), await refused({ storage: 'file' })]
  })
  await test('what could not be opened was not made', [], () => window.lightning.list())
  for (const storage of storages) {
    await test(`${storage}: a live result hears of each commit, and the feed of all`, [[[1], [1, 2], [2]], [1, 2, 1], [1, 2, 3]], async storage => {
      const { open, destroy } = window.lightning
      await destroy('live')
      const database = await open('live', { storage })
      const people = database.collection('people', { key: 'id', indexes: { age: 'age' } })
      await people.put({ id: 1, age: 40 })
      const states = []
      let more
      people.where('age').above(30).watch(rows => {
        states.push(rows.map(({ id }) => id))
        more?.()
      })
      const told = count => new Promise(resolve => (more = () => states.length >= count && resolve()) && more())
      await told(1)
      const start = database.changes('now')
      await start.opened()
      await people.put({ id: 2, age: 50 })
      await told(2)
      await people.delete(1)
      await told(3)
      await people.put({ id: 3, age: 10 })
      const ids = []
      for await (const { changes } of start) {
        ids.push(...changes.map(({ id }) => id))
        if (ids.length === 3) break
      }
      const oldest = await database.changes('oldest').next()
      const put = oldest.flatMap(({ changes }) => changes).filter(({ kind }) => kind === 'put').map(({ id }) => id)
      await database.close()
      await destroy('live')
      // The last of the feed is document 3: the deletion of 1 came before it.
      return [states, [put[0], ids[0], ids[1]], put]
    }, storage)
    await test(`${storage}: much is written and read while merges go on, in little memory`, [20_000, 1000, []], async storage => {
      const { open, destroy, increment } = window.lightning
      const database = await open('much', { storage, durability: 'relaxed', memoryBudgetBytes: 10 << 20 })
      const documents = database.collection('documents', { key: 'id', indexes: { half: 'half' } })
      const text = 'x'.repeat(200)
      for (let begin = 0; begin < 20_000; begin += 1000) {
        const writes = Array.from({ length: 1000 }, (_, at) => documents.put({ id: begin + at, half: (begin + at) >> 1, n: 0, text }))
        await Promise.all(writes)
        await documents.where('half').equals(begin >> 2).toArray()
      }
      const changed = await documents.where('half').below(500).update({ n: increment(1) })
      const { documents: count, problems } = await database.verify()
      await database.close()
      await destroy('much')
      return [count, changed, problems]
    }, storage)
    await test(`${storage}: a database that is open is not deleted`, ['DatabaseBusy', true, 1], async storage => {
      const { open, destroy } = window.lightning
      const database = await open('busy', { storage })
      await database.collection('people', { key: 'id' }).put({ id: 1 })
      const error = await destroy('busy').catch(error => error)
      await database.close()
      const again = await open('busy', { create: false })
      const count = await again.collection('people').count()
      await again.close()
      await destroy('busy')
      return [error.code, error.retryable, count]
    }, storage)
  }
  if (command && hasOpfs) {
    const lightning = (...args) => execFileSync(command, args, { encoding: 'utf8' })
    const file = path.join(profile, 'native.ldb')
    const lines = path.join(profile, 'cities.jsonl')
    await test('a file that the command made is read and written in the page, and the other way round', ['Oulu', ['FI', 'SE', 'SE'], '3', 'Kiruna'], undefined, async () => {
      const rows = [{ id: 1, name: 'Oulu', country: 'FI' }, { id: 2, name: 'Lund', country: 'SE' }]
      fs.writeFileSync(lines, rows.map(row => `${JSON.stringify(row)}\n`).join(''))
      lightning('import', file, 'cities', lines, '--key', 'id', '--index', 'country', '--unique', 'name')
      await page.evaluate(base64 => window.tests.putDataFile('native', base64), fs.readFileSync(file, 'base64'))
      const [name, countries] = await page.evaluate(async () => {
        const database = await window.lightning.open('native', { create: false })
        const cities = database.collection('cities')
        const found = await cities.getBy('name', 'Oulu')
        await cities.put({ id: 3, name: 'Kiruna', country: 'SE' })
        const rows = await cities.query().orderBy('country').toArray()
        await database.close()
        return [found.name, rows.map(({ country }) => country)]
      })
      fs.writeFileSync(file, await page.evaluate(() => window.tests.dataFile('native')), 'base64')
      fs.rmSync(`${file}-log`, { force: true })
      lightning('check', file)
      const last = JSON.parse(lightning('query', file, 'cities', 'where id = 3'))
      return [name, countries, lightning('count', file, 'cities').trim(), last.name]
    })
  }
} finally {
  await context.close()
  close()
  fs.rmSync(profile, { recursive: true, force: true, maxRetries: 5 })
}
tally.conclude()
