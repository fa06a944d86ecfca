//! Notebook files (`.ipynb`, format 4): read, filled with outputs, and written without losing anything else.

pub mod json;
mod json_reader;

use json::{Json, NotJson};
use std::fmt;
use std::io::{Read, Write};
use std::path::Path;

/// The largest notebook that is read. Those with many pictures reach tens of megabytes.
const LARGEST: u64 = 512 << 20;

/// A notebook: its cells, and all else that its file holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Notebook {
    root: Json,
}

/// Why a file is not a notebook that we can run.
#[derive(Debug)]
pub enum NotebookError {
    /// The file cannot be read or written.
    File(std::io::Error),
    /// The file is larger than any notebook; the limit in bytes.
    TooLarge(u64),
    /// It is not text.
    NotText,
    /// It is not JSON.
    NotJson(NotJson),
    /// It is JSON, but not a notebook.
    NotANotebook(String),
    /// It is a notebook of an older format, 1 to 3.
    TooOld(u64),
    /// It is a notebook of a format that does not exist yet.
    TooNew(u64),
}

impl fmt::Display for NotebookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(why) => write!(f, "{why}"),
            Self::TooLarge(limit) => write!(f, "larger than {} MiB: is it a notebook?", limit >> 20),
            Self::NotText => f.write_str("not a notebook: its bytes are not UTF-8 text"),
            Self::NotJson(why) => write!(f, "not a notebook: not JSON ({why})"),
            Self::NotANotebook(why) => write!(f, "JSON, but not a notebook: {why}"),
            Self::TooOld(major) => write!(
                f,
                "a notebook of the old format {major}; `jupyter nbconvert --to notebook` brings it to format 4"
            ),
            Self::TooNew(major) => write!(f, "a notebook of format {major}; this candlewick reads format 4"),
        }
    }
}

impl std::error::Error for NotebookError {}

/// The three kinds of cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellKind {
    /// Runs.
    Code,
    /// Is read.
    Markdown,
    /// Is passed on as it is; also what a kind of cell from the future counts as.
    Raw,
}

/// A view of one cell.
#[derive(Clone, Copy, Debug)]
pub struct Cell<'a> {
    json: &'a Json,
}

impl<'a> Cell<'a> {
    /// Its kind.
    pub fn kind(&self) -> CellKind {
        match self.json.get("cell_type").and_then(Json::as_str) {
            Some("code") => CellKind::Code,
            Some("markdown") => CellKind::Markdown,
            _ => CellKind::Raw,
        }
    }

    /// Its text.
    pub fn source(&self) -> String {
        self.json.get("source").and_then(Json::text).unwrap_or_default()
    }

    /// All that the notebook's file says of it.
    pub fn json(&self) -> &'a Json {
        self.json
    }

    /// Its id, where it has one.
    pub fn id(&self) -> Option<&'a str> {
        self.json.get("id").and_then(Json::as_str)
    }

    /// Its metadata, where it has any.
    pub fn metadata(&self) -> Option<&'a Json> {
        self.json.get("metadata")
    }

    /// Its tags, in their order.
    pub fn tags(&self) -> impl Iterator<Item = &'a str> {
        let tags = self.json.get("metadata").and_then(|metadata| metadata.get("tags")).and_then(Json::as_array);
        tags.unwrap_or_default().iter().filter_map(Json::as_str)
    }

    /// Whether its metadata has this tag.
    pub fn has_tag(&self, tag: &str) -> bool {
        self.tags().any(|found| found == tag)
    }

    /// Its saved outputs, as the notebook format writes them.
    pub fn outputs(&self) -> &'a [Json] {
        self.json.get("outputs").and_then(Json::as_array).unwrap_or_default()
    }

    /// Its number in the order of running, where it has run.
    pub fn execution_count(&self) -> Option<u64> {
        self.json.get("execution_count").and_then(Json::as_u64)
    }

    /// A picture that came with the cell's text, `attachment:NAME`: its media type and base64.
    pub fn attachment(&self, name: &str) -> Option<(&'a str, String)> {
        match self.json.get("attachments")?.get(name)? {
            Json::Object(media) => media.first().and_then(|(kind, data)| Some((kind.as_str(), data.text()?))),
            _ => None,
        }
    }
}

impl Notebook {
    /// Reads a notebook's text.
    ///
    /// # Errors
    /// When it is not JSON, not a notebook, or not of format 4.
    pub fn parse(text: &str) -> Result<Self, NotebookError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let root = Json::parse(text).map_err(NotebookError::NotJson)?;
        let not = |why: &str| NotebookError::NotANotebook(why.to_owned());
        let major = root.get("nbformat").ok_or_else(|| not("it has no \"nbformat\""))?;
        match major.as_u64().ok_or_else(|| not("its \"nbformat\" is no whole number"))? {
            0..=3 => return Err(NotebookError::TooOld(major.as_u64().unwrap_or_default())),
            4 => {}
            major => return Err(NotebookError::TooNew(major)),
        }
        let cells = root.get("cells").and_then(Json::as_array).ok_or_else(|| not("it has no list of \"cells\""))?;
        for (i, cell) in cells.iter().enumerate() {
            let lacks = |what| NotebookError::NotANotebook(format!("cell {} has no {what}", i + 1));
            cell.get("cell_type").and_then(Json::as_str).ok_or_else(|| lacks("\"cell_type\""))?;
            cell.get("source").and_then(Json::text).ok_or_else(|| lacks("\"source\" of text"))?;
        }
        Ok(Self { root })
    }

    /// Reads a notebook's file.
    ///
    /// # Errors
    /// When the file cannot be read, and as [`Notebook::parse`].
    pub fn read(path: &Path) -> Result<Self, NotebookError> {
        if path.is_dir() {
            return Err(NotebookError::File(std::io::Error::other("it is a folder")));
        }
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).map_err(NotebookError::File)?;
        file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(NotebookError::File)?;
        if bytes.len() as u64 > LARGEST {
            return Err(NotebookError::TooLarge(LARGEST));
        }
        Self::parse(std::str::from_utf8(&bytes).map_err(|_| NotebookError::NotText)?)
    }

    /// Writes the notebook's file: beside it first, then renamed, so that a half-written file never stands there.
    ///
    /// # Errors
    /// When the folder cannot be written; what stood at `path` is then still there.
    pub fn write(&self, path: &Path) -> Result<(), NotebookError> {
        write_beside(path, self.to_string().as_bytes()).map_err(NotebookError::File)
    }

    /// The cells, in order.
    pub fn cells(&self) -> impl ExactSizeIterator<Item = Cell<'_>> {
        let cells = self.root.get("cells").and_then(Json::as_array).unwrap_or_default();
        cells.iter().map(|json| Cell { json })
    }

    /// The programming language, in lower case, where the notebook says it.
    pub fn language(&self) -> Option<String> {
        let metadata = self.root.get("metadata")?;
        let of = |part: &str, key: &str| metadata.get(part)?.get(key)?.as_str().map(str::to_lowercase);
        // A notebook that never ran may name its kernel only.
        let by_name =
            || of("kernelspec", "name").filter(|name| name.starts_with("python")).map(|_| "python".to_owned());
        of("kernelspec", "language").or_else(|| of("language_info", "name")).or_else(by_name)
    }

    /// The notebook's own metadata, where it has any.
    pub fn metadata(&self) -> Option<&Json> {
        self.root.get("metadata")
    }

    /// Replaces all cells.
    pub fn set_cells(&mut self, cells: Vec<Json>) {
        self.root.set("cells", Json::Array(cells));
    }

    /// Replaces a cell's text.
    pub fn set_source(&mut self, index: usize, text: &str) {
        let Some(Json::Array(cells)) = self.root.get_mut("cells") else { return };
        if let Some(cell) = cells.get_mut(index) {
            cell.set("source", Json::lines(text));
        }
    }

    /// Replaces a code cell's outputs and number; other cells have none.
    pub fn set_outputs(&mut self, index: usize, outputs: Vec<Json>, count: Option<u64>) {
        let Some(Json::Array(cells)) = self.root.get_mut("cells") else { return };
        if let Some(cell) = cells.get_mut(index).filter(|json| Cell { json }.kind() == CellKind::Code) {
            cell.set("execution_count", count.map_or(Json::Null, Json::from));
            cell.set("outputs", Json::Array(outputs));
        }
    }
}

/// The file's text, as Jupyter writes it, with a newline at the end.
impl fmt::Display for Notebook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.root)
    }
}

/// Writes a file beside `path` and renames it, so that readers see the old file or the new one.
///
/// The folder is made where it is missing. A link is followed, and a file's permissions are kept.
///
/// # Errors
/// When the folder cannot be made or written; the old file is then still there.
pub fn write_beside(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut builder = tempfile::Builder::new();
    // A temporary file is its owner's alone; this one is to become an ordinary file.
    #[cfg(unix)]
    let builder = builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.prefix(".candlewick-").tempfile_in(folder)?;
    file.write_all(bytes)?;
    if let Ok(old) = std::fs::metadata(&path) {
        file.as_file().set_permissions(old.permissions())?;
    }
    file.persist(&path)?;
    Ok(())
}
