#![no_main]
lightning_db_fuzz::bytes!("archive_piece");
