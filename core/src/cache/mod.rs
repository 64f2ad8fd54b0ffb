//! Resident nodes within one memory budget. Uses `codec` and `env`; knows nothing of keys.
