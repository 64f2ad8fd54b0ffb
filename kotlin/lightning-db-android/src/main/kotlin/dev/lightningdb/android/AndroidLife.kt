package dev.lightningdb.android

import android.app.Activity
import android.app.Application
import android.content.ComponentCallbacks2
import android.content.res.Configuration
import android.os.Bundle
import android.os.Handler
import android.os.Looper
import dev.lightningdb.AppLife
import dev.lightningdb.TrimLevel

/** Tells the databases what the system does with the app. */
public object AndroidLife {
    private var followed: Application? = null

    /** Follows [application]; once is enough, and [LightningInitializer] does it. */
    public fun follow(application: Application) {
        if (followed === application) return
        followed = application
        application.registerActivityLifecycleCallbacks(Background())
        application.registerComponentCallbacks(Memory)
    }

    /** Told apart from an activity that is made again, as when the screen is turned, by waiting a little. */
    private class Background : Application.ActivityLifecycleCallbacks {
        private val handler = Handler(Looper.getMainLooper())
        private var started = 0
        private val nobodyLooks = Runnable { AppLife.entersBackground() }

        override fun onActivityStarted(activity: Activity) {
            started++
            handler.removeCallbacks(nobodyLooks)
        }

        override fun onActivityStopped(activity: Activity) {
            if (--started == 0) handler.postDelayed(nobodyLooks, DELAY_MS)
        }

        override fun onActivityCreated(activity: Activity, state: Bundle?) = Unit
        override fun onActivityResumed(activity: Activity) = Unit
        override fun onActivityPaused(activity: Activity) = Unit
        override fun onActivitySaveInstanceState(activity: Activity, state: Bundle) = Unit
        override fun onActivityDestroyed(activity: Activity) = Unit
    }

    private object Memory : ComponentCallbacks2 {
        override fun onTrimMemory(level: Int) {
            AppLife.trimMemory(if (level in MODERATE) TrimLevel.Moderate else TrimLevel.All)
        }

        override fun onLowMemory() {
            AppLife.trimMemory(TrimLevel.All)
        }

        override fun onConfigurationChanged(configuration: Configuration) = Unit
    }

    /** While the app is looked at, and memory is not yet about to end it. */
    private val MODERATE = ComponentCallbacks2.TRIM_MEMORY_RUNNING_MODERATE until ComponentCallbacks2.TRIM_MEMORY_RUNNING_CRITICAL

    /** As long as androidx.lifecycle waits for the same. */
    private const val DELAY_MS = 700L
}
