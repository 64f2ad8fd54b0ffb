// What is beyond opening a database, reading and writing.

export { Backup } from './backup.js'
export { nextCommits } from './commits.js'
export { Cursor } from './cursor.js'
export { Entries } from './entries.js'
export { Live } from './live.js'
export { migrate } from './migrating.js'
export { begun, snapshotOf, transact } from './transaction.js'

export type More = typeof import('./more.js')
