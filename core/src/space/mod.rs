//! Where nodes and values lie in the data file: superblocks, extents, free space. Uses `codec` and `env`.
