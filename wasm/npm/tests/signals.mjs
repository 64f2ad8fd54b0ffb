// Calls that are given up by a signal.

import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import * as fs from 'node:fs'
import * as os from 'node:os'
import * as path from 'node:path'
import { test } from 'node:test'
import { open } from '../dist/node.js'
import * as sync from '../dist/sync-node.js'

const reason = new Error('enough')
const isReason = error => error === reason

async function withRows() {
  const database = await open('memory', { storage: 'memory' })
  const documents = database.collection('documents', { key: 'id', indexes: { half: 'half' } })
  await documents.putMany(Array.from({ length: 5000 }, (_, id) => ({ id, half: id >> 1, text: 'x'.repeat(50) })))
  const table = database.table('table')
  await table.putMany(Array.from({ length: 5000 }, (_, at) => [at, 'x'.repeat(50)]))
  return { database, documents, table }
}

/** Nothing of an older state is held. */
async function nothingIsHeld({ database, table }) {
  await table.put('state', 1)
  await database.compact()
  assert.equal((await database.stats()).snapshots, 0)
}

/** All that takes a signal. */
function calls({ database, documents, table }, signal) {
  return {
    get: () => documents.get(1, { signal }),
    getMany: () => documents.getMany([1, 2], { signal }),
    toArray: () => documents.query().signal(signal).toArray(),
    first: () => documents.where('half').above(3).signal(signal).first(),
    page: () => documents.query().signal(signal).limit(3).page(),
    count: () => documents.query().signal(signal).count(),
    min: () => documents.query().signal(signal).min('half'),
    explain: () => documents.query().signal(signal).explain(),
    'table get': () => table.get(1, { signal }),
    'table getMany': () => table.getMany([1], { signal }),
    'table count': () => table.count({ signal }),
    'table toArray': () => table.scan({ signal }).toArray(),
    transaction: () => database.transaction(tx => tx.collection(documents).get(1), { signal }),
    begin: async () => {
      const tx = await database.begin({ signal })
      try {
        return await tx.collection(documents).get(1)
      } finally {
        tx.rollback()
      }
    },
  }
}

test('what was aborted before is not begun, and what is aborted meanwhile ends with the reason', async () => {
  const all = await withRows()
  const before = new AbortController()
  before.abort(reason)
  for (const [name, call] of Object.entries(calls(all, before.signal))) await assert.rejects(call(), isReason, name)
  for (const name of Object.keys(calls(all))) {
    const meanwhile = new AbortController()
    const called = calls(all, meanwhile.signal)[name]()
    meanwhile.abort(reason)
    await assert.rejects(called, isReason, name)
  }
  const never = new AbortController()
  for (const [name, call] of Object.entries(calls(all, never.signal))) assert.notEqual(await call(), undefined, name)
  await nothingIsHeld(all)
  await all.database.close()
})

test('rows that come one after the other end, too', async () => {
  const all = await withRows()
  for (const rows of [
    signal => all.documents.query().signal(signal),
    signal => all.table.scan({ signal }),
  ]) {
    for (const after of [0, 1, 700]) {
      const controller = new AbortController()
      if (after === 0) controller.abort(reason)
      let seen = 0
      await assert.rejects(async () => {
        for await (const _ of rows(controller.signal)) if (++seen === after) controller.abort(reason)
      }, isReason)
      assert.equal(seen, after)
    }
  }
  await nothingIsHeld(all)
  await all.database.close()
})

test('a live result hears nothing any more', async () => {
  const { database, documents } = await withRows()
  const controller = new AbortController()
  const told = []
  const heard = () => new Promise(resolve => setTimeout(resolve, 20))
  documents.where('id').below(3).signal(controller.signal).watch(rows => told.push(rows.length))
  await heard()
  controller.abort(reason)
  await documents.delete(1)
  await heard()
  assert.deepEqual(told, [3])
  documents.query().signal(controller.signal).watch(() => assert.fail('it was aborted before'))
  await heard()
  await database.close()
})

test('a transaction that is aborted leaves nothing, however long its function goes on', async () => {
  const { database, documents } = await withRows()
  const controller = new AbortController()
  let inside
  const transaction = database.transaction(
    async tx => {
      await tx.collection(documents).put({ id: 'new' })
      controller.abort(reason)
      inside = tx.collection(documents).put({ id: 'later' }).catch(error => error)
      await new Promise(() => {})
    },
    { signal: controller.signal },
  )
  await assert.rejects(transaction, isReason)
  assert.equal(await inside, reason)
  assert.equal(await documents.get('new'), undefined)
  const late = new AbortController()
  const tx = await database.begin({ signal: late.signal })
  await tx.collection(documents).put({ id: 'kept' })
  const committed = tx.commit()
  late.abort(reason)
  await committed
  assert.deepEqual(await documents.get('kept'), { id: 'kept' })
  await database.close()
})

test('what is over hears its signal no more', async () => {
  const all = await withRows()
  const { database, documents } = all
  const { signal } = new AbortController()
  const heard = () => getEventListeners(signal, 'abort').length
  for (const [name, call] of Object.entries(calls(all, signal))) {
    await call()
    assert.equal(heard(), 0, name)
  }
  let told = 0
  const stop = documents.query().signal(signal).watch(() => told++)
  while (told === 0) await new Promise(resolve => setTimeout(resolve, 1))
  assert.equal(heard(), 1)
  stop()
  assert.equal(heard(), 0)
  for (const end of [
    async stream => void (await new Response(stream).blob()),
    stream => stream.cancel(),
  ]) {
    const stream = database.backup({ signal })
    while (heard() === 0) await new Promise(resolve => setTimeout(resolve, 1))
    await end(stream)
    assert.equal(heard(), 0)
  }
  const failed = new Promise(resolve => documents.query().signal(signal).watch(() => {}, resolve))
  const reader = database.backup({ signal }).getReader()
  await reader.read()
  assert.equal(heard(), 2)
  await database.close()
  assert.equal((await failed).code, 'Closed')
  await assert.rejects(async () => {
    while (!(await reader.read()).done);
  }, { code: 'Closed' })
  assert.equal(heard(), 0)
  await assert.rejects(database.backup({ signal }).getReader().read(), { code: 'Closed' })
  assert.equal(heard(), 0)
})

test('a signal is heard before there is an answer', async () => {
  const all = await withRows()
  const { database, documents, table } = all
  const { link } = database
  await documents.opened()
  await table.opened()
  for (const begun of [
    signal => database.begin({ signal }),
    signal => documents.query().signal(signal)[Symbol.asyncIterator]().next(),
    signal => table.scan({ signal })[Symbol.asyncIterator]().next(),
  ]) {
    let answer
    const held = new Promise(resolve => (answer = resolve))
    link.ask = (...asked) => held.then(() => Object.getPrototypeOf(link).ask.apply(link, asked))
    const controller = new AbortController()
    const waiting = begun(controller.signal)
    controller.abort(reason)
    const silent = new Promise(resolve => setTimeout(resolve, 50, 'nothing was heard'))
    assert.equal(await Promise.race([waiting.catch(error => error), silent]), reason)
    delete link.ask
    answer()
  }
  // What came too late is given back, in a turn of its own.
  await new Promise(resolve => setTimeout(resolve))
  await nothingIsHeld(all)
  await database.close()
})

test('a database is not opened for nobody', async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'lightning-signals-'))
  const controller = new AbortController()
  controller.abort(reason)
  await assert.rejects(open(path.join(folder, 'a'), { signal: controller.signal }), isReason)
  assert.deepEqual(fs.readdirSync(folder), [])
  fs.rmSync(folder, { recursive: true })
})

test('without promises a signal is looked at before each call', () => {
  const database = sync.open('memory', { storage: 'memory' })
  const documents = database.collection('documents', { key: 'id' })
  documents.put({ id: 1 })
  documents.put({ id: 2 })
  const controller = new AbortController()
  const { signal } = controller
  assert.deepEqual(documents.get(1, { signal }), { id: 1 })
  let seen = 0
  assert.throws(() => {
    for (const _ of documents.query().signal(signal)) if (++seen === 1) controller.abort(reason)
  }, isReason)
  assert.throws(() => documents.get(1, { signal }), isReason)
  assert.throws(() => documents.query().signal(signal).count(), isReason)
  assert.throws(() => database.transaction(tx => void tx.collection(documents).put({ id: 3 }), { signal }), isReason)
  assert.equal(documents.count(), 2)
  database.close()
})
