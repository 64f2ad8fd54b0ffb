package dev.lightningdb.android

import android.content.Context
import dev.lightningdb.Database
import dev.lightningdb.Options
import java.io.File
import java.nio.file.Path

/**
 * Where the app keeps the database of this name: among its own files, which nobody else reads. Where [isBackedUp] is false, in the folder
 * that Android's backups leave out.
 */
public fun Context.lightningDatabasePath(name: String, isBackedUp: Boolean = true): Path {
    require('/' !in name && name.isNotEmpty()) { "'$name' is no name of a database" }
    // The folder of noBackupFilesDir, which is not known before Android 5.
    val folder = if (isBackedUp) filesDir else File(filesDir.parentFile, "no_backup").apply { mkdirs() }
    return File(folder, "$name.ldb").toPath()
}

/** Opens the app's database of this name, and makes it if there is none: see [lightningDatabasePath]. */
public suspend fun Context.openLightningDatabase(
    name: String,
    options: Options = Options(),
    isBackedUp: Boolean = true,
): Database = Database.open(lightningDatabasePath(name, isBackedUp), options)
