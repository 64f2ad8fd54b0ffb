import Foundation

/// When the system lets nobody read files: what Apple calls a protection class. Elsewhere than on iOS, iPadOS, tvOS, watchOS and visionOS
/// it changes nothing.
public enum FileProtection: Sendable, CaseIterable {
    /// Never.
    case none
    /// Until the device was unlocked once after it was switched on: what an application needs that runs in the background. The system's
    /// own choice.
    case untilFirstUnlock
    /// While the device is locked, files that were not open before. What is open stays so.
    case unlessOpen
    /// While the device is locked. What is called then throws `protectedDataUnavailable`, which is retryable: nothing is lost.
    case whileLocked

    #if os(iOS) || os(tvOS) || os(watchOS) || os(visionOS)
        var type: FileProtectionType {
            switch self {
            case .none: .none
            case .untilFirstUnlock: .completeUntilFirstUserAuthentication
            case .unlessOpen: .completeUnlessOpen
            case .whileLocked: .complete
            }
        }
    #endif
}

extension Database {
    /// Where the database of a name belongs: a folder of its own in `Application Support`, which this makes. Its log and its lock lie
    /// beside the database, so what is said of backups and protection is said of the folder, and holds for all files in it.
    ///
    /// - Parameters:
    ///   - isBackedUp: Whether the system's backups, iCloud's among them, have it. What can be fetched again should not be in them.
    ///   - protection: When the system lets nobody read it.
    public static func location(
        _ name: String, isBackedUp: Bool = true, protection: FileProtection = .untilFirstUnlock
    ) throws -> URL {
        let support = try FileManager.default.url(
            for: .applicationSupportDirectory, in: .userDomainMask, appropriateFor: nil, create: true
        )
        return try location(name, in: support, isBackedUp: isBackedUp, protection: protection)
    }

    /// As `location(_:isBackedUp:protection:)`, in another folder: that of an app group, say.
    public static func location(
        _ name: String, in folder: URL, isBackedUp: Bool = true, protection: FileProtection = .untilFirstUnlock
    ) throws -> URL {
        guard !name.isEmpty, !name.contains("/"), name != ".", name != ".." else {
            throw LightningError.invalid("'\(name)' is no name of a database: it becomes the name of a folder")
        }
        var own = folder.appendingPathComponent(name, isDirectory: true)
        var attributes: [FileAttributeKey: Any] = [:]
        #if os(iOS) || os(tvOS) || os(watchOS) || os(visionOS)
            attributes[.protectionKey] = protection.type
        #endif
        try FileManager.default.createDirectory(at: own, withIntermediateDirectories: true, attributes: attributes)
        #if canImport(Darwin)
            // Of a folder that was there before, too.
            if !attributes.isEmpty { try FileManager.default.setAttributes(attributes, ofItemAtPath: own.path) }
            var values = URLResourceValues()
            values.isExcludedFromBackup = !isBackedUp
            try own.setResourceValues(values)
        #else
            // Where there are no such backups, nothing is left out of them.
            own.standardize()
        #endif
        return own.appendingPathComponent(name + ".ldb")
    }
}
