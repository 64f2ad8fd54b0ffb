package dev.lightningdb

import dev.lightningdb.internal.Failure
import dev.lightningdb.internal.NativeFailure
import dev.lightningdb.internal.PackedReader

/**
 * What went wrong. One class for each error of the engine; [name] is the same in every language, [message] says what happened, where,
 * and what to do.
 */
public sealed class LightningException(
    /** A stable name, the same in every language. */
    public val name: String,
    message: String,
    /** The parts of it that programs look at, by name. */
    public val fields: Map<String, String>,
) : Exception(message) {
    /** Whether the same call may succeed when it is made again. */
    public open val isRetryable: Boolean get() = false

    /** What other transactions have done: the same one may succeed at once. What else passes is waited for, and running it again would not help. */
    internal val isOfOthers: Boolean get() = this is Conflict || this is TransactionTooOld || this is Deadlock

    /** No space is left, or a quota is reached. Nothing acknowledged was lost. */
    public class StorageFull internal constructor(message: String, fields: Map<String, String>) :
        LightningException("StorageFull", message, fields)

    /** The platform refuses access to the files. */
    public class PermissionDenied internal constructor(message: String, fields: Map<String, String>) :
        LightningException("PermissionDenied", message, fields)

    /** Any other failure of the storage. */
    public class StorageFailed internal constructor(message: String, fields: Map<String, String>) :
        LightningException("StorageFailed", message, fields)

    /** A file does not hold what its checksums promise. Nothing damaged is ever given as data. */
    public class Corrupt internal constructor(message: String, fields: Map<String, String>) :
        LightningException("Corrupt", message, fields)

    /** The file is something else. */
    public class NotADatabase internal constructor(message: String, fields: Map<String, String>) :
        LightningException("NotADatabase", message, fields)

    /** The file was written by a newer version, or uses what this build does not have. */
    public class Unsupported internal constructor(message: String, fields: Map<String, String>) :
        LightningException("Unsupported", message, fields)

    /** Another process has the database open. */
    public class Locked internal constructor(message: String, fields: Map<String, String>) :
        LightningException("Locked", message, fields) {
        override val isRetryable: Boolean get() = true
    }

    /** A sync failed earlier, so what is durable is unknown: only reopening writes again. */
    public class Poisoned internal constructor(message: String, fields: Map<String, String>) :
        LightningException("Poisoned", message, fields)

    /** Whether this commit is durable cannot be known. */
    public class OutcomeUnknown internal constructor(message: String, fields: Map<String, String>) :
        LightningException("OutcomeUnknown", message, fields)

    /** It was closed. */
    public class Closed internal constructor(message: String, fields: Map<String, String>) :
        LightningException("Closed", message, fields)

    /** It was opened for reading only. */
    public class ReadOnly internal constructor(message: String, fields: Map<String, String>) :
        LightningException("ReadOnly", message, fields)

    /** Another transaction changed what this one read or wrote. */
    public class Conflict internal constructor(message: String, fields: Map<String, String>) :
        LightningException("Conflict", message, fields) {
        override val isRetryable: Boolean get() = true
    }

    /** The changes needed to validate the transaction are gone. */
    public class TransactionTooOld internal constructor(message: String, fields: Map<String, String>) :
        LightningException("TransactionTooOld", message, fields) {
        override val isRetryable: Boolean get() = true
    }

    /** A change feed was asked for commits that the log has given up. */
    public class NoLongerKept internal constructor(message: String, fields: Map<String, String>) :
        LightningException("NoLongerKept", message, fields)

    /** The commit to go on after is not part of this database's history. */
    public class HistoryForked internal constructor(message: String, fields: Map<String, String>) :
        LightningException("HistoryForked", message, fields)

    /** The transaction ran longer than its limit; nothing was written. */
    public class TransactionTimeout internal constructor(message: String, fields: Map<String, String>) :
        LightningException("TransactionTimeout", message, fields)

    /** Waiting for a row would have closed a circle. */
    public class Deadlock internal constructor(message: String, fields: Map<String, String>) :
        LightningException("Deadlock", message, fields) {
        override val isRetryable: Boolean get() = true
    }

    /** A size or count is above its limit. */
    public class LimitExceeded internal constructor(message: String, fields: Map<String, String>) :
        LightningException("LimitExceeded", message, fields)

    /** What a snapshot or transaction sees is no longer kept for it. Take another. */
    public class SnapshotExpired internal constructor(message: String, fields: Map<String, String>) :
        LightningException("SnapshotExpired", message, fields)

    /** One of the database's own limits is reached: others have to give something back first. */
    public class LimitReached internal constructor(message: String, fields: Map<String, String>) :
        LightningException("LimitReached", message, fields) {
        override val isRetryable: Boolean get() = true
    }

    /** The database refuses this for now. */
    public class Unavailable internal constructor(message: String, fields: Map<String, String>) :
        LightningException("Unavailable", message, fields) {
        override val isRetryable: Boolean get() = true
    }

    /** The table was made with other types. */
    public class TableTypeMismatch internal constructor(message: String, fields: Map<String, String>) :
        LightningException("TableTypeMismatch", message, fields)

    /** There is no table or collection of this name. */
    public class NoSuchTable internal constructor(message: String, fields: Map<String, String>) :
        LightningException("NoSuchTable", message, fields)

    /** The schema contradicts the collection. */
    public class SchemaMismatch internal constructor(message: String, fields: Map<String, String>) :
        LightningException("SchemaMismatch", message, fields)

    /** The documents were migrated by a newer version of the application. */
    public class SchemaTooNew internal constructor(message: String, fields: Map<String, String>) :
        LightningException("SchemaTooNew", message, fields)

    /** Two documents would have the same entry in a unique index. */
    public class DuplicateKey internal constructor(message: String, fields: Map<String, String>) :
        LightningException("DuplicateKey", message, fields)

    /** A document cannot be stored. */
    public class InvalidDocument internal constructor(message: String, fields: Map<String, String>) :
        LightningException("InvalidDocument", message, fields)

    /** There was something where nothing was expected, or nothing where something was. */
    public class Unexpected internal constructor(message: String, fields: Map<String, String>) :
        LightningException("Unexpected", message, fields)

    /** An argument, or stored bytes, are not valid. */
    public class Invalid internal constructor(message: String, fields: Map<String, String>) :
        LightningException("Invalid", message, fields)

    /** The database was suspended, and what is asked for is not in memory; or it is a write. */
    public class Suspended internal constructor(message: String, fields: Map<String, String>) :
        LightningException("Suspended", message, fields) {
        override val isRetryable: Boolean get() = true
    }

    /** The device is locked, and keeps the files from everybody until it is unlocked. */
    public class ProtectedDataUnavailable internal constructor(message: String, fields: Map<String, String>) :
        LightningException("ProtectedDataUnavailable", message, fields) {
        /** What a [KeyProvider] throws then. */
        public constructor(message: String) : this(message, emptyMap())

        override val isRetryable: Boolean get() = true
    }

    /** The call was given up by whoever made it. */
    public class Cancelled internal constructor(message: String, fields: Map<String, String>) :
        LightningException("Cancelled", message, fields)

    /** A backup does not hold what its checksums promise, or was cut. Nothing of it was restored; use another copy, or an earlier one. */
    public class DamagedBackup internal constructor(message: String, fields: Map<String, String>) :
        LightningException("DamagedBackup", message, fields)

    /** The database is encrypted, and no key of it was given; or it is not, and one was. Nothing was changed. */
    public class WrongKey internal constructor(message: String, fields: Map<String, String>) :
        LightningException("WrongKey", message, fields)

    /** A fault of this library. Please report it. */
    public class Internal internal constructor(message: String, fields: Map<String, String>) :
        LightningException("Internal", message, fields)

    internal companion object {
        fun of(name: String, text: String, fields: Map<String, String>): LightningException = when (name) {
            "StorageFull" -> StorageFull(text, fields)
            "PermissionDenied" -> PermissionDenied(text, fields)
            "StorageFailed" -> StorageFailed(text, fields)
            "Corrupt" -> Corrupt(text, fields)
            "NotADatabase" -> NotADatabase(text, fields)
            "Unsupported" -> Unsupported(text, fields)
            "Locked" -> Locked(text, fields)
            "Poisoned" -> Poisoned(text, fields)
            "OutcomeUnknown" -> OutcomeUnknown(text, fields)
            "Closed" -> Closed(text, fields)
            "ReadOnly" -> ReadOnly(text, fields)
            "Conflict" -> Conflict(text, fields)
            "TransactionTooOld" -> TransactionTooOld(text, fields)
            "NoLongerKept" -> NoLongerKept(text, fields)
            "HistoryForked" -> HistoryForked(text, fields)
            "TransactionTimeout" -> TransactionTimeout(text, fields)
            "Deadlock" -> Deadlock(text, fields)
            "LimitExceeded" -> LimitExceeded(text, fields)
            "SnapshotExpired" -> SnapshotExpired(text, fields)
            "LimitReached" -> LimitReached(text, fields)
            "Unavailable" -> Unavailable(text, fields)
            "TableTypeMismatch" -> TableTypeMismatch(text, fields)
            "NoSuchTable" -> NoSuchTable(text, fields)
            "SchemaMismatch" -> SchemaMismatch(text, fields)
            "SchemaTooNew" -> SchemaTooNew(text, fields)
            "DuplicateKey" -> DuplicateKey(text, fields)
            "InvalidDocument" -> InvalidDocument(text, fields)
            "Unexpected" -> Unexpected(text, fields)
            "Invalid" -> Invalid(text, fields)
            "Suspended" -> Suspended(text, fields)
            "ProtectedDataUnavailable" -> ProtectedDataUnavailable(text, fields)
            "Cancelled" -> Cancelled(text, fields)
            "DamagedBackup" -> DamagedBackup(text, fields)
            "WrongKey" -> WrongKey(text, fields)
            else -> Internal(text, fields)
        }
    }
}

/** Runs calls of the library, and makes an exception of ours from what they throw. */
internal inline fun <R> calling(call: () -> R): R = try {
    call()
} catch (failure: NativeFailure) {
    throw exceptionOf(failure)
} catch (failure: Failure.Engine) {
    throw exceptionOf(failure)
}

// Not a part of each place that calls: Java compiles small functions into those that use them.
internal fun exceptionOf(failure: NativeFailure): LightningException {
    val fields = PackedReader(failure.fields)
    val all = buildMap { while (!fields.isAtEnd) put(fields.nextOf().decodeToString(), fields.nextOf().decodeToString()) }
    return LightningException.of(failure.name, failure.text, all)
}

internal fun exceptionOf(failure: Failure.Engine): LightningException =
    LightningException.of(failure.name, failure.text, failure.fields.associate { it.name to it.value })
