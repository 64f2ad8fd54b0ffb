//! Write-ahead log: record format, append, replay, segments. Uses `codec` and `env`; knows nothing of tables or trees.
