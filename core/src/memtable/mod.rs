//! Persistent (structure-sharing) ordered map of the newest changes. Knows nothing of storage.
