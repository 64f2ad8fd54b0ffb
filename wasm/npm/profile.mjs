// Runs what applications usually do on a copy of the engine that marks what of it runs, and writes down what did, stage by
// stage: `node profile.mjs DIST FIRST COUNT FOLDER`. The marks are COUNT bytes of its memory from FIRST on. Nothing here
// depends on time or chance, so that the same engine is always split in the same way.

import * as fs from 'node:fs'
import * as os from 'node:os'
import * as path from 'node:path'
import { pathToFileURL } from 'node:url'

const [dist, first, count, folder] = process.argv.slice(2)

// Time goes on by a little at each look, and randomness is a sequence.
let now = 1_700_000_000_000
Date.now = () => (now += 0.125)
performance.now = () => (now += 0.125) - 1_700_000_000_000
let state = 1
Object.defineProperty(globalThis, 'crypto', {
  value: {
    getRandomValues(bytes) {
      for (let at = 0; at < bytes.length; at++) bytes[at] = (state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0) >>> 16
      return bytes
    },
  },
})

// Timers run when they are called for.
const timers = new Map()
let lastTimer = 0
globalThis.setTimeout = (run, ms = 0) => (timers.set(++lastTimer, { run, ms }), lastTimer)
globalThis.setInterval = (run, ms) => (timers.set(++lastTimer, { run, ms, again: true }), lastTimer)
globalThis.clearTimeout = globalThis.clearInterval = timer => timers.delete(timer)

/** Background work, until there is none. */
function idle(rounds = 1000) {
  for (let round = 0; round < rounds; round++) {
    const next = [...timers].find(([, { ms, again }]) => !again && ms < 1000)
    if (!next) return
    timers.delete(next[0])
    now += 10
    next[1].run()
  }
}

/** What happens at intervals, once. */
function intervals() {
  for (const { run, again } of [...timers.values()]) if (again) run()
}

let memory
const { Instance } = WebAssembly
WebAssembly.Instance = function (module, imports) {
  const instance = new Instance(module, imports)
  memory ??= Object.values(instance.exports).find(each => each instanceof WebAssembly.Memory)
  return instance
}

/** Runs a part of the profile, and adds what ran in it to what is known of the stage. */
async function stage(name, run) {
  const marks = () => new Uint8Array(memory.buffer, Number(first), Number(count))
  memory && marks().fill(0)
  await run()
  const file = path.join(folder, name)
  const all = fs.existsSync(file) ? fs.readFileSync(file) : new Uint8Array(Number(count))
  marks().forEach((mark, at) => (all[at] |= mark))
  fs.writeFileSync(file, all)
}

const { open, openNow } = await import(pathToFileURL(path.resolve(dist, 'profiled.js')))
const place = fs.mkdtempSync(path.join(os.tmpdir(), 'lightning-profile-'))
const file = name => path.join(place, name)
const text = index => `key ${String((index * 7919) % 100_003).padStart(6, '0')}`
const SCHEMA = { key: 'id', indexes: { age: 'age', email: { path: 'email', unique: true }, place: ['country', 'city'] } }
const person = index => ({
  id: index,
  name: `name ${index}`,
  age: index % 90,
  email: `${index}@example.org`,
  country: 'at',
  city: `c${index % 7}`,
  tags: ['a', 'b'],
})

/** As a killed process leaves a database. */
function kill(name, copy) {
  fs.copyFileSync(file(`${name}.ldb`), file(`${copy}.ldb`))
  fs.copyFileSync(file(`${name}.ldb-log`), file(`${copy}.ldb-log`))
}

/** Calls that are answered together. */
async function firstSteps(db) {
  const table = db.table('notes')
  await table.get('a')
  await table.put('a', { text: 'first', number: 1, list: [1.5, true, null], bytes: new Uint8Array(3) })
  await Promise.all(Array.from({ length: 300 }, (_, index) => table.put(text(index), { index, text: 'x'.repeat(index % 90) })))
  for (const key of ['a', text(5), 'none']) await table.get(key)
  await table.delete(text(6))
  await table.delete('none')
  for (const key of [1, -2.5, true, null, [1, 'a'], new Date(1e12), new Uint8Array(2)]) {
    await table.put(key, key)
    await table.get(key)
  }
  await table.get('large')
  // Of every length that lies where keys do, over and over, so that they do not fit where those before lie.
  for (const round of [0, 1]) {
    await Promise.all(SHORT.map(length => table.put(`of ${length}`, new Uint8Array(length).fill(round))))
    for (const length of SHORT) await table.get(`of ${length}`)
  }
  for (let index = 0; index < 40; index++) await table.put(`more ${index % 30}`, 'y'.repeat((index * 379) % 8000))
  for (const length of SHORT) await table.delete(`of ${length}`)
  await db.sync()
}

/** Within `transact`, which runs steps one after the other in a transaction. */
async function tables(db, transact) {
  const table = db.table('notes')
  await table.putMany(Array.from({ length: 500 }, (_, index) => [text(index + 200), { index }]))
  await table.delete('inserted')
  await table.insert('inserted', 1)
  await table.replace('inserted', 2)
  for (const refused of [() => table.insert(text(10), 1), () => table.replace('missing', 1)]) {
    try {
      await refused()
    } catch {}
  }
  await table.put('large', new Uint8Array(100_000))
  await table.put('large', new Uint8Array(3000))
  await table.put('large', new Uint8Array(100_000))
  await table.getMany([text(1), text(2), 'none'])
  for (const range of [{}, { from: text(5), limit: 10 }, { above: text(5), below: text(9), reverse: true }]) {
    await table.scan(range).toArray()
  }
  for await (const _ of table.scan({ limit: 3 })) break
  await table.count()
  await table.deleteRange({ from: text(20), to: text(21) })
  await table.compareAndSwap('swapped', undefined, 1)
  await table.compareAndSwap('swapped', 2, 3)
  await transact(db, tx => {
    const notes = tx.table(table)
    return [
      () => notes.put('in', 1),
      () => notes.get('in'),
      () => notes.get(text(4)),
      () => notes.get(text(299)),
      () => notes.scan({ from: 'i', limit: 5 }).toArray(),
      () => notes.delete(text(4)),
    ]
  })
  const types = [
    ['bytes', 'bytes', index => new Uint8Array([index, 2]), index => new Uint8Array(200 + index)],
    ['string', 'string', index => `${index}`, index => `${index}`],
    ['u64', 'i64', index => index, index => index],
  ]
  for (const [key, value, keyOf, valueOf] of types) {
    const typed = db.table(`of ${key}`, { key, value })
    for (let index = 0; index < 50; index++) await typed.put(keyOf(index), valueOf(index))
    await typed.get(keyOf(1))
    await typed.get(keyOf(99))
    await typed.scan().toArray()
    await typed.delete(keyOf(2))
  }
  await db.table('of u64', { key: 'u64', value: 'i64' }).increment(1)
  const snapshot = await db.snapshot()
  await snapshot.table(table).get(text(1))
  await snapshot.table(table).scan({ limit: 5 }).toArray()
  snapshot.close()
  await db.stats()
}

async function documents(db, transact) {
  const people = db.collection('people', SCHEMA)
  for (let index = 0; index < 50; index++) await people.put(person(index))
  await people.putMany(Array.from({ length: 500 }, (_, index) => person(index + 50)))
  await people.delete(1000)
  await people.insert(person(1000))
  await people.get(7)
  await people.get(7777)
  await people.getMany([1, 2, 9999])
  await people.getBy('email', '7@example.org')
  await people.where('age').between(30, 40).orderBy('age').limit(10).toArray()
  await people.where('age').above(30).and('city').equals('c3').toArray()
  await people.where('name').startsWith('name 1').toArray()
  await people.query().toArray()
  await people.query({ path: 'age', equals: 5 }).first()
  await people.where('country').equals('at').orderBy('city', 'descending').limit(5).page()
  await people.count()
  await people.where('age').below(10).count()
  await people.update(7, { age: 8 })
  await people.delete(8)
  await people.put({ ...person(9), age: 91 })
  for await (const _ of people.where('age').in([1, 2])) break
  await transact(db, tx => {
    const inside = tx.collection(people)
    return [() => inside.get(1), () => inside.put(person(1)), () => inside.where('age').above(80).toArray()]
  })
}

/** Little is asked of a schema. */
async function plain(db) {
  const notes = db.collection('plain', { key: 'id' })
  await notes.get(1)
  await notes.put({ id: 1, text: 'a' })
  await notes.put({ id: 'b', text: 'a' })
  await notes.get(1)
  await notes.query().toArray()
  await db.collection('people').get(2)
}

const PAGES = { key: 'id', indexes: { number: 'number' } }

/** Documents of every length, many of them in one transaction, and such as go by themselves. */
async function pages(db) {
  const pages = db.collection('pages', PAGES)
  const page = (index, length) => ({ id: text(index * 31), number: (index * 7919) % 5000, text: 'x'.repeat(length) })
  await pages.putMany(Array.from({ length: 5000 }, (_, index) => page(index, 90 + (index % 100))))
  for (const [at, length] of LENGTHS.entries()) await pages.put(page(at, length))
  await pages.put(page(20, 200))
  await db.table('many').putMany(Array.from({ length: 5000 }, (_, index) => [text(index * 17), { index }]))
  const sessions = db.collection('sessions', { key: 'id', expiresAfterMs: 1000 })
  await sessions.putMany([{ id: 1 }, { id: 2 }])
  await sessions.get(1)
  now += 60_000
  await sessions.get(1)
  intervals()
}

/** The engine keeps longer ones elsewhere. */
const SHORT = [0, 1, 30, 120, 260, 700, 1500, 3000, 5000, 8000]
const LENGTHS = [150, 300, 1000, 3000, 10_000, 100_000]

async function readPages(db) {
  const pages = db.collection('pages', PAGES)
  const keys = LENGTHS.map((_, at) => text(at * 31))
  for (const key of [...keys, text(310), 'none']) await pages.get(key)
  await pages.getMany([...keys, text(620), 'none'])
  for (const from of [1, 2500]) await pages.where('number').from(from).orderBy('number').limit(20).toArray()
  await pages.query().toArray()
  await pages.count()
}

async function live(db) {
  const people = db.collection('people', SCHEMA)
  await people.get(5)
  const stop = people.where('age').above(30).orderBy('age').limit(20).watch(() => {})
  await people.put({ ...person(2000), age: 31 })
  await people.put({ ...person(2000), age: 3 })
  await people.delete(2000)
  stop()
  const feed = db.changes('oldest')
  await feed.next()
  feed.close()
}

async function grow(db, way) {
  const table = db.table('records', { key: 'string', value: 'bytes' })
  for (let round = 0; round < 60; round++) {
    await table.putMany(Array.from({ length: 1000 }, (_, index) => [text(index * 31 + round * 977), new Uint8Array(100).fill(index)]))
    if (round % 10 === 9) kill(`grown ${way}`, `killed ${round} ${way}`)
    idle()
    if (round % 20 === 9) kill(`grown ${way}`, `killed ${round + 1} ${way}`)
  }
  await table.put('large', new Uint8Array(100_000))
  await table.get('large')
  for (let index = 0; index < 2000; index++) await table.get(text(index * 37))
  await table.scan({ limit: 5000 }).toArray()
  for (let round = 0; round < 20; round++) {
    for (let index = 0; index < 100; index++) await table.delete(text(index * 29 + round * 541))
    idle()
  }
  await table.count()
}

const later = async (db, steps) => {
  await db.transaction(async tx => {
    for (const step of steps(tx)) await step()
  })
  await db.transaction(() => Promise.reject(new Error('no'))).catch(() => {})
}
const atOnce = (db, steps) => {
  db.transaction(tx => steps(tx).forEach(step => step()))
  try {
    db.transaction(() => {
      throw new Error('no')
    })
  } catch {}
}

try {
  // Memory is new, too, when a page opens its first database.
  for (const [begin, transact, way] of [[open, later, 'later'], [openNow, atOnce, 'now']]) {
    const name = what => file(`${what} ${way}`)
    let db
    await stage('open', async () => {
      db = await begin(name('small'))
      await firstSteps(db)
    })
    await stage('tables', () => tables(db, transact))
    kill(`small ${way}`, `killed ${way}`)
    await stage('close', async () => {
      idle()
      await db.close()
      db = await begin(name('small'))
      await db.table('notes').put('b', 1)
      idle()
      await db.close()
    })
    // Closed at once, new and again.
    for (let time = 0; time < 2; time++) {
      await stage('open', async () => {
        db = await begin(name('untouched'))
      })
      await stage('close', () => db.close())
    }
    await stage('documents', async () => {
      db = await begin(name('documents'))
      await documents(db, transact)
      await plain(db)
      await firstSteps(db)
      await pages(db)
      await readPages(db)
    })
    kill(`documents ${way}`, `killed documents ${way}`)
    await stage('close', () => db.close())
    // What was closed, and what was not.
    for (const what of ['small', 'killed', 'documents', 'killed documents']) {
      await stage('open', async () => {
        db = await begin(name(what))
        await firstSteps(db)
      })
      await stage('idle', () => idle())
      await stage('tables', () => tables(db, transact))
      if (what.endsWith('documents')) {
        await stage('documents', async () => {
          await plain(db)
          intervals()
          await documents(db, transact)
          intervals()
        })
        await stage('live', () => live(db))
      }
      await stage('close', () => db.close())
    }
    // Nothing is written before documents are read, whichever way they were kept.
    for (const what of ['documents', 'killed documents']) {
      await stage('documents', async () => {
        db = await begin(name(what))
        await db.collection('people', SCHEMA).get(3)
        await readPages(db)
        await plain(db)
        await pages(db)
        await readPages(db)
      })
      await stage('close', () => db.close())
    }
    // Killed again and again, before anything was written, and after.
    for (const what of ['small', 'documents']) {
      let last = `killed ${what}`
      for (let time = 0; time < 4; time++) {
        const next = `${last} again`
        await stage('open', async () => {
          db = await begin(name(last))
          kill(`${last} ${way}`, `${next} ${way}`)
          await db.table('notes').get(text(5))
          if (time % 2 === 1) await db.table('notes').put('b', time)
        })
        if (time % 2 === 1) kill(`${last} ${way}`, `${next} ${way}`)
        await stage('close', () => db.close())
        last = next
      }
    }
    await stage('growth', async () => {
      db = await begin(name('grown'))
      await grow(db, way)
      idle()
      await db.close()
      db = await begin(name('grown'))
      await db.table('records', { key: 'string', value: 'bytes' }).scan().toArray()
      await db.close()
    })
    for (const rounds of [9, 10, 19, 29, 30, 39, 49, 50, 59]) {
      await stage('open', async () => {
        db = await begin(name(`killed ${rounds}`))
        const table = db.table('records', { key: 'string', value: 'bytes' })
        for (let index = 0; index < 50; index++) await table.get(text(index * 977))
        await table.put('later', new Uint8Array(1))
      })
      await stage('growth', () => db.close())
    }
  }
} finally {
  fs.rmSync(place, { recursive: true })
}
