package dev.lightningdb

import kotlin.reflect.KProperty1

/** What documents must be like. */
public class Filter internal constructor(internal val map: Map<String, Any?>) {
    /** Both. */
    public infix fun and(other: Filter): Filter = Filter(mapOf("all" to listOf(map, other.map)))

    /** One of them, or both. */
    public infix fun or(other: Filter): Filter = Filter(mapOf("any" to listOf(map, other.map)))

    /** Not this. */
    public operator fun not(): Filter = Filter(mapOf("not" to map))
}

/** A field, of which something is to be said. */
public class Field internal constructor(private val path: String) {
    private fun condition(vararg rest: Pair<String, Any?>): Filter = Filter(mapOf("path" to path, *rest))

    /** It is [value]; null also where there is none. */
    public infix fun eq(value: Any?): Filter = condition("equals" to value)

    /** It is one of these. */
    public infix fun isIn(values: kotlin.collections.Collection<Any?>): Filter = condition("in" to values.toList())

    /** From [from] to [to], both included. */
    public fun between(from: Any?, to: Any?): Filter = condition("from" to from, "to" to to)

    /** More than [value]. */
    public infix fun above(value: Any?): Filter = condition("above" to value)

    /** Less than [value]. */
    public infix fun below(value: Any?): Filter = condition("below" to value)

    /** [value] or more. */
    public infix fun from(value: Any?): Filter = condition("from" to value)

    /** [value] or less. */
    public infix fun to(value: Any?): Filter = condition("to" to value)

    /** Text that begins so; where [fold] is true, whatever the case and the accents. */
    public fun startsWith(prefix: String, fold: Boolean = false): Filter =
        if (fold) condition("startsWith" to prefix, "fold" to true) else condition("startsWith" to prefix)

    /** It is this text, whatever the case and the accents. */
    public infix fun eqFolded(value: String): Filter = condition("equals" to value, "fold" to true)

    /** Whether there is one. */
    public fun exists(): Filter = condition("exists" to true)
}

/** A field of documents, by its path. */
public fun field(path: String): Field = Field(path)

/** A field of documents. */
public val KProperty1<*, *>.stored: Field get() = Field(name)

