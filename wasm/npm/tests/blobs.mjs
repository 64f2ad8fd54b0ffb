// Blobs and files in documents, and keys that are made.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Uuid, open } from '../dist/node.js'
import * as sync from '../dist/sync-node.js'

const inMemory = () => open('memory', { storage: 'memory' })

test('a blob comes back as a blob, and a file as a file', async () => {
  const database = await inMemory()
  const documents = database.collection('documents', { key: 'id', indexes: { type: 'photo.$blob' } })
  const photo = new Blob([Uint8Array.of(1, 2, 3)], { type: 'image/png' })
  const file = new File(['text'], 'notes.txt', { type: 'text/plain', lastModified: 1234 })
  await documents.put({ id: 1, photo, again: [photo, { photo }], file, empty: new Blob([]) })
  const found = await documents.get(1)
  for (const blob of [found.photo, found.again[0], found.again[1].photo]) {
    assert.ok(blob instanceof Blob && !(blob instanceof File))
    assert.equal(blob.type, 'image/png')
    assert.deepEqual(new Uint8Array(await blob.arrayBuffer()), Uint8Array.of(1, 2, 3))
  }
  assert.ok(found.file instanceof File)
  assert.deepEqual([found.file.name, found.file.type, found.file.lastModified, await found.file.text()], ['notes.txt', 'text/plain', 1234, 'text'])
  assert.deepEqual([found.empty.size, found.empty.type], [0, ''])
  // As other languages read them.
  assert.deepEqual(await documents.where('photo.$blob').equals('image/png').select('photo.bytes').first(), { photo: { bytes: Uint8Array.of(1, 2, 3) } })
  await documents.update(1, { name: 'kept' })
  assert.equal((await documents.get(1)).photo.type, 'image/png')
  // What only begins like one is what it is.
  await documents.put({ id: 2, map: { $blob: 1 }, other: { $blob: 'text/plain' }, third: { bytes: Uint8Array.of(1), $blob: 'a' } })
  assert.deepEqual(await documents.get(2), { id: 2, map: { $blob: 1 }, other: { $blob: 'text/plain' }, third: { bytes: Uint8Array.of(1), $blob: 'a' } })
  await database.close()
})

test('blobs go into everything that is written: many documents, transactions, tables', async () => {
  const database = await inMemory()
  const documents = database.collection('documents', { key: 'id' })
  const blob = () => new Blob(['text'], { type: 'text/plain' })
  function* generated() {
    for (let id = 0; id < 5; id++) yield { id, blob: blob() }
  }
  await documents.putMany(generated())
  await database.transaction(async tx => {
    await tx.collection(documents).put({ id: 5, blob: blob() })
    assert.equal(await (await tx.collection(documents).get(5)).blob.text(), 'text')
  })
  const table = database.table('table')
  await table.put('a', blob())
  assert.equal(await (await table.get('a')).text(), 'text')
  assert.equal(await documents.count(), 6)
  const written = documents.put({ id: 6, blob: blob() })
  const after = documents.put({ id: 7 })
  await Promise.all([written, after])
  assert.equal(await documents.count(), 8)
  await database.close()
})

test('a blob that is too large, cannot be read, or comes without promises is refused', async () => {
  const database = await inMemory()
  const documents = database.collection('documents', { key: 'id' })
  await assert.rejects(documents.put({ id: 1, blob: new Blob([new Uint8Array((16 << 20) + 1)]) }), { code: 'LimitExceeded' })
  await assert.rejects(documents.put({ id: 1, blob: new Blob([new Uint8Array(16 << 20)]) }), { code: 'LimitExceeded' })
  const broken = new Blob(['text'])
  const gone = new Error('the file is gone')
  broken.arrayBuffer = () => Promise.reject(gone)
  await assert.rejects(documents.put({ id: 1, blob: broken }), error => error === gone)
  assert.equal(await documents.count(), 0)
  await database.close()
  const local = sync.open('memory', { storage: 'memory' })
  const plain = local.collection('documents', { key: 'id' })
  assert.throws(() => plain.put({ id: 1, blob: new Blob(['text']) }), { code: 'Invalid', message: /without promises/ })
  local.close()
})

test('however many blobs are to be read, what holds them is gone through a few times', async () => {
  const database = await inMemory()
  const documents = database.collection('documents', { key: 'id' })
  let looks = 0
  const counted = Array.from({ length: 100 }, (_, id) => ({
    id,
    get blob() {
      looks++
      return this.same
    },
    same: new Blob([`text ${id}`]),
  }))
  await documents.putMany(counted)
  assert.ok(looks <= 500, `${looks} looks at 100 blobs`)
  assert.equal(await (await documents.get(99)).blob.text(), 'text 99')
  // A blob that is another one whenever it is looked at is never read.
  const always = documents.put({ id: 1, get blob() { return new Blob(['text']) } })
  await assert.rejects(always, { code: 'Invalid', message: /another Blob/ })
  // The same blob in two that are written at once.
  const both = new Blob(['both'])
  await Promise.all([1, 2, 3].map(id => documents.put({ id, both })))
  for (const id of [1, 2, 3]) assert.equal(await (await documents.get(id)).both.text(), 'both')
  await database.close()
})

test('without promises a blob that was read is put back as it was', async () => {
  const database = await inMemory()
  const local = sync.open('memory', { storage: 'memory' })
  const documents = local.collection('documents', { key: 'id' })
  const file = new File(['text'], 'notes.txt', { type: 'text/plain', lastModified: 1234 })
  const remote = database.collection('documents', { key: 'id' })
  await remote.put({ id: 1, file, photo: new Blob([Uint8Array.of(1, 2)], { type: 'image/png' }) })
  const found = await remote.get(1)
  documents.put(found)
  const again = documents.get(1)
  documents.put({ ...again, id: 2, more: [again.photo] })
  const last = documents.get(2)
  assert.deepEqual([last.file.name, last.file.type, last.file.lastModified, await last.file.text()], ['notes.txt', 'text/plain', 1234, 'text'])
  assert.deepEqual(new Uint8Array(await last.more[0].arrayBuffer()), Uint8Array.of(1, 2))
  assert.throws(() => documents.put({ id: 3, blob: last.photo.slice(0, 1) }), { code: 'Invalid' })
  local.close()
  await database.close()
})

test('keys are made where there are none', async () => {
  const database = await inMemory()
  const notes = database.collection('notes', { key: 'id', autoKey: 'increment' })
  assert.deepEqual([await notes.insert({ text: 'a' }), await notes.put({ text: 'b' }), await notes.put({ id: 7 }), await notes.insert({ text: 'c' })], [1, 2, undefined, 8])
  assert.deepEqual(await notes.get(8), { text: 'c', id: 8 })
  assert.equal((await notes.describe()).autoKey, 'increment')
  const many = await Promise.all(Array.from({ length: 100 }, () => notes.insert({})))
  assert.equal(new Set(many).size, 100)
  const inside = await database.transaction(tx => tx.collection(notes).insert({}))
  assert.equal(inside, Math.max(...many) + 1)
  const here = Array.from({ length: 1000 }, () => String(Uuid.v7()))
  assert.deepEqual([...here].sort(), here)
  assert.ok(here.every(uuid => /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(uuid)))
  assert.ok(Math.abs(parseInt(here[0].replace('-', '').slice(0, 12), 16) - Date.now()) < 60_000)
  const events = database.collection('events', { key: 'meta.id', autoKey: 'uuid' })
  const first = await events.insert({ n: 1 })
  assert.ok(first instanceof Uuid && /^[0-9a-f]{8}-[0-9a-f]{4}-7/.test(String(first)))
  const made = await Promise.all(Array.from({ length: 100 }, (_, n) => events.insert({ n })))
  assert.deepEqual([...made].sort((a, b) => (String(a) < String(b) ? -1 : 1)), made)
  assert.deepEqual((await events.get(first)).n, 1)
  await assert.rejects(database.collection('wrong', { key: 'id', autoKey: 'random' }).insert({}), { code: 'Invalid' })
  await database.close()
})
