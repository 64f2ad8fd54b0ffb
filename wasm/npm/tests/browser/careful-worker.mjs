// The package's worker in WebKit as it was until Safari 17: a file is moved by its directory and name, and over no other.

import { serve } from '../../dist/serve.js'

const { move } = FileSystemFileHandle.prototype
FileSystemFileHandle.prototype.move = async function (directory, name) {
  if (name === undefined) throw new TypeError('Not enough arguments')
  const isThere = await directory.getFileHandle(name).then(() => true, () => false)
  if (isThere) throw new DOMException('', 'UnknownError')
  return move.call(this, directory, name)
}
serve(self)
