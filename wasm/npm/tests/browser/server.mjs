// Serves the built package and its tests to a browser.

import * as fs from 'node:fs'
import * as http from 'node:http'
import * as path from 'node:path'
import { fileURLToPath } from 'node:url'

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.mjs': 'text/javascript', '.wasm': 'application/wasm', '.json': 'application/json' }
const npm = fileURLToPath(new URL('../..', import.meta.url))
const scripts = fileURLToPath(new URL('../../../../tests/conformance', import.meta.url))

/** Begins to serve; gives the address and what ends it. */
export async function serve(port = 0) {
  const server = http.createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost')
    const [root, name] = pathname.startsWith('/conformance/') ? [scripts, pathname.slice(13)] : [npm, pathname]
    const file = path.join(root, path.normalize(decodeURIComponent(name)))
    if (!file.startsWith(root) || !fs.existsSync(file) || !fs.statSync(file).isFile()) {
      response.writeHead(404).end()
      return
    }
    response.writeHead(200, { 'content-type': TYPES[path.extname(file)] ?? 'application/octet-stream' })
    fs.createReadStream(file).pipe(response)
  })
  await new Promise(resolve => server.listen(port, 'localhost', resolve))
  return { address: `http://localhost:${server.address().port}`, close: () => server.close() }
}
