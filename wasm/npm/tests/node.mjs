// Runs the tests of the package in Node, and says in the end how many there were.

import { run } from 'node:test'
import { fileURLToPath } from 'node:url'

const files = ['conformance.mjs', 'errors.mjs', 'keys.mjs', 'bad-input.mjs', 'table-types.mjs', 'processes.mjs', 'readme.mjs', 'types.mjs', 'react.mjs', 'lengths.mjs', 'backups.mjs', 'blobs.mjs', 'signals.mjs', 'sharing.mjs', 'once.mjs'].map(name => fileURLToPath(new URL(name, import.meta.url)))
let passed = 0
let failed = 0
run({ files })
  .on('test:pass', ({ name, details }) => {
    if (details.type === 'suite') return
    passed++
    console.log(`ok ${name}`)
  })
  .on('test:fail', ({ name, details }) => {
    failed++
    console.log(`FAILED ${name}\n${details.error.cause?.stack ?? details.error.stack}`)
  })
  .on('end', () => {
    console.log(`test result: ${failed === 0 ? 'ok' : 'FAILED'}. ${passed} passed; ${failed} failed`)
    process.exitCode = failed === 0 ? 0 : 1
  })
  .resume()
