// Measures this package beside other databases in Chromium: a page of its own for each peer and round, the peers in turn, on
// a profile on disk. Prints medians, and how far the best of the others is.
//
//   node run.mjs PEERS_FOLDER [--rounds 3] [--peers a,b] [--quick]
//
// Where Chromium and playwright-core are is in the environment.

import * as fs from 'node:fs'
import * as path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import * as zlib from 'node:zlib'
import { launch, newProfile } from '../../wasm/npm/tests/browser/chromium.mjs'
import { serve } from '../../wasm/npm/tests/browser/server.mjs'
import { median, shown } from './figures.mjs'

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '3' }, peers: { type: 'string' }, quick: { type: 'boolean', default: false } },
})
const [peersFolder] = positionals

const PEERS = ['lightning', 'lightning-indexeddb', 'indexeddb', 'idb', 'dexie', 'sqlite-wasm', 'wa-sqlite', 'pglite']
const OURS = 'lightning'
const peers = options.peers ? [OURS, ...options.peers.split(',').filter(peer => peer !== OURS)] : PEERS
const sizes = options.quick
  ? { loaded: 10_000, durable: 100, inFlight: 1000, gets: 1000, ranges: 100 }
  : { loaded: 100_000, durable: 1000, inFlight: 10_000, gets: 10_000, ranges: 1000 }
const PHASE_MS_MAX = 600_000
/** What a peer fetched. */
let fetched = new Set()
const { address, close } = await serve(
  {
    '/lightning/': fileURLToPath(new URL('../../wasm/npm/dist/', import.meta.url)),
    '/modules/': path.join(peersFolder, 'node_modules/'),
    '/': fileURLToPath(new URL('.', import.meta.url)),
  },
  (file, prefix) => prefix !== '/' && fetched.add(file),
  // As sites serve libraries: who comes again has them.
  { 'cache-control': 'max-age=3600' },
)

const results = new Map(peers.map(peer => [peer, { times: new Map(), bytes: [], wire: 0 }]))
const note = (peer, phase, ms) => {
  const { times } = results.get(peer)
  times.set(phase, [...(times.get(phase) ?? []), ms])
}

for (let round = 1; round <= Number(options.rounds); round++) {
  for (const peer of peers) {
    // A profile of its own, so that nobody pays for what others have stored.
    const profile = newProfile()
    const context = await launch(profile)
    try {
      const visit = async work => {
        const page = await context.newPage()
        page.setDefaultTimeout(PHASE_MS_MAX)
        await page.goto(`${address}/page.html`)
        await page.waitForFunction(() => window.bench)
        const result = await page.evaluate(work.run, work.with)
        await page.close()
        return result
      }
      fetched = new Set()
      const before = await visit({ run: () => window.bench.stored(), with: null })
      const { times, bytes } = await visit({ run: ([peer, name, sizes]) => window.bench.run(peer, name, sizes), with: [peer, 'bench', sizes] })
      if (round === 1) {
        for (const file of fetched) results.get(peer).wire += zlib.brotliCompressSync(fs.readFileSync(file)).length
      }
      for (const [phase, ms] of Object.entries(times)) note(peer, phase, ms)
      results.get(peer).bytes.push(bytes - before)
      note(peer, 'open, there', await visit({ run: ([peer, name]) => window.bench.reopen(peer, name), with: [peer, 'bench'] }))
      console.error(`round ${round}: ${peer}`)
    } catch (error) {
      console.error(`round ${round}: ${peer} FAILED: ${error.message}`)
    } finally {
      await context.close()
      fs.rmSync(profile, { recursive: true, force: true })
    }
  }
}
close()

const phases = [...results.get(OURS).times.keys()]
const others = peers.filter(peer => !peer.startsWith(OURS))
const rows = phases.map(phase => [`${phase}, ms`, peer => results.get(peer).times.get(phase)])
rows.push(['stored, MB', peer => results.get(peer).bytes.map(bytes => bytes / 1e6)])
rows.push(['over the wire, kB (brotli)', peer => [results.get(peer).wire / 1000]])
console.log(`| | ${peers.join(' | ')} | best peer | best / ours |`)
console.log(`|---|${peers.map(() => '--:').join('|')}|--:|--:|`)
for (const [name, of] of rows) {
  const value = peer => (of(peer)?.length ? median(of(peer)) : undefined)
  const best = others.filter(peer => value(peer) !== undefined && !(name.startsWith('over') && value(peer) === 0)).sort((one, other) => value(one) - value(other))[0]
  const ratio = best === undefined ? undefined : value(best) / value(OURS)
  console.log(`| ${name} | ${peers.map(peer => shown(value(peer))).join(' | ')} | ${best ?? '–'} | ${shown(ratio)} |`)
}
