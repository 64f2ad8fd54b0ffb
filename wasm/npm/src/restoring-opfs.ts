// Databases in the origin private file system made of backups, by a worker.

import { LightningError } from './errors.js'
import type { Engine } from 'engine'
import type { Engine as Opened } from './host.js'
import { opening } from './failure.js'
import * as opfs from './opfs.js'
import { requireWhole } from './restoring.js'

/** Puts a backup in the place of what is there; before it is found to be whole, and where it is not, everything is as it was. */
export async function restoreFiles(name: string, place: opfs.Place, source: Blob, options: Uint8Array, WasmEngine: typeof Engine): Promise<void> {
  try {
    const { data, log } = await opfs.openHandles(name, place, true)
    try {
      data.truncate(0)
      log.truncate(0)
      const reader = source.stream().getReader()
      for (let at = 0; ; ) {
        const { done, value } = await reader.read()
        if (done) break
        for (let from = 0; from < value.length; ) {
          const written = data.write(value.subarray(from), { at })
          if (written === 0) throw new LightningError('StorageFull', ['the browser took none of the bytes', at, value.length])
          from += written
          at += written
        }
      }
      data.flush()
    } catch (error) {
      data.close()
      log.close()
      throw error
    }
    const engine = opening(() => WasmEngine.openFiles(name, data as never, log as never, options)) as unknown as Opened
    try {
      await requireWhole(engine, false)
    } finally {
      engine.free()
    }
    await opfs.replaceFiles(name)
  } finally {
    await opfs.removeFiles(name, true).catch(() => {})
  }
}
