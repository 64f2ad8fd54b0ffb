// Does what it is told with a database without promises; gives what that gives, or the code of the error.

import { open } from '../../dist/sync.js'

let database
const table = () => database.table('notes')

const steps = {
  open: async () => ((database = await open('parts without promises')), 'open'),
  put: value => (table().put('a', value), 'put'),
  get: () => table().get('a') ?? null,
  document: () => (database.collection('people', { key: 'id' }).put({ id: 1 }), 'document'),
  /** What nobody foresaw, within a call. */
  unforeseen: () => database.table('notes', { key: 'string' }).get('a'),
  close: () => (database.close(), 'closed'),
}

self.onmessage = async ({ data: [step, value] }) => {
  try {
    self.postMessage(await steps[step](value))
  } catch (error) {
    self.postMessage(error.code ?? String(error))
  }
}
