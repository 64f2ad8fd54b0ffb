// A connection of WebDriver BiDi: commands and their answers, and events.

import { createRequire } from 'node:module'
import { EventEmitter } from 'node:events'
import * as path from 'node:path'

export class Connection extends EventEmitter {
  #socket
  #next = 1
  #waiting = new Map()

  static async open(address) {
    const require = createRequire(path.join(process.env.LIGHTNING_WS, 'node_modules', 'from-here.js'))
    const WebSocket = require('ws')
    const socket = new WebSocket(address, { perMessageDeflate: false })
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject))
    return new Connection(socket)
  }

  constructor(socket) {
    super()
    this.setMaxListeners(0)
    this.#socket = socket
    socket.on('message', text => this.#hear(JSON.parse(text)))
    socket.on('error', () => {})
    socket.on('close', () => {
      for (const { reject, method } of this.#waiting.values()) reject(new Error(`${method}: the browser is gone`))
      this.#waiting.clear()
    })
  }

  send(method, params) {
    return new Promise((resolve, reject) => {
      if (this.#socket.readyState !== this.#socket.OPEN) return reject(new Error(`${method}: the browser is gone`))
      const id = this.#next++
      this.#waiting.set(id, { resolve, reject, method })
      this.#socket.send(JSON.stringify({ id, method, params }))
    })
  }

  close() {
    this.#socket.terminate()
  }

  #hear({ type, id, method, params, result, error, message }) {
    if (type === 'event') return void this.emit(method, params)
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    if (type === 'success') waiting?.resolve(result)
    else waiting?.reject(new Error(`${waiting.method}: ${error}: ${message}`))
  }
}
