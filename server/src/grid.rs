//! Documents as a table for people: a column for each field, the first rows deciding how wide it is.

use lightning_db::Value;

use crate::documents::{JsonForm, write_json};
use crate::failure::Outcome;
use crate::output::Output;
use crate::progress::rows;
use crate::types::write_line;

/// Rows that are gathered before the first is printed.
const GATHERED_ROWS: usize = 1000;
/// Letters of a cell; longer ones are cut.
const CELL_WIDTH_MAX: usize = 40;

/// Prints documents in columns.
pub struct Grid {
    gathered: Vec<Value>,
    columns: Option<Vec<Column>>,
    printed: u64,
}

struct Column {
    name: String,
    width: usize,
    /// Numbers stand at the right.
    is_number: bool,
}

impl Grid {
    pub fn new() -> Self {
        Self { gathered: Vec::new(), columns: None, printed: 0 }
    }

    /// The next row.
    pub fn row(&mut self, document: Value, output: &mut Output) -> Outcome {
        if let Some(columns) = &self.columns {
            self.printed += 1;
            return output.line(&line_of(columns, &document));
        }
        self.gathered.push(document);
        if self.gathered.len() >= GATHERED_ROWS { self.begin(output) } else { Ok(()) }
    }

    /// There are no more: prints what was gathered, and how many rows there were.
    pub fn finish(mut self, output: &mut Output) -> Outcome {
        if self.columns.is_none() && !self.gathered.is_empty() {
            self.begin(output)?;
        }
        output.line(&format!("({})", rows(self.printed)))
    }

    fn begin(&mut self, output: &mut Output) -> Outcome {
        let columns = columns_of(&self.gathered);
        let mut line = String::new();
        for column in &columns {
            pad(&shortened(&column.name), column, &mut line);
        }
        output.line(line.trim_end())?;
        let width = columns.iter().map(|column| column.width + 2).sum::<usize>().saturating_sub(2);
        output.line(&"─".repeat(width))?;
        for document in &self.gathered {
            output.line(&line_of(&columns, document))?;
        }
        self.printed = self.gathered.len() as u64;
        self.gathered = Vec::new();
        self.columns = Some(columns);
        Ok(())
    }
}

/// The fields of all documents, in the order in which they come.
fn columns_of(documents: &[Value]) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::new();
    for (name, value) in documents.iter().filter_map(Value::as_map).flatten() {
        let width = shortened(&cell_of(value)).chars().count();
        let is_number = value.is_null() || value.as_f64().is_some();
        match columns.iter_mut().find(|column| column.name == *name) {
            Some(column) => {
                column.width = column.width.max(width);
                column.is_number &= is_number;
            }
            None => {
                let width = width.max(shortened(name).chars().count());
                columns.push(Column { name: name.clone(), width, is_number });
            }
        }
    }
    columns
}

fn line_of(columns: &[Column], document: &Value) -> String {
    let mut line = String::new();
    for column in columns {
        let cell = document.get(&column.name).map(cell_of).unwrap_or_default();
        pad(&shortened(&cell), column, &mut line);
    }
    line.truncate(line.trim_end().len());
    line
}

fn pad(cell: &str, column: &Column, line: &mut String) {
    let width = column.width;
    line.push_str(&if column.is_number { format!("{cell:>width$}  ") } else { format!("{cell:<width$}  ") });
}

/// Text as it is, everything else as JSON.
fn cell_of(value: &Value) -> String {
    if let Value::Text(text) = value {
        return text.clone();
    }
    let mut json = String::new();
    write_json(value, JsonForm::Plain, &mut json);
    match json.strip_prefix('"').and_then(|json| json.strip_suffix('"')) {
        Some(bare) => bare.to_owned(),
        None => json,
    }
}

fn shortened(cell: &str) -> String {
    let mut shown = String::new();
    write_line(cell, &mut shown);
    if shown.chars().count() <= CELL_WIDTH_MAX {
        return shown;
    }
    shown.chars().take(CELL_WIDTH_MAX - 1).chain(['…']).collect()
}
