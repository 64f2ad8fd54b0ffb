// Runs the tests of the package in Node, and says in the end how many there were.

import { run } from 'node:test'
import { fileURLToPath } from 'node:url'
import { conclude, fail, pass } from './tally.mjs'

const files = ['conformance.mjs', 'errors.mjs', 'keys.mjs', 'bad-input.mjs', 'table-types.mjs', 'processes.mjs', 'readme.mjs', 'types.mjs', 'react.mjs', 'lengths.mjs', 'backups.mjs', 'encryption.mjs', 'blobs.mjs', 'signals.mjs', 'sharing.mjs', 'once.mjs', 'floor.mjs', 'version.mjs', 'turns.mjs'].map(name => fileURLToPath(new URL(name, import.meta.url)))
run({ files })
  .on('test:pass', ({ name, details }) => {
    if (details.type !== 'suite') pass(name)
  })
  .on('test:fail', ({ name, details }) => fail(name, details.error.cause ?? details.error))
  .on('end', conclude)
  .resume()
