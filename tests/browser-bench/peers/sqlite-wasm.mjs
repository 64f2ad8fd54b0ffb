import { open as openSql } from './sql.mjs'

export const open = name => openSql(new URL('./sqlite-wasm-worker.mjs', import.meta.url), name)
