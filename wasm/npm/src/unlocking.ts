// A worker's side of a key: it comes from the page before all else, and what whoever keeps it has to answer is asked of the page.

import { LightningError } from './errors.js'
import { wantedBy, withKey } from './secret.js'

/** A page to a worker with ciphers, before it says what to open. */
export interface Keyring {
  /** As it stands behind the options of the engine. */
  secret: Uint8Array
  /** Takes what is wanted of whoever keeps the key; gives the secret with the answers, or null where that failed. */
  port: MessagePort
}

export type KeyringAnswer = Uint8Array | null

let keyring: Keyring | undefined
/** How often whoever keeps the key was asked. */
let rounds = 0
const ROUNDS_MAX = 3

/** Takes the key of the one database that this worker opens. */
export function take(given: Keyring): void {
  keyring = given
}

/** Options of the engine with it. */
export function unlocked(options: Uint8Array): Uint8Array {
  return withKey(options, keyring?.secret)
}

/** The database is open: the engine has the key. */
export function forget(): void {
  keyring?.secret.fill(0)
  keyring = undefined
}

/** Whether the database was begun to be opened before. */
export function isAgain(): boolean {
  return rounds > 0
}

/** Whether whoever keeps the key has now answered what this failed for the want of. */
export async function isGiven(error: unknown): Promise<boolean> {
  const wanted = wantedBy(error)
  if (!wanted || !keyring || rounds === ROUNDS_MAX) return false
  rounds++
  const { port } = keyring
  const answer = await new Promise<KeyringAnswer>(resolve => {
    port.onmessage = ({ data }: MessageEvent<KeyringAnswer>) => resolve(data)
    port.postMessage(wanted)
  })
  if (!answer) throw new LightningError('WrongKey', ['whoever keeps the key did not give it'])
  keyring.secret = answer
  return true
}
