#![no_main]
lightning_db_fuzz::bytes!("node_compressed");
