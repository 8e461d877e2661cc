//! Definition files, read: every file of a directory, or none.

use std::{
    collections::BTreeMap,
    fs::{self, File, Metadata},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use serde_json::Value;
use tidings_http::{Definitions, ServiceDefinition};
use tidings_types::{Check, CheckId, ServiceId};

use super::hcl;
use crate::looks::Mark;

/// Files that one directory may hold.
pub const DEFINITION_FILES_MAX: usize = 1_000;
/// Bytes that one of them may have.
pub const DEFINITION_FILE_BYTES_MAX: u64 = 1 << 20;
/// Characters of the reason why a file is wrong.
const REASON_CHARS: usize = 1_000;

/// Why definition files cannot be used. Nothing of any of them is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DefinitionFileError {
    /// The directory or a file in it cannot be read.
    #[error(
        "{}: {source}; let this agent read it, or name another directory with --definition-dir",
        shown(path)
    )]
    Unreadable {
        /// What cannot be read.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file says what cannot be registered.
    #[error("{}:{line}: {reason}", shown(file))]
    Wrong {
        /// The file.
        file: PathBuf,
        /// The line, from 1: of the mistake, or of the name of the definition that has it.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// There are more files than an agent reads.
    #[error(
        "{} holds more than {DEFINITION_FILES_MAX} definition files; put several definitions into one",
        shown(dir)
    )]
    TooMany {
        /// The directory.
        dir: PathBuf,
    },
}

/// The definition files of a directory, in their order; not yet read.
#[derive(Debug)]
pub(super) struct Files {
    paths: Vec<PathBuf>,
    /// Another one once a file has come, gone or been written.
    pub(super) mark: Mark,
}

impl Files {
    /// Looks for `*.json`, `*.hcl` and `*.toml` in `dir`; without one there are none. A name that begins
    /// with a dot is no definition's: editors and copying programs put such files beside what they write.
    pub(super) fn find(dir: Option<&Path>) -> Result<Self, DefinitionFileError> {
        let mut paths = Vec::new();
        let Some(dir) = dir else {
            let mark = Mark::of([]);
            return Ok(Self { paths, mark });
        };
        for entry in fs::read_dir(dir).map_err(unreadable(dir))? {
            let entry = entry.map_err(unreadable(dir))?;
            let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            if !is_hidden && Format::of(&entry.path()).is_some() {
                paths.push(entry.path());
            }
            if paths.len() > DEFINITION_FILES_MAX {
                return Err(DefinitionFileError::TooMany { dir: dir.into() });
            }
        }
        paths.sort();
        let mut states = Vec::with_capacity(paths.len());
        for path in &paths {
            let metadata = fs::metadata(path).map_err(unreadable(path))?;
            if !metadata.is_file() {
                return Err(unreadable(path)(no_file()));
            }
            states.push(state_of(&metadata));
        }
        let names = paths.iter().map(|path| path.as_os_str().as_encoded_bytes());
        let states = states.iter().map(Vec::as_slice);
        let mark = Mark::of(names.chain(states));
        Ok(Self { paths, mark })
    }

    /// What the files define. Checks that run programs are refused unless `programs`.
    pub(super) fn read(&self, programs: bool) -> Result<Loaded, DefinitionFileError> {
        let mut loaded = Loaded {
            mark: Some(self.mark),
            ..Loaded::default()
        };
        for file in &self.paths {
            let text = read(file)?;
            if let Err((line, reason)) = loaded.add(file, &text, programs) {
                let file = file.clone();
                return Err(DefinitionFileError::Wrong { file, line, reason });
            }
        }
        Ok(loaded)
    }
}

fn read(file: &Path) -> Result<String, DefinitionFileError> {
    let wrong = |line, reason| {
        let file = file.to_owned();
        DefinitionFileError::Wrong { file, line, reason }
    };
    let mut bytes = Vec::new();
    open(file)
        .and_then(|opened| {
            let mut opened = opened.take(DEFINITION_FILE_BYTES_MAX + 1);
            opened.read_to_end(&mut bytes)
        })
        .map_err(unreadable(file))?;
    if bytes.len() as u64 > DEFINITION_FILE_BYTES_MAX {
        let reason = format!("the file has more than {DEFINITION_FILE_BYTES_MAX} bytes");
        return Err(wrong(1, reason));
    }
    String::from_utf8(bytes).map_err(|error| {
        let text = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + text.iter().filter(|byte| **byte == b'\n').count();
        wrong(line, "the file is no UTF-8 text".to_owned())
    })
}

/// Opens the file, and nothing that has taken its name meanwhile: a pipe would be waited for.
fn open(file: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, NONBLOCK);
    let opened = options.open(file)?;
    if !opened.metadata()?.is_file() {
        return Err(no_file());
    }
    Ok(opened)
}

#[cfg(unix)]
const NONBLOCK: i32 = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();

fn no_file() -> io::Error {
    io::Error::other("it is no file")
}

/// What changes with every writing of a file, and when another file takes its name.
#[cfg(unix)]
fn state_of(metadata: &Metadata) -> Vec<u8> {
    use std::os::unix::fs::MetadataExt as _;

    let whole = [metadata.dev(), metadata.ino(), metadata.len()];
    let times = [
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.ctime(),
        metadata.ctime_nsec(),
    ];
    let times = times.into_iter().flat_map(i64::to_le_bytes);
    let whole = whole.into_iter().flat_map(u64::to_le_bytes);
    whole.chain(times).collect()
}

#[cfg(not(unix))]
fn state_of(metadata: &Metadata) -> Vec<u8> {
    format!("{} {:?}", metadata.len(), metadata.modified().ok()).into_bytes()
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> DefinitionFileError + '_ {
    |source| {
        let path = path.to_owned();
        DefinitionFileError::Unreadable { path, source }
    }
}

/// What all files together define, each with its file.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(super) services: BTreeMap<ServiceId, (PathBuf, ServiceDefinition)>,
    pub(super) checks: BTreeMap<CheckId, (PathBuf, Check)>,
    /// Of the files as they were before they were read.
    pub(super) mark: Option<Mark>,
    /// Every check, those of services too, with its file.
    check_files: BTreeMap<CheckId, PathBuf>,
}

impl Loaded {
    /// What the files of `dir` define, see [`Files`].
    pub(crate) fn read(dir: Option<&Path>, programs: bool) -> Result<Self, DefinitionFileError> {
        Files::find(dir)?.read(programs)
    }

    /// Whether the check is defined, by itself or by a service.
    pub(super) fn defines_check(&self, id: &CheckId) -> bool {
        self.check_files.contains_key(id)
    }

    /// Takes what one file defines, or says on which line it is wrong, and how.
    pub(super) fn add(
        &mut self,
        file: &Path,
        text: &str,
        programs: bool,
    ) -> Result<(), (usize, String)> {
        self.take(file, text, programs)
            .map_err(|(line, reason)| (line, shortened(reason)))
    }

    fn take(&mut self, file: &Path, text: &str, programs: bool) -> Result<(), (usize, String)> {
        // Some editors begin a file with it.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let format = Format::of(file).unwrap_or(Format::Json);
        let read = Definitions::read(format.parse(text)?).map_err(|error| {
            let name = error.name.as_deref().unwrap_or_default();
            (line_of(text, name), error.to_string())
        })?;
        for service in read.services {
            let id = service.id.clone();
            for (check, definition) in &service.checks {
                let line = line_of(text, check.as_str());
                refuse_program(definition, programs).map_err(|reason| (line, reason))?;
                self.note_check(check, file)
                    .map_err(|reason| (line, reason))?;
            }
            if let Some((first, _)) = self.services.get(&id) {
                return Err((
                    line_of(text, id.as_str()),
                    twice("service", id.as_str(), first),
                ));
            }
            self.services.insert(id, (file.to_owned(), service));
        }
        for (id, check) in read.checks {
            let line = line_of(text, id.as_str());
            refuse_program(&check, programs).map_err(|reason| (line, reason))?;
            self.note_check(&id, file)
                .map_err(|reason| (line, reason))?;
            self.checks.insert(id, (file.to_owned(), check));
        }
        Ok(())
    }
}

impl Loaded {
    fn note_check(&mut self, id: &CheckId, file: &Path) -> Result<(), String> {
        match self.check_files.insert(id.clone(), file.to_owned()) {
            Some(first) => Err(twice("check", id.as_str(), &first)),
            None => Ok(()),
        }
    }
}

/// A path on one line, whatever its name has.
pub(super) fn shown(path: &Path) -> String {
    let path = path.display().to_string();
    if path.chars().any(char::is_control) {
        path.escape_debug().to_string()
    } else {
        path
    }
}

/// A reason repeats names, and a name in a file may be as long as the file.
fn shortened(reason: String) -> String {
    match reason.char_indices().nth(REASON_CHARS) {
        Some((end, _)) => format!("{} ...", &reason[..end]),
        None => reason,
    }
}

fn twice(what: &str, id: &str, first: &Path) -> String {
    let first = shown(first);
    format!("the {what} {id:?} is defined in {first} already; give one of them another id")
}

fn refuse_program(check: &Check, programs: bool) -> Result<(), String> {
    if check.kind.runs_program() && !programs {
        let name = &check.name;
        return Err(format!(
            "the check {name:?} runs a program, which this agent does not do; to enable it, set \
             --enable-local-script-checks (enable_local_script_checks in the configuration)"
        ));
    }
    Ok(())
}

/// The line on which `name` stands first, as a quoted text; the first line if it does not.
fn line_of(text: &str, name: &str) -> usize {
    let at = [format!("\"{name}\""), format!("'{name}'"), name.to_owned()];
    let at = at.iter().find_map(|quoted| text.find(quoted.as_str()));
    1 + text[..at.unwrap_or(0)].matches('\n').count()
}

/// How a file is written.
#[derive(Clone, Copy, Debug)]
enum Format {
    Json,
    Hcl,
    Toml,
}

impl Format {
    fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "json" => Some(Self::Json),
            "hcl" => Some(Self::Hcl),
            "toml" => Some(Self::Toml),
            _ => None,
        }
    }

    /// The content, or the line and the reason why there is none.
    fn parse(self, text: &str) -> Result<Value, (usize, String)> {
        match self {
            Self::Json => serde_json::from_str(text).map_err(|e| (e.line(), e.to_string())),
            Self::Toml => toml::from_str(text).map_err(|error: toml::de::Error| {
                let at = error.span().map_or(0, |span| span.start.min(text.len()));
                let before = text.as_bytes()[..at].iter();
                let line = 1 + before.filter(|byte| **byte == b'\n').count();
                (line, error.message().to_owned())
            }),
            Self::Hcl => hcl::parse(text),
        }
    }
}
