// The databases, each opened in its usual way, with text keys and values of bytes. `isSync` where nothing gives a promise.

import { createRequire } from 'node:module'
import * as path from 'node:path'
import { pathToFileURL } from 'node:url'

const ours = (dist, script) => import(pathToFileURL(path.join(dist, script)))
const theirs = (peersFolder, name) => createRequire(path.join(peersFolder, 'package.json'))(name)
const durability = durable => (durable ? 'sync' : 'relaxed')

function lightning(open, isSync) {
  return async (folder, { durable }) => {
    const db = await open(path.join(folder, 'bench.ldb'), { durability: durability(durable) })
    const table = db.table('records')
    return {
      isSync,
      putMany: entries => table.putMany(entries),
      put: (key, value) => table.put(key, value),
      get: key => table.get(key),
      getMany: keys => table.getMany(keys),
      async scan() {
        let count = 0
        if (isSync) for (const [, value] of table.scan()) count += value.length > 0
        else for await (const [, value] of table.scan()) count += value.length > 0
        return count
      },
      close: () => db.close(),
    }
  }
}

/** Each gives a function that opens it. */
export const PEERS = {
  lightning: async dist => lightning((await ours(dist, 'node.js')).open, false),

  'lightning-sync': async dist => lightning((await ours(dist, 'sync-node.js')).open, true),

  'classic-level': async (_, folder) => {
    const { ClassicLevel } = theirs(folder, 'classic-level')
    return async (place, { durable }) => {
      const db = new ClassicLevel(path.join(place, 'level'), { keyEncoding: 'utf8', valueEncoding: 'view' })
      await db.open()
      return {
        isSync: false,
        putMany: entries => db.batch(entries.map(([key, value]) => ({ type: 'put', key, value })), { sync: durable }),
        put: (key, value) => db.put(key, value, { sync: durable }),
        get: key => db.get(key),
        getMany: keys => db.getMany(keys),
        async scan() {
          let count = 0
          for await (const [, value] of db.iterator()) count += value.length > 0
          return count
        },
        close: () => db.close(),
      }
    }
  },

  lmdb: async (_, folder) => {
    const { open } = theirs(folder, 'lmdb')
    return async (place, { durable }) => {
      const db = open({ path: path.join(place, 'lmdb'), encoding: 'binary', noSync: !durable })
      return {
        // Gets give no promise, puts do.
        isSync: false,
        putMany: entries => db.transaction(() => entries.forEach(([key, value]) => db.put(key, value))),
        put: (key, value) => db.put(key, value),
        get: key => db.get(key),
        getMany: keys => db.getMany(keys),
        async scan() {
          let count = 0
          for (const { value } of db.getRange()) count += value.length > 0
          return count
        },
        close: () => db.close(),
      }
    }
  },

  'better-sqlite3': async (_, folder) => {
    const Database = theirs(folder, 'better-sqlite3')
    return async (place, { durable }) => {
      const db = new Database(path.join(place, 'sqlite.db'))
      db.pragma('journal_mode = WAL')
      db.pragma(`synchronous = ${durable ? 'FULL' : 'NORMAL'}`)
      db.exec('create table if not exists records (key text primary key, value blob) without rowid')
      const put = db.prepare('insert or replace into records values (?, ?)')
      const get = db.prepare('select value from records where key = ?').pluck()
      const all = db.prepare('select key, value from records order by key').raw()
      const load = db.transaction(entries => entries.forEach(([key, value]) => put.run(key, value)))
      const many = db.transaction(keys => keys.map(key => get.get(key)))
      return {
        isSync: true,
        putMany: load,
        put: (key, value) => put.run(key, value),
        get: key => get.get(key),
        getMany: many,
        async scan() {
          let count = 0
          for (const [, value] of all.iterate()) count += value.length > 0
          return count
        },
        close: () => db.close(),
      }
    }
  },
}
