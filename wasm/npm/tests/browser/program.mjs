// A browser as a program: started in a process group of its own, so that all of it can be ended at once.

import { spawn } from 'node:child_process'
import * as fs from 'node:fs'
import * as os from 'node:os'
import * as path from 'node:path'

const START_MS = 60_000

// So that those who are to be killed go with this program.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))

/** A new, empty folder. */
export function temporaryProfile(browser) {
  return fs.mkdtempSync(path.join(os.tmpdir(), `lightning-${browser}-`))
}

export class Program {
  #output = ''
  #heard = () => {}

  constructor(program, flags, environment = {}) {
    this.name = program
    this.child = spawn(program, flags, { detached: true, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...environment } })
    this.pid = this.child.pid
    this.ended = new Promise(resolve => this.child.once('exit', resolve))
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream.on('data', data => {
        this.#output += data
        this.#heard()
      })
    }
    this.child.once('error', () => {})
    process.once('exit', this.#end)
    void this.ended.then(() => process.removeListener('exit', this.#end))
  }

  /** Waits until it has said something; gives the match. */
  says(what) {
    return new Promise((resolve, reject) => {
      const failed = why => reject(new Error(`${this.name} ${why}:\n${this.#output}`))
      const late = setTimeout(failed, START_MS, 'does not start')
      this.#heard = () => {
        const found = what.exec(this.#output)
        if (!found) return
        clearTimeout(late)
        this.#heard = () => {}
        resolve(found)
      }
      this.child.once('error', error => failed(error.message))
      void this.ended.then(code => failed(`ended with ${code}`))
      this.#heard()
    })
  }

  /** Ends all of it at once. */
  async kill() {
    this.#end()
    await this.ended
  }

  #end = () => {
    try {
      process.kill(-this.pid, 'SIGKILL')
    } catch (error) {
      if (error.code !== 'ESRCH') throw error
    }
  }
}

/** Of the processes that a program has begun, the one that computes most while something is done. */
export async function busiest(program, run) {
  const before = times(program)
  await run()
  const spent = [...times(program)].map(([pid, time]) => [time - (before.get(pid) ?? 0), pid])
  return spent.sort(([a], [b]) => b - a)[0][1]
}

/** The processor time of all that come of a process. */
function times(program) {
  const all = new Map()
  for (const name of fs.readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    try {
      const stat = fs.readFileSync(`/proc/${name}/stat`, 'utf8')
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      all.set(Number(name), { parent: Number(fields[1]), time: Number(fields[11]) + Number(fields[12]) })
    } catch {
      // It has ended meanwhile.
    }
  }
  const isOf = pid => {
    for (let at = pid; all.has(at); at = all.get(at).parent) if (at === program) return true
    return false
  }
  return new Map([...all].filter(([pid]) => pid !== program && isOf(pid)).map(([pid, { time }]) => [pid, time]))
}
