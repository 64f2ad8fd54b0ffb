//! `lightning index`

use clap::{Args, Subcommand};
use lightning_db::{Index, Migrations, Path, Schema, Value};
use serde_json::json;

use crate::database::{Access, DatabaseArgs};
use crate::documents::CollectionView;
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::progress::{Progress, Rate, Unit, grouped, records};

/// Make and drop indexes of collections
#[derive(Args, Debug)]
#[command(arg_required_else_help = true, subcommand_required = true)]
pub struct IndexCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    Add(Add),
    Drop(DropIndex),
}

impl IndexCommand {
    pub fn run(self, output: &mut Output) -> Outcome {
        match self.action {
            Action::Add(add) => add.run(output),
            Action::Drop(drop) => drop.run(output),
        }
    }
}

/// Make an index over the documents that are there; it is kept from then on
///
/// It is made in small steps: a process that is killed meanwhile loses nothing, and the same command goes on.
#[derive(Args, Debug)]
struct Add {
    #[command(flatten)]
    database: DatabaseArgs,
    /// The collection
    collection: String,
    /// The field, or with + between them several together: country, country+city, address.zip
    paths: String,
    /// No two documents may have the same entry
    #[arg(long)]
    unique: bool,
    /// Leave out documents that lack a field
    #[arg(long)]
    sparse: bool,
    /// An entry for each element of an array
    #[arg(long)]
    multi: bool,
    /// Without regard to case and accents
    #[arg(long)]
    folded: bool,
    /// Another name than the paths
    #[arg(long)]
    name: Option<String>,
    /// Tell how far it is, also where standard error is no terminal
    #[arg(long)]
    progress: bool,
}

impl Add {
    fn run(self, output: &mut Output) -> Outcome {
        let index = self.index()?;
        let database = self.database.open(Access::Write)?;
        let view = CollectionView::open(&database.snapshot(), &self.database, &self.collection)?;
        let is_there = view.info.indexes.iter().any(|there| there.index.name() == index.name() && there.ready);
        let schema = Schema::key(view.info.key.clone()).version(view.info.version).with(index.clone());
        drop(view);
        let (rate, mut documents) = (Rate::start(), 0);
        let progress = Progress::start(None, Unit::Count, self.progress);
        let mut total = None;
        let made = database.collection_with::<Value>(&self.collection, schema, Migrations::new(), &mut |index| {
            if total.replace(index.total) != Some(index.total) {
                progress.set_total(index.total);
            }
            // Told before each step: in the end all of them are done.
            documents = index.total;
            progress.at(index.done, || format!("documents  {} a second", grouped(rate.per_second(index.done))));
            progress.line(|| format!("{} of {} documents", index.done, index.total));
        });
        let closed = made.and_then(|_| database.close());
        progress.finish();
        closed.map_err(Failure::engine(self.database.name()))?;
        let (name, seconds) = (index.name(), rate.seconds());
        output.result(
            || match is_there {
                true => format!("index '{name}' of '{}' is there already", self.collection),
                false => {
                    let documents = records(documents).replace("record", "document");
                    format!("made index '{name}' of '{}' over {documents} in {seconds:.2} s", self.collection)
                }
            },
            || json!({ "collection": self.collection, "index": name, "documents": documents, "seconds": seconds }),
        )
    }

    fn index(&self) -> Outcome<Index> {
        let mut index = index_on(&self.paths)?;
        for (asked, apply) in [
            (self.unique, Index::unique as fn(Index) -> Index),
            (self.sparse, Index::sparse),
            (self.multi, Index::multi),
            (self.folded, Index::folded),
        ] {
            if asked {
                index = apply(index);
            }
        }
        Ok(match &self.name {
            Some(name) => index.named(name.clone()),
            None => index,
        })
    }
}

/// Drop an index; the documents stay
#[derive(Args, Debug)]
#[command(name = "drop")]
struct DropIndex {
    #[command(flatten)]
    database: DatabaseArgs,
    /// The collection
    collection: String,
    /// The index, as 'collections' names it
    index: String,
}

impl DropIndex {
    fn run(self, output: &mut Output) -> Outcome {
        let database = self.database.open(Access::Write)?;
        let failed = |error| Failure::engine(self.database.name())(error);
        let view = CollectionView::open(&database.snapshot(), &self.database, &self.collection)?;
        let collection = database.existing_collection::<Value>(&self.collection).map_err(failed)?;
        let was_there = collection.drop_index(&self.index).map_err(failed)?;
        let names: Vec<_> = view.info.indexes.iter().map(|index| format!("'{}'", index.index.name())).collect();
        drop((collection, view));
        database.close().map_err(failed)?;
        if !was_there {
            let there_are =
                if names.is_empty() { "it has none".to_owned() } else { format!("it has {}", names.join(", ")) };
            let subject = self.database.collection_name(&self.collection);
            return Err(Failure::NotFound(format!("{subject}: no index '{}'; {there_are}", self.index)));
        }
        output.result(
            || format!("dropped index '{}' of '{}'", self.index, self.collection),
            || json!({ "collection": self.collection, "dropped": self.index }),
        )
    }
}

/// An index on the paths that `text` names with `+` between them.
pub fn index_on(text: &str) -> Outcome<Index> {
    let paths: Vec<String> = text.split('+').map(str::to_owned).collect();
    for path in &paths {
        Path::parse(path).map_err(|error| Failure::usage(format!("index '{text}': {error}")))?;
    }
    Ok(Index::on(paths))
}
