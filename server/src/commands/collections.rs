//! `lightning collections`

use clap::Args;
use lightning_db::{CollectionInfo, IndexInfo};
use serde_json::json;

use crate::database::{Access, DatabaseArgs};
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::progress::grouped;
use crate::types::on_one_line;

/// List the collections: how many documents they have, where their key is, and their indexes
#[derive(Args, Debug)]
pub struct Collections {
    #[command(flatten)]
    database: DatabaseArgs,
}

impl Collections {
    pub fn run(self, output: &mut Output) -> Outcome {
        let database = self.database.open(Access::Read)?;
        let collections = database.snapshot().collections().map_err(Failure::engine(self.database.name()))?;
        for info in &collections {
            output.result(|| as_text(info), || as_json(info))?;
        }
        Ok(())
    }
}

fn as_text(info: &CollectionInfo) -> String {
    let documents = if info.documents == 1 { "document" } else { "documents" };
    let (name, key) = (on_one_line(&info.name), on_one_line(&info.key));
    let mut text = format!("{name}  key {key}  {} {documents}", grouped(info.documents));
    if info.version != 1 {
        text.push_str(&format!("  version {}", info.version));
    }
    if let Some(after_ms) = info.expires_after_ms {
        text.push_str(&format!("  expire after {} s", after_ms / 1000));
    }
    let names: Vec<String> = info.indexes.iter().map(|index| on_one_line(&index.index.name())).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    for (index, name) in info.indexes.iter().zip(&names) {
        let kind = kinds(index).join(" ");
        let entries = format!("{} {}", grouped(index.entries), if index.entries == 1 { "entry" } else { "entries" });
        let state = if index.ready { "" } else { "  not ready: it is being made, and 'index add' goes on" };
        text.push_str(&format!("\n  index {name:width$}  {kind:<6}  {entries}{state}"));
        if index.paths.join("+") != index.index.name() {
            text.push_str(&format!("  on {}", on_one_line(&index.paths.join(" + "))));
        }
    }
    text
}

fn as_json(info: &CollectionInfo) -> serde_json::Value {
    let indexes: Vec<_> = info
        .indexes
        .iter()
        .map(|index| {
            json!({
                "name": index.index.name(),
                "paths": index.paths,
                "unique": index.unique,
                "sparse": index.sparse,
                "multi": index.multi,
                "folded": index.folded,
                "ready": index.ready,
                "entries": index.entries,
            })
        })
        .collect();
    json!({
        "name": info.name,
        "key": info.key,
        "version": info.version,
        "expires_after_ms": info.expires_after_ms,
        "documents": info.documents,
        "indexes": indexes,
    })
}

fn kinds(index: &IndexInfo) -> Vec<&'static str> {
    let kinds = [(index.unique, "unique"), (index.sparse, "sparse"), (index.multi, "multi"), (index.folded, "folded")];
    let kinds: Vec<_> = kinds.into_iter().filter_map(|(is, kind)| is.then_some(kind)).collect();
    if kinds.is_empty() { vec!["plain"] } else { kinds }
}
