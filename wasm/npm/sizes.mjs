// Prints how long files are as they are, and compressed as servers compress them, and fails where those that every page
// fetches, or those of encrypted databases, have grown together: `node sizes.mjs FILE… -- FILE…`, those behind the dashes being fetched apart from them. What each use
// of the package fetches in all is printed, too.

import * as fs from 'node:fs'
import * as zlib from 'node:zlib'

/** Bytes that every page fetches, compressed by brotli. What is reached with a little room: it is lowered, never raised. */
const BROTLI_MAX = 100_000
/** The same for what a page fetches to open an encrypted database, beside `index.js`. */
const ENCRYPTED = ['encryption.js', 'worker-encrypted.js', 'encrypted.wasm']
const ENCRYPTED_MAX = 400_000

const names = process.argv.slice(2)
const dashes = names.indexOf('--')
const [first, apart] = dashes < 0 ? [names, []] : [names.slice(0, dashes), names.slice(dashes + 1)]

function measured(name) {
  const bytes = fs.readFileSync(name)
  const brotli = zlib.brotliCompressSync(bytes, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 11, [zlib.constants.BROTLI_PARAM_LGWIN]: 24 } })
  return [name, bytes.length, zlib.gzipSync(bytes, { level: 9 }).length, brotli.length]
}

const rows = first.map(measured)
const together = ['together', ...[1, 2, 3].map(column => rows.reduce((sum, row) => sum + row[column], 0))]
const others = apart.map(measured)
console.log(`${''.padEnd(20)}${'bytes'.padStart(10)}${'gzip'.padStart(10)}${'brotli'.padStart(10)}`)
for (const [name, ...sizes] of [...rows, together, ...others]) console.log(name.padEnd(20) + sizes.map(size => String(size).padStart(10)).join(''))
/** What is fetched for a use, beside what the uses before it have fetched. */
const USES = [
  ['opening, putting, getting', first],
  ['a second later', ['lightning-2.wasm', 'lightning-3.wasm']],
  ['ranges, transactions', ['later.js']],
  ['collections', ['lightning-4.wasm']],
  ['what is rare, IndexedDB', ['lightning-5.wasm', 'worker.js']],
]
let all = 0
console.log('\ntogether by brotli, for')
for (const [use, files] of USES) {
  for (const [name, , , brotli] of [...rows, ...others]) if (files.includes(name)) all += brotli
  console.log(use.padEnd(40) + String(all).padStart(10))
}
const encrypted = others.filter(([name]) => ENCRYPTED.includes(name)).reduce((sum, [, , , brotli]) => sum + brotli, 0)
console.log('\nan encrypted database, with index.js'.padEnd(41) + String(rows[0][3] + encrypted).padStart(10))
if (encrypted > ENCRYPTED_MAX) {
  console.error(`an encrypted database takes ${encrypted} bytes, ${encrypted - ENCRYPTED_MAX} more than sizes.mjs allows`)
  process.exitCode = 1
}
if (together[3] > BROTLI_MAX) {
  console.error(`a page fetches ${together[3]} bytes, ${together[3] - BROTLI_MAX} more than sizes.mjs allows; 'cargo xtask package npm --sizes' shows what they are`)
  process.exitCode = 1
}
