// What belongs to encrypted databases beside `open`, in Node, Deno and Bun.

export { EncryptionKeys, type KeyInfo, type Reencryption, type ReencryptionOptions, keys } from './keys.js'
export type { Encryption, EncryptionKey, KeyProvider } from './secret.js'
