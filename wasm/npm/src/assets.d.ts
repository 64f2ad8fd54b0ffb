// What the bundler puts in.

/** A worker's own script: its values are those of options and errors, and words are its page's to make. */
declare const IN_WORKER: boolean
/** A worker for the origin private file system and memory; without it IndexedDB is there, too, and what makes databases of backups. */
declare const FILES_ALONE: boolean
/** A page's own script: nothing there is asked without waiting, so what does that is left out. */
declare const WAITS_ALONE: boolean
/** A worker whose engine has ciphers, and which is given a key. */
declare const ENCRYPTED: boolean

// Files that become part of `inline.js`.

declare module '*.txt' {
  const text: string
  export default text
}
declare module '*.wasm' {
  const bytes: Uint8Array<ArrayBuffer>
  export default bytes
}
