// The script of the dedicated worker.

import { serve } from './serve.js'

serve(globalThis as never)
