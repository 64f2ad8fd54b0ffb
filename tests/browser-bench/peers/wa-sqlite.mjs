import { open as openSql } from './sql.mjs'

export const open = name => openSql(new URL('./wa-sqlite-worker.mjs', import.meta.url), name)
