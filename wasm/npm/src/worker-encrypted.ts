// The script of the dedicated worker for encrypted databases, for every storage. First it hears of the key.

import { serve } from './serve.js'
import { type Keyring, take } from './unlocking.js'

onmessage = ({ data }: MessageEvent<Keyring>) => {
  take(data)
  serve(globalThis as never)
}
