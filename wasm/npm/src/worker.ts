// The script of the dedicated worker, for every storage.

import { serve } from './serve.js'

serve(globalThis as never)
