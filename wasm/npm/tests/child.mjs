// A process of its own that opens a database: it only holds it, or writes to it until it is killed, and says what was acknowledged.

import { open } from '../dist/node.js'

const [, , task, location, durability = 'sync', begin = '0'] = process.argv
/** Writes that wait for their acknowledgement at a time. */
const IN_FLIGHT = 8

const database = await open(location, { durability })
const documents = database.collection('documents', { key: 'id', indexes: { half: 'half' } })
await documents.opened()
console.log('open')
if (task === 'write') {
  let next = Number(begin)
  const write = async () => {
    for (;;) {
      const id = next++
      await documents.put({ id, half: id >> 1, text: `document ${id}` })
      process.stdout.write(`${id}\n`)
    }
  }
  for (let writer = 0; writer < IN_FLIGHT; writer++) void write()
} else {
  setInterval(() => {}, 1000)
}
