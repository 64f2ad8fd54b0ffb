// Measures one peer, in a process of its own: `node one.mjs PEER FOLDER PACKAGE_DIST PEERS_FOLDER SIZES`. Every answer is checked.

import assert from 'node:assert/strict'
import * as fs from 'node:fs'
import * as path from 'node:path'
import { keyOf, records } from '../browser-bench/records.mjs'
import { PEERS } from './peers.mjs'

const [peer, folder, dist, peersFolder, json] = process.argv.slice(2)
const sizes = JSON.parse(json)
const rows = {}

async function time(row, work) {
  const start = performance.now()
  const result = await work()
  rows[row] = performance.now() - start
  return result
}

const entries = (first, count) => records(first, count).map(({ id, value }) => [id, value])
/** Numbers of records that are there, in no order. */
const some = count => Array.from({ length: count }, (_, at) => Math.imul(at + 1, 0x9e3779b1) >>> 0).map(number => number % sizes.loaded)
const same = (found, number) => assert.ok(found && Buffer.compare(found, records(number, 1)[0].value) === 0, `record ${number} is another`)
const bytesIn = at =>
  fs.statSync(at).isDirectory() ? fs.readdirSync(at).reduce((sum, name) => sum + bytesIn(path.join(at, name)), 0) : fs.statSync(at).size

const open = await PEERS[peer](dist, peersFolder)
const loaded = entries(0, sizes.loaded)
const durable = entries(sizes.loaded, sizes.durable)
const relaxed = entries(sizes.loaded + sizes.durable, sizes.relaxed)

let db = await time('open, new, ms', () => open(folder, { durable: true }))
await time('load, ms', async () => {
  // In transactions of a tenth each: the memory for one is limited here.
  for (let at = 0; at < loaded.length; at += sizes.loaded / 10) await db.putMany(loaded.slice(at, at + sizes.loaded / 10))
})
await time('put, durable, one by one, ms', async () => {
  for (const [key, value] of durable) await db.put(key, value)
})
await db.close()
db = await open(folder, { durable: false })
await time('put, not synced, one by one, ms', async () => {
  if (db.isSync) for (const [key, value] of relaxed) db.put(key, value)
  else for (const [key, value] of relaxed) await db.put(key, value)
})
const asked = some(sizes.gets)
const found = await time('get, one by one, ms', async () => {
  const found = []
  if (db.isSync) for (const number of asked) found.push(db.get(keyOf(number)))
  else for (const number of asked) found.push(await db.get(keyOf(number)))
  return found
})
found.forEach((value, at) => same(value, asked[at]))
const together = some(sizes.together)
const keys = together.map(keyOf)
const all = await time('get, together, ms', () => db.getMany(keys))
assert.equal(all.length, keys.length)
all.forEach((value, at) => same(value, together[at]))
const count = await time('scan, ms', () => db.scan())
assert.equal(count, sizes.loaded + sizes.durable + sizes.relaxed)
await db.close()
rows['stored, MB'] = bytesIn(folder) / 1e6
db = await time('open, there, and get, ms', async () => {
  const db = await open(folder, { durable: true })
  same(await db.get(keyOf(7)), 7)
  return db
})
await db.close()
process.send(rows, () => process.exit(0))
