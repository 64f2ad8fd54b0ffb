package dev.lightningdb.android

import android.app.Activity
import android.app.Application
import android.content.ComponentCallbacks2
import android.os.Looper
import dev.lightningdb.Database
import dev.lightningdb.Durability
import dev.lightningdb.KeyType
import dev.lightningdb.Options
import dev.lightningdb.ValueType
import kotlinx.coroutines.delay
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Before
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import java.time.Duration
import java.util.concurrent.TimeUnit

/** With a real `Context`, on Android's own classes. */
@RunWith(RobolectricTestRunner::class)
@Config(sdk = [34])
class AndroidLifeTest {
    private val application: Application get() = RuntimeEnvironment.getApplication()

    @Before
    fun start() {
        Robolectric.buildContentProvider(LightningInitializer::class.java).create()
    }

    private suspend fun until(what: () -> Boolean): Unit = withTimeout(20_000) { while (!what()) delay(1) }

    private suspend fun Database.fill() {
        val table = table("rows", KeyType.Long, ValueType.Text)
        for (key in 0L until 2_000) table.blocking.put(key, "value $key ".repeat(10))
    }

    @Test
    fun `a database is among the app's files`(): Unit = runBlocking {
        application.openLightningDatabase("notes").use { db ->
            val table = db.table("rows", KeyType.Text, ValueType.Text)
            table.put("a", "b")
            assertEquals("b", table.get("a"))
        }
        assertTrue(application.filesDir.resolve("notes.ldb").isFile)
        val apart = application.lightningDatabasePath("cached", isBackedUp = false)
        assertEquals("no_backup", apart.parent.fileName.toString())
        assertTrue(apart.parent.toFile().isDirectory)
    }

    @Test
    fun `what is committed is merged when nobody looks at the app any more`(): Unit = runBlocking {
        application.openLightningDatabase("background", Options(durability = Durability.Relaxed)).use { db ->
            val activity = Robolectric.buildActivity(Activity::class.java).setup()
            val looper = shadowOf(Looper.getMainLooper())
            looper.idle()
            activity.pause().stop()
            assertTrue("it waits for the activity to come back", looper.nextScheduledTaskTime > Duration.ZERO)
            activity.start().resume()
            looper.idle()
            assertEquals("it came back", Duration.ZERO, looper.nextScheduledTaskTime)
            db.fill()
            activity.pause().stop()
            looper.idleFor(1, TimeUnit.SECONDS)
            until { db.stats().memtableBytes < 100_000 }
        }
    }

    @Test
    fun `memory is given back when the system says so`(): Unit = runBlocking {
        application.openLightningDatabase("memory", Options(durability = Durability.Relaxed)).use { db ->
            db.fill()
            db.checkpoint()
            val table = db.table("rows", KeyType.Long, ValueType.Text)
            for (key in 0L until 2_000) table.blocking.get(key)
            val before = db.stats().cacheBytes
            assertTrue(before > 0)
            application.onTrimMemory(ComponentCallbacks2.TRIM_MEMORY_COMPLETE)
            until { db.stats().cacheBytes < before }
            assertEquals("value 7 ".repeat(10), table.get(7))
        }
    }
}
