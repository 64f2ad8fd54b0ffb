// One database opened several times in one process, and databases that are only read.

import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import * as os from 'node:os'
import * as path from 'node:path'
import { after, test } from 'node:test'
import { destroy, open } from '../dist/node.js'
import * as sync from '../dist/sync-node.js'

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'lightning-sharing-'))
after(() => fs.rmSync(folder, { recursive: true }))
const place = name => path.join(folder, name)

test('opened again it is the same database, until the last has closed it', async () => {
  const first = await open(place('twice'))
  const second = await open(path.join(folder, '.', 'twice.ldb'))
  fs.symlinkSync(folder, place('link'), 'junction')
  const third = sync.open(place('link/twice'))
  const documents = [first, second, third].map(database => database.collection('documents', { key: 'id' }))
  const heard = new Promise(resolve => documents[1].query().watch(rows => rows.length === 2 && resolve(rows.map(({ id }) => id))))
  let heardSync
  const alsoHeard = new Promise(resolve => documents[2].query().watch(rows => rows.length === 2 && resolve((heardSync = rows.length))))
  await documents[0].put({ id: 1 })
  assert.deepEqual(await documents[1].get(1), { id: 1 })
  documents[2].put({ id: 2 })
  assert.deepEqual(await heard, [1, 2])
  await alsoHeard
  assert.equal(heardSync, 2)
  const unanswered = documents[0].put({ id: 3 })
  await first.close()
  await unanswered
  await assert.rejects(documents[0].get(1), { code: 'Closed' })
  assert.equal(await documents[1].count(), 3)
  assert.ok(fs.existsSync(place('twice.ldb-lock')))
  await assert.rejects(destroy(place('twice')), { code: 'Locked' })
  third.close()
  third.close()
  assert.throws(() => documents[2].get(1), { code: 'Closed' })
  assert.equal(await documents[1].count(), 3)
  await second.close()
  assert.ok(!fs.existsSync(place('twice.ldb-lock')))
  const again = await open(place('twice'))
  assert.equal(await again.collection('documents').count(), 3)
  await again.close()
  assert.ok(await destroy(place('twice')))
})

test('opened again while the last is closing it, it is open', async () => {
  for (let turns = 0; turns < 12; turns++) {
    const first = await open(place('closing'))
    await first.collection('documents', { key: 'id' }).put({ id: turns })
    const closing = first.close()
    for (let turn = 0; turn < turns; turn++) await null
    const second = await open(place('closing'))
    const documents = second.collection('documents')
    assert.equal(await documents.count(), turns + 1, `${turns} turns later`)
    await closing
    assert.equal(await documents.count(), turns + 1)
    await second.close()
  }
  assert.ok(!fs.existsSync(place('closing.ldb-lock')))
})

test('an engine that has stopped is in nobody\'s way', async () => {
  const other = await open(place('stopped'))
  const first = sync.open(place('stopped'))
  const documents = first.collection('documents', { key: 'id' })
  documents.put({ id: 1 })
  const { now } = Date
  // What the engine calls fails as nothing of its own does.
  Date.now = () => {
    throw new Error('there is no time')
  }
  try {
    assert.throws(() => documents.put({ id: 2 }), { code: 'Restarted' })
  } finally {
    Date.now = now
  }
  await assert.rejects(other.collection('documents').count(), { code: 'Restarted' })
  const again = await open(place('stopped'))
  assert.equal(await again.collection('documents').count(), 1)
  first.close()
  await other.close()
  assert.equal(await again.collection('documents').count(), 1)
  assert.ok(fs.existsSync(place('stopped.ldb-lock')))
  await again.close()
})

test('what one holds is gone with it, and not with the other', async () => {
  const [one, other] = [await open(place('held')), await open(place('held'))]
  const documents = one.collection('documents', { key: 'id' })
  await documents.opened()
  const tx = await one.begin()
  const kept = await other.snapshot()
  await tx.collection(documents).put({ id: 1 })
  await one.close()
  assert.equal(await kept.collection(other.collection('documents')).count(), 0)
  assert.equal(await other.collection('documents').count(), 0)
  kept.close()
  await other.close()
})

test('for reading alone it is another way to open it', async () => {
  const writer = await open(place('reading'))
  await writer.collection('documents', { key: 'id' }).put({ id: 1 })
  await assert.rejects(open(place('reading'), { readOnly: true }), { code: 'Locked' })
  await writer.close()
  const readers = [await open(place('reading'), { readOnly: true }), await open(place('reading'), { readOnly: true })]
  await assert.rejects(open(place('reading')), { code: 'Locked' })
  for (const reader of readers) {
    assert.equal(await reader.collection('documents').count(), 1)
    await assert.rejects(reader.collection('documents').put({ id: 2 }), { code: 'ReadOnly' })
    await reader.close()
  }
  await assert.rejects(open(place('none'), { readOnly: true }), { code: 'NotADatabase' })
})

test('where nothing can be written, reading leaves nothing', async () => {
  const writer = await open(place('medium'))
  await writer.collection('documents', { key: 'id' }).put({ id: 1 })
  await writer.close()
  const { writeFileSync, linkSync } = fs.default
  const refuse = () => {
    throw Object.assign(new Error('read-only file system'), { code: 'EROFS' })
  }
  const before = fs.readdirSync(folder)
  Object.assign(fs.default, { writeFileSync: refuse, linkSync: refuse })
  syncBuiltinESMExports()
  try {
    const reader = await open(place('medium'), { readOnly: true })
    assert.equal(await reader.collection('documents').count(), 1)
    assert.deepEqual(fs.readdirSync(folder), before)
    await reader.close()
    await assert.rejects(open(place('medium')), { code: 'PermissionDenied' })
    assert.deepEqual(fs.readdirSync(folder), before)
  } finally {
    Object.assign(fs.default, { writeFileSync, linkSync })
    syncBuiltinESMExports()
  }
  // Who has it is looked for all the same.
  const holder = await open(place('medium'))
  Object.assign(fs.default, { writeFileSync: refuse, linkSync: refuse })
  syncBuiltinESMExports()
  try {
    await assert.rejects(open(place('medium'), { readOnly: true }), { code: 'Locked' })
  } finally {
    Object.assign(fs.default, { writeFileSync, linkSync })
    syncBuiltinESMExports()
    await holder.close()
  }
})

test('how much is kept here', async () => {
  const database = await open(place('usage'))
  await database.collection('documents', { key: 'id' }).put({ id: 1 })
  const { usage, quota, persisted } = await database.usage()
  assert.ok(usage > 1000)
  assert.deepEqual([quota, persisted, await database.persist()], [undefined, true, true])
  await database.close()
})

test('what is asked along with opening a collection or table fails for the reason that opening does', async () => {
  const first = await open(place('reason'))
  await first.collection('documents', { key: 'id' }).put({ id: 1 })
  await first.table('notes').put('a', 1)
  await first.close()
  const database = await open(place('reason'))
  const wrong = database.collection('documents', { key: 'other' })
  const asked = [wrong.get(1), wrong.put({ other: 1 }), wrong.query().toArray()]
  for (const each of asked) await assert.rejects(each, { code: 'SchemaMismatch' })
  await assert.rejects(wrong.get(1), { code: 'SchemaMismatch' })
  const typed = database.table('notes', { key: 'string' })
  await assert.rejects(typed.get('a'), { code: 'TableTypeMismatch' })
  await assert.rejects(typed.put('a', 2), { code: 'TableTypeMismatch' })
  // Under the number of the one that failed.
  assert.deepEqual(await database.collection('documents').get(1), { id: 1 })
  const other = database.collection('documents', { key: 'other' })
  await assert.rejects(other.get(1), { code: 'SchemaMismatch' })
  assert.deepEqual(await database.collection('documents').get(1), { id: 1 })
  assert.equal(await database.table('notes').get('a'), 1)
  await database.close()
})
