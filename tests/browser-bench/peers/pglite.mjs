import { PGliteWorker } from '/modules/@electric-sql/pglite/dist/worker/index.js'

export async function open(name) {
  const thread = new Worker(new URL('./pglite-worker.mjs', import.meta.url), { type: 'module' })
  const database = await PGliteWorker.create(thread, { dataDir: `opfs-ahp://${name}` })
  await database.exec('CREATE TABLE IF NOT EXISTS records (id TEXT PRIMARY KEY, n INTEGER, value BYTEA); CREATE INDEX IF NOT EXISTS by_n ON records (n)')
  const put = (to, { id, n, value }) =>
    to.query('INSERT INTO records VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE SET n = $2, value = $3', [id, n, value])
  return {
    load: all =>
      database.transaction(async tx => {
        for (const record of all) await put(tx, record)
      }),
    put: record => put(database, record),
    get: async key => (await database.query('SELECT * FROM records WHERE id = $1', [key])).rows[0],
    getAll: async keys => (await database.query('SELECT * FROM records WHERE id = ANY($1)', [keys])).rows,
    scan: async () => (await database.query('SELECT * FROM records ORDER BY id')).rows.length,
    range: async from => (await database.query('SELECT * FROM records WHERE n >= $1 ORDER BY n LIMIT 20', [from])).rows,
    close: async () => {
      await database.close()
      thread.terminate()
    },
  }
}
