#!/usr/bin/python3
"""Windows of WebKit for its WebDriver, which keep what their pages keep in the folder that is the first argument.

Debian's own browser for WebDriver keeps everything in memory. `private` does so here, too.
"""

import sys

import gi

gi.require_version("Gtk", "3.0")
gi.require_version("WebKit2", "4.1")
from gi.repository import Gtk, WebKit2  # noqa: E402

profile, *options = sys.argv[1:]


def data():
    if "private" in options:
        return WebKit2.WebsiteDataManager(is_ephemeral=True)
    return WebKit2.WebsiteDataManager(base_data_directory=f"{profile}/data", base_cache_directory=f"{profile}/cache")


def begun(_, session):
    session.set_application_info(application)
    session.connect("create-web-view", window)


def window(_):
    view = WebKit2.WebView(web_context=context, is_controlled_by_automation=True)
    around = Gtk.Window()
    around.add(view)
    around.set_default_size(800, 600)
    around.show_all()
    view.connect("close", lambda _: around.destroy())
    return view


Gtk.init()
application = WebKit2.ApplicationInfo()
application.set_name("webkit-window")
application.set_version(1, 0, 0)
context = WebKit2.WebContext(website_data_manager=data())
context.connect("automation-started", begun)
context.set_automation_allowed(True)
Gtk.main()
