//! The source of the exercise: a notebook that runs, with markers around what learners write themselves.

use super::todos::{Release, Todo};
use crate::notebook::json::Json;
use crate::notebook::{Cell, CellKind, Notebook};
use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

/// A line that begins what learners write, and the line that ends it.
const BEGIN: &str = "// BEGIN SOLUTION";
const END: &str = "// END SOLUTION";

/// What a code cell is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// It is as it is.
    Given,
    /// It is the answer to a TODO.
    Answer(usize),
    /// It checks a TODO.
    Check(usize),
}

impl Role {
    /// What a cell's metadata say that it is; none where they say nothing of the exercise.
    pub fn of(cell: &Cell<'_>) -> Option<Self> {
        let ours = cell.metadata()?.get("candlewick")?;
        let todo = || ours.get("todo").and_then(Json::as_u64).and_then(|todo| usize::try_from(todo).ok());
        match ours.get("role").and_then(Json::as_str)? {
            "given" => Some(Self::Given),
            "answer" => Some(Self::Answer(todo()?)),
            "check" => Some(Self::Check(todo()?)),
            _ => None,
        }
    }
}

/// A code cell of the exercise.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The cell's place in the notebook.
    pub index: usize,
    /// The cell's id.
    pub id: String,
    /// What it is for.
    pub role: Role,
    /// Its text in the source, without markers: what runs.
    pub code: String,
    /// What learners find in its place; the same text for cells that are given.
    pub stub: String,
}

/// A cell as learners get it, of any kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Released {
    /// The cell's id.
    pub id: String,
    /// What it is for; none for text.
    pub role: Option<Role>,
    /// What stands in it: this release's text, then those of earlier ones.
    pub texts: Vec<String>,
}

impl Released {
    /// Whether it stays as the release has it: all but answers do.
    pub fn is_kept(&self) -> bool {
        !matches!(self.role, Some(Role::Answer(_)))
    }

    /// Whether it is for the answer to this TODO.
    pub fn answers(&self, todo: usize) -> bool {
        self.role == Some(Role::Answer(todo))
    }
}

/// A text that an earlier release had in a cell, where this one has another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Earlier {
    /// The cell's id.
    pub id: String,
    /// What stood in it.
    pub text: String,
}

/// The exercise: its code cells in order, and the notebook that they are from.
#[derive(Clone, Debug)]
pub struct Exercise {
    /// Which release it is.
    pub release: u64,
    /// Its code cells.
    pub steps: Vec<Step>,
    /// All of its cells, each at its place in the notebook.
    pub cells: Vec<Released>,
    /// The TODOs, in order.
    pub todos: Vec<Todo>,
    notebook: Notebook,
}

impl Exercise {
    /// Reads the source.
    ///
    /// # Errors
    /// Where a cell has no role, markers do not pair, or a TODO has not one heading, one answer and one check, in order.
    pub fn read(notebook: Notebook) -> anyhow::Result<Self> {
        let release = release_of(&notebook).context("the notebook's metadata name no release")?;
        let (mut steps, mut cells) = (Vec::new(), Vec::new());
        let mut titles = Vec::new();
        for (index, cell) in notebook.cells().enumerate() {
            let place = || format!("cell {} ({})", index + 1, cell.id().unwrap_or("no id"));
            if cell.kind() == CellKind::Code {
                let role = Role::of(&cell).with_context(|| format!("{} has no role", place()))?;
                let id = cell.id().with_context(|| format!("{} has no id", place()))?.to_owned();
                let (code, stub) = divide(&cell.source(), &role).with_context(place)?;
                cells.push(Released { id: id.clone(), role: Some(role.clone()), texts: vec![stub.clone()] });
                steps.push(Step { index, id, role, code, stub });
            } else {
                titles.extend(cell.source().lines().filter_map(title));
                let id = cell.id().unwrap_or_default().to_owned();
                cells.push(Released { id, role: None, texts: vec![cell.source()] });
            }
        }
        let todos = todos(&steps, titles)?;
        Ok(Self { release, steps, cells, todos, notebook })
    }

    /// The same, with what earlier releases had in its cells, so that it is not taken for the learner's.
    pub fn with_earlier(mut self, earlier: &[Earlier]) -> Self {
        for cell in &mut self.cells {
            cell.texts.extend(earlier.iter().filter(|one| one.id == cell.id).map(|one| one.text.clone()));
        }
        self
    }

    /// The TODO that the cell at a place answers.
    pub fn answer_at(&self, place: usize) -> Option<usize> {
        match self.cells.get(place)?.role {
            Some(Role::Answer(todo)) => Some(todo),
            _ => None,
        }
    }

    /// The notebook that learners get: stubs for answers, and no outputs.
    pub fn notebook(&self) -> Notebook {
        let mut notebook = self.notebook.clone();
        for step in &self.steps {
            notebook.set_source(step.index, &step.stub);
            notebook.set_outputs(step.index, Vec::new(), None);
        }
        notebook
    }

    /// What program and crate carry of it.
    pub fn carried(&self) -> Release {
        Release { release: self.release, todos: self.todos.clone() }
    }

    /// Leaves out what comes behind a TODO.
    pub fn cut(&mut self, until: usize) {
        let is_behind = |step: &Step| matches!(step.role, Role::Answer(todo) if todo > until);
        let kept = self.steps.iter().position(is_behind).unwrap_or(self.steps.len());
        self.steps.truncate(kept);
        self.todos.truncate(until);
    }

    /// The cell of this role.
    pub fn step(&self, role: &Role) -> Option<&Step> {
        self.steps.iter().find(|step| step.role == *role)
    }
}

/// The release that a notebook's metadata name.
pub fn release_of(notebook: &Notebook) -> Option<u64> {
    notebook.metadata()?.get("candlewick")?.get("release")?.as_u64()
}

/// `## TODO 3: Reformat images and create batches`.
fn title(line: &str) -> Option<(usize, String)> {
    let (number, title) = line.strip_prefix("## TODO ")?.split_once(": ")?;
    Some((number.parse().ok()?, title.trim().to_owned()))
}

/// A cell's text without its markers, and with a stop in place of what is between them; in a given cell that is the
/// source's alone.
fn divide(source: &str, role: &Role) -> anyhow::Result<(String, String)> {
    let (mut code, mut stub, mut inside, mut regions) = (Vec::new(), Vec::new(), false, 0);
    for line in source.lines() {
        match line.trim() {
            BEGIN if inside => bail!("a second {BEGIN} before {END}"),
            BEGIN => {
                (inside, regions) = (true, regions + 1);
                if let Role::Answer(todo) = role {
                    stub.push(stop(*todo));
                }
            }
            END if !inside => bail!("{END} without {BEGIN}"),
            END => inside = false,
            _ => {
                code.push(line.to_owned());
                if !inside {
                    stub.push(line.to_owned());
                }
            }
        }
    }
    match (role, regions) {
        _ if inside => bail!("{BEGIN} without {END}"),
        (Role::Answer(_), 1) | (Role::Given, _) | (Role::Check(_), 0) => Ok((code.join("\n"), stub.join("\n"))),
        (Role::Answer(todo), _) => bail!("the answer to TODO {todo} has {regions} marked regions, and needs one"),
        _ => bail!("a check has no markers"),
    }
}

/// The line that stops a cell whose TODO is still to be written.
pub fn stop(todo: usize) -> String {
    format!("candlewick::lesson::todo({todo})?; // your code goes here, in place of this line")
}

fn todos(steps: &[Step], titles: Vec<(usize, String)>) -> anyhow::Result<Vec<Todo>> {
    let mut todos = Vec::new();
    for (at, (number, title)) in titles.into_iter().enumerate() {
        if number != at + 1 {
            bail!("the heading of TODO {number} stands where TODO {} is due", at + 1);
        }
        let place = |role: &Role| {
            let mut found = steps.iter().enumerate().filter(|(_, step)| step.role == *role);
            match (found.next(), found.next()) {
                (Some((place, _)), None) => Ok(place),
                _ => bail!("TODO {number} needs one answer and one check"),
            }
        };
        let (answer, check) = (place(&Role::Answer(number))?, place(&Role::Check(number))?);
        if check != answer + 1 {
            bail!("the check of TODO {number} is not right below its answer");
        }
        let solution = steps.get(answer).map(|step| step.code.clone()).unwrap_or_default();
        todos.push(Todo { number, title, solution });
    }
    let cells = steps.iter().filter(|step| step.role != Role::Given).count();
    if todos.is_empty() || cells != 2 * todos.len() {
        bail!("{} headings of TODOs, and {cells} answers and checks", todos.len());
    }
    Ok(todos)
}
