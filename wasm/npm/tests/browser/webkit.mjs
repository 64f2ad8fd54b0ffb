// WebKit, by its WebDriver, in windows of `webkit-window.py` on a screen that nobody sees. Debian's has no origin private file
// system: databases are in IndexedDB.

import * as net from 'node:net'
import * as path from 'node:path'
import { RemotePage } from './remote-page.mjs'
import { Program, temporaryProfile } from './program.mjs'

export { crash, processOf } from './remote-page.mjs'

const POLL_MS = 15
const WINDOW = path.join(import.meta.dirname, 'webkit-window.py')

/** A new, empty profile. */
export function newProfile() {
  return temporaryProfile('webkit')
}

/** Starts it on a profile; `kill` of what is given ends all of it at once, whatever it does. */
export async function launch(profile, { isPrivate = false } = {}) {
  const screen = new Program('Xvfb', ['-displayfd', '1', '-screen', '0', '800x600x24', '-nolisten', 'tcp'])
  const [, display] = await screen.says(/(\d+)\n/)
  const port = await freePort()
  const environment = { DISPLAY: `:${display}`, GDK_BACKEND: 'x11', NO_AT_BRIDGE: '1', WEBKIT_DISABLE_COMPOSITING_MODE: '1' }
  const driver = new Program(process.env.LIGHTNING_WEBKIT ?? 'WebKitWebDriver', ['-p', String(port)], environment)
  await listening(port)
  const context = new Context(driver, screen, `http://127.0.0.1:${port}`)
  await context.begin(isPrivate ? [profile, 'private'] : [profile])
  return context
}

class Context {
  #session
  #last = Promise.resolve()
  #window
  #first

  constructor(driver, screen, address) {
    this.driver = driver
    this.screen = screen
    this.address = address
  }

  async begin(args) {
    const alwaysMatch = { 'webkitgtk:browserOptions': { binary: WINDOW, args } }
    const { sessionId } = await this.#request('POST', '/session', { capabilities: { alwaysMatch } })
    this.#session = `/session/${sessionId}`
    this.#first = await this.#request('GET', `${this.#session}/window`)
  }

  async newPage() {
    // The window that is there from the beginning stays: the last one that closes ends everything.
    const { handle } = await this.command('POST', '/window/new', { type: 'window' }, this.#first)
    return new Page(this, handle)
  }

  /** A command of WebDriver, in a window of its own. One is done after the other. */
  command(method, path, body, window) {
    const done = this.#last.then(async () => {
      if (window && window !== this.#window) {
        await this.#request('POST', `${this.#session}/window`, { handle: window })
        this.#window = window
      }
      return this.#request(method, this.#session + path, body)
    })
    this.#last = done.catch(() => {})
    return done
  }

  async #request(method, path, body) {
    const response = await fetch(this.address + path, { method, body: body && JSON.stringify(body) })
    const { value } = await response.json()
    if (value?.error) throw new Error(`${method} ${path}: ${value.error}: ${value.message}`)
    return value
  }

  async close() {
    await this.command('DELETE', '').catch(() => {})
    await this.kill()
  }

  async kill() {
    await this.driver.kill()
    await this.screen.kill()
  }
}

let calls = 0

class Page extends RemotePage {
  constructor(context, window) {
    super(context.driver)
    this.context = context
    this.window = window
  }

  command(method, path, body = {}) {
    return this.context.command(method, path, body, this.window)
  }

  async goto(url) {
    await this.command('POST', '/url', { url })
  }

  async goBack() {
    await this.command('POST', '/back')
  }

  async reload() {
    await this.command('POST', '/refresh')
  }

  /** Begun and then asked for: other pages have their turns meanwhile. */
  async call(source, ...texts) {
    const id = String(calls++)
    const script = (text, ...args) => this.command('POST', '/execute/sync', { script: text, args })
    await script(
      `const [id, source, texts] = arguments
       const calls = (window.callsOfTests ??= {})
       calls[id] = 'runs'
       window.eval('(' + source + ')')(...texts).then(
         value => (calls[id] = [value]),
         error => (calls[id] = [null, String(error) + '\\n' + (error?.stack ?? '')]))`,
      id,
      source,
      texts,
    )
    for (;;) {
      const state = await script(
        `const state = window.callsOfTests?.[arguments[0]] ?? 'gone'
         if (state !== 'runs') delete window.callsOfTests?.[arguments[0]]
         return state`,
        id,
      )
      if (state === 'gone') throw new Error('Execution context was destroyed')
      if (state !== 'runs') {
        if (state.length > 1) throw new Error(state[1])
        return state[0]
      }
      await new Promise(resolve => setTimeout(resolve, POLL_MS))
    }
  }

  async close() {
    this.isClosed = true
    await this.command('DELETE', '/window', undefined)
  }
}

function freePort() {
  return new Promise(resolve => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
}

async function listening(port) {
  for (const end = performance.now() + 20_000; performance.now() < end; ) {
    const isThere = await new Promise(resolve => {
      const socket = net.connect(port, '127.0.0.1', () => resolve(true)).once('error', () => resolve(false))
      void socket.once('connect', () => socket.destroy())
    })
    if (isThere) return
    await new Promise(resolve => setTimeout(resolve, POLL_MS))
  }
  throw new Error('WebKitWebDriver does not start')
}
