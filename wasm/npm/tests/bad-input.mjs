// What cannot be done is an error of its own kind, that says what to do.

import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import * as os from 'node:os'
import * as path from 'node:path'
import { test } from 'node:test'
import { LightningError, open } from '../dist/node.js'
import * as sync from '../dist/sync-node.js'

/** Runs something that must fail with this error. */
async function failing(code, run) {
  let error
  try {
    await run()
  } catch (thrown) {
    error = thrown
  }
  assert.ok(error instanceof LightningError, `${error?.stack ?? 'it did not fail'}`)
  assert.equal(error.code, code, error.message)
  return error
}

const inMemory = (options = {}) => open('memory', { storage: 'memory', ...options })

test('values that cannot be stored are refused, and leave the rest of their turn alone', async () => {
  const database = await inMemory()
  const documents = database.collection('documents', { key: 'id' })
  const cyclic = { id: 1 }
  cyclic.self = cyclic
  const first = documents.put({ id: 'first' })
  for (const [code, document] of [
    ['LimitExceeded', cyclic],
    ['Invalid', { id: 1, run() {} }],
    ['Invalid', { id: 1, symbol: Symbol('s') }],
    ['Invalid', { id: 1, map: new Map() }],
    ['Invalid', { id: 1, set: new Set() }],
    ['Invalid', { id: 1, promise: Promise.resolve() }],
    ['Invalid', { id: 1, at: new Date(NaN) }],
    ['Invalid', { id: 1, big: 2n ** 64n }],
    ['InvalidDocument', undefined],
    ['InvalidDocument', null],
    ['InvalidDocument', 'text'],
    ['InvalidDocument', [1]],
    ['InvalidDocument', {}],
    ['InvalidDocument', { id: NaN }],
    ['InvalidDocument', { id: { a: 1 } }],
    ['LimitExceeded', { id: 1, text: 'x'.repeat(16 << 20) }],
    ['LimitExceeded', { id: 'k'.repeat(70_000) }],
  ]) {
    await failing(code, () => documents.put(document))
  }
  const last = documents.put({ id: 'last' })
  await Promise.all([first, last])
  for (const key of [undefined, NaN, { a: 1 }, new Date(NaN), () => {}]) await failing('Invalid', () => documents.get(key))
  assert.equal(await documents.count(), 2)
  await database.close()
})

test('a database that was closed refuses everything, and can be closed again', async () => {
  const database = await inMemory()
  const documents = database.collection('documents', { key: 'id' })
  const table = database.table('table')
  await documents.put({ id: 1 })
  await table.put('a', 1)
  const snapshot = await database.snapshot()
  const transaction = await database.begin()
  const feed = database.changes()
  await feed.next()
  const pending = documents.put({ id: 2 })
  await database.close()
  await pending
  await database.close()
  for (const run of [
    () => documents.get(1),
    () => documents.put({ id: 1 }),
    () => documents.query().toArray(),
    () => documents.where('id').above(1).count(),
    () => table.get('a'),
    () => table.scan().toArray(),
    () => snapshot.collection(documents).get(1),
    () => transaction.collection(documents).put({ id: 3 }),
    () => transaction.commit(),
    () => feed.next(),
    () => database.transaction(() => {}),
    () => database.stats(),
    () => database.verify(),
    () => database.collection('others', { key: 'id' }).get(1),
    async () => {
      for await (const _ of documents.query()) assert.fail('there is a row')
    },
  ]) {
    await failing('Closed', run)
  }
  snapshot.close()
  transaction.rollback()
})

test('a transaction that takes too long is ended, and nothing of it is written', async () => {
  const database = await inMemory()
  const documents = database.collection('documents', { key: 'id' })
  const error = await failing('TransactionTimeout', () =>
    database.transaction(
      async tx => {
        await tx.collection(documents).put({ id: 1 })
        await new Promise(resolve => setTimeout(resolve, 50))
        await tx.collection(documents).put({ id: 2 })
      },
      { timeoutMs: 10 },
    ),
  )
  assert.equal(error.retryable, false)
  assert.equal(await documents.count(), 0)
  await database.close()
})

test('a transaction that throws, or has ended, writes nothing', async () => {
  const database = await inMemory()
  const documents = database.collection('documents', { key: 'id' })
  const thrown = new Error('of the application')
  await assert.rejects(
    database.transaction(async tx => {
      await tx.collection(documents).put({ id: 1 })
      throw thrown
    }),
    error => error === thrown,
  )
  let late
  await database.transaction(tx => {
    late = tx
  })
  await failing('Invalid', () => late.collection(documents).put({ id: 1 }))
  await failing('Invalid', () => late.commit())
  late.rollback()
  assert.equal(await documents.count(), 0)
  await database.close()
})

test('a step of a transaction that fails leaves nothing of itself, and the rest goes on', async () => {
  const database = await inMemory()
  const documents = database.collection('documents', { key: 'id', indexes: { name: { path: 'name', unique: true }, age: 'age' } })
  await documents.put({ id: 1, name: 'Ada', age: 36 })
  await database.transaction(async tx => {
    const inside = tx.collection(documents)
    await inside.put({ id: 2, name: 'Bob', age: 20 })
    await failing('DuplicateKey', () => inside.put({ id: 2, name: 'Ada', age: 21 }))
    await failing('InvalidDocument', () => inside.query().update({ age: { years: 1 } }))
    await failing('Unexpected', () => inside.insert({ id: 1, name: 'Eve' }))
    await failing('Invalid', () => inside.put({ id: 3, name() {} }))
    assert.deepEqual(await inside.getBy('name', 'Bob'), { id: 2, name: 'Bob', age: 20 })
    assert.deepEqual([await inside.query().min('age'), await inside.query().max('age')], [20, 36])
  })
  assert.deepEqual((await documents.query().toArray()).map(({ age }) => age), [36, 20])
  assert.deepEqual((await database.verify()).problems, [])
  await database.close()
})

test('options and arguments that are none are refused', async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'lightning-bad-'))
  const file = path.join(folder, 'a.ldb')
  try {
    await failing('Invalid', () => inMemory({ durability: 'fast' }))
    await failing('Invalid', () => inMemory({ memoryBudgetBytes: -1 }))
    await failing('Invalid', () => inMemory({ memoryBudgetBytes: 'much' }))
    await failing('Invalid', () => open(''))
    await failing('Invalid', () => open(undefined))
    await failing('StorageUnavailable', () => open(file, { storage: 'opfs' }))
    await failing('NotADatabase', () => open(file, { create: false }))
    await failing('Invalid', () => sync.open(file, { durability: 'Sync' }))
    assert.deepEqual(fs.readdirSync(folder).filter(name => name.endsWith('-lock')), [])
    fs.writeFileSync(file, 'not a database, but long enough to be looked at '.repeat(500))
    await failing('NotADatabase', () => open(file))
    const database = await inMemory()
    const documents = database.collection('documents', { key: 'id' })
    await failing('Invalid', () => documents.query().limit(-1).toArray())
    await failing('Invalid', () => documents.query().page())
    await failing('Invalid', () => documents.query().asks([]).toArray())
    await failing('Invalid', () => documents.where('a..b').equals(1).toArray())
    await failing('Invalid', () => documents.getBy('none', 1))
    await failing('Invalid', () => database.begin({ isolation: 'none' }))
    await failing('Unsupported', () => database.table('t', { key: '(string, what)' }).get('a'))
    await failing('Unsupported', () => database.table('t', { value: 'string?' }).get('a'))
    await failing('Invalid', () => database.table('bytes', { value: 'u8' }).put('a', 256))
    await failing('Invalid', () => database.table('words', { value: 'string' }).increment('a'))
    await failing('NoSuchTable', () => database.collection('none').get(1))
    await failing('SchemaMismatch', () => database.collection('documents', { key: 'other' }).get(1))
    await database.close()
  } finally {
    fs.rmSync(folder, { recursive: true })
  }
})

test('a live result that fails says so', async () => {
  const database = await inMemory()
  const documents = database.collection('documents', { key: 'id' })
  const failure = await new Promise(resolve => documents.where('a..b').equals(1).watch(() => {}, resolve))
  assert.equal(failure.code, 'Invalid')
  let last
  documents.query().watch(() => {}, error => (last = error))
  await documents.count()
  await database.close()
  assert.equal(last.code, 'Closed')
})
