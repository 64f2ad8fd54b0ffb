import Foundation
@preconcurrency import LightningDBGenerated

#if canImport(UIKit) && !os(watchOS)
    import UIKit
#endif

/// Suspends a database when the application goes into the background, resumes it when it comes back, and gives memory back when the system
/// asks for it.
final class ApplicationLife: @unchecked Sendable {
    /// What the system tells.
    struct Names: Sendable {
        var background: Notification.Name
        var foreground: Notification.Name
        var memory: Notification.Name

        /// Those of UIKit; nil where there is none.
        static var ofSystem: Names? {
            #if canImport(UIKit) && !os(watchOS)
                Names(
                    background: UIApplication.didEnterBackgroundNotification,
                    foreground: UIApplication.willEnterForegroundNotification,
                    memory: UIApplication.didReceiveMemoryWarningNotification
                )
            #else
                nil
            #endif
        }
    }

    private let observers: [any NSObjectProtocol]
    private let center: NotificationCenter

    /// Follows what is told by these names until it is gone.
    init(of database: LightningDBGenerated.Database, _ names: Names, center: NotificationCenter = .default) {
        self.center = center
        let on = { (name: Notification.Name, act: @escaping @Sendable (LightningDBGenerated.Database) -> Void) in
            center.addObserver(forName: name, object: nil, queue: nil) { [weak database] _ in
                if let database { act(database) }
            }
        }
        observers = [
            on(names.background) { database in withTime { try? database.suspendBlocking() } },
            on(names.foreground) { database in
                // It takes a moment, and what is called next needs it. Only where another process has the files it is waited for, elsewhere.
                do {
                    try database.resumeBlocking(waitMs: 0)
                } catch {
                    DispatchQueue.global(qos: .userInitiated).async { try? database.resumeBlocking(waitMs: 10_000) }
                }
            },
            on(names.memory) { database in _ = try? database.trimMemory(level: .all) },
        ]
    }

    deinit { observers.forEach(center.removeObserver) }
}

/// Runs `body` before the system puts the application to sleep.
private func withTime(_ body: @Sendable @escaping () -> Void) {
    #if canImport(UIKit) && !os(watchOS)
        // Called a second time when the time is up; what is done already is not done again.
        ProcessInfo.processInfo.performExpiringActivity(withReason: "closing the files of a database") { _ in body() }
    #else
        body()
    #endif
}
