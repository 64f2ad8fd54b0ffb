// Backups and what is restored of them, in Node.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import * as os from 'node:os'
import * as path from 'node:path'
import { after, test } from 'node:test'
import { LightningError, destroy, list, open, restore } from '../dist/node.js'
import * as sync from '../dist/sync-node.js'

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'lightning-backups-'))
after(() => fs.rmSync(folder, { recursive: true }))

const SCHEMA = { key: 'id', indexes: { half: 'half' } }
const rows = (count, begin = 0) => Array.from({ length: count }, (_, at) => ({ id: begin + at, half: (begin + at) >> 1, text: `document ${begin + at}` }))

async function withRows(name, count, options) {
  const database = await open(path.join(folder, name), { durability: 'relaxed', ...options })
  await database.collection('documents', SCHEMA).putMany(rows(count))
  return database
}

/** How many older states somebody holds. */
async function held(database) {
  // Another state, so that those before it are older.
  await database.table('states').put('count', Math.random())
  await database.compact()
  return (await database.stats()).snapshots
}

async function blobOf(database, options) {
  return new Response(database.backup(options)).blob()
}

async function failing(code, run) {
  const error = await run().then(() => assert.fail('it did not fail'), error => error)
  assert.ok(error instanceof LightningError, error?.stack)
  assert.equal(error.code, code, error.message)
  return error
}

test('what a restore left whose process ended goes with whatever comes next', async () => {
  const left = name => path.join(folder, `${name}.ldb-restoring`)
  const leave = name => fs.writeFileSync(left(name), 'half of it')
  const gone = name => !fs.existsSync(left(name))
  leave('left')
  assert.ok(!(await list(folder)).some(name => name.includes('left')))
  assert.ok(gone('left'), 'list')
  leave('left')
  assert.equal(await destroy(path.join(folder, 'left')), false)
  assert.ok(gone('left'), 'destroy')
  leave('left')
  const database = await open(path.join(folder, 'left'))
  assert.ok(gone('left'), 'open')
  // As one that another process is at.
  leave('left')
  await list(folder)
  assert.ok(!gone('left'))
  await database.close()
  assert.equal(await destroy(path.join(folder, 'left')), true)
  assert.ok(gone('left'))
})

test('a backup holds what was there when it was begun, whatever is written meanwhile', async () => {
  const database = await withRows('busy', 20_000)
  await database.table('long').put('value', new Uint8Array(300_000).fill(7))
  const documents = database.collection('documents')
  const told = []
  const reader = database.backup({ progress: at => told.push(at) }).getReader()
  const pieces = []
  for (let round = 0; ; round++) {
    const { done, value } = await reader.read()
    if (done) break
    pieces.push(value)
    await documents.where('id').between(round * 500, round * 500 + 499).delete()
    await documents.putMany(rows(100, 100_000 + round * 100))
    await database.compact()
  }
  assert.ok(pieces.length > 1, `${pieces.length} pieces`)
  const { entries, entriesAll, bytes, bytesAll } = told.at(-1)
  assert.deepEqual([entries, bytes], [entriesAll, bytesAll])
  assert.equal(told[0].bytesAll, undefined)
  await restore(path.join(folder, 'of-busy'), new Blob(pieces))
  const copy = await open(path.join(folder, 'of-busy'))
  const found = await copy.collection('documents').query().toArray()
  assert.deepEqual(found, rows(20_000))
  assert.equal((await copy.table('long').get('value')).length, 300_000)
  const { problems, documents: count, collections, values, nodes } = await copy.verify()
  assert.deepEqual([problems, count, collections, values], [[], 20_000, 1, 1])
  assert.ok(nodes > 100)
  await copy.collection('documents').put({ id: -1 })
  assert.deepEqual((await copy.verify()).problems, [])
  await copy.close()
  await database.close()
})

test('the bytes are made as they are read, and given up when nobody wants them', async () => {
  const database = await withRows('pulled', 20_000)
  const stream = database.backup()
  const reader = stream.getReader()
  await reader.read()
  const made = []
  const idle = database.backup({ progress: at => made.push(at.bytes) })
  for (let turn = 0; turn < 200; turn++) await database.stats()
  assert.ok(made.at(-1) < 1 << 20, 'one piece ahead, and no more')
  assert.equal(await held(database), 1)
  await idle.cancel()
  assert.equal(await held(database), 1)
  await reader.cancel()
  assert.equal(await held(database), 0)
  await database.close()
})

test('a signal ends a backup, and a restore, with its reason', async () => {
  const database = await withRows('ended', 20_000)
  const reason = new Error('enough')
  const aborted = new AbortController()
  const reader = database.backup({ signal: aborted.signal }).getReader()
  await reader.read()
  assert.equal(await held(database), 1)
  aborted.abort(reason)
  await assert.rejects(reader.read(), error => error === reason)
  const early = database.backup({ signal: aborted.signal })
  await assert.rejects(early.getReader().read(), error => error === reason)
  await assert.rejects(restore(path.join(folder, 'never'), new Blob([]), { signal: aborted.signal }), error => error === reason)
  const later = new AbortController()
  const endless = new ReadableStream({
    async pull(controller) {
      await new Promise(resolve => setTimeout(resolve, 1))
      controller.enqueue(new Uint8Array(10))
    },
  })
  const restoring = restore(path.join(folder, 'never'), endless, { signal: later.signal })
  setTimeout(() => later.abort(reason), 5)
  await assert.rejects(restoring, error => error === reason)
  assert.deepEqual(fs.readdirSync(folder).filter(name => name.startsWith('never')), [])
  assert.equal(await held(database), 0)
  await database.close()
})

test('a database that is closed ends its backups', async () => {
  const database = await withRows('closed', 20_000)
  const reader = database.backup().getReader()
  await reader.read()
  await database.close()
  await assert.rejects((async () => {
    while (!(await reader.read()).done);
  })(), { code: 'Closed' })
})

test('what is no whole database is refused, and what was there stays', async () => {
  const place = path.join(folder, 'kept')
  const kept = await withRows('kept', 10)
  await kept.close()
  const before = fs.readFileSync(`${place}.ldb`)
  const other = await withRows('other', 2000)
  const good = new Uint8Array(await (await blobOf(other)).arrayBuffer())
  await other.close()
  const changed = (at, byte) => {
    const bytes = good.slice()
    bytes[at] = byte
    return bytes
  }
  const newer = good.slice()
  // The format's version, in both superblocks, with checksums that are right.
  for (const at of [0, 4096]) {
    new DataView(newer.buffer).setUint32(at + 8, 99, true)
    new DataView(newer.buffer).setUint32(at + 252, crc32(newer.subarray(at, at + 252)), true)
  }
  for (const [code, source] of [
    ['NotADatabase', new Uint8Array(0)],
    ['NotADatabase', new TextEncoder().encode('some other file, long enough to be looked at '.repeat(1000))],
    ['Corrupt', good.slice(0, good.length - 1)],
    ['Corrupt', good.slice(0, 9000)],
    ['Corrupt', changed(8300, good[8300] ^ 1)],
    // The checkpoint record, behind the copy of the superblock.
    ['Corrupt', changed(good.length - 4096 + 300, 0x55)],
    ['Unsupported', newer],
    ['Invalid', undefined],
    ['Invalid', 'text'],
  ]) {
    const error = await failing(code, () => restore(place, source, { overwrite: true }))
    assert.ok(error.message.length > 10)
    assert.deepEqual(fs.readFileSync(`${place}.ldb`), before)
  }
  const stream = new ReadableStream({
    pull: controller => (controller.desiredSize > 0 ? controller.enqueue(good.slice(0, 10_000)) : undefined),
  })
  const failed = stream.pipeThrough(new TransformStream({
    transform(piece, controller) {
      controller.error(new Error('the wire is cut'))
    },
  }))
  await assert.rejects(restore(place, failed, { overwrite: true }), { message: 'the wire is cut' })
  assert.deepEqual(fs.readdirSync(folder).filter(name => name.startsWith('kept')), ['kept.ldb'])
  await failing('DatabaseExists', () => restore(place, good))
  await restore(place, good, { overwrite: true })
  const again = await open(place)
  assert.equal(await again.collection('documents').count(), 2000)
  await failing('Locked', () => restore(place, good, { overwrite: true }))
  await again.close()
  assert.ok((await list(folder)).includes('kept.ldb'))
})

test('without promises a backup is a list of pieces', async () => {
  const database = sync.open(path.join(folder, 'sync'), { durability: 'relaxed' })
  database.collection('documents', SCHEMA).putMany(rows(3000))
  const pieces = [...database.backup()]
  for (const piece of database.backup()) {
    assert.ok(piece.length > 0)
    database.table('states').put('count', 1)
    database.compact()
    assert.equal(database.stats().snapshots, 1)
    break
  }
  assert.equal(database.stats().snapshots, 0)
  database.close()
  await restore(path.join(folder, 'of-sync'), new Blob(pieces))
  const copy = sync.open(path.join(folder, 'of-sync'))
  assert.equal(copy.collection('documents').count(), 3000)
  copy.close()
})

test('a backup is opened by the command, and one of the command is restored', { skip: !process.env.LIGHTNING_COMMAND }, async () => {
  const command = (...args) => execFileSync(process.env.LIGHTNING_COMMAND, args, { encoding: 'utf8' })
  const database = await withRows('shared', 500)
  const file = path.join(folder, 'written.ldb')
  fs.writeFileSync(file, new Uint8Array(await (await blobOf(database)).arrayBuffer()))
  await database.close()
  command('check', file)
  assert.equal(command('count', file, 'documents').trim(), '500')
  const copy = path.join(folder, 'commanded.ldb')
  command('backup', path.join(folder, 'shared.ldb'), copy)
  await restore(path.join(folder, 'of-command'), fs.readFileSync(copy))
  const restored = await open(path.join(folder, 'of-command'))
  assert.equal(await restored.collection('documents').where('half').equals(7).count(), 2)
  await restored.close()
})

/** As in zlib. */
function crc32(bytes) {
  let crc = ~0
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0)
  }
  return ~crc >>> 0
}
