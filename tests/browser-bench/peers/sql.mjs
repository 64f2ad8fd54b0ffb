// A SQLite in a worker, asked from the page one message at a time, as its users do.

export async function open(worker, name) {
  const thread = new Worker(worker, { type: 'module' })
  const waiting = new Map()
  let last = 0
  thread.onmessage = ({ data: { number, result, error } }) => {
    const { resolve, reject } = waiting.get(number)
    waiting.delete(number)
    if (error) reject(new Error(error))
    else resolve(result)
  }
  thread.onerror = event => {
    for (const { reject } of waiting.values()) reject(new Error(event.message))
  }
  const ask = (task, argument) =>
    new Promise((resolve, reject) => {
      waiting.set(++last, { resolve, reject })
      thread.postMessage({ number: last, task, argument })
    })
  await ask('open', name)
  return {
    load: all => ask('load', all),
    put: record => ask('put', record),
    get: key => ask('get', key),
    getAll: keys => ask('getAll', keys),
    scan: async () => (await ask('scan')).length,
    range: from => ask('range', from),
    close: async () => {
      await ask('close')
      thread.terminate()
    },
  }
}

/** Answers in the worker with `tasks`. */
export function serve(tasks) {
  let turn = Promise.resolve()
  onmessage = ({ data: { number, task, argument } }) => {
    turn = turn.then(async () => {
      try {
        postMessage({ number, result: await tasks[task](argument) })
      } catch (error) {
        postMessage({ number, error: String(error?.stack ?? error) })
      }
    })
  }
}

export const SCHEMA =
  'CREATE TABLE IF NOT EXISTS records (id TEXT PRIMARY KEY, n INTEGER, value BLOB) WITHOUT ROWID; CREATE INDEX IF NOT EXISTS by_n ON records (n)'
export const PRAGMAS = 'PRAGMA locking_mode = exclusive; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL'
export const PUT = 'INSERT OR REPLACE INTO records VALUES (?, ?, ?)'
export const GET = 'SELECT id, n, value FROM records WHERE id = ?'
export const SCAN = 'SELECT id, n, value FROM records ORDER BY id'
export const RANGE = 'SELECT id, n, value FROM records WHERE n >= ? ORDER BY n LIMIT 20'
