// The lock file of a database, honoured by every process in every language: see `core/src/env/file/lock.rs`, whose rules
// these are. Node has no locks of the operating system, so a file is made complete in one step, by a link, and a stale one is
// taken over only where its holder is proven dead.

import * as fs from 'node:fs'
import * as os from 'node:os'
import * as path from 'node:path'
import { LightningError } from './errors.js'

const FIRST_LINE = 'lightning-db lock 1'
/** How often losing a race is worth another try. */
const ATTEMPTS = 16
/** How many takeovers can stand on top of each other before a person is asked. */
const TAKEOVER_DEPTH = 3

interface Holder {
  pid: number
  start: string
  boot: string
  namespace: string
  host: string
  since: number
  name: string
}

/**
 * Takes the database in this file for this process alone; gives what lets it go. Where no file can be made, whoever only reads looks
 * whether somebody else has it, and leaves nothing.
 */
export function lock(file: string, readOnly = false): () => void {
  const name = `${file}-lock`
  try {
    return acquire(name, TAKEOVER_DEPTH)
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    if (!readOnly || !['EACCES', 'EPERM', 'EROFS'].includes(code)) throw error
    const found = read(name)
    if (found !== undefined && !isStale(found)) throw new LightningError('Locked', [described(found, name)])
    return () => {}
  }
}

function acquire(file: string, depth: number): () => void {
  const text = textOf(thisProcess())
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    if (create(file, text)) return () => letGo(file, text)
    const found = read(file)
    if (found === undefined) continue
    if (depth === 0 || !isStale(found)) throw new LightningError('Locked', [described(found, file)])
    const end = acquire(`${file}-takeover`, depth - 1)
    try {
      if (read(file) === found) fs.rmSync(file, { force: true })
    } finally {
      end()
    }
  }
  throw new LightningError('Locked', [`processes that open and close it all the time ('${file}')`])
}

/** Whether the file was made; false when there is one. */
function create(file: string, text: string): boolean {
  const finished = `${file}.${process.pid}.${Math.random().toString(36).slice(2)}`
  fs.writeFileSync(finished, text)
  try {
    fs.linkSync(finished, file)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    fs.rmSync(finished, { force: true })
  }
}

function read(file: string): string | undefined {
  try {
    return fs.readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Somebody who deleted the file by hand may have let another process in: its file is not ours to remove. */
function letGo(file: string, text: string): void {
  if (read(file) === text) fs.rmSync(file, { force: true })
}

function isStale(text: string): boolean {
  const holder = parse(text)
  if (!holder) return false
  const me = thisProcess()
  if (holder.pid === 0 || holder.host === '' || holder.host !== me.host) return false
  if (holder.boot !== '' && me.boot !== '' && holder.boot !== me.boot) return true
  if (holder.namespace !== me.namespace) return false
  if (!mayBeAlive(holder.pid)) return true
  const start = startTime(holder.pid)
  return start !== '' && holder.start !== '' && start !== holder.start
}

function mayBeAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}

function thisProcess(): Holder {
  return {
    pid: process.pid,
    start: startTime(process.pid),
    boot: systemText(() => fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')),
    namespace: systemText(() => fs.readlinkSync('/proc/self/ns/pid')),
    host: line(os.hostname()),
    since: Date.now(),
    name: line(path.basename(process.execPath).replace(/\.exe$/, '')),
  }
}

/** Field 22 of `/proc/<pid>/stat`; `zombie` for a process that has ended and only waits for its parent. */
function startTime(pid: number): string {
  return systemText(() => {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 1).trim().split(/\s+/)
    return fields[0] === 'Z' || fields[0] === 'X' ? 'zombie' : (fields[19] ?? '')
  })
}

/** What the system says, where it has such a thing. */
function systemText(read: () => string): string {
  try {
    return line(read())
  } catch {
    return ''
  }
}

function line(text: string): string {
  return text.trim().replace(/\p{Cc}/gu, '').slice(0, 200)
}

function textOf({ pid, start, boot, namespace, host, since, name }: Holder): string {
  return `${FIRST_LINE}\npid ${pid}\nstart ${start}\nboot ${boot}\nnamespace ${namespace}\nhost ${host}\nlocked-file \nsince ${since}\nname ${name}\n`
}

/** Undefined for anything that is not a complete lock file. */
function parse(text: string): Holder | undefined {
  if (!text.startsWith(`${FIRST_LINE}\n`) || !text.endsWith('\n')) return undefined
  const values = new Map(
    text
      .slice(FIRST_LINE.length + 1, -1)
      .split('\n')
      .map(line => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)] as const),
  )
  const value = (name: string) => values.get(name) ?? ''
  if (!values.has('name')) return undefined
  return {
    pid: Number(value('pid')) || 0,
    start: value('start'),
    boot: value('boot'),
    namespace: value('namespace'),
    host: value('host'),
    since: Number(value('since')) || 0,
    name: value('name'),
  }
}

function described(text: string, file: string): string {
  const holder = parse(text)
  if (!holder) return `an unknown process (if there is none, delete '${file}')`
  const who = holder.pid === process.pid ? 'this process' : `process ${holder.pid}`
  const named = holder.name ? ` (${holder.name})` : ''
  const where = holder.host === line(os.hostname()) ? '' : ` on ${holder.host}`
  return `${who}${named}${where}, since ${new Date(holder.since).toISOString()} (if that is long gone, delete '${file}')`
}
