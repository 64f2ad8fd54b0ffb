package dev.lightningdb

import dev.lightningdb.internal.Native
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.awaitCancellation
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.ensureActive
import kotlinx.coroutines.launch
import kotlinx.coroutines.withContext

/** Runs what may wait where that is no harm. */
internal suspend fun <R> io(body: () -> R): R = withContext(Dispatchers.IO) { body() }

/** As [io], for calls in a scope: they end at their next step when the coroutine is cancelled, and nothing of a write is kept then. */
internal suspend fun <R> io(sibling: Long, scope: Long, body: (scope: Long) -> R): R =
    withContext(Dispatchers.IO) { givenUp(sibling, scope) { body(it) } }

/** Gives [body] a scope like [scope] whose calls are given up when the coroutine is cancelled. */
internal suspend inline fun <R> givenUp(sibling: Long, scope: Long, crossinline body: suspend (scope: Long) -> R): R = coroutineScope {
    val own = calling { Native.stoppable(sibling, scope) }
    // In the thread that cancels, for ours is in a call.
    val watching = launch(Dispatchers.Unconfined) {
        try {
            awaitCancellation()
        } finally {
            Native.stop(own)
        }
    }
    try {
        body(own)
    } catch (cancelled: LightningException.Cancelled) {
        currentCoroutineContext().ensureActive()
        throw cancelled
    } finally {
        watching.cancel()
        Native.release(own)
    }
}
