//! Configuration files: TOML, read within bounds, with every problem said as `file: key: why`.

use std::fmt;
use std::fs;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::files;
use crate::limits::CONFIG_BYTES_MAX;

/// One thing that is wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file it is in.
    pub file: PathBuf,
    /// The key it is about, or the line if no key can be told; empty if it is the whole file.
    pub key: String,
    /// What is wrong and what to do. Never a secret's value.
    pub why: String,
}

impl Problem {
    /// A problem of this key in this file.
    #[must_use]
    pub fn new(file: impl Into<PathBuf>, key: impl Into<String>, why: impl Into<String>) -> Self {
        Self { file: file.into(), key: key.into(), why: why.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, key, why } = self;
        if key.is_empty() {
            write!(f, "{}: {why}", file.display())
        } else {
            write!(f, "{}: {key}: {why}", file.display())
        }
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Problem", 3)?;
        fields.serialize_field("file", &self.file.to_string_lossy())?;
        fields.serialize_field("key", &self.key)?;
        fields.serialize_field("why", &self.why)?;
        fields.end()
    }
}

/// Everything that is wrong with the configuration, one line each.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Nothing wrong so far.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a problem.
    pub fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `value` if nothing is wrong.
    ///
    /// # Errors
    /// The problems, if there are any.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }

    /// The list as JSON, for `check --json`.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let problem = |p: &Problem| serde_json::json!({"file": p.file.to_string_lossy(), "key": p.key, "why": p.why});
        serde_json::Value::Array(self.0.iter().map(problem).collect())
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, problem) in self.0.iter().enumerate() {
            let end = if place == 0 { "" } else { "\n" };
            write!(f, "{end}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Reads a TOML file of at most 1 MiB.
///
/// # Errors
/// [`Problems`] if it cannot be read, is too large, is not UTF-8, or does not have the expected shape.
pub fn read_toml<T: DeserializeOwned>(path: impl AsRef<Path>) -> Result<T, Problems> {
    let path = path.as_ref();
    let problem = |key: String, why: String| Problems::from(Problem::new(path, key, why));
    let bytes = files::read_bounded(path, CONFIG_BYTES_MAX).map_err(|error| {
        let why = match error.kind() {
            std::io::ErrorKind::FileTooLarge => format!("larger than {CONFIG_BYTES_MAX} octets"),
            _ => format!("cannot be read: {error}"),
        };
        problem(String::new(), why)
    })?;
    let text = String::from_utf8(bytes).map_err(|_| problem(String::new(), "is not UTF-8 text".to_owned()))?;
    toml::from_str(&text).map_err(|error| {
        let why = error.message().trim().replace('\n', "; ");
        problem(place_of(&text, error.span()), why)
    })
}

/// `key (line N)` of a span, as far as they can be told.
fn place_of(text: &str, span: Option<Range<usize>>) -> String {
    let Some(span) = span else { return String::new() };
    let before = text.get(..span.start).unwrap_or(text);
    let line = before.matches('\n').count().saturating_add(1);
    let start = before.rfind('\n').map_or(0, |end| end.saturating_add(1));
    let rest = text.get(start..).unwrap_or_default();
    let key = rest.lines().next().unwrap_or_default().split('=').next().unwrap_or_default().trim();
    let is_key = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "_-.\"[]".contains(c));
    if is_key { format!("{key} (line {line})") } else { format!("line {line}") }
}

/// Whether a file that holds a secret is readable by its owner alone; the problem if not.
#[must_use]
pub fn check_private(path: impl AsRef<Path>) -> Option<Problem> {
    let path = path.as_ref();
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => return Some(Problem::new(path, "", format!("cannot be looked at: {error}"))),
    };
    if !metadata.is_file() {
        return Some(Problem::new(path, "", "is not a file"));
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return None;
    }
    let why = format!("holds a secret and has mode {mode:04o}, which lets others in: set it to 0600 or 0400");
    Some(Problem::new(path, "mode", why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Example {
        port: u16,
        name: Option<String>,
    }

    fn read(text: &[u8]) -> Result<Example, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        fs::write(&path, text).unwrap();
        let shown = |problems: Problems| problems.to_string().replace(&path.display().to_string(), "FILE");
        read_toml(&path).map_err(shown)
    }

    #[test]
    fn good_files_are_read() {
        assert_eq!(read(b"port = 8883\n"), Ok(Example { port: 8883, name: None }));
    }

    #[test]
    fn a_problem_names_file_key_and_line() {
        let wrong = read(b"name = 'x'\nport = 'many'\n").unwrap_err();
        assert!(wrong.starts_with("FILE: port (line 2): invalid type"), "{wrong}");
        let unknown = read(b"port = 1\ncolour = 'red'\n").unwrap_err();
        assert!(unknown.starts_with("FILE: colour (line 2): unknown field `colour`"), "{unknown}");
        let missing = read(b"").unwrap_err();
        assert!(missing.contains("missing field `port`"), "{missing}");
        let broken = read(b"port = 1\n= 3\n").unwrap_err();
        assert!(broken.starts_with("FILE: line 2: "), "{broken}");
        assert_eq!(read(&[0xff]).unwrap_err(), "FILE: is not UTF-8 text");
    }

    #[test]
    fn a_huge_or_missing_file_is_a_problem() {
        let huge = vec![b'#'; 1024 * 1024 + 1];
        assert_eq!(read(&huge).unwrap_err(), "FILE: larger than 1048576 octets");
        assert!(read_toml::<Example>("/nowhere/config.toml").unwrap_err().to_string().contains("cannot be read"));
    }

    #[test]
    fn secrets_that_others_can_read_are_a_problem() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, "secret").unwrap();
        for (mode, fine) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o620, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(check_private(&path).is_none(), fine, "{mode:o}");
        }
        assert!(check_private(folder.path()).is_some());
        assert!(check_private(folder.path().join("none")).is_some());
    }

    #[test]
    fn all_problems_are_said_a_line_each_and_as_json() {
        let mut problems = Problems::new();
        assert_eq!(problems.clone().or(5), Ok(5));
        problems.push(Problem::new("a.toml", "x", "is odd"));
        problems.push(Problem::new("b.toml", "", "is empty"));
        assert_eq!(problems.to_string(), "a.toml: x: is odd\nb.toml: is empty");
        assert_eq!(problems.to_json(), serde_json::to_value(&problems).unwrap());
        assert_eq!(problems.to_json()[0]["key"], "x");
        assert!(problems.or(5).is_err());
    }
}
