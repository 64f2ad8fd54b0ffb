package dev.lightningdb.android

import android.app.Application
import android.content.ContentProvider
import android.content.ContentValues
import android.database.Cursor
import android.net.Uri

/**
 * Has databases follow the app's life from its start on: the system makes content providers before anything of the app runs. It provides
 * nothing. Whoever does not want it removes it from the merged manifest (`tools:node="remove"`), and calls [AndroidLife] or
 * `dev.lightningdb.AppLife` when they see fit.
 */
public class LightningInitializer : ContentProvider() {
    override fun onCreate(): Boolean {
        (context?.applicationContext as? Application)?.let(AndroidLife::follow)
        return true
    }

    override fun query(uri: Uri, projection: Array<String>?, selection: String?, selectionArgs: Array<String>?, sortOrder: String?): Cursor? =
        null

    override fun getType(uri: Uri): String? = null

    override fun insert(uri: Uri, values: ContentValues?): Uri? = null

    override fun delete(uri: Uri, selection: String?, selectionArgs: Array<String>?): Int = 0

    override fun update(uri: Uri, values: ContentValues?, selection: String?, selectionArgs: Array<String>?): Int = 0
}
