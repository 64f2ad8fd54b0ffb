package dev.lightningdb

import dev.lightningdb.internal.ArchiveOptions as NativeOptions
import dev.lightningdb.internal.ArchiveStatus as NativeStatus
import dev.lightningdb.internal.Database as NativeDatabase
import dev.lightningdb.internal.RestoreUntil as NativeUntil

/** How commits are archived. Recorded in the database; what is null is as the engine has it. */
public data class ArchiveOptions(
    /** The folder for the pieces, relative to that of the database; empty for one beside it, called as it is with `-archive` behind it. */
    val folder: String = "",
    /** Log and overwritten values that stay in the database until they are archived, in bytes. Beyond that the archive gets a gap. */
    val holdBytes: Long? = null,
    /** A piece is completed this long after its first commit, in milliseconds: what a lost device may take with it. */
    val intervalMs: Long? = null,
    /** The oldest pieces are deleted when all together are larger than this. */
    val keepBytes: Long? = null,
    /** Pieces are deleted when their last commit was made longer ago than this, in milliseconds. */
    val keepMs: Long? = null,
)

/** How an archive does: it has the commits up to [archived] of [newest]; [failed] says why the last attempt did, where it did. */
public data class ArchiveStatus(
    val options: ArchiveOptions,
    val archived: Long,
    val newest: Long,
    /** Log and overwritten values that the database holds for it, in bytes. */
    val heldBytes: Long,
    /** Whether it lacks commits, because the limit was reached before they were archived. A backup since then is whole. */
    val hasGap: Boolean,
    val failed: String?,
) {
    internal constructor(native: NativeStatus) : this(
        native.options.run { ArchiveOptions(folder, holdBytes?.toLong(), intervalMs?.toLong(), keepBytes?.toLong(), keepMs?.toLong()) },
        native.archived.toLong(), native.newest.toLong(), native.heldBytes.toLong(), native.hasGap, native.failed,
    )
}

/** Up to where a backup, and the archive behind it, is restored. */
public sealed interface RestoreUntil {
    /** All of it. */
    public data object End : RestoreUntil

    /** Up to this commit, and with it. */
    public data class Sequence(val sequence: Long) : RestoreUntil

    /** Up to the last commit that was made at this time or before, in milliseconds since 1970. */
    public data class Time(val ms: Long) : RestoreUntil
}

internal fun RestoreUntil.toNative(): NativeUntil = when (this) {
    RestoreUntil.End -> NativeUntil.End
    is RestoreUntil.Sequence -> NativeUntil.Sequence(sequence.toULong())
    is RestoreUntil.Time -> NativeUntil.Time(ms.toULong())
}

/** The archive of a database's commits, from which [Database.restore] takes what follows a backup: see [Database.archive]. */
public class Archive internal constructor(private val native: () -> NativeDatabase) {
    /** Archives every commit from now on, in a folder, also in the sessions that come; or changes how. */
    public suspend fun on(options: ArchiveOptions = ArchiveOptions()): Unit = io {
        val native = options.run {
            NativeOptions(folder, holdBytes?.toULong(), intervalMs?.toULong(), keepBytes?.toULong(), keepMs?.toULong())
        }
        calling { native().archiveOn(native) }
    }

    /** Archives nothing any more. What is in the archive stays. */
    public suspend fun off(): Unit = io { calling { native().archiveOff() } }

    /** How it does; null where there is none. */
    public fun status(): ArchiveStatus? = calling { native().archiveStatus() }?.let(::ArchiveStatus)

    /** Archives everything that is committed now. */
    public suspend fun now(): Unit = calling { native().archiveNow() }
}
