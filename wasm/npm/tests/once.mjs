// What an owner of the files was asked and had not answered when it went away is done once: at whatever write to its files that
// was. Owners and clients here are the package's own, in one thread, over files in memory.

import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import * as os from 'node:os'
import * as path from 'node:path'
import { test } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { buildSync } from 'esbuild'

const npm = fileURLToPath(new URL('..', import.meta.url))
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'lightning-once-'))
test.after(() => fs.rmSync(folder, { recursive: true }))

const inner = path.join(folder, 'inner.mjs')
buildSync({
  stdin: {
    contents: ['link', 'host', 'database', 'errors', 'query', 'protocol', 'generated/engine']
      .map(module => `export * from './src/${module}.js'`)
      .concat("export * as more from './src/more.js'")
      .concat("export { optionBytes } from './src/local.js'")
      .join('\n'),
    resolveDir: npm,
  },
  bundle: true,
  define: { IN_WORKER: 'false', FILES_ALONE: 'false', WAITS_ALONE: 'false' },
  format: 'esm',
  platform: 'node',
  target: 'es2022',
  outfile: inner,
  logLevel: 'error',
})
const { AsyncLink, DatabaseOf, Engine, Host, LightningError, Operation, increment, initSync, more, optionBytes } = await import(pathToFileURL(inner))
initSync({ module: fs.readFileSync(path.join(npm, 'dist/lightning.wasm')) })

/** The files of a database, as they are when their owner is gone. */
class Files {
  /** Writes that are still done. */
  left = Infinity
  /** How much of the last one. */
  part = 1
  writes = 0

  constructor({ data, log } = { data: new Uint8Array(0), log: new Uint8Array(0) }) {
    this.data = new File(this, data)
    this.log = new File(this, log)
  }

  /** What the next owner finds. */
  found() {
    return new Files({ data: this.data.bytes, log: this.log.bytes })
  }
}

class File {
  constructor(files, bytes) {
    this.files = files
    this.bytes = bytes.slice()
  }

  read(bytes, { at }) {
    const found = this.bytes.subarray(at, at + bytes.length)
    bytes.set(found)
    return found.length
  }

  write(bytes, { at }) {
    if (this.#isDone()) {
      const done = bytes.subarray(0, this.files.left === 0 ? Math.round(bytes.length * this.files.part) : bytes.length)
      if (at + done.length > this.bytes.length) this.#resize(at + done.length)
      this.bytes.set(done, at)
    }
    return bytes.length
  }

  truncate(length) {
    if (this.#isDone()) this.#resize(length)
  }

  getSize() {
    return this.bytes.length
  }

  flush() {}
  close() {}

  #isDone() {
    this.files.writes++
    return this.files.left-- > 0
  }

  #resize(length) {
    const bytes = new Uint8Array(length)
    bytes.set(this.bytes.subarray(0, length))
    this.bytes = bytes
  }
}

/** An owner of these files that ends with a certain write, and answers nothing from there on. */
class Owner {
  #engine
  #host
  #clients = []

  constructor(files) {
    this.files = files
    this.#engine = Engine.openFiles('once', files.data, files.log, optionBytes({}))
    this.#host = new Host(this.#engine, false)
  }

  /** A channel to it; `forgets` leaves the numbers out of what it is asked. */
  connect(forgets = false) {
    const channel = {
      onresponse: () => {},
      send: request => client.receive(forgets ? numberless(request) : request),
    }
    const client = this.#host.connect({
      send: response => this.files.left > 0 && channel.onresponse(response),
      end: () => {},
    })
    this.#clients.push(client)
    return channel
  }

  /** It is gone; nothing of it is done any more. */
  end() {
    this.files.left = 0
    this.#host.closeNow()
  }
}

/** A request whose operations have no numbers. */
function numberless(request) {
  const without = request.slice()
  const view = new DataView(without.buffer)
  for (let at = 1; at < without.length; at += 4 + view.getUint32(at, true)) {
    // Gives something back that nobody has.
    if (without[at + 4] === Operation.Number) without.set([Operation.Release, 0], at + 4)
  }
  return without
}

function openOn(link) {
  const db = new DatabaseOf('once', 'file', 'sync', link, async () => link.end(new LightningError('Closed')))
  return { db, items: db.collection('items', { key: 'id', indexes: { group: 'group' } }), counts: db.table('counts', { value: 'i64' }) }
}

/** What is in the database. */
async function contents({ items, counts }) {
  const rows = await items.query().toArray()
  const entries = []
  for await (const entry of counts.scan()) entries.push(entry)
  return { rows, entries }
}

/** What was asked has come to this. */
const outcome = asked => asked.then(value => value ?? null, error => error.code)

/** What one page asks, some of it at once: what comes of each. */
async function work({ db, items, counts }) {
  const outcomes = []
  const all = async (...asked) => outcomes.push(...(await Promise.all(asked.map(outcome))))
  await all(items.put({ id: 1, group: 1, n: 0 }), items.insert({ id: 2, group: 1, n: 0 }), counts.put('a', 10n))
  await all(counts.increment('a'), counts.increment('a', 5n), items.update(1, { n: increment(1) }), items.insert({ id: 1 }), items.delete(2), items.delete(2), counts.increment('b'))
  // Several requests in flight.
  const turns = []
  for (let turn = 0; turn < 4; turn++) {
    turns.push(outcome(counts.increment('c')), outcome(items.update(1, { n: increment(1) })), outcome(items.delete(7)), outcome(items.insert({ id: 1 })))
    await null
  }
  outcomes.push(...(await Promise.all(turns)))
  await all(db.dropTable('none'), items.putMany([{ id: 3, group: 2 }, { id: 4, group: 2 }]), items.where('group').equals(2).update({ n: increment(3) }))
  await all(items.where('group').equals(2).delete(), items.insert({ id: 3 }), counts.compareAndSwap('c', 4n, 40n))
  await all(
    db.transaction(async tx => {
      const { n } = await tx.collection(items).get(1)
      await tx.collection(items).put({ id: 1, n: n + 100 })
      await tx.table(counts).increment('a')
    }),
    counts.increment('a'),
  )
  await all(db.dropCollection('none'), counts.delete('b'), counts.delete('b'))
  return outcomes
}

/**
 * Does the work while owners go away, each after so many writes and a part of the last; gives what came of it. What the engine
 * does is all it does: it `stops`, or its thread is gone.
 */
async function whileOwnersGo(work, kills, { part = 1, forgets = false, stops = false } = {}) {
  const link = new AsyncLink(() => more, undefined, true)
  let owner = new Owner(new Files())
  const [first, ...later] = kills
  const start = owner.files.writes
  owner.files.left = first ?? Infinity
  owner.files.part = part
  link.resume(owner.connect())
  const page = openOn(link)
  let isDone = false
  const working = work(page).finally(() => (isDone = true))
  let lasted = 0
  while (!isDone) {
    await new Promise(resolve => setImmediate(resolve))
    if (owner.files.left > 0) continue
    const files = owner.files.found()
    owner.end()
    link.lost(false, stops)
    owner = new Owner(files)
    owner.files.left = later.length > lasted ? later[lasted] : Infinity
    owner.files.part = part
    lasted++
    link.resume(owner.connect(forgets))
  }
  const outcomes = await working
  const result = { outcomes, contents: await contents(page), writes: owner.files.writes - start, losses: lasted }
  owner.end()
  return result
}

const PARTS = [1, 0.75, 0.5, 0.25]
const whole = await whileOwnersGo(work, [])

test('the work does something, and nothing goes wrong with it that is not to', () => {
  assert.ok(whole.writes > 20, `${whole.writes} writes`)
  assert.equal(whole.losses, 0)
  const codes = whole.outcomes.filter(outcome => typeof outcome === 'string')
  assert.deepEqual([...new Set(codes)], ['Unexpected'])
  assert.ok(whole.outcomes.includes(true) && whole.outcomes.includes(false) && whole.outcomes.includes(2))
})

/** How often the work came to something else when its owner went away at some write. */
async function wrongs(options) {
  const wrong = []
  for (const part of PARTS) {
    for (let kill = 1; kill < whole.writes; kill++) {
      const { outcomes, contents, losses } = await whileOwnersGo(work, [kill], { part, ...options })
      assert.equal(losses, 1)
      try {
        assert.deepEqual({ outcomes, contents }, { outcomes: whole.outcomes, contents: whole.contents })
      } catch (error) {
        wrong.push(`${part} of write ${kill}: ${error.message}`)
      }
    }
  }
  return wrong
}

test('an owner that goes away at any write, or within it, leaves nothing undone and does nothing twice', async () => {
  assert.deepEqual(await wrongs(), [])
})

test('without numbers it would', async () => {
  const { length } = await wrongs({ forgets: true })
  assert.ok(length > 10, `${length}`)
})

/** Counts up with several requests in flight: how often that was done, and what else was said. */
async function counting({ db, items, counts }) {
  while ((await outcome(items.put({ id: 1, n: 0 }))) === 'Restarted');
  const said = []
  const lanes = [0, 1, 2, 3].map(async lane => {
    for (let time = 0; time < 12; time++) {
      const one =
        lane === 0
          ? db.transaction(async tx => {
              const { n } = await tx.collection(items).get(1)
              await tx.collection(items).put({ id: 1, n: n + 1 })
              return true
            })
          : lane === 1
            ? items.update(1, { n: increment(1) })
            : counts.increment('n').then(() => 'counted')
      said.push(await outcome(one))
      for (let wait = lane; wait > 0; wait--) await null
    }
  })
  await Promise.all(lanes)
  return said
}

test('what was asked so long ago that it may have been forgotten is not known', async () => {
  const { now } = Date
  for (const minutes of [9, 11]) {
    const files = new Files()
    const owner = new Owner(files)
    const link = new AsyncLink(() => more, owner.connect(), true)
    const { counts } = openOn(link)
    await counts.put('n', 1)
    files.left = 1
    const asked = outcome(counts.increment('n'))
    await null
    const found = files.found()
    owner.end()
    link.lost(false)
    Date.now = () => now() + minutes * 60_000
    const next = new Owner(found)
    link.resume(next.connect())
    assert.equal(await asked, minutes === 9 ? 2 : 'CommitUnknown')
    assert.equal(await counts.get('n'), 2)
    Date.now = now
    next.end()
  }
})

test('what nobody can be asked about any more is not known, if it was begun', async () => {
  const files = new Files()
  const owner = new Owner(files)
  const link = new AsyncLink(() => more, owner.connect(), true)
  const { items, counts } = openOn(link)
  await Promise.all([counts.put('n', 1), items.put({ id: 1 })])
  files.left = 1
  const begun = [items.put({ id: 2 }), items.get(1), counts.increment('n')].map(outcome)
  await null
  owner.end()
  link.lost(false)
  const later = outcome(items.put({ id: 3 }))
  link.refuse(new LightningError('OwnerUnresponsive', ['once']))
  assert.deepEqual(await Promise.all([...begun, later]), ['CommitUnknown', 'OwnerUnresponsive', 'CommitUnknown', 'OwnerUnresponsive'])
})

for (const stops of [false, true]) {
  test(`what is acknowledged is counted once, when owners ${stops ? 'stop' : 'go away'} one after the other`, async () => {
    let [restarted, lost] = [0, 0]
    for (let round = 0; round < 60; round++) {
      const kills = Array.from({ length: 6 }, (_, at) => 1 + ((round * 7 + at * 13 + round * at) % (stops ? 11 : 9)))
      const part = PARTS[round % PARTS.length]
      const { outcomes, contents, losses } = await whileOwnersGo(counting, [1 + (round % 9), ...kills], { part, stops })
      const count = what => outcomes.filter(outcome => outcome === what).length
      const others = new Set(outcomes.filter(outcome => ![true, 'counted', 'Restarted'].includes(outcome)))
      assert.deepEqual([...others], [], `round ${round}`)
      const n = contents.rows[0]?.n ?? 0
      const c = Number(contents.entries[0]?.[1] ?? 0)
      assert.deepEqual([n, c], [count(true), count('counted')], `round ${round}`)
      restarted += count('Restarted')
      lost += losses
    }
    assert.ok(lost > 200, `${lost} owners`)
    assert.ok(restarted > 0)
  })
}
