// Encrypted databases in Node: what opens them, what their files tell, and how their keys change.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import * as os from 'node:os'
import * as path from 'node:path'
import { after, test } from 'node:test'
import { LightningError, open, restore } from '../dist/node.js'
import { keys } from '../dist/encryption-node.js'
import * as sync from '../dist/sync-node.js'

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'lightning-encryption-'))
after(() => fs.rmSync(folder, { recursive: true }))
const place = name => path.join(folder, name)

const rawKey = byte => ({ key: new Uint8Array(32).fill(byte) })
const [FIRST, SECOND, THIRD] = [1, 2, 3].map(rawKey)
const PASSPHRASE = { passphrase: 'correct horse battery staple' }
/** What must be in no file. */
const SECRET = 'a secret that nobody reads'

async function failing(code, run) {
  const error = await run().then(() => assert.fail('it did not fail'), error => error)
  assert.ok(error instanceof LightningError, error?.stack)
  assert.equal(error.code, code, error.message)
  assert.ok(!error.message.startsWith(`${code}:`), error.message)
  return error
}

async function made(name, encryption) {
  const database = await open(place(name), { encryption })
  await database.table('secret names').put('secret key', SECRET)
  return database
}

async function reads(name, encryption) {
  const database = await open(place(name), { encryption, create: false })
  try {
    assert.equal(await database.table('secret names').get('secret key'), SECRET)
    return await keys(database).list()
  } finally {
    await database.close()
  }
}

function bytesOf(name) {
  const files = [`${name}.ldb`, `${name}.ldb-log`].filter(file => fs.existsSync(place(file)))
  return files.map(file => fs.readFileSync(place(file)))
}

for (const cipher of [undefined, 'aes-256-gcm', 'chacha20-poly1305']) {
  test(`a database opens with its key and nothing else (${cipher ?? 'as it is unless said otherwise'})`, async () => {
    const name = `own-${cipher}`
    const database = await made(name, { ...FIRST, cipher })
    await database.collection('secret people', { key: 'id' }).putMany(Array.from({ length: 500 }, (_, id) => ({ id, text: `${SECRET} ${id}` })))
    const files = bytesOf(name)
    assert.ok(files.length > 1 && files.every(bytes => bytes.length > 1000))
    assert.ok(files.every(bytes => !bytes.includes('secret')))
    await database.close()
    assert.ok(bytesOf(name).every(bytes => !bytes.includes('secret')))

    const before = bytesOf(name)
    const wrong = await failing('WrongKey', () => open(place(name), { encryption: SECOND }))
    assert.match(wrong.message, /1 raw/)
    assert.match((await failing('WrongKey', () => open(place(name), { encryption: PASSPHRASE }))).message, /1 raw/)
    // The engine without ciphers says what to do.
    const none = await failing('Unsupported', () => open(place(name)))
    assert.match(none.message, /'encryption' in JavaScript/)
    assert.match(none.message, cipher === 'aes-256-gcm' ? /AES/ : /ChaCha20/)
    assert.deepEqual(bytesOf(name), before)
    const [info] = await reads(name, FIRST)
    assert.deepEqual({ ...info, added: Math.abs(Date.now() - info.added) < 60_000 }, { slot: 0, kind: 'raw', added: true })
  })
}

test('a database that is not encrypted is beside it, and takes no key', async () => {
  const [plain, encrypted] = [await open(place('plain')), await made('beside', FIRST)]
  await plain.table('secret names').put('secret key', SECRET)
  assert.equal(await encrypted.table('secret names').get('secret key'), SECRET)
  assert.match((await failing('WrongKey', () => open(place('plain'), { encryption: FIRST }))).message, /not encrypted/)
  await plain.close()
  assert.match((await failing('WrongKey', () => open(place('plain'), { encryption: FIRST }))).message, /not encrypted/)
  await encrypted.close()
  assert.ok(bytesOf('plain').some(bytes => bytes.includes(SECRET)))
  const again = await open(place('plain'))
  for (const run of [() => keys(again).list(), () => keys(again).add(FIRST), () => keys(again).reencrypt(FIRST)]) {
    assert.match((await failing('WrongKey', run)).message, /not encrypted/)
  }
  await again.close()
})

test('who comes later in one process needs a key, too', async () => {
  const database = await made('shared', FIRST)
  await failing('WrongKey', () => open(place('shared'), { encryption: SECOND }))
  assert.match((await failing('WrongKey', () => open(place('shared')))).message, /no key was given/)
  assert.throws(() => sync.open(place('shared'), { encryption: SECOND }), { code: 'WrongKey' })
  const again = await open(place('shared'), { encryption: FIRST })
  assert.equal(await again.table('secret names').get('secret key'), SECRET)
  await again.close()
  assert.equal(await database.table('secret names').get('secret key'), SECRET)
  await database.close()
})

test('keys that cannot be say so, and do not say what they are', async () => {
  for (const encryption of [
    {},
    true,
    // A slip is no wish for a database that is not encrypted.
    null,
    false,
    '',
    { key: new Uint8Array(31) },
    { key: SECRET },
    { passphrase: '' },
    { passphrase: 5 },
    { provider: {} },
    { ...FIRST, ...PASSPHRASE },
    { ...FIRST, cipher: SECRET },
  ]) {
    const { message } = await failing('Invalid', () => open(place('never'), { encryption }))
    assert.ok(!message.includes(SECRET), message)
    assert.throws(() => sync.open(place('never'), { encryption }), { code: 'Invalid' })
  }
  assert.ok(!fs.existsSync(place('never.ldb')))
})

test('a passphrase opens it, and another does not', async () => {
  await (await made('words', PASSPHRASE)).close()
  await failing('WrongKey', () => open(place('words'), { encryption: { passphrase: 'incorrect horse' } }))
  const begin = performance.now()
  const [{ kind }] = await reads('words', PASSPHRASE)
  assert.equal(kind, 'passphrase')
  console.log(`# opening by a passphrase took ${Math.round(performance.now() - begin)} ms`)
})

/** One that keeps a key as browsers can: it cannot be extracted. */
async function keeper(change = {}) {
  const own = await crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt'])
  const provider = {
    asked: [],
    async wrap(key) {
      provider.asked.push('wrap')
      const iv = crypto.getRandomValues(new Uint8Array(12))
      return Uint8Array.of(...iv, ...new Uint8Array(await crypto.subtle.encrypt({ name: 'AES-GCM', iv }, own, key)))
    },
    async unwrap(wrapped) {
      provider.asked.push('unwrap')
      const opened = crypto.subtle.decrypt({ name: 'AES-GCM', iv: wrapped.subarray(0, 12) }, own, wrapped.subarray(12))
      return opened.then(key => new Uint8Array(key), () => null)
    },
    ...change,
  }
  return { provider }
}

test('whoever keeps the key is asked, and what it throws is thrown', async () => {
  const [own, other] = [await keeper(), await keeper()]
  await (await made('kept', own)).close()
  assert.deepEqual(own.provider.asked, ['wrap'])
  const [{ kind }] = await reads('kept', own)
  assert.equal(kind, 'provider')
  assert.deepEqual(own.provider.asked, ['wrap', 'unwrap'])
  assert.match((await failing('WrongKey', () => open(place('kept'), { encryption: other }))).message, /1 kept by others/)
  const reason = new Error('the service is away')
  const failed = { provider: { wrap: () => assert.fail(), unwrap: () => Promise.reject(reason) } }
  await assert.rejects(open(place('kept'), { encryption: failed }), error => error === reason)
  const short = { provider: { wrap: () => assert.fail(), unwrap: () => new Uint8Array(31) } }
  assert.match((await failing('WrongKey', () => open(place('kept'), { encryption: short }))).message, /32 bytes/)
  // What a new one cannot be encrypted by leaves nothing.
  await assert.rejects(open(place('unmade'), { encryption: { provider: { wrap: () => Promise.reject(reason), unwrap: () => null } } }), error => error === reason)
  assert.deepEqual(bytesOf('unmade'), [])
  const shared = await open(place('kept'), { encryption: own })
  await failing('WrongKey', () => open(place('kept'), { encryption: other }))
  await (await open(place('kept'), { encryption: own })).close()
  await shared.close()
})

test('without promises whoever keeps the key answers at once', async () => {
  const turn = bytes => bytes.map(byte => byte ^ 0x5a)
  const own = { provider: { wrap: turn, unwrap: turn } }
  const database = sync.open(place('at-once'), { encryption: own })
  database.table('secret names').put('secret key', SECRET)
  assert.deepEqual(keys(database).list().map(({ slot, kind }) => [slot, kind]), [[0, 'provider']])
  assert.equal(keys(database).add(PASSPHRASE), 1)
  keys(database).reencrypt(SECOND)
  assert.equal(keys(database).reencryption(), undefined)
  database.close()
  const later = await keeper()
  assert.throws(() => sync.open(place('at-once-too'), { encryption: later }), { code: 'Invalid', message: /at once/ })
  await failing('WrongKey', () => open(place('at-once'), { encryption: own }))
  await reads('at-once', SECOND)
})

test('keys are added, replaced and removed', async () => {
  const own = await keeper()
  const database = await made('keyed', FIRST)
  const its = keys(database)
  assert.equal(await its.add(PASSPHRASE), 1)
  assert.equal(await its.add(own), 2)
  assert.deepEqual((await its.list()).map(({ slot, kind }) => [slot, kind]), [[0, 'raw'], [1, 'passphrase'], [2, 'provider']])
  assert.equal(await its.rotate(0, SECOND), 3)
  await failing('Invalid', () => its.remove(0))
  await failing('Invalid', () => its.rotate(0, THIRD))
  await failing('Invalid', () => its.add({}))
  await database.close()
  await failing('WrongKey', () => open(place('keyed'), { encryption: FIRST }))
  for (const encryption of [SECOND, PASSPHRASE, own]) await reads('keyed', encryption)
  const again = await open(place('keyed'), { encryption: own })
  await keys(again).remove(1)
  await keys(again).remove(3)
  assert.match((await failing('Invalid', () => keys(again).remove(2))).message, /last key/)
  await again.close()
  await failing('WrongKey', () => open(place('keyed'), { encryption: PASSPHRASE }))
  await reads('keyed', own)
})

test('everything is encrypted anew under one key, in steps', async () => {
  const database = await made('anew', FIRST)
  const documents = database.collection('documents', { key: 'id', indexes: { half: 'half' } })
  await documents.putMany(Array.from({ length: 20_000 }, (_, id) => ({ id, half: id >> 1, text: `${SECRET} ${id}` })))
  await keys(database).add(THIRD)
  assert.equal(await keys(database).reencryption(), undefined)
  const controller = new AbortController()
  const told = []
  const given = keys(database).reencrypt(SECOND, {
    signal: controller.signal,
    progress(at) {
      told.push(at)
      controller.abort(new Error('enough'))
    },
  })
  await assert.rejects(given, /enough/)
  assert.equal(told.length, 1)
  // Its keys are others already; the rest is done beside all else.
  await documents.put({ id: -1, half: 0, text: 'meanwhile' })
  await database.close()
  for (const encryption of [FIRST, THIRD]) await failing('WrongKey', () => open(place('anew'), { encryption }))
  const again = await open(place('anew'), { encryption: SECOND })
  const stages = new Set()
  await keys(again).finishReencryption({ progress: ({ stage }) => stages.add(stage) })
  assert.equal(await keys(again).reencryption(), undefined)
  assert.equal(await again.collection('documents').count(), 20_001)
  assert.deepEqual((await again.verify()).problems, [])
  await again.close()
  assert.ok(bytesOf('anew').every(bytes => !bytes.includes('secret')))
  assert.deepEqual((await reads('anew', SECOND)).map(({ slot }) => slot), [0])
})

test('it waits for whoever reads what was before, and says so', async () => {
  const database = await made('waits', FIRST)
  await database.compact()
  const snapshot = await database.snapshot()
  const { message } = await failing('Invalid', () => keys(database).reencrypt(SECOND))
  assert.match(message, /waits for/)
  assert.ok((await keys(database).reencryption()).waitingFor)
  snapshot.close()
  await database.close()
  const again = await open(place('waits'), { encryption: SECOND })
  await keys(again).finishReencryption()
  await again.close()
})

test('backups of it are restored with its key', async () => {
  const database = await made('source', FIRST)
  const backup = await new Response(database.backup()).blob()
  await database.close()
  assert.ok(!Buffer.from(await backup.arrayBuffer()).includes('secret'))
  await failing('WrongKey', () => restore(place('copy'), backup, { encryption: SECOND }))
  await failing('Unsupported', () => restore(place('copy'), backup))
  assert.deepEqual(bytesOf('copy'), [])
  await restore(place('copy'), backup, { encryption: FIRST })
  await reads('copy', FIRST)
  const own = await keeper()
  const kept = await made('kept-source', own)
  const itsBackup = await new Response(kept.backup()).blob()
  await kept.close()
  await restore(place('kept-copy'), itsBackup, { encryption: own })
  await reads('kept-copy', own)
})

test('in memory it is encrypted, too', async () => {
  const database = await open('nowhere', { storage: 'memory', encryption: FIRST })
  await database.table('t').put('a', 1)
  assert.equal((await keys(database).list()).length, 1)
  assert.equal(await keys(database).add(SECOND), 1)
  await database.close()
})

const command = process.env.LIGHTNING_COMMAND
test('the command opens what Node has encrypted, and the other way round', { skip: !command && 'LIGHTNING_COMMAND is not set' }, async () => {
  const lightning = (...args) => execFileSync(command, args, { encoding: 'utf8' })
  const file = place('exchanged.ldb')
  const [keyFile, wordFile] = [place('key'), place('words-file')]
  fs.writeFileSync(keyFile, '01'.repeat(32))
  fs.writeFileSync(wordFile, PASSPHRASE.passphrase)
  const database = await open(file, { encryption: FIRST })
  await database.table('words', { key: 'string', value: 'string' }).put('one', 'yksi')
  await keys(database).add(PASSPHRASE)
  await database.close()
  assert.match(lightning('get', file, 'words', 'one', '--key-file', wordFile), /yksi/)
  lightning('put', file, 'words', 'two', 'kaksi', '--key-file', keyFile)
  lightning('check', file, '--key-file', keyFile)
  const again = await open(file, { encryption: PASSPHRASE })
  assert.equal(await again.table('words', { key: 'string', value: 'string' }).get('two'), 'kaksi')
  await again.close()
  const its = place('its.ldb')
  lightning('put', its, 'words', 'three', 'kolme', '--key-file', keyFile)
  const theirs = await open(its, { encryption: FIRST, create: false })
  assert.equal(await theirs.table('words', { key: 'string', value: 'string' }).get('three'), 'kolme')
  await theirs.close()
})
