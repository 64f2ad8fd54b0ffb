// Measures this package in Node beside other databases with an interface of their own for JavaScript: a process for each peer
// and round, the peers in turn, on the disk. Prints medians, and how far the best of the others is.
//
//   node run.mjs PACKAGE_DIST PEERS_FOLDER [--rounds 3] [--peers a,b] [--quick]

import { fork } from 'node:child_process'
import * as fs from 'node:fs'
import * as os from 'node:os'
import * as path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { median, shown } from '../browser-bench/figures.mjs'
import { PEERS } from './peers.mjs'

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '3' }, peers: { type: 'string' }, quick: { type: 'boolean', default: false } },
})
const [dist, peersFolder] = positionals
const OURS = ['lightning', 'lightning-sync']
const peers = options.peers ? [...OURS, ...options.peers.split(',').filter(peer => !OURS.includes(peer))] : Object.keys(PEERS)
const sizes = options.quick
  ? { loaded: 10_000, durable: 100, relaxed: 1000, gets: 1000, together: 1000 }
  : { loaded: 100_000, durable: 1000, relaxed: 10_000, gets: 10_000, together: 10_000 }

/** What one process says of one peer. */
function measured(peer, folder) {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(new URL('./one.mjs', import.meta.url)), [peer, folder, dist, peersFolder, JSON.stringify(sizes)])
    child.once('message', resolve)
    child.once('error', reject)
    child.once('exit', code => reject(new Error(`it ended with ${code}`)))
  })
}

const results = new Map(peers.map(peer => [peer, new Map()]))
for (let round = 1; round <= Number(options.rounds); round++) {
  for (const peer of peers) {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), `lightning-node-bench-${peer}-`))
    try {
      for (const [row, value] of Object.entries(await measured(peer, folder))) {
        const rows = results.get(peer)
        rows.set(row, [...(rows.get(row) ?? []), value])
      }
      console.error(`round ${round}: ${peer}`)
    } catch (error) {
      console.error(`round ${round}: ${peer} FAILED: ${error.message}`)
    } finally {
      fs.rmSync(folder, { recursive: true, force: true })
    }
  }
}

const others = peers.filter(peer => !OURS.includes(peer))
console.log(`| | ${peers.join(' | ')} | best peer | best / ours |`)
console.log(`|---|${peers.map(() => '--:').join('|')}|---|--:|`)
for (const row of results.get(OURS[0]).keys()) {
  const value = peer => (results.get(peer).has(row) ? median(results.get(peer).get(row)) : undefined)
  const best = others.filter(peer => value(peer) !== undefined).sort((one, other) => value(one) - value(other))[0]
  // Without promises is beside those that have none, where both are measured.
  const ours = Math.min(...OURS.map(value).filter(ms => ms !== undefined))
  console.log(`| ${row} | ${peers.map(peer => shown(value(peer))).join(' | ')} | ${best ?? '–'} | ${shown(best && value(best) / ours)} |`)
}
