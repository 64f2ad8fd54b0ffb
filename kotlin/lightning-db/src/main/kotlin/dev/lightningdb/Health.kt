package dev.lightningdb

import dev.lightningdb.internal.Finding as NativeFinding
import dev.lightningdb.internal.Quarantined as NativeQuarantined

/** How bad something is. */
public enum class Severity {
    /** As somebody wanted it, or over by itself. */
    Notice,

    /** Everything works still; it will not, if nothing is done. */
    Warning,

    /** Something does not work. */
    Critical,
}

/** Something that is not as it should be: its [cause] with figures, and what to do. The [name] stays the same; `docs/operations.md` lists them. */
public data class Finding(val name: String, val severity: Severity, val cause: String, val remedy: String) {
    internal constructor(native: NativeFinding) : this(native.name, Severity.entries[native.severity.ordinal], native.cause, native.remedy)
}

/** How a database is: what is not as it should be, the worst first. */
public data class Health(val findings: List<Finding>) {
    /** Whether everything works, and will go on to. */
    val isWell: Boolean get() = findings.all { it.severity == Severity.Notice }
}

/**
 * A damaged part of the data file, and the keys behind it: those from [from] to before [to], as they are stored, in [tables], which are empty
 * where that cannot be told.
 */
public class Quarantined internal constructor(native: NativeQuarantined) {
    /** Byte offset in the data file. */
    public val offset: Long = native.offset.toLong()

    /** Its length in bytes. */
    public val length: Long = native.length.toLong()

    /** The tables whose keys are behind it. */
    public val tables: List<String> = native.tables

    /** The first key that may be lost; empty for the first of the first table. */
    public val from: ByteArray = native.from

    /** The first key behind those; empty for the end of the last table. */
    public val to: ByteArray = native.to

    override fun toString(): String = "$length damaged bytes at $offset, in ${tables.ifEmpty { listOf("unknown tables") }}"
}

/** Who may use a database that is open. Reading goes on in each. */
public enum class Mode {
    /** Everybody. */
    Normal,

    /** Nobody writes: that is [LightningException.ReadOnly]. */
    ReadOnly,

    /** No transaction begins: that is [LightningException.Unavailable], which passes. Checks, backups and compactions go on undisturbed. */
    Maintenance,
}
