// Runs what applications usually do on a copy of the engine that marks what of it runs, and writes down what did, stage by
// stage: `node profile.mjs DIST BEGIN COUNT FOLDER`. The marks are COUNT bytes of its memory from BEGIN on. Nothing here
// depends on time or chance, so that the same engine is always split in the same way.

import * as fs from 'node:fs'
import * as os from 'node:os'
import * as path from 'node:path'
import { pathToFileURL } from 'node:url'

const [dist, begin, count, folder] = process.argv.slice(2)

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
  memory ??= instance.exports.memory
  return instance
}

/** Runs a part of the profile and writes down what ran in it. */
function stage(name, run) {
  const marks = () => new Uint8Array(memory.buffer, Number(begin), Number(count))
  memory && marks().fill(0)
  run()
  fs.writeFileSync(path.join(folder, name), marks())
}

const { open } = await import(pathToFileURL(path.resolve(dist, 'sync-node.js')))
const place = fs.mkdtempSync(path.join(os.tmpdir(), 'lightning-profile-'))
const file = name => path.join(place, name)
const text = index => `key ${String(index * 7919 % 100_003).padStart(6, '0')}`

try {
  // A database that was closed, and one that was not.
  stage('close', () => {
    const db = open(file('a'))
    const table = db.table('notes')
    for (let index = 0; index < 300; index++) table.put(text(index * 3), { index, text: 'y'.repeat(index % 90) })
    idle()
    fs.copyFileSync(file('a.ldb'), file('killed.ldb'))
    fs.copyFileSync(file('a.ldb-log'), file('killed.ldb-log'))
    db.close()
    const again = open(file('a'))
    again.table('notes').put('b', 1)
    again.close()
    open(file('a')).close()
  })
  const opened = []
  stage('open', () => {
    for (const name of ['a', 'killed', 'new']) {
      const db = open(file(name))
      opened.push(db)
      const table = db.table('notes')
      table.get(text(3))
      table.get('none')
      table.put('a', { text: 'first', number: 1, list: [1.5, true, null], bytes: new Uint8Array(3) })
      for (let index = 0; index < 300; index++) table.put(text(index), { index, text: 'x'.repeat(index % 90) })
      table.get('a')
      table.get(text(5))
      table.delete(text(6))
      table.delete('none')
    }
  })
  stage('idle', () => {
    idle()
    intervals()
  })
  stage('tables', () => {
    for (const db of opened) {
      const table = db.table('notes')
      table.putMany(Array.from({ length: 500 }, (_, index) => [text(index + 200), { index }]))
      table.getMany([text(1), text(2), 'none'])
      for (const range of [{}, { from: text(5), limit: 10 }, { above: text(5), below: text(9), reverse: true }]) {
        table.scan(range).toArray()
      }
      for (const _ of table.scan({ limit: 3 })) break
      table.count()
      db.transaction(tx => {
        const notes = tx.table(table)
        notes.put('in', 1)
        notes.get('in')
        notes.get(text(4))
        notes.scan({ from: 'i', limit: 5 }).toArray()
        notes.delete(text(4))
      })
      try {
        db.transaction(() => { throw new Error('no') })
      } catch {}
      const bytes = db.table('bytes', { key: 'bytes', value: 'bytes' })
      for (let index = 0; index < 50; index++) bytes.put(new Uint8Array([index, 2]), new Uint8Array(200 + index))
      bytes.get(new Uint8Array([1, 2]))
      bytes.scan().toArray()
      const texts = db.table('texts', { key: 'string', value: 'string' })
      texts.put('a', 'b')
      texts.get('a')
      texts.scan().toArray()
      const numbers = db.table('numbers', { key: 'u64', value: 'i64' })
      numbers.put(1, 2)
      numbers.get(1)
      numbers.increment(1)
      numbers.scan().toArray()
      const any = db.table('any')
      for (const key of [1, -2.5, true, null, [1, 'a'], new Date(1e12), new Uint8Array(2)]) any.put(key, key)
      any.scan().toArray()
      const snapshot = db.snapshot()
      snapshot.table(table).get(text(1))
      snapshot.table(table).scan({ limit: 5 }).toArray()
      snapshot.close()
      db.sync()
    }
  })
  for (const db of opened) db.close()
  stage('growth', () => {
    const db = open(file('grown'))
    const table = db.table('records', { key: 'string', value: 'bytes' })
    for (let round = 0; round < 60; round++) {
      table.putMany(Array.from({ length: 1000 }, (_, index) => [text(index * 31 + round * 977), new Uint8Array(100).fill(index)]))
      idle()
    }
    table.put('large', new Uint8Array(100_000))
    table.get('large')
    for (let index = 0; index < 2000; index++) table.get(text(index * 37))
    table.scan({ limit: 5000 }).toArray()
    for (let round = 0; round < 20; round++) {
      db.transaction(tx => {
        for (let index = 0; index < 500; index++) tx.table(table).delete(text(index * 29 + round * 541))
      })
      idle()
    }
    table.count()
    idle()
    db.close()
    const again = open(file('grown'))
    again.table('records', { key: 'string', value: 'bytes' }).scan().toArray()
    again.close()
  })
  stage('documents', () => {
    const db = open(file('documents'))
    const people = db.collection('people', { key: 'id', indexes: { age: 'age', email: { path: 'email', unique: true }, place: ['country', 'city'] } })
    const person = index => ({ id: index, name: `name ${index}`, age: index % 90, email: `${index}@example.org`, country: 'at', city: `c${index % 7}`, tags: ['a', 'b'] })
    for (let index = 0; index < 50; index++) people.put(person(index))
    people.putMany(Array.from({ length: 500 }, (_, index) => person(index + 50)))
    people.insert(person(1000))
    people.get(7)
    people.getMany([1, 2, 9999])
    people.getBy('email', '7@example.org')
    people.where('age').between(30, 40).orderBy('age').limit(10).toArray()
    people.where('age').above(30).and('city').equals('c3').toArray()
    people.where('name').startsWith('name 1').toArray()
    people.query().toArray()
    people.query({ path: 'age', equals: 5 }).first()
    people.where('country').equals('at').orderBy('city', 'descending').limit(5).page()
    people.count()
    people.where('age').below(10).count()
    people.update(7, { age: 8 })
    people.delete(8)
    people.put({ ...person(9), age: 91 })
    for (const _ of people.where('age').in([1, 2])) break
    db.transaction(tx => {
      const inside = tx.collection(people)
      const found = inside.get(1)
      inside.put({ ...found, age: found.age + 1 })
      inside.where('age').above(80).toArray()
    })
    idle()
    intervals()
    db.close()
    const again = open(file('documents'))
    const same = again.collection('people', { key: 'id', indexes: { age: 'age', email: { path: 'email', unique: true }, place: ['country', 'city'] } })
    same.get(5)
    same.where('age').between(3, 4).toArray()
    again.close()
  })
  stage('live', () => {
    const db = open(file('documents'))
    const people = db.collection('people', { key: 'id' })
    const stop = people.where('age').above(30).orderBy('age').limit(20).watch(() => {})
    people.put({ id: 2000, age: 31, email: 'new@example.org' })
    people.put({ id: 2000, age: 3, email: 'new@example.org' })
    people.delete(2000)
    stop()
    const feed = db.changes('oldest')
    feed.next()
    feed.close()
    db.close()
  })
} finally {
  fs.rmSync(place, { recursive: true })
}
