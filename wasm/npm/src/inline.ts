// Worker and WebAssembly as parts of a script, for where a bundler leaves them behind. It is large, and fetched only then.

import wasm from '../dist/lightning.wasm'
import script from './generated/worker.txt'

/** What starts without another file. */
export interface Inline {
  startWorker(): Worker
  compile(): Promise<WebAssembly.Module>
}

export function startWorker(): Worker {
  const url = URL.createObjectURL(new Blob([script], { type: 'text/javascript' }))
  try {
    return new Worker(url, { type: 'module', name: 'lightning-db' })
  } finally {
    // It is fetched by then at the latest.
    setTimeout(() => URL.revokeObjectURL(url), 60_000)
  }
}

export function compile(): Promise<WebAssembly.Module> {
  return WebAssembly.compile(wasm)
}
