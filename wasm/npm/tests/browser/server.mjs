// Serves folders to a browser: the built package and its tests, unless others are asked for.

import * as fs from 'node:fs'
import * as http from 'node:http'
import * as path from 'node:path'
import { fileURLToPath } from 'node:url'

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.mjs': 'text/javascript', '.wasm': 'application/wasm', '.json': 'application/json' }
/** Folders by the beginning of the address, the first that fits. */
const TESTS = {
  '/conformance/': fileURLToPath(new URL('../../../../tests/conformance/', import.meta.url)),
  '/': fileURLToPath(new URL('../../', import.meta.url)),
}

/**
 * Begins to serve; gives the address and what ends it. `onserve` is called with each file; what it gives is served in its
 * place, null being nothing, 'lost' an end of the connection, and 'silent' no answer. `headers` go with all.
 */
export async function serve(folders = TESTS, onserve = () => {}, headers = {}) {
  const server = http.createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost')
    const [prefix, folder] = Object.entries(folders).find(([prefix]) => pathname.startsWith(prefix))
    const file = path.join(folder, path.normalize(decodeURIComponent(pathname.slice(prefix.length))))
    if (!file.startsWith(folder) || !fs.existsSync(file) || !fs.statSync(file).isFile()) {
      response.writeHead(404).end()
      return
    }
    const instead = onserve(file, prefix)
    if (instead === null) {
      response.writeHead(404).end()
      return
    }
    if (instead === 'lost') return void response.destroy()
    if (instead === 'silent') return
    response.writeHead(200, { 'content-type': TYPES[path.extname(file)] ?? 'application/octet-stream', ...headers })
    response.end(instead instanceof Uint8Array ? instead : fs.readFileSync(file))
  })
  await new Promise(resolve => server.listen(0, 'localhost', resolve))
  return { address: `http://localhost:${server.address().port}`, close: () => server.close() }
}
