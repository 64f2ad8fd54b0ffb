// Prints how long files are as they are, and compressed as servers compress them, and fails where all of them together have
// grown.

import * as fs from 'node:fs'
import * as zlib from 'node:zlib'

/** Bytes that a page may fetch, compressed by brotli. What is reached with a little room: it is lowered, never raised. */
const BROTLI_MAX = 334_000

const rows = process.argv.slice(2).map(name => {
  const bytes = fs.readFileSync(name)
  const brotli = zlib.brotliCompressSync(bytes, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 11, [zlib.constants.BROTLI_PARAM_LGWIN]: 24 } })
  return [name, bytes.length, zlib.gzipSync(bytes, { level: 9 }).length, brotli.length]
})
rows.push(['together', ...[1, 2, 3].map(column => rows.reduce((sum, row) => sum + row[column], 0))])
console.log(`${''.padEnd(20)}${'bytes'.padStart(10)}${'gzip'.padStart(10)}${'brotli'.padStart(10)}`)
for (const [name, ...sizes] of rows) console.log(name.padEnd(20) + sizes.map(size => String(size).padStart(10)).join(''))
const together = rows.at(-1)[3]
if (together > BROTLI_MAX) {
  console.error(`a page fetches ${together} bytes, ${together - BROTLI_MAX} more than sizes.mjs allows; 'cargo xtask package npm --sizes' shows what they are`)
  process.exitCode = 1
}
