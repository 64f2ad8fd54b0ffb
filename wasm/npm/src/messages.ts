// What tabs and the workers that they start say to each other beside requests and responses, which are buffers.

import type { OpenOptions, StorageName } from './database.js'
import { LightningError } from './errors.js'

/** What tabs ask each other, all operations included: one more wherever that changes. */
export const VERSION = 1

/** A page to its worker, first: what to open. */
export interface OpenMessage {
  open: string
  options: OpenOptions
  /** It itself, or where it is: then there comes a `CompiledMessage`. */
  wasm: string | WebAssembly.Module
  /** Where its later parts are; none where that is the whole of it. */
  parts: string[]
  /** Other tabs may take part. */
  shared: boolean
  /** Nobody looks at the page. */
  hidden: boolean
  /** Collections were used here before. */
  usual: boolean
  /** Not to be opened, but to be made of this. */
  restore?: { source: Blob; overwrite: boolean }
}

/** The engine, from the page, which began to compile it before the worker ran; null when it may not or could not. */
export interface CompiledMessage {
  compiled: WebAssembly.Module | null
  /** 0 for the first. */
  part: number
}

/** What is open. */
export interface Opened {
  name: string
  storage: StorageName
}

/**
 * The answer to it; `other` where this worker cannot, for it has files alone. Before it, which parts of the engine the page may fetch
 * meanwhile: there comes a `CompiledMessage` for each.
 */
export type OpenedMessage = { opened: Opened } | { failed: PlainError } | { fetch: readonly number[] } | { other: true }

/** The last message of a worker: null when everything that was asked is answered and the files are closed. */
export type ClosedMessage = { closed: PlainError | null }

/** To the owner; to its worker alone: `leave`, closing the files, or `end`, dropping them. */
export type Note = 'hidden' | 'visible' | 'ping' | 'leave' | 'end'

/** In the channel of all tabs: a tab wants to be served, or someone owns the files now. */
export type Announcement = { join: string; hidden: boolean; version: number } | { owner: string }

/** The owner to another tab, once: that it is served, where both have the same version. */
export interface Welcome {
  opened: Opened
  owner: string
  version: number
}

/** An error as it crosses between threads. */
export interface PlainError {
  code: string
  fields: (string | number | bigint)[]
}

export function plain(error: unknown): PlainError {
  if (error instanceof LightningError) return { code: error.code, fields: [...error.fields] }
  const { name = 'Error', message = String(error) } = (error ?? {}) as Error
  if (name === 'QuotaExceededError') return { code: 'StorageFull', fields: [message, 0, 0] }
  return { code: 'StorageFailed', fields: [`${name}: ${message}`, 0, 0] }
}

/** Whether tabs can agree on who owns the files. */
export function hasLocks(): boolean {
  return typeof BroadcastChannel !== 'undefined' && navigator.locks !== undefined
}

/** Who holds it owns the database; others wait for it. */
export function ownerLock(name: string): string {
  return `lightning-db:${name}`
}

/** A worker holds it as long as it has a database in IndexedDB open. */
export function filesLock(name: string): string {
  return `lightning-db-files:${name}`
}

/** Held by a tab that is served; also the channel by which it is. */
export function clientLock(id: string): string {
  return `lightning-db-client:${id}`
}

/** The channel of all tabs. */
export function tabsChannel(name: string): BroadcastChannel {
  return new BroadcastChannel(`lightning-db:${name}`)
}
