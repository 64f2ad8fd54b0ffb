package dev.lightningdb.compose

import androidx.compose.runtime.AbstractApplier
import androidx.compose.runtime.BroadcastFrameClock
import androidx.compose.runtime.Composition
import androidx.compose.runtime.Recomposer
import androidx.compose.runtime.getValue
import androidx.compose.runtime.mutableStateOf
import androidx.compose.runtime.setValue
import androidx.compose.runtime.snapshots.Snapshot
import dev.lightningdb.Database
import dev.lightningdb.LightningException
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withContext
import kotlinx.coroutines.withTimeout
import kotlinx.coroutines.yield
import kotlinx.serialization.Serializable
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

@Serializable
data class Person(val id: Int, val name: String, val age: Int)

class WatchAsStateTest {
    private object Nothing : AbstractApplier<Unit>(Unit) {
        override fun insertTopDown(index: Int, instance: Unit) = Unit
        override fun insertBottomUp(index: Int, instance: Unit) = Unit
        override fun remove(index: Int, count: Int) = Unit
        override fun move(from: Int, to: Int, count: Int) = Unit
        override fun onClear() = Unit
    }

    @Test
    fun `what is composed has the rows, now and after each commit`(): Unit = runBlocking {
        val db = Database.inMemory()
        val people = db.collection("people", key = Person::id) { index(Person::age) }
        people.put(Person(1, "Ada", 36))

        var from by mutableStateOf(30)
        var shown: List<String> = emptyList()
        val failures = mutableListOf<LightningException>()
        val clock = BroadcastFrameClock()
        withContext(clock) {
            val recomposer = Recomposer(coroutineContext)
            val running = launch { recomposer.runRecomposeAndApplyChanges() }
            val composition = Composition(Nothing, recomposer)
            composition.setContent {
                val rows by people.where(Person::age).from(from).watchAsState(onFailure = { failures += it })
                shown = rows.map(Person::name)
            }
            suspend fun until(what: () -> Boolean) = withTimeout(20_000) {
                while (!what()) {
                    Snapshot.sendApplyNotifications()
                    yield()
                    clock.sendFrame(System.nanoTime())
                }
            }
            until { shown == listOf("Ada") }
            withContext(Dispatchers.IO) { people.put(Person(2, "Grace", 85)) }
            until { shown == listOf("Ada", "Grace") }
            from = 80
            until { shown == listOf("Grace") }
            db.close()
            until { failures.isNotEmpty() }
            assertTrue(failures.single() is LightningException.Closed)
            assertEquals(listOf("Grace"), shown)
            composition.dispose()
            recomposer.cancel()
            running.join()
        }
    }
}
