// Firefox, by WebDriver BiDi over its own socket.

import * as fs from 'node:fs'
import * as path from 'node:path'
import { Connection } from './bidi.mjs'
import { RemotePage } from './remote-page.mjs'
import { Program, temporaryProfile } from './program.mjs'

export { crash, processOf } from './remote-page.mjs'

const program = process.env.LIGHTNING_FIREFOX ?? '/usr/bin/firefox-esr'

/** It asks nobody, and no two tabs share a process. */
const SETTINGS = {
  'app.normandy.enabled': false,
  'app.update.enabled': false,
  'browser.aboutwelcome.enabled': false,
  'browser.shell.checkDefaultBrowser': false,
  'browser.startup.homepage_override.mstone': 'ignore',
  'browser.startup.page': 0,
  'datareporting.policy.dataSubmissionEnabled': false,
  'dom.ipc.processCount.webIsolated': 20,
  'dom.ipc.processPrelaunch.enabled': false,
  // It would ask the user whether databases are to be kept.
  'dom.storageManager.prompt.testing': true,
  'dom.storageManager.prompt.testing.allow': true,
  'extensions.update.enabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'services.settings.server': 'data:,',
  'toolkit.telemetry.server': 'data:,',
}

/** A new profile. */
export function newProfile() {
  const profile = temporaryProfile('firefox')
  const lines = Object.entries(SETTINGS).map(([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`)
  fs.writeFileSync(path.join(profile, 'user.js'), lines.join(''))
  return profile
}

/** Starts it on a profile; `kill` of what is given ends all of it at once, whatever it does. */
export async function launch(profile, { isPrivate = false } = {}) {
  fs.appendFileSync(path.join(profile, 'user.js'), `user_pref("browser.privatebrowsing.autostart", ${isPrivate});\n`)
  const flags = ['--headless', '--no-remote', '--remote-debugging-port=0', '--profile', profile]
  const running = new Program(program, [...flags, 'about:blank'])
  const [, socket] = await running.says(/WebDriver BiDi listening on (ws:\S+)/)
  const connection = await Connection.open(`${socket}/session`)
  await connection.send('session.new', { capabilities: {} })
  await connection.send('session.subscribe', { events: ['log.entryAdded'] })
  return new Context(running, connection)
}

class Context {
  constructor(running, connection) {
    this.running = running
    this.connection = connection
  }

  async newPage() {
    const { context } = await this.connection.send('browsingContext.create', { type: 'window' })
    return new Page(this, context)
  }

  async close() {
    await this.connection.send('browser.close', {}).catch(() => {})
    await this.running.ended
    this.connection.close()
  }

  async kill() {
    await this.running.kill()
    this.connection.close()
  }
}

class Page extends RemotePage {
  constructor(browser, context) {
    super(browser.running)
    this.connection = browser.connection
    this.context = context
    this.connection.on('log.entryAdded', ({ source, level, text, stackTrace }) => {
      if (source.context === context) this.emit(level === 'error' ? 'pageerror' : 'console', text, stackTrace)
    })
  }

  async goto(url) {
    await this.connection.send('browsingContext.navigate', { context: this.context, url, wait: 'complete' })
  }

  async goBack() {
    await this.connection.send('browsingContext.traverseHistory', { context: this.context, delta: -1 })
  }

  async reload() {
    await this.connection.send('browsingContext.reload', { context: this.context, wait: 'complete' })
  }

  async call(source, ...texts) {
    const { type, result, exceptionDetails } = await this.connection.send('script.callFunction', {
      functionDeclaration: source,
      awaitPromise: true,
      target: { context: this.context },
      arguments: texts.map(value => ({ type: 'string', value })),
      userActivation: true,
    })
    if (type === 'exception') throw new Error(exceptionDetails.text)
    return result.value
  }

  async close() {
    this.isClosed = true
    await this.connection.send('browsingContext.close', { context: this.context })
  }
}
