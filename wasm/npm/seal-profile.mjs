// Prints what encryption costs in Node, in CPU time, the best of some rounds: `node seal-profile.mjs [ROUNDS [FOLDER]]`. It wants the
// built package, and a folder in memory.

import * as fs from 'node:fs'
import * as path from 'node:path'
import { open } from './dist/node.js'

const [rounds = '5', folder = '/dev/shm'] = process.argv.slice(2)
const ENTRIES = 200_000
const GETS = 20_000
const ASKED_TOGETHER = 100

const key = new Uint8Array(32).fill(1)
const KINDS = {
  'not encrypted': undefined,
  'ChaCha20-Poly1305': { key, cipher: 'chacha20-poly1305' },
  'AES-256-GCM': { key, cipher: 'aes-256-gcm' },
}

let state = 1
const random = () => (state = (state * 1103515245 + 12345) & 0x7fffffff)

const best = {}
for (let round = 0; round < Number(rounds); round++) {
  for (const [name, encryption] of Object.entries(KINDS)) {
    const found = await measured(encryption)
    best[name] ??= found
    for (const [what, figure] of Object.entries(found)) best[name][what] = Math.min(best[name][what], figure)
  }
}
console.table(best)

const words = { passphrase: 'correct horse battery staple' }
const file = fresh()
await (await open(file, { encryption: words })).close()
let quickest = Infinity
for (let round = 0; round < Number(rounds); round++) {
  const begin = performance.now()
  const database = await open(file, { encryption: words })
  quickest = Math.min(quickest, performance.now() - begin)
  await database.close()
}
fs.rmSync(file)
console.log(`opening by a passphrase: ${quickest.toFixed(0)} ms`)

async function measured(encryption) {
  const file = fresh()
  const database = await open(file, { encryption, durability: 'relaxed', memoryBudgetBytes: 8 << 20 })
  const table = database.table('entries')
  const value = new Int32Array(25)
  const found = {}
  let begun = process.cpuUsage()
  const note = (what, each) => {
    const { user, system } = process.cpuUsage(begun)
    found[what] = Number(((user + system) / each).toFixed(1))
    begun = process.cpuUsage()
  }
  for (let at = 0; at < ENTRIES; at++) {
    table.put(at, new Uint8Array(value.map(random).buffer))
    if (at % 2000 === 0) await table.get(0)
  }
  await database.compact()
  note('loading, ms', 1000)
  const gets = []
  for (let at = 0; at < GETS; at++) {
    gets.push(table.get(random() % ENTRIES))
    if (at % ASKED_TOGETHER === 0) await gets.at(-1)
  }
  await Promise.all(gets)
  note('a get that is seldom cached, µs', GETS)
  for await (const _ of table.scan());
  note('a scan of all, ms', 1000)
  await database.close()
  fs.rmSync(file)
  return found
}

function fresh() {
  const file = path.join(folder, `seal-profile-${process.pid}.ldb`)
  fs.rmSync(file, { force: true })
  return file
}
