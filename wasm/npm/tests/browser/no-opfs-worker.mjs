// The package's worker in a browser that has no synchronous file handles.

import { serve } from '../../dist/serve.js'

delete globalThis.FileSystemFileHandle?.prototype.createSyncAccessHandle
serve(self)
