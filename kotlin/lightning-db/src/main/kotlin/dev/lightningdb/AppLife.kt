package dev.lightningdb

import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.launch
import java.util.Collections
import java.util.WeakHashMap

/** How much memory is given back. */
public enum class TrimLevel {
    /** What was not read lately. */
    Moderate,

    /** All that can be read again. */
    All,
}

/**
 * What the system does with an app, for all databases that are open in it: see [Options.followsAppLife]. On Android
 * `lightning-db-android` calls this by itself; elsewhere whoever knows does.
 */
public object AppLife {
    private val open: MutableSet<Database> = Collections.newSetFromMap(WeakHashMap())
    private val scope by lazy(LazyThreadSafetyMode.PUBLICATION) { CoroutineScope(SupervisorJob() + Dispatchers.IO) }

    /**
     * Nobody looks at the app any more, and the system may end it without a word: what is committed is made durable and merged, so that
     * opening it again has nothing to replay. Returns at once; the job ends when that is done.
     */
    public fun entersBackground(): Job = scope.launch { forEach { it.checkpoint() } }

    /** Memory is short: what can be read again is given back. */
    public fun trimMemory(level: TrimLevel): Job = scope.launch { forEach { it.trimMemory(level) } }

    internal fun add(database: Database) {
        synchronized(open) { open += database }
    }

    internal fun remove(database: Database) {
        synchronized(open) { open -= database }
    }

    private suspend fun forEach(body: suspend (Database) -> Unit) {
        for (database in synchronized(open) { open.toList() }) {
            try {
                body(database)
            } catch (_: LightningException) {
                // It was closed meanwhile, or its storage fails: whoever uses it hears of that.
            }
        }
    }
}
