package dev.lightningdb.compose

import androidx.compose.runtime.Composable
import androidx.compose.runtime.State
import androidx.compose.runtime.produceState
import dev.lightningdb.LightningException
import dev.lightningdb.Query

/**
 * The rows of a query as state: [initial] at first, then those that there are, after each commit that changes them, for as long as this is
 * composed. Another query, that is one that asks something else, begins anew.
 *
 * ```
 * val people by db.people.where(Person::age).above(30).watchAsState()
 * LazyColumn { items(people) { Text(it.name) } }
 * ```
 */
@Composable
public fun <T : Any> Query<T>.watchAsState(
    initial: List<T> = emptyList(),
    onFailure: (LightningException) -> Unit = { throw it },
): State<List<T>> = produceState(initial, this) {
    try {
        watch().collect { value = it }
    } catch (failure: LightningException) {
        onFailure(failure)
    }
}
