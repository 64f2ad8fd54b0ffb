#if canImport(Security) && canImport(CryptoKit)
    import CryptoKit
    import Foundation
    import Security

    extension EncryptionKey {
        /// A key that the Keychain keeps, in an item of this service and account, which is made when it is first needed. It never leaves
        /// the device, also not with its backups, and is there once the device was unlocked after it was switched on; before that opening
        /// throws `protectedDataUnavailable`, which is retryable.
        ///
        /// The database opens on this device alone: to open it, or its backups, elsewhere, add another key, a passphrase say.
        public static func keychain(service: String, account: String) -> EncryptionKey {
            .provider(Keychain(service: service, account: account))
        }
    }

    /// Wraps keys by one that is an item of the Keychain.
    private struct Keychain: KeyProvider {
        let service: String
        let account: String

        func wrap(_ key: Data) throws -> Data {
            let sealed = try AES.GCM.seal(key, using: SymmetricKey(data: try found() ?? made()))
            guard let combined = sealed.combined else { throw LightningError.wrongKey("a nonce has another length than 12 bytes") }
            return combined
        }

        func unwrap(_ wrapped: Data) throws -> Data? {
            guard let own = try found() else {
                throw LightningError.wrongKey(
                    "the Keychain has no item of service '\(service)' and account '\(account)': the database was made on another device, or "
                        + "the item was deleted; open it with another key"
                )
            }
            guard let sealed = try? AES.GCM.SealedBox(combined: wrapped) else { return nil }
            return try? AES.GCM.open(sealed, using: SymmetricKey(data: own))
        }

        private var item: [CFString: Any] {
            [kSecClass: kSecClassGenericPassword, kSecAttrService: service, kSecAttrAccount: account]
        }

        private func found() throws -> Data? {
            var result: CFTypeRef?
            let query = item.merging([kSecReturnData: true]) { $1 }
            switch SecItemCopyMatching(query as CFDictionary, &result) {
            case errSecSuccess: return result as? Data
            case errSecItemNotFound: return nil
            case let status: throw failure(status)
            }
        }

        private func made() throws -> Data {
            let new = SymmetricKey(size: .bits256).withUnsafeBytes { Data($0) }
            let attributes: [CFString: Any] = [
                kSecValueData: new, kSecAttrAccessible: kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly,
            ]
            switch SecItemAdd(item.merging(attributes) { $1 } as CFDictionary, nil) {
            case errSecSuccess: return new
            case errSecDuplicateItem:
                // Another thread was faster.
                guard let there = try found() else { throw failure(errSecDuplicateItem) }
                return there
            case let status: throw failure(status)
            }
        }

        private func failure(_ status: OSStatus) -> LightningError {
            let text = SecCopyErrorMessageString(status, nil) as String? ?? "no message"
            let what = "the Keychain does not give the item of service '\(service)' and account '\(account)': \(text) (\(status))"
            return status == errSecInteractionNotAllowed ? .protectedDataUnavailable(what) : .wrongKey(what)
        }
    }
#endif
