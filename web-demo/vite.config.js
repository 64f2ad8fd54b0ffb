import { defineConfig } from 'vite'

/** Writes a service worker that keeps the built files, so that the app opens without a network. */
const offline = {
  name: 'offline',
  apply: 'build',
  generateBundle(_, bundle) {
    // The page is './'; the package's spare script is for bundlers other than this.
    const built = Object.keys(bundle).filter(name => !name.endsWith('.html') && !/inline-[^/]*\.js$/.test(name))
    const files = ['./', './icon.svg', './manifest.webmanifest', ...built.map(name => `./${name}`)]
    // Another version of any file has another name, and so has the cache that holds it.
    const version = [...files.join()].reduce((hash, letter) => (Math.imul(hash, 31) + letter.charCodeAt(0)) | 0, 0)
    this.emitFile({ type: 'asset', fileName: 'offline.js', source: worker(files, `places ${(version >>> 0).toString(36)}`) })
  },
}

const worker = (files, cache) => `
const FILES = ${JSON.stringify(files)}
const CACHE = ${JSON.stringify(cache)}
addEventListener('install', event => {
  event.waitUntil(caches.open(CACHE).then(cache => cache.addAll(FILES)).then(() => skipWaiting()))
})
addEventListener('activate', event => {
  const old = async () => {
    for (const name of await caches.keys()) if (name.startsWith('places ') && name !== CACHE) await caches.delete(name)
    await clients.claim()
  }
  event.waitUntil(old())
})
addEventListener('fetch', event => {
  const { request } = event
  // The list of places goes into the database, and is not kept twice.
  if (request.method !== 'GET' || request.url.endsWith('.jsonl')) return
  event.respondWith(caches.match(request, { ignoreSearch: true, ignoreVary: true }).then(found => found ?? fetch(request)))
})
`

export default defineConfig({
  base: './',
  build: { target: 'es2022' },
  worker: { format: 'es' },
  // The package starts a worker and fetches WebAssembly from beside its own script, which prebundling would move.
  optimizeDeps: { exclude: ['lightning-db'] },
  plugins: [offline],
})
