import { open as openDatabase } from './lightning.mjs'

export const open = name => openDatabase(name, 'indexeddb')
