//! What applications use: databases, snapshots, transactions, cursors. With `std`: threads and group commit.
